//! One config as every core reads it: immutable, shared, its answers ready to be sent.
//!
//! The answer's text is the only copy of the content a node keeps in memory. Whoever needs the
//! content itself (history, the HTTP API) gets it unescaped from there, about 1 µs for a KiB.

use crate::config::details::{Details, Packed};
use crate::config::gray::{Labels, Rule, RuleKind};
use crate::config::md5::Md5;
use crate::key::ConfigKey;
use bytes::Bytes;
use nacre_proto::{json, probe};
use std::borrow::Cow;
use std::ops::Range;

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
    /// The whole `ConfigQueryResponse`.
    pub answer: Bytes,
    /// Where in it the content stands, escaped.
    content: Range<u32>,
    pub md5: Md5,
    /// Number of the row, as the HTTP API shows it.
    pub id: u64,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Unix milliseconds; `lastModified` of answers.
    pub modified_ms: u64,
    details: Packed,
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

const BEFORE_CONTENT: &[u8] = br#"{"resultCode":200,"errorCode":0,"content":""#;

/// Members after the content, with the longest numbers: so that one allocation holds the answer.
const AFTER_CONTENT_BYTES: usize = 160;

impl Variant {
    /// Writes the answer. `rule` is that of a gray variant.
    pub fn new(draft: &Draft<'_>, rule: Option<Rule<'_>>) -> Self {
        let details = &draft.details;
        let mut escaped = Vec::with_capacity(draft.content.len() + draft.content.len() / 16);
        json::write_escaped(&mut escaped, draft.content);
        let named = details.encrypted_data_key.len() + details.config_type.len();
        let tag =
            rule.filter(|rule| rule.kind == RuleKind::Tag).map(|rule| encoded(rule.expression));
        let room = BEFORE_CONTENT.len() + escaped.len() + AFTER_CONTENT_BYTES + named;
        let mut out = Vec::with_capacity(room + tag.as_ref().map_or(0, |tag| tag.len() + 10));
        out.extend_from_slice(BEFORE_CONTENT);
        let start = out.len() as u32;
        out.extend_from_slice(&escaped);
        let content = start..out.len() as u32;
        out.push(b'"');
        // The reference says `""` after a publish and leaves it out of gray answers.
        if rule.is_none() || !details.encrypted_data_key.is_empty() {
            out.extend_from_slice(b",\"encryptedDataKey\":");
            json::write_string(&mut out, details.encrypted_data_key);
        }
        out.extend_from_slice(b",\"contentType\":");
        json::write_string(&mut out, details.config_type);
        out.extend_from_slice(b",\"md5\":\"");
        out.extend_from_slice(&draft.md5.hex());
        out.extend_from_slice(b"\",\"lastModified\":");
        json::write_u64(&mut out, draft.modified_ms);
        out.extend_from_slice(b",\"beta\":");
        json::write_bool(&mut out, rule.is_some_and(|rule| rule.kind == RuleKind::Beta));
        if let Some(tag) = tag {
            out.extend_from_slice(b",\"tag\":");
            json::write_string(&mut out, &tag);
        }
        out.extend_from_slice(br#","success":true}"#);
        Self {
            // Exactly its length: a Vec's spare room would stay for as long as the config.
            answer: Bytes::from(out.into_boxed_slice()),
            content,
            md5: draft.md5,
            id: draft.id,
            created_ms: draft.created_ms,
            modified_ms: draft.modified_ms,
            details: Packed::of(details),
        }
    }

    /// The content as it was published.
    pub fn content(&self) -> Cow<'_, str> {
        let escaped = &self.answer[self.content.start as usize..self.content.end as usize];
        json::unescaped(std::str::from_utf8(escaped).expect("written from text"))
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
