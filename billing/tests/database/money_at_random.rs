//! Commands about money in any order, each perhaps twice, the line to the processor cut at random: whatever happens, the books
//! add up, the audit has nothing to say, and no order was carried out twice.

use crate::{
    collecting::{BEGAN, Broken, business, cents},
    support::{at, database},
};
use billing::{
    audit::audit,
    clock::Clock,
    collection::{DEFAULT_POLICY, TopUp},
    collector::{Collector, Outgoing, PayoutFloor, Terms, pay_now, top_up},
    currency::Currency,
    db::Db,
    jobs,
    ledger::LedgerAccount,
    money::{MICROS_PER_MINOR, Money},
    payment::Settings,
    period::Month,
    processor::{Processor, Sandbox},
    store::{self, PlatformShare, Who},
};
use jiff::{SignedDuration, Timestamp};

/// Histories, and the commands of each.
const HISTORIES: u64 = 12;
const COMMANDS: usize = 40;
/// After the end of every history: the audit looks at all of them.
const AFTERWARDS: &str = "2035-01-01T00:00:00Z";

/// A linear congruential generator (Knuth's constants): the same histories in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Life {
    db: Db,
    who: Who,
    now: Timestamp,
    chance: Chance,
}

const TOKENS: [&str; 7] = [
    "sandbox_succeeds",
    "sandbox_no_funds_once",
    "sandbox_card_lost",
    "sandbox_answer_lost",
    "sandbox_request_lost",
    "sandbox_dispute_won",
    "sandbox_dispute_lost",
];

#[tokio::test]
async fn whatever_happens_the_books_add_up() {
    let db = database().await;
    for history in 0..HISTORIES {
        let mut chance = Chance(history + 1);
        let token = TOKENS[chance.below(TOKENS.len() as u64) as usize];
        let who = business(&db, token).await;
        let mut life = Life { db: db.clone(), who, now: at(BEGAN), chance };
        for _ in 0..COMMANDS {
            life.command().await;
        }
        life.settle_down().await;
        let report = audit(&db, at(AFTERWARDS)).await.expect("an audit");
        assert_eq!(report.differences, [], "history {history} with {token}");
        life.nothing_was_done_twice().await;
    }
}

impl Life {
    async fn command(&mut self) {
        match self.chance.below(10) {
            0..=2 => self.month_passes().await,
            3 => self.now += SignedDuration::from_hours(24 * 3),
            4 => self.collects().await,
            5 => self.resumes().await,
            6 => self.tops_up().await,
            7 => self.pays().await,
            8 => self.gets_money_back().await,
            _ => self.says_something().await,
        }
    }

    async fn month_passes(&mut self) {
        self.now = Month::of(self.now).end() + SignedDuration::from_hours(2);
        jobs::round(&self.db, &Clock::fixed(self.now), |_, _| ()).await.expect("a round");
    }

    fn collector<P: Processor>(&self, processor: P) -> Collector<P> {
        let terms =
            Terms { policy: DEFAULT_POLICY, platform: PlatformShare(100), payout_floor: PayoutFloor(500) };
        Collector::new(self.db.clone(), Clock::fixed(self.now), processor, terms)
    }

    fn sandbox(&self) -> Sandbox {
        Sandbox::new(self.db.clone())
    }

    /// Sometimes the line is cut before the processor has heard, sometimes after.
    async fn collects(&mut self) {
        let cut = self.chance.below(4);
        if cut < 2 {
            let broken = Broken { sandbox: self.sandbox(), after: cut == 1 };
            self.collector(broken).turn(self.who).await.expect("a turn");
        }
        self.collector(self.sandbox()).turn(self.who).await.expect("a turn");
    }

    /// Once or twice at the same time.
    async fn resumes(&mut self) {
        let (one, two) = (self.collector(self.sandbox()), self.collector(self.sandbox()));
        let (one, two) = tokio::join!(one.resume(), two.resume());
        one.and(two).expect("resumes");
        let collector = self.collector(self.sandbox());
        collector.resume_outgoing(Outgoing::Refunds).await.expect("resumes");
        // News of a payment that is not known to have ended are heard later.
        collector.hear().await.ok();
    }

