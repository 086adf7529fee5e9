//! The record of one connection. Lives on its home core.

use crate::config::listen::List;
use crate::conns::published::Published;
use crate::health::wheel::{NO_TICK, Tick};
use crate::key::{ConfigKey, ConnKey, ServiceKey};
use crate::push::delivery::Fuzzy;
use crate::slab::END;
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// How far a connection has come (`grpc-protocol.md` 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The transport is up; only ServerCheck is answered.
    Accepted,
    /// ConnectionSetup was accepted.
    Registered,
    /// Was told to close; the transport has not reported its end yet. Answers nothing any more.
    Closing,
}

/// What a registered connection is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    Nothing,
    /// Was asked whether it lives.
    Detection,
    /// Was told to go elsewhere, because the server stops.
    Reset,
}

/// One connection, compact: a million of them are the point.
#[derive(Debug)]
pub struct Connection {
    /// The milliseconds of its connection id, unique in the process.
    pub id_ms: u64,
    /// When it last did what `grpc-protocol.md` 8 counts as activity; of the transport until setup.
    pub last_active_ms: u64,
    /// Requests sent to it on the stream so far.
    pub requests: u64,
    /// IPv4 as mapped.
    peer_ip: Ipv6Addr,
    /// What is rarely there.
    pub links: Option<Box<Links>>,
    /// `clientIp` of its setup, when it is not the peer's own address.
    pub client_ip: Option<Box<str>>,
    /// Deadline of what it is waited for, as [`Connection::waiting`] says; wraps.
    pub waiting_until: u32,
    /// Low bits of the number of the request it is waited for; wraps.
    pub waiting_number: u32,
    /// Since when it does not read, wraps; only while [`Connection::congested`].
    pub congested_since: u32,
    pub generation: u32,
    /// Its interned setup; [`END`] before setup.
    pub profile: u32,
    /// Whose its standing requests are, interned; [`END`] where nobody has to log in.
    pub user: u32,
    /// First of its subscriptions, [`END`] for none.
    pub subscriptions: u32,
    pub subscription_count: u32,
    /// Tick of its live entry in the wheel.
    pub timer: Tick,
    peer_port: u16,
    pub stage: Stage,
    pub waiting: Waiting,
    /// More waits to be read by the client than it may: nothing is pushed.
    pub congested: bool,
    /// Label `module` is one that makes it a naming client.
    pub naming: bool,
}

const _: () = assert!(size_of::<Connection>() <= 120, "1 KiB a client is the budget for all of it");

/// What only connections that publish or watch have.
#[derive(Debug, Default)]
pub struct Links {
    /// Services it publishes, by the asks sent so far.
    pub published: Published,
    /// Its fuzzy watches and what is to be told because of them.
    pub fuzzy: Option<Box<Fuzzy<ServiceKey>>>,
    /// Configs it listens to.
    pub listeners: List,
    /// Its fuzzy watches of configs, likewise.
    pub config_fuzzy: Option<Box<Fuzzy<ConfigKey>>>,
}

impl Connection {
    /// A transport that just came up.
    pub fn new(key: ConnKey, peer: SocketAddr, id_ms: u64, now_ms: u64) -> Self {
        let peer_ip = match peer.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self {
            id_ms,
            last_active_ms: now_ms,
            requests: 0,
            peer_ip,
            links: None,
            client_ip: None,
            waiting_until: 0,
            waiting_number: 0,
            congested_since: 0,
            generation: key.generation,
            profile: END,
            user: END,
            subscriptions: END,
            subscription_count: 0,
            timer: NO_TICK,
            peer_port: peer.port(),
            stage: Stage::Accepted,
            waiting: Waiting::Nothing,
            congested: false,
            naming: false,
        }
    }

    /// The peer's address, an IPv4 one as such.
    pub fn peer_ip(&self) -> IpAddr {
        match self.peer_ip.to_ipv4_mapped() {
            Some(ip) => IpAddr::V4(ip),
            None => IpAddr::V6(self.peer_ip),
        }
    }

    /// The peer's port.
    pub fn peer_port(&self) -> u16 {
        self.peer_port
    }

    /// `<milliseconds>_<ip>_<port>`, as `ServerCheckResponse` tells it (`grpc-protocol.md` 1.4).
    pub fn id(&self) -> String {
        let mut text = String::with_capacity(40);
        let _ = write!(text, "{}_{}_{}", self.id_ms, self.peer_ip(), self.peer_port);
        text
    }

    /// The client's address as its setup says, else the peer's.
    pub fn client_ip_text(&self) -> String {
        match &self.client_ip {
            Some(text) => text.to_string(),
            None => self.peer_ip().to_string(),
        }
    }

    /// The next request number of this connection.
    pub fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Core, Home};

    #[test]
    fn ids_have_the_references_form() {
        let key = ConnKey { home: Home(Core(0)), slot: 0, generation: 1 };
        for (peer, id) in [
            ("10.0.0.7:51514", "1718000000000_10.0.0.7_51514"),
            ("[::1]:9", "1718000000000_::1_9"),
            ("[2001:db8::7]:65535", "1718000000000_2001:db8::7_65535"),
        ] {
            let conn = Connection::new(key, peer.parse().unwrap(), 1_718_000_000_000, 0);
            assert_eq!(conn.id(), id);
        }
    }
}
