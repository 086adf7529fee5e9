//! Changes of users, roles and permissions as they are logged, and what is checked before.

use crate::auth::identities::{Rights, Secret};
use crate::durable::codec::{Reader, Unreadable, Writer};
use crate::naming::check::{is_blank, is_longer};

/// UTF-16 units of a user's or role's name: the reference's column.
pub const NAME_UNITS_MAX: usize = 50;

/// Of a permission's resource: the larger of the reference's columns.
pub const RESOURCE_UNITS_MAX: usize = 512;

/// Bytes of a password: what bcrypt looks at. Longer ones are refused, not cut.
pub const PASSWORD_BYTES_MAX: usize = 72;

/// One change. Texts were checked ([`Change::check`]) before it is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Makes the first administrator, unless there is one.
    FirstAdministrator {
        hash: Secret<'a>,
    },
    CreateUser {
        name: &'a str,
        hash: Secret<'a>,
    },
    SetPassword {
        name: &'a str,
        hash: Secret<'a>,
    },
    DeleteUser {
        name: &'a str,
    },
    AddRole {
        role: &'a str,
        user: &'a str,
    },
    /// Blank user: of everybody.
    RemoveRole {
        role: &'a str,
        user: &'a str,
    },
    AddPermission {
        role: &'a str,
        resource: &'a str,
        rights: Rights,
    },
    RemovePermission {
        role: &'a str,
        resource: &'a str,
        rights: Rights,
    },
    /// What tokens are to be signed with, if nothing is yet.
    OfferKey {
        key: &'a [u8],
    },
}

/// Why a text does not do, for whoever asked: 400.
pub type Unfit = std::borrow::Cow<'static, str>;

fn fits(text: &str, what: &'static str, units_max: usize) -> Result<(), Unfit> {
    if is_blank(text) {
        return Err(format!("{what} is blank").into());
    }
    if is_longer(text, units_max) || text.chars().any(char::is_control) {
        return Err(format!("{what} is illegal, at most {units_max} characters").into());
    }
    Ok(())
}

impl<'a> Change<'a> {
    const fn kind(&self) -> u8 {
        match self {
            Change::FirstAdministrator { .. } => 1,
            Change::CreateUser { .. } => 2,
            Change::SetPassword { .. } => 3,
            Change::DeleteUser { .. } => 4,
            Change::AddRole { .. } => 5,
            Change::RemoveRole { .. } => 6,
            Change::AddPermission { .. } => 7,
            Change::RemovePermission { .. } => 8,
            Change::OfferKey { .. } => 9,
        }
    }

    /// What needs no state: blanks, lengths, characters.
    ///
    /// # Errors
    /// Why the text does not do.
    pub fn check(&self) -> Result<(), Unfit> {
        let user = |name: &str| fits(name, "username", NAME_UNITS_MAX);
        let named = |role: &str| fits(role, "role", NAME_UNITS_MAX);
        match *self {
            Change::FirstAdministrator { .. } | Change::OfferKey { .. } => Ok(()),
            Change::CreateUser { name, .. }
            | Change::SetPassword { name, .. }
            | Change::DeleteUser { name } => user(name),
            Change::AddRole { role, user: name } => named(role).and_then(|()| user(name)),
            Change::RemoveRole { role, user: "" } => named(role),
            Change::RemoveRole { role, user: name } => named(role).and_then(|()| user(name)),
            Change::AddPermission { role, resource, .. }
            | Change::RemovePermission { role, resource, .. } => {
                named(role).and_then(|()| fits(resource, "resource", RESOURCE_UNITS_MAX))
            }
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u8(self.kind());
        match *self {
            Change::FirstAdministrator { hash } => writer.text(hash.0),
            Change::CreateUser { name, hash } | Change::SetPassword { name, hash } => {
                writer.text(name);
                writer.text(hash.0);
            }
            Change::DeleteUser { name } => writer.text(name),
            Change::AddRole { role, user } | Change::RemoveRole { role, user } => {
                writer.text(role);
                writer.text(user);
            }
            Change::AddPermission { role, resource, rights }
            | Change::RemovePermission { role, resource, rights } => {
                writer.text(role);
                writer.text(resource);
                writer.u8(rights as u8);
            }
            Change::OfferKey { key } => writer.bytes(key),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Unreadable> {
        let kind = reader.u8()?;
        Ok(match kind {
            1 => Change::FirstAdministrator { hash: Secret(reader.text()?) },
            2 => Change::CreateUser { name: reader.text()?, hash: Secret(reader.text()?) },
            3 => Change::SetPassword { name: reader.text()?, hash: Secret(reader.text()?) },
            4 => Change::DeleteUser { name: reader.text()? },
            5 => Change::AddRole { role: reader.text()?, user: reader.text()? },
            6 => Change::RemoveRole { role: reader.text()?, user: reader.text()? },
            7 | 8 => {
                let (role, resource) = (reader.text()?, reader.text()?);
                let rights = Rights::of(reader.u8()?)?;
                match kind {
                    7 => Change::AddPermission { role, resource, rights },
                    _ => Change::RemovePermission { role, resource, rights },
                }
            }
            9 => Change::OfferKey { key: reader.bytes()? },
            _ => return Err("a change of identities this build does not know"),
        })
    }
}
