//! A Wisp server on `wisp-mux` over plain WebSockets, for tests on loopback: it connects to whatever it is asked for.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::BytesMut;
use lexopt::prelude::{Long, ValueExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wisp_interop::handshake::{self, Agreed, Offer, PASSWORD, UDP};
use wisp_interop::link::Backlog;
use wisp_interop::{
    auth, upgrade, within, Error, BUFFER_PACKETS, CHUNK_BYTES, DATAGRAM_BYTES, IDLE_LIMIT, SETUP_LIMIT,
};
use wisp_mux::extensions::password::PasswordProtocolExtensionBuilder;
use wisp_mux::extensions::udp::UdpProtocolExtensionBuilder;
use wisp_mux::extensions::ProtocolExtensionBuilder;
use wisp_mux::{CloseReason, ConnectPacket, MuxStream, ServerMux, StreamType, WispError};

const USAGE: &str = "\
usage: wisp-mux-server --listen HOST:PORT [--user NAME:PASSWORD]... [--key PUBLIC.pem]...
                       [--no-udp] [--motd TEXT] [--mux-handshake]

--mux-handshake  begin as wisp-mux itself does, which is not as the draft says; without keys and MOTD";

const MAX_CONNECTIONS: usize = 256;
const MAX_STREAMS: usize = 1024;

struct Options {
    listen: String,
    offer: Offer,
    has_mux_handshake: bool,
}

fn main() -> ExitCode {
    let options = match parse_options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("wisp-mux-server: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(listen(options)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wisp-mux-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse_options() -> Result<Options, Error> {
    let mut listen = None;
    let mut offer = Offer { udp: true, ..Offer::default() };
    let mut has_mux_handshake = false;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("listen") => listen = Some(arguments.value()?.string()?),
            Long("user") => offer.accepted.users.extend([auth::parse_user(&arguments.value()?.string()?)?]),
            Long("key") => offer.accepted.keys.push(auth::read_public_key(Path::new(&arguments.value()?))?),
            Long("no-udp") => offer.udp = false,
            Long("motd") => offer.motd = Some(arguments.value()?.string()?),
            Long("mux-handshake") => has_mux_handshake = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if has_mux_handshake && (!offer.accepted.keys.is_empty() || offer.motd.is_some()) {
        return Err("--mux-handshake knows neither keys nor a MOTD".into());
    }
    let listen = listen.ok_or("--listen is missing")?;
    Ok(Options { listen, offer, has_mux_handshake })
}

async fn listen(options: Options) -> Result<(), Error> {
    let listener = TcpListener::bind(&options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    eprintln!("listening on {}", listener.local_addr()?);
    let options = Arc::new(options);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    for number in 1_u64.. {
        let slot = slots.clone().acquire_owned().await?;
        let (stream, _) = listener.accept().await?;
        let options = options.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(number, stream, &options).await {
                eprintln!("connection {number}: {error}");
            }
            drop(slot);
        });
    }
    Ok(())
}

/// One connection, from the upgrade to its end.
async fn serve(number: u64, stream: TcpStream, options: &Options) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer, protocol) = upgrade::accept(stream).await?;
    let backlog = reader.backlog();
    let mut agreed = None;
    let mut builders = None;
    if options.has_mux_handshake {
        builders = Some(mux_builders(&options.offer));
    } else if protocol.is_some() {
        let serve = handshake::serve(&mut reader, &mut writer, &options.offer).await;
        agreed = Some(serve.map_err(|error| format!("refused: {error}"))?);
    } else if options.offer.accepted.is_required() {
        writer.refuse(handshake::NO_CREDENTIALS).await?;
        return Err("refused: a client of version 1 has no credentials".into());
    }
    let create = ServerMux::create(reader, writer, BUFFER_PACKETS, builders.as_deref());
    let result = within(SETUP_LIMIT, "the handshake", create).await?;
    let (mux, future) = if options.has_mux_handshake && options.offer.accepted.is_required() {
        let required = within(SETUP_LIMIT, "the refusal", result.with_required_extensions(&[PASSWORD])).await;
        required.map_err(|error| format!("refused: {error}"))?
    } else {
        result.with_no_required_extensions()
    };
    if !mux.downgraded {
        agreed = Some(Agreed { extensions: mux.supported_extension_ids.clone(), ..Agreed::default() });
    }
    report(number, agreed.as_ref());
    let has_udp = agreed.is_none_or(|agreed| agreed.extensions.contains(&UDP)) && options.offer.udp;

    let task = tokio::spawn(future);
    let slots = Arc::new(Semaphore::new(MAX_STREAMS));
    while let Some((connect, stream)) = mux.server_new_stream().await {
        let (slots, backlog) = (slots.clone(), backlog.clone());
        tokio::spawn(async move {
            let reason = match slots.try_acquire() {
                Ok(_slot) => relay(&connect, &stream, &backlog, has_udp).await,
                Err(_) => CloseReason::ServerStreamThrottled,
            };
            backlog.forget(stream.stream_id);
            let _ = stream.close(reason).await; // it fails when the client was first
        });
    }
    match task.await? {
        Ok(()) | Err(WispError::WsImplSocketClosed) => Ok(()),
        Err(error) => Err(format!("ended: {error}").into()),
    }
}

