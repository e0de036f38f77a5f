//! What pages of any origin are told before they ask, and about the answers.

use super::{FRAGMENT, SDP};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// What an endpoint takes; also the answer to a browser's question before the request.
pub(in crate::routes) async fn ways_in() -> ([(HeaderName, &'static str); 1], StatusCode) {
    ([(ACCEPT_POST, SDP)], StatusCode::OK)
}

/// What a resource takes.
pub(in crate::routes) async fn ways_on() -> ([(HeaderName, &'static str); 1], StatusCode) {
    ([(ACCEPT_PATCH, FRAGMENT)], StatusCode::OK)
}

/// There is nothing to see, and nothing is told about what there is (RFC 9725 §4.1).
pub(in crate::routes) async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Lets any page ask and read the answer, refusals too: the token may be bound to an origin, and no cookie is believed.
pub(in crate::routes) async fn allow_pages(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "OPTIONS, GET, POST, PATCH, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, if-match"),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "location, etag, link, accept-post, accept-patch, retry-after, x-request-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
