//! The two methods of the wire (`grpc-protocol.md` 1.1).

use crate::grpc::{Kind, Method};

/// `/Request/request`: one payload in, one payload out.
pub const UNARY: Method = Method { id: 0, kind: Kind::Unary };

/// `/BiRequestStream/requestBiStream`: setup and acks in, pushes out.
pub const STREAM: Method = Method { id: 1, kind: Kind::Bidi };

/// The method of a path; `None` is answered `UNIMPLEMENTED`.
pub fn method(path: &[u8]) -> Option<Method> {
    match path {
        b"/Request/request" => Some(UNARY),
        b"/BiRequestStream/requestBiStream" => Some(STREAM),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_exact() {
        assert_eq!(method(b"/Request/request"), Some(UNARY));
        assert_eq!(method(b"/BiRequestStream/requestBiStream"), Some(STREAM));
        for wrong in
            ["", "/", "/Request", "/request/request", "/Request/request/", "/Request/requestX"]
        {
            assert_eq!(method(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
