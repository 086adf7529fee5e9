//! While the node starts (`grpc-protocol.md` 4 row 1, 6.2 step 3, 14): the start barrier held in
//! this process, since listeners only open behind it.

use nacre::front::unary::{self, Gate, Unary};
use nacre_loadgen::envelope;
use nacre_proto::link::ConnectionSetupRequest;
use nacre_shards::auth::Denial;
use nacre_shards::effect::{CloseReason, Effect, Effects, Json};
use nacre_shards::key::{ConnKey, Core, Home, Map};
use nacre_shards::message::{Message, Now};
use nacre_shards::settings::Settings;
use nacre_shards::shard::Shard;

const NOW: Now = Now { tick_ms: 1, unix_ms: 1_700_000_000_000 };

/// What is asked here is answered before rights are looked at.
const GATE: Gate<'static> = Gate::Denied(Denial::Forbidden);

fn conn(slot: u32) -> ConnKey {
    ConnKey { home: Home(Core(0)), slot, generation: 0 }
}

/// A shard that has not been told that the node has started, with one transport.
fn starting() -> (Shard, Effects) {
    let mut shard = Shard::new(Core(0), Map { cores: 1 }, Settings::default(), 7);
    let mut effects = Effects::default();
    let peer = "127.0.0.1:50000".parse().unwrap();
    shard.handle(NOW, Message::Connected { conn: conn(0), peer, id_ms: 1 }, &mut effects);
    (shard, effects)
}

fn answer_of(shard: &Shard, kind: &str) -> Option<(&'static str, String)> {
    let mut bytes = Vec::new();
    envelope::encode(kind, "", &[], b"{}", &mut bytes);
    match unary::translate(conn(0), 1, shard.started(), GATE, &bytes) {
        (_, Unary::Answer(body)) => {
            let Json::Owned(json) = &body.json else { panic!("an owned body: {body:?}") };
            Some((body.kind, String::from_utf8(json.clone()).unwrap()))
        }
        _ => None,
    }
}

#[test]
fn every_unary_call_is_300_server_check_too() {
    let (shard, _) = starting();
    for kind in ["ServerCheckRequest", "HealthCheckRequest", "InstanceRequest", "NoSuchRequest"] {
        let (answer, json) = answer_of(&shard, kind).expect("answered before the shard");
        assert_eq!(answer, "ErrorResponse", "{kind}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["errorCode"], 300, "{kind}");
        assert_eq!(json["message"], "Server is starting,please try later.");
    }
    // Row 0 comes first.
    let (_, json) = answer_of(&shard, "DistroDataRequest").unwrap();
    assert!(json.contains("502"), "{json}");
}

#[test]
fn an_sdks_setup_closes_its_stream_and_others_are_served() {
    for (source, refused) in [(r#""source":"sdk","#, true), ("", false)] {
        let (mut shard, mut effects) = starting();
        let json = format!(r#"{{"labels":{{{source}"module":"naming"}},"abilityTable":{{}}}}"#);
        let setup = ConnectionSetupRequest::parse(json.as_bytes()).unwrap().unwrap();
        let message = Message::Setup { conn: conn(0), client_ip: "", setup };
        shard.handle(NOW, message, &mut effects);
        let closed = effects
            .list
            .iter()
            .any(|effect| matches!(effect, Effect::Close { reason: CloseReason::Starting, .. }));
        let acknowledged = effects.list.iter().any(|effect| matches!(effect, Effect::Push { .. }));
        assert_eq!((closed, acknowledged), (refused, !refused), "{json}");
    }
}

#[test]
fn once_started_all_is_served() {
    let (mut shard, mut effects) = starting();
    shard.handle(NOW, Message::Started, &mut effects);
    assert!(answer_of(&shard, "ServerCheckRequest").is_none(), "the shard answers it");
}
