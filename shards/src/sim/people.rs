//! The clients' half of a run: what they do, and how they get what is sent to them.

use crate::key::{ConnKey, Core};
use crate::sim::client::{Online, Op, Reaction, Wire};
use crate::sim::server::Input;
use crate::sim::workload::{self, Act};
use crate::sim::world::{EPOCH_MS, Event, World};

impl World {
    pub(super) fn online(&mut self, client: usize, conn: ConnKey) -> Option<&mut Online> {
        self.clients[client].as_mut().filter(|online| online.conn == conn)
    }

    pub(super) fn act(&mut self, client: usize) {
        if self.healed {
            return;
        }
        let pause_ms = self.random.between(1, self.faults.pause_ms_max);
        self.clock.at(self.clock.now_ms + pause_ms, Event::Act(client));
        match &self.clients[client] {
            None => self.connect(client),
            Some(online) if online.frozen => {}
            Some(online) if !online.set_up => {
                if self.random.percent(80) {
                    self.set_up(client);
                }
            }
            Some(online) => {
                let (number, ports) = (client as u64, &mut self.ports);
                let (services, configs) = (&self.services, self.faults.configs);
                let random = &mut self.random;
                match workload::next(online, number, ports, services, configs, random) {
                    Act::Call(op) => self.call(client, op),
                    act => self.behave(client, act),
                }
            }
        }
    }

    pub(super) fn behave(&mut self, client: usize, act: Act) {
        self.note(|_| format!("client {client}: {act:?}"));
        let Some(online) = &mut self.clients[client] else { return };
        let (conn, core) = (online.conn, online.core);
        match act {
            Act::Call(_) => {}
            Act::Reading(reads) => {
                online.reads = reads;
                if reads {
                    self.clock.at(self.clock.now_ms, Event::Thaw(client, conn));
                }
            }
            Act::Freeze(ms) => {
                online.frozen = true;
                self.clock.at(self.clock.now_ms + ms, Event::Thaw(client, conn));
            }
            Act::Leave { politely } => {
                let input = Input::Disconnected { conn };
                if politely {
                    self.send_to_server(client, input);
                } else {
                    self.clock.at(self.clock.now_ms, Event::Arrive(core, input));
                }
                self.clients[client] = None;
            }
        }
    }

    pub(super) fn connect(&mut self, client: usize) {
        let core = Core(self.random.below(u64::from(self.faults.cores)) as u16);
        self.connected += 1;
        let id_ms = EPOCH_MS + self.connected;
        let conn = self.servers[usize::from(core.0)].accept(client);
        self.note(|_| format!("client {client} connects as {conn:?}"));
        self.clients[client] = Some(Online::new(conn, core, self.clock.now_ms));
        self.clock.at(self.clock.now_ms, Event::Arrive(core, Input::Connected { conn, id_ms }));
    }

    pub(super) fn set_up(&mut self, client: usize) {
        let abilities = self.random.percent(50);
        let Some(online) = &mut self.clients[client] else { return };
        online.set_up = true;
        let conn = online.conn;
        self.send_to_server(client, Input::Setup { conn, abilities });
        self.clock.at(self.clock.now_ms + self.life_ms(), Event::Health(client, conn));
    }

    /// How often clients show life: often enough for any way and stall.
    pub(super) fn life_ms(&self) -> u64 {
        u64::from(self.faults.settings.idle_ms) / 4
    }

    pub(super) fn show_life(&mut self, client: usize, conn: ConnKey) {
        if self.silent || self.online(client, conn).is_none() {
            return;
        }
        self.clock.at(self.clock.now_ms + self.life_ms(), Event::Health(client, conn));
        if self.online(client, conn).is_some_and(|online| !online.frozen) {
            self.call(client, Op::Health);
        }
    }

    pub(super) fn call(&mut self, client: usize, op: Op) {
        self.note(|_| format!("client {client}: {op:?}"));
        let mut op = op;
        if let Op::ConfigQuery(data_id, floor) = &mut op {
            *floor = self.log.floor(data_id);
        }
        let Some(online) = &mut self.clients[client] else { return };
        online.stream += 1;
        let (conn, stream) = (online.conn, online.stream);
        online.calls.insert(stream, op.clone());
        self.calls += 1;
        self.send_to_server(client, Input::Call { conn, stream, op });
    }

    /// A connection keeps the order of what it carries.
    pub(super) fn send_to_server(&mut self, client: usize, input: Input) {
        let arrives_ms = self.clock.now_ms + self.random.between(0, self.faults.wire_ms_max);
        let Some(online) = &mut self.clients[client] else { return };
        online.to_server_ms = online.to_server_ms.max(arrives_ms);
        self.clock.at(online.to_server_ms, Event::Arrive(online.core, input));
    }

