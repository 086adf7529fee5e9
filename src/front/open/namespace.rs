//! Namespaces, as far as they are: the default one is always there (`http-api.md` 4.3, 5, 7.1).
//! Others come with the durable side; until then asking for one says that it is not there.

use super::input::Input;
use super::route::Version;
use super::shape;
use super::{Outcome, Refused};
use crate::http1::StatusCode;
use crate::http1::reply;
use nacre_proto::code::Code;

/// The default namespace.
const PUBLIC: &str = concat!(
    r#"{"namespace":"public","namespaceShowName":"public","namespaceDesc":"Default Namespace","#,
    r#""quota":200,"configCount":0,"type":0}"#
);

/// All of them; in v1 also one of them, or whether one exists.
pub(super) fn list(input: &Input<'_>) -> Outcome {
    if input.version != Version::V1 {
        return Ok(shape::result(format!("[{PUBLIC}]").as_bytes()));
    }
    if input.get("checkNamespaceIdExist").is_some() {
        let id = input.form.get("customNamespaceId").unwrap_or_default();
        let exists = if is_public(id) && !id.is_empty() { "true" } else { "false" };
        return Ok(reply::json(StatusCode::OK, exists));
    }
    if input.get("show") == Some("all") {
        let id = input.form.get("namespaceId").unwrap_or_default();
        return match is_public(id) {
            true => Ok(reply::json(StatusCode::OK, PUBLIC)),
            false => Err(Refused::new(404, Code::NamespaceNotExist, "namespace not exist")),
        };
    }
    Ok(shape::rest_result(format!("[{PUBLIC}]").as_bytes()))
}

/// The default namespace was the empty text in 1.x and 2.x.
fn is_public(id: &str) -> bool {
    matches!(id.trim(), "" | "public")
}
