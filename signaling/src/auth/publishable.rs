//! A page of a business, known by the publishable key that stands in it and by its origin.

use super::{Address, bearer, origin, unauthorized};
use crate::api::Api;
use crate::limits::Purpose;
use crate::problem::{Code, Problem};
use crate::secret::{Secret, SecretKind};
use crate::store;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use billing::TenantId;

/// A visitor's browser on a page that the key's owner allows.
#[derive(Debug, Clone)]
pub struct PublishableCaller {
    /// Whose page.
    pub tenant: TenantId,
}

impl FromRequestParts<Api> for PublishableCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Address(address) = Address::of(parts, api);
        api.limiter().take(Purpose::Visit, address, api.now())?;
        let key = bearer(&parts.headers)?
            .and_then(|text| Secret::presented(SecretKind::PublishableKey, text))
            .ok_or_else(|| unauthorized("send Authorization: Bearer with a publishable key"))?;
        let found = store::keys::publishable(api.db(), &key).await?;
        let (tenant, origins) = found.ok_or_else(|| unauthorized("the key is unknown or revoked"))?;
        match origin(&parts.headers)? {
            Some(origin) if origins.iter().any(|allowed| allowed == origin) => Ok(Self { tenant }),
            Some(origin) => Err(not_allowed(&format!("the key does not list the origin {origin}"))),
            None => Err(not_allowed("a publishable key works from a page only: there is no Origin header")),
        }
    }
}

fn not_allowed(detail: &str) -> Problem {
    Problem::new(Code::OriginNotAllowed, detail)
}
