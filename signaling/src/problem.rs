//! Refusals at HTTP: problem documents (RFC 9457) with a code from one list.
//!
//! The list is here, in the OpenAPI document (`x-problems`) and on the page `/docs/problems`. A code is never reused
//! for another meaning; a client may match on it. `detail` is for people and may change.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use billing::db::DbError;
use billing::store::StoreError;
use serde::{Deserialize, Serialize};
use std::error::Error;
use utoipa::ToSchema;

/// The media type of problem documents.
pub const CONTENT_TYPE: &str = "application/problem+json";
/// The longest `detail` in characters; it may quote what the client sent.
const DETAIL_CHARS_MAX: usize = 300;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $status:ident $title:literal $advice:literal;)*) => {
        /// What went wrong, from the documented list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The code as it is sent.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The status it comes with.
            pub fn status(self) -> StatusCode {
                match self { $(Code::$name => StatusCode::$status,)* }
            }

            /// What happened, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// What to do about it.
            pub fn advice(self) -> &'static str {
                match self { $(Code::$name => $advice,)* }
            }
        }
    };
}

codes! {
    BadJson "bad_json" BAD_REQUEST "The body is not JSON"
        "Send one JSON object, encoded as UTF-8.";
    BadInput "bad_input" UNPROCESSABLE_ENTITY "A value is not allowed"
        "The detail names the field: it is unknown, missing, given twice, of the wrong type or beyond its limit.";
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is too large"
        "Send at most 256 KiB; events, 8 MiB and 10,000 of them; an offer or an ICE fragment, 64 KiB with at most 64 lines of media.";
    BadContentType "bad_content_type" UNSUPPORTED_MEDIA_TYPE "The body is of another media type"
        "Send JSON with Content-Type: application/json; for events, WHIP and WHEP, the detail names the type.";
    BadOffer "bad_offer" BAD_REQUEST "The SDP is not understood"
        "Send what the WebRTC stack made, unchanged: an offer to make a resource, an ICE fragment (RFC 8840) to change it.";
    NotAcceptable "not_acceptable" NOT_ACCEPTABLE "The offer holds what is not taken here"
        "A publisher only sends and a viewer only receives, on at most two audio and two video lines to send. docs/media.md lists the codecs.";
    Unauthorized "unauthorized" UNAUTHORIZED "No valid key or session"
        "Send Authorization: Bearer with a key that is not revoked, or sign in to the console again.";
    TokenNotValid "token_not_valid" UNAUTHORIZED "The call token is not valid"
        "Send Authorization: Bearer with a token of POST /v1/tokens. It must be used within ten minutes.";
    TokenNotForThis "token_not_for_this" FORBIDDEN "The call token does not allow this"
        "A token belongs to one room, and its may_publish names what may be sent. Make another one.";
    Forbidden "forbidden" FORBIDDEN "This key or role may not do that"
        "Use a secret key, or ask an owner of the business.";
    OriginNotAllowed "origin_not_allowed" FORBIDDEN "Requests from this origin are not allowed"
        "Add the page's origin to the publishable key, or use the token where it belongs. Open the console at the service's own address.";
    GuestsNotAllowed "guests_not_allowed" FORBIDDEN "The room admits no guests"
        "Ask the business for an invitation; it makes a token with its secret key.";
    LinkNotValid "link_not_valid" FORBIDDEN "The sign-in link is unknown, used or expired"
        "Each link works once and for 24 hours. The service prints a new one at each start.";
    SandboxOnly "sandbox_only" FORBIDDEN "Only a sandbox tenant has a test clock"
        "Real time cannot be advanced. Use a sandbox tenant for tests.";
    NotEntitled "not_entitled" FORBIDDEN "The plan of the business does not include this"
        "The detail says what. GET /v1/entitlements has the limits; another plan, an add-on or resuming a paused subscription raises them.";
    SpendingCapReached "spending_cap_reached" FORBIDDEN "The business lets itself spend no more this month"
        "GET /v1/caps shows what is spent of which cap. Set a higher one, end it, or wait for the next month.";
    NotFound "not_found" NOT_FOUND "There is no such thing"
        "Check the address and the id. Another tenant's things are not found either.";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The method is not allowed here"
        "The header Allow and the API reference say which methods are.";
    RoomFull "room_full" CONFLICT "The room is full"
        "Try later, or make the room larger; lobby and call count together.";
    RestartInProgress "restart_in_progress" CONFLICT "The last ICE restart is not answered yet"
        "Wait for its answer, then send the newest credentials.";
    PreconditionRequired "precondition_required" PRECONDITION_REQUIRED "The header If-Match is missing"
        "Send the ETag of the last answer, or * to restart ICE.";
    PreconditionFailed "precondition_failed" PRECONDITION_FAILED "The ICE session is another one by now"
        "Send the ETag of the last answer, or * to restart ICE.";
    CaptureInProgress "capture_in_progress" CONFLICT "The connection is being captured already"
        "Wait until that capture is over, at most a quarter of a minute.";
    LimitReached "limit_reached" CONFLICT "A limit of the tenant is reached"
        "The detail names the limit. Remove what is no longer used.";
    SubscriptionConflict "subscription_conflict" CONFLICT "The subscription does not allow this now"
        "The detail says why. Read the subscription to see how it is and what is decided about it.";
    EventKeyReused "event_key_reused" CONFLICT "The source has used this event id for something else"
        "Source and id name one event for ever. Give a new event a new id; to change a recorded one, send an event that corrects it.";
    UnknownEventType "unknown_event_type" UNPROCESSABLE_ENTITY "No meter listens to events of this type"
        "Make a meter with this event_type (POST /v1/meters), or send the type that one listens to.";
    PaymentConflict "payment_conflict" CONFLICT "Nothing can be paid this way now"
        "The detail says why. GET /v1/accounts/{account_id}/tab shows what is owed and what happens next.";
    CouponRedeemed "coupon_redeemed" CONFLICT "The account has redeemed this coupon already"
        "An account redeems a coupon once. GET /v1/coupons lists what it has redeemed.";
    CouponNotValid "coupon_not_valid" CONFLICT "The coupon cannot be redeemed"
        "The detail says why: it is too late, others were quicker, or it takes off another currency.";
    CreditExceedsStatement "credit_exceeds_statement" CONFLICT "More would be credited than was billed"
        "The detail says what is left. GET /v1/statements/{statement_id}/credit-notes lists what has been credited.";
    BadIdempotencyKey "bad_idempotency_key" BAD_REQUEST "The Idempotency-Key is not allowed"
        "Send one header of 1 to 255 visible ASCII characters.";
    IdempotencyMismatch "idempotency_mismatch" UNPROCESSABLE_ENTITY "The Idempotency-Key was used for another request"
        "A key belongs to one method, path and body for ever. Make a new key for a new request.";
    IdempotencyInProgress "idempotency_in_progress" CONFLICT "The first request with this Idempotency-Key is still running"
        "Try again with the same key in a moment; the answer will be that of the first request.";
    IdempotencySealed "idempotency_sealed" CONFLICT "The first answer held a secret and is sealed"
        "Only the credential that sent the first request can read its answer again.";
    TooManyRequests "too_many_requests" TOO_MANY_REQUESTS "Too many requests from this address"
        "Wait as long as the header Retry-After says.";
    Unavailable "unavailable" SERVICE_UNAVAILABLE "The service cannot answer now"
        "Nothing was changed. Try again after the time in Retry-After; calls in progress go on.";
    TimedOut "timed_out" SERVICE_UNAVAILABLE "The answer took too long"
        "Try again with the same Idempotency-Key; without one, look first whether it happened.";
    Internal "internal" INTERNAL_SERVER_ERROR "A mistake of ours"
        "Nothing was changed. Report it with the header X-Request-Id of the answer.";
}

