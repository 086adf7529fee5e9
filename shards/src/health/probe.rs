//! How an instance is asked (`naming.md` 10).

use std::sync::Arc;

/// Bytes of an HTTP check's path and headers. Longer: refused where it is set, unchecked where it
/// is found.
pub const PROBE_TEXT_BYTES_MAX: usize = 4_096;

/// Headers that belong to the probe itself.
const OWN_HEADERS: [&str; 4] = ["connection", "content-length", "transfer-encoding", "upgrade"];

/// What to do at an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Probe {
    /// A connection is made.
    Connect,
    /// And one GET, answered by 200.
    Get(Arc<Get>),
}

/// What an HTTP check sends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Get {
    /// Starts with a slash; nothing in it ends a request line.
    pub path: Box<str>,
    /// In place of the address.
    pub host: Option<Box<str>>,
    /// Lines with their ends, without `Host`.
    pub headers: Box<str>,
}

impl Probe {
    /// A GET of this path (blank is `/`) with these headers, `name:value|name:value`.
    ///
    /// # Errors
    /// What in them is not of one request.
    pub fn get(path: &str, headers: &str) -> Result<Self, String> {
        Get::new(path, headers).map(|get| Probe::Get(Arc::new(get)))
    }
}

impl Get {
    fn new(path: &str, headers: &str) -> Result<Self, String> {
        if path.len() + headers.len() > PROBE_TEXT_BYTES_MAX {
            return Err(format!("path and headers have over {PROBE_TEXT_BYTES_MAX} bytes"));
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

    #[test]
    fn an_http_check_is_one_request_and_no_more() {
        let plain = Get::new("", "").unwrap();
        assert_eq!((&*plain.path, &*plain.headers, plain.host), ("/", "", None));
        let full = Get::new("up?x=é", "A:1| host : h |Connection:x").unwrap();
        assert_eq!((&*full.path, &*full.headers), ("/up?x=%C3%A9", "A: 1\r\n"));
        assert_eq!(full.host.as_deref(), Some("h"));
        for (path, headers) in [
            ("/ HTTP/1.1\r\nX: y", ""),
            ("/a b", ""),
            ("", "A:1\r\nB:2"),
            ("", "A"),
            ("", "A B:1"),
            ("", "host:a\nb"),
            (&"x".repeat(4_097), ""),
        ] {
            assert!(Probe::get(path, headers).is_err(), "{path} {headers}");
        }
    }
}
