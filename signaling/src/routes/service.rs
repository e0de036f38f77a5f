//! All routes together, and what holds for each of them.

use super::{
    accounts, calls, caps, captures, clock, coupons, credit_notes, credits, demo, entitlements, events,
    giving_back, health, keys, me, meters, payments, payouts, plans, quality, resources, rooms, sessions,
    statements, subscriptions, taxes, tokens, usage, vendors, visits, whep, whip,
};
use crate::api::Api;
use crate::input::BODY_BYTES_MAX;
use crate::openapi;
use crate::problem::{Code, Problem};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, options};
use std::time::Duration;
use tracing::Instrument;
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
        .route("/v1/whip/{room_id}", endpoint())
        .route("/v1/whep/{room_id}", endpoint())
        .route("/v1/whip/{room_id}/{resource_id}", resource())
        .route("/v1/whep/{room_id}/{resource_id}", resource())
        .route("/v1", any(no_such_path))
        .route("/v1/", any(no_such_path))
        .route("/v1/{*rest}", any(no_such_path))
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(answer_in_time))
        .layer(from_fn(with_headers))
        .with_state(api)
}

/// What an endpoint of WHIP and WHEP answers besides what it is there for.
fn endpoint() -> MethodRouter<Api> {
    options(resources::ways_in).get(resources::nothing).layer(from_fn(resources::allow_pages))
}

/// What a resource of WHIP and WHEP answers besides what it is there for.
fn resource() -> MethodRouter<Api> {
    options(resources::ways_on).get(resources::nothing).layer(from_fn(resources::allow_pages))
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
        .routes(routes!(whip::create).layer(from_fn(resources::allow_pages)))
        .routes(routes!(whip::patch, whip::delete).layer(from_fn(resources::allow_pages)))
        .routes(routes!(whep::create).layer(from_fn(resources::allow_pages)))
        .routes(routes!(whep::patch, whep::delete).layer(from_fn(resources::allow_pages)))
        .routes(routes!(calls::list))
        .routes(routes!(calls::read))
        .routes(routes!(quality::read))
        .routes(routes!(captures::create))
        .routes(routes!(usage::read))
        .routes(routes!(usage::read_meter))
        .routes(routes!(statements::list))
        .routes(routes!(statements::read))
        .routes(routes!(statements::hours))
        .routes(routes!(statements::calls))
        .routes(routes!(vendors::create, vendors::list))
        .routes(routes!(plans::create, plans::list))
        .routes(routes!(plans::read))
        .routes(routes!(plans::create_version, plans::list_versions))
        .routes(routes!(accounts::create, accounts::list))
        .routes(routes!(taxes::list_rates, taxes::create_rate))
        .routes(routes!(coupons::create, coupons::list))
        .routes(routes!(coupons::create_for_operator))
        .routes(routes!(coupons::preview))
        .routes(routes!(coupons::redeem))
        .routes(routes!(credits::grant, credits::list))
        .routes(routes!(credit_notes::create, credit_notes::list))
        .routes(routes!(taxes::set_seller))
        .routes(routes!(taxes::read, taxes::set))
        .routes(routes!(payments::create_method, payments::list_methods))
        .routes(routes!(payments::set))
        .routes(routes!(payments::read_tab))
        .routes(routes!(payments::pay))
        .routes(routes!(payments::create_top_up))
        .routes(routes!(payments::list))
        .routes(routes!(payments::read))
        .routes(routes!(giving_back::refund, giving_back::refunds))
        .routes(routes!(giving_back::propose))
        .routes(routes!(giving_back::decide))
        .routes(routes!(giving_back::write_offs))
        .routes(routes!(payouts::create_destination))
        .routes(routes!(payouts::list))
        .routes(routes!(payouts::read))
        .routes(routes!(subscriptions::create, subscriptions::list))
        .routes(routes!(subscriptions::preview))
        .routes(routes!(subscriptions::read))
        .routes(routes!(subscriptions::change))
        .routes(routes!(subscriptions::preview_change))
        .routes(routes!(entitlements::read))
        .routes(routes!(meters::create, meters::list))
        .routes(routes!(caps::set, caps::list))
        .routes(routes!(caps::warnings))
        .routes(routes!(caps::delete))
        .routes(routes!(events::record).layer(DefaultBodyLimit::max(events::BODY_BYTES_MAX)))
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

/// A request that takes too long is given up and its transaction rolled back; one that panics costs only itself.
async fn answer_in_time(request: Request, next: Next) -> Response {
    let mut answer = tokio::spawn(next.run(request).in_current_span());
    match tokio::time::timeout(ANSWER_WITHIN, &mut answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => Problem::internal(&panic).into_response(),
        Err(_) => {
            answer.abort();
            let detail = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
            Problem::new(Code::TimedOut, detail).retry_after(5).into_response()
        }
    }
}

/// The headers of every answer: a name for the request, nothing to sniff, nothing to keep.
pub(crate) async fn with_headers(request: Request, next: Next) -> Response {
    let request_id = uuid::Uuid::from_u128(random()).simple().to_string();
    let span = tracing::info_span!("request", id = %request_id, method = %request.method(), path = loggable(request.uri().path()));
    let mut response = next.run(request).instrument(span).await;
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(&request_id).expect("hexadecimal is a header value"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A path without the name of a publisher or viewer, which is half of what lets one end it.
fn loggable(path: &str) -> &str {
    let is_resource = path.starts_with("/v1/whip/") || path.starts_with("/v1/whep/");
    match path.match_indices('/').nth(3) {
        Some((end, _)) if is_resource => &path[..=end],
        _ => path,
    }
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness");
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;

    #[test]
    fn the_name_of_a_resource_is_not_logged() {
        assert_eq!(loggable("/v1/whip/room/secret"), "/v1/whip/room/");
        assert_eq!(loggable("/v1/whep/room/secret/more"), "/v1/whep/room/");
        assert_eq!(loggable("/v1/whip/room"), "/v1/whip/room");
        assert_eq!(loggable("/v1/rooms/room/public"), "/v1/rooms/room/public");
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_and_the_next_request_is_answered() {
        async fn broken() -> &'static str {
            panic!("a mistake of ours")
        }
        let router = Router::new().route("/broken", get(broken)).route("/whole", get(async || "well"));
        let router = router.layer(from_fn(answer_in_time)).layer(from_fn(with_headers));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async { axum::serve(listener, router).await });
        let broken = reqwest::get(format!("{url}/broken")).await.expect("an answer");
        assert_eq!(
            (broken.status().as_u16(), &broken.headers()["content-type"]),
            (500, &"application/problem+json".parse().expect("a value"))
        );
        assert!(!broken.text().await.expect("a body").contains("a mistake of ours"));
        assert_eq!(reqwest::get(format!("{url}/whole")).await.expect("an answer").status(), 200);
    }
}
