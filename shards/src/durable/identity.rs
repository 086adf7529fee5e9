//! What changing users, roles and permissions does to the state (`auth.md` 6, 7).
//!
//! One record a user (with his roles), one a role (with its rows), one for the signing key. All
//! checks that need state are here, so two first administrators cannot both be made, on however
//! many nodes they are asked for.

pub mod change;

use crate::auth::identities::{
    FIRST_ADMINISTRATOR, Identities, Permission, ROLE_ADMIN, Rights, SigningKey, User,
};
use crate::auth::resource::Pattern;
use crate::durable::answer::Answer;
use crate::durable::codec::{Reader, Unreadable, Writer};
use crate::durable::record;
use crate::durable::state::State;
use crate::durable::{Record, Table};
use bytes::Bytes;
use change::Change;
use nacre_proto::code::Code;
use std::sync::Arc;

/// Users of one cluster; tables are copied whole on a change, at this number in 2 ms. The bounds
/// here are part of what commands mean: all nodes have to agree on them. Beyond: refused, 400.
pub const USERS_MAX: usize = 16_384;

/// Roles of one user.
pub const ROLES_PER_USER_MAX: usize = 256;

/// Rows of one role: each is compared on a request of whoever has the role.
pub const PERMISSIONS_PER_ROLE_MAX: usize = 1_024;

/// Roles with rows.
pub const ROLES_MAX: usize = 16_384;

/// The working copy. Lives on the Raft core.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) there: Identities,
    /// Readers do not see it as it is yet.
    pub(super) touched: bool,
}

/// First byte of a key: what the record is.
const USER: u8 = 1;
const ROLE: u8 = 2;
const SIGNING_KEY: u8 = 3;

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> Answer {
    Answer::refused(Code::InvalidParam, text)
}

impl Identity {
    /// Takes in one record of a checkpoint or snapshot.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unreadable> {
        let mut key = Reader::new(key);
        let mut value = record::read_value(value)?;
        let kind = key.u8()?;
        self.touched = true;
        match kind {
            USER => {
                let name: Arc<str> = key.text()?.into();
                let hash = value.text()?.into();
                let roles = (0..value.u32()?).map(|_| value.text().map(Into::into));
                let roles = roles.collect::<Result<_, _>>()?;
                self.there.users.insert(name, Arc::new(User { hash, roles }));
            }
            ROLE => {
                let role: Arc<str> = key.text()?.into();
                let rows = (0..value.u32()?).map(|_| read_permission(&mut value));
                let rows = rows.collect::<Result<_, _>>()?;
                self.there.permissions.insert(role, Arc::new(rows));
            }
            SIGNING_KEY => self.there.signing_key = Some(SigningKey(value.bytes()?.into())),
            _ => return Err("neither a user nor a role nor a key"),
        }
        key.finish()?;
        value.finish()
    }

    fn put_user(&mut self, name: &str, user: User, records: &mut Vec<Record>) {
        let mut value = record::value(user.hash.len() + 32 * user.roles.len() + 16);
        value.text(&user.hash);
        value.u64(user.roles.len() as u64);
        for role in &user.roles {
            value.text(role);
        }
        records.push(record::there(Table::Identity, key(USER, name), value));
        self.there.users.insert(name.into(), Arc::new(user));
        self.touched = true;
    }

    fn put_permissions(&mut self, role: &str, rows: Vec<Permission>, records: &mut Vec<Record>) {
        self.touched = true;
        if rows.is_empty() {
            self.there.permissions.remove(role);
            records.push(record::gone(Table::Identity, key(ROLE, role)));
            return;
        }
        let mut value = record::value(64 * rows.len());
        value.u64(rows.len() as u64);
        for row in &rows {
            value.text(row.pattern.stored());
            value.u8(row.action as u8);
        }
        records.push(record::there(Table::Identity, key(ROLE, role), value));
        self.there.permissions.insert(role.into(), Arc::new(rows));
    }

    fn user(&self, name: &str) -> Option<User> {
        self.there.users.get(name).map(|user| (**user).clone())
    }
}

