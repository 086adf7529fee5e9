//! What is true, and what each client believes: 24 bytes a client, whatever its list says.
//!
//! A list is remembered as the sum of its hosts' fingerprints, so that order does not matter and
//! two lists are compared in one step.

use crate::push;
use crate::scenario::feed::SEQUENCE_KEY;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// Lists remembered in [`Glances`]: changes on their way at the same time.
const RECENT_LISTS_MAX: usize = 16;

/// One list as a client got it, decoded as far as the truth needs.
pub(super) struct Glance {
    fingerprint: u64,
    last_ref_time: i64,
    /// Address bits and sequence of each host.
    hosts: Vec<(u32, u64)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    service_info: Info<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    #[serde(borrow)]
    hosts: Vec<Host<'a>>,
    last_ref_time: i64,
}

#[derive(Deserialize)]
struct Host<'a> {
    #[serde(borrow)]
    ip: Cow<'a, str>,
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

/// The one pair of [`feed::instance`]; the field is its key.
#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    seq: Cow<'a, str>,
}

const _: () = assert!(matches!(SEQUENCE_KEY.as_bytes(), b"seq"));

/// Lists decoded lately. All subscribers of a list get the same bytes but for the id, close
/// together, so each is decoded once, and the generator stays faster than the server.
#[derive(Default)]
pub(super) struct Glances {
    recent: VecDeque<(Vec<u8>, usize, Rc<Glance>)>,
}

impl Glances {
    /// [`Glance::read`], or the one made of the same bytes before.
    pub(super) fn read(&mut self, body: &[u8]) -> Option<Rc<Glance>> {
        let (before, after) = push::around_id(body);
        let known = self.recent.iter().find(|(bytes, split, _)| {
            *split == before.len() && bytes[..*split] == *before && bytes[*split..] == *after
        });
        if let Some((_, _, glance)) = known {
            return Some(glance.clone());
        }
        let glance = Rc::new(Glance::read(body)?);
        self.recent.truncate(RECENT_LISTS_MAX - 1);
        self.recent.push_front(([before, after].concat(), before.len(), glance.clone()));
        Some(glance)
    }
}

impl Glance {
    /// Reads a push or the answer to a subscription.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body: Body<'_> = serde_json::from_slice(body).ok()?;
        let mut hosts = Vec::with_capacity(body.service_info.hosts.len());
        for host in body.service_info.hosts {
            let ip: std::net::Ipv4Addr = host.ip.parse().ok()?;
            let sequence = host.metadata.seq.parse().ok()?;
            hosts.push((u32::from(ip), sequence));
        }
        let fingerprint = hosts
            .iter()
            .fold(0u64, |sum, (ip, sequence)| sum.wrapping_add(fingerprint(*ip, *sequence)));
        Some(Self { fingerprint, last_ref_time: body.service_info.last_ref_time, hosts })
    }
}

/// What a client last heard.
#[derive(Clone, Copy, Default)]
struct Belief {
    fingerprint: u64,
    last_ref_time: i64,
}

/// A change that not every subscriber has heard of.
struct Pending {
    client: usize,
    sequence: u64,
    began_ns: u64,
    /// One bit per client of the service.
    heard: Vec<bool>,
    left: usize,
}

/// A change that has just reached one more subscriber.
pub(super) struct Heard {
    pub(super) began_ns: u64,
    pub(super) was_last: bool,
}

/// The true lists and everybody's belief.
pub(super) struct Truth {
    per_service: usize,
    beliefs: Vec<Belief>,
    /// Per service, the sum over its registered hosts.
    lists: Vec<u64>,
    sequences: Vec<u32>,
    pending: HashMap<usize, Pending>,
    out_of_order: u64,
}

impl Truth {
    pub(super) fn new(clients: usize, per_service: usize) -> Self {
        Self {
            per_service,
            beliefs: vec![Belief::default(); clients],
            lists: vec![0; clients.div_ceil(per_service)],
            sequences: vec![0; clients],
            pending: HashMap::new(),
            out_of_order: 0,
        }
    }

    /// A client's instance is registered for the first time.
    pub(super) fn registered(&mut self, client: usize, sequence: u64) {
        let list = &mut self.lists[client / self.per_service];
        *list = list.wrapping_add(fingerprint(address(client), sequence));
    }

    /// Whether a change of this client's service is on its way.
    pub(super) fn is_pending(&self, client: usize) -> bool {
        self.pending.contains_key(&(client / self.per_service))
    }

    /// The number of a client's next change.
    pub(super) fn next_sequence(&self, client: usize) -> u64 {
        u64::from(self.sequences[client]) + 1
    }

    /// A change is sent.
    pub(super) fn begin(&mut self, client: usize, sequence: u64, began_ns: u64) {
        let service = client / self.per_service;
        let (ip, before) = (address(client), u64::from(self.sequences[client]));
        self.sequences[client] = sequence as u32;
        let list = &mut self.lists[service];
        *list = list.wrapping_sub(fingerprint(ip, before)).wrapping_add(fingerprint(ip, sequence));
        let first = service * self.per_service;
        let left = self.per_service.min(self.beliefs.len() - first);
        let heard = vec![false; left];
        self.pending.insert(service, Pending { client, sequence, began_ns, heard, left });
    }

