//! Calls the log decides: their commands, and what an owner is to look at before.

use super::{Name, Order, Refused, check};
use crate::durable::codec::Writer;
use crate::durable::command::Command;
use crate::durable::naming::{Change, ClusterDraft, Form, Named, Texts};
use crate::health::probe::Probe;
use crate::key::ServiceKey;
use crate::limits::SERVICE_TEXT_BYTES_MAX;
use crate::message::Purpose;
use crate::naming::check::{self as checks, Params};
use crate::naming::host::{FIELD_BYTES_MAX, Host};
use crate::naming::kept::Checker;
use crate::naming::rules::Rules;
use crate::naming::services::ServiceSettings;
use bytes::Bytes;

/// A command that was looked at, and which response its end is told with.
#[derive(Debug, Clone, PartialEq)]
pub struct Approved {
    pub purpose: Purpose,
    pub command: Bytes,
}

impl Approved {
    pub(super) fn of(change: Change<'_>, purpose: Purpose) -> Self {
        Self { purpose, command: Command::Naming(change).encode() }
    }
}

/// What only the owner can know of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Nothing,
    /// No client holds it; until the log has decided none is let in.
    Persistent,
    /// It is there, by clients or by the log.
    Known,
}

/// What is set for a cluster, as given: JSON for the text, empty for none.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    pub name: String,
    /// Checked here (0..=65535).
    pub check_port: i64,
    pub use_instance_port: bool,
    pub checker: String,
    pub metadata: String,
}

/// Bytes of an instance beside its metadata, guessed.
const FORM_BYTES: usize = 128;

/// A persistent registration, which its owner has to let through.
pub fn register_persistent(service: ServiceKey, host: &Host, purpose: Purpose) -> Order {
    let mut form = Writer::with_capacity(FORM_BYTES);
    host.write_form(&mut form);
    let form = form.finish();
    let change = Change::Register { service: Named::of(&service), instance: Form(&form) };
    let approved = Approved::of(change, purpose);
    Order::Approve { service, check: Check::Persistent, approved }
}

/// A persistent deregistration; whatever the owner knows, the log decides.
pub fn deregister_persistent(service: ServiceKey, ip: &str, port: i32, purpose: Purpose) -> Order {
    let change = Change::Deregister { service: Named::of(&service), ip, port };
    let approved = Approved::of(change, purpose);
    Order::Approve { service, check: Check::Nothing, approved }
}

/// A service's settings as commands carry them.
pub fn texts(settings: &ServiceSettings) -> Texts<'_> {
    Texts {
        protect_threshold_bits: settings.protect_threshold.to_bits(),
        metadata: &settings.metadata,
        selector: &settings.selector,
    }
}

pub(super) fn clustered(name: &Name, cluster: &Cluster, rules: &Rules) -> Result<Order, Refused> {
    let params =
        Params { cluster: Some(&cluster.name), port: Some(cluster.check_port), ..name.params() };
    check(&params, rules)?;
    let service = name.key_of_named()?;
    if cluster.name.len() > FIELD_BYTES_MAX {
        return Err(Refused::param(checks::too_long("cluster", FIELD_BYTES_MAX)));
    }
    let check_port = i32::try_from(cluster.check_port)
        .map_err(|_| Refused::param(checks::BAD_PORT.to_owned()))?;
    if cluster.metadata.len() + cluster.checker.len() > SERVICE_TEXT_BYTES_MAX {
        let text = format!("metadata and healthChecker exceed {SERVICE_TEXT_BYTES_MAX} bytes");
        return Err(Refused::invalid(text));
    }
    let checker = Checker::parse(&cluster.checker).ok_or_else(|| {
        Refused::invalid("Param 'healthChecker' is illegal, it should be JSON of a known type")
    })?;
    if let Checker::Http { path, headers, .. } = &checker {
        Probe::get(path, headers).map_err(Refused::invalid)?;
    }
    let or = |text: &str| if text.trim().is_empty() { "{}".to_owned() } else { text.to_owned() };
    let draft = ClusterDraft {
        name: &cluster.name,
        check_port,
        use_instance_port: cluster.use_instance_port,
        checker: &checker.json(),
        metadata: &or(&cluster.metadata),
    };
    let change = Change::SetCluster { service: Named::of(&service), cluster: draft };
    let approved = Approved::of(change, Purpose::Open);
    Ok(Order::Approve { service, check: Check::Known, approved })
}
