//! Bounds of this room, with their units and how they were chosen.

/// Bytes of a token. Ours have some 200; tokens of other issuers with the same key may be longer.
pub const TOKEN_BYTES_MAX: usize = 4_096;

/// Verified tokens of one core and generation: about 300 bytes each. A core with more distinct
/// tokens verifies some anew, at 1 µs.
pub const TOKENS_PER_GENERATION_MAX: usize = 4_096;

/// Bytes of the least key for HS256, and of those from which the longer algorithms are taken: the
/// reference's choice (`auth.md` 4).
pub const KEY_BYTES_MIN: usize = 32;
pub const KEY_BYTES_HS384: usize = 48;
pub const KEY_BYTES_HS512: usize = 64;

/// Bytes of the key made at the first start.
pub const GENERATED_KEY_BYTES: usize = KEY_BYTES_HS512;

/// Passwords that wait for the one thread that compares them: three seconds of its time. One more
/// is answered 503.
pub const PASSWORD_JOBS_MAX: usize = 64;

/// The work factor of the reference's hashes, and the most a stored one may have: each step doubles
/// the time, and a table from elsewhere must not stall every login.
pub const BCRYPT_COST: u32 = 10;
pub const BCRYPT_COST_MAX: u32 = 12;

/// How long a right password is remembered, milliseconds.
pub const PASSWORD_REMEMBERED_MS: u64 = 10_000;

/// Right passwords remembered by one core. The oldest half goes when it is full.
pub const PASSWORDS_REMEMBERED_MAX: usize = 1_024;

/// Failed logins of one user, and from one address, before each further attempt has to wait.
pub const USER_FAILURES: u64 = 10;
pub const ADDRESS_FAILURES: u64 = 30;

/// How long one failed login is held against a user and an address, milliseconds.
pub const USER_FAILURE_MS: u64 = 3_000;
pub const ADDRESS_FAILURE_MS: u64 = 1_000;

/// Places in the table of failures, of users and of addresses each; they share places by hash.
pub const FAILURE_PLACES: usize = 16_384;

/// Bytes of one answer of a directory of users. Entries are asked for without attributes.
pub const DIRECTORY_ANSWER_BYTES_MAX: usize = 65_536;

/// Answers to one search: two entries, its end, and references to other directories.
pub const DIRECTORY_ANSWERS_MAX: usize = 16;

/// Addresses of the directory's name that are tried, one after the other.
pub const DIRECTORY_TRIES_MAX: usize = 2;

/// How long a directory that cannot be reached is left alone, milliseconds: it is waited for by one
/// login a second, and not by all of them in turn.
pub const DIRECTORY_REST_MS: u64 = 1_000;

const _: () = assert!(KEY_BYTES_MIN < KEY_BYTES_HS384 && KEY_BYTES_HS384 < KEY_BYTES_HS512);
const _: () = assert!(BCRYPT_COST <= BCRYPT_COST_MAX);
