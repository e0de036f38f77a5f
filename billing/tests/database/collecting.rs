//! From the tab to the money, on real tables: each thing happens once, whoever dies in between.

use crate::support::{at, client, database, migrated_database, tenant};
use billing::{
    TenantId,
    clock::Clock,
    collection::DEFAULT_POLICY,
    collector::{Collector, NotNow, PayoutFloor, Terms, Whom, pay_now, top_up},
    currency::Currency,
    db::{Db, DbError},
    jobs,
    ledger::LedgerAccount,
    money::{MICROS_PER_MINOR, Money},
    payment::{Payment, Settings, State},
    period::Month,
    processor::{Answer, Order, Processor, ProcessorError, Rail, Sandbox, What},
    statement::Status,
    store::{self, NewMethod, Payer, PlatformShare, Who},
};
use jiff::SignedDuration;
use uuid::Uuid;

pub(crate) const BEGAN: &str = "2026-01-01T00:00:00Z";

pub(crate) fn cents(cents: i64) -> Money {
    Money::micros(cents * MICROS_PER_MINOR, Currency::USD)
}

pub(crate) fn collector(db: &Db, now: &str) -> Collector<Sandbox> {
    let terms =
        Terms { policy: DEFAULT_POLICY, platform: PlatformShare(100), payout_floor: PayoutFloor(500) };
    Collector::new(db.clone(), Clock::fixed(at(now)), Sandbox::new(db.clone()), terms)
}

/// A business since January that pays by a scripted token.
pub(crate) async fn business(db: &Db, token: &str) -> Who {
    let tenant = tenant(db, false, BEGAN).await;
    let tx = db.tenant(tenant).await.expect("begins");
    let own = store::account_of_tenant(&tx, tenant, None).await.expect("reads").expect("its own");
    let who = Who { tenant, account: own.account_id };
    drop(tx);
    card(db, who, token).await;
    who
}

/// From now on somebody pays by a scripted token.
pub(crate) async fn card(db: &Db, who: Who, token: &str) {
    let tx = db.tenant(who.tenant).await.expect("begins");
    let new = NewMethod { processor: "sandbox", rail: Rail::Card, token: token.into(), label: "Card".into() };
    store::name_method(&tx, who, new, at(BEGAN), at(BEGAN)).await.expect("named").expect("kept");
    tx.commit().await.expect("commits");
}

/// Makes months final until then, each in the hours after its end.
pub(crate) async fn close(db: &Db, now: &str) {
    let months = std::iter::successors(Some(Month::of(at(BEGAN))), |month| Some(month.next()));
    let days = months.map(|month| month.end() + SignedDuration::from_hours(2));
    for day in days.take_while(|day| *day <= at(now)) {
        jobs::round(db, &Clock::fixed(day), |_, _| ()).await.expect("a round");
    }
}

async fn payer(db: &Db, who: Who, now: &str) -> Payer {
    let tx = db.tenant(who.tenant).await.expect("begins");
    let sandbox = Sandbox::new(db.clone());
    store::payers(&tx, &sandbox, &[who], at(now)).await.expect("reads").pop().expect("known")
}

pub(crate) async fn owed(db: &Db, who: Who, now: &str) -> Money {
    payer(db, who, now).await.situation.owed.amount
}

async fn payments(db: &Db, who: Who) -> Vec<Payment> {
    let tx = db.tenant(who.tenant).await.expect("begins");
    store::payments(&tx, who.tenant, Some(who.account), None, 100).await.expect("reads")
}

pub(crate) async fn statuses(db: &Db, who: Who) -> Vec<Status> {
    let tx = db.tenant(who.tenant).await.expect("begins");
    let (stands, _) = store::how_statements_stand(&tx, who, Currency::USD).await.expect("stands");
    stands.iter().map(|it| it.status).collect()
}

pub(crate) async fn balance(db: &Db, who: Who, account: LedgerAccount) -> Money {
    let tx = db.tenant(who.tenant).await.expect("begins");
    store::balance(&tx, who.tenant, account, Currency::USD).await.expect("a balance")
}

