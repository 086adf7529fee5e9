//! Every key this build knows, once: what is used, what is understood but not needed yet.
//!
//! Names are Nacos' own (`ops.md` 3), so an existing `application.properties` moves over; `nacre.*`
//! is ours. `--help` is written from this table, so it cannot tell of a key that does not work.

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Flag,
    /// A whole number with its unit.
    Whole { min: u64, max: u64, unit: &'static str },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Anything; what uses the value checks it further.
    Text(&'static str),
}

impl Shape {
    /// What is allowed, for `--help` and for refusals.
    pub fn allowed(self) -> String {
        match self {
            Shape::Flag => "true or false".to_owned(),
            Shape::Whole { min, max, unit: "" } => format!("a whole number, {min} to {max}"),
            Shape::Whole { min, max, unit } => format!("whole {unit}, {min} to {max}"),
            Shape::OneOf(words) => {
                let shown: Vec<_> = words.iter().map(|word| quoted(word)).collect();
                format!("one of {}", shown.join(", "))
            }
            Shape::Text(what) => what.to_owned(),
        }
    }

    /// Whether a value fits, as far as its shape says.
    pub fn fits(self, value: &str) -> bool {
        match self {
            Shape::Flag => flag(value).is_some(),
            Shape::Whole { min, max, .. } => {
                value.parse::<u64>().is_ok_and(|number| (min..=max).contains(&number))
            }
            Shape::OneOf(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
            Shape::Text(_) => true,
        }
    }
}

fn quoted(word: &str) -> &str {
    if word.is_empty() { "\"\"" } else { word }
}

/// The words Spring takes for a boolean.
pub fn flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A key whose value has an effect.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    /// Older names and those of the published container images. The new name wins within one
    /// source.
    pub others: &'static [&'static str],
    pub shape: Shape,
    /// As it would be written in a file; empty is "not set".
    pub default: &'static str,
    pub help: &'static str,
}

/// A day: no timer of this server waits longer.
const DAY_MS: u64 = 86_400_000;

const fn ms(min: u64, max: u64) -> Shape {
    Shape::Whole { min, max, unit: "milliseconds" }
}

const fn count(min: u64, max: u64) -> Shape {
    Shape::Whole { min, max, unit: "" }
}

macro_rules! keys {
    ($(
        $id:ident = $name:literal, $others:expr, $shape:expr, $default:literal, $help:literal;
    )*) => {
        $(
            #[doc = $help]
            pub const $id: Key = Key {
                name: $name,
                others: &$others,
                shape: $shape,
                default: $default,
                help: $help,
            };
        )*
        /// All keys with an effect, in the order `--help` shows them.
        pub const USED: &[Key] = &[$($id),*];
    };
}

