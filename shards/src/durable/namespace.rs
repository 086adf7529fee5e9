//! Namespaces that were created (`cluster.md` 9). `public` is always there and never kept.

use crate::durable::answer::Answer;
use crate::durable::codec::Unreadable;
use crate::durable::command::NamespaceDraft;
use crate::durable::record;
use crate::durable::state::State;
use crate::durable::{Record, Table};
use crate::naming::accept::PUBLIC;
use bytes::Bytes;
use nacre_proto::code::Code;
use std::collections::BTreeMap;

/// One namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    pub name: Box<str>,
    pub description: Box<str>,
    /// Unix milliseconds.
    pub created_ms: u64,
    pub modified_ms: u64,
}

/// All but `public`, by id.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Namespaces(BTreeMap<Box<str>, Namespace>);

impl Namespaces {
    pub fn get(&self, id: &str) -> Option<&Namespace> {
        self.0.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Namespace)> {
        self.0.iter().map(|(id, namespace)| (&**id, namespace))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unreadable> {
        let id = std::str::from_utf8(key).map_err(|_| "an id that is not UTF-8")?;
        let mut reader = record::read_value(value)?;
        let namespace = Namespace {
            name: reader.text()?.into(),
            description: reader.text()?.into(),
            created_ms: reader.u64()?,
            modified_ms: reader.u64()?,
        };
        reader.finish()?;
        self.0.insert(id.into(), namespace);
        Ok(())
    }
}

impl State {
    pub(super) fn create_namespace(
        &mut self,
        draft: &NamespaceDraft<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        if draft.id == PUBLIC || self.namespaces.get(draft.id).is_some() {
            let text = format!("namespaceId [{}] already exist.", draft.id);
            return Answer::refused(Code::NamespaceAlreadyExist, text);
        }
        self.put_namespace(draft, draft.at_ms, records)
    }

    pub(super) fn update_namespace(
        &mut self,
        draft: &NamespaceDraft<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        let Some(known) = self.namespaces.get(draft.id) else {
            let text = format!("namespaceId [{}] not exist.", draft.id);
            return Answer::refused(Code::NamespaceNotExist, text);
        };
        let created_ms = known.created_ms;
        self.put_namespace(draft, created_ms, records)
    }

    fn put_namespace(
        &mut self,
        draft: &NamespaceDraft<'_>,
        created_ms: u64,
        records: &mut Vec<Record>,
    ) -> Answer {
        self.revision += 1;
        let mut writer = record::value(draft.name.len() + draft.description.len() + 24);
        writer.text(draft.name);
        writer.text(draft.description);
        writer.u64(created_ms);
        writer.u64(draft.at_ms);
        let key = Bytes::copy_from_slice(draft.id.as_bytes());
        records.push(record::there(Table::Namespace, key, writer));
        let namespace = Namespace {
            name: draft.name.into(),
            description: draft.description.into(),
            created_ms,
            modified_ms: draft.at_ms,
        };
        self.namespaces.0.insert(draft.id.into(), namespace);
        self.done()
    }

    /// What is in the namespace stays, as in the reference. One that is not there is a success.
    pub(super) fn delete_namespace(&mut self, id: &str, records: &mut Vec<Record>) -> Answer {
        if self.namespaces.0.remove(id).is_some() {
            self.revision += 1;
            let key = Bytes::copy_from_slice(id.as_bytes());
            records.push(record::gone(Table::Namespace, key));
        }
        self.done()
    }
}
