//! Who may do what: users, roles and permissions, and the decision (`auth.md` 3).
//!
//! Pure: whoever calls has verified the identity. Tokens, passwords and clocks are in the server's
//! own `auth` room; what is here is the same on every node.

pub mod call;
pub mod denial;
pub mod identities;
pub mod resource;
pub mod standing;

pub use denial::Denial;
pub use identities::{Granted, Identities, Shared, User};
pub use resource::{Action, Kind, Resource};
