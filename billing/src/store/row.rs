//! Columns as the words of the core.

use crate::{
    currency::Currency,
    db::DbError,
    money::Money,
    period::{Hour, Month},
    usage::Meter,
};
use jiff::{Timestamp, civil::Date};
use tokio_postgres::Row;
use uuid::Uuid;

/// The row's currency.
pub(super) fn currency(row: &Row) -> Result<Currency, DbError> {
    let code: &str = row.get("currency");
    code.parse().map_err(stored)
}

/// A column of micros in the row's currency.
pub(super) fn money(row: &Row, column: &str) -> Result<Money, DbError> {
    Ok(Money::micros(row.get(column), currency(row)?))
}

/// The row's meter, null when recurring.
pub(super) fn meter(row: &Row) -> Result<Option<Meter>, DbError> {
    row.get::<_, Option<&str>>("meter").map(str::parse).transpose().map_err(stored)
}

/// The row's hour.
pub(super) fn hour(row: &Row) -> Hour {
    Hour::of(row.get("hour"))
}

/// A column that holds the first day of a month.
pub(super) fn month(row: &Row) -> Month {
    Month::of_day(row.get::<_, Date>("month"))
}

/// Something stored that this version does not understand.
pub(super) fn stored(error: impl std::fmt::Display) -> DbError {
    DbError::Stored(error.to_string())
}

/// A new id whose order is that of time. Its randomness comes from the operating system.
pub(crate) fn new_id(now: Timestamp) -> Uuid {
    let (seconds, nanos) = (now.as_second().max(0).unsigned_abs(), now.subsec_nanosecond().unsigned_abs());
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}
