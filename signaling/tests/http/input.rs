//! Bad input gets a clear refusal and changes nothing.

use crate::service::{Service, send};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_bad_body_is_refused_with_its_field_and_changes_nothing() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let room = service.post(&business.secret_key, "/v1/rooms", &json!({})).await.ok();
    let room_id = &room["room_id"];
    let before = service.row_counts(&business).await;
    let rows: Vec<(&str, Value, &str)> = vec![
        ("/v1/rooms", json!({ "titel": "x" }), "titel"),
        ("/v1/rooms", json!({ "title": 7 }), "integer"),
        ("/v1/rooms", json!({ "title": null }), "null"),
        ("/v1/rooms", json!({ "title": "x".repeat(121) }), "title"),
        ("/v1/rooms", json!({ "title": "x".repeat(200_000) }), "title"),
        ("/v1/rooms", json!({ "title": "a\u{0}b" }), "U+0000"),
        ("/v1/rooms", json!({ "title": "a\u{202e}b" }), "U+202E"),
        ("/v1/rooms", json!({ "title": "two\nlines" }), "U+000A"),
        ("/v1/rooms", json!({ "participants_max": 0 }), "between 1 and 64"),
        ("/v1/rooms", json!({ "participants_max": 65 }), "between 1 and 64"),
        ("/v1/rooms", json!({ "participants_max": 4_294_967_296u64 }), "u32"),
        ("/v1/rooms", json!({ "participants_max": "8" }), "string"),
        ("/v1/rooms", json!({ "guests": "yes" }), "boolean"),
        ("/v1/rooms", json!([]), "object"),
        ("/v1/rooms", json!(["title", 8, true]), "object"),
        ("/v1/rooms", json!(null), "null"),
        ("/v1/tokens", json!({}), "room_id"),
        ("/v1/tokens", json!({ "room_id": "x" }), "UUID"),
        ("/v1/tokens", json!({ "room_id": room_id, "ttl_s": 601 }), "ttl_s"),
        ("/v1/tokens", json!({ "room_id": room_id, "ttl_s": 0 }), "ttl_s"),
        ("/v1/tokens", json!({ "room_id": room_id, "role": "owner" }), "owner"),
        ("/v1/tokens", json!({ "room_id": room_id, "may_publish": ["x-ray"] }), "x-ray"),
        ("/v1/tokens", json!({ "room_id": room_id, "may_publish": ["camera", "camera"] }), "twice"),
        ("/v1/tokens", json!({ "room_id": room_id, "name": "" }), "name"),
        ("/v1/tokens", json!({ "room_id": room_id, "name": "\u{1b}[2J" }), "U+001B"),
        ("/v1/tokens", json!({ "room_id": room_id, "name": "n".repeat(10_000) }), "64 characters"),
        ("/v1/tokens", json!({ "room_id": room_id, "identity": "i".repeat(129) }), "128 characters"),
        ("/v1/tokens", json!({ "room_id": room_id, "identity": " " }), "visible"),
        ("/v1/tokens", json!({ "room_id": room_id, "origin": "shop.example" }), "origin"),
        ("/v1/tokens", json!({ "room_id": room_id, "origin": "https://shop.example/" }), "origin"),
        ("/v1/keys", json!({ "kind": "golden" }), "golden"),
        ("/v1/keys", json!({ "kind": "secret", "origins": ["https://a.example"] }), "secret"),
        ("/v1/keys", json!({ "kind": "publishable" }), "1 to 20"),
        ("/v1/keys", json!({ "kind": "publishable", "origins": vec!["https://a.example"; 21] }), "1 to 20"),
        ("/v1/keys", json!({ "kind": "publishable", "origins": ["*"] }), "origin"),
        ("/v1/clock/advance", json!({}), "either"),
        ("/v1/clock/advance", json!({ "hours": 1, "to": "2030-01-01T00:00:00Z" }), "either"),
        ("/v1/clock/advance", json!({ "hours": 0 }), "hours"),
        ("/v1/clock/advance", json!({ "hours": 1_000_000_000 }), "hours"),
        ("/v1/clock/advance", json!({ "to": "2001-01-01T00:00:00Z" }), "never goes back"),
        ("/v1/clock/advance", json!({ "to": "2099-01-01T00:00:00Z" }), "36 months"),
        ("/v1/clock/advance", json!({ "to": "tomorrow" }), ""),
    ];
    for (path, body, word) in rows {
        let answer = service.post(&business.secret_key, path, &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (422, "bad_input"), "{path} {}", answer.text);
        let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.contains(word) && detail.chars().count() <= 300, "{path}: {detail} lacks {word}");
    }
    assert_eq!(service.row_counts(&business).await, before);
}

