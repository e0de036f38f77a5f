//! Collects: asks of every payer what is to be done, does it, and finishes what was begun.
//!
//! A payment is written down and committed, then the processor is asked, then what came of it is written down. Whoever dies
//! in between leaves a payment that is *attempted*: [`Collector::resume`] looks it up at the processor by its id and gives
//! the order again only if it never arrived, under the same id. So it happens once, and any number of collectors may run.

use crate::{
    clock::Clock,
    collection::{Next, Policy, Reason, Wish, next},
    currency::Currency,
    db::{Db, DbError, Transaction},
    ids::{AccountId, PaymentId, TenantId},
    money::{MICROS_PER_MINOR, Money, MoneyError},
    payment::{Payment, Purpose},
    processor::{Answer, News, Order, Processor, ProcessorError, What},
    store::{
        self, NewPayment, OpenPayment, Payable, Payer, PlatformShare, StoreError, Who, begin_payment,
        settle_payment,
    },
};
use jiff::Timestamp;
use std::error::Error;
use uuid::Uuid;

/// Payers that are looked at with one query.
const PAGE: i64 = 500;
/// Things done about one payer in one turn: a refill, its draw, and what is left.
const STEPS_MAX: usize = 4;

/// What collecting goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When it is worth its fee.
    pub policy: Policy,
    /// What the platform keeps of what it passes on to vendors.
    pub platform: PlatformShare,
    /// Vendors are paid no less.
    pub payout_floor: PayoutFloor,
}

/// The least that a vendor is paid at once: so many hundredths of the major unit, of a yen so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayoutFloor(pub u32);

impl PayoutFloor {
    fn in_currency(self, currency: Currency) -> Money {
        let scale = if currency.minor_digits() == 3 { 10 } else { 1 };
        Money::micros(i64::from(self.0) * scale * MICROS_PER_MINOR, currency)
    }
}

/// What a sweep did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Payers that owe something.
    pub payers: u64,
    /// Payers about whom something was done.
    pub acted: u64,
    /// Payers whose turn failed; the next sweep tries again.
    pub failed: u64,
}

/// Whom a sweep is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Everybody.
    All,
    /// Those whose time can be advanced.
    Sandboxes,
}

/// What sends money out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outgoing {
    /// To payers.
    Refunds,
    /// To vendors.
    Payouts,
}

/// Why a payer is not charged now.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// Nobody of that name.
    #[error("there is no such account")]
    NoAccount,
    /// In the words of the decision.
    #[error("{0}")]
    Nothing(String),
    /// Something failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for NotNow {
    fn from(error: DbError) -> Self {
        NotNow::Store(error.into())
    }
}

impl From<MoneyError> for NotNow {
    fn from(error: MoneyError) -> Self {
        NotNow::Store(error.into())
    }
}

/// Collects by one processor.
#[derive(Debug, Clone)]
pub struct Collector<P> {
    db: Db,
    clock: Clock,
    processor: P,
    terms: Terms,
}

impl<P: Processor> Collector<P> {
    /// Collects from the payers in a database.
    pub fn new(db: Db, clock: Clock, processor: P, terms: Terms) -> Self {
        Self { db, clock, processor, terms }
    }

    /// Asks of each payer that owes something what is to be done, and does it.
    pub async fn sweep(&self, whom: Whom) -> Result<Swept, DbError> {
        let mut swept = Swept::default();
        let mut after = Who { tenant: TenantId(Uuid::nil()), account: AccountId(Uuid::nil()) };
        loop {
            let tx = self.db.collecting().await?;
            let page = store::owing_after(&tx, after, PAGE, whom == Whom::Sandboxes).await?;
            let payers = store::payers(&tx, &self.processor, &page, self.clock.now()).await?;
            tx.rollback().await?;
            let Some(last) = page.last() else { return Ok(swept) };
            after = *last;
            swept.payers += page.len() as u64;
            for payer in payers.iter().filter(|payer| self.has_something_to_do(payer)) {
                match self.turn(payer.who).await {
                    Ok(()) => swept.acted += 1,
                    Err(error) => {
                        swept.failed += 1;
                        tracing::error!(tenant = %payer.who.tenant, account = %payer.who.account, %error, "a tab could not be collected");
                    }
                }
            }
        }
    }

    fn has_something_to_do(&self, payer: &Payer) -> bool {
        !matches!(next(&payer.situation, &self.terms.policy, payer.at), Ok(Next::Wait(..)))
    }

