//! How often instances are checked, as a switch says it (`ops.md` 8).

use crate::fault::ParseError;
use crate::form::{self, Form};
use crate::scan::Scan;
use crate::value::Value;

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
    fn parameters_of_a_switch() {
        let params = HealthParams::parse(r#"{"max":5000,"min":"500","factor":0.85}"#).unwrap();
        assert_eq!(params, Some(HealthParams { max: 5_000, min: 500, factor: 0.85 }));
        assert!(HealthParams::parse(r#"{"max":[]}"#).is_err());
    }
}
