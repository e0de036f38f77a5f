//! What needs no secret: links, widgets, the demo.

use crate::service::{Service, send};
use reqwest::Method;
use serde_json::{Value, json};
use signaling::bootstrap;
use signaling::tokens::CallRole;

#[tokio::test]
async fn whoever_holds_the_link_gets_a_token_for_that_room_and_our_pages() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let room = service.post(&business.secret_key, "/v1/rooms", &json!({ "title": "Ferns" })).await.ok();
    let room_id = room["room_id"].as_str().expect("an id");
    assert_eq!(room["link"], format!("{}/r/{room_id}", service.url));
    let public = send(service.request(Method::GET, &format!("/v1/rooms/{room_id}/public"))).await.ok();
    assert_eq!(public, json!({ "room_id": room_id, "title": "Ferns", "guests": true }));
    let path = format!("/v1/rooms/{room_id}/guest-tokens");
    let answer = send(service.request(Method::POST, &path).json(&json!({ "name": " Ada " }))).await;
    assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"));
    let keys = service.hub.token_keys();
    let body = answer.ok();
    let token = body["token"].as_str().expect("a token");
    let grant = keys.verify(token, service.clock.now(), Some(&service.url)).expect("a good token");
    assert_eq!((grant.room.0.to_string().as_str(), grant.tenant.0), (room_id, business.tenant.0));
    assert_eq!((grant.name.as_deref(), grant.role), (Some("Ada"), CallRole::Participant));
    assert!(keys.verify(token, service.clock.now(), Some("https://evil.example")).is_err());
    let foreign =
        service.request(Method::POST, &path).header("origin", "https://evil.example").json(&json!({}));
    assert_eq!(send(foreign).await.problem(), "origin_not_allowed");
    assert_eq!(
        send(service.request(Method::POST, &path)).await.status,
        201,
        "an empty body is an empty object"
    );
}

#[tokio::test]
async fn a_room_for_invited_people_admits_no_guests() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let room = service.post(&business.secret_key, "/v1/rooms", &json!({ "guests": false })).await.ok();
    let path = format!("/v1/rooms/{}/guest-tokens", room["room_id"].as_str().expect("an id"));
    let answer = send(service.request(Method::POST, &path).json(&json!({}))).await;
    assert_eq!((answer.status, answer.problem().as_str()), (403, "guests_not_allowed"));
    let nowhere = "/v1/rooms/019aa5d2-7c1e-7a60-9a53-2b9c1d2e3f40/guest-tokens";
    assert_eq!(send(service.request(Method::POST, nowhere).json(&json!({}))).await.problem(), "not_found");
}

#[tokio::test]
async fn a_publishable_key_rings_from_its_own_pages_only() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let new = json!({ "kind": "publishable", "origins": ["https://Shop.Example:443"] });
    let key = service.post(&business.secret_key, "/v1/keys", &new).await.ok();
    assert_eq!(key["origins"], json!(["https://shop.example"]));
    let pk = key["key"].as_str().expect("a key");
    let visit = |origin: Option<&str>, body: Value| {
        let request = service.with_key(pk, Method::POST, "/v1/visits").json(&body);
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    };
    let before = service.row_counts(&business).await;
    for origin in [
        None,
        Some("https://evil.example"),
        Some("http://shop.example"),
        Some("null"),
        Some(service.url.as_str()),
    ] {
        let answer = send(visit(origin, json!({}))).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "origin_not_allowed"), "{origin:?}");
    }
    for body in [json!({ "name": "a\u{202e}b" }), json!({ "topic": "x".repeat(121) }), json!({ "room": 1 })] {
        assert_eq!(send(visit(Some("https://shop.example"), body)).await.problem(), "bad_input");
    }
    assert_eq!(service.row_counts(&business).await, before);
    let answer =
        send(visit(Some("https://shop.example"), json!({ "name": "Ada", "topic": "My fern" }))).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (201, "https://shop.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    let (visit_made, room_id) = (answer.ok(), answer.ok()["room_id"].as_str().expect("an id").to_owned());
    assert_eq!(visit_made["link"], format!("{}/r/{room_id}", service.url));
    let room = service.get(&business.secret_key, &format!("/v1/rooms/{room_id}")).await.ok();
    assert_eq!(room["title"], "My fern");
    let revoke = service.with_key(
        &business.secret_key,
        Method::DELETE,
        &format!("/v1/keys/{}", key["key_id"].as_str().expect("an id")),
    );
    assert_eq!(send(revoke).await.status, 204);
    assert_eq!(send(visit(Some("https://shop.example"), json!({}))).await.problem(), "unauthorized");
}

