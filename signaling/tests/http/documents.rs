//! The OpenAPI document says what is there.

use crate::service::{Service, send};
use reqwest::Method;
use serde_json::Value;
use signaling::problem::Code;
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "post", "delete", "put", "patch"];

/// What answers browsers and the curious, and nobody else.
const BESIDES: [&str; 3] = ["options(visits::preflight)", "endpoint()", "resource()"];

/// Every operation as `(method, path)`.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| METHODS.map(|method| (method, path, &item[method])))
        .filter(|(_, _, operation)| !operation.is_null())
        .map(|(method, path, operation)| (method.to_owned(), path.clone(), operation))
        .collect()
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_route_is_there() {
    let service = Service::start().await;
    let document = send(service.request(Method::GET, "/v1/openapi.json")).await.ok();
    assert_eq!(document["openapi"].as_str().map(|v| &v[..3]), Some("3.1"));
    let documented: BTreeSet<String> =
        operations(&document).into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let expected: BTreeSet<String> = include_str!("routes.txt").lines().map(str::to_owned).collect();
    assert_eq!(documented, expected);
    for (method, path, _) in operations(&document).iter().filter(|(_, path, _)| path != "/v1/ws") {
        let path = path.replace(['{', '}'], "");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        let answer = send(service.request(method, &path)).await;
        assert!(!answer.text.contains("see /v1/openapi.json") && answer.status != 405, "{path} is not there");
    }
}

/// A route added past the documented ones would not be seen by the test above.
#[test]
fn only_fallbacks_are_added_past_the_documentation() {
    let source = include_str!("../../src/routes/service.rs");
    let added: Vec<&str> = source.lines().filter(|line| line.trim_start().starts_with(".route(")).collect();
    let is_fallback = |line: &&&str| {
        line.contains("any(no_such_path)") || BESIDES.iter().any(|besides| line.contains(besides))
    };
    assert_eq!((added.len(), added.iter().filter(is_fallback).count()), (8, 8), "{added:#?}");
}

#[tokio::test]
async fn every_operation_field_and_refusal_is_explained() {
    let document: Value = serde_json::from_str(signaling::openapi::json()).expect("JSON");
    for (method, path, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{method} {path} has no summary");
        assert!(operation["tags"].is_array() && operation["operationId"].is_string(), "{method} {path}");
        assert!(operation["security"].is_array(), "{method} {path} does not say who may");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{method} {path}: {}", parameter["name"]);
        }
        let can_fail = path.starts_with("/v1") && path != "/v1/openapi.json" && path != "/v1/ws";
        assert!(
            !can_fail || operation["responses"]["default"].is_object(),
            "{method} {path} does not say how it refuses"
        );
    }
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let parts = property["oneOf"].as_array().into_iter().flatten().chain([property]);
            let is_explained = parts.into_iter().any(|part| part["description"].is_string());
            assert!(is_explained, "{name}.{field} has no description");
        }
    }
    let operation_ids: Vec<String> =
        operations(&document).iter().map(|(_, _, operation)| operation["operationId"].to_string()).collect();
    let unique: BTreeSet<&String> = operation_ids.iter().collect();
    assert_eq!(unique.len(), operation_ids.len(), "{operation_ids:?}");
    let text = signaling::openapi::json();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split_once('"').expect("an end").0;
        assert!(schemas.contains_key(name), "{name} is referred to and not there");
    }
    let schemes = document["components"]["securitySchemes"].as_object().expect("schemes");
    assert_eq!(
        schemes.keys().collect::<Vec<_>>(),
        ["call_token", "operator_token", "publishable_key", "secret_key", "session"]
    );
}

#[tokio::test]
async fn the_list_of_problems_is_in_the_document_and_in_the_manual() {
    let document: Value = serde_json::from_str(signaling::openapi::json()).expect("JSON");
    let manual = include_str!("../../../docs/api.md");
    for (code, row) in Code::ALL.iter().zip(document["x-problems"].as_array().expect("a list")) {
        assert_eq!(row["code"], code.as_str());
        let line = format!("| `{}` | {} | {} |", code.as_str(), code.status().as_u16(), code.title());
        assert!(manual.contains(&line), "docs/api.md lacks the line {line}");
    }
}

#[tokio::test]
async fn the_probes_ask_what_they_should() {
    let service = Service::start().await;
    assert_eq!(send(service.request(Method::GET, "/healthz")).await.ok()["status"], "ok");
    assert_eq!(send(service.request(Method::GET, "/readyz")).await.ok()["status"], "ok");
}

#[tokio::test]
async fn a_plain_request_for_the_socket_is_a_problem_like_any_other() {
    let service = Service::start().await;
    let answer = send(service.request(Method::GET, "/v1/ws")).await;
    assert_eq!((answer.status, answer.problem().as_str()), (422, "bad_input"));
}
