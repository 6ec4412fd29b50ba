//! The accept loop of the servers on tokio, with a limit and an orderly stop.

use crate::common::{BUSY, Result};
use socket2::SockRef;
use std::io::{self, Write};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a refused connection waits for its request, and then for the end of the stream.
const LINGER: Duration = Duration::from_secs(2);
/// How long a server that stops waits for its connections.
const STOP: Duration = Duration::from_secs(5);
/// The maximum number of connections that are being refused. Any more are dropped.
const MAX_REFUSED: usize = 64;

/// How many bytes the kernel takes from each connection before a peer reads them. By default it
/// takes megabytes, and for a slow reader the socket is writable again only after a third of them
/// were read, which can be later than the deadline of the wrapper.
const SEND_BUFFER: usize = 128 << 10;

/// Prints `greeting`, accepts connections, and runs `serve` on a task for each, until SIGINT
/// (Ctrl-C) or SIGTERM. Then its second argument becomes true, and the function waits until all
/// connections are closed. A connection over the limit `connections` gets a response with status
/// 503.
pub async fn listen<F: Future<Output = Result<()>> + Send + 'static>(
    listener: TcpListener,
    greeting: &str,
    connections: usize,
    serve: impl Fn(TcpStream, watch::Receiver<bool>) -> F,
) -> Result<()> {
    let mut interrupt = std::pin::pin!(interrupt()?);
    // Accepted sockets inherit it.
    SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER)?;
    let mut out = io::stdout();
    writeln!(out, "{greeting}")?;
    out.flush()?;
    let stop = watch::Sender::new(false);
    let (mut served, mut refused) = (JoinSet::new(), JoinSet::new());
    loop {
        tokio::select! {
            () = &mut interrupt => break,
            Some(_) = served.join_next() => {}
            Some(_) = refused.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if served.len() < connections => {
                    let serving = serve(stream, stop.subscribe());
                    served.spawn(async move {
                        if let Err(error) = serving.await {
                            eprintln!("{peer}: {error}");
                        }
                    });
                }
                Ok((stream, _)) if refused.len() < MAX_REFUSED => {
                    refused.spawn(refuse(stream));
                }
                Ok(_) => {}
                // For example "too many open files": retry, because other connections may end.
                Err(error) => {
                    eprintln!("accept: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let _ = timeout(STOP, async { while served.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn refuse(mut stream: TcpStream) {
    // Wait for the request: some clients take a response that precedes it for an error.
    let _ = timeout(LINGER, stream.read(&mut [0; 4096])).await;
    let end = async {
        stream.write_all(BUSY).await?;
        stream.shutdown().await?;
        copy(&mut stream, &mut sink()).await
    };
    let _ = timeout(LINGER, end).await;
}

#[cfg(unix)]
fn interrupt() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn interrupt() -> io::Result<impl Future<Output = ()>> {
    // Without a handler, Ctrl-C ends the process.
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
