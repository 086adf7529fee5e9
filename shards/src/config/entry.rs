//! One config as every core reads it: immutable, shared, its content ready to be sent.
//!
//! The content as answers show it is the only copy a node keeps in memory. Whoever needs the
//! content itself (history, the HTTP API) gets it unescaped from there, about 1 µs for a KiB.

use crate::config::details::{Details, Packed};
use crate::config::gray::{Labels, Rule, RuleKind};
use crate::config::md5::Md5;
use crate::key::ConfigKey;
use bytes::Bytes;
use nacre_proto::{json, probe};
use std::borrow::Cow;

/// All that is kept of one config. Lives on the Raft core and in the tables every core reads.
#[derive(Debug, PartialEq)]
pub struct Entry {
    pub key: ConfigKey,
    /// Absent while there are only gray variants.
    pub formal: Option<Variant>,
    /// By priority, highest first, then by name.
    pub grays: Box<[Gray]>,
}

/// Content that some clients see.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// The content as it stands in JSON, between its quotes.
    pub escaped: Bytes,
    pub md5: Md5,
    /// Number of the row, as the HTTP API shows it.
    pub id: u64,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds; `lastModified` of answers.
    pub modified_ms: u64,
    details: Packed,
    /// Of a gray variant: what its answers say of that.
    marks: Option<Box<Marks>>,
}

/// How answers name the rule of a gray variant.
#[derive(Debug, Clone, PartialEq)]
struct Marks {
    is_beta: bool,
    tag: Option<String>,
}

/// A gray variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Gray {
    pub name: Box<str>,
    kind: RuleKind,
    expression: Box<str>,
    priority: i32,
    pub variant: Variant,
}

/// What a variant is made of.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    pub content: &'a str,
    pub md5: Md5,
    pub id: u64,
    pub created_ms: u64,
    pub modified_ms: u64,
    pub details: Details<'a>,
}

/// A `ConfigQueryResponse` up to its content.
pub const BEFORE_CONTENT: &str = r#"{"resultCode":200,"errorCode":0,"content":""#;

/// Members after the content, with the longest numbers: so that one allocation holds them.
const AFTER_CONTENT_BYTES: usize = 160;

impl Variant {
    /// Escapes the content. `rule` is that of a gray variant.
    pub fn new(draft: &Draft<'_>, rule: Option<Rule<'_>>) -> Self {
        let mut escaped = Vec::with_capacity(draft.content.len());
        json::write_escaped(&mut escaped, draft.content);
        let marks = |rule: Rule<'_>| {
            let tag = (rule.kind == RuleKind::Tag).then(|| encoded(rule.expression));
            Box::new(Marks { is_beta: rule.kind == RuleKind::Beta, tag })
        };
        Self {
            // Exactly its length: a Vec's spare room would stay for as long as the config.
            escaped: Bytes::from(escaped.into_boxed_slice()),
            md5: draft.md5,
            id: draft.id,
            created_ms: draft.created_ms,
            modified_ms: draft.modified_ms,
            details: Packed::of(&draft.details),
            marks: rule.map(marks),
        }
    }

    /// A `ConfigQueryResponse` behind its content, some 140 bytes. Kept of no config: beside a
    /// content of 1 KiB they would cost a quarter of its memory, and writing them costs a query
    /// less than its system calls by far.
    pub fn after_content(&self) -> Vec<u8> {
        let details = self.details();
        let tag = self.marks.as_ref().and_then(|marks| marks.tag.as_deref());
        let named = details.encrypted_data_key.len() + details.config_type.len();
        let room = AFTER_CONTENT_BYTES + named + tag.map_or(0, |tag| tag.len() + 10);
        let mut out = Vec::with_capacity(room);
        out.push(b'"');
        // The reference says `""` after a publish and leaves it out of gray answers.
        if self.marks.is_none() || !details.encrypted_data_key.is_empty() {
            out.extend_from_slice(b",\"encryptedDataKey\":");
            json::write_string(&mut out, details.encrypted_data_key);
        }
        out.extend_from_slice(b",\"contentType\":");
        json::write_string(&mut out, details.config_type);
        out.extend_from_slice(b",\"md5\":\"");
        out.extend_from_slice(&self.md5.hex());
        out.extend_from_slice(b"\",\"lastModified\":");
        json::write_u64(&mut out, self.modified_ms);
        out.extend_from_slice(b",\"beta\":");
        json::write_bool(&mut out, self.marks.as_ref().is_some_and(|marks| marks.is_beta));
        if let Some(tag) = tag {
            out.extend_from_slice(b",\"tag\":");
            json::write_string(&mut out, tag);
        }
        out.extend_from_slice(br#","success":true}"#);
        out
    }

    /// The content as it was published.
    pub fn content(&self) -> Cow<'_, str> {
        json::unescaped(std::str::from_utf8(&self.escaped).expect("written from text"))
    }

    pub fn details(&self) -> Details<'_> {
        self.details.get()
    }
}

impl Gray {
    pub fn new(name: &str, rule: Rule<'_>, draft: &Draft<'_>) -> Self {
        Self {
            name: name.into(),
            kind: rule.kind,
            expression: rule.expression.into(),
            priority: rule.priority,
            variant: Variant::new(draft, Some(rule)),
        }
    }

    /// Who sees it.
    pub fn rule(&self) -> Rule<'_> {
        let Self { kind, expression, priority, .. } = self;
        Rule { kind: *kind, expression, priority: *priority }
    }
}

impl Entry {
    /// The gray variant a client is to see, if any.
    pub fn gray_for(&self, labels: Labels<'_>) -> Option<&Gray> {
        self.grays.iter().find(|gray| gray.rule().matches(labels))
    }

    /// What a client is to see when it asks for no tag.
    pub fn seen_by(&self, labels: Labels<'_>) -> Option<&Variant> {
        self.gray_for(labels).map(|gray| &gray.variant).or(self.formal.as_ref())
    }

    /// The gray variant of this name.
    pub fn gray(&self, name: &str) -> Option<&Gray> {
        self.grays.iter().find(|gray| *gray.name == *name)
    }
}

/// Order in which rules are tried.
pub(crate) fn sort(grays: &mut [Gray]) {
    grays.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.name.cmp(&b.name)));
}

/// As answers name a tag.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    probe::write_encoded(&mut out, text);
    out
}

#[cfg(test)]
mod tests;
