//! What can be asked of the replicated state that the tables do not show: history, namespaces,
//! quotas. Answered on the Raft core; rows of history are read from the disk there.

use crate::config::details::Packed;
use crate::config::entry::Entry;
use crate::config::gray::{RULE_VERSION, Rule, RuleKind};
use crate::config::md5::Md5;
use crate::durable::capacity::Capacity;
use crate::durable::codec::Unreadable;
use crate::durable::command::Scope;
use crate::durable::history::{Lies, Operation};
use crate::durable::namespace::Namespace;
use crate::durable::record;
use crate::durable::state::State;
use crate::key::ConfigKey;
use crate::naming::accept::PUBLIC;
use bytes::Bytes;
use std::sync::Arc;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A page of a config's history, newest first, without contents.
    Page { key: ConfigKey, number: usize, size: usize },
    /// The row of this number, if it is of this config.
    Row { key: ConfigKey, number: u64 },
    /// The newest row of the config's row of this id, or the one before the row of this number.
    Previous { key: ConfigKey, id: u64 },
    /// All namespaces.
    Namespaces,
    /// The quota of a namespace or group.
    Capacity { scope: Scope, id: Box<str> },
}

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    Page {
        total: usize,
        rows: Vec<Past>,
    },
    Row(Option<Box<Past>>),
    /// By id, `public` first; with formal configs.
    Namespaces(Vec<(Box<str>, Namespace, usize)>),
    Capacity(Option<Capacity>),
    /// The rows cannot be read now.
    Unreadable(String),
}

/// One row of history.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    pub number: u64,
    pub operation: Operation,
    /// Unix milliseconds.
    pub at_ms: u64,
    pub key: ConfigKey,
    pub source_user: Box<str>,
    pub source_ip: Box<str>,
    pub gray: Option<PastGray>,
    pub id: u64,
    pub md5: Md5,
    pub details: Packed,
    /// Where the content is: of an insert the new one, else the old.
    pub lies: Lies,
    /// The content, where it was asked for and found.
    pub content: Option<String>,
}

/// The gray variant a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastGray {
    pub name: Box<str>,
    pub kind: RuleKind,
    pub expression: Box<str>,
    pub priority: i32,
}

impl Past {
    /// Key of its record.
    pub fn key(number: u64) -> Bytes {
        record::history_key(number)
    }

    /// Reads a row's record of [`Table::History`](crate::durable::Table::History), and the content
    /// if it is in there.
    ///
    /// # Errors
    /// It is none.
    pub fn read(number: u64, value: &[u8], with_content: bool) -> Result<Self, Unreadable> {
        let (row, lies, _) = record::read_history(value)?;
        let gray = |(name, rule): (&str, Rule<'_>)| PastGray {
            name: name.into(),
            kind: rule.kind,
            expression: rule.expression.into(),
            priority: rule.priority,
        };
        Ok(Self {
            number,
            operation: row.operation,
            at_ms: row.at_ms,
            key: ConfigKey::new(row.name),
            source_user: row.source_user.into(),
            source_ip: row.source_ip.into(),
            gray: row.gray.map(gray),
            id: row.draft.id,
            md5: row.draft.md5,
            details: Packed::of(&row.draft.details),
            lies,
            content: (with_content && lies == Lies::Here).then(|| row.draft.content.to_owned()),
        })
    }

    /// Reads a row's record of [`Table::Past`](crate::durable::Table::Past): the content.
    ///
    /// # Errors
    /// It is none.
    pub fn read_content(value: &[u8]) -> Result<String, Unreadable> {
        record::read_past(value).map(str::to_owned)
    }

    /// Whether a newer row of the same config is of the same variant.
    pub fn is_of_variant(&self, newer: &Past) -> bool {
        let name = |past: &Self| past.gray.as_ref().map(|gray| gray.name.clone());
        name(self) == name(newer)
    }

    /// The content of its variant as the config is.
    pub fn content_in(&self, entry: &Entry) -> Option<String> {
        let variant = match &self.gray {
            None => entry.formal.as_ref(),
            Some(gray) => entry.gray(&gray.name).map(|gray| &gray.variant),
        };
        // Another content's fingerprint: the row between has been lost.
        let same = variant.filter(|variant| variant.md5 == self.md5);
        same.map(|variant| variant.content().into_owned())
    }
}

impl PastGray {
    /// `version` of its rule.
    pub const fn version(&self) -> &'static str {
        RULE_VERSION
    }
}

/// Rows of one config, as of one moment.
#[derive(Debug, Default, PartialEq)]
pub struct Rows {
    /// All there are.
    pub total: usize,
    /// Those to be looked at, newest first. Of one row ([`Question::Row`]): it, the last of these,
    /// and all that are newer.
    pub numbers: Vec<u64>,
    /// The config then, if there was one.
    pub entry: Option<Arc<Entry>>,
}

/// Whether memory has the answer.
#[derive(Debug, PartialEq)]
pub enum Look {
    Known(Known),
    /// Rows to be read.
    Rows(Rows),
}

impl State {
    /// Looks a question up, some microseconds.
    pub fn look(&self, question: &Question) -> Look {
        let newest_first = |key: &ConfigKey| {
            let mut numbers = self.history().numbers_of(key);
            numbers.reverse();
            numbers
        };
        match question {
            Question::Page { key, number, size } => {
                let numbers = newest_first(key);
                let total = numbers.len();
                let from = number.saturating_sub(1).saturating_mul(*size);
                let numbers = numbers.into_iter().skip(from).take(*size).collect();
                Look::Rows(Rows { total, numbers, entry: None })
            }
            Question::Row { key, number } => {
                let mut numbers = newest_first(key);
                let at = numbers.iter().position(|known| known == number);
                numbers.truncate(at.map_or(0, |at| at + 1));
                self.rows(key, numbers)
            }
            Question::Previous { key, .. } => self.rows(key, newest_first(key)),
            Question::Namespaces => Look::Known(Known::Namespaces(self.all_namespaces())),
            Question::Capacity { scope, id } => {
                Look::Known(Known::Capacity(self.capacities().get(*scope, id).copied()))
            }
        }
    }