    /// A client got a list; says when that told it of a change under way.
    pub(super) fn look(&mut self, client: usize, glance: &Glance) -> Option<Heard> {
        let belief = &mut self.beliefs[client];
        if glance.last_ref_time < belief.last_ref_time {
            self.out_of_order += 1;
        }
        belief.fingerprint = glance.fingerprint;
        belief.last_ref_time = glance.last_ref_time;
        let service = client / self.per_service;
        let pending = self.pending.get_mut(&service)?;
        let changed = (address(pending.client), pending.sequence);
        let heard = &mut pending.heard[client % self.per_service];
        if *heard || !glance.hosts.contains(&changed) {
            return None;
        }
        *heard = true;
        pending.left -= 1;
        let (began_ns, was_last) = (pending.began_ns, pending.left == 0);
        if was_last {
            self.pending.remove(&service);
        }
        Some(Heard { began_ns, was_last })
    }

    /// Clients whose belief is not the truth, among those that are still there.
    pub(super) fn behind(&self, mut is_there: impl FnMut(u32) -> bool) -> usize {
        let wrong = |(client, belief): &(usize, &Belief)| {
            belief.fingerprint != self.lists[client / self.per_service]
        };
        let all = self.beliefs.iter().enumerate();
        all.filter(wrong).filter(|(client, _)| is_there(*client as u32)).count()
    }

    /// Lists that were older than one the same client had before.
    pub(super) fn out_of_order(&self) -> u64 {
        self.out_of_order
    }
}

/// The address [`feed::instance`] gives a client.
fn address(client: usize) -> u32 {
    10 << 24 | (client as u32 & 0xff_ffff)
}

/// Mixes a host into 64 bits (the finaliser of splitmix64).
fn fingerprint(ip: u32, sequence: u64) -> u64 {
    let mut z = u64::from(ip) << 32 ^ sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::feed;
    use nacre_proto::client::ServiceInfo;
    use serde_json::json;

    fn list(hosts: &[(usize, u64)], last_ref_time: i64) -> Glance {
        let hosts = hosts.iter().map(|(client, sequence)| feed::instance(*client, *sequence));
        let service_info =
            ServiceInfo { hosts: hosts.collect(), last_ref_time, ..ServiceInfo::default() };
        let body = json!({"requestId": "1", "serviceInfo": service_info}).to_string();
        Glance::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn equal_lists_are_decoded_once_and_others_are_not() {
        let mut glances = Glances::default();
        let body = |id: &str, time: i64| {
            let service_info = ServiceInfo {
                hosts: vec![feed::instance(1, 7)],
                last_ref_time: time,
                ..ServiceInfo::default()
            };
            json!({"requestId": id, "serviceInfo": service_info}).to_string().into_bytes()
        };
        let first = glances.read(&body("1", 5)).unwrap();
        assert!(Rc::ptr_eq(&first, &glances.read(&body("22", 5)).unwrap()));
        assert_eq!(glances.read(&body("1", 6)).unwrap().last_ref_time, 6);
        for time in 10..10 + RECENT_LISTS_MAX as i64 {
            glances.read(&body("1", time)).unwrap();
        }
        assert_eq!(glances.recent.len(), RECENT_LISTS_MAX);
        assert!(glances.read(b"{}").is_none());
    }

    #[test]
    fn beliefs_are_compared_with_the_truth() {
        let mut truth = Truth::new(2, 2);
        truth.registered(0, 0);
        truth.registered(1, 0);
        assert!(truth.look(0, &list(&[(1, 0), (0, 0)], 5)).is_none());
        assert_eq!(truth.behind(|_| true), 1, "client 1 has heard nothing");
        assert_eq!(truth.behind(|client| client != 1), 0, "and is not asked when gone");
        truth.look(1, &list(&[(0, 0)], 4));
        assert_eq!(truth.behind(|_| true), 1, "client 1 has a list without itself");
        truth.look(1, &list(&[(0, 0), (1, 0)], 5));
        assert_eq!((truth.behind(|_| true), truth.out_of_order()), (0, 0));
        truth.look(1, &list(&[(0, 0)], 4));
        assert_eq!((truth.behind(|_| true), truth.out_of_order()), (1, 1));
    }

    #[test]
    fn a_change_is_followed_to_the_last_subscriber() {
        let mut truth = Truth::new(3, 2);
        (0..3).for_each(|client| truth.registered(client, 0));
        truth.begin(1, truth.next_sequence(1), 100);
        assert!(truth.is_pending(0) && !truth.is_pending(2));
        let news = list(&[(0, 0), (1, 1)], 6);
        let heard = truth.look(0, &news).unwrap();
        assert_eq!((heard.began_ns, heard.was_last), (100, false));
        assert!(truth.look(0, &news).is_none(), "once per subscriber");
        assert!(truth.look(1, &list(&[(0, 0), (1, 0)], 5)).is_none(), "old news");
        assert!(truth.look(1, &news).unwrap().was_last);
        assert!(!truth.is_pending(1));
    }
}
