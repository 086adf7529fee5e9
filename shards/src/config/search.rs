//! Finding configs by what is known of them (`http-api.md` 2.1, 7.2): a filter, and a walk through
//! the tables a few slots at a time, on any core.

use crate::config::entry::Entry;
use crate::config::table::Tables;
use crate::key::SLOTS;
use std::sync::Arc;

/// What a config has to be like. Empty parts are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Spelled out.
    pub namespace: String,
    pub data_id: Pattern,
    pub group: Pattern,
    pub app_name: String,
    /// One of them.
    pub tags: Vec<Pattern>,
    /// One of them.
    pub types: Vec<String>,
    pub content: Pattern,
    /// One of these rows; empty is any.
    pub ids: Vec<u64>,
}

/// Text that must be equal, or that stars stand in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    stars: bool,
}

impl Pattern {
    /// Equal text.
    pub fn exact(text: &str) -> Self {
        Self { text: text.to_owned(), stars: false }
    }

    /// Text with stars.
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), stars: text.contains('*') }
    }

    /// Text that stands somewhere, unless it says with stars where.
    pub fn part(text: &str) -> Self {
        match text.is_empty() || text.contains('*') {
            true => Self::of(text),
            false => Self::of(&format!("*{text}*")),
        }
    }

    pub fn is_any(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether a text is meant: the first and the last piece at the ends, the rest in order. Costs
    /// at most the text's length for each piece.
    pub fn matches(&self, text: &str) -> bool {
        if self.is_any() || !self.stars {
            return self.is_any() || self.text == text;
        }
        let mut pieces = self.text.split('*');
        let first = pieces.next().unwrap_or_default();
        let last = pieces.next_back().unwrap_or_default();
        let Some(rest) = text.strip_prefix(first) else { return false };
        let Some(mut rest) = rest.strip_suffix(last) else { return false };
        for piece in pieces {
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        true
    }
}

impl Filter {
    /// Whether a formal config is meant. The content is looked at last.
    pub fn matches(&self, entry: &Entry) -> bool {
        let Some(formal) = &entry.formal else { return false };
        let name = entry.key.name();
        let named = name.namespace == self.namespace
            && self.data_id.matches(name.data_id)
            && self.group.matches(name.group);
        if !named || !(self.ids.is_empty() || self.ids.contains(&formal.id)) {
            return false;
        }
        let details = formal.details();
        let tagged = |tag: &Pattern| details.tags.split(',').any(|known| tag.matches(known.trim()));
        (self.app_name.is_empty() || self.app_name == details.app_name)
            && (self.types.is_empty() || self.types.iter().any(|of| of == details.config_type))
            && (self.tags.is_empty() || self.tags.iter().any(tagged))
            && (self.content.is_any() || self.content.matches(&formal.content()))
    }
}

/// A walk through all slots.
#[derive(Debug, Default)]
pub struct Walk {
    next: u32,
    found: Vec<Arc<Entry>>,
}

impl Walk {
    /// Looks at slots until `weight_max` was looked at: one for each config, and one more for each
    /// KiB of content where contents are compared. False: there is more.
    pub fn step(
        &mut self,
        tables: &Tables,
        with_contents: bool,
        weight_max: usize,
        matches: impl Fn(&Entry) -> bool,
    ) -> bool {
        let mut weight = 0;
        while self.next < SLOTS && weight < weight_max {
            let slot = tables.slot(self.next);
            for entry in slot.entries() {
                let bytes = entry.formal.as_ref().map_or(0, |formal| formal.answer.len());
                weight += 1 + if with_contents { bytes / 1_024 } else { 0 };
                if matches(entry) {
                    self.found.push(entry.clone());
                }
            }
            // An empty slot costs something, too.
            weight += 1;
            self.next += 1;
        }
        self.next == SLOTS
    }

    /// What was found, in the order it was first published.
    pub fn found(mut self) -> Vec<Arc<Entry>> {
        self.found.sort_by_key(|entry| entry.formal.as_ref().map(|formal| formal.id));
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture::Centre;
    use crate::settings::Settings;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("", "anything", true),
            ("*", "", true),
            ("a*", "abc", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*b*", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*a", "a", false),
            ("a*b", "acb", true),
            ("ab", "abc", false),
            ("a**c", "abc", true),
            ("*\u{e9}*", "caf\u{e9}s", true),
        ] {
            assert_eq!(Pattern::of(pattern).matches(text), expected, "{pattern} {text}");
        }
        assert!(!Pattern::exact("a*").matches("ab") && Pattern::exact("a*").matches("a*"));
        assert!(Pattern::part("b").matches("abc") && !Pattern::part("b*").matches("abc"));
    }

    #[test]
    fn a_walk_finds_what_is_meant_in_steps() {
        let mut centre = Centre::new(Settings::default());
        for number in 0..20 {
            let members = format!(r#""type":"yaml","config_tags":"x,t{number}","appName":"shop""#);
            centre.publish_with(&format!("d{number}"), &format!("c {number}"), &members);
        }
        centre.publish_with("gray-only", "g", r#""betaIps":"::1""#);
        centre.publish("plain", "c 3");
        let found = |filter: Filter| {
            let filter = Filter { namespace: "public".into(), ..filter };
            let (mut walk, mut steps) = (Walk::default(), 0);
            while !walk.step(centre.state.tables(), true, 16, |entry| filter.matches(entry)) {
                steps += 1;
            }
            assert!(steps > 200, "in steps");
            let names = walk.found();
            names.iter().map(|entry| entry.key.name().data_id.to_owned()).collect::<Vec<_>>()
        };
        let any = Filter::default;
        assert_eq!(found(any()).len(), 21, "no gray variants");
        assert_eq!(found(any())[0], "d0", "in the order of their rows");
        assert_eq!(found(Filter { data_id: Pattern::of("d1*"), ..any() }).len(), 11);
        assert_eq!(found(Filter { data_id: Pattern::exact("d1"), ..any() }), ["d1"]);
        assert_eq!(found(Filter { content: Pattern::part("3"), ..any() }), ["d3", "d13", "plain"]);
        assert_eq!(found(Filter { tags: vec![Pattern::exact("t7")], ..any() }), ["d7"]);
        assert_eq!(found(Filter { types: vec!["text".into()], ..any() }), ["plain"]);
        assert_eq!(found(Filter { app_name: "shop".into(), ..any() }).len(), 20);
        assert_eq!(found(Filter { group: Pattern::of("h*"), ..any() }), [""; 0]);
        assert_eq!(found(Filter { ids: vec![2, 3, 999], ..any() }), ["d1", "d2"]);
    }
}
