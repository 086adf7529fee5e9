//! The forms of answers (`http-api.md` 1.3, 1.4).

use super::route::Version;
use crate::http1::StatusCode;
use crate::http1::reply::{self, Reply};
use nacre_proto::code::Code;
use nacre_proto::json;
use nacre_shards::naming::open::Refused;

/// Bytes of a path that are repeated in an answer.
const ECHO_BYTES_MAX: usize = 256;

/// `ok`: text in v1, in an envelope later.
pub fn done(version: Version) -> Reply {
    match version {
        Version::V1 => reply::with_type(StatusCode::OK, "text/html;charset=UTF-8", "ok"),
        Version::V2 | Version::V3 => result(b"\"ok\""),
    }
}

/// JSON: bare in v1, in an envelope later.
pub fn json_of(version: Version, json: bytes::Bytes) -> Reply {
    match version {
        Version::V1 => reply::json(StatusCode::OK, json),
        Version::V2 | Version::V3 => result(&json),
    }
}

/// `Result` of a success around JSON.
pub fn result(data: &[u8]) -> Reply {
    const BEFORE: &[u8] = br#"{"code":0,"message":"success","data":"#;
    let mut out = Vec::with_capacity(BEFORE.len() + data.len() + 1);
    out.extend_from_slice(BEFORE);
    out.extend_from_slice(data);
    out.push(b'}');
    reply::json(StatusCode::OK, out)
}

/// v3's `Page` around a JSON list.
pub fn page(count: usize, page_no: i64, page_size: i64, items: &[u8]) -> Reply {
    let pages = (count as i64 + page_size - 1).checked_div(page_size).unwrap_or(0);
    let mut out = Vec::with_capacity(items.len() + 96);
    let numbers = [("{\"totalCount\":", count as i64), (",\"pageNumber\":", page_no)];
    for (key, number) in numbers.into_iter().chain([(",\"pagesAvailable\":", pages)]) {
        out.extend_from_slice(key.as_bytes());
        json::write_i64(&mut out, number);
    }
    out.extend_from_slice(b",\"pageItems\":");
    out.extend_from_slice(items);
    out.push(b'}');
    result(&out)
}

/// `RestResult` of a success around JSON: v1 console.
pub fn rest_result(data: &[u8]) -> Reply {
    let mut out = br#"{"code":200,"message":null,"data":"#.to_vec();
    out.extend_from_slice(data);
    out.push(b'}');
    reply::json(StatusCode::OK, out)
}

/// `RestResult` of a failure, which is an HTTP success.
pub fn rest_failure(code: u16, text: &str) -> Reply {
    let failure = serde_json::json!({ "code": code, "message": text, "data": null });
    reply::json(StatusCode::OK, failure.to_string())
}

/// A failure that is an HTTP success and says why in its message: `RestResult` in v1, `Result`
/// later.
pub fn said(version: Version, text: &str) -> Reply {
    match version {
        Version::V1 => rest_failure(500, text),
        Version::V2 | Version::V3 => {
            let code = Code::ResultServerError.number();
            let failure = serde_json::json!({ "code": code, "message": text, "data": null });
            reply::json(StatusCode::OK, failure.to_string())
        }
    }
}

/// `Result` of a failure.
pub fn failure(status: StatusCode, code: Code, text: Option<&str>) -> Reply {
    // NacosExceptions have no code of their own in an envelope.
    let code = if code.number() < 1_000 { Code::ResultServerError } else { code };
    let mut out = b"{\"code\":".to_vec();
    json::write_i64(&mut out, i64::from(code.number()));
    out.extend_from_slice(b",\"message\":");
    json::write_string(&mut out, code.text());
    out.extend_from_slice(b",\"data\":");
    match text {
        Some(text) => json::write_string(&mut out, text),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    reply::json(status, out)
}

/// A refusal in the form of its version: a line of text in v1 and from the parameter check, an
/// envelope later.
pub fn refused(refused: &Refused, version: Version) -> Reply {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if refused.plain {
        return reply::text(status, format!("{}\r\n", refused.text));
    }
    match version {
        Version::V1 => reply::text(status, refused.text.clone().into_owned()),
        Version::V2 | Version::V3 => failure(status, refused.code, Some(&refused.text)),
    }
}

/// The framework's own error, which stands where no handler answers.
pub fn error(status: StatusCode, message: &str, path: &str) -> Reply {
    let mut out = b"{\"status\":".to_vec();
    json::write_i64(&mut out, i64::from(status.as_u16()));
    out.extend_from_slice(b",\"error\":");
    json::write_string(&mut out, status.canonical_reason().unwrap_or_default());
    out.extend_from_slice(b",\"message\":");
    json::write_string(&mut out, message);
    out.extend_from_slice(b",\"path\":");
    json::write_string(&mut out, echoed(path));
    out.push(b'}');
    reply::json(status, out)
}

/// As much of a path as an answer repeats.
pub fn echoed(path: &str) -> &str {
    &path[..path.floor_char_boundary(ECHO_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn body(reply: &Reply) -> Value {
        serde_json::from_slice(reply.body().bytes()).unwrap()
    }

    #[test]
    fn each_version_refuses_in_its_form() {
        let weight = Refused::new(400, Code::WeightError, "too heavy");
        let reply = refused(&weight, Version::V1);
        assert_eq!((reply.status().as_u16(), reply.body().bytes()), (400, &b"too heavy"[..]));
        let reply = refused(&weight, Version::V3);
        assert_eq!(reply.status(), 400);
        let expected = r#"{"code":21001,"message":"weight error","data":"too heavy"}"#;
        assert_eq!(body(&reply), serde_json::from_str::<Value>(expected).unwrap());
        let checked = Refused { plain: true, ..weight };
        assert_eq!(refused(&checked, Version::V3).body().bytes(), b"too heavy\r\n");
        let busy = Refused::busy("busy");
        assert_eq!(body(&refused(&busy, Version::V2))["code"], 30_000);
    }

    #[test]
    fn errors_repeat_little_of_a_path() {
        let long = format!("/{}", "é".repeat(1_000));
        let reply = error(StatusCode::NOT_FOUND, "no \"such\"", &long);
        let body = body(&reply);
        let repeated = body["path"].as_str().unwrap();
        assert!(repeated.len() <= ECHO_BYTES_MAX && long.starts_with(repeated));
        assert_eq!((&body["status"], &body["error"]), (&404.into(), &"Not Found".into()));
    }
}
