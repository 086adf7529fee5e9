//! Whether anybody must log in, and what tokens are signed with (`auth.md` 1).

use super::{Reader, Settings};
use crate::auth::Policy;
use crate::auth::directory::{Place, Trust};
use crate::auth::keys::Keys;
use crate::auth::token::{self, Signer};
use crate::boot::keys::{self, Key};
use crate::boot::source::{Layers, Origin};
use crate::boot::start::read_bounded;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// Switches and key of authentication.
#[derive(Debug, Clone, Default)]
pub struct AuthSettings {
    pub clients: bool,
    pub admin: bool,
    pub console: bool,
    /// Seconds.
    pub token_ttl_s: u64,
    /// Logins of one user give the same token for a while.
    pub token_cache: bool,
    /// Of users besides those known here.
    pub directory: Option<Place>,
    pub signer: Option<Signer>,
    /// The key is in the properties file, or would be: nothing that wins over the file has it.
    pub key_in_file: bool,
}

impl PartialEq for AuthSettings {
    /// Keys are not compared: they are not shown either.
    fn eq(&self, other: &Self) -> bool {
        let of = |settings: &Self| {
            let Self { clients, admin, console, token_ttl_s, token_cache, .. } = *settings;
            let keys = (settings.signer.is_some(), settings.key_in_file);
            (clients, admin, console, token_ttl_s, token_cache, keys)
        };
        of(self) == of(other) && self.directory == other.directory
    }
}

impl Eq for AuthSettings {}

impl AuthSettings {
    /// As the cores get it. `kept` is the replicated key as this node kept it.
    pub fn policy(&self, kept: Option<Vec<u8>>) -> Policy {
        let Self { clients, admin, console, token_ttl_s, token_cache, .. } = *self;
        let keys = Arc::new(Keys::new(self.signer.clone(), kept));
        let directory = self.directory.clone();
        Policy { clients, admin, console, token_ttl_s, token_cache, directory, keys }
    }
}

/// The first address somebody else than this machine can reach.
fn beyond(settings: &Settings) -> Option<&SocketAddr> {
    let beyond = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
    settings.http.iter().chain(&settings.grpc).find(beyond)
}

/// Reads the keys. A key that cannot sign stops the start, whatever it is for.
pub(super) fn read(reader: &mut Reader<'_>, settings: &Settings) -> AuthSettings {
    let clients = switch(reader, &keys::AUTH).unwrap_or(beyond(settings).is_some());
    AuthSettings {
        clients,
        admin: switch(reader, &keys::AUTH_ADMIN).unwrap_or(clients),
        console: switch(reader, &keys::AUTH_CONSOLE).unwrap_or(clients),
        token_ttl_s: reader.whole(&keys::TOKEN_TTL),
        token_cache: reader.flag(&keys::TOKEN_CACHE),
        directory: directory(reader),
        signer: signer(reader),
        key_in_file: is_of_file(reader),
    }
}

/// Empty is not set.
fn switch(reader: &mut Reader<'_>, key: &Key) -> Option<bool> {
    reader.given(key).and_then(|(value, _)| keys::flag(&value))
}

/// The directory, where users are looked for in one.
fn directory(reader: &mut Reader<'_>) -> Option<Place> {
    let (name, origin) = reader.text(&keys::AUTH_TYPE);
    if name.is_empty() || name.eq_ignore_ascii_case("nacos") {
        return None;
    }
    if !name.eq_ignore_ascii_case("ldap") {
        let why = "users of other systems are not built yet; allowed: nacos, ldap, or nothing";
        reader.refuse(&keys::AUTH_TYPE, &name, origin, why.to_owned());
        return None;
    }
    let (url, origin) = reader.text(&keys::LDAP_URL);
    let Some((host, port, is_sealed)) = host_of(&url) else {
        let why = "allowed: one address such as ldap://localhost:389 or ldaps://localhost:636";
        reader.refuse(&keys::LDAP_URL, &url, origin, why.to_owned());
        return None;
    };
    Some(Place {
        host,
        port,
        trust: if is_sealed { trust(reader) } else { None },
        base: reader.text(&keys::LDAP_BASE).0,
        reader: reader.text(&keys::LDAP_READER).0,
        password: reader.text(&keys::LDAP_PASSWORD).0,
        attribute: reader.text(&keys::LDAP_ATTRIBUTE).0,
        case_sensitive: reader.flag(&keys::LDAP_CASE),
        timeout_ms: reader.whole(&keys::LDAP_TIMEOUT) as u32,
    })
}

