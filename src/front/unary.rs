//! A unary payload becomes a message for the shard, or an answer at once: the rows of
//! `grpc-protocol.md` 4 that need no connection.

use crate::auth::token::Claims;
use crate::auth::{Credentials, Door};
use nacre_proto::code::Code;
use nacre_proto::payload::PayloadView;
use nacre_proto::request::{Kind, Request};
use nacre_shards::auth::{self, Denial};
use nacre_shards::effect::Body;
use nacre_shards::key::ConnKey;
use nacre_shards::message::{Message, Now};
use nacre_shards::naming::answer;
use std::rc::Rc;

/// What becomes of one unary payload.
#[derive(Debug)]
pub enum Unary<'a> {
    /// The shard answers it.
    Message(Message<'a>),
    /// The same; before it, the shard is told whose the call is: what it asks for stands.
    Standing(Rc<Claims>, Message<'a>),
    /// Known to be refused without looking at the connection.
    Answer(Body),
    /// Its name and password have to be compared first; then it is translated again.
    MustCompare { user: String, password: String },
    /// Not a payload at all: the gRPC call itself fails with this text.
    Malformed(String),
}

/// The one place where a call of this wire is let in or not.
#[derive(Debug, Clone, Copy)]
pub enum Gate<'g> {
    /// Ask the core's door.
    Door(&'g Door, Now),
    /// It was asked, and a password was compared: wrong, or not to be compared.
    Denied(Denial),
}

impl Gate<'_> {
    /// `Err(None)`: a password has to be compared first.
    fn judge(
        self,
        view: &PayloadView<'_>,
        request: &mut Request<'_>,
    ) -> Result<Option<Rc<Claims>>, Option<Denial>> {
        match self {
            Gate::Door(door, now) => door.judge(view.headers(), request, now),
            Gate::Denied(denial) => Err(Some(denial)),
        }
    }
}

/// Translates the bytes of one unary message. `started` is false until the node serves.
pub fn translate<'a>(
    conn: ConnKey,
    stream: u32,
    started: bool,
    gate: Gate<'_>,
    bytes: &'a [u8],
) -> (Kind, Unary<'a>) {
    let view = match PayloadView::decode(bytes) {
        Ok(view) => view,
        Err(error) => return (Kind::Unknown, Unary::Malformed(error.to_string())),
    };
    let kind = Kind::of(view.kind);
    let unary = match kind {
        Kind::ClusterOnly => Unary::Answer(answer::error(
            Code::BadGateway.number(),
            &format!(" invoke {} from sdk is forbidden", view.kind),
        )),
        _ if !started => Unary::Answer(answer::error(
            Code::InvalidServerStatus.number(),
            "Server is starting,please try later.",
        )),
        Kind::ServerCheck => Unary::Message(Message::ServerCheck { conn, stream }),
        Kind::ConnectionSetup | Kind::Response | Kind::NoHandler | Kind::Unknown => {
            Unary::Answer(answer::error(Code::NoHandler.number(), "RequestHandler Not Found"))
        }
        _ => request(conn, stream, kind, gate, &view),
    };
    (kind, unary)
}

/// A type with a handler: its body is read before rights are looked at, as in the reference.
fn request<'a>(
    conn: ConnKey,
    stream: u32,
    kind: Kind,
    gate: Gate<'_>,
    view: &PayloadView<'a>,
) -> Unary<'a> {
    let mut request = Request::parse(kind, view.body).map_err(|error| error.to_string());
    let mut who = None;
    if let Ok(Some(request)) = &mut request {
        match gate.judge(view, request) {
            Ok(claims) => who = claims.filter(|_| auth::call::stands(request)),
            Err(Some(denial)) => {
                return Unary::Message(Message::Denied { conn, stream, kind, denial });
            }
            Err(None) => return must_compare(view),
        }
    }
    let (app, tag) = (view.header("app"), view.header("Vipserver-Tag"));
    let call = Message::Call { conn, stream, app, tag, request };
    match who {
        Some(who) => Unary::Standing(who, call),
        None => Unary::Message(call),
    }
}

fn must_compare<'a>(view: &PayloadView<'_>) -> Unary<'a> {
    let mut credentials = Credentials::default();
    view.headers().for_each(|(name, value)| credentials.add(name, value));
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (user, password) = (text(credentials.username), text(credentials.password));
    Unary::MustCompare { user, password }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_proto::payload::encode_head;
    use nacre_shards::key::{Core, Home};

    /// Rows before rights are looked at need no door.
    const OFF: Gate<'static> = Gate::Denied(Denial::Forbidden);
    const CONN: ConnKey = ConnKey { home: Home(Core(0)), slot: 7, generation: 1 };

    fn payload(kind: &str, body: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_head(kind, "192.0.2.2", body.len(), &mut bytes);
        bytes.extend_from_slice(body.as_bytes());
        bytes
    }

    fn refused(kind: &str, started: bool) -> Option<(i32, String)> {
        match translate(CONN, 1, started, OFF, &payload(kind, "{}")).1 {
            Unary::Answer(body) => {
                assert_eq!(body.kind, "ErrorResponse");
                let json = body.json.pieces().concat();
                Some((body.error_code, String::from_utf8(json).expect("JSON is UTF-8")))
            }
            _ => None,
        }
    }

    /// `grpc-protocol.md` 4, rows 0 to 3, in that order.
    #[test]
    fn rows_that_need_no_connection_answer_in_order() {
        let (code, text) = refused("DistroDataRequest", false).expect("row 0 comes first");
        assert_eq!(code, 502);
        assert!(text.contains(" invoke DistroDataRequest from sdk is forbidden"), "{text}");
        for kind in ["NoSuchRequest", "", "LockOperationRequest", "HealthCheckResponse"] {
            let (code, text) = refused(kind, true).expect("row 3");
            assert_eq!(code, 302, "{kind}");
            assert!(text.contains("RequestHandler Not Found"), "{text}");
        }
    }

    /// A server that is starting refuses everything, ServerCheck and unknown types too.
    #[test]
    fn a_starting_server_says_so_to_everything_but_peers() {
        for kind in ["ServerCheckRequest", "HealthCheckRequest", "InstanceRequest", "NoSuch"] {
            let (code, text) = refused(kind, false).expect("row 1");
            assert_eq!(code, 300, "{kind}");
            assert!(text.contains("Server is starting,please try later."), "{text}");
        }
    }

    #[test]
    fn a_started_server_hands_calls_to_the_shard() {
        let bytes = payload("ServerCheckRequest", "not even JSON");
        let (kind, unary) = translate(CONN, 3, true, OFF, &bytes);
        assert_eq!(kind, Kind::ServerCheck);
        assert!(matches!(unary, Unary::Message(Message::ServerCheck { stream: 3, .. })));
        let bytes = payload("InstanceRequest", "{\"type\":");
        let (_, unary) = translate(CONN, 5, true, OFF, &bytes);
        assert!(matches!(unary, Unary::Message(Message::Call { request: Err(_), .. })));
    }

    #[test]
    fn bytes_that_are_no_payload_fail_the_call() {
        let (_, unary) = translate(CONN, 1, true, OFF, &[0xff, 0xff, 0xff]);
        assert!(matches!(unary, Unary::Malformed(_)));
    }
}
