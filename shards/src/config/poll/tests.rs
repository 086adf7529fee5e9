use super::*;
use crate::config::fixture::Centre;
use crate::config::open::{Call as ConfigCall, Of};
use crate::effect::Effect;
use crate::key::ConfigName;
use crate::message::Message;
use crate::naming::open::Call;
use crate::settings::Settings;

const MD5_OF_ONE: &str = "f97c5d29941bfb1b2fdab0874906ab82";

fn centre() -> Centre {
    Centre::new(Settings::default())
}

fn key(data_id: &str) -> ConfigKey {
    ConfigKey::new(ConfigName { data_id, group: "g", namespace: "public" })
}

fn want(data_id: &str, md5: &str) -> Want {
    Want { key: key(data_id), md5: md5.into(), with_tenant: false }
}

fn poll_of(wants: Vec<Want>) -> Poll {
    Poll { wants, client_ip: "192.0.2.2".into(), tag: None, hold_ms: Some(29_500) }
}

fn send(centre: &mut Centre, ticket: u32, call: ConfigCall) -> Vec<Effect> {
    centre.bench.handle(Message::Open { ticket, call: Call::Config(call) })
}

fn poll(centre: &mut Centre, ticket: u32, poll: Poll) -> Vec<(u32, Vec<String>)> {
    told(&send(centre, ticket, ConfigCall::Poll(Box::new(poll))))
}

