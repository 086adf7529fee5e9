//! What is true: derived from the calls that were answered with success, in the order they were
//! sent.
//!
//! Calls of one connection about one service are carried out in order, calls of different
//! connections about one service touch different entries. So what each connection holds needs no
//! clock to be known, and what a service shows is the sum over the connections that live.

use crate::key::ServiceKey;
use crate::sim::client::{Instance, Op};
use std::collections::{BTreeMap, BTreeSet};

/// What one connection has, by the answers it got.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub published: BTreeMap<ServiceKey, Vec<Instance>>,
    /// Services followed, and the clusters asked for.
    pub follows: BTreeMap<ServiceKey, &'static str>,
    pub watches: BTreeSet<&'static str>,
}

impl Standing {
    /// A call was answered with success.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Register(service, instance) => {
                self.published.insert(service.clone(), vec![instance.clone()]);
            }
            Op::Batch(service, instances) => {
                self.published.insert(service.clone(), instances.clone());
            }
            Op::Deregister(service) => _ = self.published.remove(service),
            Op::Subscribe(service, clusters) => {
                self.follows.insert(service.clone(), clusters);
            }
            Op::Unsubscribe(service) => _ = self.follows.remove(service),
            Op::Watch(pattern, _) => _ = self.watches.insert(pattern),
            Op::Cancel(pattern) => _ = self.watches.remove(pattern),
            // What is true of configs needs no standing: the log knows.
            _ => {}
        }
    }
}

/// All that is true of the lists.
#[derive(Debug, Default)]
pub struct Truth {
    instances: BTreeMap<ServiceKey, Vec<Instance>>,
    /// Publications: one per connection and service.
    pub publications: usize,
    pub follows: usize,
}

impl Truth {
    /// The sum over the connections that live.
    pub fn of<'a>(standings: impl Iterator<Item = &'a Standing>) -> Self {
        let mut truth = Self::default();
        for standing in standings {
            truth.publications += standing.published.len();
            truth.follows += standing.follows.len();
            for (service, instances) in &standing.published {
                truth.instances.entry(service.clone()).or_default().extend_from_slice(instances);
            }
        }
        truth
    }

    /// What is shown of a service to one who asks for these clusters.
    pub fn list(&self, service: &ServiceKey, clusters: &str) -> BTreeSet<String> {
        let wanted = |instance: &&Instance| {
            instance.enabled
                && (clusters.is_empty()
                    || clusters.split(',').any(|cluster| cluster == instance.cluster))
        };
        let instances = self.instances.get(service).into_iter().flatten();
        instances.filter(wanted).map(Instance::text).collect()
    }

    /// Services that somebody publishes, even nothing.
    pub fn published(&self) -> impl Iterator<Item = &ServiceKey> {
        self.instances.keys()
    }
}
