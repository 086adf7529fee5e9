//! How a connection comes and goes (`grpc-protocol.md` 6.2, 6.4).

use crate::conns::ability::SERVER_ABILITIES;
use crate::conns::connection::{Connection, Links, Stage, Waiting};
use crate::conns::profile::{Module, Profile, Source};
use crate::effect::{CloseReason, Effect};
use crate::home::{HomeState, Phase, Turn};
use crate::key::ConnKey;
use crate::limits::CLIENT_IP_BYTES_MAX;
use crate::message::{Ask, Waiter};
use crate::naming::answer;
use crate::push::fuzzy::{Configs, Services};
use crate::settings::PlantedBug;
use crate::slab::END;
use nacre_proto::link::ConnectionSetupRequest;
use std::net::SocketAddr;

impl Connection {
    /// Something came from the client that counts as activity.
    pub fn active(&mut self, now_ms: u64) {
        self.last_active_ms = now_ms;
        if self.waiting == Waiting::Detection {
            self.waiting = Waiting::Nothing;
        }
    }
}

impl HomeState {
    pub(crate) fn connected(
        &mut self,
        conn: ConnKey,
        peer: SocketAddr,
        id_ms: u64,
        turn: &mut Turn<'_>,
    ) {
        self.table.insert(conn, Connection::new(conn, peer, id_ms, turn.lived_ms));
        self.arm_connection(conn.slot, turn.lived_ms);
    }

    /// The first message on the stream. A second one changes nothing, but is acknowledged like the
    /// first.
    pub(crate) fn set_up(
        &mut self,
        conn: ConnKey,
        client_ip: &str,
        setup: &ConnectionSetupRequest<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(connection) = self.table.get_mut(conn) else { return };
        match connection.stage {
            Stage::Closing => return,
            Stage::Registered => {}
            Stage::Accepted => {
                let profile = Profile::read(setup);
                if profile.source == Source::Sdk && self.phase == Phase::Starting {
                    return self.close(conn, CloseReason::Starting, turn);
                }
                connection.stage = Stage::Registered;
                connection.last_active_ms = turn.lived_ms;
                connection.naming = profile.module.is_naming();
                let known = client_ip.is_empty()
                    || client_ip.len() > CLIENT_IP_BYTES_MAX
                    || client_ip.parse() == Ok(connection.peer_ip());
                connection.client_ip = (!known).then(|| client_ip.into());
                self.counters.modules[place(profile.module)] += 1;
                connection.profile = self.profiles.take(profile);
                self.storm.arrival(turn.lived_ms);
            }
        }
        if setup.ability_table.is_some() {
            turn.effects.push(Effect::Push { conn, body: answer::setup_ack(SERVER_ABILITIES) });
        }
        if self.phase == Phase::Stopping {
            self.send_reset(conn, turn);
        } else {
            self.arm_connection(conn.slot, turn.lived_ms);
        }
    }

    /// The transport is gone. Everything of the connection goes with it, unless the server stops:
    /// then its clients go because of us, and lists stay as they are.
    pub(crate) fn disconnected(&mut self, conn: ConnKey, turn: &mut Turn<'_>) {
        self.release(conn, turn);
        self.table.remove(conn);
    }

    /// Closes from this side: to everybody else the connection is gone from here on.
    pub(crate) fn close(&mut self, conn: ConnKey, reason: CloseReason, turn: &mut Turn<'_>) {
        if self.table.get(conn).is_none_or(|connection| connection.stage == Stage::Closing) {
            return;
        }
        let closes = &mut self.counters.closes;
        *match reason {
            CloseReason::Ejected => &mut closes.ejected,
            CloseReason::NeverSetUp => &mut closes.never_set_up,
            CloseReason::Starting => &mut closes.starting,
            CloseReason::TooSlow => &mut closes.too_slow,
            CloseReason::Redirected => &mut closes.redirected,
            CloseReason::Stopping => &mut closes.stopping,
        } += 1;
        self.release(conn, turn);
        turn.effects.push(Effect::Close { conn, reason });
    }

    /// Takes back what the connection publishes and follows, and leaves its record closing.
    fn release(&mut self, conn: ConnKey, turn: &mut Turn<'_>) {
        let Some(connection) = self.table.get_mut(conn) else { return };
        connection.stage = Stage::Closing;
        let profile = std::mem::replace(&mut connection.profile, END);
        let user = std::mem::replace(&mut connection.user, END);
        let links = connection.links.take();
        if profile != END {
            self.counters.modules[place(self.profiles.get(profile).module)] -= 1;
            self.profiles.give_back(profile);
        }
        self.standing.forget(user);
        self.unfollow_all(conn, turn);
        if let Some(links) = links {
            self.withdraw_all(conn, *links, turn);
        }
    }

    fn withdraw_all(&mut self, conn: ConnKey, links: Links, turn: &mut Turn<'_>) {
        let waiter = Waiter { conn, stream: 0 };
        self.unlisten_all(links.listeners);
        if let Some(fuzzy) = links.config_fuzzy {
            self.leave_patterns::<Configs>(conn.slot, *fuzzy);
        }
        let watches = links.fuzzy.map(|fuzzy| self.leave_patterns::<Services>(conn.slot, *fuzzy));
        if self.phase == Phase::Stopping {
            return;
        }
        for service in links.published.into_list() {
            let owner = self.map.owner(&service);
            if self.settings.has_bug(PlantedBug::WithdrawIsRefusable)
                && !self.lanes.has_room(owner, turn)
            {
                continue;
            }
            self.lanes.send_surely(owner, Ask::Withdraw { waiter, service }, turn);
        }
        for (namespace, pattern) in watches.into_iter().flatten() {
            let directory = self.map.directory(&namespace);
            self.lanes.send_surely(directory, Ask::Unwatch { waiter, pattern }, turn);
        }
    }
}

fn place(module: Module) -> usize {
    Module::ALL.iter().position(|listed| *listed == module).expect("ALL has all")
}

#[cfg(test)]
mod tests;
