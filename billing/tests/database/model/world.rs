//! The real thing beside the model: one tenant, and every command on both.

mod books;
mod money;
mod subscriptions;
mod terms;
mod usage;

pub(super) use books::no_number_is_missing;

use super::{
    commands::{Command, Step, Usage},
    memory::{Memory, Plan, Remembered},
    tally::Tally,
};
use crate::support::{call, tenant};
use billing::{
    TenantId,
    db::{Db, DbError, Transaction},
    ids::{LegId, PlanVersionId, SubscriptionId, VendorId},
    period::Hour,
    statement::Status,
    store::{self, Who},
};
use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, test_runner::TestCaseError};
use std::{cell::Cell, fmt::Display, future::poll_fn, pin::pin, task::Poll};

/// Where the first sequences begin: a leap February is near.
const EPOCH: &str = "2027-11-20T00:00:00Z";
/// The operator as a vendor.
const OPERATOR: &str = "0199c000-0000-7000-8000-000000000001";
/// What the operator asks of every business, in micros a month.
const BUSINESS: i64 = 25_000_000;

pub(super) struct World<'a> {
    db: &'a Db,
    who: Who,
    legs: Vec<LegId>,
    /// Sells what every business has.
    operator: VendorId,
    /// Sells to the tenant itself: so what the tenant pays falls to a vendor of its own.
    shop: VendorId,
    flat: PlanVersionId,
    seats: PlanVersionId,
    /// Those that were begun later than the tenant, and whether they have seats.
    subscriptions: Vec<(SubscriptionId, bool)>,
    /// Events that were taken, as they were sent.
    events: Vec<serde_json::Value>,
    /// Requests so far.
    requests: Cell<u32>,
    /// Where final statements stood when it was looked last, oldest first.
    stood: Vec<Status>,
    memory: Memory,
    /// What was done, and what came of it.
    pub(super) tally: Tally,
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

/// Says of a command that it must be done, or that it must be refused. Tells which.
fn agree(
    command: impl std::fmt::Debug,
    expected: bool,
    done: &Result<(), impl Display>,
) -> Result<bool, TestCaseError> {
    let why = done.as_ref().err().map(ToString::to_string);
    prop_assert_eq!(done.is_ok(), expected, "{:?}: {:?}", command, why);
    Ok(expected)
}

impl<'a> World<'a> {
    /// A tenant that does some steps.
    pub(super) async fn begin(db: &'a Db, start: i64, steps: &[Step]) -> Self {
        let epoch: Timestamp = EPOCH.parse().expect("a time");
        let first = Hour(Hour::of(epoch).0 + start);
        let tenant = tenant(db, false, &first.start().to_string()).await;
        let legs = call(db, tenant, "Tea", &["Ada", "Bob"], 0).await;
        let tx = db.tenant(tenant).await.expect("begins");
        let account = store::account_of_tenant(&tx, tenant, None).await.expect("reads").expect("its own");
        let now = first.start();
        let vendor = store::insert_vendor(&tx, tenant, "Shop", now).await.expect("writes").expect("room");
        let shop = vendor.vendor_id;
        let (flat, seats) = subscriptions::catalogue(&tx, (tenant, shop), now).await;
        let business = subscriptions::all(&tx, tenant).await;
        if steps.iter().any(|step| matches!(step.command, Command::Usage(Usage::Event { .. }))) {
            usage::price_events(&tx, (tenant, shop), now).await;
        }
        let both = subscriptions::all(&tx, tenant).await;
        tx.commit().await.expect("commits");
        let mut memory = Memory::starting(first);
        for id in both {
            let (plan, sticker) =
                if business.contains(&id) { (Plan::Business, BUSINESS) } else { (Plan::Events, 0) };
            memory.subscriptions.push(Remembered::starting((id, plan), first, first, sticker));
        }
        Self {
            db,
            who: Who { tenant, account: account.account_id },
            legs,
            operator: VendorId(OPERATOR.parse().expect("an id")),
            shop,
            flat,
            seats,
            subscriptions: Vec::new(),
            events: Vec::new(),
            requests: Cell::new(0),
            stood: Vec::new(),
            memory,
            tally: Tally::default(),
        }
    }