    /// One payer's turn: one thing after the other until there is nothing to do.
    pub async fn turn(&self, who: Who) -> Result<(), StoreError> {
        for _ in 0..STEPS_MAX {
            let tx = self.db.tenant(who.tenant).await?;
            store::lock_tenant(&tx, who.tenant).await?;
            let Some(payer) = self.payer(&tx, who).await? else { return Ok(tx.rollback().await?) };
            let (purpose, amount, why) = match next(&payer.situation, &self.terms.policy, payer.at)? {
                Next::Wait(..) => return Ok(tx.rollback().await?),
                Next::Draw(amount) => {
                    let id = store::new_id(self.clock.now());
                    store::draw(&tx, who, id, amount, self.terms.platform, payer.at).await?;
                    tx.commit().await?;
                    continue;
                }
                Next::Refill(amount, why) => (Purpose::Refill, amount, why),
                Next::Collect(amount, why) => (Purpose::Collection, amount, why),
            };
            let payment = self.begin(&tx, &payer, purpose, amount, why.to_string()).await?;
            tx.commit().await?;
            let Some((payment, order)) = payment else { return Ok(()) };
            match self.submit(who, &payment, &order).await? {
                Some(Answer::Done { .. }) => {}
                Some(Answer::Failed { .. }) | None => return Ok(()),
            }
        }
        Ok(())
    }

    async fn payer(&self, tx: &Transaction, who: Who) -> Result<Option<Payer>, StoreError> {
        Ok(store::payers(tx, &self.processor, &[who], self.clock.now()).await?.pop())
    }

    async fn begin(
        &self,
        tx: &Transaction,
        payer: &Payer,
        purpose: Purpose,
        amount: Money,
        why: String,
    ) -> Result<Option<(Payment, Order)>, StoreError> {
        let Some((method, token)) = payer.method.clone() else { return Ok(None) };
        let new = NewPayment { purpose, method, amount, why };
        let payment = begin_payment(tx, payer.who, new, self.clock.now(), payer.at).await?;
        let what = What::Charge { token, payer: payer.who.account };
        let order = Order { id: payment.payment_id.0, what, amount, tenant: payer.who.tenant, at: payer.at };
        Ok(Some((payment, order)))
    }

    /// Gives an order for the first time and writes down what came of it. `None`: it is not known yet.
    async fn submit(&self, who: Who, payment: &Payment, order: &Order) -> Result<Option<Answer>, StoreError> {
        match self.processor.submit(order).await {
            Ok(answer) => {
                self.settle(who, payment.purpose, order, &answer).await?;
                Ok(Some(answer))
            }
            Err(error) => {
                tell(order, &error);
                Ok(None)
            }
        }
    }

    async fn settle(
        &self,
        who: Who,
        purpose: Purpose,
        order: &Order,
        answer: &Answer,
    ) -> Result<bool, StoreError> {
        let tx = self.db.tenant(who.tenant).await?;
        let payment = (PaymentId(order.id), purpose, order.amount);
        let ended = settle_payment(&tx, who, payment, answer, self.terms.platform, order.at).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Finishes what was begun and is not known to have ended: by this process a moment ago, or by one that has died.
    /// Tells how many have ended now.
    pub async fn resume(&self) -> Result<u64, DbError> {
        let (mut after, mut ended) = (0, 0);
        loop {
            let tx = self.db.collecting().await?;
            let open = store::open_payments(&tx, after, PAGE).await?;
            tx.rollback().await?;
            let Some(last) = open.last() else { return Ok(ended) };
            after = last.number;
            for payment in &open {
                match self.finish(payment).await {
                    Ok(has_ended) => ended += u64::from(has_ended),
                    Err(error) => {
                        tracing::error!(payment = %payment.order.id, %error, "a payment could not be finished");
                    }
                }
            }
        }
    }

    async fn finish(&self, payment: &OpenPayment) -> Result<bool, StoreError> {
        let OpenPayment { who, purpose, order, .. } = payment;
        match self.ask(order).await {
            Some(answer) => self.settle(*who, *purpose, order, &answer).await,
            None => Ok(false),
        }
    }

    /// Looks an order up, and gives it again only if it never arrived. `None`: nobody knows yet.
    async fn ask(&self, order: &Order) -> Option<Answer> {
        let answer = match self.processor.look_up(order.id).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => self.processor.submit(order).await,
            Err(error) => Err(error),
        };
        answer.inspect_err(|error| tell(order, error)).ok()
    }
}

