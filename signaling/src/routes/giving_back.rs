//! Money that goes back, and money that is given up.

use super::page::{PageQuery, cut, limit};
use crate::api::Api;
use crate::auth::{Caller, Right, Who as Asking};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{Ask, At, Input};
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::ids::{AccountId, PaymentId};
use billing::money::Money;
use billing::payment::{Refund, WriteOff};
use billing::store::{self, RefundError, Who, WriteOffError, tenant_clock};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Characters of a reason at most.
const REASON_CHARS_MAX: usize = 300;

/// A refund to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRefund {
    /// Whole minor units, in micros; no more than is left of the payment.
    #[schema(minimum = 1_000_000, example = 100_000_000)]
    amount_micros: i64,
    /// Why, 1 to 300 characters.
    #[schema(min_length = 1, max_length = 300, example = "The call failed.")]
    reason: String,
}

/// The refunds of a payment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refunds {
    /// Oldest first.
    refunds: Vec<Refund>,
}

/// A tab to give up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWriteOff {
    /// Why, 1 to 300 characters.
    #[schema(min_length = 1, max_length = 300, example = "The business is gone.")]
    reason: String,
}

/// What becomes of a proposal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDecision {
    /// True: the tab is given up. False: it is owed as before.
    approve: bool,
}

/// A page of write-offs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WriteOffs {
    /// Newest first.
    write_offs: Vec<WriteOff>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<Uuid>,
}

impl From<RefundError> for Problem {
    fn from(error: RefundError) -> Self {
        match error {
            RefundError::NotFound => Problem::not_found("payment"),
            RefundError::NotWhole | RefundError::TooMuch(_) => Problem::input("amount_micros", error),
            RefundError::NotPaid | RefundError::Spent(_) => {
                Problem::new(Code::PaymentConflict, error.to_string())
            }
            RefundError::Store(error) => error.into(),
        }
    }
}

impl From<WriteOffError> for Problem {
    fn from(error: WriteOffError) -> Self {
        match error {
            WriteOffError::NotFound => Problem::not_found("write-off"),
            WriteOffError::SamePerson => Problem::new(Code::Forbidden, error.to_string()),
            WriteOffError::Store(error) => error.into(),
            WriteOffError::NotOwed(_)
            | WriteOffError::UnderWay
            | WriteOffError::Waiting
            | WriteOffError::Decided => Problem::new(Code::PaymentConflict, error.to_string()),
        }
    }
}

fn reason(text: &str) -> Result<&str, Problem> {
    let text = text.trim();
    match (1..=REASON_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        true => Ok(text),
        false => Err(Problem::input("reason", "must have 1 to 300 characters on one line")),
    }
}

/// By whom something is decided, as it is written down.
fn by(caller: &Caller) -> String {
    match &caller.who {
        Asking::Member(member) => format!("member {}", member.member_id),
        Asking::SecretKey(key) => format!("key {key}"),
        Asking::Operator => format!("operator, token {}…", &caller.credential.hash_hex()[..16]),
    }
}

