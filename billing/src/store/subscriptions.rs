//! Subscriptions: how they began, what was decided since, and what another decision would cost.
//!
//! A change is considered first and kept then. A preview is a change that was considered and not kept, so the two
//! cannot differ.

use super::{
    OpenedAccount, StoreError, account_of_tenant,
    books::usage,
    caps::is_used_up,
    catalogue::{features, offers},
    clock::tenant_clock,
    finalise::lock,
    row::{new_id, stored},
};
use crate::{
    db::{DbError, Transaction},
    entitlement::{Entitlements, Usable},
    ids::{AccountId, PlanVersionId, SubscriptionId, TenantId},
    money::MoneyError,
    period::Hour,
    price::Quantities,
    subscription::{
        Catalogue, Change, ChangeRefused, History, Patch, Phase, Preview, State, left_alone, preview,
    },
};
use jiff::Timestamp;
use std::collections::BTreeSet;
use tokio_postgres::Row;
use uuid::Uuid;

/// A subscription as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Names it.
    pub subscription_id: SubscriptionId,
    /// Who may use it.
    pub account_id: AccountId,
    /// All decisions about it.
    pub history: History,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A subscription to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// On which price list.
    pub plan_version_id: PlanVersionId,
    /// For whom; the tenant itself if it is nobody else.
    pub account_id: Option<AccountId>,
    /// Who pays, if it is not for whom it is.
    pub sponsor_id: Option<AccountId>,
    /// How many of what the plan counts.
    pub quantities: Patch,
}

/// A start or a change that was thought through. Nothing of it has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// How the subscription would be.
    pub then: Kept,
    /// What it would cost.
    pub preview: Preview,
    /// The tenant's time for which it was thought through.
    pub at: Timestamp,
    /// How many decisions there are already; none yet where it would begin.
    known: usize,
    is_new: bool,
}

/// Why there is no subscription, or not such a one.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// Its rules do not allow it.
    #[error(transparent)]
    Refused(#[from] ChangeRefused),
    /// Not one of the tenant's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It would cost more than can be billed.
    #[error("it would cost more than can be billed")]
    TooDear,
    /// Something failed; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for SubscribeError {
    fn from(error: DbError) -> Self {
        StoreError::Db(error).into()
    }
}

impl From<MoneyError> for SubscribeError {
    fn from(error: MoneyError) -> Self {
        match error {
            MoneyError::Overflow => Self::TooDear,
            MoneyError::Currencies(..) => StoreError::Money(error).into(),
        }
    }
}

/// One subscription of a tenant.
pub async fn subscription(
    tx: &Transaction,
    tenant: TenantId,
    subscription: SubscriptionId,
) -> Result<Option<Kept>, DbError> {
    let (id, nothing, one) = (Some(subscription.0), None::<Uuid>, 1_i64);
    let rows = tx.all(include_str!("decisions.sql"), &[&tenant.0, &id, &nothing, &one]).await?;
    Ok(read(&rows)?.pop())
}

