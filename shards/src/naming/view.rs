//! A service as it stood at one revision, immutable and shared between cores.
//!
//! A view is written once: the default body (`clusters` `""`, healthy or not) with every enabled
//! instance in it, then the disabled ones. What a filter shows is cut out of that text.

use crate::key::ServiceKey;
use crate::limits::{FILTERED_BODIES_MAX, VIEW_BYTES_MAX};
use crate::naming::digits::Digits;
use crate::naming::host::{Grouped, Host};
use ahash::RandomState;
use bytes::Bytes;
use nacre_proto::json;
use std::collections::{HashMap, HashSet};

mod open;

/// What part of a service somebody wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Comma-separated; `None` (absent or null) and blank mean all. Echoed in the answer, `None` as
    /// an absent member.
    pub clusters: Option<Box<str>>,
    pub healthy_only: bool,
}

impl Filter {
    /// What every SDK subscribes with: clusters `""`, unhealthy ones too.
    pub fn all() -> Self {
        Self { clusters: Some("".into()), healthy_only: false }
    }

    /// The clusters to select, or `None` for all (`naming.md` 5.2, step 1).
    fn selected(&self) -> Option<impl Iterator<Item = &str>> {
        let clusters = self.clusters.as_deref().filter(|clusters| !clusters.trim().is_empty())?;
        let mut parts = clusters.split(',').filter(|part| !part.is_empty()).peekable();
        // Java's split of commas alone yields nothing, which selects all.
        parts.peek()?;
        Some(parts)
    }
}

/// A service's own settings, made by console, API or the persistent side; never by registering.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServiceMetadata {
    /// Share of healthy instances at or below which all are shown healthy; negative counts as 0.
    pub protect_threshold: f32,
}

/// All published instances of a service at one revision.
#[derive(Debug, PartialEq)]
pub struct View {
    /// Strictly increasing per service; also its `lastRefTime` (Go clients drop an equal one).
    pub revision: u64,
    cache_ms: u64,
    service: ServiceKey,
    metadata: Option<ServiceMetadata>,
    /// The default body unless protection changed it, then the disabled instances.
    text: Bytes,
    /// What [`Filter::all`] shows.
    body: Bytes,
    hosts: Box<[Shown]>,
    clusters: Box<[Box<str>]>,
}

/// Where one instance stands in the text.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shown {
    start: u32,
    bytes: u32,
    /// Of the value of `healthy`, from `start`.
    healthy_at: u32,
    /// Index into the view's clusters, and two flags.
    cluster: u32,
}

const HEALTHY: u32 = 1 << 31;
const ENABLED: u32 = 1 << 30;

// Sixteen bytes an instance beside its text.
const _: () = assert!(size_of::<Shown>() == 16);
// An instance is smaller than a message, so the last one that still begins below the bound ends in
// range.
const _: () = assert!(VIEW_BYTES_MAX < u32::MAX as usize / 2);

impl Shown {
    fn healthy(self) -> bool {
        self.cluster & HEALTHY != 0
    }

    fn enabled(self) -> bool {
        self.cluster & ENABLED != 0
    }

    fn cluster(self) -> usize {
        (self.cluster & !(HEALTHY | ENABLED)) as usize
    }
}

/// What a view is made of besides instances.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    pub service: &'a ServiceKey,
    pub revision: u64,
    /// `cacheMillis`.
    pub cache_ms: u64,
    pub metadata: Option<ServiceMetadata>,
    /// For tables keyed by client text.
    pub hasher: &'a RandomState,
}

/// Up to this many instances or clusters, equal ones are found by comparing each with each.
const COMPARED_MAX: usize = 8;

