//! Where the requests of a run come from: built once, patched in place where they differ.

use crate::scenario::config::wire;
use crate::session::Script;
use nacre_proto::client::request::{InstanceRequest, SubscribeServiceRequest};
use nacre_proto::client::{Instance, Map, Named};

/// Digits of a service number in its name.
const SERVICE_DIGITS: usize = 7;

/// Digits of the number in an instance's metadata that changes with every registration.
const SEQUENCE_DIGITS: usize = 12;

/// The metadata key that carries it.
pub const SEQUENCE_KEY: &str = "seq";

/// The metadata key that only takes room.
const PADDING_KEY: &str = "zone";

/// The name of a service of a run.
pub fn service_name(run: &str, service: usize) -> String {
    format!("{run}-{service:0SERVICE_DIGITS$}")
}

/// A sequence number as metadata has it.
pub fn sequence_text(sequence: u64) -> String {
    format!("{sequence:0SEQUENCE_DIGITS$}")
}

/// The number in a service's name, if it is one of a run.
pub fn service_number(name: &str) -> Option<usize> {
    name.get(name.len().checked_sub(SERVICE_DIGITS)?..)?.parse().ok()
}

/// The `number`-th instance of a run, with about so many bytes of metadata.
pub fn instance(number: usize, sequence: u64, metadata_bytes: usize) -> Instance {
    let [_, b, c, d] = (number as u32).to_be_bytes();
    let mut metadata = Map::from([(SEQUENCE_KEY.to_owned(), sequence_text(sequence))]);
    let padding = metadata_bytes.saturating_sub(SEQUENCE_KEY.len() + SEQUENCE_DIGITS);
    if let Some(padding) = padding.checked_sub(PADDING_KEY.len()).filter(|bytes| *bytes > 0) {
        metadata.insert(PADDING_KEY.to_owned(), "x".repeat(padding));
    }
    Instance { metadata: Some(metadata), ..Instance::new(&format!("10.{b}.{c}.{d}"), 8080) }
}

/// The subscription, or its end, to one service.
pub fn subscribe(run: &str, service: usize, subscribe: bool) -> SubscribeServiceRequest {
    SubscribeServiceRequest {
        namespace: Some("public".into()),
        service_name: Some(service_name(run, service)),
        group_name: Some("DEFAULT_GROUP".into()),
        subscribe,
        clusters: Some(String::new()),
        ..SubscribeServiceRequest::default()
    }
}

/// The registration request of one service.
pub fn register(run: &str, service: usize, instance: Instance) -> InstanceRequest {
    InstanceRequest {
        namespace: Some("public".into()),
        service_name: Some(service_name(run, service)),
        group_name: Some("DEFAULT_GROUP".into()),
        operation: "registerInstance".into(),
        instance: Some(instance),
        ..InstanceRequest::default()
    }
}

/// Messages in rotation, or registrations with ever new metadata.
pub enum Feed {
    /// The same messages again and again, whoever sends them.
    Cycle(Vec<Vec<u8>>),
    /// Each client registers its own services in turn.
    Register(Register),
}

/// Registrations or publishes: client `c` of `clients` owns the services `c`, `c + clients`, ...
pub struct Register {
    message: Vec<u8>,
    service_at: usize,
    sequence_at: usize,
    services: usize,
    clients: usize,
    turns: Vec<usize>,
    sequence: u64,
}

impl Register {
    /// For so many services owned by so many clients.
    pub fn new(run: &str, services: usize, clients: usize) -> Self {
        let message = Script::message(&register(run, 0, instance(0, 0, 0)));
        Self::of(message, &service_name(run, 0), services, clients)
    }

    /// Publishes of so many configs by so many clients, each content of so many bytes.
    pub fn publishes(run: &str, configs: usize, clients: usize, content_bytes: usize) -> Self {
        let padding = "x".repeat(content_bytes.saturating_sub(SEQUENCE_DIGITS));
        let message = wire::publish(run, 0, sequence_text(0) + &padding);
        Self::of(message, &wire::data_id(run, 0), configs, clients)
    }

    /// One message, in which the number at the end of `name` and a sequence number are changed.
    fn of(message: Vec<u8>, name: &str, services: usize, clients: usize) -> Self {
        let find = |text: &str| {
            let found = message.windows(text.len()).position(|window| window == text.as_bytes());
            found.expect("the request was built with this text")
        };
        let service_at = find(name) + name.len() - SERVICE_DIGITS;
        let sequence_at = find(&sequence_text(0));
        let turns = vec![0; clients];
        Self { service_at, sequence_at, services, clients, turns, sequence: 0, message }
    }

    /// Services of one client.
    fn own(&self, client: usize) -> usize {
        (self.services.saturating_sub(client)).div_ceil(self.clients).max(1)
    }

    fn next(&mut self, client: u32) -> &[u8] {
        let client = client as usize % self.clients;
        let own = self.own(client);
        let turn = &mut self.turns[client];
        let service = (client + (*turn % own) * self.clients) % self.services;
        *turn += 1;
        self.sequence += 1;
        put_digits(&mut self.message[self.service_at..][..SERVICE_DIGITS], service as u64);
        put_digits(&mut self.message[self.sequence_at..][..SEQUENCE_DIGITS], self.sequence);
        &self.message
    }
}

impl Feed {
    /// The next message for this client; `number` counts the run's calls.
    pub fn next(&mut self, client: u32, number: u64) -> &[u8] {
        match self {
            Self::Cycle(messages) => &messages[number as usize % messages.len()],
            Self::Register(register) => register.next(client),
        }
    }

    /// Whether each message was handed out once. Connections answer at different speeds, so a
    /// number of calls in all does not say it of each client's services.
    pub fn is_covered(&self, begun: u64) -> bool {
        match self {
            Self::Cycle(messages) => begun >= messages.len() as u64,
            Self::Register(register) => {
                (0..register.clients).all(|client| register.turns[client] >= register.own(client))
            }
        }
    }

    /// A rotation of typed requests.
    pub fn cycle<M: Named>(requests: impl IntoIterator<Item = M>) -> Self {
        Self::Cycle(requests.into_iter().map(|request| Script::message(&request)).collect())
    }
}

fn put_digits(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope;

    fn read(message: &[u8]) -> (String, String) {
        let (message, _) = envelope::split_message(message).unwrap().unwrap();
        let payload = envelope::decode(message).unwrap();
        let request: InstanceRequest = serde_json::from_slice(payload.body).unwrap();
        let metadata = request.instance.unwrap().metadata.unwrap();
        (request.service_name.unwrap(), metadata[SEQUENCE_KEY].clone())
    }

    #[test]
    fn names_and_metadata_say_what_they_were_made_of() {
        assert_eq!(service_number(&service_name("load-3", 71)), Some(71));
        assert_eq!(service_number("short"), None);
        assert_eq!(service_number("load-abcdefg"), None);
        let bytes = |of: usize| {
            let metadata = instance(1, 2, of).metadata.unwrap();
            metadata.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
        };
        assert_eq!((bytes(0), bytes(19), bytes(128)), (15, 15, 128));
    }

    #[test]
    fn every_client_goes_round_its_own_services() {
        let mut feed = Feed::Register(Register::new("load", 5, 2));
        let mut names = |client| -> Vec<String> {
            (0..4).map(|number| read(feed.next(client, number)).0).collect()
        };
        let name = |service| service_name("load", service);
        assert_eq!(names(0), [name(0), name(2), name(4), name(0)]);
        assert_eq!(names(1), [name(1), name(3), name(1), name(3)]);
        let last = read(feed.next(0, 0));
        assert_eq!(last.1, sequence_text(9));
    }
}
