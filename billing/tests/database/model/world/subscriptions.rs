//! What is subscribed to.

use super::{World, agree};
use crate::model::{
    commands::Subscription,
    memory::{Memory, Plan, Remembered, State},
};
use billing::{
    TenantId,
    catalogue::NewVersion,
    db::Transaction,
    ids::{PlanVersionId, SubscriptionId, VendorId},
    period::Hour,
    store::{self, Start, SubscribeError},
    subscription::{Change, Patch, When},
};
use jiff::Timestamp;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

/// Micros a month, for a subscription and for a seat.
const FLAT: i64 = 7_000_001;
const SEAT: i64 = 3_333_333;

/// A plan at a flat price and one by seats.
pub(super) async fn catalogue(
    tx: &Transaction,
    shop: (TenantId, VendorId),
    now: Timestamp,
) -> (PlanVersionId, PlanVersionId) {
    let flat = json!({ "description": "Plan", "model": "flat", "every": "month", "amount_micros": FLAT });
    let seats = json!({
        "description": "Seats", "model": "per_unit", "every": "month", "per": "seat", "amount_micros": SEAT
    });
    (plan(tx, shop, json!([flat]), now).await, plan(tx, shop, json!([seats]), now).await)
}

/// A plan at some prices.
pub(super) async fn plan(
    tx: &Transaction,
    (tenant, shop): (TenantId, VendorId),
    prices: Value,
    now: Timestamp,
) -> PlanVersionId {
    let new: NewVersion =
        serde_json::from_value(json!({ "currency": "USD", "prices": prices })).expect("fields");
    let plan = store::insert_plan(tx, tenant, shop, "Plan", false, now).await.expect("writes");
    let plan = plan.expect("its own").plan_id;
    let made = store::insert_version(tx, tenant, plan, &new, now).await.expect("writes");
    made.expect("sound").expect("its own").plan_version_id
}

/// Begins a subscription.
pub(super) async fn start(
    tx: &Transaction,
    tenant: TenantId,
    plan_version_id: PlanVersionId,
    seats: Option<u32>,
    now: Timestamp,
) -> Result<(), SubscribeError> {
    let quantities = Patch { seats, ..Patch::default() };
    let start = Start { plan_version_id, account_id: None, sponsor_id: None, quantities };
    let considered = store::consider_start(tx, tenant, start, now).await?;
    store::keep(tx, tenant, &considered, now).await?;
    Ok(())
}

/// All subscriptions of a tenant.
pub(super) async fn all(tx: &Transaction, tenant: TenantId) -> Vec<SubscriptionId> {
    let kept = store::subscriptions(tx, tenant, None, 100).await.expect("reads");
    kept.iter().map(|it| it.subscription_id).collect()
}

impl World<'_> {
    pub(super) async fn subscribe(
        &mut self,
        command: Subscription,
        cuts: &[usize],
    ) -> Result<bool, TestCaseError> {
        match command {
            Subscription::Start { seats } => self.start(seats, cuts).await,
            Subscription::Seats { which, .. }
            | Subscription::Pause { which }
            | Subscription::Resume { which }
            | Subscription::Cancel { which, .. } => {
                return match self.subscriptions.len() {
                    0 => Ok(false),
                    some => self.change(which % some, command, cuts).await,
                };
            }
        }
        Ok(true)
    }

    async fn start(&mut self, seats: Option<u32>, cuts: &[usize]) {
        let plan = if seats.is_some() { self.seats } else { self.flat };
        let before = self.subscribed().await;
        let started =
            self.once(cuts, async |tx| start(tx, self.tenant(), plan, seats, self.now()).await).await;
        started.expect("possible");
        let after = self.subscribed().await;
        let new: Vec<_> = after.into_iter().filter(|id| !before.contains(id)).collect();
        assert_eq!(new.len(), 1, "it began once");
        self.subscriptions.push((new[0], seats.is_some()));
        let sticker = seats.map_or(FLAT, |seats| SEAT * i64::from(seats));
        let Memory { first, now, .. } = self.memory;
        self.memory.subscriptions.push(Remembered::starting((new[0], Plan::Own), first, now, sticker));
    }

    async fn subscribed(&self) -> Vec<SubscriptionId> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        all(&tx, self.tenant()).await
    }

    async fn change(
        &mut self,
        which: usize,
        command: Subscription,
        cuts: &[usize],
    ) -> Result<bool, TestCaseError> {
        let (id, has_seats) = self.subscriptions[which];
        let Some(change) = wanted(command, has_seats) else { return Ok(false) };
        let change_once = async |tx: &Transaction| {
            let considered = store::consider_change(tx, self.tenant(), id, change, self.now()).await?;
            store::keep(tx, self.tenant(), &considered, self.now()).await?;
            Ok::<(), SubscribeError>(())
        };
        let done = match self.once(cuts, change_once).await {
            Err(SubscribeError::Refused(why)) => Err(why),
            done => {
                done.expect("nothing fails");
                Ok(())
            }
        };
        let (now, next) = (self.memory.now, self.next());
        let month_end = now.month().hours().end;
        // Those that the tenant began with are the first.
        let place = self.memory.subscriptions.len() - self.subscriptions.len() + which;
        let remembered = &mut self.memory.subscriptions[place];
        let before = remembered.clone();
        let allowed =
            remembered.at(next).state != State::Ended && apply(remembered, command, now, next, month_end);
        if done.is_ok() {
            return agree(command, allowed, &done);
        }
        let mut same = (0..1_600).map(|ahead| Hour(now.0 + ahead));
        let changes_nothing = same.all(|hour| before.at(hour) == remembered.at(hour));
        *remembered = before;
        agree(command, allowed && !changes_nothing, &done)
    }
}

fn wanted(command: Subscription, has_seats: bool) -> Option<Change> {
    let when = |with_the_month| if with_the_month { When::PeriodEnd } else { When::Now };
    Some(match command {
        Subscription::Seats { seats, .. } if has_seats => {
            let quantities = Patch { seats: Some(seats), ..Patch::default() };
            Change::Change { plan_version_id: None, quantities, when: When::Now }
        }
        Subscription::Pause { .. } => Change::Pause {},
        Subscription::Resume { .. } => Change::Resume {},
        Subscription::Cancel { with_the_month, .. } => Change::Cancel { when: when(with_the_month) },
        Subscription::Seats { .. } | Subscription::Start { .. } => return None,
    })
}

/// The same change in the model; false where it must be refused.
fn apply(remembered: &mut Remembered, command: Subscription, now: Hour, next: Hour, month_end: Hour) -> bool {
    match command {
        Subscription::Seats { seats, .. } => remembered.price(now, next, SEAT * i64::from(seats)),
        Subscription::Pause { .. } => {
            if remembered.at(next).state == State::Paused {
                return false;
            }
            remembered.from(next, |hour| {
                if hour.state == State::Active {
                    hour.state = State::Paused;
                }
            });
        }
        Subscription::Resume { .. } => return remembered.resume(now, next),
        Subscription::Cancel { with_the_month, .. } => {
            let end = if with_the_month { month_end } else { next };
            if remembered.at(end).state == State::Ended {
                return false;
            }
            remembered.from(end, |hour| hour.state = State::Ended);
        }
        Subscription::Start { .. } => {}
    }
    true
}
