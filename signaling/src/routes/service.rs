//! All routes together, and what holds for each of them.

use super::{calls, clock, demo, health, keys, me, rooms, sessions, statements, tokens, usage, visits};
use crate::api::Api;
use crate::input::BODY_BYTES_MAX;
use crate::openapi;
use crate::problem::{Code, Problem};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, options};
use std::time::Duration;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

/// How long a request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Names a request in the logs and in its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The HTTP API: everything below `/v1` but the WebSocket, the key set and the probes.
pub fn router(api: Api) -> Router {
    let (documented, _) = documented().split_for_parts();
    documented
        .route("/v1/visits", options(visits::preflight).layer(from_fn(visits::allow_pages)))
        .route("/v1", any(no_such_path))
        .route("/v1/", any(no_such_path))
        .route("/v1/{*rest}", any(no_such_path))
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(answer_in_time))
        .layer(from_fn(with_headers))
        .with_state(api)
}

/// The routes with their documentation. A route that is not here is not documented, so all but the fallbacks are here.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(rooms::create, rooms::list))
        .routes(routes!(rooms::read))
        .routes(routes!(tokens::create))
        .routes(routes!(rooms::read_public))
        .routes(routes!(tokens::create_for_guest))
        .routes(routes!(visits::create).layer(from_fn(visits::allow_pages)))
        .routes(routes!(demo::read))
        .routes(routes!(demo::create_room))
        .routes(routes!(sessions::create, sessions::delete))
        .routes(routes!(me::read))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::delete))
        .routes(routes!(calls::list))
        .routes(routes!(calls::read))
        .routes(routes!(usage::read))
        .routes(routes!(statements::list))
        .routes(routes!(statements::read))
        .routes(routes!(statements::hours))
        .routes(routes!(statements::calls))
        .routes(routes!(clock::read))
        .routes(routes!(clock::advance))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::jwks))
        .routes(routes!(health::openapi))
}

async fn no_such_path() -> Problem {
    Problem::not_found("path; see /v1/openapi.json for those that exist")
}

async fn no_such_method(request: Request) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("{} is not allowed here", request.method()))
}

/// A request that takes too long is given up; its transaction is rolled back.
async fn answer_in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
            Problem::new(Code::TimedOut, detail).retry_after(5).into_response()
        }
    }
}

/// The headers of every answer: a name for the request, nothing to sniff, nothing to keep.
async fn with_headers(request: Request, next: Next) -> Response {
    let request_id = uuid::Uuid::from_u128(random()).simple().to_string();
    let span = tracing::info_span!("request", id = %request_id, method = %request.method(), path = %request.uri().path());
    let mut response = tracing::Instrument::instrument(next.run(request), span).await;
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(&request_id).expect("hexadecimal is a header value"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness");
    u128::from_be_bytes(bytes)
}
