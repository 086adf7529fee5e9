use super::*;
use nacre_proto::request::{Kind, Request};

const NOW: Now = Now { tick_ms: 1, unix_ms: 1_795_264_950_755 };

fn asker() -> Asker<'static> {
    Asker { client_ip: "192.0.2.2", user: "", now: NOW }
}

/// What a publish with this body comes to; the command's bytes, or the refusal's code and text.
fn publish_of(json: &str, rules: &Rules) -> Result<Bytes, (i32, String)> {
    let request = Request::parse(Kind::ConfigPublish, json.as_bytes()).unwrap().unwrap();
    let Request::ConfigPublish(request) = request else { panic!("{request:?}") };
    publish(&request, rules, asker()).map_err(|fault| {
        let refusal = Refusal::from(fault);
        assert!(refusal.typed && refusal.result_code == RESULT_FAIL, "{refusal:?}");
        (refusal.error_code, refusal.message.into_owned())
    })
}

fn accepted(json: &str) -> Bytes {
    publish_of(json, &Rules::default()).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn body(members: &str) -> String {
    format!("{{\"dataId\":\"d\",\"group\":\"g\",\"content\":\"c\",\"additionMap\":{{{members}}}}}")
}

#[test]
fn a_publish_becomes_its_command() {
    let json = r#"{"headers":{},"dataId":"j31.yaml","group":"DEFAULT_GROUP","tenant":"",
        "content":"a: v2\n","casMd5":"c32ab5951a0460cb3dd1724bdc4f00f2",
        "additionMap":{"encryptedDataKey":"","type":"yaml","appName":"shop","src_user":null,
        "config_tags":"x,y","desc":"about","use":"u","effect":"e","schema":"s"},"module":"config"}"#;
    let bytes = accepted(json);
    let Ok(Command::Publish(publish)) = Command::decode(&bytes) else { panic!("{bytes:?}") };
    let name = ConfigName { data_id: "j31.yaml", group: "DEFAULT_GROUP", namespace: "public" };
    assert_eq!((publish.name, publish.gray), (name, None));
    assert_eq!(publish.cas_md5, "c32ab5951a0460cb3dd1724bdc4f00f2");
    assert!(publish.md5.is("3dbe5484f30f9119f04f7bd20bb62434"));
    assert_eq!((publish.content, publish.at_ms), ("a: v2\n", NOW.unix_ms));
    assert_eq!(publish.limits, Rules::default().limits());
    let details = Details {
        config_type: "yaml",
        encrypted_data_key: "",
        app_name: "shop",
        tags: "x,y",
        description: "about",
        usage: "u",
        effect: "e",
        schema: "s",
        source_user: "",
        source_ip: "192.0.2.2",
    };
    assert_eq!(publish.details, details);
}

