//! Who listens to what: contexts of this home core's connections, grouped by config.
//!
//! A listen loads the tables, compares and registers in one turn, and changes are told to every
//! core after the tables were swapped: so whoever saw the old content is registered when the news
//! comes. Nothing is asked of another core.

use crate::config::md5::Md5;
use crate::health::wheel::{NO_TICK, Tick};
use crate::home::HomeState;
use crate::home::call::over_limit;
use crate::index::Index;
use crate::key::{ConfigKey, ConnKey};
use crate::limits::{LISTENERS_PER_CONNECTION_MAX, LISTENERS_PER_CORE_MAX};
use crate::naming::accept::Refusal;
use crate::slab::{END, Slab};
use ahash::RandomState;
use std::collections::VecDeque;

/// What a listener is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The next change.
    Idle,
    /// The ack of a notification; while a newer change is held back, that or the end of patience.
    InFlight,
    /// The time of a repetition.
    Delayed,
    /// The right its user had ([`crate::auth::standing`]).
    Withheld,
}

/// One connection listens to one config.
#[derive(Debug)]
pub struct Listener {
    /// What the client said it has.
    pub md5: Option<Md5>,
    /// Slot of the connection.
    pub conn: u32,
    /// Number of the config.
    pub config: u32,
    /// Place in the config's list.
    pub place: u32,
    /// The connection's other listeners.
    pub previous: u32,
    pub next: u32,
    /// Low bits of the number of the last notification, 0 before the first.
    pub number: u32,
    /// Tick of its live entry in the wheel.
    pub timer: Tick,
    /// When `stage` ends by itself; wraps.
    pub deadline: u32,
    pub stage: Stage,
    /// Notifications in a row without an ack.
    pub tries: u8,
    /// A change happened that no notification in flight is about.
    pub owed: bool,
    /// It waits for the ack of an earlier notification.
    pub held: bool,
    /// Is in the list of those to look at.
    pub queued: bool,
    /// The client named no tenant, so notifications name none.
    pub blank_tenant: bool,
}

const _: () = assert!(Slab::<Listener>::ENTRY_BYTES <= 64, "one per client and config");

impl Listener {
    /// Whose it is, and of what.
    fn pair(&self) -> (u32, u32) {
        (self.conn, self.config)
    }
}

/// A config somebody here listens to; there may be no such config.
#[derive(Debug)]
pub struct Listened {
    pub key: ConfigKey,
    /// Its hash, for the trace.
    pub topic: u64,
    pub listeners: Vec<u32>,
    /// Is in the list of those handed out.
    pub fanning: bool,
    /// It changed meanwhile, so another round follows.
    pub again: bool,
    /// Listeners before this place have not been told in this round.
    pub cursor: u32,
}

/// All listeners of one home core.
#[derive(Debug)]
pub struct Listeners {
    pub records: Slab<Listener>,
    pub configs: Slab<Listened>,
    /// By slot and config.
    pairs: Index,
    /// Configs.
    by_key: Index,
    /// Single listeners to look at; may name some that are gone, or others of the same number.
    pub ready: VecDeque<u32>,
    /// Configs with changes to hand out, in turn; as harmless.
    pub fanning: VecDeque<u32>,
}

/// The listeners of one connection.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// [`END`] for none.
    pub first: u32,
    pub count: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: END, count: 0 }
    }
}

/// What a context says about a client.
#[derive(Debug, Clone, Copy)]
pub struct Has {
    pub md5: Option<Md5>,
    pub blank_tenant: bool,
}

impl Listeners {
    pub fn new(hasher: RandomState) -> Self {
        Self {
            records: Slab::default(),
            configs: Slab::default(),
            pairs: Index::new(hasher.clone()),
            by_key: Index::new(hasher),
            ready: VecDeque::new(),
            fanning: VecDeque::new(),
        }
    }

