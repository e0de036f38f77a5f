//! The real thing beside the model: one tenant, and every command on both.

use super::{
    commands::{Command, Step},
    memory::{Memory, Remembered, State, Sum},
};
use crate::support::{call, tenant};
use billing::{
    TenantId, audit,
    catalogue::NewVersion,
    currency::Currency,
    db::{Db, DbError, Transaction},
    ids::{AccountId, LegId, PlanVersionId, SubscriptionId},
    ledger::LedgerAccount,
    period::Hour,
    statement::Statement,
    store::{self, Considered, Start, SubscribeError},
    subscription::{Change, Patch, When},
    usage::{Fact, FactKey, Meter},
};
use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::json;
use std::{future::poll_fn, pin::pin, task::Poll};

/// Where the first sequences begin: a leap February is near.
const EPOCH: &str = "2027-11-20T00:00:00Z";
/// Micros a month, for a subscription and for a seat.
const FLAT: i64 = 7_000_001;
const SEAT: i64 = 3_333_333;
/// The business plan of every tenant.
const BUSINESS: i64 = 25_000_000;

pub(super) struct World<'a> {
    db: &'a Db,
    tenant: TenantId,
    account: AccountId,
    legs: Vec<LegId>,
    flat: PlanVersionId,
    seats: PlanVersionId,
    subscriptions: Vec<(SubscriptionId, bool)>,
    memory: Memory,
}

/// Drops a future where it waits for the last of so many times. `None` if it was dropped.
async fn cut<F: Future>(future: F, mut waits: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if waits == 0 => Poll::Ready(None),
        Poll::Pending => {
            waits -= 1;
            Poll::Pending
        }
    })
    .await
}

impl<'a> World<'a> {
    pub(super) async fn begin(db: &'a Db, start: i64) -> Self {
        let epoch: Timestamp = EPOCH.parse().expect("a time");
        let first = Hour(Hour::of(epoch).0 + start);
        let tenant = tenant(db, false, &first.start().to_string()).await;
        let legs = call(db, tenant, "Tea", &["Ada", "Bob"], 0).await;
        let tx = db.tenant(tenant).await.expect("begins");
        let account = store::account_of_tenant(&tx, tenant, None).await.expect("reads").expect("its own");
        let (flat, seats) = catalogue(&tx, tenant, first.start()).await;
        tx.commit().await.expect("commits");
        let mut memory = Memory::starting(first);
        memory.subscriptions.push(Remembered::starting(first, first, BUSINESS));
        let account = account.account_id;
        Self { db, tenant, account, legs, flat, seats, subscriptions: Vec::new(), memory }
    }

    /// In the middle of the hour.
    fn now(&self) -> Timestamp {
        self.memory.now.start() + SignedDuration::from_mins(30)
    }

    fn next(&self) -> Hour {
        Hour(self.memory.now.0 + 1)
    }

    pub(super) async fn take(&mut self, Step { command, cuts }: Step) -> Result<(), TestCaseError> {
        match command {
            Command::Wait { hours } => self.memory.now.0 += hours,
            Command::Use { leg, is_egress, hours_ago, quantity } => {
                let hour = Hour((self.memory.now.0 - hours_ago).max(self.memory.first.0));
                self.record(leg, is_egress, hour, quantity, &cuts).await;
            }
            Command::Start { seats } => self.start(seats, &cuts).await,
            Command::Close => self.close(&cuts).await,
            Command::Look => self.look().await?,
            Command::Seats { which, .. }
            | Command::Pause { which }
            | Command::Resume { which }
            | Command::Cancel { which, .. } => {
                if which < self.subscriptions.len() {
                    self.change(which, command, &cuts).await?;
                }
            }
        }
        Ok(())
    }

    async fn record(&mut self, leg: usize, is_egress: bool, hour: Hour, quantity: u64, cuts: &[usize]) {
        let meter = if is_egress { Meter::EgressBytes } else { Meter::ParticipantMs };
        let fact = Fact { key: FactKey { leg: self.legs[leg], meter, hour }, quantity };
        let facts = [(self.tenant, fact)];
        for waits in cuts {
            cut(store::record_batch(self.db, &facts, self.now()), *waits).await;
        }
        let recorded = store::record_batch(self.db, &facts, self.now()).await.expect("records");
        assert_eq!(recorded.refused, 0);
        self.memory.count(leg, is_egress, hour, quantity);
    }

    async fn start(&mut self, seats: Option<u32>, cuts: &[usize]) {
        let plan_version_id = if seats.is_some() { self.seats } else { self.flat };
        let quantities = Patch { seats, ..Patch::default() };
        let start = Start { plan_version_id, account_id: None, sponsor_id: None, quantities };
        let known = self.subscriptions.len() + 1;
        for waits in cuts {
            cut(self.begin_once(start, known), *waits).await;
        }
        let id = self.begin_once(start, known).await;
        self.subscriptions.push((id, seats.is_some()));
        let sticker = seats.map_or(FLAT, |seats| SEAT * i64::from(seats));
        let Memory { first, now, .. } = self.memory;
        self.memory.subscriptions.push(Remembered::starting(first, now, sticker));
    }

