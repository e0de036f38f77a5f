//! Makes a month final: numbered, frozen with its hours, and posted, in one transaction.

use super::{StoreError, books, drilldown::hours_of, ledger::post, row::new_id};
use crate::{
    charge::Charge,
    collection::Decision,
    db::{DbError, Transaction},
    ids::{StatementId, TenantId},
    ledger::Posted,
    period::Month,
    statement::{self, Books, Line, LineKind, Statement, Summary},
};
use jiff::Timestamp;
use tokio_postgres::Row;

/// Whose numbers a statement takes.
const OPERATOR: &str = "operator";
/// Rehearsals take no number from the real books.
const SANDBOX: &str = "sandbox";

/// Why a month was not made final.
#[derive(Debug, thiserror::Error)]
pub enum FinaliseError {
    /// It still grows.
    #[error("{month} ends at {}", month.end())]
    NotEnded {
        /// Which month.
        month: Month,
    },
    /// Months become final in order, from the first one with a subscription.
    #[error("{month} cannot become final: the open month is {open:?}")]
    OutOfOrder {
        /// Which month.
        month: Month,
        /// Which month comes first.
        open: Option<Month>,
    },
    /// Something failed; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a month final at a time of the tenant's. A month that is final already is answered as it is; two runners at
/// once are one after the other.
pub async fn finalise(
    tx: &Transaction,
    tenant: TenantId,
    month: Month,
    at: Timestamp,
) -> Result<Summary, FinaliseError> {
    lock(tx, tenant).await?;
    let books = books::open(tx, tenant).await?;
    if let Some(existing) = existing(tx, tenant, month).await? {
        return Ok(existing);
    }
    let open = books.open_month();
    if open != Some(month) {
        return Err(FinaliseError::OutOfOrder { month, open });
    }
    if at < month.end() {
        return Err(FinaliseError::NotEnded { month });
    }
    Ok(close(tx, tenant, books, month, at).await?)
}

/// Makes every month final that has ended by a time of the tenant's, in order.
pub async fn finalise_ended(
    tx: &Transaction,
    tenant: TenantId,
    ended_by: Timestamp,
    at: Timestamp,
) -> Result<Vec<Summary>, StoreError> {
    lock(tx, tenant).await?;
    let mut finalised = Vec::new();
    loop {
        let books = match books::open(tx, tenant).await {
            Err(StoreError::NoAccount) => return Ok(finalised),
            books => books?,
        };
        match books.open_month() {
            Some(month) if month.end() <= ended_by => {
                finalised.push(close(tx, tenant, books, month, at).await?);
            }
            _ => return Ok(finalised),
        }
    }
}

/// From here to the end of the transaction no fact of the tenant comes in and nobody else finalises.
pub(super) async fn lock(tx: &Transaction, tenant: TenantId) -> Result<(), StoreError> {
    tx.all(include_str!("lock_tenant.sql"), &[&tenant.0.to_string()]).await?;
    Ok(())
}

async fn existing(tx: &Transaction, tenant: TenantId, month: Month) -> Result<Option<Summary>, StoreError> {
    let summaries = super::statements(tx, tenant).await?;
    Ok(summaries.into_iter().find(|summary| summary.period.start == month.start()))
}

async fn close(
    tx: &Transaction,
    tenant: TenantId,
    mut books: Books,
    month: Month,
    at: Timestamp,
) -> Result<Summary, StoreError> {
    books::fill(tx, tenant, &mut books, month).await?;
    let draft = statement::draft(&books, month, month.end())?;
    let mut hours = Vec::new();
    for line in draft.lines.iter().filter(|line| line.kind != LineKind::Recurring) {
        hours.push((line.clone(), hours_of(tx, tenant, &books, line, month, month.next().first()).await?));
    }
    let id = StatementId(new_id(at));
    let number = take_number(tx, tenant).await?;
    let last = draft.finalised(id, number.get("number"));
    insert(tx, tenant, &last, &number, at).await?;
    for (position, line) in (1..).zip(&last.lines) {
        insert_line(tx, tenant, id, position, line, month, at).await?;
    }
    for (line, charges) in &hours {
        insert_charges(tx, tenant, line, charges, at).await?;
    }
    match post(tx, tenant, &last.posting(id)?, at).await? {
        Posted::Created => Ok(summary(&last, id, at)),
        Posted::Exists | Posted::ExistsWithDifferentAmount => {
            Err(DbError::Stored(format!("the ledger knows the new statement {id} already")).into())
        }
    }
}

/// The series' row stays locked until the transaction ends, so this comes as late as it can.
async fn take_number(tx: &Transaction, tenant: TenantId) -> Result<Row, DbError> {
    let tenant = tx.one(include_str!("tenant_clock.sql"), &[&tenant.0]).await?;
    let entity = if tenant.get("sandbox") { SANDBOX } else { OPERATOR };
    let row = tx.optional(include_str!("next_number.sql"), &[&entity]).await?;
    row.filter(|row| row.get::<_, Option<i64>>("series_number").is_some())
        .ok_or_else(|| DbError::Stored(format!("there is no number series {entity}")))
}

async fn insert(
    tx: &Transaction,
    tenant: TenantId,
    last: &Statement,
    number: &Row,
    at: Timestamp,
) -> Result<(), DbError> {
    let decision = match last.tab.collect.decision {
        Decision::Wait => "wait",
        Decision::Collect => "collect",
    };
    tx.run(
        include_str!("insert_statement.sql"),
        &[
            &tenant.0,
            &last.account.account_id.0,
            &last.statement_id.map(|id| id.0),
            &number.get::<_, String>("legal_entity"),
            &number.get::<_, i64>("series_number"),
            &last.number,
            &last.period.start,
            &last.period.end,
            &last.as_of,
            &last.currency.code(),
            &last.subtotal.micros,
            &last.carried_in.micros,
            &last.total.micros,
            &last.carried_out.micros,
            &last.tab.before.micros,
            &last.tab.after.micros,
            &decision,
            &last.tab.collect.why,
            &at,
        ],
    )
    .await?;
    Ok(())
}

async fn insert_line(
    tx: &Transaction,
    tenant: TenantId,
    statement: StatementId,
    position: i32,
    line: &Line,
    month: Month,
    at: Timestamp,
) -> Result<(), DbError> {
    tx.run(
        include_str!("insert_line.sql"),
        &[
            &tenant.0,
            &statement.0,
            &line.line_id.0,
            &position,
            &line.kind.as_str(),
            &line.description,
            &line.meter.map(|meter| meter.as_str()),
            &line.quantity,
            &line.unit,
            &line.unit_size,
            &line.included,
            &line.rate.map(|rate| rate.micros),
            &line.amount.micros,
            &line.amount.currency.code(),
            &line.for_month.unwrap_or(month).first_day(),
            &line.subscription_id.0,
            &line.price_id.0,
            &line.vendor_id.0,
            &at,
        ],
    )
    .await?;
    Ok(())
}

async fn insert_charges(
    tx: &Transaction,
    tenant: TenantId,
    line: &Line,
    charges: &[Charge],
    at: Timestamp,
) -> Result<(), DbError> {
    let hours: Vec<Timestamp> = charges.iter().map(|charge| charge.hour.start()).collect();
    let quantities: Vec<i64> = charges.iter().map(|charge| charge.quantity.unwrap_or(0)).collect();
    let micros: Vec<i64> = charges.iter().map(|charge| charge.amount.micros).collect();
    tx.run(
        include_str!("insert_charges.sql"),
        &[
            &tenant.0,
            &line.line_id.0,
            &line.subscription_id.0,
            &line.price_id.0,
            &hours,
            &quantities,
            &micros,
            &line.amount.currency.code(),
            &at,
        ],
    )
    .await?;
    Ok(())
}

fn summary(last: &Statement, statement_id: StatementId, finalized_at: Timestamp) -> Summary {
    Summary {
        statement_id,
        number: last.number.clone().unwrap_or_default(),
        status: last.status,
        period: last.period,
        total: last.total,
        finalized_at,
    }
}
