//! Credit notes as operators issue them and businesses read them.

use crate::service::{Answer, Service, send};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_statement_is_corrected_once_for_each_key_and_never_beyond_what_was_billed() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let (key, operator) = (&business.secret_key, service.operator("ada").await);
    service.post(key, "/v1/clock/advance", &json!({ "hours": 1500 })).await.ok();
    let statements = service.get(key, "/v1/statements").await.ok();
    let id = statements["statements"][0]["statement_id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/statements/{id}/credit-notes");
    let before = service.get(key, &format!("/v1/statements/{id}")).await.ok();
    let line = before["lines"][0]["line_id"].clone();
    let ask = async |token: &str, key: &str, path: &str, body: &Value| -> Answer {
        let request = service.with_key(token, Method::POST, path).header("idempotency-key", key);
        send(request.header("tuppence-tenant", business.tenant.to_string()).json(body)).await
    };
    let five = json!({ "reason": "Wrong plan", "lines": [{ "line_id": line, "amount_micros": 5_000_000 }] });
    let made = ask(&operator, "one", &path, &five).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let note = made.json();
    assert_eq!((&note["number"], &note["total"]["amount"]), (&json!("TEST-CN-000001"), &json!("0.05")));
    assert_eq!(ask(&operator, "one", &path, &five).await.text, made.text, "the same again is the same");
    let listed = service.get(key, &path).await.ok();
    assert_eq!(listed["credit_notes"], json!([note]));
    let after = service.get(key, &format!("/v1/statements/{id}")).await.ok();
    assert_eq!(after["credit_notes"][0]["number"], "TEST-CN-000001");
    assert_eq!((&after["total"], &after["lines"]), (&before["total"], &before["lines"]));
    let whole = json!({ "reason": "Wrong plan" });
    let of = |line: &Value, micros: i64| json!({ "reason": "x", "lines": [{ "line_id": line, "amount_micros": micros }] });
    let nobody = "/v1/statements/0199c000-0000-7000-8000-000000000000/credit-notes";
    let unknown = json!("0199c000-0000-7000-8000-000000000000");
    for (token, path, body, code, says) in [
        (key, path.as_str(), whole.clone(), "forbidden", "only an operator"),
        (&operator, nobody, whole.clone(), "not_found", "statement"),
        (&operator, &path, json!({ "reason": " " }), "bad_input", "reason"),
        (&operator, &path, json!({ "reason": "x", "lines": [] }), "bad_input", "1 to 1000"),
        (&operator, &path, of(&line, 0), "bad_input", "at least one"),
        (&operator, &path, of(&line, 1), "bad_input", "whole minor units"),
        (&operator, &path, of(&unknown, 1_000_000), "bad_input", "there is no line"),
        (&operator, &path, of(&line, 21_000_000), "credit_exceeds_statement", "0.20 USD are billed"),
    ] {
        let answer = ask(token, &body.to_string().len().to_string(), path, &body).await;
        assert_eq!(answer.problem(), code, "{path} {body}: {}", answer.text);
        let detail = answer.json()["detail"].as_str().unwrap_or("").to_owned();
        assert!(detail.contains(says), "{path} {body}: {detail}");
    }
    assert_eq!(ask(&operator, "rest", &path, &whole).await.json()["total"]["amount"], "0.20");
    let void = service.get(key, &format!("/v1/statements/{id}")).await.ok();
    assert_eq!((&void["status"], &void["total"]), (&json!("void"), &before["total"]), "it says what it said");
    assert_eq!(void["standing"]["says"], "It is taken back. Nothing is owed for it.");
    assert_eq!(ask(&operator, "more", &path, &whole).await.problem(), "credit_exceeds_statement");
}