    async fn tops_up(&mut self) {
        let amount = cents(500 + 500 * self.chance.below(3) as i64);
        let tx = self.db.tenant(self.who.tenant).await.expect("begins");
        if top_up(&tx, &self.sandbox(), self.who, amount, self.now).await.is_ok() {
            tx.commit().await.expect("commits");
        }
    }

    async fn pays(&mut self) {
        let tx = self.db.tenant(self.who.tenant).await.expect("begins");
        if pay_now(&tx, &self.sandbox(), &DEFAULT_POLICY, self.who, self.now).await.is_ok() {
            tx.commit().await.expect("commits");
        }
    }

    async fn gets_money_back(&mut self) {
        let tx = self.db.tenant(self.who.tenant).await.expect("begins");
        let payments = store::payments(&tx, self.who.tenant, None, None, 20).await.expect("reads");
        if payments.is_empty() {
            return;
        }
        let of = payments[self.chance.below(payments.len() as u64) as usize].payment_id;
        let micros = MICROS_PER_MINOR * (1 + self.chance.below(400) as i64);
        let times = (self.now, self.now);
        if store::begin_refund(&tx, self.who.tenant, (of, micros), "random", times).await.is_ok() {
            tx.commit().await.expect("commits");
        }
    }

    async fn says_something(&mut self) {
        let tx = self.db.tenant(self.who.tenant).await.expect("begins");
        let kept = store::settings(&tx, self.who).await.expect("reads");
        let five = cents(500);
        let rule = TopUp { amount: five, monthly_ceiling: five, this_month: Money::zero(Currency::USD) };
        let refill = (self.chance.below(2) == 0).then_some(rule);
        let say = Settings { refill, ..kept };
        assert!(store::set(&tx, self.who, say, self.now).await.expect("kept"));
        if self.chance.below(4) == 0 {
            let nothing = Money::zero(Currency::USD);
            let times = (self.now, self.now);
            let proposed = store::propose_write_off(&tx, self.who, nothing, ("random", "Ada"), times).await;
            if let Ok(proposed) = proposed {
                let by = (true, "Bob");
                store::decide_write_off(&tx, self.who.tenant, proposed.write_off_id, by, self.now).await.ok();
            }
        }
        tx.commit().await.expect("commits");
    }

    /// Everything that was begun ends.
    async fn settle_down(&mut self) {
        for _ in 0..3 {
            self.resumes().await;
        }
        self.collector(self.sandbox()).hear().await.expect("hears everything");
        let tx = self.db.tenant(self.who.tenant).await.expect("begins");
        let payments = store::payments(&tx, self.who.tenant, None, None, 200).await.expect("reads");
        assert!(payments.iter().all(|it| it.state != billing::payment::State::Attempted), "{payments:?}");
    }

    /// What the processor says it moved is what our books say it has.
    async fn nothing_was_done_twice(&self) {
        let tx = self.db.tenant(self.who.tenant).await.expect("begins");
        let ours = store::balance(&tx, self.who.tenant, LedgerAccount::Processor, Currency::USD).await;
        let sql = "select coalesce(array_agg(payment_id), '{}') from payment";
        let ids: Vec<uuid::Uuid> = tx.one(sql, &[]).await.expect("reads").get(0);
        tx.batch_execute("set local tuppence.scope = 'processor'").await.expect("another scope");
        let sql = "with o as (select * from sandbox_order
                               where outcome = 'succeeded' and (order_id = any ($1) or target = any ($1::uuid[]::text[]))),
                        n as (select n.what, n.fee_micros, o.order_id, o.amount_micros
                                from sandbox_news n join o using (order_id))
                   select ((select coalesce(sum(case kind when 'charge' then amount_micros - fee_micros
                                                          else -amount_micros end), 0) from o)
                           - (select coalesce(sum(fee_micros), 0) from n))::bigint";
        let theirs: i64 = tx.one(sql, &[&ids]).await.expect("reads").get(0);
        let disputed = "select coalesce(sum(amount_micros), 0)::bigint from dispute where state <> 'won'";
        let disputed: i64 = tx.one(disputed, &[]).await.expect("reads").get(0);
        assert_eq!(ours.expect("a balance").micros, theirs - disputed);
    }
}