keys! {
    ADDRESS = "server.address", [],
        Shape::Text("IP addresses or host names of this machine, separated by commas"), "127.0.0.1",
        "Addresses to listen on. Beyond this machine clients must log in, unless told otherwise.";
    GRPC_ADDRESS = "nacos.remote.grpc.listen.ip", [],
        Shape::Text("IP addresses or host names of this machine, separated by commas"), "",
        "Addresses of the gRPC port, where they differ from server.address.";
    PORT = "nacos.server.main.port", ["server.port", "NACOS_APPLICATION_PORT"],
        Shape::Whole { min: 1, max: 64_535, unit: "" }, "8848",
        "The HTTP port. gRPC listens on this port + 1000.";
    CONSOLE_PORT = "nacos.console.port", [], count(1, 65_535), "8080",
        "The console's own port: /v3/console, /v3/auth. When absent 8080, if nobody has it.";
    CONSOLE_PATH = "nacos.console.contextPath", [], Shape::Text("a path, or / for none"), "/",
        "What every path on the console's port starts with.";
    CONTEXT_PATH = "nacos.server.contextPath", ["server.servlet.contextPath"],
        Shape::Text("a path such as /nacos, or / for none"), "/nacos",
        "What every HTTP path starts with.";
    DATA = "nacre.data", [],
        Shape::Text("a directory"), "./data",
        "Where everything is kept. Its conf/application.properties is read without --config.";
    CORES = "nacre.cores", [],
        Shape::Text("CPU numbers such as 0,1 or 0-3"), "",
        "CPUs to run on, one thread each. All this process may use when absent.";
    LOG = "nacre.log", ["RUST_LOG"],
        Shape::Text("levels such as info or warn,nacre=debug"), "",
        "What is logged. Warnings and one line at the start when absent.";
    LOG_FORMAT = "nacre.log.format", [], Shape::OneOf(&["text", "json"]), "text",
        "How log lines are written.";
    AUTH = "nacos.core.auth.enabled", ["NACOS_AUTH_ENABLE"], Shape::Flag, "",
        "Whether clients must log in. When absent: not on 127.0.0.1, and everywhere else.";
    AUTH_ADMIN = "nacos.core.auth.admin.enabled", ["NACOS_AUTH_ADMIN_ENABLE"], Shape::Flag, "",
        "Whether administrators must log in. When absent: where clients must.";
    AUTH_CONSOLE = "nacos.core.auth.console.enabled", ["NACOS_AUTH_CONSOLE_ENABLE"],
        Shape::Flag, "",
        "Whether the console's users must log in. When absent: where clients must.";
    AUTH_TYPE = "nacos.core.auth.system.type", ["NACOS_AUTH_SYSTEM_TYPE"],
        Shape::Text("nacos or ldap"), "nacos",
        "Who knows the users: this server alone, or an LDAP directory beside. Empty is nacos.";
    LDAP_URL = "nacos.core.auth.ldap.url", [],
        Shape::Text("ldap://host:port or ldaps://host:port"), "ldap://localhost:389",
        "Where the directory is. With ldaps over TLS: its certificate must be for this host.";
    LDAP_AUTHORITIES = "nacre.auth.ldap.ca-file", [],
        Shape::Text("a PEM file"), "",
        "Who may vouch for a directory over TLS. Whom this machine trusts when absent.";
    LDAP_BASE = "nacos.core.auth.ldap.basedc", [],
        Shape::Text("a distinguished name"), "dc=example,dc=org",
        "Below what its users are.";
    LDAP_READER = "nacos.core.auth.ldap.userDn", [],
        Shape::Text("a distinguished name"), "",
        "Who searches it. When absent nobody in particular.";
    LDAP_PASSWORD = "nacos.core.auth.ldap.password", [],
        Shape::Text("a password"), "",
        "The password of who searches.";
    LDAP_ATTRIBUTE = "nacos.core.auth.ldap.filter.prefix", [],
        Shape::Text("an attribute such as uid"), "uid",
        "The attribute that holds what users type.";
    LDAP_CASE = "nacos.core.auth.ldap.case.sensitive", [], Shape::Flag, "true",
        "Whether names of its users that differ in case are two users here.";
    LDAP_TIMEOUT = "nacos.core.auth.ldap.timeout", [], ms(1, 60_000), "3000",
        "How long each step of asking it may take.";
    TOKEN_KEY = "nacos.core.auth.plugin.nacos.token.secret.key",
        ["nacos.core.auth.default.token.secret.key", "NACOS_AUTH_TOKEN"],
        Shape::Text("Base64 of at least 32 bytes"), "",
        "What tokens are signed with. When absent a key is made at the first start and kept.";
    TOKEN_TTL = "nacos.core.auth.plugin.nacos.token.expire.seconds",
        ["nacos.core.auth.default.token.expire.seconds", "NACOS_AUTH_TOKEN_EXPIRE_SECONDS"],
        Shape::Whole { min: 1, max: 31_536_000, unit: "seconds" }, "18000",
        "How long a token counts.";
    TOKEN_CACHE = "nacos.core.auth.plugin.nacos.token.cache.enable",
        ["nacos.core.auth.default.token.cache.enable"], Shape::Flag, "false",
        "Whether logins of a user give the same token until a tenth of its life is left.";
    PARAM_CHECK = "nacos.core.param.check.enabled", [], Shape::Flag, "true",
        "Whether names, addresses and metadata of requests are checked.";
    MESSAGE_BYTES = "nacos.remote.server.grpc.sdk.max-inbound-message-size",
        ["nacos.remote.server.grpc.maxinbound.message.size"],
        Shape::Whole { min: 1_024, max: 67_108_864, unit: "bytes" }, "10485760",
        "The longest gRPC message a client may send.";
    KEEP_ALIVE_TIME = "nacos.remote.server.grpc.sdk.keep-alive-time", [],
        ms(1_000, DAY_MS), "7200000",
        "How long a gRPC connection may be quiet before it is pinged.";
    KEEP_ALIVE_TIMEOUT = "nacos.remote.server.grpc.sdk.keep-alive-timeout", [],
        ms(100, DAY_MS), "20000",
        "How long the answer to such a ping may take.";
    PERMIT_KEEP_ALIVE = "nacos.remote.server.grpc.sdk.permit-keep-alive-time", [],
        ms(0, DAY_MS), "300000",
        "The least time between pings of a client; more often is refused as too_many_pings.";
    CONNECTIONS = "nacre.connection.max", [], count(1, 16_777_216), "1000000",
        "gRPC connections of this node; over it a connection is closed and counted.";
    IDLE = "nacre.connection.idle-ms", [], ms(1_000, DAY_MS), "20000",
        "Silence of a client after which it is asked whether it is there.";
    DRAIN = "nacre.stop.drain-ms", [], ms(0, 600_000), "10000",
        "How long a stop waits for clients to leave.";
    METADATA_LENGTH = "nacos.naming.service.metadata.length", [], count(0, 1_048_576), "1024",
        "Characters in all keys and values of one metadata map.";
    PUSH_DELAY = "nacos.naming.push.pushTaskDelay", [], ms(0, 60_000), "",
        "Delay of every push, as in the reference. When absent the first change leaves at once.";
    PUSH_TIMEOUT = "nacos.naming.push.pushTaskTimeout", [], ms(100, 600_000), "5000",
        "How long a client's answer to a push may take.";
    PUSH_RETRY = "nacos.naming.push.pushTaskRetryDelay", [], ms(1, 600_000), "1000",
        "How long after a failed push the next attempt leaves.";
    EMPTY_INTERVAL = "nacos.naming.clean.empty-service.interval", [], ms(100, DAY_MS), "60000",
        "How often services without instances are looked for.";
    EMPTY_EXPIRED = "nacos.naming.clean.empty-service.expired-time", [], ms(0, DAY_MS), "60000",
        "How long a service without instances stays in lists.";
    METADATA_INTERVAL = "nacos.naming.clean.expired-metadata.interval", [], ms(1, DAY_MS), "5000",
        "How often changes of instances that nobody registers are looked for.";
    METADATA_EXPIRED = "nacos.naming.clean.expired-metadata.expired-time", [], ms(0, DAY_MS),
        "60000", "How long settings of services and changes of instances are kept unused.";
    EXPIRE_INSTANCE = "nacos.naming.expireInstance", [], Shape::Flag, "true",
        "Whether an instance without beats is removed after its own time.";
    CLIENT_EXPIRED = "nacos.naming.client.expired.time", [], ms(1_000, DAY_MS), "180000",
        "Silence after which a client that lives by beats is gone, whatever its metadata says.";
    PROBE_TARGETS = "nacre.health.allow-targets", [],
        Shape::Text("networks like 127.0.0.0/8, separated by commas"), "",
        "Loopback addresses health checks may ask; all if the server itself listens on one.";
    OPEN_CLIENT = "nacos.core.api.compatibility.client.enabled", [], Shape::Flag, "true",
        "Whether the HTTP API of 1.x and 2.x answers clients; 410 Gone if not.";
    OPEN_ADMIN = "nacos.core.api.compatibility.admin.enabled", [], Shape::Flag, "true",
        "The same for what administrators used in 1.x and 2.x; 3.x has it off.";
    OPEN_CONSOLE = "nacos.core.api.compatibility.console.enabled", [], Shape::Flag, "true",
        "The same for what the console used in 1.x and 2.x; 3.x has it off.";
    DISCOVERY = "nacos.prometheus.metrics.enabled", [], Shape::Flag, "true",
        "Whether Prometheus may discover instances below /prometheus.";
    TRUSTED_PROXIES = "nacre.http.trusted-proxies", [],
        Shape::Text("IP addresses, separated by commas"), "",
        "Whose X-Forwarded-For is believed. Nobody's when absent.";
    HTTP_CONNECTIONS = "nacre.http.connection.max", [], count(16, 1_048_576), "16384",
        "HTTP connections of each core; over it a connection is closed and counted.";
    FUZZY_PATTERNS = "nacos.naming.fuzzy.watch.max.pattern.count", [], count(1, 100_000), "20",
        "Fuzzy watch patterns in use at once.";
    FUZZY_MATCHES = "nacos.naming.fuzzy.watch.max.pattern.match.service.count", [],
        count(1, 1_000_000), "500",
        "Services one fuzzy watch pattern may match.";
    CONTENT = "maxContent", [], count(1, 10_485_760), "10485760",
        "Characters of one config's content.";
    CAPACITY_CHECK = "isCapacityLimitCheck", [], Shape::Flag, "false",
        "Whether the quotas of configs are enforced.";
    CLUSTER_QUOTA = "defaultClusterQuota", [], count(0, u32::MAX as u64), "100000",
        "Configs of the whole cluster, where quotas are enforced.";
    NAMESPACE_QUOTA = "defaultTenantQuota", [], count(0, u32::MAX as u64), "200",
        "Configs of a namespace without a quota of its own, where quotas are enforced.";
    CONTENT_QUOTA = "defaultMaxSize", [], count(0, u32::MAX as u64), "102400",
        "Bytes of one config's content, where quotas are enforced.";
    GRAYS = "nacos.config.gray.version.max.count", [], count(0, 1_000), "10",
        "Gray variants (beta, tags) of one config.";
    RETENTION = "nacos.config.retention.days", [], count(1, 36_500), "30",
        "Days after which the history of configs is dropped.";
    HISTORY_ENTRIES = "nacre.config.history.max-entries", [], count(1, 1_000_000), "1000",
        "Entries of history of one config; the oldest are dropped.";
    HISTORY_BYTES = "nacre.config.history.max-bytes", [],
        Shape::Whole { min: 1_048_576, max: 1 << 40, unit: "bytes" }, "1073741824",
        "History of all configs; the oldest is dropped.";
    CONFIG_PUSH_TRIES = "nacos.config.push.maxRetryTime", [], count(0, 255), "50",
        "How often a notification that is not acknowledged is repeated; then the client is closed.";
    CONFIG_PUSH_TIMEOUT = "nacos.config.push.timeout", [], ms(100, 600_000), "3000",
        "How long a client's answer to a notification may take.";
    CONFIG_BATCH = "nacos.config.push.batchSize", [], count(1, 10_000), "20",
        "Configs in one message of a fuzzy watch's first synchronisation.";
    CONFIG_PATTERNS = "nacos.config.fuzzy.watch.max.pattern.count", [], count(1, 100_000), "20",
        "Fuzzy watch patterns of configs in use at once, on each core.";
    CONFIG_MATCHES = "nacos.config.fuzzy.watch.max.pattern.match.config.count", [],
        count(1, 1_000_000), "500",
        "Configs one fuzzy watch pattern may match.";
    STORE_RESERVE = "nacre.store.reserve-bytes", [],
        Shape::Whole { min: 0, max: 1 << 50, unit: "bytes" }, "67108864",
        "Free space of the data directory's file system below which writes are refused.";
    DATASOURCE = "spring.sql.init.platform", [], Shape::Text("empty, derby or embedded"), "",
        "Where the reference keeps its data. An external store is refused: not built yet.";
    DATASOURCE_OLD = "spring.datasource.platform", [], Shape::Text("empty, derby or embedded"), "",
        "The old name of spring.sql.init.platform.";
    TLS = "nacos.remote.server.rpc.tls.enableTls", [], Shape::Flag, "",
        "TLS of the gRPC port. true is refused: not built yet.";
    STANDALONE = "nacos.standalone", [], Shape::Flag, "",
        "true: run alone, whatever member lists say, as in the reference.";
    MEMBERS = "nacos.member.list", ["MEMBER_LIST", "NACOS_SERVERS"],
        Shape::Text("one ip:port"), "",
        "Members of the cluster. More than one is refused: not built yet.";
    LOOKUP = "nacos.core.member.lookup.type", [], Shape::Text("file"), "",
        "Where members are read from. address-server is refused: not built yet.";
    FUNCTION_MODE = "nacos.functionMode", ["FUNCTION_MODE"],
        Shape::OneOf(&["", "all", "naming", "config"]), "",
        "Which modules run. config alone is refused: not built yet.";
    DEPLOYMENT = "nacos.deployment.type", [],
        Shape::OneOf(&["", "merged", "server", "console"]), "",
        "Which listeners run; server: no console's port. console alone is refused: not built yet.";
}

