//! The OpenAPI document: what the handlers say about themselves, and what holds for all of them.

use crate::problem::Code;
use crate::routes;
use std::sync::OnceLock;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApi};

/// What the document says before the routes are added.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tuppence",
        description = "Video calls and bills of cents a month.\n\n\
            All ids are UUIDs, all times UTC in RFC 3339, money is `micros` (millionths of a cent, exact) with the same \
            amount as text. Bodies are JSON objects of at most 256 KiB, of events at most 8 MiB, of WHIP and WHEP SDP of at most 64 KiB; unknown fields are refused. Refusals are problem \
            documents (RFC 9457) with a `code` from the list under `x-problems`. \n\n\
            A POST with a secret key may carry an `Idempotency-Key`: sent again with the same body it has no second \
            effect and gets the first answer, marked `Idempotent-Replayed: true`, for ever. Refusals are not kept.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "rooms", description = "Places to meet"),
        (name = "tokens", description = "Letting one person into one room"),
        (name = "guests", description = "What needs no secret: links and widgets"),
        (name = "resources", description = "Publishers and viewers without our SDK: WHIP (RFC 9725) and WHEP"),
        (name = "calls", description = "What happened in rooms"),
        (name = "money", description = "Usage and statements"),
        (name = "metering", description = "What a business counts itself: meters and events"),
        (name = "payments", description = "Ways to pay, what is owed, and paying it"),
        (name = "catalogue", description = "What is sold: vendors, plans and their versions"),
        (name = "subscriptions", description = "Who is on which plan, and what they may do"),
        (name = "operator", description = "What the operator of the service decides"),
        (name = "keys", description = "API keys"),
        (name = "console", description = "People signing in"),
        (name = "clock", description = "A sandbox's test clock"),
        (name = "demo", description = "The demo business"),
        (name = "service", description = "The service itself"),
    ),
    paths(socket),
)]
struct Base;

/// Take part in a call: a WebSocket with the subprotocol `tuppence.v1`. See docs/protocol.md.
///
/// The first message is `join` with a token. No cookie is read here.
#[utoipa::path(
    get, path = "/v1/ws", operation_id = "open_socket", tag = "calls",
    params(("Sec-WebSocket-Protocol" = String, Header, description = "`tuppence.v1`", example = "tuppence.v1")),
    responses((status = 101, description = "The protocol is switched")),
    security(()),
)]
#[expect(dead_code, reason = "documents the route of the socket, which is not a handler of this router")]
fn socket() {}

/// The document before the routes are added.
pub(crate) fn base() -> OpenApi {
    let mut document = <Base as utoipa::OpenApi>::openapi();
    let bearer = |description: &str| {
        let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
        SecurityScheme::Http(http)
    };
    let cookie = ApiKeyValue::with_description(
        crate::auth::SESSION_COOKIE,
        "A console session. Requests that change something must come from a page of the service's own origin.",
    );
    let components = ComponentsBuilder::from(document.components.take().unwrap_or_default())
        .security_scheme("secret_key", bearer("A secret key `sk_…`, on a server only."))
        .security_scheme(
            "publishable_key",
            bearer("A publishable key `pk_…`, from a page that the key lists."),
        )
        .security_scheme("call_token", bearer("A token of `POST /v1/tokens`: one person, one room."))
        .security_scheme(
            "operator_token",
            bearer("A token of `tuppence operators add`; what is a business's needs the header `Tuppence-Tenant`, too."),
        )
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)))
        .build();
    document.components = Some(components);
    document.extensions = Some(ExtensionsBuilder::new().add("x-problems", problems()).build());
    document
}

/// Every code with its status, title and advice.
fn problems() -> serde_json::Value {
    let problems = Code::ALL.iter().map(|code| {
        serde_json::json!({
            "code": code.as_str(), "status": code.status().as_u16(), "title": code.title(), "advice": code.advice(),
        })
    });
    problems.collect()
}

/// The whole document, made once.
pub fn document() -> &'static OpenApi {
    static DOCUMENT: OnceLock<OpenApi> = OnceLock::new();
    DOCUMENT.get_or_init(|| routes::documented().split_for_parts().1)
}

/// The whole document as text.
pub fn json() -> &'static str {
    static JSON: OnceLock<String> = OnceLock::new();
    JSON.get_or_init(|| document().to_json().expect("the document is plain JSON"))
}
