//! Coupons and credits as businesses and operators use them.

use crate::service::{Service, send};
use reqwest::Method;
use serde_json::{Value, json};

const OPERATOR_VENDOR: &str = "0199c000-0000-7000-8000-000000000001";

fn a_fifth(code: &str) -> Value {
    json!({ "code": code, "name": "Spring", "vendor_id": OPERATOR_VENDOR, "percent_millionths": 200_000 })
}

#[tokio::test]
async fn a_coupon_does_what_its_preview_said_and_is_redeemed_once() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let (key, operator) = (&business.secret_key, service.operator("ada").await);
    let made = service.post(&operator, "/v1/operator/coupons", &a_fifth("SPRING-26")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let code = json!({ "code": " spring-26 " });
    let seen = service.post(key, "/v1/coupons/preview", &code).await.ok();
    assert_eq!(service.get(key, "/v1/coupons").await.ok()["coupons"], json!([]), "nothing happened");
    let done = service.post(key, "/v1/coupons/redeem", &code).await.ok();
    assert_eq!(done, seen);
    assert_eq!(done["coupon"]["off"]["percent_millionths"], 200_000);
    let again = service.post(key, "/v1/coupons/redeem", &code).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "coupon_redeemed"));
    service.post(key, "/v1/clock/advance", &json!({ "hours": 1500 })).await.ok();
    let statements = service.get(key, "/v1/statements").await.ok();
    assert_eq!(statements["statements"][0]["total"]["amount"], "0.20", "a fifth less than 25 ¢");
    let id = statements["statements"][0]["statement_id"].as_str().expect("an id");
    let last = service.get(key, &format!("/v1/statements/{id}")).await.ok();
    let lines = last["lines"].as_array().expect("lines");
    let discount = lines.iter().find(|line| line["kind"] == "discount").expect("a discount");
    assert_eq!(
        (&discount["coupon_id"], &discount["discounts"]),
        (&done["coupon"]["coupon_id"], &lines[0]["line_id"])
    );
    let hours = format!("/v1/statements/{id}/lines/{}/hours", discount["line_id"].as_str().expect("an id"));
    assert_eq!(service.get(key, &hours).await.ok()["hours"], json!([]));
}

#[tokio::test]
async fn a_credit_is_given_once_and_pays_the_next_statement() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let (key, operator) = (&business.secret_key, service.operator("ada").await);
    let accounts = service.get(key, "/v1/accounts").await.ok();
    let account = accounts["accounts"][0]["account_id"].as_str().expect("an id");
    let path = format!("/v1/accounts/{account}/credits");
    let credit = json!({ "amount_micros": 10_000_000, "reason": "For the outage" });
    let give = async |body: &Value| {
        let request = service.with_key(&operator, Method::POST, &path).header("idempotency-key", "outage-1");
        send(request.header("tuppence-tenant", business.tenant.to_string()).json(body)).await
    };
    let given = give(&credit).await;
    assert_eq!(given.status, 201, "{}", given.text);
    let again = give(&credit).await;
    assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (given.text.as_str(), "true"));
    let other = give(&json!({ "amount_micros": 20_000_000, "reason": "For the outage" })).await;
    assert_eq!(other.problem(), "idempotency_mismatch");
    let listed = service.get(key, &path).await.ok();
    assert_eq!(listed["credits"].as_array().map(Vec::len), Some(1));
    service.post(key, "/v1/clock/advance", &json!({ "hours": 1500 })).await.ok();
    let credit = service.get(key, &path).await.ok()["credits"][0].clone();
    assert_eq!((&credit["used"]["amount"], &credit["left"]["amount"]), (&json!("0.10"), &json!("0.00")));
    let draft = service.get(key, "/v1/statements/draft").await.ok();
    assert_eq!(draft["credits"], json!([]), "it is used up");
}

/// Rows: who asks for what, the code, and what the refusal says.
#[tokio::test]
async fn what_makes_no_sense_about_coupons_and_credits_is_refused() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let (key, operator) = (business.secret_key.as_str(), service.operator("ada").await);
    let operator = operator.as_str();
    let accounts = service.get(key, "/v1/accounts").await.ok();
    let credits =
        format!("/v1/accounts/{}/credits", accounts["accounts"][0]["account_id"].as_str().expect("an id"));
    let credits = credits.as_str();
    let nobody = "/v1/accounts/0199c000-0000-7000-8000-000000000000/credits";
    let credit = |micros: i64| json!({ "amount_micros": micros, "reason": "Sorry" });
    let over = json!({ "amount_micros": 1_000_000, "reason": "Sorry", "expires_at": "2020-01-01T00:00:00Z" });
    let mut late = a_fifth("LATE");
    late["redeem_by"] = json!("2020-01-01T00:00:00Z");
    service.post(operator, "/v1/operator/coupons", &late).await;
    let mut euros = json!({ "code": "EUROS", "name": "Spring", "vendor_id": OPERATOR_VENDOR });
    (euros["amount_micros"], euros["currency"]) = (json!(1_000_000), json!("EUR"));
    service.post(operator, "/v1/operator/coupons", &euros).await;
    for (token, path, body, code, says) in [
        (key, credits, credit(1_000_000), "forbidden", "only an operator"),
        (operator, credits, credit(0), "bad_input", "at least one"),
        (operator, credits, credit(-1_000_000), "bad_input", "at least one"),
        (operator, credits, credit(1_500_000), "bad_input", "whole minor units"),
        (operator, credits, json!({ "amount_micros": 1_000_000, "reason": " " }), "bad_input", "reason"),
        (operator, credits, over, "bad_input", "expires_at"),
        (operator, nobody, credit(1_000_000), "not_found", "account"),
        (key, "/v1/coupons", a_fifth("MINE"), "bad_input", "vendor_id"),
        (key, "/v1/operator/coupons", a_fifth("MINE"), "forbidden", "only an operator"),
        (operator, "/v1/operator/coupons", a_fifth("LATE"), "bad_input", "another coupon"),
        (operator, "/v1/operator/coupons", a_fifth("x"), "bad_input", "code"),
        (key, "/v1/coupons/redeem", json!({ "code": "LATE" }), "coupon_not_valid", "2020"),
        (key, "/v1/coupons/redeem", json!({ "code": "EUROS" }), "coupon_not_valid", "EUR"),
        (key, "/v1/coupons/preview", json!({ "code": "EUROS" }), "coupon_not_valid", "EUR"),
        (key, "/v1/coupons/redeem", json!({ "code": "NEVER" }), "not_found", "coupon"),
    ] {
        let request = service.with_key(token, Method::POST, path);
        let answer = send(request.header("tuppence-tenant", business.tenant.to_string()).json(&body)).await;
        assert_eq!(answer.problem(), code, "{path} {body}: {}", answer.text);
        let detail = answer.json()["detail"].as_str().unwrap_or("").to_owned();
        assert!(detail.contains(says), "{path} {body}: {detail}");
    }
}
