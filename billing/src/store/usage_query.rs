//! What a meter counted, asked for by time and by dimension.

use super::{StoreError, clock::tenant_clock, own_usage};
use crate::{
    db::{DbError, Transaction},
    drilldown::{Bucket, UsagePage, UsageRow},
    ids::{AccountId, TenantId},
    meter::{Aggregation, OwnMeter},
    period::{Hour, Month},
    usage::{Meter, Tally, hold},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::collections::BTreeMap;
use tokio_postgres::Row;

/// As many rows as a page has.
pub const USAGE_ROWS_MAX: i64 = 1_000;
/// As many buckets as a question is about.
const BUCKETS_MAX: i64 = 2_400;
/// The dimensions of what our nodes count.
const BUILT_IN: [&str; 2] = ["room_id", "call_id"];

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageAsk {
    /// Of which meter.
    pub meter: Meter,
    /// Of which account; the business's own if left out.
    pub account: Option<AccountId>,
    /// In how long pieces.
    pub by: Bucket,
    /// From when on, the current month's start if left out; it is rounded down to a whole piece.
    pub from: Option<Timestamp>,
    /// Until when, now if left out; rounded up.
    pub to: Option<Timestamp>,
    /// Grouped by which dimensions.
    pub group_by: Vec<String>,
    /// What some dimensions must be.
    pub only: BTreeMap<String, String>,
    /// After which row.
    pub after: Option<UsageCursor>,
    /// As many rows.
    pub limit: i64,
}

/// The last row of a page.
pub type UsageCursor = (Timestamp, Vec<String>);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum UsageAskError {
    /// Not one of the business's.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Something of it is not allowed.
    #[error("{0}: {1}")]
    Refused(&'static str, String),
    /// Something failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for UsageAskError {
    fn from(error: DbError) -> Self {
        StoreError::Db(error).into()
    }
}

/// A meter as far as a question needs it.
struct Asked {
    aggregation: Aggregation,
    unit: String,
    dimensions: Vec<String>,
}

/// Answers a question with a page of rows, and where the next one begins.
pub async fn usage_rows(
    tx: &Transaction,
    tenant: TenantId,
    ask: &UsageAsk,
    now: Timestamp,
) -> Result<(UsagePage, Option<UsageCursor>), UsageAskError> {
    let asked = asked(tx, tenant, ask.meter).await?;
    let account = super::account_of_tenant(tx, tenant, ask.account).await?;
    let account = account.ok_or(UsageAskError::NotFound("account"))?.account_id;
    let now = tenant_clock(tx, tenant, now).await?.now;
    let (from, to) = span(ask, now)?;
    let groups = places(&asked, "group_by", ask.group_by.iter())?;
    let only = places(&asked, "dimension", ask.only.keys())?;
    let question = Question { tx, tenant, account, ask, groups, only };
    let mut rows = match asked.aggregation {
        Aggregation::TimeWeightedSum => question.levels(from, to.min(until(now))).await?,
        aggregation => question.counted(aggregation, from, to).await?,
    };
    let limit = usize::try_from(ask.limit).unwrap_or(0);
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| !is_last).map(|(bucket, groups, _)| (*bucket, groups.clone()));
    let named = |(start, groups, quantity): Found| UsageRow {
        start,
        dimensions: ask.group_by.iter().cloned().zip(groups).collect(),
        quantity,
    };
    let rows = rows.into_iter().map(named).collect();
    let meter = ask.meter.to_string();
    Ok((UsagePage { meter, unit: asked.unit, by: ask.by, from, to, rows, next_cursor: None }, next))
}

async fn asked(tx: &Transaction, tenant: TenantId, meter: Meter) -> Result<Asked, UsageAskError> {
    let built_in = |unit: &str| Asked {
        aggregation: Aggregation::Sum,
        unit: unit.to_owned(),
        dimensions: BUILT_IN.map(str::to_owned).to_vec(),
    };
    let name = match meter {
        Meter::ParticipantMs => return Ok(built_in("ms")),
        Meter::EgressBytes => return Ok(built_in("byte")),
        Meter::MessageCount => return Ok(built_in("message")),
        Meter::Own(name) => name,
    };
    let meters = super::meters(tx, tenant).await?;
    let own: Option<OwnMeter> = meters.into_iter().find(|meter| meter.key == name);
    let terms = own.ok_or(UsageAskError::NotFound("meter"))?.terms;
    Ok(Asked { aggregation: terms.aggregation, unit: terms.unit, dimensions: terms.dimensions })
}

/// The end of the hour in progress: what is held is not counted ahead.
fn until(now: Timestamp) -> Timestamp {
    Hour::from_start(now).start()
}

/// Whole buckets around what is asked for.
fn span(ask: &UsageAsk, now: Timestamp) -> Result<(Timestamp, Timestamp), UsageAskError> {
    let from = start_of(ask.by, ask.from.unwrap_or(Month::of(now).start()));
    let to = ask.to.unwrap_or(now);
    let to = if start_of(ask.by, to) == to { to } else { after(ask.by, start_of(ask.by, to)) };
    let shortest = match ask.by {
        Bucket::Hour => 3_600,
        Bucket::Day => 86_400,
        Bucket::Month => 28 * 86_400,
    };
    let buckets = (to.as_second() - from.as_second()) / shortest;
    if to < from || buckets > BUCKETS_MAX {
        let why = format!("must not be before from, nor more than {BUCKETS_MAX} pieces after it");
        return Err(UsageAskError::Refused("to", why));
    }
    Ok((from, to))
}

fn start_of(by: Bucket, at: Timestamp) -> Timestamp {
    match by {
        Bucket::Hour => Hour::of(at).start(),
        Bucket::Day => first_of(TimeZone::UTC.to_datetime(at).date()),
        Bucket::Month => Month::of(at).start(),
    }
}

fn first_of(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// The start of the next one.
fn after(by: Bucket, start: Timestamp) -> Timestamp {
    match by {
        Bucket::Hour => Hour(Hour::of(start).0 + 1).start(),
        Bucket::Day => Hour(Hour::of(start).0 + 24).start(),
        Bucket::Month => Month::of(start).end(),
    }
}

/// Where dimensions stand among a meter's, from 1.
fn places<'a>(
    asked: &Asked,
    field: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> Result<Vec<i32>, UsageAskError> {
    let mut places = Vec::new();
    for name in names {
        let place =
            (1..).zip(&asked.dimensions).find(|(_, dimension)| *dimension == name).map(|(place, _)| place);
        let place = place.filter(|place| !places.contains(place));
        let why = || {
            format!(
                "{name:?} is none of the meter's dimensions, or is named twice: {}",
                asked.dimensions.join(", ")
            )
        };
        places.push(place.ok_or_else(|| UsageAskError::Refused(field, why()))?);
    }
    Ok(places)
}

/// A bucket, its group and its quantity.
type Found = (Timestamp, Vec<String>, i64);

/// What is looked for, and where the dimensions that it names stand among the meter's.
struct Question<'a> {
    tx: &'a Transaction,
    tenant: TenantId,
    account: AccountId,
    ask: &'a UsageAsk,
    groups: Vec<i32>,
    only: Vec<i32>,
}

impl Question<'_> {
    async fn counted(
        &self,
        aggregation: Aggregation,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Found>, DbError> {
        let ask = self.ask;
        let values: Vec<&String> = ask.only.values().collect();
        let (bucket, last): (Option<Timestamp>, Option<&Vec<String>>) =
            ask.after.as_ref().map(|(bucket, groups)| (*bucket, groups)).unzip();
        let rows = self
            .tx
            .all(
                include_str!("usage_rows.sql"),
                &[
                    &self.tenant.0,
                    &self.account.0,
                    &ask.meter.as_str(),
                    &aggregation.as_str(),
                    &from,
                    &to,
                    &ask.by.as_str(),
                    &self.groups,
                    &self.only,
                    &values,
                    &bucket,
                    &last,
                    &(ask.limit + 1),
                ],
            )
            .await?;
        let read = |row: &Row| (row.get("bucket"), row.get("groups"), row.get("quantity"));
        Ok(rows.iter().map(read).collect())
    }

    /// What is held: worked out for each series, then put together.
    async fn levels(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Found>, DbError> {
        let ask = self.ask;
        let mut found: BTreeMap<UsageCursor, Tally> = BTreeMap::new();
        let series = own_usage::series(self.tx, self.tenant, self.account, ask.meter, (from, to)).await?;
        for (dimensions, changes) in series.iter().filter(|(dimensions, _)| self.keeps(dimensions)) {
            let group: Vec<String> =
                self.groups.iter().map(|place| value(dimensions, *place).to_owned()).collect();
            let mut hours = BTreeMap::new();
            hold(changes, Hour::of(from)..Hour::of(to.max(from)), &mut hours);
            for (hour, tally) in hours {
                found.entry((start_of(ask.by, hour.start()), group.clone())).or_default().then(&tally);
            }
        }
        let is_after = |(place, _): &(UsageCursor, Tally)| ask.after.as_ref().is_none_or(|last| place > last);
        let rows = found.into_iter().filter(is_after).take(usize::try_from(ask.limit + 1).unwrap_or(0));
        Ok(rows.map(|((bucket, group), tally)| (bucket, group, tally.quantity())).collect())
    }

    /// Are these dimensions what is asked for?
    fn keeps(&self, dimensions: &[String]) -> bool {
        self.only
            .iter()
            .zip(self.ask.only.values())
            .all(|(place, wanted)| value(dimensions, *place) == wanted)
    }
}

fn value(dimensions: &[String], place: i32) -> &str {
    usize::try_from(place - 1).ok().and_then(|place| dimensions.get(place)).map_or("", String::as_str)
}