    /// Begins a subscription unless there is one more than `known` already: that of a try whose answer was lost.
    async fn begin_once(&self, start: Start, known: usize) -> SubscriptionId {
        let tx = self.db.tenant(self.tenant).await.expect("begins");
        // Considering waits for whoever else changes the tenant's books, the lost try included.
        let considered = store::consider_start(&tx, self.tenant, start, self.now()).await.expect("possible");
        let kept = store::subscriptions(&tx, self.tenant, None, 100).await.expect("reads");
        if kept.len() > known {
            let is_new = |id| self.subscriptions.iter().all(|(known, _)| *known != id);
            let of_plan = |phase: &billing::subscription::Phase| phase.plan == start.plan_version_id;
            let ours = kept
                .iter()
                .find(|kept| is_new(kept.subscription_id) && of_plan(&kept.history.decisions()[0]));
            return ours.expect("it began").subscription_id;
        }
        store::keep(&tx, self.tenant, &considered, self.now()).await.expect("keeps");
        tx.commit().await.expect("commits");
        considered.then.subscription_id
    }

    async fn change(&mut self, which: usize, command: Command, cuts: &[usize]) -> Result<(), TestCaseError> {
        let (id, has_seats) = self.subscriptions[which];
        let Some(change) = wanted(command, has_seats) else { return Ok(()) };
        let known = self.decisions(id).await;
        for waits in cuts {
            cut(self.change_once(id, change, known), *waits).await;
        }
        let changed = self.change_once(id, change, known).await;
        let (now, next) = (self.memory.now, self.next());
        let month_end = now.month().hours().end;
        // The business plan is the first.
        let remembered = &mut self.memory.subscriptions[which + 1];
        let before = remembered.clone();
        let allowed =
            remembered.at(next).state != State::Ended && apply(remembered, command, now, next, month_end);
        match changed {
            Ok(()) => prop_assert!(allowed, "{command:?} must be refused"),
            Err(why) => {
                let same = (0..).map(|ahead| Hour(now.0 + ahead)).take(1_600);
                let same = same.into_iter().all(|hour| before.at(hour) == remembered.at(hour));
                prop_assert!(!allowed || same, "{command:?} must not be refused: {why}");
                *remembered = before;
            }
        }
        Ok(())
    }

    async fn decisions(&self, id: SubscriptionId) -> usize {
        let tx = self.db.tenant(self.tenant).await.expect("begins");
        decided(&tx, self.tenant, id).await
    }

    /// Changes a subscription unless more than `known` was decided about it already.
    async fn change_once(&self, id: SubscriptionId, change: Change, known: usize) -> Result<(), String> {
        let tx = self.db.tenant(self.tenant).await.expect("begins");
        let considered = store::consider_change(&tx, self.tenant, id, change, self.now()).await;
        if decided(&tx, self.tenant, id).await > known {
            return Ok(());
        }
        let considered: Considered = match considered {
            Err(SubscribeError::Refused(why)) => return Err(why.to_string()),
            considered => considered.expect("nothing fails"),
        };
        store::keep(&tx, self.tenant, &considered, self.now()).await.expect("keeps");
        tx.commit().await.expect("commits");
        Ok(())
    }

    async fn close(&mut self, cuts: &[usize]) {
        for waits in cuts {
            cut(self.close_once(), *waits).await;
        }
        self.close_once().await.expect("closes");
        self.memory.close();
    }

    async fn close_once(&self) -> Result<(), DbError> {
        let tx = self.db.tenant(self.tenant).await?;
        store::finalise_ended(&tx, self.tenant, self.now(), self.now()).await.expect("sums work out");
        tx.commit().await
    }

    /// The draft of the open month.
    async fn look(&self) -> Result<(), TestCaseError> {
        let tx = self.db.tenant(self.tenant).await.expect("begins");
        let draft = store::draft(&tx, self.tenant, self.now()).await.expect("drafts");
        let month = self.memory.open();
        prop_assert_eq!(draft.period.start, month.start());
        let until = self.next().min(month.hours().end);
        prop_assert_eq!(sum_of(&draft), self.memory.sum(month, until));
        prop_assert_eq!(draft.tab.after.micros, self.memory.owed() + draft.total.micros);
        Ok(())
    }

