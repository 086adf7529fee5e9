//! Finding configs by what is known of them (`http-api.md` 2.1, 7.2), on any core: a filter; the
//! places of those whose names alone decide and stand together; for all others a walk through the
//! tables, a few slots at a time.

use crate::config::entry::Entry;
use crate::config::names::Names;
use crate::config::table::Tables;
use crate::key::{ConfigKey, ConfigName, SLOTS};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;
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

    /// What it comes to among texts in order; `None`: those that are meant do not stand together.
    fn stretch(&self) -> Option<Stretch<'_>> {
        if !self.stars && !self.is_any() {
            return Some(Stretch::One(&self.text));
        }
        let beginning = self.text.trim_end_matches('*');
        let is_open = beginning.is_empty();
        match beginning.contains('*') {
            true => None,
            false if is_open => Some(Stretch::All),
            false => Some(Stretch::Beginning(beginning)),
        }
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

/// Texts in order that stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stretch<'a> {
    All,
    One(&'a str),
    Beginning(&'a str),
}

/// Where the names stand that a filter means, if nothing but names decides.
#[derive(Debug)]
pub struct Places<'a> {
    names: Arc<Names>,
    namespace: &'a str,
    data_id: Stretch<'a>,
    group: &'a Pattern,
    ranges: Vec<Range<usize>>,
    /// The rest of the namespace, whose groups were not looked at.
    rest: Range<usize>,
}

impl<'a> Places<'a> {
    /// `None`: more than names decides, or those that are meant do not stand together.
    pub fn of(filter: &'a Filter, tables: &Tables) -> Option<Self> {
        let Filter { namespace, data_id, group, app_name, tags, types, content, ids } = filter;
        let by_name = app_name.is_empty() && tags.is_empty() && types.is_empty();
        if !by_name || !content.is_any() || !ids.is_empty() {
            return None;
        }
        let data_id = data_id.stretch()?;
        let names = tables.names();
        let (ranges, rest) = (Vec::new(), names.of_namespace(namespace));
        let mut places = Self { names, namespace, data_id, group, ranges, rest };
        match (group.stretch(), data_id) {
            (Some(Stretch::One(group)), _) => {
                places.rest = 0..0;
                places.add(group);
            }
            (Some(Stretch::All), Stretch::All) => {
                let all = std::mem::take(&mut places.rest);
                places.ranges.push(all);
            }
            _ => {}
        }
        Some(places)
    }

    fn add(&mut self, group: &str) {
        let (names, namespace) = (&self.names, self.namespace);
        let range = match self.data_id {
            Stretch::All => names.of_group(namespace, group),
            Stretch::Beginning(text) => names.beginning(namespace, group, text),
            Stretch::One(data_id) => {
                let start = names.beginning(namespace, group, data_id).start;
                let wanted = ConfigName { data_id, group, namespace };
                let found = names.get(start).is_some_and(|key| key.name() == wanted);
                start..start + usize::from(found)
            }
        };
        if !range.is_empty() {
            self.ranges.push(range);
        }
    }

    /// Looks at so many groups, some 5 µs each in a million names. False: there are more.
    pub fn step(&mut self, groups_max: usize) -> bool {
        for _ in 0..groups_max {
            if self.rest.is_empty() {
                return true;
            }
            let names = self.names.clone();
            let Some(first) = names.get(self.rest.start) else { return true };
            let group = first.name().group;
            if self.group.matches(group) {
                self.add(group);
            }
            self.rest.start = names.of_group(self.namespace, group).end;
        }
        self.rest.is_empty()
    }

