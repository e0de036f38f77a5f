//! Who is asking: a secret key, a member's console session, an operator, or a page with a publishable key.
//!
//! Each is found by the SHA-256 of what is presented, before the tenant is known; from then on every query runs in that
//! tenant's scope. An `Authorization` header that is not valid is refused and never falls back to a cookie.

mod operator;
mod publishable;
mod role;

pub use operator::{Operator, TenantHeader};
pub use publishable::PublishableCaller;
pub use role::{Right, Role};

use crate::api::Api;
use crate::problem::{Code, Problem};
use crate::secret::{Secret, SecretKind};
use crate::store;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use billing::TenantId;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use uuid::Uuid;

/// The cookie of the console.
pub const SESSION_COOKIE: &str = "tuppence_session";

/// Someone who may act for a tenant.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The only tenant whose things are seen and changed.
    pub tenant: TenantId,
    /// As whom.
    pub who: Who,
    /// What was presented, to seal answers that hold secrets.
    pub credential: Secret,
}

/// As whom a [`Caller`] acts.
#[derive(Debug, Clone)]
pub enum Who {
    /// A program with the secret key of this name.
    SecretKey(Uuid),
    /// A person in the console.
    Member(Member),
    /// Whoever runs the service.
    Operator,
}

/// A person of a tenant.
#[derive(Debug, Clone)]
pub struct Member {
    /// Names the person.
    pub member_id: Uuid,
    /// As others see it.
    pub name: String,
    /// What the person may do.
    pub role: Role,
}

impl Caller {
    /// The key that was presented, if it was one.
    pub fn key_id(&self) -> Option<Uuid> {
        match self.who {
            Who::SecretKey(key_id) => Some(key_id),
            Who::Member(_) | Who::Operator => None,
        }
    }

    /// Refuses whoever has not the right. A secret key has every right of the business's.
    pub fn must_have(&self, right: Right) -> Result<(), Problem> {
        match &self.who {
            Who::Operator => Ok(()),
            Who::SecretKey(_) if right != Right::DecideForSeller => Ok(()),
            Who::SecretKey(_) => {
                Err(Problem::new(Code::Forbidden, "only an operator of the service may do that"))
            }
            Who::Member(member) if member.role.has(right) => Ok(()),
            Who::Member(member) => Err(Problem::new(
                Code::Forbidden,
                format!("the role {} may not {}", member.role.as_str(), right.as_str()),
            )),
        }
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match bearer(&parts.headers)? {
            Some(text) => by_token(api, text, &parts.headers).await,
            None => by_session(api, parts).await,
        }
    }
}

async fn by_token(api: &Api, text: &str, headers: &HeaderMap) -> Result<Caller, Problem> {
    if let Some(token) = Secret::presented(SecretKind::OperatorToken, text) {
        return operator::for_tenant(api, token, headers).await;
    }
    let Some(credential) = Secret::presented(SecretKind::SecretKey, text) else {
        return Err(match Secret::presented(SecretKind::PublishableKey, text) {
            Some(_) => {
                Problem::new(Code::Forbidden, "this needs a secret key; a publishable key stands in pages")
            }
            None => unauthorized("the key is not a secret key of this service"),
        });
    };
    let found = store::keys::secret(api.db(), &credential).await?;
    let (tenant, key_id) = found.ok_or_else(|| unauthorized("the key is unknown or revoked"))?;
    Ok(Caller { tenant, who: Who::SecretKey(key_id), credential })
}

async fn by_session(api: &Api, parts: &Parts) -> Result<Caller, Problem> {
    let credential = session_cookie(&parts.headers)
        .ok_or_else(|| unauthorized("send Authorization: Bearer, or sign in to the console"))?;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        must_be_own_origin(api, &parts.headers)?;
    }
    let session = store::sessions::find(api.db(), &credential, api.now()).await?;
    let (tenant, member) = session.ok_or_else(|| unauthorized("the session is over; sign in again"))?;
    Ok(Caller { tenant, who: Who::Member(member), credential })
}

/// The secret of the session, if exactly one cookie can be one.
pub fn session_cookie(headers: &HeaderMap) -> Option<Secret> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut sessions = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(name, _)| *name == SESSION_COOKIE);
    match (sessions.next(), sessions.next()) {
        (Some((_, value)), None) => Secret::presented(SecretKind::Session, value),
        _ => None,
    }
}

/// A request that changes something by cookie must come from a page of ours (the browser vouches for `Origin`).
fn must_be_own_origin(api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
    match origin(headers)? {
        Some(origin) if origin == api.public_origin() => Ok(()),
        _ => Err(not_own_origin(api)),
    }
}

/// A page of another origin is refused; a program without a page may ask.
pub fn must_not_be_foreign_origin(api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
    match origin(headers)? {
        Some(origin) if origin != api.public_origin() => Err(not_own_origin(api)),
        _ => Ok(()),
    }
}

fn not_own_origin(api: &Api) -> Problem {
    let detail = format!("this is for pages of {} only", api.public_origin());
    Problem::new(Code::OriginNotAllowed, detail)
}

/// The `Origin` header, if there is exactly one.
pub fn origin(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    one_header(headers, &header::ORIGIN)
        .map_err(|()| Problem::new(Code::OriginNotAllowed, "the Origin header is not understood"))
}

/// What stands behind `Authorization: Bearer`, if that header is there.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let value = one_header(headers, &header::AUTHORIZATION)
        .map_err(|()| unauthorized("the Authorization header is not understood"))?;
    let Some(value) = value else { return Ok(None) };
    match value.split_once(' ') {
        Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(text.trim())),
        _ => Err(unauthorized("the Authorization header must be Bearer and a key")),
    }
}

/// The value of a header that may be there once.
pub(crate) fn one_header<'a>(
    headers: &'a HeaderMap,
    name: &header::HeaderName,
) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(drop),
        _ => Err(()),
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(Code::Unauthorized, detail)
}

/// Where a request comes from. `X-Forwarded-For` is believed from the operator's own proxies only.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub IpAddr);

impl Address {
    fn of(parts: &Parts, api: &Api) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        Self(api.proxies().client(peer.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), &parts.headers))
    }
}

impl FromRequestParts<Api> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts, api))
    }
}
