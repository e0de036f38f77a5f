//! Writes final statements, however many at once.
//!
//! What nobody else waits for is written first. The numbers come last: whoever takes one holds its series until the
//! transaction ends.

mod statements;

use super::{
    Who,
    ledger::{CREDIT_EXPIRY, STATEMENT, post_all},
    row::stored,
};
use crate::{
    charge::Charge,
    credit::CreditPart,
    db::{DbError, Transaction},
    ids::StatementId,
    ledger,
    period::Month,
    statement::{Line, Statement, Status, Summary},
};
use jiff::Timestamp;
use std::collections::HashMap;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// Whose numbers a statement takes.
const OPERATOR: &str = "operator";
/// Rehearsals take no number from the real books.
const SANDBOX: &str = "sandbox";

/// A month that has everything but its number.
pub(super) struct Sealed {
    pub(super) who: Who,
    /// Takes its number from the rehearsals' series.
    pub(super) sandbox: bool,
    pub(super) id: StatementId,
    pub(super) month: Month,
    pub(super) draft: Statement,
    /// Of each line that keeps its hours, by its place.
    pub(super) hours: Vec<(usize, Vec<Charge>)>,
    pub(super) posting: ledger::Transaction,
    /// Of credits that ran out.
    pub(super) expiries: Vec<ledger::Transaction>,
    /// In the tenant's time.
    pub(super) at: Timestamp,
}

/// Freezes months, with their hours and postings, and answers with what they are called from now on.
pub(super) async fn freeze(tx: &Transaction, sealed: Vec<Sealed>) -> Result<Vec<(Who, Summary)>, DbError> {
    let postings: Vec<_> = sealed.iter().map(|it| (it.who.tenant, &it.posting, it.at)).collect();
    post_all(tx, STATEMENT, &postings).await?;
    let expiries =
        sealed.iter().flat_map(|it| it.expiries.iter().map(|expiry| (it.who.tenant, expiry, it.at)));
    post_all(tx, CREDIT_EXPIRY, &expiries.collect::<Vec<_>>()).await?;
    insert_credit_uses(tx, &sealed).await?;
    insert_charges(tx, &sealed).await?;
    let (rehearsals, real): (Vec<_>, Vec<_>) = sealed.into_iter().partition(|it| it.sandbox);
    let mut summaries = Vec::new();
    // Always in this order, so that two who close never wait for each other's series.
    for (entity, sealed) in [(OPERATOR, real), (SANDBOX, rehearsals)] {
        if !sealed.is_empty() {
            summaries.extend(number(tx, entity, sealed).await?);
        }
    }
    Ok(summaries)
}

/// Writes statements, which take the next numbers of a series.
async fn number(tx: &Transaction, entity: &str, sealed: Vec<Sealed>) -> Result<Vec<(Who, Summary)>, DbError> {
    let rows = {
        let columns = statements::columns(&entity, &sealed);
        let columns: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column.as_ref() as _).collect();
        tx.all(include_str!("insert_statements.sql"), &columns).await?
    };
    all_written(rows.len() as u64, sealed.len())?;
    let mut numbers: HashMap<Uuid, String> =
        rows.iter().map(|row| (row.get("statement_id"), row.get("number"))).collect();
    sealed.into_iter().map(|it| Ok((it.who, it.summary(&mut numbers)?))).collect()
}

impl Sealed {
    fn summary(self, numbers: &mut HashMap<Uuid, String>) -> Result<Summary, DbError> {
        let number = numbers.remove(&self.id.0).ok_or_else(|| stored("a statement has no number"))?;
        let Statement { account, period, total, .. } = self.draft;
        let status = Status::Final;
        let (statement_id, account_id) = (self.id, account.account_id);
        Ok(Summary { statement_id, account_id, number, status, period, total, finalized_at: self.at })
    }
}

/// What becomes of credits, of those who have some.
async fn insert_credit_uses(tx: &Transaction, all: &[Sealed]) -> Result<(), DbError> {
    let mut parts: Vec<(&Sealed, &str, &CreditPart)> = Vec::new();
    for it in all {
        parts.extend(it.draft.credits.iter().map(|part| (it, "used", part)));
        parts.extend(it.draft.expired_credits.iter().map(|part| (it, "expired", part)));
    }
    if parts.is_empty() {
        return Ok(());
    }
    let written = tx
        .run(
            include_str!("insert_credit_uses.sql"),
            &[
                &column(&parts, |(it, ..)| it.who.tenant.0),
                &column(&parts, |(.., part)| part.credit_id.0),
                &column(&parts, |(it, ..)| it.id.0),
                &column(&parts, |(_, kind, _)| *kind),
                &column(&parts, |(.., part)| part.amount.micros),
                &column(&parts, |(.., part)| part.amount.currency.code()),
                &column(&parts, |(it, ..)| it.at),
            ],
        )
        .await?;
    all_written(written, parts.len())
}

async fn insert_charges(tx: &Transaction, all: &[Sealed]) -> Result<(), DbError> {
    let mut charges: Vec<(&Sealed, &Line, &Charge)> = Vec::new();
    for it in all {
        for (place, hours) in &it.hours {
            charges.extend(hours.iter().map(|charge| (it, &it.draft.lines[*place], charge)));
        }
    }
    if charges.is_empty() {
        return Ok(());
    }
    let written = tx
        .run(
            include_str!("insert_charges.sql"),
            &[
                &column(&charges, |(it, ..)| it.who.tenant.0),
                &column(&charges, |(_, line, _)| line.line_id.0),
                &column(&charges, |(.., charge)| charge.hour.start()),
                &column(&charges, |(_, line, _)| line.subscription_id.0),
                &column(&charges, |(_, line, _)| line.price_id.0),
                &column(&charges, |(.., charge)| charge.quantity.unwrap_or(0)),
                &column(&charges, |(.., charge)| charge.amount.micros),
                &column(&charges, |(.., charge)| charge.amount.currency.code()),
                &column(&charges, |(it, ..)| it.at),
            ],
        )
        .await?;
    all_written(written, charges.len())
}

/// One column of many rows.
pub(super) fn column<'a, Row, Value>(rows: &'a [Row], of: impl Fn(&'a Row) -> Value) -> Vec<Value> {
    rows.iter().map(of).collect()
}

/// A row that the database left out without a word must not be.
pub(super) fn all_written(written: u64, wanted: usize) -> Result<(), DbError> {
    match usize::try_from(written) {
        Ok(written) if written == wanted => Ok(()),
        _ => Err(stored(format!("{written} rows were written instead of {wanted}"))),
    }
}