impl<P: Processor> Collector<P> {
    /// Finishes refunds or payouts that were begun, as [`Collector::resume`] does payments.
    pub async fn resume_outgoing(&self, outgoing: Outgoing) -> Result<u64, DbError> {
        let (mut after, mut ended) = (0, 0);
        loop {
            let tx = self.db.collecting().await?;
            let open = match outgoing {
                Outgoing::Refunds => store::open_refunds(&tx, after, PAGE).await?,
                Outgoing::Payouts => store::open_payouts(&tx, after, PAGE).await?,
            };
            tx.rollback().await?;
            let Some((last, _)) = open.last() else { return Ok(ended) };
            after = *last;
            for (_, order) in &open {
                match self.finish_outgoing(outgoing, order).await {
                    Ok(has_ended) => ended += u64::from(has_ended),
                    Err(error) => {
                        tracing::error!(?outgoing, order = %order.id, %error, "what was begun could not be finished");
                    }
                }
            }
        }
    }

    async fn finish_outgoing(&self, outgoing: Outgoing, order: &Order) -> Result<bool, StoreError> {
        let Some(answer) = self.ask(order).await else { return Ok(false) };
        let tx = self.db.tenant(order.tenant).await?;
        let (tenant, id, at) = (order.tenant, order.id, order.at);
        let ended = match outgoing {
            Outgoing::Refunds => store::end_refund(&tx, tenant, id, &answer, at).await?,
            Outgoing::Payouts => store::end_payout(&tx, tenant, id, &answer, at).await?,
        };
        tx.commit().await?;
        Ok(ended)
    }

    /// Sends each vendor what it is owed, where that reaches the floor. Tells how many payouts were begun.
    pub async fn pay_out(&self) -> Result<u64, DbError> {
        let (mut after, mut begun) = (None, 0);
        loop {
            let tx = self.db.collecting().await?;
            let page = store::payable_after(&tx, after.as_ref(), PAGE, self.processor.name()).await?;
            tx.rollback().await?;
            if page.is_empty() {
                return Ok(begun);
            }
            for payable in &page {
                match self.pay_one(payable).await {
                    Ok(is_begun) => begun += u64::from(is_begun),
                    Err(error) => {
                        tracing::error!(vendor = %payable.vendor, %error, "a vendor could not be paid")
                    }
                }
            }
            after = page.into_iter().next_back();
        }
    }

    async fn pay_one(&self, payable: &Payable) -> Result<bool, StoreError> {
        let floor = self.terms.payout_floor.in_currency(payable.owed.currency);
        if payable.owed.micros < floor.micros {
            return Ok(false);
        }
        let tx = self.db.tenant(payable.tenant).await?;
        let now = self.clock.now();
        let at = store::tenant_clock(&tx, payable.tenant, now).await?.now;
        let order = store::begin_payout(&tx, payable, floor, (now, at)).await?;
        tx.commit().await?;
        match order {
            Some(order) => self.finish_outgoing(Outgoing::Payouts, &order).await.map(|_| true),
            None => Ok(false),
        }
    }

    /// Hears what happened at the processor without an order of ours. What was heard and not remembered is heard again, which
    /// changes nothing; what cannot be taken in is set aside and tried again later, and holds nothing up.
    pub async fn hear(&self) -> Result<u64, StoreError> {
        let mut heard = self.hear_again().await?;
        loop {
            let tx = self.db.collecting().await?;
            let last = store::heard_until(&tx, self.processor.name()).await?;
            tx.rollback().await?;
            let news = match self.processor.news(last).await {
                Ok(news) => news,
                Err(error) => {
                    tracing::warn!(%error, "the processor's news were not heard");
                    return Ok(heard);
                }
            };
            let Some(last) = news.last().map(|last| last.number) else { return Ok(heard) };
            for one in &news {
                if let Some(why) = self.try_to_take_in(one).await? {
                    let tx = self.db.collecting().await?;
                    store::set_news_aside(&tx, self.processor.name(), one, &why, self.clock.now()).await?;
                    tx.commit().await?;
                }
            }
            heard += news.len() as u64;
            let tx = self.db.collecting().await?;
            store::hear_until(&tx, self.processor.name(), last, self.clock.now()).await?;
            tx.commit().await?;
        }
    }

