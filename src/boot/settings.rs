//! All settings of a node, typed and judged. A value that cannot work stops the start here, in
//! words.

use crate::boot::keys::{self, Key, Shape};
use crate::boot::source::{Layers, Origin, Refusal};
use nacre_shards::health::policy::Network;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

mod auth;
mod refuse;

pub use auth::{AuthSettings, key_of_file};

/// From the HTTP port to the gRPC port; clients compute it themselves (`http-api.md` 1.1).
pub const GRPC_PORT_OFFSET: u16 = 1_000;

/// Cores of one node. Lanes between cores grow with the square: 128 cores already cost 128 MiB.
pub const CORES_MAX: usize = 128;

/// Addresses one node listens on: each costs a listener on every core.
pub const ADDRESSES_MAX: usize = 16;

/// What the operator and the machine say; see [`Settings::read`].
#[derive(Debug, Default)]
pub struct Sources {
    /// Key, value and how it was typed.
    pub flags: Vec<(String, String, String)>,
    /// Names and values of the environment.
    pub environment: Vec<(String, String)>,
    /// The properties file and its bytes.
    pub file: Option<(PathBuf, Vec<u8>)>,
    /// `cluster.conf` files that lie where the reference would read them.
    pub member_files: Vec<(PathBuf, String)>,
    /// CPUs this process may run on.
    pub cpus: Vec<u16>,
}

/// How one node runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where HTTP listens.
    pub http: Vec<SocketAddr>,
    /// Where gRPC listens.
    pub grpc: Vec<SocketAddr>,
    /// What HTTP paths start with: empty, or with a slash before and none behind.
    pub context_path: String,
    pub data: PathBuf,
    /// The properties file that was read.
    pub file: Option<PathBuf>,
    /// CPUs, one core each, in ascending order; never empty.
    pub cores: Vec<u16>,
    pub log: LogSettings,
    pub transport: TransportSettings,
    pub naming: NamingSettings,
    pub open: OpenSettings,
    /// The console's own port; `None`: no such listener.
    pub console: Option<ConsoleSettings>,
    pub auth: AuthSettings,
    pub config: ConfigSettings,
    /// How long a stop waits for clients to leave.
    pub drain_ms: u32,
    /// Sentences for the log, each a warning.
    pub warnings: Vec<String>,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// `tracing_subscriber::EnvFilter` directives; `None` is the quiet default.
    pub filter: Option<String>,
    pub json: bool,
}

/// The gRPC port and its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportSettings {
    pub message_bytes_max: usize,
    pub keep_alive_time_ms: u32,
    pub keep_alive_timeout_ms: u32,
    pub permit_keep_alive_ms: u32,
    /// Of the whole node.
    pub connections_max: u32,
    /// Silence after which a client is asked whether it is there.
    pub idle_ms: u32,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSettings {
    /// Compatibility switches of older versions.
    pub client: bool,
    pub admin: bool,
    pub console: bool,
    /// Whether Prometheus may discover instances.
    pub discovery: bool,
    /// Whose forwarded addresses are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Of each core.
    pub connections_max: u32,
}

/// The console's own port, on the hosts of the HTTP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleSettings {
    pub addresses: Vec<SocketAddr>,
    /// An operator asked for it: taken, it stops the start instead of being left out.
    pub is_asked: bool,
    /// As [`Settings::context_path`].
    pub context_path: String,
}

/// Rules of the naming module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamingSettings {
    pub param_check: bool,
    pub metadata_chars_max: u32,
    /// `Some` only when the operator set it: then the first push waits too, as in the reference.
    pub push_delay_ms: Option<u32>,
    pub push_timeout_ms: u32,
    pub push_retry_ms: u32,
    pub empty_interval_ms: u32,
    pub empty_expired_ms: u32,
    pub metadata_interval_ms: u32,
    pub metadata_expired_ms: u32,
    pub fuzzy_patterns_max: u32,
    pub fuzzy_matches_max: u32,
    pub expire_instance: bool,
    pub client_expired_ms: u32,
    /// Loopback addresses health checks may ask though the server does not listen there.
    pub probe_targets: Vec<Network>,
}

/// Rules of the config module, and of its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSettings {
    pub content_chars_max: usize,
    /// Configs of the cluster, of a namespace, and bytes of a content; `None`: not enforced.
    pub quotas: Option<[u32; 3]>,
    pub grays_max: u32,
    pub retention_days: u32,
    pub history_entries_max: u32,
    pub history_bytes_max: u64,
    pub push_tries_max: u8,
    pub push_timeout_ms: u32,
    pub fuzzy_batch: usize,
    pub fuzzy_patterns_max: usize,
    pub fuzzy_matches_max: usize,
    /// Free space below which writes are refused.
    pub reserve_bytes: u64,
}