/// Keys of the reference that this build understands and does not need yet, with the shape a value
/// will have to have. A value that does not fit is told, not refused.
pub const TOLERATED: &[(&str, Shape)] = &[
    ("nacos.home", Shape::Text("a directory")),
    ("nacos.server.ip", Shape::Text("an IP address")),
    ("nacos.inetutils.ip-address", Shape::Text("an IP address")),
    ("nacos.inetutils.prefer-hostname-over-ip", Shape::Flag),
    ("nacos.preferHostnameOverIp", Shape::Flag),
    ("nacos.inetutils.preferred-networks", Shape::Text("networks")),
    ("nacos.inetutils.ignored-interfaces", Shape::Text("interfaces")),
    ("nacos.inetutils.use-only-site-local-interfaces", Shape::Flag),
    ("nacos.core.inet.auto-refresh", ms(0, DAY_MS)),
    ("nacos.core.snowflake.worker-id", Shape::Text("a number")),
    ("nacos.core.sys.basic.processors", count(1, 65_536)),
    ("nacos.server.grpc.port.offset", Shape::OneOf(&["1000"])),
    ("nacos.console.ui.enabled", Shape::Flag),
    ("nacos.console.remote.server.context-path", Shape::Text("a path")),
    ("nacos.security.ignore.urls", Shape::Text("paths")),
    ("nacos.web.charset.filter", Shape::Text("a character set")),
    ("nacos.core.address-server.retry", count(0, 1_000)),
    ("nacos.core.member.fail-access-cnt", count(1, 1_000)),
    ("address.server.domain", Shape::Text("a host name")),
    ("address.server.port", count(1, 65_535)),
    ("address.server.url", Shape::Text("a path")),
    ("nacos.core.namespace.validation.enabled", Shape::Flag),
    ("nacos.core.remote.connection.generator", Shape::Text("a name")),
    ("nacos.remote.cluster.server.rpc.protocol.negotiator.type", Shape::Text("a name")),
    ("notifyConnectTimeout", ms(0, DAY_MS)),
    ("notifySocketTimeout", ms(0, DAY_MS)),
    ("isHealthCheck", Shape::Flag),
    ("maxHealthCheckFailCount", count(0, 1_000_000)),
    ("isManageCapacity", Shape::Flag),
    ("defaultGroupQuota", count(0, u64::MAX)),
    ("defaultMaxAggrCount", count(0, u64::MAX)),
    ("defaultMaxAggrSize", count(0, u64::MAX)),
    ("correctUsageDelay", count(0, u64::MAX)),
    ("initialExpansionPercent", count(0, 10_000)),
    ("dumpChangeOn", Shape::Flag),
    ("dumpChangeWorkerInterval", ms(0, DAY_MS)),
    ("embeddedStorage", Shape::Text("true or embedded")),
    ("nacos.naming.data.warmup", Shape::Flag),
    ("nacos.naming.distro.taskDispatchPeriod", ms(0, DAY_MS)),
    ("nacos.naming.distro.batchSyncKeyCount", count(0, 1_000_000)),
    ("nacos.custom.environment.enabled", Shape::Flag),
    ("nacos.extension.ai.enabled", Shape::Flag),
    ("nacos.extension.naming.istio.enabled", Shape::Flag),
    ("nacos.gray.migrate.executor.multi", count(1, 1_000)),
    ("nacos.namespace.migrate.batch.size", count(1, 1_000_000)),
    ("nacos.log", Shape::Text("a directory")),
];

