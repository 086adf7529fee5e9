//! Noise: nothing panics, nothing leaks, and how the bytes are cut into pieces changes nothing.
//!
//! Each target runs for NACRE_FUZZ_SECONDS (default 2) and prints its seed;
//! NACRE_FUZZ_SEED replays one.

use nacre::grpc::{Codec, Connection, Kind, Limits, Message};
use nacre::http2::hpack::{self, Atoms, Head, Table, decode::Strings, huffman};

use super::oracle::Seeded;
use super::support::*;

/// Runs `round` with fresh seeds until the time is over.
#[allow(clippy::disallowed_methods, reason = "a time budget needs a clock")]
fn noise(target: &str, mut round: impl FnMut(&mut Seeded)) {
    let seed_of = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let budget = std::time::Duration::from_secs(seed_of("NACRE_FUZZ_SECONDS").unwrap_or(2));
    let start = std::time::Instant::now();
    if let Some(seed) = seed_of("NACRE_FUZZ_SEED") {
        return round(&mut Seeded(seed));
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut seeds = Seeded(since.as_nanos() as u64);
    let mut rounds = 0u64;
    while start.elapsed() < budget {
        let seed = seeds.next();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            round(&mut Seeded(seed));
        }));
        if let Err(panic) = result {
            eprintln!("{target}: NACRE_FUZZ_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
        rounds += 1;
    }
    println!("{target}: {rounds} rounds");
}

fn random_bytes(random: &mut Seeded, bound: usize) -> Vec<u8> {
    (0..random.below(bound)).map(|_| random.next() as u8).collect()
}

/// A frame that is mostly plausible.
fn random_frame(random: &mut Seeded, open: &mut u32) -> Vec<u8> {
    let stream = match random.below(8) {
        0 => 0,
        1 => random.below(12) as u32,
        _ => (*open).saturating_sub(2 * random.below(4) as u32),
    };
    match random.below(22) {
        0..=3 => {
            *open += 2;
            let path = ["/unary", "/bidi", "/nowhere", "/health"][random.below(4)];
            let more = [("grpc-encoding", "gzip"), ("grpc-timeout", "1m"), ("content-length", "9")];
            call_with(*open, path, &more[..random.below(6).saturating_sub(2)])
        }
        4..=9 => {
            let bytes = random_bytes(random, 40);
            let mut body = message(&bytes);
            if random.below(6) == 0 && !body.is_empty() {
                let at = random.below(body.len());
                body[at] ^= 1 << random.below(8);
            }
            body.truncate(random.below(body.len() * 3));
            let flags = [0, 0, END_STREAM, PADDED][random.below(4)];
            frame(DATA, flags, stream, &body)
        }
        10 => frame(DATA, END_STREAM, stream, &[]),
        11 => window_update(stream, random.below(100_000) as u32),
        12 => setting(random.below(8) as u16, random.below(100_000) as u32),
        13 => frame(SETTINGS, ACK, 0, &[]),
        14 => frame(PING, random.below(2) as u8, 0, &[7; 8]),
        15 => frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()),
        16 => frame(PRIORITY, 0, stream, &[0, 0, 0, 1, 9]),
        17 => {
            let mut block = Vec::new();
            hpack::encode::indexed_literal(&mut block, b"x-a", &random_bytes(random, 50));
            let fields = super::support::block(&head_fields("/unary"));
            *open += 2;
            let first = frame(HEADERS, 0, *open, &fields);
            [first, frame(CONTINUATION, END_HEADERS, *open, &block)].concat()
        }
        18 => frame(0xf0, 0xff, stream, &random_bytes(random, 30)),
        19 => frame(HEADERS, random.next() as u8, stream, &random_bytes(random, 60)),
        20 => frame(random.below(10) as u8, random.next() as u8, stream, &random_bytes(random, 30)),
        _ => random_bytes(random, 30),
    }
}

/// What a server did with some bytes: its output, what the service saw, how it ended.
fn serve(pieces: &[&[u8]], answer_seed: u64) -> (Vec<u8>, Vec<String>, Option<&'static str>) {
    let mut small = Limits { connection_body_bytes_max: 200, message_bytes_max: 100, ..limits() };
    small.http2.held_bytes_max = 10_000;
    small.http2.atom_bytes_max = 2_000;
    let mut codec = Codec::new(small);
    let mut connection = Connection::new(0);
    let (mut out, mut service) = (Vec::new(), Noted::default());
    connection.greet(&mut codec, &mut out);
    let mut end = None;
    for piece in pieces {
        let result = connection.receive(piece, 5, &mut codec, &mut out, &mut service);
        if let Err(closed) = result {
            end = Some(closed.reason.name());
            break;
        }
    }
    // Answers, deadlines and ends in some order; whatever the state, nothing breaks.
    let mut random = Seeded(answer_seed);
    for (stream, method, text) in std::mem::take(&mut service.messages) {
        let (codec, out) = (&mut codec, &mut out);
        match (method.kind, random.below(4)) {
            (Kind::Unary, 0..=2) => connection.reply(stream, Message::whole(&text), codec, out),
            (Kind::Bidi, 0..=1) => connection.push(stream, Message::whole(&text), codec, out),
            (Kind::Bidi, 2) => connection.finish(stream, codec, out),
            _ => connection.fail(stream, nacre::grpc::Status::Aborted, "x", codec, out),
        };
    }
    if end.is_none() && random.below(2) == 0 {
        let _ = connection.check(70_000, &mut codec, &mut out, &mut service);
    }
    connection.reset_bidi(&mut codec, &mut out);
    connection.release(&mut codec);
    codec.http2.atoms.sweep();
    let kept = (codec.body_bytes(), codec.http2.held_bytes(), codec.http2.atoms.len());
    assert_eq!(kept, (0, 0, 0), "all is given back");
    (out, service.lines, end)
}