/// Give a payer back what a payment took, or a part of it. The refund is *attempted* in the answer.
#[utoipa::path(
    post, path = "/v1/payments/{payment_id}/refunds", operation_id = "create_refund", tag = "payments",
    request_body = NewRefund, params(("payment_id" = Uuid, Path, description = "The payment"), KeyHeader),
    responses(
        (status = 202, body = Refund),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn refund(
    State(api): State<Api>,
    caller: Caller,
    At(payment): At<Uuid>,
    Input(new, ticket): Input<NewRefund>,
) -> Result<Response, Stop> {
    caller.must_have(Right::MoveMoney)?;
    let reason = reason(&new.reason)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let at = tenant_clock(&attempt, caller.tenant, api.now()).await?.now;
    let of = (PaymentId(payment), new.amount_micros);
    match store::begin_refund(&attempt, caller.tenant, of, reason, (api.now(), at)).await {
        Ok(refund) => attempt.answer(StatusCode::ACCEPTED, &refund).await,
        Err(error) => Err(attempt.refuse(error.into()).await),
    }
}

/// List the refunds of a payment, oldest first.
#[utoipa::path(
    get, path = "/v1/payments/{payment_id}/refunds", operation_id = "list_refunds", tag = "payments",
    params(("payment_id" = Uuid, Path, description = "The payment")),
    responses(
        (status = 200, body = Refunds),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn refunds(
    State(api): State<Api>,
    caller: Caller,
    At(payment): At<Uuid>,
) -> Result<Json<Refunds>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let payment = store::payment(&tx, caller.tenant, PaymentId(payment)).await?;
    let payment = payment.ok_or_else(|| Problem::not_found("payment"))?;
    let refunds = store::refunds(&tx, caller.tenant, payment.payment_id).await?;
    tx.commit().await?;
    Ok(Json(Refunds { refunds }))
}

/// Propose to give a whole tab up. Nothing happens to it before an operator approves.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/write-offs", operation_id = "propose_write_off", tag = "payments",
    request_body = NewWriteOff, params(("account_id" = Uuid, Path, description = "The account"), KeyHeader),
    responses(
        (status = 201, body = WriteOff),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn propose(
    State(api): State<Api>,
    caller: Caller,
    At(account): At<Uuid>,
    Input(new, ticket): Input<NewWriteOff>,
) -> Result<Response, Stop> {
    caller.must_have(Right::MoveMoney)?;
    let reason = reason(&new.reason)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let account = AccountId(account);
    let Some(found) = store::account_of_tenant(&attempt, caller.tenant, Some(account)).await? else {
        return Err(attempt.refuse(Problem::not_found("account")).await);
    };
    let at = tenant_clock(&attempt, caller.tenant, api.now()).await?.now;
    let (who, nothing) = (Who { tenant: caller.tenant, account }, Money::zero(found.currency));
    let said = (reason, &*by(&caller));
    match store::propose_write_off(&attempt, who, nothing, said, (api.now(), at)).await {
        Ok(proposed) => attempt.answer(StatusCode::CREATED, &proposed).await,
        Err(error) => Err(attempt.refuse(error.into()).await),
    }
}

/// Approve or reject a write-off. Only an operator approves, and never with the token that proposed it.
#[utoipa::path(
    post, path = "/v1/write-offs/{write_off_id}/decision", operation_id = "decide_write_off", tag = "payments",
    request_body = NewDecision, params(("write_off_id" = Uuid, Path, description = "The write-off"), KeyHeader),
    responses(
        (status = 200, body = WriteOff),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn decide(
    State(api): State<Api>,
    caller: Caller,
    At(id): At<Uuid>,
    Input(NewDecision { approve }, ticket): Input<NewDecision>,
) -> Result<Response, Stop> {
    caller.must_have(if approve { Right::DecideForSeller } else { Right::MoveMoney })?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let at = tenant_clock(&attempt, caller.tenant, api.now()).await?.now;
    match store::decide_write_off(&attempt, caller.tenant, id, (approve, &*by(&caller)), at).await {
        Ok(decided) => attempt.answer(StatusCode::OK, &decided).await,
        Err(error) => Err(attempt.refuse(error.into()).await),
    }
}

/// List the write-offs, newest first.
#[utoipa::path(
    get, path = "/v1/write-offs", operation_id = "list_write_offs", tag = "payments", params(PageQuery),
    responses(
        (status = 200, body = WriteOffs),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn write_offs(
    State(api): State<Api>,
    caller: Caller,
    Ask(page): Ask<PageQuery>,
) -> Result<Json<WriteOffs>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let limit = limit(page.limit)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let mut write_offs = store::write_offs(&tx, caller.tenant, page.cursor, limit + 1).await?;
    tx.commit().await?;
    let next_cursor = cut(&mut write_offs, limit, |it| it.write_off_id);
    Ok(Json(WriteOffs { write_offs, next_cursor }))
}
