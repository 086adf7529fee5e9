//! JSON shapes of the config module (requests as clients send them, `grpc-protocol.md` 11.3).

use crate::fault::ParseError;
use crate::form::{self, form};
use crate::scan::Scan;
use crate::text::{Pairs, Text};
use crate::value::{Value, read_list};

/// `ConfigPublishRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigPublishRequest<'a> {
    pub data_id: Option<Text<'a>>,
    pub group: Option<Text<'a>>,
    /// Namespace id; blank means `public`.
    pub tenant: Option<Text<'a>>,
    pub content: Option<Text<'a>>,
    /// Non-blank: publish only over content of this md5.
    pub cas_md5: Option<Text<'a>>,
    /// `tag`, `betaIps`, `type`, `appName`, … (`config.md` 3.1); null values are left out.
    pub addition: Pairs<'a>,
}

form!(ConfigPublishRequest {
    "dataId" => data_id,
    "group" => group,
    "tenant" => tenant,
    "content" => content,
    "casMd5" => cas_md5,
    "additionMap" => addition,
});

/// `ConfigQueryRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigQueryRequest<'a> {
    pub data_id: Option<Text<'a>>,
    pub group: Option<Text<'a>>,
    pub tenant: Option<Text<'a>>,
    /// Non-blank: only the variant of this tag.
    pub tag: Option<Text<'a>>,
}

form!(ConfigQueryRequest {
    "dataId" => data_id,
    "group" => group,
    "tenant" => tenant,
    "tag" => tag,
});

/// `ConfigRemoveRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigRemoveRequest<'a> {
    pub data_id: Option<Text<'a>>,
    pub group: Option<Text<'a>>,
    pub tenant: Option<Text<'a>>,
    /// Non-blank: the name of the gray variant to remove, instead of the formal config.
    pub tag: Option<Text<'a>>,
}

form!(ConfigRemoveRequest {
    "dataId" => data_id,
    "group" => group,
    "tenant" => tenant,
    "tag" => tag,
});

/// What a client has of one config.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListenContext<'a> {
    pub group: Option<Text<'a>>,
    /// Of the content the client has; blank or absent for none.
    pub md5: Option<Text<'a>>,
    pub data_id: Option<Text<'a>>,
    pub tenant: Option<Text<'a>>,
}

form!(ListenContext {
    "group" => group,
    "md5" => md5,
    "dataId" => data_id,
    "tenant" => tenant,
});

impl<'a> Value<'a> for Option<Vec<ListenContext<'a>>> {
    fn read(scan: &mut Scan<'a>) -> Result<Self, ParseError> {
        read_list(scan, |scan| match form::read(scan)? {
            Some(context) => Ok(Some(context)),
            // Java fails later, on its first use.
            None => Err(scan.error("null stands where a listen context is expected")),
        })
    }
}

/// `ConfigBatchListenRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigBatchListenRequest<'a> {
    /// False ends listening; true when absent.
    pub listen: bool,
    /// `None` is treated as empty.
    pub contexts: Option<Vec<ListenContext<'a>>>,
}

form!(ConfigBatchListenRequest {
    "listen" => listen,
    "configListenContexts" => contexts,
});

impl Default for ConfigBatchListenRequest<'_> {
    fn default() -> Self {
        Self { listen: true, contexts: None }
    }
}

/// `ConfigFuzzyWatchRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigFuzzyWatchRequest<'a> {
    /// `namespace>>groupPattern>>dataIdPattern`.
    pub group_key_pattern: Option<Text<'a>>,
    /// Group keys (`dataId+group+tenant`) the client knows already; `None` is treated as empty.
    pub received_group_keys: Option<Vec<Text<'a>>>,
    /// `WATCH` or `CANCEL_WATCH`.
    pub watch_type: Option<Text<'a>>,
    pub initializing: bool,
}

form!(ConfigFuzzyWatchRequest {
    "groupKeyPattern" => group_key_pattern,
    "receivedGroupKeys" => received_group_keys,
    "watchType" => watch_type,
    "initializing" => initializing,
});
