//! What must hold once everything has come to rest.

use crate::key::ServiceKey;
use crate::sim::client::{Online, Op, matches};
use crate::sim::configs;
use crate::sim::shadow::Truth;
use crate::sim::world::World;
use std::collections::BTreeSet;

/// What is still going on, if anything: things under way that rest must end.
pub fn unrest(world: &World) -> Option<String> {
    if !world.log.is_idle() {
        return Some("commands wait in the log".to_owned());
    }
    if world.net.under_way() > 0 {
        return Some(format!("{} parcels under way", world.net.under_way()));
    }
    for server in &world.servers {
        let counts = server.shard.counts();
        if counts.notifications_waiting > 0 {
            return Some(format!("{} notifications wait", counts.notifications_waiting));
        }
        let waiting = (counts.asks_under_way, counts.asks_waiting, counts.pushes_waiting);
        if waiting != (0, 0, 0) || server.shard.has_work() {
            return Some(format!(
                "{:?} has (asks, waiting, pushes) {waiting:?}",
                server.place.core
            ));
        }
    }
    None
}

/// Compares everything that was told with what is true.
pub fn judge(world: &World) -> Result<(), String> {
    let online = || world.clients.iter().flatten();
    let truth = Truth::of(online().map(|online| &online.standing));
    for (number, client) in world.clients.iter().enumerate() {
        if let Some(client) = client {
            judge_client(client, &truth)
                .and_then(|()| configs::judge_client(client, &world.log))
                .map_err(|text| format!("client {number}: {text}"))?;
        }
    }
    judge_probe(world, &truth)?;
    judge_possessions(world, &truth)
}

fn judge_client(client: &Online, truth: &Truth) -> Result<(), String> {
    if let Some((_, op)) = client.calls.iter().next() {
        return Err(format!("{op:?} was never answered"));
    }
    for (service, clusters) in &client.standing.follows {
        let Some(seen) = client.seen.get(service) else {
            return Err(format!("follows {service:?} and was told nothing"));
        };
        let expected = truth.list(service, clusters);
        if seen.list.hosts != expected {
            return Err(format!(
                "was last told {:?} of {service:?} at {}, but there is {expected:?}",
                seen.list.hosts, seen.list.revision
            ));
        }
        if seen.pushes == 0 {
            return Err(format!("was owed a push of {service:?}"));
        }
    }
    for (pattern, known) in &client.knows {
        let there: BTreeSet<String> = truth
            .published()
            .map(|service| service.text().to_owned())
            .filter(|name| matches(pattern, name))
            .collect();
        if *known != there {
            return Err(format!("knows {known:?} of {pattern}, but there is {there:?}"));
        }
    }
    Ok(())
}

fn judge_probe(world: &World, truth: &Truth) -> Result<(), String> {
    if let Some(op) = world.probes.front() {
        return Err(format!("{op:?} was never answered"));
    }
    for (op, answer) in &world.probed {
        match op {
            Op::Query(service, clusters) => {
                let list = answer.list().ok_or("a query answer without a list")?;
                let expected = truth.list(service, clusters);
                if list.hosts != expected {
                    return Err(format!(
                        "a query shows {:?} of {service:?}, but there is {expected:?}",
                        list.hosts
                    ));
                }
            }
            Op::List(namespace, group) => {
                let here =
                    |name: &&ServiceKey| name.namespace() == *namespace && name.group() == *group;
                let there: BTreeSet<String> =
                    truth.published().filter(here).map(|name| name.service().to_owned()).collect();
                if answer.names() != there || answer.json["count"] != there.len() {
                    return Err(format!("{op:?} says {}, but there is {there:?}", answer.json));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Nothing is owned by nobody.
fn judge_possessions(world: &World, truth: &Truth) -> Result<(), String> {
    let online = world.clients.iter().flatten().count();
    let all: Vec<_> = world.servers.iter().map(|server| server.shard.counts()).collect();
    let sum = |of: fn(&crate::shard::Counts) -> usize| all.iter().map(of).sum::<usize>();
    let interests = world.servers.iter().map(|server| server.shard.interests()).sum();
    let set_up = all.iter().map(|counts| counts.home.modules[0]).sum::<u64>() as usize;
    let published = truth.published().count();
    let listens = world.clients.iter().flatten().map(|client| client.heard.configs.len()).sum();
    let table = [
        ("listeners", sum(|counts| counts.listeners), listens),
        ("connections", sum(|counts| counts.connections), online),
        ("connections set up", set_up, online),
        ("publications", sum(|counts| counts.owner.publications), truth.publications),
        ("subscriptions", sum(|counts| counts.subscriptions), truth.follows),
        ("interests of home cores", interests, sum(|counts| counts.followed)),
        ("names listed", sum(|counts| counts.owner.names), published),
    ];
    for (what, found, expected) in table {
        if found != expected {
            return Err(format!("{found} {what}, but there should be {expected}"));
        }
    }
    Ok(())
}

/// Publications kept by all owners.
pub fn publications(world: &World) -> usize {
    world.servers.iter().map(|server| server.shard.counts().owner.publications).sum()
}

/// A node that stopped has sent everybody away and kept every list as it was.
pub fn judge_stopped(world: &World) -> Result<(), String> {
    let connections: usize =
        world.servers.iter().map(|server| server.shard.counts().connections).sum();
    if connections > 0 {
        return Err(format!("{connections} connections are left of a node that stops"));
    }
    if world.stopped != Some(publications(world)) {
        return Err("stopping changed a list".to_owned());
    }
    Ok(())
}
