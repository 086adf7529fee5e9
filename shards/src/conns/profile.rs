//! What setups say, kept once per core for all connections that say the same.
//!
//! A fleet's setups differ in nothing but the address (see [`crate::intern`]).

use crate::limits::PROFILE_BYTES_MAX;
use nacre_proto::link::ConnectionSetupRequest;

/// The lasting part of a `ConnectionSetupRequest` (`grpc-protocol.md` 6.2, 7.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Profile {
    pub client_version: Box<str>,
    pub tenant: Box<str>,
    /// Label `AppName`, `-` when absent.
    pub app: Box<str>,
    pub source: Source,
    pub module: Module,
    /// As sent, until [`PROFILE_BYTES_MAX`] is reached; what exceeds it is left out.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// The client's ability table; `None` when it sent none.
    pub abilities: Option<Abilities>,
}

/// Names, and whether the client says it can.
pub type Abilities = Box<[(Box<str>, bool)]>;

/// Label `source`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Source {
    Sdk,
    Cluster,
    /// Absent or anything else: not refused while the server starts.
    #[default]
    Other,
}

/// Label `module`, for the naming rule and the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Module {
    Naming,
    Config,
    Lock,
    Ai,
    #[default]
    Other,
}

impl Module {
    /// All, in the order of [`crate::shard::Counts::modules`].
    pub const ALL: [Module; 5] =
        [Module::Naming, Module::Config, Module::Lock, Module::Ai, Module::Other];

    /// As the metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Module::Naming => "naming",
            Module::Config => "config",
            Module::Lock => "lock",
            Module::Ai => "ai",
            Module::Other => "other",
        }
    }

    /// Whether its connections become naming clients (`naming.md` 2.1).
    pub fn is_naming(self) -> bool {
        matches!(self, Module::Naming | Module::Ai)
    }
}

impl Profile {
    /// Reads a setup, within the bound.
    pub fn read(setup: &ConnectionSetupRequest<'_>) -> Self {
        let mut left = PROFILE_BYTES_MAX;
        let label = |name: &str| {
            let found = setup.labels.0.iter().find(|(key, _)| key.0 == name);
            found.map(|(_, value)| value.0.as_ref())
        };
        let source = match label("source") {
            Some("sdk") => Source::Sdk,
            Some("cluster") => Source::Cluster,
            _ => Source::Other,
        };
        let module = match label("module") {
            Some("naming") => Module::Naming,
            Some("config") => Module::Config,
            Some("lock") => Module::Lock,
            Some("ai") => Module::Ai,
            _ => Module::Other,
        };
        let text = |text: &Option<nacre_proto::text::Text<'_>>, left: &mut usize| {
            keep(text.as_ref().map_or("", |text| text.0.as_ref()), left)
        };
        let client_version = text(&setup.client_version, &mut left);
        let tenant = text(&setup.tenant, &mut left);
        let app = keep(label("AppName").unwrap_or("-"), &mut left);
        let mut labels = Vec::new();
        for (key, value) in &setup.labels.0 {
            let bytes = key.0.len() + value.0.len();
            if bytes > left {
                break;
            }
            labels.push((keep(&key.0, &mut left), keep(&value.0, &mut left)));
        }
        let abilities = setup.ability_table.as_ref().map(|table| {
            let mut kept = Vec::new();
            for (name, able) in &table.0 {
                if name.0.len() > left {
                    break;
                }
                kept.push((keep(&name.0, &mut left), *able));
            }
            kept.into()
        });
        let labels = labels.into();
        Self { client_version, tenant, app, source, module, labels, abilities }
    }
}

/// The text if there is room for it, else nothing.
fn keep(text: &str, left: &mut usize) -> Box<str> {
    if text.len() > *left {
        return "".into();
    }
    *left -= text.len();
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_proto::text::{Flags, Pairs, Text};

    fn text(text: &str) -> Text<'_> {
        Text(text.into())
    }

    #[test]
    fn reads_labels_and_abilities() {
        let setup = ConnectionSetupRequest {
            client_version: Some(text("Nacos-Java-Client:v3.1.1")),
            tenant: None,
            labels: Pairs(vec![
                (text("source"), text("sdk")),
                (text("module"), text("naming")),
                (text("AppName"), text("shop")),
            ]),
            ability_table: Some(Flags(vec![(text("lock"), true)])),
        };
        let profile = Profile::read(&setup);
        assert_eq!((profile.source, profile.module), (Source::Sdk, Module::Naming));
        assert_eq!((&*profile.app, &*profile.tenant), ("shop", ""));
        assert_eq!(profile.labels.len(), 3);
        assert_eq!(profile.abilities.unwrap()[0], ("lock".into(), true));
        assert_eq!(&*Profile::read(&ConnectionSetupRequest::default()).app, "-");
    }

    #[test]
    fn a_huge_setup_costs_no_more_than_the_bound() {
        let value = "x".repeat(PROFILE_BYTES_MAX / 2);
        let labels = (0..5).map(|_| (text("app_x"), text(&value))).collect();
        let setup = ConnectionSetupRequest { labels: Pairs(labels), ..Default::default() };
        assert_eq!(Profile::read(&setup).labels.len(), 1);
    }
}
