//! What was used, and what the open month bills for it.

use super::{Accounts, Of, OfEach, Page, of, of_each, who_of};
use crate::{
    audit::{Draft, EventRow, Evidence, Line, MeterRow, Used},
    db::DbError,
    ids::{AccountId, TenantId},
    period::Month,
    statement as biller,
    store::{
        StoreError, Who,
        books::Asked,
        row::{month, stored},
        statements,
    },
};
use jiff::{Timestamp, civil::Date};
use std::collections::BTreeMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// What was used, and what the draft bills for it.
pub(super) async fn add(page: &Page, all: &mut [Evidence], now: Timestamp) -> Result<(), StoreError> {
    let mut used = used(page).await?;
    let mut meters = meters(page).await?;
    let mut events = events(page).await?;
    let mut unknown_legs = unknown_legs(page).await?;
    let mut late = late(page).await?;
    let mut drafts = drafts(page, now).await?;
    // The businesses come before their people, and what is used is theirs.
    for it in all {
        it.used = of(&mut used, it);
        it.meters = of(&mut meters, it);
        it.events = of(&mut events, it);
        it.unknown_legs = of(&mut unknown_legs, it);
        it.late = of_each(&mut late, it).into_iter().collect();
        it.draft = drafts.remove(&who_of(it));
    }
    Ok(())
}

async fn drafts(page: &Page, now: Timestamp) -> Result<BTreeMap<Who, Draft>, StoreError> {
    let Accounts(tenants, accounts) = &page.everybody;
    let asked: Vec<Asked> = tenants
        .iter()
        .zip(accounts)
        .map(|(tenant, account)| (TenantId(*tenant), Some(AccountId(*account))))
        .collect();
    let drafted = statements::drafted_all(&page.tx, &asked, now).await?;
    let draft = |(who, (books, month, as_of)): (Who, statements::Drafted)| {
        let draft = biller::draft(&books, month, as_of)?;
        let lines = draft.lines.iter().map(|line| draft_line(line, month)).collect();
        Ok((who, (month.first_day(), as_of, lines)))
    };
    drafted.into_iter().map(draft).collect()
}

fn draft_line(line: &biller::Line, month: Month) -> Line {
    Line {
        line: line.line_id.0,
        kind: line.kind.as_str().to_owned(),
        subscription: line.subscription_id.0,
        price: line.price_id.0,
        vendor: line.vendor_id.0,
        quantity: line.quantity,
        amount: line.amount.micros,
        currency: line.amount.currency.to_string(),
        month: line.for_month.unwrap_or(month).first_day(),
        tax_group: line.tax_group,
        discount: line.coupon_id.zip(line.discounts).map(|(coupon, line)| (coupon.0, line.0)),
        hours: Vec::new(),
    }
}

async fn used(page: &Page) -> Result<Of<Used>, DbError> {
    let read =
        |row: &Row| Used { meter: row.get("meter"), hour: row.get("hour"), quantity: row.get("quantity") };
    page.each(include_str!("usage.sql"), read).await
}

async fn meters(page: &Page) -> Result<Of<MeterRow>, DbError> {
    let read = |row: &Row| {
        let meter = MeterRow {
            name: row.get("name"),
            number: row.get("number"),
            event_type: row.get("event_type"),
            aggregation: row.get("aggregation"),
            value_property: row.get("value_property"),
            filters: serde_json::from_str(row.get("filters")).map_err(stored)?,
            dimensions: row.get("dimensions"),
        };
        Ok(meter)
    };
    whole(page.each(include_str!("meters.sql"), read).await?)
}

async fn events(page: &Page) -> Result<Of<EventRow>, DbError> {
    let read = |row: &Row| {
        let event = EventRow {
            source: row.get("source"),
            id: row.get("id"),
            event_type: row.get("type"),
            at: row.get("occurred_at"),
            data: serde_json::from_str(row.get("data")).map_err(stored)?,
            meters_known: row.get("meters_known"),
        };
        Ok(event)
    };
    whole(page.each(include_str!("events.sql"), read).await?)
}

/// All of it, if all of it could be read.
fn whole<T>(all: Of<Result<T, DbError>>) -> Result<Of<T>, DbError> {
    let read = |(tenant, each): (_, Vec<Result<T, DbError>>)| {
        Ok((tenant, each.into_iter().collect::<Result<Vec<T>, DbError>>()?))
    };
    all.into_iter().map(read).collect()
}

async fn unknown_legs(page: &Page) -> Result<Of<Uuid>, DbError> {
    page.each(include_str!("unknown_legs.sql"), |row| row.get("leg_id")).await
}

async fn late(page: &Page) -> Result<OfEach<Date>, DbError> {
    page.of_each(include_str!("../late_months.sql"), |row| month(row).first_day()).await
}