impl View {
    /// Writes the view. Equal instances are shown once (`naming.md` 5.1). About 0.1 µs an instance.
    pub fn build<'h>(frame: &Frame<'_>, hosts: impl Iterator<Item = &'h Host>) -> Self {
        let hosts = distinct(hosts.collect(), frame.hasher);
        let mut writer = Writer::new(frame, &hosts);
        for host in hosts.iter().filter(|host| host.enabled()) {
            writer.push(host);
        }
        writer.text.extend_from_slice(TAIL_START.as_bytes());
        tail(&mut writer.text, frame.revision, false);
        let body_bytes = writer.text.len();
        for host in hosts.iter().filter(|host| !host.enabled()) {
            writer.push(host);
        }
        let text = Bytes::from(writer.text.into_boxed_slice());
        let mut view = Self {
            revision: frame.revision,
            cache_ms: frame.cache_ms,
            service: frame.service.clone(),
            metadata: frame.metadata,
            body: text.slice(..body_bytes),
            text,
            hosts: writer.shown.into_boxed_slice(),
            clusters: writer.clusters.into_boxed_slice(),
        };
        if view.metadata.is_some() {
            view.body = view.build_body(&Filter::all(), true);
        }
        view
    }

    /// Whose instances these are.
    pub fn service(&self) -> &ServiceKey {
        &self.service
    }

    /// Instances published, enabled or not.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The `ServiceInfo` JSON under a filter; shared when the filter shows what [`Filter::all`]
    /// shows, else built.
    pub fn body(&self, filter: &Filter) -> Bytes {
        self.shared(filter).unwrap_or_else(|| self.build_body(filter, true))
    }

    /// The default body, if that is what this filter shows.
    fn shared(&self, filter: &Filter) -> Option<Bytes> {
        let whole = filter.clusters.as_deref() == Some("");
        let unhealthy = |shown: &Shown| shown.enabled() && !shown.healthy();
        let same = whole && !(filter.healthy_only && self.hosts.iter().any(unhealthy));
        same.then(|| self.body.clone())
    }

    /// `naming.md` 5.2. Lists for administrators are not limited to enabled instances.
    pub fn build_body(&self, filter: &Filter, enabled_only: bool) -> Bytes {
        let selected = self.select(filter, enabled_only);
        let protected = self.protects(&selected, filter.healthy_only);
        let bytes = selected.iter().map(|shown| shown.bytes as usize + 1).sum::<usize>();
        let clusters = filter.clusters.as_deref();
        let frame = frame_bytes(&self.service, clusters, self.cache_ms, self.revision);
        let mut out = Vec::with_capacity(bytes.saturating_sub(1) + frame);
        head(&mut out, &self.service, clusters, self.cache_ms);
        for (at, shown) in selected.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            self.copy(&mut out, *shown, protected);
        }
        out.extend_from_slice(TAIL_START.as_bytes());
        tail(&mut out, self.revision, protected);
        Bytes::from(out.into_boxed_slice())
    }

    fn select(&self, filter: &Filter, enabled_only: bool) -> Vec<Shown> {
        let wanted: Option<Vec<bool>> = filter.selected().map(|parts| {
            let parts: HashSet<&str> = parts.collect();
            self.clusters.iter().map(|name| parts.contains(&**name)).collect()
        });
        let shows = |shown: &&Shown| {
            (!enabled_only || shown.enabled())
                && (!filter.healthy_only || shown.healthy())
                && wanted.as_ref().is_none_or(|wanted| wanted[shown.cluster()])
        };
        self.hosts.iter().filter(shows).copied().collect()
    }

    /// Whether so few are healthy that all are to be shown healthy. Only with metadata; an empty
    /// list never is. With `healthy_only` what is left is all healthy.
    fn protects(&self, selected: &[Shown], healthy_only: bool) -> bool {
        let Some(metadata) = self.metadata else { return false };
        let healthy = selected.iter().filter(|shown| shown.healthy()).count();
        debug_assert!(!healthy_only || healthy == selected.len());
        // 0 / 0 is NaN, which is not at most anything.
        healthy as f32 / selected.len() as f32 <= metadata.protect_threshold.max(0.0)
    }

    fn copy(&self, out: &mut Vec<u8>, shown: Shown, protected: bool) {
        let text = &self.text[shown.start as usize..][..shown.bytes as usize];
        if shown.healthy() || !protected {
            return out.extend_from_slice(text);
        }
        let (before, after) = text.split_at(shown.healthy_at as usize);
        out.extend_from_slice(before);
        out.extend_from_slice(b"true");
        out.extend_from_slice(&after[b"false".len()..]);
    }
}

/// A view's text as it grows.
struct Writer<'a> {
    grouped: Grouped,
    text: Vec<u8>,
    shown: Vec<Shown>,
    clusters: Vec<Box<str>>,
    /// Of the clusters after the first few.
    index: HashMap<&'a str, u32, RandomState>,
}

impl<'a> Writer<'a> {
    fn new(frame: &Frame<'a>, hosts: &[&Host]) -> Self {
        let grouped = Grouped::of(frame.service);
        // One comma less than there are instances.
        let bytes = hosts.iter().map(|host| host.json_bytes(&grouped) + 1).sum::<usize>();
        let bytes = bytes.saturating_sub(1).min(VIEW_BYTES_MAX)
            + frame_bytes(frame.service, Some(""), frame.cache_ms, frame.revision);
        let mut text = Vec::with_capacity(bytes);
        head(&mut text, frame.service, Some(""), frame.cache_ms);
        Self {
            grouped,
            text,
            shown: Vec::with_capacity(hosts.len()),
            clusters: Vec::new(),
            index: HashMap::with_hasher(frame.hasher.clone()),
        }
    }

