//! The rows as an OpenAPI 3.1 document.

use super::{Kind, Parameter, Place, Taken, taken};
use crate::admin::health::Shape;
use crate::front::open::config::Op as ConfigOp;
use crate::front::open::loader::Op as LoaderOp;
use crate::front::open::ops::Op as OpsOp;
use crate::front::open::rights::is_free;
use crate::front::open::route::{Action, Label, Route, Scope, Verb, Version};
use crate::front::open::{Endpoint, namespace};
use crate::http1::Method;
use serde_json::{Map, Value, json};

/// The form of a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    /// Without an envelope.
    Json,
    /// `{"code","message","data"}`, 0 for success.
    Result,
    /// The same, 200 for success.
    RestResult,
    Zip,
}

/// The document of a server with this context path.
pub fn document(rows: &[Route], context_path: &str) -> Value {
    let mut paths = Map::new();
    for row in rows {
        let path = paths.entry(row.path).or_insert_with(|| json!({}));
        if row.is_at_root() {
            path["servers"] = json!([{ "url": "/" }]);
        }
        for method in methods(row.verb) {
            path[method.as_str().to_ascii_lowercase()] = operation(row, &method);
        }
    }
    let url = if context_path.is_empty() { "/" } else { context_path };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "nacre",
            "summary": "The HTTP API of Nacos, as nacre serves it",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache License 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": url }],
        "tags": tags(rows),
        "paths": paths,
        "components": { "securitySchemes": schemes(), "schemas": schemas() },
    })
}

fn methods(verb: Verb) -> Vec<Method> {
    match verb {
        Verb::Get => vec![Method::GET],
        Verb::Post => vec![Method::POST],
        Verb::Put => vec![Method::PUT],
        Verb::Delete => vec![Method::DELETE],
        Verb::Patch => vec![Method::PATCH],
        Verb::Any => vec![Method::GET, Method::POST, Method::PUT, Method::DELETE],
    }
}

/// `/v3/admin/ns`: the family of a path.
fn tag(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let is_versioned = |part: &&&str| part.starts_with('v') && part.len() == 2;
    let deep = match parts.first().filter(is_versioned) {
        Some(&"v3") if parts.get(1).is_some_and(|part| *part != "auth") => 3,
        Some(_) => 2,
        None => 1,
    };
    parts[..deep.min(parts.len())].join("/")
}

fn tags(rows: &[Route]) -> Value {
    let mut names: Vec<String> = rows.iter().map(|row| tag(row.path)).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn operation(row: &Route, method: &Method) -> Value {
    let taken = taken(row);
    let parameters: Vec<Value> = taken
        .parameters
        .iter()
        .filter(|parameter| !in_body(parameter, method))
        .map(parameter)
        .collect();
    let mut operation = json!({
        "operationId": operation_id(row.path, method),
        "tags": [tag(row.path)],
        "parameters": parameters,
        "responses": responses(row),
        "security": if is_free(row, method) {
            json!([])
        } else {
            json!([{ "accessToken": [] }, { "bearer": [] }])
        },
    });
    if let Some(body) = body(&taken, method) {
        operation["requestBody"] = body;
    }
    if let Some((action, scope)) = row.access {
        operation["x-action"] = if action == Action::Read { "read" } else { "write" }.into();
        operation["x-scope"] = scope_name(scope).into();
    }
    if let Some(switch) = switch(row.label) {
        operation["x-compatibility"] = switch.into();
    }
    operation
}

/// Unique, since a row's path and method are.
fn operation_id(path: &str, method: &Method) -> String {
    let mut id = method.as_str().to_ascii_lowercase();
    for part in path.split(['/', '.', '_', '-', '{', '}']).filter(|part| !part.is_empty()) {
        let (first, rest) = part.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    id
}

pub(super) fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Open => "open",
        Scope::Admin => "admin",
        Scope::Console => "console",
        Scope::Inner => "inner",
    }
}

/// The switch that turns a row off.
pub(super) fn switch(label: Label) -> Option<&'static str> {
    match label {
        Label::Open => Some("client"),
        Label::Admin => Some("admin"),
        Label::Console => Some("console"),
        Label::Inner => Some("inner"),
        Label::None => None,
    }
}

/// Only what brings a body has fields of a form; elsewhere they stand in the query.
fn in_body(parameter: &Parameter, method: &Method) -> bool {
    parameter.place == Place::Form && [Method::POST, Method::PUT].contains(method)
}

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Whole => json!({ "type": "integer", "format": "int32" }),
        Kind::Number => json!({ "type": "number", "format": "double" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::File => json!({ "type": "string", "format": "binary" }),
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Query | Place::Form => "query",
        Place::Path => "path",
        Place::Header => "header",
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "schema": schema(parameter.kind),
    })
}

fn body(taken: &Taken, method: &Method) -> Option<Value> {
    if taken.json {
        let schema = json!({ "$ref": "#/components/schemas/Any" });
        return Some(json!({ "content": { "application/json": { "schema": schema } } }));
    }
    let fields: Vec<&Parameter> =
        taken.parameters.iter().filter(|parameter| in_body(parameter, method)).collect();
    if fields.is_empty() {
        return None;
    }
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), schema(field.kind))).collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let has_file = fields.iter().any(|field| field.kind == Kind::File);
    let kind = if has_file { "multipart/form-data" } else { "application/x-www-form-urlencoded" };
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    Some(json!({ "required": true, "content": { kind: { "schema": schema } } }))
}

