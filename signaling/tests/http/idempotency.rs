//! A request that is sent again.

use crate::service::{Answer, Service, send};
use reqwest::Method;
use serde_json::{Value, json};

async fn post(service: &Service, key: &str, path: &str, idempotency_key: &str, body: &Value) -> Answer {
    let request = service.with_key(key, Method::POST, path).header("idempotency-key", idempotency_key);
    send(request.json(body)).await
}

#[tokio::test]
async fn the_same_request_has_one_effect_and_one_answer() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let first = post(&service, key, "/v1/rooms", "order-1", &json!({ "title": "Once" })).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""));
    let counts = service.row_counts(&business).await;
    for _ in 0..3 {
        let again = post(&service, key, "/v1/rooms", "order-1", &json!({ "title": "Once" })).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
        assert_eq!((&again.text, again.header("content-type")), (&first.text, first.header("content-type")));
    }
    assert_eq!(service.row_counts(&business).await, counts);
    let other = post(&service, key, "/v1/rooms", "order-2", &json!({ "title": "Once" })).await;
    assert_ne!(other.ok()["room_id"], first.ok()["room_id"]);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let room = post(&service, key, "/v1/rooms", "k", &json!({ "title": "One" })).await.ok();
    let counts = service.row_counts(&business).await;
    for (path, body) in [
        ("/v1/rooms", json!({ "title": "Two" })),
        ("/v1/rooms", json!({})),
        ("/v1/tokens", json!({ "room_id": room["room_id"] })),
        ("/v1/keys", json!({ "kind": "secret" })),
        ("/v1/clock/advance", json!({ "hours": 1 })),
    ] {
        let answer = post(&service, key, path, "k", &body).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (422, "idempotency_mismatch"),
            "{path} {body}"
        );
    }
    assert_eq!(service.row_counts(&business).await, counts);
}

#[tokio::test]
async fn many_at_once_have_one_effect() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let before = service.row_counts(&business).await;
    let body = json!({ "title": "Race" });
    let race = (0..24).map(|_| post(&service, &business.secret_key, "/v1/rooms", "race", &body));
    let answers = join_all(race).await;
    let mut bodies: Vec<&str> = Vec::new();
    for answer in &answers {
        match answer.status {
            201 => bodies.push(&answer.text),
            _ => assert_eq!((answer.status, answer.problem().as_str()), (409, "idempotency_in_progress")),
        }
    }
    assert!(!bodies.is_empty() && bodies.iter().all(|text| *text == bodies[0]));
    let rooms = service.row_counts(&business).await[0] - before[0];
    assert_eq!(rooms, 1, "one effect");
}

/// Drives all of them at once on this task.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, answer) in &mut waiting {
            if answer.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *answer = Some(ready);
            }
        }
        let all_are_ready = waiting.iter().all(|(_, answer)| answer.is_some());
        if all_are_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn a_request_still_running_is_said_to_be() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let name = format!("idempotency {} slow", business.tenant);
    let running = service.db.tenant(business.tenant).await.expect("begins");
    running.run("select pg_advisory_xact_lock(hashtextextended($1, 0))", &[&name]).await.expect("locks");
    let answer = post(&service, &business.secret_key, "/v1/rooms", "slow", &json!({})).await;
    assert_eq!((answer.status, answer.problem().as_str()), (409, "idempotency_in_progress"));
    assert_eq!(answer.header("retry-after"), "1");
    running.rollback().await.expect("ends");
    assert_eq!(post(&service, &business.secret_key, "/v1/rooms", "slow", &json!({})).await.status, 201);
}

#[tokio::test]
async fn a_refusal_is_not_kept() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let refused = post(&service, key, "/v1/rooms", "k", &json!({ "participants_max": 65 })).await;
    assert_eq!(refused.problem(), "bad_input");
    post(&service, key, "/v1/rooms", "k", &json!({ "participants_max": 64 })).await.ok();
}

#[tokio::test]
async fn an_answer_with_a_secret_can_be_read_again_by_its_credential_only() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let body = json!({ "kind": "secret" });
    let first = post(&service, key, "/v1/keys", "k", &body).await;
    let other_key = first.ok()["key"].as_str().expect("a key").to_owned();
    assert_eq!(post(&service, key, "/v1/keys", "k", &body).await.text, first.text);
    let other = post(&service, &other_key, "/v1/keys", "k", &body).await;
    assert_eq!((other.status, other.problem().as_str()), (409, "idempotency_sealed"));
    let tx = service.db.tenant(business.tenant).await.expect("begins");
    let row = tx.one("select body, sealed from idempotency_key where key = 'k'", &[]).await.expect("a row");
    let (stored, sealed): (Vec<u8>, bool) = (row.get(0), row.get(1));
    assert!(sealed && !String::from_utf8_lossy(&stored).contains("sk_"));
}

#[tokio::test]
async fn two_tenants_may_use_the_same_key() {
    let service = Service::start().await;
    let (fern, finch) = (service.business("Fern").await, service.business("Finch").await);
    let one = post(&service, &fern.secret_key, "/v1/rooms", "k", &json!({ "title": "Fern's" })).await.ok();
    let two = post(&service, &finch.secret_key, "/v1/rooms", "k", &json!({ "title": "Finch's" })).await.ok();
    assert_ne!(one["room_id"], two["room_id"]);
}

#[tokio::test]
async fn a_key_is_visible_text_of_limited_length() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let longest = "k".repeat(255);
    assert_eq!(post(&service, &business.secret_key, "/v1/rooms", &longest, &json!({})).await.status, 201);
    for bad in ["", "two words", "tab\there", &"k".repeat(256)] {
        let answer = post(&service, &business.secret_key, "/v1/rooms", bad, &json!({})).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad_idempotency_key"), "{bad:?}");
    }
    let twice = service
        .with_key(&business.secret_key, Method::POST, "/v1/rooms")
        .header("idempotency-key", "a")
        .header("idempotency-key", "b");
    assert_eq!(send(twice.json(&json!({}))).await.problem(), "bad_idempotency_key");
}

#[tokio::test]
async fn an_advanced_clock_is_not_advanced_twice() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let body = json!({ "hours": 800 });
    let first = post(&service, &business.secret_key, "/v1/clock/advance", "month", &body).await;
    assert!(!first.ok()["finalized"].as_array().expect("a list").is_empty());
    let again = post(&service, &business.secret_key, "/v1/clock/advance", "month", &body).await;
    assert_eq!(again.text, first.text);
    assert_eq!(service.get(&business.secret_key, "/v1/clock").await.ok()["offset_hours"], 800);
}

#[tokio::test]
async fn a_refused_request_can_be_corrected_at_once() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    for n in 0..20 {
        let name = format!("try-{n}");
        let nowhere = json!({ "room_id": "019aa5d2-7c1e-7a60-9a53-2b9c1d2e3f40" });
        assert_eq!(post(&service, key, "/v1/tokens", &name, &nowhere).await.problem(), "not_found");
        assert_eq!(
            post(&service, key, "/v1/clock/advance", &name, &json!({ "hours": 0 })).await.problem(),
            "bad_input"
        );
        assert_eq!(post(&service, key, "/v1/rooms", &name, &json!({})).await.status, 201);
    }
}
