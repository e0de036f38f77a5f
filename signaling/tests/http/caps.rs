//! Spending caps as a business sets and feels them.

use crate::service::{Business, Service, send};
use reqwest::Method;
use serde_json::{Value, json};
use signaling::auth::Role;

/// A business that pays a cent for each thing that it reports.
async fn paying(service: &Service) -> Business {
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let meter = json!({ "name": "things", "unit": "thing", "event_type": "thing", "aggregation": "sum" });
    service.post(key, "/v1/meters", &meter).await.ok();
    let vendor = service.post(key, "/v1/vendors", &json!({ "name": "Shop" })).await.ok();
    let plan = json!({ "vendor_id": vendor["vendor_id"], "name": "Things" });
    let plan = service.post(key, "/v1/plans", &plan).await.ok();
    let path = format!("/v1/plans/{}/versions", plan["plan_id"].as_str().expect("an id"));
    let price = json!({ "description": "Things", "model": "per_unit", "meter": "things", "unit": "thing", "unit_size": 1,
                        "amount_micros": 1_000_000 });
    let version = service.post(key, &path, &json!({ "currency": "USD", "prices": [price] })).await.ok();
    service
        .post(key, "/v1/subscriptions", &json!({ "plan_version_id": version["plan_version_id"] }))
        .await
        .ok();
    business
}

async fn report(service: &Service, key: &str, ids: &[&str]) -> Value {
    let event = |id: &&str| json!({ "specversion": "1.0", "id": id, "source": "test", "type": "thing", "time": service.clock.now(), "data": {} });
    let batch: Vec<Value> = ids.iter().map(event).collect();
    let request = service.with_key(key, Method::POST, "/v1/events");
    let request = request.header("content-type", "application/cloudevents-batch+json");
    send(request.body(json!(batch).to_string())).await.ok()
}

#[tokio::test]
async fn a_cap_is_set_felt_warned_of_and_ended() {
    let service = Service::start().await;
    let business = paying(&service).await;
    let key = &business.secret_key;
    let cap = service.post(key, "/v1/caps", &json!({ "limit_micros": 2_000_000 })).await;
    assert_eq!((cap.status, &cap.json()["limit"]["amount"]), (201, &json!("0.02")), "{}", cap.text);
    let answer = report(&service, key, &["1", "2", "3"]).await;
    assert_eq!(
        (&answer["accepted"], &answer["events"][2]["code"]),
        (&json!(2), &json!("spending_cap_reached"))
    );
    let one = json!({ "specversion": "1.0", "id": "4", "source": "test", "type": "thing", "time": service.clock.now(), "data": {} });
    let request = service
        .with_key(key, Method::POST, "/v1/events")
        .header("content-type", "application/cloudevents+json");
    let refused = send(request.body(one.to_string())).await;
    assert_eq!((refused.status, refused.problem().as_str()), (403, "spending_cap_reached"));
    let caps = service.get(key, "/v1/caps").await.ok();
    assert_eq!(
        (&caps["caps"][0]["spent"]["micros"], &caps["caps"][0]["key_id"]),
        (&json!(2_000_000), &Value::Null)
    );
    let warnings = service.get(key, "/v1/caps/warnings").await.ok();
    let percents: Vec<_> =
        warnings["warnings"].as_array().expect("a list").iter().map(|it| &it["percent"]).collect();
    assert_eq!(percents, [100, 80, 50]);
    let allowed = service.get(key, "/v1/entitlements").await.ok();
    assert_eq!((&allowed["calls"], &allowed["spending_cap_reached"]), (&json!(false), &json!(true)));
    let path = format!("/v1/caps/{}", caps["caps"][0]["cap_id"].as_str().expect("an id"));
    let end = || service.with_key(key, Method::DELETE, &path);
    assert_eq!((send(end()).await.status, send(end()).await.status), (204, 404));
    assert_eq!(report(&service, key, &["3"]).await["accepted"], 1);
    assert_eq!(service.get(key, "/v1/entitlements").await.ok()["calls"], true);
}

#[tokio::test]
async fn a_key_spends_no_more_than_its_own_cap() {
    let service = Service::start().await;
    let business = paying(&service).await;
    let key = &business.secret_key;
    let other = service.post(key, "/v1/keys", &json!({ "kind": "secret" })).await.ok();
    let new = json!({ "limit_micros": 1_000_000, "key_id": other["key_id"] });
    service.post(key, "/v1/caps", &new).await.ok();
    let secret = other["key"].as_str().expect("a key");
    assert_eq!(report(&service, secret, &["1", "2"]).await["accepted"], 1);
    assert_eq!(report(&service, key, &["2", "3"]).await["accepted"], 2);
    for (body, field) in [
        (json!({ "limit_micros": 0 }), "limit_micros"),
        (json!({ "limit_micros": -5 }), "limit_micros"),
        (json!({ "limit_micros": 5, "key_id": uuid::Uuid::nil() }), "key_id"),
        (json!({ "limit_micros": 5, "percent": 7 }), "percent"),
    ] {
        let refused = service.post(key, "/v1/caps", &body).await;
        assert!(refused.problem() == "bad_input" && refused.text.contains(field), "{}", refused.text);
    }
    let finance = service.cookie(&business, Role::Finance).await;
    let request =
        service.request(Method::POST, "/v1/caps").header("cookie", finance).header("origin", &service.url);
    assert_eq!(send(request.json(&json!({ "limit_micros": 5 }))).await.problem(), "forbidden");
}
