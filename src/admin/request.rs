//! How requests are told apart in the metrics: by type and by error code, both from closed lists,
//! so that no client can make series.

use nacre_proto::request::Kind;

/// A request type as `grpc_server_requests` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindTag {
    /// Which row of the counts.
    pub index: usize,
    pub class: &'static str,
    pub module: &'static str,
}

/// Rows: one per [`Kind`].
pub const KINDS: usize = 19;

/// The row and the names of a request type.
pub const fn tag(kind: Kind) -> KindTag {
    let (index, class, module) = match kind {
        Kind::ServerCheck => (0, "ServerCheckRequest", "internal"),
        Kind::ConnectionSetup => (1, "ConnectionSetupRequest", "internal"),
        Kind::HealthCheck => (2, "HealthCheckRequest", "internal"),
        Kind::Instance => (3, "InstanceRequest", "naming"),
        Kind::BatchInstance => (4, "BatchInstanceRequest", "naming"),
        Kind::ServiceQuery => (5, "ServiceQueryRequest", "naming"),
        Kind::SubscribeService => (6, "SubscribeServiceRequest", "naming"),
        Kind::ServiceList => (7, "ServiceListRequest", "naming"),
        Kind::NamingFuzzyWatch => (8, "NamingFuzzyWatchRequest", "naming"),
        Kind::ClusterOnly => (9, "cluster", "internal"),
        Kind::Response => (10, "response", "internal"),
        Kind::NoHandler => (11, "unsupported", "unknown"),
        Kind::Unknown => (12, "unknown", "unknown"),
        Kind::ConfigPublish => (13, "ConfigPublishRequest", "config"),
        Kind::ConfigQuery => (14, "ConfigQueryRequest", "config"),
        Kind::ConfigRemove => (15, "ConfigRemoveRequest", "config"),
        Kind::ConfigBatchListen => (16, "ConfigBatchListenRequest", "config"),
        Kind::ConfigFuzzyWatch => (17, "ConfigFuzzyWatchRequest", "config"),
        Kind::PersistentInstance => (18, "PersistentInstanceRequest", "naming"),
    };
    KindTag { index, class, module }
}

/// All types in the order of their rows.
pub const ALL: [Kind; KINDS] = [
    Kind::ServerCheck,
    Kind::ConnectionSetup,
    Kind::HealthCheck,
    Kind::Instance,
    Kind::BatchInstance,
    Kind::ServiceQuery,
    Kind::SubscribeService,
    Kind::ServiceList,
    Kind::NamingFuzzyWatch,
    Kind::ClusterOnly,
    Kind::Response,
    Kind::NoHandler,
    Kind::Unknown,
    Kind::ConfigPublish,
    Kind::ConfigQuery,
    Kind::ConfigRemove,
    Kind::ConfigBatchListen,
    Kind::ConfigFuzzyWatch,
    Kind::PersistentInstance,
];

/// Error codes that have a column; all others share the last one.
const CODES: [(i32, &str); 11] = [
    (0, "0"),
    (300, "300"),
    (301, "301"),
    (302, "302"),
    (400, "400"),
    (403, "403"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (50310, "50310"),
    (50311, "50311"),
];

/// Columns: known codes and "other".
pub const OUTCOMES: usize = CODES.len() + 1;

/// The column of a response's `errorCode`; 0 is success.
pub fn outcome(error_code: i32) -> usize {
    CODES.iter().position(|(code, _)| *code == error_code).unwrap_or(CODES.len())
}

/// The `errorCode` tag of a column.
pub fn outcome_tag(column: usize) -> &'static str {
    CODES.get(column).map_or("other", |(_, text)| text)
}

/// Statuses of HTTP answers that have a column, and what the reference calls their outcome; all
/// others share the last one.
const STATUS_TAGS: [(u16, &str, &str); 13] = [
    (200, "200", "SUCCESS"),
    (304, "304", "REDIRECTION"),
    (400, "400", "CLIENT_ERROR"),
    (401, "401", "CLIENT_ERROR"),
    (403, "403", "CLIENT_ERROR"),
    (404, "404", "CLIENT_ERROR"),
    (405, "405", "CLIENT_ERROR"),
    (409, "409", "CLIENT_ERROR"),
    (410, "410", "CLIENT_ERROR"),
    (413, "413", "CLIENT_ERROR"),
    (500, "500", "SERVER_ERROR"),
    (501, "501", "SERVER_ERROR"),
    (503, "503", "SERVER_ERROR"),
];

/// Columns: known statuses and "other".
pub const STATUSES: usize = STATUS_TAGS.len() + 1;

/// The column of an HTTP status.
pub fn status(status: u16) -> usize {
    STATUS_TAGS.iter().position(|(known, ..)| *known == status).unwrap_or(STATUS_TAGS.len())
}

/// The `status` and `outcome` tags of a column.
pub fn status_tag(column: usize) -> (&'static str, &'static str) {
    STATUS_TAGS.get(column).map_or(("other", "UNKNOWN"), |(_, text, outcome)| (text, outcome))
}

/// Methods that are told apart; all others are the last.
pub const METHOD_TAGS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "UNKNOWN"];

/// How many.
pub const METHODS: usize = METHOD_TAGS.len();

/// The number of a method.
pub fn method(method: &str) -> usize {
    METHOD_TAGS.iter().position(|known| *known == method).unwrap_or(METHODS - 1)
}

/// Upper bounds of latency buckets, in microseconds: 1, 2 and 5 of each power of ten to 10 s.
pub const BUCKET_BOUNDS_US: [u64; 22] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000,
    200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// Buckets: one per bound, and one beyond.
pub const BUCKETS: usize = BUCKET_BOUNDS_US.len() + 1;

/// The bucket of a latency: the first whose bound is not below it.
pub fn bucket(latency_us: u64) -> usize {
    BUCKET_BOUNDS_US.partition_point(|bound| *bound < latency_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_row() {
        for (row, kind) in ALL.iter().enumerate() {
            assert_eq!(tag(*kind).index, row);
        }
    }

    #[test]
    fn codes_beyond_the_list_share_a_column() {
        assert_eq!(outcome_tag(outcome(0)), "0");
        assert_eq!(outcome_tag(outcome(503)), "503");
        assert_eq!(outcome_tag(outcome(-401)), "other");
        assert_eq!(outcome(12345), OUTCOMES - 1);
    }

    #[test]
    fn buckets_hold_their_bound() {
        for (at, bound) in BUCKET_BOUNDS_US.iter().enumerate() {
            assert_eq!(bucket(*bound), at);
            assert_eq!(bucket(*bound + 1), at + 1);
        }
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
