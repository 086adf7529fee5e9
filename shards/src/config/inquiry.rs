//! What config clients say of themselves when an operator asks (`config.md` 15): a request on the
//! stream of each, whose answers are gathered for a second. Whoever has not answered by then is
//! left out.
//!
//! Lives on the home side of the core the clients came to.

use crate::config::answer;
use crate::conns::connection::{Connection, Stage};
use crate::conns::profile::Module;
use crate::effect::Effect;
use crate::health::wheel::Timer;
use crate::home::{HomeState, Turn};
use crate::key::{ConnKey, Core, Home};
use crate::limits::{INQUIRED_MAX, INQUIRIES_MAX, INQUIRY_BYTES_MAX, INQUIRY_MS};
use crate::message::{Tell, Waiter};
use crate::naming::open::{Answer, Refused};
use crate::push::id;
use bytes::Bytes;

/// Which clients are asked, and about what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// The address of the clients.
    pub client_ip: Box<str>,
    /// What they hold of the config of this group key is asked for, too.
    pub config: Option<Box<str>>,
}

/// Inquiries under way.
#[derive(Debug, Default)]
pub(crate) struct Inquiries(Vec<UnderWay>);

#[derive(Debug)]
struct UnderWay {
    from: Core,
    waiter: Waiter,
    until_ms: u64,
    /// Who has not answered yet, and to which of his requests.
    asked: Vec<(ConnKey, u64)>,
    answers: Vec<Bytes>,
}

impl HomeState {
    /// Asks the config clients of an address. Answered `Opened` when all of them have answered or
    /// the time is over. Costs a look at every connection, some 20 ns each.
    pub(crate) fn inquire(
        &mut self,
        from: Core,
        waiter: Waiter,
        inquiry: &Inquiry,
        turn: &mut Turn<'_>,
    ) {
        if self.inquiries.0.len() >= INQUIRIES_MAX {
            let text = "Too many clients are asked at once, please try again later.";
            return self.inquired(from, waiter, Answer::Refused(Refused::busy(text)), turn);
        }
        let conns: Vec<_> = (0..self.table.slots())
            .filter_map(|slot| Some((slot, self.table.at(slot)?)))
            .filter(|(_, connection)| self.is_asked(connection, inquiry))
            .map(|(slot, connection)| self.table.key_of(slot, connection))
            .take(INQUIRED_MAX)
            .collect();
        let mut asked = Vec::with_capacity(conns.len());
        for conn in conns {
            let Some(connection) = self.table.get_mut(conn) else { continue };
            let number = connection.next_request();
            let body = answer::client_metrics(id::of_connection(number), inquiry.config.as_deref());
            turn.effects.push(Effect::Push { conn, body });
            asked.push((conn, number));
        }
        let until_ms = turn.lived_ms + INQUIRY_MS;
        let under_way = UnderWay { from, waiter, until_ms, asked, answers: Vec::new() };
        if under_way.asked.is_empty() {
            return self.end_inquiry(under_way, turn);
        }
        self.inquiries.0.push(under_way);
        self.wheel.insert(until_ms, Timer::Inquiries);
    }

    /// Clients of other modules know no such request. Who does not read is not written to.
    fn is_asked(&self, connection: &Connection, inquiry: &Inquiry) -> bool {
        connection.stage == Stage::Registered
            && !connection.congested
            && self.profiles.get(connection.profile).module == Module::Config
            && *connection.client_ip_text() == *inquiry.client_ip
    }

    /// A client's answer. One nobody waits for any more is dropped, as is one that is too long.
    pub(crate) fn metrics_told(
        &mut self,
        conn: ConnKey,
        request_id: u64,
        json: &[u8],
        turn: &mut Turn<'_>,
    ) {
        let number = id::parse(request_id).0;
        let position =
            |under_way: &UnderWay| under_way.asked.iter().position(|it| *it == (conn, number));
        let found = self.inquiries.0.iter().enumerate();
        let Some((at, who)) = found.filter_map(|(at, one)| Some((at, position(one)?))).next()
        else {
            return;
        };
        let under_way = &mut self.inquiries.0[at];
        under_way.asked.swap_remove(who);
        if json.len() <= INQUIRY_BYTES_MAX {
            under_way.answers.push(Bytes::copy_from_slice(json));
        }
        if under_way.asked.is_empty() {
            let done = self.inquiries.0.swap_remove(at);
            self.end_inquiry(done, turn);
        }
    }

    /// Time is over for some.
    pub(crate) fn inquiries_due(&mut self, turn: &mut Turn<'_>) {
        let is_over = |under_way: &mut UnderWay| under_way.until_ms <= turn.lived_ms;
        let over: Vec<_> = self.inquiries.0.extract_if(.., is_over).collect();
        for under_way in over {
            self.end_inquiry(under_way, turn);
        }
        if let Some(next) = self.inquiries.0.iter().map(|under_way| under_way.until_ms).min() {
            self.wheel.insert(next, Timer::Inquiries);
        }
    }

    fn end_inquiry(&mut self, under_way: UnderWay, turn: &mut Turn<'_>) {
        let UnderWay { from, waiter, answers, .. } = under_way;
        self.inquired(from, waiter, Answer::Metrics(answers), turn);
    }

    fn inquired(&mut self, from: Core, waiter: Waiter, answer: Answer, turn: &mut Turn<'_>) {
        let tell = Tell::Opened { waiter, answer };
        match from == self.home.0 {
            true => self.told(from, tell, turn),
            false => turn.effects.push(Effect::Tell { to: Home(from), tell }),
        }
    }
}

#[cfg(test)]
mod tests;