#[tokio::test]
async fn a_small_tab_waits_and_one_that_is_worth_its_fee_is_collected_once() {
    let db = database().await;
    let who = business(&db, "sandbox_succeeds").await;
    close(&db, "2026-12-02T00:00:00Z").await; // eleven months of 25 ¢
    collector(&db, "2026-12-02T00:00:00Z").sweep(Whom::All).await.expect("a sweep");
    assert_eq!(payments(&db, who).await, [], "2.75 USD are not worth a fee of 38 ¢, and not a year old");
    assert_eq!(statuses(&db, who).await, [Status::Final; 11]);
    // The January statement is of 1 February: a year later it is asked for, with all that came since.
    close(&db, "2027-02-03T00:00:00Z").await;
    let later = collector(&db, "2027-02-03T00:00:00Z");
    let swept = later.sweep(Whom::All).await.expect("a sweep");
    assert_eq!((swept.payers, swept.acted, swept.failed), (1, 1, 0));
    let paid = payments(&db, who).await;
    assert_eq!(
        paid.iter().map(|it| (it.state, it.amount)).collect::<Vec<_>>(),
        [(State::Succeeded, cents(325))]
    );
    assert!(paid[0].why.contains("waited 12 months"), "{}", paid[0].why);
    assert_eq!(statuses(&db, who).await, [Status::Paid; 13]);
    assert_eq!(owed(&db, who, "2027-02-03T00:00:00Z").await, cents(0));
    let fee = paid[0].fee.expect("paid");
    assert_eq!(balance(&db, who, LedgerAccount::Processor).await, cents(325).minus(fee).expect("small"));
    assert_eq!(balance(&db, who, LedgerAccount::ProcessorFees).await, fee);
    // Again, and resumed: nothing changes.
    assert_eq!(later.sweep(Whom::All).await.expect("a sweep").acted, 0);
    assert_eq!(later.resume().await.expect("resumes"), 0);
    assert_eq!(payments(&db, who).await.len(), 1);
}

/// Rows: by what the payer pays, if that was said, and what its frozen statement says of the tab.
#[tokio::test]
async fn a_frozen_statement_speaks_of_its_payers_way_to_pay() {
    let db = database().await;
    let below = "0.25 USD is below the 0.50 USD that a payment processor takes. Nothing is due.";
    let by_default = format!("{below} This goes by the price list of cards: no way to pay is named yet.");
    let silent = tenant(&db, false, BEGAN).await;
    let paying = business(&db, "sandbox_succeeds").await.tenant;
    close(&db, "2026-02-02T00:00:00Z").await;
    for (tenant, why) in [(silent, by_default.as_str()), (paying, below)] {
        let tx = db.tenant(tenant).await.expect("begins");
        let last = store::statements(&tx, tenant, None).await.expect("reads").pop().expect("January");
        let last = store::statement(&tx, tenant, last.statement_id).await.expect("reads").expect("is there");
        assert_eq!(last.tab.collect.why, why);
    }
}

/// Rows: what the token does; then after the first attempt the payment's state and the statements' status, and after the
/// schedule ran out how many payments there were and how the last one stands.
#[tokio::test]
async fn what_the_processor_answers_decides_what_follows() {
    let db = database().await;
    for (token, first, status, attempts, last) in [
        ("sandbox_succeeds", State::Succeeded, Status::Paid, 1, State::Succeeded),
        ("sandbox_no_funds_once", State::Failed, Status::Collecting, 2, State::Succeeded),
        ("sandbox_no_funds", State::Failed, Status::Collecting, 5, State::Failed),
        ("sandbox_card_lost", State::Failed, Status::Collecting, 1, State::Failed),
    ] {
        let who = business(&db, token).await;
        close(&db, "2027-02-03T00:00:00Z").await;
        collector(&db, "2027-02-03T00:00:00Z").turn(who).await.expect("a turn");
        assert_eq!(payments(&db, who).await[0].state, first, "{token}");
        assert_eq!(statuses(&db, who).await[0], status, "{token}");
        for day in ["04", "05", "06", "07", "08", "10", "17", "18"] {
            collector(&db, &format!("2027-02-{day}T01:00:00Z")).turn(who).await.expect("a turn");
        }
        for day in ["03", "04", "20"] {
            collector(&db, &format!("2027-03-{day}T01:00:00Z")).turn(who).await.expect("a turn");
        }
        let made = payments(&db, who).await;
        assert_eq!((made.len(), made[0].state), (attempts, last), "{token}: {made:?}");
        let why = payer(&db, who, "2027-03-20T01:00:00Z").await;
        let said = billing::collection::next(&why.situation, &DEFAULT_POLICY, why.at)
            .expect("small")
            .why()
            .to_string();
        let asks = last == State::Failed;
        assert_eq!(said.contains("another way to pay"), asks, "{token}: {said}");
    }
}

