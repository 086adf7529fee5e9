use super::*;

type Holds = fn(&Switches) -> bool;

#[test]
fn every_entry_its_bounds_and_its_field() {
    let table: &[(&str, &str, Holds)] = &[
        ("distroThreshold", "0.5", |s| s.distro_threshold == 0.5),
        ("clientBeatInterval", "7000", |s| s.client_beat_interval_ms == 7_000),
        ("pushVersion", "java:1.2.3", |s| &*s.push_versions[1] == "1.2.3"),
        ("pushVersion", "csharp:2.0.0", |s| &*s.push_versions[4] == "2.0.0"),
        ("pushCacheMillis", "10000", |s| s.push_cache_ms == Some(10_000)),
        ("defaultCacheMillis", "1000", |s| s.default_cache_ms == 1_000),
        ("masters", "a,b", |s| s.masters.as_deref() == Some("a,b")),
        ("masters", "", |s| s.masters.is_none()),
        ("distro", "false", |s| !s.distro_enabled),
        ("check", "FALSE", |s| !s.health_check_enabled),
        ("check", "True", |s| s.health_check_enabled),
        ("pushEnabled", "no", |s| !s.push_enabled),
        ("serviceStatusSynchronizationPeriodMillis", "5000", |s| {
            s.service_status_period_ms == 5_000
        }),
        ("serverStatusSynchronizationPeriodMillis", "1000", |s| s.server_status_period_ms == 1_000),
        ("healthCheckTimes", "5", |s| s.check_times == 5),
        ("healthCheckTimes", "-1", |s| s.check_times == 1),
        ("disableAddIP", "true", |s| s.disable_add_ip),
        ("sendBeatOnly", "true", |s| s.send_beat_only),
        ("enableStandalone", "false", |s| !s.enable_standalone),
        ("limitedUrlMap", "/a:403, /b:500", |s| {
            *s.limited_urls == [("/a".into(), 403), ("/b".into(), 500)]
        }),
        ("limitedUrlMap", "", |s| s.limited_urls.is_empty()),
        ("tcpHealthParams", r#"{"max":3000,"min":500,"factor":0}"#, |s| {
            s.tcp == Pace { max_ms: 3_000, min_ms: 500, factor: 0.0 }
        }),
        ("httpHealthParams", r#"{"max":3000,"min":9000,"factor":1}"#, |s| s.http.max_ms == 9_000),
        ("mysqlHealthParams", r#"{"max":3000,"min":500,"factor":0.5}"#, |s| s.mysql.min_ms == 500),
        ("overriddenServerStatus", "READ_ONLY", |s| s.overridden_status == Some("READ_ONLY")),
        ("overriddenServerStatus", "null", |s| s.overridden_status.is_none()),
        ("defaultInstanceEphemeral", "false", |s| !s.default_instance_ephemeral),
        ("distroServerExpiredMillis", "1", |s| s.distro_server_expired_ms == 1),
        ("lightBeatEnabled", "false", |s| !s.light_beat_enabled),
        ("autoChangeHealthCheckEnabled", "false", |s| !s.auto_change_health_check_enabled),
        ("batch", "x", |s| *s == Switches::default()),
        ("doubleWriteEnabled", "x", |s| *s == Switches::default()),
    ];
    for (entry, value, holds) in table {
        let mut switches = Switches::default();
        assert_eq!(switches.set(entry, value), Ok(()), "{entry}={value}");
        assert!(holds(&switches), "{entry}={value}: {switches:?}");
    }
}

#[test]
fn values_that_are_refused_change_nothing() {
    let long = "x".repeat(SWITCH_VALUE_BYTES_MAX + 1);
    let table: &[(&str, &str)] = &[
        ("", "1"),
        ("unheardOf", "1"),
        ("distroThreshold", "0"),
        ("distroThreshold", "-1"),
        ("distroThreshold", "NaN"),
        ("distroThreshold", "much"),
        ("clientBeatInterval", "0"),
        ("clientBeatInterval", "5s"),
        ("pushVersion", "java"),
        ("pushVersion", "cobol:1.0.0"),
        ("pushVersion", "java:1.0"),
        ("pushVersion", "java:1..0"),
        ("pushCacheMillis", "9999"),
        ("defaultCacheMillis", "999"),
        ("serviceStatusSynchronizationPeriodMillis", "4999"),
        ("serverStatusSynchronizationPeriodMillis", "999"),
        ("healthCheckTimes", "three"),
        ("limitedUrlMap", "/a"),
        ("limitedUrlMap", ":403"),
        ("limitedUrlMap", "/a:200"),
        ("limitedUrlMap", "/a:99"),
        ("tcpHealthParams", ""),
        ("tcpHealthParams", "null"),
        ("tcpHealthParams", r#"{"max":2999,"min":500,"factor":0.5}"#),
        ("tcpHealthParams", r#"{"max":3000,"min":499,"factor":0.5}"#),
        ("tcpHealthParams", r#"{"max":3000,"min":500,"factor":1.1}"#),
        ("tcpHealthParams", r#"{"max":3000,"min":500,"factor":"NaN"}"#),
        ("overriddenServerStatus", "GREAT"),
        ("masters", &long),
    ];
    for (entry, value) in table {
        let mut switches = Switches::default();
        assert!(switches.set(entry, value).is_err(), "{entry}={value}");
        assert_eq!(switches, Switches::default(), "{entry}={value}");
        let mut sets = Sets::default();
        assert!(sets.put(entry, value).is_err());
        assert_eq!(sets, Sets::default());
    }
}

#[test]
fn each_switch_is_kept_once() {
    let mut sets = Sets::default();
    for (entry, value) in [
        ("check", "false"),
        ("pushVersion", "java:1.0.0"),
        ("pushVersion", "go:1.0.0"),
        ("check", "true"),
        ("pushVersion", "java:2.0.0"),
    ] {
        sets.put(entry, value).unwrap();
    }
    let kept: Vec<_> = sets.iter().collect();
    assert_eq!(
        kept,
        [("pushVersion", "go:1.0.0"), ("check", "true"), ("pushVersion", "java:2.0.0")]
    );
}

#[test]
fn what_is_set_here_lies_over_the_rest_until_it_is_set_for_all() {
    let shared = Shared::default();
    let mut all = Sets::default();
    shared.set_here("check", "false").unwrap();
    shared.set_here("healthCheckTimes", "7").unwrap();
    assert!(shared.set_here("check?", "x").is_err());
    all.put("pushEnabled", "false").unwrap();
    shared.show(&all);
    let now = shared.now();
    assert_eq!((now.health_check_enabled, now.push_enabled, now.check_times), (false, false, 7));
    all.put("check", "true").unwrap();
    shared.show(&all);
    let now = shared.now();
    assert_eq!((now.health_check_enabled, now.push_enabled, now.check_times), (true, false, 7));
    // Said again by somebody else's change, it does not undo what was set here since.
    shared.set_here("check", "false").unwrap();
    all.put("distro", "false").unwrap();
    shared.show(&all);
    assert!(!shared.now().health_check_enabled);
}