    /// Appends an instance; one that would burst the view is left out.
    fn push<'h: 'a>(&mut self, host: &'h Host) {
        if self.text.len() >= VIEW_BYTES_MAX {
            return;
        }
        if self.text.last() == Some(&b'}') && !self.shown.is_empty() {
            self.text.push(b',');
        }
        let start = self.text.len();
        let healthy_at = host.write(&self.grouped, &mut self.text);
        let cluster = self.cluster(host.cluster());
        let healthy = if host.healthy() { HEALTHY } else { 0 };
        let enabled = if host.enabled() { ENABLED } else { 0 };
        self.shown.push(Shown {
            start: start as u32,
            bytes: (self.text.len() - start) as u32,
            healthy_at: healthy_at as u32,
            cluster: cluster | healthy | enabled,
        });
    }

    fn cluster(&mut self, name: &'a str) -> u32 {
        let known = &self.clusters[..self.clusters.len().min(COMPARED_MAX)];
        if let Some(at) = known.iter().position(|known| **known == *name) {
            return at as u32;
        }
        let next = self.clusters.len() as u32;
        if self.clusters.len() < COMPARED_MAX {
            self.clusters.push(name.into());
            return next;
        }
        let index = *self.index.entry(name).or_insert(next);
        if index == next {
            self.clusters.push(name.into());
        }
        index
    }
}

const TAIL_START: &str = "],\"lastRefTime\":";

fn head(out: &mut Vec<u8>, service: &ServiceKey, clusters: Option<&str>, cache_ms: u64) {
    out.extend_from_slice(b"{\"name\":");
    json::write_string(out, service.service());
    out.extend_from_slice(b",\"groupName\":");
    json::write_string(out, service.group());
    if let Some(clusters) = clusters {
        out.extend_from_slice(b",\"clusters\":");
        json::write_string(out, clusters);
    }
    out.extend_from_slice(b",\"cacheMillis\":");
    out.extend_from_slice(Digits::of(cache_ms).as_str().as_bytes());
    out.extend_from_slice(b",\"hosts\":[");
}

fn tail(out: &mut Vec<u8>, revision: u64, protected: bool) {
    out.extend_from_slice(Digits::of(revision).as_str().as_bytes());
    out.extend_from_slice(b",\"checksum\":\"\",\"allIps\":false,\"reachProtectionThreshold\":");
    json::write_bool(out, protected);
    out.extend_from_slice(b",\"valid\":true}");
}

/// What head and tail take, exactly, unless a name is escaped or protection is on.
fn frame_bytes(
    service: &ServiceKey,
    clusters: Option<&str>,
    cache_ms: u64,
    revision: u64,
) -> usize {
    const FIXED: usize = concat!(
        r#"{"name":"","groupName":"","cacheMillis":,"hosts":[],"lastRefTime":,"checksum":"","#,
        r#""allIps":false,"reachProtectionThreshold":false,"valid":true}"#
    )
    .len();
    let digits = |number| Digits::of(number).as_str().len();
    let clusters = clusters.map_or(0, |clusters| r#","clusters":"""#.len() + clusters.len());
    FIXED
        + service.service().len()
        + service.group().len()
        + clusters
        + digits(cache_ms)
        + digits(revision)
}

/// The hosts without repetitions, first ones kept.
fn distinct<'h>(hosts: Vec<&'h Host>, hasher: &RandomState) -> Vec<&'h Host> {
    if hosts.len() <= COMPARED_MAX {
        let repeated = (1..hosts.len()).any(|at| hosts[..at].contains(&hosts[at]));
        if !repeated {
            return hosts;
        }
    }
    let mut seen = HashSet::with_capacity_and_hasher(hosts.len(), hasher.clone());
    hosts.into_iter().filter(|host| seen.insert(*host)).collect()
}

/// Filtered bodies of **one** service, kept by whoever answers with them often; on any core. Holds
/// at most [`FILTERED_BODIES_MAX`] of the newest revision it saw; beyond that each use builds.
#[derive(Debug, Default)]
pub struct Bodies {
    revision: u64,
    kept: Vec<(Filter, Bytes)>,
}

impl Bodies {
    /// `view.body(filter)`, built once per revision and filter.
    pub fn get(&mut self, view: &View, filter: &Filter) -> Bytes {
        if let Some(body) = view.shared(filter) {
            return body;
        }
        if self.revision != view.revision {
            self.kept.clear();
            self.revision = view.revision;
        }
        if let Some((_, body)) = self.kept.iter().find(|(kept, _)| kept == filter) {
            return body.clone();
        }
        let body = view.build_body(filter, true);
        if self.kept.len() < FILTERED_BODIES_MAX {
            self.kept.push((filter.clone(), body.clone()));
        }
        body
    }

    /// Bodies kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests;
