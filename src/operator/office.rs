//! Answers an operator on a running node. On the Raft core; other cores are asked through the mesh,
//! in looks small enough to be part of a turn, and one that does not answer in time is named.

use super::wire::{Answered, Out, Refusal, Request};
use super::{backup, lists, status, trace, users};
use crate::admin::health::Readiness;
use crate::admin::metrics::Metrics;
use crate::boot::settings::Settings;
use crate::pump::desk::Desk;
use crate::pump::node::Node;
use crate::pump::replica::{Durable, Replica};
use crate::raft::Group;
use crate::raft::breath::Breath;
use futures_lite::future;
use glommio::timer;
use nacre_shards::key::Core;
use nacre_shards::look::{Look, Seen};
use nacre_shards::naming::open::{Answer, Call};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long one core may take to look: a turn of a core that is only busy takes milliseconds.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// What answers are made of.
pub struct Parts {
    pub settings: Arc<Settings>,
    pub readiness: Readiness,
    pub metrics: Arc<Metrics>,
    pub node: Arc<Node>,
    pub desk: Desk,
    pub durable: Rc<Durable>,
}

/// The Raft core's answers; cheap to clone.
#[derive(Clone)]
pub struct Office {
    pub parts: Rc<Parts>,
    breath: Rc<Breath>,
}

impl Office {
    /// On the Raft core.
    ///
    /// # Errors
    /// The file limit.
    pub fn new(parts: Parts) -> std::io::Result<Self> {
        Ok(Self { parts: Rc::new(parts), breath: Rc::new(Breath::new()?) })
    }

    /// Answers one question.
    ///
    /// # Errors
    /// What is not so, cannot be done, or cannot be known now.
    pub async fn answer(&self, request: Request, out: &mut impl Out) -> Answered {
        match request {
            Request::Status => Ok(status::of(self).await),
            Request::Store => Ok(status::of_store(&self.group()?.status())),
            Request::Services(listing) => lists::services(self, &listing, out).await,
            Request::Clients(listing) => lists::clients(self, &listing, out).await,
            Request::Configs(listing) => {
                let tables = self.parts.durable.tables.clone();
                self.group()?;
                lists::configs(&tables, Some(self), &listing, out).await
            }
            Request::Users => users::list(&self.group()?, out).await,
            Request::User(change) => users::change(&self.group()?, &change).await,
            Request::Backup => backup::write(&self.group()?, out).await,
            Request::Trace(about) => trace::trace(self, &about, out).await,
        }
    }

    /// The group, once the log was replayed.
    pub fn group(&self) -> Result<Group<Replica>, Refusal> {
        let starting = || Refusal::unseen("the node is still reading its log; try again soon");
        self.parts.durable.group().ok_or_else(starting)
    }

    /// All cores of the node.
    pub fn cores(&self) -> impl Iterator<Item = Core> + use<> {
        (0..self.parts.node.cores).map(Core)
    }

    /// Has one core look; `None` when it does not answer in time.
    pub async fn look(&self, core: Core, look: Look) -> Option<Seen> {
        let call = Call::Look { core, look: Box::new(look) };
        let asked = async { Some(self.parts.desk.ask(call).await) };
        let late = async {
            timer::sleep(LOOK_WITHIN).await;
            None
        };
        match future::or(asked, late).await {
            Some(Answer::Seen(seen)) => Some(*seen),
            _ => None,
        }
    }

    /// Adds up what all cores count, in the order of the question; cores that do not answer are
    /// left out.
    pub async fn sum(&self, len: usize, look: impl Fn() -> Look) -> Vec<u64> {
        let mut sums = vec![0; len];
        for core in self.cores() {
            if let Some(Seen::Numbers(numbers)) = self.look(core, look()).await {
                for (sum, number) in sums.iter_mut().zip(numbers) {
                    *sum += u64::from(number);
                }
            }
        }
        sums
    }

    /// Lets the core's sockets be read.
    pub async fn breathe(&self) {
        self.breath.take().await;
    }
}
