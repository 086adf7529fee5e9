//! The asynchronous half of a client: one HTTP/2 connection on the shared background thread.
//!
//! Commands come over a bounded channel; each call is its own small task, so calls overlap. The
//! stream has one reader (pushes in wire order) and one writer.

use super::socket::{Socket, SocketIo};
use super::stream::{Manners, StreamReader};
use super::{Answer, ClientError, Push};
use crate::envelope::{self, Envelope};
use bytes::{Bytes, BytesMut};
use h2::SendStream;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc as queue;
use tokio::task::AbortHandle;

/// Commands under way to the background thread; a test that sends more waits.
const COMMANDS_MAX: usize = 1_024;

/// TCP connect and HTTP/2 handshake on loopback, with room for a busy machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Windows of a Java client: 1 MiB for a stream and for the connection.
const WINDOW_BYTES: u32 = 1 << 20;

/// The longest answer taken: the reference's own message limit, 10 MiB.
const ANSWER_BYTES_MAX: usize = 10 << 20;

type Reply = SyncSender<Result<Answer, ClientError>>;

pub(super) enum Command {
    Call { path: String, message: Vec<u8>, reply: Reply },
    StreamSend(Vec<u8>),
    StreamOpen(SyncSender<Result<(), ClientError>>),
    Leave,
}

/// The test thread's handle on its connection.
pub(super) struct Session {
    commands: queue::Sender<Command>,
    socket: Arc<Socket>,
    local_addr: SocketAddr,
    manners: Arc<Manners>,
    closed: Arc<OnceLock<String>>,
    gone: Receiver<()>,
    connection: AbortHandle,
}

impl Session {
    pub(super) fn connect(
        addr: SocketAddr,
        client_ip: String,
        pushes: SyncSender<Push>,
    ) -> Result<Self, ClientError> {
        let (reply, connected) = sync_channel(1);
        let authority = addr.to_string();
        reactor().spawn(async move {
            let result = tokio::time::timeout(CONNECT_TIMEOUT, handshake(addr)).await;
            let timeout = ClientError::Timeout { waiting_for: "connect", after: CONNECT_TIMEOUT };
            // A test that gave up has dropped the receiver; the connection drops with it.
            let _ = reply.send(result.unwrap_or(Err(timeout)));
        });
        let (requests, connection, socket) =
            connected.recv().expect("the background thread lives as long as the process")?;
        let manners = Arc::new(Manners::default());
        let closed = Arc::new(OnceLock::new());
        let (gone_sender, gone) = sync_channel::<()>(1);
        let fate = closed.clone();
        let connection = reactor().spawn(async move {
            let _until_gone = gone_sender;
            let why = match connection.await {
                Ok(()) => "closed by the peer".to_owned(),
                Err(error) => error.to_string(),
            };
            let _ = fate.set(why);
        });
        let (commands, inbox) = queue::channel(COMMANDS_MAX);
        let local_addr = socket.local_addr().map_err(ClientError::Connect)?;
        let driver = Driver {
            requests,
            authority,
            client_ip,
            manners: manners.clone(),
            pushes: Some(pushes),
            to_stream: None,
            commands: commands.downgrade(),
        };
        reactor().spawn(driver.run(inbox));
        let connection = connection.abort_handle();
        Ok(Self { commands, socket, local_addr, manners, closed, gone, connection })
    }

    pub(super) fn command(&self, command: Command) -> Result<(), ClientError> {
        self.commands.blocking_send(command).map_err(|_| self.closed_error())
    }

    pub(super) fn open_stream(&self) -> Result<(), ClientError> {
        let (reply, opened) = sync_channel(1);
        self.command(Command::StreamOpen(reply))?;
        opened.recv().unwrap_or_else(|_| Err(self.closed_error()))
    }

