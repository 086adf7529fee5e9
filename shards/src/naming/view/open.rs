//! A view as HTTP shows it: the name of the service grouped (`naming.md` 4.4), or the hosts alone.

use super::{Filter, Shown, View};
use bytes::Bytes;
use nacre_proto::json;

/// Up to the name's value, in every body.
const BEFORE_NAME: &str = "{\"name\":";

impl View {
    /// [`View::body`] with the grouped name: lists over HTTP, and what datagrams carry.
    pub fn grouped_body(&self, filter: &Filter) -> Bytes {
        let plain = self.body(filter);
        let mut name = Vec::with_capacity(self.service.service().len() + 2);
        json::write_string(&mut name, self.service.service());
        let rest = &plain[BEFORE_NAME.len() + name.len()..];
        let bytes = BEFORE_NAME.len() + self.service.grouped().len() + 2 + rest.len();
        let mut out = Vec::with_capacity(bytes);
        out.extend_from_slice(BEFORE_NAME.as_bytes());
        json::write_string(&mut out, self.service.grouped());
        out.extend_from_slice(rest);
        Bytes::from(out)
    }

    /// The `hosts` of [`View::body`] alone; administrators see disabled ones too.
    pub fn hosts_body(&self, filter: &Filter, enabled_only: bool) -> Bytes {
        let selected = self.select(filter, enabled_only);
        let protected = self.protects(&selected, filter.healthy_only);
        self.list(&selected, protected)
    }

    /// How many instances there are, disabled ones too, and some of them as a JSON list.
    pub fn hosts_page(&self, filter: &Filter, start: usize, items: usize) -> (usize, Bytes) {
        let selected = self.select(filter, false);
        let end = start.saturating_add(items).min(selected.len());
        (selected.len(), self.list(&selected[start.min(end)..end], false))
    }

    /// Whether any instance is in the clusters of the filter.
    pub fn knows_clusters(&self, filter: &Filter) -> bool {
        let mut wanted = filter.selected().into_iter().flatten().peekable();
        let known = |name: &str| self.clusters.iter().any(|cluster| **cluster == *name);
        wanted.peek().is_none() || wanted.any(known)
    }

    fn list(&self, shown: &[Shown], protected: bool) -> Bytes {
        let bytes = shown.iter().map(|shown| shown.bytes as usize + 1).sum::<usize>();
        let mut out = Vec::with_capacity(bytes + 2);
        out.push(b'[');
        for (at, shown) in shown.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            self.copy(&mut out, *shown, protected);
        }
        out.push(b']');
        Bytes::from(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Core, ServiceKey};
    use crate::message::Now;
    use crate::naming::host::{Host, Ids};
    use crate::naming::view::Frame;
    use ahash::RandomState;
    use nacre_proto::naming::Instance;
    use serde_json::Value;

    #[test]
    fn only_the_name_differs() {
        let hasher = RandomState::with_seed(1);
        let now = Now { tick_ms: 0, unix_ms: 0 };
        for name in ["s", "with \"quotes\"", "é"] {
            let key = ServiceKey::new("n", "g", name);
            let instance = |port: i64, cluster: &'static str| {
                let cluster_name = Some(cluster.into());
                let ip = Some("10.0.0.1".into());
                let instance = Instance { ip, port, cluster_name, ..Instance::default() };
                Host::new(&instance, &key, &mut Ids::new(Core(0)), now)
            };
            let hosts = [instance(1, "a"), instance(2, "b")];
            for count in 0..=2 {
                let frame = Frame {
                    service: &key,
                    revision: 7,
                    cache_ms: 10_000,
                    metadata: None,
                    hasher: &hasher,
                };
                let view = View::build(&frame, hosts[..count].iter());
                for clusters in ["", "a", "b", "x"] {
                    let filter = Filter { clusters: Some(clusters.into()), healthy_only: false };
                    let read = |bytes: Bytes| serde_json::from_slice::<Value>(&bytes).unwrap();
                    let mut plain = read(view.body(&filter));
                    assert_eq!(read(view.hosts_body(&filter, true)), plain["hosts"]);
                    plain["name"] = key.grouped().into();
                    assert_eq!(read(view.grouped_body(&filter)), plain);
                }
            }
        }
    }
}
