//! What applying a command came to.

use nacre_proto::code::Code;
use std::borrow::Cow;

/// The answer to one command, given to whoever proposed it once the command is on disk and applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Carried out. `revision` counts the changes of the whole state.
    Done { revision: u64 },
    /// Decided against, from replicated state alone; nothing changed.
    Refused(Refused),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What HTTP answers. On gRPC it is flattened to 500, but for capacity (`config.md` 3.2).
    pub code: Code,
    pub text: Cow<'static, str>,
}

impl Answer {
    pub(crate) fn refused(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Answer::Refused(Refused { code, text: text.into() })
    }
}
