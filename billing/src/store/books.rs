//! Loads what a statement is a function of.

use super::{
    StoreError,
    catalogue::offers,
    coupons, credits,
    own_usage::{self, Wanted},
    payers::{Who, who},
    row::{currency, meter, money, month, stored},
    subscriptions::{phase, plans_of},
    tax,
};
use crate::{
    db::{DbError, Transaction},
    ids::{AccountId, PlanVersionId, PriceId, SubscriptionId, TenantId},
    money::Money,
    period::{Hour, Month},
    price::{Counted, Every, Metered, Model, Price, Pricing, Quantities, Tier, Tiers},
    statement::{Account, BilledLine, Books, Final},
    subscription::{History, Phase, State, Subscription},
    usage::{Meter, Usage},
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// An account: the tenant's own where none is named.
pub(super) type Asked = (TenantId, Option<AccountId>);

/// Everything but usage and what was billed for it.
pub(super) async fn open(
    tx: &Transaction,
    tenant: TenantId,
    account: Option<AccountId>,
) -> Result<Books, StoreError> {
    open_all(tx, &[(tenant, account)]).await?.into_values().next().ok_or(StoreError::NoAccount)
}

/// The same of many accounts; those that are not there are left out.
pub(super) async fn open_all(tx: &Transaction, asked: &[Asked]) -> Result<BTreeMap<Who, Books>, StoreError> {
    let mut all = accounts(tx, asked).await?;
    let (ids, accounts) = columns(all.keys());
    let of_each: [&(dyn ToSql + Sync); 2] = [&ids, &accounts];
    let (subscriptions, finals, late, owed) = tokio::try_join!(
        Box::pin(subscriptions(tx, &of_each)),
        Box::pin(tx.all(include_str!("finals.sql"), &of_each)),
        tx.all(include_str!("late_months.sql"), &of_each),
        tx.all(include_str!("owed.sql"), &of_each),
    )?;
    for (who, subscription) in subscriptions {
        of(&mut all, who).subscriptions.push(subscription);
    }
    for row in &finals {
        of(&mut all, who(row)).finals.push(final_of(row)?);
    }
    for row in &late {
        of(&mut all, who(row)).late.insert(month(row));
    }
    for row in &owed {
        let books = of(&mut all, who(row));
        books.owed = Money::micros(row.get("micros"), books.account.currency);
    }
    terms(tx, &mut all).await?;
    Ok(all)
}

/// Adds what only some accounts have. Where none does, nothing is asked.
async fn terms(tx: &Transaction, all: &mut BTreeMap<Who, Books>) -> Result<(), StoreError> {
    let some = all.iter().filter(|(_, books)| books.account.has_terms).map(|(who, _)| who);
    let (ids, accounts) = columns(some);
    if ids.is_empty() {
        return Ok(());
    }
    let of_each: [&(dyn ToSql + Sync); 2] = [&ids, &accounts];
    for (who, tax) in tax::books(tx, &of_each).await? {
        of(all, who).tax = Some(tax);
    }
    for (who, coupons) in coupons::redeemed(tx, &of_each).await? {
        of(all, who).coupons = coupons;
    }
    for (who, credits) in credits::left(tx, &of_each).await? {
        of(all, who).credits = credits;
    }
    Ok(())
}

/// Tenants, and their accounts, as queries take them.
pub(super) fn columns<'a>(accounts: impl Iterator<Item = &'a Who>) -> (Vec<Uuid>, Vec<Uuid>) {
    accounts.map(|who| (who.tenant.0, who.account.0)).unzip()
}

/// The books of an account that a query was asked for.
fn of(all: &mut BTreeMap<Who, Books>, who: Who) -> &mut Books {
    all.get_mut(&who).expect("a query answers with the accounts that it is asked for")
}

pub(super) fn tenant_of(row: &Row) -> TenantId {
    TenantId(row.get("tenant_id"))
}

