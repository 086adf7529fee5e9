//! The unary pipeline from row 1 on (`grpc-protocol.md` 4): who may ask, is it a request, may it be
//! done, whose is it. Rows 0 and 3 need no state and are answered before.

use crate::auth::Denial;
use crate::conns::connection::{Connection, Links, Stage};
use crate::home::{HomeState, Phase, Turn};
use crate::key::{Owner, ServiceKey};
use crate::limits::{PUBLISHED_PER_CONNECTION_MAX, REFUSED_DELAY_MS};
use crate::message::{Ask, QueryPurpose, Waiter};
use crate::naming::accept::{self, FuzzyOp, InstanceOp, Refusal};
use crate::naming::answer;
use crate::naming::host::Publication;
use crate::push::fuzzy::Services;
use nacre_proto::naming::{
    BatchInstanceRequest, FuzzyWatchRequest, InstanceRequest, ServiceListRequest,
    ServiceQueryRequest, SubscribeServiceRequest,
};
use nacre_proto::request::{Kind, Request};
use std::borrow::Cow;

/// A call goes to its owner, or is refused.
type Outcome = Result<(), Refusal>;

impl HomeState {
    /// `ServerCheckRequest`, row 2: needs no setup, refreshes nothing.
    pub(crate) fn server_check(&mut self, waiter: Waiter, turn: &mut Turn<'_>) {
        let body = match self.table.get(waiter.conn) {
            None => return,
            Some(_) if self.phase == Phase::Starting => {
                self.counters.refusals.starting += 1;
                starting()
            }
            Some(connection) => answer::server_check(&connection.id()),
        };
        self.answer(waiter, body, turn);
    }

    /// Any other unary call whose type has a handler.
    pub(crate) fn call(
        &mut self,
        waiter: Waiter,
        tag: Option<&str>,
        request: Result<Option<Request<'_>>, String>,
        turn: &mut Turn<'_>,
    ) {
        let Some(connection) = self.registered(waiter, turn) else { return };
        let request = match request {
            Ok(Some(request)) => request,
            Ok(None) => {
                self.counters.refusals.malformed += 1;
                return self.answer(waiter, answer::error(502, "Invalid request"), turn);
            }
            Err(text) => {
                self.counters.refusals.malformed += 1;
                return self.answer(waiter, answer::error(502, &text), turn);
            }
        };
        connection.active(turn.lived_ms);
        let (kind, outcome) = match request {
            Request::HealthCheck => return self.answer(waiter, answer::health(), turn),
            Request::Instance(request) => (Kind::Instance, self.instance(waiter, &request, turn)),
            Request::PersistentInstance(request) => {
                (Kind::PersistentInstance, self.persistent(waiter, &request, turn))
            }
            Request::BatchInstance(request) => {
                (Kind::BatchInstance, self.batch(waiter, &request, turn))
            }
            Request::ServiceQuery(request) => {
                (Kind::ServiceQuery, self.query(waiter, &request, turn))
            }
            Request::SubscribeService(request) => {
                (Kind::SubscribeService, self.subscription(waiter, &request, turn))
            }
            Request::ServiceList(request) => (Kind::ServiceList, self.list(waiter, &request, turn)),
            Request::NamingFuzzyWatch(request) => {
                (Kind::NamingFuzzyWatch, self.fuzzy(waiter, &request, turn))
            }
            request => {
                // Before the log was replayed, "no such config" would be a lie that costs clients
                // what they have.
                if !self.config_tables.is_ready() {
                    self.counters.refusals.starting += 1;
                    return self.answer(waiter, starting(), turn);
                }
                let outcome = self.config_call(waiter, &request, tag, turn);
                let answered = outcome.map(|body| {
                    if let Some(body) = body {
                        self.answer(waiter, body, turn);
                    }
                });
                (request.kind(), answered)
            }
        };
        if let Err(refusal) = outcome {
            self.refuse(waiter, kind, &refusal, turn);
        }
    }

