//! What is paid.

use super::{World, agree, cut};
use crate::model::{
    commands::{Money, Token},
    memory::{CENT, FLOOR, PLATFORM_PER_MILLE, Purpose},
};
use billing::{
    clock::Clock,
    collection::{DEFAULT_POLICY, TopUp},
    collector::{self, Collector, NotNow, Outgoing, PayoutFloor, Terms},
    currency::Currency,
    db::{DbError, Transaction},
    money,
    payment::{Settings, WriteOffState},
    processor::{Rail, Sandbox},
    store::{self, NewMethod, PlatformShare, RefundError, StoreError, WriteOffError},
};
use proptest::test_runner::TestCaseError;

/// How often what was begun is finished at most before it is said that it never ends.
const TRIES_MAX: usize = 20;

fn usd(micros: i64) -> money::Money {
    money::Money::micros(micros, Currency::USD)
}

impl World<'_> {
    pub(super) async fn pay(&mut self, command: Money, cuts: &[usize]) -> Result<bool, TestCaseError> {
        match command {
            Money::Way { token } => self.name_way(token, cuts).await,
            Money::Say { at_least_cents, refill_cents } => self.say(at_least_cents, refill_cents, cuts).await,
            Money::PayNow => return self.pay_now(cuts).await,
            Money::TopUp { cents } => return self.top_up(cents * CENT, cuts).await,
            Money::Collect => self.collect(cuts).await?,
            Money::Finish => self.finish(cuts).await?,
            Money::Refund { which, cents } if !self.memory.money.payments.is_empty() => {
                let which = which % self.memory.money.payments.len();
                return self.refund(which, cents * CENT, cuts).await;
            }
            Money::Refund { .. } => return Ok(false),
            Money::GiveUp => return self.give_up(cuts).await,
            Money::Decide { approve, is_same } => return self.decide(approve, is_same, cuts).await,
            Money::Destination { works } => self.name_destination(works, cuts).await,
            Money::PayOut => return self.pay_out(cuts).await,
        }
        Ok(true)
    }

    async fn name_way(&mut self, token: Token, cuts: &[usize]) {
        let name = async |tx: &Transaction| {
            let (token, label) = (token.name().into(), "Card".into());
            let new = NewMethod { processor: "sandbox", rail: Rail::Card, token, label };
            store::name_method(tx, self.who, new, self.now(), self.now()).await.map(drop)
        };
        self.once(cuts, name).await.expect("named");
        self.memory.money.names(token);
    }

    async fn say(&mut self, at_least: Option<i64>, refill: Option<(i64, i64)>, cuts: &[usize]) {
        let micros = |cents: i64| cents * CENT;
        let (at_least, refill) =
            (at_least.map(micros), refill.map(|(amount, all)| (micros(amount), micros(all))));
        let say = async |tx: &Transaction| {
            let kept = store::settings(tx, self.who).await?;
            let rule = |(amount, monthly)| TopUp {
                amount: usd(amount),
                monthly_ceiling: usd(monthly),
                this_month: usd(0),
            };
            let say = Settings { at_least: at_least.map(usd), refill: refill.map(rule), ..kept };
            store::set(tx, self.who, say, self.now()).await.map(drop)
        };
        self.once::<DbError>(cuts, say).await.expect("said");
        self.memory.money.says(at_least, refill);
    }

    async fn pay_now(&mut self, cuts: &[usize]) -> Result<bool, TestCaseError> {
        let sandbox = Sandbox::new(self.db.clone());
        let ask = async |tx: &Transaction| {
            collector::pay_now(tx, &sandbox, &DEFAULT_POLICY, self.who, self.now()).await.map(drop)
        };
        let done = self.once(cuts, ask).await;
        self.asked(Money::PayNow, (Purpose::Collection, self.memory.owed()), done).await
    }

    async fn top_up(&mut self, amount: i64, cuts: &[usize]) -> Result<bool, TestCaseError> {
        let sandbox = Sandbox::new(self.db.clone());
        let ask = async |tx: &Transaction| {
            collector::top_up(tx, &sandbox, self.who, usd(amount), self.now()).await.map(drop)
        };
        let done = self.once(cuts, ask).await;
        self.asked(Money::TopUp { cents: amount / CENT }, (Purpose::TopUp, amount), done).await
    }

    async fn asked(
        &mut self,
        command: Money,
        (purpose, amount): (Purpose, i64),
        done: Result<(), NotNow>,
    ) -> Result<bool, TestCaseError> {
        if let Err(NotNow::Store(error)) = done {
            panic!("{error}");
        }
        let is_done = agree(command, self.memory.money.asks(purpose, amount, self.now()), &done)?;
        self.compare_payments().await?;
        Ok(is_done)
    }

    fn collector(&self) -> Collector<Sandbox> {
        let floor = PayoutFloor(u32::try_from(FLOOR / CENT).expect("small"));
        let platform = PlatformShare(PLATFORM_PER_MILLE);
        let terms = Terms { policy: DEFAULT_POLICY, platform, payout_floor: floor };
        Collector::new(self.db.clone(), Clock::fixed(self.now()), Sandbox::new(self.db.clone()), terms)
    }

    async fn collect(&mut self, cuts: &[usize]) -> Result<(), TestCaseError> {
        for waits in cuts {
            cut(self.collect_all(), *waits).await;
        }
        self.collect_all().await.expect("collects");
        self.memory.collect(self.now());
        self.compare_payments().await
    }

    /// Turn after turn until one changes nothing and nothing is under way.
    async fn collect_all(&self) -> Result<(), StoreError> {
        let (collector, mut before) = (self.collector(), None);
        for _ in 0..TRIES_MAX {
            collector.resume().await?;
            collector.turn(self.who).await?;
            let (under_way, happened) = self.counted(COLLECTED).await?;
            if before.replace(happened) == Some(happened) && under_way == 0 {
                return Ok(());
            }
        }
        panic!("collecting never ends");
    }

    /// Counts in the tenant's books when nobody else changes them: what a cut command leaves on its way has arrived.
    async fn counted(&self, sql: &str) -> Result<(i64, i64), DbError> {
        let tx = self.db.tenant(self.tenant()).await?;
        let lock = "select pg_advisory_xact_lock(hashtextextended($1::text, 0))";
        tx.all(lock, &[&self.tenant().to_string()]).await?;
        let row = tx.one(sql, &[]).await?;
        tx.rollback().await?;
        Ok((row.get(0), row.get(1)))
    }

    pub(super) async fn finish(&mut self, cuts: &[usize]) -> Result<(), TestCaseError> {
        for waits in cuts {
            cut(self.finish_all(), *waits).await;
        }
        self.finish_all().await.expect("finishes");
        self.memory.finish();
        self.memory.hear();
        self.compare_payments().await
    }

    async fn finish_all(&self) -> Result<(), StoreError> {
        let collector = self.collector();
        for _ in 0..TRIES_MAX {
            collector.resume().await?;
            collector.resume_outgoing(Outgoing::Refunds).await?;
            collector.resume_outgoing(Outgoing::Payouts).await?;
            let (begun, _) = self.counted(BEGUN).await?;
            if begun == 0 {
                // Last: a charge that goes back is written off as far as the wallet lacks it by then.
                return collector.hear().await.map(drop);
            }
        }
        panic!("what was begun never ends");
    }

    async fn refund(&mut self, which: usize, amount: i64, cuts: &[usize]) -> Result<bool, TestCaseError> {
        let mut payments = self.payments().await;
        let (of, times) = (payments.swap_remove(which).payment_id, (self.now(), self.now()));
        let refund = async |tx: &Transaction| {
            store::begin_refund(tx, self.tenant(), (of, amount), "a mistake", times).await.map(drop)
        };
        let done = self.once(cuts, refund).await;
        if let Err(RefundError::Store(error)) = done {
            panic!("{error}");
        }
        agree(Money::Refund { which, cents: amount / CENT }, self.memory.refund(which, amount), &done)
    }

    async fn give_up(&mut self, cuts: &[usize]) -> Result<bool, TestCaseError> {
        let times = (self.now(), self.now());
        let propose = async |tx: &Transaction| {
            store::propose_write_off(tx, self.who, usd(0), ("gone", "Ada"), times).await.map(drop)
        };
        let done = self.once(cuts, propose).await;
        if let Err(WriteOffError::Store(error)) = done {
            panic!("{error}");
        }
        let owed = self.memory.owed();
        agree(Money::GiveUp, self.memory.money.propose(owed), &done)
    }

    async fn decide(&mut self, approve: bool, is_same: bool, cuts: &[usize]) -> Result<bool, TestCaseError> {
        let by = if is_same { "Ada" } else { "Bob" };
        let decide = async |tx: &Transaction| {
            // Those of one moment are in no order.
            let mut all = store::write_offs(tx, self.tenant(), None, 200).await?;
            all.sort_by_key(|it| it.state == WriteOffState::Proposed);
            let one = all.pop().ok_or(WriteOffError::NotFound)?.write_off_id;
            store::decide_write_off(tx, self.tenant(), one, (approve, by), self.now()).await.map(drop)
        };
        let done = self.once(cuts, decide).await;
        if let Err(WriteOffError::Store(error)) = done {
            panic!("{error}");
        }
        agree(Money::Decide { approve, is_same }, self.memory.decide(approve, is_same), &done)
    }

    async fn name_destination(&mut self, works: bool, cuts: &[usize]) {
        let token = if works { Token::Succeeds } else { Token::CardLost }.name();
        let name = async |tx: &Transaction| {
            let vendor = (self.tenant(), self.shop);
            store::name_destination(tx, vendor, "sandbox", (token, "Bank"), self.now()).await.map(drop)
        };
        self.once(cuts, name).await.expect("named");
        self.memory.money.destination = Some(works);
    }

    /// Tells whether the vendor was paid.
    async fn pay_out(&mut self, cuts: &[usize]) -> Result<bool, TestCaseError> {
        // What was begun before ends first: it may come back.
        self.finish(&[]).await?;
        for waits in cuts {
            cut(self.pay_out_all(), *waits).await;
        }
        self.pay_out_all().await.expect("pays");
        let paid = self.memory.pay_out();
        self.compare_payouts().await?;
        Ok(paid.is_some())
    }

    async fn pay_out_all(&self) -> Result<(), StoreError> {
        self.finish_all().await?;
        self.collector().pay_out().await?;
        self.finish_all().await
    }
}

/// Payments under way; all payments, with all that lowered the tab.
const COLLECTED: &str = "select count(*) filter (where p.state = 'attempted'),
                                count(*) + (select count(*) from settlement)
                           from payment p";
/// What was begun and has not ended.
const BEGUN: &str = "select (select count(*) from payment where state = 'attempted')
                          + (select count(*) from refund where state = 'attempted')
                          + (select count(*) from payout where state = 'attempted'), 0::bigint";