fn cut<'a>(bytes: &'a [u8], random: &mut Seeded) -> Vec<&'a [u8]> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    let longest = 1 + random.below(60);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at((1 + random.below(longest)).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

fn assert_cuts_do_not_matter(bytes: &[u8], random: &mut Seeded) {
    let answers = random.next();
    let whole = serve(&[bytes], answers);
    let pieces = serve(&cut(bytes, random), answers);
    assert_eq!(Decoder::new().lines(&whole.0), Decoder::new().lines(&pieces.0));
    assert_eq!((whole.1, whole.2), (pieces.1, pieces.2));
}

#[test]
fn frames() {
    noise("frames", |random| {
        let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        let mut open = 1;
        for _ in 0..1 + random.below(60) {
            bytes.extend(random_frame(random, &mut open));
        }
        assert_cuts_do_not_matter(&bytes, random);
    });
}

#[test]
fn damaged_captures() {
    let captures = [
        include_str!("data/java-nacos-client-3.1.1.hex"),
        include_str!("data/go-nacos-sdk-2.3.2.hex"),
    ];
    let clean: Vec<Vec<u8>> = captures
        .iter()
        .map(|capture| {
            let hex: String = capture.lines().filter_map(|line| line.strip_prefix("C ")).collect();
            (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                .collect()
        })
        .collect();
    noise("damaged captures", |random| {
        let mut bytes = clean[random.below(2)].clone();
        for _ in 0..random.below(4) {
            let at = 24 + random.below(bytes.len() - 24);
            match random.below(3) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => drop(bytes.drain(at..(at + random.below(40)).min(bytes.len()))),
                _ => bytes.insert(at, random.next() as u8),
            }
        }
        assert_cuts_do_not_matter(&bytes, random);
    });
}

#[test]
fn header_blocks() {
    noise("header blocks", |random| {
        let mut atoms = Atoms::new(1 << 20);
        let mut table = Table::default();
        let (mut strings, mut head) = (Strings::default(), Head::default());
        for _ in 0..random.below(20) {
            let mut block = random_bytes(random, 100);
            if random.below(2) == 0 {
                let value = random_bytes(random, 100);
                hpack::encode::indexed_literal(&mut block, b"name", &value);
            }
            head.clear(500);
            let result = hpack::decode(&block, &mut table, &mut atoms, &mut strings, &mut head);
            let kept: usize =
                head.fields(&atoms).map(|(name, value)| name.len() + value.len() + 32).sum();
            assert!(kept <= 500 && table.len() <= 128 && atoms.len() <= 128 + 100);
            let _ = (head.check_request(&atoms), head.check_trailers());
            if result.is_err() {
                break;
            }
        }
        table.release(&mut atoms);
        atoms.sweep();
        assert_eq!(atoms.len(), 0);
    });
}

#[test]
fn huffman_text() {
    noise("huffman", |random| {
        let text = random_bytes(random, 200);
        let (mut coded, mut decoded) = (Vec::new(), Vec::new());
        huffman::encode(&text, &mut coded);
        huffman::decode(&coded, &mut decoded).expect("what was encoded");
        assert_eq!(decoded, text);
        let noise = random_bytes(random, 100);
        decoded.clear();
        if huffman::decode(&noise, &mut decoded).is_some() {
            coded.clear();
            huffman::encode(&decoded, &mut coded);
            assert_eq!(coded, noise, "one text has one code");
        }
    });
}

#[test]
fn grpc_messages() {
    noise("grpc messages", |random| {
        let mut body = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..random.below(6) {
            let bytes = random_bytes(random, 90);
            body.extend(message(&bytes));
            expected.push(bytes);
        }
        let mut wire = Wire::new();
        wire.send(call(1, "/bidi"));
        for piece in cut(&body, random) {
            let pad = random.below(5) as u8;
            let bytes = match pad {
                0 => frame(DATA, 0, 1, piece),
                _ => frame(DATA, PADDED, 1, &[&[pad][..], piece, &[0; 5][..pad.into()]].concat()),
            };
            for part in cut(&bytes, random) {
                wire.send(part);
            }
        }
        wire.send(frame(DATA, END_STREAM, 1, &[]));
        let seen: Vec<Vec<u8>> = wire.service.messages.drain(..).map(|entry| entry.2).collect();
        assert_eq!(seen, expected);
        assert_eq!(wire.noted().pop().unwrap(), "half-closed 1");
        // And noise as a body.
        let body = random_bytes(random, 60);
        wire.send([call(3, "/unary"), frame(DATA, END_STREAM, 3, &body)].concat());
        wire.reply(3, b"x");
        assert!(wire.told().len() <= 4);
    });
}
