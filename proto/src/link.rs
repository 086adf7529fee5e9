//! JSON shapes of the connection itself: setup, abilities, answers to pushes.

use crate::form::{self, form};
use crate::scan::ParseError;
use crate::text::{Flags, Pairs, Text};

/// `ConnectionSetupRequest`, the first message on the bidirectional stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectionSetupRequest<'a> {
    pub client_version: Option<Text<'a>>,
    pub tenant: Option<Text<'a>>,
    pub labels: Pairs<'a>,
    /// `Some`, even empty, asks for a `SetupAckRequest`.
    pub ability_table: Option<Flags<'a>>,
}

form!(ConnectionSetupRequest {
    "clientVersion" => client_version,
    "tenant" => tenant,
    "labels" => labels,
    "abilityTable" => ability_table,
});

/// Any response a client sends back on the stream. Only `requestId` and `resultCode` count: real
/// clients send wrong types and `success:false` for a success.
#[derive(Debug, Clone, PartialEq)]
pub struct Ack<'a> {
    pub request_id: Option<Text<'a>>,
    /// 200 when absent (Jackson's initial value).
    pub result_code: i64,
    pub error_code: i64,
    pub message: Option<Text<'a>>,
}

form!(Ack {
    "requestId" => request_id,
    "resultCode" => result_code,
    "errorCode" => error_code,
    "message" => message,
});

impl Default for Ack<'_> {
    fn default() -> Self {
        Self { request_id: None, result_code: 200, error_code: 0, message: None }
    }
}

impl<'a> ConnectionSetupRequest<'a> {
    /// Reads the body of a setup; `None` for JSON null. Refused bodies are dropped by the stream,
    /// not answered.
    pub fn parse(body: &'a [u8]) -> Result<Option<Self>, ParseError> {
        form::parse(body)
    }
}

impl<'a> Ack<'a> {
    /// Reads the body of any response type; `None` for JSON null.
    pub fn parse(body: &'a [u8]) -> Result<Option<Self>, ParseError> {
        form::parse(body)
    }
}
