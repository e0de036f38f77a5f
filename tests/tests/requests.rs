//! HTTP requests that must be refused with a problem document.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tuppence_tests::{Answer, Api, Home};

#[tokio::test]
async fn a_bad_request_is_refused_with_a_problem_and_changes_nothing() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let before = service.row_counts().await?;
    for (path, body, why) in bad_bodies(&room_id) {
        let answer = service.api.post(path, &body).await?;
        assert!((400..500).contains(&answer.status), "{why}: {} {}", answer.status, answer.body);
        is_a_problem(why, &answer);
    }
    for (why, bytes, status) in bad_bytes() {
        let answer = service.api.post_bytes("/v1/rooms", bytes).await?;
        assert_eq!(answer.status, status, "{why}: {}", answer.body);
        is_a_problem(why, &answer);
    }
    assert_eq!(service.row_counts().await?, before, "a refused request wrote something");
    service.api.room(8).await.context("the service after all that")?;
    Ok(())
}

#[tokio::test]
async fn nobody_does_anything_without_the_right_key() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let before = service.row_counts().await?;
    let publishable = service.announced.publishable_key.clone().context("a publishable key")?;
    let secret = format!("sk_{}", "A".repeat(43));
    let keys = [
        None,
        Some("sk_"),
        Some(secret.as_str()),
        Some("pk_nobody"),
        Some(publishable.as_str()),
        Some("' or 1=1 --"),
    ];
    for key in keys {
        let api = service.api.with_key(key);
        for answer in knock(&api, &room_id).await? {
            assert!(matches!(answer.status, 401 | 403), "with {key:?}: {} {}", answer.status, answer.body);
            is_a_problem("a wrong key", &answer);
        }
    }
    assert_eq!(service.row_counts().await?, before, "a wrong key wrote something");
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_with_its_key_is_answered_as_before_and_done_once() -> Result<()> {
    let service = Home::new()?.start().await?;
    let key = [("idempotency-key", "order-17")];
    let room = json!({ "title": "Once" });
    let first = service.api.post_with("/v1/rooms", &key, &room).await?.ok()?;
    let counts = service.row_counts().await?;
    let again = service.api.post_with("/v1/rooms", &key, &room).await?;
    assert_eq!((again.status, &again.body), (201, &first));
    let other = service.api.post_with("/v1/rooms", &key, &json!({ "title": "Another" })).await?;
    assert_eq!((other.status, other.code()), (422, "idempotency_mismatch"));
    assert_eq!(service.row_counts().await?, counts);
    Ok(())
}

async fn knock(api: &Api, room_id: &str) -> Result<Vec<Answer>> {
    Ok(vec![
        api.post("/v1/rooms", &json!({})).await?,
        api.get("/v1/rooms").await?,
        api.get(&format!("/v1/rooms/{room_id}")).await?,
        api.post("/v1/tokens", &json!({ "room_id": room_id })).await?,
        api.post("/v1/keys", &json!({ "kind": "secret" })).await?,
        api.get("/v1/keys").await?,
        api.get("/v1/calls").await?,
        api.get("/v1/usage").await?,
        api.get("/v1/statements").await?,
        api.get("/v1/statements/draft").await?,
        api.post("/v1/clock/advance", &json!({ "hours": 1 })).await?,
    ])
}

fn bad_bodies(room_id: &str) -> Vec<(&'static str, Value, &'static str)> {
    let nobody = "0198c000-0000-7000-8000-000000000000";
    let token = |extra: Value| {
        let mut body = json!({ "room_id": room_id });
        for (field, value) in extra.as_object().expect("an object") {
            body[field] = value.clone();
        }
        body
    };
    vec![
        ("/v1/rooms", json!({ "titel": "A typing error" }), "an unknown field"),
        ("/v1/rooms", json!({ "title": 7 }), "a number as title"),
        ("/v1/rooms", json!({ "title": "x".repeat(10_000) }), "a title of 10,000 characters"),
        ("/v1/rooms", json!({ "title": "\u{0}\u{7}" }), "a title of control characters"),
        ("/v1/rooms", json!({ "participants_max": 0 }), "a room for nobody"),
        ("/v1/rooms", json!({ "participants_max": 65 }), "a room for 65"),
        ("/v1/rooms", json!({ "participants_max": -1 }), "a room for minus one"),
        ("/v1/rooms", json!({ "participants_max": 1.5 }), "a room for one and a half"),
        ("/v1/rooms", json!({ "participants_max": 1e30 }), "a room for everyone"),
        ("/v1/rooms", json!([]), "a list"),
        ("/v1/rooms", json!("x"), "a text"),
        ("/v1/tokens", json!({}), "a token for no room"),
        ("/v1/tokens", json!({ "room_id": "x" }), "a room that is no id"),
        ("/v1/tokens", json!({ "room_id": nobody }), "a room of nobody"),
        ("/v1/tokens", token(json!({ "role": "owner" })), "a role that is none"),
        ("/v1/tokens", token(json!({ "ttl_s": 601 })), "a token for too long"),
        ("/v1/tokens", token(json!({ "ttl_s": 0 })), "a token for no time"),
        ("/v1/tokens", token(json!({ "ttl_s": -5 })), "a token for less than no time"),
        ("/v1/tokens", token(json!({ "may_publish": ["mind"] })), "a source that is none"),
        ("/v1/tokens", token(json!({ "name": "x".repeat(10_000) })), "a name of 10,000 characters"),
        ("/v1/tokens", token(json!({ "name": "\u{1b}[31m" })), "a name of control characters"),
        ("/v1/tokens", token(json!({ "identity": "x".repeat(10_000) })), "an identity of 10,000 characters"),
        ("/v1/tokens", token(json!({ "identity": "" })), "an empty identity"),
        ("/v1/tokens", token(json!({ "origin": "shop.example" })), "an origin that is none"),
        ("/v1/keys", json!({ "kind": "golden" }), "a kind that is none"),
        ("/v1/clock/advance", json!({ "hours": -1 }), "a clock that goes back"),
        ("/v1/clock/advance", json!({ "hours": 1_000_000_000 }), "a clock in the far future"),
        ("/v1/clock/advance", json!({ "to": "2001-01-01T00:00:00Z" }), "a clock in the past"),
        ("/v1/clock/advance", json!({}), "a clock that does not know where to"),
        ("/v1/sessions", json!({ "link": "x" }), "a link of nobody"),
    ]
}

fn bad_bytes() -> Vec<(&'static str, Vec<u8>, u16)> {
    vec![
        ("no JSON", b"hello".to_vec(), 400),
        ("half a JSON", br#"{"title":"#.to_vec(), 400),
        ("no UTF-8", b"{\"title\":\"\xff\xfe\"}".to_vec(), 400),
        ("100,000 brackets", "[".repeat(100_000).into_bytes(), 400),
        ("300 KiB", format!("{{\"title\":\"{}\"}}", "x".repeat(300 << 10)).into_bytes(), 413),
    ]
}

fn is_a_problem(why: &str, answer: &Answer) {
    assert!(answer.content_type.starts_with("application/problem+json"), "{why}: {}", answer.content_type);
    assert_eq!(answer.body["status"], answer.status, "{why}");
    assert!(!answer.code().is_empty(), "{why}: {}", answer.body);
    assert!(answer.body["title"].is_string() && answer.body["detail"].is_string(), "{why}: {}", answer.body);
}
