//! Takes a statement apart: a line into its hours, an hour into its calls.

use super::{
    StoreError, books,
    freeze::column,
    row::{hour, money},
    statements::{drafted, statement},
};
use crate::{
    charge::{self, Charge},
    db::{DbError, Transaction},
    drilldown::{CallShare, HourCalls, LineHour, LineHours, ParticipantShare},
    ids::{AccountId, LineId, StatementId, TenantId},
    money::MoneyError,
    period::{Hour, Month},
    price::Price,
    statement::{self, Books, Line, LineKind},
    subscription::Subscription,
    usage::Meter,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, str::FromStr};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// A statement as its address names it: `draft` or an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementRef {
    /// What the open month comes to so far.
    Draft,
    /// One that never changes again.
    Final(StatementId),
}

impl FromStr for StatementRef {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        match text {
            "draft" => Ok(Self::Draft),
            id => Ok(Self::Final(StatementId(id.parse()?))),
        }
    }
}

/// The hours that a line's amount is made of; `None` if there is no such line.
pub async fn line_hours(
    tx: &Transaction,
    tenant: TenantId,
    of: StatementRef,
    line_id: LineId,
    now: Timestamp,
) -> Result<Option<LineHours>, StoreError> {
    let charges = match of {
        StatementRef::Draft => {
            let (books, month, as_of) = drafted(tx, (tenant, None), now).await?;
            let draft = statement::draft(&books, month, as_of)?;
            let Some(line) = draft.lines.iter().find(|line| line.line_id == line_id) else { return Ok(None) };
            draft_hours(tx, tenant, &books, line, month, Hour::from_start(as_of)).await?
        }
        StatementRef::Final(id) => {
            let Some(last) = statement(tx, tenant, id).await? else { return Ok(None) };
            let Some(line) = last.lines.iter().find(|line| line.line_id == line_id) else { return Ok(None) };
            frozen_hours(tx, (tenant, last.account.account_id), line, Month::of(last.period.start)).await?
        }
    };
    let hours = charges.into_iter().map(|Charge { hour, quantity, amount }| LineHour {
        hour: hour.start(),
        quantity,
        amount,
    });
    Ok(Some(LineHours { hours: hours.collect() }))
}

/// The calls that used a line's meter in an hour; `None` if there is no such line. A recurring line has none.
pub async fn hour_calls(
    tx: &Transaction,
    tenant: TenantId,
    of: StatementRef,
    line_id: LineId,
    hour: Timestamp,
    now: Timestamp,
) -> Result<Option<HourCalls>, StoreError> {
    let lines = match of {
        StatementRef::Draft => super::draft(tx, tenant, None, now).await?.lines,
        StatementRef::Final(id) => {
            statement(tx, tenant, id).await?.map(|last| last.lines).unwrap_or_default()
        }
    };
    let Some(line) = lines.iter().find(|line| line.line_id == line_id) else { return Ok(None) };
    match line.meter {
        None => Ok(Some(HourCalls { calls: Vec::new() })),
        Some(meter) => Ok(Some(HourCalls { calls: calls(tx, tenant, meter, hour).await? })),
    }
}

/// The hours of a line that is not final yet.
async fn draft_hours(
    tx: &Transaction,
    tenant: TenantId,
    books: &Books,
    line: &Line,
    month: Month,
    until: Hour,
) -> Result<Vec<Charge>, StoreError> {
    let before = match line.for_month {
        None => Vec::new(),
        Some(late) => {
            let mut billed = billed_hours(tx, &[adjusted(tenant, line, late)]).await?;
            billed.remove(&line.line_id).unwrap_or_default()
        }
    };
    Ok(hours_of(books, line, month, until, &before)?)
}

/// The hours that a line is made of; an adjustment's are what its month comes to now, less what was billed before.
pub(super) fn hours_of(
    books: &Books,
    line: &Line,
    month: Month,
    until: Hour,
    billed_before: &[Charge],
) -> Result<Vec<Charge>, MoneyError> {
    if line.kind == LineKind::Discount {
        return Ok(Vec::new());
    }
    let Some((subscription, price)) = priced(books, line) else { return Ok(Vec::new()) };
    let Some(late) = line.for_month else {
        return charge::hourly(subscription, price, &books.usage, month, until);
    };
    let known = charge::hourly(subscription, price, &books.usage, late, late.next().first())?;
    charge::difference(&known, billed_before)
}

