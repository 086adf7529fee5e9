//! One core's door: requests of both wires show here who they are from.
//!
//! Used by the core's pump and its HTTP tasks, one after the other on one thread: no lock.

use super::credentials::Credentials;
use super::directory::PREFIX;
use super::limits::{PASSWORD_REMEMBERED_MS, PASSWORDS_REMEMBERED_MAX};
use super::password::Password;
use super::policy::{Policy, Scope};
use super::token::{Claims, Signer};
use super::tokens::{Known, Tokens};
use super::worker::{Counter, Desk, Done, Work};
use crate::mesh::Bell;
use crate::pump::clock::{Clock, Epoch};
use nacre_proto::request::Request;
use nacre_shards::auth::identities::SigningKey;
use nacre_shards::auth::{self, Action, Denial, Identities, Resource};
use nacre_shards::config::table::Tables;
use nacre_shards::message::Now;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// A core's door; cheap to clone.
#[derive(Clone)]
pub struct Door(Rc<Inner>);

struct Inner {
    policy: Arc<Policy>,
    tables: Arc<Tables>,
    state: RefCell<State>,
}

struct State {
    clock: Clock,
    signs: Signs,
    /// Version of the setting's key and epoch of the table that says so; `None` before the first
    /// look.
    signs_since: Option<(u64, u64)>,
    tokens: Tokens,
    remembered: Remembered,
    desk: Desk,
    waiting: HashMap<u64, Waiting, ahash::RandomState>,
    counts: Counts,
}

/// What came of passwords that were shown, on this core. Never reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Right, those remembered included.
    pub right: u64,
    /// Wrong, or of nobody.
    pub wrong: u64,
    /// Not compared: too many were wrong before.
    pub throttled: u64,
    /// Not compared: too many were waiting.
    pub busy: u64,
}

/// What signs tokens.
enum Signs {
    Nothing,
    /// The setting's key.
    Named(Arc<Signer>),
    /// The replicated one.
    Shared(SigningKey, Box<Signer>),
}

impl Signs {
    fn signer(&self) -> Option<&Signer> {
        match self {
            Signs::Nothing => None,
            Signs::Named(signer) => Some(signer),
            Signs::Shared(_, signer) => Some(signer),
        }
    }
}

/// Who waits for the password thread.
#[derive(Default)]
struct Waiting {
    done: Option<Done>,
    waker: Option<Waker>,
}

/// Right passwords of the last seconds: by keyed digest, with the hash they were right for.
struct Remembered {
    hashers: [ahash::RandomState; 2],
    known: HashMap<u128, Shown, ahash::RandomState>,
}

/// A password that was right.
struct Shown {
    /// Of the user here, at that time; blank for one of the directory.
    hash: Box<str>,
    until_ms: u64,
    /// Who showed it.
    user: Rc<str>,
}

/// Who somebody turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    User(Rc<Claims>),
    /// A name and a password that have to be compared, which takes a while.
    MustCompare,
}

/// What a login gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub token: String,
    pub ttl_s: u64,
    pub is_administrator: bool,
    pub user: String,
}

/// What a login gives where nothing is guarded, as in the reference.
const DISABLED_TOKEN: &str = "AUTH_DISABLED";

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}

impl Door {
    pub fn new(
        policy: Arc<Policy>,
        tables: Arc<Tables>,
        counter: Counter,
        bell: Arc<Bell>,
        epoch: Epoch,
    ) -> Self {
        let state = State {
            clock: Clock::new(epoch),
            signs: Signs::Nothing,
            signs_since: None,
            tokens: Tokens::default(),
            remembered: Remembered::new(),
            desk: Desk::new(counter, bell),
            waiting: HashMap::default(),
            counts: Counts::default(),
        };
        Self(Rc::new(Inner { policy, tables, state: RefCell::new(state) }))
    }

    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// What all cores read.
    pub fn identities(&self) -> &auth::Shared {
        self.0.tables.identities()
    }

