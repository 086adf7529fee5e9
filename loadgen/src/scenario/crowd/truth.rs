//! What is true, and what each client believes: 21 bytes a subscription, whatever its list says.
//!
//! A list is remembered as the sum of its hosts' fingerprints, so that order does not matter and
//! two lists are compared in one step.

use super::shape::Shape;
use crate::push;
use crate::scenario::feed::{self, SEQUENCE_KEY};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

/// Lists remembered in [`Glances`]: changes on their way at the same time.
const RECENT_LISTS_MAX: usize = 128;

/// One list as a client got it, decoded as far as the truth needs.
pub(in crate::scenario) struct Glance {
    /// The number in the service's name.
    service: usize,
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
    name: Cow<'a, str>,
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
pub(in crate::scenario) struct Glances {
    /// Samples of the lists below, so that looking costs a few cache lines.
    samples: Vec<u64>,
    recent: Vec<(Vec<u8>, usize, Rc<Glance>)>,
    next: usize,
}

impl Glances {
    /// [`Glance::read`], or the one made of the same bytes before.
    pub(in crate::scenario) fn read(&mut self, body: &[u8]) -> Option<Rc<Glance>> {
        let (before, after) = push::around_id(body);
        let sample = sample(before, after);
        for (at, _) in self.samples.iter().enumerate().filter(|(_, known)| **known == sample) {
            let (bytes, split, glance) = &self.recent[at];
            if *split == before.len() && bytes[..*split] == *before && bytes[*split..] == *after {
                return Some(glance.clone());
            }
        }
        let glance = Rc::new(Glance::read(body)?);
        if self.recent.len() < RECENT_LISTS_MAX {
            self.samples.push(sample);
            self.recent.push(([before, after].concat(), before.len(), glance.clone()));
            return Some(glance);
        }
        let (bytes, split, kept) = &mut self.recent[self.next];
        bytes.clear();
        bytes.extend_from_slice(before);
        bytes.extend_from_slice(after);
        (*split, *kept) = (before.len(), glance.clone());
        self.samples[self.next] = sample;
        self.next = (self.next + 1) % RECENT_LISTS_MAX;
        Some(glance)
    }
}

/// A number most different lists differ in: every 16th byte, and the lengths.
fn sample(before: &[u8], after: &[u8]) -> u64 {
    let mix = |sum: u64, byte: u64| (sum ^ byte).wrapping_mul(0x0000_0100_0000_01b3);
    let lengths = mix(before.len() as u64, after.len() as u64);
    let bytes = before.iter().chain(after).step_by(16);
    bytes.fold(lengths, |sum, byte| mix(sum, u64::from(*byte)))
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
        let service = feed::service_number(&body.service_info.name)?;
        Some(Self { service, fingerprint, last_ref_time: body.service_info.last_ref_time, hosts })
    }
}

impl Glance {
    /// Whether it is of this service, with so many hosts.
    pub(super) fn is_whole(&self, service: usize, hosts: usize) -> bool {
        self.service == service && self.hosts.len() == hosts
    }
}

/// What a client last heard of a service.
#[derive(Clone, Copy, Default)]
struct Belief {
    fingerprint: u64,
    last_ref_time: i64,
}

/// A change that not every subscriber has heard of.
struct Pending {
    instance: usize,
    sequence: u64,
    began_ns: u64,
    /// The list before it.
    before: u64,
    /// One per subscriber of the service.
    heard: Vec<bool>,
    left: usize,
}

/// A change that has just reached one more subscriber.
pub(in crate::scenario) struct Heard {
    pub(in crate::scenario) began_ns: u64,
    pub(in crate::scenario) was_last: bool,
}

/// How a list came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) enum Way {
    Push,
    Answer,
}

