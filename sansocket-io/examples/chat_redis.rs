//! A chat in one room on any number of servers: `chat_redis 127.0.0.1:9001 redis://127.0.0.1/`.
//! Each server publishes what its members say, and sends them what all servers publish.

use futures_util::StreamExt;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use sansocket_io::tokio::{Server, ServerSocket};
use sansocket_io::{Event, Message, Sender};
use std::error::Error;
use std::sync::{Arc, Mutex};

type Room = Arc<Mutex<Vec<Sender>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = Server::bind(arguments.next().unwrap_or("127.0.0.1:9001".to_owned())).await?;
    let redis = redis::Client::open(arguments.next().unwrap_or("redis://127.0.0.1/".to_owned()))?;
    let publisher = redis.get_multiplexed_async_connection().await?;
    let mut subscription = redis.get_async_pubsub().await?;
    subscription.subscribe("room").await?;
    println!("listening on {}", server.local_addr()?);

    let room = Room::default();
    let published = relay(subscription, room.clone());
    // Without Redis there is no chat: then the members are sent a Close frame, too.
    let stop = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = published => {}
        }
    };
    server.run(stop, move |socket, _| join(socket, room.clone(), publisher.clone())).await;
    Ok(())
}

/// Sends all that is published to the members. A member that reads too slowly loses messages.
async fn relay(subscription: redis::aio::PubSub, room: Room) {
    let mut messages = subscription.into_on_message();
    while let Some(message) = messages.next().await {
        let Ok(text) = message.get_payload::<String>() else { continue };
        let text = sansocket_io::Broadcast::from(text);
        room.lock().unwrap().retain(|member| member.try_send(&text).is_ok() || !member.is_closed());
    }
}

async fn join(mut socket: ServerSocket, room: Room, mut publisher: MultiplexedConnection) {
    if socket.accept(|request| Ok(request.accept())).await.is_err() {
        return;
    }
    room.lock().unwrap().push(socket.reply().sender());
    while let Some((event, reply)) = socket.next().await {
        if let Event::Message(Message::Text(text)) = event
            && publisher.publish::<_, _, ()>("room", text).await.is_err()
        {
            let _ = reply.close(sansocket_io::CloseCode::INTERNAL_ERROR, "");
        }
    }
}
