//! Credentials: what a server checks and what a client proves, with the bytes of both extensions' payloads.
//!
//! The hash of a public key is SHA-256 of its 32 raw bytes.

use std::collections::HashMap;
use std::path::Path;

use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::Error;

/// The only signature algorithm that Wisp knows, as a bit of a mask.
pub const ED25519: u8 = 1;

/// How long the challenge is that a server sends.
pub const CHALLENGE_BYTES: usize = 64;

const HASH_BYTES: usize = 32;

/// What a server accepts. With neither users nor keys, it asks for nothing.
#[derive(Default)]
pub struct Accepted {
    pub users: HashMap<String, String>,
    pub keys: Vec<VerifyingKey>,
}

impl Accepted {
    pub fn is_required(&self) -> bool {
        !self.users.is_empty() || !self.keys.is_empty()
    }

    /// The user whose name and password are in the payload of a client's password extension.
    pub fn check_password(&self, payload: &[u8]) -> Result<String, String> {
        let (name, password) = decode_password(payload).ok_or("a malformed password extension")?;
        match self.users.get(name) {
            Some(expected) if expected == password => Ok(name.to_owned()),
            Some(_) => Err(format!("the wrong password of {name}")),
            None => Err(format!("no user {name}")),
        }
    }

    /// Whether the payload of a client's key extension signs `challenge` with a key that is accepted.
    pub fn check_key(&self, payload: &[u8], challenge: &[u8]) -> Result<(), String> {
        let (algorithm, hash, signature) = decode_proof(payload).ok_or("a malformed key extension")?;
        if algorithm != ED25519 {
            return Err(format!("algorithm {algorithm:#04x}, which is not Ed25519"));
        }
        let signature = Signature::from_slice(signature).map_err(|_| "a malformed signature")?;
        let key = self.keys.iter().find(|key| key_hash(key) == hash);
        let key = key.ok_or("an unknown public key")?;
        key.verify(challenge, &signature).map_err(|_| "a wrong signature".to_owned())
    }
}

/// What a client has to show. It sends those that the server offers to look at.
#[derive(Default)]
pub struct Credentials {
    pub user: Option<(String, String)>,
    pub key: Option<SigningKey>,
}

/// `NAME:PASSWORD`, the name of at most 255 bytes, for its length is sent in one.
pub fn parse_user(text: &str) -> Result<(String, String), Error> {
    match text.split_once(':') {
        Some((name, password)) if name.len() <= usize::from(u8::MAX) => Ok((name.to_owned(), password.to_owned())),
        Some(_) => Err("a user name has at most 255 bytes".into()),
        None => Err("--user wants NAME:PASSWORD".into()),
    }
}

/// An Ed25519 public key from a file as `openssl pkey -pubout` writes it.
pub fn read_public_key(path: &Path) -> Result<VerifyingKey, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    VerifyingKey::from_public_key_pem(&text)
        .map_err(|error| format!("{}: not an Ed25519 public key: {error}", path.display()).into())
}

/// An Ed25519 private key from a file as `openssl genpkey -algorithm ed25519` writes it.
pub fn read_private_key(path: &Path) -> Result<SigningKey, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    SigningKey::from_pkcs8_pem(&text)
        .map_err(|error| format!("{}: not an Ed25519 private key: {error}", path.display()).into())
}

/// The payload of a client's password extension. The name has at most 255 bytes.
pub fn encode_password(name: &str, password: &str) -> Vec<u8> {
    let mut payload = vec![name.len() as u8];
    payload.extend_from_slice(name.as_bytes());
    payload.extend_from_slice(password.as_bytes());
    payload
}

fn decode_password(payload: &[u8]) -> Option<(&str, &str)> {
    let (&length, rest) = payload.split_first()?;
    let (name, password) = rest.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(password).ok()?))
}

/// The payload of a client's key extension.
pub fn encode_proof(key: &SigningKey, challenge: &[u8]) -> Vec<u8> {
    let mut payload = vec![ED25519];
    payload.extend_from_slice(&key_hash(&key.verifying_key()));
    payload.extend_from_slice(&key.sign(challenge).to_bytes());
    payload
}

/// The algorithm, the hash of the public key, and the signature.
fn decode_proof(payload: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&algorithm, rest) = payload.split_first()?;
    let (hash, signature) = rest.split_at_checked(HASH_BYTES)?;
    Some((algorithm, hash, signature))
}

fn key_hash(key: &VerifyingKey) -> [u8; HASH_BYTES] {
    Sha256::digest(key.as_bytes()).into()
}