/// What servers have done wrong, or what has to be explained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::scenario) struct Wrongs {
    /// Lists with a revision below one the same client had before.
    pub(in crate::scenario) out_of_order: u64,
    /// Lists of a new revision that take back what the client knew already.
    pub(in crate::scenario) stale: u64,
    /// Pushes of what was pushed to the same client before.
    pub(in crate::scenario) duplicate: u64,
    /// Lists of services the client does not subscribe to.
    pub(in crate::scenario) strange: u64,
    /// Lists without any host to clients that knew some.
    pub(in crate::scenario) emptied: u64,
    /// Lists with fewer hosts than belong to the service, to clients that knew all.
    pub(in crate::scenario) shrunk: u64,
}

/// The sequence of an instance that was never registered.
const UNREGISTERED: u32 = u32::MAX;

/// The true lists and everybody's belief.
pub(in crate::scenario) struct Truth {
    shape: Shape,
    /// Per client and subscription.
    beliefs: Vec<Belief>,
    /// Whether the belief came by push.
    pushed: Vec<bool>,
    /// Per service, the sum over its registered hosts.
    lists: Vec<u64>,
    sequences: Vec<u32>,
    pending: HashMap<usize, Pending>,
    /// Every list is known and only changes of ours move them: what is not the truth is stale.
    steady: bool,
    wrongs: Wrongs,
}

impl Truth {
    pub(in crate::scenario) fn new(shape: Shape) -> Self {
        Self {
            shape,
            beliefs: vec![Belief::default(); shape.instances()],
            pushed: vec![false; shape.instances()],
            lists: vec![0; shape.services()],
            sequences: vec![UNREGISTERED; shape.instances()],
            pending: HashMap::new(),
            steady: false,
            wrongs: Wrongs::default(),
        }
    }

    /// An instance is registered for the first time. Later registrations repeat what is true.
    pub(super) fn registered(&mut self, instance: usize) {
        if self.sequences[instance] == UNREGISTERED {
            self.sequences[instance] = 0;
            let list = &mut self.lists[self.shape.service_of(instance)];
            *list = list.wrapping_add(fingerprint(address(instance), 0));
        }
    }

    /// Whether a change of this service is on its way.
    pub(super) fn is_pending(&self, service: usize) -> bool {
        self.pending.contains_key(&service)
    }

    /// What an instance's owner last said of it.
    pub(super) fn sequence(&self, instance: usize) -> u64 {
        match self.sequences[instance] {
            UNREGISTERED => 0,
            sequence => u64::from(sequence),
        }
    }

    /// A change is sent.
    pub(super) fn begin(&mut self, instance: usize, sequence: u64, began_ns: u64) {
        let service = self.shape.service_of(instance);
        let (ip, before) = (address(instance), self.sequence(instance));
        self.sequences[instance] = sequence as u32;
        let list = &mut self.lists[service];
        let pending = Pending {
            instance,
            sequence,
            began_ns,
            before: *list,
            heard: vec![false; self.shape.subscribers(service)],
            left: self.shape.subscribers(service),
        };
        *list = list.wrapping_sub(fingerprint(ip, before)).wrapping_add(fingerprint(ip, sequence));
        self.pending.insert(service, pending);
    }

    /// From now on lists that are not the truth are stale; only said when everybody knows it.
    pub(in crate::scenario) fn set_steady(&mut self, steady: bool) {
        self.steady = steady;
    }

    /// A client's connection is gone, and what was pushed on it with it.
    pub(super) fn forget_pushes(&mut self, client: usize) {
        for at in 0..self.shape.each {
            self.pushed[self.shape.instance(client, at)] = false;
        }
    }

