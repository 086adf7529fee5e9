//! One row per rule: what is given, what becomes of it.

use super::*;

fn sources(file: &str, flags: &[(&str, &str)]) -> Sources {
    let flag =
        |(name, value): &(&str, &str)| (name.to_string(), value.to_string(), format!("-D {name}"));
    Sources {
        flags: flags.iter().map(flag).collect(),
        file: Some(("app.properties".into(), file.as_bytes().to_vec())),
        cpus: vec![0, 1, 2, 3],
        ..Sources::default()
    }
}

fn read(file: &str) -> Result<Settings, Vec<Refusal>> {
    Settings::read(&sources(file, &[]))
}

/// The one refusal, as text.
fn refused(file: &str) -> String {
    let refusals = read(file).expect_err(file);
    assert_eq!(refusals.len(), 1, "{file}: {refusals:?}");
    refusals[0].to_string()
}

#[test]
fn nothing_given() {
    let settings = read("").unwrap();
    let at = |port| vec![SocketAddr::from(([127, 0, 0, 1], port))];
    assert_eq!(settings.http, at(8848));
    assert_eq!(settings.grpc, at(9848));
    assert_eq!(settings.context_path, "/nacos");
    assert_eq!(settings.data, PathBuf::from("./data"));
    assert_eq!(settings.cores, [0, 1, 2, 3]);
    assert_eq!(settings.log, LogSettings { filter: None, json: false });
    assert_eq!(settings.drain_ms, 10_000);
    let transport = TransportSettings {
        message_bytes_max: 10_485_760,
        keep_alive_time_ms: 7_200_000,
        keep_alive_timeout_ms: 20_000,
        permit_keep_alive_ms: 300_000,
        connections_max: 1_000_000,
        idle_ms: 20_000,
    };
    assert_eq!(settings.transport, transport);
    let naming = NamingSettings {
        param_check: true,
        metadata_chars_max: 1_024,
        push_delay_ms: None,
        push_timeout_ms: 5_000,
        push_retry_ms: 1_000,
        empty_interval_ms: 60_000,
        empty_expired_ms: 60_000,
        metadata_interval_ms: 5_000,
        metadata_expired_ms: 60_000,
        fuzzy_patterns_max: 20,
        fuzzy_matches_max: 500,
        expire_instance: true,
        client_expired_ms: 180_000,
        probe_targets: Vec::new(),
    };
    assert_eq!(settings.naming, naming);
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn ports_and_paths() {
    let settings = read("server.port=64535\nserver.servlet.contextPath=/a/b/").unwrap();
    assert_eq!(settings.http[0].port(), 64_535);
    assert_eq!(settings.grpc[0].port(), 65_535);
    assert_eq!(settings.context_path, "/a/b");
    for (path, expected) in [("/", ""), ("nacos", "/nacos"), ("//x", "/x")] {
        let settings = read(&format!("nacos.server.contextPath={path}")).unwrap();
        assert_eq!(settings.context_path, expected);
    }
    for bad in ["64536", "0", "-1", "8848x", "http"] {
        let text = refused(&format!("\nserver.port={bad}"));
        assert_eq!(
            text,
            format!(
                "nacos.server.main.port = \"{bad}\" (app.properties line 2): \
                 allowed: a whole number, 1 to 64535"
            )
        );
    }
    for bad in ["/a b", "/../etc", "/a?b"] {
        assert!(refused(&format!("nacos.server.contextPath={bad}")).contains("allowed"), "{bad}");
    }
}

#[test]
fn addresses() {
    let open = "nacos.core.auth.enabled=false\n";
    for (given, expected) in [
        ("127.0.0.1", vec!["127.0.0.1"]),
        ("::1", vec!["::1"]),
        ("[::1]", vec!["::1"]),
        ("127.0.0.1, ::1", vec!["127.0.0.1", "::1"]),
        ("127.0.0.1,127.0.0.1", vec!["127.0.0.1"]),
        ("0.0.0.0", vec!["0.0.0.0"]),
        ("::", vec!["::"]),
    ] {
        let settings = read(&format!("{open}server.address={given}")).unwrap();
        let ips: Vec<_> = settings.http.iter().map(|at| at.ip().to_string()).collect();
        assert_eq!(ips, expected, "{given}");
        let grpc: Vec<_> = settings.grpc.iter().map(|at| at.ip().to_string()).collect();
        assert_eq!(grpc, expected, "{given}");
    }
    let settings = read("nacos.remote.grpc.listen.ip=127.0.0.2").unwrap();
    assert_eq!(settings.http[0].to_string(), "127.0.0.1:8848");
    assert_eq!(settings.grpc[0].to_string(), "127.0.0.2:9848");
    assert!(refused("server.address=not an address").contains("neither an IP address nor a name"));
    let many: Vec<_> = (1..=17).map(|last| format!("127.0.0.{last}")).collect();
    assert!(refused(&format!("server.address={}", many.join(","))).contains("at most 16"));
}

#[test]
fn an_open_address_is_guarded_unless_spelled_out() {
    for address in ["0.0.0.0", "::", "10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1,10.1.2.3"] {
        for key in ["server.address", "nacos.remote.grpc.listen.ip"] {
            let settings = read(&format!("{key}={address}")).unwrap();
            let auth = &settings.auth;
            assert!(auth.clients && auth.admin && auth.console, "{address}");
            let off = read(&format!("{key}={address}\nnacos.core.auth.enabled=false")).unwrap();
            assert!(!off.auth.clients && !off.auth.admin && !off.auth.console);
            assert!(off.warnings[0].starts_with("nacos.core.auth.enabled=false: whoever reaches"));
        }
    }
    for address in ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"] {
        let settings = read(&format!("server.address={address}")).unwrap();
        assert!(!settings.auth.clients && settings.warnings.is_empty(), "{address}");
    }
}

