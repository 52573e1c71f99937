//! The handshake of Wisp v2, draft 6, up to the server's CONTINUE on stream 0, which `wisp-mux` sends and takes.

use bytes::BytesMut;

use crate::auth::{encode_password, encode_proof, Accepted, Credentials, CHALLENGE_BYTES, ED25519};
use crate::link::{Reader, Writer, CONTINUE, HEADER_BYTES, INFO};
use crate::{Error, SETUP_LIMIT};

pub const UDP: u8 = 0x01;
pub const PASSWORD: u8 = 0x02;
pub const KEY: u8 = 0x03;
pub const MOTD: u8 = 0x04;

const INCOMPATIBLE: u8 = 0x04;
const WRONG_PASSWORD: u8 = 0xc0;
const WRONG_SIGNATURE: u8 = 0xc1;
pub const NO_CREDENTIALS: u8 = 0xc2;

const VERSION: [u8; 2] = [2, 0];

/// What a server offers, and what it wants to see.
#[derive(Default)]
pub struct Offer {
    pub udp: bool,
    pub motd: Option<String>,
    pub accepted: Accepted,
}

/// What both sides named, in the order of the ids.
#[derive(Debug, Default, PartialEq)]
pub struct Agreed {
    pub extensions: Vec<u8>,
    pub user: Option<String>,
    pub motd: Option<String>,
}

/// An extension as it stands in an INFO packet.
#[derive(Debug, PartialEq)]
struct Extension {
    id: u8,
    payload: Vec<u8>,
}

/// Why a server does not go on: the reason in its CLOSE, and words for its log.
struct Refusal(u8, String);

/// Offers, and checks what the client answers. A client that is refused has been told so when this returns.
pub async fn serve(reader: &mut Reader, writer: &mut Writer, offer: &Offer) -> Result<Agreed, Error> {
    let mut challenge = [0; CHALLENGE_BYTES];
    getrandom::getrandom(&mut challenge)?;
    let offered = offered_extensions(offer, &challenge);
    writer.packet(&encode_info(&offered)).await?;
    let answer = crate::within(SETUP_LIMIT, "the client's INFO", reader.packet(writer)).await?;
    match judge(&answer, offer, &offered, &challenge) {
        Ok(agreed) => Ok(agreed),
        Err(Refusal(reason, why)) => {
            writer.refuse(reason).await?;
            Err(format!("{why} (reason {reason:#04x})").into())
        }
    }
}

/// Answers the server's INFO with what it and this client have; nothing if the server begins as one of version 1.
/// The packet that the mux has to see first has been given back to `reader` when this returns. If the server refuses,
/// its reason is among those that `reader` has seen.
pub async fn ask(reader: &mut Reader, writer: &mut Writer, credentials: &Credentials) -> Result<Option<Agreed>, Error> {
    let first = crate::within(SETUP_LIMIT, "the server's first packet", reader.packet(writer)).await?;
    match first[0] {
        CONTINUE => {
            reader.give_back(first);
            return Ok(None);
        }
        INFO => {}
        packet_type => return Err(format!("packet type {packet_type:#04x} instead of INFO").into()),
    }
    let Some(offered) = decode_info(&first) else {
        writer.refuse(INCOMPATIBLE).await?;
        return Err("a malformed INFO packet, or one of another version".into());
    };
    let answer: Vec<_> = offered.iter().filter_map(|extension| answer_to(extension, credentials)).collect();
    writer.packet(&encode_info(&answer)).await?;

    let verdict = crate::within(SETUP_LIMIT, "the server's verdict", reader.packet(writer)).await?;
    match verdict[0] {
        CONTINUE => reader.give_back(verdict),
        packet_type => return Err(format!("packet type {packet_type:#04x} instead of CONTINUE").into()),
    }
    let motd = offered.iter().find(|extension| extension.id == MOTD);
    Ok(Some(Agreed {
        extensions: ids(&answer),
        user: None,
        motd: motd.map(|extension| String::from_utf8_lossy(&extension.payload).into_owned()),
    }))
}

/// What a reason in a CLOSE packet means.
pub fn describe(reason: u8) -> &'static str {
    match reason {
        0x02 => "closed",
        0x03 => "network error",
        INCOMPATIBLE => "incompatible extensions",
        0x41 => "invalid destination",
        0x42 => "unreachable",
        0x43 => "connection timed out",
        0x44 => "connection refused",
        0x47 => "transfer timed out",
        0x48 => "blocked",
        0x49 => "throttled",
        WRONG_PASSWORD => "wrong user name or password",
        WRONG_SIGNATURE => "wrong signature",
        NO_CREDENTIALS => "credentials required",
        _ => "unknown",
    }
}

