//! Where the names stand that a filter means.

use super::pattern::Stretch;
use super::{Filter, Pattern};
use crate::config::names::Names;
use crate::config::table::Tables;
use crate::key::{ConfigKey, ConfigName};
use std::ops::Range;
use std::sync::Arc;

/// The places of those names, if nothing but names decides and they stand together.
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
        let Filter { namespace, data_id, group, .. } = filter;
        if !filter.is_of_names() {
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
            let Some(first) = self.names.get(self.rest.start) else { return true };
            let group = first.name().group;
            if self.group.matches(group) {
                self.add(group);
            }
            self.rest.start = self.names.of_group(self.namespace, group).end;
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
            let mut scan = self.names.scan(range.start + skipped);
            for _ in 0..wanted {
                let Some(name) = scan.step() else { break };
                page.push(name.key());
            }
        }
        page
    }
}
