//! What each client has of each config it listens to, and what it asks next: Java's listen loop
//! as a small machine, 8 bytes a listener.

use std::collections::HashMap;

/// The sequence of who has nothing yet.
const NOTHING: u32 = u32::MAX;

/// What a listener does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Rest,
    /// Ask whether what one has (nothing at first) is the newest.
    Listen(Option<u64>),
    Query,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Resting,
    Listening,
    Querying,
}

/// One client and one config.
#[derive(Debug, Clone, Copy)]
struct Listener {
    sequence: u32,
    doing: Doing,
    /// Notified while asking: asks once more.
    again: bool,
}

const _: () = assert!(size_of::<Listener>() == 8);

/// A change on its way.
#[derive(Debug)]
struct Pending {
    began_ns: u64,
    sequence: u64,
    answered: bool,
    notified: Vec<bool>,
    known: Vec<bool>,
    left: usize,
    /// Who was neither notified nor found it by asking.
    untold: usize,
}

/// A change that one more listener has now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) began_ns: u64,
    pub(super) was_last: bool,
}

/// Everybody's state, and the truth.
#[derive(Debug)]
pub(super) struct Listeners {
    each: usize,
    clients: usize,
    configs: usize,
    listeners: Vec<Listener>,
    /// The newest sequence of each config.
    newest: Vec<u32>,
    pending: HashMap<usize, Pending>,
}

impl Listeners {
    pub(super) fn new(clients: usize, each: usize, configs: usize) -> Self {
        let listener = Listener { sequence: NOTHING, doing: Doing::Listening, again: false };
        Self {
            each,
            clients,
            configs,
            listeners: vec![listener; clients * each],
            newest: vec![0; configs],
            pending: HashMap::new(),
        }
    }

    /// The config a client listens to.
    pub(super) fn config(&self, client: usize, at: usize) -> usize {
        (client * self.each + at) % self.configs
    }

    /// Which of a client's configs it is.
    pub(super) fn find(&self, client: usize, config: usize) -> Option<usize> {
        (0..self.each).find(|at| self.config(client, *at) == config)
    }

    /// Which of a config's listeners a client is.
    fn place(&self, client: usize, at: usize) -> usize {
        (client * self.each + at) / self.configs
    }

    fn listeners_of(&self, config: usize) -> usize {
        (self.clients * self.each).saturating_sub(config).div_ceil(self.configs)
    }

    /// The sequence of a config's next content; none while the last is on its way.
    pub(super) fn next_sequence(&self, config: usize) -> Option<u64> {
        let is_free = !self.pending.contains_key(&config);
        is_free.then(|| u64::from(self.newest[config]) + 1)
    }

    /// A new content is sent.
    pub(super) fn begin(&mut self, config: usize, sequence: u64, began_ns: u64) {
        self.newest[config] = sequence as u32;
        let left = self.listeners_of(config);
        let (notified, known) = (vec![false; left], vec![false; left]);
        let (answered, untold) = (false, left);
        let pending = Pending { began_ns, sequence, answered, notified, known, left, untold };
        self.pending.insert(config, pending);
    }

    /// The publish is answered.
    pub(super) fn answered(&mut self, config: usize) {
        if let Some(pending) = self.pending.get_mut(&config) {
            pending.answered = true;
            if pending.left == 0 {
                self.pending.remove(&config);
            }
        }
    }

    /// The server says something changed: what to do, and how long the change was on its way if
    /// this is the first to be heard of it.
    pub(super) fn notified(&mut self, client: usize, at: usize) -> (Step, Option<Heard>) {
        let (config, place) = (self.config(client, at), self.place(client, at));
        let pending = self.pending.get_mut(&config);
        let fresh = pending.filter(|pending| !pending.notified[place] && !pending.known[place]);
        let heard = fresh.map(|pending| {
            pending.notified[place] = true;
            pending.untold -= 1;
            Heard { began_ns: pending.began_ns, was_last: pending.untold == 0 }
        });
        let listener = &mut self.listeners[client * self.each + at];
        if listener.doing != Doing::Resting {
            listener.again = true;
            return (Step::Rest, heard);
        }
        (listener.listen(), heard)
    }

    /// The answer to a listen: whether there is something newer.
    pub(super) fn listened(&mut self, client: usize, at: usize, differs: bool) -> Step {
        let listener = &mut self.listeners[client * self.each + at];
        if differs {
            listener.doing = Doing::Querying;
            return Step::Query;
        }
        if std::mem::take(&mut listener.again) {
            return listener.listen();
        }
        listener.doing = Doing::Resting;
        Step::Rest
    }

    /// The answer to a query, if it was a good one. Then the server is asked once more.
    pub(super) fn queried(
        &mut self,
        client: usize,
        at: usize,
        sequence: Option<u64>,
    ) -> (Step, Option<Heard>) {
        let (config, place) = (self.config(client, at), self.place(client, at));
        let listener = &mut self.listeners[client * self.each + at];
        let Some(sequence) = sequence else {
            listener.doing = Doing::Resting;
            return (Step::Rest, None);
        };
        listener.sequence = sequence as u32;
        (listener.listen(), self.heard(config, place, sequence))
    }

