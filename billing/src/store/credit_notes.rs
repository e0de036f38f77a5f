//! Credit notes, in their tables.

use super::{
    StoreError,
    clock::tenant_clock,
    finalise::lock,
    freeze::{all_written, column},
    ledger::{CREDIT_NOTE, post_as},
    row::{currency, money, new_id, stored},
    statements::statement,
};
use crate::{
    credit_note::{
        Asked, Correction, CreditNote, CreditNoteRefused, CreditNoteSummary, CreditedLine, CreditedTax,
        draw_up,
    },
    db::{DbError, Transaction},
    ids::{CreditNoteId, LineId, StatementId, TenantId, VendorId},
    money::Money,
    tax::Treatment,
};
use jiff::Timestamp;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// Whose numbers a credit note takes.
const OPERATOR: &str = "operator credit notes";
/// Rehearsals take no number from the real books.
const SANDBOX: &str = "sandbox credit notes";

/// Why no credit note was made.
#[derive(Debug, thiserror::Error)]
pub enum CreditNoteError {
    /// There is no such final statement.
    #[error("there is no such statement")]
    NoStatement,
    /// It would take back what was not billed.
    #[error(transparent)]
    Refused(#[from] CreditNoteRefused),
    /// Something failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for CreditNoteError {
    fn from(error: DbError) -> Self {
        Self::Store(error.into())
    }
}

/// Corrects a final statement: numbered, frozen and posted. The request's idempotency is the caller's business.
pub async fn issue_credit_note(
    tx: &Transaction,
    tenant: TenantId,
    of: StatementId,
    asked: &Asked,
    reason: &str,
    now: Timestamp,
) -> Result<CreditNote, CreditNoteError> {
    // Two corrections at once are one after the other, and no statement becomes final between reading and posting.
    lock(tx, tenant).await?;
    let corrected = statement(tx, tenant, of).await?.ok_or(CreditNoteError::NoStatement)?;
    let before = credit_notes(tx, tenant, of).await?;
    let before: Vec<Correction> = before.into_iter().map(|note| note.correction).collect();
    let correction = draw_up(&corrected, &before, asked)?;
    let clock = tenant_clock(tx, tenant, now).await?;
    let (id, issued_at) = (CreditNoteId(new_id(clock.now)), clock.now);
    let posting = correction.posting(id, &corrected).map_err(StoreError::from)?;
    post_as(tx, tenant, CREDIT_NOTE, &posting, issued_at).await?;
    let entity = if clock.sandbox { SANDBOX } else { OPERATOR };
    let (place, number) = next_number(tx, entity).await?;
    let account = corrected.account.account_id.0;
    let params: [&(dyn ToSql + Sync); 13] = [
        &tenant.0,
        &account,
        &id.0,
        &of.0,
        &entity,
        &place,
        &number,
        &reason,
        &corrected.currency.code(),
        &correction.total_without_tax.micros,
        &correction.tax.micros,
        &correction.total.micros,
        &issued_at,
    ];
    tx.run(include_str!("insert_credit_note.sql"), &params).await?;
    insert_lines(tx, tenant, (id, of), &correction.lines, issued_at).await?;
    insert_taxes(tx, tenant, (id, of), &correction.taxes, issued_at).await?;
    let reason = reason.to_owned();
    Ok(CreditNote { credit_note_id: id, number, statement_id: of, reason, issued_at, correction })
}

async fn next_number(tx: &Transaction, entity: &str) -> Result<(i64, String), DbError> {
    let taken = tx.one(include_str!("take_numbers.sql"), &[&entity, &1_i64]).await?;
    let place: Option<i64> = taken.get("first_number");
    let place = place.ok_or_else(|| stored(format!("there is no number series {entity}")))?;
    Ok((place, format!("{}-{place:06}", taken.get::<_, &str>("number_prefix"))))
}

async fn insert_lines(
    tx: &Transaction,
    tenant: TenantId,
    (id, of): (CreditNoteId, StatementId),
    lines: &[CreditedLine],
    at: Timestamp,
) -> Result<(), DbError> {
    let params: [&(dyn ToSql + Sync); 9] = [
        &tenant.0,
        &id.0,
        &of.0,
        &at,
        &column(lines, |line| line.line_id.0),
        &column(lines, |line| line.vendor_id.0),
        &column(lines, |line| line.tax_group),
        &column(lines, |line| line.amount.micros),
        &column(lines, |line| line.billed.micros),
    ];
    all_written(tx.run(include_str!("insert_credit_note_lines.sql"), &params).await?, lines.len())
}

async fn insert_taxes(
    tx: &Transaction,
    tenant: TenantId,
    (id, of): (CreditNoteId, StatementId),
    taxes: &[CreditedTax],
    at: Timestamp,
) -> Result<(), DbError> {
    let params: [&(dyn ToSql + Sync); 11] = [
        &tenant.0,
        &id.0,
        &of.0,
        &at,
        &column(taxes, |part| part.tax_group),
        &column(taxes, |part| part.treatment.category.code()),
        &column(taxes, |part| part.treatment.country.map(|country| country.to_string())),
        &column(taxes, |part| part.treatment.rate_millionths),
        &column(taxes, |part| part.treatment.prices_include_tax),
        &column(taxes, |part| part.taxable.micros),
        &column(taxes, |part| part.tax.micros),
    ];
    all_written(tx.run(include_str!("insert_credit_note_taxes.sql"), &params).await?, taxes.len())
}

/// The credit notes of a statement, oldest first.
pub async fn credit_notes(
    tx: &Transaction,
    tenant: TenantId,
    of: StatementId,
) -> Result<Vec<CreditNote>, StoreError> {
    let params: [&(dyn ToSql + Sync); 2] = [&tenant.0, &of.0];
    let heads = tx.all(include_str!("credit_notes.sql"), &params).await?;
    if heads.is_empty() {
        return Ok(Vec::new());
    }
    let mut notes = heads.iter().map(note).collect::<Result<Vec<CreditNote>, DbError>>()?;
    let find = |notes: &mut Vec<CreditNote>, row: &Row| {
        let id = CreditNoteId(row.get("credit_note_id"));
        notes.iter().position(|note| note.credit_note_id == id).expect("a part is of a note of the statement")
    };
    for row in tx.all(include_str!("credit_note_lines.sql"), &params).await? {
        let at = find(&mut notes, &row);
        notes[at].correction.lines.push(CreditedLine {
            line_id: LineId(row.get("line_id")),
            vendor_id: VendorId(row.get("vendor_id")),
            amount: money(&row, "amount_micros")?,
            billed: money(&row, "billed_micros")?,
            tax_group: row.get("tax_group"),
        });
    }
    for row in tx.all(include_str!("credit_note_taxes.sql"), &params).await? {
        let at = find(&mut notes, &row);
        notes[at].correction.taxes.push(part(&row)?);
    }
    Ok(notes)
}

/// A note without its parts.
fn note(row: &Row) -> Result<CreditNote, DbError> {
    Ok(CreditNote {
        credit_note_id: CreditNoteId(row.get("credit_note_id")),
        number: row.get("number"),
        statement_id: StatementId(row.get("statement_id")),
        reason: row.get("reason"),
        issued_at: row.get("issued_at"),
        correction: Correction {
            lines: Vec::new(),
            taxes: Vec::new(),
            total_without_tax: money(row, "net_micros")?,
            tax: money(row, "tax_micros")?,
            total: money(row, "total_micros")?,
        },
    })
}

fn part(row: &Row) -> Result<CreditedTax, DbError> {
    let currency = currency(row)?;
    let country = row.get::<_, Option<&str>>("country").map(str::parse).transpose().map_err(stored)?;
    Ok(CreditedTax {
        tax_group: row.get("tax_group"),
        treatment: Treatment {
            category: row.get::<_, &str>("category").parse().map_err(stored)?,
            country,
            rate_millionths: row.get("rate_millionths"),
            prices_include_tax: row.get("prices_include_tax"),
        },
        taxable: Money::micros(row.get("taxable_micros"), currency),
        tax: Money::micros(row.get("tax_micros"), currency),
    })
}

/// The credit notes of a statement in short, oldest first.
pub(super) async fn summaries(
    tx: &Transaction,
    tenant: TenantId,
    of: StatementId,
) -> Result<Vec<CreditNoteSummary>, DbError> {
    let read = |row: &Row| {
        Ok(CreditNoteSummary {
            credit_note_id: CreditNoteId(row.get::<_, Uuid>("credit_note_id")),
            number: row.get("number"),
            total: money(row, "total_micros")?,
            issued_at: row.get("issued_at"),
        })
    };
    tx.all(include_str!("credit_notes.sql"), &[&tenant.0, &of.0]).await?.iter().map(read).collect()
}
