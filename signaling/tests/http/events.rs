//! Meters and events as an integrator uses them.

use crate::service::{Business, Service, send};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use signaling::auth::Role;

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const LINES: &str = "application/x-ndjson";

fn meter() -> Value {
    json!({ "name": "tokens", "unit": "token", "event_type": "completion", "aggregation": "sum",
            "value_property": "tokens", "dimensions": ["model"] })
}

impl Service {
    fn event(&self, id: &str, tokens: impl Into<Value>) -> Value {
        let data = json!({ "tokens": tokens.into(), "model": if id.len().is_multiple_of(2) { "large" } else { "small" } });
        json!({ "specversion": "1.0", "id": id, "source": "test", "type": "completion", "time": self.clock.now(), "data": data })
    }

    async fn events(&self, business: &Business, media_type: &str, body: String) -> crate::service::Answer {
        let request = self.with_key(&business.secret_key, Method::POST, "/v1/events");
        send(request.header("content-type", media_type).body(body)).await
    }

    async fn measured(&self) -> Business {
        let business = self.business("Fern").await;
        self.post(&business.secret_key, "/v1/meters", &meter()).await.ok();
        business
    }
}

#[tokio::test]
async fn events_become_a_line_of_the_draft() {
    let service = Service::start().await;
    let business = service.measured().await;
    let key = &business.secret_key;
    let vendor = service.post(key, "/v1/vendors", &json!({ "name": "Fern Shop" })).await.ok();
    let plan = json!({ "vendor_id": vendor["vendor_id"], "name": "Tokens" });
    let plan = service.post(key, "/v1/plans", &plan).await.ok();
    let path = format!("/v1/plans/{}/versions", plan["plan_id"].as_str().expect("an id"));
    let price = |meter: &str| {
        json!({ "currency": "USD", "prices": [{ "description": "Tokens", "model": "per_unit", "meter": meter,
                "unit": "token", "unit_size": 1, "amount_micros": 10_000 }] })
    };
    assert_eq!(service.post(key, &path, &price("smiles")).await.problem(), "bad_input");
    let version = service.post(key, &path, &price("tokens")).await.ok();
    let start = json!({ "plan_version_id": version["plan_version_id"] });
    service.post(key, "/v1/subscriptions", &start).await.ok();
    let one = service.events(&business, ONE, service.event("1", 40).to_string()).await.ok();
    assert_eq!(one, json!({ "accepted": 1, "refused": 0, "events": [{ "status": "accepted" }] }));
    let lines = [service.event("2", "30"), service.event("33", 20)].map(|event| event.to_string()).join("\n");
    assert_eq!(service.events(&business, LINES, lines).await.ok()["accepted"], 2);
    let draft = service.get(key, "/v1/statements/draft").await.ok();
    let line = draft["lines"]
        .as_array()
        .and_then(|lines| lines.iter().find(|line| line["meter"] == "tokens").cloned());
    let line = line.expect("a line");
    assert_eq!((&line["quantity"], &line["amount"]["micros"]), (&json!(90), &json!(900_000)));
    let hours = format!("/v1/statements/draft/lines/{}/hours", line["line_id"].as_str().expect("an id"));
    assert_eq!(service.get(key, &hours).await.ok()["hours"][0]["quantity"], 90);
}

