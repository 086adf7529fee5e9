//! JSON that travels inside HTTP parameters (`http-api.md` 1.6, 3.4), and acks of datagrams.

use crate::fault::ParseError;
use crate::form::{self, form};
use crate::naming::Instance;
use crate::scan::Scan;
use crate::text::{Pairs, Text};
use crate::value::Value;

/// The `beat` parameter of `PUT /v1/ns/instance/beat`. Absent members hold the reference's initial
/// values.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat<'a> {
    pub ip: Option<Text<'a>>,
    /// Checked later (0..=65535).
    pub port: i64,
    /// `None` and blank: the `clusterName` parameter counts.
    pub cluster: Option<Text<'a>>,
    pub weight: f64,
    pub metadata: Pairs<'a>,
}

form!(Beat {
    "ip" => ip,
    "port" => port,
    "cluster" => cluster,
    "weight" => weight,
    "metadata" => metadata,
});

impl Default for Beat<'_> {
    fn default() -> Self {
        Self { ip: None, port: 0, cluster: None, weight: 1.0, metadata: Pairs::default() }
    }
}

impl<'a> Beat<'a> {
    /// Reads the parameter; `None` for JSON's null.
    ///
    /// # Errors
    /// No JSON object, or a member of another type.
    pub fn parse(text: &'a str) -> Result<Option<Self>, ParseError> {
        form::parse(text.as_bytes())
    }
}

/// The `selector` parameter of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selector<'a> {
    /// `none` or `label`.
    pub kind: Option<Text<'a>>,
    pub expression: Option<Text<'a>>,
}

form!(Selector {
    "type" => kind,
    "expression" => expression,
});

impl<'a> Selector<'a> {
    /// Reads the parameter; `None` for JSON's null.
    ///
    /// # Errors
    /// No JSON object, or a member of another type.
    pub fn parse(text: &'a str) -> Result<Option<Self>, ParseError> {
        form::parse(text.as_bytes())
    }
}

/// The `healthChecker` parameter of a cluster, as far as it is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthChecker<'a> {
    /// `TCP`, `HTTP`, `MYSQL`, `NONE`.
    pub kind: Option<Text<'a>>,
    pub path: Option<Text<'a>>,
    /// `k:v|k:v`.
    pub headers: Option<Text<'a>>,
    pub expected_response_code: i64,
    /// Of `MYSQL`, as the next two.
    pub user: Option<Text<'a>>,
    pub password: Option<Text<'a>>,
    pub command: Option<Text<'a>>,
}

form!(HealthChecker {
    "type" => kind,
    "path" => path,
    "headers" => headers,
    "expectedResponseCode" => expected_response_code,
    "user" => user,
    "pwd" => password,
    "cmd" => command,
});

impl Default for HealthChecker<'_> {
    fn default() -> Self {
        Self {
            kind: None,
            path: None,
            headers: None,
            expected_response_code: 200,
            user: None,
            password: None,
            command: None,
        }
    }
}

impl<'a> HealthChecker<'a> {
    /// Reads the parameter; `None` for JSON's null.
    ///
    /// # Errors
    /// No JSON object, or a member of another type.
    pub fn parse(text: &'a str) -> Result<Option<Self>, ParseError> {
        form::parse(text.as_bytes())
    }
}

/// The `instances` parameter of a change of many: a JSON list; `None` for null.
///
/// # Errors
/// No JSON list of objects.
pub fn instances(text: &str) -> Result<Option<Vec<Instance<'_>>>, ParseError> {
    let mut scan = Scan::new(text.as_bytes())?;
    if scan.is_done() {
        return Err(scan.error("the list is empty"));
    }
    Value::read(&mut scan)
}

/// The `metadata` parameter: a JSON object of text, or `k=v,k2=v2`. `None`: neither.
pub fn metadata(text: &str) -> Option<Pairs<'_>> {
    if text.trim().is_empty() {
        return Some(Pairs::default());
    }
    json_object(text).or_else(|| {
        let pairs = text.split(',').map(|item| {
            let (key, value) = item.split_once('=')?;
            let fits = !key.is_empty() && !value.is_empty() && !value.contains('=');
            fits.then(|| (key.into(), value.into()))
        });
        pairs.collect::<Option<Vec<_>>>().map(Pairs)
    })
}