    /// Whether something can be handed out now.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.fanning.is_empty()
    }

    /// Forgets what was to be handed out.
    pub fn stop(&mut self) {
        self.ready = VecDeque::new();
        self.fanning = VecDeque::new();
    }

    /// The number of a config somebody listens to.
    pub fn config(&self, key: &ConfigKey) -> Option<u32> {
        self.by_key.find(key, |at| self.configs[at].key == *key)
    }

    /// The listener of a connection to a config.
    pub fn find(&self, slot: u32, key: &ConfigKey) -> Option<u32> {
        self.find_pair((slot, self.config(key)?))
    }

    fn find_pair(&self, pair: (u32, u32)) -> Option<u32> {
        self.pairs.find(&pair, |at| self.records[at].pair() == pair)
    }

    /// Adds a listener as the first of its connection's list, or takes over what it says now. True:
    /// added.
    fn put(&mut self, slot: u32, list: &mut List, key: ConfigKey, has: Has) -> bool {
        let config = self.config(&key).unwrap_or_else(|| {
            let topic = self.by_key.hasher().hash_one(&key);
            let (listeners, fanning, again, cursor) = (Vec::new(), false, false, 0);
            let listened = Listened { key, topic, listeners, fanning, again, cursor };
            let config = self.configs.insert(listened);
            self.by_key.insert(&self.configs[config].key, config);
            config
        });
        if let Some(index) = self.find_pair((slot, config)) {
            let listener = &mut self.records[index];
            listener.md5 = has.md5;
            listener.blank_tenant = has.blank_tenant;
            if listener.stage == Stage::Withheld {
                // It was let in anew.
                listener.stage = Stage::Idle;
                self.look_at(index);
            }
            return false;
        }
        let listeners = &mut self.configs[config].listeners;
        let index = self.records.insert(Listener {
            md5: has.md5,
            conn: slot,
            config,
            place: listeners.len() as u32,
            previous: END,
            next: list.first,
            number: 0,
            timer: NO_TICK,
            deadline: 0,
            stage: Stage::Idle,
            tries: 0,
            owed: false,
            held: false,
            queued: false,
            blank_tenant: has.blank_tenant,
        });
        listeners.push(index);
        self.pairs.insert(&(slot, config), index);
        if let Some(next) = self.records.get_mut(list.first) {
            next.previous = index;
        }
        list.first = index;
        list.count += 1;
        true
    }

    fn remove(&mut self, index: u32, list: &mut List) {
        let gone = self.records.remove(index).expect("its holder knows it exists");
        self.pairs.remove(&gone.pair(), index);
        if let Some(previous) = self.records.get_mut(gone.previous) {
            previous.next = gone.next;
        }
        if let Some(next) = self.records.get_mut(gone.next) {
            next.previous = gone.previous;
        }
        if list.first == index {
            list.first = gone.next;
        }
        list.count -= 1;
        let listened = &mut self.configs[gone.config];
        listened.listeners.swap_remove(gone.place as usize);
        if let Some(moved) = listened.listeners.get(gone.place as usize) {
            self.records[*moved].place = gone.place;
        }
        if listened.listeners.is_empty() {
            let listened = self.configs.remove(gone.config).expect("looked at above");
            self.by_key.remove(&listened.key, gone.config);
        }
    }

    /// Puts a listener on the list of those to look at.
    pub fn look_at(&mut self, index: u32) {
        let listener = &mut self.records[index];
        if !listener.queued {
            listener.queued = true;
            self.ready.push_back(index);
        }
    }
}

impl HomeState {
    /// Whether a connection may listen to so many more configs. Some of them may be known already,
    /// so a client at its limit is refused a little early, never late.
    pub(crate) fn may_listen(&mut self, conn: ConnKey, more: usize) -> Result<(), Refusal> {
        let links = self.table.get(conn).and_then(|connection| connection.links.as_ref());
        let count = links.map_or(0, |links| links.listeners.count as usize);
        let over = count.saturating_add(more) > LISTENERS_PER_CONNECTION_MAX
            || self.listeners.records.len() + more > LISTENERS_PER_CORE_MAX;
        if over && more > 0 {
            self.counters.configs.listeners_refused += 1;
            return Err(over_limit("Too many configs listened to by this connection."));
        }
        Ok(())
    }

    /// Registers a context. There is room for it.
    pub(crate) fn listen(&mut self, conn: ConnKey, key: ConfigKey, has: Has) {
        let Some(connection) = self.table.get_mut(conn) else { return };
        let list = &mut connection.links.get_or_insert_default().listeners;
        self.listeners.put(conn.slot, list, key, has);
    }

    /// Ends listening to one config.
    pub(crate) fn unlisten(&mut self, conn: ConnKey, key: &ConfigKey) {
        if let Some(index) = self.listeners.find(conn.slot, key)
            && let Some(connection) = self.table.get_mut(conn)
            && let Some(links) = &mut connection.links
        {
            self.listeners.remove(index, &mut links.listeners);
        }
    }

    /// The connection goes, with all it listens to.
    pub(crate) fn unlisten_all(&mut self, mut list: List) {
        while list.first != END {
            self.listeners.remove(list.first, &mut list);
        }
    }
}
