use super::super::table::ROWS;
use super::*;

/// With everything guarded, these and no other rows ask for nothing.
#[test]
fn what_is_open_is_listed() {
    let mut free: Vec<&str> = ROWS
        .iter()
        .filter(|row| need(row, &Method::POST) == Need::Nothing)
        .map(|row| row.path)
        .collect();
    free.sort_unstable();
    free.dedup();
    let allowed = |path: &str| {
        let parts = ["health", "state", "metrics", "login", "admin", "serverlist", "prometheus"];
        let more = ["/readiness", "/announcement", "/guide", "/openapi.json", "/{product}"];
        parts.iter().chain(&more).any(|part| path.contains(part))
    };
    assert!(free.iter().all(|path| allowed(path)), "{free:?}");
    assert!(free.len() > 10, "{free:?}");
    for path in ["/v1/auth/users", "/v1/ns/instance/list", "/v1/cs/configs", "/v1/cs/capacity"] {
        assert!(!free.contains(&path), "{path}");
    }
}

#[test]
fn users_roles_and_permissions_are_the_administrators() {
    for row in ROWS.iter().filter(|row| is_management(row)) {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::PATCH] {
            match need(row, &method) {
                Need::Right(Scope::Admin, _) => {
                    let name = named(row).expect("they have names of their own");
                    assert!(Resource::Named(name).is_for_administrators(), "{}", row.path);
                }
                Need::Nothing => {
                    let open = [Endpoint::Login, Endpoint::FirstAdministrator];
                    assert!(open.contains(&row.endpoint), "{}", row.path);
                }
                other => panic!("{} {other:?}", row.path),
            }
        }
    }
}

/// Each guarded row has a resource, and none of a module is of another.
#[test]
fn every_row_touches_something() {
    for row in ROWS {
        match named(row) {
            Some(name) => assert!(!name.is_empty()),
            None => {
                let config = row.path.contains("/cs/");
                let open = need(row, &Method::GET) == Need::Nothing;
                let lacking = !is_naming(row.path) && !config;
                assert!(
                    is_naming(row.path)
                        || config
                        || open
                        || lacking && row.access.is_none()
                        || row.path.starts_with("/v3/auth"),
                    "{}",
                    row.path
                );
            }
        }
    }
}
