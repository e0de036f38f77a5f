//! Reads the rows that an audit is about.

mod movements;
mod statements;
mod terms;
mod usage;

use super::{StoreError, books::tenant_of, close::BY_INDEX};
use crate::{
    audit::{Evidence, Series},
    db::{Db, DbError, Transaction},
    ids::TenantId,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// The series of numbers, as a service.
pub async fn number_series(service: &Transaction) -> Result<Vec<Series>, DbError> {
    let rows = service.all(include_str!("audit/series.sql"), &[]).await?;
    let read = |row: &Row| Series {
        entity: row.get("legal_entity"),
        prefix: row.get("prefix"),
        last: row.get("last_number"),
    };
    Ok(rows.iter().map(read).collect())
}

/// How many events each of some tenants has, in their order.
pub async fn event_counts(db: &Db, tenants: &[TenantId]) -> Result<Vec<(TenantId, i64)>, DbError> {
    let tx = db.auditing().await?;
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let rows = tx.all(include_str!("audit/event_counts.sql"), &[&ids]).await?;
    tx.rollback().await?;
    Ok(rows.iter().map(|row| (tenant_of(row), row.get("events"))).collect())
}

/// What many tenants have of something.
type Of<T> = BTreeMap<TenantId, Vec<T>>;

/// The accounts that are looked at together: a million of them, one after the other, take most of their time in asking.
struct Page {
    tx: Transaction,
    tenants: Vec<Uuid>,
    accounts: Vec<Uuid>,
}

impl Page {
    /// The rows of a query about the accounts: $1 tenants, $2 their accounts.
    async fn rows(&self, sql: &str) -> Result<Vec<Row>, DbError> {
        self.tx.all(sql, &[&self.tenants, &self.accounts]).await
    }

    /// Something for each row.
    async fn each<T>(&self, sql: &str, read: impl Fn(&Row) -> T) -> Result<Of<T>, DbError> {
        let mut all: Of<T> = BTreeMap::new();
        for row in self.rows(sql).await? {
            all.entry(tenant_of(&row)).or_default().push(read(&row));
        }
        Ok(all)
    }

    /// What belongs to something else of the same tenant, by that.
    async fn parts<T>(
        &self,
        sql: &str,
        whole: &str,
        read: impl Fn(&Row) -> T,
    ) -> Result<BTreeMap<(TenantId, Uuid), Vec<T>>, DbError> {
        let mut all: BTreeMap<_, Vec<T>> = BTreeMap::new();
        for row in self.rows(sql).await? {
            all.entry((tenant_of(&row), row.get(whole))).or_default().push(read(&row));
        }
        Ok(all)
    }
}

/// Everything about the accounts of some tenants, in one snapshot; those without an account are left out. The draft is what
/// the billing code says.
pub async fn evidence(db: &Db, tenants: &[TenantId], now: Timestamp) -> Result<Vec<Evidence>, StoreError> {
    let tx = db.auditing().await?;
    tx.batch_execute("set transaction isolation level repeatable read").await.map_err(DbError::from)?;
    tx.batch_execute(BY_INDEX).await.map_err(DbError::from)?;
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let rows = tx.all(include_str!("audit/account.sql"), &[&ids]).await?;
    let mut all: Vec<Evidence> = rows.iter().map(account).collect();
    let (tenants, accounts) = all.iter().map(|it| (it.tenant.0, it.account)).unzip();
    let page = Page { tx, tenants, accounts };
    usage::add(&page, &mut all, now).await?;
    terms::add(&page, &mut all).await?;
    statements::add(&page, &mut all).await?;
    movements::add(&page, &mut all).await?;
    page.tx.rollback().await?;
    Ok(all)
}

/// An account of which nothing else is known yet.
fn account(row: &Row) -> Evidence {
    let evidence = Evidence::of(tenant_of(row), row.get("account_id"), row.get("currency"));
    Evidence { sandbox: row.get("sandbox"), ..evidence }
}

/// What an account has of something.
fn of<T>(all: &mut Of<T>, evidence: &Evidence) -> Vec<T> {
    all.remove(&evidence.tenant).unwrap_or_default()
}
