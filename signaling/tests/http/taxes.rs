//! Tax as businesses and operators say it.

use crate::service::{Service, send};
use reqwest::Method;
use serde_json::{Value, json};

/// The business's own account.
async fn account(service: &Service, key: &str) -> String {
    let accounts = service.get(key, "/v1/accounts").await.ok();
    accounts["accounts"][0]["account_id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_business_says_where_it_is_and_its_statements_are_taxed() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let (key, operator) = (&business.secret_key, service.operator("ada").await);
    let put = async |token: &str, path: &str, body: Value| {
        let request = service.with_key(token, Method::PUT, path);
        send(request.header("tuppence-tenant", business.tenant.to_string()).json(&body)).await
    };
    let seller =
        put(&operator, "/v1/seller", json!({ "country": "DE", "vat_id": "DE 123456789" })).await.ok();
    assert_eq!((&seller["country"], &seller["vat_id"]), (&json!("DE"), &json!("DE123456789")));
    let path = format!("/v1/accounts/{}/tax", account(&service, key).await);
    assert_eq!(service.get(key, &path).await.problem(), "not_found", "nothing was said yet");
    let said = put(key, &path, json!({ "country": "DE" })).await.ok();
    assert_eq!(service.get(key, &path).await.ok(), said);
    let draft = service.get(key, "/v1/statements/draft").await.ok();
    assert_eq!((&draft["taxes"][0]["category"], &draft["taxes"][0]["country"]), (&json!("S"), &json!("DE")));
    service.post(key, "/v1/clock/advance", &json!({ "hours": 1500 })).await.ok();
    let statements = service.get(key, "/v1/statements").await.ok();
    let last = statements["statements"][0]["statement_id"].as_str().expect("an id").to_owned();
    let last = service.get(key, &format!("/v1/statements/{last}")).await.ok();
    assert_eq!(
        (&last["total_without_tax"]["amount"], &last["tax"]["amount"]),
        (&json!("0.25"), &json!("0.05"))
    );
    assert_eq!((&last["total"]["amount"], &last["lines"][0]["tax_group"]), (&json!("0.30"), &json!(1)));
    assert_eq!(last["taxes"][0]["rate_millionths"], 190_000);
    let exempt = json!({ "country": "DE", "exemption": "Art. 151 of directive 2006/112/EC" });
    assert_eq!(put(key, &path, exempt.clone()).await.problem(), "forbidden", "the seller decides that");
    put(&operator, &path, exempt.clone()).await.ok();
    let moved = put(key, &path, json!({ "country": "FR", "vat_id": "FR12345678901" })).await.ok();
    assert_eq!((&moved["country"], &moved["exemption"]), (&json!("FR"), &exempt["exemption"]));
    let draft = service.get(key, "/v1/statements/draft").await.ok();
    assert_eq!(
        (&draft["taxes"][0]["category"], &draft["taxes"][0]["reason"]),
        (&json!("E"), &exempt["exemption"])
    );
    let taken_back = put(&operator, &path, json!({ "country": "FR", "exemption": "" })).await.ok();
    assert_eq!(taken_back["exemption"], Value::Null);
}

/// Rows: who asks for what, the code, and what the refusal says.
#[tokio::test]
async fn what_makes_no_sense_about_tax_is_refused() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let (key, operator) = (business.secret_key.as_str(), service.operator("ada").await);
    let operator = operator.as_str();
    let unknown = format!("ot_{}", "A".repeat(43));
    let path = format!("/v1/accounts/{}/tax", account(&service, key).await);
    let path = path.as_str();
    let nobody = "/v1/accounts/0199c000-0000-7000-8000-000000000000/tax";
    let rate = |country: &str, class: &str, from: &str, millionths: i64| json!({ "country": country, "class": class, "valid_from": from, "rate_millionths": millionths, "source": "law" });
    for (token, method, path, body, code, says) in [
        (key, "PUT", path, json!({}), "bad_input", "country"),
        (key, "PUT", path, json!({ "country": "EL" }), "bad_input", "no country \"EL\""),
        (key, "PUT", path, json!({ "country": "DE", "vat_id": "FR123456" }), "bad_input", "begins with DE"),
        (key, "PUT", path, json!({ "country": "DE", "vat_id": "DE" }), "bad_input", "4 to 20"),
        (key, "PUT", nobody, json!({ "country": "DE" }), "not_found", "account"),
        (key, "PUT", "/v1/seller", json!({ "country": "DE" }), "forbidden", "only an operator"),
        (
            key,
            "POST",
            "/v1/tax-rates",
            rate("DE", "standard", "2030-01-01", 1),
            "forbidden",
            "only an operator",
        ),
        (&unknown, "PUT", "/v1/seller", json!({ "country": "DE" }), "unauthorized", "unknown or revoked"),
        (&unknown, "PUT", path, json!({ "country": "DE" }), "unauthorized", "unknown or revoked"),
        (operator, "POST", "/v1/tax-rates", rate("XX", "standard", "2030-01-01", 1), "bad_input", "country"),
        (operator, "POST", "/v1/tax-rates", rate("DE", "zero", "2030-01-01", 1), "bad_input", "class"),
        (operator, "POST", "/v1/tax-rates", rate("DE", "standard", "2030-01-01", 0), "bad_input", "190000"),
        (
            operator,
            "POST",
            "/v1/tax-rates",
            rate("DE", "standard", "2030-01-01", 1_000_000),
            "bad_input",
            "190000",
        ),
        (
            operator,
            "POST",
            "/v1/tax-rates",
            rate("DE", "standard", "2020-01-01", 1),
            "bad_input",
            "before this month",
        ),
        (operator, "POST", "/v1/tax-rates", rate("DE", "standard", "soon", 1), "bad_input", "year"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = service.with_key(token, method, path);
        let answer = send(request.header("tuppence-tenant", business.tenant.to_string()).json(&body)).await;
        assert_eq!(answer.problem(), code, "{path} {body}: {}", answer.text);
        let detail = answer.json()["detail"].as_str().unwrap_or("").to_owned();
        assert!(detail.contains(says), "{path} {body}: {detail}");
    }
    let without = send(service.with_key(operator, Method::GET, "/v1/statements")).await;
    assert_eq!(without.problem(), "bad_input", "for which business?");
    let request = service.with_key(operator, Method::GET, "/v1/statements");
    let nobody = "0199c000-0000-7000-8000-000000000000";
    assert_eq!(send(request.header("tuppence-tenant", nobody)).await.problem(), "not_found");
}

#[tokio::test]
async fn a_rate_is_added_once_and_counts_from_its_day() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let operator = service.operator("ada").await;
    let rate = json!({ "country": "DE", "class": "reduced", "valid_from": "2031-01-01", "rate_millionths": 70_000, "source": "law" });
    assert_eq!(service.post(&operator, "/v1/tax-rates", &rate).await.status, 201);
    assert_eq!(
        service.post(&operator, "/v1/tax-rates", &rate).await.status,
        201,
        "the same again is the same"
    );
    let other = json!({ "country": "DE", "class": "reduced", "valid_from": "2031-01-01", "rate_millionths": 1, "source": "law" });
    let refused = service.post(&operator, "/v1/tax-rates", &other).await;
    assert!(refused.problem() == "bad_input" && refused.text.contains("another rate"), "{}", refused.text);
    let listed = service.get(&business.secret_key, "/v1/tax-rates").await.ok();
    let german = |it: &&Value| it["country"] == "DE" && it["class"] == "reduced";
    let listed: Vec<&Value> = listed["rates"].as_array().expect("rates").iter().filter(german).collect();
    assert_eq!(listed, [&rate]);
    let revoked = signaling::store::operators::revoke(&service.db, "ada", service.clock.now()).await;
    assert!(revoked.expect("revokes"));
    assert_eq!(service.post(&operator, "/v1/tax-rates", &rate).await.problem(), "unauthorized");
}
