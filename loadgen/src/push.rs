//! Reading pushes cheaply: what an acknowledgement and a latency need, without decoding a list.

use crate::drive::Turn;
use crate::envelope::Envelope;

/// Where the key of the id is looked for first: servers write it near either end.
const NEAR_BYTES: usize = 96;

/// The `requestId` of a push. Text search, not JSON: the lists pushed are of our own instances,
/// whose metadata has no such key.
pub fn request_id(body: &[u8]) -> Option<&str> {
    let (start, end) = id_range(body)?;
    std::str::from_utf8(&body[start..end]).ok()
}

/// What stands before and after the id: equal for all subscribers of one list.
pub fn around_id(body: &[u8]) -> (&[u8], &[u8]) {
    match id_range(body) {
        Some((start, end)) => (&body[..start], &body[end..]),
        None => (body, &[]),
    }
}

/// Where the id's characters are; ids have no escapes.
fn id_range(body: &[u8]) -> Option<(usize, usize)> {
    const KEY: &[u8] = br#""requestId":"#;
    let head = &body[..body.len().min(NEAR_BYTES)];
    let tail_at = body.len().saturating_sub(NEAR_BYTES);
    let at = find(head, KEY)
        .or_else(|| find(&body[tail_at..], KEY).map(|at| at + tail_at))
        .or_else(|| find(body, KEY))?;
    let after = at + KEY.len();
    let start = after + body[after..].iter().position(|byte| *byte == b'"')? + 1;
    let end = start + body[start..].iter().position(|byte| *byte == b'"')?;
    Some((start, end))
}

/// The value of a member that holds digits in quotes, or a plain number.
pub fn number_after(body: &[u8], key: &[u8]) -> Option<u64> {
    let mut rest = &body[find(body, key)? + key.len()..];
    while let Some((b'"' | b':' | b' ', tail)) = rest.split_first().map(|(b, tail)| (*b, tail)) {
        rest = tail;
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// Acknowledges whatever came on the stream; false when there was no room for it.
pub fn acknowledge(turn: &mut Turn<'_>, push: &Envelope<'_>) -> bool {
    turn.acknowledge(push.kind, request_id(push.body).unwrap_or_default())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted[0];
    let last = bytes.len().checked_sub(wanted.len())?;
    let mut at = 0;
    while at <= last {
        at += bytes[at..=last].iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_id_wherever_it_stands() {
        let long = "x".repeat(500);
        for body in [
            r#"{"headers":{},"requestId":"17","serviceInfo":{}}"#.to_owned(),
            format!(r#"{{"serviceInfo":{{"name":"{long}"}},"requestId": "17"}}"#),
            format!(r#"{{"a":"{long}","requestId":"17","b":"{long}"}}"#),
        ] {
            assert_eq!(request_id(body.as_bytes()), Some("17"), "{body}");
            let (before, after) = around_id(body.as_bytes());
            assert_eq!([before, b"17", after].concat(), body.as_bytes());
        }
        assert_eq!(request_id(b"{}"), None);
        assert_eq!(around_id(b"{}"), (&b"{}"[..], &b""[..]));
        assert_eq!(request_id(br#"{"requestId":"1"#), None);
    }

    #[test]
    fn reads_numbers_with_and_without_quotes() {
        let body = br#"{"lastRefTime":1718000001234,"metadata":{"seq":"000000000042"}}"#;
        assert_eq!(number_after(body, br#""seq""#), Some(42));
        assert_eq!(number_after(body, br#""lastRefTime""#), Some(1_718_000_001_234));
        assert_eq!(number_after(body, br#""absent""#), None);
        assert_eq!(number_after(br#"{"seq":"x"}"#, br#""seq""#), None);
    }
}
