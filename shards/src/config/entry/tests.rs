use super::*;
use crate::config::answer::found;
use crate::config::gray::RULE_VERSION;

fn draft<'a>(content: &'a str, details: Details<'a>) -> Draft<'a> {
    let md5 = Md5::of(content);
    Draft { content, md5, id: 7, created_ms: 1, modified_ms: 1_795_264_950_755, details }
}

fn text(variant: &Variant) -> String {
    let found = found(variant);
    String::from_utf8(found.json.pieces().concat()).unwrap()
}

/// Member for member the samples' answers of Java 3.1.1.
#[test]
fn answers_are_the_reference_servers() {
    let details = Details { config_type: "yaml", ..Details::default() };
    let formal = Variant::new(&draft("a: v1 é\n", details), None);
    assert_eq!(
        text(&formal),
        "{\"resultCode\":200,\"errorCode\":0,\"content\":\"a: v1 é\\n\",\"encryptedDataKey\":\"\",\
         \"contentType\":\"yaml\",\"md5\":\"c32ab5951a0460cb3dd1724bdc4f00f2\",\
         \"lastModified\":1795264950755,\"beta\":false,\"success\":true}"
    );
    let rule = Rule { kind: RuleKind::Beta, expression: "192.0.2.2", priority: i32::MAX };
    let beta = Variant::new(&draft("a: beta\n", details), Some(rule));
    assert_eq!(
        text(&beta),
        "{\"resultCode\":200,\"errorCode\":0,\"content\":\"a: beta\\n\",\"contentType\":\"yaml\",\
         \"md5\":\"90b676d147f5e8084c80fe67109c44b1\",\"lastModified\":1795264950755,\
         \"beta\":true,\"success\":true}"
    );
    let rule = Rule { kind: RuleKind::Tag, expression: "t 1/é", priority: 0 };
    let details = Details { encrypted_data_key: "k\"", ..details };
    let tagged = Variant::new(&draft("x", details), Some(rule));
    assert!(text(&tagged).contains(",\"encryptedDataKey\":\"k\\\"\",\"contentType\""));
    assert!(text(&tagged).ends_with(",\"beta\":false,\"tag\":\"t+1%2F%C3%A9\",\"success\":true}"));
    assert_eq!(RULE_VERSION, "1.0.0");
}

#[test]
fn the_answer_keeps_the_content() {
    for content in ["x", "a\nb\t\"c\" \\ é\u{1}", "", &"key=value\n".repeat(1_000)] {
        let variant = Variant::new(&draft(content, Details::default()), None);
        assert_eq!(variant.content(), content);
        assert_eq!(variant.details(), Details::default());
    }
}

#[test]
fn the_first_rule_that_matches_wins() {
    use crate::key::ConfigName;
    let gray = |name: &str, kind, expression, priority| {
        let rule = Rule { kind, expression, priority };
        Gray::new(name, rule, &draft(name, Details::default()))
    };
    let mut grays = vec![
        gray("tag_b", RuleKind::Tag, "b", RuleKind::Tag.priority()),
        gray("z", RuleKind::Tag, "b", RuleKind::Tag.priority()),
        gray("beta", RuleKind::Beta, "10.0.0.1", RuleKind::Beta.priority()),
        gray("a", RuleKind::Tag, "a", RuleKind::Tag.priority()),
    ];
    sort(&mut grays);
    let name = ConfigName { data_id: "d", group: "g", namespace: "public" };
    let formal = Variant::new(&draft("formal", Details::default()), None);
    let entry = Entry { key: ConfigKey::new(name), formal: Some(formal), grays: grays.into() };
    let seen = |client_ip, tag| {
        let seen = entry.seen_by(Labels { client_ip, tag }).expect("there is a formal one");
        seen.content().into_owned()
    };
    assert_eq!(seen("10.0.0.1", None), "beta");
    assert_eq!(seen("10.0.0.1", Some("a")), "beta");
    assert_eq!(seen("10.0.0.2", Some("a")), "a");
    assert_eq!(seen("10.0.0.2", Some("b")), "tag_b");
    assert_eq!(seen("10.0.0.2", Some("c")), "formal");
    assert_eq!(seen("10.0.0.2", None), "formal");
}
