use super::*;
use nacre_proto::request::Kind as Type;

/// What a body of this type asks for, as the reference writes it; `None` is free.
fn needed(kind: Type, body: &str) -> Option<(Action, String)> {
    let request = Request::parse(kind, body.as_bytes()).unwrap().unwrap();
    needs(&request).map(|(action, resource)| (action, shown(resource)))
}

fn shown(resource: Resource<'_>) -> String {
    match resource {
        Resource::Of { namespace, group, kind, name } => {
            format!("{namespace}:{group}:{kind:?}/{name}")
        }
        Resource::Named(name) => name.to_owned(),
    }
}

const NAMING: &str = r#"{"namespace":"n","groupName":"g","serviceName":"s","type":"t"}"#;
const CONFIG: &str = r#"{"tenant":"n","group":"g","dataId":"d"}"#;
const WATCH: &str = r#"{"groupKeyPattern":"n>>g>>d*","namespace":"other","watchType":"WATCH"}"#;
const LISTEN: &str = r#"{"configListenContexts":[{"tenant":"n","group":"g","dataId":"d"},
    {"tenant":"m","group":"g","dataId":"e"}]}"#;

/// One row for each type of request there is.
#[test]
fn every_type_has_its_row() {
    let read = |text: &str| Some((Action::Read, text.to_owned()));
    let write = |text: &str| Some((Action::Write, text.to_owned()));
    let mut rows = 0;
    for (kind, body, expected) in [
        (Type::HealthCheck, "{}", None),
        (Type::Instance, NAMING, write("n:g:Naming/s")),
        (Type::PersistentInstance, NAMING, write("n:g:Naming/s")),
        (Type::BatchInstance, NAMING, write("n:g:Naming/s")),
        (Type::ServiceQuery, NAMING, read("n:g:Naming/s")),
        (Type::SubscribeService, NAMING, read("n:g:Naming/s")),
        (Type::ServiceList, NAMING, read("n:g:Naming/")),
        (Type::NamingFuzzyWatch, WATCH, read("n:g:Naming/")),
        (Type::ConfigPublish, CONFIG, write("n:g:Config/d")),
        (Type::ConfigQuery, CONFIG, read("n:g:Config/d")),
        (Type::ConfigRemove, CONFIG, write("n:g:Config/d")),
        (Type::ConfigBatchListen, LISTEN, read("n:g:Config/d")),
        (Type::ConfigFuzzyWatch, WATCH, read("n:g:Config/")),
    ] {
        assert_eq!(needed(kind, body), expected, "{kind:?}");
        rows += 1;
    }
    assert_eq!(rows, Type::ALL.iter().filter(|kind| kind.has_request()).count());
}

#[test]
fn patterns_of_watches_are_all_they_can_match() {
    for (pattern, expected) in [
        ("n>>*>>*", "n::Naming/"),
        ("n>>g>>s", "n:g:Naming/s"),
        ("n>>g*>>s", "n::Naming/s"),
        ("n", "n::Naming/"),
        ("", "::Naming/"),
    ] {
        assert_eq!(shown(watched(pattern, Kind::Naming)), expected, "{pattern}");
    }
}

#[test]
fn a_listen_keeps_what_it_may() {
    let mut request = Request::parse(Type::ConfigBatchListen, LISTEN.as_bytes()).unwrap().unwrap();
    let of = |wanted: &'static str| {
        move |resource: &Resource<'_>| {
            let Resource::Of { namespace, .. } = resource else { return false };
            *namespace == wanted
        }
    };
    assert!(retain(&mut request, of("m")));
    let Request::ConfigBatchListen(listen) = &request else { panic!("it stays a listen") };
    let left = listen.contexts.as_ref().unwrap();
    assert_eq!((left.len(), left[0].data_id.as_deref()), (1, Some("e")));
    assert!(!retain(&mut request, of("n")), "nothing is left");
    let empty = br#"{"configListenContexts":[]}"#;
    let mut request = Request::parse(Type::ConfigBatchListen, empty).unwrap().unwrap();
    assert!(retain(&mut request, |_| false), "there was nothing to lose");
}