#[test]
fn switches_and_keys_of_authentication() {
    let auth = read("nacos.core.auth.enabled=true").unwrap().auth;
    assert!(auth.clients && auth.admin && auth.console && auth.signer.is_none());
    assert_eq!(auth.token_ttl_s, 18_000);
    let auth = read("nacos.core.auth.admin.enabled=true").unwrap().auth;
    assert!(!auth.clients && auth.admin && !auth.console);
    let auth = read("nacos.core.auth.enabled=true\nnacos.core.auth.console.enabled=false");
    assert!(!auth.unwrap().auth.console);
    for fine in ["", "nacos", "NACOS"] {
        assert!(read(&format!("nacos.core.auth.system.type={fine}")).is_ok(), "{fine}");
    }
    assert!(refused("nacos.core.auth.system.type=oidc").contains("not built yet"));
    let ldap = "nacos.core.auth.system.type=ldap\nnacos.core.auth.ldap.password=hidden\n";
    let set = "nacos.core.auth.ldap.userDn=cn=a,dc=x\nnacos.core.auth.ldap.userdn=cn={0},dc=x";
    let place = read(&format!("{ldap}{set}")).unwrap().auth.directory.expect("a directory");
    assert_eq!((&*place.host, place.port, &*place.attribute), ("localhost", 389, "uid"));
    assert_eq!((&*place.reader, &*place.password), ("cn=a,dc=x", "hidden"));
    assert!(read("").unwrap().auth.directory.is_none());
    assert!(place.trust.is_none(), "over plain TCP nobody vouches");
    let text = refused(&format!("{ldap}nacos.core.auth.ldap.url=x:636"));
    assert!(text.contains("ldaps://localhost:636") && !text.contains("hidden"), "{text}");
    let sealed = format!("{ldap}nacos.core.auth.ldap.url=ldaps://x\nnacre.auth.ldap.ca-file=");
    for no_authority in ["/nowhere/ca.pem", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let text = refused(&format!("{sealed}{no_authority}"));
        assert!(text.contains("nacre.auth.ldap.ca-file"), "{text}");
        assert!(text.contains("a PEM file of authorities"), "{text}");
    }
    const KEY: &str = "nacos.core.auth.plugin.nacos.token.secret.key";
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    for name in [KEY, "nacos.core.auth.default.token.secret.key", "NACOS_AUTH_TOKEN"] {
        assert!(read(&format!("{name}={key}")).unwrap().auth.signer.is_some(), "{name}");
    }
    assert!(read(&format!("{KEY}=")).unwrap().auth.signer.is_none(), "empty is not set");
    let text = refused(&format!("{KEY}=c2hvcnQ="));
    assert!(text.contains("shorter than 32 bytes") && !text.contains("c2hvcnQ"), "{text}");
}

#[test]
fn what_is_not_built_and_would_hurt() {
    for (file, part) in [
        ("spring.sql.init.platform=mysql", "external store"),
        ("spring.datasource.platform=postgresql", "external store"),
        ("nacos.core.auth.system.type=oidc", "not built yet"),
        ("nacos.remote.server.rpc.tls.enableTls=true", "TLS is not built"),
        ("nacos.remote.server.rpc.tls.enable-tls=true", "TLS is not built"),
        ("nacos.member.list=10.0.0.1:8848,10.0.0.2:8848", "more than one member"),
        ("nacos.core.member.lookup.type=address-server", "address server"),
        ("nacos.functionMode=config", "config module"),
        ("nacos.deployment.type=console", "console is not built"),
    ] {
        let text = refused(file);
        assert!(text.contains(part), "{text}");
        assert!(text.contains("line 1"), "{text}");
    }
    for fine in [
        "spring.sql.init.platform=",
        "spring.sql.init.platform=derby",
        "spring.datasource.platform=embedded",
        "nacos.core.auth.enabled=false",
        "nacos.remote.server.rpc.tls.enableTls=false",
        "nacos.member.list=10.0.0.1:8848",
        "nacos.member.list=10.0.0.1:8848,10.0.0.1:8848",
        "nacos.member.list=10.0.0.1,10.0.0.2\nnacos.standalone=true",
        "nacos.core.member.lookup.type=file",
        "nacos.functionMode=naming",
        "nacos.deployment.type=merged",
    ] {
        assert!(read(fine).is_ok(), "{fine}: {:?}", read(fine));
    }
}

