//! What a request brings: a token and a body.

use super::{FRAGMENT, SDP, problem_of, sdp_problem};
use crate::api::Api;
use crate::auth::{self, Address, bearer};
use crate::limits::Purpose;
use crate::problem::{Code, Problem};
use crate::resource::TokenHash;
use crate::sdp::Fragment;
use crate::tokens::Grant;
use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;

/// The largest body, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A bearer token as it is presented, not checked. Never taken from the address.
pub(in crate::routes) struct Presented(pub(super) String);

impl FromRequestParts<Api> for Presented {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Ok(Address(address)) = Address::from_request_parts(parts, api).await;
        api.limiter().take(Purpose::Resource, address, api.now())?;
        let token = bearer(&parts.headers)?.map(str::to_owned);
        token.map(Self).ok_or_else(|| Problem::new(Code::TokenNotValid, "there is no Authorization: Bearer"))
    }
}

/// A call token that is good at this moment, for this origin.
pub(in crate::routes) struct CallToken {
    pub(super) grant: Grant,
    pub(super) hash: TokenHash,
}

impl FromRequestParts<Api> for CallToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Presented(token) = Presented::from_request_parts(parts, api).await?;
        let origin = auth::origin(&parts.headers)?;
        let grant = api.tokens().verify(&token, api.now(), origin);
        let grant = grant.map_err(|reason| problem_of(reason.into()))?;
        Ok(Self { grant, hash: TokenHash::of(&token) })
    }
}

/// The body of a request to make a resource.
pub(in crate::routes) struct OfferBody(pub(super) String);

/// The body of a request to change one.
pub(in crate::routes) struct FragmentBody(pub(super) Fragment);

impl FromRequest<Api> for OfferBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        text_of(request, SDP).await.map(Self)
    }
}

impl FromRequest<Api> for FragmentBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        let text = text_of(request, FRAGMENT).await?;
        Fragment::parse(&text).map(Self).map_err(sdp_problem)
    }
}

async fn text_of(request: Request, expected: &str) -> Result<String, Problem> {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.unwrap_or("").split(';').next().unwrap_or("").trim();
    if !media_type.eq_ignore_ascii_case(expected) {
        let detail = format!("the body must be {expected} and says it is {media_type:?}");
        return Err(Problem::new(Code::BadContentType, detail));
    }
    let bytes = to_bytes(request.into_body(), BODY_BYTES_MAX).await;
    let bytes = bytes.map_err(|_| {
        Problem::new(Code::BodyTooLarge, format!("more than {BODY_BYTES_MAX} bytes, or cut short"))
    })?;
    String::from_utf8(bytes.into()).map_err(|_| Problem::new(Code::BadOffer, "the body is not UTF-8"))
}
