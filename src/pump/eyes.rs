//! How a task of one core has all cores looked at: one look after the other, each a part of a turn
//! of the core that is asked, so that no list costs anybody more than its own steps.

use super::desk::Desk;
use futures_lite::future;
use glommio::timer;
use nacre_shards::key::{Core, Map};
use nacre_shards::look::{Look, Seen};
use nacre_shards::naming::open::{Answer, Call};
use std::time::Duration;

/// How long one core may take to look: a turn of a core that is only busy takes milliseconds.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// One task's eyes; cheap to clone.
#[derive(Debug, Clone)]
pub struct Eyes {
    desk: Desk,
    map: Map,
}

impl Eyes {
    /// Through the desk of this core, at so many cores.
    pub fn new(desk: Desk, cores: u16) -> Self {
        Self { desk, map: Map { cores } }
    }

    /// All cores of the node.
    pub fn cores(&self) -> impl Iterator<Item = Core> + use<> {
        (0..self.map.cores).map(Core)
    }

    /// Which core keeps what.
    pub fn map(&self) -> Map {
        self.map
    }

    /// Has one core look; `None` when it does not answer in time.
    pub async fn look(&self, core: Core, look: Look) -> Option<Seen> {
        let call = Call::Look { core, look: Box::new(look) };
        let asked = async { Some(self.desk.ask(call).await) };
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
}