#[test]
fn member_files() {
    let with = |text: &str, file: &str| {
        let mut sources = sources(file, &[]);
        sources.member_files = vec![("conf/cluster.conf".into(), text.to_owned())];
        Settings::read(&sources)
    };
    let two = "# members\n10.0.0.1:8848 # first\n10.0.0.2:8848?raft_port=7848\n";
    let refusals = with(two, "").unwrap_err();
    assert_eq!(refusals[0].key, "cluster.conf");
    assert_eq!(refusals[0].value, "10.0.0.1:8848,10.0.0.2:8848");
    assert!(with(two, "nacos.standalone=true").is_ok());
    assert!(with("# none\n\n", "").is_ok());
    assert!(with("10.0.0.1:8848\n", "").is_ok());
}

#[test]
fn unknown_keys_are_one_line() {
    let warnings = read("b.odd=1\na.odd=2\nnacos.istio.x=3\nserver.port=8848").unwrap().warnings;
    assert_eq!(warnings, ["keys nobody knows, without effect: a.odd, b.odd"]);
}

#[test]
fn cores() {
    for (given, expected) in
        [("0", vec![0]), ("1,0", vec![0, 1]), ("0-2", vec![0, 1, 2]), ("3, 0-1", vec![0, 1, 3])]
    {
        assert_eq!(read(&format!("nacre.cores={given}")).unwrap().cores, expected, "{given}");
    }
    for bad in ["x", "0,,1", "1-0", "0,0", "0-1,1", "-", "0-65535", "70000"] {
        assert!(refused(&format!("nacre.cores={bad}")).contains("allowed: CPU numbers"), "{bad}");
    }
    assert!(refused("nacre.cores=0,9").contains("may run on CPUs 0,1,2,3"));
}

#[test]
fn push_delay_counts_only_when_set() {
    let delay = |file| read(file).unwrap().naming.push_delay_ms;
    assert_eq!(delay("nacos.naming.push.pushTaskDelay=500"), Some(500));
    assert_eq!(delay("nacos.naming.push.pushTaskDelay="), None);
    assert_eq!(delay(""), None);
}

#[test]
fn logs() {
    let settings = read("nacre.log=warn,nacre=debug\nnacre.log.format=JSON").unwrap();
    assert_eq!(settings.log.filter.as_deref(), Some("warn,nacre=debug"));
    assert!(settings.log.json);
    assert!(refused("nacre.log=nacre=loud").contains("levels such as"));
    assert!(refused("nacre.log.format=xml").contains("one of text, json"));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let file = "server.port=x\nnacre.cores=y\nnacos.core.auth.system.type=oidc";
    let refusals = read(file).unwrap_err();
    let keys: Vec<_> = refusals.iter().map(|refusal| refusal.key.as_str()).collect();
    assert_eq!(keys, ["nacos.server.main.port", "nacre.cores", "nacos.core.auth.system.type"]);
}

#[test]
fn a_file_that_is_no_properties_file() {
    assert!(refused("a=\\u12").contains("line 1: \\u must be followed"));
}

#[test]
fn flags_win() {
    let sources = sources(
        "server.port=1000\nserver.address=0.0.0.0",
        &[("server.port", "2000"), ("server.address", "127.0.0.1")],
    );
    let settings = Settings::read(&sources).unwrap();
    assert_eq!(settings.http[0].to_string(), "127.0.0.1:2000");
}

#[test]
fn the_data_directory_is_known_before_the_file() {
    let mut sources = sources("nacre.data=/from/file", &[]);
    assert_eq!(Settings::data_directory(&sources), Ok(PathBuf::from("./data")));
    sources.environment = vec![("NACRE_DATA".to_owned(), "/from/environment".to_owned())];
    assert_eq!(Settings::data_directory(&sources), Ok(PathBuf::from("/from/environment")));
}

#[test]
fn the_http_api() {
    let open = read("").unwrap().open;
    assert!(open.client && open.admin && open.console && open.trusted_proxies.is_empty());
    let settings = read(
        "nacos.core.api.compatibility.console.enabled=false\n\
         nacre.http.trusted-proxies=10.0.0.1, ::ffff:10.0.0.2\n\
         nacos.naming.client.expired.time=60000\nnacos.naming.expireInstance=false",
    )
    .unwrap();
    assert!(settings.open.client && !settings.open.console);
    let proxies: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
    assert_eq!(settings.open.trusted_proxies, proxies);
    assert_eq!(
        (settings.naming.client_expired_ms, settings.naming.expire_instance),
        (60_000, false)
    );
    let text = refused("nacre.http.trusted-proxies=10.0.0.0/8");
    assert!(text.contains("IP addresses, separated by commas"), "{text}");
}

#[test]
fn targets_of_health_checks_are_networks() {
    let settings = read("nacre.health.allow-targets=127.0.0.0/8, ::1").unwrap();
    let targets = ["127.0.0.0/8", "::1"].map(|text| Network::parse(text).unwrap());
    assert_eq!(settings.naming.probe_targets, targets);
    let text = refused("nacre.health.allow-targets=127.0.0.0/33");
    assert!(text.contains("127.0.0.0/33"), "{text}");
}