/// A processor at which something breaks: before it hears of an order, or before we hear of its answer.
struct Broken {
    sandbox: Sandbox,
    after: bool,
}

impl Processor for Broken {
    fn name(&self) -> &'static str {
        self.sandbox.name()
    }

    fn says(&self) -> &'static str {
        self.sandbox.says()
    }

    fn fees(&self, rail: Rail, currency: Currency) -> Option<billing::collection::FeeSchedule> {
        self.sandbox.fees(rail, currency)
    }

    async fn submit(&self, order: &Order) -> Result<Answer, ProcessorError> {
        if self.after {
            self.sandbox.submit(order).await?;
        }
        Err(ProcessorError::Unknown("killed".into()))
    }

    async fn look_up(&self, id: Uuid) -> Result<Option<Answer>, ProcessorError> {
        self.sandbox.look_up(id).await
    }

    async fn news(&self, after: i64) -> Result<Vec<billing::processor::News>, ProcessorError> {
        self.sandbox.news(after).await
    }
}

/// Rows: the token, and whether the processor had heard of the order when the process died after its own commit.
#[tokio::test]
async fn a_payment_whose_outcome_is_unknown_is_resumed_and_made_once() {
    let db = database().await;
    for (token, after) in [
        ("sandbox_succeeds", false),
        ("sandbox_succeeds", true),
        ("sandbox_answer_lost", false),
        ("sandbox_answer_lost", true),
        ("sandbox_request_lost", false),
        ("sandbox_request_lost", true),
    ] {
        let who = business(&db, token).await;
        let now = "2027-02-03T00:00:00Z";
        close(&db, now).await;
        let terms =
            Terms { policy: DEFAULT_POLICY, platform: PlatformShare(100), payout_floor: PayoutFloor(500) };
        let broken = Broken { sandbox: Sandbox::new(db.clone()), after };
        let dying = Collector::new(db.clone(), Clock::fixed(at(now)), broken, terms);
        dying.turn(who).await.expect("a turn that nobody heard the end of");
        assert_eq!(payments(&db, who).await[0].state, State::Attempted);
        assert_eq!(statuses(&db, who).await[0], Status::Collecting);
        // While nobody knows, nobody asks again: neither the collector nor the payer.
        let living = collector(&db, now);
        living.turn(who).await.expect("a turn");
        let tx = db.tenant(who.tenant).await.expect("begins");
        let refused = pay_now(&tx, &Sandbox::new(db.clone()), &DEFAULT_POLICY, who, at(now)).await;
        assert!(matches!(refused, Err(NotNow::Nothing(_))), "{refused:?}");
        drop(tx);
        // Several at once, and again: it ends once.
        for _ in 0..2 {
            let (one, two) = tokio::join!(living.resume(), living.resume());
            one.and(two).expect("resumes");
        }
        let made = payments(&db, who).await;
        assert_eq!(made.iter().map(|it| it.state).collect::<Vec<_>>(), [State::Succeeded], "{token} {after}");
        assert_eq!(owed(&db, who, now).await, cents(0), "{token} {after}");
        assert_eq!(orders(&db, who).await, 1, "{token} {after}: the processor has charged once");
    }
}

async fn orders(db: &Db, who: Who) -> i64 {
    let tx = db.collecting().await.expect("begins");
    tx.batch_execute("set local tuppence.scope = 'processor'").await.expect("another scope");
    let sql = "select count(*) from sandbox_order where payer = $1 and outcome = 'succeeded'";
    tx.one(sql, &[&who.account.0]).await.expect("counts").get(0)
}

