//! Console sessions: signing in by a one-time link, signing out.

use crate::api::Api;
use crate::auth::{Address, Caller, SESSION_COOKIE, Who, must_not_be_foreign_origin};
use crate::input::Input;
use crate::limits::Purpose;
use crate::problem::{Code, Document, Problem};
use crate::secret::{Secret, SecretKind};
use crate::store;
use crate::store::sessions::SESSION_TTL;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

/// The link with which to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSession {
    /// What stands after `#link=` in the address of the link.
    #[schema(max_length = 64, example = "sl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    link: String,
}

type WithCookie = (StatusCode, [(HeaderName, String); 1]);

/// Sign in: use up a one-time link and begin a console session.
#[utoipa::path(
    post, path = "/v1/sessions", operation_id = "create_session", tag = "console",
    request_body = NewSession,
    responses(
        (status = 204, description = "Signed in", headers(("Set-Cookie" = String, description = "The session, for seven days"))),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(super) async fn create(
    State(api): State<Api>,
    Address(address): Address,
    headers: HeaderMap,
    Input(new, _): Input<NewSession>,
) -> Result<WithCookie, Problem> {
    must_not_be_foreign_origin(&api, &headers)?;
    api.limiter().take(Purpose::SignIn, address, api.now())?;
    let link = Secret::presented(SecretKind::SignInLink, &new.link).ok_or_else(link_not_valid)?;
    let session = Secret::generate(SecretKind::Session);
    if !store::sessions::sign_in(api.db(), &link, &session, api.now()).await? {
        return Err(link_not_valid());
    }
    Ok(with_cookie(&api, session.reveal(), SESSION_TTL.as_secs()))
}

/// Sign out: end the console session.
#[utoipa::path(
    delete, path = "/v1/sessions", operation_id = "delete_session", tag = "console",
    responses(
        (status = 204, description = "Signed out", headers(("Set-Cookie" = String, description = "Removes the cookie"))),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("session" = [])),
)]
pub(super) async fn delete(State(api): State<Api>, caller: Caller) -> Result<WithCookie, Problem> {
    if !matches!(caller.who, Who::Member(_)) {
        return Err(Problem::new(Code::Forbidden, "a secret key has no session to end"));
    }
    let tx = api.db().tenant(caller.tenant).await?;
    store::sessions::revoke(&tx, &caller.credential, api.now()).await?;
    tx.commit().await?;
    Ok(with_cookie(&api, "", 0))
}

fn link_not_valid() -> Problem {
    Problem::new(Code::LinkNotValid, "ask for a new link")
}

fn with_cookie(api: &Api, value: &str, max_age_s: i64) -> WithCookie {
    let secure = if api.public_url().starts_with("https://") { "; Secure" } else { "" };
    let cookie =
        format!("{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)])
}
