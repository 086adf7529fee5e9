//! What can go wrong for a client, kept apart so that tests can ask which.

use crate::envelope::EnvelopeError;
use std::{fmt, io, time::Duration};

/// Why a call, a wait or a connect did not succeed.
#[derive(Debug)]
pub enum ClientError {
    /// TCP or the HTTP/2 handshake failed.
    Connect(io::Error),
    /// Nothing came in time; what was waited for, and how long.
    Timeout { waiting_for: &'static str, after: Duration },
    /// The connection is gone; the text says what was seen.
    Closed(String),
    /// A gRPC status other than 0, or an HTTP status other than 200 (`status` -1).
    Grpc { status: i32, message: String },
    /// A Nacos answer whose `resultCode` is not 200.
    Refused { kind: String, result_code: i32, error_code: i32, message: String },
    /// An answer of another type than the request's own.
    WrongKind { wanted: &'static str, got: String },
    /// A success without the member it is for.
    Missing(&'static str),
    /// The answer's bytes are no `Payload`.
    Envelope(EnvelopeError),
    /// The answer's body is not the JSON it should be.
    Json(serde_json::Error),
}

impl ClientError {
    /// The Nacos `errorCode` of a refusal, if it is one.
    pub fn error_code(&self) -> Option<i32> {
        match self {
            Self::Refused { error_code, .. } => Some(*error_code),
            _ => None,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(out, "connect: {error}"),
            Self::Timeout { waiting_for, after } => {
                write!(out, "no {waiting_for} within {} ms", after.as_millis())
            }
            Self::Closed(why) => write!(out, "connection closed: {why}"),
            Self::Grpc { status, message } => write!(out, "grpc-status {status}: {message}"),
            Self::Refused { kind, result_code, error_code, message } => {
                write!(out, "{kind} resultCode {result_code} errorCode {error_code}: {message}")
            }
            Self::WrongKind { wanted, got } => write!(out, "wanted {wanted}, got {got}"),
            Self::Missing(member) => write!(out, "success without {member}"),
            Self::Envelope(error) => write!(out, "decode answer: {error}"),
            Self::Json(error) => write!(out, "decode answer body: {error}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<EnvelopeError> for ClientError {
    fn from(error: EnvelopeError) -> Self {
        Self::Envelope(error)
    }
}

impl From<serde_json::Error> for ClientError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}
