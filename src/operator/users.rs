//! `nacre user`: who may log in. Changes go through the replicated log like everybody's, so they
//! hold on every core, and after a crash, when the answer comes.

use super::shown;
use super::wire::{Answered, Out, Refusal, UserChange};
use crate::pump::replica::Replica;
use crate::raft::Group;
use nacre_proto::code::Code;
use nacre_shards::auth::identities::{FIRST_ADMINISTRATOR, Secret};
use nacre_shards::durable::answer::Answer;
use nacre_shards::durable::command::Command;
use nacre_shards::durable::identity::change::Change;
use nacre_shards::limits::LOOK_ROWS_MAX;
use serde_json::{Value, json};

/// Characters of a hash as the reference keeps it.
const HASH_LENGTH: usize = 60;

/// All users with their roles, in the order of their names.
///
/// # Errors
/// The asker has gone.
pub async fn list(group: &Group<Replica>, out: &mut impl Out) -> Answered {
    let all = group.with(|replica| replica.state().tables().identities().kept());
    let mut rows = Vec::new();
    for (name, user) in all.users() {
        let roles: Vec<&str> = user.roles.iter().map(|role| &**role).collect();
        rows.push(json!({
            "name": name,
            "roles": roles,
            "administrator": user.is_administrator(),
        }));
        if rows.len() >= LOOK_ROWS_MAX {
            out.part(std::mem::take(&mut rows).into()).await?;
        }
    }
    out.part(rows.into()).await?;
    Ok(json!({}))
}

/// Carries a change out; done when the log has it.
///
/// # Errors
/// It cannot be: why, and what to do instead.
pub async fn change(group: &Group<Replica>, change: &UserChange) -> Answered {
    let (change, done) = match change {
        UserChange::Admin { hash } => {
            let hash = Secret(&hash.0);
            (Change::FirstAdministrator { hash }, (FIRST_ADMINISTRATOR, "made administrator"))
        }
        UserChange::Add { name, hash } => {
            (Change::CreateUser { name, hash: Secret(&hash.0) }, (name.as_str(), "added"))
        }
        UserChange::Password { name, hash } => {
            (Change::SetPassword { name, hash: Secret(&hash.0) }, (name.as_str(), "password set"))
        }
        UserChange::Remove { name } => {
            let is_there = group.with(|replica| replica.state().identities().user(name).is_some());
            if !is_there {
                return Err(Refusal::no(format!("user {name} not exist!")));
            }
            (Change::DeleteUser { name }, (name.as_str(), "removed"))
        }
    };
    check(&change)?;
    let command = Command::Identity(change).encode();
    match group.put(command).await {
        Ok(Answer::Done { .. }) => Ok(json!({ "user": done.0, "done": done.1 })),
        Ok(Answer::Refused(refused)) if refused.code == Code::Conflict => Err(Refusal::no(
            "there is an administrator already; `nacre user list` names him, `nacre user password \
             NAME` gives him another password",
        )),
        Ok(Answer::Refused(refused)) => Err(Refusal::no(refused.text)),
        Err(error) => Err(Refusal::no(error.to_string())),
    }
}

fn check(change: &Change<'_>) -> Result<(), Refusal> {
    change.check().map_err(Refusal::no)?;
    let (Change::FirstAdministrator { hash }
    | Change::CreateUser { hash, .. }
    | Change::SetPassword { hash, .. }) = change
    else {
        return Ok(());
    };
    let is_hash = hash.0.len() == HASH_LENGTH && hash.0.starts_with("$2a$");
    if is_hash { Ok(()) } else { Err(Refusal::no("that is not the hash of a password")) }
}

/// The list for a person.
pub fn text(parts: &[Value]) -> String {
    let users = parts.iter().filter_map(Value::as_array).flatten();
    let rows: Vec<Value> = users
        .map(|user| {
            let roles = user["roles"].as_array().into_iter().flatten();
            let roles: Vec<String> = roles.map(shown::plain).collect();
            json!({ "name": user["name"], "roles": roles.join(", ") })
        })
        .collect();
    if rows.is_empty() {
        return "no users; make the first administrator with `nacre user admin`\n".to_owned();
    }
    shown::table(&[("USER", "name"), ("ROLES", "roles")], rows.iter())
}
