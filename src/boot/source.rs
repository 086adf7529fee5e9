//! Where values come from, and which of them wins: file, then environment, then command line.

use crate::boot::keys::{self, Key, Known};
use crate::boot::placeholder;
use crate::boot::properties::{self, BadProperties};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where one value was given, as a refusal says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave it.
    Default,
    File {
        path: PathBuf,
        line: usize,
    },
    Environment {
        name: String,
    },
    /// The flag as typed, `--port` or `-D nacos.server.main.port`.
    Flag {
        text: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(out, "the default"),
            Origin::File { path, line } => write!(out, "{} line {line}", path.display()),
            Origin::Environment { name } => write!(out, "environment variable {name}"),
            Origin::Flag { text } => write!(out, "{text} on the command line"),
        }
    }
}

/// Why the server does not start: one key, its value, where that came from, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub key: String,
    pub value: String,
    pub origin: Origin,
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} = \"{}\" ({}): {}", self.key, self.value, self.origin, self.why)
    }
}

/// One value as given by the operator, placeholders unresolved.
#[derive(Debug, Clone)]
struct Given {
    raw: String,
    origin: Origin,
    /// Source first (a later one wins), then the key's own name before its older ones.
    weight: (u8, isize),
}

const FILE: u8 = 1;
const ENVIRONMENT: u8 = 2;
const FLAG: u8 = 3;

/// Everything the operator said, before anything is judged.
#[derive(Debug, Default)]
pub struct Layers {
    given: HashMap<&'static str, Given>,
    /// For placeholders: every name as written, whether we know it or not.
    names: HashMap<String, (u8, String)>,
    /// Names nobody knows.
    pub unknown: BTreeSet<String>,
    /// Tolerated keys whose value does not fit the shape it will need.
    pub doubtful: BTreeSet<String>,
}

impl Layers {
    /// Adds the lines of a properties file.
    ///
    /// # Errors
    /// The file is not in the properties format.
    pub fn add_file(&mut self, path: &Path, bytes: &[u8]) -> Result<(), BadProperties> {
        for line in properties::parse(&properties::decode(bytes))? {
            let origin = Origin::File { path: path.to_owned(), line: line.number };
            self.add(FILE, &line.key, line.value, origin);
        }
        Ok(())
    }

    /// Adds the environment: names we know in any form Spring takes, all names for placeholders.
    pub fn add_environment(&mut self, variables: &[(String, String)]) {
        for (name, value) in variables {
            let ours = name.starts_with("nacos.") || name.starts_with("nacre.");
            if ours || matches!(keys::known(name), Known::Used { .. }) || misspelt_ours(name) {
                let origin = Origin::Environment { name: name.clone() };
                self.add(ENVIRONMENT, name, value.clone(), origin);
            }
            self.names.insert(name.clone(), (ENVIRONMENT, value.clone()));
        }
    }

    /// Adds one flag. `text` is how it was typed.
    pub fn add_flag(&mut self, name: &str, value: &str, text: &str) {
        let origin = Origin::Flag { text: text.to_owned() };
        self.add(FLAG, name, value.to_owned(), origin);
    }

    fn add(&mut self, source: u8, name: &str, raw: String, origin: Origin) {
        match keys::known(name) {
            Known::Unknown => {
                self.unknown.insert(name.to_owned());
            }
            // A placeholder is not looked at: nothing uses the value yet.
            Known::Tolerated(Some(shape)) => {
                let value = raw.trim();
                if !value.is_empty() && !value.contains("${") && !shape.fits(value) {
                    self.doubtful.insert(format!("{name}={value}"));
                }
            }
            Known::Tolerated(None) => {}
            Known::Used { key, rank } => {
                let weight = (source, -(rank as isize));
                let given = Given { raw: raw.clone(), origin, weight };
                match self.given.get(key.name) {
                    Some(older) if older.weight > weight => {}
                    _ => {
                        self.given.insert(key.name, given);
                    }
                }
            }
        }
        let newer = self.names.get(name).is_none_or(|(older, _)| *older <= source);
        if newer {
            self.names.insert(name.to_owned(), (source, raw));
        }
    }

    /// The value of a key with its placeholders resolved and blanks around it cut, or `None` when
    /// it is set nowhere or set to nothing. `""` is nothing too: container images write it so.
    ///
    /// # Errors
    /// A placeholder cannot be resolved.
    pub fn value(&self, key: &Key) -> Result<Option<(String, Origin)>, Refusal> {
        let Some(given) = self.given.get(key.name) else { return Ok(None) };
        let resolved = placeholder::resolve(&given.raw, &|name| self.find(name));
        let value = resolved.map_err(|why| Refusal {
            key: key.name.to_owned(),
            value: given.raw.clone(),
            origin: given.origin.clone(),
            why,
        })?;
        let value = value.trim();
        let value = if value == "\"\"" { "" } else { value };
        Ok((!value.is_empty()).then(|| (value.to_owned(), given.origin.clone())))
    }

    /// What a placeholder's name stands for: a name as written, or an environment variable's form
    /// of it.
    fn find(&self, name: &str) -> Option<String> {
        let upper = || {
            let form: String = name
                .chars()
                .map(|character| if matches!(character, '.' | '-') { '_' } else { character })
                .collect();
            self.names.get(&form.to_ascii_uppercase()).or_else(|| self.names.get(&form))
        };
        self.names.get(name).or_else(upper).map(|(_, value)| value.clone())
    }
}