#[tokio::test]
async fn each_event_of_a_batch_gets_its_own_answer() {
    let service = Service::start().await;
    let business = service.measured().await;
    let mut late = service.event("4", 1);
    late["time"] = json!(service.clock.now() + SignedDuration::from_secs(301));
    let mut rain = service.event("5", 1);
    rain["type"] = json!("rain");
    let batch = json!([service.event("1", 1), service.event("2", -1), { "id": "3" }, late, rain, service.event("1", 2)]);
    let answer = service.events(&business, BATCH, batch.to_string()).await.ok();
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(1), &json!(5)));
    let codes: Vec<&str> = answer["events"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["code"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(codes, ["", "bad_input", "bad_input", "bad_input", "unknown_event_type", "event_key_reused"]);
    let again = service.events(&business, BATCH, json!([service.event("1", 3)]).to_string()).await.ok();
    assert_eq!(again["events"][0]["code"], "event_key_reused");
}

/// Rows: a media type, a body, and how it is refused.
#[tokio::test]
async fn what_is_refused_as_a_whole_says_why() {
    let service = Service::start().await;
    let (business, other) = (service.measured().await, service.business("Oak").await);
    let event = |id: &str| service.event(id, 1);
    let foreign =
        service.get(&other.secret_key, "/v1/statements/draft").await.ok()["account"]["account_id"].clone();
    let with = |name: &str, value: Value| {
        let mut event = event("1");
        event[name] = value;
        event.to_string()
    };
    let many = vec!["{}"; 10_001].join("\n");
    for (media_type, body, status, code) in [
        ("application/json", event("1").to_string(), 415, "bad_content_type"),
        ("", String::new(), 415, "bad_content_type"),
        (ONE, "{".to_owned(), 422, "bad_input"),
        (ONE, "[]".to_owned(), 422, "bad_input"),
        (BATCH, "{}".to_owned(), 422, "bad_input"),
        (ONE, with("subject", foreign), 422, "bad_input"),
        (ONE, with("time", json!("2020-01-01T00:00:00Z")), 422, "bad_input"),
        (ONE, with("type", json!("rain")), 422, "unknown_event_type"),
        (ONE, with("corrects", json!("nothing")), 422, "bad_input"),
        (LINES, many, 413, "body_too_large"),
        (LINES, " ".repeat(9 * 1024 * 1024), 413, "body_too_large"),
    ] {
        let answer = service.events(&business, media_type, body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{}", answer.text);
    }
    assert_eq!(service.events(&business, LINES, String::new()).await.ok()["events"], json!([]));
    let usage = service.get(&business.secret_key, "/v1/usage/tokens").await.ok();
    assert_eq!(usage["rows"], json!([]), "nothing was counted");
    let agent = service.cookie(&business, Role::Agent).await;
    let request =
        service.request(Method::POST, "/v1/events").header("cookie", agent).header("origin", &service.url);
    let request = request.header("content-type", ONE).body(event("1").to_string());
    assert_eq!(send(request).await.problem(), "forbidden");
}

#[tokio::test]
async fn meters_are_listed_and_never_change() {
    let service = Service::start().await;
    let business = service.measured().await;
    let key = &business.secret_key;
    let meters = service.get(key, "/v1/meters").await.ok();
    for (field, value) in meter().as_object().expect("an object") {
        assert_eq!(&meters["meters"][0][field], value, "{field}");
    }
    let again = service.post(key, "/v1/meters", &meter()).await;
    assert!(again.problem() == "bad_input" && again.text.contains("never changes"), "{}", again.text);
    let mut nonsense = meter();
    nonsense["name"] = json!("egress_bytes");
    assert_eq!(service.post(key, "/v1/meters", &nonsense).await.problem(), "bad_input");
    let request = service.with_key(key, Method::POST, "/v1/meters").header("idempotency-key", "m1");
    let mut other = meter();
    other["name"] = json!("visits");
    let first = send(request.try_clone().expect("a request").json(&other)).await;
    let second = send(request.json(&other)).await;
    assert_eq!((first.status, second.header("idempotent-replayed")), (201, "true"));
    let theirs = service.business("Oak").await;
    assert_eq!(service.get(&theirs.secret_key, "/v1/meters").await.ok()["meters"], json!([]));
    assert_eq!(service.get(&theirs.secret_key, "/v1/usage/tokens").await.problem(), "not_found");
}

#[tokio::test]
async fn usage_is_told_by_time_and_dimension_page_by_page() {
    let service = Service::start().await;
    let business = service.measured().await;
    let key = &business.secret_key;
    let events: Vec<Value> = ["1", "2", "33", "444"].map(|id| service.event(id, 10)).to_vec();
    service.events(&business, BATCH, json!(events).to_string()).await.ok();
    let rows = async |query: &str| service.get(key, &format!("/v1/usage/tokens?{query}")).await.ok();
    let whole = rows("by=month").await;
    assert_eq!(
        (whole["rows"].as_array().map(Vec::len), &whole["rows"][0]["quantity"]),
        (Some(1), &json!(40))
    );
    assert_eq!(whole["unit"], "token");
    let of = |row: &Value| {
        (row["dimensions"]["model"].as_str().unwrap_or("?").to_owned(), row["quantity"].as_i64())
    };
    let grouped = rows("by=hour&group_by=model").await;
    let seen: Vec<_> = grouped["rows"].as_array().expect("a list").iter().map(of).collect();
    assert_eq!(seen, [("large".to_owned(), Some(10)), ("small".to_owned(), Some(30))]);
    let first = rows("by=hour&group_by=model&limit=1").await;
    let cursor = first["next_cursor"].as_str().expect("a next page");
    let second = rows(&format!("by=hour&group_by=model&limit=1&cursor={cursor}")).await;
    assert_eq!((of(&first["rows"][0]).0, of(&second["rows"][0]).0), ("large".into(), "small".into()));
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(rows("dimension.model=small").await["rows"][0]["quantity"], 30);
    for query in [
        "by=year",
        "limit=0",
        "group_by=colour",
        "dimension.colour=red",
        "colour=red",
        "cursor=x",
        "from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z",
        "by=hour&from=2020-01-01T00:00:00Z",
        "from=yesterday",
    ] {
        assert_eq!(
            service.get(key, &format!("/v1/usage/tokens?{query}")).await.problem(),
            "bad_input",
            "{query}"
        );
    }
}

#[tokio::test]
async fn what_calls_use_is_told_by_room() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let room = service.post(key, "/v1/rooms", &json!({})).await.ok();
    let room_id: uuid::Uuid = room["room_id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let call = crate::service::call(&service, &business, room_id).await;
    let usage = service.get(key, "/v1/usage/participant_ms?group_by=room_id,call_id").await.ok();
    let expected = json!({ "room_id": room_id, "call_id": call });
    assert_eq!(
        (&usage["rows"][0]["quantity"], &usage["rows"][0]["dimensions"]),
        (&json!(240_000), &expected),
        "{usage}"
    );
    let elsewhere = format!("/v1/usage/participant_ms?dimension.room_id={}", uuid::Uuid::nil());
    assert_eq!(service.get(key, &elsewhere).await.ok()["rows"], json!([]));
}

/// A sandbox's events are of its own time.
#[tokio::test]
async fn the_test_clock_says_what_the_future_is() {
    let service = Service::start().await;
    let business = service.measured().await;
    let at = |hours: i64| {
        let mut event = service.event(&hours.to_string(), 1);
        event["time"] = json!(service.clock.now() + SignedDuration::from_hours(hours));
        event.to_string()
    };
    assert_eq!(service.events(&business, ONE, at(48)).await.problem(), "bad_input");
    service.post(&business.secret_key, "/v1/clock/advance", &json!({ "hours": 48 })).await.ok();
    service.events(&business, ONE, at(48)).await.ok();
    assert_eq!(service.events(&business, ONE, at(50)).await.problem(), "bad_input");
}