#[tokio::test]
async fn bytes_that_are_no_json_object_are_refused() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let before = service.row_counts(&business).await;
    let rows: Vec<(&str, Vec<u8>, &str, u16)> = vec![
        ("application/json", b"hello".to_vec(), "bad_json", 400),
        ("application/json", br#"{"title":"#.to_vec(), "bad_json", 400),
        ("application/json", br#"{"title":"a"}{}"#.to_vec(), "bad_json", 400),
        ("application/json", b"{\"title\":\"\xff\"}".to_vec(), "bad_json", 400),
        ("application/json", br#"{"title":"\ud800"}"#.to_vec(), "bad_json", 400),
        ("application/json", "[".repeat(100_000).into_bytes(), "bad_json", 400),
        ("application/json", format!("{{\"title\":{}", "[".repeat(100_000)).into_bytes(), "bad_input", 422),
        ("application/json", br#"{"title":"a","title":"b"}"#.to_vec(), "bad_input", 422),
        ("application/json", vec![b' '; 256 * 1024 + 1], "body_too_large", 413),
        ("text/plain", b"{}".to_vec(), "bad_content_type", 415),
        ("application/x-www-form-urlencoded", b"title=a".to_vec(), "bad_content_type", 415),
        ("", b"{}".to_vec(), "bad_content_type", 415),
    ];
    for (content_type, body, code, status) in rows {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let mut request = service.with_key(&business.secret_key, Method::POST, "/v1/rooms").body(body);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let answer = send(request).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{shown}");
    }
    assert_eq!(service.row_counts(&business).await, before);
    let utf8 = service.with_key(&business.secret_key, Method::POST, "/v1/rooms");
    let utf8 = utf8.header("content-type", "application/json; charset=utf-8").body("{}");
    assert_eq!(send(utf8).await.status, 201);
}

#[tokio::test]
async fn a_bad_query_is_refused_and_a_bad_path_names_nothing() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    for path in [
        "/v1/rooms?limit=0",
        "/v1/rooms?limit=201",
        "/v1/rooms?limit=x",
        "/v1/rooms?cursor=x",
        "/v1/rooms?cursor=%00",
        "/v1/rooms?page=2",
        "/v1/rooms?limit=1&limit=2",
        "/v1/calls?live=maybe",
        "/v1/calls?cursor='or%201=1--",
        "/v1/calls?limit=-1",
        "/v1/usage?month=2026-13",
        "/v1/usage?month=november",
        "/v1/usage?month=%00",
        "/v1/usage?month=2026-11-01",
    ] {
        let answer = service.get(&business.secret_key, path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (422, "bad_input"), "{path}");
    }
    for path in [
        "/v1",
        "/v1/",
        "/v1/nowhere",
        "/v1/rooms/",
        "/v1/rooms/x",
        "/v1/rooms/%00",
        "/v1/rooms/..%2f..%2fetc%2fpasswd",
        "/v1/rooms/%ff",
        "/v1/calls/'%20or%201=1",
        "/v1/statements/final",
        "/v1/statements/draft/lines/x/hours",
        "/v1/statements/draft/lines/019aa5d2-7c1e-7a60-9a53-2b9c1d2e3f40/hours/noon/calls",
    ] {
        let answer = service.get(&business.secret_key, path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not_found"), "{path} {}", answer.text);
    }
    for (method, path) in [
        (Method::PUT, "/v1/rooms"),
        (Method::GET, "/v1/tokens"),
        (Method::DELETE, "/v1/me"),
        (Method::POST, "/healthz"),
    ] {
        let answer = send(service.with_key(&business.secret_key, method, path)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (405, "method_not_allowed"), "{path}");
        assert!(!answer.header("allow").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn text_that_looks_like_code_is_text() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    for title in
        ["<script>alert(1)</script>", "'; drop table room; --", "\" onload=x", "${7*7}", "مرحبا", "👩‍👩‍👧"]
    {
        let room = service.post(&business.secret_key, "/v1/rooms", &json!({ "title": title })).await.ok();
        assert_eq!(room["title"], title);
    }
    assert_eq!(
        service.get(&business.secret_key, "/v1/rooms").await.ok()["rooms"].as_array().map(Vec::len),
        Some(6)
    );
}

#[tokio::test]
async fn pages_of_a_list_follow_each_other() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    for n in 0..5 {
        service.post(&business.secret_key, "/v1/rooms", &json!({ "title": n.to_string() })).await.ok();
    }
    let (mut titles, mut path) = (Vec::new(), "/v1/rooms?limit=2".to_owned());
    loop {
        let page = service.get(&business.secret_key, &path).await.ok();
        titles.extend(page["rooms"].as_array().expect("a list").iter().map(|room| room["title"].clone()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/rooms?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(titles.len(), 5);
    assert_eq!(titles.first(), Some(&json!("4")), "newest first");
}
