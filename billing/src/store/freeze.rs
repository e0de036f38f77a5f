//! Writes final statements, however many at once: one statement of SQL a table.
//!
//! What nobody else waits for is written first. The numbers come last: whoever takes one holds its series until the
//! transaction ends.

use super::{
    ledger::{CREDIT_EXPIRY, STATEMENT, post_all},
    row::stored,
};
use crate::{
    charge::Charge,
    collection::Decision,
    credit::CreditPart,
    db::{DbError, Transaction},
    ids::{StatementId, TenantId},
    ledger,
    period::Month,
    statement::{Line, Statement, Summary},
    tax::Taxed,
    usage::Meter,
};
use jiff::Timestamp;

/// Whose numbers a statement takes.
const OPERATOR: &str = "operator";
/// Rehearsals take no number from the real books.
const SANDBOX: &str = "sandbox";

/// A month that has everything but its number.
pub(super) struct Sealed {
    pub(super) tenant: TenantId,
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
pub(super) async fn freeze(
    tx: &Transaction,
    sealed: Vec<Sealed>,
) -> Result<Vec<(TenantId, Summary)>, DbError> {
    let postings: Vec<_> = sealed.iter().map(|it| (it.tenant, &it.posting, it.at)).collect();
    post_all(tx, STATEMENT, &postings).await?;
    let expiries = sealed.iter().flat_map(|it| it.expiries.iter().map(|expiry| (it.tenant, expiry, it.at)));
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

/// Gives the next numbers of a series and writes who has them.
async fn number(
    tx: &Transaction,
    entity: &str,
    sealed: Vec<Sealed>,
) -> Result<Vec<(TenantId, Summary)>, DbError> {
    let count = i64::try_from(sealed.len()).map_err(stored)?;
    let taken = tx.one(include_str!("take_numbers.sql"), &[&entity, &count]).await?;
    let no_series = || stored(format!("there is no number series {entity}"));
    let first: i64 = taken.get::<_, Option<i64>>("first_number").ok_or_else(no_series)?;
    let prefix: &str = taken.get("number_prefix");
    let numbered: Vec<Numbered> = (first..)
        .zip(sealed)
        .map(|(place, it)| {
            let statement = it.draft.finalised(it.id, format!("{prefix}-{place:06}"));
            Numbered { tenant: it.tenant, place, month: it.month, statement, at: it.at }
        })
        .collect();
    insert_statements(tx, entity, &numbered).await?;
    insert_lines(tx, &numbered).await?;
    insert_taxes(tx, &numbered).await?;
    Ok(numbered.into_iter().map(Numbered::summary).collect())
}

/// A month with its number.
struct Numbered {
    tenant: TenantId,
    /// In its series.
    place: i64,
    month: Month,
    statement: Statement,
    at: Timestamp,
}

impl Numbered {
    fn id(&self) -> StatementId {
        self.statement.statement_id.expect("it is final")
    }

    fn summary(self) -> (TenantId, Summary) {
        let statement_id = self.id();
        let Statement { number, status, period, total, .. } = self.statement;
        let number = number.unwrap_or_default();
        (self.tenant, Summary { statement_id, number, status, period, total, finalized_at: self.at })
    }
}

async fn insert_statements(tx: &Transaction, entity: &str, all: &[Numbered]) -> Result<(), DbError> {
    let decision = |it: &Numbered| match it.statement.tab.collect.decision {
        Decision::Wait => "wait",
        Decision::Collect => "collect",
    };
    let written = tx
        .run(
            include_str!("insert_statements.sql"),
            &[
                &entity,
                &column(all, |it| it.tenant.0),
                &column(all, |it| it.statement.account.account_id.0),
                &column(all, |it| it.id().0),
                &column(all, |it| it.place),
                &column(all, |it| it.statement.number.as_deref()),
                &column(all, |it| it.statement.period.start),
                &column(all, |it| it.statement.period.end),
                &column(all, |it| it.statement.as_of),
                &column(all, |it| it.statement.currency.code()),
                &column(all, |it| it.statement.subtotal.micros),
                &column(all, |it| it.statement.carried_in.micros),
                &column(all, |it| it.statement.total.micros),
                &column(all, |it| it.statement.carried_out.micros),
                &column(all, |it| it.statement.tab.before.micros),
                &column(all, |it| it.statement.tab.after.micros),
                &column(all, decision),
                &column(all, |it| it.statement.tab.collect.why.as_str()),
                &column(all, |it| it.at),
                &column(all, |it| it.statement.tax.micros),
                &column(all, |it| it.statement.tax_on_top().micros),
                &column(all, |it| it.statement.credits.iter().map(|part| part.amount.micros).sum::<i64>()),
            ],
        )
        .await?;
    all_written(written, all.len())
}

async fn insert_lines(tx: &Transaction, all: &[Numbered]) -> Result<(), DbError> {
    let placed = |it| (1_i32..).zip(Numbered::lines(it)).map(move |(place, line)| (it, place, line));
    let lines: Vec<(&Numbered, i32, &Line)> = all.iter().flat_map(placed).collect();
    let written = tx
        .run(
            include_str!("insert_lines.sql"),
            &[
                &column(&lines, |(it, ..)| it.tenant.0),
                &column(&lines, |(it, ..)| it.id().0),
                &column(&lines, |(.., line)| line.line_id.0),
                &column(&lines, |(_, place, _)| *place),
                &column(&lines, |(.., line)| line.kind.as_str()),
                &column(&lines, |(.., line)| line.description.as_str()),
                &column(&lines, |(.., line)| line.meter.as_ref().map(Meter::as_str)),
                &column(&lines, |(.., line)| line.quantity),
                &column(&lines, |(.., line)| line.unit.as_str()),
                &column(&lines, |(.., line)| line.unit_size),
                &column(&lines, |(.., line)| line.included),
                &column(&lines, |(.., line)| line.rate.map(|rate| rate.micros)),
                &column(&lines, |(.., line)| line.amount.micros),
                &column(&lines, |(.., line)| line.amount.currency.code()),
                &column(&lines, |(it, _, line)| line.for_month.unwrap_or(it.month).first_day()),
                &column(&lines, |(.., line)| line.subscription_id.0),
                &column(&lines, |(.., line)| line.price_id.0),
                &column(&lines, |(.., line)| line.vendor_id.0),
                &column(&lines, |(it, ..)| it.at),
                &column(&lines, |(.., line)| line.tax_group),
                &column(&lines, |(.., line)| line.coupon_id.map(|coupon| coupon.0)),
                &column(&lines, |(.., line)| line.discounts.map(|line| line.0)),
            ],
        )
        .await?;
    all_written(written, lines.len())
}

/// The breakdowns of accounts that are taxed.
async fn insert_taxes(tx: &Transaction, all: &[Numbered]) -> Result<(), DbError> {
    let taxed = all.iter().filter(|it| it.lines().iter().any(|line| line.tax_group.is_some()));
    let placed = |it| (1_i32..).zip(Numbered::taxes(it)).map(move |(place, part)| (it, place, part));
    let parts: Vec<(&Numbered, i32, &Taxed)> = taxed.flat_map(placed).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let written = tx
        .run(
            include_str!("insert_taxes.sql"),
            &[
                &column(&parts, |(it, ..)| it.tenant.0),
                &column(&parts, |(it, ..)| it.id().0),
                &column(&parts, |(_, place, _)| *place),
                &column(&parts, |(.., part)| part.treatment.category.code()),
                &column(&parts, |(.., part)| part.treatment.country.map(|country| country.to_string())),
                &column(&parts, |(.., part)| part.treatment.rate_millionths),
                &column(&parts, |(.., part)| part.treatment.prices_include_tax),
                &column(&parts, |(.., part)| part.reason.as_deref()),
                &column(&parts, |(.., part)| part.priced.micros),
                &column(&parts, |(.., part)| part.taxable.micros),
                &column(&parts, |(.., part)| part.tax.micros),
                &column(&parts, |(.., part)| part.tax.currency.code()),
                &column(&parts, |(it, ..)| it.at),
            ],
        )
        .await?;
    all_written(written, parts.len())
}

impl Numbered {
    fn lines(&self) -> &[Line] {
        &self.statement.lines
    }

    fn taxes(&self) -> &[Taxed] {
        &self.statement.taxes
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
                &column(&parts, |(it, ..)| it.tenant.0),
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
                &column(&charges, |(it, ..)| it.tenant.0),
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