/// Tickets answered, and the dataIds they were told.
fn told(effects: &[Effect]) -> Vec<(u32, Vec<String>)> {
    let of = |effect: &Effect| match effect {
        Effect::Answer { ticket, answer: Answer::Changed(changed) } => {
            let names = changed.iter().map(|changed| changed.name().data_id.to_owned());
            Some((*ticket, names.collect()))
        }
        Effect::Answer { answer, .. } => panic!("{answer:?}"),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

fn one(ticket: u32, data_id: &str) -> Vec<(u32, Vec<String>)> {
    vec![(ticket, vec![data_id.to_owned()])]
}

#[test]
fn what_differs_is_answered_at_once_and_the_rest_is_held() {
    let mut centre = centre();
    centre.publish("a", "one");
    // Nothing there and nothing said is the same; a stale md5, and none for what is there, differ.
    let wants = || vec![want("a", "stale"), want("b", ""), want("c", "old"), want("a", "")];
    let all = ["a", "c", "a"].map(str::to_owned).to_vec();
    assert_eq!(poll(&mut centre, 1, poll_of(wants())), [(1, all)]);
    let hasty = Poll { hold_ms: None, ..poll_of(vec![want("a", MD5_OF_ONE)]) };
    assert_eq!(poll(&mut centre, 2, hasty), [(2, vec![])]);
    let current = poll_of(vec![want("a", MD5_OF_ONE), want("b", "")]);
    assert_eq!(poll(&mut centre, 3, current), []);
    assert_eq!(centre.bench.home.polls.len(), 1);
    assert_eq!(centre.bench.home.counters.configs.polls, 3);
}

#[test]
fn a_change_answers_with_that_config_alone_and_once() {
    let mut centre = centre();
    assert_eq!(poll(&mut centre, 1, poll_of(vec![want("a", ""), want("b", "")])), []);
    assert_eq!(poll(&mut centre, 2, poll_of(vec![want("b", ""), want("b", "")])), []);
    assert_eq!(told(&centre.publish("other", "one")), []);
    assert_eq!(told(&centre.publish("a", "one")), one(1, "a"));
    assert_eq!(told(&centre.publish("b", "one")), one(2, "b"));
    assert_eq!(told(&centre.publish("b", "two")), []);
    assert!(centre.bench.home.polls.is_empty());
    let polls = &centre.bench.home.polls;
    assert!(polls.by_key.is_empty() && polls.by_ticket.is_empty() && polls.waits.is_empty());
    // Gone is a change as well.
    centre.publish("a", "one");
    assert_eq!(poll(&mut centre, 3, poll_of(vec![want("a", MD5_OF_ONE)])), []);
    assert_eq!(told(&centre.remove("a")), one(3, "a"));
}

/// The poll came after the tables were swapped and before this core was told.
#[test]
fn news_a_client_has_already_is_no_news() {
    let mut centre = centre();
    centre.publish("a", "one");
    assert_eq!(poll(&mut centre, 1, poll_of(vec![want("a", MD5_OF_ONE)])), []);
    centre.bench.home.polls.config_changed(&key("a"));
    assert_eq!(told(&centre.bench.drain()), []);
    assert!(!centre.bench.home.has_work());
    assert_eq!(centre.bench.home.polls.len(), 1);
}

#[test]
fn time_runs_out_half_a_second_early() {
    for (said, held) in [(30_000, 29_500), (1, 10_000), (-7, 10_000), (10_500, 10_000)] {
        assert_eq!(hold_ms(said, Switches::default()), held, "{said}");
    }
    let most = [i64::MIN, i64::MAX].map(|said| hold_ms(said, Switches::default()));
    assert_eq!(most, [10_000, POLL_MS_MAX]);
    let mut centre = centre();
    assert_eq!(poll(&mut centre, 1, poll_of(vec![want("a", "")])), []);
    // Longer than the wheel reaches.
    let long = Poll { hold_ms: Some(100_000), ..poll_of(vec![want("a", "")]) };
    assert_eq!(poll(&mut centre, 2, long), []);
    assert_eq!(told(&centre.bench.pass(29_499)), []);
    assert_eq!(told(&centre.bench.pass(48)), [(1, vec![])]);
    assert_eq!(told(&centre.bench.pass(70_400)), []);
    assert_eq!(told(&centre.bench.pass(64)), [(2, vec![])]);
    assert_eq!(told(&centre.publish("a", "one")), []);
}

#[test]
fn who_leaves_is_forgotten() {
    let mut centre = centre();
    poll(&mut centre, 1, poll_of(vec![want("a", "")]));
    poll(&mut centre, 2, poll_of(vec![want("a", "")]));
    assert_eq!(send(&mut centre, 1, ConfigCall::Leave), []);
    assert_eq!(send(&mut centre, 1, ConfigCall::Leave), []);
    assert_eq!(told(&centre.publish("a", "one")), one(2, "a"));
    assert_eq!(told(&centre.bench.pass(40_000)), [], "its time is nobody's");
}

#[test]
fn polls_see_what_their_client_would_be_served() {
    let mut centre = centre();
    centre.publish("a", "one");
    let tagged = Poll { tag: Some("t1".into()), ..poll_of(vec![want("a", MD5_OF_ONE)]) };
    let listed = Poll { client_ip: "10.0.0.1".into(), ..poll_of(vec![want("a", MD5_OF_ONE)]) };
    assert_eq!(poll(&mut centre, 1, poll_of(vec![want("a", MD5_OF_ONE)])), []);
    assert_eq!(poll(&mut centre, 2, tagged), []);
    assert_eq!(poll(&mut centre, 3, listed), []);
    let effects = centre.publish_with("a", "for one", r#""betaIps":"10.0.0.1""#);
    assert_eq!(told(&effects), one(3, "a"));
    let effects = centre.publish_with("a", "for a tag", r#""tag":"t1""#);
    assert_eq!(told(&effects), one(2, "a"));
    let odd = Poll { tag: Some("a b".into()), ..poll_of(vec![want("a", MD5_OF_ONE)]) };
    let refused = send(&mut centre, 4, ConfigCall::Poll(Box::new(odd)));
    assert!(matches!(&refused[..], [Effect::Answer { answer: Answer::Refused(refused), .. }]
        if refused.status == 400));
}

#[test]
fn a_crowd_is_answered_in_slices() {
    let mut centre = centre();
    let crowd = 2 * POLLS_PER_TURN_MAX as u32 + 10;
    for ticket in 0..crowd {
        poll(&mut centre, ticket, poll_of(vec![want("a", "")]));
    }
    let mut seen = told(&centre.publish("a", "one"));
    assert_eq!(seen.len(), POLLS_PER_TURN_MAX);
    // Another change within the round, a newcomer and one who leaves lose nobody.
    centre.bench.home.polls.config_changed(&key("a"));
    poll(&mut centre, crowd, poll_of(vec![want("a", MD5_OF_ONE)]));
    send(&mut centre, 0, ConfigCall::Leave);
    while centre.bench.home.has_work() {
        let more = told(&centre.bench.drain());
        assert!(more.len() <= POLLS_PER_TURN_MAX);
        seen.extend(more);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len() as u32, crowd - 1);
    assert_eq!(centre.bench.home.polls.len(), 1, "the newcomer has the news");
}

#[test]
fn polls_are_bounded() {
    let mut centre = centre();
    let status = |effects: &[Effect]| match effects {
        [Effect::Answer { answer: Answer::Refused(refused), .. }] => refused.status,
        other => panic!("{other:?}"),
    };
    for ticket in 0..POLLS_PER_CORE_MAX as u32 {
        assert_eq!(poll(&mut centre, ticket, poll_of(vec![want("a", "")])), []);
    }
    let call = || ConfigCall::Poll(Box::new(poll_of(vec![want("a", "")])));
    assert_eq!(status(&send(&mut centre, u32::MAX, call())), 503);
    assert_eq!(centre.bench.home.counters.configs.polls_refused, 1);
    send(&mut centre, 7, ConfigCall::Leave);
    assert_eq!(send(&mut centre, u32::MAX, call()), [], "a place came free");
    let full = &centre.bench.home.polls;
    assert!(!full.has_room(0));
    assert!(!Polls::new(RandomState::with_seed(7)).has_room(POLL_KEYS_PER_CORE_MAX + 1));
}

#[test]
fn a_stop_sends_everybody_on() {
    let mut centre = centre();
    for ticket in 0..3 {
        poll(&mut centre, ticket, poll_of(vec![want("a", ""), want("b", "")]));
    }
    let effects = centre.bench.handle(Message::Stopping);
    assert_eq!(told(&effects), [(0, vec![]), (1, vec![]), (2, vec![])]);
    assert_eq!(poll(&mut centre, 9, poll_of(vec![want("a", "")])), [(9, vec![])], "not held");
}

#[test]
fn before_the_log_was_replayed_nothing_is_said() {
    let mut centre = Centre::starting(Settings::default());
    let call = ConfigCall::Poll(Box::new(poll_of(vec![want("a", "")])));
    let effects = send(&mut centre, 1, call);
    assert!(matches!(&effects[..], [Effect::Answer { answer: Answer::Refused(refused), .. }]
        if refused.status == 503));
}

#[test]
fn records_become_names_or_the_references_refusal() {
    let rules = Rules::default();
    let given = wants("a\u{2}g\u{2}\u{1}b\u{2}g\u{2}m\u{2}dev\u{1}c\u{2}g\u{2}\u{2} \u{1}", &rules);
    let given = given.unwrap();
    let shown: Vec<_> = given
        .iter()
        .map(|want| (want.key.name().data_id, want.key.name().namespace, want.with_tenant))
        .collect();
    assert_eq!(shown, [("a", "public", false), ("b", "dev", true), ("c", "public", false)]);
    let refused = wants("nonsense", &rules).unwrap_err();
    assert_eq!(
        (refused.status, refused.plain, &*refused.text),
        (400, false, "invalid probeModify")
    );
    let refused = wants("a b\u{2}g\u{2}\u{1}", &rules).unwrap_err();
    assert!(refused.plain && refused.text.starts_with("Param 'dataId' is illegal"));
}

#[test]
fn polls_are_listeners_to_who_asks() {
    let mut centre = centre();
    centre.publish("a", "one");
    poll(&mut centre, 1, poll_of(vec![want("a", MD5_OF_ONE), want("b", "")]));
    let conn = centre.client_with(3, "192.0.2.3", &[]);
    centre.listen(conn, "a", "\"\"", MD5_OF_ONE);
    let found = |centre: &Centre, of: Of| match centre.bench.home.listeners_of(&of) {
        Answer::Listeners { cores: 2, mut found } => {
            found.sort();
            found
        }
        other => panic!("{other:?}"),
    };
    let pair = |name: &str, md5: &str| (name.to_owned(), md5.to_owned());
    let all = [pair("192.0.2.2", MD5_OF_ONE), pair("192.0.2.3", MD5_OF_ONE)];
    assert_eq!(found(&centre, Of::Config(key("a"))), all);
    let theirs = [pair("a+g+public", MD5_OF_ONE), pair("b+g+public", "")];
    assert_eq!(found(&centre, Of::Client("192.0.2.2".into())), theirs);
    let theirs = [pair("a+g+public", MD5_OF_ONE)];
    assert_eq!(found(&centre, Of::Client("192.0.2.3".into())), theirs);
}
