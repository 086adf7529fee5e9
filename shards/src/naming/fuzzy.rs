//! Patterns of fuzzy watches (`naming.md` 8.1): which names of services (and of configs, by the
//! same rules) somebody wants to hear of.

use crate::key::{ConfigKey, ServiceKey};
use crate::naming::accept::PUBLIC;
use std::hash::Hash;

/// What patterns match: names of services and of configs.
pub trait Name: Clone + Eq + Hash {
    /// Namespace, group, and the name proper.
    fn parts(&self) -> [&str; 3];
}

impl Name for ServiceKey {
    fn parts(&self) -> [&str; 3] {
        [self.namespace(), self.group(), self.service()]
    }
}

impl Name for ConfigKey {
    fn parts(&self) -> [&str; 3] {
        let name = self.name();
        [name.namespace, name.group, name.data_id]
    }
}

/// `namespace>>groupPattern>>servicePattern`, understood. Lives on the directory core, which
/// matches names, and on home cores, which find the watchers of a changed name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    namespace: Box<str>,
    pub group: Part,
    pub service: Part,
}

/// One part of a pattern. A star counts only at the ends; all stars are dropped from what is
/// compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// `*`
    All,
    /// No star.
    Exact(Box<str>),
    /// `x*`
    Prefix(Box<str>),
    /// `*x`
    Suffix(Box<str>),
    /// `*x*`
    Contains(Box<str>),
    /// A star in the middle only: matches nothing, as in the reference.
    Never,
}

impl Part {
    fn parse(text: &str) -> Self {
        let bare = || text.replace('*', "").into_boxed_str();
        match (text.starts_with('*'), text.ends_with('*')) {
            _ if text == "*" => Part::All,
            (true, true) => Part::Contains(bare()),
            (true, false) => Part::Suffix(bare()),
            (false, true) => Part::Prefix(bare()),
            (false, false) if text.contains('*') => Part::Never,
            (false, false) => Part::Exact(text.into()),
        }
    }

    /// Whether a name matches this part.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Part::All => true,
            Part::Exact(text) => name == &**text,
            Part::Prefix(text) => name.starts_with(&**text),
            Part::Suffix(text) => name.ends_with(&**text),
            Part::Contains(text) => name.contains(&**text),
            Part::Never => false,
        }
    }
}

impl Pattern {
    /// `None` with fewer than three parts; trailing empty parts do not count, as in Java's split. A
    /// blank namespace means `public`, like everywhere in naming.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts: Vec<&str> = text.split(">>").collect();
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        let [namespace, group, service, ..] = parts[..] else { return None };
        let namespace = if namespace.trim().is_empty() { PUBLIC } else { namespace };
        Some(Self {
            namespace: namespace.into(),
            group: Part::parse(group),
            service: Part::parse(service),
        })
    }

    /// The one namespace of the pattern.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether a name matches.
    pub fn matches(&self, name: &impl Name) -> bool {
        let [namespace, group, service] = name.parts();
        *self.namespace == *namespace && self.group.matches(group) && self.service.matches(service)
    }
}

/// Reads back `namespace@@group@@service`, as clients send what they know.
pub fn parse_key(text: &str) -> Option<ServiceKey> {
    let (namespace, rest) = text.split_once("@@")?;
    let (group, service) = rest.split_once("@@")?;
    let fits = namespace.len().max(group.len()).max(service.len()) <= usize::from(u16::MAX);
    fits.then(|| ServiceKey::new(namespace, group, service))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, key: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&parse_key(key).unwrap())
    }

    #[test]
    fn patterns_match_as_the_reference_does() {
        let table = [
            ("public>>*>>*", "public@@G@@s", true),
            ("public>>*>>*", "other@@G@@s", false),
            ("pub*>>*>>*", "public@@G@@s", false),
            (">>*>>*", "public@@G@@s", true),
            ("public>>G>>s", "public@@G@@s", true),
            ("public>>G>>s", "public@@G@@ss", false),
            ("public>>G>>order*", "public@@G@@orders", true),
            ("public>>G>>order*", "public@@G@@my-orders", false),
            ("public>>G>>*ders", "public@@G@@orders", true),
            ("public>>G>>*ders", "public@@G@@orders2", false),
            ("public>>G>>*der*", "public@@G@@orders", true),
            ("public>>G>>*xyz*", "public@@G@@orders", false),
            ("public>>G>>**", "public@@G@@anything", true),
            ("public>>G>>o*s", "public@@G@@orders", false),
            ("public>>G>>o*r*", "public@@G@@orders", true),
            ("public>>*G>>*", "public@@myG@@s", true),
            ("public>>G*>>*", "public@@myG@@s", false),
            ("public>>G>>s>>more", "public@@G@@s", true),
        ];
        for (pattern, key, expected) in table {
            assert_eq!(matches(pattern, key), expected, "{pattern} {key}");
        }
    }

    #[test]
    fn fewer_than_three_parts_are_no_pattern() {
        for text in ["", "a", "a>>b", "a>>b>>", ">>>>", "a>b>c"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
        assert_eq!(Pattern::parse("n>>>>s").unwrap().group, Part::Exact("".into()));
    }

    #[test]
    fn keys_read_back() {
        let key = ServiceKey::new("n", "g", "s@@x");
        assert_eq!(parse_key(key.text()), Some(key));
        assert_eq!(parse_key("n@@g"), None);
        assert_eq!(parse_key(&format!("{}@@g@@s", "n".repeat(70_000))), None);
    }
}