fn responses(row: &Route) -> Value {
    let result = content(Family::Result);
    match (row.endpoint, row.label) {
        (_, Label::Inner) => {
            return json!({ "410": { "description": "Only nodes of older versions ask", "content": {
                "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } } } });
        }
        (Endpoint::Off(why), _) => {
            return json!({ "501": { "description": why, "content": result } });
        }
        _ => {}
    }
    let refused = match row.version() {
        Version::V1 => content(Family::Text),
        Version::V2 | Version::V3 => result,
    };
    let error = json!({
        "application/json": { "schema": { "$ref": "#/components/schemas/Error" } },
    });
    json!({
        "200": { "description": "Done", "content": content(family(row)) },
        "400": { "description": "A parameter is missing or wrong", "content": refused },
        "403": { "description": "No right to it", "content": error },
        "default": { "description": "Refused", "content": refused },
    })
}

fn content(family: Family) -> Value {
    let of = |name: &str| {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        json!({ "application/json": { "schema": schema } })
    };
    match family {
        Family::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Family::Zip => json!({ "application/octet-stream": {
            "schema": { "type": "string", "format": "binary" } } }),
        Family::Json => of("Any"),
        Family::Result => of("Result"),
        Family::RestResult => of("RestResult"),
    }
}

/// The form of a row's success.
fn family(row: &Route) -> Family {
    let v1 = row.version() == Version::V1;
    match row.endpoint {
        Endpoint::Health(_, Shape::Text)
        | Endpoint::Metrics
        | Endpoint::ServerList
        | Endpoint::ProductList
        | Endpoint::ProductServers
        | Endpoint::ProductPut
        | Endpoint::ProductTake => Family::Text,
        Endpoint::BareState | Endpoint::Login | Endpoint::OpenApi | Endpoint::InstanceBeat => {
            Family::Json
        }
        Endpoint::Config(ConfigOp::Export) => Family::Zip,
        Endpoint::Config(ConfigOp::List) if row.version() == Version::V2 => Family::Json,
        Endpoint::Config(
            ConfigOp::Get
            | ConfigOp::Post
            | ConfigOp::Delete
            | ConfigOp::Poll
            | ConfigOp::Health
            | ConfigOp::LocalCache,
        ) if v1 => Family::Text,
        Endpoint::Config(ConfigOp::Capacity | ConfigOp::SetCapacity | ConfigOp::Catalog) if v1 => {
            Family::RestResult
        }
        Endpoint::Loader(LoaderOp::Current | LoaderOp::Cluster) if row.version() == Version::V2 => {
            Family::Json
        }
        Endpoint::Loader(_) if row.version() == Version::V2 => Family::Text,
        Endpoint::Ops(OpsOp::Log) if v1 => Family::Text,
        Endpoint::Ops(OpsOp::Log | OpsOp::Raft | OpsOp::Ids) if row.version() == Version::V2 => {
            Family::RestResult
        }
        Endpoint::Ops(OpsOp::PushState) => Family::Json,
        Endpoint::Ops(OpsOp::Label) => Family::Text,
        Endpoint::Ops(_) | Endpoint::Cluster(_) | Endpoint::SelectorTypes if v1 => {
            Family::RestResult
        }
        Endpoint::Namespace(namespace::Op::V1Get) => Family::Json,
        Endpoint::Namespace(_) if v1 => Family::Json,
        Endpoint::InstanceRegister
        | Endpoint::InstanceDeregister
        | Endpoint::InstanceUpdate
        | Endpoint::InstancePatch
        | Endpoint::InstanceHealth
        | Endpoint::ClusterUpdate
        | Endpoint::ServiceCreate
        | Endpoint::ServiceUpdate
        | Endpoint::ServiceDelete
        | Endpoint::SetSwitch
            if v1 =>
        {
            Family::Text
        }
        _ if v1 => Family::Json,
        _ => Family::Result,
    }
}

fn schemes() -> Value {
    json!({
        "accessToken": {
            "type": "apiKey", "in": "header", "name": "accessToken",
            "description": "What a login answers; a parameter of this name does as well.",
        },
        "bearer": { "type": "http", "scheme": "bearer" },
    })
}

fn schemas() -> Value {
    let envelope = |code: &str| {
        json!({
            "type": "object",
            "required": ["code"],
            "properties": {
                "code": { "type": "integer", "format": "int32", "description": code },
                "message": { "type": ["string", "null"] },
                "data": {},
            },
        })
    };
    json!({
        "Any": { "description": "JSON of this path's own form" },
        "Result": envelope("0 for success"),
        "RestResult": envelope("200 for success"),
        "Error": {
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": { "type": "integer", "format": "int32" },
                "error": { "type": "string" },
                "message": { "type": "string" },
                "path": { "type": "string" },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::open::table::ROWS;
    use std::collections::HashSet;

    #[test]
    fn operations_are_unique_and_each_path_has_its_parameters() {
        let document = document(ROWS, "/nacos");
        let mut ids = HashSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            let operations = operations.as_object().unwrap();
            for (method, operation) in operations.iter().filter(|(key, _)| *key != "servers") {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} twice");
                let parameters = operation["parameters"].as_array().unwrap();
                let mut names = HashSet::new();
                for parameter in parameters {
                    let key = (parameter["in"].as_str(), parameter["name"].as_str());
                    assert!(names.insert(key), "{method} {path}: {key:?} twice");
                }
                for part in path.split('/').filter(|part| part.starts_with('{')) {
                    let name = part.trim_matches(['{', '}']);
                    assert!(names.contains(&(Some("path"), Some(name))), "{path}");
                }
            }
        }
        assert!(ids.len() > 250, "{}", ids.len());
    }
}