    /// Judges one gRPC request. Free of cost while clients are not guarded; a known token costs
    /// some 0.15 µs. Contexts of a listen without right are left out of the request. Whose it is,
    /// where that matters.
    ///
    /// # Errors
    /// Why not; `None` when a password has to be compared first.
    pub fn judge<'h>(
        &self,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
        request: &mut Request<'_>,
        now: Now,
    ) -> Result<Option<Rc<Claims>>, Option<Denial>> {
        if !self.0.policy.clients || matches!(request, Request::HealthCheck) {
            return Ok(None);
        }
        let mut credentials = Credentials::default();
        headers.for_each(|(name, value)| credentials.add(name, value));
        let all = self.identities().now();
        let known = self.known(&credentials, now, &all)?;
        if let Request::ConfigBatchListen(listen) = request
            && listen.contexts.as_ref().is_some_and(|contexts| !contexts.is_empty())
        {
            let may = |resource: &Resource<'_>| known.decide(&all, Action::Read, resource).is_ok();
            let some_left = auth::call::retain(request, may);
            let claims = Rc::clone(&known.claims);
            return if some_left { Ok(Some(claims)) } else { Err(Some(Denial::Forbidden)) };
        }
        if let Some((action, resource)) = auth::call::needs(request) {
            known.decide(&all, action, &resource).map_err(Some)?;
        }
        Ok(Some(Rc::clone(&known.claims)))
    }

    /// Whose credentials these are, with what was found out about him before.
    fn known(
        &self,
        credentials: &Credentials<'_>,
        now: Now,
        all: &Identities,
    ) -> Result<Rc<Known>, Option<Denial>> {
        if let Some(token) = credentials.token() {
            let mut state = self.0.state.borrow_mut();
            return self.of_token(&mut state, token, now, all).map_err(Some);
        }
        match self.identify(credentials, now) {
            Ok(Who::User(claims)) => Ok(Rc::new(Known::new(claims))),
            Ok(Who::MustCompare) => Err(None),
            Err(denial) => Err(Some(denial)),
        }
    }

    /// Who these credentials are of: token first, then a password that was right lately.
    ///
    /// # Errors
    /// They are of nobody.
    pub fn identify(&self, credentials: &Credentials<'_>, now: Now) -> Result<Who, Denial> {
        let mut state = self.0.state.borrow_mut();
        if let Some(token) = credentials.token() {
            let known = self.of_token(&mut state, token, now, &self.identities().now())?;
            return Ok(Who::User(Rc::clone(&known.claims)));
        }
        let pair = credentials.username.zip(credentials.password);
        let Some((user, password)) = pair else { return Err(Denial::Unknown) };
        let hash = self.hash_of(user).unwrap_or_default();
        if let Some(who) = state.remembered.who(user, password, &hash, now.tick_ms) {
            state.counts.right += 1;
            let claims = Claims { user: (*who).to_owned(), expires_s: u64::MAX };
            return Ok(Who::User(Rc::new(claims)));
        }
        Ok(Who::MustCompare)
    }

    fn of_token(
        &self,
        state: &mut State,
        token: &str,
        now: Now,
        all: &Identities,
    ) -> Result<Rc<Known>, Denial> {
        let now_s = now.unix_ms / 1_000;
        self.refresh_signer(state, all);
        if let Some(known) = state.tokens.get(token) {
            return if known.claims.expires_s < now_s { Err(Denial::Expired) } else { Ok(known) };
        }
        let signer = state.signs.signer().ok_or(Denial::Invalid)?;
        let claims = signer.verify(token, now_s)?;
        Ok(state.tokens.add(token, claims))
    }

    /// Keys are looked up when one of them may have changed; another one voids all tokens.
    fn refresh_signer(&self, state: &mut State, all: &Identities) {
        let keys = &self.0.policy.keys;
        let since = Some((keys.version(), all.epoch()));
        if state.signs_since == since {
            return;
        }
        let before = std::mem::replace(&mut state.signs_since, since);
        let another_setting = before.is_none_or(|(version, _)| version != keys.version());
        let shared = || {
            let key = all.signing_key()?;
            Some(Signs::Shared(key.clone(), Signer::new(&key.0)?.into()))
        };
        let same = match &state.signs {
            Signs::Nothing => false,
            Signs::Named(_) => !another_setting,
            Signs::Shared(key, _) => !keys.is_named() && Some(key) == all.signing_key(),
        };
        if !same {
            state.tokens.clear();
            let named = keys.named().map(Signs::Named);
            state.signs = named.or_else(shared).unwrap_or(Signs::Nothing);
        }
    }

    /// What a password of this user is compared with; `None` for who has none here, and blank.
    fn hash_of(&self, user: &str) -> Option<Box<str>> {
        // Whoever is of the directory has his password there, whatever somebody once set here.
        let known = self.identities().now().user(user).map(|user| user.hash.clone());
        known.filter(|hash| !hash.is_empty() && !self.is_elsewhere(user))
    }

    /// Compares a name and a password, at the password thread if they were not right lately. Who
    /// it is: himself, or somebody of the directory.
    ///
    /// # Errors
    /// They are wrong, or too much is being compared.
    pub async fn compare(
        &self,
        user: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<Rc<str>, Denial> {
        let now = self.now();
        let hash = self.hash_of(user);
        {
            let mut state = self.0.state.borrow_mut();
            let known = hash.as_deref().unwrap_or_default();
            if let Some(who) = state.remembered.who(user, password, known, now.tick_ms) {
                state.counts.right += 1;
                return Ok(who);
            }
        }
        let work = Work::Check {
            user: user.into(),
            password: Password(password.to_owned()),
            hash: hash.clone(),
            from,
            now_ms: now.tick_ms,
        };
        let done = self.at_the_desk(work).await;
        let mut state = self.0.state.borrow_mut();
        let (count, outcome) = match done {
            Some(Done::Right) => (&mut state.counts.right, Ok(user.into())),
            Some(Done::OfDirectory) => (&mut state.counts.right, Ok(self.of_directory(user))),
            Some(Done::Unreachable) => (&mut state.counts.busy, Err(Denial::Unreachable)),
            Some(Done::Throttled) => (&mut state.counts.throttled, Err(Denial::Throttled)),
            Some(Done::Wrong | Done::Hashed(_)) => (&mut state.counts.wrong, Err(Denial::Unknown)),
            None => (&mut state.counts.busy, Err(Denial::Busy)),
        };
        *count += 1;
        if let Ok(who) = &outcome {
            let (hash, until_ms) = (hash.unwrap_or_default(), now.tick_ms + PASSWORD_REMEMBERED_MS);
            let shown = Shown { hash, until_ms, user: Rc::clone(who) };
            state.remembered.add(user, password, shown, now.tick_ms);
        }
        outcome
    }

    /// What somebody of the directory is called here.
    fn of_directory(&self, user: &str) -> Rc<str> {
        self.0.policy.directory.as_ref().map_or(user.into(), |place| place.name_of(user).into())
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// Too many passwords wait; 503.
    pub async fn hash(&self, password: Password) -> Result<Option<String>, Denial> {
        match self.at_the_desk(Work::Hash(password)).await {
            Some(Done::Hashed(hash)) => Ok(hash),
            _ => Err(Denial::Busy),
        }
    }

    /// Gives whoever shows these credentials a token.
    ///
    /// # Errors
    /// They are of nobody.
    pub async fn login(
        &self,
        credentials: &Credentials<'_>,
        from: IpAddr,
    ) -> Result<Login, Denial> {
        let ttl_s = self.0.policy.token_ttl_s;
        if !self.0.policy.guards_any() {
            let user = credentials.username.unwrap_or_default().to_owned();
            let token = DISABLED_TOKEN.to_owned();
            return Ok(Login { token, ttl_s, is_administrator: false, user });
        }
        let claims = self.prove(credentials, from).await?;
        let user = claims.user.clone();
        let is_administrator = self.is_administrator(&user);
        let now_s = self.now().unix_ms / 1_000;
        let expires_s = self.0.policy.expires_s(now_s);
        let token = self.issue(&user, expires_s)?;
        Ok(Login { token, ttl_s: expires_s - now_s, is_administrator, user })
    }

    /// [`Door::identify`] for who can wait.
    ///
    /// # Errors
    /// They are of nobody.
    pub async fn prove(
        &self,
        credentials: &Credentials<'_>,
        from: IpAddr,
    ) -> Result<Rc<Claims>, Denial> {
        match self.identify(credentials, self.now())? {
            Who::User(claims) => Ok(claims),
            Who::MustCompare => {
                let user = credentials.username.unwrap_or_default();
                let password = credentials.password.unwrap_or_default();
                let who = self.compare(user, password, from).await?;
                Ok(Rc::new(Claims { user: (*who).to_owned(), expires_s: u64::MAX }))
            }
        }
    }

    /// Whether this user may everything.
    pub fn is_administrator(&self, user: &str) -> bool {
        self.identities().now().user(user).is_some_and(|user| user.is_administrator())
    }

    /// Whether a user may, where that is guarded.
    ///
    /// # Errors
    /// [`Denial::Forbidden`].
    pub fn decide(
        &self,
        user: &str,
        action: Action,
        resource: &Resource<'_>,
    ) -> Result<(), Denial> {
        self.identities().now().decide(user, action, resource)
    }

    /// Whether what is of this scope needs a right.
    pub fn guards(&self, scope: Scope) -> bool {
        self.0.policy.guards(scope)
    }

    /// Whether the log was replayed.
    pub fn is_ready(&self) -> bool {
        self.0.tables.is_ready()
    }

    /// Whether this is somebody of the directory: his password is changed there.
    pub fn is_elsewhere(&self, user: &str) -> bool {
        self.0.policy.directory.is_some() && user.starts_with(PREFIX)
    }

    /// What came of passwords, for the metrics.
    pub fn counts(&self) -> Counts {
        self.0.state.borrow().counts
    }

    /// Whether tokens can be signed: a key is there.
    pub fn has_key(&self) -> bool {
        self.0.policy.keys.is_named() || self.identities().now().signing_key().is_some()
    }

    fn issue(&self, user: &str, expires_s: u64) -> Result<String, Denial> {
        let mut state = self.0.state.borrow_mut();
        self.refresh_signer(&mut state, &self.identities().now());
        // Without a key the log was not replayed yet.
        Ok(state.signs.signer().ok_or(Denial::Busy)?.issue(user, expires_s))
    }

    async fn at_the_desk(&self, work: Work) -> Option<Done> {
        let ticket = {
            let mut state = self.0.state.borrow_mut();
            let ticket = state.desk.hand_in(work)?;
            state.waiting.insert(ticket, Waiting::default());
            ticket
        };
        let left = Left { door: self, ticket };
        poll_fn(|cx| {
            let mut state = self.0.state.borrow_mut();
            let Some(waiting) = state.waiting.get_mut(&left.ticket) else {
                return Poll::Ready(None);
            };
            match waiting.done.take() {
                Some(done) => Poll::Ready(Some(done)),
                None => {
                    waiting.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Hands results to whoever waits; once a turn. How many.
    pub fn collect(&self) -> usize {
        let mut state = self.0.state.borrow_mut();
        if state.desk.is_quiet() {
            return 0;
        }
        let mut wakers = Vec::new();
        let mut taken = 0;
        while let Some((ticket, done)) = state.desk.take() {
            taken += 1;
            if let Some(waiting) = state.waiting.get_mut(&ticket) {
                waiting.done = Some(done);
                wakers.extend(waiting.waker.take());
            }
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        taken
    }

    /// Whether [`Door::collect`] has nothing to do.
    pub fn is_quiet(&self) -> bool {
        self.0.state.borrow().desk.is_quiet()
    }

    /// The time, by the core's clock.
    pub fn now(&self) -> Now {
        self.0.state.borrow_mut().clock.tick().now
    }
}

/// Gives the ticket back, also when whoever waits goes.
struct Left<'a> {
    door: &'a Door,
    ticket: u64,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.door.0.state.borrow_mut().waiting.remove(&self.ticket);
    }
}

impl Remembered {
    fn new() -> Self {
        let hashers = [ahash::RandomState::new(), ahash::RandomState::new()];
        Self { hashers, known: HashMap::default() }
    }

    /// 128 bits under two keys nobody outside knows: not to be met by guessing.
    fn digest(&self, user: &str, password: &str) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| hasher.hash_one((user, password)));
        u128::from(high) << 64 | u128::from(low)
    }

    /// Whose it was, if it was right for the hash there is now.
    fn who(&self, user: &str, password: &str, hash: &str, now_ms: u64) -> Option<Rc<str>> {
        let shown = self.known.get(&self.digest(user, password))?;
        (*shown.hash == *hash && now_ms < shown.until_ms).then(|| Rc::clone(&shown.user))
    }

    fn add(&mut self, user: &str, password: &str, shown: Shown, now_ms: u64) {
        if self.known.len() >= PASSWORDS_REMEMBERED_MAX {
            self.known.retain(|_, shown| now_ms < shown.until_ms);
            if self.known.len() >= PASSWORDS_REMEMBERED_MAX {
                self.known.clear();
            }
        }
        let digest = self.digest(user, password);
        self.known.insert(digest, shown);
    }
}

#[cfg(test)]
mod tests;
