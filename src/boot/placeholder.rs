//! `${name}` and `${name:default}` in values, as Spring resolves them.
//!
//! Names and defaults may hold placeholders themselves. A name nothing answers and without a default
//! is an error: the reference does not start either, and a literal `${...}` as a value helps nobody.

/// How deep placeholders may lead to placeholders; also what ends a circle.
const DEPTH_MAX: usize = 16;

/// Bytes of a resolved value: placeholders that double each other grow without bound otherwise.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Resolves all placeholders of `text`. `find` answers a name with its raw value.
///
/// # Errors
/// A sentence for the operator.
pub fn resolve(text: &str, find: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    expand(text, find, 0)
}

fn expand(
    text: &str,
    find: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<String, String> {
    if depth > DEPTH_MAX {
        return Err(format!("placeholders lead to each other more than {DEPTH_MAX} times"));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        // Without an end it is plain text, as in Spring.
        let Some(end) = matching_end(inside) else {
            out.push_str(&rest[start..]);
            return bounded(out);
        };
        out.push_str(&value_of(&inside[..end], find, depth)?);
        out = bounded(out)?;
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    bounded(out)
}

/// The whole name is tried first: Spring allows a colon in it.
fn value_of(
    inside: &str,
    find: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<String, String> {
    let whole = expand(inside, find, depth + 1)?;
    if let Some(value) = find(&whole) {
        return expand(&value, find, depth + 1);
    }
    let Some((name, default)) = whole.split_once(':') else {
        return Err(format!("${{{whole}}} is set nowhere and has no default"));
    };
    match find(name) {
        Some(value) => expand(&value, find, depth + 1),
        None => Ok(default.to_owned()),
    }
}

/// Where the brace that closes this placeholder stands.
fn matching_end(inside: &str) -> Option<usize> {
    let mut open = 0usize;
    let mut previous = b' ';
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'{' if previous == b'$' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
        previous = byte;
    }
    None
}

fn bounded(text: String) -> Result<String, String> {
    if text.len() > VALUE_BYTES_MAX {
        return Err(format!(
            "longer than {VALUE_BYTES_MAX} bytes once its placeholders are resolved"
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> Option<String> {
        let value = match name {
            "PORT" => "8849",
            "A" => "${B}",
            "B" => "b",
            "NAME" => "PORT",
            "LOOP" => "${LOOP}",
            "EMPTY" => "",
            "x:y" => "colon",
            "DOUBLE" => "${BIG}${BIG}${BIG}",
            "BIG" => return Some("x".repeat(VALUE_BYTES_MAX / 2)),
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn what_spring_resolves() {
        let cases = [
            ("plain", "plain"),
            ("${PORT}", "8849"),
            ("a${PORT}b${B}c", "a8849bbc"),
            ("${MISSING:8848}", "8848"),
            ("${MISSING:}", ""),
            ("${MISSING:a:b}", "a:b"),
            ("${PORT:1}", "8849"),
            ("${EMPTY:1}", ""),
            ("${A}", "b"),
            ("${${NAME}}", "8849"),
            ("${MISSING:${PORT}}", "8849"),
            ("${MISSING:${ALSO:7}}", "7"),
            ("${x:y}", "colon"),
            ("${open", "${open"),
            ("$PORT {}", "$PORT {}"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text, &find).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_stops_a_start() {
        for (text, part) in [
            ("${MISSING}", "set nowhere"),
            ("${LOOP}", "lead to each other"),
            ("${DOUBLE}", "longer than"),
        ] {
            let error = resolve(text, &find).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "[${}:A-C你]{0,60}") {
            let _ = resolve(&text, &find);
        }
    }
}