    /// How many are meant.
    pub fn total(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// Some of them, by group and dataId.
    pub fn page(&self, start: usize, items: usize) -> Vec<ConfigKey> {
        let (mut left, mut page) = (start, Vec::new());
        for range in &self.ranges {
            let skipped = left.min(range.len());
            left -= skipped;
            let wanted = (range.len() - skipped).min(items - page.len());
            page.extend(self.names.starting_at(range.start + skipped).take(wanted).cloned());
        }
        page
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
#[derive(Debug)]
pub struct Walk {
    next: u32,
    total: usize,
    keep: usize,
    /// The first rows, the last of them on top.
    found: BinaryHeap<Row>,
}

/// An entry by its row.
#[derive(Debug)]
struct Row(u64, Arc<Entry>);

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Row {}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Walk {
    /// Keeps all that is found.
    pub fn all() -> Self {
        Self::first(usize::MAX)
    }

    /// Keeps so many, the first by their rows: what a page needs, however many are found.
    pub fn first(keep: usize) -> Self {
        Self { next: 0, total: 0, keep, found: BinaryHeap::new() }
    }

    fn keep(&mut self, entry: &Arc<Entry>) {
        self.total += 1;
        let row = entry.formal.as_ref().map_or(0, |formal| formal.id);
        if self.found.len() < self.keep {
            self.found.push(Row(row, entry.clone()));
        } else if let Some(mut last) = self.found.peek_mut()
            && row < last.0
        {
            *last = Row(row, entry.clone());
        }
    }

    /// How many were found, kept or not.
    pub fn total(&self) -> usize {
        self.total
    }

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
                let bytes = entry.formal.as_ref().map_or(0, |formal| formal.escaped.len());
                weight += 1 + if with_contents { bytes / 1_024 } else { 0 };
                if matches(entry) {
                    self.keep(entry);
                }
            }
            // An empty slot costs something, too.
            weight += 1;
            self.next += 1;
        }
        self.next == SLOTS
    }

    /// What was found and kept, in the order it was first published.
    pub fn found(self) -> Vec<Arc<Entry>> {
        self.found.into_sorted_vec().into_iter().map(|Row(_, entry)| entry).collect()
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
            let (mut walk, mut steps) = (Walk::all(), 0);
            while !walk.step(centre.state.tables(), true, 16, |entry| filter.matches(entry)) {
                steps += 1;
            }
            assert!(steps > 200, "in steps");
            let names = walk.found();
            let mut first = Walk::first(3);
            while !first.step(centre.state.tables(), true, 16, |entry| filter.matches(entry)) {}
            assert_eq!(first.total(), names.len());
            assert_eq!(first.found(), names[..names.len().min(3)], "a page is the first of all");
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

    /// Whatever names decide, their places hold what a walk finds.
    #[test]
    fn places_are_of_what_a_walk_finds() {
        let mut centre = Centre::new(Settings::default());
        for number in 0..600 {
            let data_id = format!("app-{}.d{number:03}", number % 7);
            centre.publish_in(&format!("g{}", number % 30), &data_id, "x");
        }
        centre.publish_with("gray-only", "g", r#""betaIps":"::1""#);
        let tables = centre.state.tables();
        let pattern = |text: &str, exact| match exact {
            true => Pattern::exact(text),
            false => Pattern::of(text),
        };
        let ids = ["", "*", "app*", "app-3*", "app-3.d003", "app-3.d003*", "x", "app-**", "b*"];
        let groups = ["", "g3", "g3*", "*", "g*", "*3", "x"];
        for (data_id, group) in ids.iter().flat_map(|id| groups.map(|group| (id, group))) {
            for exact in [false, true] {
                let filter = Filter {
                    namespace: "public".into(),
                    data_id: pattern(data_id, exact),
                    group: pattern(group, exact),
                    ..Filter::default()
                };
                let mut walk = Walk::all();
                while !walk.step(tables, false, 4_096, |entry| filter.matches(entry)) {}
                let mut wanted: Vec<_> =
                    walk.found().iter().map(|entry| entry.key.clone()).collect();
                let by_group = |key: &ConfigKey| {
                    let ConfigName { data_id, group, .. } = key.name();
                    (group.to_owned(), data_id.to_owned())
                };
                wanted.sort_by_key(by_group);
                let mut places = Places::of(&filter, tables).expect("names alone decide");
                let mut steps = 1;
                while !places.step(4) {
                    steps += 1;
                }
                assert!(steps < 10);
                assert_eq!(places.total(), wanted.len(), "{filter:?}");
                assert_eq!(places.page(0, usize::MAX), wanted, "{filter:?}");
                let page: Vec<_> = wanted.iter().skip(7).take(5).cloned().collect();
                assert_eq!(places.page(7, 5), page, "{filter:?}");
            }
        }
        let of = |filter: Filter| Places::of(&filter, tables).is_some();
        assert!(!of(Filter { data_id: Pattern::of("*x"), ..Filter::default() }));
        assert!(!of(Filter { app_name: "x".into(), ..Filter::default() }));
        assert!(!of(Filter { content: Pattern::part("x"), ..Filter::default() }));
    }
}
