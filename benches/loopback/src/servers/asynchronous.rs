//! The servers over tokio, on one thread.

use super::FLUSHER;
use crate::load::RESPONSE;
use fastwebsockets::{FragmentCollector, OpCode, Role};
use futures::{Sink, SinkExt, Stream, StreamExt, future::poll_fn};
use sansocket_io::{Config, Settings, tokio::Server};
use std::{fmt::Display, io, pin::Pin, task::Poll, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

type Result = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

pub fn serve(name: &str) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        match name {
            "sansocket-io" => sansocket_io(listener).await,
            "tokio-tungstenite" => accept(&listener, tokio_tungstenite).await,
            FLUSHER => accept(&listener, tokio_tungstenite_send).await,
            "fastwebsockets" => accept(&listener, fastwebsockets).await,
            "tokio-websockets" => accept(&listener, tokio_websockets).await,
            "sockudo-ws" => accept(&listener, sockudo_ws).await,
            "wtx" => accept(&listener, wtx).await,
            _ => Err(io::Error::other(format!("no server is named {name}"))),
        }
    })
}

async fn accept<F>(listener: &TcpListener, echo: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = Result> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // An error closes the connection, which the load reports.
        tokio::spawn(echo(stream));
    }
}

async fn sansocket_io(listener: TcpListener) -> io::Result<()> {
    // The load answers no Ping, and a server may wait for its turn for longer than the default.
    let config = Config::new().idle_ping(Some(Duration::from_secs(600)));
    let server = Server::from(listener).max_connections(10_000).settings(Settings::new().config(config));
    server
        .run(std::future::pending::<()>(), |mut socket, _| async move {
            let accepted = socket.accept(|request| Ok(request.accept())).await;
            accepted.expect("the load's requests are correct");
            while let Some((event, reply)) = socket.next().await {
                if let sansocket_io::Event::Message(message) = event {
                    reply.send(message).expect("no fragmented message is unfinished");
                }
            }
        })
        .await;
    Ok(())
}

async fn tokio_tungstenite(stream: TcpStream) -> Result {
    feed(tokio_tungstenite::accept_async(stream).await?, |message| message.is_close()).await
}

async fn tokio_tungstenite_send(stream: TcpStream) -> Result {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_close() {
            break;
        }
        socket.send(message).await?;
    }
    Ok(())
}

async fn tokio_websockets(stream: TcpStream) -> Result {
    // As in its own echo server.
    let config = tokio_websockets::Config::default().frame_size(usize::MAX);
    let (_, socket) = tokio_websockets::ServerBuilder::new().config(config).accept(stream).await?;
    feed(socket, |message| message.is_close()).await
}

async fn sockudo_ws(mut stream: TcpStream) -> Result {
    sockudo_ws::handshake::server_handshake(&mut stream).await?;
    let socket = sockudo_ws::WebSocketStream::server(stream, sockudo_ws::Config::default());
    feed(socket, |message| message.is_close()).await
}

/// Echoes by `feed`, and flushes once no message is ready.
async fn feed<S, M, E>(mut socket: S, is_close: impl Fn(&M) -> bool) -> Result
where
    S: Stream<Item = std::result::Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: std::error::Error + Display + Send + Sync + 'static,
{
    loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(next) = Pin::new(&mut socket).poll_next(cx) {
                return Poll::Ready(Ok(next));
            }
            match Pin::new(&mut socket).poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            }
        });
        let Some(message) = next.await? else { return Ok(()) };
        let message = message?;
        if is_close(&message) {
            return Ok(());
        }
        socket.feed(message).await?;
    }
}

async fn fastwebsockets(mut stream: TcpStream) -> Result {
    // Its own handshake is hyper's.
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await?;
        head.push(byte[0]);
    }
    stream.write_all(RESPONSE.as_bytes()).await?;
    let mut socket = fastwebsockets::WebSocket::after_handshake(stream, Role::Server);
    socket.set_writev(true);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => {
                socket
                    .write_frame(fastwebsockets::Frame::new(true, frame.opcode, None, frame.payload))
                    .await?;
            }
            _ => {}
        }
    }
}

async fn wtx(stream: TcpStream) -> Result {
    use wtx::web_socket::{OpCode, WebSocketAcceptor, WebSocketPayloadOrigin::Adaptive};
    let mut socket = WebSocketAcceptor::default().accept(stream).await?;
    let mut buffer = wtx::collection::Vector::new();
    let (mut common, mut reader, mut writer) = socket.split_mut();
    loop {
        let mut frame = reader.read_frame(&mut buffer, &mut common, Adaptive).await?;
        match frame.op_code() {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => writer.write_frame(&mut common, &mut frame).await?,
            _ => {}
        }
    }
}
