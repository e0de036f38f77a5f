//! A processor's news: how far they were heard, and which could not be taken in.

use super::row::{currency, stored};
use crate::{
    db::{DbError, Transaction},
    money::Money,
    processor::{Event, News},
};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// The longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 500;
/// Pieces of news that are tried again at a time, and that are listed.
const PAGE: i64 = 500;

/// How far a processor's news have been heard.
pub async fn heard_until(collecting: &Transaction, processor: &str) -> Result<i64, DbError> {
    Ok(collecting.one(include_str!("heard_until.sql"), &[&processor]).await?.get("last"))
}

/// They have been heard so far.
pub async fn hear_until(
    collecting: &Transaction,
    processor: &str,
    last: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    collecting.run(include_str!("hear_until.sql"), &[&processor, &last, &now]).await?;
    Ok(())
}

/// Keeps news that could not be taken in, with the reason, so that later ones do not wait for them. Kept twice, they are kept once.
pub async fn set_news_aside(
    collecting: &Transaction,
    processor: &str,
    news: &News,
    reason: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let (what, fee) = match news.event {
        Event::DisputeOpened { fee } => ("dispute_opened", Some(fee)),
        Event::DisputeWon => ("dispute_won", None),
        Event::DisputeLost => ("dispute_lost", None),
    };
    let (micros, code) = (fee.map(|fee| fee.micros), fee.map(|fee| fee.currency.to_string()));
    let sql = include_str!("insert_news_set_aside.sql");
    let News { number, charge, .. } = news;
    collecting.run(sql, &[&processor, number, charge, &what, &micros, &code, &short(reason), &now]).await?;
    Ok(())
}

/// The number of the first news before these that are about the same charge and wait: what happened later must not be taken in
/// before what happened earlier.
pub async fn news_waited_for(
    collecting: &Transaction,
    processor: &str,
    news: &News,
) -> Result<Option<i64>, DbError> {
    let sql = include_str!("news_waited_for.sql");
    let row = collecting.optional(sql, &[&processor, &news.charge, &news.number]).await?;
    Ok(row.map(|row| row.get("number")))
}

/// News that were set aside and are due to be tried again: at first the next time that news are heard, then less and less often,
/// once an hour at last. Oldest first.
pub async fn news_to_try_again(
    collecting: &Transaction,
    processor: &str,
    now: Timestamp,
) -> Result<Vec<News>, DbError> {
    let rows = collecting.all(include_str!("news_to_try_again.sql"), &[&processor, &now, &PAGE]).await?;
    rows.iter().map(news).collect()
}

/// They were tried again: they were taken in, or the reason why not.
pub async fn tried_news_again(
    collecting: &Transaction,
    processor: &str,
    number: i64,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = include_str!("tried_news_again.sql");
    collecting.run(sql, &[&processor, &number, &reason.map(short), &now]).await?;
    Ok(())
}

/// News that wait to be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingNews {
    /// Whose news.
    pub processor: String,
    /// Their place among them.
    pub number: i64,
    /// About which charge.
    pub charge: Uuid,
    /// What happened to it.
    pub what: String,
    /// Why they could not be taken in the last time.
    pub reason: String,
}

/// All news that wait, oldest first, at most 500.
pub async fn waiting_news(collecting: &Transaction) -> Result<Vec<WaitingNews>, DbError> {
    let read = |row: &Row| WaitingNews {
        processor: row.get("processor"),
        number: row.get("number"),
        charge: row.get("charge"),
        what: row.get("what"),
        reason: row.get("reason"),
    };
    Ok(collecting.all(include_str!("waiting_news.sql"), &[&PAGE]).await?.iter().map(read).collect())
}

fn news(row: &Row) -> Result<News, DbError> {
    let event = match row.get("what") {
        "dispute_opened" => {
            Event::DisputeOpened { fee: Money::micros(row.get("fee_micros"), currency(row)?) }
        }
        "dispute_won" => Event::DisputeWon,
        "dispute_lost" => Event::DisputeLost,
        other => return Err(stored(format!("news of {other}"))),
    };
    Ok(News { number: row.get("number"), charge: row.get("charge"), event })
}

fn short(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}
