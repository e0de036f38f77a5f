//! Reads the rows that an audit is about.

mod movements;
mod statements;
mod terms;
mod usage;

use super::{StoreError, Who, books::tenant_of, close::BY_INDEX, payers::who};
use crate::{
    audit::{Evidence, Series},
    db::{Db, DbError, Transaction},
    ids::{AccountId, TenantId},
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

/// How much there is to be held of each of some tenants, in their order, in events.
pub async fn audit_weights(db: &Db, tenants: &[TenantId]) -> Result<Vec<(TenantId, i64)>, DbError> {
    let tx = db.auditing().await?;
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let rows = tx.all(include_str!("audit/weights.sql"), &[&ids]).await?;
    tx.rollback().await?;
    Ok(rows.iter().map(|row| (tenant_of(row), row.get("weight"))).collect())
}

/// What many tenants have of something.
type Of<T> = BTreeMap<TenantId, Vec<T>>;
/// What many accounts have of something.
type OfEach<T> = BTreeMap<Who, Vec<T>>;

/// The tenants that are looked at together: a million of them, one after the other, take most of their time in asking.
struct Page {
    tx: Transaction,
    /// With the accounts of their own.
    tenants: Accounts,
    /// And with those of their people.
    everybody: Accounts,
}

/// As queries take them: $1 tenants, $2 an account of each.
#[derive(Default)]
struct Accounts(Vec<Uuid>, Vec<Uuid>);

impl Accounts {
    fn of<'a>(all: impl Iterator<Item = &'a Evidence>) -> Self {
        let (tenants, accounts) = all.map(|it| (it.tenant.0, it.account)).unzip();
        Self(tenants, accounts)
    }
}

impl Page {
    /// The rows of a query about tenants.
    async fn rows(&self, sql: &str) -> Result<Vec<Row>, DbError> {
        self.tx.all(sql, &[&self.tenants.0, &self.tenants.1]).await
    }

    /// The rows of a query about everybody's accounts.
    async fn rows_of_each(&self, sql: &str) -> Result<Vec<Row>, DbError> {
        self.tx.all(sql, &[&self.everybody.0, &self.everybody.1]).await
    }

    /// Something for each row about an account.
    async fn of_each<T>(&self, sql: &str, read: impl Fn(&Row) -> T) -> Result<OfEach<T>, DbError> {
        let mut all: OfEach<T> = BTreeMap::new();
        for row in self.rows_of_each(sql).await? {
            all.entry(who(&row)).or_default().push(read(&row));
        }
        Ok(all)
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

/// Everything about some tenants and their people, in one snapshot; those without an account are left out. The draft is what
/// the billing code says.
pub async fn evidence(db: &Db, tenants: &[TenantId], now: Timestamp) -> Result<Vec<Evidence>, StoreError> {
    let tx = db.auditing().await?;
    tx.batch_execute("set transaction isolation level repeatable read").await.map_err(DbError::from)?;
    tx.batch_execute(BY_INDEX).await.map_err(DbError::from)?;
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let businesses = tx.all(include_str!("audit/account.sql"), &[&ids]).await?;
    let people = tx.all(include_str!("audit/people.sql"), &[&ids]).await?;
    let mut all: Vec<Evidence> = businesses.iter().chain(&people).map(account).collect();
    let (tenants, everybody) = (Accounts::of(all[..businesses.len()].iter()), Accounts::of(all.iter()));
    let page = Page { tx, tenants, everybody };
    usage::add(&page, &mut all, now).await?;
    terms::add(&page, &mut all).await?;
    statements::add(&page, &mut all).await?;
    let people = all.split_off(businesses.len());
    movements::add(&page, &mut all).await?;
    page.tx.rollback().await?;
    let mut of_tenant: Of<Evidence> = BTreeMap::new();
    for person in people {
        of_tenant.entry(person.tenant).or_default().push(person);
    }
    for business in &mut all {
        business.add_people(of(&mut of_tenant, business));
    }
    Ok(all)
}

/// An account of which nothing else is known yet.
fn account(row: &Row) -> Evidence {
    let evidence = Evidence::of(tenant_of(row), row.get("account_id"), row.get("currency"));
    Evidence { sandbox: row.get("sandbox"), ..evidence }
}

/// What a business has of something, and its people have not by themselves.
fn of<T>(all: &mut Of<T>, evidence: &Evidence) -> Vec<T> {
    all.remove(&evidence.tenant).unwrap_or_default()
}

/// What an account has of something.
fn of_each<T>(all: &mut OfEach<T>, evidence: &Evidence) -> Vec<T> {
    all.remove(&who_of(evidence)).unwrap_or_default()
}

fn who_of(evidence: &Evidence) -> Who {
    Who { tenant: evidence.tenant, account: AccountId(evidence.account) }
}
