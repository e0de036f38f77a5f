//! Paying over HTTP: what is owed, by what it is paid, and paying it.

use crate::service::{Business, Service, send};
use billing::collection::DEFAULT_POLICY;
use billing::collector::{Collector, Outgoing, PayoutFloor, Terms, Whom};
use billing::processor::Sandbox;
use billing::store::PlatformShare;
use reqwest::Method;
use serde_json::{Value, json};
use signaling::auth::Role;

fn collector(service: &Service) -> Collector<Sandbox> {
    let terms =
        Terms { policy: DEFAULT_POLICY, platform: PlatformShare(100), payout_floor: PayoutFloor(500) };
    Collector::new(service.db.clone(), service.clock.clone(), Sandbox::new(service.db.clone()), terms)
}

/// The address of a business's own account.
async fn account(service: &Service, business: &Business) -> String {
    let accounts = service.get(&business.secret_key, "/v1/accounts").await.ok();
    let own = accounts["accounts"].as_array().expect("a list").iter().find(|it| it["is_business"] == true);
    format!("/v1/accounts/{}", own.expect("its own")["account_id"].as_str().expect("an id"))
}

async fn name(service: &Service, key: &str, account: &str, token: &str) -> Value {
    let body = json!({ "token": token, "label": "Visa ending in 4242" });
    service.post(key, &format!("{account}/payment-methods"), &body).await.ok()
}

#[tokio::test]
async fn a_tab_is_shown_and_paid_when_its_payer_wants_to() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let account = account(&service, &business).await;
    let tab = service.get(key, &format!("{account}/tab")).await.ok();
    assert_eq!((&tab["owed"]["micros"], &tab["next"]["decision"]), (&json!(0), &json!("wait")));
    assert!(tab["processor"]["says"].as_str().expect("words").contains("no money moves"), "{tab}");
    // A day more than four months: at least three whole ones of 25 ¢ are final.
    service.post(key, "/v1/clock/advance", &json!({ "hours": 24 * 124 })).await.ok();
    let tab = service.get(key, &format!("{account}/tab")).await.ok();
    assert!(tab["next"]["why"].as_str().expect("words").contains("before a way to pay is named"), "{tab}");
    let refused = service.post(key, &format!("{account}/pay"), &json!({})).await;
    assert_eq!(refused.problem(), "payment_conflict");
    name(&service, key, &account, "sandbox_succeeds").await;
    let statement = service.get(key, "/v1/statements").await.ok()["statements"][0].clone();
    assert_eq!(statement["status"], "final");
    let says = statement["standing"]["says"].as_str().expect("words");
    assert!(says.contains("stands on the tab, with") && says.contains("Nothing is due before"), "{says}");

    let request =
        || service.with_key(key, Method::POST, &format!("{account}/pay")).header("idempotency-key", "p1");
    let begun = send(request().json(&json!({}))).await;
    assert_eq!((begun.status, &begun.ok()["state"]), (202, &json!("attempted")));
    let again = send(request().json(&json!({}))).await;
    assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (begun.text.as_str(), "true"));
    assert_eq!(service.get(key, "/v1/statements").await.ok()["statements"][0]["status"], "collecting");
    collector(&service).resume().await.expect("resumes");
    let payment = format!("/v1/payments/{}", begun.ok()["payment_id"].as_str().expect("an id"));
    let payment = service.get(key, &payment).await.ok();
    assert_eq!((&payment["state"], &payment["amount"]), (&json!("succeeded"), &tab["owed"]));
    let list = service.get(key, &format!("{account}/payments")).await.ok();
    assert_eq!((&list["payments"][0], &list["next_cursor"]), (&payment, &Value::Null));
    let statement = service.get(key, "/v1/statements").await.ok()["statements"][0].clone();
    assert_eq!(
        (&statement["status"], &statement["standing"]["says"]),
        (&json!("paid"), &json!("It is paid."))
    );
    let id = statement["statement_id"].as_str().expect("an id");
    assert_eq!(
        service.get(key, &format!("/v1/statements/{id}")).await.ok()["standing"],
        statement["standing"]
    );
    assert_eq!(service.get(key, &format!("{account}/tab")).await.ok()["owed"]["micros"], 0);
}