    fn heard(&mut self, config: usize, place: usize, sequence: u64) -> Option<Heard> {
        let pending = self.pending.get_mut(&config)?;
        if sequence < pending.sequence || std::mem::replace(&mut pending.known[place], true) {
            return None;
        }
        pending.left -= 1;
        pending.untold -= usize::from(!pending.notified[place]);
        let (began_ns, was_last) = (pending.began_ns, pending.left == 0);
        if was_last && pending.answered {
            self.pending.remove(&config);
        }
        Some(Heard { began_ns, was_last })
    }

    /// The low 16 bits of the sequence a client has; zero for none, before which nothing is.
    pub(super) fn had(&self, client: usize, at: usize) -> u16 {
        match self.listeners[client * self.each + at].sequence {
            NOTHING => 0,
            sequence => sequence as u16,
        }
    }

    /// Listeners without the newest content, among clients that are still there.
    pub(super) fn behind(&self, mut is_there: impl FnMut(u32) -> bool) -> usize {
        let mut behind = 0;
        for client in 0..self.clients {
            let wrong = |at: &usize| {
                let newest = self.newest[self.config(client, *at)];
                self.listeners[client * self.each + at].sequence != newest
            };
            let count = (0..self.each).filter(wrong).count();
            behind += if count > 0 && is_there(client as u32) { count } else { 0 };
        }
        behind
    }
}

impl Listener {
    fn listen(&mut self) -> Step {
        self.doing = Doing::Listening;
        Step::Listen((self.sequence != NOTHING).then_some(u64::from(self.sequence)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_asks_until_nothing_differs() {
        let mut all = Listeners::new(1, 1, 1);
        assert_eq!(all.behind(|_| true), 1);
        assert_eq!(all.listened(0, 0, true), Step::Query);
        let (step, heard) = all.queried(0, 0, Some(0));
        assert_eq!((step, heard), (Step::Listen(Some(0)), None));
        assert_eq!(all.listened(0, 0, false), Step::Rest);
        assert_eq!(all.behind(|_| true), 0);
        all.begin(0, all.next_sequence(0).unwrap(), 70);
        assert_eq!((all.next_sequence(0), all.behind(|_| true)), (None, 1));
        let heard = Some(Heard { began_ns: 70, was_last: true });
        assert_eq!(all.notified(0, 0), (Step::Listen(Some(0)), heard));
        assert_eq!(all.notified(0, 0), (Step::Rest, None), "already asking");
        assert_eq!(all.listened(0, 0, true), Step::Query);
        let (step, heard) = all.queried(0, 0, Some(1));
        assert_eq!(heard, Some(Heard { began_ns: 70, was_last: true }));
        assert_eq!(step, Step::Listen(Some(1)));
        assert_eq!(all.listened(0, 0, false), Step::Listen(Some(1)), "notified meanwhile");
        assert_eq!(all.listened(0, 0, false), Step::Rest);
        assert_eq!(all.next_sequence(0), None, "the publish is not answered");
        all.answered(0);
        assert_eq!(all.next_sequence(0), Some(2));
        assert_eq!(all.had(0, 0), 1);
    }

    #[test]
    fn the_last_notification_is_of_who_was_not_told_otherwise() {
        let mut all = Listeners::new(3, 1, 1);
        (0..3).for_each(|client| assert_eq!(all.listened(client, 0, false), Step::Rest));
        all.begin(0, 1, 70);
        let was_last = |heard: Option<Heard>| heard.map(|heard| heard.was_last);
        assert_eq!(was_last(all.notified(2, 0).1), Some(false));
        assert_eq!(was_last(all.notified(2, 0).1), None, "told twice");
        assert_eq!(was_last(all.queried(0, 0, Some(1)).1), Some(false), "found by asking");
        assert_eq!(was_last(all.notified(0, 0).1), None, "knows it already");
        assert_eq!(was_last(all.notified(1, 0).1), Some(true));
    }

    #[test]
    fn every_listener_of_a_config_has_a_place() {
        for (clients, each, configs) in [(7, 3, 5), (10, 1, 1), (4, 2, 100)] {
            let all = Listeners::new(clients, each, configs);
            let mut seen = vec![0; configs];
            for client in 0..clients {
                for at in 0..each {
                    let config = all.config(client, at);
                    assert_eq!(all.find(client, config), Some(at));
                    assert_eq!(all.place(client, at), seen[config]);
                    seen[config] += 1;
                }
            }
            assert!((0..configs).all(|config| seen[config] == all.listeners_of(config)));
        }
    }

    #[test]
    fn a_failed_query_leaves_the_listener_behind() {
        let mut all = Listeners::new(2, 1, 1);
        all.listened(0, 0, true);
        assert_eq!(all.queried(0, 0, None), (Step::Rest, None));
        assert_eq!(all.behind(|client| client == 0), 1);
    }
}
