//! Switches: what an operator changes while the cluster runs (`ops.md` 8, `naming.md` 13).
//!
//! What was set is kept as it was said, entry by entry, so that a default of a later version
//! reaches whoever never touched it. [`Shared`] is read by every core without a hop; a change "for this node
//! only" lies over the replicated ones until the node ends or the entry is set for all.

use arc_swap::{ArcSwap, Guard};
use nacre_proto::health::HealthParams;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes of one value; a list of some hundred limited paths fits. Longer: refused.
pub const SWITCH_VALUE_BYTES_MAX: usize = 16_384;

/// Names the reference knows whose value leads to nothing there either.
const WITHOUT_EFFECT: [&str; 2] = ["batch", "doubleWriteEnabled"];

/// Clients a `pushVersion` is kept for, as entries call them.
pub const PUSH_CLIENTS: [&str; 5] = ["go", "java", "python", "c", "csharp"];

/// States an operator may pretend.
pub const STATUSES: [&str; 6] = ["UP", "DOWN", "STARTING", "PAUSED", "WRITE_ONLY", "READ_ONLY"];

/// How often one kind of check is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Milliseconds between two checks of an instance, at most and at least.
    pub max_ms: u32,
    pub min_ms: u32,
    /// How much of the last interval stays in the next, 0 to 1.
    pub factor: f64,
}

/// Starts of URLs, each with a status.
pub type Limited = Box<[(Box<str>, u16)]>;

/// All switches as they are now. Names and units are the reference's.
#[derive(Debug, Clone, PartialEq)]
pub struct Switches {
    pub distro_threshold: f32,
    /// What clients that beat are told to wait, ms, unless their metadata says.
    pub client_beat_interval_ms: i64,
    /// In the order of [`PUSH_CLIENTS`].
    pub push_versions: [Box<str>; PUSH_CLIENTS.len()],
    /// `cacheMillis` of lists; `None`: as the node's settings say.
    pub push_cache_ms: Option<i64>,
    pub default_cache_ms: i64,
    pub masters: Option<Box<str>>,
    pub distro_enabled: bool,
    pub health_check_enabled: bool,
    pub push_enabled: bool,
    pub service_status_period_ms: i64,
    pub server_status_period_ms: i64,
    /// Equal results in a row after which an instance changes.
    pub check_times: u16,
    pub disable_add_ip: bool,
    pub send_beat_only: bool,
    pub enable_standalone: bool,
    /// Starts of paths with their queries, and what they are answered with.
    pub limited_urls: Limited,
    pub http: Pace,
    pub tcp: Pace,
    pub mysql: Pace,
    /// One of [`STATUSES`].
    pub overridden_status: Option<&'static str>,
    pub default_instance_ephemeral: bool,
    pub distro_server_expired_ms: i64,
    pub light_beat_enabled: bool,
    pub auto_change_health_check_enabled: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            distro_threshold: 0.7,
            client_beat_interval_ms: 5_000,
            push_versions: ["0.1.0", "0.1.0", "0.4.3", "1.0.12", "0.9.0"].map(Into::into),
            push_cache_ms: None,
            default_cache_ms: 3_000,
            masters: None,
            distro_enabled: true,
            health_check_enabled: true,
            push_enabled: true,
            service_status_period_ms: 5_000,
            server_status_period_ms: 2_000,
            check_times: 3,
            disable_add_ip: false,
            send_beat_only: false,
            enable_standalone: true,
            limited_urls: Box::default(),
            http: Pace { max_ms: 5_000, min_ms: 500, factor: 0.85 },
            tcp: Pace { max_ms: 5_000, min_ms: 1_000, factor: 0.75 },
            mysql: Pace { max_ms: 3_000, min_ms: 2_000, factor: 0.65 },
            overridden_status: None,
            default_instance_ephemeral: true,
            distro_server_expired_ms: 10_000,
            light_beat_enabled: true,
            auto_change_health_check_enabled: true,
        }
    }
}

