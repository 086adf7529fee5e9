//! Error codes of RFC 9113, 7, and the reasons for which this server ends a connection.

/// Error codes as they go over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorCode {
    /// Graceful end.
    NoError = 0x0,
    /// A rule was broken that has no code of its own.
    Protocol = 0x1,
    /// The fault is ours.
    Internal = 0x2,
    /// More than the window allowed.
    FlowControl = 0x3,
    /// SETTINGS were not acknowledged in time.
    SettingsTimeout = 0x4,
    /// A frame for a stream that is closed.
    StreamClosed = 0x5,
    /// A frame of a wrong size.
    FrameSize = 0x6,
    /// Refused before anything was done; may be sent again.
    RefusedStream = 0x7,
    /// The stream is no longer needed.
    Cancel = 0x8,
    /// The two ends of HPACK are out of step.
    Compression = 0x9,
    /// The peer asks for more than is reasonable.
    EnhanceYourCalm = 0xb,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $code:ident;)*) => {
        /// Why a connection was ended by us. Each has its counter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason, in the order of [`Counters::closed`](super::Counters::closed).
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// Name for metrics, logs and the debug data of GOAWAY.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// The code GOAWAY carries.
            pub const fn code(self) -> ErrorCode {
                match self { $(Reason::$variant => ErrorCode::$code,)* }
            }
        }
    };
}

reasons! {
    /// The first bytes are not HTTP/2.
    BadPreface = "bad_preface", Protocol;
    /// No preface, or no SETTINGS behind it, in time.
    PrefaceTimeout = "preface_timeout", Protocol;
    /// A rule of RFC 9113 was broken.
    Protocol = "protocol_error", Protocol;
    /// A frame of a wrong size.
    FrameSize = "frame_size_error", FrameSize;
    /// More DATA than the window, or a window beyond 2^31-1.
    FlowControl = "flow_control_error", FlowControl;
    /// A header block cannot be decoded.
    Compression = "compression_error", Compression;
    /// A frame behind the peer's own end of a stream.
    StreamClosed = "stream_closed", StreamClosed;
    /// A header block over its byte limit.
    HeaderBlockTooLarge = "header_block_too_large", EnhanceYourCalm;
    /// A header block in too many pieces.
    ContinuationFlood = "continuation_flood", EnhanceYourCalm;
    /// A small block that unfolds to a huge header list.
    HeaderBomb = "header_bomb", EnhanceYourCalm;
    /// The core has no room for more texts of clients.
    AtomsFull = "atoms_full", EnhanceYourCalm;
    /// A frame or header block stayed incomplete.
    FrameTimeout = "frame_timeout", EnhanceYourCalm;
    /// Our SETTINGS were not acknowledged.
    SettingsTimeout = "settings_timeout", SettingsTimeout;
    /// PING and SETTINGS in masses.
    ControlFlood = "control_flood", EnhanceYourCalm;
    /// WINDOW_UPDATE, PRIORITY and frames without effect in masses.
    IdleFrameFlood = "idle_frame_flood", EnhanceYourCalm;
    /// RST_STREAM in masses (CVE-2023-44487).
    ResetFlood = "reset_flood", EnhanceYourCalm;
    /// Streams made to be reset by us (CVE-2025-8671).
    ProvokedResets = "provoked_resets", EnhanceYourCalm;
    /// DATA without data in masses.
    EmptyDataFlood = "empty_data_flood", EnhanceYourCalm;
    /// Asks for more while too many answers are unread.
    Unread = "answers_unread", EnhanceYourCalm;
    /// More output held back than a connection may hold.
    HeldTooMuch = "held_too_much", EnhanceYourCalm;
    /// Output held back for too long.
    TooSlow = "too_slow", EnhanceYourCalm;
    /// A keep-alive PING was not answered.
    KeepAlive = "keep_alive_timeout", NoError;
}

/// The connection is over: `out` holds the GOAWAY; flush it, close the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub reason: Reason,
}
