//! What of a node is guarded, and with which key (`auth.md` 1). The same for all cores.

use super::directory::Place;
use super::keys::Keys;
use std::sync::Arc;

/// Whose switch decides whether rights are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Clients, on both wires: `nacos.core.auth.enabled`.
    Clients,
    /// Administrators: `nacos.core.auth.admin.enabled`.
    Admin,
    /// The console: `nacos.core.auth.console.enabled`.
    Console,
}

/// The switches and the key.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub clients: bool,
    pub admin: bool,
    pub console: bool,
    /// How long a token counts, seconds.
    pub token_ttl_s: u64,
    /// One token a user, until a tenth of its life is left.
    pub token_cache: bool,
    /// Where users are looked for that are not known here.
    pub directory: Option<Place>,
    /// The setting's key; without one the replicated state's is used.
    pub keys: Arc<Keys>,
}

impl Policy {
    /// Whether what is of this scope needs a right.
    pub const fn guards(&self, scope: Scope) -> bool {
        match scope {
            Scope::Clients => self.clients,
            Scope::Admin => self.admin,
            Scope::Console => self.console,
        }
    }

    /// Whether anything does.
    pub const fn guards_any(&self) -> bool {
        self.clients || self.admin || self.console
    }

    /// When a token made now ends, unix seconds. Where tokens are to be the same for a while, it is
    /// a point in time that all cores and nodes reckon alike, so none has to keep any: a token is
    /// the same for nine tenths of its life, and has a tenth of it left at least.
    pub const fn expires_s(&self, now_s: u64) -> u64 {
        let ttl_s = self.token_ttl_s;
        let least_s = ttl_s / 10;
        let same_s = ttl_s - least_s;
        if !self.token_cache || same_s == 0 {
            return now_s + ttl_s;
        }
        (now_s / same_s + 1) * same_s + least_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_same_for_nine_tenths_of_their_life_where_that_is_wanted() {
        let plain = Policy { token_ttl_s: 100, ..Policy::default() };
        assert_eq!(plain.expires_s(7), 107);
        let cached = Policy { token_cache: true, ..plain };
        for now_s in 0..1_000 {
            let left = cached.expires_s(now_s) - now_s;
            assert!((10..=100).contains(&left), "{now_s}: {left}");
            assert_eq!(cached.expires_s(now_s), cached.expires_s(now_s - now_s % 90));
        }
        let shortest = Policy { token_ttl_s: 1, ..cached };
        assert_eq!(shortest.expires_s(7), 8);
    }
}