impl Switches {
    /// Sets one entry.
    ///
    /// # Errors
    /// The reference's words, or ours where it has none: no such entry, or not such a value.
    pub fn set(&mut self, entry: &str, value: &str) -> Result<(), String> {
        if value.len() > SWITCH_VALUE_BYTES_MAX {
            return Err(format!("value is longer than {SWITCH_VALUE_BYTES_MAX} bytes"));
        }
        match entry {
            "pushVersion" => self.set_push_version(value),
            "masters" => {
                self.masters = (!value.trim().is_empty()).then(|| value.into());
                Ok(())
            }
            "limitedUrlMap" => {
                self.limited_urls = limited_urls(value)?;
                Ok(())
            }
            "overriddenServerStatus" => {
                self.overridden_status = status(value)?;
                Ok(())
            }
            "distroThreshold" => {
                let threshold: f32 = value.trim().parse().map_err(|_| no_number(value))?;
                if threshold.is_nan() || threshold <= 0.0 {
                    return Err(format!("distroThreshold can not be zero or negative: {value}"));
                }
                self.distro_threshold = threshold;
                Ok(())
            }
            "healthCheckTimes" => {
                let times = whole(value, i64::MIN, "")?;
                self.check_times = u16::try_from(times.max(1)).unwrap_or(u16::MAX);
                Ok(())
            }
            "httpHealthParams" | "tcpHealthParams" | "mysqlHealthParams" => {
                self.set_pace(entry, value)
            }
            _ if WITHOUT_EFFECT.contains(&entry) => Ok(()),
            _ => match self.flag_of(entry) {
                Some(flag) => {
                    *flag = value.eq_ignore_ascii_case("true");
                    Ok(())
                }
                None => self.set_time(entry, value),
            },
        }
    }

    fn flag_of(&mut self, entry: &str) -> Option<&mut bool> {
        Some(match entry {
            "distro" => &mut self.distro_enabled,
            "check" => &mut self.health_check_enabled,
            "pushEnabled" => &mut self.push_enabled,
            "disableAddIP" => &mut self.disable_add_ip,
            "sendBeatOnly" => &mut self.send_beat_only,
            "enableStandalone" => &mut self.enable_standalone,
            "defaultInstanceEphemeral" => &mut self.default_instance_ephemeral,
            "lightBeatEnabled" => &mut self.light_beat_enabled,
            "autoChangeHealthCheckEnabled" => &mut self.auto_change_health_check_enabled,
            _ => return None,
        })
    }

    fn set_time(&mut self, entry: &str, value: &str) -> Result<(), String> {
        match entry {
            "clientBeatInterval" => {
                self.client_beat_interval_ms = whole(value, 1, "clientBeatInterval is too small")?;
            }
            "pushCacheMillis" => {
                let text = "min cache time for http or tcp is too small(<10000)";
                self.push_cache_ms = Some(whole(value, 10_000, text)?);
            }
            "defaultCacheMillis" => {
                let text = "min default cache time  is too small(<1000)";
                self.default_cache_ms = whole(value, 1_000, text)?;
            }
            "serviceStatusSynchronizationPeriodMillis" => {
                let text = "serviceStatusSynchronizationPeriodMillis is too small(<5000)";
                self.service_status_period_ms = whole(value, 5_000, text)?;
            }
            "serverStatusSynchronizationPeriodMillis" => {
                // The reference's text names another bound than the one it keeps.
                let text = "serverStatusSynchronizationPeriodMillis is too small(<15000)";
                self.server_status_period_ms = whole(value, 1_000, text)?;
            }
            "distroServerExpiredMillis" => {
                self.distro_server_expired_ms = whole(value, i64::MIN, "")?;
            }
            _ => return Err(format!("unknown switch entry: {}", shown(entry))),
        }
        Ok(())
    }

    fn set_push_version(&mut self, value: &str) -> Result<(), String> {
        let wrong = || "illegal push version, must be <java|python|c|go|csharp>:<x.y.z>".to_owned();
        let (client, version) = value.split_once(':').ok_or_else(wrong)?;
        let at = PUSH_CLIENTS.iter().position(|known| *known == client).ok_or_else(wrong)?;
        let mut parts = version.split('.');
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if parts.clone().count() != 3 || !parts.all(is_number) {
            return Err("illegal version, must match: ^\\d+\\.\\d+\\.\\d+$".to_owned());
        }
        self.push_versions[at] = version.into();
        Ok(())
    }

