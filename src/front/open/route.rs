//! One row per path and method of the HTTP port, and how a request finds its row.
//!
//! Paths are compared byte by byte, never decoded or normalised: what looks like another path is
//! another path. One slash at the end is passed over.

use crate::http1::Method;
use std::collections::HashMap;

/// What a row answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Put,
    Delete,
    Patch,
    /// Any of them.
    Any,
}

impl Verb {
    /// HEAD is GET whose body is not sent.
    fn of(method: &Method) -> Option<Self> {
        Some(match *method {
            Method::GET | Method::HEAD => Verb::Get,
            Method::POST => Verb::Post,
            Method::PUT => Verb::Put,
            Method::DELETE => Verb::Delete,
            Method::PATCH => Verb::Patch,
            _ => return None,
        })
    }

    /// As an `Allow` header lists it.
    pub fn allowed(self) -> &'static str {
        match self {
            Verb::Get => "GET, HEAD",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
            Verb::Patch => "PATCH",
            Verb::Any => "GET, HEAD, POST, PUT, DELETE, PATCH",
        }
    }
}

/// The compatibility label of a row (`http-api.md` 1.7): which switch turns it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// `nacos.core.api.compatibility.client.enabled`.
    Open,
    /// `nacos.core.api.compatibility.admin.enabled`.
    Admin,
    /// `nacos.core.api.compatibility.console.enabled`.
    Console,
    /// Between nodes of mixed clusters.
    Inner,
    /// Always on.
    None,
}

/// What a row does to what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Read,
    Write,
}

/// Whose switch decides whether rights are looked at (`auth.md` 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Open,
    Admin,
    Console,
    Inner,
}

/// The right a row asks for; `None` is free for everybody.
pub type Access = Option<(Action, Scope)>;

/// Which generation of the API a path belongs to: it decides the form of answers and refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Text and bare JSON.
    V1,
    /// `{"code","message","data"}`.
    V2,
    V3,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub verb: Verb,
    /// Below the context path.
    pub path: &'static str,
    pub label: Label,
    pub access: Access,
    pub endpoint: super::Endpoint,
}

impl Route {
    pub fn version(&self) -> Version {
        match self.path.as_bytes() {
            [b'/', b'v', b'2', b'/', ..] => Version::V2,
            [b'/', b'v', b'3', b'/', ..] => Version::V3,
            _ => Version::V1,
        }
    }

    /// Whether it answers without the context path, too: what is on the console's own port in 3.x,
    /// whose context path is empty, and what probes ask of any server.
    fn is_bare(&self) -> bool {
        const BARE: [&str; 7] = [
            "/v1/console/",
            "/v2/console/",
            "/v3/console/",
            "/v3/auth/",
            "/v3/admin/core/state",
            "/actuator/",
            "/metrics",
        ];
        BARE.iter().any(|prefix| self.path.starts_with(prefix))
    }
}

/// Where a request leads.
#[derive(Debug)]
pub enum Found {
    Route(&'static Route),
    /// The path is there, with these methods.
    OtherMethods(&'static [Route], Vec<usize>),
    Nothing,
}

/// All rows by path.
#[derive(Debug)]
pub struct Routes {
    rows: &'static [Route],
    by_path: HashMap<&'static str, Vec<usize>, ahash::RandomState>,
    context_path: Box<str>,
}

impl Routes {
    pub fn new(rows: &'static [Route], context_path: &str) -> Self {
        let mut by_path: HashMap<_, Vec<usize>, _> = HashMap::default();
        for (at, row) in rows.iter().enumerate() {
            by_path.entry(row.path).or_default().push(at);
        }
        Self { rows, by_path, context_path: context_path.into() }
    }

    /// The row of a method and a path as it came.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        let below = path.strip_prefix(&*self.context_path);
        let below = below.and_then(|below| self.by_path.get(below));
        let bare = || {
            let rows = self.by_path.get(path)?;
            rows.iter().all(|at| self.rows[*at].is_bare()).then_some(rows)
        };
        let Some(rows) = below.or_else(bare) else { return Found::Nothing };
        let verb = Verb::of(method);
        let fits = |row: &&Route| row.verb == Verb::Any || Some(row.verb) == verb;
        match rows.iter().map(|at| &self.rows[*at]).find(fits) {
            Some(route) if verb.is_some() => Found::Route(route),
            _ => Found::OtherMethods(self.rows, rows.clone()),
        }
    }
}

/// The `Allow` header of a path.
pub fn allow(rows: &[Route], at: &[usize]) -> String {
    let mut allowed: Vec<&str> = at.iter().map(|at| rows[*at].verb.allowed()).collect();
    allowed.dedup();
    allowed.push("OPTIONS");
    allowed.join(", ")
}
