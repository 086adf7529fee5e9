//! Who publishes and subscribes where: arithmetic, no tables.

/// Clients over services. Each client publishes and subscribes in `each` services; each service
/// has `per_service` publishers and as many subscribers.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) struct Shape {
    pub(super) clients: usize,
    pub(super) each: usize,
    pub(super) per_service: usize,
}

impl Shape {
    pub(in crate::scenario) fn new(clients: usize, each: usize, per_service: usize) -> Self {
        let (clients, each) = (clients.max(1), each.max(1));
        // A client must not meet itself in a service.
        Self { clients, each, per_service: per_service.clamp(1, clients) }
    }

    /// Instances of all clients, which are also the places of subscribers.
    pub(super) fn instances(&self) -> usize {
        self.clients * self.each
    }

    pub(super) fn services(&self) -> usize {
        self.instances().div_ceil(self.per_service)
    }

    /// The number of a client's instance among all.
    pub(super) fn instance(&self, client: usize, at: usize) -> usize {
        at * self.clients + client
    }

    /// The service an instance belongs to.
    pub(super) fn service_of(&self, instance: usize) -> usize {
        instance / self.per_service
    }

    /// A client's place among all subscribers. With one service each it is the client's own;
    /// with more, others' services, as a caller's are.
    fn place(&self, client: usize, at: usize) -> usize {
        let shift = if self.each == 1 { 0 } else { self.instances() / 2 + self.per_service };
        (self.instance(client, at) + shift) % self.instances()
    }

    /// The service of a client's subscription.
    pub(super) fn subscribed(&self, client: usize, at: usize) -> usize {
        self.service_of(self.place(client, at))
    }

    /// Which of a client's subscriptions a service is, and which of the service's subscribers the
    /// client is.
    pub(super) fn find(&self, client: usize, service: usize) -> Option<(usize, usize)> {
        let at = (0..self.each).find(|at| self.subscribed(client, *at) == service)?;
        Some((at, self.place(client, at) % self.per_service))
    }

    /// How many subscribers a service has.
    pub(super) fn subscribers(&self, service: usize) -> usize {
        self.per_service.min(self.instances() - service * self.per_service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_its_subscribers_and_nobody_twice() {
        for (clients, each, per_service) in [(47, 1, 5), (47, 5, 10), (3, 5, 10), (10, 2, 10)] {
            let shape = Shape::new(clients, each, per_service);
            let mut seen = vec![Vec::new(); shape.services()];
            for client in 0..clients {
                for at in 0..each {
                    let service = shape.subscribed(client, at);
                    let (found, place) = shape.find(client, service).unwrap();
                    assert_eq!(found, at, "a client subscribes once to a service");
                    assert!(!seen[service].contains(&place));
                    seen[service].push(place);
                }
            }
            for (service, places) in seen.iter().enumerate() {
                assert_eq!(places.len(), shape.subscribers(service));
                assert!(places.iter().all(|place| *place < shape.subscribers(service)));
            }
            let own = (0..each).map(|at| shape.service_of(shape.instance(0, at)));
            let own: std::collections::BTreeSet<_> = own.collect();
            assert_eq!(own.len(), each, "one instance a service");
        }
    }

    #[test]
    fn one_each_is_the_own_service() {
        let shape = Shape::new(100, 1, 10);
        assert!((0..100).all(|c| shape.subscribed(c, 0) == shape.service_of(shape.instance(c, 0))));
    }
}
