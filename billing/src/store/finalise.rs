//! Makes months final: numbered, frozen with their hours, and posted, in one transaction. One account or a thousand, by
//! the same functions.

use super::{
    StoreError, Who,
    books::{self, Asked},
    drilldown::{adjusted, billed_hours, hours_of},
    freeze::{Sealed, freeze},
    row::new_id,
};
use crate::{
    charge::Charge,
    db::{DbError, Transaction},
    ids::{AccountId, LineId, StatementId, TenantId},
    period::Month,
    statement::{self, Books, LineKind, Statement, Summary},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Why a month was not made final.
#[derive(Debug, thiserror::Error)]
pub enum FinaliseError {
    /// It still grows.
    #[error("{month} ends at {}", month.end())]
    NotEnded {
        /// Which month.
        month: Month,
    },
    /// Months become final in order, from the first one with a subscription.
    #[error("{month} cannot become final: the open month is {open:?}")]
    OutOfOrder {
        /// Which month.
        month: Month,
        /// Which month comes first.
        open: Option<Month>,
    },
    /// Something failed; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a month of a business final at a time of its own. A month that is final already is answered as it is; two runners at
/// once are one after the other.
pub async fn finalise(
    tx: &Transaction,
    tenant: TenantId,
    month: Month,
    at: Timestamp,
) -> Result<Summary, FinaliseError> {
    lock(tx, tenant).await?;
    let books = books::open(tx, tenant, None).await?;
    if let Some(existing) = existing(tx, tenant, month).await? {
        return Ok(existing);
    }
    let open = books.open_month();
    if open != Some(month) {
        return Err(FinaliseError::OutOfOrder { month, open });
    }
    if at < month.end() {
        return Err(FinaliseError::NotEnded { month });
    }
    let who = Who { tenant, account: books.account.account_id };
    Ok(close_one(tx, who, books, month, at).await?)
}

/// Makes every month of an account final that has ended by a time of the tenant's, in order.
pub async fn finalise_account(
    tx: &Transaction,
    who: Who,
    ended_by: Timestamp,
    at: Timestamp,
) -> Result<Vec<Summary>, StoreError> {
    lock(tx, who.tenant).await?;
    let mut finalised = Vec::new();
    loop {
        let books = match books::open(tx, who.tenant, Some(who.account)).await {
            Err(StoreError::NoAccount) => return Ok(finalised),
            books => books?,
        };
        match books.open_month() {
            Some(month) if month.end() <= ended_by => {
                finalised.push(close_one(tx, who, books, month, at).await?);
            }
            _ => return Ok(finalised),
        }
    }
}

/// The same of the business and all its people, month by month.
pub async fn finalise_ended(
    tx: &Transaction,
    tenant: TenantId,
    ended_by: Timestamp,
    at: Timestamp,
) -> Result<Vec<Summary>, StoreError> {
    lock(tx, tenant).await?;
    let rows = tx.all(include_str!("accounts_of_tenant.sql"), &[&tenant.0]).await?;
    let mut open: Vec<Asked> =
        rows.iter().map(|row| (tenant, Some(AccountId(row.get("account_id"))))).collect();
    let mut finalised = Vec::new();
    loop {
        let mut books = books::open_all(tx, &open).await?;
        books.retain(|_, books| books.open_month().is_some_and(|month| month.end() <= ended_by));
        open = books.keys().map(|who| (who.tenant, Some(who.account))).collect();
        let Some(month) = books.values().filter_map(Books::open_month).min() else { return Ok(finalised) };
        books.retain(|_, books| books.open_month() == Some(month));
        let sandbox = super::tenant_clock(tx, tenant, at).await?.sandbox;
        let closing = |(who, books)| Closing { who, sandbox, books, month, at };
        let closed = close_all(tx, books.into_iter().map(closing).collect()).await?;
        if let Some((_, error)) = closed.failed.into_iter().next() {
            return Err(error);
        }
        finalised.extend(closed.finalised.into_iter().map(|(_, summary)| summary));
    }
}

/// From here to the end of the transaction no fact of the tenant comes in and nobody else finalises.
pub(crate) async fn lock(tx: &Transaction, tenant: TenantId) -> Result<(), StoreError> {
    Ok(lock_all(tx, [tenant]).await?)
}

/// The same of many, always in the order of their ids, so that two who lock many do not wait for each other in a circle.
pub(super) async fn lock_all(
    tx: &Transaction,
    tenants: impl IntoIterator<Item = TenantId>,
) -> Result<(), DbError> {
    let mut names: Vec<String> = tenants.into_iter().map(|tenant| tenant.to_string()).collect();
    names.sort_unstable();
    names.dedup();
    tx.all(include_str!("lock_tenants.sql"), &[&names]).await?;
    Ok(())
}

async fn existing(tx: &Transaction, tenant: TenantId, month: Month) -> Result<Option<Summary>, StoreError> {
    let summaries = super::statements(tx, tenant, None).await?;
    Ok(summaries.into_iter().find(|summary| summary.period.start == month.start()))
}

async fn close_one(
    tx: &Transaction,
    who: Who,
    books: Books,
    month: Month,
    at: Timestamp,
) -> Result<Summary, StoreError> {
    let sandbox = super::tenant_clock(tx, who.tenant, at).await?.sandbox;
    let closed = close_all(tx, vec![Closing { who, sandbox, books, month, at }]).await?;
    match (closed.failed.into_iter().next(), closed.finalised.into_iter().next()) {
        (Some((_, error)), _) => Err(error),
        (None, Some((_, summary))) => Ok(summary),
        (None, None) => Err(DbError::Stored(format!("{month} of {} was not closed", who.account)).into()),
    }
}

/// An account's month that is about to become final. The tenant is locked.
pub(super) struct Closing {
    pub(super) who: Who,
    /// Does it rehearse?
    pub(super) sandbox: bool,
    /// As [`books::open_all`] reads them.
    pub(super) books: Books,
    pub(super) month: Month,
    /// In the tenant's time.
    pub(super) at: Timestamp,
}

/// What became of many.
pub(super) struct Closed {
    pub(super) finalised: Vec<(Who, Summary)>,
    /// Those whose sums do not work out. Nothing of theirs was written.
    pub(super) failed: Vec<(Who, StoreError)>,
}

/// Makes months final. An account whose sums do not work out does not keep the others waiting; whatever else fails
/// fails all.
pub(super) async fn close_all(tx: &Transaction, mut closings: Vec<Closing>) -> Result<Closed, StoreError> {
    let open = closings.iter_mut().map(|it| (it.who, &mut it.books, it.month)).collect();
    books::fill_all(tx, open).await?;
    let (mut drafts, mut failed) = (Vec::new(), Vec::new());
    for closing in closings {
        match statement::draft(&closing.books, closing.month, closing.month.end()) {
            Ok(draft) => drafts.push((closing, draft)),
            Err(error) => failed.push((closing.who, error.into())),
        }
    }
    let billed = billed_before(tx, &drafts).await?;
    let mut sealed = Vec::new();
    for (closing, draft) in drafts {
        let who = closing.who;
        match seal(closing, draft, &billed) {
            Ok(month) => sealed.push(month),
            Err(error) => failed.push((who, error)),
        }
    }
    Ok(Closed { finalised: freeze(tx, sealed).await?, failed })
}

/// What earlier statements charged for the hours that adjustments are about, by line. Most months have none.
async fn billed_before(
    tx: &Transaction,
    drafts: &[(Closing, Statement)],
) -> Result<BTreeMap<LineId, Vec<Charge>>, DbError> {
    let adjustments = drafts.iter().flat_map(|(closing, draft)| {
        draft.lines.iter().filter_map(|line| Some(adjusted(closing.who.tenant, line, line.for_month?)))
    });
    billed_hours(tx, &adjustments.collect::<Vec<_>>()).await
}

/// Takes a draft apart into hours and postings.
fn seal(
    closing: Closing,
    draft: Statement,
    billed: &BTreeMap<LineId, Vec<Charge>>,
) -> Result<Sealed, StoreError> {
    let Closing { who, sandbox, books, month, at } = closing;
    let mut hours = Vec::new();
    for (place, line) in draft.lines.iter().enumerate() {
        if !matches!(line.kind, LineKind::Recurring | LineKind::Discount) {
            let before = billed.get(&line.line_id).map_or(&[][..], Vec::as_slice);
            hours.push((place, hours_of(&books, line, month, month.next().first(), before)?));
        }
    }
    let id = StatementId(new_id(at));
    let (posting, expiries) = (draft.posting(id)?, draft.expiries(id)?);
    Ok(Sealed { who, sandbox, id, month, draft, hours, posting, expiries, at })
}