#[tokio::test]
async fn only_the_ringing_of_a_widget_is_open_to_other_origins() {
    let service = Service::start().await;
    let preflight = |path: &str| {
        service
            .request(Method::OPTIONS, path)
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
    };
    let open = send(preflight("/v1/visits")).await;
    assert_eq!((open.status, open.header("access-control-allow-origin")), (204, "https://shop.example"));
    assert_eq!(open.header("access-control-allow-headers"), "authorization, content-type");
    for path in ["/v1/rooms", "/v1/tokens", "/v1/me", "/v1/sessions", "/v1/demo/rooms", "/v1/keys"] {
        let answer = send(preflight(path)).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, ""), "{path}");
    }
}

#[tokio::test]
async fn the_demo_is_there_only_where_it_runs() {
    let service = Service::start().await;
    let room = || service.request(Method::POST, "/v1/demo/rooms");
    assert_eq!(send(room()).await.problem(), "not_found");
    assert_eq!(send(service.request(Method::GET, "/v1/demo")).await.problem(), "not_found");
    let demo = bootstrap::ensure_demo(&service.db, &service.clock, &service.url).await.expect("a demo");
    let made = send(room()).await.ok();
    let read = service
        .get(&demo.secret_key, &format!("/v1/rooms/{}", made["room_id"].as_str().expect("an id")))
        .await;
    assert_eq!(read.ok()["link"], made["link"]);
    let page = send(service.request(Method::GET, "/v1/demo")).await.ok();
    assert_eq!(page, json!({ "publishable_key": demo.publishable_key, "business": "Fern & Finch" }));
}

#[tokio::test]
async fn one_address_does_not_make_rooms_without_end() {
    let service = Service::start().await;
    bootstrap::ensure_demo(&service.db, &service.clock, &service.url).await.expect("a demo");
    for n in 0..40 {
        let answer = send(
            service.request(Method::POST, "/v1/demo/rooms").header("x-forwarded-for", format!("192.0.2.{n}")),
        )
        .await;
        if answer.status == 429 {
            assert_eq!(answer.problem(), "too_many_requests");
            assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
            return;
        }
        assert_eq!(answer.status, 201);
    }
    panic!("forty rooms in a row");
}

/// The proxy adds whom it was asked by; what the client wrote before that buys it nothing.
#[tokio::test]
async fn behind_a_proxy_each_address_has_limits_of_its_own() {
    let service = Service::behind(&["127.0.0.0/8", "::1"]).await;
    bootstrap::ensure_demo(&service.db, &service.clock, &service.url).await.expect("a demo");
    let ask = async |n: usize, client: &str| {
        let through = format!("203.0.113.{n}, {client}");
        send(service.request(Method::POST, "/v1/demo/rooms").header("x-forwarded-for", through)).await.status
    };
    let mut asked = 0;
    while ask(asked, "192.0.2.1").await == 201 {
        asked += 1;
        assert!(asked < 40, "forty rooms in a row");
    }
    assert_eq!(ask(asked, "192.0.2.1").await, 429);
    assert_eq!(ask(asked, "192.0.2.2").await, 201, "another address is not concerned");
}
