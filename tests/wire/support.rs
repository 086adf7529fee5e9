//! What every property needs: a server, clients, metrics, waits with an end.

use crate::server::{Server, http_get};
use nacre::front::open::route::Verb;
use nacre_loadgen::client::{Answer, Client, ClientError, Profile, ServiceName};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Ends a wait for what must come; generous, since all tests share two cores.
pub const WAIT: Duration = Duration::from_secs(15);
/// How long "nothing comes" is watched: six times what a push needs on a busy machine.
pub const QUIET: Duration = Duration::from_millis(300);
/// The server counts from the turn in which something came, in whole milliseconds: what it holds
/// back for a time may come so much sooner.
const GRAIN: Duration = Duration::from_millis(20);

/// What was held back came no sooner than it should.
pub fn assert_lasted(took: Duration, least: Duration) {
    assert!(took + GRAIN >= least, "{took:?}, not {least:?}");
}
/// Between two looks at something no channel tells.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A server with default settings, shared by the tests that run at the moment and killed by the
/// last of them. Tests name their services after themselves, so they do not meet.
pub fn shared_server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    })
}

/// A Java naming client, set up; patient, since the machine is busy.
pub fn client(server: &Server) -> Client {
    client_as(server, Profile::default())
}

/// The same as somebody else.
pub fn client_as(server: &Server, profile: Profile) -> Client {
    let mut client = Client::connect(server.grpc_address(), profile).expect("connect");
    client.set_call_timeout(WAIT);
    client
}

/// A transport that never opens a stream: only unary calls.
pub fn stranger(server: &Server) -> Client {
    client_as(server, Profile { setup: false, ..Profile::default() })
}

/// A service nobody else in this process uses.
pub fn service(name: &str) -> ServiceName {
    ServiceName::public(name)
}

/// An answer's type, `resultCode` and `errorCode`, and its text.
pub fn outcome(answer: &Answer) -> (String, i64, i64, String) {
    let body = answer.json().expect("answers are JSON");
    let number = |key: &str| body[key].as_i64().expect("a number");
    let text = body["message"].as_str().unwrap_or_default().to_owned();
    (answer.kind.clone(), number("resultCode"), number("errorCode"), text)
}

/// The same as expected by a test.
pub fn wanted(kind: &str, result: i64, error: i64, text: &str) -> (String, i64, i64, String) {
    (kind.to_owned(), result, error, text.to_owned())
}

/// One unary call with a JSON body.
pub fn call(client: &Client, kind: &str, body: &Value) -> Answer {
    client.call_raw(kind, body.to_string().as_bytes(), &[]).expect("an answer")
}

/// Polls a condition until it holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {WAIT:?}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The metrics page.
pub fn metrics(server: &Server) -> String {
    http_get(server.http_port(), "/nacos/actuator/prometheus").expect("the metrics page")
}

/// One series by its full name, labels included; 0 when it is not there.
pub fn metric(server: &Server, series: &str) -> f64 {
    let page = metrics(server);
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

/// Waits until a series is at least `least`; cores report ten times a second.
pub fn until_metric(server: &Server, series: &str, least: f64) {
    until(series, || metric(server, series) >= least);
}

/// A series when it has stood still for ten reports.
pub fn settled(server: &Server, series: &str) -> f64 {
    let mut last = metric(server, series);
    until(series, || {
        std::thread::sleep(Duration::from_secs(1));
        let before = std::mem::replace(&mut last, metric(server, series));
        before == last
    });
    last
}

/// Who does not read for less than this is not given up: silence is asked about after 20 s, held
/// output ends a connection after 30 s.
pub const BORNE: Duration = Duration::from_secs(19);

/// A client that reads again after it was `paused` gets the final state, or, paused for longer than
/// [`BORNE`], may have been given up.
pub fn final_state_or_ejected(client: &Client, paused: Instant, port: i64) {
    let paused = paused.elapsed();
    client.resume_reading();
    let last =
        client.wait_service(WAIT, |info| info.hosts.first().is_some_and(|host| host.port == port));
    match last {
        Ok(_) => {}
        Err(ClientError::Closed(_)) if paused > BORNE => {}
        Err(error) => panic!("paused for {paused:?}: {error}"),
    }
}

/// The methods a row of the HTTP table answers.
pub fn methods(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Get => &["GET"],
        Verb::Post => &["POST"],
        Verb::Put => &["PUT"],
        Verb::Delete => &["DELETE"],
        Verb::Patch => &["PATCH"],
        Verb::Any => &["GET", "POST", "PUT", "DELETE"],
    }
}
