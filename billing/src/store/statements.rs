//! Statements as they are read.

use super::{
    StoreError, Who,
    books::{self, Asked},
    clock::clocks,
    credit_notes, credits,
    row::{currency, meter, money, month, stored},
    settlements::{how_statements_stand, standings_said},
};
use crate::{
    collection::{Collect, Decision, Policy, Standing},
    currency::Currency,
    db::{DbError, Transaction},
    ids::{AccountId, CouponId, LineId, PriceId, StatementId, SubscriptionId, TenantId, VendorId},
    money::Money,
    period::Month,
    processor::Processor,
    statement::{self, Books, Line, LineKind, Payer, Period, Statement, Status, Summary, Tab},
    tax::{Taxed, Treatment},
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;
use uuid::Uuid;

/// What an account's open month comes to so far: the current one, or the last one while it is not final yet. The business's own
/// where no account is named.
pub async fn draft(
    tx: &Transaction,
    tenant: TenantId,
    account: Option<AccountId>,
    now: Timestamp,
) -> Result<Statement, StoreError> {
    let (books, month, as_of) = drafted(tx, (tenant, account), now).await?;
    Ok(statement::draft(&books, month, as_of)?)
}

/// What a draft is made of: the books, the open month and the tenant's time.
pub(super) type Drafted = (Books, Month, Timestamp);

/// What the draft is made of.
pub(super) async fn drafted(tx: &Transaction, asked: Asked, now: Timestamp) -> Result<Drafted, StoreError> {
    // A statement that becomes final between two queries would be half in these books.
    tx.all(include_str!("lock_tenant_shared.sql"), &[&asked.0.0.to_string()]).await?;
    drafted_all(tx, &[asked], now).await?.into_values().next().ok_or(StoreError::NoAccount)
}

/// The same of many accounts, in a transaction that sees them at one moment; those that are not there are left out.
pub(super) async fn drafted_all(
    tx: &Transaction,
    asked: &[Asked],
    now: Timestamp,
) -> Result<BTreeMap<Who, Drafted>, StoreError> {
    let tenants: BTreeSet<TenantId> = asked.iter().map(|(tenant, _)| *tenant).collect();
    let clocks = clocks(tx, &tenants, now).await?;
    let mut all: BTreeMap<Who, Drafted> = BTreeMap::new();
    for (who, books) in books::open_all(tx, asked).await? {
        let Some(as_of) = clocks.get(&who.tenant).map(|clock| clock.now) else { continue };
        let month = books.open_month().unwrap_or(Month::of(as_of));
        all.insert(who, (books, month, as_of));
    }
    let open = all.iter_mut().map(|(who, (books, month, _))| (*who, books, *month));
    books::fill_all(tx, open.collect()).await?;
    Ok(all)
}

/// An account's final statements, newest first. The business's own where no account is named.
pub async fn statements(
    tx: &Transaction,
    tenant: TenantId,
    account: Option<AccountId>,
) -> Result<Vec<Summary>, StoreError> {
    let rows = rows(tx, tenant, account).await?;
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let statuses = statuses(tx, tenant, AccountId(first.get("account_id")), currency(first)?).await?;
    rows.iter().map(|row| summary(row, status_of(&statuses, StatementId(row.get("statement_id"))))).collect()
}

/// The same, each with how it stands in plain words.
pub async fn statements_said(
    tx: &Transaction,
    processor: &impl Processor,
    policy: &Policy,
    (tenant, account): (TenantId, Option<AccountId>),
    now: Timestamp,
) -> Result<Vec<(Summary, Option<Standing>)>, StoreError> {
    let rows = rows(tx, tenant, account).await?;
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let who = Who { tenant, account: AccountId(first.get("account_id")) };
    let mut said = standings_said(tx, processor, policy, who, now).await?;
    let read = |row: &Row| {
        let said = said.remove(&StatementId(row.get("statement_id")));
        let status = said.as_ref().map_or(Status::Final, |said| said.status);
        Ok((summary(row, status)?, said.map(|said| said.standing)))
    };
    rows.iter().map(read).collect()
}

async fn rows(tx: &Transaction, tenant: TenantId, account: Option<AccountId>) -> Result<Vec<Row>, DbError> {
    let account = account.map(|account| account.0);
    tx.all(include_str!("statements.sql"), &[&tenant.0, &account]).await
}

fn summary(row: &Row, status: Status) -> Result<Summary, StoreError> {
    Ok(Summary {
        statement_id: StatementId(row.get("statement_id")),
        account_id: AccountId(row.get("account_id")),
        number: row.get("number"),
        status,
        period: period(row),
        total: money(row, "total_micros")?,
        finalized_at: row.get("finalized_at"),
    })
}

/// One final statement.
pub async fn statement(
    tx: &Transaction,
    tenant: TenantId,
    statement: StatementId,
) -> Result<Option<Statement>, StoreError> {
    let Some(row) = tx.optional(include_str!("statement.sql"), &[&tenant.0, &statement.0]).await? else {
        return Ok(None);
    };
    let lines = tx.all(include_str!("statement_lines.sql"), &[&tenant.0, &statement.0]).await?;
    let lines: Vec<Line> = lines.iter().map(line).collect::<Result<_, DbError>>()?;
    let total = money(&row, "total_micros")?;
    let taxes = taxes(tx, tenant, statement, &lines, total).await?;
    let tax = money(&row, "tax_micros")?;
    let statuses = statuses(tx, tenant, AccountId(row.get("account_id")), currency(&row)?).await?;
    let payable = total.minus(money(&row, "credits_micros")?)?;
    let (credits, expired_credits) = credits::of_statement(tx, tenant, statement).await?;
    let account = Payer { account_id: AccountId(row.get("account_id")), name: row.get("name") };
    Ok(Some(Statement {
        statement_id: Some(statement),
        number: Some(row.get("number")),
        status: status_of(&statuses, statement),
        account,
        period: period(&row),
        as_of: row.get("as_of"),
        currency: currency(&row)?,
        lines,
        subtotal: money(&row, "subtotal_micros")?,
        carried_in: money(&row, "carried_in_micros")?,
        taxes,
        total_without_tax: total.minus(tax)?,
        tax,
        total,
        credits,
        payable,
        expired_credits,
        carried_out: money(&row, "carried_out_micros")?,
        tab: tab(&row)?,
        credit_notes: credit_notes::summaries(tx, tenant, statement).await?,
    }))
}

/// The breakdown as it was frozen; of an account that was not taxed, none was.
async fn taxes(
    tx: &Transaction,
    tenant: TenantId,
    statement: StatementId,
    lines: &[Line],
    total: Money,
) -> Result<Vec<Taxed>, StoreError> {
    let rows = tx.all(include_str!("statement_taxes.sql"), &[&tenant.0, &statement.0]).await?;
    if rows.is_empty() && !lines.is_empty() {
        let priced = Money::sum(total.currency, lines.iter().map(|line| line.amount))?;
        return Ok(vec![Taxed::outside(priced, total)]);
    }
    Ok(rows.iter().map(taxed).collect::<Result<_, DbError>>()?)
}

fn taxed(row: &Row) -> Result<Taxed, DbError> {
    let country = row.get::<_, Option<&str>>("country").map(str::parse).transpose().map_err(stored)?;
    Ok(Taxed {
        treatment: Treatment {
            category: row.get::<_, &str>("category").parse().map_err(stored)?,
            country,
            rate_millionths: row.get("rate_millionths"),
            prices_include_tax: row.get("prices_include_tax"),
        },
        reason: row.get("reason"),
        priced: money(row, "priced_micros")?,
        taxable: money(row, "taxable_micros")?,
        tax: money(row, "tax_micros")?,
    })
}

/// Where each statement of an account stands.
async fn statuses(
    tx: &Transaction,
    tenant: TenantId,
    account: AccountId,
    currency: Currency,
) -> Result<BTreeMap<StatementId, Status>, StoreError> {
    let (stands, _) = how_statements_stand(tx, Who { tenant, account }, currency).await?;
    Ok(stands.into_iter().map(|it| (it.statement_id, it.status)).collect())
}

fn status_of(statuses: &BTreeMap<StatementId, Status>, statement: StatementId) -> Status {
    statuses.get(&statement).copied().unwrap_or(Status::Final)
}

fn period(row: &Row) -> Period {
    Period { start: row.get("period_start"), end: row.get("period_end") }
}

fn tab(row: &Row) -> Result<Tab, DbError> {
    let decision = match row.get("collect_decision") {
        "wait" => Decision::Wait,
        "collect" => Decision::Collect,
        other => return Err(stored(format!("a decision {other}"))),
    };
    let collect = Collect { decision, why: row.get("collect_why") };
    Ok(Tab { before: money(row, "tab_before_micros")?, after: money(row, "tab_after_micros")?, collect })
}

fn line(row: &Row) -> Result<Line, DbError> {
    let currency = currency(row)?;
    let kind: LineKind = row.get::<_, &str>("kind").parse().map_err(stored)?;
    Ok(Line {
        line_id: LineId(row.get("line_id")),
        kind,
        description: row.get("description"),
        meter: meter(row)?,
        quantity: row.get("quantity"),
        unit: row.get("unit"),
        unit_size: row.get("unit_size"),
        included: row.get("included"),
        rate: row.get::<_, Option<i64>>("rate_micros").map(|micros| Money::micros(micros, currency)),
        amount: money(row, "amount_micros")?,
        for_month: (kind == LineKind::Adjustment).then(|| month(row)),
        subscription_id: SubscriptionId(row.get("subscription_id")),
        price_id: PriceId(row.get("price_id")),
        vendor_id: VendorId(row.get("vendor_id")),
        tax_group: row.get("tax_group"),
        coupon_id: row.get::<_, Option<Uuid>>("coupon_id").map(CouponId),
        discounts: row.get::<_, Option<Uuid>>("discounts").map(LineId),
    })
}
