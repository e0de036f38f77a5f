//! Who am I?

use crate::api::Api;
use crate::auth::{Caller, Role, Who};
use crate::problem::{Document, Problem};
use crate::store;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Who is asking, for whom, and when it is there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// The person; null for a secret key.
    member: Option<MeMember>,
    /// The business.
    tenant: MeTenant,
    /// The time as the tenant sees it, UTC; a sandbox's test clock may be ahead.
    now: Timestamp,
}

/// The person.
#[derive(Debug, Serialize, ToSchema)]
struct MeMember {
    /// Names the person.
    member_id: Uuid,
    /// As others see it.
    name: String,
    /// What the person may do.
    role: Role,
}

/// The business.
#[derive(Debug, Serialize, ToSchema)]
struct MeTenant {
    /// Names it.
    tenant_id: Uuid,
    /// What people read.
    name: String,
    /// Has it a test clock and pretended money?
    sandbox: bool,
}

/// Say who is asking.
#[utoipa::path(
    get, path = "/v1/me", operation_id = "read_me", tag = "console",
    responses(
        (status = 200, body = Me),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(State(api): State<Api>, caller: Caller) -> Result<Json<Me>, Problem> {
    let tx = api.db().tenant(caller.tenant).await?;
    let tenant = store::tenants::current(&tx).await?;
    tx.commit().await?;
    let member = match caller.who {
        Who::Member(member) => {
            Some(MeMember { member_id: member.member_id, name: member.name, role: member.role })
        }
        Who::SecretKey(_) | Who::Operator => None,
    };
    let now = tenant.now(api.now());
    let tenant = MeTenant { tenant_id: tenant.tenant_id, name: tenant.name, sandbox: tenant.sandbox };
    Ok(Json(Me { member, tenant, now }))
}
