//! Every wire error code, once (`grpc-protocol.md` 3.3).

/// `resultCode` of a success.
pub const RESULT_OK: i32 = 200;

/// `resultCode` of a failure. What went wrong is in `errorCode`.
pub const RESULT_FAIL: i32 = 500;

/// Declares the codes: doc, name, number, and the reference's default text ("" where it has none).
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// `errorCode` of an answer, and `code` of HTTP results.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum Code { $($(#[$doc])* $name = $number,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The code of a number; `None` for one the reference does not use.
            pub const fn of(number: i32) -> Option<Code> {
                match number {
                    $($number => Some(Code::$name),)*
                    _ => None,
                }
            }

            /// The reference's text for it, empty where each use has its own.
            pub const fn text(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

impl Code {
    /// Of a config query: nothing there. The same number as [`Code::InvalidServerStatus`], which
    /// SDKs tell apart by the response's type.
    pub const CONFIG_NOT_FOUND: Code = Code::InvalidServerStatus;

    /// Of a config query: being changed. The same number as [`Code::InvalidParam`].
    pub const CONFIG_QUERY_CONFLICT: Code = Code::InvalidParam;

    /// As written.
    pub const fn number(self) -> i32 {
        self as i32
    }
}

codes! {
    /// No error.
    Success = 0, "success";
    /// A message could not be written as JSON.
    Serialize = 100, "";
    /// A message could not be read as JSON, by the runtime's own code.
    Deserialize = 101, "";

    /// Never sent by a server: a parameter the client itself refuses.
    ClientInvalidParam = -400, "";
    /// Naming write on a connection that is no naming client.
    ClientDisconnect = -401, "";
    /// Never sent by a server.
    ClientNotFound = -404, "";
    /// Never sent by a server.
    ClientError = -500, "";
    /// Never sent by a server.
    ClientOverThreshold = -503, "";

    /// The server is still starting.
    InvalidServerStatus = 300, "";
    /// The connection is not registered. The client reconnects, so it must mean nothing else.
    UnRegister = 301, "";
    /// No handler for that type.
    NoHandler = 302, "";
    /// HTTP only: this write belongs to another node.
    WriteRedirect = 307, "";
    /// Parameter check, illegal arguments.
    InvalidParam = 400, "";
    /// Not allowed. The client logs in again.
    NoRight = 403, "";
    /// The named thing is absent (MCP servers).
    NotFound = 404, "";
    /// It exists already (MCP versions).
    Conflict = 409, "";
    /// HTTP in practice.
    ConfigAlreadyExists = 410, "";
    /// Uncaught.
    ServerError = 500, "";
    /// Known to the protocol, not to this server.
    ServerNotImplemented = 501, "";
    /// Malformed body, or a source that may not send this type.
    BadGateway = 502, "";
    /// Flow control. Its answer is delayed by a second, which slows down who would repeat at once.
    OverThreshold = 503, "";

    /// Beat answers: known.
    NamingOk = 10_200, "";
    /// Beat answers: unknown, register again.
    NamingNotFound = 20_404, "";
    /// Naming: failed for good.
    NamingNoNeedRetry = 21_600, "";

    ClusterQuotaReached = 5031, "cluster quota reached";
    GroupQuotaReached = 5032, "group quota reached";
    TenantQuotaReached = 5033, "tenant quota reached";
    ContentTooLarge = 5034, "content size over limit";

    ParameterMissing = 10_000, "parameter missing";
    AccessDenied = 10_001, "access denied";
    DataAccessError = 10_002, "data access error";

    TenantParamError = 20_001, "'tenant' parameter error";
    ParameterValidateError = 20_002, "parameter validate error";
    MediaTypeError = 20_003, "MediaType Error";
    ResourceNotFound = 20_004, "resource not found";
    ResourceConflict = 20_005, "resource conflict";
    ConfigListenerIsNull = 20_006, "config listener is null";
    ConfigListenerError = 20_007, "config listener error";
    InvalidDataId = 20_008, "invalid dataId";
    ParameterMismatch = 20_009, "parameter mismatch";
    GrayOverMaxVersion = 20_010, "gray version over max count";
    GrayRuleFormatInvalid = 20_011, "gray rule format invalid";
    GrayRuleVersionInvalid = 20_012, "gray rule version invalid";
    GrayNameUnrecognized = 20_013, "gray name not recognized";

    ServiceNameError = 21_000, "service name error";
    WeightError = 21_001, "weight error";
    InstanceMetadataError = 21_002, "instance metadata error";
    InstanceNotFound = 21_003, "instance not found";
    InstanceError = 21_004, "instance error";
    ServiceMetadataError = 21_005, "service metadata error";
    SelectorError = 21_006, "selector error";
    ServiceAlreadyExist = 21_007, "service already exist";
    ServiceNotExist = 21_008, "service not exist";
    ServiceDeleteFailure = 21_009, "service delete failure";
    HealthyParamMiss = 21_010, "healthy param miss";
    HealthCheckRunning = 21_011, "health check still running";

    IllegalNamespace = 22_000, "illegal namespace";
    NamespaceNotExist = 22_001, "namespace not exist";
    NamespaceAlreadyExist = 22_002, "namespace already exist";

    IllegalState = 23_000, "illegal state";
    NodeInfoError = 23_001, "node info error";
    NodeDownFailure = 23_002, "node down failure";

    /// Of HTTP results; on gRPC it is [`Code::ServerError`].
    ResultServerError = 30_000, "server error";
    ApiDeprecated = 40_000, "API deprecated.";
    ApiFunctionDisabled = 40_001, "API function disabled.";

    McpServerNotFound = 50_000, "MCP server not found";
    McpVersionNotFound = 50_001, "MCP server version not found";
    McpVersionExists = 50_002, "MCP server version has existed";
    McpEndpointNotFound = 50_003, "MCP endpoint service not found";

    /// Too many distinct fuzzy watch patterns on this node.
    FuzzyWatchPatternOverLimit = 50_310, "fuzzy watch pattern over limit";
    /// A pattern matches more than it may; the watch stands.
    FuzzyWatchMatchOverLimit = 50_311, "fuzzy watch pattern matched count over limit";

    ImportMetadataIllegal = 100_002, "imported metadata invalid";
    ImportNoValidData = 100_003, "no valid data was read";
    ImportParseFailed = 100_004, "failed to parse data";
    ImportFileEmpty = 100_005, "imported file is empty";
    ImportNothingSelected = 100_006, "no configuration selected";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_are_one_to_one() {
        for code in Code::ALL {
            assert_eq!(Code::of(code.number()), Some(*code));
        }
        assert_eq!(Code::of(1), None);
        assert_eq!(Code::UnRegister.number(), 301);
        assert_eq!(Code::CONFIG_NOT_FOUND.number(), 300);
        assert_eq!(Code::FuzzyWatchPatternOverLimit.text(), "fuzzy watch pattern over limit");
    }
}
