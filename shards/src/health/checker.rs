//! How the instances of a cluster are checked (`naming.md` 10): the `healthChecker` of its metadata,
//! read once.

use nacre_proto::health::HealthChecker;
use std::sync::Arc;

/// Bytes of an HTTP checker's path and of its headers. Longer: refused where it is set, unchecked
/// where it is found.
pub const CHECKER_TEXT_BYTES_MAX: usize = 4_096;

/// Headers that belong to the probe itself.
const OWN_HEADERS: [&str; 4] = ["connection", "content-length", "transfer-encoding", "upgrade"];

/// A kind of check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checker {
    /// A connection is made.
    Tcp,
    /// And one GET, answered by 200.
    Http(Arc<Get>),
    /// Nothing; somebody may set the health by hand.
    None,
    /// `MYSQL`, or what a plugin of the reference calls itself: its instances keep their health.
    Unsupported(Box<str>),
}

/// What an HTTP check sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Get {
    /// Starts with a slash; nothing in it ends a request line.
    pub path: Box<str>,
    /// In place of the address.
    pub host: Option<Box<str>>,
    /// Lines with their ends, without `Host`.
    pub headers: Box<str>,
}

impl Checker {
    /// Reads the JSON of a `healthChecker`. Blank and null: TCP, as the reference.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Checker::Tcp);
        }
        let checker = HealthChecker::parse(text).map_err(|error| error.to_string())?;
        let Some(checker) = checker else { return Ok(Checker::Tcp) };
        match checker.kind.as_deref() {
            None | Some("" | "TCP") => Ok(Checker::Tcp),
            Some("NONE") => Ok(Checker::None),
            Some("HTTP") => {
                let path = checker.path.as_deref().unwrap_or_default();
                let headers = checker.headers.as_deref().unwrap_or_default();
                Ok(Checker::Http(Arc::new(Get::new(path, headers)?)))
            }
            Some(other) => Ok(Checker::Unsupported(other.into())),
        }
    }
}

impl Get {
    fn new(path: &str, headers: &str) -> Result<Self, String> {
        if path.len() + headers.len() > CHECKER_TEXT_BYTES_MAX {
            return Err(format!("path and headers have over {CHECKER_TEXT_BYTES_MAX} bytes"));
        }
        let mut get = Self { path: target(path)?, host: None, headers: Box::default() };
        let mut lines = String::new();
        for header in headers.split('|').filter(|header| !header.trim().is_empty()) {
            let (name, value) = header.split_once(':').ok_or("headers must be name:value|…")?;
            let (name, value) = (name.trim(), value.trim());
            if !is_token(name) || value.chars().any(|c| c.is_control() && c != '\t') {
                return Err(format!("'{}' is no header", header.escape_debug()));
            }
            if name.eq_ignore_ascii_case("host") {
                get.host = Some(value.into());
            } else if !OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                lines.extend([name, ": ", value, "\r\n"]);
            }
        }
        get.headers = lines.into();
        Ok(get)
    }
}

/// The path as it stands in a request line.
fn target(path: &str) -> Result<Box<str>, String> {
    let mut out = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        out.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' => out.push(char::from(byte)),
            0x80.. => out.push_str(&format!("%{byte:02X}")),
            _ => return Err(format!("path '{}' is no path of a URL", path.escape_debug())),
        }
    }
    Ok(out.into())
}

fn is_token(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(json: &str) -> Get {
        match Checker::parse(json).unwrap() {
            Checker::Http(get) => (*get).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn kinds() {
        assert_eq!(Checker::parse(""), Ok(Checker::Tcp));
        assert_eq!(Checker::parse("null"), Ok(Checker::Tcp));
        assert_eq!(Checker::parse("{}"), Ok(Checker::Tcp));
        assert_eq!(Checker::parse(r#"{"type":"TCP"}"#), Ok(Checker::Tcp));
        assert_eq!(Checker::parse(r#"{"type":"NONE"}"#), Ok(Checker::None));
        let mysql = r#"{"type":"MYSQL","user":"u","pwd":"p","cmd":"c"}"#;
        assert_eq!(Checker::parse(mysql), Ok(Checker::Unsupported("MYSQL".into())));
        assert!(Checker::parse("TCP").is_err());
    }

    #[test]
    fn an_http_check_is_one_request_and_no_more() {
        let plain = get(r#"{"type":"HTTP"}"#);
        assert_eq!((&*plain.path, &*plain.headers, plain.host), ("/", "", None));
        let full =
            get(r#"{"type":"HTTP","path":"up?x=é","headers":"A:1| host : h |Connection:x"}"#);
        assert_eq!((&*full.path, &*full.headers), ("/up?x=%C3%A9", "A: 1\r\n"));
        assert_eq!(full.host.as_deref(), Some("h"));
        for wrong in [
            r#"{"type":"HTTP","path":"/ HTTP/1.1\r\nX: y"}"#,
            r#"{"type":"HTTP","path":"/a b"}"#,
            r#"{"type":"HTTP","headers":"A:1\r\nB:2"}"#,
            r#"{"type":"HTTP","headers":"A"}"#,
            r#"{"type":"HTTP","headers":"A B:1"}"#,
            r#"{"type":"HTTP","headers":"host:a\nb"}"#,
        ] {
            assert!(Checker::parse(wrong).is_err(), "{wrong}");
        }
        let long = format!(r#"{{"type":"HTTP","path":"{}"}}"#, "x".repeat(4_097));
        assert!(Checker::parse(&long).is_err());
    }
}
