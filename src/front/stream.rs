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
        Some(request_id) if view.kind == "ClientConfigMetricResponse" && ack.result_code == OK => {
            Ok(Message::Metrics { conn, request_id, json: view.body })
        }
        Some(request_id) => Ok(Message::Ack { conn, request_id, accepted: ack.result_code == OK }),
        None => Err("an answer without a number for requestId"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_proto::payload::encode_head;
    use nacre_shards::key::{Core, Home};

    const CONN: ConnKey = ConnKey { home: Home(Core(0)), slot: 7, generation: 1 };

    fn payload(kind: &str, body: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_head(kind, "192.0.2.2", body.len(), &mut bytes);
        bytes.extend_from_slice(body.as_bytes());
        bytes
    }

    fn ack_of(kind: &str, body: &str) -> Option<(u64, bool)> {
        match translate(CONN, &payload(kind, body)) {
            Ok(Message::Ack { request_id, accepted, .. }) => Some((request_id, accepted)),
            Ok(other) => panic!("not an ack: {other:?}"),
            Err(_) => None,
        }
    }

    /// Wire samples: Go says `success:false` for a success, Python acks with a wrong type.
    #[test]
    fn acks_count_by_id_and_result_code_alone() {
        let go = r#"{"resultCode":200,"success":false,"requestId":"17"}"#;
        assert_eq!(ack_of("NotifySubscriberResponse", go), Some((17, true)));
        assert_eq!(ack_of("ConfigChangeNotifyResponse", go), Some((17, true)));
        let failed = r#"{"resultCode":500,"errorCode":500,"requestId":"18"}"#;
        assert_eq!(ack_of("NotifySubscriberResponse", failed), Some((18, false)));
    }

    #[test]
    fn what_does_not_belong_is_dropped_and_named() {
        assert_eq!(ack_of("NotifySubscriberResponse", "{}"), None);
        assert_eq!(ack_of("NotifySubscriberResponse", r#"{"requestId":"x"}"#), None);
        assert_eq!(ack_of("NotifySubscriberResponse", "not JSON"), None);
        assert_eq!(ack_of("InstanceRequest", "{}"), None);
        assert_eq!(ack_of("NoSuchType", "{}"), None);
        assert!(translate(CONN, &[0xff]).is_err());
    }

    #[test]
    fn a_setup_keeps_the_payloads_client_address() {
        let bytes = payload("ConnectionSetupRequest", r#"{"clientVersion":"v","labels":{}}"#);
        match translate(CONN, &bytes) {
            Ok(Message::Setup { client_ip, .. }) => assert_eq!(client_ip, "192.0.2.2"),
            other => panic!("not a setup: {other:?}"),
        }
    }
}
