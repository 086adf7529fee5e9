//! The address server (`http-api.md` 10.3): lists of servers by product, put and taken away, and read
//! by whoever has no token yet.

use crate::auth::Town;
use crate::http_client::{Http, ask, must};
use crate::server::Server;
use crate::support::*;

const NODES: &str = "/nacos/v1/as/nodes";

/// Status and text, as clients see both.
fn asked(server: &Server, method: &str, target: &str) -> (u16, String) {
    let answer = ask(server, method, target);
    (answer.status, answer.text().to_owned())
}

fn said(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

#[test]
fn a_list_is_put_read_and_taken_away() {
    let mut server = Server::start();
    let list = "/shop/east";
    assert_eq!(asked(&server, "GET", list), said(404, "product=shop not found."));
    let put =
        format!("{NODES}?product=shop&cluster=east&ips=10.0.0.1:8848,10.0.0.2,%5Bfe80::1%5D:9");
    let done = "product=shop,cluster=east; put success with size=3";
    assert_eq!(asked(&server, "POST", &put), said(200, done));
    let all = "10.0.0.1:8848\n10.0.0.2:8848\n[fe80::1]:9\n";
    assert_eq!(asked(&server, "GET", list), said(200, all));
    assert_eq!(asked(&server, "POST", list), said(200, all), "any method, as the reference");
    let told = must(&server, "GET", &format!("{NODES}?product=shop&cluster=east"));
    assert_eq!(told.text(), all);
    let west = "product=shop,cluster=west not found.";
    assert_eq!(asked(&server, "GET", "/shop/west"), said(404, west));
    assert_eq!(asked(&server, "GET", "/shop/east%2Cwest").0, 404);
    // It is in the registry, kept, and unhealthy for nobody: no server is checked.
    let instances = "/nacos/v1/ns/instance/list?serviceName=nacos.as.shop&clusters=east";
    let host = must(&server, "GET", instances).json()["hosts"][0].clone();
    assert_eq!((&host["ephemeral"], &host["healthy"]), (&false.into(), &true.into()), "{host}");
    assert_eq!(
        (&host["metadata"]["app"], &host["metadata"]["tenant"]),
        (&"shop".into(), &"public".into())
    );
    server.kill();
    server.start_again();
    assert_eq!(asked(&server, "GET", list), said(200, all), "after a crash");
    let take = |ips: &str| format!("{NODES}?product=shop&cluster=east&ips={ips}");
    let gone = "product=shop, cluster=east delete success.";
    assert_eq!(asked(&server, "DELETE", &take("10.0.0.1:8848,10.0.0.9")), said(200, gone));
    assert_eq!(asked(&server, "GET", list), said(200, "10.0.0.2:8848\n[fe80::1]:9\n"));
    assert_eq!(asked(&server, "DELETE", &take("10.0.0.2,%5Bfe80::1%5D:9")), said(200, gone));
    assert_eq!(asked(&server, "GET", list), said(200, ""), "known, and of no servers");
}

#[test]
fn who_names_no_product_finds_this_node_until_others_are_put() {
    let server = Server::start();
    let own = format!("127.0.0.1:{}\n", server.http_port());
    assert_eq!(must(&server, "GET", "/nacos/serverlist?namespace=dev").text(), own);
    let other = ask(&server, "GET", "/nacos/index.html");
    assert!(other.status == 404 && other.text().contains("there is no such path"), "{other:?}");
    let done = "product=nacos,cluster=serverlist; put success with size=1";
    assert_eq!(asked(&server, "POST", &format!("{NODES}?ips=10.0.0.1")), said(200, done));
    assert_eq!(must(&server, "GET", "/nacos/serverlist").text(), "10.0.0.1:8848\n");
    let other = "product=nacos,cluster=index.html not found.";
    assert_eq!(asked(&server, "GET", "/nacos/index.html"), said(404, other));
    let gone = "product=nacos, cluster=serverlist delete success.";
    assert_eq!(asked(&server, "DELETE", &format!("{NODES}?ips=10.0.0.1:8848")), said(200, gone));
    assert_eq!(must(&server, "GET", "/nacos/serverlist").text(), own);
}

#[test]
fn what_is_no_address_is_named() {
    let server = shared_server();
    let lacking =
        "Required request parameter 'ips' for method parameter type String is not present";
    let answer = ask(&server, "POST", NODES);
    assert_eq!((answer.status, &answer.json()["message"]), (400, &lacking.into()));
    let many = vec!["10.0.0.1"; 257].join(",");
    for (method, query, text) in [
        ("POST", "ips=", "ips must not be empty."),
        ("POST", "ips=10.0.0.1,shop,10.0.0.2:x", "illegal ip: shop,10.0.0.2:x"),
        ("POST", &format!("ips={many}"), "more than 256 ips"),
        ("DELETE", "product=as_nobodys&ips=10.0.0.1", "product=as_nobodys not found."),
    ] {
        let status = if method == "DELETE" { 404 } else { 400 };
        assert_eq!(asked(&server, method, &format!("{NODES}?{query}")), said(status, text));
    }
    for (product, cluster) in [("a%20b", "c"), ("as_nobodys", "a_b"), ("as_nobodys", "a%2Cb")] {
        let target = format!("{NODES}?product={product}&cluster={cluster}&ips=10.0.0.1");
        let (status, text) = asked(&server, "POST", &target);
        let is_named = text.contains("illegal") || text.contains("0-9a-zA-Z-");
        assert!(status == 400 && is_named, "{status} {text}");
    }
    let nothing = "product=as_nobodys not found.";
    assert_eq!(asked(&server, "GET", "/as_nobodys/c"), said(404, nothing), "nothing was made");
    assert_eq!(ask(&server, "PUT", NODES).status, 405);
}

#[test]
fn lists_are_everybodys_and_putting_them_is_not() {
    let town = Town::guarded();
    let mut http = Http::connect(&town.server);
    let put = format!("{NODES}?product=shop&ips=10.0.0.1");
    let writer = town.user("writer", "public:*:*", "rw");
    for lines in [String::new(), format!("accessToken: {writer}\r\n")] {
        assert_eq!(http.ask_with("POST", &put, &lines, b"").status, 403);
        assert_eq!(http.ask_with("DELETE", &put, &lines, b"").status, 403);
    }
    let lines = format!("accessToken: {}\r\n", town.admin);
    assert_eq!(http.ask_with("POST", &put, &lines, b"").status, 200);
    assert_eq!(http.ask("GET", "/shop/serverlist").text(), "10.0.0.1:8848\n");
}