    fn tenant(&self) -> TenantId {
        self.who.tenant
    }

    /// In the middle of the hour.
    fn now(&self) -> Timestamp {
        self.memory.now.start() + SignedDuration::from_mins(30)
    }

    fn next(&self) -> Hour {
        Hour(self.memory.now.0 + 1)
    }

    /// An hour that lies so long ago, but not before the beginning.
    fn ago(&self, hours: i64) -> Hour {
        Hour((self.memory.now.0 - hours).max(self.memory.first.0))
    }

    pub(super) async fn take(&mut self, Step { command, cuts }: Step) -> Result<(), TestCaseError> {
        let is_done = match command {
            Command::Wait { hours } => {
                self.memory.now.0 += hours;
                true
            }
            Command::Close => self.close(&cuts).await,
            Command::Month => {
                self.memory.now = self.memory.now.month().hours().end;
                self.close(&cuts).await
            }
            Command::Look => self.look().await?,
            Command::Subscription(command) => self.subscribe(command, &cuts).await?,
            Command::Usage(command) => self.use_up(command, &cuts).await?,
            Command::Terms(command) => self.agree_on(command, &cuts).await?,
            Command::Money(command) => self.pay(command, &cuts).await?,
        };
        if is_done {
            self.tally.add(&command.name());
        }
        match command {
            // They move no money, so nothing stands elsewhere.
            Command::Look | Command::Wait { .. } | Command::Subscription(_) | Command::Usage(_) => Ok(()),
            _ => self.compare_standings().await,
        }
    }

    /// Does something once however often it is tried, as the service does by the idempotency key of a request: each try but the
    /// last is cut off, and one that comes after a try that was committed changes nothing.
    async fn once<E: From<DbError>>(
        &self,
        cuts: &[usize],
        act: impl AsyncFn(&Transaction) -> Result<(), E>,
    ) -> Result<(), E> {
        self.requests.set(self.requests.get() + 1);
        let key = self.requests.get().to_string();
        let request = async || {
            let tx = self.db.tenant(self.tenant()).await?;
            let sql =
                "insert into idempotency_key (tenant_id, key, request_hash, status, body, sealed, created_at)
                       values ($1, $2, repeat('0', 64), 200, '', false, now())
                       on conflict do nothing";
            if tx.run(sql, &[&self.tenant().0, &key]).await? == 1 {
                act(&tx).await?;
                tx.commit().await?;
            }
            Ok(())
        };
        for waits in cuts {
            cut(request(), *waits).await;
        }
        request().await
    }

    /// Tells whether a month became final.
    async fn close(&mut self, cuts: &[usize]) -> bool {
        for waits in cuts {
            cut(self.close_once(), *waits).await;
        }
        self.close_once().await.expect("closes");
        let before = self.memory.finals.len();
        self.memory.close(self.now());
        self.memory.finals.len() > before
    }

    async fn close_once(&self) -> Result<(), DbError> {
        let tx = self.db.tenant(self.tenant()).await?;
        store::finalise_ended(&tx, self.tenant(), self.now(), self.now()).await.expect("sums work out");
        tx.commit().await
    }

    /// Closes and finishes what is left and compares everything. Tells what was done and what came of it.
    pub(super) async fn end(mut self) -> Result<Tally, TestCaseError> {
        self.close(&[]).await;
        if !self.memory.money.payments.is_empty() {
            self.finish(&[]).await?;
            self.compare_orders().await?;
        }
        self.look().await?;
        self.compare_standings().await?;
        self.compare_finals().await?;
        self.compare_settlements().await?;
        self.audit().await?;
        self.tally.add_outcomes(&self.memory);
        Ok(self.tally)
    }
}
