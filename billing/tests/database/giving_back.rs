//! Money that goes back and money that is given up: never more than came, never by one alone, each thing once.

use crate::{
    collecting::{BEGAN, balance, business, cents, close, collector, owed, statuses},
    support::{at, client, database, migrated_database},
};
use billing::{
    audit::Rule,
    clock::Clock,
    collection::{DEFAULT_POLICY, FeeSchedule},
    collector::{Collector, Outgoing, PayoutFloor, Terms, Whom, top_up},
    currency::Currency,
    db::{Db, DbError},
    ids::PaymentId,
    ledger::LedgerAccount,
    money::{MICROS_PER_MINOR, Money},
    payment::{Refund, State, WriteOff, WriteOffState},
    processor::{Answer, Event, News, Order, Processor, ProcessorError, Rail, Sandbox},
    statement::Status,
    store::{self, PlatformShare, RefundError, Unfinished, Who, WriteOffError},
};
use uuid::Uuid;

const LATER: &str = "2027-02-03T00:00:00Z";

/// A year's tab that was collected: 3.25 USD.
async fn paid(db: &Db, token: &str) -> (Who, PaymentId) {
    let who = business(db, token).await;
    close(db, LATER).await;
    collector(db, LATER).turn(who).await.expect("a turn");
    let tx = db.tenant(who.tenant).await.expect("begins");
    let payments = store::payments(&tx, who.tenant, None, None, 10).await.expect("reads");
    (who, payments[0].payment_id)
}

async fn refund(db: &Db, who: Who, payment: PaymentId, minor: i64) -> Result<Refund, RefundError> {
    let tx = db.tenant(who.tenant).await.expect("begins");
    let of = (payment, minor * MICROS_PER_MINOR);
    let begun = store::begin_refund(&tx, who.tenant, of, "a mistake", (at(LATER), at(LATER))).await?;
    tx.commit().await.expect("commits");
    Ok(begun)
}

#[tokio::test]
async fn a_refund_goes_back_once_and_no_more_than_came() {
    let db = database().await;
    let (who, payment) = paid(&db, "sandbox_succeeds").await;
    let processor = balance(&db, who, LedgerAccount::Processor).await;
    let first = refund(&db, who, payment, 100).await.expect("begun");
    assert_eq!(first.state, State::Attempted);
    for (minor, says) in [(226, "2.25 USD can go back at most"), (0, "whole"), (-1, "whole")] {
        let refused = refund(&db, who, payment, minor).await.expect_err("too much");
        assert!(refused.to_string().contains(says), "{minor}: {refused}");
    }
    let nobody = refund(&db, who, PaymentId(Uuid::nil()), 1).await;
    assert!(matches!(nobody, Err(RefundError::NotFound)), "{nobody:?}");
    let (one, two) = (collector(&db, LATER), collector(&db, LATER));
    let (one, two) =
        tokio::join!(one.resume_outgoing(Outgoing::Refunds), two.resume_outgoing(Outgoing::Refunds));
    assert_eq!(one.expect("resumes") + two.expect("resumes"), 1, "it ends once");
    refund(&db, who, payment, 225).await.expect("the rest");
    collector(&db, LATER).resume_outgoing(Outgoing::Refunds).await.expect("resumes");
    let left = balance(&db, who, LedgerAccount::Processor).await;
    assert_eq!(left, processor.minus(cents(325)).expect("small"));
    // The payer is not asked for it again.
    assert_eq!(owed(&db, who, LATER).await, cents(0));
    assert_eq!(statuses(&db, who).await, [Status::Paid; 13]);
    assert_eq!(collector(&db, LATER).sweep(Whom::All).await.expect("a sweep").acted, 0);
    sound(&db).await;
}

