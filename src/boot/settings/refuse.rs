//! What this build lacks and nobody may find out by losing it: his configs gone, or his door open.

use super::{Reader, Sources};
use crate::boot::keys::{self, Key};
use crate::boot::source::{Origin, Refusal};
use std::collections::BTreeSet;

/// Refuses settings that ask for what is not built and whose loss would hurt.
pub(super) fn what_is_not_built(reader: &mut Reader<'_>, sources: &Sources) {
    external_store(reader);
    transport_security(reader);
    members(reader, sources);
    modules(reader);
}

fn external_store(reader: &mut Reader<'_>) {
    for key in [&keys::DATASOURCE, &keys::DATASOURCE_OLD] {
        let Some((value, origin)) = reader.given(key) else { continue };
        let embedded = ["derby", "embedded"].iter().any(|word| word.eq_ignore_ascii_case(&value));
        if !embedded {
            let why = "an external store is not built yet, and its configs would seem gone; \
                       allowed: nothing, derby or embedded";
            reader.refuse(key, &value, origin, why.to_owned());
        }
    }
}

fn transport_security(reader: &mut Reader<'_>) {
    if reader.flag(&keys::TLS) {
        let given = reader.given(&keys::TLS);
        let why = "TLS is not built yet, and clients would speak in the clear; allowed: false";
        refuse_given(reader, &keys::TLS, given, why);
    }
}

fn members(reader: &mut Reader<'_>, sources: &Sources) {
    // The reference looks no further when it is told to stand alone.
    if reader.flag(&keys::STANDALONE) {
        return;
    }
    const WHY: &str = "more than one member; clusters are not built yet, and members that do not \
                       know each other would answer differently; \
                       allowed: one member, or nacos.standalone=true";
    if let Some((value, origin)) = reader.given(&keys::MEMBERS) {
        let parts = value.split([',', ' ', ';']).map(str::trim).filter(|part| !part.is_empty());
        if parts.collect::<BTreeSet<_>>().len() > 1 {
            reader.refuse(&keys::MEMBERS, &value, origin, WHY.to_owned());
        }
    }
    for (path, text) in &sources.member_files {
        let members = member_lines(text);
        if members.len() > 1 {
            reader.push(Refusal {
                key: "cluster.conf".to_owned(),
                value: members.into_iter().collect::<Vec<_>>().join(","),
                origin: Origin::File { path: path.clone(), line: 1 },
                why: WHY.to_owned(),
            });
        }
    }
    let lookup = reader.given(&keys::LOOKUP);
    if lookup.as_ref().is_some_and(|(value, _)| value.eq_ignore_ascii_case("address-server")) {
        let why = "members from an address server need clusters, which are not built yet; \
                   allowed: file, or nacos.standalone=true";
        refuse_given(reader, &keys::LOOKUP, lookup, why);
    }
}

/// `ip[:port][?metadata]` per line, comments whole or trailing (`ops.md` 4).
fn member_lines(text: &str) -> BTreeSet<&str> {
    text.lines()
        .map(|line| line.split(['#', '?']).next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect()
}

fn modules(reader: &mut Reader<'_>) {
    for (key, lacking, what) in [
        (&keys::FUNCTION_MODE, "config", "the config module is not built yet"),
        (&keys::DEPLOYMENT, "console", "the console is not built yet"),
    ] {
        let given = reader.given(key);
        if given.as_ref().is_some_and(|(value, _)| value.eq_ignore_ascii_case(lacking)) {
            let why = format!("{what}, and nothing else was asked for; leave the key out");
            refuse_given(reader, key, given, &why);
        }
    }
}

fn refuse_given(reader: &mut Reader<'_>, key: &Key, given: Option<(String, Origin)>, why: &str) {
    if let Some((value, origin)) = given {
        reader.refuse(key, &value, origin, why.to_owned());
    }
}