/// Variables of our own tests and load generator, whose servers inherit them.
const OF_TESTS: [&str; 12] = [
    "NACRE_BIN",
    "NACRE_COMMIT",
    "NACRE_FLIPS",
    "NACRE_FUZZ_SECONDS",
    "NACRE_FUZZ_SEED",
    "NACRE_KILLS",
    "NACRE_POWER_CUTS",
    "NACRE_POWER_SEED",
    "NACRE_SDK_OUT",
    "NACRE_SEED",
    "NACRE_SIM_SEEDS",
    "NACRE_SYNC_FAULT",
];

/// A variable that was meant for us and that nobody knows. Kubernetes sets `NACRE_PORT…` and
/// `NACRE_SERVICE_…` by itself for a service called nacre.
fn misspelt_ours(name: &str) -> bool {
    name.starts_with("NACRE_")
        && !name.starts_with("NACRE_PORT")
        && !name.starts_with("NACRE_SERVICE_")
        && !OF_TESTS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::keys::{AUTH, DATASOURCE, PORT};

    fn layers(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Layers {
        let mut layers = Layers::default();
        layers.add_file(Path::new("a.properties"), file.as_bytes()).unwrap();
        let pairs = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        layers.add_environment(&pairs.collect::<Vec<_>>());
        for (name, value) in flags {
            layers.add_flag(name, value, &format!("-D {name}"));
        }
        layers
    }

    fn port(layers: &Layers) -> Option<String> {
        layers.value(&PORT).unwrap().map(|(value, _)| value)
    }

    #[test]
    fn later_sources_win_and_new_names_win_within_one() {
        let own = "nacos.server.main.port=1";
        let both = "nacos.server.main.port=1\nserver.port=2";
        let swapped = "server.port=2\nnacos.server.main.port=1";
        for (file, environment, flags, expected) in [
            (own, &[][..], &[][..], "1"),
            (both, &[], &[], "1"),
            (swapped, &[], &[], "1"),
            ("server.port=1\nserver.port=2", &[], &[], "2"),
            (own, &[("SERVER_PORT", "3")], &[], "3"),
            (own, &[("SERVER_PORT", "3"), ("NACOS_SERVER_MAIN_PORT", "4")], &[], "4"),
            (own, &[("NACOS_SERVER_MAIN_PORT", "4"), ("NACOS_APPLICATION_PORT", "5")], &[], "4"),
            (own, &[("nacos.server.main.port", "6")], &[], "6"),
            (own, &[("NACOS_SERVER_MAIN_PORT", "4")], &[("server.port", "7")], "7"),
        ] {
            let layers = layers(file, environment, flags);
            assert_eq!(
                port(&layers).as_deref(),
                Some(expected),
                "{file} {environment:?} {flags:?}"
            );
        }
    }

    #[test]
    fn placeholders_see_the_environment_and_the_file() {
        let auth = |environment: &[(&str, &str)]| {
            let layers =
                layers("nacos.core.auth.enabled=${NACOS_AUTH_ENABLE:false}", environment, &[]);
            layers.value(&AUTH).unwrap().map(|(value, _)| value)
        };
        assert_eq!(auth(&[]).as_deref(), Some("false"));
        assert_eq!(auth(&[("NACOS_AUTH_ENABLE", "true")]).as_deref(), Some("true"));
        let layers = layers("base.port=900\nserver.port=${base.port}1", &[], &[]);
        assert_eq!(port(&layers).as_deref(), Some("9001"));
        let layers = self::layers("server.port=${my.base-port}", &[("MY_BASE_PORT", "9")], &[]);
        assert_eq!(port(&layers).as_deref(), Some("9"));
    }

    #[test]
    fn nothing_is_not_a_value() {
        for file in ["server.port=", "server.port=  ", "server.port=\"\"", "server.port=${X:}", ""]
        {
            assert_eq!(port(&layers(file, &[], &[])), None, "{file}");
        }
        let file = "spring.sql.init.platform=${SPRING_DATASOURCE_PLATFORM:\"\"}";
        assert_eq!(layers(file, &[], &[]).value(&DATASOURCE), Ok(None));
    }

    #[test]
    fn unknown_and_doubtful_names_are_kept_for_one_line() {
        let layers = layers(
            "nacos.nonsense=1\nnotifyConnectTimeout=many\nnacos.istio.x=1\nserver.port=1",
            &[
                ("NACRE_CORS", "0"),
                ("NACRE_SERVICE_HOST", "x"),
                ("NACRE_BIN", "target/debug/nacre"),
                ("PATH", "/bin"),
                ("nacos.odd", "1"),
            ],
            &[("also.unknown", "1")],
        );
        let unknown: Vec<_> = layers.unknown.iter().map(String::as_str).collect();
        assert_eq!(unknown, ["NACRE_CORS", "also.unknown", "nacos.nonsense", "nacos.odd"]);
        assert_eq!(layers.doubtful.iter().collect::<Vec<_>>(), ["notifyConnectTimeout=many"]);
    }

    #[test]
    fn a_refusal_says_all_there_is() {
        let layers = layers("a=1\nserver.port=${NOWHERE}", &[], &[]);
        let refusal = layers.value(&PORT).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "nacos.server.main.port = \"${NOWHERE}\" (a.properties line 2): \
             ${NOWHERE} is set nowhere and has no default"
        );
    }
}
