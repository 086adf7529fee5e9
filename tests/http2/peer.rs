//! A server with nothing but the state machine on blocking sockets, a thread a connection.
//!
//! For protocol testers before and beside the real server:
//! `cargo run --example http2_peer -- 127.0.0.1:8080`, then `h2spec -p 8080`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nacre::grpc::{Codec, Connection, Kind, Limits, Message, Method, PlainPath, Service};

/// Echoes unary messages on `/echo`, and each message of a stream on `/chat`.
#[derive(Default)]
struct Echo {
    messages: Vec<(u32, Method, Vec<u8>)>,
    finished: Vec<u32>,
}

impl Service for Echo {
    fn route(&mut self, path: &[u8]) -> Option<Method> {
        match path {
            b"/echo" => Some(Method { id: 0, kind: Kind::Unary }),
            b"/chat" => Some(Method { id: 1, kind: Kind::Bidi }),
            _ => None,
        }
    }

    fn message(&mut self, stream: u32, method: Method, message: &[u8]) {
        self.messages.push((stream, method, message.to_vec()));
    }

    fn half_closed(&mut self, stream: u32, _: Method) {
        self.finished.push(stream);
    }

    fn reset(&mut self, _: u32, _: Method) {}
}

fn limits() -> Limits {
    let page = |path: &str| PlainPath {
        path: path.into(),
        body: bytes::Bytes::from_static(b"{\"status\":\"UP\"}"),
    };
    Limits { plain_paths: vec![page("/"), page("/health")], ..Limits::default() }
}

#[allow(clippy::disallowed_methods, reason = "the peer has no pump whose clock it could use")]
fn serve(mut socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let start = std::time::Instant::now();
    let now_ms = || start.elapsed().as_millis() as u64;
    let mut codec = Codec::new(limits());
    let mut connection = Connection::new(now_ms());
    let (mut out, mut input, mut echo) = (Vec::new(), [0; 16_384], Echo::default());
    connection.greet(&mut codec, &mut out);
    let mut open = true;
    while open {
        socket.write_all(&out)?;
        out.clear();
        let result = match socket.read(&mut input) {
            Ok(0) => break,
            Ok(bytes) => connection
                .receive(&input[..bytes], now_ms(), &mut codec, &mut out, &mut echo)
                .map(|_| ()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                connection.check(now_ms(), &mut codec, &mut out, &mut echo)
            }
            Err(error) => return Err(error),
        };
        if let Err(closed) = result {
            eprintln!("closed: {}", closed.reason.name());
            open = false;
        }
        for (stream, method, message) in echo.messages.drain(..) {
            let message = Message::whole(&message);
            match method.kind {
                Kind::Unary => connection.reply(stream, message, &mut codec, &mut out),
                Kind::Bidi => connection.push(stream, message, &mut codec, &mut out),
            };
        }
        for stream in echo.finished.drain(..) {
            connection.finish(stream, &mut codec, &mut out);
        }
    }
    socket.write_all(&out)?;
    connection.release(&mut codec);
    socket.shutdown(std::net::Shutdown::Write)?;
    // Read what is under way, or the kernel answers it with a reset that overtakes our GOAWAY.
    while matches!(socket.read(&mut input), Ok(bytes) if bytes > 0) {}
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "a thread a connection is all the engine this peer has"
)]
fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address)?;
    println!("listening on {address}");
    for socket in listener.incoming() {
        let socket = socket?;
        std::thread::spawn(move || serve(socket));
    }
    Ok(())
}