/// Adds the usage of a month and of the late ones, and what was billed for the late ones, each account's of a month of its own.
/// Usage is a business's, not its people's.
pub(super) async fn fill_all(tx: &Transaction, all: Vec<(Who, &mut Books, Month)>) -> Result<(), StoreError> {
    let mut wanted = Vec::new();
    let (mut ids, mut accounts, mut days) = (Vec::new(), Vec::new(), Vec::new());
    for (who, books, month) in &all {
        if books.account.is_business {
            let months: BTreeSet<Month> = books.late.iter().copied().chain([*month]).collect();
            wanted.extend(months.into_iter().map(|month| (who.tenant, month)));
        }
        for late in &books.late {
            ids.push(who.tenant.0);
            accounts.push(who.account.0);
            days.push(late.first_day());
        }
    }
    let billed = async {
        match ids.is_empty() {
            true => Ok(Vec::new()),
            false => tx.all(include_str!("billed_lines.sql"), &[&ids, &accounts, &days]).await,
        }
    };
    let measured = all.iter().filter(|(_, books, _)| books.account.is_business);
    let own: Vec<Wanted> =
        measured.flat_map(|(who, books, month)| own_usage::wanted(who.tenant, books, *month)).collect();
    let (mut usage, billed) = tokio::try_join!(Box::pin(usage_of(tx, &wanted)), Box::pin(billed))?;
    own_usage::add(tx, &own, None, &mut usage).await?;
    let mut lines: BTreeMap<Who, Vec<BilledLine>> = BTreeMap::new();
    for row in &billed {
        lines.entry(who(row)).or_default().push(billed_line(row)?);
    }
    for (who, books, _) in all {
        if books.account.is_business {
            books.usage = usage.remove(&who.tenant).unwrap_or_default();
        }
        books.billed = lines.remove(&who).unwrap_or_default();
    }
    Ok(())
}

/// What a tenant used in a month, by the hour; of its own meters, what its account used of those that prices name.
pub(super) async fn usage(
    tx: &Transaction,
    tenant: TenantId,
    account: AccountId,
    prices: impl IntoIterator<Item = &Price>,
    month: Month,
) -> Result<Usage, DbError> {
    let own: Vec<Wanted> = own_usage::meters_of(prices)
        .into_iter()
        .map(|meter| Wanted { tenant, account, meter, month })
        .collect();
    let mut usage = usage_of(tx, &[(tenant, month)]).await?;
    own_usage::add(tx, &own, None, &mut usage).await?;
    Ok(usage.remove(&tenant).unwrap_or_default())
}

/// What tenants used in months, by the hour.
async fn usage_of(
    tx: &Transaction,
    wanted: &[(TenantId, Month)],
) -> Result<BTreeMap<TenantId, Usage>, DbError> {
    let tenants: Vec<Uuid> = wanted.iter().map(|(tenant, _)| tenant.0).collect();
    let starts: Vec<Timestamp> = wanted.iter().map(|(_, month)| month.start()).collect();
    let ends: Vec<Timestamp> = wanted.iter().map(|(_, month)| month.end()).collect();
    let mut all: BTreeMap<TenantId, Usage> = BTreeMap::new();
    for row in tx.all(include_str!("usage_by_hour.sql"), &[&tenants, &starts, &ends]).await? {
        let Some(meter) = meter(&row)? else { continue };
        let usage = all.entry(tenant_of(&row)).or_default();
        let hours: Vec<Timestamp> = row.get("hours");
        for (hour, quantity) in hours.into_iter().zip(row.get::<_, Vec<i64>>("quantities")) {
            usage.add(meter, Hour::of(hour), quantity);
        }
    }
    Ok(all)
}

