//! API keys.

use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{At, Input};
use crate::problem::{Code, Document, Problem};
use crate::secret::{Secret, SecretKind};
use crate::store;
use crate::store::keys::StoredKey;
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Keys of a tenant at once.
const KEYS_MAX: usize = 100;
/// Origins of one publishable key.
const ORIGINS_MAX: usize = 20;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyKind {
    /// Speaks for the business; lives on a server.
    Secret,
    /// Stands in a page; may only ring.
    Publishable,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// What it is for.
    kind: KeyKind,
    /// From which pages a publishable key works: at least one, at most 20. None for a secret key.
    #[serde(default)]
    #[schema(max_items = 20, example = json!(["https://shop.example"]))]
    origins: Vec<String>,
}

/// An API key as it may be shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Key {
    /// Names it.
    key_id: Uuid,
    /// What it is for.
    kind: KeyKind,
    /// Its first eight characters.
    #[schema(example = "sk_Xr3kP")]
    prefix: String,
    /// From which pages a publishable key works.
    origins: Vec<String>,
    /// When it was made, UTC.
    created_at: Timestamp,
    /// The whole key. A secret key is shown once, when it is made; a publishable key always.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// The keys of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Keys {
    /// Newest first, at most 100.
    keys: Vec<Key>,
}

impl From<KeyKind> for SecretKind {
    fn from(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Secret => SecretKind::SecretKey,
            KeyKind::Publishable => SecretKind::PublishableKey,
        }
    }
}

impl From<StoredKey> for Key {
    fn from(stored: StoredKey) -> Self {
        let is_secret = stored.kind == SecretKind::SecretKey;
        Self {
            key_id: stored.key_id,
            kind: if is_secret { KeyKind::Secret } else { KeyKind::Publishable },
            prefix: stored.prefix,
            origins: stored.origins,
            created_at: stored.created_at,
            key: stored.publishable_key,
        }
    }
}

fn checked_origins(kind: KeyKind, origins: &[String]) -> Result<Vec<String>, Problem> {
    match (kind, origins.len()) {
        (KeyKind::Secret, 0) => Ok(Vec::new()),
        (KeyKind::Secret, _) => Err(Problem::input("origins", "a secret key has none")),
        (KeyKind::Publishable, 1..=ORIGINS_MAX) => origins
            .iter()
            .map(|text| text::origin(text).map_err(|why| Problem::input("origins", why)))
            .collect(),
        _ => Err(Problem::input("origins", format!("a publishable key has 1 to {ORIGINS_MAX}"))),
    }
}

/// Make an API key. The answer is the only place where a secret key is ever shown.
#[utoipa::path(
    post, path = "/v1/keys", operation_id = "create_key", tag = "keys", request_body = NewKey,
    params(KeyHeader),
    responses(
        (status = 201, body = Key),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Input(new, ticket): Input<NewKey>,
) -> Result<Response, Stop> {
    caller.must_have(Right::ManageKeys)?;
    let origins = checked_origins(new.kind, &new.origins)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    if store::keys::list(&attempt).await?.len() >= KEYS_MAX {
        let problem = Problem::new(Code::LimitReached, format!("at most {KEYS_MAX} keys"));
        return Err(attempt.refuse(problem).await);
    }
    let (key, key_id, created_at) = (Secret::generate(new.kind.into()), api.new_id(), api.now());
    store::keys::insert(&attempt, key_id, new.kind.into(), &key, &origins, created_at).await?;
    let prefix = key.prefix().into();
    let answer = Key { key_id, kind: new.kind, prefix, origins, created_at, key: Some(key.reveal().into()) };
    attempt.answer_secret(StatusCode::CREATED, &answer).await
}

/// List the API keys that are not revoked, newest first.
#[utoipa::path(
    get, path = "/v1/keys", operation_id = "list_keys", tag = "keys",
    responses(
        (status = 200, body = Keys),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Keys>, Problem> {
    caller.must_have(Right::ManageKeys)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let keys = store::keys::list(&tx).await?;
    tx.commit().await?;
    Ok(Json(Keys { keys: keys.into_iter().map(Key::from).collect() }))
}

/// Revoke an API key, at once and for good.
#[utoipa::path(
    delete, path = "/v1/keys/{key_id}", operation_id = "delete_key", tag = "keys",
    params(("key_id" = Uuid, Path, description = "The key")),
    responses(
        (status = 204, description = "Revoked"),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    At(key_id): At<Uuid>,
) -> Result<StatusCode, Problem> {
    caller.must_have(Right::ManageKeys)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let was_revoked = store::keys::revoke(&tx, key_id, api.now()).await?;
    tx.commit().await?;
    if was_revoked { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("key")) }
}
