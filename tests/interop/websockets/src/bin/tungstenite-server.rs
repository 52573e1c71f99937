//! Wisp on tokio-tungstenite: `tungstenite-server --listen HOST:PORT`.

use std::process::ExitCode;

use bytes::Bytes;
use futures_util::{future, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};

async fn serve(socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    let websocket = match tokio_tungstenite::accept_async(socket).await {
        Ok(websocket) => websocket,
        Err(error) => {
            println!("no WebSocket: {error}");
            return;
        }
    };
    let (outgoing, incoming) = websocket.split();
    let outgoing = outgoing.with(|bytes: Bytes| future::ok::<_, Error>(Message::Binary(bytes)));
    let incoming = incoming.filter_map(|message| {
        future::ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    });
    wisp_websockets::serve(incoming, outgoing).await;
}

fn main() -> ExitCode {
    wisp_websockets::run(async {
        let listener = wisp_websockets::listen().await?;
        loop {
            let (socket, _) = listener.accept().await.map_err(|error| error.to_string())?;
            tokio::spawn(serve(socket));
        }
    })
}
