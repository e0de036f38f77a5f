//! Plans and subscriptions as an integrator makes them.

use crate::service::{Service, send};
use reqwest::Method;
use serde_json::{Value, json};
use signaling::auth::Role;

/// A plan with one version; its id.
async fn version(service: &Service, key: &str, body: Value) -> String {
    let vendor = service.post(key, "/v1/vendors", &json!({ "name": "Fern Shop" })).await.ok();
    let plan = json!({ "vendor_id": vendor["vendor_id"], "name": "Greenhouse" });
    let plan = service.post(key, "/v1/plans", &plan).await.ok();
    assert_eq!(plan["latest"], Value::Null);
    let path = format!("/v1/plans/{}/versions", plan["plan_id"].as_str().expect("an id"));
    let version = service.post(key, &path, &body).await.ok();
    assert_eq!((&version["version"], &version["prices"][0]["per"]), (&json!(1), &json!("seat")));
    let listed = service.get(key, &path).await.ok();
    let (read, made) = (&listed["versions"][0], &version);
    for field in ["plan_version_id", "currency", "features", "prices"] {
        assert_eq!(read[field], made[field], "it is read as it was made");
    }
    version["plan_version_id"].as_str().expect("an id").to_owned()
}

fn by_seats() -> Value {
    json!({
        "currency": "USD", "features": { "rooms_max": 3 },
        "prices": [{ "description": "Seats", "model": "graduated", "every": "month", "per": "seat",
                     "tiers": [{ "up_to": 2, "amount_micros": 20_000_000 }, { "amount_micros": 10_000_000 }] }]
    })
}

#[tokio::test]
async fn a_preview_says_what_the_change_then_costs() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let version = version(&service, key, by_seats()).await;
    let start = json!({ "plan_version_id": version, "quantities": { "seats": 2 } });
    let seen = service.post(key, "/v1/subscriptions/preview", &start).await.ok();
    assert_eq!(seen["next_month"]["after"]["micros"], 40_000_000, "{seen}");
    let before = service.get(key, "/v1/subscriptions").await.ok();
    let begun = service.post(key, "/v1/subscriptions", &start).await.ok();
    let after = service.get(key, "/v1/subscriptions").await.ok();
    let count = |page: &Value| page["subscriptions"].as_array().map(Vec::len);
    assert_eq!((count(&before), count(&after)), (Some(1), Some(2)), "the preview began nothing");
    let path = format!("/v1/subscriptions/{}", begun["subscription_id"].as_str().expect("an id"));
    let change = json!({ "action": "change", "quantities": { "seats": 5 } });
    let seen = service.post(key, &format!("{path}/preview"), &change).await.ok();
    assert_eq!(seen["next_month"]["difference"]["micros"], 30_000_000, "{seen}");
    assert_eq!(service.get(key, &path).await.ok()["now"]["quantities"]["seats"], 2);
    let request =
        service.with_key(key, Method::POST, &format!("{path}/changes")).header("idempotency-key", "c1");
    let changed = send(request.try_clone().expect("a request").json(&change)).await;
    assert_eq!(changed.ok()["phases"], seen["phases"], "it comes out as it was previewed");
    let again = send(request.json(&change)).await;
    assert_eq!((again.text.clone(), again.header("idempotent-replayed")), (changed.text, "true"));
    service.post(key, "/v1/clock/advance", &json!({ "hours": 1500 })).await.ok();
    let statements = service.get(key, "/v1/statements").await.ok();
    let last = statements["statements"][0]["statement_id"].as_str().expect("an id").to_owned();
    let last = service.get(key, &format!("/v1/statements/{last}")).await.ok();
    let lines = last["lines"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["unit"] == "seat-month").expect("the seats");
    assert_eq!(line["amount"]["micros"], seen["next_month"]["after"]["micros"]);
}

#[tokio::test]
async fn one_of_its_people_pays_for_herself_and_has_statements_of_her_own() {
    let service = Service::start().await;
    let (business, rival) = (service.business("Fern").await, service.business("Rival").await);
    let key = &business.secret_key;
    let version = version(&service, key, by_seats()).await;
    let ada = service.post(key, "/v1/accounts", &json!({ "name": "Ada", "currency": "USD" })).await.ok();
    let ada = ada["account_id"].as_str().expect("an id");
    let start = json!({ "plan_version_id": version, "account_id": ada, "quantities": { "seats": 2 } });
    service.post(key, "/v1/subscriptions", &start).await.ok();
    let (of_ada, draft) = (format!("?account_id={ada}"), "/v1/statements/draft");
    let hers = service.get(key, &format!("{draft}{of_ada}")).await.ok();
    let own = service.get(key, draft).await.ok();
    assert_eq!((&hers["account"]["name"], &own["account"]["name"]), (&json!("Ada"), &json!("Fern")));
    let advanced = service.post(key, "/v1/clock/advance", &json!({ "hours": 1500 })).await.ok();
    let finalized = advanced["finalized"].as_array().expect("months").len();
    let listed = service.get(key, &format!("/v1/statements{of_ada}")).await.ok();
    let own = service.get(key, "/v1/statements").await.ok();
    let count = |page: &Value| page["statements"].as_array().expect("statements").len();
    assert_eq!((count(&listed), count(&own)), (finalized / 2, finalized / 2));
    let last = &listed["statements"][0];
    assert_eq!((&last["account_id"], &last["total"]["micros"]), (&json!(ada), &json!(40_000_000)));
    assert!(last["standing"].as_object().is_some(), "{last}");
    let path = format!("/v1/statements/{}", last["statement_id"].as_str().expect("an id"));
    let read = service.get(key, &path).await.ok();
    assert_eq!((&read["account"]["name"], &read["total"]), (&json!("Ada"), &last["total"]));
    let line = read["lines"][0]["line_id"].as_str().expect("an id");
    let hours = service.get(key, &format!("{path}/lines/{line}/hours")).await.ok();
    let sum: i64 = hours["hours"]
        .as_array()
        .expect("hours")
        .iter()
        .filter_map(|it| it["amount"]["micros"].as_i64())
        .sum();
    assert_eq!(sum, 40_000_000, "it comes apart by the hour");
    let of_business = own["statements"][0]["account_id"].as_str().expect("an id");
    for (key, path) in [
        (key, format!("{path}?account_id={of_business}")),
        (key, "/v1/statements?account_id=0199c000-0000-7000-8000-000000000000".to_owned()),
        (&rival.secret_key, format!("/v1/statements{of_ada}")),
        (&rival.secret_key, format!("{draft}{of_ada}")),
        (&rival.secret_key, path.clone()),
    ] {
        assert_eq!(service.get(key, &path).await.problem(), "not_found", "{path}");
    }
}