    pub(super) fn send_to_client(&mut self, conn: ConnKey, wire: Wire) {
        let server = &self.servers[usize::from(conn.home.0.0)];
        let Some(client) = server.client_of(conn) else { return };
        let arrives_ms = self.clock.now_ms + self.random.between(0, self.faults.wire_ms_max);
        let Some(online) = self.online(client, conn) else { return };
        online.to_client_ms = online.to_client_ms.max(arrives_ms);
        let at_ms = online.to_client_ms;
        self.clock.at(at_ms, Event::Deliver(client, conn, wire));
    }

    pub(super) fn deliver(
        &mut self,
        client: usize,
        conn: ConnKey,
        wire: Wire,
    ) -> Result<(), String> {
        let unread_max = self.faults.unread_max;
        let Some(online) = self.online(client, conn) else { return Ok(()) };
        if matches!(wire, Wire::Lost) {
            self.clients[client] = None;
            return Ok(());
        }
        if online.reads && !online.frozen && online.unread.is_empty() {
            return self.read(client, &wire);
        }
        online.unread.push_back(wire);
        if online.unread.len() > unread_max && !online.congested {
            online.congested = true;
            self.tell_congestion(client, true);
        }
        Ok(())
    }

    pub(super) fn tell_congestion(&mut self, client: usize, congested: bool) {
        let Some(online) = &self.clients[client] else { return };
        let (conn, core) = (online.conn, online.core);
        let input = Input::Congested { conn, congested };
        self.clock.at(self.clock.now_ms, Event::Arrive(core, input));
    }

    /// A client reads what has waited.
    pub(super) fn read_on(&mut self, client: usize) -> Result<(), String> {
        while let Some(online) = &mut self.clients[client]
            && online.reads
            && !online.frozen
        {
            let Some(wire) = online.unread.pop_front() else {
                if std::mem::replace(&mut online.congested, false) {
                    self.tell_congestion(client, false);
                }
                return Ok(());
            };
            self.read(client, &wire)?;
        }
        Ok(())
    }

    pub(super) fn read(&mut self, client: usize, wire: &Wire) -> Result<(), String> {
        self.note(|_| match wire {
            Wire::Reply(stream, read) => {
                format!("client {client} reads on {stream}: {}", read.json)
            }
            Wire::Push(read) => format!("client {client} reads {}: {}", read.kind, read.json),
            Wire::Lost => format!("client {client} is cut off"),
        });
        let Some(online) = &mut self.clients[client] else { return Ok(()) };
        let conn = online.conn;
        if let Wire::Reply(stream, read) = wire
            && let Some(op) = online.calls.get(stream)
        {
            self.log.judge(conn, *stream, op, read)?;
        }
        let reaction = online.read(wire, &self.services);
        match reaction.map_err(|text| format!("client {client} ({conn:?}): {text}"))? {
            Reaction::Nothing => {}
            Reaction::Ask(more) => self.ask_later(client, conn, more),
            Reaction::AckAndAsk(request_id, more) => {
                self.acknowledge(client, conn, request_id);
                self.ask_later(client, conn, more);
            }
            Reaction::Answered(stream) => {
                if let Wire::Reply(_, read) = wire
                    && self.probe == Some(client)
                {
                    self.probe_answered(stream, read);
                }
            }
            Reaction::Alive(request_id) => {
                self.send_to_server(client, Input::Ack { conn, request_id, accepted: true });
            }
            Reaction::Ack(request_id) => self.acknowledge(client, conn, request_id),
        }
        Ok(())
    }

    /// What a client does because of what it read.
    fn ask_later(&mut self, client: usize, conn: ConnKey, more: Vec<Op>) {
        for op in more {
            let at_ms = self.clock.now_ms + self.random.between(1, 20);
            self.clock.at(at_ms, Event::Stir(client, conn, Act::Call(op)));
        }
    }

    pub(super) fn acknowledge(&mut self, client: usize, conn: ConnKey, request_id: u64) {
        if self.random.percent(self.faults.mute) {
            return;
        }
        let accepted = !self.random.percent(self.faults.nack);
        let delay_ms = self.random.between(0, self.faults.ack_ms_max);
        let Some(online) = &self.clients[client] else { return };
        let at_ms = self.clock.now_ms + delay_ms;
        let input = Input::Ack { conn, request_id, accepted };
        self.clock.at(at_ms, Event::Arrive(online.core, input));
    }
}
