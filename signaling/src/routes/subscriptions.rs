//! Subscriptions: beginning and changing them, and what either would cost.

use super::page::{PageQuery, cut, limit};
use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{Ask, At, Input};
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::ids::{AccountId, PlanVersionId, SubscriptionId};
use billing::period::Hour;
use billing::price::Quantities;
use billing::store::{Considered, Kept, Start, SubscribeError};
use billing::subscription::{Change, ChangeRefused, Patch, Phase, Preview, State as PhaseState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A subscription to begin, with the hour in progress.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSubscription {
    /// On which version of which plan.
    plan_version_id: PlanVersionId,
    /// For whom; the business itself if left out.
    account_id: Option<AccountId>,
    /// Who pays, if it is not for whom it is.
    sponsor_id: Option<AccountId>,
    /// How many of what the plan counts.
    #[serde(default)]
    quantities: Patch,
}

impl NewSubscription {
    fn start(&self) -> Start {
        let Self { plan_version_id, account_id, sponsor_id, quantities } = *self;
        Start { plan_version_id, account_id, sponsor_id, quantities }
    }
}

/// How a subscription is for a while.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PhaseView {
    /// From when on, UTC.
    from: Timestamp,
    /// In what state.
    state: PhaseState,
    /// On which version of a plan.
    plan_version_id: PlanVersionId,
    /// Who pays.
    payer_id: AccountId,
    /// How many are held of what the plan counts.
    quantities: Quantities,
}

impl From<&Phase> for PhaseView {
    fn from(phase: &Phase) -> Self {
        let Phase { from, state, plan, payer, held } = *phase;
        Self { from: from.start(), state, plan_version_id: plan, payer_id: payer, quantities: held }
    }
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subscription {
    /// Names it.
    subscription_id: SubscriptionId,
    /// Who may use it.
    account_id: AccountId,
    /// How it is now.
    now: PhaseView,
    /// How it was, is and will be, as far as that is decided.
    phases: Vec<PhaseView>,
    /// When it was made, UTC.
    created_at: Timestamp,
}

impl Subscription {
    fn of(kept: &Kept, at: Timestamp) -> Result<Self, Problem> {
        let timeline = kept.history.timeline();
        let now = kept.history.at(Hour::of(at)).or(timeline.first().copied());
        let now = now.ok_or_else(|| Problem::not_found("subscription"))?;
        Ok(Self {
            subscription_id: kept.subscription_id,
            account_id: kept.account_id,
            now: PhaseView::from(&now),
            phases: timeline.iter().map(PhaseView::from).collect(),
            created_at: kept.created_at,
        })
    }
}

/// A page of subscriptions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subscriptions {
    /// Newest first.
    subscriptions: Vec<Subscription>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<Uuid>,
}

/// What a start or a change would do. Nothing of it has happened.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Previewed {
    /// The tenant's time for which it was thought through.
    at: Timestamp,
    /// How the subscription would be, as far as that is decided.
    phases: Vec<PhaseView>,
    /// What it would cost, as it is and as it would be.
    #[serde(flatten)]
    cost: Preview,
}

impl From<Considered> for Previewed {
    fn from(considered: Considered) -> Self {
        let phases = considered.then.history.timeline().iter().map(PhaseView::from).collect();
        Self { at: considered.at, phases, cost: considered.preview }
    }
}

impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Refused(refused) => refusal(&refused),
            SubscribeError::NotFound(what) => Problem::not_found(what),
            SubscribeError::TooDear => Problem::input("quantities", "it would cost more than can be billed"),
            SubscribeError::Store(error) => error.into(),
        }
    }
}

fn refusal(refused: &ChangeRefused) -> Problem {
    match refused {
        ChangeRefused::NoSuchPlan(_)
        | ChangeRefused::AnotherCurrency { .. }
        | ChangeRefused::MeteredForAPerson => Problem::input("plan_version_id", refused),
        ChangeRefused::NotCounted(_) | ChangeRefused::TooMany(_) | ChangeRefused::Missing(_) => {
            Problem::input("quantities", refused)
        }
        ChangeRefused::TooManyChanges => Problem::new(Code::LimitReached, refused.to_string()),
        _ => Problem::new(Code::SubscriptionConflict, refused.to_string()),
    }
}

/// Begin a subscription with the hour in progress. A plan's trial comes first, once for an account and plan.
#[utoipa::path(
    post, path = "/v1/subscriptions", operation_id = "create_subscription", tag = "subscriptions",
    request_body = NewSubscription, params(KeyHeader),
    responses(
        (status = 201, body = Subscription),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Input(new, ticket): Input<NewSubscription>,
) -> Result<Response, Stop> {
    caller.must_have(Right::Subscribe)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let considered = billing::store::consider_start(&attempt, caller.tenant, new.start(), api.now()).await;
    keep(&api, &caller, attempt, considered, StatusCode::CREATED).await
}

