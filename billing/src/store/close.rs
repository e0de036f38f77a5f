//! The end of a month for many accounts: a page of them at a time, each page's statements in one transaction.
//!
//! Whether a month is due is read from what is written, so nothing needs to be remembered between pages: a close that was
//! killed goes on where it was, and two that run at once find what the other left.

use super::{
    StoreError, Who,
    books::{self, Asked},
    clock::{clocks, shifted},
    finalise::{Closing, close_all, lock_all},
    payers::who,
    row::new_id,
};
use crate::{
    db::{Db, DbError, Transaction},
    ids::TenantId,
    period::Month,
    statement::Summary,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use tokio_postgres::Row;
use uuid::Uuid;

/// Plans are kept with the connection, perhaps from a time when the tables were small: they must be those whose cost grows
/// with a page's rows and not with the tables.
pub(super) const BY_INDEX: &str = "set local enable_hashjoin = off; set local enable_mergejoin = off; \
                        set local enable_seqscan = off; set local jit = off";

/// An account with an ended month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub who: Who,
    /// What time it is there.
    pub at: Timestamp,
}

/// Some accounts in the order of tenant and id, and who of them is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePage {
    /// The last of the page; `None` where there are no more accounts.
    pub last: Option<Who>,
    /// How many were looked at.
    pub accounts: u64,
    /// Those that have an ended month.
    pub due: Vec<Due>,
}

/// The next accounts, and whose month has ended so long ago.
pub async fn due_after(
    tx: &Transaction,
    after: Who,
    limit: i64,
    now: Timestamp,
    settling: SignedDuration,
) -> Result<DuePage, DbError> {
    let rows = tx.all(include_str!("close_due.sql"), &[&after.tenant.0, &after.account.0, &limit]).await?;
    let due = |row: &Row| {
        let (last, first): (Option<Timestamp>, Option<Timestamp>) =
            (row.get("last_final"), row.get("first_start"));
        let open = last.map(|last| Month::of(last).next()).or(first.map(Month::of))?;
        let at = shifted(now, row.get("clock_offset_hours"));
        has_ended(open, at, settling).then(|| Due { who: who(row), at })
    };
    Ok(DuePage {
        last: rows.last().map(who),
        accounts: rows.len() as u64,
        due: rows.iter().filter_map(due).collect(),
    })
}

/// So long ago that what was used in it has been reported.
fn has_ended(month: Month, at: Timestamp, settling: SignedDuration) -> bool {
    month.end() <= at.checked_sub(settling).unwrap_or(at)
}

/// What became of a page.
#[derive(Debug, Default)]
pub struct ClosedPage {
    /// Statements that are final now.
    pub finalised: Vec<(Who, Summary)>,
    /// Those whose sums do not work out.
    pub failed: Vec<(Who, StoreError)>,
    /// Those whose next month has ended, too.
    pub still_due: Vec<Due>,
}

/// Makes one ended month final of each account that is due, all in one transaction. Whoever was closed by somebody else in
/// the meantime is left as it is.
pub async fn close_ended(
    db: &Db,
    due: &[Due],
    settling: SignedDuration,
    progress: Progress,
    seen: Seen,
) -> Result<ClosedPage, StoreError> {
    let tx = db.closing().await?;
    tx.batch_execute(BY_INDEX).await.map_err(DbError::from)?;
    let tenants: BTreeSet<TenantId> = due.iter().map(|due| due.who.tenant).collect();
    lock_all(&tx, tenants.iter().copied()).await?;
    let clocks = clocks(&tx, &tenants, seen.at).await?;
    let asked: Vec<Asked> = due.iter().map(|due| (due.who.tenant, Some(due.who.account))).collect();
    let mut books = books::open_all(&tx, &asked).await?;
    let (mut closings, mut still_due) = (Vec::new(), Vec::new());
    for Due { who, at } in due.iter().copied() {
        let Some(books) = books.remove(&who) else { continue };
        let Some(month) = books.open_month().filter(|month| has_ended(*month, at, settling)) else {
            continue;
        };
        if has_ended(month.next(), at, settling) {
            still_due.push(Due { who, at });
        }
        let sandbox = clocks.get(&who.tenant).is_some_and(|clock| clock.sandbox);
        closings.push(Closing { who, sandbox, books, month, at });
    }
    let closed = close_all(&tx, closings).await?;
    progress.add(&tx, seen, closed.finalised.len() as u64).await?;
    tx.commit().await?;
    still_due.retain(|due| closed.failed.iter().all(|(failed, _)| *failed != due.who));
    Ok(ClosedPage { finalised: closed.finalised, failed: closed.failed, still_due })
}

/// The row that tells operators how far a close has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress(Uuid);

/// What was looked at since the last time, and what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// How many accounts.
    pub accounts: u64,
    /// The wall clock's time.
    pub at: Timestamp,
}

impl Progress {
    /// A close begins.
    pub async fn begin(tx: &Transaction, now: Timestamp) -> Result<Self, DbError> {
        let id = new_id(now);
        tx.run(include_str!("insert_month_close.sql"), &[&id, &now]).await?;
        Ok(Self(id))
    }

    /// Adds to what it has done.
    async fn add(self, tx: &Transaction, seen: Seen, statements: u64) -> Result<(), DbError> {
        let (accounts, statements) = (count(seen.accounts), count(statements));
        tx.run(include_str!("update_month_close.sql"), &[&self.0, &accounts, &statements, &seen.at]).await?;
        Ok(())
    }

    /// It has seen every account.
    pub async fn finish(self, tx: &Transaction, seen: Seen, failed: u64) -> Result<(), DbError> {
        let (accounts, failed) = (count(seen.accounts), count(failed));
        tx.run(include_str!("finish_month_close.sql"), &[&self.0, &accounts, &failed, &seen.at]).await?;
        Ok(())
    }
}

fn count(things: u64) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}
