//! One row per path and method of the HTTP port, and how a request finds its row.
//!
//! Paths are compared byte by byte, never decoded or normalised: what looks like another path is
//! another path. One slash at the end is passed over. A part in braces stands for any text without
//! a slash; what it stands for is a parameter of that name. One row stands beside the context path,
//! for what no other is there for.

use super::table::PRODUCT_LIST;
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
    /// Below the context path, unless it [is at the root](Route::is_at_root).
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

    /// Whether its path stands beside the context path instead of below it.
    pub fn is_at_root(&self) -> bool {
        self.path == PRODUCT_LIST
    }

    /// Its whole path where this is the context path.
    pub fn path_with(&self, context_path: &str) -> String {
        let before = if self.is_at_root() { "" } else { context_path };
        format!("{before}{}", self.path)
    }

    /// What the parts in braces stand for in a path that led here, as it came.
    pub fn named<'p>(&self, path: &'p str) -> Vec<(&'static str, &'p str)> {
        if !has_parts(self.path) {
            return Vec::new();
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        // From the end: what stands before the row's own path is the context path.
        let parts = self.path.rsplit('/').zip(path.rsplit('/'));
        parts.filter_map(|(of, text)| Some((braced(of)?, text))).collect()
    }

    /// Whether the console's own port has it, too (`http-api.md` 1.1).
    pub fn is_of_console(&self) -> bool {
        const OF_CONSOLE: [&str; 6] =
            ["/v1/console/", "/v2/console/", "/v3/console/", "/v3/auth/", "/actuator/", "/metrics"];
        OF_CONSOLE.iter().any(|prefix| self.path.starts_with(prefix))
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

/// The name of a part that stands for any text.
fn braced(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

fn has_parts(path: &'static str) -> bool {
    path.split('/').any(|part| braced(part).is_some())
}

fn fits(row: &'static str, path: &str) -> bool {
    let (mut parts, mut texts) = (row.split('/'), path.split('/'));
    loop {
        match (parts.next(), texts.next()) {
            (None, None) => return true,
            (Some(part), Some(text)) => match braced(part) {
                Some(_) if !text.is_empty() => {}
                None if part == text => {}
                _ => return false,
            },
            _ => return false,
        }
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
    /// Paths with parts that stand for any text; a few.
    open: Vec<&'static str>,
    /// Those beside the context path.
    at_root: Vec<usize>,
    context_path: Box<str>,
}

impl Routes {
    pub fn new(rows: &'static [Route], context_path: &str) -> Self {
        Self::of(rows, context_path, |_| true)
    }

    /// Those of the console's own port.
    pub fn of_console(rows: &'static [Route], context_path: &str) -> Self {
        Self::of(rows, context_path, Route::is_of_console)
    }

    fn of(rows: &'static [Route], context_path: &str, is_meant: fn(&Route) -> bool) -> Self {
        let mut by_path: HashMap<_, Vec<usize>, _> = HashMap::default();
        let (mut open, mut at_root) = (Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| is_meant(row)) {
            if row.is_at_root() {
                at_root.push(at);
                continue;
            }
            let rows_of_path: &mut Vec<usize> = by_path.entry(row.path).or_default();
            if rows_of_path.is_empty() && has_parts(row.path) {
                open.push(row.path);
            }
            rows_of_path.push(at);
        }
        Self { rows, by_path, open, at_root, context_path: context_path.into() }
    }

    fn below(&self, path: &str) -> Option<&Vec<usize>> {
        let spelled = self.by_path.get(path);
        let open = || self.by_path.get(self.open.iter().find(|row| fits(row, path))?);
        spelled.or_else(open)
    }

    /// The row of a method and a path as it came.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        let below = path.strip_prefix(&*self.context_path);
        let below = below.and_then(|below| self.below(below));
        let bare = || {
            let rows = self.by_path.get(path)?;
            rows.iter().all(|at| self.rows[*at].is_bare()).then_some(rows)
        };
        let fits_root = |at: &usize| fits(self.rows[*at].path, path);
        let at_root = || Some(&self.at_root).filter(|rows| rows.iter().any(fits_root));
        let Some(rows) = below.or_else(bare).or_else(at_root) else { return Found::Nothing };
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
