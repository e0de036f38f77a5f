//! Statements, and a statement taken apart: lines, their hours, the calls of an hour.

use super::whose::Whose;
use crate::api::Api;
use crate::auth::{Caller, Right};
use crate::input::{Ask, At};
use crate::problem::{Document, Problem};
use axum::Json;
use axum::extract::State;
use billing::collection::{DEFAULT_POLICY, Standing};
use billing::drilldown::{HourCalls, LineHours};
use billing::ids::{LineId, StatementId};
use billing::statement::{Statement, Summary};
use billing::store::{StatementRef, Who};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The final statements.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Statements {
    /// Newest first.
    statements: Vec<Listed>,
}

/// A final statement in a list, with how it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed {
    #[serde(flatten)]
    summary: Summary,
    /// What is paid and what is on the tab, in plain words.
    standing: Option<Standing>,
}

/// A statement, with how it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Read {
    #[serde(flatten)]
    statement: Statement,
    /// What is paid and what is on the tab, in plain words; null while it is a draft.
    standing: Option<Standing>,
}

/// `draft`, or the id of a final statement.
fn which(text: &str) -> Result<StatementRef, Problem> {
    if text == "draft" {
        return Ok(StatementRef::Draft);
    }
    let id: Uuid = text.parse().map_err(|_| not_found("statement"))?;
    Ok(StatementRef::Final(StatementId(id)))
}

fn not_found(what: &str) -> Problem {
    Problem::not_found(what)
}

/// List the final statements of the business or of one of its people, newest first.
#[utoipa::path(
    get, path = "/v1/statements", operation_id = "list_statements", tag = "money",
    params(Whose),
    responses(
        (status = 200, body = Statements),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Ask(whose): Ask<Whose>,
) -> Result<Json<Statements>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let (processor, now) = (api.processor(), api.now());
    let of = (caller.tenant, whose.account(&tx, caller.tenant).await?);
    let statements = billing::store::statements_said(&tx, &processor, &DEFAULT_POLICY, of, now).await?;
    tx.commit().await?;
    let listed = |(summary, standing)| Listed { summary, standing };
    Ok(Json(Statements { statements: statements.into_iter().map(listed).collect() }))
}

/// Read a final statement, or what the current month comes to so far.
#[utoipa::path(
    get, path = "/v1/statements/{statement_id}", operation_id = "read_statement", tag = "money",
    params(
        ("statement_id" = String, Path, description = "A statement's id, or `draft` for the current month", example = "draft"),
        Whose,
    ),
    responses(
        (status = 200, body = Read),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    At(statement): At<String>,
    Ask(whose): Ask<Whose>,
) -> Result<Json<Read>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let which = which(&statement)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let account = whose.account(&tx, caller.tenant).await?;
    let statement = match which {
        StatementRef::Draft => Some(billing::store::draft(&tx, caller.tenant, account, api.now()).await?),
        StatementRef::Final(id) => billing::store::statement(&tx, caller.tenant, id).await?,
    };
    let is_theirs = |it: &Statement| account.is_none_or(|account| it.account.account_id == account);
    let statement = statement.filter(is_theirs).ok_or_else(|| not_found("statement"))?;
    let standing = match statement.statement_id {
        None => None,
        Some(id) => {
            let who = Who { tenant: caller.tenant, account: statement.account.account_id };
            let (processor, now) = (api.processor(), api.now());
            let mut said = billing::store::standings_said(&tx, &processor, &DEFAULT_POLICY, who, now).await?;
            said.remove(&id).map(|said| said.standing)
        }
    };
    tx.commit().await?;
    Ok(Json(Read { statement, standing }))
}

/// Take a line apart into its hours. Their amounts add up to the line's.
#[utoipa::path(
    get, path = "/v1/statements/{statement_id}/lines/{line_id}/hours", operation_id = "list_line_hours", tag = "money",
    params(
        ("statement_id" = String, Path, description = "A statement's id, or `draft`", example = "draft"),
        ("line_id" = Uuid, Path, description = "A line of it"),
    ),
    responses(
        (status = 200, body = LineHours),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn hours(
    State(api): State<Api>,
    caller: Caller,
    At((statement, line_id)): At<(String, Uuid)>,
) -> Result<Json<LineHours>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let which = which(&statement)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let hours = billing::store::line_hours(&tx, caller.tenant, which, LineId(line_id), api.now()).await?;
    tx.commit().await?;
    hours.map(Json).ok_or_else(|| not_found("line"))
}

/// Take an hour of a line apart into the calls behind it.
#[utoipa::path(
    get, path = "/v1/statements/{statement_id}/lines/{line_id}/hours/{hour}/calls", operation_id = "list_hour_calls", tag = "money",
    params(
        ("statement_id" = String, Path, description = "A statement's id, or `draft`", example = "draft"),
        ("line_id" = Uuid, Path, description = "A line of it"),
        ("hour" = String, Path, description = "An hour of it: its first instant, UTC", example = "2026-11-21T14:00:00Z"),
    ),
    responses(
        (status = 200, body = HourCalls),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = [])),
)]
pub(super) async fn calls(
    State(api): State<Api>,
    caller: Caller,
    At((statement, line_id, hour)): At<(String, Uuid, String)>,
) -> Result<Json<HourCalls>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let which = which(&statement)?;
    let hour: Timestamp =
        hour.parse().map_err(|_| not_found("hour: it must be a time such as 2026-11-21T14:00:00Z"))?;
    let tx = api.db().tenant(caller.tenant).await?;
    let calls =
        billing::store::hour_calls(&tx, caller.tenant, which, LineId(line_id), hour, api.now()).await?;
    tx.commit().await?;
    calls.map(Json).ok_or_else(|| not_found("hour of this line"))
}