#[tokio::test]
async fn a_top_up_goes_back_from_the_wallet_as_far_as_it_is_there() {
    let db = database().await;
    let who = business(&db, "sandbox_succeeds").await;
    let tx = db.tenant(who.tenant).await.expect("begins");
    let filled = top_up(&tx, &Sandbox::new(db.clone()), who, cents(500), at(BEGAN)).await.expect("begun");
    tx.commit().await.expect("commits");
    let unpaid = refund(&db, who, filled.payment_id, 1).await;
    assert!(matches!(unpaid, Err(RefundError::NotPaid)), "{unpaid:?}");
    collector(&db, BEGAN).resume().await.expect("resumes");
    close(&db, "2026-02-02T00:00:00Z").await;
    collector(&db, "2026-02-02T00:00:00Z").turn(who).await.expect("draws 25 ¢");
    let spent = refund(&db, who, filled.payment_id, 500).await;
    assert!(matches!(spent, Err(RefundError::Spent(left)) if left == cents(475)), "{spent:?}");
    refund(&db, who, filled.payment_id, 475).await.expect("what is left");
    collector(&db, LATER).resume_outgoing(Outgoing::Refunds).await.expect("resumes");
    assert_eq!(balance(&db, who, LedgerAccount::Wallet(who.account)).await, cents(0));
    sound(&db).await;
}

/// Rows: how the payer's objection ends, and what the processor has for us in the end besides the fee for it.
#[tokio::test]
async fn a_dispute_takes_the_money_back_and_gives_it_again_if_it_is_won() {
    let db = database().await;
    for (token, won) in [("sandbox_dispute_won", true), ("sandbox_dispute_lost", false)] {
        let (who, payment) = paid(&db, token).await;
        let before = balance(&db, who, LedgerAccount::Processor).await;
        for _ in 0..2 {
            collector(&db, LATER).hear().await.expect("hears, and hears nothing new");
        }
        let taken = if won { cents(0) } else { cents(325) };
        let expected = before.minus(taken).and_then(|it| it.minus(cents(1_500))).expect("small");
        assert_eq!(balance(&db, who, LedgerAccount::Processor).await, expected, "{token}");
        let rest = refund(&db, who, payment, 325).await;
        assert_eq!(rest.is_ok(), won, "what was lost cannot go back once more: {rest:?}");
        assert_eq!(owed(&db, who, LATER).await, cents(0));
    }
    sound(&db).await;
}

/// As the collector hears it, but in another order and again.
#[tokio::test]
async fn news_that_are_heard_again_change_nothing() {
    let db = database().await;
    let (who, payment) = paid(&db, "sandbox_succeeds").await;
    let before = balance(&db, who, LedgerAccount::Processor).await;
    let opened = Event::DisputeOpened { fee: cents(1_500) };
    for event in [Event::DisputeWon, opened, opened, Event::DisputeWon, Event::DisputeLost, opened] {
        let tx = db.tenant(who.tenant).await.expect("begins");
        store::hear(&tx, who.tenant, payment, event, at(LATER)).await.expect("heard");
        tx.commit().await.expect("commits");
    }
    let expected = before.minus(cents(1_500)).expect("small");
    assert_eq!(balance(&db, who, LedgerAccount::Processor).await, expected);
    sound(&db).await;
}

/// A processor that tells news of its own choice.
struct Telling {
    sandbox: Sandbox,
    news: Vec<News>,
}

impl Processor for Telling {
    fn name(&self) -> &'static str {
        self.sandbox.name()
    }

    fn says(&self) -> &'static str {
        self.sandbox.says()
    }

    fn fees(&self, rail: Rail, currency: Currency) -> Option<FeeSchedule> {
        self.sandbox.fees(rail, currency)
    }

    async fn submit(&self, order: &Order) -> Result<Answer, ProcessorError> {
        self.sandbox.submit(order).await
    }

    async fn look_up(&self, id: Uuid) -> Result<Option<Answer>, ProcessorError> {
        self.sandbox.look_up(id).await
    }

    async fn news(&self, after: i64) -> Result<Vec<News>, ProcessorError> {
        Ok(self.news.iter().filter(|news| news.number > after).cloned().collect())
    }
}

async fn unfinished(db: &Db) -> Unfinished {
    let collecting = db.collecting().await.expect("begins");
    store::unfinished(&collecting).await.expect("reads")
}

