//! The address server (`http-api.md` 10.3): which servers a product has, as text, one `ip:port` a
//! line. The reference's is a process of its own; here every node answers, from the same registry:
//! a list is the persistent service `nacos.as.<product>`, its clusters are the list's clusters.
//!
//! Lists are for everybody, as clients fetch them before they log in; to put one is a right.
//! `/serverlist` of nobody's making is this node, and what nobody put below the context path is no
//! list but no path, as on a server of the reference without that module.

use super::input::Input;
use super::{Api, Outcome, Refused, shape, unexpected};
use crate::http1::StatusCode;
use crate::http1::reply::{self, Reply};
use nacre_proto::code::Code;
use nacre_proto::naming::Instance;
use nacre_proto::text::Pairs;
use nacre_shards::naming::accept::PUBLIC;
use nacre_shards::naming::open::{
    Address, Answer, Call, Cluster, Detail, Name, Settings, Shape as Form,
};
use serde::Deserialize;
use std::borrow::Cow;
use std::net::IpAddr;

/// The product of who names none, and how its service is called.
const PRODUCT: &str = "nacos";
const PRODUCT_SERVICE: &str = "nacos.as.default";

/// The cluster of who names none.
const CLUSTER: &str = "serverlist";

/// The port of an address without one.
const PORT: u16 = 8_848;

/// Addresses one request may put or take away: more than any list has; each is on the disk before
/// the next.
const ADDRESSES_MAX: usize = 256;

/// A server listens where its clients say: nobody asks it whether it lives.
const UNCHECKED: &str = r#"{"type":"NONE"}"#;

/// The port of an unchecked cluster's checks: the reference's default.
const CHECK_PORT: i64 = 80;

/// What a request is about, in the words of its answers.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    product: &'a str,
    cluster: &'a str,
}

impl<'a> Place<'a> {
    fn of(input: &'a Input<'_>) -> Self {
        Self {
            product: input.get("product").unwrap_or(PRODUCT),
            cluster: input.get("cluster").unwrap_or(CLUSTER),
        }
    }

    /// The service that holds the list.
    fn service(self) -> Name {
        let service = match self.product {
            PRODUCT => PRODUCT_SERVICE.to_owned(),
            product => format!("nacos.as.{product}"),
        };
        Name { namespace: String::new(), group: String::new(), service }
    }

    fn no_product(self) -> Refused {
        let text = format!("product={} not found.", shape::echoed(self.product));
        Refused::new(404, Code::ResourceNotFound, text)
    }

    /// The servers as text, or why there are none.
    fn shown(self, found: Found) -> Outcome {
        match found {
            Found::Servers(servers) => Ok(reply::text(StatusCode::OK, servers)),
            Found::NoProduct => Err(self.no_product()),
            Found::NoCluster => {
                let (product, cluster) = (shape::echoed(self.product), shape::echoed(self.cluster));
                let text = format!("product={product},cluster={cluster} not found.");
                Err(Refused::new(404, Code::ResourceNotFound, text))
            }
        }
    }
}

/// What is known of a list.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// A line each; none where all were taken away.
    Servers(String),
    NoProduct,
    NoCluster,
}

/// Nothing has that name, or nothing can.
fn is_unknown(refused: &Refused) -> bool {
    (400..500).contains(&refused.status)
}

/// One server, as lists of instances show it.
#[derive(Debug, Deserialize)]
struct Server<'a> {
    #[serde(borrow)]
    ip: Cow<'a, str>,
    port: u16,
}

/// `/{product}/{cluster}`, whichever method.
pub(super) async fn list(api: &Api, input: &Input<'_>) -> Outcome {
    let place = Place::of(input);
    match listed(api, place).await? {
        Found::NoProduct if is_below(api, input) => {
            Ok(api.nothing_there(&input.method, input.path))
        }
        found => place.shown(found),
    }
}

/// Whether the product is the context path, where other paths stand as well.
fn is_below(api: &Api, input: &Input<'_>) -> bool {
    let below = input.path.strip_prefix(&*api.facts.context_path);
    !api.facts.context_path.is_empty() && below.is_some_and(|below| below.starts_with('/'))
}

