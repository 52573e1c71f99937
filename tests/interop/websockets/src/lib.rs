//! A Wisp server, version 1, behind any WebSocket: it is handed the messages that come, and hands out those to be sent. For
//! tests on loopback: it connects to whatever it is asked for.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;

const CONNECT: u8 = 1;
const DATA: u8 = 2;
const CONTINUE: u8 = 3;
const CLOSE: u8 = 4;
const TCP: u8 = 1;
const UDP: u8 = 2;
const HEADER_BYTES: usize = 5;

const VOLUNTARY: u8 = 0x02;
const NETWORK_ERROR: u8 = 0x03;
const INVALID: u8 = 0x41;
const UNREACHABLE: u8 = 0x42;
const TIMED_OUT: u8 = 0x43;
const REFUSED: u8 = 0x44;

/// What a stream may send at first, and how often it is told that it may go on.
const CREDIT: usize = 128;
const CREDIT_EVERY: usize = CREDIT / 2;
/// Credit says nothing of what is under way when it is given, nor when the client gets it: each CONTINUE that waits to be
/// sent may let as much again come.
const QUEUE: usize = (OUTGOING + 2) * CREDIT;
const OUTGOING: usize = 64;
const MAX_STREAMS: usize = 1024;
const CHUNK_BYTES: usize = 16 * 1024;
const DATAGRAM_BYTES: usize = 65536;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

type Out = mpsc::Sender<Bytes>;

fn packet(kind: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&[kind]);
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.freeze()
}

/// Listens on the address that the command line names, and says which it is.
pub async fn listen() -> Result<TcpListener, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [option, address] = args.as_slice() else {
        return Err("usage: --listen HOST:PORT".into());
    };
    if option != "--listen" {
        return Err("usage: --listen HOST:PORT".into());
    }
    let listener = TcpListener::bind(address).await.map_err(|error| error.to_string())?;
    println!("listening on {}", listener.local_addr().map_err(|error| error.to_string())?);
    Ok(listener)
}

/// Runs a server until it fails.
pub fn run<F: std::future::Future<Output = Result<(), String>>>(server: F) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(server)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves one client. `incoming` gives the payload of each binary message.
pub async fn serve<E: Display>(
    mut incoming: impl Stream<Item = Result<Bytes, E>> + Unpin,
    outgoing: impl Sink<Bytes> + Send + Unpin + 'static,
) {
    let (out, queue) = mpsc::channel(OUTGOING);
    tokio::spawn(write(queue, outgoing));
    let mut streams = HashMap::new();
    if out.send(packet(CONTINUE, 0, &(CREDIT as u32).to_le_bytes())).await.is_err() {
        return;
    }
    while let Some(message) = incoming.next().await {
        let result = match message {
            Ok(message) => take(message, &mut streams, &out),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = result {
            println!("a connection has ended: {error}");
            return;
        }
    }
}

async fn write(mut queue: mpsc::Receiver<Bytes>, mut outgoing: impl Sink<Bytes> + Unpin) {
    while let Some(bytes) = queue.recv().await {
        if outgoing.send(bytes).await.is_err() {
            return;
        }
    }
}

fn take(message: Bytes, streams: &mut HashMap<u32, mpsc::Sender<Bytes>>, out: &Out) -> Result<(), String> {
    if message.len() < HEADER_BYTES {
        return Err("a packet that is too short".into());
    }
    let id = u32::from_le_bytes([message[1], message[2], message[3], message[4]]);
    let payload = message.slice(HEADER_BYTES..);
    match message[0] {
        CONNECT if payload.len() >= 3 => {
            streams.retain(|_, queue| !queue.is_closed());
            if streams.len() == MAX_STREAMS || streams.contains_key(&id) {
                return Err("too many streams, or one id for two".into());
            }
            let (queue, received) = mpsc::channel(QUEUE);
            streams.insert(id, queue);
            tokio::spawn(open(id, payload, received, out.clone()));
        }
        DATA => {
            if let Some(queue) = streams.get(&id) {
                if let Err(mpsc::error::TrySendError::Full(_)) = queue.try_send(payload) {
                    return Err("more than there was credit for".into());
                }
            }
        }
        CLOSE => drop(streams.remove(&id)),
        _ => return Err("a packet that a client does not send".into()),
    }
    Ok(())
}

/// One stream, from its CONNECT to its end.
async fn open(id: u32, connect: Bytes, received: mpsc::Receiver<Bytes>, out: Out) {
    let port = u16::from_le_bytes([connect[1], connect[2]]);
    let reason = match std::str::from_utf8(&connect[3..]) {
        Ok(host) if connect[0] == TCP && !host.is_empty() => tcp(id, host, port, received, &out).await,
        Ok(host) if connect[0] == UDP && !host.is_empty() => udp(id, host, port, received, &out).await,
        _ => INVALID,
    };
    let _ = out.send(packet(CLOSE, id, &[reason])).await;
}

fn reason_for(error: std::io::Error) -> u8 {
    match error.kind() {
        ErrorKind::ConnectionRefused => REFUSED,
        ErrorKind::TimedOut => TIMED_OUT,
        _ => UNREACHABLE,
    }
}

async fn tcp(id: u32, host: &str, port: u16, received: mpsc::Receiver<Bytes>, out: &Out) -> u8 {
    let socket = match timeout(CONNECT_LIMIT, TcpStream::connect((host, port))).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return reason_for(error),
        Err(_) => return TIMED_OUT,
    };
    let _ = socket.set_nodelay(true);
    let (reader, writer) = socket.into_split();
    tokio::select! {
        reason = download(id, reader, out) => reason,
        reason = upload(id, received, writer, out) => reason,
    }
}

