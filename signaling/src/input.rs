//! What a request says, with refusals as problem documents.

use crate::api::Api;
use crate::idempotency::Ticket;
use crate::problem::{Code, Problem};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::{DeserializeOwned, IgnoredAny};

/// The largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// A JSON object as body, and what makes its request the same as another. An empty body is an empty object.
#[derive(Debug)]
pub struct Input<T>(pub T, pub Ticket);

impl<T: DeserializeOwned> FromRequest<Api> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), api)
            .await
            .map_err(|rejection| body_problem(&rejection))?;
        let ticket = Ticket::of(&parts, &bytes)?;
        if bytes.is_empty() {
            return Ok(Self(parse(b"{}")?, ticket));
        }
        must_be_json(&parts.headers)?;
        Ok(Self(parse(&bytes)?, ticket))
    }
}

fn body_problem(rejection: &BytesRejection) -> Problem {
    if rejection.status() == Code::BodyTooLarge.status() {
        return Problem::new(Code::BodyTooLarge, format!("more than {BODY_BYTES_MAX} bytes"));
    }
    Problem::new(Code::BadJson, "the body ended early")
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = value.split(';').next().unwrap_or("").trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(Code::BadContentType, format!("the body says it is {media_type:?}")))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would also take an array with the fields in order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| json_problem(&error))?;
        return Err(Problem::new(Code::BadInput, "the body must be an object"));
    }
    serde_json::from_slice(bytes).map_err(|error| json_problem(&error))
}

fn json_problem(error: &serde_json::Error) -> Problem {
    let code = if error.is_data() { Code::BadInput } else { Code::BadJson };
    Problem::new(code, error.to_string())
}

/// The parameters after the question mark.
#[derive(Debug)]
pub struct Ask<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Ask<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, api).await;
        query
            .map(|Query(ask)| Self(ask))
            .map_err(|rejection| Problem::new(Code::BadInput, rejection.body_text()))
    }
}

/// The ids in the path. What cannot be an id names nothing.
#[derive(Debug)]
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let path = <Path<T> as FromRequestParts<Api>>::from_request_parts(parts, api).await;
        path.map(|Path(ids)| Self(ids)).map_err(|_| Problem::not_found("thing: the address has no valid id"))
    }
}
