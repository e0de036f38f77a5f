//! Reads the ledger for a journal, some transactions at a time.

use super::row::{money, stored};
use crate::{
    db::{DbError, Transaction},
    export::Record,
    ids::TenantId,
    ledger::Entry,
};
use jiff::{Timestamp, tz::TimeZone};
use std::ops::Range;
use uuid::Uuid;

/// Transactions read at once.
const PAGE: i64 = 1_000;

/// The last transaction of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Page {
    tenant: Uuid,
    transaction: Uuid,
}

/// The next transactions of the real books, rehearsals left out, that were posted in a stretch of time; in the order of
/// tenants. Empty after the last. In the scope of a close.
pub async fn journal_after(
    tx: &Transaction,
    after: &mut Page,
    posted: &Range<Timestamp>,
) -> Result<Vec<Record>, DbError> {
    let rows = tx
        .all(
            include_str!("journal.sql"),
            &[&after.tenant, &after.transaction, &PAGE, &posted.start, &posted.end],
        )
        .await?;
    let mut records: Vec<Record> = Vec::new();
    for row in &rows {
        let (tenant, id) = (TenantId(row.get("tenant_id")), row.get("transaction_id"));
        let account = row.get::<_, &str>("ledger_account").parse().map_err(stored)?;
        let entry = Entry { account, amount: money(row, "amount_micros")? };
        match records.last_mut().filter(|last| (last.tenant, last.id) == (tenant, id)) {
            Some(last) => last.entries.push(entry),
            None => {
                let date = row.get::<_, Timestamp>("created_at").to_zoned(TimeZone::UTC).date();
                records.push(Record { tenant, id, date, title: row.get("title"), entries: vec![entry] });
            }
        }
    }
    if let Some(last) = records.last() {
        *after = Page { tenant: last.tenant.0, transaction: last.id };
    }
    Ok(records)
}