    /// A client got a list; says when that told it of a change under way.
    pub(in crate::scenario) fn look(
        &mut self,
        client: usize,
        glance: &Glance,
        way: Way,
    ) -> Option<Heard> {
        let service = glance.service;
        let Some((at, place)) = self.shape.find(client, service) else {
            self.wrongs.strange += 1;
            return None;
        };
        let index = self.shape.instance(client, at);
        self.compare(index, glance, way);
        let is_true = glance.fingerprint == self.lists[service];
        let Some(pending) = self.pending.get_mut(&service) else {
            self.wrongs.stale += u64::from(self.steady && !is_true);
            return None;
        };
        let heard = &mut pending.heard[place];
        let tells = glance.hosts.contains(&(address(pending.instance), pending.sequence));
        // While only changes of ours move the list, it is as before this one or as after it.
        let is_before = !*heard && glance.fingerprint == pending.before;
        let is_stale = if self.steady { !is_true && !is_before } else { *heard && !tells };
        self.wrongs.stale += u64::from(is_stale);
        if *heard || !tells {
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

    /// Sets a list beside the one the client had, and takes it over.
    fn compare(&mut self, index: usize, glance: &Glance, way: Way) {
        let Self { beliefs, pushed, wrongs, lists, .. } = self;
        let (belief, pushed) = (&mut beliefs[index], &mut pushed[index]);
        let same = belief.last_ref_time == glance.last_ref_time
            && belief.fingerprint == glance.fingerprint;
        wrongs.out_of_order += u64::from(glance.last_ref_time < belief.last_ref_time);
        wrongs.duplicate += u64::from(same && *pushed && way == Way::Push);
        let knew_all = belief.fingerprint != 0 && belief.fingerprint == lists[glance.service];
        if glance.hosts.is_empty() {
            wrongs.emptied += u64::from(belief.fingerprint != 0);
        } else if knew_all && glance.hosts.len() < self.shape.subscribers(glance.service) {
            wrongs.shrunk += 1;
        }
        *pushed = way == Way::Push || (same && *pushed);
        belief.fingerprint = glance.fingerprint;
        belief.last_ref_time = glance.last_ref_time;
    }

    /// Whether a list that was asked for is the truth, or a change of it is on its way.
    pub(super) fn allows(&self, glance: &Glance) -> bool {
        let list = self.lists.get(glance.service);
        list == Some(&glance.fingerprint) || self.is_pending(glance.service)
    }

    /// Subscriptions whose belief is not the truth, among clients that are still there.
    pub(in crate::scenario) fn behind(&self, mut is_there: impl FnMut(u32) -> bool) -> usize {
        let mut behind = 0;
        for (index, belief) in self.beliefs.iter().enumerate() {
            let (client, at) = (index % self.shape.clients, index / self.shape.clients);
            let wrong = belief.fingerprint != self.lists[self.shape.subscribed(client, at)];
            behind += usize::from(wrong && is_there(client as u32));
        }
        behind
    }

    /// What went wrong so far.
    pub(in crate::scenario) fn wrongs(&self) -> Wrongs {
        self.wrongs
    }
}

/// The address [`feed::instance`] gives an instance.
fn address(instance: usize) -> u32 {
    10 << 24 | (instance as u32 & 0xff_ffff)
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

    fn body(service: usize, hosts: &[(usize, u64)], last_ref_time: i64, id: &str) -> Vec<u8> {
        let hosts = hosts.iter().map(|(instance, seq)| feed::instance(*instance, *seq, 0));
        let name = feed::service_name("run", service);
        let service_info =
            ServiceInfo { name, hosts: hosts.collect(), last_ref_time, ..ServiceInfo::default() };
        json!({"requestId": id, "serviceInfo": service_info}).to_string().into_bytes()
    }

    fn list(service: usize, hosts: &[(usize, u64)], last_ref_time: i64) -> Glance {
        Glance::read(&body(service, hosts, last_ref_time, "1")).unwrap()
    }

    #[test]
    fn equal_lists_are_decoded_once_and_others_are_not() {
        let mut glances = Glances::default();
        let first = glances.read(&body(0, &[(1, 7)], 5, "1")).unwrap();
        assert!(Rc::ptr_eq(&first, &glances.read(&body(0, &[(1, 7)], 5, "22")).unwrap()));
        assert_eq!(glances.read(&body(0, &[(1, 7)], 6, "1")).unwrap().last_ref_time, 6);
        for time in 10..10 + RECENT_LISTS_MAX as i64 {
            glances.read(&body(0, &[(1, 7)], time, "1")).unwrap();
        }
        assert_eq!(glances.recent.len(), RECENT_LISTS_MAX);
        let last = 9 + RECENT_LISTS_MAX as i64;
        let again = glances.read(&body(0, &[(1, 7)], last, "333")).unwrap();
        assert!(Rc::ptr_eq(&again, &glances.read(&body(0, &[(1, 7)], last, "4")).unwrap()));
        assert!(glances.read(b"{}").is_none());
    }

    fn two() -> Truth {
        let mut truth = Truth::new(Shape::new(2, 1, 2));
        truth.registered(0);
        truth.registered(1);
        truth
    }

    #[test]
    fn beliefs_are_compared_with_the_truth() {
        let mut truth = two();
        assert!(truth.look(0, &list(0, &[(1, 0), (0, 0)], 5), Way::Push).is_none());
        assert_eq!(truth.behind(|_| true), 1, "client 1 has heard nothing");
        assert_eq!(truth.behind(|client| client != 1), 0, "and is not asked when gone");
        truth.look(1, &list(0, &[(0, 0)], 4), Way::Push);
        assert_eq!(truth.behind(|_| true), 1, "client 1 has a list without itself");
        truth.look(1, &list(0, &[(0, 0), (1, 0)], 5), Way::Push);
        assert_eq!((truth.behind(|_| true), truth.wrongs()), (0, Wrongs::default()));
        truth.look(1, &list(0, &[(0, 0)], 4), Way::Push);
        assert_eq!((truth.behind(|_| true), truth.wrongs().out_of_order), (1, 1));
    }

    #[test]
    fn what_is_said_twice_or_taken_back_is_counted() {
        let whole = [(0, 0), (1, 0)];
        let mut truth = two();
        truth.look(0, &list(0, &whole, 5), Way::Answer);
        truth.look(0, &list(0, &whole, 5), Way::Push);
        assert_eq!(truth.wrongs(), Wrongs::default(), "one push of what was answered is owed");
        truth.look(0, &list(0, &whole, 5), Way::Push);
        assert_eq!(truth.wrongs().duplicate, 1);
        truth.forget_pushes(0);
        truth.look(0, &list(0, &whole, 5), Way::Push);
        assert_eq!(truth.wrongs().duplicate, 1, "a new connection is told anew");
        truth.look(0, &list(0, &[(0, 0)], 6), Way::Push);
        truth.look(0, &list(0, &[], 7), Way::Push);
        let wrongs = truth.wrongs();
        assert_eq!((wrongs.shrunk, wrongs.emptied, wrongs.stale), (1, 1, 0));
        truth.set_steady(true);
        truth.look(0, &list(0, &[(0, 0)], 8), Way::Push);
        assert_eq!(truth.wrongs().stale, 1);
        truth.look(0, &list(1, &whole, 9), Way::Push);
        assert_eq!(truth.wrongs().strange, 1);
    }

    #[test]
    fn a_change_is_followed_to_the_last_subscriber() {
        let mut truth = Truth::new(Shape::new(3, 1, 2));
        (0..3).for_each(|instance| truth.registered(instance));
        truth.begin(1, truth.sequence(1) + 1, 100);
        assert!(truth.is_pending(0) && !truth.is_pending(1));
        let (old, news) = (list(0, &[(0, 0), (1, 0)], 5), list(0, &[(0, 0), (1, 1)], 6));
        let heard = truth.look(0, &news, Way::Push).unwrap();
        assert_eq!((heard.began_ns, heard.was_last), (100, false));
        assert!(truth.look(0, &news, Way::Push).is_none(), "once per subscriber");
        assert!(truth.allows(&old), "it may not have been applied yet");
        assert!(truth.look(1, &old, Way::Push).is_none(), "old news");
        assert_eq!(truth.wrongs().stale, 0);
        truth.look(0, &list(0, &[(0, 0), (1, 0)], 7), Way::Push);
        assert_eq!(truth.wrongs().stale, 1, "client 0 knew better");
        assert!(truth.look(1, &news, Way::Push).unwrap().was_last);
        assert!(!truth.is_pending(0) && truth.allows(&news) && !truth.allows(&old));
    }
}
