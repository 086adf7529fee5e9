//! Answers an operator on a running node. On the Raft core; other cores are asked through the mesh,
//! in looks small enough to be part of a turn, and one that does not answer in time is named.

use super::wire::{Answered, Out, Refusal, Request};
use super::{backup, lists, status, trace, users};
use crate::admin::health::Readiness;
use crate::admin::metrics::{self, Metrics};
use crate::boot::settings::Settings;
use crate::pump::desk::Desk;
use crate::pump::eyes::Eyes;
use crate::pump::node::Node;
use crate::pump::replica::{Durable, Replica};
use crate::raft::Group;
use crate::raft::breath::Breath;
use nacre_shards::key::Core;
use nacre_shards::look::{Look, Seen};
use std::rc::Rc;
use std::sync::Arc;

/// What answers are made of.
pub struct Parts {
    pub settings: Arc<Settings>,
    pub readiness: Readiness,
    pub metrics: Arc<Metrics>,
    /// The Raft core's own block.
    pub counted: metrics::Core,
    pub node: Arc<Node>,
    pub desk: Desk,
    pub durable: Rc<Durable>,
}

/// The Raft core's answers; cheap to clone.
#[derive(Clone)]
pub struct Office {
    pub parts: Rc<Parts>,
    eyes: Eyes,
    breath: Rc<Breath>,
}

impl Office {
    /// On the Raft core.
    ///
    /// # Errors
    /// The file limit.
    pub fn new(parts: Parts) -> std::io::Result<Self> {
        let eyes = Eyes::new(parts.desk.clone(), parts.node.cores);
        Ok(Self { parts: Rc::new(parts), eyes, breath: Rc::new(Breath::new()?) })
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
        self.eyes.cores()
    }

    /// Has one core look; `None` when it does not answer in time.
    pub async fn look(&self, core: Core, look: Look) -> Option<Seen> {
        self.eyes.look(core, look).await
    }

    /// Adds up what all cores count, in the order of the question; cores that do not answer are
    /// left out.
    pub async fn sum(&self, len: usize, look: impl Fn() -> Look) -> Vec<u64> {
        self.eyes.sum(len, look).await
    }

    /// Lets the core's sockets be read.
    pub async fn breathe(&self) {
        self.breath.take().await;
    }
}
