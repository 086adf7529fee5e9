//! What having to log in costs a gRPC request: a known token, its user's right to the config asked
//! for. The same door with nobody to log in is the other side of the comparison.

use nacre::auth::token::Signer;
use nacre::auth::{Door, Policy, worker};
use nacre::engine::event_fd;
use nacre::mesh::Bell;
use nacre::pump::clock::Epoch;
use nacre_bench::gauge::Gauge;
use nacre_proto::request::{Kind, Request};
use nacre_shards::auth::identities::{Rights, Secret};
use nacre_shards::config::table::Tables;
use nacre_shards::durable::command::Command;
use nacre_shards::durable::identity::change::Change;
use nacre_shards::durable::state::State;
use nacre_shards::message::Now;
use std::hint::black_box;
use std::sync::Arc;

/// Half of what issue 8 allows, without the parsing of the request, which is paid either way.
const ON_NS: u64 = 250;

/// Nobody has to log in: one look at a switch.
const OFF_NS: u64 = 20;

/// Users with a role of their own, each asking in turn.
const USERS: usize = 1_000;

/// Rows of each role; the one that fits comes last.
const ROWS: [&str; 3] = ["test:*:*", "stage:*:naming/*", "dev:*:*"];

const NOW: Now = Now { tick_ms: 5, unix_ms: 1_000_000 };
const KEY: [u8; 64] = [7; 64];
const QUERY: &str = r#"{"tenant":"dev","group":"DEFAULT_GROUP","dataId":"application.yaml"}"#;

fn door(tables: Arc<Tables>, clients: bool) -> (Door, worker::Inbox) {
    let policy = Policy { clients, token_ttl_s: 60, ..Policy::default() };
    let (counter, inbox) = worker::pair();
    let bell = Arc::new(Bell::new(event_fd().expect("a descriptor")));
    (Door::new(Arc::new(policy), tables, counter, bell, Epoch::now()), inbox)
}

fn people(tables: Arc<Tables>) -> Vec<String> {
    let mut state = State::new(tables);
    let mut change = |change: Change<'_>| {
        state.apply(1, &Command::Identity(change).encode(), &mut Vec::new());
    };
    change(Change::OfferKey { key: &KEY });
    let signer = Signer::new(&KEY).expect("it is long enough");
    let tokens = (0..USERS).map(|number| {
        let (user, role) = (format!("user-{number}"), format!("role-{number}"));
        change(Change::CreateUser { name: &user, hash: Secret("x") });
        change(Change::AddRole { role: &role, user: &user });
        for resource in ROWS {
            change(Change::AddPermission { role: &role, resource, rights: Rights::Both });
        }
        signer.issue(&user, 1_060)
    });
    let tokens = tokens.collect();
    state.settle();
    tokens
}

pub fn measure(gauge: &mut Gauge) {
    let tables: Arc<Tables> = Arc::default();
    let tokens = people(tables.clone());
    let request = Request::parse(Kind::ConfigQuery, QUERY.as_bytes());
    let mut request = request.expect("JSON").expect("a request");
    for (name, budget_ns, clients) in
        [("door: nobody logs in", OFF_NS, false), ("door: a known token", ON_NS, true)]
    {
        let (door, _inbox) = door(tables.clone(), clients);
        gauge.measure(name, budget_ns, USERS, |at| {
            let headers = [
                ("app", "unknown"),
                ("Client-RequestTS", "1795264950755"),
                ("Client-RequestToken", "0123456789abcdef0123456789abcdef"),
                ("accessToken", &*tokens[at % USERS]),
            ];
            let judged = door.judge(headers.into_iter(), &mut request, NOW);
            assert!(black_box(judged).is_ok());
        });
    }
}
