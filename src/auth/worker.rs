//! The one thread that compares passwords, and each core's end of it.
//!
//! Bounded: at most [`PASSWORD_JOBS_MAX`] wait for it on the whole node. It knows no user; what to
//! compare with comes with the job.

use super::directory::{Directory, Verdict};
use super::limits::PASSWORD_JOBS_MAX;
use super::password::{self, Password};
use super::throttle::Throttle;
use crate::mesh::Bell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// What to do.
#[derive(Debug)]
pub enum Work {
    /// Is it this user's password?
    Check {
        user: Box<str>,
        password: Password,
        /// `None`: there is no such user.
        hash: Option<Box<str>>,
        from: IpAddr,
        /// The clock of failures.
        now_ms: u64,
    },
    /// Hash a new one.
    Hash(Password),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    Right,
    /// Not that of a user here, but of one of the directory.
    OfDirectory,
    Wrong,
    /// The directory would have to know, and cannot be asked.
    Unreachable,
    /// Not compared: too many failures before.
    Throttled,
    /// `None`: it cannot be kept.
    Hashed(Option<String>),
}

#[derive(Debug)]
struct Job {
    ticket: u64,
    work: Work,
    results: Results,
}

/// Where one core's results go.
#[derive(Debug, Clone)]
struct Results {
    sender: SyncSender<(u64, Done)>,
    finished: Arc<AtomicUsize>,
    bell: Arc<Bell>,
}

/// The way to the thread; every core has one.
#[derive(Debug, Clone)]
pub struct Counter(SyncSender<Job>);

/// What the thread reads.
#[derive(Debug)]
pub struct Inbox(Receiver<Job>);

/// Both ends. The thread ends when every [`Counter`] is dropped.
pub fn pair() -> (Counter, Inbox) {
    let (sender, receiver) = sync_channel(PASSWORD_JOBS_MAX);
    (Counter(sender), Inbox(receiver))
}

/// What the thread does all day; `boot` makes it. After each job, and without one as often as
/// `every` says, it does what else has to be done apart from the cores.
pub fn run(
    inbox: Inbox,
    mut directory: Option<Directory>,
    every: Duration,
    mut beside: impl FnMut(),
) {
    let mut throttle = Throttle::default();
    loop {
        beside();
        let Job { ticket, work, results } = match inbox.0.recv_timeout(every) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let done = carry_out(work, &mut throttle, directory.as_mut());
        // A core that is gone needs no answer. There is room for as many as can be under way.
        if results.sender.try_send((ticket, done)).is_ok() {
            results.finished.fetch_add(1, Ordering::Release);
            results.bell.ring_if_asleep();
        }
    }
}

fn carry_out(work: Work, throttle: &mut Throttle, directory: Option<&mut Directory>) -> Done {
    match work {
        Work::Hash(Password(password)) => Done::Hashed(password::hash(&password)),
        Work::Check { user, password, hash, from, now_ms } => {
            if !throttle.admits(&user, from, now_ms) {
                return Done::Throttled;
            }
            if password::matches(&password.0, hash.as_deref()) {
                return Done::Right;
            }
            let ask = |directory: &mut Directory| directory.check(&user, &password.0, now_ms);
            match directory.map(ask) {
                Some(Verdict::Right) => return Done::OfDirectory,
                Some(Verdict::Unreachable) => return Done::Unreachable,
                Some(Verdict::Wrong) | None => {}
            }
            throttle.failed(&user, from, now_ms);
            Done::Wrong
        }
    }
}

/// One core's end.
#[derive(Debug)]
pub struct Desk {
    counter: Counter,
    results: Results,
    arrived: Receiver<(u64, Done)>,
    taken: usize,
    next: u64,
}

impl Desk {
    /// `bell` wakes the core when a result has come.
    pub fn new(counter: Counter, bell: Arc<Bell>) -> Self {
        // One more than may wait is being worked at.
        let (sender, arrived) = sync_channel(PASSWORD_JOBS_MAX + 1);
        let results = Results { sender, finished: Arc::default(), bell };
        Self { counter, results, arrived, taken: 0, next: 0 }
    }

    /// Hands work in. `None`: as much waits as may, or the thread has ended.
    pub fn hand_in(&mut self, work: Work) -> Option<u64> {
        self.next += 1;
        let job = Job { ticket: self.next, work, results: self.results.clone() };
        self.counter.0.try_send(job).ok().map(|()| self.next)
    }

    /// The next result.
    pub fn take(&mut self) -> Option<(u64, Done)> {
        let result = self.arrived.try_recv().ok()?;
        self.taken = self.taken.wrapping_add(1);
        Some(result)
    }

    /// Whether no result waits.
    pub fn is_quiet(&self) -> bool {
        self.results.finished.load(Ordering::Acquire) == self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> (Desk, Inbox) {
        let (counter, inbox) = pair();
        let bell = Arc::new(Bell::new(crate::engine::event_fd().unwrap()));
        (Desk::new(counter, bell), inbox)
    }

    fn check(password: &str, hash: Option<&str>, now_ms: u64) -> Work {
        Work::Check {
            user: "u".into(),
            password: Password(password.to_owned()),
            hash: hash.map(Into::into),
            from: IpAddr::from([127, 0, 0, 1]),
            now_ms,
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_at_once() {
        let (mut desk, inbox) = desk();
        for _ in 0..PASSWORD_JOBS_MAX {
            assert!(desk.hand_in(check("p", None, 0)).is_some());
        }
        assert_eq!(desk.hand_in(check("p", None, 0)), None);
        drop(inbox);
        assert_eq!(desk.hand_in(check("p", None, 0)), None, "also when the thread has ended");
    }

    #[test]
    fn results_come_with_their_tickets() {
        let (mut desk, inbox) = desk();
        let hashed = password::hash("right").unwrap();
        let tickets = [
            desk.hand_in(check("right", Some(&hashed), 0)),
            desk.hand_in(check("wrong", Some(&hashed), 0)),
            desk.hand_in(check("right", None, 0)),
            desk.hand_in(Work::Hash(Password(" ".into()))),
        ];
        assert!(desk.is_quiet());
        let Desk { counter, results, arrived, taken, next } = desk;
        drop(counter);
        run(inbox, None, Duration::from_secs(1), || {});
        let mut desk = Desk { counter: pair().0, results, arrived, taken, next };
        let expected = [Done::Right, Done::Wrong, Done::Wrong, Done::Hashed(None)];
        for (ticket, expected) in tickets.into_iter().zip(expected) {
            assert!(!desk.is_quiet());
            assert_eq!(desk.take(), Some((ticket.unwrap(), expected)));
        }
        assert!(desk.is_quiet() && desk.take().is_none());
    }

    #[test]
    fn guessing_is_slowed_down_even_with_the_right_one() {
        let mut throttle = Throttle::default();
        for _ in 0..super::super::limits::USER_FAILURES {
            throttle.failed("u", IpAddr::from([192, 0, 2, 1]), 0);
        }
        let hashed = password::hash("right").unwrap();
        let early = carry_out(check("right", Some(&hashed), 0), &mut throttle, None);
        assert_eq!(early, Done::Throttled);
        let later = carry_out(check("right", Some(&hashed), 60_000), &mut throttle, None);
        assert_eq!(later, Done::Right);
    }
}