    fn set_pace(&mut self, entry: &str, value: &str) -> Result<(), String> {
        let params = HealthParams::parse(value).map_err(|error| error.to_string())?;
        let HealthParams { max, min, factor } = params.ok_or("null is no health params")?;
        if max < 3_000 {
            return Err("max check time for http or tcp is too small(<3000)".to_owned());
        }
        if min < 500 {
            return Err("min check time for http or tcp is too small(<500)".to_owned());
        }
        if !(0.0..=1.0).contains(&factor) {
            return Err("malformed factor".to_owned());
        }
        // Both fit: the parser takes Java's ints only.
        let pace = Pace { max_ms: max.max(min) as u32, min_ms: min as u32, factor };
        match entry {
            "httpHealthParams" => self.http = pace,
            "tcpHealthParams" => self.tcp = pace,
            _ => self.mysql = pace,
        }
        Ok(())
    }
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

fn no_number(value: &str) -> String {
    format!("For input string: \"{}\"", shown(value))
}

fn whole(value: &str, least: i64, too_small: &str) -> Result<i64, String> {
    let number: i64 = value.trim().parse().map_err(|_| no_number(value))?;
    if number < least { Err(too_small.to_owned()) } else { Ok(number) }
}

fn limited_urls(value: &str) -> Result<Limited, String> {
    let mut urls = Vec::new();
    for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (url, code) = item.split_once(':').ok_or("malformed limitedUrlMap: url:status,…")?;
        if url.is_empty() {
            return Err("url can not be empty".to_owned());
        }
        match code.trim().parse::<u16>() {
            Ok(200) => return Err("illegal normal status code: 200".to_owned()),
            Ok(code @ 100..1_000) => urls.push((url.into(), code)),
            _ => return Err(format!("illegal status code: {}", shown(code))),
        }
    }
    Ok(urls.into())
}

/// Blank and `null` clear.
fn status(value: &str) -> Result<Option<&'static str>, String> {
    let value = value.trim();
    if value.is_empty() || value == "null" {
        return Ok(None);
    }
    let known = STATUSES.iter().find(|known| **known == value);
    known
        .map(|known| Some(*known))
        .ok_or_else(|| format!("illegal server status, must be one of {}", STATUSES.join(", ")))
}

/// What was set, in the order it was first set; each entry once, `pushVersion` once per client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sets(Vec<(Box<str>, Box<str>)>);

impl Sets {
    /// Takes an entry in, in place of what was set for it. Nothing changes when it is refused.
    ///
    /// # Errors
    /// As [`Switches::set`].
    pub fn put(&mut self, entry: &str, value: &str) -> Result<(), String> {
        self.effective().set(entry, value)?;
        self.0.retain(|(known, kept)| !same(known, kept, entry, value));
        self.0.push((entry.into(), value.into()));
        Ok(())
    }

    /// Entries and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(entry, value)| (&**entry, &**value))
    }

    /// The defaults with all of these set.
    pub fn effective(&self) -> Switches {
        let mut switches = Switches::default();
        for (entry, value) in self.iter() {
            // An entry a later version took in and this one does not know stays without effect.
            let _ = switches.set(entry, value);
        }
        switches
    }

    /// Takes in what was kept, known or not.
    pub(crate) fn load(&mut self, entry: &str, value: &str) {
        self.0.push((entry.into(), value.into()));
    }

    fn has(&self, entry: &str, value: &str) -> bool {
        self.iter().any(|pair| pair == (entry, value))
    }
}

/// Whether the two are about the same switch.
fn same(known: &str, kept: &str, entry: &str, value: &str) -> bool {
    let client = |value: &str| value.split(':').next().unwrap_or_default().to_owned();
    known == entry && (entry != "pushVersion" || client(kept) == client(value))
}

/// What all cores read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    replicated: Sets,
    /// Set on this node alone.
    local: Sets,
    effective: Switches,
}

impl Deref for Shown {
    type Target = Switches;

    fn deref(&self) -> &Switches {
        &self.effective
    }
}

impl Shown {
    fn new(replicated: Sets, local: Sets) -> Self {
        let mut effective = replicated.effective();
        for (entry, value) in local.iter() {
            let _ = effective.set(entry, value);
        }
        Self { replicated, local, effective }
    }
}

/// The switches of a node, shared by its cores.
#[derive(Debug, Default)]
pub struct Shared(ArcSwap<Shown>);

impl Shared {
    /// As they are now. To be let go of within the turn.
    pub fn now(&self) -> Guard<Arc<Shown>> {
        self.0.load()
    }

    /// Sets an entry on this node alone, until it ends or the entry is set for all.
    ///
    /// # Errors
    /// As [`Switches::set`].
    pub fn set_here(&self, entry: &str, value: &str) -> Result<(), String> {
        Switches::default().set(entry, value)?;
        self.0.rcu(|shown| {
            let mut local = shown.local.clone();
            let _ = local.put(entry, value);
            Shown::new(shown.replicated.clone(), local)
        });
        Ok(())
    }

    /// Shows what was replicated. Raft core.
    pub(crate) fn show(&self, replicated: &Sets) {
        self.0.rcu(|shown| {
            let mut local = shown.local.clone();
            for (entry, value) in replicated.iter() {
                if !shown.replicated.has(entry, value) {
                    local.0.retain(|(known, kept)| !same(known, kept, entry, value));
                }
            }
            Shown::new(replicated.clone(), local)
        });
    }
}

#[cfg(test)]
mod tests;