/// Accounts with nothing in their books yet.
async fn accounts(tx: &Transaction, asked: &[Asked]) -> Result<BTreeMap<Who, Books>, DbError> {
    let (tenants, accounts): (Vec<Uuid>, Vec<Option<Uuid>>) =
        asked.iter().map(|(tenant, account)| (tenant.0, account.map(|account| account.0))).unzip();
    let rows = tx.all(include_str!("accounts.sql"), &[&tenants, &accounts]).await?;
    rows.iter().map(|row| Ok((who(row), empty(row)?))).collect()
}

fn empty(row: &Row) -> Result<Books, DbError> {
    let currency = currency(row)?;
    let rail = row.get::<_, Option<&str>>("rail").map(str::parse).transpose().map_err(stored)?;
    let account = Account {
        account_id: AccountId(row.get("account_id")),
        is_business: row.get("is_tenant"),
        name: row.get("name"),
        currency,
        rail,
        has_terms: row.get("has_terms"),
    };
    Ok(Books {
        account,
        subscriptions: Vec::new(),
        usage: Usage::default(),
        late: BTreeSet::new(),
        finals: Vec::new(),
        billed: Vec::new(),
        owed: Money::zero(currency),
        tax: None,
        coupons: Vec::new(),
        credits: Vec::new(),
    })
}

/// Subscriptions that accounts pay, their own and those that they sponsor, ended ones too, an account's oldest first.
async fn subscriptions(
    tx: &Transaction,
    of_each: &[&(dyn ToSql + Sync)],
) -> Result<Vec<(Who, Subscription)>, DbError> {
    let rows = tx.all(include_str!("account_subscriptions.sql"), of_each).await?;
    let began: Vec<Began> = rows.iter().map(Began::of).collect();
    let changes = changes(tx, &began).await?;
    let mut plans: BTreeSet<PlanVersionId> = began.iter().map(|it| it.first.plan).collect();
    plans.extend(changes.values().flat_map(|decisions| plans_of(decisions)));
    let catalogue = offers(tx, plans).await?;
    let mut all = Vec::with_capacity(began.len());
    for Began { payer, subscription_id, first, ends } in began {
        let end = ends.map(|from| Phase { from, state: State::Ended, ..first });
        let changed = changes.get(&(payer.tenant, subscription_id));
        let decisions = [first].into_iter().chain(end).chain(changed.into_iter().flatten().copied());
        let history = History::new(decisions.collect());
        let paid = history.subscriptions(subscription_id, Some(payer.account), &catalogue);
        all.extend(paid.into_iter().map(|subscription| (payer, subscription)));
    }
    Ok(all)
}

/// How a subscription began, and which account looks at it.
struct Began {
    payer: Who,
    subscription_id: SubscriptionId,
    first: Phase,
    ends: Option<Hour>,
}

impl Began {
    fn of(row: &Row) -> Self {
        let first = Phase {
            from: Hour::of(row.get("starts_at")),
            state: State::Active,
            plan: PlanVersionId(row.get("plan_version_id")),
            payer: AccountId(row.get("account_id")),
            held: Quantities::default(),
        };
        Self {
            payer: Who { tenant: tenant_of(row), account: AccountId(row.get("payer_id")) },
            subscription_id: SubscriptionId(row.get("subscription_id")),
            first,
            ends: row.get::<_, Option<Timestamp>>("ends_at").map(Hour::of),
        }
    }
}

/// What was decided about subscriptions since they began.
async fn changes(
    tx: &Transaction,
    began: &[Began],
) -> Result<BTreeMap<(TenantId, SubscriptionId), Vec<Phase>>, DbError> {
    let (tenants, ids): (Vec<Uuid>, Vec<Uuid>) =
        began.iter().map(|it| (it.payer.tenant.0, it.subscription_id.0)).unzip();
    let mut all: BTreeMap<_, Vec<Phase>> = BTreeMap::new();
    for row in tx.all(include_str!("account_changes.sql"), &[&tenants, &ids]).await? {
        let id = SubscriptionId(row.get("subscription_id"));
        all.entry((tenant_of(&row), id)).or_default().push(phase(&row)?);
    }
    Ok(all)
}