#[tokio::test]
async fn the_sandbox_answers_an_order_as_before_and_refuses_another_under_its_id() {
    let db = database().await;
    let sandbox = Sandbox::new(db.clone());
    let payer = billing::ids::AccountId(Uuid::from_u128(7));
    let order = |id: u128, minor: i64, currency: &str| Order {
        id: Uuid::from_u128(id),
        what: What::Charge { token: "sandbox_no_funds_once".into(), payer },
        amount: Money::micros(minor * MICROS_PER_MINOR, currency.parse().expect(currency)),
        tenant: TenantId(Uuid::from_u128(1)),
        at: at(BEGAN),
    };
    assert_eq!(sandbox.look_up(Uuid::from_u128(1)).await, Ok(None));
    let first = sandbox.submit(&order(1, 500, "USD")).await.expect("an answer");
    assert!(matches!(first, Answer::Failed { .. }));
    let second = sandbox.submit(&order(2, 500, "USD")).await.expect("an answer");
    assert!(matches!(second, Answer::Done { fee, .. } if fee == cents(44)), "{second:?}");
    let restarted = Sandbox::new(db.clone());
    assert_eq!(restarted.submit(&order(1, 500, "USD")).await, Ok(first.clone()));
    assert_eq!(restarted.look_up(Uuid::from_u128(1)).await, Ok(Some(first)));
    let other = restarted.submit(&order(1, 501, "USD")).await;
    assert_eq!(other, Err(ProcessorError::Mismatch(Uuid::from_u128(1))));
    for (id, minor, currency, says) in [
        (3, 49, "USD", "below the minimum"),
        (4, 49, "JPY", "below the minimum"),
        (5, 500, "XPF", "not taken"),
    ] {
        let refused = sandbox.submit(&order(id, minor, currency)).await.expect("an answer");
        assert!(matches!(&refused, Answer::Failed { detail, .. } if detail.contains(says)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_payer_pays_now_what_the_processor_takes() {
    let db = database().await;
    let sandbox = Sandbox::new(db.clone());
    let who = business(&db, "sandbox_succeeds").await;
    for (now, says) in
        [("2026-01-15T00:00:00Z", "Nothing is owed"), ("2026-02-02T00:00:00Z", "below the 0.50 USD")]
    {
        close(&db, now).await;
        let tx = db.tenant(who.tenant).await.expect("begins");
        let refused =
            pay_now(&tx, &sandbox, &DEFAULT_POLICY, who, at(now)).await.expect_err("nothing to pay");
        assert!(refused.to_string().contains(says), "{refused}");
    }
    let now = "2026-03-02T00:00:00Z";
    close(&db, now).await;
    let tx = db.tenant(who.tenant).await.expect("begins");
    let begun = pay_now(&tx, &sandbox, &DEFAULT_POLICY, who, at(now)).await.expect("50 ¢");
    tx.commit().await.expect("commits");
    assert_eq!((begun.state, begun.amount), (State::Attempted, cents(50)));
    assert_eq!(collector(&db, now).resume().await.expect("resumes"), 1);
    assert_eq!(statuses(&db, who).await, [Status::Paid; 2]);
}

#[tokio::test]
async fn a_wallet_fills_itself_up_and_pays_without_waiting() {
    let db = database().await;
    let who = business(&db, "sandbox_succeeds").await;
    let tx = db.tenant(who.tenant).await.expect("begins");
    let refill =
        billing::collection::TopUp { amount: cents(500), monthly_ceiling: cents(500), this_month: cents(0) };
    let kept = store::settings(&tx, who).await.expect("reads");
    let say = Settings { refill: Some(refill), ..kept };
    assert!(store::set(&tx, who, say, at(BEGAN)).await.expect("kept"));
    tx.commit().await.expect("commits");
    let now = "2026-02-02T00:00:00Z";
    close(&db, now).await;
    collector(&db, now).turn(who).await.expect("a turn");
    assert_eq!(statuses(&db, who).await, [Status::Paid]);
    let wallet = payer(&db, who, now).await.situation.wallet;
    assert_eq!(wallet, cents(475));
    assert_eq!(balance(&db, who, LedgerAccount::Receivable(who.account)).await, cents(0));
    // Twenty months more: 19 from what is there, then it fills itself up again.
    close(&db, "2027-10-02T00:00:00Z").await;
    collector(&db, "2027-10-02T00:00:00Z").turn(who).await.expect("a turn");
    let made = payments(&db, who).await;
    assert_eq!(made.len(), 2, "{made:?}");
    assert_eq!(payer(&db, who, "2027-10-02T00:00:00Z").await.situation.wallet, cents(1_000 - 21 * 25));
    assert!(statuses(&db, who).await.iter().all(|it| *it == Status::Paid));
}

#[tokio::test]
async fn a_top_up_by_hand_stands_in_the_wallet_and_no_sum_goes_below_zero() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let who = business(&db, "sandbox_succeeds").await;
    let now = "2026-01-05T00:00:00Z";
    let tx = db.tenant(who.tenant).await.expect("begins");
    top_up(&tx, &Sandbox::new(db.clone()), who, cents(1_000), at(now)).await.expect("begun");
    tx.commit().await.expect("commits");
    collector(&db, now).resume().await.expect("resumes");
    assert_eq!(payer(&db, who, now).await.situation.wallet, cents(1_000));
    // Whoever goes around the code meets the database.
    let tx = db.tenant(who.tenant).await.expect("begins");
    store::draw(&tx, who, Uuid::from_u128(9), cents(1_001), PlatformShare(0), at(now))
        .await
        .expect("not checked yet");
    let error = tx.commit().await.expect_err("overdrawn");
    assert_eq!(error.constraint(), Some("wallet_is_never_negative"), "{error}");
}

/// A settlement of five micros that nobody paid, with so much of it laid against a statement that is paid.
fn settlement(kind: &str, allocated: i64) -> String {
    let id = "00000000-0000-0000-0000-0000000000aa";
    format!(
        "insert into ledger_transaction (tenant_id, transaction_id, kind, created_at)
           select tenant_id, '{id}', 'write_off', now() from tenant;
         insert into ledger_entry
           select tenant_id, '{id}', account, 'USD', micros, now()
             from tenant cross join (values ('written_off', 5), ('rounding', -5)) e (account, micros);
         insert into settlement (tenant_id, account_id, settlement_id, kind, currency, amount_micros, fee_micros, created_at)
           select tenant_id, account_id, '{id}', '{kind}', 'USD', 5, 0, now() from account;
         insert into allocation
           select tenant_id, '{id}', statement_id, {allocated}, now()
             from statement where {allocated} > 0 order by period_start limit 1"
    )
}

/// Rows: what a hand tries, and the name of the rule that refuses.
#[tokio::test]
async fn the_database_refuses_what_never_happens() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let who = business(&db, "sandbox_succeeds").await;
    let now = "2027-02-03T00:00:00Z";
    close(&db, now).await;
    collector(&db, now).turn(who).await.expect("a turn");
    let owner = client(&url).await;
    for (sql, rule) in [
        ("update payment set state = 'failed', failure = 'passing', fee_micros = null", "payment_only_ends"),
        ("update payment set amount_micros = 1000000", "payment_only_ends"),
        ("delete from payment", "payment_is_append_only"),
        ("update settlement set amount_micros = 1", "settlement_is_append_only"),
        ("delete from allocation", "allocation_is_append_only"),
        ("update settlement_part set net_micros = 1", "settlement_part_is_append_only"),
        ("update payment_setting set at_least_micros = null", "payment_setting_is_append_only"),
        (
            "insert into payment (tenant_id, account_id, payment_id, purpose, payment_method_id, currency, amount_micros,
                                  why, attempted_at)
             select tenant_id, account_id, gen_random_uuid(), 'collection', payment_method_id, 'USD', 1000000, 'x', now()
               from payment_method cross join generate_series(1, 2)",
            "payment_one_at_a_time",
        ),
        (&settlement("collection", 0), "settlement_parts_add_up"),
        (&settlement("wallet", 0), "settlement_parts_add_up"),
        (&settlement("write_off", 6), "allocation_is_part_of_its_settlement"),
        (&settlement("write_off", 5), "allocation_is_part_of_its_statement"),
        (&settlement("gift", 0), "settlement_kind_known"),
    ] {
        owner.batch_execute(&format!("begin; set local tuppence.tenant = '{}'", who.tenant)).await.expect("begins");
        let done = owner.batch_execute(&format!("{sql}; commit")).await;
        owner.batch_execute("rollback").await.ok();
        let error = DbError::from(done.expect_err(sql));
        assert_eq!(error.constraint(), Some(rule), "{sql}: {error}");
    }
}