/// A JSON object of text alone. `None`: it is anything else.
pub fn json_object(text: &str) -> Option<Pairs<'_>> {
    let mut scan = Scan::new(text.as_bytes()).ok()?;
    if scan.is_done() || scan.peek().ok()? != b'{' {
        return None;
    }
    let pairs = Pairs::read(&mut scan).ok()?;
    scan.is_done().then_some(pairs)
}

/// What a 1.x client answers to a datagram.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatagramAck<'a> {
    /// `push-ack`.
    pub kind: Option<Text<'a>>,
    /// The datagram's number; clients send it as a number or as text.
    pub last_ref_time: Option<Text<'a>>,
}

form!(DatagramAck {
    "type" => kind,
    "lastRefTime" => last_ref_time,
});

impl<'a> DatagramAck<'a> {
    /// The number of the datagram that is acknowledged; `None` for any other message.
    pub fn number(&self) -> Option<u64> {
        let is_ack = self.kind.as_deref() == Some("push-ack");
        self.last_ref_time.as_ref().filter(|_| is_ack)?.parse().ok()
    }

    /// Reads a datagram; `None` for JSON's null.
    ///
    /// # Errors
    /// No JSON object, or a member of another type.
    pub fn parse(body: &'a [u8]) -> Result<Option<Self>, ParseError> {
        form::parse(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Option<Vec<(String, String)>> {
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        metadata(text).map(|pairs| pairs.iter().map(own).collect())
    }

    #[test]
    fn metadata_is_json_or_a_list() {
        type Expected = Option<&'static [(&'static str, &'static str)]>;
        let table: &[(&str, Expected)] = &[
            ("", Some(&[])),
            ("  ", Some(&[])),
            ("{}", Some(&[])),
            (r#"{"a": "b"}"#, Some(&[("a", "b")])),
            (r#"{"a":1,"b":null,"c":true}"#, Some(&[("a", "1"), ("c", "true")])),
            ("a=b", Some(&[("a", "b")])),
            ("a=b,c=d", Some(&[("a", "b"), ("c", "d")])),
            ("a", None),
            ("a=", None),
            ("a=b=c", None),
            ("a=b,", None),
            ("[1]", None),
            (r#"{"a":{}}"#, None),
            (r#"{"a":"b"} x"#, None),
            ("{", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|pairs| {
                pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
            });
            assert_eq!(pairs(text), expected, "{text}");
        }
    }

    /// As 1.4.8, the Python SDKs and use-nacos send them (wire samples).
    #[test]
    fn beats_of_real_clients() {
        let java = r#"{"port":8080,"ip":"192.0.2.11","weight":1.0,"serviceName":"G@@s",
            "metadata":{"version":"1"},"scheduled":false,"period":5000,"stopped":false}"#;
        let beat = Beat::parse(java).unwrap().unwrap();
        assert_eq!((beat.ip.as_deref(), beat.port), (Some("192.0.2.11"), 8080));
        assert_eq!((beat.cluster, beat.metadata.get("version")), (None, Some("1")));
        let python = r#"{"serviceName": "s", "ip": "6.6.6.6", "port": 80, "weight": 1.0,
            "cluster": "c1", "ephemeral": null}"#;
        let beat = Beat::parse(python).unwrap().unwrap();
        assert_eq!(beat.cluster.as_deref(), Some("c1"));
        for wrong in ["", "x", "[]", "{", r#"{"port":{}}"#] {
            assert!(Beat::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn acks_carry_their_number_as_number_or_text() {
        for text in [
            r#"{"type": "push-ack", "lastRefTime":"8895867734685", "data":""}"#,
            r#"{"type":"push-ack","lastRefTime":8895867734685,"data":""}"#,
        ] {
            let ack = DatagramAck::parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!(ack.number(), Some(8_895_867_734_685));
        }
        for other in [r#"{"type":"unknown-ack","lastRefTime":1}"#, r#"{"type":"push-ack"}"#, "{}"] {
            assert_eq!(DatagramAck::parse(other.as_bytes()).unwrap().unwrap().number(), None);
        }
        assert!(DatagramAck::parse(b"\xff\xfe").is_err());
    }
}
