//! Login, the first administrator, users, roles and permissions (`auth.md` 5 to 7).

use super::input::Input;
use super::route::Version;
use super::shape;
use super::{Api, Outcome, Refused};
use crate::auth::password::{self, Password};
use crate::http1::header::{self, HeaderValue};
use crate::http1::reply::{self, Reply};
use crate::http1::{Method, StatusCode, pause};
use nacre_proto::code::Code;
use nacre_shards::auth::Denial;
use nacre_shards::auth::identities::{FIRST_ADMINISTRATOR, Rights, Secret};
use nacre_shards::durable::answer;
use nacre_shards::durable::command::Command;
use nacre_shards::durable::identity::change::Change;
use nacre_shards::naming::open::{Answer, Call};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::time::Duration;

/// Entries of one page, at most.
const PAGE_ENTRIES_MAX: usize = 1_000;

/// How often a node without a signing key looks whether it can offer one.
const OFFER_EVERY: Duration = Duration::from_millis(200);

/// A refusal of the door, as the framework writes it.
pub(super) fn denied(denial: Denial, path: &str) -> Reply {
    let status = StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::FORBIDDEN);
    shape::error(status, denial.text(), path)
}

fn of_denial(denial: Denial) -> Refused {
    let code = if denial.status() == 503 { Code::OverThreshold } else { Code::AccessDenied };
    Refused::new(denial.status(), code, denial.text())
}

/// A token for who shows a name and a password, or a token.
pub(super) async fn login(api: &Api, input: &Input<'_>) -> Outcome {
    let login = api.door.login(&input.credentials(), input.source).await.map_err(of_denial)?;
    make_known(api, &login.user).await;
    let body = json!({
        "accessToken": login.token,
        "tokenTtl": login.ttl_s,
        "globalAdmin": login.is_administrator,
        "username": login.user,
    });
    let mut reply = reply::json(StatusCode::OK, body.to_string());
    if let Ok(value) = HeaderValue::from_str(&format!("Bearer {}", login.token)) {
        reply.headers_mut().insert(header::AUTHORIZATION, value);
    }
    Ok(reply)
}

/// Somebody of the directory is a user here from his first login on, without a password and without
/// a role, so that he can be given one.
async fn make_known(api: &Api, user: &str) {
    let change = Change::CreateUser { name: user, hash: Secret("") };
    let is_there = || api.door.identities().now().user(user).is_some();
    if api.door.is_elsewhere(user) && change.check().is_ok() && !is_there() {
        // He has no right until then, so it costs him nothing when it cannot be written now.
        let _ = propose(api, change).await;
    }
}

/// Makes the first administrator, once; from this machine itself, or with the token of the first
/// start.
pub(super) async fn first_administrator(api: &Api, input: &Input<'_>) -> Outcome {
    let has_token = input.get("token").is_some_and(|token| api.facts.first.opens(token));
    if !input.is_local() && !has_token {
        return Err(of_denial(Denial::Forbidden));
    }
    if api.door.identities().now().has_administrator() {
        return Ok(have_one(input.version));
    }
    let Password(chosen) = match input.get("password") {
        Some(chosen) => Password(chosen.to_owned()),
        None => password::random(),
    };
    let hash = hash(api, &chosen).await?;
    match propose(api, Change::FirstAdministrator { hash: Secret(&hash) }).await {
        Ok(()) => {
            let made = json!({ "username": FIRST_ADMINISTRATOR, "password": chosen });
            Ok(shape::json_of(input.version, made.to_string().into()))
        }
        Err(refused) if refused.status == 409 => Ok(have_one(input.version)),
        Err(refused) => Err(refused),
    }
}

/// HTTP 200 with the code inside, as the reference.
fn have_one(version: Version) -> Reply {
    const TEXT: &str = "have admin user cannot use it.";
    let body = json!({ "code": 409, "message": TEXT, "data": null });
    let status = if version == Version::V1 { StatusCode::CONFLICT } else { StatusCode::OK };
    reply::json(status, body.to_string())
}

/// `/auth/user`, `/auth/users`.
pub(super) async fn users(api: &Api, input: &Input<'_>) -> Outcome {
    let name = || input.required("username");
    match input.method {
        Method::GET | Method::HEAD => user_list(api, input),
        Method::POST => {
            let name = name()?;
            if input.version == Version::V1 && name == FIRST_ADMINISTRATOR {
                let text = "User `nacos` is default admin user. Please use \
                            `/nacos/v1/auth/users/admin` API to init `nacos` users.";
                return Err(Refused::new(409, Code::Conflict, text));
            }
            unfit(&Change::DeleteUser { name })?;
            only_here(api, name)?;
            let hash = hash(api, input.required("password")?).await?;
            propose(api, Change::CreateUser { name, hash: Secret(&hash) }).await?;
            Ok(done(input, "create user ok!"))
        }
        Method::PUT => set_password(api, input).await,
        Method::DELETE => {
            let change = Change::DeleteUser { name: name()? };
            unfit(&change)?;
            propose(api, change).await?;
            Ok(done(input, "delete user ok!"))
        }
        _ => Err(no_method()),
    }
}

