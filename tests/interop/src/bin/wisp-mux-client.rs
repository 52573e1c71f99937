//! A Wisp client on `wisp-mux` over a plain WebSocket, for tests: one stream between standard input and output.

use std::path::Path;
use std::process::ExitCode;

use lexopt::prelude::{Long, Value, ValueExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wisp_interop::auth::{self, Credentials};
use wisp_interop::handshake::{self, Agreed, UDP};
use wisp_interop::link::{Backlog, Reader, Reasons, Writer};
use wisp_interop::{upgrade, within, Error, CHUNK_BYTES, DATAGRAM_BYTES, SETUP_LIMIT};
use wisp_mux::extensions::password::PasswordProtocolExtensionBuilder;
use wisp_mux::extensions::udp::UdpProtocolExtensionBuilder;
use wisp_mux::extensions::ProtocolExtensionBuilder;
use wisp_mux::{ClientMux, CloseReason, MuxStream, StreamType};

const USAGE: &str = "\
usage: wisp-mux-client [--user NAME:PASSWORD] [--key PRIVATE.pem] [--udp] [--v1] [--mux-handshake] URL HOST PORT

Sends standard input, and writes what comes back to standard output until the stream is closed.
--udp            standard input is one datagram; end after the first that comes back
--v1             ask for version 1
--mux-handshake  begin as wisp-mux itself does, which is not as the draft says; without a key";

const SUBPROTOCOL: &str = "wisp-v2";

/// The id that `wisp-mux` gives to a connection's first stream.
const STREAM_ID: u32 = 1;

/// The reason of a CLOSE that is an end of data.
const VOLUNTARY: u8 = 0x02;

#[derive(Default)]
struct Options {
    credentials: Credentials,
    is_udp: bool,
    is_v1: bool,
    has_mux_handshake: bool,
    url: String,
    host: String,
    port: u16,
}

fn main() -> ExitCode {
    let options = match parse_options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("wisp-mux-client: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("wisp-mux-client: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(options));
    runtime.shutdown_background(); // a thread may still wait for standard input
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wisp-mux-client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse_options() -> Result<Options, Error> {
    let mut options = Options::default();
    let mut positional = Vec::new();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("user") => options.credentials.user = Some(auth::parse_user(&arguments.value()?.string()?)?),
            Long("key") => options.credentials.key = Some(auth::read_private_key(Path::new(&arguments.value()?))?),
            Long("udp") => options.is_udp = true,
            Long("v1") => options.is_v1 = true,
            Long("mux-handshake") => options.has_mux_handshake = true,
            Value(value) => positional.push(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if options.has_mux_handshake && options.credentials.key.is_some() {
        return Err("--mux-handshake knows no keys".into());
    }
    let [url, host, port] = <[String; 3]>::try_from(positional).map_err(|_| "URL, HOST and PORT are wanted")?;
    let port = port.parse().map_err(|_| format!("{port} is not a port"))?;
    Ok(Options { url, host, port, ..options })
}

async fn run(options: Options) -> Result<(), Error> {
    let protocol = (!options.is_v1).then_some(SUBPROTOCOL);
    let (reader, writer) = upgrade::connect(&options.url, protocol).await?;
    let seen = reader.seen();
    let result = talk(reader, writer, options).await;
    // What the server said tells more than what came of it here.
    let Reasons { of_stream, of_connection } = seen.reasons();
    match (of_stream, of_connection) {
        (_, Some(reason)) => Err(format!("refused: {} (reason {reason:#04x})", handshake::describe(reason)).into()),
        (None | Some(VOLUNTARY), None) => result,
        (Some(reason), None) => {
            Err(format!("stream closed: {} (reason {reason:#04x})", handshake::describe(reason)).into())
        }
    }
}

/// All that happens over the WebSocket.
async fn talk(mut reader: Reader, mut writer: Writer, options: Options) -> Result<(), Error> {
    let mut agreed = None;
    let mut builders = None;
    if options.has_mux_handshake && !options.is_v1 {
        builders = Some(mux_builders(&options.credentials));
    } else if !options.is_v1 {
        agreed = handshake::ask(&mut reader, &mut writer, &options.credentials).await?;
    }
    reader.hold_close();
    let backlog = reader.backlog();
    backlog.open(STREAM_ID);
    let seen = reader.seen();
    let create = ClientMux::create(reader, writer, builders.as_deref());
    let (mut mux, future) = within(SETUP_LIMIT, "the handshake", create).await?.with_no_required_extensions();
    if !mux.downgraded {
        agreed = Some(Agreed { extensions: mux.supported_extension_ids.clone(), ..Agreed::default() });
    }
    report(agreed.as_ref());
    if agreed.is_none_or(|agreed| agreed.extensions.contains(&UDP)) {
        mux.supported_extension_ids.push(UDP); // or it opens no UDP stream
    }

    let task = tokio::spawn(future);
    let stream_type = if options.is_udp { StreamType::Udp } else { StreamType::Tcp };
    let open = mux.client_new_stream(stream_type, options.host, options.port);
    let stream = within(SETUP_LIMIT, "the stream", open).await?;
    let result = if options.is_udp { exchange(&stream).await } else { copy(&stream, &backlog).await };
    let _ = stream.close(CloseReason::Voluntary).await; // they fail when the server was first
    let _ = mux.close().await;
    let end = within(SETUP_LIMIT, "the end", task).await?;
    if result.is_ok() && !options.is_udp && seen.reasons().of_stream.is_none() {
        end?;
        return Err("the connection ended before the stream did".into());
    }
    result
}

fn report(agreed: Option<&Agreed>) {
    match agreed {
        Some(Agreed { extensions, motd, .. }) => {
            eprintln!("wisp v2, extensions: {}", handshake::names(extensions));
            if let Some(motd) = motd {
                eprintln!("motd: {}", motd.escape_debug());
            }
        }
        None => eprintln!("wisp v1"),
    }
}

fn mux_builders(credentials: &Credentials) -> Vec<Box<dyn ProtocolExtensionBuilder + Send + Sync>> {
    let mut builders: Vec<Box<dyn ProtocolExtensionBuilder + Send + Sync>> =
        vec![Box::new(UdpProtocolExtensionBuilder)];
    if let Some((name, password)) = credentials.user.clone() {
        builders.push(Box::new(PasswordProtocolExtensionBuilder::new_client(name, password)));
    }
    builders
}

/// Standard input to the stream and the stream to standard output, until the stream ends.
async fn copy(stream: &MuxStream, backlog: &Backlog) -> Result<(), Error> {
    let up = async {
        let mut stdin = tokio::io::stdin();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let size = stdin.read(&mut chunk).await?;
            if size == 0 {
                return Ok(());
            }
            stream.write(&chunk[..size]).await?;
        }
    };
    let down = async {
        let mut stdout = tokio::io::stdout();
        while let Some(data) = stream.read().await {
            stdout.write_all(&data).await?;
            backlog.took(stream.stream_id);
        }
        stdout.flush().await?;
        Ok::<_, Error>(())
    };
    tokio::pin!(down);
    tokio::select! {
        result = &mut down => result,
        result = up => {
            let ended = down.await;
            // An upload that the stream's end cut off is not what went wrong.
            match result {
                Err(error) if ended.is_ok() && !stream_ended(&error) => Err(error),
                _ => ended,
            }
        }
    }
}

fn stream_ended(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(wisp_mux::WispError::StreamAlreadyClosed))
}

/// Standard input as one datagram, and the first one that comes back to standard output.
async fn exchange(stream: &MuxStream) -> Result<(), Error> {
    let mut datagram = Vec::new();
    let limit = DATAGRAM_BYTES as u64;
    if tokio::io::stdin().take(limit).read_to_end(&mut datagram).await? == DATAGRAM_BYTES {
        return Err("standard input is larger than a datagram".into());
    }
    stream.write(&datagram).await?;
    let answer = within(SETUP_LIMIT, "the answer", async { Ok::<_, Error>(stream.read().await) }).await?;
    let answer = answer.ok_or("the stream was closed before a datagram came")?;
    let mut stdout = tokio::io::stdout();
    stdout.write_all(&answer).await?;
    Ok(stdout.flush().await?)
}
