//! The two halves of a WebSocket as `wisp-mux` wants them, its own adaptors inside, and what it leaves to us: time
//! limits, a packet read before it can be given back, and no data lost between it and the program.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::BytesMut;
use fastwebsockets::{FragmentCollectorRead, Role, WebSocket, WebSocketWrite};
use tokio::io::{BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use wisp_mux::ws::{self, Frame, LockedWebSocketWrite, OpCode, Payload};
use wisp_mux::WispError;

use crate::{Error, BUFFER_PACKETS, IDLE_LIMIT, MAX_MESSAGE_BYTES};

type Stream = BufReader<TcpStream>;

/// The types of Wisp packets, of which `wisp-mux` keeps the numbers to itself.
pub const CONNECT: u8 = 1;
pub const DATA: u8 = 2;
pub const CONTINUE: u8 = 3;
pub const CLOSE: u8 = 4;
pub const INFO: u8 = 5;

/// A packet's type and stream id, and nothing else.
pub const HEADER_BYTES: usize = 5;

/// An upgraded connection's halves.
pub fn open(stream: Stream, role: Role) -> (Reader, Writer) {
    let mut socket = WebSocket::after_handshake(stream, role);
    socket.set_max_message_size(MAX_MESSAGE_BYTES);
    let (read, write) = socket.split(tokio::io::split);
    let reader = Reader {
        frames: FragmentCollectorRead::new(read),
        given_back: VecDeque::new(),
        backlog: Backlog(Arc::new(watch::Sender::new(HashMap::new()))),
        holds_close: false,
        seen: Seen::default(),
    };
    (reader, Writer(Arc::new(tokio::sync::Mutex::new(write))))
}

/// The reasons of the CLOSE packets that have come: `wisp-mux` ends the connection at those that it does not know.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Reasons>>);

#[derive(Clone, Copy, Default)]
pub struct Reasons {
    pub of_stream: Option<u8>,
    pub of_connection: Option<u8>,
}

impl Seen {
    pub fn reasons(&self) -> Reasons {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn note(&self, stream_id: u32, reason: u8) {
        let mut reasons = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match stream_id {
            0 => reasons.of_connection = Some(reason),
            _ => reasons.of_stream = Some(reason),
        }
    }
}

/// How many packets each open stream has that its program has not taken. `wisp-mux` drops DATA that finds its queue
/// full, which happens to clients that keep to their credit: a CONTINUE does not count what is on its way.
#[derive(Clone)]
pub struct Backlog(Arc<watch::Sender<HashMap<u32, u32>>>);

impl Backlog {
    /// Counts for a stream of which no CONNECT is received.
    pub fn open(&self, stream_id: u32) {
        self.0.send_modify(|counts| _ = counts.insert(stream_id, 0));
    }

    pub fn took(&self, stream_id: u32) {
        self.0.send_modify(|counts| {
            if let Some(count) = counts.get_mut(&stream_id) {
                *count = count.saturating_sub(1);
            }
        });
    }

    pub fn forget(&self, stream_id: u32) {
        self.0.send_modify(|counts| _ = counts.remove(&stream_id));
    }

    fn add(&self, stream_id: u32) {
        self.0.send_modify(|counts| {
            if let Some(count) = counts.get_mut(&stream_id) {
                *count += 1;
            }
        });
    }

    async fn wait_below(&self, stream_id: u32, limit: u32) -> Result<(), WispError> {
        let mut counts = self.0.subscribe();
        let wait = counts.wait_for(|counts| counts.get(&stream_id).is_none_or(|count| *count < limit));
        let waited = tokio::time::timeout(IDLE_LIMIT, wait).await.map(drop);
        waited.map_err(|_| other("received data was not taken"))
    }
}

pub struct Reader {
    frames: FragmentCollectorRead<ReadHalf<Stream>>,
    given_back: VecDeque<Frame<'static>>,
    backlog: Backlog,
    holds_close: bool,
    seen: Seen,
}

impl Reader {
    /// The next packet, of `HEADER_BYTES` or more.
    pub async fn packet(&mut self, writer: &Writer) -> Result<BytesMut, Error> {
        let locked = LockedWebSocketWrite::new(Box::new(writer.clone()));
        let frame = ws::WebSocketRead::wisp_read_frame(self, &locked).await?;
        match frame.opcode {
            OpCode::Binary => Ok(frame.payload.into()),
            OpCode::Close => Err("the other side closed the WebSocket".into()),
            opcode => Err(format!("a {opcode:?} frame where a packet was wanted").into()),
        }
    }

    /// Makes this the packet that `wisp-mux` reads first.
    pub fn give_back(&mut self, packet: BytesMut) {
        self.given_back.push_back(Frame::binary(Payload::Bytes(packet)));
    }

    /// From now on a stream's CLOSE waits until its data has been taken: `wisp-mux` throws away the rest.
    pub fn hold_close(&mut self) {
        self.holds_close = true;
    }

    pub fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    pub fn seen(&self) -> Seen {
        self.seen.clone()
    }

    async fn check(&mut self, frame: &Frame<'static>) -> Result<(), WispError> {
        if frame.opcode != OpCode::Binary {
            return Ok(());
        }
        let Some((header, payload)) = frame.payload.split_at_checked(HEADER_BYTES) else {
            return Err(WispError::PacketTooSmall); // wisp-mux would panic at some of them
        };
        let stream_id = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
        match header[0] {
            CONNECT => self.backlog.open(stream_id),
            DATA => {
                self.backlog.wait_below(stream_id, BUFFER_PACKETS).await?;
                self.backlog.add(stream_id);
            }
            CLOSE => {
                self.seen.note(stream_id, payload.first().copied().unwrap_or(0));
                if self.holds_close {
                    self.backlog.wait_below(stream_id, 1).await?;
                }
                self.backlog.forget(stream_id);
            }
            _ => {}
        }
        Ok(())
    }
}

#[async_trait]
impl ws::WebSocketRead for Reader {
    async fn wisp_read_frame(&mut self, writer: &LockedWebSocketWrite) -> Result<Frame<'static>, WispError> {
        if let Some(frame) = self.given_back.pop_front() {
            return Ok(frame);
        }
        let read = ws::WebSocketRead::wisp_read_frame(&mut self.frames, writer);
        let frame =
            tokio::time::timeout(IDLE_LIMIT, read).await.map_err(|_| other("nothing was received for too long"))??;
        self.check(&frame).await?;
        Ok(frame)
    }
}

#[derive(Clone)]
pub struct Writer(Arc<tokio::sync::Mutex<WebSocketWrite<WriteHalf<Stream>>>>);

impl Writer {
    /// Sends one packet, in one frame.
    pub async fn packet(&mut self, packet: &[u8]) -> Result<(), Error> {
        let frame = Frame::binary(Payload::Bytes(packet.into()));
        Ok(ws::WebSocketWrite::wisp_write_frame(self, frame).await?)
    }

    /// Says why on stream 0, and closes the WebSocket.
    pub async fn refuse(&mut self, reason: u8) -> Result<(), Error> {
        self.packet(&[CLOSE, 0, 0, 0, 0, reason]).await?;
        Ok(ws::WebSocketWrite::wisp_close(self).await?)
    }
}

#[async_trait]
impl ws::WebSocketWrite for Writer {
    async fn wisp_write_frame(&mut self, frame: Frame<'_>) -> Result<(), WispError> {
        let mut writer = self.0.lock().await;
        limit(ws::WebSocketWrite::wisp_write_frame(&mut *writer, frame)).await
    }

    async fn wisp_write_split(&mut self, header: Frame<'_>, body: Frame<'_>) -> Result<(), WispError> {
        let mut writer = self.0.lock().await;
        limit(ws::WebSocketWrite::wisp_write_split(&mut *writer, header, body)).await
    }

    async fn wisp_close(&mut self) -> Result<(), WispError> {
        let mut writer = self.0.lock().await;
        limit(ws::WebSocketWrite::wisp_close(&mut *writer)).await
    }
}

async fn limit(write: impl std::future::Future<Output = Result<(), WispError>>) -> Result<(), WispError> {
    match tokio::time::timeout(IDLE_LIMIT, write).await {
        Ok(result) => result,
        Err(_) => Err(other("nothing could be sent for too long")),
    }
}

fn other(what: &str) -> WispError {
    WispError::Other(what.into())
}