/// One's own, or anybody's for an administrator.
async fn set_password(api: &Api, input: &Input<'_>) -> Outcome {
    let name = input.required("username")?;
    if let Some(claims) = &input.who
        && claims.user != name
        && !api.door.is_administrator(&claims.user)
    {
        return Err(of_denial(Denial::Forbidden));
    }
    unfit(&Change::DeleteUser { name })?;
    only_here(api, name)?;
    let hash = hash(api, input.required("newPassword")?).await?;
    propose(api, Change::SetPassword { name, hash: Secret(&hash) }).await?;
    Ok(done(input, "update user ok!"))
}

/// Whoever is of the directory has no password here.
fn only_here(api: &Api, name: &str) -> Result<(), Refused> {
    match api.door.is_elsewhere(name) {
        true => Err(Refused::invalid(format!("the password of {name} is kept by the directory"))),
        false => Ok(()),
    }
}

pub(super) fn user_list(api: &Api, input: &Input<'_>) -> Outcome {
    let wanted = Wanted::of(input, "username")?;
    let all = api.door.identities().kept();
    let names = all.users().map(|(name, _)| name).filter(|name| wanted.has(name));
    // Hashes are nobody's business; the console shows none.
    let rows = names.map(|name| json!({ "username": name, "password": "" }));
    Ok(page(input, &wanted, rows))
}

pub(super) fn user_search(api: &Api, input: &Input<'_>) -> Outcome {
    let part = input.required("username")?;
    let all = api.door.identities().kept();
    Ok(names(input, all.users().map(|(name, _)| name).filter(|name| name.contains(part))))
}

/// `/auth/role`, `/auth/roles`.
pub(super) async fn roles(api: &Api, input: &Input<'_>) -> Outcome {
    match input.method {
        Method::GET | Method::HEAD => role_list(api, input),
        Method::POST => {
            let (role, user) = (input.required("role")?, input.required("username")?);
            let change = Change::AddRole { role, user };
            unfit(&change)?;
            propose(api, change).await?;
            Ok(done(input, "add role ok!"))
        }
        Method::DELETE => {
            let (role, user) = (input.required("role")?, input.get("username"));
            let change = Change::RemoveRole { role, user: user.unwrap_or_default() };
            unfit(&change)?;
            propose(api, change).await?;
            Ok(done(input, &format!("delete role of user {} ok!", user.unwrap_or_default())))
        }
        _ => Err(no_method()),
    }
}

pub(super) fn role_list(api: &Api, input: &Input<'_>) -> Outcome {
    let wanted = Wanted::of(input, "username")?;
    let wanted_role = Wanted { text: input.text("role"), ..wanted.clone() };
    let all = api.door.identities().kept();
    let rows = all.roles().filter(|(role, user)| wanted.has(user) && wanted_role.has(role));
    let rows = rows.map(|(role, user)| json!({ "role": role, "username": user }));
    Ok(page(input, &wanted, rows))
}

pub(super) fn role_search(api: &Api, input: &Input<'_>) -> Outcome {
    let part = input.required("role")?;
    let all = api.door.identities().kept();
    let mut found: Vec<&str> = all.roles().map(|(role, _)| role).collect();
    found.retain(|role| role.contains(part));
    found.sort_unstable();
    found.dedup();
    Ok(names(input, found.into_iter()))
}

/// `/auth/permission`, `/auth/permissions`.
pub(super) async fn permissions(api: &Api, input: &Input<'_>) -> Outcome {
    let is_get = matches!(input.method, Method::GET | Method::HEAD);
    if is_get && input.version == Version::V1 {
        return permission_list(api, input);
    }
    let (role, resource) = (input.required("role")?, input.required("resource")?);
    let action = input.required("action")?;
    let rights = Rights::parse(action)
        .ok_or_else(|| Refused::invalid("action is illegal, allowed: r, w, rw"))?;
    let (change, text) = match input.method {
        Method::GET | Method::HEAD => {
            let there = api.door.identities().now().has_permission(role, resource, rights);
            let there: &[u8] = if there { b"true" } else { b"false" };
            return Ok(shape::result(there));
        }
        Method::POST => (Change::AddPermission { role, resource, rights }, "add permission ok!"),
        Method::DELETE => {
            (Change::RemovePermission { role, resource, rights }, "delete permission ok!")
        }
        _ => return Err(no_method()),
    };
    unfit(&change)?;
    propose(api, change).await?;
    Ok(done(input, text))
}

