//! Coupons: made by who sells, redeemed by who pays.

use super::whose::{Whose, named};
use crate::api::Api;
use crate::auth::{Caller, Operator, Right, TenantHeader};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{Ask, Input};
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::catalogue::Refused;
use billing::coupon::{Coupon, CouponRefused, NewCoupon, Redeemed};
use billing::money::Money;
use billing::period::Month;
use billing::statement::{Line, LineKind};
use billing::store::{self, RedeemError, Tried};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A code that somebody was told.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CouponCode {
    /// As it was told; small letters are taken for capital ones.
    #[schema(max_length = 40, example = "SPRING-26")]
    code: String,
    /// An account of one of the business's people; the business's own if none is named.
    account_id: Option<Uuid>,
}

/// A coupon that an account has redeemed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RedeemedCoupon {
    /// Which.
    coupon: Coupon,
    /// The first month that it counts for, as `YYYY-MM`.
    #[schema(value_type = String, example = "2026-11")]
    from: Month,
}

impl From<Redeemed> for RedeemedCoupon {
    fn from(Redeemed { coupon, from }: Redeemed) -> Self {
        Self { coupon, from }
    }
}

/// The coupons that the business has redeemed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RedeemedCoupons {
    /// In the order of their redeeming, which is that in which they take something off.
    coupons: Vec<RedeemedCoupon>,
}

/// What redeeming a coupon does to the draft of the open month.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CouponEffect {
    /// Which, and from when on.
    #[serde(flatten)]
    redeemed: RedeemedCoupon,
    /// What the draft comes to without it.
    total_before: Money,
    /// And with it.
    total_after: Money,
    /// What it takes off the draft so far.
    discounts: Vec<Line>,
}

impl From<Tried> for CouponEffect {
    fn from(tried: Tried) -> Self {
        let Tried { redeemed, before, after, .. } = tried;
        let by_it = |line: &Line| {
            line.kind == LineKind::Discount && line.coupon_id == Some(redeemed.coupon.coupon_id)
        };
        Self {
            total_before: before.total,
            total_after: after.total,
            discounts: after.lines.into_iter().filter(by_it).collect(),
            redeemed: redeemed.into(),
        }
    }
}

impl From<RedeemError> for Problem {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Refused(CouponRefused::Unknown) => Problem::not_found("coupon"),
            RedeemError::Refused(refused @ CouponRefused::AlreadyRedeemed) => {
                Problem::new(Code::CouponRedeemed, refused.to_string())
            }
            RedeemError::Refused(refused) => Problem::new(Code::CouponNotValid, refused.to_string()),
            RedeemError::Store(error) => error.into(),
        }
    }
}

fn refusal(Refused { field, why }: Refused) -> Problem {
    Problem::input(&field, why)
}

/// Make a coupon for what one of the business's own vendors sells. It never changes.
#[utoipa::path(
    post, path = "/v1/coupons", operation_id = "create_coupon", tag = "catalogue", request_body = NewCoupon,
    params(KeyHeader, TenantHeader),
    responses(
        (status = 201, body = Coupon),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = []), ("operator_token" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Input(new, ticket): Input<NewCoupon>,
) -> Result<Response, Stop> {
    caller.must_have(Right::ManagePlans)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    match store::insert_coupon(&attempt, Some(caller.tenant), &new, api.now()).await {
        Ok(Ok(coupon)) => attempt.answer(StatusCode::CREATED, &coupon).await,
        Ok(Err(refused)) => Err(attempt.refuse(refusal(refused)).await),
        Err(error) => Err(attempt.refuse(error.into()).await),
    }
}

/// Make a coupon for what the operator sells. It never changes.
#[utoipa::path(
    post, path = "/v1/operator/coupons", operation_id = "create_operator_coupon", tag = "operator",
    request_body = NewCoupon,
    responses(
        (status = 201, body = Coupon),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("operator_token" = [])),
)]
pub(super) async fn create_for_operator(
    State(api): State<Api>,
    _: Operator,
    Input(new, _): Input<NewCoupon>,
) -> Result<(StatusCode, Json<Coupon>), Problem> {
    let tx = api.db().service().await?;
    let coupon = store::insert_coupon(&tx, None, &new, api.now()).await?.map_err(refusal)?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(coupon)))
}

/// List the coupons that the business, or one of its people, has redeemed.
#[utoipa::path(
    get, path = "/v1/coupons", operation_id = "list_redeemed_coupons", tag = "money", params(TenantHeader, Whose),
    responses(
        (status = 200, body = RedeemedCoupons),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = []), ("operator_token" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Ask(whose): Ask<Whose>,
) -> Result<Json<RedeemedCoupons>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let account = whose.account(&tx, caller.tenant).await?;
    let redeemed = store::redeemed_coupons(&tx, caller.tenant, account).await?;
    tx.commit().await?;
    Ok(Json(RedeemedCoupons { coupons: redeemed.into_iter().map(RedeemedCoupon::from).collect() }))
}

/// See what a coupon would take off the open month. Nothing happens.
#[utoipa::path(
    post, path = "/v1/coupons/preview", operation_id = "preview_coupon", tag = "money", request_body = CouponCode,
    params(TenantHeader),
    responses(
        (status = 200, body = CouponEffect),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = []), ("operator_token" = [])),
)]
pub(super) async fn preview(
    State(api): State<Api>,
    caller: Caller,
    Input(asked, _): Input<CouponCode>,
) -> Result<Json<CouponEffect>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let code = asked.code.trim().to_ascii_uppercase();
    let of = (caller.tenant, named(&tx, caller.tenant, asked.account_id).await?);
    let tried = store::try_coupon(&tx, of, &code, api.now()).await;
    tx.rollback().await?;
    Ok(Json(tried?.into()))
}

/// Redeem a coupon for the business or one of its people, from the month in progress on.
#[utoipa::path(
    post, path = "/v1/coupons/redeem", operation_id = "redeem_coupon", tag = "money", request_body = CouponCode,
    params(KeyHeader, TenantHeader),
    responses(
        (status = 200, body = CouponEffect),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = []), ("operator_token" = [])),
)]
pub(super) async fn redeem(
    State(api): State<Api>,
    caller: Caller,
    Input(asked, ticket): Input<CouponCode>,
) -> Result<Response, Stop> {
    caller.must_have(Right::Subscribe)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let code = asked.code.trim().to_ascii_uppercase();
    let account = match named(&attempt, caller.tenant, asked.account_id).await {
        Ok(account) => account,
        Err(problem) => return Err(attempt.refuse(problem).await),
    };
    match store::redeem_coupon(&attempt, (caller.tenant, account), &code, api.now()).await {
        Ok(tried) => attempt.answer(StatusCode::OK, &CouponEffect::from(tried)).await,
        Err(error) => Err(attempt.refuse(error.into()).await),
    }
}
