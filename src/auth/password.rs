//! Passwords: hashed as the reference hashes them (`auth.md` 8), never logged, never kept.
//!
//! Slow on purpose, so only the password thread calls what is here.

use super::limits::{BCRYPT_COST, BCRYPT_COST_MAX};
use nacre_shards::durable::identity::change::PASSWORD_BYTES_MAX;
use rand::seq::{IndexedRandom, SliceRandom};
use std::fmt;

/// A password on its way.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A hash of no password anybody has: what an unknown user is compared with, so that he costs the
/// time of a known one. Its last bits cannot come out of bcrypt.
const NOBODYS: &str = "$2a$10$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dby";

/// Characters of a password made here: at least one of each kind, as the reference makes them.
const KINDS: [&[u8]; 4] =
    [b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789", b"!@#$%&"];
const RANDOM_LENGTH: usize = 8;

/// Whether a password can be kept.
///
/// # Errors
/// Why not, for whoever chose it.
pub fn check(password: &str) -> Result<(), &'static str> {
    if password.trim().is_empty() {
        return Err("password is blank");
    }
    if password.len() > PASSWORD_BYTES_MAX || password.contains('\0') {
        return Err("password is illegal, at most 72 bytes");
    }
    Ok(())
}

/// The hash to keep: `$2a$10$…`. `None` for what [`check`] refuses.
pub fn hash(password: &str) -> Option<String> {
    check(password).ok()?;
    let parts = bcrypt::hash_with_result(password, BCRYPT_COST).ok()?;
    Some(parts.format_for_version(bcrypt::Version::TwoA))
}

/// Whether the hash is of this password; `None` stands for a user who is not there, who costs the
/// same.
pub fn matches(password: &str, hash: Option<&str>) -> bool {
    let known = hash.filter(|hash| cost(hash).is_some_and(|cost| cost <= BCRYPT_COST_MAX));
    let fits = check(password).is_ok();
    let same = bcrypt::verify(password, known.unwrap_or(NOBODYS)).unwrap_or(false);
    same && fits && known.is_some()
}

/// The work factor of `$2a$10$…`, `$2b$` and `$2y$`.
fn cost(hash: &str) -> Option<u32> {
    let mut parts = hash.strip_prefix('$')?.split('$');
    let version = parts.next()?;
    matches!(version, "2a" | "2b" | "2y").then(|| parts.next()?.parse().ok())?
}

/// A password for the first administrator who chose none.
pub fn random() -> Password {
    let mut rng = rand::rng();
    let pick = |kind: &&[u8], rng: &mut _| *kind.choose(rng).expect("no kind is empty");
    let mut bytes: Vec<u8> = KINDS.iter().map(|kind| pick(kind, &mut rng)).collect();
    while bytes.len() < RANDOM_LENGTH {
        let kind = KINDS.choose(&mut rng).expect("there are kinds");
        bytes.push(pick(kind, &mut rng));
    }
    bytes.shuffle(&mut rng);
    Password(String::from_utf8(bytes).expect("ASCII"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_have_the_references_form_and_are_read_back() {
        let hash = hash("öäü-secret").unwrap();
        assert!(hash.starts_with("$2a$10$") && hash.len() == 60, "{hash}");
        assert!(matches("öäü-secret", Some(&hash)));
        for wrong in ["", "öäü-secre", "öäü-secret ", "x"] {
            assert!(!matches(wrong, Some(&hash)), "{wrong}");
        }
    }

    /// A row of the reference's own schema (`nacos`), and of other writers of bcrypt.
    #[test]
    fn rows_of_others_are_read() {
        let java = "$2a$10$EuWPZHzz32dJN7jexM34MOeYirDdFAZm2kuWj7VEOJhhZkDrxfvUu";
        assert!(matches("nacos", Some(java)));
        for version in ["$2b$", "$2y$"] {
            assert!(matches("nacos", Some(&java.replace("$2a$", version))));
        }
    }

    #[test]
    fn what_is_no_hash_matches_nothing_and_panics_nowhere() {
        for row in [
            "",
            "nacos",
            "$2a$10$",
            "$2a$31$EuWPZHzz32dJN7jexM34MOeYirDdFAZm2kuWj7VEOJhhZkDrxfvUu",
            "$2a$10$ééééééééééééééééééééééééééééééééééééééééééééééééééééé",
            "{noop}nacos",
            NOBODYS,
        ] {
            assert!(!matches("nacos", Some(row)), "{row}");
        }
        assert!(!matches("nacos", None));
    }

    #[test]
    fn long_ones_are_refused_instead_of_cut() {
        let long = "x".repeat(73);
        assert!(hash(&long).is_none() && check(&long).is_err());
        let cut = hash(&long[..72]).unwrap();
        assert!(!matches(&long, Some(&cut)), "72 bytes of it are not it");
        assert!(hash(" ").is_none() && check("a\0b").is_err());
    }

    #[test]
    fn made_ones_have_each_kind() {
        for _ in 0..100 {
            let Password(made) = random();
            assert_eq!(made.len(), RANDOM_LENGTH);
            for kind in KINDS {
                assert!(made.bytes().any(|byte| kind.contains(&byte)), "{made}");
            }
            assert!(!format!("{:?}", Password(made.clone())).contains(&made));
        }
    }
}
