//! What the open API asks of the config module (`http-api.md` 2, 5, 6).
//!
//! Reads are plain functions over the tables, for any core. What changes something or waits for a
//! change goes through the home side of the core it came to, with the rules of the other wire.

use crate::config::accept::{self, Asker, Part};
use crate::config::answer::group_key;
use crate::config::entry::{Entry, Gray, Variant};
use crate::config::gray::Labels;
use crate::config::inquiry::Inquiry;
use crate::config::listen::Listener;
use crate::config::md5::Md5;
use crate::config::poll::Poll;
use crate::config::rules::Rules;
use crate::config::table::Tables;
use crate::conns::connection::Connection;
use crate::durable::command::{CapacityDraft, Command, NamespaceDraft, Scope, Sizes};
use crate::home::{HomeState, Turn};
use crate::key::{ConfigKey, ConfigName, Core, Owner};
use crate::message::{Ask, Purpose, Waiter};
use crate::naming::check::is_blank;
use crate::naming::open::{Answer, Refused};
use bytes::Bytes;
use nacre_proto::code::Code;
use nacre_proto::config::{ConfigPublishRequest, ConfigRemoveRequest};
use std::sync::Arc;

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Publish {
        request: Box<ConfigPublishRequest<'static>>,
        by: By,
    },
    Remove {
        request: Box<ConfigRemoveRequest<'static>>,
        by: By,
    },
    /// Compare, and wait for a change.
    Poll(Box<Poll>),
    /// Make or change a namespace.
    Namespace {
        id: Box<str>,
        name: Box<str>,
        description: Box<str>,
        /// It must be there; otherwise it must not.
        exists: bool,
    },
    /// Set a quota.
    Capacity {
        scope: Scope,
        id: Box<str>,
        sizes: Sizes,
    },
    /// Whoever held the ticket has gone: his poll ends, nothing is answered.
    Leave,
    /// Who listens on this core, answered with how many cores there are.
    Listeners {
        core: Core,
        of: Of,
    },
    /// What clients of this core say of themselves.
    Inquire {
        core: Core,
        inquiry: Inquiry,
    },
}

/// Who changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    pub client_ip: Box<str>,
    /// Empty where nobody had to prove who he is.
    pub user: Box<str>,
}

/// Whose listeners are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// Addresses that listen to a config, with what they have.
    Config(ConfigKey),
    /// Configs an address listens to, with what it has.
    Client(Box<str>),
}

/// What a read asks for; blank parts are absent.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// dataId, group, tenant.
    pub parts: [Part<'a>; 3],
    /// This tag's variant and nothing else.
    pub tag: Part<'a>,
    /// The label of whoever asks: this tag's variant if there is one.
    pub auto_tag: Part<'a>,
    pub client_ip: &'a str,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    Formal(Arc<Entry>),
    /// The variant at this place.
    Gray(Arc<Entry>, usize),
    Nothing,
    /// A tag was asked for that has no variant.
    NoSuchTag,
}

impl Found {
    /// What the client is to see.
    pub fn variant(&self) -> Option<&Variant> {
        match self {
            Found::Formal(entry) => entry.formal.as_ref(),
            Found::Gray(entry, at) => entry.grays.get(*at).map(|gray| &gray.variant),
            Found::Nothing | Found::NoSuchTag => None,
        }
    }

    /// The gray variant it is, if it is one.
    pub fn gray(&self) -> Option<&Gray> {
        match self {
            Found::Gray(entry, at) => entry.grays.get(*at),
            _ => None,
        }
    }
}

/// One config as this client is to see it, on any core.
///
/// # Errors
/// The name is illegal, or the log was not replayed yet.
pub fn find(tables: &Tables, rules: &Rules, question: &Question<'_>) -> Result<Found, Refused> {
    let given = |part: Part<'_>| part.is_some_and(|part| !is_blank(part));
    let asked = question.tag.filter(|_| given(question.tag));
    let label = question.auto_tag.filter(|_| given(question.auto_tag));
    accept::tag(asked)?;
    let Some(entry) = entry(tables, rules, question.parts)? else {
        return Ok(if asked.is_some() { Found::NoSuchTag } else { Found::Nothing });
    };
    let labels = Labels { client_ip: question.client_ip, tag: asked.or(label) };
    let gray = entry.grays.iter().position(|gray| gray.rule().matches(labels));
    Ok(match gray {
        Some(at) => Found::Gray(entry, at),
        None if asked.is_some() => Found::NoSuchTag,
        None if entry.formal.is_some() => Found::Formal(entry),
        None => Found::Nothing,
    })
}

