//! D1: nobody reads or changes another tenant's things, whoever they are and whatever ids they know.

use crate::service::{Answer, Business, Service, call, send};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use signaling::auth::Role;
use std::collections::BTreeSet;

/// A business with one of everything, and the words that only it may read.
struct Full {
    business: Business,
    room_id: String,
    call_id: String,
    key_id: String,
    statement_id: String,
    line_id: String,
    hour: String,
    private: Vec<String>,
}

impl Full {
    async fn new(service: &Service, name: &str) -> Self {
        let business = service.business(name).await;
        let key = &business.secret_key;
        let title = format!("The secret room of {name}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let room = service.post(key, "/v1/rooms", &json!({ "title": title, "guests": false })).await.ok();
        let room_id = text(&room["room_id"]);
        let call_id = call(service, &business, room_id.parse().expect("a UUID")).await.to_string();
        let key_id = text(&service.get(key, "/v1/keys").await.ok()["keys"][0]["key_id"]);
        let advanced = service.post(key, "/v1/clock/advance", &json!({ "hours": 31 * 24 })).await.ok();
        let statement_id = text(&advanced["finalized"][0]["statement_id"]);
        let statement = service.get(key, &format!("/v1/statements/{statement_id}")).await.ok();
        let lines = statement["lines"].as_array().expect("lines");
        let line = lines.iter().find(|line| line["meter"] == "participant_ms").expect("a line");
        let line_id = text(&line["line_id"]);
        let hours =
            service.get(key, &format!("/v1/statements/{statement_id}/lines/{line_id}/hours")).await.ok();
        let used = hours["hours"].as_array().expect("hours").iter().find(|h| h["quantity"] == 240_000);
        let hour = text(&used.expect("the hour")["hour"]);
        let private =
            vec![title, name.into(), room_id.clone(), call_id.clone(), key_id.clone(), statement_id.clone()];
        Self { business, room_id, call_id, key_id, statement_id, line_id, hour, private }
    }

    /// Every route that takes a key or session, with this business's ids in it.
    fn requests(&self) -> Vec<(Method, String, Value)> {
        let (get, nothing) = (|path: String| (Method::GET, path, Value::Null), json!({}));
        let lines = format!("/v1/statements/{}/lines/{}/hours", self.statement_id, self.line_id);
        vec![
            get("/v1/rooms".into()),
            get(format!("/v1/rooms?cursor={}", self.room_id)),
            get(format!("/v1/rooms/{}", self.room_id)),
            get("/v1/me".into()),
            get("/v1/keys".into()),
            get("/v1/calls".into()),
            get(format!("/v1/calls?cursor={}", self.call_id)),
            get(format!("/v1/calls/{}", self.call_id)),
            get("/v1/usage".into()),
            get("/v1/statements".into()),
            get("/v1/statements/draft".into()),
            get(format!("/v1/statements/{}", self.statement_id)),
            get(format!("/v1/statements/draft/lines/{}/hours", self.line_id)),
            get(lines.clone()),
            get(format!("{lines}/{}/calls", self.hour)),
            get("/v1/clock".into()),
            (Method::POST, "/v1/rooms".into(), nothing),
            (Method::POST, "/v1/tokens".into(), json!({ "room_id": self.room_id })),
            (Method::POST, "/v1/keys".into(), json!({ "kind": "secret" })),
            (Method::POST, "/v1/clock/advance".into(), json!({ "hours": 1 })),
            (Method::DELETE, format!("/v1/keys/{}", self.key_id), Value::Null),
            (Method::DELETE, "/v1/sessions".into(), Value::Null),
        ]
    }

    /// The routes that name a thing of this business.
    fn names_a_thing(&self, path: &str, body: &Value) -> bool {
        let named = [&self.room_id, &self.call_id, &self.key_id, &self.statement_id, &self.line_id];
        let in_path =
            named.iter().any(|id| path.split('?').next().is_some_and(|path| path.contains(id.as_str())));
        in_path || body["room_id"] == self.room_id.as_str()
    }

    fn is_not_in(&self, answer: &Answer, what: &str) {
        let headers = format!("{:?}", answer.headers);
        for word in &self.private {
            assert!(
                !answer.text.contains(word.as_str()) && !headers.contains(word.as_str()),
                "{what} leaks {word}"
            );
        }
    }
}

fn with_body(request: RequestBuilder, body: &Value) -> RequestBuilder {
    if body.is_null() { request } else { request.json(body) }
}

#[tokio::test]
async fn a_secret_of_another_tenant_reads_nothing() {
    let service = Service::start().await;
    let (victim, other) = (Full::new(&service, "Victim Ltd").await, Full::new(&service, "Other Ltd").await);
    let mut cookies = Vec::new();
    for role in [Role::Owner, Role::Admin, Role::Agent, Role::Finance] {
        cookies.push((format!("{role:?}"), service.cookie(&other.business, role).await));
    }
    let before = service.row_counts(&victim.business).await;
    for (method, path, body) in victim.requests() {
        let is_sign_out = path == "/v1/sessions";
        for n in 0..=cookies.len() {
            let request = service.request(method.clone(), &path);
            let (who, request) = match cookies.get(n) {
                _ if is_sign_out && n < cookies.len() => continue,
                Some((role, cookie)) => {
                    (role.as_str(), request.header("cookie", cookie).header("origin", &service.url))
                }
                None => ("secret key", request.bearer_auth(&other.business.secret_key)),
            };
            let answer = send(with_body(request, &body)).await;
            let what = format!("{who}: {method} {path}: {} {}", answer.status, answer.text);
            answer.is_safe();
            if victim.names_a_thing(&path, &body) {
                assert!(matches!(answer.status, 403 | 404), "{what}");
            }
            // The error quotes the path's id back at most; the body must not say more.
            let mut others = Full { private: victim.private.clone(), ..Full::blank() };
            others.private.retain(|word| !path.contains(word.as_str()));
            others.is_not_in(&answer, &what);
        }
    }
    assert_eq!(service.row_counts(&victim.business).await, before, "nothing of the victim's changed");
    for (method, path, body) in victim.requests().into_iter().filter(|(method, ..)| *method == Method::GET) {
        let own = send(with_body(service.with_key(&victim.business.secret_key, method, &path), &body)).await;
        assert!(
            own.status == 200 || path.contains("draft/lines"),
            "the owner reads {path}: {} {}",
            own.status,
            own.text
        );
    }
}

impl Full {
    fn blank() -> Self {
        let empty = String::new;
        Self {
            business: Business { tenant: billing::TenantId(uuid::Uuid::nil()), secret_key: empty() },
            room_id: empty(),
            call_id: empty(),
            key_id: empty(),
            statement_id: empty(),
            line_id: empty(),
            hour: empty(),
            private: Vec::new(),
        }
    }
}

#[tokio::test]
async fn nobody_does_anything_without_a_valid_key() {
    let service = Service::start().await;
    let victim = Full::new(&service, "Victim Ltd").await;
    let page = json!({ "kind": "publishable", "origins": ["https://shop.example"] });
    let pk = service.post(&victim.business.secret_key, "/v1/keys", &page).await.ok()["key"]
        .as_str()
        .expect("a key")
        .to_owned();
    let revoked =
        service.post(&victim.business.secret_key, "/v1/keys", &json!({ "kind": "secret" })).await.ok();
    let path = format!("/v1/keys/{}", revoked["key_id"].as_str().expect("an id"));
    assert_eq!(send(service.with_key(&victim.business.secret_key, Method::DELETE, &path)).await.status, 204);
    let before = service.row_counts(&victim.business).await;
    let unknown = format!("sk_{}", "A".repeat(43));
    let headers: Vec<(u16, Option<String>)> = vec![
        (401, None),
        (401, Some("Bearer".into())),
        (401, Some("Bearer ".into())),
        (401, Some(format!("Basic {}", victim.business.secret_key))),
        (401, Some(format!("Bearer {unknown}"))),
        (401, Some(format!("Bearer {}", revoked["key"].as_str().expect("a key")))),
        (401, Some("Bearer ' or 1=1 --".into())),
        (403, Some(format!("Bearer {pk}"))),
    ];
    for (method, path, body) in victim.requests() {
        for (status, authorization) in &headers {
            let mut request = with_body(service.request(method.clone(), &path), &body);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let answer = send(request).await;
            assert_eq!(answer.status, *status, "{method} {path} with {authorization:?}: {}", answer.text);
            assert_eq!(answer.problem(), if *status == 401 { "unauthorized" } else { "forbidden" });
            victim.is_not_in(&answer, &path);
        }
    }
    assert_eq!(service.row_counts(&victim.business).await, before);
}

#[tokio::test]
async fn each_role_does_what_it_may_and_nothing_else() {
    let service = Service::start().await;
    let own = Full::new(&service, "Fern").await;
    let (money, rooms): (BTreeSet<_>, BTreeSet<_>) = (
        [Role::Owner as u8, Role::Admin as u8, Role::Finance as u8].into(),
        [Role::Owner as u8, Role::Admin as u8, Role::Agent as u8].into(),
    );
    for role in [Role::Owner, Role::Admin, Role::Agent, Role::Finance] {
        let cookie = service.cookie(&own.business, role).await;
        for (method, path, body) in own.requests().into_iter().filter(|(_, path, _)| path != "/v1/sessions") {
            if method == Method::DELETE {
                continue;
            }
            let request = service
                .request(method.clone(), &path)
                .header("cookie", &cookie)
                .header("origin", &service.url);
            let answer = send(with_body(request, &body)).await;
            let may = match path.as_str() {
                "/v1/keys" => matches!(role, Role::Owner | Role::Admin),
                "/v1/clock/advance" => role == Role::Owner,
                "/v1/tokens" => rooms.contains(&(role as u8)),
                "/v1/rooms" if method == Method::POST => rooms.contains(&(role as u8)),
                path if path.starts_with("/v1/usage") || path.starts_with("/v1/statements") => {
                    money.contains(&(role as u8))
                }
                _ => true,
            };
            if may {
                assert!(
                    answer.status < 300 || path.contains("draft/lines"),
                    "{role:?} {method} {path}: {}",
                    answer.text
                );
            } else {
                assert_eq!(
                    (answer.status, answer.problem().as_str()),
                    (403, "forbidden"),
                    "{role:?} {method} {path}"
                );
            }
        }
    }
}

/// D4: a transaction that presents a hash sees that one row and nothing else.
#[tokio::test]
async fn a_presented_secret_shows_one_row() {
    let service = Service::start().await;
    let (one, _) = (Full::new(&service, "One").await, Full::new(&service, "Two").await);
    let hash = signaling::secret::sha256(one.business.secret_key.as_bytes());
    let tx = service.db.presented(&hash).await.expect("begins");
    for (table, rows) in [
        ("api_key", 1i64),
        ("room", 0),
        ("member", 0),
        ("tenant", 0),
        ("call", 0),
        ("leg", 0),
        ("token_key", 0),
    ] {
        let seen: i64 = tx.one(&format!("select count(*) from {table}"), &[]).await.expect(table).get(0);
        assert_eq!(seen, rows, "{table}");
    }
    let changed = tx.run("update api_key set revoked_at = now()", &[]).await.expect("no row to change");
    assert_eq!(changed, 0, "who presents a key may look it up, not change it");
    drop(tx);
    let tx = service.db.presented_room(one.room_id.parse().expect("a UUID")).await.expect("begins");
    for (table, rows) in [("room", 1i64), ("api_key", 0), ("call", 0)] {
        let seen: i64 = tx.one(&format!("select count(*) from {table}"), &[]).await.expect(table).get(0);
        assert_eq!(seen, rows, "{table}");
    }
}