/// See what a new subscription would cost. Nothing happens.
#[utoipa::path(
    post, path = "/v1/subscriptions/preview", operation_id = "preview_subscription", tag = "subscriptions",
    request_body = NewSubscription,
    responses(
        (status = 200, body = Previewed),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn preview(
    State(api): State<Api>,
    caller: Caller,
    Input(new, _): Input<NewSubscription>,
) -> Result<Json<Previewed>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let considered = billing::store::consider_start(&tx, caller.tenant, new.start(), api.now()).await;
    tx.rollback().await?;
    Ok(Json(considered?.into()))
}

/// List the subscriptions, newest first.
#[utoipa::path(
    get, path = "/v1/subscriptions", operation_id = "list_subscriptions", tag = "subscriptions", params(PageQuery),
    responses(
        (status = 200, body = Subscriptions),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Ask(page): Ask<PageQuery>,
) -> Result<Json<Subscriptions>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let limit = limit(page.limit)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let at = billing::store::tenant_clock(&tx, caller.tenant, api.now()).await?.now;
    let mut kept = billing::store::subscriptions(&tx, caller.tenant, page.cursor, limit + 1).await?;
    tx.commit().await?;
    let next_cursor = cut(&mut kept, limit, |kept| kept.subscription_id.0);
    let subscriptions = kept.iter().map(|kept| Subscription::of(kept, at)).collect::<Result<_, _>>()?;
    Ok(Json(Subscriptions { subscriptions, next_cursor }))
}

/// Read a subscription: how it is, was, and will be as far as that is decided.
#[utoipa::path(
    get, path = "/v1/subscriptions/{subscription_id}", operation_id = "read_subscription", tag = "subscriptions",
    params(("subscription_id" = Uuid, Path, description = "The subscription")),
    responses(
        (status = 200, body = Subscription),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    At(id): At<Uuid>,
) -> Result<Json<Subscription>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let at = billing::store::tenant_clock(&tx, caller.tenant, api.now()).await?.now;
    let kept = billing::store::subscription(&tx, caller.tenant, SubscriptionId(id)).await?;
    tx.commit().await?;
    Ok(Json(Subscription::of(&kept.ok_or_else(|| Problem::not_found("subscription"))?, at)?))
}

/// Change a subscription: its plan or numbers, pause, resume, cancel, or who pays.
#[utoipa::path(
    post, path = "/v1/subscriptions/{subscription_id}/changes", operation_id = "change_subscription",
    tag = "subscriptions", request_body = Change,
    params(("subscription_id" = Uuid, Path, description = "The subscription"), KeyHeader),
    responses(
        (status = 200, body = Subscription),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn change(
    State(api): State<Api>,
    caller: Caller,
    At(id): At<Uuid>,
    Input(change, ticket): Input<Change>,
) -> Result<Response, Stop> {
    caller.must_have(Right::Subscribe)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let id = SubscriptionId(id);
    let considered = billing::store::consider_change(&attempt, caller.tenant, id, change, api.now()).await;
    keep(&api, &caller, attempt, considered, StatusCode::OK).await
}

/// See what a change would cost: the same body as the change itself. Nothing happens.
#[utoipa::path(
    post, path = "/v1/subscriptions/{subscription_id}/preview", operation_id = "preview_change",
    tag = "subscriptions", request_body = Change,
    params(("subscription_id" = Uuid, Path, description = "The subscription")),
    responses(
        (status = 200, body = Previewed),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn preview_change(
    State(api): State<Api>,
    caller: Caller,
    At(id): At<Uuid>,
    Input(change, _): Input<Change>,
) -> Result<Json<Previewed>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let id = SubscriptionId(id);
    let considered = billing::store::consider_change(&tx, caller.tenant, id, change, api.now()).await;
    tx.rollback().await?;
    Ok(Json(considered?.into()))
}

/// Writes down what was considered, together with its answer.
async fn keep(
    api: &Api,
    caller: &Caller,
    attempt: Attempt,
    considered: Result<Considered, SubscribeError>,
    status: StatusCode,
) -> Result<Response, Stop> {
    let considered = match considered {
        Ok(considered) => considered,
        Err(error) => return Err(attempt.refuse(error.into()).await),
    };
    billing::store::keep(&attempt, caller.tenant, &considered, api.now()).await?;
    let subscription = Subscription::of(&considered.then, considered.at)?;
    attempt.answer(status, &subscription).await
}
