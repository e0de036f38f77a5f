//! A POST that may be sent again: the effect happens once and the answer stays the same, for ever.
//!
//! The effect and its answer are one transaction, so there is no moment between them in which a crash could leave one
//! without the other. Two requests with the same key at once meet at an advisory lock of that transaction: the second is
//! told that the first is still running. Refusals change nothing and are not kept: a corrected request may use the same
//! key. An answer that holds a secret is encrypted with the credential of the request, which the database does not have.

use crate::api::Api;
use crate::auth::Caller;
use crate::problem::{Code, Problem};
use crate::secret::{Secret, hex, sha256};
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use billing::db::{DbError, Transaction};
use billing::store::StoreError;
use jiff::Timestamp;
use serde::Serialize;
use std::ops::Deref;
use utoipa::IntoParams;

/// The header of a request that may be sent again.
pub const KEY_HEADER: &str = "idempotency-key";
/// The header of an answer that was given before.
pub const REPLAYED_HEADER: &str = "idempotent-replayed";
const KEY_BYTES_MAX: usize = 255;

/// The header as the API's description shows it.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct KeyHeader {
    /// 1 to 255 visible ASCII characters of your choice. Sent again with the same key and body, the request has no second
    /// effect and gets the first answer, for ever.
    #[param(rename = "Idempotency-Key", max_length = 255, pattern = "^[!-~]+$", example = "order-17")]
    pub key: Option<String>,
}

/// What makes two requests the same: the key, and a hash of method, path and body.
#[derive(Debug, Clone)]
pub struct Ticket {
    key: Option<String>,
    request_hash: String,
}

impl Ticket {
    /// Reads the header and hashes the request.
    pub fn of(parts: &Parts, body: &[u8]) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(KEY_HEADER).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => Some(key(value)?),
            _ => return Err(Problem::new(Code::BadIdempotencyKey, "there is more than one")),
        };
        let head = format!("{} {}\n", parts.method, parts.uri.path());
        Ok(Self { key, request_hash: hex(&sha256(&[head.as_bytes(), body].concat())) })
    }
}

fn key(value: &HeaderValue) -> Result<String, Problem> {
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    match text {
        Some(text) if (1..=KEY_BYTES_MAX).contains(&text.len()) => Ok(text.into()),
        _ => Err(Problem::new(Code::BadIdempotencyKey, "it must have 1 to 255 visible ASCII characters")),
    }
}

/// Why a handler ends early: it was refused, or the request has been answered before.
#[derive(Debug)]
pub enum Stop {
    /// The answer of the first request.
    Replayed(Box<Response>),
    /// A refusal.
    Refused(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Stop::Refused(problem)
    }
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Stop::Refused(error.into())
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Refused(error.into())
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Stop::Replayed(response) => *response,
            Stop::Refused(problem) => problem.into_response(),
        }
    }
}

/// One transaction in the caller's scope that has not been answered before. Dropped, nothing of it happened.
pub struct Attempt {
    tx: Transaction,
    ticket: Ticket,
    credential: Secret,
    now: Timestamp,
}

impl Deref for Attempt {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.tx
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl Attempt {
    /// Begins, or answers as the first request with this key was answered. Ask for the caller's right before this.
    pub async fn begin(api: &Api, caller: &Caller, ticket: Ticket) -> Result<Self, Stop> {
        let tx = api.db().tenant(caller.tenant).await?;
        if let Some(key) = &ticket.key {
            lock(&tx, caller, key).await?;
            if let Some(stored) = Stored::find(&tx, key).await? {
                tx.rollback().await?;
                return Err(stored.answer(&ticket, &caller.credential));
            }
        }
        Ok(Self { tx, ticket, credential: caller.credential.clone(), now: api.now() })
    }

    /// Commits what was done, together with its answer.
    pub async fn answer(self, status: StatusCode, body: &impl Serialize) -> Result<Response, Stop> {
        self.finish(status, body, false).await
    }

    /// As [`Attempt::answer`], for an answer that holds a secret.
    pub async fn answer_secret(self, status: StatusCode, body: &impl Serialize) -> Result<Response, Stop> {
        self.finish(status, body, true).await
    }

    /// Undoes what was done and says why. (Dropping undoes it, too, but later: a retry would meet this attempt.)
    pub async fn refuse(self, problem: Problem) -> Stop {
        match self.tx.rollback().await {
            Ok(()) => problem.into(),
            Err(error) => error.into(),
        }
    }

    async fn finish(self, status: StatusCode, body: &impl Serialize, secret: bool) -> Result<Response, Stop> {
        let body = serde_json::to_vec(body).expect("answers are plain JSON");
        if let Some(key) = &self.ticket.key {
            let stored = if secret { self.credential.seal(&body) } else { body.clone() };
            self.keep(key, status, &stored, secret).await?;
        }
        self.tx.commit().await?;
        Ok(response(status, body))
    }

    async fn keep(&self, key: &str, status: StatusCode, body: &[u8], sealed: bool) -> Result<(), Stop> {
        let status = i16::try_from(status.as_u16()).expect("a status has three digits");
        self.tx
            .run(
                "insert into idempotency_key (tenant_id, key, request_hash, status, body, sealed, created_at)
                 values (tuppence_tenant(), $1, $2, $3, $4, $5, $6)",
                &[&key, &self.ticket.request_hash, &status, &body, &sealed, &self.now],
            )
            .await?;
        Ok(())
    }
}

/// Held until the transaction ends, however it ends.
async fn lock(tx: &Transaction, caller: &Caller, key: &str) -> Result<(), Stop> {
    let name = format!("idempotency {} {key}", caller.tenant);
    let row = tx.one("select pg_try_advisory_xact_lock(hashtextextended($1, 0))", &[&name]).await?;
    if row.get(0) {
        return Ok(());
    }
    let problem = Problem::new(Code::IdempotencyInProgress, "the first request has not been answered yet");
    Err(problem.retry_after(1).into())
}

struct Stored {
    request_hash: String,
    status: i16,
    body: Vec<u8>,
    sealed: bool,
}

impl Stored {
    async fn find(tx: &Transaction, key: &str) -> Result<Option<Self>, Stop> {
        let row = tx
            .optional(
                "select request_hash, status, body, sealed from idempotency_key where key = $1",
                &[&key],
            )
            .await?;
        Ok(row.map(|row| Self {
            request_hash: row.get("request_hash"),
            status: row.get("status"),
            body: row.get("body"),
            sealed: row.get("sealed"),
        }))
    }

    fn answer(self, ticket: &Ticket, credential: &Secret) -> Stop {
        if self.request_hash != ticket.request_hash {
            return Problem::new(
                Code::IdempotencyMismatch,
                "method, path or body differ from the first request",
            )
            .into();
        }
        let body = if self.sealed { credential.open(&self.body) } else { Some(self.body) };
        let Some(body) = body else {
            return Problem::new(
                Code::IdempotencySealed,
                "the first request was sent with another credential",
            )
            .into();
        };
        let status = u16::try_from(self.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let mut response = response(status.unwrap_or(StatusCode::OK), body);
        response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
        Stop::Replayed(Box::new(response))
    }
}

fn response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = (status, Body::from(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