/// A tenant's subscriptions before a cursor, newest first.
pub async fn subscriptions(
    tx: &Transaction,
    tenant: TenantId,
    cursor: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Kept>, DbError> {
    let rows = tx.all(include_str!("decisions.sql"), &[&tenant.0, &None::<Uuid>, &cursor, &limit]).await?;
    read(&rows)
}

fn read(rows: &[Row]) -> Result<Vec<Kept>, DbError> {
    let mut all: Vec<(Kept, Vec<Phase>)> = Vec::new();
    for row in rows {
        let subscription_id = SubscriptionId(row.get("subscription_id"));
        if all.last().is_none_or(|(last, _)| last.subscription_id != subscription_id) {
            let (account_id, created_at) = (AccountId(row.get("account_id")), row.get("began_at"));
            let history = History::new(Vec::new());
            all.push((Kept { subscription_id, account_id, history, created_at }, Vec::new()));
        }
        if let Some((_, decisions)) = all.last_mut() {
            decisions.push(phase(row)?);
        }
    }
    Ok(all.into_iter().map(|(kept, decisions)| Kept { history: History::new(decisions), ..kept }).collect())
}

/// Every plan version that decisions name.
pub(super) fn plans_of(decisions: &[Phase]) -> BTreeSet<PlanVersionId> {
    decisions.iter().map(|phase| phase.plan).collect()
}

/// A decision's row.
pub(super) fn phase(row: &Row) -> Result<Phase, DbError> {
    let state: State = row.get::<_, &str>("state").parse().map_err(stored)?;
    let count = |column| row.get::<_, i32>(column).unsigned_abs();
    Ok(Phase {
        from: Hour::of(row.get("from_hour")),
        state,
        plan: PlanVersionId(row.get("plan_version_id")),
        payer: AccountId(row.get("payer_id")),
        held: Quantities { seats: count("seats"), rooms: count("rooms"), mailboxes: count("mailboxes") },
    })
}

/// Thinks a new subscription through, in the tenant's time. From here to the end of the transaction no month becomes
/// final.
pub async fn consider_start(
    tx: &Transaction,
    tenant: TenantId,
    start: Start,
    now: Timestamp,
) -> Result<Considered, SubscribeError> {
    lock(tx, tenant).await?;
    let at = tenant_clock(tx, tenant, now).await?.now;
    let not_found = SubscribeError::NotFound("account");
    let holder = account_of_tenant(tx, tenant, start.account_id).await?.ok_or(not_found)?;
    let payer = start.sponsor_id.unwrap_or(holder.account_id);
    let catalogue = offers(tx, [start.plan_version_id].into()).await?;
    let no_such_plan = ChangeRefused::NoSuchPlan(start.plan_version_id);
    let offer = catalogue.get(&start.plan_version_id).ok_or(no_such_plan)?;
    let is_first = !had_trial(tx, tenant, holder.account_id, start.plan_version_id).await?;
    let history = History::start(start.plan_version_id, offer, payer, start.quantities, is_first, at)?;
    let (subscription_id, account_id) = (SubscriptionId(new_id(now)), holder.account_id);
    let then = Kept { subscription_id, account_id, history, created_at: now };
    considered(tx, tenant, None, then, &catalogue, at).await
}

/// Thinks a change of a subscription through, in the tenant's time, as [`consider_start`] does.
pub async fn consider_change(
    tx: &Transaction,
    tenant: TenantId,
    id: SubscriptionId,
    change: Change,
    now: Timestamp,
) -> Result<Considered, SubscribeError> {
    lock(tx, tenant).await?;
    let at = tenant_clock(tx, tenant, now).await?.now;
    let kept = subscription(tx, tenant, id).await?.ok_or(SubscribeError::NotFound("subscription"))?;
    let wanted = match change {
        Change::Change { plan_version_id, .. } => plan_version_id,
        _ => None,
    };
    let mut plans = plans_of(kept.history.decisions());
    plans.extend(wanted);
    let catalogue = offers(tx, plans).await?;
    let decided = kept.history.decide(change, &catalogue, at)?;
    let then = Kept { history: kept.history.with(&decided), ..kept.clone() };
    considered(tx, tenant, Some(kept), then, &catalogue, at).await
}

async fn considered(
    tx: &Transaction,
    tenant: TenantId,
    before: Option<Kept>,
    then: Kept,
    catalogue: &Catalogue,
    at: Timestamp,
) -> Result<Considered, SubscribeError> {
    let known = before.as_ref().map_or(0, |kept| kept.history.decisions().len());
    let decided = &then.history.decisions()[known..];
    check_payers(tx, tenant, then.account_id, decided, catalogue).await?;
    check_add_ons(tx, tenant, &then, at).await?;
    let id = then.subscription_id;
    let prices = catalogue.values().flat_map(|offer| &offer.prices);
    let usage = usage(tx, tenant, then.account_id, prices, Hour::of(at).month()).await?;
    let paid = before.map_or(Vec::new(), |kept| kept.history.subscriptions(id, None, catalogue));
    let paid_then = then.history.subscriptions(id, None, catalogue);
    let currency = decided
        .first()
        .and_then(|phase| catalogue.get(&phase.plan))
        .map(|offer| offer.currency)
        .ok_or(SubscribeError::NotFound("plan version"))?;
    let preview = preview(&paid, &paid_then, currency, &usage, Hour::of(at))?;
    Ok(Considered { then, preview, at, known, is_new: known == 0 })
}

/// Whoever pays must be there and pay in the plan's currency; and only the business itself can pay for usage, which is
/// measured for it as a whole.
async fn check_payers(
    tx: &Transaction,
    tenant: TenantId,
    holder: AccountId,
    decided: &[Phase],
    catalogue: &Catalogue,
) -> Result<(), SubscribeError> {
    let is_person = !account(tx, tenant, holder).await?.is_tenant;
    for phase in decided.iter().filter(|phase| phase.state != State::Ended) {
        let no_such_plan = ChangeRefused::NoSuchPlan(phase.plan);
        let offer = catalogue.get(&phase.plan).ok_or(no_such_plan)?;
        let payer = account(tx, tenant, phase.payer).await?;
        if payer.currency != offer.currency {
            let (plan, account) = (offer.currency, payer.currency);
            return Err(ChangeRefused::AnotherCurrency { plan, account }.into());
        }
        if offer.is_metered() && (is_person || !payer.is_tenant) {
            return Err(ChangeRefused::MeteredForAPerson.into());
        }
    }
    Ok(())
}

/// No add-on is to be paid that adds to nothing, now or later. Those that are left alone already do not stand in the way.
async fn check_add_ons(
    tx: &Transaction,
    tenant: TenantId,
    then: &Kept,
    at: Timestamp,
) -> Result<(), SubscribeError> {
    let rows = tx.all(include_str!("decisions_of_account.sql"), &[&tenant.0, &then.account_id.0]).await?;
    let before = read(&rows)?;
    let id = then.subscription_id;
    let after: Vec<&Kept> = before.iter().filter(|kept| kept.subscription_id != id).chain([then]).collect();
    let plans = before.iter().chain([then]).flat_map(|kept| plans_of(kept.history.decisions())).collect();
    let catalogue = offers(tx, plans).await?;
    let alone = |all: &mut dyn Iterator<Item = &Kept>| {
        let held: Vec<_> = all.map(|kept| (kept.subscription_id, &kept.history)).collect();
        left_alone(&held, &catalogue, Hour::of(at))
    };
    let (before, after) = (alone(&mut before.iter()), alone(&mut after.into_iter()));
    let newly: Vec<SubscriptionId> = after.difference(&before).copied().collect();
    match newly.contains(&id) {
        true => Err(ChangeRefused::NothingToAddTo.into()),
        false if newly.is_empty() => Ok(()),
        false => Err(ChangeRefused::AddOnsLeft(newly).into()),
    }
}

async fn account(
    tx: &Transaction,
    tenant: TenantId,
    account: AccountId,
) -> Result<OpenedAccount, SubscribeError> {
    let found = account_of_tenant(tx, tenant, Some(account)).await?;
    found.ok_or(SubscribeError::NotFound("account"))
}

/// Writes down what was considered, in the same transaction.
pub async fn keep(
    tx: &Transaction,
    tenant: TenantId,
    considered: &Considered,
    now: Timestamp,
) -> Result<(), DbError> {
    let Considered { then, known, is_new, .. } = considered;
    let decisions = then.history.decisions();
    let (holder, id) = (then.account_id, then.subscription_id);
    if let (true, Some(first)) = (*is_new, decisions.first()) {
        let sql = include_str!("insert_subscription.sql");
        tx.run(sql, &[&tenant.0, &holder.0, &id.0, &first.plan.0, &first.from.start(), &now]).await?;
    }
    // The row of the subscription is the decision before all others, whatever begins in the same hour.
    let kept: i32 = tx.one(include_str!("last_decision.sql"), &[&tenant.0, &id.0]).await?.get("sequence");
    for (phase, sequence) in decisions[*known..].iter().zip(kept + 1..) {
        insert(tx, tenant, then, phase, sequence, now).await?;
    }
    Ok(())
}

async fn insert(
    tx: &Transaction,
    tenant: TenantId,
    kept: &Kept,
    phase: &Phase,
    sequence: i32,
    now: Timestamp,
) -> Result<(), DbError> {
    let [seats, rooms, mailboxes] =
        [phase.held.seats, phase.held.rooms, phase.held.mailboxes].map(u32::cast_signed);
    tx.run(
        include_str!("insert_decision.sql"),
        &[
            &tenant.0,
            &kept.account_id.0,
            &kept.subscription_id.0,
            &sequence,
            &phase.from.start(),
            &phase.state.as_str(),
            &phase.plan.0,
            &phase.payer.0,
            &seats,
            &rooms,
            &mailboxes,
            &now,
        ],
    )
    .await?;
    Ok(())
}

async fn had_trial(
    tx: &Transaction,
    tenant: TenantId,
    account: AccountId,
    plan: PlanVersionId,
) -> Result<bool, DbError> {
    let row = tx.one(include_str!("had_trial.sql"), &[&tenant.0, &account.0, &plan.0]).await?;
    Ok(row.get("had_trial"))
}

/// How the subscriptions that an account holds stand in an hour, as far as they can be used.
async fn usable(
    tx: &Transaction,
    tenant: TenantId,
    account: AccountId,
    hour: Hour,
) -> Result<Vec<Phase>, DbError> {
    let rows = tx.all(include_str!("decisions_of_account.sql"), &[&tenant.0, &account.0]).await?;
    let held = read(&rows)?.into_iter();
    Ok(held.filter_map(|kept| kept.history.at(hour)).filter(|phase| phase.state.is_usable()).collect())
}

/// What a tenant may do now, by what it is subscribed to.
pub async fn entitlements(
    tx: &Transaction,
    tenant: TenantId,
    now: Timestamp,
) -> Result<Entitlements, StoreError> {
    let Some(account) = account_of_tenant(tx, tenant, None).await? else {
        return Ok(Entitlements::UNLIMITED);
    };
    let hour = Hour::of(tenant_clock(tx, tenant, now).await?.now);
    let rows = tx.all(include_str!("decisions_of_account.sql"), &[&tenant.0, &account.account_id.0]).await?;
    if rows.is_empty() {
        return Ok(Entitlements::UNLIMITED);
    }
    let phases = usable(tx, tenant, account.account_id, hour).await?;
    let features = features(tx, plans_of(&phases)).await?;
    let of = |phase: &Phase| {
        let (_, features, is_add_on) = features.iter().find(|(plan, ..)| *plan == phase.plan)?;
        Some(Usable { features: *features, is_add_on: *is_add_on, held: phase.held })
    };
    let allowed = Entitlements::of(&phases.iter().filter_map(of).collect::<Vec<_>>());
    Ok(if is_used_up(tx, tenant, now).await? { allowed.used_up() } else { allowed })
}