/// Of a payment whose end we do not know yet no news can be taken in; those of others do not wait for that.
#[tokio::test]
async fn news_that_cannot_be_taken_in_wait_and_hold_nothing_up() {
    let db = database().await;
    let (other, others) = paid(&db, "sandbox_succeeds").await;
    let who = business(&db, "sandbox_succeeds").await;
    let tx = db.tenant(who.tenant).await.expect("begins");
    let begun = top_up(&tx, &Sandbox::new(db.clone()), who, cents(500), at(LATER)).await.expect("begun");
    tx.commit().await.expect("commits");
    let opened = Event::DisputeOpened { fee: cents(1_500) };
    let news = [(begun.payment_id, opened), (begun.payment_id, Event::DisputeWon), (others, opened)];
    let of =
        |(number, (payment, event)): (i64, (PaymentId, Event))| News { number, charge: payment.0, event };
    let news: Vec<News> = (1..).zip(news).map(of).collect();
    let hears = async |now: &str| {
        let telling = Telling { sandbox: Sandbox::new(db.clone()), news: news.clone() };
        let terms =
            Terms { policy: DEFAULT_POLICY, platform: PlatformShare(100), payout_floor: PayoutFloor(500) };
        Collector::new(db.clone(), Clock::fixed(at(now)), telling, terms).hear().await.expect("hears")
    };
    let before = balance(&db, other, LedgerAccount::Processor).await;
    assert_eq!(hears(LATER).await, 3);
    let taken = balance(&db, other, LedgerAccount::Processor).await;
    assert_eq!(taken, before.minus(cents(325 + 1_500)).expect("small"), "the later news were taken in");
    assert_eq!(hears(LATER).await, 0, "the first two still wait");
    assert_eq!(unfinished(&db).await, Unfinished { payments: 1, news: 2, ..Unfinished::default() });
    let found = billing::audit::audit(&db, at(LATER)).await.expect("an audit").differences;
    let said: Vec<_> = found.iter().map(|it| (it.rule, it.found.as_str())).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|(rule, _)| *rule == Rule::NewsAreTakenIn), "{said:?}");
    assert!(
        said[0].1.contains("took nothing") && said[1].1.contains("news 1 of the same charge wait"),
        "{said:?}"
    );
    // Once it is known that the payment was made, they are taken in, in their order and once.
    collector(&db, LATER).resume().await.expect("resumes");
    let wallet = LedgerAccount::Wallet(who.account);
    assert_eq!(balance(&db, who, wallet).await, cents(-500));
    assert_eq!(hears(LATER).await, 0, "tried twice, it is not tried a third time at once");
    assert_eq!(hears("2027-02-03T00:00:02Z").await, 2);
    assert_eq!(hears("2027-02-04T00:00:00Z").await, 0);
    assert_eq!(unfinished(&db).await, Unfinished::default());
    assert_eq!(balance(&db, who, wallet).await, cents(-500), "what went back has come again");
    let fee = cents(1_500 + 44);
    assert_eq!(balance(&db, who, LedgerAccount::ProcessorFees).await, fee);
    sound(&db).await;
}

async fn propose(db: &Db, who: Who, by: &str) -> Result<WriteOff, WriteOffError> {
    let tx = db.tenant(who.tenant).await.expect("begins");
    let nothing = Money::zero(cents(0).currency);
    let times = (at(LATER), at(LATER));
    let proposed = store::propose_write_off(&tx, who, nothing, ("gone", by), times).await?;
    tx.commit().await.expect("commits");
    Ok(proposed)
}

async fn decide(db: &Db, who: Who, id: Uuid, approve: bool, by: &str) -> Result<WriteOff, WriteOffError> {
    let tx = db.tenant(who.tenant).await.expect("begins");
    let decided = store::decide_write_off(&tx, who.tenant, id, (approve, by), at(LATER)).await?;
    tx.commit().await.expect("commits");
    Ok(decided)
}

