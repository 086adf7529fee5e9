//! Commands: what is proposed to Raft, kept in its log for as long as the log is, and applied once.
//!
//! Version and kind are the first two bytes. A command of a version or kind this build does not
//! know is answered with a refusal by every node that does not know it; so a new kind may only be
//! proposed once all nodes know it (`cluster` keeps that promise).

use crate::config::details::Details;
use crate::config::gray::Rule;
use crate::config::md5::Md5;
use crate::durable::codec::{Reader, Unreadable, Writer};
use crate::durable::identity::change::Change;
use crate::durable::naming;
use crate::key::ConfigName;
use bytes::Bytes;

/// First byte of every command of this form.
const VERSION: u8 = 1;

/// Bytes of a command beside its content and names, at most so many are guessed.
const OVERHEAD_BYTES: usize = 256;

/// One change of the replicated state, borrowed from the log or from a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    Publish(Publish<'a>),
    Remove(Remove<'a>),
    CreateNamespace(NamespaceDraft<'a>),
    /// Name and description of one that exists.
    UpdateNamespace(NamespaceDraft<'a>),
    DeleteNamespace {
        id: &'a str,
    },
    /// Drops history older than this; one command drops a bounded number.
    SweepHistory {
        before_ms: u64,
    },
    SetCapacity(CapacityDraft<'a>),
    /// Users, roles, permissions.
    Identity(Change<'a>),
    /// Services, persistent instances, what administrators want of instances.
    Naming(naming::Change<'a>),
    /// Sets a switch of naming for all nodes.
    SetSwitch {
        entry: &'a str,
        value: &'a str,
    },
}

/// Publishes the formal config or a gray variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Unix milliseconds by the clock of who proposes it.
    pub at_ms: u64,
    pub limits: Limits,
    pub name: ConfigName<'a>,
    /// `None`: the formal config.
    pub gray: Option<GrayDraft<'a>>,
    /// Blank: whatever is there now; else only over content of this md5.
    pub cas_md5: &'a str,
    pub md5: Md5,
    pub details: Details<'a>,
    pub content: &'a str,
}

/// Which gray variant, and who sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrayDraft<'a> {
    pub name: &'a str,
    pub rule: Rule<'a>,
}

/// Removes the formal config or a gray variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remove<'a> {
    pub at_ms: u64,
    pub limits: Limits,
    pub name: ConfigName<'a>,
    /// Blank: the formal config; else a gray variant's name, or the tag it was made for.
    pub gray: &'a str,
    pub source_user: &'a str,
    pub source_ip: &'a str,
}

/// A namespace as it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamespaceDraft<'a> {
    pub at_ms: u64,
    pub id: &'a str,
    pub name: &'a str,
    pub description: &'a str,
}

/// A quota as it is to be. 0 stands for the setting's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapacityDraft<'a> {
    pub at_ms: u64,
    pub scope: Scope,
    /// Of the namespace or group.
    pub id: &'a str,
    pub sizes: Sizes,
}

/// What a quota is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    Namespace = 1,
    Group = 2,
}

/// The numbers of a quota; 0 stands for the setting's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Configs.
    pub quota: u32,
    /// Bytes of one content.
    pub content_bytes: u32,
    pub aggregate_count: u32,
    pub aggregate_bytes: u32,
}

/// The limits in force where a command was proposed: settings may differ between nodes, what a
/// command does may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Gray variants of one config.
    pub grays_max: u32,
    /// Entries of history of one config.
    pub history_entries_max: u32,
    /// Bytes of all history.
    pub history_bytes_max: u64,
    /// `None`: capacity is not enforced.
    pub quotas: Option<Quotas>,
}

/// Capacity where it is enforced, for whoever has no quota of his own (`config.md` 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Configs of the whole cluster.
    pub cluster: u32,
    /// Configs of one namespace.
    pub namespace: u32,
    /// Bytes of one content.
    pub content_bytes: u32,
}

impl<'a> Command<'a> {
    const fn kind(&self) -> u8 {
        match self {
            Command::Publish(_) => 1,
            Command::Remove(_) => 2,
            Command::CreateNamespace(_) => 3,
            Command::UpdateNamespace(_) => 4,
            Command::DeleteNamespace { .. } => 5,
            Command::SweepHistory { .. } => 6,
            Command::SetCapacity(_) => 7,
            Command::Identity(_) => 16,
            Command::Naming(_) => 17,
            Command::SetSwitch { .. } => 32,
        }
    }

    /// As it is proposed and kept in the log. One copy of the content.
    pub fn encode(&self) -> Bytes {
        let content = match self {
            Command::Publish(publish) => publish.content.len() + publish.details.schema.len(),
            _ => 0,
        };
        let mut writer = Writer::with_capacity(content + OVERHEAD_BYTES);
        writer.u8(VERSION);
        writer.u8(self.kind());
        match self {
            Command::Publish(publish) => publish.write(&mut writer),
            Command::Remove(remove) => remove.write(&mut writer),
            Command::CreateNamespace(draft) | Command::UpdateNamespace(draft) => {
                draft.write(&mut writer);
            }
            Command::DeleteNamespace { id } => writer.text(id),
            Command::SweepHistory { before_ms } => writer.u64(*before_ms),
            Command::SetCapacity(draft) => draft.write(&mut writer),
            Command::Identity(change) => change.write(&mut writer),
            Command::Naming(change) => change.write(&mut writer),
            Command::SetSwitch { entry, value } => {
                writer.text(entry);
                writer.text(value);
            }
        }
        writer.finish().into()
    }

