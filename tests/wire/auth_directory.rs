//! Users of an LDAP directory (`auth.md` 9): a real `slapd` of this machine.

use crate::auth::{FORBIDDEN, Town, UNKNOWN, logged_in, post};
use crate::server::Directory;
use crate::support::*;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

const BASE: &str = "dc=example,dc=org";
pub const LOGIN: &str = "/nacos/v1/auth/users/login";
/// How often it is started on another port before the test fails.
const START_TRIES: u32 = 5;

/// People in two places, and one name twice.
const PEOPLE: &str = "\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: bob
userPassword: bobs-own

dn: uid=nacos,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: nacos
userPassword: of-the-directory

dn: uid=twin,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: twin
userPassword: twins

dn: uid=twin,ou=people,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: twin
userPassword: twins
";

/// `slapd`, killed with the value.
pub struct Slapd {
    child: Child,
    pub port: u16,
    scheme: &'static str,
    home: Directory,
}

impl Slapd {
    /// `None`, said aloud, where it is not installed.
    fn start() -> Option<Self> {
        Self::start_with("ldap", "")
    }

    /// The same, spoken to as `scheme` says, with further settings.
    pub fn start_with(scheme: &'static str, more: &str) -> Option<Self> {
        let known = Command::new("slapd").arg("-VV").stderr(Stdio::null()).status();
        if known.is_err() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI has no slapd");
            // Not eprintln: the harness would swallow it, and a skipped test must be seen.
            let _ = std::io::stderr().write_all(b"skipped: no slapd\n");
            return None;
        }
        let home = Directory::new("slapd");
        let path = home.path().display();
        fs::create_dir_all(home.path().join("data")).expect("make its data folder");
        let settings = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {path}/pid\n{more}\
             database mdb\nmaxsize 10485760\nsuffix \"{BASE}\"\nrootdn \"cn=admin,{BASE}\"\n\
             rootpw reader\ndirectory {path}/data\n\
             access to attrs=userPassword by anonymous auth by * none\n\
             access to * by users read by anonymous auth\n"
        );
        let conf = home.path().join("slapd.conf");
        fs::write(&conf, settings).expect("write its settings");
        let people = home.path().join("people.ldif");
        fs::write(&people, PEOPLE).expect("write its people");
        let mut add = Command::new("slapadd");
        let added = add.arg("-q").arg("-f").arg(&conf).arg("-l").arg(&people).output();
        let added = added.expect("run slapadd");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        for _ in 0..START_TRIES {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let port = port.expect("a free port").port();
            let child = spawn(&conf, scheme, port);
            let mut slapd = Self { child, port, scheme, home: home.clone() };
            if slapd.serves() {
                return Some(slapd);
            }
        }
        panic!("slapd ended while it started, {START_TRIES} times");
    }

    /// Waits until it answers; false when it ended, since somebody else took the port.
    fn serves(&mut self) -> bool {
        let mut ended = false;
        until("slapd", || {
            ended = self.child.try_wait().expect("look at slapd").is_some();
            ended || TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        !ended
    }

    fn stop(&mut self) {
        self.child.kill().expect("kill slapd");
        self.child.wait().expect("reap slapd");
    }

    fn start_again(&mut self) {
        self.child = spawn(&self.home.path().join("slapd.conf"), self.scheme, self.port);
        assert!(self.serves(), "slapd ended while it started");
    }
}

fn spawn(conf: &std::path::Path, scheme: &str, port: u16) -> Child {
    // With -d it stays in the foreground.
    let url = format!("{scheme}://127.0.0.1:{port}");
    let mut command = Command::new("slapd");
    command.args(["-d", "0", "-h", &url, "-f"]).arg(conf);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start slapd")
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server is told that finds its users there.
pub fn settings(url: &str) -> Vec<String> {
    vec![
        "nacos.core.auth.system.type=ldap".to_owned(),
        format!("nacos.core.auth.ldap.url={url}"),
        format!("nacos.core.auth.ldap.basedc={BASE}"),
        format!("nacos.core.auth.ldap.userDn=cn=admin,{BASE}"),
        "nacos.core.auth.ldap.password=reader".to_owned(),
        "nacos.core.auth.ldap.case.sensitive=false".to_owned(),
    ]
}

fn town(slapd: &Slapd) -> Town {
    let settings = settings(&format!("ldap://127.0.0.1:{}", slapd.port));
    let arguments: Vec<&str> = settings.iter().flat_map(|pair| ["-D", pair.as_str()]).collect();
    Town::guarded_with(&arguments)
}

#[test]
fn users_of_a_directory() {
    let Some(mut slapd) = Slapd::start() else { return };
    let town = town(&slapd);
    let server = &town.server;
    let login = |user: &str, password: &str| {
        post(server, LOGIN, &format!("username={user}&password={password}"), "")
    };

    // Local users stay: the administrator is not the directory's man of that name.
    logged_in(server, "nacos", "first-secret");
    let other = login("nacos", "of-the-directory");
    assert_eq!(other.json()["username"], "LDAP_nacos", "{}", other.text());
    assert_eq!(other.json()["globalAdmin"], false);

    let bob = login("Bob", "bobs-own");
    assert_eq!(bob.json()["username"], "LDAP_bob", "{}", bob.text());
    let token = bob.json()["accessToken"].as_str().expect("a token").to_owned();
    let list = "/nacos/v1/ns/instance/list?serviceName=s&namespaceId=dev";
    assert_eq!(town.send("GET", list, "", &token).json()["message"], FORBIDDEN);

    // He is a user here by then, and can be given a role.
    town.must("POST", "/nacos/v3/auth/role", "role=dev&username=LDAP_bob");
    town.must("POST", "/nacos/v3/auth/permission", "role=dev&resource=dev:*:*&action=r");
    assert_eq!(town.send("GET", list, "", &token).status, 200);
    let each_time = format!("{list}&username=bob&password=bobs-own");
    assert_eq!(town.send("GET", &each_time, "", "").status, 200);

    // #14862: nobody of the directory has a password here.
    for (user, password) in [
        ("LDAP_bob", "nacos"),
        ("LDAP_bob", "bobs-own"),
        ("bob", "nacos"),
        ("bob", "wrong"),
        ("bob", ""),
        ("*", "bobs-own"),
        ("bob)(uid=*", "bobs-own"),
        ("nobody", "bobs-own"),
        ("twin", "twins"),
        ("uid=bob,ou=people,dc=example,dc=org", "bobs-own"),
    ] {
        let refused = login(user, password);
        assert_eq!(refused.status, 403, "{user}/{password}: {}", refused.text());
        assert!(refused.text().contains(UNKNOWN), "{}", refused.text());
    }
    for (method, form) in
        [("POST", "username=LDAP_eve&password=x"), ("PUT", "username=LDAP_bob&newPassword=x")]
    {
        let refused = town.send(method, "/nacos/v3/auth/user", form, &town.admin);
        assert_eq!(refused.status, 400, "{form}: {}", refused.text());
        assert!(refused.text().contains("kept by the directory"), "{}", refused.text());
    }

    // Away: who is known here comes in, who has to be asked for is told to come again.
    slapd.stop();
    let away = login("twin", "x");
    assert_eq!(away.status, 503, "{}", away.text());
    assert!(away.text().contains("cannot be reached"), "{}", away.text());
    logged_in(server, "nacos", "first-secret");
    assert_eq!(town.send("GET", list, "", &token).status, 200, "a token needs no directory");
    slapd.start_again();
    until("the directory", || login("bob", "bobs-own").status == 200);
}