fn key(kind: u8, name: &str) -> Bytes {
    let mut writer = Writer::with_capacity(name.len() + 4);
    writer.u8(kind);
    writer.text(name);
    writer.finish().into()
}

fn read_permission(value: &mut Reader<'_>) -> Result<Permission, Unreadable> {
    let pattern = Pattern::new(value.text()?);
    let action = Rights::of(value.u8()?)?;
    Ok(Permission { pattern, action })
}

impl Rights {
    pub(crate) fn of(number: u8) -> Result<Self, Unreadable> {
        match number {
            1 => Ok(Rights::Read),
            2 => Ok(Rights::Write),
            3 => Ok(Rights::Both),
            _ => Err("neither r nor w nor rw"),
        }
    }
}

impl State {
    /// Users, roles and permissions as they are decided, shown to readers or not yet.
    pub fn identities(&self) -> &Identities {
        &self.identity.there
    }

    pub(super) fn change_identity(
        &mut self,
        change: &Change<'_>,
        records: &mut Vec<Record>,
    ) -> Answer {
        let before = records.len();
        let decided = match *change {
            Change::FirstAdministrator { hash } => self.first_administrator(hash.0, records),
            Change::CreateUser { name, hash } => self.create_user(name, hash.0, records),
            Change::SetPassword { name, hash } => self.set_password(name, hash.0, records),
            Change::DeleteUser { name } => self.delete_user(name, records),
            Change::AddRole { role, user } => self.add_role(role, user, records),
            Change::RemoveRole { role, user } => self.remove_role(role, user, records),
            Change::AddPermission { role, resource, rights } => {
                self.add_permission(role, resource, rights, records)
            }
            Change::RemovePermission { role, resource, rights } => {
                self.remove_permission(role, resource, rights, records);
                Ok(())
            }
            Change::OfferKey { key } => {
                self.offer_key(key, records);
                Ok(())
            }
        };
        match decided {
            Ok(()) if records.len() == before => self.done(),
            Ok(()) => {
                self.revision += 1;
                self.done()
            }
            Err(refused) => refused,
        }
    }

    fn first_administrator(&mut self, hash: &str, records: &mut Vec<Record>) -> Result<(), Answer> {
        if self.identity.there.has_administrator() {
            return Err(Answer::refused(Code::Conflict, "have admin user cannot use it."));
        }
        // Somebody may bear the name already; whoever may make the first administrator may that.
        let roles = self.identity.user(FIRST_ADMINISTRATOR).map(|user| user.roles);
        let mut user = User { hash: hash.into(), roles: roles.unwrap_or_default() };
        add_sorted(&mut user.roles, ROLE_ADMIN);
        self.identity.put_user(FIRST_ADMINISTRATOR, user, records);
        Ok(())
    }

    fn create_user(
        &mut self,
        name: &str,
        hash: &str,
        records: &mut Vec<Record>,
    ) -> Result<(), Answer> {
        if self.identity.there.users.contains_key(name) {
            return Err(invalid(format!("user '{name}' already exist!")));
        }
        if self.identity.there.users.len() >= USERS_MAX {
            return Err(invalid(format!("there are {USERS_MAX} users, no more are kept")));
        }
        let user = User { hash: hash.into(), roles: Vec::new() };
        self.identity.put_user(name, user, records);
        Ok(())
    }

    fn set_password(
        &mut self,
        name: &str,
        hash: &str,
        records: &mut Vec<Record>,
    ) -> Result<(), Answer> {
        let Some(user) = self.identity.user(name) else {
            return Err(invalid(format!("user {name} not exist!")));
        };
        self.identity.put_user(name, User { hash: hash.into(), ..user }, records);
        Ok(())
    }

    /// With his roles: who comes later under the name starts without any.
    fn delete_user(&mut self, name: &str, records: &mut Vec<Record>) -> Result<(), Answer> {
        let Some(user) = self.identity.there.users.get(name) else { return Ok(()) };
        if user.is_administrator() {
            return Err(invalid(format!("cannot delete admin: {name}")));
        }
        self.identity.there.users.remove(name);
        self.identity.touched = true;
        records.push(record::gone(Table::Identity, key(USER, name)));
        Ok(())
    }

