//! A payload of the bidirectional stream becomes a message for the shard, or is dropped
//! (`grpc-protocol.md` 5: the stream stays open and nothing is answered).

use nacre_proto::link::{Ack, ConnectionSetupRequest};
use nacre_proto::payload::PayloadView;
use nacre_proto::request::Kind;
use nacre_shards::key::ConnKey;
use nacre_shards::message::Message;

/// `resultCode` of a success.
const OK: i64 = 200;

/// Translates one message of the stream; `Err` names why it is dropped.
pub fn translate(conn: ConnKey, bytes: &[u8]) -> Result<Message<'_>, &'static str> {
    let view = PayloadView::decode(bytes).map_err(|_| "not a payload")?;
    match Kind::of(view.kind) {
        Kind::ConnectionSetup => setup(conn, &view),
        Kind::Response => ack(conn, &view),
        Kind::Unknown => Err("unknown type"),
        _ => Err("a request that does not belong on the stream"),
    }
}

fn setup<'a>(conn: ConnKey, view: &PayloadView<'a>) -> Result<Message<'a>, &'static str> {
    match ConnectionSetupRequest::parse(view.body) {
        Ok(Some(setup)) => Ok(Message::Setup { conn, client_ip: view.client_ip, setup }),
        Ok(None) => Err("an empty setup"),
        Err(_) => Err("a setup that does not parse"),
    }
}

fn ack<'a>(conn: ConnKey, view: &PayloadView<'a>) -> Result<Message<'a>, &'static str> {
    let ack = match Ack::parse(view.body) {
        Ok(Some(ack)) => ack,
        Ok(None) | Err(_) => return Err("an answer that does not parse"),
    };
    let id = ack.request_id.as_ref().and_then(|id| id.as_str().parse().ok());
    match id {
        Some(request_id) => Ok(Message::Ack { conn, request_id, accepted: ack.result_code == OK }),
        None => Err("an answer without a number for requestId"),
    }
}