    /// A call that was read, and that its sender has no right to (`grpc-protocol.md` 9.1).
    pub(crate) fn denied(
        &mut self,
        waiter: Waiter,
        kind: Kind,
        denial: Denial,
        turn: &mut Turn<'_>,
    ) {
        let Some(connection) = self.registered(waiter, turn) else { return };
        connection.active(turn.lived_ms);
        self.counters.refusals.denied += 1;
        let code = i32::from(denial.status());
        let delay_ms = if code == 503 { REFUSED_DELAY_MS } else { 0 };
        let body = answer::typed_error(kind, code, denial.text());
        self.answer_late(waiter, body, delay_ms, turn);
    }

    /// Rows 1 and 4: the connection, if its calls are carried out; else they are answered.
    fn registered(&mut self, waiter: Waiter, turn: &mut Turn<'_>) -> Option<&mut Connection> {
        if self.phase == Phase::Starting {
            self.counters.refusals.starting += 1;
            self.answer(waiter, starting(), turn);
            return None;
        }
        let registered = |connection: &&Connection| connection.stage == Stage::Registered;
        if self.table.get(waiter.conn).filter(registered).is_none() {
            self.counters.refusals.unregistered += 1;
            self.answer(waiter, answer::error(301, "Connection is unregistered."), turn);
            return None;
        }
        self.table.get_mut(waiter.conn)
    }

    /// After row 8: an answer with errorCode 503 is a second late.
    fn refuse(&mut self, waiter: Waiter, kind: Kind, refusal: &Refusal, turn: &mut Turn<'_>) {
        if refusal.error_code != 503 && refusal.error_code != NOT_NAMING {
            self.counters.refusals.invalid += 1;
        }
        let delay_ms = if refusal.error_code == 503 { REFUSED_DELAY_MS } else { 0 };
        self.answer_late(waiter, refusal.body(kind), delay_ms, turn);
    }

