//! The first start and later ones.

use crate::service::{Service, send};
use reqwest::Method;
use signaling::bootstrap::{self, DEMO_TENANT};
use signaling::store;
use signaling::tokens::TokenKeys;

#[tokio::test]
async fn each_start_of_the_demo_has_new_keys_and_a_new_way_in() {
    let service = Service::start().await;
    let start = || bootstrap::ensure_demo(&service.db, &service.clock, &service.url);
    let (one, two) = tokio::join!(start(), start());
    let starts = [one.expect("a demo"), two.expect("a demo"), start().await.expect("a demo")];
    let last = &starts[2];
    assert_eq!(
        format!("{last:?}"),
        format!("Demo {{ tenant: {DEMO_TENANT:?}, .. }}"),
        "no secret is printed"
    );
    for old in &starts[..2] {
        assert_eq!(service.get(&old.secret_key, "/v1/me").await.problem(), "unauthorized");
        assert_eq!(send(service.sign_in(link(&old.owner_link))).await.problem(), "link_not_valid");
    }
    let me = service.get(&last.secret_key, "/v1/me").await.ok();
    assert_eq!(
        (me["tenant"]["name"].as_str(), me["tenant"]["sandbox"].as_bool()),
        (Some("Fern & Finch"), Some(true))
    );
    assert!(me["member"].is_null());
    assert!(last.owner_link.starts_with(&format!("{}/console#link=sl_", service.url)));
    assert_eq!(send(service.sign_in(link(&last.owner_link))).await.status, 204);
    let draft = service.get(&last.secret_key, "/v1/statements/draft").await.ok();
    assert_eq!(draft["account"]["name"], "Fern & Finch");
}

fn link(owner_link: &str) -> &str {
    owner_link.split_once("#link=").expect("a fragment").1
}

#[tokio::test]
async fn two_first_starts_agree_on_the_token_key_and_publish_it() {
    let service = Service::start().await;
    let load = || async {
        let keys = store::token_keys::load_or_create(&service.db, service.clock.now()).await.expect("keys");
        TokenKeys::new(&service.url, &keys).expect("whole keys").jwks()
    };
    let (one, two) = tokio::join!(load(), load());
    let published = send(service.request(Method::GET, "/.well-known/jwks.json")).await;
    assert!(published.header("cache-control").starts_with("public"));
    assert_eq!(one, published.ok());
    assert_eq!(two, published.ok());
    assert!(!published.text.contains("\"d\""), "no private part");
}

/// S17: a dump of the database holds no secret that opens anything.
#[tokio::test]
async fn the_database_knows_no_secret() {
    let service = Service::start().await;
    let demo = bootstrap::ensure_demo(&service.db, &service.clock, &service.url).await.expect("a demo");
    let key = service.post(&demo.secret_key, "/v1/keys", &serde_json::json!({ "kind": "secret" })).await.ok();
    let tx = service.db.tenant(DEMO_TENANT).await.expect("begins");
    let mut dump = String::new();
    for table in ["api_key", "sign_in_link", "console_session", "idempotency_key", "member", "tenant"] {
        let rows = tx.all(&format!("select t::text from {table} t"), &[]).await.expect(table);
        rows.iter().for_each(|row| dump.push_str(row.get(0)));
    }
    for secret in [&demo.secret_key, link(&demo.owner_link), key["key"].as_str().expect("a key")] {
        assert!(dump.contains(&secret[..8]) || secret.starts_with("sl_"), "the prefix may be shown");
        assert!(!dump.contains(&secret[..12]), "{}", &secret[..4]);
    }
}
