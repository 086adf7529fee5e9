//! Who owns what: the one hash from a service to its slot, and from a slot to its core.

use std::fmt;
use std::sync::Arc;

/// Index of a core of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Core(pub u16);

/// The core that accepted a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Home(pub Core);

/// The core that holds a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(pub Core);

/// A connection of one home core: the slot it sits in, and which tenant of that slot it is.
/// Lives on the home core; other cores only carry it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnKey {
    pub home: Home,
    pub slot: u32,
    pub generation: u32,
}

impl ConnKey {
    /// Stands for a client without a connection: one that lives by beats, by its record on the
    /// owner core. No core has this number, so no connection's key is equal.
    pub const fn of_beats(slot: u32, generation: u32) -> Self {
        Self { home: Home(Core(u16::MAX)), slot, generation }
    }

    /// Whether it is one of [`ConnKey::of_beats`].
    pub const fn is_of_beats(self) -> bool {
        self.home.0.0 == u16::MAX
    }

    /// Stands for whoever waits for the answer of a call without a connection, on its home core.
    /// No connection sits in this slot.
    pub const fn of_ticket(home: Home, ticket: u32) -> Self {
        Self { home, slot: u32::MAX, generation: ticket }
    }

    /// The ticket of [`ConnKey::of_ticket`].
    pub const fn ticket(self) -> Option<u32> {
        match self.slot {
            u32::MAX => Some(self.generation),
            _ => None,
        }
    }
}

/// (namespace, group, service): the identity of a service. Cheap to clone, safe to send.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    /// `namespace@@group@@service`, the form fuzzy watch and logs use.
    text: Arc<str>,
    namespace_bytes: u16,
    group_bytes: u16,
}

impl ServiceKey {
    /// Joins the three parts. Parts were checked by `naming::check` (≤ 64, 128, 512 characters).
    pub fn new(namespace: &str, group: &str, service: &str) -> Self {
        let mut text = String::with_capacity(namespace.len() + group.len() + service.len() + 4);
        text.push_str(namespace);
        text.push_str("@@");
        text.push_str(group);
        text.push_str("@@");
        text.push_str(service);
        Self {
            text: text.into(),
            namespace_bytes: u16::try_from(namespace.len()).expect("checked length"),
            group_bytes: u16::try_from(group.len()).expect("checked length"),
        }
    }

    /// `namespace@@group@@service`.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn namespace(&self) -> &str {
        &self.text[..self.namespace_bytes as usize]
    }

    pub fn group(&self) -> &str {
        let start = self.namespace_bytes as usize + 2;
        &self.text[start..start + self.group_bytes as usize]
    }

    /// The plain service name.
    pub fn service(&self) -> &str {
        &self.text[self.namespace_bytes as usize + self.group_bytes as usize + 4..]
    }

    /// Its slot. Some 50 ns.
    pub fn slot(&self) -> u32 {
        slot_of(&self.text)
    }

    /// `group@@service`, as `hosts[].serviceName` has it.
    pub fn grouped(&self) -> &str {
        &self.text[self.namespace_bytes as usize + 2..]
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The three parts of a config's identity, borrowed. In this order configs are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigName<'a> {
    pub data_id: &'a str,
    pub group: &'a str,
    /// Never blank: `public` is spelled out.
    pub namespace: &'a str,
}

impl ConfigName<'_> {
    /// What the tables of configs are ordered by, within a slot too: comparing two numbers touches
    /// no text. Names of equal hash are told apart.
    pub fn hash(&self) -> u64 {
        hash_of_pieces([self.data_id, "+", self.group, "+", self.namespace])
    }

    /// The slot of the tables of configs.
    pub fn slot(&self) -> u32 {
        slot_of_hash(self.hash())
    }

    /// Whether each part can be part of a key: not too long, and without NUL, which stands between
    /// the parts of names in order.
    pub fn fits(&self) -> bool {
        let fits = |part: &str| part.len() <= usize::from(u16::MAX) && !part.contains('\0');
        [self.data_id, self.group, self.namespace].into_iter().all(fits)
    }
}

/// The identity of a config, kept. Cheap to clone, safe to send.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConfigKey {
    /// `dataId+group+namespace`: the group key of the wire, but without escapes.
    text: Arc<str>,
    data_id_bytes: u16,
    group_bytes: u16,
}

impl ConfigKey {
    /// Joins the parts, of which [`ConfigName::fits`] is true.
    pub fn new(name: ConfigName<'_>) -> Self {
        let ConfigName { data_id, group, namespace } = name;
        let mut text = String::with_capacity(data_id.len() + group.len() + namespace.len() + 2);
        text.push_str(data_id);
        text.push('+');
        text.push_str(group);
        text.push('+');
        text.push_str(namespace);
        Self {
            text: text.into(),
            data_id_bytes: u16::try_from(data_id.len()).expect("checked length"),
            group_bytes: u16::try_from(group.len()).expect("checked length"),
        }
    }

    /// Its parts.
    pub fn name(&self) -> ConfigName<'_> {
        let (data_id, rest) = self.text.split_at(usize::from(self.data_id_bytes));
        let (group, rest) = rest[1..].split_at(usize::from(self.group_bytes));
        ConfigName { data_id, group, namespace: &rest[1..] }
    }
}

impl Ord for ConfigKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name().cmp(&other.name())
    }
}

impl PartialOrd for ConfigKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Slots are the unit of ownership here and of comparison between nodes; fixed for ever.
pub const SLOTS: u32 = 4096;

/// A service's slot: FNV-1a over its text, folded. The same on every node of every version.
pub fn slot_of(text: &str) -> u32 {
    slot_of_hash(hash_of_pieces([text]))
}

/// FNV-1a of the pieces joined.
fn hash_of_pieces<const N: usize>(pieces: [&str; N]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in pieces.into_iter().flat_map(str::as_bytes) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// The slot of what has this [`ConfigName::hash`].
pub fn slot_of_hash(hash: u64) -> u32 {
    ((hash ^ (hash >> 32)) % u64::from(SLOTS)) as u32
}

/// How slots map to the cores of this node.
#[derive(Debug, Clone, Copy)]
pub struct Map {
    pub cores: u16,
}

impl Map {
    pub(crate) fn core_of_slot(self, slot: u32) -> Core {
        Core((slot * u32::from(self.cores) / SLOTS) as u16)
    }

    /// The core that holds this service.
    pub fn owner(self, service: &ServiceKey) -> Owner {
        Owner(self.core_of_slot(slot_of(service.text())))
    }

    /// The core that runs Raft and applies what it committed: the last one.
    pub fn durable(self) -> Owner {
        Owner(Core(self.cores - 1))
    }

    /// The core that holds the names of a namespace: service lists and fuzzy watches.
    pub fn directory(self, namespace: &str) -> Owner {
        Owner(self.core_of_slot(slot_of(namespace)))
    }
}