    /// Reads what [`Command::encode`] wrote.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err("a command of a version this build does not know");
        }
        let kind = reader.u8()?;
        let reader = &mut reader;
        let command = match kind {
            1 => Command::Publish(Publish::read(reader)?),
            2 => Command::Remove(Remove::read(reader)?),
            3 => Command::CreateNamespace(NamespaceDraft::read(reader)?),
            4 => Command::UpdateNamespace(NamespaceDraft::read(reader)?),
            5 => Command::DeleteNamespace { id: reader.text()? },
            6 => Command::SweepHistory { before_ms: reader.u64()? },
            7 => Command::SetCapacity(CapacityDraft::read(reader)?),
            16 => Command::Identity(Change::read(reader)?),
            17 => Command::Naming(naming::Change::read(reader)?),
            32 => Command::SetSwitch { entry: reader.text()?, value: reader.text()? },
            _ => return Err("a command of a kind this build does not know"),
        };
        reader.finish()?;
        Ok(command)
    }
}

pub(crate) fn write_name(name: ConfigName<'_>, writer: &mut Writer) {
    writer.text(name.data_id);
    writer.text(name.group);
    writer.text(name.namespace);
}

pub(crate) fn read_name<'a>(reader: &mut Reader<'a>) -> Result<ConfigName<'a>, Unreadable> {
    let name =
        ConfigName { data_id: reader.text()?, group: reader.text()?, namespace: reader.text()? };
    if name.fits() { Ok(name) } else { Err("a config's name over 65,535 bytes, or with a NUL") }
}

impl<'a> Publish<'a> {
    fn write(&self, writer: &mut Writer) {
        writer.u64(self.at_ms);
        self.limits.write(writer);
        write_name(self.name, writer);
        match &self.gray {
            None => writer.u8(0),
            Some(gray) => {
                writer.u8(1);
                writer.text(gray.name);
                gray.rule.write(writer);
            }
        }
        writer.text(self.cas_md5);
        writer.raw(&self.md5.0);
        self.details.write(writer);
        writer.text(self.content);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        Ok(Self {
            at_ms: reader.u64()?,
            limits: Limits::read(reader)?,
            name: read_name(reader)?,
            gray: match reader.u8()? {
                0 => None,
                1 => Some(GrayDraft { name: reader.text()?, rule: Rule::read(reader)? }),
                _ => return Err("neither a formal nor a gray publish"),
            },
            cas_md5: reader.text()?,
            md5: Md5(reader.array()?),
            details: Details::read(reader)?,
            content: reader.text()?,
        })
    }
}

impl<'a> Remove<'a> {
    fn write(&self, writer: &mut Writer) {
        writer.u64(self.at_ms);
        self.limits.write(writer);
        write_name(self.name, writer);
        writer.text(self.gray);
        writer.text(self.source_user);
        writer.text(self.source_ip);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        Ok(Self {
            at_ms: reader.u64()?,
            limits: Limits::read(reader)?,
            name: read_name(reader)?,
            gray: reader.text()?,
            source_user: reader.text()?,
            source_ip: reader.text()?,
        })
    }
}

impl<'a> NamespaceDraft<'a> {
    fn write(&self, writer: &mut Writer) {
        writer.u64(self.at_ms);
        writer.text(self.id);
        writer.text(self.name);
        writer.text(self.description);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        Ok(Self {
            at_ms: reader.u64()?,
            id: reader.text()?,
            name: reader.text()?,
            description: reader.text()?,
        })
    }
}

impl<'a> CapacityDraft<'a> {
    fn write(&self, writer: &mut Writer) {
        writer.u64(self.at_ms);
        writer.u8(self.scope as u8);
        writer.text(self.id);
        self.sizes.write(writer);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let at_ms = reader.u64()?;
        let scope = Scope::of(reader.u8()?)?;
        Ok(Self { at_ms, scope, id: reader.text()?, sizes: Sizes::read(reader)? })
    }
}

impl Scope {
    pub(crate) fn of(number: u8) -> Result<Self, Unreadable> {
        match number {
            1 => Ok(Scope::Namespace),
            2 => Ok(Scope::Group),
            _ => Err("a quota of neither a namespace nor a group"),
        }
    }
}

impl Sizes {
    pub(crate) fn write(&self, writer: &mut Writer) {
        for size in [self.quota, self.content_bytes, self.aggregate_count, self.aggregate_bytes] {
            writer.u64(u64::from(size));
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            quota: reader.u32()?,
            content_bytes: reader.u32()?,
            aggregate_count: reader.u32()?,
            aggregate_bytes: reader.u32()?,
        })
    }
}

impl Limits {
    fn write(&self, writer: &mut Writer) {
        writer.u64(u64::from(self.grays_max));
        writer.u64(u64::from(self.history_entries_max));
        writer.u64(self.history_bytes_max);
        match self.quotas {
            None => writer.u8(0),
            Some(quotas) => {
                writer.u8(1);
                writer.u64(u64::from(quotas.cluster));
                writer.u64(u64::from(quotas.namespace));
                writer.u64(u64::from(quotas.content_bytes));
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            grays_max: reader.u32()?,
            history_entries_max: reader.u32()?,
            history_bytes_max: reader.u64()?,
            quotas: match reader.u8()? {
                0 => None,
                1 => Some(Quotas {
                    cluster: reader.u32()?,
                    namespace: reader.u32()?,
                    content_bytes: reader.u32()?,
                }),
                _ => return Err("quotas neither there nor absent"),
            },
        })
    }
}

#[cfg(test)]
mod tests;
