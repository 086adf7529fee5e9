//! What a request touches, and which stored permissions cover it (`auth.md` 3).

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Read,
    Write,
}

/// Which module a resource belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Config,
    Naming,
    Ai,
}

impl Kind {
    const fn text(self) -> &'static str {
        match self {
            Kind::Config => "config",
            Kind::Naming => "naming",
            Kind::Ai => "ai",
        }
    }
}

/// What one request touches. Blank parts stand for all there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// `<namespace>:<group>:<kind>/<name>`.
    Of { namespace: &'a str, group: &'a str, kind: Kind, name: &'a str },
    /// An endpoint that names its resource itself, such as `console/users` or `/v1/cs/ops`.
    Named(&'a str),
}

/// Resources that only administrators have, whatever permissions say.
const CONSOLE_PREFIX: &str = "console/";

/// The namespace of requests that name none, and of permissions written by 1.x and 2.x.
const PUBLIC: &str = "public";

/// What stands for all groups or names.
const ALL: &str = "*";

impl Resource<'_> {
    /// Whether only administrators may.
    pub fn is_for_administrators(&self) -> bool {
        matches!(self, Resource::Named(name) if name.starts_with(CONSOLE_PREFIX))
    }
}

/// A stored resource text, in which `*` stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// Where the first two colons are, of the text as it is compared.
    colons: Option<(usize, usize)>,
    /// The stored text starts with a colon: `public` is meant before it.
    legacy: bool,
}

impl Pattern {
    pub fn new(stored: &str) -> Self {
        let legacy = stored.starts_with(':');
        let text = if legacy { format!("{PUBLIC}{stored}") } else { stored.to_owned() };
        let mut colons = text.match_indices(':').map(|(at, _)| at);
        let colons = colons.next().zip(colons.next());
        Self { text: text.into(), colons, legacy }
    }

    /// As it was stored.
    pub fn stored(&self) -> &str {
        if self.legacy { &self.text[PUBLIC.len()..] } else { &self.text }
    }

    /// Whether the whole resource is covered. No allocation; some 30 ns for ordinary texts, at
    /// worst their lengths multiplied.
    pub fn covers(&self, resource: &Resource<'_>) -> bool {
        match *resource {
            Resource::Named(name) => glob(self.text.as_bytes(), &Text::of(&[name])),
            Resource::Of { namespace, group, kind, name } => {
                let namespace = or(namespace, PUBLIC);
                let (group, kind, name) = (or(group, ALL), kind.text(), or(name, ALL));
                match self.colons {
                    Some(at) => self.covers_parts(at, [namespace, group, kind, name]),
                    None => {
                        let parts = [namespace, ":", group, ":", kind, "/", name];
                        glob(self.text.as_bytes(), &Text { parts: &parts, guarded: [0, 2] })
                    }
                }
            }
        }
    }

    fn covers_parts(&self, (first, second): (usize, usize), parts: [&str; 4]) -> bool {
        let [namespace, group, kind, name] = parts;
        let pattern = self.text.as_bytes();
        glob(&pattern[..first], &Text::of(&[namespace]))
            && glob(&pattern[first + 1..second], &Text::of(&[group]))
            && glob(&pattern[second + 1..], &Text::of(&[kind, "/", name]))
    }
}

fn or<'a>(text: &'a str, blank: &'a str) -> &'a str {
    // Almost always the first byte says it.
    if text.as_bytes().first().is_some_and(u8::is_ascii_graphic) {
        return text;
    }
    if text.trim().is_empty() { blank } else { text }
}

/// A text in parts, compared as if it were one.
struct Text<'a> {
    parts: &'a [&'a str],
    /// Parts whose own colons are no borders; an index beyond the parts is none.
    guarded: [usize; 2],
}

/// What a colon that is no border is compared as: no permission can hold it, and a star takes it.
const NO_BORDER: u8 = 0;

impl<'a> Text<'a> {
    fn of(parts: &'a [&'a str]) -> Self {
        Self { parts, guarded: [usize::MAX; 2] }
    }

    fn at(&self, mut index: usize) -> Option<u8> {
        for (number, part) in self.parts.iter().enumerate() {
            match part.as_bytes().get(index) {
                Some(b':') if self.guarded.contains(&number) => return Some(NO_BORDER),
                Some(byte) => return Some(*byte),
                None => index -= part.len(),
            }
        }
        None
    }
}

/// Whether the pattern, with `*` for any run of bytes, is the whole text.
fn glob(pattern: &[u8], text: &Text<'_>) -> bool {
    if pattern == ALL.as_bytes() {
        return true;
    }
    let (mut at, mut reached) = (0, 0);
    // After a star: where the pattern goes on, and how much of the text the star has taken.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = text.at(reached) {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                retry = Some((at, reached));
            }
            Some(wanted) if *wanted == byte => {
                at += 1;
                reached += 1;
            }
            _ => match &mut retry {
                Some((after, taken)) => {
                    *taken += 1;
                    (at, reached) = (*after, *taken);
                }
                None => return false,
            },
        }
        // A star at the end takes all the rest.
        if retry.is_some_and(|(after, _)| after == pattern.len()) {
            return true;
        }
    }
    pattern[at.min(pattern.len())..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
