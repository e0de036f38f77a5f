//! From a call to a final statement that can be taken apart down to it.

use crate::service::{Service, call};
use serde_json::json;

#[tokio::test]
async fn a_call_stands_on_the_statement_and_the_statement_opens_down_to_the_call() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let room = service.post(key, "/v1/rooms", &json!({ "title": "Ferns" })).await.ok();
    let room_id = room["room_id"].as_str().expect("an id").parse().expect("a UUID");
    let call_id = call(&service, &business, room_id).await.to_string();

    let calls = service.get(key, "/v1/calls?live=false").await.ok();
    assert_eq!(calls["calls"][0]["call_id"], call_id);
    assert_eq!(calls["calls"][0]["room_title"], "Ferns");
    let people = calls["calls"][0]["participants"].as_array().expect("people").clone();
    assert_eq!(people.iter().map(|p| p["participant_ms"].as_i64()).collect::<Vec<_>>(), [Some(120_000); 2]);
    assert!(
        service.get(key, "/v1/calls?live=true").await.ok()["calls"].as_array().expect("a list").is_empty()
    );
    let detail = service.get(key, &format!("/v1/calls/{call_id}")).await.ok();
    assert_eq!(detail["legs"][0]["hours"][0]["egress_bytes"], 3_000_000);
    assert_eq!(
        (&detail["legs"][0]["path"], &detail["legs"][0]["end_reason"]),
        (&json!("sfu"), &json!("left"))
    );

    let usage = service.get(key, "/v1/usage").await.ok();
    assert_eq!(usage["totals"]["participant_ms"], 240_000);
    let draft = service.get(key, "/v1/statements/draft").await.ok();
    assert_eq!((&draft["status"], &draft["number"]), (&json!("draft"), &json!(null)));

    let advanced = service.post(key, "/v1/clock/advance", &json!({ "hours": 31 * 24 })).await.ok();
    let statement_id = advanced["finalized"][0]["statement_id"].as_str().expect("an id").to_owned();
    let list = service.get(key, "/v1/statements").await.ok();
    assert!(
        list["statements"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|s| s["statement_id"] == statement_id.as_str())
    );
    let statement = service.get(key, &format!("/v1/statements/{statement_id}")).await.ok();
    assert_eq!(statement["status"], "final");
    let lines = statement["lines"].as_array().expect("lines");
    let metered = lines.iter().find(|line| line["meter"] == "participant_ms").expect("a metered line");
    let path =
        format!("/v1/statements/{statement_id}/lines/{}/hours", metered["line_id"].as_str().expect("an id"));
    let hours = service.get(key, &path).await.ok();
    let hour = hours["hours"]
        .as_array()
        .expect("hours")
        .iter()
        .find(|hour| hour["quantity"] == 240_000)
        .expect("the hour");
    let calls =
        service.get(key, &format!("{path}/{}/calls", hour["hour"].as_str().expect("a time"))).await.ok();
    assert_eq!(calls["calls"][0]["call_id"], call_id);
    assert_eq!(calls["calls"][0]["quantity"], 240_000);
}

#[tokio::test]
async fn only_a_sandbox_has_a_test_clock() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let tx = service.db.tenant(business.tenant).await.expect("begins");
    tx.run("update tenant set sandbox = false", &[]).await.expect("no sandbox");
    tx.commit().await.expect("commits");
    let clock = service.get(&business.secret_key, "/v1/clock").await.ok();
    assert_eq!((&clock["sandbox"], &clock["offset_hours"]), (&json!(false), &json!(0)));
    let refused = service.post(&business.secret_key, "/v1/clock/advance", &json!({ "hours": 1 })).await;
    assert_eq!((refused.status, refused.problem().as_str()), (403, "sandbox_only"));
}
