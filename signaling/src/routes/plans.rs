//! Plans and their versions, which never change once they are made.

use super::page::{PageQuery, cut, limit};
use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{Ask, At, Input};
use crate::problem::{Document, Problem};
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::catalogue::{NewVersion, Plan, PlanVersion, Refused};
use billing::ids::{PlanId, VendorId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The longest name of a vendor, a plan or an account.
const NAME_CHARS_MAX: usize = 120;

/// A plan to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPlan {
    /// Who sells it: one of the business's own vendors.
    vendor_id: VendorId,
    /// What payers read, 1 to 120 characters on one line.
    #[schema(min_length = 1, max_length = 120, example = "Greenhouse")]
    name: String,
    /// Is it sold only beside another plan of the vendor?
    #[serde(default)]
    add_on: bool,
}

/// A page of plans.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plans {
    /// The operator's and the business's own, newest first, each with its newest version.
    plans: Vec<Plan>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<Uuid>,
}

/// The versions of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Versions {
    /// Newest first.
    versions: Vec<PlanVersion>,
}

/// A name that payers read.
pub(super) fn name(name: &str) -> Result<String, Problem> {
    let name = text::line(name, NAME_CHARS_MAX).map_err(|why| Problem::input("name", why))?;
    if name.is_empty() {
        return Err(Problem::input("name", text::TextRefusal::Empty));
    }
    Ok(name)
}

/// Make a plan. It can be subscribed to once it has a version.
#[utoipa::path(
    post, path = "/v1/plans", operation_id = "create_plan", tag = "catalogue", request_body = NewPlan,
    params(KeyHeader),
    responses(
        (status = 201, body = Plan),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Input(new, ticket): Input<NewPlan>,
) -> Result<Response, Stop> {
    caller.must_have(Right::ManagePlans)?;
    let name = name(&new.name)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let (tenant, now) = (caller.tenant, api.now());
    match billing::store::insert_plan(&attempt, tenant, new.vendor_id, &name, new.add_on, now).await? {
        Some(plan) => attempt.answer(StatusCode::CREATED, &plan).await,
        None => Err(attempt.refuse(Problem::input("vendor_id", "is no vendor of this business")).await),
    }
}

/// List the plans, newest first: the operator's and the business's own.
#[utoipa::path(
    get, path = "/v1/plans", operation_id = "list_plans", tag = "catalogue", params(PageQuery),
    responses(
        (status = 200, body = Plans),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Ask(page): Ask<PageQuery>,
) -> Result<Json<Plans>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let limit = limit(page.limit)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let mut plans = billing::store::plans(&tx, page.cursor, limit + 1).await?;
    tx.commit().await?;
    let next_cursor = cut(&mut plans, limit, |plan| plan.plan_id.0);
    Ok(Json(Plans { plans, next_cursor }))
}

/// Read a plan with its newest version.
#[utoipa::path(
    get, path = "/v1/plans/{plan_id}", operation_id = "read_plan", tag = "catalogue",
    params(("plan_id" = Uuid, Path, description = "The plan")),
    responses(
        (status = 200, body = Plan),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    At(plan_id): At<Uuid>,
) -> Result<Json<Plan>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let plan = billing::store::plan(&tx, PlanId(plan_id)).await?;
    tx.commit().await?;
    plan.map(Json).ok_or_else(|| Problem::not_found("plan"))
}

/// Make the next version of a plan: its prices, its trial and what it allows. It never changes; who is on an earlier
/// version stays there.
#[utoipa::path(
    post, path = "/v1/plans/{plan_id}/versions", operation_id = "create_plan_version", tag = "catalogue",
    request_body = NewVersion,
    params(("plan_id" = Uuid, Path, description = "A plan of one of the business's own vendors"), KeyHeader),
    responses(
        (status = 201, body = PlanVersion),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn create_version(
    State(api): State<Api>,
    caller: Caller,
    At(plan_id): At<Uuid>,
    Input(new, ticket): Input<NewVersion>,
) -> Result<Response, Stop> {
    caller.must_have(Right::ManagePlans)?;
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    match billing::store::insert_version(&attempt, caller.tenant, PlanId(plan_id), &new, api.now()).await? {
        Ok(Some(version)) => attempt.answer(StatusCode::CREATED, &version).await,
        Ok(None) => Err(attempt.refuse(Problem::not_found("plan of this business")).await),
        Err(Refused { field, why }) => Err(attempt.refuse(Problem::input(&field, why)).await),
    }
}

/// List the versions of a plan, newest first.
#[utoipa::path(
    get, path = "/v1/plans/{plan_id}/versions", operation_id = "list_plan_versions", tag = "catalogue",
    params(("plan_id" = Uuid, Path, description = "The plan")),
    responses(
        (status = 200, body = Versions),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list_versions(
    State(api): State<Api>,
    caller: Caller,
    At(plan_id): At<Uuid>,
) -> Result<Json<Versions>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let plan = billing::store::plan(&tx, PlanId(plan_id)).await?;
    let versions = billing::store::plan_versions(&tx, PlanId(plan_id)).await?;
    tx.commit().await?;
    plan.map(|_| Json(Versions { versions })).ok_or_else(|| Problem::not_found("plan"))
}