    fn instance(
        &mut self,
        waiter: Waiter,
        request: &InstanceRequest<'_>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        match accept::instance(request, &self.settings.naming, turn.now, &mut self.ids)? {
            InstanceOp::Register { service, publication } => {
                self.publish(waiter, service, publication, turn)
            }
            InstanceOp::Deregister { service } => {
                let owner = self.owner_with_room(&service, turn)?;
                if let Some(links) = self.links(waiter) {
                    links.published.remove(&service);
                }
                self.lanes.send(owner, Ask::Withdraw { waiter, service }, turn);
                Ok(())
            }
        }
    }

    /// The owner looks at what clients hold, the log decides (`naming.md` 3.3). Needs no naming
    /// client: nobody's leaving ends it.
    fn persistent(
        &mut self,
        waiter: Waiter,
        request: &InstanceRequest<'_>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        let order = accept::persistent(request, &self.settings.naming, turn.now, &mut self.ids)?;
        let service = order.service().expect("it is about one");
        let owner = self.owner_with_room(service, turn)?;
        self.lanes.send(owner, Ask::Open { waiter, order: Box::new(order) }, turn);
        Ok(())
    }

    fn batch(
        &mut self,
        waiter: Waiter,
        request: &BatchInstanceRequest<'_>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        let (service, publication) =
            accept::batch(request, &self.settings.naming, turn.now, &mut self.ids)?;
        self.publish(waiter, service, publication, turn)
    }

    fn publish(
        &mut self,
        waiter: Waiter,
        service: ServiceKey,
        publication: Box<Publication>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        self.naming_client(waiter)?;
        let owner = self.owner_with_room(&service, turn)?;
        let connection = self.table.get_mut(waiter.conn).expect("looked at by the caller");
        let published = &mut connection.links.get_or_insert_default().published;
        if published.len() >= PUBLISHED_PER_CONNECTION_MAX && !published.contains(&service) {
            self.counters.refusals.published += 1;
            return Err(over_limit("Too many services published by this connection."));
        }
        published.insert(&service, &self.hasher);
        self.lanes.send(owner, Ask::Publish { waiter, service, publication }, turn);
        Ok(())
    }

    fn query(
        &mut self,
        waiter: Waiter,
        request: &ServiceQueryRequest<'_>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        let (service, filter) = accept::query(request, &self.settings.naming)?;
        let owner = self.owner_with_room(&service, turn)?;
        let (filter, purpose) = (Box::new(filter), QueryPurpose::Query);
        self.lanes.send(owner, Ask::Query { waiter, service, filter, purpose }, turn);
        Ok(())
    }

    fn subscription(
        &mut self,
        waiter: Waiter,
        request: &SubscribeServiceRequest<'_>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        let (service, filter, subscribe) = accept::subscribe(request, &self.settings.naming)?;
        self.naming_client(waiter)?;
        let owner = self.owner_with_room(&service, turn)?;
        if subscribe {
            self.follow(waiter.conn, &service, &filter)?;
            let filter = Box::new(filter);
            self.lanes.send(owner, Ask::Subscribe { waiter, service, filter }, turn);
            return Ok(());
        }
        // Room was found for the answer before anything was changed; that this may end the interest
        // of the whole core takes one more place, from the reserve.
        self.unfollow(waiter.conn, &service, turn);
        let (filter, purpose) = (Box::new(filter), QueryPurpose::Unsubscribe);
        self.lanes.send(owner, Ask::Query { waiter, service, filter, purpose }, turn);
        Ok(())
    }

    fn list(
        &mut self,
        waiter: Waiter,
        request: &ServiceListRequest<'_>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        let accept::ListOp { namespace, group, page_no, page_size } =
            accept::list(request, &self.settings.naming)?;
        let directory = self.with_room(self.map.directory(&namespace), turn)?;
        let ask = Ask::Names { waiter, namespace, group, page_no, page_size };
        self.lanes.send(directory, ask, turn);
        Ok(())
    }

    fn fuzzy(
        &mut self,
        waiter: Waiter,
        request: &FuzzyWatchRequest<'_>,
        turn: &mut Turn<'_>,
    ) -> Outcome {
        match accept::fuzzy(request, &self.settings.naming)? {
            FuzzyOp::Watch { namespace, watch } => {
                let directory = self.with_room(self.map.directory(&namespace), turn)?;
                self.watch::<Services>(waiter.conn, &watch.pattern)?;
                self.lanes.send(directory, Ask::Watch { waiter, watch }, turn);
            }
            FuzzyOp::Cancel { namespace, pattern } => {
                let directory = self.with_room(self.map.directory(&namespace), turn)?;
                self.unwatch::<Services>(waiter.conn, &pattern);
                self.lanes.send(directory, Ask::Unwatch { waiter, pattern }, turn);
            }
        }
        Ok(())
    }

    /// The service's owner, if it takes an ask that may be refused.
    fn owner_with_room(
        &mut self,
        service: &ServiceKey,
        turn: &mut Turn<'_>,
    ) -> Result<Owner, Refusal> {
        self.with_room(self.map.owner(service), turn)
    }

    pub(crate) fn with_room(&mut self, to: Owner, turn: &mut Turn<'_>) -> Result<Owner, Refusal> {
        if self.lanes.has_room(to, turn) {
            return Ok(to);
        }
        self.counters.refusals.lane_full += 1;
        Err(over_limit("Server is busy, please try again later."))
    }

    /// Only connections of the right module publish and subscribe (`naming.md` 2.1).
    fn naming_client(&mut self, waiter: Waiter) -> Outcome {
        let connection = self.table.get(waiter.conn).expect("looked at by the caller");
        if connection.naming {
            return Ok(());
        }
        self.counters.refusals.not_naming += 1;
        let text = format!(
            "errCode: {NOT_NAMING}, errMsg: Client [{}] connection already disconnect, can't \
             register ephemeral instance. ",
            connection.id()
        );
        let message = Cow::Owned(text);
        Err(Refusal { typed: false, result_code: NOT_NAMING, error_code: NOT_NAMING, message })
    }

    fn links(&mut self, waiter: Waiter) -> Option<&mut Links> {
        self.table.get_mut(waiter.conn)?.links.as_deref_mut()
    }
}

/// CLIENT_DISCONNECT.
const NOT_NAMING: i32 = -401;

/// Row 1.
fn starting() -> crate::effect::Body {
    answer::error(300, "Server is starting,please try later.")
}

/// A named limit was reached: typed, OVER_THRESHOLD, answered late.
pub(crate) fn over_limit(message: &'static str) -> Refusal {
    let message = Cow::Borrowed(message);
    Refusal { typed: true, result_code: 500, error_code: 503, message }
}

#[cfg(test)]
mod tests;