    fn rows(&self, key: &ConfigKey, numbers: Vec<u64>) -> Look {
        let entry = self.configs.get(key.name()).cloned();
        Look::Rows(Rows { total: numbers.len(), numbers, entry })
    }

    fn all_namespaces(&self) -> Vec<(Box<str>, Namespace, usize)> {
        let public = Namespace {
            name: PUBLIC.into(),
            description: "Default Namespace".into(),
            created_ms: 0,
            modified_ms: 0,
        };
        let mut all = vec![(Box::from(PUBLIC), public, self.configs_of(PUBLIC))];
        all.extend(
            self.namespaces()
                .iter()
                .map(|(id, namespace)| (Box::from(id), namespace.clone(), self.configs_of(id))),
        );
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::accept::{self, Asker};
    use crate::config::fixture::Centre;
    use crate::config::rules::Rules;
    use crate::durable::command::{Command, NamespaceDraft};
    use crate::durable::{Record, Table};
    use crate::key::ConfigName;
    use crate::message::Now;
    use crate::settings::Settings;
    use nacre_proto::request::{Kind, Request};

    fn key() -> ConfigKey {
        ConfigKey::new(ConfigName { data_id: "a", group: "g", namespace: "public" })
    }

    fn numbers(state: &State, question: &Question) -> (usize, Vec<u64>) {
        match state.look(question) {
            Look::Rows(Rows { total, numbers, .. }) => (total, numbers),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pages_are_newest_first_and_rows_are_of_their_config() {
        let mut centre = Centre::new(Settings::default());
        for content in ["one", "two", "three"] {
            centre.publish("a", content);
        }
        centre.publish("b", "other");
        let state = &centre.state;
        let page = |number, size| numbers(state, &Question::Page { key: key(), number, size });
        assert_eq!(page(1, 2), (3, vec![3, 2]));
        assert_eq!(page(2, 2), (3, vec![1]));
        assert_eq!(page(0, 100), (3, vec![3, 2, 1]));
        assert_eq!(page(usize::MAX, usize::MAX), (3, vec![]));
        let row = |number| numbers(state, &Question::Row { key: key(), number }).1;
        assert_eq!((row(2), row(4)), (vec![3, 2], vec![]), "4 is of another config");
    }

    #[test]
    fn a_record_becomes_a_row() {
        let mut state = State::new(Arc::default());
        let mut records: Vec<Record> = Vec::new();
        for (content, members) in [("one", r#""type":"yaml""#), ("two", r#""betaIps":"::1""#)] {
            let json = format!(
                r#"{{"dataId":"a","group":"g","content":"{content}","additionMap":{{{members}}}}}"#
            );
            let request = Request::parse(Kind::ConfigPublish, json.as_bytes()).unwrap().unwrap();
            let Request::ConfigPublish(request) = request else { panic!("{request:?}") };
            let now = Now { tick_ms: 1, unix_ms: 7 };
            let asker = Asker { client_ip: "::2", user: "me", now };
            let command = accept::publish(&request, &Rules::default(), asker).unwrap();
            state.apply(1, &command, &mut records);
        }
        let rows: Vec<Past> = records
            .iter()
            .filter(|record| record.table == Table::History)
            .zip(1..)
            .map(|(record, number)| {
                assert_eq!(record.key, Past::key(number));
                Past::read(number, record.value.as_deref().unwrap(), true).unwrap()
            })
            .collect();
        let [plain, gray] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((plain.operation, plain.at_ms, &plain.key), (Operation::Insert, 7, &key()));
        assert_eq!((&*plain.source_user, &*plain.source_ip), ("me", "::2"));
        assert_eq!((plain.details.get().config_type, &plain.content), ("yaml", &None));
        let rule = gray.gray.as_ref().unwrap();
        assert_eq!((&*rule.name, rule.kind, &*rule.expression), ("beta", RuleKind::Beta, "::1"));
        assert_eq!((gray.content.as_deref(), plain.gray.is_none()), (None, true));
        assert_eq!((plain.lies, plain.is_of_variant(gray)), (Lies::After, false));
        let entry = state.configs.get(key().name()).unwrap();
        assert_eq!(plain.content_in(entry).as_deref(), Some("one"));
        assert_eq!(gray.content_in(entry).as_deref(), Some("two"));
        assert!(Past::read(1, b"\x01", true).is_err() && Past::read_content(b"\x02x").is_err());
    }

    #[test]
    fn namespaces_with_their_configs_and_quotas() {
        let mut state = State::new(Arc::default());
        let draft = NamespaceDraft { at_ms: 7, id: "dev", name: "n", description: "" };
        state.apply(1, &Command::CreateNamespace(draft).encode(), &mut Vec::new());
        let Look::Known(Known::Namespaces(all)) = state.look(&Question::Namespaces) else {
            panic!("known")
        };
        let shown: Vec<_> =
            all.iter().map(|(id, space, count)| (&**id, &*space.name, *count)).collect();
        assert_eq!(shown, [("public", "public", 0), ("dev", "n", 0)]);
        let question = Question::Capacity { scope: Scope::Group, id: "g".into() };
        assert_eq!(state.look(&question), Look::Known(Known::Capacity(None)));
    }
}