#[tokio::test]
async fn a_wallet_is_filled_by_hand_and_pays_by_itself() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let account = account(&service, &business).await;
    let method = name(&service, key, &account, "sandbox_succeeds").await;
    let methods = service.get(key, &format!("{account}/payment-methods")).await.ok();
    assert_eq!(methods["payment_methods"], json!([method]));
    service.post(key, &format!("{account}/top-ups"), &json!({ "amount_micros": 500_000_000 })).await.ok();
    let busy =
        service.post(key, &format!("{account}/top-ups"), &json!({ "amount_micros": 500_000_000 })).await;
    assert_eq!(busy.problem(), "payment_conflict", "one at a time");
    collector(&service).resume().await.expect("resumes");
    service.post(key, "/v1/clock/advance", &json!({ "hours": 24 * 62 })).await.ok();
    let swept = collector(&service).sweep(Whom::Sandboxes).await.expect("a sweep");
    assert_eq!((swept.acted, swept.failed), (1, 0));
    let tab = service.get(key, &format!("{account}/tab")).await.ok();
    assert_eq!(tab["owed"]["micros"], 0);
    let left = tab["wallet"]["micros"].as_i64().expect("a number");
    assert!((400_000_000..500_000_000).contains(&left), "{tab}");
    let say = json!({
        "payment_method_id": method["payment_method_id"], "at_least_micros": 1_000_000_000_i64,
        "refill": { "amount_micros": 500_000_000, "monthly_ceiling_micros": 1_500_000_000_i64 }
    });
    let tab = service.post(key, &format!("{account}/payment-settings"), &say).await.ok();
    assert_eq!(tab["at_least"]["micros"], 1_000_000_000);
    assert_eq!(tab["refill"]["monthly_ceiling"]["micros"], 1_500_000_000);
}

/// Rows: where, what is asked, the code, and what the refusal says.
#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let service = Service::start().await;
    let (business, rival) = (service.business("Fern").await, service.business("Rival").await);
    let key = &business.secret_key;
    let (own, theirs) = (account(&service, &business).await, account(&service, &rival).await);
    let (own, theirs) = (own.as_str(), theirs.as_str());
    let nobody = "/v1/accounts/0199c000-0000-7000-8000-000000000000";
    let foreign =
        name(&service, &rival.secret_key, theirs, "sandbox_succeeds").await["payment_method_id"].clone();
    let method = |token: &str, label: &str| json!({ "token": token, "label": label });
    for (account, what, body, code, says) in [
        (own, "payment-methods", method("", "Card"), "bad_input", "token: "),
        (own, "payment-methods", method("4242 4242", "Card"), "bad_input", "token: "),
        (own, "payment-methods", method("tok", ""), "bad_input", "label: "),
        (own, "payment-methods", method("tok", &"x".repeat(61)), "bad_input", "label: "),
        (own, "payment-methods", json!({ "token": "t", "label": "l", "rail": "cash" }), "bad_input", "cash"),
        (nobody, "payment-methods", method("tok", "Card"), "not_found", "account"),
        (theirs, "payment-methods", method("tok", "Card"), "not_found", "account"),
        (
            own,
            "payment-settings",
            json!({ "payment_method_id": foreign }),
            "bad_input",
            "payment_method_id: ",
        ),
        (own, "payment-settings", json!({ "at_least_micros": 0 }), "bad_input", "at_least_micros: "),
        (own, "payment-settings", json!({ "at_least_micros": 1_500_000 }), "bad_input", "at_least_micros: "),
        (
            own,
            "payment-settings",
            json!({ "refill": { "amount_micros": 499_000_000, "monthly_ceiling_micros": 500_000_000 } }),
            "bad_input",
            "refill.amount_micros: must be whole and between 5.00 USD",
        ),
        (
            own,
            "payment-settings",
            json!({ "refill": { "amount_micros": 500_000_000, "monthly_ceiling_micros": 499_000_000 } }),
            "bad_input",
            "refill.monthly_ceiling_micros: ",
        ),
        (own, "top-ups", json!({ "amount_micros": 50_001_000_000_i64 }), "bad_input", "amount_micros: "),
        (own, "top-ups", json!({ "amount_micros": -1 }), "bad_input", "amount_micros: "),
        (own, "top-ups", json!({ "amount_micros": 500_000_000 }), "payment_conflict", "no way to pay"),
        (theirs, "top-ups", json!({ "amount_micros": 500_000_000 }), "not_found", "account"),
        (own, "pay", json!({ "amount": 5 }), "bad_input", "amount"),
        (own, "pay", json!({}), "payment_conflict", "Nothing is owed"),
        (nobody, "pay", json!({}), "not_found", "account"),
    ] {
        let answer = service.post(key, &format!("{account}/{what}"), &body).await;
        assert_eq!(answer.problem(), code, "{what} {body}: {}", answer.text);
        assert!(answer.text.contains(says), "{what} {body}: {}", answer.text);
    }
    for path in [format!("{theirs}/tab"), format!("{theirs}/payments"), format!("{theirs}/payment-methods")] {
        assert_eq!(service.get(key, &path).await.problem(), "not_found", "{path}");
    }
    let cookie = service.cookie(&business, Role::Finance).await;
    let request = service.request(Method::POST, &format!("{own}/pay")).header("cookie", &cookie);
    let answer = send(request.header("origin", &service.url).json(&json!({}))).await;
    assert_eq!(answer.problem(), "forbidden", "{}", answer.text);
    let request = service.request(Method::GET, &format!("{own}/tab")).header("cookie", &cookie);
    assert_eq!(send(request).await.status, 200, "finance looks");
}

