//! Wisp on axum: `axum-server --listen HOST:PORT`.

use std::process::ExitCode;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::Router;
use bytes::Bytes;
use futures_util::{future, SinkExt, StreamExt};

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(serve)
}

async fn serve(socket: WebSocket) {
    let (outgoing, incoming) = socket.split();
    let outgoing = outgoing.with(|bytes: Bytes| future::ok::<_, axum::Error>(Message::Binary(bytes)));
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
        let router = Router::new().route("/", any(upgrade));
        axum::serve(listener, router).await.map_err(|error| error.to_string())
    })
}