    fn add_role(
        &mut self,
        role: &str,
        name: &str,
        records: &mut Vec<Record>,
    ) -> Result<(), Answer> {
        let Some(mut user) = self.identity.user(name) else {
            return Err(invalid(format!("user '{name}' not found!")));
        };
        if role == ROLE_ADMIN {
            return Err(invalid("role 'ROLE_ADMIN' is not permitted to create!"));
        }
        if user.has_role(role) {
            return Err(invalid(format!("user '{name}' already bound to the role '{role}'!")));
        }
        if user.roles.len() >= ROLES_PER_USER_MAX {
            return Err(invalid(format!("user '{name}' has {ROLES_PER_USER_MAX} roles already")));
        }
        add_sorted(&mut user.roles, role);
        self.identity.put_user(name, user, records);
        Ok(())
    }

    /// Of one user, or of all where none is named.
    fn remove_role(
        &mut self,
        role: &str,
        name: &str,
        records: &mut Vec<Record>,
    ) -> Result<(), Answer> {
        if role == ROLE_ADMIN {
            return Err(invalid("role 'ROLE_ADMIN' is not permitted to delete!"));
        }
        let users = &self.identity.there.users;
        let bound = |(_, user): &(&Arc<str>, &Arc<User>)| user.has_role(role);
        let names: Vec<Arc<str>> = match name {
            "" => users.iter().filter(bound).map(|(name, _)| name.clone()).collect(),
            name => {
                users.get_key_value(name).into_iter().filter(bound).map(|u| u.0.clone()).collect()
            }
        };
        for name in names {
            let Some(mut user) = self.identity.user(&name) else { continue };
            user.roles.retain(|known| **known != *role);
            self.identity.put_user(&name, user, records);
        }
        Ok(())
    }

    fn add_permission(
        &mut self,
        role: &str,
        resource: &str,
        rights: Rights,
        records: &mut Vec<Record>,
    ) -> Result<(), Answer> {
        let there = &self.identity.there;
        if !there.has_role(role) {
            return Err(invalid(format!("role {role} not found!")));
        }
        let mut rows = there.permissions.get(role).map(|rows| (**rows).clone()).unwrap_or_default();
        if rows.iter().any(|row| row.action == rights && row.pattern.stored() == resource) {
            return Ok(());
        }
        if rows.len() >= PERMISSIONS_PER_ROLE_MAX {
            let text = format!("role {role} has {PERMISSIONS_PER_ROLE_MAX} permissions already");
            return Err(invalid(text));
        }
        if rows.is_empty() && there.permissions.len() >= ROLES_MAX {
            return Err(invalid(format!("{ROLES_MAX} roles have permissions, no more are kept")));
        }
        rows.push(Permission { pattern: Pattern::new(resource), action: rights });
        self.identity.put_permissions(role, rows, records);
        Ok(())
    }

    fn remove_permission(
        &mut self,
        role: &str,
        resource: &str,
        rights: Rights,
        records: &mut Vec<Record>,
    ) {
        let Some(rows) = self.identity.there.permissions.get(role) else { return };
        let mut rows = (**rows).clone();
        let before = rows.len();
        rows.retain(|row| row.action != rights || row.pattern.stored() != resource);
        if rows.len() != before {
            self.identity.put_permissions(role, rows, records);
        }
    }

    /// The first offer counts: later ones are of nodes that did not know it yet.
    fn offer_key(&mut self, offered: &[u8], records: &mut Vec<Record>) {
        if self.identity.there.signing_key.is_some() {
            return;
        }
        let mut value = record::value(offered.len() + 4);
        value.bytes(offered);
        records.push(record::there(Table::Identity, Bytes::from_static(&[SIGNING_KEY]), value));
        self.identity.there.signing_key = Some(SigningKey(offered.into()));
        self.identity.touched = true;
    }
}

fn add_sorted(roles: &mut Vec<Arc<str>>, role: &str) {
    if let Err(at) = roles.binary_search_by(|known| (**known).cmp(role)) {
        roles.insert(at, role.into());
    }
}

#[cfg(test)]
mod tests;
