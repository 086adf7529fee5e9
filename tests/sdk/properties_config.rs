//! What must hold for every SDK's config client. Each function is one test with a server of its
//! own.

use std::time::{Duration, Instant};

use nacre_loadgen::client::{Client, Profile};
use serde_json::{Value, json};

use crate::judge::{GROUP, Judge, is_here};
use crate::server::{Server, http_get};

/// Lowercase hex MD5 of the content "one".
const MD5_OF_ONE: &str = "f97c5d29941bfb1b2fdab0874906ab82";
/// An address no SDK here says it has.
const ELSEWHERE: &str = "192.0.2.77";
/// Rust looks every 60 s for what to listen to again.
const LISTENS_WITHIN: Duration = Duration::from_secs(100);

/// Go's config client loses a listen or a notification now and then: it writes its cache from two
/// goroutines without a lock. Each try has a server and clients of its own.
const GO_TRIES: u32 = 3;

/// What the Rust SDK keeps from its users, on any server: the first content of a config that
/// did not exist when they began to listen, and removals.
fn tells_first_and_last(sdk: &str) -> bool {
    !sdk.starts_with("rust")
}

/// Publish, get, compare-and-swap, listen (to a config that is not there yet, too), beta, remove;
/// then the server is killed, and what was published is there, listeners are told again, and all
/// of it works again on the same clients.
pub fn lives_and_outlives_a_crash(sdk: &str) {
    let mut tries_left = if sdk.starts_with("go") { GO_TRIES } else { 1 };
    loop {
        tries_left -= 1;
        match std::panic::catch_unwind(|| whole_life(sdk)) {
            Ok(()) => return,
            Err(why) if tries_left == 0 => std::panic::resume_unwind(why),
            Err(_) => eprintln!("{sdk}: once more, with a new server"),
        }
    }
}

fn whole_life(sdk: &str) {
    let mut server = Server::start();
    let mut clients = Clients {
        writer: Judge::connect_config(sdk, &server),
        listener: Judge::connect_config(sdk, &server),
        tells_first_and_last: tells_first_and_last(sdk),
    };
    clients.live(&server, "first-life", 1);
    if sdk.starts_with("java") {
        says_metrics(&server, &clients.writer.address());
    }
    clients.writer.publish("kept", "before the crash");
    clients.listener.listen("kept");
    until_listeners(&server, 2);

    server.kill();
    if sdk == "python-2.0.11" {
        // See `properties::redoes_after_an_outage_it_noticed`.
        clients.writer.notices_the_outage();
        clients.listener.notices_the_outage();
    }
    server.start_again();

    assert_eq!(elsewhere(&server).get("kept").as_deref(), Some("before the crash"));
    clients.writer.get_until("kept", "before the crash");
    until_listeners(&server, 2);
    clients.writer.publish_at_last("kept", "after the crash");
    clients.listener.told_content("kept", Some("after the crash"));
    clients.live(&server, "second-life", 3);
}

/// Asked by an operator, Java's clients say how they are; one that does not within the second is
/// asked again.
fn says_metrics(server: &Server, address: &str) {
    let path = format!("/nacos/v3/admin/cs/metrics/ip?ip={address}");
    let deadline = Instant::now() + LISTENS_WITHIN;
    loop {
        let page = http_get(server.http_port(), &path).unwrap_or_default();
        let json = page.find('{').map_or("", |at| &page[at..]);
        let told: Value = serde_json::from_str(json).unwrap_or_default();
        if told["data"].as_object().is_some_and(|metrics| !metrics.is_empty()) {
            return;
        }
        assert!(Instant::now() < deadline, "nothing said: {page}");
    }
}

struct Clients {
    writer: Judge,
    listener: Judge,
    tells_first_and_last: bool,
}

impl Clients {
    /// The life of one config; with it the server has so many listeners.
    fn live(&mut self, server: &Server, data_id: &str, listeners: u64) {
        let Self { writer, listener, .. } = self;
        let settled = || until_listens_rest(server);
        assert_eq!(writer.get(data_id), None);
        listener.listen(data_id);
        until_listeners(server, listeners);

        settled();
        writer.publish(data_id, "one");
        assert_eq!(writer.get(data_id).as_deref(), Some("one"));
        writer.finds(data_id);
        if self.tells_first_and_last {
            listener.told_content(data_id, Some("one"));
        }
        settled();
        assert!(writer.publish_after(data_id, MD5_OF_ONE, "two"), "it is still what it was");
        listener.told_content(data_id, Some("two"));
        assert!(!writer.publish_after(data_id, MD5_OF_ONE, "three"), "it has changed since");
        assert_eq!(writer.get(data_id).as_deref(), Some("two"));

        self.show_beta(server, data_id);

        let Self { writer, listener, .. } = self;
        until_listens_rest(server);
        writer.remove(data_id);
        if self.tells_first_and_last {
            listener.told_content(data_id, None);
        }
        assert_eq!(writer.get(data_id), None);
    }

    /// Only the listed address sees the beta, and sees it go.
    fn show_beta(&mut self, server: &Server, data_id: &str) {
        let Self { writer, listener, .. } = self;
        let elsewhere = elsewhere(server);
        let address = writer.address();
        assert_ne!(address, ELSEWHERE);

        until_listens_rest(server);
        elsewhere.publish_beta(writer, data_id, &address, "for you alone");
        listener.told_content(data_id, Some("for you alone"));
        assert_eq!(writer.get(data_id).as_deref(), Some("for you alone"));
        assert_eq!(elsewhere.get(data_id).as_deref(), Some("two"));

        until_listens_rest(server);
        elsewhere.publish_beta(writer, data_id, ELSEWHERE, "for others");
        listener.told_content(data_id, Some("two"));
        assert_eq!(writer.get(data_id).as_deref(), Some("two"));
        assert_eq!(elsewhere.get(data_id).as_deref(), Some("for others"));

        elsewhere.remove_beta(data_id);
        assert_eq!(elsewhere.get(data_id).as_deref(), Some("two"));
    }
}