pub(super) fn permission_list(api: &Api, input: &Input<'_>) -> Outcome {
    let wanted = Wanted::of(input, "role")?;
    let all = api.door.identities().kept();
    let rows = all.permissions().filter(|(role, _, _)| wanted.has(role));
    let rows = rows.map(|(role, resource, rights)| {
        json!({ "role": role, "resource": resource, "action": rights.text() })
    });
    Ok(page(input, &wanted, rows))
}

/// Which rows of a list are wanted, and which page of them.
#[derive(Clone)]
struct Wanted {
    /// Blank: all.
    text: String,
    /// `search=blur`: the text is a part, stars around it say the same.
    part: bool,
    number: usize,
    size: usize,
}

impl Wanted {
    fn of(input: &Input<'_>, name: &str) -> Result<Self, Refused> {
        let number = input.required_whole("pageNo")?.max(1) as usize;
        let size = input.required_whole("pageSize")?.clamp(1, PAGE_ENTRIES_MAX as i64) as usize;
        let part = input.get("search") == Some("blur");
        Ok(Self { text: input.text(name), part, number, size })
    }

    fn has(&self, name: &str) -> bool {
        match self.text.trim() {
            "" => true,
            text if self.part => name.contains(text.trim_matches('*')),
            text => name == text,
        }
    }
}

fn page(input: &Input<'_>, wanted: &Wanted, rows: impl Iterator<Item = Value>) -> Reply {
    let rows: Vec<Value> = rows.collect();
    let total = rows.len();
    let from = (wanted.number - 1).saturating_mul(wanted.size);
    let items: Vec<Value> = rows.into_iter().skip(from).take(wanted.size).collect();
    let page = json!({
        "totalCount": total,
        "pageNumber": wanted.number,
        "pagesAvailable": total.div_ceil(wanted.size),
        "pageItems": items,
    });
    shape::json_of(input.version, page.to_string().into())
}

fn names<'a>(input: &Input<'_>, names: impl Iterator<Item = &'a str>) -> Reply {
    let names: Vec<&str> = names.take(PAGE_ENTRIES_MAX).collect();
    shape::json_of(input.version, json!(names).to_string().into())
}

/// The text in the envelope of the version.
fn done(input: &Input<'_>, text: &str) -> Reply {
    let text = Value::from(text).to_string();
    match input.version {
        Version::V1 => shape::rest_result(text.as_bytes()),
        Version::V2 | Version::V3 => shape::result(text.as_bytes()),
    }
}

fn no_method() -> Refused {
    Refused::new(405, Code::ParameterValidateError, "this method is not supported here")
}

fn unfit(change: &Change<'_>) -> Result<(), Refused> {
    change.check().map_err(Refused::invalid)
}

async fn hash(api: &Api, password: &str) -> Result<String, Refused> {
    password::check(password).map_err(Refused::invalid)?;
    let hashed = api.door.hash(Password(password.to_owned())).await.map_err(of_denial)?;
    hashed.ok_or_else(|| Refused::invalid("password is illegal"))
}

/// Has a change logged and applied. When it returns, every core sees it.
async fn propose(api: &Api, change: Change<'_>) -> Result<(), Refused> {
    let command = Command::Identity(change).encode();
    match api.ask(Call::Propose(command)).await? {
        Answer::Proposed(Ok(answer::Answer::Done { .. })) => Ok(()),
        Answer::Proposed(Ok(answer::Answer::Refused(refused))) => {
            let (status, text): (u16, Cow<'static, str>) = match refused.code {
                Code::Conflict => (409, refused.text),
                _ => (400, refused.text),
            };
            Err(Refused::new(status, Code::ParameterValidateError, text))
        }
        Answer::Proposed(Err(unready)) => Err(Refused::busy(unready.sentence())),
        other => Err(super::unexpected(&other)),
    }
}

/// Where tokens are needed and nothing signs them yet: offers a key to the replicated state, until
/// one is there. One task of the node; a key another node offered first is as good.
pub async fn offer_key(api: Api) {
    if !api.door.policy().guards_any() {
        return;
    }
    loop {
        if api.door.has_key() {
            return;
        }
        if api.door.is_ready() {
            let key = api.door.policy().keys.to_offer();
            // A refusal says that the disk or the leader is not there yet.
            let _ = propose(&api, Change::OfferKey { key: &key }).await;
        }
        pause(OFFER_EVERY).await;
    }
}
