//! One published instance.

/// What one client publishes for one service. Replaces whatever it published before.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    pub hosts: Box<[Host]>,
}

/// One instance, its JSON made once.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    pub json: Box<str>,
}
