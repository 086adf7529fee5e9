//! How instances of a cluster are checked, as parameters of the open API say it (`naming.md` 10).

use crate::fault::ParseError;
use crate::form::{self, Form, form};
use crate::scan::Scan;
use crate::text::Text;
use crate::value::Value;

/// A cluster's `healthChecker`. Absent members hold the reference's initial values.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthChecker<'a> {
    /// `TCP`, `HTTP`, `MYSQL`, `NONE`, or what a plugin calls itself.
    pub kind: Option<Text<'a>>,
    /// Of HTTP.
    pub path: Option<Text<'a>>,
    /// Of HTTP: `name:value|name:value`.
    pub headers: Option<Text<'a>>,
    /// Of HTTP. The reference keeps it and judges by 200 all the same.
    pub expected_response_code: i64,
    /// Of MYSQL.
    pub user: Option<Text<'a>>,
    /// Of MYSQL.
    pub password: Option<Text<'a>>,
    /// Of MYSQL.
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

/// How often a kind of check is made: the value of the switches `tcpHealthParams` and its like.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HealthParams {
    /// Milliseconds between two checks, at most.
    pub max: i64,
    /// Milliseconds between two checks, at least.
    pub min: i64,
    /// How much of the last interval stays in the next.
    pub factor: f64,
}

impl<'a> Form<'a> for HealthParams {
    fn member(&mut self, name: &str, scan: &mut Scan<'a>) -> Result<(), ParseError> {
        match name {
            "max" => self.max = Value::read(scan)?,
            "min" => self.min = Value::read(scan)?,
            "factor" => self.factor = Value::read(scan)?,
            _ => scan.skip()?,
        }
        Ok(())
    }
}

impl HealthParams {
    /// Reads the value; `None` for JSON's null.
    ///
    /// # Errors
    /// No JSON object, or a member of another type.
    pub fn parse(text: &str) -> Result<Option<Self>, ParseError> {
        form::parse(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkers_as_the_console_sends_them() {
        let text = r#"{"type":"HTTP","path":"/up","headers":"A:1|B:2","expectedResponseCode":204}"#;
        let checker = HealthChecker::parse(text).unwrap().unwrap();
        assert_eq!(checker.kind.as_deref(), Some("HTTP"));
        assert_eq!(checker.path.as_deref(), Some("/up"));
        assert_eq!(checker.headers.as_deref(), Some("A:1|B:2"));
        assert_eq!(checker.expected_response_code, 204);
        let plain = HealthChecker::parse(r#"{"type":"TCP"}"#).unwrap().unwrap();
        assert_eq!((plain.path, plain.expected_response_code), (None, 200));
        for wrong in ["", "TCP", "[]", r#"{"expectedResponseCode":"x"}"#] {
            assert!(HealthChecker::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameters_of_a_switch() {
        let params = HealthParams::parse(r#"{"max":5000,"min":"500","factor":0.85}"#).unwrap();
        assert_eq!(params, Some(HealthParams { max: 5_000, min: 500, factor: 0.85 }));
        assert!(HealthParams::parse(r#"{"max":[]}"#).is_err());
    }
}
