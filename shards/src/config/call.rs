//! Calls of the config module on their home core: questions are answered from the tables at once,
//! changes go to the Raft core as commands.

use crate::config::accept::{self, Asker};
use crate::config::answer;
use crate::config::gray::Labels;
use crate::config::listen::Has;
use crate::config::md5::Md5;
use crate::conns::connection::Connection;
use crate::durable::answer::Answer;
use crate::effect::Body;
use crate::home::{HomeState, Turn};
use crate::key::ConfigKey;
use crate::limits::REFUSED_DELAY_MS;
use crate::message::{Ask, Purpose, Unready, Waiter};
use crate::naming::accept::Refusal;
use crate::naming::open;
use bytes::Bytes;
use nacre_proto::config::{ConfigBatchListenRequest, ConfigQueryRequest};
use nacre_proto::request::Request;

/// The label that chooses a tag's variant.
const TAG_LABEL: &str = "app_Vipserver-Tag";

/// What becomes of a call: an answer now, or one later.
type Outcome = Result<Option<Body>, Refusal>;

/// What is known of a connection when a gray variant is chosen for it.
struct Who {
    client_ip: String,
    tag: Option<String>,
}

impl Who {
    fn labels(&self) -> Labels<'_> {
        Labels { client_ip: &self.client_ip, tag: self.tag.as_deref() }
    }
}

impl HomeState {
    /// A request of the config module. `tag` is the call's header `Vipserver-Tag`.
    pub(crate) fn config_call(
        &mut self,
        waiter: Waiter,
        request: &Request<'_>,
        tag: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        match request {
            Request::ConfigQuery(request) => self.config_query(waiter, request),
            Request::ConfigBatchListen(request) => self.config_listen(waiter, request, tag),
            Request::ConfigPublish(request) => {
                let ip = self.client_ip(waiter);
                let asker = Asker { client_ip: &ip, now: turn.now };
                let command = accept::publish(request, &self.settings.config, asker)?;
                self.counters.configs.publishes += 1;
                self.propose(waiter, Purpose::Publish, command, turn)
            }
            Request::ConfigRemove(request) => {
                let ip = self.client_ip(waiter);
                let asker = Asker { client_ip: &ip, now: turn.now };
                let command = accept::remove(request, &self.settings.config, asker)?;
                self.counters.configs.removes += 1;
                self.propose(waiter, Purpose::Remove, command, turn)
            }
            Request::ConfigFuzzyWatch(request) => {
                let op = accept::fuzzy(request, &self.settings.config)?;
                self.config_fuzzy(waiter, op, turn)
            }
            _ => unreachable!("the caller gives requests of this module"),
        }
    }

    /// Answered from the tables, no hop, no copy of the content.
    fn config_query(&mut self, waiter: Waiter, request: &ConfigQueryRequest<'_>) -> Outcome {
        let op = accept::query(request, &self.settings.config)?;
        self.counters.configs.queries += 1;
        let slot = self.config_tables.slot(op.name.slot());
        let Some(entry) = slot.get(op.name) else {
            return Ok(Some(answer::not_found(op.tag)));
        };
        let gray = if entry.grays.is_empty() {
            None
        } else {
            let who = self.who(waiter, op.tag);
            entry.gray_for(who.labels()).map(|gray| &gray.variant)
        };
        // A query for a tag never falls back to the formal config.
        let formal = entry.formal.as_ref().filter(|_| op.tag.is_none());
        Ok(Some(match gray.or(formal) {
            Some(variant) => answer::found(variant),
            None => answer::not_found(op.tag),
        }))
    }

    /// Compares and registers, in one turn.
    fn config_listen(
        &mut self,
        waiter: Waiter,
        request: &ConfigBatchListenRequest<'_>,
        tag: Option<&str>,
    ) -> Outcome {
        let tag = accept::listen_tag(tag)?;
        let contexts = request.contexts.as_deref().unwrap_or_default();
        let mut names = Vec::with_capacity(contexts.len());
        for context in contexts {
            names.push(accept::context(context, &self.settings.config)?);
        }
        self.counters.configs.listens += 1;
        if !request.listen {
            for name in names {
                self.unlisten(waiter.conn, &ConfigKey::new(name));
            }
            return Ok(Some(answer::changed([].iter())));
        }
        self.may_listen(waiter.conn, names.len())?;
        let who = self.who(waiter, tag);
        let mut changed = Vec::new();
        for (context, name) in contexts.iter().zip(names) {
            let slot = self.config_tables.slot(name.slot());
            let entry = slot.get(name);
            let seen = entry.and_then(|entry| entry.seen_by(who.labels()));
            let given = context.md5.as_deref().unwrap_or("");
            if !seen.map_or(given.is_empty(), |seen| seen.md5.is(given)) {
                changed.push(context);
            }
            let key = entry.map_or_else(|| ConfigKey::new(name), |entry| entry.key.clone());
            let blank_tenant = accept::is_blank_tenant(&context.tenant);
            drop(slot);
            self.listen(waiter.conn, key, Has { md5: Md5::parse(given), blank_tenant });
        }
        Ok(Some(answer::changed(changed.into_iter())))
    }

    /// Sends a command to the Raft core, if it takes one that may be refused.
    fn propose(
        &mut self,
        waiter: Waiter,
        purpose: Purpose,
        command: Bytes,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        let durable = self.with_room(self.map.durable(), turn)?;
        self.lanes.send(durable, Ask::Propose { waiter, purpose, command }, turn);
        Ok(None)
    }

    /// The Raft core's answer to a command.
    pub(crate) fn proposed(
        &mut self,
        waiter: Waiter,
        purpose: Purpose,
        outcome: &Result<Answer, Unready>,
        turn: &mut Turn<'_>,
    ) {
        if purpose == Purpose::Care {
            // Who looks after services looks again.
            return;
        }
        if let Some(ticket) = waiter.conn.ticket() {
            let answer = open::Answer::Proposed(outcome.clone());
            return self.answer_open(ticket, answer, turn);
        }
        let body = if matches!(purpose, Purpose::Register | Purpose::Deregister) {
            crate::naming::answer::proposed(purpose, outcome)
        } else {
            match outcome {
                Ok(Answer::Done { .. }) => {}
                Ok(Answer::Refused(_)) => self.counters.configs.refused += 1,
                Err(_) => self.counters.configs.unready += 1,
            }
            answer::proposed(purpose, outcome)
        };
        // As every 503: it slows down whoever would repeat at once.
        let delay_ms = if body.error_code == 503 { REFUSED_DELAY_MS } else { 0 };
        self.answer_late(waiter, body, delay_ms, turn);
    }

    fn who(&self, waiter: Waiter, tag: Option<&str>) -> Who {
        let label = || {
            let connection = self.table.get(waiter.conn)?;
            let labels = &self.profiles.get(connection.profile).labels;
            let found = labels.iter().find(|(key, _)| **key == *TAG_LABEL);
            found.map(|(_, value)| value.to_string()).filter(|tag| !tag.trim().is_empty())
        };
        Who { client_ip: self.client_ip(waiter), tag: tag.map(str::to_owned).or_else(label) }
    }

    fn client_ip(&self, waiter: Waiter) -> String {
        self.table.get(waiter.conn).map(Connection::client_ip_text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
