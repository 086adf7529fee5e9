//! The stream's receiving half: every push is queued for the test and answered as told.

use super::session::Command;
use super::{AckMode, Push};
use crate::clock;
use crate::envelope::{self, Envelope};
use bytes::{Buf, BytesMut};
use h2::RecvStream;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::mpsc as queue;

/// `AckMode` as a number of milliseconds: 0 is at once, `MANUAL` never.
const MANUAL: u64 = u64::MAX;

/// How this client treats what the server sends; shared with the tests' thread.
#[derive(Debug)]
pub(super) struct Manners {
    ack_after_ms: AtomicU64,
    answer_detection: AtomicBool,
    pushes_lost: AtomicU64,
}

impl Default for Manners {
    /// Everything is answered at once.
    fn default() -> Self {
        Self {
            ack_after_ms: AtomicU64::new(0),
            answer_detection: AtomicBool::new(true),
            pushes_lost: AtomicU64::new(0),
        }
    }
}

impl Manners {
    pub(super) fn set_ack_mode(&self, mode: AckMode) {
        let after = match mode {
            AckMode::Auto => 0,
            AckMode::Delay(delay) => u64::try_from(delay.as_millis()).unwrap_or(MANUAL),
            AckMode::Manual => MANUAL,
        };
        self.ack_after_ms.store(after, Ordering::SeqCst);
    }

    pub(super) fn set_answer_detection(&self, answer: bool) {
        self.answer_detection.store(answer, Ordering::SeqCst);
    }

    pub(super) fn pushes_lost(&self) -> u64 {
        self.pushes_lost.load(Ordering::SeqCst)
    }

    /// After how long a push of this type is acknowledged, if it is.
    fn ack_after(&self, kind: &str) -> Option<Duration> {
        match kind {
            "SetupAckRequest" => None,
            "ClientDetectionRequest" => {
                self.answer_detection.load(Ordering::SeqCst).then_some(Duration::ZERO)
            }
            _ => match self.ack_after_ms.load(Ordering::SeqCst) {
                MANUAL => None,
                after => Some(Duration::from_millis(after)),
            },
        }
    }
}

/// Reads the stream: every message is queued for the test and acknowledged as told.
pub(super) struct StreamReader {
    pub(super) pushes: SyncSender<Push>,
    pub(super) manners: Arc<Manners>,
    pub(super) client_ip: String,
    pub(super) commands: queue::WeakSender<Command>,
}

impl StreamReader {
    pub(super) async fn run(self, mut body: RecvStream) {
        let mut bytes = BytesMut::new();
        while let Some(Ok(chunk)) = body.data().await {
            let _ = body.flow_control().release_capacity(chunk.len());
            bytes.extend_from_slice(&chunk);
            while let Ok(Some((message, used))) = envelope::split_message(&bytes) {
                let Ok(envelope) = envelope::decode(message) else { return };
                self.take(&envelope);
                bytes.advance(used);
            }
        }
    }

    fn take(&self, envelope: &Envelope<'_>) {
        let request_id = request_id(envelope.body);
        if let Some(after) = self.manners.ack_after(envelope.kind) {
            self.acknowledge(envelope.kind, request_id.as_deref().unwrap_or_default(), after);
        }
        let push = Push {
            kind: envelope.kind.to_owned(),
            body: envelope.body.to_vec(),
            request_id,
            at: clock::now(),
        };
        if self.pushes.try_send(push).is_err() {
            self.manners.pushes_lost.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn acknowledge(&self, kind: &str, request_id: &str, after: Duration) {
        let mut message = Vec::new();
        let body = ack_body(request_id, 200);
        envelope::encode_message(&ack_kind(kind), &self.client_ip, &[], &body, &mut message);
        let commands = self.commands.clone();
        tokio::spawn(async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            if let Some(commands) = commands.upgrade() {
                let _ = commands.send(Command::StreamSend(message)).await;
            }
        });
    }
}

/// The type that answers a push: `…Request` becomes `…Response`.
pub(super) fn ack_kind(push_kind: &str) -> String {
    format!("{}Response", push_kind.strip_suffix("Request").unwrap_or(push_kind))
}

/// The body of an acknowledgement, as Java writes it.
pub(super) fn ack_body(request_id: &str, result_code: i64) -> Vec<u8> {
    let success = result_code == 200;
    serde_json::json!({
        "resultCode": result_code, "errorCode": 0, "requestId": request_id, "success": success,
    })
    .to_string()
    .into_bytes()
}

fn request_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WithId {
        request_id: Option<String>,
    }
    serde_json::from_slice::<WithId>(body).ok()?.request_id
}