impl Settings {
    /// Judges everything at once, so that an operator mends all in one go.
    ///
    /// # Errors
    /// Every value that cannot work.
    pub fn read(sources: &Sources) -> Result<Settings, Vec<Refusal>> {
        let mut layers = Layers::default();
        if let Some((path, bytes)) = &sources.file {
            layers.add_file(path, bytes).map_err(|bad| vec![bad_file(path, &bad.to_string())])?;
        }
        layers.add_environment(&sources.environment);
        for (name, value, text) in &sources.flags {
            layers.add_flag(name, value, text);
        }
        let mut reader = Reader { layers: &layers, refusals: Vec::new() };
        let mut settings = reader.settings(sources);
        settings.auth = auth::read(&mut reader, &settings);
        settings.warnings.extend(auth::warning(&settings));
        refuse::what_is_not_built(&mut reader, sources);
        if reader.refusals.is_empty() { Ok(settings) } else { Err(reader.refusals) }
    }

    /// Where the data directory is, known before the file that may lie in it is read.
    ///
    /// # Errors
    /// A placeholder in the value cannot be resolved.
    pub fn data_directory(sources: &Sources) -> Result<PathBuf, Vec<Refusal>> {
        let mut layers = Layers::default();
        layers.add_environment(&sources.environment);
        for (name, value, text) in &sources.flags {
            layers.add_flag(name, value, text);
        }
        let value = layers.value(&keys::DATA).map_err(|refusal| vec![refusal])?;
        Ok(value.map_or(keys::DATA.default.to_owned(), |(value, _)| value).into())
    }
}

/// A file that is not in its format.
pub fn bad_file(path: &Path, why: &str) -> Refusal {
    Refusal {
        key: "--config".to_owned(),
        value: path.display().to_string(),
        origin: Origin::File { path: path.to_owned(), line: 0 },
        why: why.to_owned(),
    }
}

/// Reads typed values and collects what is wrong with them.
struct Reader<'a> {
    layers: &'a Layers,
    refusals: Vec<Refusal>,
}

