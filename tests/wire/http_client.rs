//! A small HTTP/1.1 client that says exactly what it is told, one connection at a time.

use crate::server::Server;
use crate::support::WAIT;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("answers are text")
    }

    /// For whoever looks on: archives are no text.
    pub fn shown(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        lines
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// One connection.
pub struct Http {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Http {
    pub fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.http_port())).expect("connect");
        stream.set_read_timeout(Some(WAIT)).expect("set a timeout");
        stream.set_nodelay(true).expect("set nodelay");
        Self { stream, pending: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// Sends what may be refused on the way.
    pub fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Says that nothing follows.
    pub fn end(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// A request without a body.
    pub fn ask(&mut self, method: &str, target: &str) -> Answer {
        self.ask_with(method, target, "", b"")
    }

    /// A request with further head lines, each ended by CRLF, and a body.
    pub fn ask_with(&mut self, method: &str, target: &str, lines: &str, body: &[u8]) -> Answer {
        self.begin(method, target, lines, body);
        self.answer_to(method).unwrap_or_else(|| panic!("no answer to {method} {target}"))
    }

    /// The same without waiting for its answer.
    pub fn begin(&mut self, method: &str, target: &str, lines: &str, body: &[u8]) {
        let length = match body.is_empty() && method == "GET" {
            true => String::new(),
            false => format!("content-length: {}\r\n", body.len()),
        };
        let head = format!("{method} {target} HTTP/1.1\r\nhost: x\r\n{lines}{length}\r\n");
        self.send(head.as_bytes());
        self.try_send(body);
    }

    /// The next answer; `None` when the server closed instead.
    pub fn answer(&mut self) -> Option<Answer> {
        self.answer_to("GET")
    }

    fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let end = loop {
            let end = self.pending.windows(4).position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end,
                None => self.receive()?,
            }
        };
        let head = String::from_utf8(self.pending[..end].to_vec()).expect("heads are text");
        self.pending.drain(..end + 4);
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Answer { status, head, body: Vec::new() };
        if status == 100 {
            return Some(answer);
        }
        let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        if answer.header("transfer-encoding") == Some("chunked") && method != "HEAD" {
            answer.body = self.chunks()?;
        } else if method != "HEAD" {
            while self.pending.len() < length {
                self.receive()?;
            }
            answer.body = self.pending.drain(..length).collect();
        }
        Some(answer)
    }

    /// What is sent in chunks, joined; `None`: it was cut short.
    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.pending.windows(2).position(|window| window == b"\r\n") {
                    Some(end) => break end,
                    None => self.receive()?,
                }
            };
            let size = std::str::from_utf8(&self.pending[..end]).ok()?;
            let size = usize::from_str_radix(size, 16).ok()?;
            self.pending.drain(..end + 2);
            while self.pending.len() < size + 2 {
                self.receive()?;
            }
            body.extend(self.pending.drain(..size));
            self.pending.drain(..2);
            if size == 0 {
                return Some(body);
            }
        }
    }

    fn receive(&mut self) -> Option<()> {
        let mut chunk = [0; 65_536];
        let count = self.stream.read(&mut chunk).ok()?;
        self.pending.extend_from_slice(&chunk[..count]);
        (count > 0).then_some(())
    }
}

/// One request on a connection of its own, so that any core may take it.
pub fn ask(server: &Server, method: &str, target: &str) -> Answer {
    Http::connect(server).ask(method, target)
}

/// The same, which must succeed.
pub fn must(server: &Server, method: &str, target: &str) -> Answer {
    let answer = ask(server, method, target);
    assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
    answer
}
