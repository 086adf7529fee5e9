//! What publishing and removing configs does to the state (`config.md` 3, 8, 11, 12).

use crate::config::details::Details;
use crate::config::entry::{self, Draft, Entry, Gray, Variant};
use crate::config::gray::TAG_PREFIX;
use crate::durable::answer::Answer;
use crate::durable::command::{GrayDraft, Limits, Publish, Quotas, Remove, Scope};
use crate::durable::history::{Operation, Row};
use crate::durable::record;
use crate::durable::state::{State, Touched};
use crate::durable::{Record, Table};
use crate::key::{ConfigKey, ConfigName};
use nacre_proto::code::Code;
use std::sync::Arc;

/// Who did it, for the row of history.
#[derive(Clone, Copy)]
struct By<'a> {
    at_ms: u64,
    user: &'a str,
    ip: &'a str,
    limits: &'a Limits,
}

impl State {
    pub(super) fn publish(&mut self, publish: &Publish<'_>, records: &mut Vec<Record>) -> Answer {
        let there = self.configs.get(publish.name).cloned();
        let there = there.as_deref();
        if let Err(refused) = self.check_publish(publish, there) {
            return refused;
        }
        self.revision += 1;
        let Details { source_user: user, source_ip: ip, .. } = publish.details;
        let by = By { at_ms: publish.at_ms, user, ip, limits: &publish.limits };
        match &publish.gray {
            None => self.publish_formal(publish, there, by, records),
            Some(gray) => self.publish_gray(publish, gray, there, by, records),
        }
        self.done()
    }

    /// CAS, the number of gray variants, capacity: all that only replicated state can decide.
    fn check_publish(&self, publish: &Publish<'_>, entry: Option<&Entry>) -> Result<(), Answer> {
        let formal = entry.and_then(|entry| entry.formal.as_ref());
        let cas = Some(publish.cas_md5).filter(|md5| !md5.trim().is_empty());
        // Over a row that is not there, any md5 publishes (`config.md` 18).
        let differs = |there: Option<&Variant>| {
            cas.is_some_and(|cas| there.is_some_and(|there| !there.md5.is(cas)))
        };
        let Some(draft) = &publish.gray else {
            if differs(formal) {
                let text = "Cas publish fail, server md5 may have changed.";
                return Err(Answer::refused(Code::ResourceConflict, text));
            }
            return self.check_capacity(publish, formal.is_some());
        };
        let grays = entry.map_or(&[][..], |entry| &entry.grays);
        let there = grays.iter().find(|gray| *gray.name == *draft.name);
        if differs(there.map(|gray| &gray.variant)) {
            let text = "Cas publish gray config fail, server md5 may have changed.";
            return Err(Answer::refused(Code::ResourceConflict, text));
        }
        let max = publish.limits.grays_max;
        if there.is_none() && grays.len() >= max as usize {
            let text = format!("gray config version is over max count :{max}");
            return Err(Answer::refused(Code::GrayOverMaxVersion, text));
        }
        Ok(())
    }

    /// In the reference's order: of a new config the cluster's count, the size, the namespace's
    /// count; of an old one the size alone.
    fn check_capacity(&self, publish: &Publish<'_>, existed: bool) -> Result<(), Answer> {
        let Some(quotas) = &publish.limits.quotas else { return Ok(()) };
        let Quotas { cluster, namespace: namespace_max, content_bytes } = *quotas;
        let name = publish.name;
        let place = || format!("[group={}, namespaceId={}].", name.group, name.namespace);
        let count =
            |code| Err(Answer::refused(code, format!("Configuration limit exceeded {}", place())));
        if !existed && self.census.total >= cluster as usize {
            return count(Code::ClusterQuotaReached);
        }
        let own = self.capacities.get(Scope::Namespace, name.namespace);
        let own = own.map(|capacity| capacity.sizes).unwrap_or_default();
        let or = |own: u32, default: u32| if own == 0 { default } else { own } as usize;
        if publish.content.len() > or(own.content_bytes, content_bytes) {
            let text = format!("Configuration content size limit exceeded {}", place());
            return Err(Answer::refused(Code::ContentTooLarge, text));
        }
        if !existed && self.census.of(name.namespace) >= or(own.quota, namespace_max) {
            return count(Code::TenantQuotaReached);
        }
        Ok(())
    }

    fn publish_formal(
        &mut self,
        publish: &Publish<'_>,
        there: Option<&Entry>,
        by: By<'_>,
        records: &mut Vec<Record>,
    ) {
        let old = there.and_then(|there| there.formal.as_ref());
        let key = key_of(there, publish.name);
        let draft = self.draft(publish, old);
        let told = old.is_none_or(|old| old.md5 != publish.md5);
        match old {
            Some(old) => self.remember(Operation::Update, &key, None, old, by, records),
            None => {
                let row = Row {
                    operation: Operation::Insert,
                    at_ms: by.at_ms,
                    name: publish.name,
                    source_user: by.user,
                    source_ip: by.ip,
                    gray: None,
                    draft: Draft { id: 0, ..draft },
                };
                self.write_row(&row, &key, by.limits, records);
                self.census.appeared(publish.name.namespace);
            }
        }
        records.push(record::config(publish.name, &draft));
        let formal = Some(Variant::new(&draft, None));
        let grays = there.map_or_else(Default::default, |there| there.grays.clone());
        self.put(Entry { key, formal, grays }, old.is_some(), told);
    }