impl Reader<'_> {
    fn settings(&mut self, sources: &Sources) -> Settings {
        let port = self.whole(&keys::PORT) as u16;
        let http = self.addresses(&keys::ADDRESS, port).unwrap_or_default();
        let grpc_port = port.saturating_add(GRPC_PORT_OFFSET);
        let own = self.addresses(&keys::GRPC_ADDRESS, grpc_port);
        let as_http = || http.iter().map(|at| SocketAddr::new(at.ip(), grpc_port)).collect();
        Settings {
            grpc: own.unwrap_or_else(as_http),
            console: self.console(&http, [port, grpc_port]),
            http,
            context_path: self.context_path(&keys::CONTEXT_PATH),
            data: self.text(&keys::DATA).0.into(),
            file: sources.file.as_ref().map(|(path, _)| path.clone()),
            cores: self.cores(&sources.cpus),
            log: LogSettings {
                filter: self.log_filter(),
                json: self.text(&keys::LOG_FORMAT).0.eq_ignore_ascii_case("json"),
            },
            transport: self.transport(),
            naming: self.naming(),
            open: self.open(),
            auth: AuthSettings::default(),
            config: self.config(),
            drain_ms: self.whole(&keys::DRAIN) as u32,
            warnings: self.warnings(),
        }
    }

    fn transport(&mut self) -> TransportSettings {
        TransportSettings {
            message_bytes_max: self.whole(&keys::MESSAGE_BYTES) as usize,
            keep_alive_time_ms: self.whole(&keys::KEEP_ALIVE_TIME) as u32,
            keep_alive_timeout_ms: self.whole(&keys::KEEP_ALIVE_TIMEOUT) as u32,
            permit_keep_alive_ms: self.whole(&keys::PERMIT_KEEP_ALIVE) as u32,
            connections_max: self.whole(&keys::CONNECTIONS) as u32,
            idle_ms: self.whole(&keys::IDLE) as u32,
        }
    }

    fn naming(&mut self) -> NamingSettings {
        let delay_is_set = self.given(&keys::PUSH_DELAY).is_some();
        NamingSettings {
            param_check: self.flag(&keys::PARAM_CHECK),
            metadata_chars_max: self.whole(&keys::METADATA_LENGTH) as u32,
            push_delay_ms: delay_is_set.then(|| self.whole(&keys::PUSH_DELAY) as u32),
            push_timeout_ms: self.whole(&keys::PUSH_TIMEOUT) as u32,
            push_retry_ms: self.whole(&keys::PUSH_RETRY) as u32,
            empty_interval_ms: self.whole(&keys::EMPTY_INTERVAL) as u32,
            empty_expired_ms: self.whole(&keys::EMPTY_EXPIRED) as u32,
            metadata_interval_ms: self.whole(&keys::METADATA_INTERVAL) as u32,
            metadata_expired_ms: self.whole(&keys::METADATA_EXPIRED) as u32,
            fuzzy_patterns_max: self.whole(&keys::FUZZY_PATTERNS) as u32,
            fuzzy_matches_max: self.whole(&keys::FUZZY_MATCHES) as u32,
            expire_instance: self.flag(&keys::EXPIRE_INSTANCE),
            client_expired_ms: self.whole(&keys::CLIENT_EXPIRED) as u32,
            probe_targets: self.probe_targets(),
        }
    }

    fn open(&mut self) -> OpenSettings {
        OpenSettings {
            client: self.flag(&keys::OPEN_CLIENT),
            admin: self.flag(&keys::OPEN_ADMIN),
            console: self.flag(&keys::OPEN_CONSOLE),
            discovery: self.flag(&keys::DISCOVERY),
            trusted_proxies: self.proxies(),
            connections_max: self.whole(&keys::HTTP_CONNECTIONS) as u32,
        }
    }

    fn proxies(&mut self) -> Vec<IpAddr> {
        let (value, origin) = self.text(&keys::TRUSTED_PROXIES);
        let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
        match parts.map(|part| part.parse().map(|ip: IpAddr| ip.to_canonical())).collect() {
            Ok(proxies) => proxies,
            Err(error) => {
                let error: std::net::AddrParseError = error;
                let why = format!("{error}; allowed: {}", keys::TRUSTED_PROXIES.shape.allowed());
                self.refuse(&keys::TRUSTED_PROXIES, &value, origin, why);
                Vec::new()
            }
        }
    }

    fn probe_targets(&mut self) -> Vec<Network> {
        let (value, origin) = self.text(&keys::PROBE_TARGETS);
        let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
        match parts.map(|part| Network::parse(part).ok_or(part)).collect() {
            Ok(targets) => targets,
            Err(part) => {
                let allowed = keys::PROBE_TARGETS.shape.allowed();
                let why = format!("'{part}' is no network; allowed: {allowed}");
                self.refuse(&keys::PROBE_TARGETS, &value, origin, why);
                Vec::new()
            }
        }
    }

    fn config(&mut self) -> ConfigSettings {
        let quotas = [&keys::CLUSTER_QUOTA, &keys::NAMESPACE_QUOTA, &keys::CONTENT_QUOTA];
        let quotas = quotas.map(|key| self.whole(key) as u32);
        ConfigSettings {
            content_chars_max: self.whole(&keys::CONTENT) as usize,
            quotas: self.flag(&keys::CAPACITY_CHECK).then_some(quotas),
            grays_max: self.whole(&keys::GRAYS) as u32,
            retention_days: self.whole(&keys::RETENTION) as u32,
            history_entries_max: self.whole(&keys::HISTORY_ENTRIES) as u32,
            history_bytes_max: self.whole(&keys::HISTORY_BYTES),
            push_tries_max: self.whole(&keys::CONFIG_PUSH_TRIES) as u8,
            push_timeout_ms: self.whole(&keys::CONFIG_PUSH_TIMEOUT) as u32,
            fuzzy_batch: self.whole(&keys::CONFIG_BATCH) as usize,
            fuzzy_patterns_max: self.whole(&keys::CONFIG_PATTERNS) as usize,
            fuzzy_matches_max: self.whole(&keys::CONFIG_MATCHES) as usize,
            reserve_bytes: self.whole(&keys::STORE_RESERVE),
        }
    }

    /// What the operator gave for a key, if it fits. What does not fit is refused once, here.
    fn given(&mut self, key: &Key) -> Option<(String, Origin)> {
        match self.layers.value(key) {
            Ok(Some((value, origin))) if key.shape.fits(&value) => Some((value, origin)),
            Ok(Some((value, origin))) => {
                let why = format!("allowed: {}", key.shape.allowed());
                self.refuse(key, &value, origin, why);
                None
            }
            Ok(None) => None,
            Err(refusal) => {
                self.push(refusal);
                None
            }
        }
    }

    fn text(&mut self, key: &Key) -> (String, Origin) {
        self.given(key).unwrap_or_else(|| (key.default.to_owned(), Origin::Default))
    }

    fn whole(&mut self, key: &Key) -> u64 {
        // A default that is empty stands for "not set" and is asked for only when it is set.
        self.text(key).0.parse().unwrap_or_default()
    }

    fn flag(&mut self, key: &Key) -> bool {
        keys::flag(&self.text(key).0).unwrap_or_default()
    }

    fn refuse(&mut self, key: &Key, value: &str, origin: Origin, why: String) {
        self.push(Refusal { key: key.name.to_owned(), value: value.to_owned(), origin, why });
    }

    fn push(&mut self, refusal: Refusal) {
        if !self.refusals.contains(&refusal) {
            self.refusals.push(refusal);
        }
    }

    /// `None` when neither the operator nor the key's default says anything.
    fn addresses(&mut self, key: &Key, port: u16) -> Option<Vec<SocketAddr>> {
        let (value, origin) = self.text(key);
        if value.is_empty() {
            return None;
        }
        let mut found = Vec::new();
        for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let before = found.len();
            for ip in resolve(part) {
                let address = SocketAddr::new(ip, port);
                if !found.contains(&address) {
                    found.push(address);
                }
            }
            if found.len() == before && resolve(part).is_empty() {
                let why = format!("{part} is neither an IP address nor a name that resolves");
                self.refuse(key, &value, origin.clone(), why);
            }
        }
        if found.len() > ADDRESSES_MAX {
            let why = format!("{} addresses; allowed: at most {ADDRESSES_MAX}", found.len());
            self.refuse(key, &value, origin, why);
        }
        Some(found)
    }

    /// On the hosts of the HTTP port. On that port itself its paths answer anyway.
    fn console(&mut self, http: &[SocketAddr], others: [u16; 2]) -> Option<ConsoleSettings> {
        let given = self.given(&keys::CONSOLE_PORT);
        let context_path = self.context_path(&keys::CONSOLE_PATH);
        let deployment = self.text(&keys::DEPLOYMENT).0;
        let port = self.whole(&keys::CONSOLE_PORT) as u16;
        if let Some((value, origin)) = &given
            && port == others[1]
        {
            let why = "clients reach gRPC there; allowed: any other port".to_owned();
            self.refuse(&keys::CONSOLE_PORT, value, origin.clone(), why);
        }
        if others.contains(&port) || deployment.eq_ignore_ascii_case("server") {
            return None;
        }
        let addresses = http.iter().map(|at| SocketAddr::new(at.ip(), port)).collect();
        Some(ConsoleSettings { addresses, is_asked: given.is_some(), context_path })
    }

    fn context_path(&mut self, key: &Key) -> String {
        let (value, origin) = self.text(key);
        let path = value.trim_matches('/');
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if !path.bytes().all(fine) || path.split('/').any(|part| part == "..") {
            let why = "allowed: letters, digits, '-', '.', '_', '~' and '/'".to_owned();
            self.refuse(key, &value, origin, why);
            return String::new();
        }
        if path.is_empty() { String::new() } else { format!("/{path}") }
    }

    fn cores(&mut self, cpus: &[u16]) -> Vec<u16> {
        let Some((value, origin)) = self.given(&keys::CORES) else {
            return cpus.iter().copied().take(CORES_MAX).collect();
        };
        match cpu_list(&value) {
            Some(list) if list.iter().all(|cpu| cpus.contains(cpu)) => list,
            Some(_) => {
                let why = format!("this process may run on CPUs {}", shown(cpus));
                self.refuse(&keys::CORES, &value, origin, why);
                Vec::new()
            }
            None => {
                let Shape::Text(allowed) = keys::CORES.shape else { return Vec::new() };
                let why = format!("allowed: {allowed}, at most {CORES_MAX}, each once");
                self.refuse(&keys::CORES, &value, origin, why);
                Vec::new()
            }
        }
    }

    fn log_filter(&mut self) -> Option<String> {
        let (value, origin) = self.given(&keys::LOG)?;
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&value) {
            let why = format!("{error}; allowed: levels such as info or warn,nacre=debug");
            self.refuse(&keys::LOG, &value, origin, why);
        }
        Some(value)
    }

    fn warnings(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.layers.unknown.is_empty() {
            let names: Vec<_> = self.layers.unknown.iter().map(String::as_str).collect();
            warnings.push(format!("keys nobody knows, without effect: {}", names.join(", ")));
        }
        if !self.layers.doubtful.is_empty() {
            let names: Vec<_> = self.layers.doubtful.iter().map(String::as_str).collect();
            let start = "not needed yet, but these values will not do once they are:";
            warnings.push(format!("{start} {}", names.join(", ")));
        }
        warnings
    }
}

/// IP addresses as they are; names through the system's resolver, at the start only.
fn resolve(name: &str) -> Vec<IpAddr> {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if let Ok(ip) = bare.parse() {
        return vec![ip];
    }
    (name, 0).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect()).unwrap_or_default()
}

/// `0,1`, `0-3`, `0,2-3`: ascending, each once, at most [`CORES_MAX`].
fn cpu_list(text: &str) -> Option<Vec<u16>> {
    let mut list: Vec<u16> = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if last < first || usize::from(last - first) >= CORES_MAX {
            return None;
        }
        list.extend(first..=last);
        if list.len() > CORES_MAX {
            return None;
        }
    }
    list.sort_unstable();
    let count = list.len();
    list.dedup();
    (list.len() == count).then_some(list)
}

fn shown(cpus: &[u16]) -> String {
    cpus.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
