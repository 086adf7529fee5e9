//! Why somebody may not, in the reference's words (`auth.md` 13, 16).

/// The class of every refusal, whatever its reason: SDKs log in again on 403.
pub const STATUS: u16 = 403;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// No token and no password, an unknown user, or a wrong password: not told apart.
    Unknown,
    /// A token that is none, or was signed with another key.
    Invalid,
    /// A token of an algorithm that is not ours.
    Algorithm,
    /// A token after its time.
    Expired,
    /// Too many failed attempts of this user or from this address.
    Throttled,
    /// As many passwords are being checked as may; not an attempt.
    Busy,
    /// The directory of users cannot be asked; not an attempt.
    Unreachable,
    /// Known, and without the right.
    Forbidden,
}

impl Denial {
    /// What a client hears, on both wires.
    pub const fn text(self) -> &'static str {
        match self {
            Denial::Unknown => {
                "Code: 401, Message: User not found! Please check user exist or password is right!."
            }
            Denial::Invalid => "Code: 401, Message: token invalid!.",
            Denial::Algorithm => "Code: 401, Message: unsupported signature algorithm.",
            Denial::Expired => "Code: 401, Message: token expired!.",
            Denial::Throttled => "Code: 401, Message: too many failed logins, try again later.",
            Denial::Busy => "Server is busy checking passwords, please try again later.",
            Denial::Unreachable => {
                "LDAP login failed, the directory cannot be reached, please try again later."
            }
            Denial::Forbidden => "Code: 403, Message: authorization failed!.",
        }
    }

    /// HTTP status, and `errorCode` on the other wire: 503 where trying again helps, else 403.
    pub const fn status(self) -> u16 {
        match self {
            Denial::Busy | Denial::Unreachable => 503,
            _ => STATUS,
        }
    }
}