/// Whole families of the reference's keys that belong to modules this build lacks.
pub const TOLERATED_FAMILIES: &[&str] = &[
    "db.",
    "logging.",
    "management.",
    "nacos.ai.",
    "nacos.cmdb.",
    "nacos.config.",
    "nacos.core.auth.",
    "nacos.core.config.plugin.",
    "nacos.core.member.meta.",
    "nacos.core.monitor.",
    "nacos.core.param.check.",
    "nacos.core.protocol.distro.",
    "nacos.core.protocol.raft.",
    "nacos.istio.",
    "nacos.k8s.",
    "nacos.lock.",
    "nacos.mcp.",
    "nacos.metric.",
    "nacos.naming.empty-service.",
    "nacos.persistence.",
    "nacos.plugin.",
    "nacos.remote.peer.",
    "nacos.remote.server.grpc.cluster.",
    "nacos.remote.server.rpc.",
    "server.compression.",
    "server.error.",
    "server.tomcat.",
    "spring.",
];

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It has an effect. `rank` 0 is the key's own name, older names follow.
    Used { key: &'static Key, rank: usize },
    /// A key of the reference without an effect here, with its shape where one is told.
    Tolerated(Option<Shape>),
    /// Nobody knows it.
    Unknown,
}

/// A template that only older versions read. Its name differs from that of who searches in case
/// alone, and stands behind it in the file they ship.
const LDAP_TEMPLATE: &str = "nacos.core.auth.ldap.userdn";

