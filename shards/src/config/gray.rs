//! Gray variants: which clients see them (`config.md` 8).

use crate::durable::codec::{Reader, Unreadable, Writer};

/// Names of gray variants made by a tag publish: the tag behind this.
pub const TAG_PREFIX: &str = "tag_";

/// The name of the one variant made by `betaIps`.
pub const BETA: &str = "beta";

/// `version` of both built-in rules.
pub const RULE_VERSION: &str = "1.0.0";

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RuleKind {
    /// The client's address is in a comma list.
    Beta = 1,
    /// The client's `Vipserver-Tag` equals.
    Tag = 2,
}

impl RuleKind {
    /// `type` of the rule's JSON.
    pub const fn name(self) -> &'static str {
        match self {
            RuleKind::Beta => "beta",
            RuleKind::Tag => "tag",
        }
    }

    /// The priority of rules made by clients, higher first.
    pub const fn priority(self) -> i32 {
        match self {
            RuleKind::Beta => i32::MAX,
            RuleKind::Tag => i32::MAX - 1,
        }
    }
}

/// Which clients see a variant, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    pub kind: RuleKind,
    pub expression: &'a str,
    /// Higher is looked at first.
    pub priority: i32,
}

/// What is known of a client when a variant is chosen for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels<'a> {
    pub client_ip: &'a str,
    /// Label `Vipserver-Tag`, not blank.
    pub tag: Option<&'a str>,
}

impl Rule<'_> {
    /// Whether a client is to see the variant. Addresses are compared as spelled, not trimmed.
    pub fn matches(&self, labels: Labels<'_>) -> bool {
        match self.kind {
            RuleKind::Beta => self.expression.split(',').any(|ip| ip == labels.client_ip),
            RuleKind::Tag => labels.tag == Some(self.expression),
        }
    }
}

impl<'a> Rule<'a> {
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u8(self.kind as u8);
        writer.u64(u64::from(self.priority as u32));
        writer.text(self.expression);
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let kind = match reader.u8()? {
            1 => RuleKind::Beta,
            2 => RuleKind::Tag,
            _ => return Err("a gray rule of an unknown kind"),
        };
        let priority = reader.u32()? as i32;
        Ok(Self { kind, expression: reader.text()?, priority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_as_the_reference_does() {
        let beta = |expression| Rule { kind: RuleKind::Beta, expression, priority: 0 };
        let tag = |expression| Rule { kind: RuleKind::Tag, expression, priority: 0 };
        let me = Labels { client_ip: "10.0.0.1", tag: Some("t1") };
        let table = [
            (beta("10.0.0.1"), true),
            (beta("10.0.0.2,10.0.0.1"), true),
            (beta("10.0.0.2, 10.0.0.1"), false),
            (beta("10.0.0.11"), false),
            (beta(""), false),
            (tag("t1"), true),
            (tag("t2"), false),
        ];
        for (rule, expected) in table {
            assert_eq!(rule.matches(me), expected, "{rule:?}");
        }
        assert!(!tag("").matches(Labels { client_ip: "", tag: None }));
    }
}