/// `config.md` 3.3, and the blanks of Go and Python.
#[test]
fn what_kind_of_publish_it_is() {
    let table = [
        (r#""tag":"","betaIps":"""#, None),
        (r#""tag":" ","betaIps":null"#, None),
        (r#""betaIps":"10.0.0.1,10.0.0.2""#, Some(("beta", "10.0.0.1,10.0.0.2", i32::MAX))),
        (r#""tag":"t1""#, Some(("tag_t1", "t1", i32::MAX - 1))),
        (r#""tag":"t1","betaIps":"10.0.0.1""#, Some(("beta", "10.0.0.1", i32::MAX))),
    ];
    for (members, expected) in table {
        let bytes = accepted(&body(members));
        let Ok(Command::Publish(publish)) = Command::decode(&bytes) else { panic!("{bytes:?}") };
        let gray = publish.gray.map(|gray| (gray.name, gray.rule.expression, gray.rule.priority));
        assert_eq!(gray, expected, "{members}");
    }
}

#[test]
fn tenants_mean_public_unless_they_say_something() {
    for (tenant, expected) in
        [("null", "public"), (r#""""#, "public"), (r#"" ""#, "public"), (r#""dev""#, "dev")]
    {
        let json = format!(r#"{{"dataId":"d","group":"g","tenant":{tenant},"content":"c"}}"#);
        let bytes = accepted(&json);
        let Ok(Command::Publish(publish)) = Command::decode(&bytes) else { panic!("{bytes:?}") };
        assert_eq!(publish.name.namespace, expected);
    }
}

/// `config.md` 3.2, text by text; before them the parameter check.
#[test]
fn refusals_have_the_references_texts() {
    let long = |units: usize| "x".repeat(units);
    let table = [
        (r#"{"group":"g","content":"c"}"#.to_owned(), 400, "invalid dataId : null"),
        (r#"{"dataId":" ","group":"g","content":"c"}"#.to_owned(), 400, "invalid dataId :  "),
        (r#"{"dataId":"d","content":"c"}"#.to_owned(), 400, "invalid group : null"),
        (r#"{"dataId":"d","group":"g"}"#.to_owned(), 400, "content is blank : null"),
        (r#"{"dataId":"d","group":"g","content":" \n"}"#.to_owned(), 400, "content is blank :  \n"),
        (body(r#""tag":"a b""#), 500, "invalid tag : a b"),
        (body(r#""tag":"12345678901234567""#), 500, "too long tag, over 16"),
        (body(r#""config_tags":"1,2,3,4,5,6""#), 500, "too much config_tags, over 5"),
        (body(&format!(r#""config_tags":"1,{}""#, long(65))), 500, "too long tag, over 64"),
        (body(&format!(r#""desc":"{}""#, long(129))), 500, "too long desc, over 128"),
        (body(&format!(r#""use":"{}""#, long(33))), 500, "too long use, over 32"),
        (body(&format!(r#""effect":"{}""#, long(33))), 500, "too long effect, over 32"),
        (body(&format!(r#""type":"{}""#, long(33))), 500, "too long type, over 32"),
        (body(&format!(r#""schema":"{}""#, long(32_769))), 500, "too long schema, over 32768"),
        (
            r#"{"dataId":"déjà","group":"g","content":"c"}"#.to_owned(),
            400,
            "Param check invalid:Param 'dataId' is illegal, illegal characters should not appear \
             in the param.",
        ),
        (
            format!(r#"{{"dataId":"{}","group":"g","content":"c"}}"#, long(257)),
            400,
            "Param check invalid:Param 'dataId' is illegal, the param length should not exceed 256.",
        ),
        (
            r#"{"dataId":"d","group":"g","tenant":"a.b","content":"c"}"#.to_owned(),
            400,
            "Param check invalid:Param 'namespaceId/tenant' is illegal, illegal characters should \
             not appear in the param.",
        ),
    ];
    for (json, code, text) in table {
        let refusal = publish_of(&json, &Rules::default()).unwrap_err();
        assert_eq!((refusal.0, refusal.1.as_str()), (code, text), "{json:.80}");
    }
    let at_limit = body(&format!(r#""desc":"{}","use":"{}""#, long(128), long(32)));
    accepted(&at_limit);
}

#[test]
fn without_the_parameter_check_the_handlers_own_stays() {
    let rules = Rules { param_check: false, ..Rules::default() };
    let json = |data_id: &str| format!(r#"{{"dataId":"{data_id}","group":"g","content":"c"}}"#);
    assert!(publish_of(&json("déjà"), &rules).is_ok(), "letters are letters");
    let refused = |data_id: &str| publish_of(&json(data_id), &rules).unwrap_err();
    assert_eq!(refused("a+b"), (400, "invalid dataId : a+b".to_owned()));
    assert_eq!(refused("😀"), (400, "invalid dataId : 😀".to_owned()));
    assert_eq!(refused(&"x".repeat(70_000)).0, 400);
}

#[test]
fn content_is_counted_as_java_counts() {
    let rules = Rules { content_units_max: 4, ..Rules::default() };
    let json = |content: &str| format!(r#"{{"dataId":"d","group":"g","content":"{content}"}}"#);
    for fits in ["1234", "éééé", "😀😀"] {
        assert!(publish_of(&json(fits), &rules).is_ok(), "{fits}");
    }
    for long in ["12345", "😀😀x"] {
        let refusal = publish_of(&json(long), &rules).unwrap_err();
        assert_eq!(refusal, (400, "invalid content, over 4".to_owned()));
    }
}

#[test]
fn a_removal_becomes_its_command() {
    let json = br#"{"dataId":"d","group":"g","tenant":"dev","tag":"t1"}"#;
    let request = Request::parse(Kind::ConfigRemove, json).unwrap().unwrap();
    let Request::ConfigRemove(request) = request else { panic!("{request:?}") };
    let bytes = remove(&request, &Rules::default(), asker()).unwrap();
    let Ok(Command::Remove(remove)) = Command::decode(&bytes) else { panic!("{bytes:?}") };
    assert_eq!((remove.gray, remove.name.namespace, remove.source_ip), ("t1", "dev", "192.0.2.2"));
}

#[test]
fn the_tag_of_a_listen_is_thrown_over() {
    assert_eq!(listen_tag(None), Ok(None));
    assert_eq!(listen_tag(Some(" ")), Ok(None));
    assert_eq!(listen_tag(Some("t1")), Ok(Some("t1")));
    let refusal = listen_tag(Some("12345678901234567")).unwrap_err();
    assert_eq!((refusal.typed, refusal.error_code), (false, 500));
}
