//! Credit notes: corrections of final statements.

use super::taxes::line;
use crate::api::Api;
use crate::auth::{Caller, Right, TenantHeader};
use crate::idempotency::{Attempt, KeyHeader, Stop};
use crate::input::{At, Input};
use crate::problem::{Code, Document, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use billing::credit_note::{Asked, CreditNote, CreditNoteRefused};
use billing::ids::{LineId, StatementId};
use billing::store::{self, CreditNoteError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// As many lines as one request names.
const LINES_MAX: usize = 1_000;

/// What to take back of a final statement.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreditNoteRequest {
    /// For the payer to read, 1 to 200 characters on one line.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
    /// Which lines, at most 1,000; all that is billed and not credited yet if left out.
    lines: Option<Vec<LineRequest>>,
}

/// What to take back of a line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LineRequest {
    /// A line that charges something; discounts go back with the line that they are off.
    line_id: LineId,
    /// In whole minor units, as the line is priced; all that is left of it if left out.
    #[schema(minimum = 1_000_000)]
    amount_micros: Option<i64>,
}

/// The credit notes of a statement.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreditNotes {
    /// Oldest first.
    credit_notes: Vec<CreditNote>,
}

impl From<CreditNoteError> for Problem {
    fn from(error: CreditNoteError) -> Self {
        match error {
            CreditNoteError::NoStatement => Problem::not_found("statement"),
            CreditNoteError::Refused(
                refused @ (CreditNoteRefused::TooMuch { .. } | CreditNoteRefused::NothingLeft),
            ) => Problem::new(Code::CreditExceedsStatement, refused.to_string()),
            CreditNoteError::Refused(refused) => Problem::input("lines", refused),
            CreditNoteError::Store(error) => error.into(),
        }
    }
}

/// Correct a final statement by a credit note: as a whole, or some of its lines. The statement stays as it is.
#[utoipa::path(
    post, path = "/v1/statements/{statement_id}/credit-notes", operation_id = "create_credit_note", tag = "operator",
    request_body = CreditNoteRequest,
    params(("statement_id" = Uuid, Path, description = "A final statement"), KeyHeader, TenantHeader),
    responses(
        (status = 201, body = CreditNote),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("operator_token" = [])),
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    At(statement): At<Uuid>,
    Input(asked, ticket): Input<CreditNoteRequest>,
) -> Result<Response, Stop> {
    caller.must_have(Right::DecideForSeller)?;
    let reason = line("reason", &asked.reason)?;
    let asked = match asked.lines {
        None => Asked::Whole,
        Some(lines) if (1..=LINES_MAX).contains(&lines.len()) => {
            Asked::Lines(lines.iter().map(|line| (line.line_id, line.amount_micros)).collect())
        }
        Some(_) => return Err(Problem::input("lines", "must be 1 to 1000").into()),
    };
    let attempt = Attempt::begin(&api, &caller, ticket).await?;
    let of = StatementId(statement);
    match store::issue_credit_note(&attempt, caller.tenant, of, &asked, &reason, api.now()).await {
        Ok(note) => attempt.answer(StatusCode::CREATED, &note).await,
        Err(error) => Err(attempt.refuse(error.into()).await),
    }
}

/// List the credit notes of a final statement.
#[utoipa::path(
    get, path = "/v1/statements/{statement_id}/credit-notes", operation_id = "list_credit_notes", tag = "money",
    params(("statement_id" = Uuid, Path, description = "A final statement"), TenantHeader),
    responses(
        (status = 200, body = CreditNotes),
        (status = "default", description = "A refusal", body = Document, content_type = "application/problem+json"),
    ),
    security(("secret_key" = []), ("session" = []), ("operator_token" = [])),
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    At(statement): At<Uuid>,
) -> Result<Json<CreditNotes>, Problem> {
    caller.must_have(Right::SeeMoney)?;
    let tx = api.db().tenant(caller.tenant).await?;
    let of = StatementId(statement);
    let known = store::statement(&tx, caller.tenant, of).await?;
    let credit_notes = store::credit_notes(&tx, caller.tenant, of).await?;
    tx.commit().await?;
    known.map(|_| Json(CreditNotes { credit_notes })).ok_or_else(|| Problem::not_found("statement"))
}