/// Who may vouch for a directory over TLS; nobody is refused, and stops the start.
fn trust(reader: &mut Reader<'_>) -> Option<Trust> {
    let (file, origin) = reader.text(&keys::LDAP_AUTHORITIES);
    let trust = match file.as_str() {
        "" => Trust::of_machine(),
        path => match read_bounded(Path::new(path)) {
            Ok(pem) => Trust::of_file(&pem),
            Err(error) => Err(error.to_string()),
        },
    };
    match trust {
        Ok(trust) => Some(trust),
        Err(why) => {
            let why = format!("{why}; allowed: a PEM file of authorities' certificates");
            reader.refuse(&keys::LDAP_AUTHORITIES, &file, origin, why);
            None
        }
    }
}

/// Host and port of `ldap://host:port` or `ldaps://host:port`, and whether it is the latter; an
/// IPv6 address stands in brackets.
fn host_of(url: &str) -> Option<(String, u16, bool)> {
    const PORT: u16 = 389;
    const SEALED_PORT: u16 = 636;
    let (rest, is_sealed) = match url.strip_prefix("ldaps://") {
        Some(rest) => (rest, true),
        None => (url.strip_prefix("ldap://")?, false),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (rest, if is_sealed { SEALED_PORT } else { PORT }),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_odd = |character: char| character.is_whitespace() || matches!(character, '/' | '@');
    (!host.is_empty() && !host.contains(is_odd)).then(|| (host.to_owned(), port, is_sealed))
}

/// Whether another value in the file would count.
fn is_of_file(reader: &mut Reader<'_>) -> bool {
    let origin = reader.given(&keys::TOKEN_KEY).map(|(_, origin)| origin);
    !matches!(origin, Some(Origin::Environment { .. } | Origin::Flag { .. }))
}

/// Reads the key alone, from a properties file that was changed while the node ran.
///
/// # Errors
/// Why it cannot sign, or the file cannot be read.
pub fn key_of_file(
    path: &Path,
    environment: Vec<(String, String)>,
) -> Result<Option<Signer>, String> {
    let bytes = read_bounded(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut layers = Layers::default();
    layers.add_file(path, &bytes).map_err(|bad| format!("{}: {bad}", path.display()))?;
    layers.add_environment(&environment);
    let mut reader = Reader { layers: &layers, refusals: Vec::new() };
    let signer = signer(&mut reader);
    match reader.refusals.first() {
        Some(refusal) => Err(refusal.to_string()),
        None => Ok(signer),
    }
}

fn signer(reader: &mut Reader<'_>) -> Option<Signer> {
    let (value, origin) = reader.given(&keys::TOKEN_KEY)?;
    if value.trim().is_empty() {
        return None;
    }
    match token::key_of_setting(&value) {
        Ok(key) => Signer::new(&key),
        Err(why) => {
            let why = format!(
                "{why}; allowed: Base64 of at least 32 random bytes, as openssl rand -base64 48 \
                 writes them, or nothing: then a key is made at the first start"
            );
            // The value itself is a secret, or was meant to be one.
            reader.refuse(&keys::TOKEN_KEY, "(not shown)", origin, why);
            None
        }
    }
}

/// An open door beyond this machine is loud.
pub(super) fn warning(settings: &Settings) -> Option<String> {
    let address = beyond(settings).filter(|_| !settings.auth.clients)?;
    Some(format!(
        "nacos.core.auth.enabled=false: whoever reaches {} may read and change everything",
        address.ip()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_directory_is() {
        let at = |host: &str, port| Some((host.to_owned(), port, false));
        let sealed = |host: &str, port| Some((host.to_owned(), port, true));
        assert_eq!(host_of("ldap://localhost:389"), at("localhost", 389));
        assert_eq!(host_of("ldap://10.0.0.7/"), at("10.0.0.7", 389));
        assert_eq!(host_of("ldap://[::1]:1389"), at("::1", 1389));
        assert_eq!(host_of("ldap://[::1]"), at("::1", 389));
        assert_eq!(host_of("ldaps://ldap.example.org"), sealed("ldap.example.org", 636));
        assert_eq!(host_of("ldaps://[::1]:1636/"), sealed("::1", 1636));
        for bad in ["", "localhost", "ldaps://", "ldap://", "ldap://x:y", "ldap://a:1 ldap://b:2"] {
            assert_eq!(host_of(bad), None, "{bad}");
        }
    }
}
