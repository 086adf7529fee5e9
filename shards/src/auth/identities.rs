//! Users, their roles and what roles permit: one immutable table every core reads.

use super::denial::Denial;
use super::resource::{Action, Pattern, Resource};
use arc_swap::{ArcSwap, Guard};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The role that may everything. Given once, to the first administrator.
pub const ROLE_ADMIN: &str = "ROLE_ADMIN";

/// The name of the first administrator.
pub const FIRST_ADMINISTRATOR: &str = "nacos";

/// What nobody reads in a log: hashes of passwords, keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(pub &'a str);

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One user.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// bcrypt of the password; blank when the user cannot log in with one of ours.
    pub hash: Box<str>,
    /// Sorted, each once.
    pub roles: Vec<Arc<str>>,
}

impl User {
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|known| **known == *role)
    }

    pub fn is_administrator(&self) -> bool {
        self.has_role(ROLE_ADMIN)
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// One row a role has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    pub pattern: Pattern,
    pub action: Rights,
}

/// `r`, `w` or `rw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rights {
    Read = 1,
    Write = 2,
    Both = 3,
}

impl Rights {
    /// As operators write it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "r" => Some(Rights::Read),
            "w" => Some(Rights::Write),
            "rw" => Some(Rights::Both),
            _ => None,
        }
    }

    pub const fn text(self) -> &'static str {
        match self {
            Rights::Read => "r",
            Rights::Write => "w",
            Rights::Both => "rw",
        }
    }

    /// Whether these rights hold this action.
    pub const fn hold(self, action: Action) -> bool {
        let bit = match action {
            Action::Read => Rights::Read as u8,
            Action::Write => Rights::Write as u8,
        };
        self as u8 & bit != 0
    }
}

/// All of them. Cheap to copy: names and records are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identities {
    /// Grows with every change that is shown; what was concluded from an older table is void.
    epoch: u64,
    pub(crate) users: BTreeMap<Arc<str>, Arc<User>>,
    /// By role.
    pub(crate) permissions: BTreeMap<Arc<str>, Arc<Vec<Permission>>>,
    /// What tokens are signed with, where no setting says so: made once for the whole cluster.
    pub(crate) signing_key: Option<SigningKey>,
}

/// Bytes tokens are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(pub Arc<[u8]>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl Identities {
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    pub fn signing_key(&self) -> Option<&SigningKey> {
        self.signing_key.as_ref()
    }

    /// Whether somebody may everything.
    pub fn has_administrator(&self) -> bool {
        self.users.values().any(|user| user.is_administrator())
    }

    /// Whether this role means anything: somebody has it.
    pub fn has_role(&self, role: &str) -> bool {
        self.users.values().any(|user| user.has_role(role))
    }

    /// Users in the order of their names.
    pub fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (&**name, &**user))
    }

    /// (role, user), in the order of users.
    pub fn roles(&self) -> impl Iterator<Item = (&str, &str)> {
        let of = |(name, user): (_, _)| {
            let (name, user): (&Arc<str>, &Arc<User>) = (name, user);
            user.roles.iter().map(move |role| (&**role, &**name))
        };
        self.users.iter().flat_map(of)
    }

    /// (role, resource, rights), in the order of roles.
    pub fn permissions(&self) -> impl Iterator<Item = (&str, &str, Rights)> {
        self.permissions.iter().flat_map(|(role, rows)| {
            rows.iter().map(move |row| (&**role, row.pattern.stored(), row.action))
        })
    }

    /// Whether a role has exactly this row, or both rights on exactly this resource.
    pub fn has_permission(&self, role: &str, resource: &str, rights: Rights) -> bool {
        self.permissions.get(role).is_some_and(|rows| {
            let same = |row: &Permission| row.action == rights || row.action == Rights::Both;
            rows.iter().any(|row| same(row) && row.pattern.stored() == resource)
        })
    }

    /// The decision (`auth.md` 3.3). A user who is not there has no right: his token may outlive
    /// him. One look-up a role, then one comparison a row.
    ///
    /// # Errors
    /// [`Denial::Forbidden`].
    pub fn decide(
        &self,
        user: &str,
        action: Action,
        resource: &Resource<'_>,
    ) -> Result<(), Denial> {
        let Some(user) = self.users.get(user) else { return Err(Denial::Forbidden) };
        let rows = user.roles.iter().filter_map(|role| self.permissions.get(role));
        decide(user.is_administrator(), rows, action, resource)
    }

    /// What a user may, found once to be asked often. Who is not there has no right.
    pub fn granted(&self, user: &str) -> Granted {
        let user = self.users.get(user);
        let roles = user.map_or(&[][..], |user| &user.roles);
        let rows = roles.iter().filter_map(|role| self.permissions.get(role)).cloned();
        let is_administrator = user.is_some_and(|user| user.is_administrator());
        Granted { epoch: self.epoch, is_administrator, rows: rows.collect() }
    }
}

/// What one user may, by the table of one epoch: void once another one is shown.
#[derive(Debug, Clone)]
pub struct Granted {
    epoch: u64,
    is_administrator: bool,
    rows: Box<[Arc<Vec<Permission>>]>,
}

impl Granted {
    /// Of the table it was found in.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The decision, as [`Identities::decide`]'s, without a look-up.
    ///
    /// # Errors
    /// [`Denial::Forbidden`].
    pub fn decide(&self, action: Action, resource: &Resource<'_>) -> Result<(), Denial> {
        decide(self.is_administrator, self.rows.iter(), action, resource)
    }
}

fn decide<'a>(
    is_administrator: bool,
    rows: impl Iterator<Item = &'a Arc<Vec<Permission>>>,
    action: Action,
    resource: &Resource<'_>,
) -> Result<(), Denial> {
    if is_administrator {
        return Ok(());
    }
    if resource.is_for_administrators() {
        return Err(Denial::Forbidden);
    }
    for rows in rows {
        if rows.iter().any(|row| row.action.hold(action) && row.pattern.covers(resource)) {
            return Ok(());
        }
    }
    Err(Denial::Forbidden)
}

/// What all cores read. Written by the Raft core.
#[derive(Debug, Default)]
pub struct Shared(ArcSwap<Identities>);

impl Shared {
    /// As it is now. To be let go of within the turn.
    pub fn now(&self) -> Guard<Arc<Identities>> {
        self.0.load()
    }

    /// As it is now, to be kept while something is waited for.
    pub fn kept(&self) -> Arc<Identities> {
        self.0.load_full()
    }

    /// Shows a new table; what is shown has its epoch from here.
    pub(crate) fn show(&self, identities: &Identities) {
        let epoch = self.0.load().epoch + 1;
        self.0.store(Arc::new(Identities { epoch, ..identities.clone() }));
    }
}

#[cfg(test)]
mod tests;
