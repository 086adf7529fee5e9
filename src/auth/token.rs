//! Tokens: JWT signed with HMAC, as the reference makes and reads them (`auth.md` 4).

use super::limits::{KEY_BYTES_HS384, KEY_BYTES_HS512, KEY_BYTES_MIN, TOKEN_BYTES_MAX};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use nacre_shards::auth::Denial;
use serde::{Deserialize, Serialize};
use sha2::{Sha256, Sha384, Sha512};
use std::fmt;

/// Keys that documentation, images and old defaults have made known to everybody, as they are
/// written in settings.
const PUBLISHED_KEYS: [&str; 6] = [
    "SecretKey012345678901234567890123456789012345678901234567890123456789",
    "SecretKey01234567890123456789012345345678999987654901234567890123456789",
    "SecretKey01234567890123456789012345678901234567890123456789012345678901",
    "VGhpc0lzTXlDdXN0b21TZWNyZXRLZXkwMTIzNDU2Nzg=",
    "VGhpc0lzTXlDdXN0b21TZWNyZXRLZXkwMTIzNDU2Nzg",
    "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
];

/// Keys in settings, with or without padding.
const SETTING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads a key as settings hold it: Base64.
///
/// # Errors
/// Why it cannot sign, as a sentence's end.
pub fn key_of_setting(text: &str) -> Result<Vec<u8>, &'static str> {
    let text = text.trim();
    if PUBLISHED_KEYS.contains(&text) {
        return Err("it was published, and anybody could sign with it");
    }
    let key = SETTING.decode(text).map_err(|_| "it is not Base64")?;
    if key.len() < KEY_BYTES_MIN {
        return Err("it is shorter than 32 bytes once decoded");
    }
    // A key that was published as plain text and encoded by somebody is as well known.
    if PUBLISHED_KEYS.iter().any(|known| known.as_bytes() == key) {
        return Err("it was published, and anybody could sign with it");
    }
    if key.iter().all(|byte| *byte == key[0]) {
        return Err("all its bytes are the same");
    }
    Ok(key)
}

/// Signs and verifies with one key.
#[derive(Clone)]
pub struct Signer(Keyed);

#[derive(Clone)]
enum Keyed {
    Hs256(Hmac<Sha256>),
    Hs384(Hmac<Sha384>),
    Hs512(Hmac<Sha512>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.algorithm())
    }
}

/// Of whom a token is, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub user: String,
    /// Unix seconds.
    pub expires_s: u64,
}

#[derive(Serialize)]
struct Payload<'a> {
    sub: &'a str,
    exp: u64,
}

#[derive(Deserialize)]
struct Received {
    sub: String,
    exp: u64,
    /// Seconds before which it does not count; other issuers set it.
    #[serde(default)]
    nbf: u64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood: none is.
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

impl Signer {
    /// A signer with this key; the algorithm follows from its length. `None` if it is too short.
    pub fn new(key: &[u8]) -> Option<Self> {
        let keyed = if key.len() < KEY_BYTES_MIN {
            return None;
        } else if key.len() < KEY_BYTES_HS384 {
            Keyed::Hs256(Hmac::new_from_slice(key).ok()?)
        } else if key.len() < KEY_BYTES_HS512 {
            Keyed::Hs384(Hmac::new_from_slice(key).ok()?)
        } else {
            Keyed::Hs512(Hmac::new_from_slice(key).ok()?)
        };
        Some(Self(keyed))
    }

    const fn algorithm(&self) -> &'static str {
        match self.0 {
            Keyed::Hs256(_) => "HS256",
            Keyed::Hs384(_) => "HS384",
            Keyed::Hs512(_) => "HS512",
        }
    }

    /// `{"alg":"HS…"}`: the reference compares these bytes.
    const fn header(&self) -> &'static str {
        match self.0 {
            Keyed::Hs256(_) => "eyJhbGciOiJIUzI1NiJ9",
            Keyed::Hs384(_) => "eyJhbGciOiJIUzM4NCJ9",
            Keyed::Hs512(_) => "eyJhbGciOiJIUzUxMiJ9",
        }
    }

    /// A token of this user.
    pub fn issue(&self, user: &str, expires_s: u64) -> String {
        let payload = Payload { sub: user, exp: expires_s };
        let payload = serde_json::to_vec(&payload).expect("text and a number are JSON");
        let mut token = format!("{}.{}", self.header(), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.sign(token.as_bytes());
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        token
    }

    /// Whose token it is. The signature is compared in constant time, and before the rest is read.
    /// About 2 µs.
    ///
    /// # Errors
    /// It is none of ours, or its time is over.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Claims, Denial> {
        let claims = self.claims(token)?;
        // As the reference: its last second counts.
        if claims.expires_s < now_s { Err(Denial::Expired) } else { Ok(claims) }
    }

    fn claims(&self, token: &str) -> Result<Claims, Denial> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Denial::Invalid);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Denial::Invalid)?;
        let (header, payload) = signed.split_once('.').ok_or(Denial::Invalid)?;
        self.check_header(header)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Denial::Invalid)?;
        if !self.is_signature(signed.as_bytes(), &signature) {
            return Err(Denial::Invalid);
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Denial::Invalid)?;
        let received: Received = serde_json::from_slice(&payload).map_err(|_| Denial::Invalid)?;
        if received.sub.trim().is_empty() || received.nbf > received.exp {
            return Err(Denial::Invalid);
        }
        Ok(Claims { user: received.sub, expires_s: received.exp })
    }

    /// Other issuers write `typ`, too. The algorithm is ours or the token is not.
    fn check_header(&self, header: &str) -> Result<(), Denial> {
        if header == self.header() {
            return Ok(());
        }
        let bytes = URL_SAFE_NO_PAD.decode(header).map_err(|_| Denial::Algorithm)?;
        let header: Header = serde_json::from_slice(&bytes).map_err(|_| Denial::Algorithm)?;
        let is_ours = header.alg == self.algorithm() && header.crit.is_none();
        if is_ours { Ok(()) } else { Err(Denial::Algorithm) }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self.0.clone() {
            Keyed::Hs256(mac) => mac.chain_update(text).finalize().into_bytes().to_vec(),
            Keyed::Hs384(mac) => mac.chain_update(text).finalize().into_bytes().to_vec(),
            Keyed::Hs512(mac) => mac.chain_update(text).finalize().into_bytes().to_vec(),
        }
    }

    fn is_signature(&self, text: &[u8], signature: &[u8]) -> bool {
        match self.0.clone() {
            Keyed::Hs256(mac) => mac.chain_update(text).verify_slice(signature),
            Keyed::Hs384(mac) => mac.chain_update(text).verify_slice(signature),
            Keyed::Hs512(mac) => mac.chain_update(text).verify_slice(signature),
        }
        .is_ok()
    }
}

#[cfg(test)]
mod tests;