    fn publish_gray(
        &mut self,
        publish: &Publish<'_>,
        gray: &GrayDraft<'_>,
        there: Option<&Entry>,
        by: By<'_>,
        records: &mut Vec<Record>,
    ) {
        let key = key_of(there, publish.name);
        let mut grays = there.map_or_else(Vec::new, |there| there.grays.to_vec());
        let at = grays.iter().position(|known| *known.name == *gray.name);
        let old = at.map(|at| grays.swap_remove(at));
        let draft = self.draft(publish, old.as_ref().map(|old| &old.variant));
        let same = |old: &Gray| old.variant.md5 == publish.md5 && old.rule() == gray.rule;
        let told = !old.as_ref().is_some_and(same);
        match &old {
            Some(old) => {
                self.remember(Operation::Update, &key, Some(old), &old.variant, by, records);
            }
            None => {
                let row = Row {
                    operation: Operation::Insert,
                    at_ms: by.at_ms,
                    name: publish.name,
                    source_user: by.user,
                    source_ip: by.ip,
                    gray: Some((gray.name, gray.rule)),
                    draft: Draft { id: 0, ..draft },
                };
                self.write_row(&row, &key, by.limits, records);
            }
        }
        records.push(record::gray(publish.name, gray.name, gray.rule, &draft));
        grays.push(Gray::new(gray.name, gray.rule, &draft));
        entry::sort(&mut grays);
        let formal = there.and_then(|there| there.formal.clone());
        let existed = formal.is_some();
        self.put(Entry { key, formal, grays: grays.into() }, existed, told);
    }

    /// The row as it will be; its time never goes back, whatever the proposers' clocks do.
    fn draft<'a>(&self, publish: &Publish<'a>, old: Option<&Variant>) -> Draft<'a> {
        Draft {
            content: publish.content,
            md5: publish.md5,
            id: old.map_or(self.revision, |old| old.id),
            created_ms: old.map_or(publish.at_ms, |old| old.created_ms),
            modified_ms: old.map_or(0, |old| old.modified_ms).max(publish.at_ms),
            details: publish.details,
        }
    }

    /// Removing what is not there is a success and changes nothing.
    pub(super) fn remove(&mut self, remove: &Remove<'_>, records: &mut Vec<Record>) -> Answer {
        let Some(there) = self.configs.get(remove.name).cloned() else { return self.done() };
        let key = &there.key;
        let (mut formal, mut grays) = (there.formal.clone(), there.grays.to_vec());
        let by = By {
            at_ms: remove.at_ms,
            user: remove.source_user,
            ip: remove.source_ip,
            limits: &remove.limits,
        };
        if remove.gray.trim().is_empty() {
            let Some(old) = formal.take() else { return self.done() };
            self.revision += 1;
            self.remember(Operation::Delete, key, None, &old, by, records);
            records.push(record::gone(Table::Config, record::config_key(remove.name)));
            self.census.vanished(remove.name.namespace);
        } else {
            // The reference takes the tag for the variant's name; both are meant (`config.md` 18).
            let of_tag = |gray: &Gray| gray.name.strip_prefix(TAG_PREFIX) == Some(remove.gray);
            let exact = grays.iter().position(|gray| *gray.name == *remove.gray);
            let at = exact.or_else(|| grays.iter().position(of_tag));
            let Some(at) = at else { return self.done() };
            let old = grays.remove(at);
            self.revision += 1;
            self.remember(Operation::Delete, key, Some(&old), &old.variant, by, records);
            let key = record::gray_key(remove.name, &old.name);
            records.push(record::gone(Table::Gray, key));
        }
        let entry = Entry { key: key.clone(), formal, grays: grays.into() };
        self.put(entry, there.formal.is_some(), true);
        self.done()
    }

    /// Writes the row of what an update replaces or a removal takes away.
    fn remember(
        &mut self,
        operation: Operation,
        key: &ConfigKey,
        gray: Option<&Gray>,
        old: &Variant,
        by: By<'_>,
        records: &mut Vec<Record>,
    ) {
        let content = old.content();
        let row = Row {
            operation,
            at_ms: by.at_ms,
            name: key.name(),
            source_user: by.user,
            source_ip: by.ip,
            gray: gray.map(|gray| (&*gray.name, gray.rule())),
            draft: Draft {
                content: &content,
                md5: old.md5,
                id: old.id,
                created_ms: old.created_ms,
                modified_ms: old.modified_ms,
                details: old.details(),
            },
        };
        self.write_row(&row, key, by.limits, records);
    }

    fn write_row(
        &mut self,
        row: &Row<'_>,
        key: &ConfigKey,
        limits: &Limits,
        records: &mut Vec<Record>,
    ) {
        let number = self.revision;
        let (record, past, weight) = record::history(number, row);
        records.push(record);
        records.extend(past);
        let config = self.history.add(number, row.at_ms, weight, key);
        let Limits { history_entries_max, history_bytes_max, .. } = *limits;
        self.history.bound(config, history_entries_max, history_bytes_max, records);
    }

    /// `existed`: the formal config was there before.
    fn put(&mut self, entry: Entry, existed: bool, told: bool) {
        self.touched.push(Touched { key: entry.key.clone(), existed, told });
        if entry.formal.is_none() && entry.grays.is_empty() {
            return self.configs.remove(entry.key.name());
        }
        self.configs.put(Arc::new(entry));
    }
}

/// The key of an entry; a new one where there is none.
fn key_of(there: Option<&Entry>, name: ConfigName<'_>) -> ConfigKey {
    there.map_or_else(|| ConfigKey::new(name), |there| there.key.clone())
}
