//! The `h2` crate as client: what one implementation writes, the other must read.

use bytes::Bytes;
use h2::client;
use http::{HeaderName, HeaderValue, Request};
use nacre::grpc::{Codec, Connection, Kind, Message};
use nacre::http2::hpack::{Block, encode};
use nacre::http2::{self, Event};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::support::{Noted, limits, message};

/// A small generator whose seed a failure prints.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

type Fields = Vec<(String, String)>;

/// Random fields: some from a small set that is indexed again, some new, some long.
fn random_fields(random: &mut Seeded) -> Fields {
    (0..random.below(12))
        .map(|_| {
            let name = format!("x-{}", random.below(6));
            let length = match random.below(10) {
                0 => 0,
                1 => 300,
                _ => 1 + random.below(20),
            };
            let value: String = match random.below(3) {
                0 => format!("steady-{}", random.below(4)),
                _ => (0..length).map(|_| char::from(b'!' + random.below(94) as u8)).collect(),
            };
            (name, value)
        })
        .collect()
}

/// Serves heads: answers each request with the next of `answers` and notes what it read.
async fn serve_heads(mut io: DuplexStream, answers: Vec<Fields>) -> Vec<Fields> {
    let mut core = http2::Core::new(http2::Limits::default(), &[], &[]);
    let mut connection = http2::Connection::<()>::new(0);
    let (mut out, mut buffer, mut seen) = (Vec::new(), vec![0; 1_000], Vec::new());
    connection.greet(&core, &mut out);
    loop {
        io.write_all(&out).await.unwrap();
        out.clear();
        let bytes = match io.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(bytes) => bytes,
        };
        let mut rest = &buffer[..bytes];
        while let Some(event) = connection.next(&mut rest, &mut core, &mut out).unwrap() {
            let Event::Head { stream, .. } = event else { continue };
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let fields =
                core.head.fields(&core.atoms).map(|(name, value)| (text(name), text(value)));
            let mut block = Vec::new();
            encode::status(&mut block, "200");
            for (name, value) in &answers[seen.len()] {
                encode::literal(&mut block, name.as_bytes(), value.as_bytes());
            }
            seen.push(fields.collect());
            connection.respond(stream, Block::Plain(&block), &mut core, &mut out);
        }
    }
    connection.release(&mut core).for_each(drop);
    core.atoms.sweep();
    assert_eq!(core.atoms.len(), 0);
    seen
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn heads_of_h2_are_read_and_ours_are_read_by_h2() {
    for seed in 0..20 {
        run(async move {
            let mut random = Seeded(seed);
            let sent: Vec<Fields> = (0..100).map(|_| random_fields(&mut random)).collect();
            let answers: Vec<Fields> = (0..100).map(|_| random_fields(&mut random)).collect();
            let (near, far) = tokio::io::duplex(4_096);
            let server = serve_heads(far, answers.clone());
            let client = async {
                let (mut send, connection) = client::handshake(near).await.unwrap();
                let calls = async move {
                    for (fields, expected) in sent.iter().zip(&answers) {
                        let mut request = Request::get("http://localhost/path");
                        for (name, value) in fields {
                            request = request.header(name, value);
                        }
                        send = send.ready().await.unwrap();
                        let (answer, _) =
                            send.send_request(request.body(()).unwrap(), true).unwrap();
                        let answer = answer.await.unwrap();
                        for (name, value) in expected {
                            let name = HeaderName::try_from(name).unwrap();
                            let value = HeaderValue::try_from(value).unwrap();
                            assert!(
                                answer.headers().get_all(&name).iter().any(|v| *v == value),
                                "seed {seed}"
                            );
                        }
                        assert_eq!(answer.headers().len(), expected.len(), "seed {seed}");
                    }
                    sent
                };
                let connection = async { drop(connection.await) };
                let (sent, ()) = tokio::join!(calls, connection);
                sent
            };
            let (seen, sent) = tokio::join!(server, client);
            let sorted = |mut fields: Fields| {
                // A header map keeps the order within a name only.
                fields.sort_by(|one, other| one.0.cmp(&other.0));
                fields
            };
            for (seen, sent) in seen.into_iter().zip(sent) {
                assert_eq!(sorted(seen), sorted(sent), "seed {seed}");
            }
        });
    }
}

/// Echoes unary messages; closes when the client does.
async fn serve_echo(mut io: DuplexStream) {
    let mut codec = Codec::new(limits());
    let mut connection = Connection::new(0);
    let (mut out, mut buffer, mut noted) = (Vec::new(), vec![0; 16_384], Noted::default());
    connection.greet(&mut codec, &mut out);
    loop {
        io.write_all(&out).await.unwrap();
        out.clear();
        let bytes = match io.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(bytes) => bytes,
        };
        let input = &buffer[..bytes];
        connection.receive(input, 0, &mut codec, &mut out, &mut noted).unwrap();
        for (stream, method, message) in noted.messages.drain(..) {
            let shared = Bytes::from(message);
            let message = Message { shared: Some(&shared), ..Message::default() };
            match method.kind {
                Kind::Unary => connection.reply(stream, message, &mut codec, &mut out),
                Kind::Bidi => connection.push(stream, message, &mut codec, &mut out),
            };
        }
        while connection.pending_bytes() > 0 {
            io.write_all(&out).await.unwrap();
            out.clear();
            connection.set_backlog(0, &mut codec, &mut out);
            if out.is_empty() {
                break; // The client's windows decide.
            }
        }
    }
    assert_eq!(connection.pending_bytes(), 0);
    connection.release(&mut codec);
}

async fn echo_call(mut send: client::SendRequest<Bytes>, seed: u64) {
    let mut random = Seeded(seed);
    let body: Vec<u8> = (0..random.below(200_000)).map(|_| random.next() as u8).collect();
    let request = Request::post("http://localhost/unary")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    send = send.ready().await.unwrap();
    let (answer, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
    let mut rest = Bytes::from(message(&body));
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len().min(1 + random.below(30_000)));
        let room = std::future::poll_fn(|task| stream.poll_capacity(task)).await.unwrap().unwrap();
        stream.send_data(rest.split_to(room.min(rest.len())), false).unwrap();
    }
    stream.send_data(Bytes::new(), true).unwrap();
    let mut answer = answer.await.unwrap().into_body();
    let mut received = Vec::new();
    while let Some(piece) = answer.data().await {
        let piece = piece.unwrap();
        received.extend_from_slice(&piece);
        answer.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert!(received == message(&body), "seed {seed}");
    let trailers = answer.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[test]
fn messages_survive_any_windows_and_pieces() {
    for seed in 0..6u64 {
        run(async move {
            let (near, far) = tokio::io::duplex(10_000);
            let client = async move {
                let mut builder = client::Builder::new();
                builder.initial_window_size(1_000 << seed);
                if seed % 2 == 1 {
                    builder.header_table_size(0);
                }
                let (send, connection) = builder.handshake::<_, Bytes>(near).await.unwrap();
                let calls = async move {
                    let calls = (0..10).map(|call| echo_call(send.clone(), seed * 100 + call));
                    let mut set = tokio::task::JoinSet::new();
                    for call in calls {
                        set.spawn(call);
                    }
                    while let Some(call) = set.join_next().await {
                        call.unwrap();
                    }
                };
                let ((), ()) = tokio::join!(calls, async { drop(connection.await) });
            };
            let ((), ()) = tokio::join!(serve_echo(far), client);
        });
    }
}