/// A fuzzy watch is told of configs that are there, come and go, and of what comes after a crash.
pub fn watches_patterns(sdk: &str) {
    let mut server = Server::start();
    let mut writer = Judge::connect_config(sdk, &server);
    let mut watcher = Judge::connect_config(sdk, &server);
    writer.publish("watched-before", "here");
    writer.publish("other", "not meant");
    watcher.fuzzy_watch("watched-*");
    watcher.told_change("watched-before", "ADD_CONFIG");
    writer.publish("watched-later", "here");
    watcher.told_change("watched-later", "ADD_CONFIG");
    writer.remove("watched-before");
    watcher.told_change("watched-before", "DELETE_CONFIG");

    server.kill();
    server.start_again();
    writer.publish_at_last("watched-after", "here");
    watcher.told_change("watched-after", "ADD_CONFIG");
    writer.remove("watched-later");
    watcher.told_change("watched-later", "DELETE_CONFIG");
}

/// 3.x calls the default namespace `public`, 2.x leaves it empty: each is told of the other's
/// publish, also for a config that neither found when it began to listen.
pub fn spells_the_default_namespace_either_way(three: &str) {
    let two = "java-2.5.1";
    if !is_here(two) {
        return;
    }
    let server = Server::start();
    let mut three = Judge::connect_config(three, &server);
    let mut two = Judge::connect_config(two, &server);
    three.listen("shared");
    two.listen("shared");
    until_listeners(&server, 2);
    for (writer, content) in [(true, "of the new"), (false, "of the old")] {
        if writer {
            three.publish("shared", content)
        } else {
            two.publish("shared", content)
        }
        for reader in [&mut three, &mut two] {
            reader.told_content("shared", Some(content));
            assert_eq!(reader.get("shared").as_deref(), Some(content));
        }
    }
    two.remove("shared");
    three.told_content("shared", None);
    two.told_content("shared", None);
    two.publish("shared", "again");
    three.told_content("shared", Some("again"));
}

/// Waits until so many listens are with the server: SDKs begin theirs when they please, Go up to
/// 5 s late.
fn until_listeners(server: &Server, wanted: u64) {
    let deadline = Instant::now() + LISTENS_WITHIN;
    let wanted = format!("nacre_config_listeners {wanted}");
    loop {
        let page = http_get(server.http_port(), "/nacos/metrics").unwrap_or_default();
        if page.lines().any(|line| line == wanted) {
            return;
        }
        let found = page.lines().find(|line| line.starts_with("nacre_config_listeners "));
        assert!(Instant::now() < deadline, "{found:?}, wanted {wanted}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until no SDK has listened for a while. Go loses a notification that meets a listen of its
/// own: both write its cache whole, without a lock.
fn until_listens_rest(server: &Server) {
    const REST: Duration = Duration::from_millis(400);
    let listens = || {
        let page = http_get(server.http_port(), "/nacos/metrics").unwrap_or_default();
        page.lines().find(|line| line.starts_with("nacre_config_listens")).map(str::to_owned)
    };
    let deadline = Instant::now() + LISTENS_WITHIN;
    let mut last = listens();
    let mut since = Instant::now();
    while since.elapsed() < REST {
        assert!(Instant::now() < deadline, "{last:?} does not rest");
        std::thread::sleep(Duration::from_millis(50));
        let now = listens();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
}

/// Our own client at another address: sees what a beta hides, and makes betas for SDKs that have
/// no call for it.
struct Elsewhere(Client);

fn elsewhere(server: &Server) -> Elsewhere {
    let profile = Profile { client_ip: ELSEWHERE.to_owned(), ..Profile::module("config") };
    let mut client = Client::connect(server.grpc_address(), profile).expect("connect");
    client.set_call_timeout(LISTENS_WITHIN);
    Elsewhere(client)
}

impl Elsewhere {
    fn ask(&self, kind: &str, body: &Value) -> Value {
        let answer = self.0.call_raw(kind, body.to_string().as_bytes(), &[]).expect("an answer");
        answer.json().expect("answers are JSON")
    }

    fn get(&self, data_id: &str) -> Option<String> {
        let body = json!({"dataId": data_id, "group": GROUP, "tenant": ""});
        let found = self.ask("ConfigQueryRequest", &body);
        match found["errorCode"].as_i64() {
            Some(0) => Some(found["content"].as_str().expect("content").to_owned()),
            Some(300) => None,
            _ => panic!("{found}"),
        }
    }

    fn publish_beta(&self, sdk: &mut Judge, data_id: &str, addresses: &str, content: &str) {
        if sdk.publish_beta(data_id, addresses, content) {
            return;
        }
        let body = json!({
            "dataId": data_id, "group": GROUP, "tenant": "", "content": content,
            "additionMap": {"betaIps": addresses},
        });
        assert_eq!(self.ask("ConfigPublishRequest", &body)["resultCode"], 200);
    }

    fn remove_beta(&self, data_id: &str) {
        let body = json!({"dataId": data_id, "group": GROUP, "tenant": "", "tag": "beta"});
        assert_eq!(self.ask("ConfigRemoveRequest", &body)["resultCode"], 200);
    }
}