#[tokio::test]
async fn a_tab_is_given_up_by_two() {
    let db = database().await;
    let who = business(&db, "sandbox_card_lost").await;
    let nothing = propose(&db, who, "Ada").await;
    assert!(matches!(nothing, Err(WriteOffError::NotOwed(_))), "{nothing:?}");
    close(&db, LATER).await;
    let proposed = propose(&db, who, "Ada").await.expect("proposed");
    assert_eq!((proposed.state, proposed.amount), (WriteOffState::Proposed, cents(325)));
    assert!(matches!(propose(&db, who, "Bob").await, Err(WriteOffError::Waiting)));
    assert_eq!(owed(&db, who, LATER).await, cents(325), "nothing has happened yet");
    let own = decide(&db, who, proposed.write_off_id, true, "Ada").await;
    assert!(matches!(own, Err(WriteOffError::SamePerson)), "{own:?}");
    let unknown = decide(&db, who, Uuid::nil(), true, "Bob").await;
    assert!(matches!(unknown, Err(WriteOffError::NotFound)), "{unknown:?}");
    let rejected = decide(&db, who, proposed.write_off_id, false, "Ada").await.expect("taken back");
    assert_eq!(rejected.state, WriteOffState::Rejected);
    let proposed = propose(&db, who, "Ada").await.expect("proposed again");
    let approved = decide(&db, who, proposed.write_off_id, true, "Bob").await.expect("approved");
    assert_eq!((approved.state, approved.decided_by.as_deref()), (WriteOffState::Approved, Some("Bob")));
    assert_eq!(owed(&db, who, LATER).await, cents(0));
    assert_eq!(balance(&db, who, LedgerAccount::WrittenOff).await, cents(325));
    assert_eq!(statuses(&db, who).await, [Status::Uncollectible; 13]);
    for approve in [true, false] {
        let again = decide(&db, who, proposed.write_off_id, approve, "Bob").await;
        assert!(matches!(again, Err(WriteOffError::Decided)), "{again:?}");
    }
    sound(&db).await;
}

/// Rows: what a hand tries, and the name of the rule that refuses.
#[tokio::test]
async fn the_database_refuses_what_goes_back_twice_or_by_one_alone() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    let (who, payment) = paid(&db, "sandbox_succeeds").await;
    let refund = refund(&db, who, payment, 300).await.expect("begun");
    let owner = client(&url).await;
    let again = |amount: i64| {
        format!(
            "insert into refund (tenant_id, payment_id, refund_id, currency, amount_micros, reason, attempted_at)
             select tenant_id, payment_id, payment_id, 'USD', {amount}, 'x', now() from payment"
        )
    };
    for (sql, rule) in [
        (again(26_000_000), "no_more_goes_back_than_came"),
        (again(25_000_000).replace("'USD'", "'EUR'"), "only_what_was_paid_goes_back"),
        (again(24_000_001), "refund_amount_is_whole"),
        (format!("update refund set amount_micros = 1000000 where refund_id = '{}'", refund.refund_id), "refund_only_ends"),
        ("delete from refund".to_owned(), "refund_is_append_only"),
        (
            "insert into dispute (tenant_id, payment_id, dispute_id, currency, amount_micros, fee_micros, opened_at)
             select tenant_id, payment_id, payment_id, 'USD', 26000000, 0, now() from payment"
                .to_owned(),
            "no_more_goes_back_than_came",
        ),
        (
            "insert into write_off select tenant_id, account_id, account_id, 'USD', 5, 'x', 'approved', 'Ada', 'Ada', now(), now()
               from account"
                .to_owned(),
            "write_off_takes_two",
        ),
    ] {
        owner.batch_execute(&format!("begin; set local tuppence.tenant = '{}'", who.tenant)).await.expect("begins");
        let done = owner.batch_execute(&format!("{sql}; commit")).await;
        owner.batch_execute("rollback").await.ok();
        let error = DbError::from(done.expect_err(&sql));
        assert_eq!(error.constraint(), Some(rule), "{sql}: {error}");
    }
}

/// The audit has nothing to say.
async fn sound(db: &Db) {
    let report = billing::audit::audit(db, at(LATER)).await.expect("an audit");
    assert_eq!(report.differences, []);
}