async fn download(id: u32, mut reader: tokio::net::tcp::OwnedReadHalf, out: &Out) -> u8 {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match reader.read(&mut chunk).await {
            Ok(0) => return VOLUNTARY,
            Ok(n) => {
                if out.send(packet(DATA, id, &chunk[..n])).await.is_err() {
                    return VOLUNTARY;
                }
            }
            Err(_) => return NETWORK_ERROR,
        }
    }
}

/// Ends when the client has closed the stream and all of it is written.
async fn upload(
    id: u32,
    mut received: mpsc::Receiver<Bytes>,
    mut writer: tokio::net::tcp::OwnedWriteHalf,
    out: &Out,
) -> u8 {
    let mut taken = 0;
    while let Some(data) = received.recv().await {
        if writer.write_all(&data).await.is_err() {
            return NETWORK_ERROR;
        }
        taken += 1;
        if taken % CREDIT_EVERY == 0 {
            let more = CREDIT.saturating_sub(received.len()) as u32;
            if out.send(packet(CONTINUE, id, &more.to_le_bytes())).await.is_err() {
                return VOLUNTARY;
            }
        }
    }
    let _ = writer.shutdown().await;
    VOLUNTARY
}

async fn udp(id: u32, host: &str, port: u16, mut received: mpsc::Receiver<Bytes>, out: &Out) -> u8 {
    let Some(to) = tokio::net::lookup_host((host, port)).await.ok().and_then(|mut found| found.next()) else {
        return UNREACHABLE;
    };
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let Ok(socket) = UdpSocket::bind(any).await else { return NETWORK_ERROR };
    if socket.connect(to).await.is_err() {
        return UNREACHABLE;
    }
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        tokio::select! {
            data = received.recv() => match data {
                Some(data) => drop(socket.send(&data).await),
                None => return VOLUNTARY,
            },
            n = socket.recv(&mut datagram) => if let Ok(n) = n {
                if out.send(packet(DATA, id, &datagram[..n])).await.is_err() {
                    return VOLUNTARY;
                }
            },
        }
    }
}