    /// Closes what is left and compares everything.
    pub(super) async fn end(mut self) -> Result<(), TestCaseError> {
        self.close(&[]).await;
        self.look().await?;
        let tx = self.db.tenant(self.tenant).await.expect("begins");
        let mut finals = Vec::new();
        for summary in store::statements(&tx, self.tenant).await.expect("reads") {
            let statement = store::statement(&tx, self.tenant, summary.statement_id).await;
            finals.push(statement.expect("reads").expect("is there"));
        }
        finals.sort_by_key(|statement| statement.period.start);
        let found: Vec<_> = finals.iter().map(|it| (it.period.start, sum_of(it))).collect();
        let expected: Vec<_> = self.memory.finals.iter().map(|(month, sum)| (month.start(), *sum)).collect();
        prop_assert_eq!(found, expected);
        let carried = self.memory.finals.last().map_or(0, |(_, last)| last.carried_out);
        let vendor = finals.first().and_then(|it| it.lines.first()).map(|line| line.vendor_id);
        for (account, expected) in [
            (LedgerAccount::Receivable(self.account), self.memory.owed()),
            (LedgerAccount::Carried(self.account), carried),
        ] {
            let balance = store::balance(&tx, self.tenant, account, Currency::USD).await.expect("reads");
            prop_assert_eq!(balance.micros, expected);
        }
        prop_assert!(vendor.is_some() || self.memory.revenue() == 0);
        tx.rollback().await.expect("ends");
        let evidence = store::evidence(self.db, &[self.tenant], self.now()).await.expect("reads");
        let differences = audit::examine(evidence.first().expect("an account"));
        prop_assert!(differences.is_empty(), "{differences:?}");
        Ok(())
    }
}

/// Every number of the series is on a statement.
pub(super) async fn no_number_is_missing(db: &Db) {
    let service = db.service().await.expect("begins");
    let series = store::number_series(&service).await.expect("reads");
    service.rollback().await.expect("ends");
    let closing = db.closing().await.expect("begins");
    let counted =
        "select count(*), coalesce(max(series_number), 0) from statement where legal_entity = 'operator'";
    let row = closing.one(counted, &[]).await.expect("counts");
    let (count, last): (i64, i64) = (row.get(0), row.get(1));
    let given = series.iter().find(|it| it.entity == "operator").map_or(0, |it| it.last);
    assert_eq!((count, last), (given, given));
}

/// A plan at a flat price and one by seats.
async fn catalogue(tx: &Transaction, tenant: TenantId, now: Timestamp) -> (PlanVersionId, PlanVersionId) {
    let flat = json!({ "description": "Plan", "model": "flat", "every": "month", "amount_micros": FLAT });
    let seats = json!({
        "description": "Seats", "model": "per_unit", "every": "month", "per": "seat", "amount_micros": SEAT
    });
    let vendor =
        store::insert_vendor(tx, tenant, "Shop", now).await.expect("writes").expect("room").vendor_id;
    let mut versions = Vec::new();
    for price in [flat, seats] {
        let new: NewVersion =
            serde_json::from_value(json!({ "currency": "USD", "prices": [price] })).expect("fields");
        let plan = store::insert_plan(tx, tenant, vendor, "Plan", false, now).await.expect("writes");
        let plan = plan.expect("its own").plan_id;
        let made = store::insert_version(tx, tenant, plan, &new, now).await.expect("writes");
        versions.push(made.expect("sound").expect("its own").plan_version_id);
    }
    (versions[0], versions[1])
}

async fn decided(tx: &Transaction, tenant: TenantId, id: SubscriptionId) -> usize {
    let kept = store::subscription(tx, tenant, id).await.expect("reads").expect("is there");
    kept.history.decisions().len()
}

fn wanted(command: Command, has_seats: bool) -> Option<Change> {
    let when = |with_the_month| if with_the_month { When::PeriodEnd } else { When::Now };
    Some(match command {
        Command::Seats { seats, .. } if has_seats => {
            let quantities = Patch { seats: Some(seats), ..Patch::default() };
            Change::Change { plan_version_id: None, quantities, when: When::Now }
        }
        Command::Pause { .. } => Change::Pause {},
        Command::Resume { .. } => Change::Resume {},
        Command::Cancel { with_the_month, .. } => Change::Cancel { when: when(with_the_month) },
        _ => return None,
    })
}

/// The same change in the model; false where it must be refused.
fn apply(remembered: &mut Remembered, command: Command, now: Hour, next: Hour, month_end: Hour) -> bool {
    match command {
        Command::Seats { seats, .. } => remembered.price(now, next, SEAT * i64::from(seats)),
        Command::Pause { .. } => {
            if remembered.at(next).state == State::Paused {
                return false;
            }
            remembered.from(next, |hour| {
                if hour.state == State::Active {
                    hour.state = State::Paused;
                }
            });
        }
        Command::Resume { .. } => return remembered.resume(now, next),
        Command::Cancel { with_the_month, .. } => {
            let end = if with_the_month { month_end } else { next };
            if remembered.at(end).state == State::Ended {
                return false;
            }
            remembered.from(end, |hour| hour.state = State::Ended);
        }
        _ => {}
    }
    true
}

fn sum_of(statement: &Statement) -> Sum {
    Sum {
        subtotal: statement.subtotal.micros,
        carried_in: statement.carried_in.micros,
        total: statement.total.micros,
        carried_out: statement.carried_out.micros,
    }
}