/// The hours of a final line: as they were charged, or derived again where nothing can have changed.
async fn frozen_hours(
    tx: &Transaction,
    (tenant, account): (TenantId, AccountId),
    line: &Line,
    month: Month,
) -> Result<Vec<Charge>, StoreError> {
    if line.kind == LineKind::Recurring {
        let books = books::open(tx, tenant, Some(account)).await?;
        return Ok(hours_of(&books, line, month, month.next().first(), &[])?);
    }
    let rows = tx.all(include_str!("line_charges.sql"), &[&tenant.0, &line.line_id.0]).await?;
    let read = |row: &Row| {
        Ok(Charge { hour: hour(row), quantity: row.get("quantity"), amount: money(row, "amount_micros")? })
    };
    rows.iter().map(read).collect()
}

/// A line that adjusts a month of a tenant's.
pub(super) struct Adjusted<'a> {
    tenant: TenantId,
    line: &'a Line,
    late: Month,
}

/// A line and the month that it adjusts.
pub(super) fn adjusted(tenant: TenantId, line: &Line, late: Month) -> Adjusted<'_> {
    Adjusted { tenant, line, late }
}

/// What has been charged for the prices of adjustments in each hour of the months that they adjust, by line.
pub(super) async fn billed_hours(
    tx: &Transaction,
    adjustments: &[Adjusted<'_>],
) -> Result<BTreeMap<LineId, Vec<Charge>>, DbError> {
    let mut billed: BTreeMap<LineId, Vec<Charge>> = BTreeMap::new();
    if adjustments.is_empty() {
        return Ok(billed);
    }
    let params: [&(dyn ToSql + Sync); 6] = [
        &column(adjustments, |it| it.tenant.0),
        &column(adjustments, |it| it.line.line_id.0),
        &column(adjustments, |it| it.line.subscription_id.0),
        &column(adjustments, |it| it.line.price_id.0),
        &column(adjustments, |it| it.late.start()),
        &column(adjustments, |it| it.late.end()),
    ];
    for row in tx.all(include_str!("billed_charges.sql"), &params).await? {
        let amount = money(&row, "amount_micros")?;
        let charge = Charge { hour: hour(&row), quantity: row.get("quantity"), amount };
        billed.entry(LineId(row.get("line_id"))).or_default().push(charge);
    }
    Ok(billed)
}

/// A subscription that changed its plan is there once for each plan version.
fn priced<'a>(books: &'a Books, line: &Line) -> Option<(&'a Subscription, &'a Price)> {
    let same = books.subscriptions.iter().filter(|it| it.subscription_id == line.subscription_id);
    let mut prices =
        same.flat_map(|subscription| subscription.prices.iter().map(move |price| (subscription, price)));
    prices.find(|(_, price)| price.price_id == line.price_id)
}

async fn calls(
    tx: &Transaction,
    tenant: TenantId,
    meter: Meter,
    hour: Timestamp,
) -> Result<Vec<CallShare>, StoreError> {
    let mut calls: Vec<CallShare> = Vec::new();
    for row in tx.all(include_str!("hour_calls.sql"), &[&tenant.0, &meter.as_str(), &hour]).await? {
        let call_id: Uuid = row.get("call_id");
        let (participant_id, quantity): (Uuid, i64) = (row.get("participant_id"), row.get("quantity"));
        let participant = ParticipantShare { participant_id, name: row.get("name"), quantity };
        match calls.last_mut().filter(|last| last.call_id == call_id) {
            Some(call) => {
                call.quantity = call.quantity.saturating_add(quantity);
                call.participants.push(participant);
            }
            None => calls.push(CallShare {
                call_id,
                room_title: row.get("room_title"),
                started_at: row.get("started_at"),
                ended_at: row.get("ended_at"),
                quantity,
                participants: vec![participant],
            }),
        }
    }
    Ok(calls)
}