/// `/serverlist`: what was put for who names neither product nor cluster, or this node, as the
/// asker reached it.
pub(super) async fn own(api: &Api, input: &Input<'_>) -> Outcome {
    let servers = match listed(api, Place { product: PRODUCT, cluster: CLUSTER }).await? {
        Found::Servers(servers) if !servers.is_empty() => servers,
        _ => format!("{}\n", input.local),
    };
    Ok(reply::text(StatusCode::OK, servers))
}

/// GET of `/v1/as/nodes`, which the reference has not: what there is, for whoever puts it.
pub(super) async fn shown(api: &Api, input: &Input<'_>) -> Outcome {
    let place = Place::of(input);
    place.shown(listed(api, place).await?)
}

/// What is known of a list. What cannot be a name is not known.
async fn listed(api: &Api, place: Place<'_>) -> Result<Found, Refused> {
    let (name, clusters) = (place.service(), place.cluster.to_owned());
    let (shape, poller) = (Form::Cluster, None);
    let call = Call::List { name, clusters, healthy_only: false, shape, poller };
    // Commas would make one name many.
    let asked = match place.cluster.contains(',') {
        true => Err(Refused::invalid("no name of a cluster")),
        false => api.ask(call).await,
    };
    let json = match asked {
        Ok(Answer::Json(json)) => json,
        Ok(other) => return Err(unexpected(&other)),
        Err(refused) if !is_unknown(&refused) => return Err(refused),
        Err(_) if is_there(api, place).await? => return Ok(Found::NoCluster),
        Err(_) => return Ok(Found::NoProduct),
    };
    let servers: Vec<Server<'_>> = serde_json::from_slice(&json)
        .map_err(|_| Refused::new(500, Code::ServerError, "an instance has no address"))?;
    let line = |Server { ip, port }: &Server<'_>| match ip.contains(':') && !ip.starts_with('[') {
        true => format!("[{ip}]:{port}\n"),
        false => format!("{ip}:{port}\n"),
    };
    Ok(Found::Servers(servers.iter().map(line).collect()))
}

/// Whether anything was ever put for a product.
async fn is_there(api: &Api, place: Place<'_>) -> Result<bool, Refused> {
    let call = Call::Service { name: place.service(), detail: Detail::Line };
    match api.ask(call).await {
        Ok(_) => Ok(true),
        Err(refused) if is_unknown(&refused) => Ok(false),
        Err(refused) => Err(refused),
    }
}

/// POST of `/v1/as/nodes`.
pub(super) async fn put(api: &Api, input: &Input<'_>) -> Outcome {
    let place = Place::of(input);
    let addresses = match addresses(input)? {
        Ok(addresses) => addresses,
        Err(reply) => return Ok(reply),
    };
    // Before anything is made: no instance could have a cluster of another name.
    if !place.cluster.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let cluster = shape::echoed(place.cluster);
        let text = format!(
            "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: {cluster})"
        );
        return Err(Refused::invalid(text));
    }
    if !matches!(listed(api, place).await?, Found::Servers(_)) {
        prepare(api, place).await?;
    }
    for (ip, port) in &addresses {
        let texts = [("app", place.product), ("tenant", PUBLIC)];
        let texts = texts.map(|(key, text)| (key.into(), text.to_owned().into()));
        let instance = Instance {
            ip: Some(ip.to_string().into()),
            port: i64::from(*port),
            weight: 1.0,
            healthy: true,
            enabled: true,
            ephemeral: false,
            cluster_name: Some(place.cluster.to_owned().into()),
            metadata: Pairs(texts.into()),
            ..Instance::default()
        };
        api.decide(Call::Register { name: place.service(), instance }).await?;
    }
    let Place { product, cluster } = place;
    let size = addresses.len();
    let text = format!("product={product},cluster={cluster}; put success with size={size}");
    Ok(reply::text(StatusCode::OK, text))
}

