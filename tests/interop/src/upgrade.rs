//! The HTTP upgrade that opens a WebSocket, from both sides. No more of HTTP than that.

use base64::prelude::{Engine, BASE64_STANDARD};
use fastwebsockets::Role;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::link::{self, Reader, Writer};
use crate::{Error, SETUP_LIMIT};

const MAX_HEAD_BYTES: u64 = 8192;
const MAX_HEADERS: usize = 64;
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Answers a client's upgrade request. The subprotocol, if it asked for some, is the first of them.
pub async fn accept(stream: TcpStream) -> Result<(Reader, Writer, Option<String>), Error> {
    crate::within(SETUP_LIMIT, "the upgrade", async {
        let mut stream = BufReader::new(stream);
        let head = read_head(&mut stream).await?;
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(&head)?;
        let Some(key) = header(request.headers, "Sec-WebSocket-Key") else {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await?;
            return Err("a request that is not a WebSocket upgrade".into());
        };
        let protocol = header(request.headers, "Sec-WebSocket-Protocol")
            .map(|value| value.split(',').next().unwrap_or("").trim().to_owned());
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n",
            accept_value(key)
        );
        if let Some(protocol) = &protocol {
            answer += &format!("Sec-WebSocket-Protocol: {protocol}\r\n");
        }
        stream.write_all((answer + "\r\n").as_bytes()).await?;
        let (reader, writer) = link::open(stream, Role::Server);
        Ok::<_, Error>((reader, writer, protocol))
    })
    .await
}

/// Opens a WebSocket to a `ws://HOST[:PORT]/PATH` URL, with this `Sec-WebSocket-Protocol` if any.
pub async fn connect(url: &str, protocol: Option<&str>) -> Result<(Reader, Writer), Error> {
    let rest = url.strip_prefix("ws://").ok_or("the URL has to begin with ws://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port { host.to_owned() } else { format!("{host}:80") };
    crate::within(SETUP_LIMIT, "the upgrade", async {
        let stream = TcpStream::connect(&address).await?;
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let mut nonce = [0; 16];
        getrandom::getrandom(&mut nonce)?;
        let key = BASE64_STANDARD.encode(nonce);
        let mut request = format!(
            "GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        );
        if let Some(protocol) = protocol {
            request += &format!("Sec-WebSocket-Protocol: {protocol}\r\n");
        }
        stream.write_all((request + "\r\n").as_bytes()).await?;
        let head = read_head(&mut stream).await?;
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(&head)?;
        match response.code {
            Some(101) => {}
            code => return Err(format!("the server answered {} to the upgrade", code.unwrap_or(0)).into()),
        }
        if header(response.headers, "Sec-WebSocket-Accept") != Some(accept_value(&key).as_str()) {
            return Err("a wrong Sec-WebSocket-Accept".into());
        }
        Ok::<_, Error>(link::open(stream, Role::Client))
    })
    .await
}

/// All up to the empty line and with it. What follows it stays in the stream's buffer.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Result<Vec<u8>, Error> {
    let mut head = Vec::new();
    let mut limited = stream.take(MAX_HEAD_BYTES);
    while !head.ends_with(b"\r\n\r\n") {
        if limited.read_until(b'\n', &mut head).await? == 0 {
            return Err("the head of the upgrade is incomplete or too large".into());
        }
    }
    Ok(head)
}

fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok()
}

fn accept_value(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}
