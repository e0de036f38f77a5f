//! A month's usage by the hour, with what each hour costs.

use super::{StoreError, books, clock::tenant_clock};
use crate::{
    charge,
    db::Transaction,
    drilldown::{UsageHour, UsageMonth, UsageTotals},
    ids::TenantId,
    money::{Money, MoneyError},
    period::{Hour, Month},
    statement::Books,
    usage::Meter,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A tenant's usage in a month, by default the current one of its own time.
pub async fn usage_month(
    tx: &Transaction,
    tenant: TenantId,
    month: Option<Month>,
    now: Timestamp,
) -> Result<UsageMonth, StoreError> {
    let as_of = tenant_clock(tx, tenant, now).await?.now;
    let month = month.unwrap_or(Month::of(as_of));
    let mut books = books::open(tx, tenant, None).await?;
    let prices = books.subscriptions.iter().flat_map(|subscription| &subscription.prices);
    books.usage = books::usage(tx, tenant, books.account.account_id, prices, month).await?;
    let hours = hours(&books, month)?;
    let sum = |of: fn(&UsageHour) -> i64| hours.iter().map(of).fold(0, i64::saturating_add);
    let totals = UsageTotals {
        participant_ms: sum(|hour| hour.participant_ms),
        egress_bytes: sum(|hour| hour.egress_bytes),
        message_count: sum(|hour| hour.message_count),
        amount: Money::sum(books.account.currency, hours.iter().map(|hour| hour.amount))?,
    };
    Ok(UsageMonth { month, as_of, hours, totals })
}

fn hours(books: &Books, month: Month) -> Result<Vec<UsageHour>, MoneyError> {
    let amounts = amounts(books, month)?;
    let used = Meter::BUILT_IN
        .into_iter()
        .flat_map(|meter| books.usage.hours(meter, month.hours()))
        .map(|(hour, _)| (hour, Money::zero(books.account.currency)));
    let mut all: BTreeMap<Hour, Money> = used.collect();
    all.extend(amounts);
    let hour = |(hour, amount): (Hour, Money)| UsageHour {
        hour: hour.start(),
        participant_ms: books.usage.at(Meter::ParticipantMs, hour),
        egress_bytes: books.usage.at(Meter::EgressBytes, hour),
        message_count: books.usage.at(Meter::MessageCount, hour),
        amount,
    };
    Ok(all.into_iter().map(hour).collect())
}

/// What metered prices charge for each hour.
fn amounts(books: &Books, month: Month) -> Result<BTreeMap<Hour, Money>, MoneyError> {
    let mut amounts: BTreeMap<Hour, Money> = BTreeMap::new();
    let end = month.next().first();
    for subscription in &books.subscriptions {
        for price in subscription.prices.iter().filter(|price| price.meter().is_some()) {
            for charge in charge::hourly(subscription, price, &books.usage, month, end)? {
                let amount = amounts.entry(charge.hour).or_insert(Money::zero(books.account.currency));
                *amount = amount.plus(charge.amount)?;
            }
        }
    }
    Ok(amounts)
}