/// A payment that took a tab of a few months; its address.
async fn paid(service: &Service, business: &Business) -> (String, Value) {
    let key = &business.secret_key;
    let account = account(service, business).await;
    name(service, key, &account, "sandbox_succeeds").await;
    service.post(key, "/v1/clock/advance", &json!({ "hours": 24 * 124 })).await.ok();
    let begun = service.post(key, &format!("{account}/pay"), &json!({})).await.ok();
    collector(service).resume().await.expect("resumes");
    (format!("/v1/payments/{}", begun["payment_id"].as_str().expect("an id")), begun)
}

#[tokio::test]
async fn what_was_paid_goes_back_once_and_no_more() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let (payment, begun) = paid(&service, &business).await;
    let refunds = format!("{payment}/refunds");
    let took = begun["amount"]["micros"].as_i64().expect("a number");
    for (body, code, says) in [
        (json!({ "amount_micros": took + 1_000_000, "reason": "x" }), "bad_input", "amount_micros: "),
        (json!({ "amount_micros": 1, "reason": "x" }), "bad_input", "whole minor units"),
        (json!({ "amount_micros": took, "reason": " " }), "bad_input", "reason: "),
        (json!({ "amount_micros": took, "reason": "x".repeat(301) }), "bad_input", "reason: "),
    ] {
        let refused = service.post(key, &refunds, &body).await;
        assert_eq!(refused.problem(), code, "{body}: {}", refused.text);
        assert!(refused.text.contains(says), "{body}: {}", refused.text);
    }
    let all = json!({ "amount_micros": took, "reason": "The call failed." });
    let request = || service.with_key(key, Method::POST, &refunds).header("idempotency-key", "r1");
    let begun = send(request().json(&all)).await;
    assert_eq!((begun.status, &begun.ok()["state"]), (202, &json!("attempted")));
    assert_eq!(send(request().json(&all)).await.text, begun.text);
    assert_eq!(service.post(key, &refunds, &all).await.problem(), "bad_input", "it has gone back");
    collector(&service).resume_outgoing(Outgoing::Refunds).await.expect("resumes");
    let listed = service.get(key, &refunds).await.ok();
    assert_eq!(listed["refunds"][0]["state"], "succeeded");
    assert_eq!(listed["refunds"].as_array().map(Vec::len), Some(1));
    let rival = service.business("Rival").await;
    assert_eq!(service.post(&rival.secret_key, &refunds, &all).await.problem(), "not_found");
    assert_eq!(service.get(&rival.secret_key, &refunds).await.problem(), "not_found");
}