/// The service of a list, and its cluster, which nobody checks.
async fn prepare(api: &Api, place: Place<'_>) -> Result<(), Refused> {
    let (name, settings) = (place.service(), Settings::default());
    match api.decide(Call::Create { name, settings, ephemeral: false }).await {
        Err(refused) if refused.code != Code::ServiceAlreadyExist => return Err(refused),
        _ => {}
    }
    let cluster = Cluster {
        name: place.cluster.to_owned(),
        check_port: CHECK_PORT,
        use_instance_port: true,
        checker: UNCHECKED.to_owned(),
        metadata: String::new(),
    };
    api.decide(Call::SetCluster { name: place.service(), cluster }).await
}

/// DELETE of `/v1/as/nodes`.
pub(super) async fn take_away(api: &Api, input: &Input<'_>) -> Outcome {
    let place = Place::of(input);
    if input.form.get("ips").is_some() && !is_there(api, place).await? {
        return Err(place.no_product());
    }
    let addresses = match addresses(input)? {
        Ok(addresses) => addresses,
        Err(reply) => return Ok(reply),
    };
    for (ip, port) in addresses {
        let (ip, port, cluster) = (ip.to_string(), i64::from(port), place.cluster.to_owned());
        let address = Address { ip, port, cluster };
        api.decide(Call::Deregister { name: place.service(), address, ephemeral: false }).await?;
    }
    let Place { product, cluster } = place;
    let text = format!("product={product}, cluster={cluster} delete success.");
    Ok(reply::text(StatusCode::OK, text))
}

/// What `ips` names. The reference makes an empty list where it is blank as it puts; here that is
/// refused as it is where something is taken away.
///
/// # Errors
/// It names nothing, too much, or something that is no address. Inside, the framework's own answer
/// where it is not there at all.
fn addresses(input: &Input<'_>) -> Result<Result<Vec<(IpAddr, u16)>, Reply>, Refused> {
    let Some(text) = input.form.get("ips") else {
        const MESSAGE: &str =
            "Required request parameter 'ips' for method parameter type String is not present";
        return Ok(Err(shape::error(StatusCode::BAD_REQUEST, MESSAGE, input.path)));
    };
    if text.trim().is_empty() {
        return Err(Refused::invalid("ips must not be empty."));
    }
    if text.split(',').count() > ADDRESSES_MAX {
        return Err(Refused::invalid(format!("more than {ADDRESSES_MAX} ips")));
    }
    let (mut addresses, mut illegal) = (Vec::new(), Vec::new());
    for text in text.split(',') {
        match address(text.trim()) {
            Some(address) => addresses.push(address),
            None => illegal.push(text),
        }
    }
    if illegal.is_empty() {
        return Ok(Ok(addresses));
    }
    let illegal = illegal.join(",");
    Err(Refused::invalid(format!("illegal ip: {}", shape::echoed(&illegal))))
}

/// An address with or without a port; one of IPv6 needs its brackets to have one.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse() {
        return Some((ip, PORT));
    }
    let address: std::net::SocketAddr = text.parse().ok()?;
    (address.port() > 0).then(|| (address.ip(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_ports_or_take_the_usual_one() {
        for (text, shown) in [
            ("10.0.0.1", Some("10.0.0.1:8848")),
            ("10.0.0.1:1", Some("10.0.0.1:1")),
            ("fe80::1", Some("[fe80::1]:8848")),
            ("[fe80::1]", Some("[fe80::1]:8848")),
            ("[fe80::1]:80", Some("[fe80::1]:80")),
            ("", None),
            ("10.0.0.1:", None),
            ("10.0.0.1:0", None),
            ("10.0.0.1:65536", None),
            ("10.0.0.256", None),
            ("10.0.0", None),
            ("[10.0.0.1", None),
            ("shop.example", None),
            ("10.0.0.1 10.0.0.2", None),
        ] {
            let address = address(text).map(|(ip, port)| std::net::SocketAddr::new(ip, port));
            assert_eq!(address.map(|address| address.to_string()).as_deref(), shown, "{text}");
        }
    }
}
