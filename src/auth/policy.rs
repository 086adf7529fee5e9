//! What of a node is guarded, and with which key (`auth.md` 1). The same for all cores.

use super::token::Signer;

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
    /// The setting's key; without one the replicated state's is used.
    pub signer: Option<Signer>,
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
}
