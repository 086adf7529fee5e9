//! A server whose disk will fail: what it acknowledged, and what must go on without the disk.

use crate::configs::{Outcome, WAIT, connect, publish_sized, query};
use crate::server::Server;
use nacre_loadgen::client::{Client, Profile, ServiceName, addresses, instance};
use std::io::Write;

/// Large enough to fill a small disk quickly, small enough that many fit.
const CONTENT_BYTES: usize = 100_000;

/// What was published.
#[derive(Default)]
pub struct Published {
    acknowledged: Vec<u64>,
    /// They may be there or not.
    unknown: Vec<u64>,
}

impl Published {
    /// Publishes a further config and says how it went.
    pub fn one_more(&mut self, client: &Client) -> Outcome {
        let number = (self.acknowledged.len() + self.unknown.len()) as u64;
        let outcome = publish_sized(client, &key(number), number, CONTENT_BYTES);
        match &outcome {
            Outcome::Done => self.acknowledged.push(number),
            Outcome::Unknown(_) => self.unknown.push(number),
            Outcome::Refused(_) | Outcome::Lost => {}
        }
        outcome
    }

    /// Publishes until one is refused; with which sentence.
    pub fn until_refused(&mut self, client: &Client, most: usize) -> String {
        for _ in 0..most {
            if let Outcome::Refused(sentence) = self.one_more(client) {
                return sentence;
            }
        }
        panic!("{most} were not refused: {} acknowledged", self.acknowledged.len());
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Everything acknowledged is there, whole; what is unknown is there whole or not at all, and
    /// what was refused is not.
    pub fn check(&self, client: &Client) {
        for number in &self.acknowledged {
            assert_eq!(found(client, *number), Some(*number), "acknowledged");
        }
        for number in &self.unknown {
            assert!(found(client, *number).is_none_or(|found| found == *number));
        }
        let next = (self.acknowledged.len() + self.unknown.len()) as u64;
        assert_eq!(found(client, next), None, "refused or never tried");
    }
}

fn key(number: u64) -> String {
    format!("stored-{number}")
}

fn found(client: &Client, number: u64) -> Option<u64> {
    let found = query(client, &key(number)).expect("reads go on");
    found.map(|found| found.number)
}

/// Registers, subscribes and is pushed a change: ephemeral naming needs no disk.
pub fn naming_goes_on(server: &Server) {
    let client = |_| Client::connect(server.grpc_address(), Profile::default()).expect("connect");
    let [publisher, subscriber] = [0, 1].map(client);
    let service = ServiceName::public("without-a-disk");
    subscriber.subscribe(&service, "").expect("subscribe");
    publisher.register(&service, &instance("10.0.0.1", 1, &[])).expect("register");
    let pushed = subscriber.wait_service(WAIT, |info| !info.hosts.is_empty());
    assert_eq!(addresses(&pushed.expect("a push").1), ["10.0.0.1:1"]);
    publisher.deregister(&service, &instance("10.0.0.1", 1, &[])).expect("deregister");
}

/// What every fault of the disk leaves as it is.
pub fn all_but_writes_go_on(server: &Server, published: &Published) {
    published.check(&connect(server.grpc_address()).expect("connect"));
    naming_goes_on(server);
}

/// Says that a test was skipped, and why.
pub fn said(why: &str) {
    // Not eprintln: the harness would swallow it, and a skipped test must be seen.
    let _ = writeln!(std::io::stderr(), "skipped: {}", why.trim());
}

/// The same for what a machine should have: a failure where `CI=true`.
pub fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI lacks {why}");
    said(why);
}