    /// Tries what was set aside and is due. Tells how much of it was taken in.
    async fn hear_again(&self) -> Result<u64, StoreError> {
        let tx = self.db.collecting().await?;
        let due = store::news_to_try_again(&tx, self.processor.name(), self.clock.now()).await?;
        tx.rollback().await?;
        let mut taken_in = 0;
        for one in &due {
            let why = self.try_to_take_in(one).await?;
            taken_in += u64::from(why.is_none());
            let (tx, now) = (self.db.collecting().await?, self.clock.now());
            store::tried_news_again(&tx, self.processor.name(), one.number, why.as_deref(), now).await?;
            tx.commit().await?;
        }
        Ok(taken_in)
    }

    /// Takes news in, or says why they must wait. A database that is away is no reason to set anything aside.
    async fn try_to_take_in(&self, news: &News) -> Result<Option<String>, StoreError> {
        let tx = self.db.collecting().await?;
        let earlier = store::news_waited_for(&tx, self.processor.name(), news).await?;
        tx.rollback().await?;
        if let Some(earlier) = earlier {
            return Ok(Some(format!("news {earlier} of the same charge wait")));
        }
        match self.take_in(news).await {
            Ok(()) => Ok(None),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                let why = with_causes(&error);
                tracing::error!(news = news.number, charge = %news.charge, %why, "a processor's news could not be taken in and wait");
                Ok(Some(why))
            }
        }
    }

    async fn take_in(&self, news: &News) -> Result<(), StoreError> {
        let tx = self.db.collecting().await?;
        let tenant = store::whose_payment(&tx, news.charge).await?;
        tx.rollback().await?;
        let Some(tenant) = tenant else {
            tracing::error!(charge = %news.charge, "the processor tells of a charge that nobody ordered");
            return Ok(());
        };
        let tx = self.db.tenant(tenant).await?;
        let at = store::tenant_clock(&tx, tenant, self.clock.now()).await?.now;
        store::hear(&tx, tenant, PaymentId(news.charge), news.event, at).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// An error with everything that led to it.
fn with_causes(error: &dyn Error) -> String {
    let (mut said, mut error) = (error.to_string(), error);
    while let Some(cause) = error.source() {
        said = format!("{said}: {cause}");
        error = cause;
    }
    said
}

fn tell(order: &Order, error: &ProcessorError) {
    match error {
        ProcessorError::Unknown(_) => {
            tracing::warn!(order = %order.id, %error, "an order's outcome is not known yet; it is looked up again");
        }
        ProcessorError::Mismatch(_) => {
            tracing::error!(order = %order.id, %error, "an order does not match what the processor has under its id");
        }
    }
}

/// Writes down that a payer wants to pay the tab now. The collector asks the processor as soon as that is committed.
pub async fn pay_now(
    tx: &Transaction,
    processor: &impl Processor,
    policy: &Policy,
    who: Who,
    now: Timestamp,
) -> Result<Payment, NotNow> {
    store::lock_tenant(tx, who.tenant).await?;
    let mut payer = store::payers(tx, processor, &[who], now).await?.pop().ok_or(NotNow::NoAccount)?;
    payer.situation.wish = Wish::Now;
    // The payer pays by the way it named; the wallet is for what comes by itself.
    payer.situation.wallet = Money::zero(payer.currency());
    payer.situation.refill = None;
    let decided = next(&payer.situation, policy, payer.at)?;
    let (Next::Collect(amount, why), Some((method, _))) = (decided, payer.method.clone()) else {
        return Err(NotNow::Nothing(decided.why().to_string()));
    };
    let new = NewPayment { purpose: Purpose::Collection, method, amount, why: why.to_string() };
    Ok(begin_payment(tx, who, new, now, payer.at).await?)
}

/// Writes down that a payer puts something into its wallet.
pub async fn top_up(
    tx: &Transaction,
    processor: &impl Processor,
    who: Who,
    amount: Money,
    now: Timestamp,
) -> Result<Payment, NotNow> {
    store::lock_tenant(tx, who.tenant).await?;
    let payer = store::payers(tx, processor, &[who], now).await?.pop().ok_or(NotNow::NoAccount)?;
    if payer.situation.under_way {
        return Err(NotNow::Nothing(Reason::UnderWay.to_string()));
    }
    let Some((method, _)) = payer.method.filter(|_| payer.situation.way.is_some()) else {
        return Err(NotNow::Nothing("There is no way to pay this currency. Name one first.".into()));
    };
    let why = "You put it into your wallet.".to_owned();
    let new = NewPayment { purpose: Purpose::TopUp, method, amount, why };
    Ok(begin_payment(tx, who, new, now, payer.at).await?)
}
