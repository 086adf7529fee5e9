//! What clients do.

use crate::key::ServiceKey;
use crate::sim::client::{Instance, Online, Op};
use crate::sim::configs;
use crate::sim::random::Random;

/// Namespaces and groups of a run's services.
pub const SPACES: [(&str, &str); 2] = [("public", "g0"), ("dev", "g1")];

/// What clusters instances are in, and what is asked for.
const CLUSTERS: [&str; 3] = ["DEFAULT", "east", "west"];
const WANTED: [&str; 4] = ["", "", "east", "west,DEFAULT"];

/// Patterns that are watched.
pub const PATTERNS: [&str; 4] = ["public>>*>>*", "dev>>g1>>s*", "public>>g0>>s1*", "dev>>*>>s3"];

/// One act of a client.
#[derive(Debug)]
pub enum Act {
    Call(Op),
    /// Stops or starts reading.
    Reading(bool),
    /// Does nothing at all for so long.
    Freeze(u64),
    /// Ends the connection: politely, after all it sent, or not.
    Leave {
        politely: bool,
    },
}

/// The services of a run, no two with the same group and name.
pub fn services(count: u64) -> Vec<ServiceKey> {
    let service = |n: u64| {
        let (namespace, group) = SPACES[n as usize % 2];
        ServiceKey::new(namespace, group, &format!("s{n}"))
    };
    (0..count).map(service).collect()
}

/// What a client that is set up does next.
pub fn next(
    online: &Online,
    number: u64,
    ports: &mut u16,
    services: &[ServiceKey],
    configs: u64,
    random: &mut Random,
) -> Act {
    if random.percent(configs) {
        return Act::Call(configs::next(online, number, ports, random));
    }
    let service = random.pick(services);
    let op = match random.below(100) {
        0..25 => Op::Register(service, instance(number, ports, random)),
        25..32 => {
            let count = random.below(4);
            Op::Batch(service, (0..count).map(|_| instance(number, ports, random)).collect())
        }
        32..44 => Op::Deregister(pick_of(online.standing.published.keys(), service, random)),
        44..58 => Op::Subscribe(service, random.pick(&WANTED)),
        58..66 => Op::Unsubscribe(pick_of(online.standing.follows.keys(), service, random)),
        66..74 => Op::Query(service, random.pick(&WANTED)),
        74..76 => {
            let (namespace, group) = random.pick(&SPACES);
            Op::List(namespace, group)
        }
        76..82 => watch(online, random),
        82..84 => Op::Cancel(random.pick(&PATTERNS)),
        84..90 => return Act::Reading(!online.reads),
        90..93 => return Act::Freeze(random.pick(&[500, 3_000, 30_000])),
        93..98 => return Act::Leave { politely: random.percent(50) },
        _ => Op::Health,
    };
    Act::Call(op)
}

fn watch(online: &Online, random: &mut Random) -> Op {
    let pattern = random.pick(&PATTERNS);
    let known = online.knows.get(pattern).filter(|_| random.percent(50));
    Op::Watch(pattern, known.map(|known| known.iter().cloned().collect()))
}

/// Mostly one of those it has.
fn pick_of<'a>(
    own: impl Iterator<Item = &'a ServiceKey>,
    other: ServiceKey,
    random: &mut Random,
) -> ServiceKey {
    let own: Vec<_> = own.collect();
    if own.is_empty() || random.percent(10) { other } else { random.pick(&own).clone() }
}

fn instance(number: u64, ports: &mut u16, random: &mut Random) -> Instance {
    *ports += 1;
    Instance {
        ip: format!("10.1.0.{number}"),
        port: *ports,
        cluster: random.pick(&CLUSTERS),
        enabled: random.percent(90),
    }
}
