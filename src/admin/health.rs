//! Whether this node is alive and ready, in the three shapes the reference has answered in.

use crate::http1::StatusCode;
use crate::http1::reply::{self, Reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where the node stands. Written a few times in its life, read by probes only.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

/// The values of [`Readiness`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Starting = 0,
    Up = 1,
    Stopping = 2,
}

impl Readiness {
    /// Starting.
    pub fn new() -> Readiness {
        Readiness::default()
    }

    pub fn set(&self, state: State) {
        self.0.store(state as u8, Ordering::Release);
    }

    pub fn get(&self) -> State {
        match self.0.load(Ordering::Acquire) {
            0 => State::Starting,
            1 => State::Up,
            _ => State::Stopping,
        }
    }
}

/// What is asked of a health path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Always fine once somebody answers.
    Liveness,
    /// Whether clients should come.
    Readiness,
}

/// In which API generation it is asked; each answers "no" differently (`http-api.md` 4.3, 5, 7.1,
/// 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// v1 console: plain `OK`, or 500.
    Text,
    /// v2 console and v3 admin: an envelope; "no" is HTTP 200 with code 30000.
    Envelope,
    /// v3 console: an envelope; "no" is HTTP 500.
    StrictEnvelope,
}

/// The module that is not ready, in the reference's words.
const NOT_READY: &str = "naming not in readiness";

/// Answers a probe.
pub fn answer(probe: Probe, shape: Shape, state: State) -> Reply {
    let fine = probe == Probe::Liveness || state == State::Up;
    match (shape, fine) {
        (Shape::Text, true) => reply::text(StatusCode::OK, "OK"),
        (Shape::Text, false) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, NOT_READY),
        (_, true) => reply::json(StatusCode::OK, r#"{"code":0,"message":"success","data":"ok"}"#),
        (shape, false) => {
            let status = match shape {
                Shape::StrictEnvelope => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::OK,
            };
            let body = format!(r#"{{"code":30000,"message":"{NOT_READY}","data":null}}"#);
            reply::json(status, body)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_shape_and_state() {
        let ok = r#"{"code":0,"message":"success","data":"ok"}"#;
        let no = r#"{"code":30000,"message":"naming not in readiness","data":null}"#;
        for (shape, state, status, body) in [
            (Shape::Text, State::Up, 200, "OK"),
            (Shape::Text, State::Starting, 500, NOT_READY),
            (Shape::Text, State::Stopping, 500, NOT_READY),
            (Shape::Envelope, State::Up, 200, ok),
            (Shape::Envelope, State::Starting, 200, no),
            (Shape::StrictEnvelope, State::Up, 200, ok),
            (Shape::StrictEnvelope, State::Stopping, 500, no),
        ] {
            let reply = answer(Probe::Readiness, shape, state);
            assert_eq!(reply.status(), status, "{shape:?} {state:?}");
            assert_eq!(reply.body().bytes(), body.as_bytes(), "{shape:?} {state:?}");
            let alive = answer(Probe::Liveness, shape, state);
            assert_eq!(alive.status(), 200, "{shape:?} {state:?}");
            assert!(
                alive.body().bytes().to_ascii_lowercase().ends_with(b"ok\"}")
                    || alive.body().bytes() == b"OK"
            );
        }
    }

    #[test]
    fn states() {
        let readiness = Readiness::new();
        assert_eq!(readiness.get(), State::Starting);
        for state in [State::Up, State::Stopping] {
            readiness.clone().set(state);
            assert_eq!(readiness.get(), state);
        }
    }
}
