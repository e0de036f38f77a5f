//! The operator, by a token of `tuppence operators add`.

use super::{Caller, Who, bearer, one_header, unauthorized};
use crate::api::Api;
use crate::problem::{Code, Problem};
use crate::secret::{Secret, SecretKind};
use crate::store;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use billing::TenantId;
use utoipa::IntoParams;

/// For which business an operator asks.
const TENANT_HEADER: HeaderName = HeaderName::from_static("tuppence-tenant");

/// The header as the API's description shows it.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct TenantHeader {
    /// With an operator's token: for which business.
    #[param(rename = "Tuppence-Tenant", format = Uuid)]
    pub tenant: Option<String>,
}

/// Someone who acts for the service itself.
#[derive(Debug, Clone)]
pub struct Operator;

impl FromRequestParts<Api> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let text = bearer(&parts.headers)?
            .ok_or_else(|| unauthorized("send Authorization: Bearer with an operator's token"))?;
        let Some(token) = Secret::presented(SecretKind::OperatorToken, text) else {
            Caller::from_request_parts(parts, api).await?;
            return Err(Problem::new(Code::Forbidden, "only an operator of the service may do that"));
        };
        check(api, &token).await
    }
}

async fn check(api: &Api, token: &Secret) -> Result<Operator, Problem> {
    match store::operators::is_known(api.db(), token).await? {
        true => Ok(Operator),
        false => Err(unauthorized("the operator's token is unknown or revoked")),
    }
}

/// An operator who acts for one business.
pub(super) async fn for_tenant(api: &Api, token: Secret, headers: &HeaderMap) -> Result<Caller, Problem> {
    check(api, &token).await?;
    let named = one_header(headers, &TENANT_HEADER).ok().flatten();
    let tenant = named.and_then(|text| text.parse().ok()).map(TenantId).ok_or_else(|| {
        Problem::new(Code::BadInput, "Tuppence-Tenant: an operator says in this header for which business")
    })?;
    match store::operators::has_tenant(api.db(), tenant).await? {
        true => Ok(Caller { tenant, who: Who::Operator, credential: token }),
        false => Err(Problem::not_found("business")),
    }
}