fn report(number: u64, agreed: Option<&Agreed>) {
    match agreed {
        Some(Agreed { extensions, user, .. }) => {
            let user = user.as_ref().map_or_else(String::new, |user| format!(", user {user}"));
            eprintln!("connection {number}: wisp v2, extensions: {}{user}", handshake::names(extensions));
        }
        None => eprintln!("connection {number}: wisp v1"),
    }
}

fn mux_builders(offer: &Offer) -> Vec<Box<dyn ProtocolExtensionBuilder + Send + Sync>> {
    let mut builders: Vec<Box<dyn ProtocolExtensionBuilder + Send + Sync>> = Vec::new();
    if offer.udp {
        builders.push(Box::new(UdpProtocolExtensionBuilder));
    }
    if !offer.accepted.users.is_empty() {
        builders.push(Box::new(PasswordProtocolExtensionBuilder::new_server(offer.accepted.users.clone())));
    }
    builders
}

/// One stream, from CONNECT to the reason of its CLOSE.
async fn relay(connect: &ConnectPacket, stream: &MuxStream, backlog: &Backlog, has_udp: bool) -> CloseReason {
    let result = match connect.stream_type {
        StreamType::Tcp => relay_tcp(connect, stream, backlog).await,
        StreamType::Udp if has_udp => relay_udp(connect, stream, backlog).await,
        StreamType::Udp | StreamType::Unknown(_) => Err(CloseReason::ServerStreamInvalidInfo),
    };
    result.err().unwrap_or(CloseReason::Voluntary)
}

async fn relay_tcp(connect: &ConnectPacket, stream: &MuxStream, backlog: &Backlog) -> Result<(), CloseReason> {
    let address = (connect.destination_hostname.as_str(), connect.destination_port);
    let socket = match timeout(SETUP_LIMIT, TcpStream::connect(address)).await {
        Ok(result) => result.map_err(|error| connect_reason(&error))?,
        Err(_) => return Err(CloseReason::ServerStreamConnectionTimedOut),
    };
    let (mut from_origin, mut to_origin) = socket.into_split();
    let up = async {
        while let Some(data) = stream.read().await {
            backlog.took(stream.stream_id);
            transfer(to_origin.write_all(&data)).await?;
        }
        Ok(())
    };
    let down = async {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        while transfer(from_origin.read_buf(&mut chunk)).await? > 0 {
            stream.write(&chunk).await.map_err(|_| CloseReason::Unexpected)?;
            chunk.clear();
        }
        Ok(())
    };
    tokio::select! {
        result = up => result,
        result = down => result,
    }
}

async fn relay_udp(connect: &ConnectPacket, stream: &MuxStream, backlog: &Backlog) -> Result<(), CloseReason> {
    let address = (connect.destination_hostname.as_str(), connect.destination_port);
    let address = tokio::net::lookup_host(address).await.ok().and_then(|mut addresses| addresses.next());
    let address = address.ok_or(CloseReason::ServerStreamUnreachable)?;
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(|error| connect_reason(&error))?;
    socket.connect(address).await.map_err(|error| connect_reason(&error))?;
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        tokio::select! {
            received = transfer(socket.recv(&mut datagram)) => {
                stream.write(&datagram[..received?]).await.map_err(|_| CloseReason::Unexpected)?;
            }
            data = stream.read() => match data {
                Some(data) => {
                    backlog.took(stream.stream_id);
                    transfer(socket.send(&data)).await.map(drop)?;
                }
                None => return Ok(()),
            },
        }
    }
}

async fn transfer<T>(operation: impl std::future::Future<Output = std::io::Result<T>>) -> Result<T, CloseReason> {
    match timeout(IDLE_LIMIT, operation).await {
        Ok(result) => result.map_err(|_| CloseReason::Unexpected),
        Err(_) => Err(CloseReason::ServerStreamTimedOut),
    }
}

fn connect_reason(error: &std::io::Error) -> CloseReason {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => CloseReason::ServerStreamConnectionRefused,
        std::io::ErrorKind::TimedOut => CloseReason::ServerStreamConnectionTimedOut,
        _ => CloseReason::ServerStreamUnreachable,
    }
}