#[tokio::test]
async fn a_tab_is_given_up_by_two_of_whom_one_is_the_operator() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let account = account(&service, &business).await;
    let write_offs = format!("{account}/write-offs");
    let why = json!({ "reason": "The business is gone." });
    assert_eq!(service.post(key, &write_offs, &why).await.problem(), "payment_conflict", "nothing is owed");
    service.post(key, "/v1/clock/advance", &json!({ "hours": 24 * 62 })).await.ok();
    let proposed = service.post(key, &write_offs, &why).await.ok();
    assert_eq!(proposed["state"], "proposed");
    let decision = format!("/v1/write-offs/{}/decision", proposed["write_off_id"].as_str().expect("an id"));
    let approve = json!({ "approve": true });
    assert_eq!(service.post(key, &decision, &approve).await.problem(), "forbidden", "no operator");
    let cookie = service.cookie(&business, Role::Owner).await;
    let request = service.request(Method::POST, &decision).header("cookie", &cookie);
    let answer = send(request.header("origin", &service.url).json(&approve)).await;
    assert_eq!(answer.problem(), "forbidden", "no operator: {}", answer.text);
    let operator = service.operator("ada").await;
    let decide = async || {
        let request = service.with_key(&operator, Method::POST, &decision);
        send(request.header("tuppence-tenant", business.tenant.to_string()).json(&approve)).await
    };
    let approved = decide().await.ok();
    assert_eq!(approved["state"], "approved");
    assert_eq!(decide().await.problem(), "payment_conflict", "decided");
    let list = service.get(key, "/v1/write-offs").await.ok();
    assert_eq!(list["write_offs"], json!([approved]));
    let statement = service.get(key, "/v1/statements").await.ok()["statements"][0].clone();
    assert_eq!(statement["status"], "uncollectible");
    assert_eq!(service.get(key, &format!("{account}/tab")).await.ok()["owed"]["micros"], 0);
}

#[tokio::test]
async fn a_vendor_says_where_its_money_goes() {
    let service = Service::start().await;
    let business = service.business("Fern").await;
    let key = &business.secret_key;
    let vendor = service.post(key, "/v1/vendors", &json!({ "name": "Fern Shop" })).await.ok();
    let vendor = format!("/v1/vendors/{}", vendor["vendor_id"].as_str().expect("an id"));
    let operator = "/v1/vendors/0199c000-0000-7000-8000-000000000001";
    let body = json!({ "token": "sandbox_succeeds", "label": "Bank of the shop" });
    let named = service.post(key, &format!("{vendor}/payout-destinations"), &body).await.ok();
    assert_eq!((&named["processor"], &named["label"]), (&json!("sandbox"), &body["label"]));
    for (vendor, body, code) in [
        (operator, body.clone(), "not_found"),
        (vendor.as_str(), json!({ "token": "", "label": "x" }), "bad_input"),
        (vendor.as_str(), json!({ "token": "x", "label": "" }), "bad_input"),
    ] {
        let answer = service.post(key, &format!("{vendor}/payout-destinations"), &body).await;
        assert_eq!(answer.problem(), code, "{vendor} {body}: {}", answer.text);
    }
    let payouts = service.get(key, &format!("{vendor}/payouts")).await.ok();
    assert_eq!(payouts, json!({ "owed": [], "payouts": [] }));
    assert_eq!(service.get(key, &format!("{operator}/payouts")).await.problem(), "not_found");
    assert_eq!(
        service.get(key, "/v1/payouts/0199c000-0000-7000-8000-000000000001").await.problem(),
        "not_found"
    );
}