pub(super) fn price(row: &Row) -> Result<Price, DbError> {
    let price = Price {
        price_id: PriceId(row.get("price_id")),
        description: row.get("description"),
        pricing: match meter(row)? {
            None if row.get::<_, &str>("per") != "subscription" => Pricing::Counted(counted(row)?),
            None => Pricing::Recurring {
                amount: Money::micros(one_rate(row)?, currency(row)?),
                every: every(row)?,
            },
            Some(meter) => Pricing::Metered(metered(row, meter)?),
        },
    };
    // Whoever wrote it checked it; a price that makes no sense all the same must not be charged.
    price.check().map_err(stored)?;
    Ok(price)
}

fn every(row: &Row) -> Result<Every, DbError> {
    match row.get("unit") {
        "month" => Ok(Every::Month),
        "year" => Ok(Every::Year),
        other => Err(stored(format!("a recurring price is for a month or a year, not for a {other}"))),
    }
}

fn counted(row: &Row) -> Result<Counted, DbError> {
    let item = row.get::<_, &str>("per").parse().map_err(stored)?;
    let currency = currency(row)?;
    let bound = |column| row.get::<_, Option<i64>>(column).map(|micros| Money::micros(micros, currency));
    Ok(Counted {
        item,
        currency,
        every: every(row)?,
        included: row.get("included"),
        model: model(row)?,
        minimum: bound("minimum_micros"),
        cap: bound("cap_micros"),
    })
}

fn metered(row: &Row, meter: Meter) -> Result<Metered, DbError> {
    let currency = currency(row)?;
    let bound = |column| row.get::<_, Option<i64>>(column).map(|micros| Money::micros(micros, currency));
    Ok(Metered {
        meter,
        currency,
        unit: row.get("unit"),
        unit_size: row.get("unit_size"),
        included: row.get("included"),
        model: model(row)?,
        minimum: bound("minimum_micros"),
        cap: bound("cap_micros"),
    })
}

fn model(row: &Row) -> Result<Model, DbError> {
    Ok(match row.get("model") {
        "flat" => Model::Flat { micros: one_rate(row)? },
        "per_unit" => Model::PerUnit { micros: one_rate(row)? },
        "package" => Model::Package { micros: one_rate(row)? },
        "percentage" => Model::Percentage { millionths: one_rate(row)? },
        "graduated" => Model::Graduated(tiers(row)?),
        "volume" => Model::Volume(tiers(row)?),
        other => return Err(stored(format!("there is no price model {other}"))),
    })
}

/// The only rate of a price without tiers.
fn one_rate(row: &Row) -> Result<i64, DbError> {
    match row.get::<_, Vec<i64>>("tier_rate_micros")[..] {
        [rate] => Ok(rate),
        _ => Err(stored("a price without tiers has one rate")),
    }
}

fn tiers(row: &Row) -> Result<Tiers, DbError> {
    let bounds: Vec<i64> = row.get("tier_up_to");
    let rates: Vec<i64> = row.get("tier_rate_micros");
    let bounds = bounds.into_iter().map(Some).chain([None]);
    let tiers = bounds.zip(rates).map(|(up_to, rate_micros)| Tier { up_to, rate_micros });
    Tiers::new(tiers.collect()).map_err(stored)
}

fn final_of(row: &Row) -> Result<Final, DbError> {
    let month = Month::of(row.get("period_start"));
    Ok(Final { month, total: money(row, "payable_micros")?, carried_out: money(row, "carried_out_micros")? })
}

fn billed_line(row: &Row) -> Result<BilledLine, DbError> {
    Ok(BilledLine {
        subscription_id: SubscriptionId(row.get("subscription_id")),
        price_id: PriceId(row.get("price_id")),
        month: month(row),
        quantity: row.get("quantity"),
        amount: money(row, "amount_micros")?,
    })
}
