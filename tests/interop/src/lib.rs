//! A Wisp server and client for tests of this project against another family's implementation.
//!
//! The streams are `wisp-mux`'s, and so is every byte of theirs on the wire. The handshake of version 2 is in
//! `handshake`, since the newest `wisp-mux` on crates.io is older than the draft's; README.md says how they differ.

pub mod auth;
pub mod handshake;
pub mod link;
pub mod upgrade;

use std::time::Duration;

/// How long a connection, its upgrade, its handshake and a destination's answer may take.
pub const SETUP_LIMIT: Duration = Duration::from_secs(10);

/// How long nothing at all, pings aside, may move on a connection or a stream.
pub const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// The largest WebSocket message that is taken, and more than any Wisp packet in the tests.
pub const MAX_MESSAGE_BYTES: usize = 1 << 24;

/// How much is read from a socket or from standard input at once: the payload of one DATA packet.
pub const CHUNK_BYTES: usize = 1 << 14;

/// The most that one UDP datagram holds.
pub const DATAGRAM_BYTES: usize = 1 << 16;

/// How many packets a stream may have on their way to the server: the credit that it starts with.
pub const BUFFER_PACKETS: u32 = 128;

/// Why something ended, in words for a person. There is one place that prints it: each program's `main`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of `future`, or an error that says what took longer than `limit`.
pub async fn within<T, E: Into<Error>>(
    limit: Duration,
    what: &str,
    future: impl std::future::Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(format!("{what} took longer than {} s", limit.as_secs()).into()),
    }
}