    pub(super) fn manners(&self) -> &Manners {
        &self.manners
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub(super) fn closed_text(&self) -> Option<&str> {
        self.closed.get().map(String::as_str)
    }

    pub(super) fn closed_error(&self) -> ClientError {
        // Calls may fail a moment before the connection's own end is told.
        let why = self.wait_closed(Duration::from_secs(1));
        ClientError::Closed(why.unwrap_or_else(|| "stream ended, connection open".to_owned()))
    }

    pub(super) fn wait_closed(&self, timeout: Duration) -> Option<String> {
        // Nothing is ever sent: the receiver reports the end when its sender is dropped.
        let _ = self.gone.recv_timeout(timeout);
        self.closed.get().cloned()
    }

    pub(super) fn close(self, timeout: Duration) -> Result<(), ClientError> {
        self.command(Command::Leave)?;
        let waited = self.wait_closed(timeout);
        waited
            .map(drop)
            .ok_or(ClientError::Timeout { waiting_for: "orderly close", after: timeout })
    }

    pub(super) fn kill(self) {
        // A socket that is already gone needs no reset.
        let _ = self.socket.reset_on_close();
        self.connection.abort();
        let _ = self.gone.recv_timeout(CONNECT_TIMEOUT);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

type Handshake = (SendRequest<Bytes>, h2::client::Connection<SocketIo, Bytes>, Arc<Socket>);

async fn handshake(addr: SocketAddr) -> Result<Handshake, ClientError> {
    let stream = tokio::net::TcpStream::connect(addr).await.map_err(ClientError::Connect)?;
    stream.set_nodelay(true).map_err(ClientError::Connect)?;
    let socket = Socket::new(stream);
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .enable_push(false)
        .handshake(SocketIo::new(socket.clone()))
        .await
        .map_err(|error| ClientError::Connect(std::io::Error::other(error)))?;
    Ok((requests, connection, socket))
}

/// Carries out one client's commands.
struct Driver {
    requests: SendRequest<Bytes>,
    authority: String,
    client_ip: String,
    manners: Arc<Manners>,
    pushes: Option<SyncSender<Push>>,
    to_stream: Option<SendStream<Bytes>>,
    commands: queue::WeakSender<Command>,
}

impl Driver {
    async fn run(mut self, mut inbox: queue::Receiver<Command>) {
        while let Some(command) = inbox.recv().await {
            match command {
                Command::Call { path, message, reply } => self.start_call(&path, message, reply),
                Command::StreamOpen(reply) => {
                    let opened = self.open_stream();
                    let _ = reply.send(opened);
                }
                Command::StreamSend(message) => {
                    if let Some(stream) = &mut self.to_stream {
                        // A stream the server ended is reported by the reader, in its place.
                        let _ = stream.send_data(message.into(), false);
                    }
                }
                Command::Leave => {
                    if let Some(stream) = &mut self.to_stream {
                        let _ = stream.send_data(Bytes::new(), true);
                    }
                    return;
                }
            }
        }
    }

    fn request(&self, path: &str) -> Result<Request<()>, ClientError> {
        Request::post(format!("http://{}{path}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", "nacre-wire-client/0.1")
            .header("grpc-accept-encoding", "gzip")
            .body(())
            .map_err(|error| ClientError::Closed(format!("bad path: {error}")))
    }

    fn start_call(&self, path: &str, message: Vec<u8>, reply: Reply) {
        let request = self.request(path);
        let requests = self.requests.clone();
        tokio::spawn(async move {
            let answer = match request {
                Ok(request) => call(requests, request, message).await,
                Err(error) => Err(error),
            };
            let _ = reply.send(answer);
        });
    }

    fn open_stream(&mut self) -> Result<(), ClientError> {
        let request = self.request("/BiRequestStream/requestBiStream")?;
        let (response, stream) = self.requests.send_request(request, false).map_err(closed)?;
        self.to_stream = Some(stream);
        let Some(pushes) = self.pushes.take() else { return Ok(()) };
        let reader = StreamReader {
            pushes,
            manners: self.manners.clone(),
            client_ip: self.client_ip.clone(),
            commands: self.commands.clone(),
        };
        tokio::spawn(async move {
            // The end of the stream is the end of the queue: dropping `pushes` tells the test.
            if let Ok(response) = response.await {
                reader.run(response.into_body()).await;
            }
        });
        Ok(())
    }
}

async fn call(
    requests: SendRequest<Bytes>,
    request: Request<()>,
    message: Vec<u8>,
) -> Result<Answer, ClientError> {
    let mut ready = requests.ready().await.map_err(closed)?;
    let (response, mut stream) = ready.send_request(request, false).map_err(closed)?;
    // An early answer (too large, unknown method) resets the sending half: then the answer counts.
    let _ = stream.send_data(message.into(), true);
    let response = response.await.map_err(closed)?;
    let status = response.status();
    if status != http::StatusCode::OK {
        return Err(ClientError::Grpc { status: -1, message: format!("HTTP {status}") });
    }
    if let Some(status) = grpc_status(response.headers()) {
        return Err(status);
    }
    let mut body = response.into_body();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(closed)?;
        let _ = body.flow_control().release_capacity(chunk.len());
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_BYTES_MAX + envelope::PREFIX_BYTES {
            return Err(ClientError::Closed("answer over 10 MiB".into()));
        }
    }
    match body.trailers().await.map_err(closed)? {
        None => return Err(ClientError::Grpc { status: -1, message: "no trailers".into() }),
        Some(trailers) if !trailers.contains_key("grpc-status") => {
            return Err(ClientError::Grpc { status: -1, message: "no grpc-status".into() });
        }
        Some(trailers) => grpc_status(&trailers).map_or(Ok(()), Err)?,
    }
    match envelope::split_message(&bytes)? {
        Some((message, used)) if used == bytes.len() => {
            let Envelope { kind, body, .. } = envelope::decode(message)?;
            Ok(Answer { kind: kind.to_owned(), body: body.to_vec() })
        }
        _ => Err(ClientError::Grpc { status: -1, message: "not one message".into() }),
    }
}

/// The error a `grpc-status` other than 0 stands for.
fn grpc_status(headers: &HeaderMap) -> Option<ClientError> {
    let status = headers.get("grpc-status")?.to_str().ok()?.parse().unwrap_or(-1);
    let message = headers.get("grpc-message").and_then(|text| text.to_str().ok());
    let message = message.unwrap_or_default().to_owned();
    (status != 0).then_some(ClientError::Grpc { status, message })
}

fn closed(error: h2::Error) -> ClientError {
    ClientError::Closed(error.to_string())
}

/// The one background thread all clients of this process share.
fn reactor() -> &'static Handle {
    static REACTOR: OnceLock<Handle> = OnceLock::new();
    REACTOR.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a test machine has an epoll descriptor to give");
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("wire-clients".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .expect("a test machine has a thread to give");
        handle
    })
}
