use super::*;
use route::Verb;
use targets::Whose;

fn head(query: &str, headers: &[(&'static str, &str)]) -> Parts {
    let mut request = http::Request::builder().uri(format!("/x?{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn found(context_path: &str, method: &Method, path: &str) -> Option<Endpoint> {
    match Routes::new(table::ROWS, context_path).find(method, path) {
        Found::Route(route) => Some(route.endpoint),
        _ => None,
    }
}

#[test]
fn every_row_is_found_below_the_context_path() {
    for context_path in ["/nacos", "", "/a/b"] {
        let routes = Routes::new(table::ROWS, context_path);
        for row in table::ROWS {
            let method = match row.verb {
                Verb::Get | Verb::Any => Method::GET,
                Verb::Post => Method::POST,
                Verb::Put => Method::PUT,
                Verb::Delete => Method::DELETE,
                Verb::Patch => Method::PATCH,
            };
            let path = row.path_with(context_path);
            for path in [path.clone(), format!("{path}/")] {
                match routes.find(&method, &path) {
                    Found::Route(route) => assert_eq!(route.path, row.path),
                    other => panic!("{method} {path}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn only_what_the_consoles_port_has_answers_without_the_context_path() {
    for (path, bare) in [
        ("/v1/console/health/liveness", true),
        ("/v3/admin/core/state/readiness", true),
        ("/v3/auth/user/list", true),
        ("/metrics", true),
        ("/actuator/prometheus", true),
        ("/v1/ns/instance/list", false),
        ("/v3/client/ns/instance/list", false),
        ("/v1/cs/configs", false),
        ("/serverlist", false),
    ] {
        assert_eq!(found("/nacos", &Method::GET, path).is_some(), bare, "{path}");
    }
}

#[test]
fn any_two_parts_are_a_product_and_a_cluster_where_no_other_row_is() {
    let list = Some(Endpoint::ProductList);
    for (context_path, path, expected) in [
        ("/nacos", "/shop/east", list),
        ("/nacos", "/shop/east/", list),
        ("/nacos", "/nacos/east", list),
        ("/nacos", "/actuator/prometheus", Some(Endpoint::Metrics)),
        ("/nacos", "/nacos/serverlist", Some(Endpoint::ServerList)),
        ("/nacos", "/nacos/shop/east", None),
        ("/nacos", "/shop", None),
        ("/nacos", "/shop//", None),
        ("/nacos", "//east", None),
        ("/nacos", "/shop/east/1", None),
        ("", "/shop/east", list),
        ("", "/v0/servers", found("/nacos", &Method::GET, "/nacos/v0/servers")),
        ("/a/b", "/shop/east", list),
        ("/a/b", "/a/b", list),
        ("/a/b", "/a/b/shop/east", None),
    ] {
        assert_eq!(found(context_path, &Method::GET, path), expected, "{context_path} {path}");
    }
    let routes = Routes::new(table::ROWS, "/nacos");
    let Found::Route(route) = routes.find(&Method::GET, "/s%2Fp/east/") else { panic!("there") };
    assert_eq!(route.named("/s%2Fp/east/"), [("cluster", "east"), ("product", "s%2Fp")]);
}

#[test]
fn parts_in_braces_stand_for_any_text() {
    let routes = Routes::new(table::ROWS, "/nacos");
    let named = |path: &'static str| match routes.find(&Method::GET, path) {
        Found::Route(route) => Some((route.endpoint, route.named(path))),
        _ => None,
    };
    let targets = |named: &[(&'static str, &'static str)]| {
        let whose = [Whose::Everybody, Whose::Namespace, Whose::Service][named.len()];
        Some((Endpoint::Targets(whose), named.iter().rev().copied().collect::<Vec<_>>()))
    };
    assert_eq!(named("/nacos/prometheus"), targets(&[]));
    let of = [("namespaceId", "a.b"), ("serviceName", "s%2Ft")];
    assert_eq!(named("/nacos/prometheus/namespaceId/a.b"), targets(&of[..1]));
    assert_eq!(named("/nacos/prometheus/namespaceId/a.b/service/s%2Ft"), targets(&of));
    assert_eq!(named("/nacos/prometheus/namespaceId/a.b/service/s%2Ft/"), targets(&of));
    for path in [
        "/nacos/prometheus/namespaceId",
        "/nacos/prometheus/namespaceId/",
        "/nacos/prometheus/namespaceId//service/s",
        "/nacos/prometheus/namespaceId/n/service",
        "/nacos/prometheus/namespaceId/n/service/s/t",
        "/nacos/prometheus/NamespaceId/n",
        "/prometheus/namespaceId/n",
        "/prometheus",
    ] {
        assert_eq!(named(path), None, "{path}");
    }
}

#[test]
fn the_consoles_port_has_its_own_paths_alone() {
    for (context_path, before) in [("", ""), ("/c", "/c")] {
        let routes = Routes::of_console(table::ROWS, context_path);
        let there = |path: &str| matches!(routes.find(&Method::GET, path), Found::Route(_));
        for path in ["/v3/console/cs/config/list", "/v3/auth/user/list", "/v1/console/namespaces"] {
            assert!(there(&format!("{before}{path}")), "{path}");
        }
        for path in ["/v3/admin/core/state", "/v1/cs/configs", "/v3/client/ns/instance/list"] {
            assert!(!there(&format!("{before}{path}")), "{path}");
        }
        assert!(!there("/nacos/v3/console/server/state"));
    }
}

#[test]
fn what_looks_like_a_path_is_another_path() {
    for path in [
        "/",
        "",
        "//",
        "/nacos",
        "/nacos/",
        "/nacos/metrics//",
        "/nacos//metrics",
        "/nacos/%6detrics",
        "/nacos/metrics;x",
        "/nacos/metrics/;x",
        "/nacos/x/../metrics",
        "/NACOS/metrics",
        "/nacos/nacos/metrics",
        "/nacos/v1/ns/instance/list;a=b",
        "/nacos/v1/ns//instance/list",
        "/nacos/v1/ns/instance%2flist",
        "/nacosmetrics",
    ] {
        let found = found("/nacos", &Method::GET, path);
        assert!(found.is_none_or(|other| other == Endpoint::ProductList), "{path} {found:?}");
    }
}

#[test]
fn methods() {
    let instance = "/nacos/v1/ns/instance";
    let table = [
        (Method::GET, Some(Endpoint::InstanceDetail)),
        (Method::HEAD, Some(Endpoint::InstanceDetail)),
        (Method::POST, Some(Endpoint::InstanceRegister)),
        (Method::PUT, Some(Endpoint::InstanceUpdate)),
        (Method::PATCH, Some(Endpoint::InstancePatch)),
        (Method::DELETE, Some(Endpoint::InstanceDeregister)),
        (Method::OPTIONS, None),
        (Method::TRACE, None),
        (Method::CONNECT, None),
    ];
    for (method, endpoint) in table {
        assert_eq!(found("/nacos", &method, instance), endpoint, "{method}");
    }
    // A row for any method is for these, not for whatever may be invented.
    let any = "/nacos/v1/ns/health/server";
    assert!(found("/nacos", &Method::DELETE, any).is_some());
    assert!(found("/nacos", &Method::TRACE, any).is_none());
    let routes = Routes::new(table::ROWS, "/nacos");
    let Found::OtherMethods(rows, at) = routes.find(&Method::OPTIONS, instance) else {
        panic!("there")
    };
    let allowed = route::allow(rows, &at);
    assert_eq!(allowed, "POST, DELETE, PUT, PATCH, GET, HEAD, OPTIONS");
}

#[test]
fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let trusted = [ip("10.0.0.1"), ip("10.0.0.2")];
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);
    let table: &[Case] = &[
        ("9.9.9.9", &[("x-forwarded-for", "1.1.1.1")], "9.9.9.9"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &[("x-forwarded-for", "1.1.1.1")], "1.1.1.1"),
        // What the client itself wrote in front is not believed.
        ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 1.1.1.1, 10.0.0.2")], "1.1.1.1"),
        ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1")], "1.1.1.1"),
        ("10.0.0.1", &[("x-real-ip", "1.1.1.1")], "1.1.1.1"),
        ("10.0.0.1", &[("x-forwarded-for", "nonsense")], "10.0.0.1"),
        ("9.9.9.9", &[("x-real-ip", "1.1.1.1")], "9.9.9.9"),
    ];
    for (peer, headers, expected) in table {
        let head = head("", headers);
        assert_eq!(source(ip(peer), &head, &trusted), ip(expected), "{peer} {headers:?}");
    }
}

#[test]
fn parameters_of_query_form_and_parts() {
    let of = |query: &str, kind: &str, body: &'static str| {
        let head = head(query, &[]);
        let body = bytes::Bytes::from_static(body.as_bytes());
        let mut files = Vec::new();
        let form = parameters(&head, &table::ROWS[0], kind, &body, &mut files)?;
        let pairs = form.iter().map(|(name, value)| format!("{name}={value}"));
        Ok((pairs.collect::<Vec<_>>(), files.len()))
    };
    let pairs = |pairs: &[&str]| pairs.iter().map(|pair| (*pair).to_owned()).collect::<Vec<_>>();
    let form = "application/x-www-form-urlencoded; charset=GBK";
    assert_eq!(of("a=1", form, "b=%E4%BD%A0&"), Ok((pairs(&["a=1", "b=\u{4f60}"]), 0)));
    assert_eq!(of("a=1", "application/json", "{\"b\":2}"), Ok((pairs(&["a=1"]), 0)));
    let parts = "--x\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n2\r\n--x\r\n\
                 Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n3\r\n--x--";
    let multipart = "multipart/form-data; boundary=x";
    assert_eq!(of("a=1", multipart, parts), Ok((pairs(&["a=1", "b=2"]), 1)));
    assert_eq!(of("a=%", "", ""), Err(form::Malformed::Escape));
    assert_eq!(of("", multipart, "--x"), Err(form::Malformed::Multipart));
}

/// Bytes of the state of an answer under way: hyper moves it before it is first polled, and a held
/// poll keeps it.
const STATE_BYTES_MAX: usize = 3 * 1024;

#[test]
fn the_state_of_an_answer_is_small() {
    fn bytes<F>(_: impl FnOnce(Rc<Api>, Ends, Request) -> F) -> usize {
        size_of::<F>()
    }
    let bytes = bytes(|api, ends, request| api.answer(ends, request));
    assert!(bytes <= STATE_BYTES_MAX, "{bytes}");
}