/// Extensions by their names, for a log line.
pub fn names(extensions: &[u8]) -> String {
    let names: Vec<_> = extensions
        .iter()
        .map(|id| match *id {
            UDP => "udp".to_owned(),
            PASSWORD => "password".to_owned(),
            KEY => "key".to_owned(),
            MOTD => "motd".to_owned(),
            other => format!("{other:#04x}"),
        })
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(" ")
    }
}

fn offered_extensions(offer: &Offer, challenge: &[u8]) -> Vec<Extension> {
    let mut offered = Vec::new();
    let mut add = |id, payload| offered.push(Extension { id, payload });
    if offer.udp {
        add(UDP, Vec::new());
    }
    if !offer.accepted.users.is_empty() {
        add(PASSWORD, vec![1]);
    }
    if !offer.accepted.keys.is_empty() {
        add(KEY, [&[1, ED25519], challenge].concat());
    }
    if let Some(motd) = &offer.motd {
        add(MOTD, motd.clone().into_bytes());
    }
    offered
}

/// Each proof that the client gives has to be right, and one is enough.
fn judge(answer: &[u8], offer: &Offer, offered: &[Extension], challenge: &[u8]) -> Result<Agreed, Refusal> {
    if answer[0] != INFO {
        return Err(Refusal(INCOMPATIBLE, format!("packet type {:#04x} instead of INFO", answer[0])));
    }
    let mut named = decode_info(answer)
        .ok_or_else(|| Refusal(INCOMPATIBLE, "a malformed INFO packet, or one of another version".to_owned()))?;
    named.retain(|extension| offered.iter().any(|other| other.id == extension.id));

    let mut agreed = Agreed { extensions: ids(&named), ..Agreed::default() };
    let mut is_proven = false;
    for extension in &named {
        match extension.id {
            PASSWORD => {
                let user = offer.accepted.check_password(&extension.payload);
                agreed.user = Some(user.map_err(|why| Refusal(WRONG_PASSWORD, why))?);
                is_proven = true;
            }
            KEY => {
                let proof = offer.accepted.check_key(&extension.payload, challenge);
                proof.map_err(|why| Refusal(WRONG_SIGNATURE, why))?;
                is_proven = true;
            }
            _ => {}
        }
    }
    if offer.accepted.is_required() && !is_proven {
        return Err(Refusal(NO_CREDENTIALS, "no credentials".to_owned()));
    }
    Ok(agreed)
}

fn answer_to(offered: &Extension, credentials: &Credentials) -> Option<Extension> {
    let payload = match (offered.id, credentials) {
        (UDP | MOTD, _) => Vec::new(),
        (PASSWORD, Credentials { user: Some((name, password)), .. }) => encode_password(name, password),
        (KEY, Credentials { key: Some(key), .. }) => match offered.payload.as_slice() {
            [_required, algorithms, challenge @ ..] if algorithms & ED25519 != 0 => encode_proof(key, challenge),
            _ => return None,
        },
        _ => return None,
    };
    Some(Extension { id: offered.id, payload })
}

fn ids(extensions: &[Extension]) -> Vec<u8> {
    let mut ids: Vec<_> = extensions.iter().map(|extension| extension.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn encode_info(extensions: &[Extension]) -> BytesMut {
    let mut packet = BytesMut::from(&[INFO, 0, 0, 0, 0][..]);
    packet.extend_from_slice(&VERSION);
    for Extension { id, payload } in extensions {
        packet.extend_from_slice(&[*id]);
        packet.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        packet.extend_from_slice(payload);
    }
    packet
}

/// The extensions of an INFO packet, if it is one of this major version and ends where its last extension does.
fn decode_info(packet: &[u8]) -> Option<Vec<Extension>> {
    let (_, info) = packet.split_at_checked(HEADER_BYTES)?;
    let (version, mut rest) = info.split_at_checked(VERSION.len())?;
    if version[0] != VERSION[0] {
        return None;
    }
    let mut extensions = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_at_checked(5)?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let (payload, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        extensions.push(Extension { id: head[0], payload: payload.to_vec() });
        rest = after;
    }
    Some(extensions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_survives_the_wire() {
        let extensions =
            vec![Extension { id: UDP, payload: vec![] }, Extension { id: MOTD, payload: b"hello".to_vec() }];
        let packet = encode_info(&extensions);
        assert_eq!(packet[..], *b"\x05\0\0\0\0\x02\0\x01\0\0\0\0\x04\x05\0\0\0hello");
        assert_eq!(decode_info(&packet), Some(extensions));
    }

    #[test]
    fn truncated_info_is_refused() {
        let packet = encode_info(&[Extension { id: MOTD, payload: b"hello".to_vec() }]);
        for end in 0..packet.len() {
            let expected = (end == HEADER_BYTES + VERSION.len()).then(Vec::new);
            assert_eq!(decode_info(&packet[..end]), expected, "{end} bytes");
        }
    }
}
