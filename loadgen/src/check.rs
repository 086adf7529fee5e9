//! Judges answers: decoded, of the right type, a success, and saying what they must.
//!
//! Byte-equal answers have been judged before, so only the first of a run of equals is decoded;
//! the generator then costs a comparison, and the server is what is measured.

use crate::envelope;
use nacre_proto::client::response::Response;

/// Good answers remembered, most recent first: one per service or page in rotation.
const KNOWN_MAX: usize = 64;

/// Longer answers are decoded each time.
const KNOWN_BYTES_MAX: usize = 16 << 10;

/// What a body must say beyond success.
pub type Test = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// Knows what a good answer is, and counts the others.
pub struct Judge {
    kind: &'static str,
    test: Test,
    known: Vec<Vec<u8>>,
    wrong: u64,
    first_wrong: Option<String>,
}

impl Judge {
    /// Answers of this type whose body passes `test`.
    pub fn new(kind: &'static str, test: Test) -> Self {
        Self { kind, test, known: Vec::new(), wrong: 0, first_wrong: None }
    }

    /// Answers of this type that are a success.
    pub fn success(kind: &'static str) -> Self {
        Self::new(kind, Box::new(|_| Ok(())))
    }

    /// Judges one `Payload`.
    pub fn check(&mut self, message: &[u8]) -> bool {
        if let Some(at) = self.known.iter().position(|known| known == message) {
            if at > 0 {
                self.known.swap(at, at - 1);
            }
            return true;
        }
        match self.decode(message) {
            Ok(()) => {
                if message.len() <= KNOWN_BYTES_MAX {
                    self.known.truncate(KNOWN_MAX - 1);
                    self.known.push(message.to_vec());
                }
                true
            }
            Err(why) => {
                self.wrong += 1;
                self.first_wrong.get_or_insert(why);
                false
            }
        }
    }

    fn decode(&self, message: &[u8]) -> Result<(), String> {
        let payload = envelope::decode(message).map_err(|error| error.to_string())?;
        let show = || format!("{} {}", payload.kind, String::from_utf8_lossy(payload.body));
        let outcome: Response = serde_json::from_slice(payload.body)
            .map_err(|error| format!("{error} in {}", show()))?;
        if payload.kind != self.kind || outcome.result_code != 200 {
            return Err(format!("wanted a successful {}, got {}", self.kind, show()));
        }
        (self.test)(payload.body).map_err(|why| format!("{why} in {}", show()))
    }

    /// How many were not good, and what the first of them was.
    pub fn wrong(&self) -> (u64, Option<&str>) {
        (self.wrong, self.first_wrong.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_proto::client::response::ServiceListResponse;

    fn payload(kind: &str, body: &str) -> Vec<u8> {
        let mut out = Vec::new();
        envelope::encode(kind, "", &[], body.as_bytes(), &mut out);
        out
    }

    #[test]
    fn only_a_success_of_the_right_type_passes() {
        let mut judge = Judge::success("HealthCheckResponse");
        let good = payload("HealthCheckResponse", r#"{"resultCode":200}"#);
        assert!(judge.check(&good) && judge.check(&good));
        assert_eq!(judge.wrong(), (0, None));
        for bad in [
            payload("HealthCheckResponse", r#"{"resultCode":500,"errorCode":301}"#),
            payload("InstanceResponse", r#"{"resultCode":200}"#),
            payload("HealthCheckResponse", "{"),
            vec![0xff],
        ] {
            assert!(!judge.check(&bad));
        }
        let (wrong, first) = judge.wrong();
        assert_eq!(wrong, 4);
        assert!(first.unwrap().contains("301"), "{first:?}");
    }

    #[test]
    fn the_body_is_tested_for_each_new_text() {
        let test = |body: &[u8]| {
            let list: ServiceListResponse = serde_json::from_slice(body).unwrap();
            if list.count == 2 { Ok(()) } else { Err(format!("count {}", list.count)) }
        };
        let mut judge = Judge::new("ServiceListResponse", Box::new(test));
        assert!(judge.check(&payload("ServiceListResponse", r#"{"count":2}"#)));
        assert!(!judge.check(&payload("ServiceListResponse", r#"{"count":1}"#)));
        assert!(judge.check(&payload("ServiceListResponse", r#"{"count":2}"#)));
        assert_eq!(judge.wrong().0, 1);
    }
}