/// Looks a name up as Spring relaxes it: case, dots, dashes and underscores do not count, so
/// `NACOS_SERVER_MAIN_PORT` and `nacos.server.main-port` are `nacos.server.main.port`.
pub fn known(name: &str) -> Known {
    if name == LDAP_TEMPLATE {
        return Known::Tolerated(None);
    }
    let is = |known: &&str| relax(known).eq(relax(name));
    for key in USED {
        let mut names = std::iter::once(&key.name).chain(key.others);
        if let Some(rank) = names.position(is) {
            return Known::Used { key, rank };
        }
    }
    if let Some((_, shape)) = TOLERATED.iter().find(|(known, _)| is(known)) {
        return Known::Tolerated(Some(*shape));
    }
    let lower = name.to_ascii_lowercase();
    if TOLERATED_FAMILIES.iter().any(|family| lower.starts_with(family)) {
        return Known::Tolerated(None);
    }
    Known::Unknown
}

/// The characters by which names are compared.
fn relax(name: &str) -> impl Iterator<Item = char> {
    name.chars()
        .filter(|character| !matches!(character, '.' | '-' | '_'))
        .map(|character| character.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_keys_share_a_relaxed_name() {
        let mut seen = HashSet::new();
        let used = USED.iter().flat_map(|key| std::iter::once(&key.name).chain(key.others));
        for name in used.chain(TOLERATED.iter().map(|(name, _)| name)) {
            assert!(seen.insert(relax(name).collect::<String>()), "{name} is there twice");
        }
    }

    #[test]
    fn defaults_fit_their_own_shape() {
        for key in USED {
            let unset = key.default.is_empty();
            assert!(unset || key.shape.fits(key.default), "{}", key.name);
            assert!(key.help.ends_with('.'), "{}", key.name);
        }
    }

    #[test]
    fn relaxed_names() {
        for name in [
            "nacos.server.main.port",
            "NACOS_SERVER_MAIN_PORT",
            "nacos.server.main-port",
            "server.port",
            "SERVER_PORT",
            "NACOS_APPLICATION_PORT",
        ] {
            assert!(
                matches!(known(name), Known::Used { key, .. } if key.name == PORT.name),
                "{name}"
            );
        }
        for name in
            ["NACOS_REMOTE_SERVER_RPC_TLS_ENABLETLS", "nacos.remote.server.rpc.tls.enable-tls"]
        {
            assert!(
                matches!(known(name), Known::Used { key, .. } if key.name == TLS.name),
                "{name}"
            );
        }
        assert!(matches!(known("notifyConnectTimeout"), Known::Tolerated(Some(_))));
        assert!(matches!(known(LDAP_TEMPLATE), Known::Tolerated(None)));
        assert!(matches!(known("nacos.core.auth.ldap.userDn"), Known::Used { .. }));
        assert!(matches!(known("nacos.istio.mcp.server.port"), Known::Tolerated(None)));
        for name in ["nacos.server.main.prot", "nacre.port", "PATH", ""] {
            assert_eq!(known(name), Known::Unknown, "{name}");
        }
    }

    #[test]
    fn shapes() {
        let whole = Shape::Whole { min: 1, max: 10, unit: "bytes" };
        for (shape, value, fits) in [
            (whole, "1", true),
            (whole, "10", true),
            (whole, "0", false),
            (whole, "11", false),
            (whole, "-1", false),
            (whole, "1.5", false),
            (whole, "99999999999999999999", false),
            (whole, "", false),
            (Shape::Flag, "true", true),
            (Shape::Flag, "FALSE", true),
            (Shape::Flag, "maybe", false),
            (Shape::OneOf(&["text", "json"]), "JSON", true),
            (Shape::OneOf(&["text", "json"]), "xml", false),
        ] {
            assert_eq!(shape.fits(value), fits, "{shape:?} {value}");
        }
    }
}
