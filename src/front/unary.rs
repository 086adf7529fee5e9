//! A unary payload becomes a message for the shard, or an answer at once: the rows of
//! `grpc-protocol.md` 4 that need no connection.

use nacre_proto::code::Code;
use nacre_proto::payload::PayloadView;
use nacre_proto::request::{Kind, Request};
use nacre_shards::effect::Body;
use nacre_shards::key::ConnKey;
use nacre_shards::message::Message;
use nacre_shards::naming::answer;

/// What becomes of one unary payload.
#[derive(Debug)]
pub enum Unary<'a> {
    /// The shard answers it.
    Message(Message<'a>),
    /// Known to be refused without looking at the connection.
    Answer(Body),
    /// Not a payload at all: the gRPC call itself fails with this text.
    Malformed(String),
}

/// Translates the bytes of one unary message. `started` is false until the node serves.
pub fn translate(conn: ConnKey, stream: u32, started: bool, bytes: &[u8]) -> (Kind, Unary<'_>) {
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
        _ => Unary::Message(Message::Call {
            conn,
            stream,
            app: view.header("app"),
            request: Request::parse(kind, view.body).map_err(|error| error.to_string()),
        }),
    };
    (kind, unary)
}
