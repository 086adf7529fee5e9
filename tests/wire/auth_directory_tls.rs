//! Users of an LDAP directory behind TLS: a real `slapd`, with an authority made for the test.

use crate::auth::post;
use crate::auth_directory::{LOGIN, Slapd, settings};
use crate::http_client::Answer;
use crate::server::{Directory, Server};
use crate::support::*;
use std::path::PathBuf;
use std::process::Command;

/// A folder with an authority, and a certificate of a directory that it vouches for.
struct Authority(Directory);

impl Authority {
    /// `names` as OpenSSL writes them: `IP:127.0.0.1`, `DNS:localhost`.
    fn vouching_for(names: &str) -> Self {
        let home = Directory::new("authority");
        let made = Self(home);
        made.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        made.openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=directory",
            "-keyout",
            "own.key",
            "-out",
            "own.csr",
        ]);
        let extensions = format!("subjectAltName={names}\n");
        std::fs::write(made.path("names"), extensions).expect("write the names");
        made.openssl(&[
            "x509",
            "-req",
            "-in",
            "own.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-days",
            "2",
            "-CAcreateserial",
            "-extfile",
            "names",
            "-out",
            "own.pem",
        ]);
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &[&str]) {
        let made = Command::new("openssl").args(arguments).current_dir(self.0.path()).output();
        let made = made.expect("run openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// The lines of `slapd.conf` that have it show this certificate.
    fn shown(&self) -> String {
        let at = |name| self.path(name).display().to_string();
        format!(
            "TLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
            at("ca.pem"),
            at("own.pem"),
            at("own.key")
        )
    }
}

/// A server that asks this directory, and believes this authority, or whom the machine believes.
fn asking(url: &str, authority: Option<&Authority>) -> Server {
    let mut settings = settings(url);
    settings.push("nacos.core.auth.enabled=true".to_owned());
    if let Some(authority) = authority {
        let path = authority.path("ca.pem");
        settings.push(format!("nacre.auth.ldap.ca-file={}", path.display()));
    }
    let arguments: Vec<&str> = settings.iter().flat_map(|pair| ["-D", pair.as_str()]).collect();
    Server::start_with(&arguments)
}

fn login(server: &Server, password: &str) -> Answer {
    post(server, LOGIN, &format!("username=bob&password={password}"), "")
}

#[test]
fn a_directory_must_show_a_certificate_that_is_trusted() {
    let authority = Authority::vouching_for("IP:127.0.0.1");
    let Some(slapd) = Slapd::start_with("ldaps", &authority.shown()) else { return };
    let url = format!("ldaps://127.0.0.1:{}", slapd.port);

    let server = asking(&url, Some(&authority));
    until("a login", || login(&server, "bobs-own").status == 200);
    assert_eq!(login(&server, "bobs-own").json()["username"], "LDAP_bob");
    assert_eq!(login(&server, "wrong").status, 403);

    let other = Authority::vouching_for("IP:127.0.0.1");
    let other_name = format!("ldaps://localhost:{}", slapd.port);
    for (url, authority, why) in [
        (&url, Some(&other), "an authority nobody named"),
        (&url, None, "an authority this machine does not know"),
        (&other_name, Some(&authority), "a certificate for another name"),
    ] {
        let server = asking(url, authority);
        // A server without its key yet refuses as well: the log tells them apart.
        until(why, || {
            assert_ne!(login(&server, "bobs-own").status, 200, "{why}");
            server.log_tail().contains("invalid peer certificate")
        });
        let refused = login(&server, "bobs-own");
        assert_eq!(refused.status, 503, "{why}: {}", refused.text());
        assert!(refused.text().contains("cannot be reached"), "{why}: {}", refused.text());
    }
}