/// All there is of one config.
///
/// # Errors
/// As [`find`].
pub fn entry(
    tables: &Tables,
    rules: &Rules,
    parts: [Part<'_>; 3],
) -> Result<Option<Arc<Entry>>, Refused> {
    let name = accept::named(parts, rules)?;
    serving(tables)?;
    Ok(tables.get(name))
}

/// Before the log was replayed, "no such config" would be a lie that costs clients what they have.
///
/// # Errors
/// 503 until then.
pub fn serving(tables: &Tables) -> Result<(), Refused> {
    match tables.is_ready() {
        true => Ok(()),
        false => Err(Refused::busy("server is STARTING now, please try again later!")),
    }
}

/// What a refusal of the replicated state means on this wire.
pub fn refused(refused: crate::durable::answer::Refused) -> Refused {
    let status = match refused.code {
        Code::GrayOverMaxVersion | Code::NamespaceAlreadyExist => 400,
        Code::NamespaceNotExist => 404,
        // A conflict, and whatever else the reference throws from its storage.
        _ => 500,
    };
    Refused::new(status, refused.code, refused.text)
}

impl HomeState {
    /// One call about configs; its answer leaves now or later.
    pub(crate) fn config_open(
        &mut self,
        ticket: u32,
        call: Call,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        match call {
            Call::Publish { request, by } => {
                let asker = Asker { client_ip: &by.client_ip, user: &by.user, now: turn.now };
                let command = accept::publish(&request, &self.settings.config, asker)?;
                self.counters.configs.publishes += 1;
                self.propose_open(ticket, command, turn)
            }
            Call::Remove { request, by } => {
                let asker = Asker { client_ip: &by.client_ip, user: &by.user, now: turn.now };
                let command = accept::remove(&request, &self.settings.config, asker)?;
                self.counters.configs.removes += 1;
                self.propose_open(ticket, command, turn)
            }
            Call::Namespace { id, name, description, exists } => {
                let (id, name, description) = (&*id, &*name, &*description);
                let draft = NamespaceDraft { at_ms: turn.now.unix_ms, id, name, description };
                let command = match exists {
                    true => Command::UpdateNamespace(draft),
                    false => Command::CreateNamespace(draft),
                };
                self.propose_open(ticket, command.encode(), turn)
            }
            Call::Capacity { scope, id, sizes } => {
                let draft = CapacityDraft { at_ms: turn.now.unix_ms, scope, id: &id, sizes };
                self.propose_open(ticket, Command::SetCapacity(draft).encode(), turn)
            }
            Call::Poll(poll) => self.poll(ticket, *poll, turn),
            Call::Leave => {
                self.polls.leave(ticket);
                Ok(())
            }
            Call::Listeners { core, of } => {
                let waiter = Waiter::of_ticket(self.table.home(), ticket);
                self.ask_core(core, Ask::Listeners { waiter, of: Box::new(of) }, turn)
            }
            Call::Inquire { core, inquiry } => {
                let waiter = Waiter::of_ticket(self.table.home(), ticket);
                self.ask_core(core, Ask::Inquire { waiter, inquiry: Box::new(inquiry) }, turn)
            }
        }
    }

    fn ask_core(&mut self, core: Core, ask: Ask, turn: &mut Turn<'_>) -> Result<(), Refused> {
        if core.0 >= self.map.cores {
            return Err(Refused::invalid("there is no such core"));
        }
        let to = Owner(core);
        if !self.lanes.has_room(to, turn) {
            return Err(Refused::busy("Server is busy, please try again later."));
        }
        self.lanes.send(to, ask, turn);
        Ok(())
    }

    /// Sends a command to the Raft core; its answer is an [`Answer::Proposed`].
    pub(crate) fn propose_open(
        &mut self,
        ticket: u32,
        command: Bytes,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let durable = self.map.durable();
        if !self.lanes.has_room(durable, turn) {
            return Err(Refused::busy("Server is busy, please try again later."));
        }
        let waiter = Waiter::of_ticket(self.table.home(), ticket);
        self.lanes.send(durable, Ask::Propose { waiter, purpose: Purpose::Open, command }, turn);
        Ok(())
    }

    /// Who on this core listens: connections and held polls. An address that listens more than
    /// once is there more than once. Costs a walk through what it is about.
    pub(crate) fn listeners_of(&self, of: &Of) -> Answer {
        let mut found = Vec::new();
        match of {
            Of::Config(key) => {
                if let Some(config) = self.listeners.config(key) {
                    for index in &self.listeners.configs[config].listeners {
                        let listener = &self.listeners.records[*index];
                        let connection = self.table.at(listener.conn);
                        let ip = connection.map(Connection::client_ip_text).unwrap_or_default();
                        found.push((ip, md5_text(listener)));
                    }
                }
                self.polls.waiting_for(key, |ip, md5| found.push((ip.to_owned(), md5)));
            }
            Of::Client(ip) => {
                let is_theirs = |listener: &Listener| {
                    let connection = self.table.at(listener.conn);
                    connection.is_some_and(|connection| *connection.client_ip_text() == **ip)
                };
                for (_, listener) in self.listeners.records.iter() {
                    if is_theirs(listener) {
                        let key = &self.listeners.configs[listener.config].key;
                        found.push((group_key(key), md5_text(listener)));
                    }
                }
                self.polls.waits_of(ip, |key, md5| found.push((group_key(key), md5)));
            }
        }
        Answer::Listeners { cores: self.map.cores, found }
    }
}

/// As the client said it; empty for nothing.
pub(crate) fn md5_of(md5: Option<Md5>) -> String {
    let hex = md5.map(|md5| md5.hex().to_vec()).unwrap_or_default();
    String::from_utf8(hex).expect("digits")
}

fn md5_text(listener: &Listener) -> String {
    md5_of(listener.md5)
}

/// A config that is not as a poll has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub key: ConfigKey,
    /// The poll named its tenant.
    pub with_tenant: bool,
}

impl Changed {
    /// Its parts; the namespace empty where the poll named none.
    pub fn name(&self) -> ConfigName<'_> {
        let name = self.key.name();
        let namespace = if self.with_tenant { name.namespace } else { "" };
        ConfigName { namespace, ..name }
    }
}