/// Rows: what is asked, the code, and what the refusal says.
#[tokio::test]
async fn what_is_not_allowed_is_refused_with_its_reason() {
    let service = Service::start().await;
    let (business, rival) = (service.business("Fern").await, service.business("Rival").await);
    let (key, rivals) = (&business.secret_key, &rival.secret_key);
    let foreign = version(&service, rivals, by_seats()).await;
    let own = version(&service, key, by_seats()).await;
    let begun = json!({ "plan_version_id": own, "quantities": { "seats": 1 } });
    let begun = service.post(key, "/v1/subscriptions", &begun).await.ok();
    let path = format!("/v1/subscriptions/{}", begun["subscription_id"].as_str().expect("an id"));
    let (changes, preview) = (format!("{path}/changes"), format!("{path}/preview"));
    let versions = "/v1/plans/0199c000-0000-7000-8000-000000000011/versions";
    let demo = "0199c000-0000-7000-8000-000000000022";
    let nobody = "0199c000-0000-7000-8000-000000000000";
    for (path, body, code, says) in [
        ("/v1/vendors", json!({ "name": " " }), "bad_input", "name: must have a visible"),
        ("/v1/plans", json!({ "vendor_id": nobody, "name": "P" }), "bad_input", "vendor_id: "),
        ("/v1/plans", json!({ "name": "P" }), "bad_input", "vendor_id"),
        (versions, by_seats(), "not_found", "no such plan of this business"),
        (versions, json!({ "currency": "USD", "prices": [] }), "bad_input", "prices: must be 1 to 50"),
        ("/v1/accounts", json!({ "name": "Ada", "currency": "XXQ" }), "bad_input", "currency: "),
        (
            "/v1/subscriptions",
            json!({ "plan_version_id": foreign }),
            "bad_input",
            "plan_version_id: there is no plan",
        ),
        ("/v1/subscriptions", json!({ "plan_version_id": own }), "bad_input", "quantities: seats: "),
        (
            "/v1/subscriptions",
            json!({ "plan_version_id": own, "quantities": { "seats": -1 } }),
            "bad_input",
            "-1",
        ),
        (
            "/v1/subscriptions",
            json!({ "plan_version_id": demo, "account_id": nobody }),
            "not_found",
            "account",
        ),
        (changes.as_str(), json!({ "action": "resume" }), "subscription_conflict", "neither paused"),
        (preview.as_str(), json!({ "action": "resume" }), "subscription_conflict", "neither paused"),
        (changes.as_str(), json!({ "action": "stop" }), "bad_input", "stop"),
        (
            changes.as_str(),
            json!({ "action": "change", "quantities": { "rooms": 1 } }),
            "bad_input",
            "rooms: ",
        ),
        (changes.as_str(), json!({ "action": "change" }), "subscription_conflict", "nothing would change"),
    ] {
        let answer = service.post(key, path, &body).await;
        assert_eq!(answer.problem(), code, "{path} {body}: {}", answer.text);
        let detail = answer.json()["detail"].as_str().unwrap_or("").to_owned();
        assert!(detail.contains(says), "{path} {body}: {detail}");
    }
    let stranger = service.post(rivals, &changes, &json!({ "action": "pause" })).await;
    assert_eq!(stranger.problem(), "not_found", "another's subscription");
    let agent = service.cookie(&business, Role::Agent).await;
    let request =
        service.request(Method::POST, &changes).header("cookie", agent).header("origin", &service.url);
    assert_eq!(send(request.json(&json!({ "action": "pause" }))).await.problem(), "forbidden");
}

#[tokio::test]
async fn one_call_pauses_and_one_resumes_and_entitlements_follow() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let own = service.get(key, "/v1/subscriptions").await.ok();
    let path = format!(
        "/v1/subscriptions/{}/changes",
        own["subscriptions"][0]["subscription_id"].as_str().expect("an id")
    );
    let may_call = async || service.get(key, "/v1/entitlements").await.ok()["calls"].clone();
    assert_eq!(may_call().await, true);
    service.post(key, &path, &json!({ "action": "pause" })).await.ok();
    assert_eq!(may_call().await, true, "the hour in progress is paid");
    service.post(key, "/v1/clock/advance", &json!({ "hours": 1 })).await.ok();
    assert_eq!(may_call().await, false);
    service.post(key, &path, &json!({ "action": "resume" })).await.ok();
    assert_eq!(may_call().await, true);
}
