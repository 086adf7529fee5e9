use super::*;
use crate::key::ServiceKey;
use crate::naming::services::Services;

struct Bench {
    pollers: Pollers,
    wheel: Wheel,
    service: ServiceId,
    now_ms: u64,
    ended: Vec<ServiceId>,
}

impl Bench {
    fn new() -> Self {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let mut services = Services::new(hasher.clone());
        let service = services.obtain(&ServiceKey::new("n", "g", "s"), 0).0;
        let pollers = Pollers::new(hasher);
        Self { pollers, wheel: Wheel::default(), service, now_ms: 1_000, ended: Vec::new() }
    }

    fn poll(&mut self, to: &str) -> Followed {
        self.poll_for(to, "")
    }

    fn poll_for(&mut self, to: &str, clusters: &str) -> Followed {
        let filter = Filter { clusters: Some(clusters.into()), healthy_only: false };
        let poller = Poller { to: to.parse().unwrap(), user: None, agent: "x".into() };
        self.pollers.follow(self.service, poller, &filter, self.now_ms, &mut self.wheel)
    }

    /// Sends what is ready; the numbers.
    fn send(&mut self) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(Ready { at, .. }) = self.pollers.next_ready() {
            let number = self.pollers.number(0);
            self.pollers.sent(at, number, self.now_ms, &mut self.wheel);
            numbers.push(number);
        }
        numbers
    }

    /// Time passes; when something was sent, relative to the start.
    fn pass(&mut self, ms: u64) -> Vec<u64> {
        let (start, end) = (self.now_ms, self.now_ms + ms);
        let mut sent = Vec::new();
        while let Some(next) = self.wheel.next_ms().filter(|next| *next <= end) {
            self.now_ms = next.max(self.now_ms);
            while let Some((timer, tick)) = self.wheel.next_due(next) {
                let Timer::Poller(at) = timer else { panic!("{timer:?}") };
                self.ended.extend(self.pollers.due(at, tick, self.now_ms, &mut self.wheel));
            }
            sent.extend(self.send().iter().map(|_| self.now_ms - start));
        }
        self.now_ms = end;
        sent
    }

    fn ack(&mut self, from: &str, number: u64) {
        let from = from.parse().unwrap();
        self.pollers.acknowledged(from, number, self.now_ms, &mut self.wheel);
    }

    fn want(&mut self, at: u32) {
        self.pollers.want(at, self.now_ms, &mut self.wheel);
    }
}

const A: &str = "10.0.0.1:4000";
const B: &str = "10.0.0.1:4001";

#[test]
fn a_new_poller_is_owed_a_datagram_and_each_change_one() {
    let mut bench = Bench::new();
    let Followed::New(at) = bench.poll(A) else { panic!("new") };
    let first = bench.send();
    assert_eq!(first.len(), 1);
    bench.ack(A, first[0]);
    assert_eq!(bench.poll(A), Followed::Known);
    assert_eq!(bench.send(), [0; 0]);
    bench.want(at);
    bench.want(at);
    let second = bench.send();
    assert!(second.len() == 1 && second[0] > first[0]);
    bench.ack(A, second[0]);
    assert_eq!(bench.poll_for(A, "c"), Followed::Known);
    assert_eq!(bench.send().len(), 1, "another filter shows another list");
    assert_eq!((bench.pollers.sent, bench.pollers.acknowledged), (3, 2));
}

#[test]
fn a_newer_state_waits_for_the_ack_half_a_second_at_most() {
    let mut bench = Bench::new();
    let Followed::New(at) = bench.poll(A) else { panic!("new") };
    let first = bench.send();
    bench.pass(100);
    bench.want(at);
    assert_eq!(bench.send(), [0; 0]);
    bench.ack(A, first[0]);
    assert_eq!(bench.send().len(), 1, "with the ack");
    bench.want(at);
    let sent = bench.pass(600);
    assert!(sent.len() == 1 && (500..=520).contains(&sent[0]), "{sent:?}");
}

/// However changes fall between the datagrams: else they could be aimed.
#[test]
fn slow_changes_do_not_outlive_patience() {
    for every_ms in [50, 499, 500, 501, 600, 2_000, 9_999] {
        let mut bench = Bench::new();
        let Followed::New(at) = bench.poll(A) else { panic!("new") };
        let mut sent = bench.send().len();
        while bench.ended.is_empty() {
            sent += bench.pass(every_ms).len();
            if bench.ended.is_empty() {
                bench.want(at);
                sent += bench.send().len();
            }
        }
        assert_eq!(sent, usize::from(DATAGRAMS_UNACKNOWLEDGED_MAX), "every {every_ms} ms");
        assert_eq!(bench.pollers.given_up, u64::from(every_ms < 9_000), "every {every_ms} ms");
    }
}

#[test]
fn what_is_not_acknowledged_is_repeated_and_then_given_up() {
    let mut bench = Bench::new();
    bench.poll(A);
    assert_eq!(bench.send().len(), 1);
    let mut sent = 1;
    for _ in 0..10 {
        sent += bench.pass(5_000).len();
        if bench.ended.is_empty() {
            bench.poll(A);
        }
    }
    assert_eq!(sent, usize::from(DATAGRAMS_UNACKNOWLEDGED_MAX));
    assert_eq!((bench.ended.len(), bench.pollers.given_up), (1, 1));
    assert!(bench.pollers.is_empty() && bench.pollers.by_address.is_empty());
    assert!(matches!(bench.poll(A), Followed::New(_)), "asked again by HTTP");
}

#[test]
fn many_changes_send_no_more_without_acks_than_the_bound() {
    let mut bench = Bench::new();
    let Followed::New(at) = bench.poll(A) else { panic!("new") };
    let mut sent = bench.send().len();
    for _ in 0..100 {
        if bench.ended.is_empty() {
            bench.want(at);
        }
        sent += bench.pass(100).len() + bench.send().len();
    }
    assert!(sent <= usize::from(DATAGRAMS_UNACKNOWLEDGED_MAX), "{sent}");
    assert_eq!(bench.pollers.given_up, 1);
}

#[test]
fn only_the_right_ack_from_the_right_address_counts() {
    let mut bench = Bench::new();
    bench.poll(A);
    let number = bench.send()[0];
    bench.ack(B, number);
    bench.ack(A, number + 1);
    assert_eq!(bench.pollers.acknowledged, 0);
    bench.ack(A, number);
    bench.ack(A, number);
    assert_eq!(bench.pollers.acknowledged, 1);
}

#[test]
fn who_polls_no_more_is_forgotten() {
    let mut bench = Bench::new();
    let Followed::New(at) = bench.poll(A) else { panic!("new") };
    bench.poll(B);
    for number in bench.send() {
        bench.ack(A, number);
        bench.ack(B, number);
    }
    bench.pass(20_000);
    bench.poll(B);
    assert_eq!(bench.pass(15_000), [0; 0]);
    assert_eq!((bench.ended.len(), bench.pollers.len()), (1, 1));
    // Its number may be used again while the queue still holds it.
    bench.now_ms += 1;
    let Followed::New(again) = bench.poll(A) else { panic!("new") };
    assert_eq!(again, at);
    assert_eq!(bench.send().len(), 1);
}
