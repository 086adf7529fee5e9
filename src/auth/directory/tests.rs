use super::*;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

const TIMEOUT_MS: u32 = 5_000;

/// A directory that reads one request a step and answers with these bytes, then hangs up.
#[allow(clippy::disallowed_methods)] // A test's other end, joined by the test.
fn scripted(steps: Vec<Vec<u8>>) -> (Directory, JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        for step in steps {
            let mut bytes = vec![0; 4_096];
            let length = stream.read(&mut bytes).unwrap();
            bytes.truncate(length);
            asked.push(bytes);
            stream.write_all(&step).unwrap();
        }
        asked
    });
    let place = Place {
        host: "127.0.0.1".into(),
        port,
        base: "dc=x".into(),
        attribute: "uid".into(),
        case_sensitive: true,
        timeout_ms: TIMEOUT_MS,
        ..Place::default()
    };
    (Directory::new(place), script)
}

fn message(id: i64, operation: u8, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut message = Writer::default();
    message.nested(tag::SEQUENCE, |message| {
        message.integer(tag::INTEGER, id);
        message.nested(operation, write);
    });
    message.written().to_vec()
}

fn result(id: i64, operation: u8, code: i64) -> Vec<u8> {
    message(id, operation, |result| {
        result.integer(tag::ENUMERATED, code);
        result.bytes(tag::OCTETS, b"");
        result.bytes(tag::OCTETS, b"");
    })
}

fn entry(id: i64, name: &str) -> Vec<u8> {
    message(id, tag::ENTRY, |entry| {
        entry.bytes(tag::OCTETS, name.as_bytes());
        entry.nested(tag::SEQUENCE, |_| {});
    })
}

fn found(names: &[&str]) -> Vec<u8> {
    let mut all: Vec<u8> = names.iter().flat_map(|name| entry(1, name)).collect();
    all.extend(result(1, tag::FOUND, SUCCESS));
    all
}

#[test]
fn one_entry_whose_password_it_is() {
    for (code, verdict) in [(SUCCESS, Verdict::Right), (INVALID_CREDENTIALS, Verdict::Wrong)] {
        let steps = vec![found(&["uid=bob,dc=x"]), result(2, tag::BOUND, code)];
        let (mut directory, script) = scripted(steps);
        assert_eq!(directory.check("bob)(uid=*", "secret", 0), verdict);
        let asked = script.join().unwrap();
        let holds = |at: usize, text: &[u8]| asked[at].windows(text.len()).any(|part| part == text);
        assert!(holds(0, b"bob)(uid=*"), "a name goes as it is: a value, not a filter");
        assert!(holds(1, b"uid=bob,dc=x") && holds(1, b"secret"));
    }
}

#[test]
fn none_or_more_than_one_is_nobody() {
    for names in [&[][..], &["uid=a,dc=x", "uid=b,dc=x"], &[""]] {
        let (mut directory, script) = scripted(vec![found(names)]);
        assert_eq!(directory.check("bob", "secret", 0), Verdict::Wrong, "{names:?}");
        script.join().unwrap();
    }
}

#[test]
fn without_a_password_nobody_is_asked() {
    let mut directory = Directory::new(Place::default());
    assert_eq!(directory.check("bob", "", 0), Verdict::Wrong);
    assert_eq!(directory.check(" ", "x", 0), Verdict::Wrong);
}

#[test]
fn what_is_no_answer_is_no_yes() {
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        vec![0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 1],
        vec![0x30, 0],
        vec![0x30, 3, 2, 1, 9],
        result(7, tag::FOUND, SUCCESS),
        result(1, tag::BOUND, 52),
        result(1, tag::FOUND, 50),
        Vec::new(),
    ] {
        let (mut directory, script) = scripted(vec![answer.clone()]);
        let verdict = directory.check("bob", "secret", 10);
        assert_eq!(verdict, Verdict::Unreachable, "{answer:?}");
        script.join().unwrap();
        // Nobody waits for it again at once.
        assert_eq!(directory.check("bob", "secret", 11), Verdict::Unreachable);
        assert!(directory.rests_until_ms > 11);
    }
}

#[test]
fn a_search_without_an_end_has_one() {
    let endless: Vec<u8> = (0..2 * DIRECTORY_ANSWERS_MAX).flat_map(|_| entry(1, "uid=x")).collect();
    let (mut directory, script) = scripted(vec![endless]);
    assert_eq!(directory.check("bob", "secret", 0), Verdict::Unreachable);
    script.join().unwrap();
}

#[test]
fn names_meet_no_local_ones_and_passwords_are_not_shown() {
    let mut place = Place { password: "hidden".into(), case_sensitive: true, ..Place::default() };
    assert_eq!(place.name_of("Bob"), "LDAP_Bob");
    place.case_sensitive = false;
    assert_eq!(place.name_of("Bob"), "LDAP_bob");
    assert!(!format!("{:?}", Directory::new(place)).contains("hidden"));
}
