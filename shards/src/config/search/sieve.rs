//! Names that are meant but do not stand together: every name is looked at, a slice at a time.

use super::Filter;
use super::pattern::Stretch;
use crate::config::names::Names;
use crate::config::table::Tables;
use crate::key::ConfigKey;
use std::ops::Range;
use std::sync::Arc;

/// A look at all names of a namespace, or of a group where one is spelled out.
#[derive(Debug)]
pub struct Sieve<'a> {
    names: Arc<Names>,
    filter: &'a Filter,
    left: Range<usize>,
    total: usize,
    /// Up to so many are all kept.
    all_max: usize,
    all: Vec<ConfigKey>,
    /// What else is kept.
    page: Range<usize>,
    of_page: Vec<ConfigKey>,
}

/// What was found by their names.
#[derive(Debug, PartialEq, Eq)]
pub enum Sieved {
    /// All of them, by group and dataId.
    All(Vec<ConfigKey>),
    /// There are many: the page of them that was asked for, by group and dataId.
    Page(Vec<ConfigKey>),
}

impl<'a> Sieve<'a> {
    /// Finds all names, if there are at most `all_max` of them, and those at the places of `page`
    /// if there are more. `None`: more than names decides.
    pub fn of(
        filter: &'a Filter,
        tables: &Tables,
        all_max: usize,
        page: Range<usize>,
    ) -> Option<Self> {
        if !filter.is_of_names() {
            return None;
        }
        let names = tables.names();
        let left = match filter.group.stretch() {
            Some(Stretch::One(group)) => {
                names.beginning(&filter.namespace, group, filter.data_id.beginning())
            }
            _ => names.of_namespace(&filter.namespace),
        };
        let (all, of_page) = (Vec::new(), Vec::new());
        Some(Self { names, filter, left, total: 0, all_max, all, page, of_page })
    }

    /// Looks at so many names, some 50 ns each. False: there are more.
    pub fn step(&mut self, names_max: usize) -> bool {
        let mut scan = self.names.scan(self.left.start);
        let mut is_of_group = false;
        for _ in 0..names_max.min(self.left.len()) {
            let Some(name) = scan.step() else { break };
            self.left.start += 1;
            if !name.is_alike() {
                is_of_group = self.filter.group.matches_bytes(name.group());
            }
            if !is_of_group || !self.filter.data_id.matches_bytes(name.data_id()) {
                continue;
            }
            if self.total < self.all_max {
                self.all.push(name.key());
            }
            if self.page.contains(&self.total) {
                self.of_page.push(name.key());
            }
            self.total += 1;
        }
        self.left.is_empty()
    }

    /// How many were found.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Those of them that were asked for.
    pub fn found(self) -> Sieved {
        match self.total <= self.all_max {
            true => Sieved::All(self.all),
            false => Sieved::Page(self.of_page),
        }
    }
}
