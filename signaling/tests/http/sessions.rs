//! Signing in to the console, and what a cookie may do.

use crate::service::{Service, send};
use crate::support;
use billing::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::json;
use signaling::auth::Role;

#[tokio::test]
async fn a_link_signs_in_once() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let link = service.link(&business, Role::Owner).await;
    let (one, two) = tokio::join!(send(service.sign_in(&link)), send(service.sign_in(&link)));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 403], "of two at once one signs in");
    let again = send(service.sign_in(&link)).await;
    assert_eq!(again.problem(), "link_not_valid");
    assert_eq!(again.header("set-cookie"), "");
    let cookie = if one.status == 204 { one } else { two };
    let set = cookie.header("set-cookie");
    for attribute in
        ["tuppence_session=cs_", "; Path=/", "; HttpOnly", "; SameSite=Strict", "; Max-Age=604800"]
    {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
}

#[tokio::test]
async fn a_link_and_a_session_expire() {
    let db = support::database().await;
    let start: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
    let at = async |hours: i64| {
        Service::on(db.clone(), Clock::fixed(start + SignedDuration::from_hours(hours))).await
    };
    let service = at(0).await;
    let business = service.business("Fern").await;
    let link = service.link(&business, Role::Owner).await;
    assert_eq!(send(at(24).await.sign_in(&link)).await.problem(), "link_not_valid");
    let cookie = service.cookie(&business, Role::Owner).await;
    let me = async |hours: i64| {
        send(at(hours).await.request(Method::GET, "/v1/me").header("cookie", &cookie)).await
    };
    assert_eq!(me(7 * 24 - 1).await.status, 200);
    assert_eq!(me(7 * 24).await.problem(), "unauthorized");
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let cookie = service.cookie(&business, Role::Agent).await;
    let with_cookie = |method: Method, path: &str| {
        service.request(method, path).header("cookie", &cookie).header("origin", &service.url)
    };
    let me = send(with_cookie(Method::GET, "/v1/me")).await.ok();
    assert_eq!((&me["member"]["role"], &me["tenant"]["name"]), (&json!("agent"), &json!("Fern")));
    let out = send(with_cookie(Method::DELETE, "/v1/sessions")).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(send(with_cookie(Method::GET, "/v1/me")).await.problem(), "unauthorized");
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_by_cookie() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let cookie = service.cookie(&business, Role::Owner).await;
    let before = service.row_counts(&business).await;
    let host = service.url.trim_start_matches("http://");
    let origins = [
        None,
        Some("https://evil.example".to_owned()),
        Some("null".to_owned()),
        Some(format!("https://{host}")),
        Some(format!("http://{host}.evil.example")),
        Some(format!("http://{host}/")),
        Some(service.url.to_uppercase()),
    ];
    for origin in origins {
        for (method, path, body) in [
            (Method::POST, "/v1/rooms", json!({})),
            (Method::POST, "/v1/keys", json!({ "kind": "secret" })),
            (Method::POST, "/v1/clock/advance", json!({ "hours": 1 })),
            (Method::DELETE, "/v1/sessions", json!({})),
        ] {
            let mut request = service.request(method, path).header("cookie", &cookie).json(&body);
            if let Some(origin) = &origin {
                request = request.header("origin", origin);
            }
            let answer = send(request).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (403, "origin_not_allowed"),
                "{path} {origin:?}"
            );
        }
    }
    let twice = service.request(Method::POST, "/v1/rooms").header("cookie", &cookie);
    let twice =
        twice.header("origin", &service.url).header("origin", "https://evil.example").json(&json!({}));
    assert_eq!(send(twice).await.problem(), "origin_not_allowed");
    assert_eq!(service.row_counts(&business).await, before);
    let own =
        service.request(Method::POST, "/v1/rooms").header("cookie", &cookie).header("origin", &service.url);
    assert_eq!(send(own.json(&json!({}))).await.status, 201);
}

#[tokio::test]
async fn a_foreign_page_does_not_sign_anybody_in() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let link = service.link(&business, Role::Owner).await;
    let foreign = send(service.sign_in(&link).header("origin", "https://evil.example")).await;
    assert_eq!(foreign.problem(), "origin_not_allowed");
    assert_eq!(
        send(service.sign_in(&link).header("origin", &service.url)).await.status,
        204,
        "the link is unused"
    );
}

#[tokio::test]
async fn a_forged_cookie_is_nobody() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let good = service.cookie(&business, Role::Owner).await;
    let hash = format!("tuppence_session={}", "0".repeat(64));
    let key = format!("tuppence_session={}", business.secret_key);
    let flipped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('A') { "E" } else { "A" });
    let twice = format!("{good}; {flipped}");
    for cookie in [
        "tuppence_session=",
        "tuppence_session=cs_",
        "tuppence_session=' or 1=1 --",
        hash.as_str(),
        key.as_str(),
        flipped.as_str(),
        twice.as_str(),
        &good.replace("tuppence_session", "TUPPENCE_SESSION"),
    ] {
        let answer = send(service.request(Method::GET, "/v1/me").header("cookie", cookie)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthorized"), "{cookie}");
    }
    let others = format!("theme=dark; {good}; lang=en");
    assert_eq!(send(service.request(Method::GET, "/v1/me").header("cookie", others)).await.status, 200);
    let bad_key = service.request(Method::GET, "/v1/me").header("cookie", &good).bearer_auth("sk_wrong");
    assert_eq!(send(bad_key).await.problem(), "unauthorized", "a wrong key does not fall back to the cookie");
}
