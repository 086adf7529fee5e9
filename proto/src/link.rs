//! JSON shapes of the connection itself: setup, abilities, answers to pushes.

use crate::text::{Flags, Pairs, Text};
use serde::Deserialize;

/// `ConnectionSetupRequest`, the first message on the bidirectional stream.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConnectionSetupRequest<'a> {
    #[serde(borrow)]
    pub client_version: Option<Text<'a>>,
    #[serde(borrow)]
    pub tenant: Option<Text<'a>>,
    #[serde(borrow)]
    pub labels: Pairs<'a>,
    /// `Some`, even empty, asks for a `SetupAckRequest`.
    #[serde(borrow)]
    pub ability_table: Option<Flags<'a>>,
}

/// Any response a client sends back on the stream. Only `requestId` and `resultCode` count: real
/// clients send wrong types and `success:false` for a success.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ack<'a> {
    #[serde(borrow)]
    pub request_id: Option<Text<'a>>,
    /// 200 when absent (Jackson's initial value).
    pub result_code: i64,
    pub error_code: i64,
    #[serde(borrow)]
    pub message: Option<Text<'a>>,
}