/// A refusal on its way to the client.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    retry_after_s: Option<u64>,
}

/// The JSON of a [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "/docs/problems#bad_input", "title": "A value is not allowed", "status": 422,
    "detail": "participants_max: must be between 1 and 64", "code": "bad_input",
    "advice": "The detail names the field: it is unknown, missing, given twice, of the wrong type or beyond its limit."
}))]
pub struct Document {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub type_: String,
    /// What happened, the same text for each problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, for a person.
    pub detail: String,
    /// For a program.
    pub code: Code,
    /// What to do about it.
    pub advice: String,
}

impl Problem {
    /// A refusal with a detail for a person.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        Self { code, detail: detail.chars().take(DETAIL_CHARS_MAX).collect(), retry_after_s: None }
    }

    /// A value that is not allowed; the detail names it.
    pub fn input(field: &str, why: impl std::fmt::Display) -> Self {
        Self::new(Code::BadInput, format!("{field}: {why}"))
    }

    /// A thing that does not exist or is another tenant's: the answer is the same.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// A mistake of ours: the log hears the cause once, the client does not.
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(cause = %chain(cause), "a request failed");
        Self::new(Code::Internal, "the cause is in the service's log")
    }

    /// Says when to try again.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds.max(1));
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Its code and its detail, where it is part of a larger answer.
    pub fn into_parts(self) -> (Code, String) {
        (self.code, self.detail)
    }

    fn document(self) -> Document {
        Document {
            type_: format!("/docs/problems#{}", self.code.as_str()),
            title: self.code.title().into(),
            status: self.code.status().as_u16(),
            detail: self.detail,
            code: self.code,
            advice: self.code.advice().into(),
        }
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after_s) = (self.code.status(), self.retry_after_s);
        let unauthorized = status == StatusCode::UNAUTHORIZED;
        let mut response = (status, Json(self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        if error.is_transient() {
            tracing::warn!(cause = %chain(&error), "the database cannot be asked now");
            return Self::new(Code::Unavailable, "the database cannot be asked now").retry_after(1);
        }
        Self::internal(&error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Db(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        DbError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sent_as_they_are_documented() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).expect("a code is a string"), code.as_str());
            assert!(code.status().is_client_error() || code.status().is_server_error());
            assert!(!code.title().ends_with('.') && code.advice().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn a_long_detail_is_cut() {
        assert_eq!(Problem::new(Code::BadInput, "é".repeat(1000)).detail.chars().count(), DETAIL_CHARS_MAX);
    }
}
