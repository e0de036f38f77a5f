//! What payments pay for: the oldest statement first. A statement's status is read from that and stored nowhere.

use super::Reason;
use crate::{
    ids::StatementId,
    money::{Money, MoneyError},
    statement::Status,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A final statement as payments see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    /// Which.
    pub statement_id: StatementId,
    /// When it became final.
    pub finalized_at: Timestamp,
    /// What it says.
    pub billed: Money,
    /// What came onto the tab of that: less what credits paid.
    pub total: Money,
    /// What credit notes have taken back of it.
    pub taken_back: Money,
    /// What collections and draws have paid of it.
    pub paid: Money,
    /// What was given up of it.
    pub written_off: Money,
    /// Was the payer charged for it, whatever came of that?
    pub asked: bool,
}

/// How a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stands {
    /// Which.
    pub statement_id: StatementId,
    /// Open, paid, taken back or given up.
    pub status: Status,
    /// What has been paid of it, what a credit paid included.
    pub paid: Money,
    /// What is still on the tab of it.
    pub open: Money,
}

/// How a statement stands, for the payer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Standing {
    /// What has been paid of it.
    pub paid: Money,
    /// What stands on the tab of it.
    pub open: Money,
    /// Both in plain words, with what else is on the tab and when it is due.
    pub says: String,
}

/// How each of an account's statements stands, given oldest first, when so much is owed in all.
pub fn standings(bills: &[Bill], owed: Money) -> Result<Vec<Stands>, MoneyError> {
    let open = open(bills, owed)?;
    bills.iter().zip(open).map(|(bill, open)| stands(bill, open)).collect()
}

/// Lays money against the oldest open statements. What is left over belongs to none.
pub fn allocate(bills: &[Bill], owed: Money, amount: Money) -> Result<Vec<(StatementId, Money)>, MoneyError> {
    let mut left = amount.micros;
    let mut allocated = Vec::new();
    for (bill, open) in bills.iter().zip(open(bills, owed)?) {
        let part = left.min(open.micros);
        if part > 0 {
            allocated.push((bill.statement_id, Money { micros: part, ..amount }));
            left -= part;
        }
    }
    Ok(allocated)
}

/// What is open of each, less what was taken back of it. Where still less is owed than no settlement has paid, something else
/// has: a statement below zero, or what was taken back of one that was paid. That pays the oldest first, too.
fn open(bills: &[Bill], owed: Money) -> Result<Vec<Money>, MoneyError> {
    let mut open = Vec::with_capacity(bills.len());
    for bill in bills {
        let rest = bill.total.minus(bill.taken_back)?.minus(bill.paid)?.minus(bill.written_off)?;
        open.push(Money { micros: rest.micros.max(0), ..rest });
    }
    let all = Money::sum(owed.currency, open.iter().copied())?;
    let mut credited = all.micros.saturating_sub(owed.micros.max(0));
    for rest in &mut open {
        let part = credited.min(rest.micros).max(0);
        rest.micros -= part;
        credited -= part;
    }
    Ok(open)
}

fn stands(bill: &Bill, open: Money) -> Result<Stands, MoneyError> {
    let is_void =
        bill.total.micros > 0 && bill.taken_back.micros >= bill.billed.micros && bill.paid.is_zero();
    let status = match (open.is_zero(), bill.written_off.is_zero(), bill.asked) {
        (true, true, _) if is_void => Status::Void,
        (true, true, _) => Status::Paid,
        (true, false, _) => Status::Uncollectible,
        (false, _, true) => Status::Collecting,
        (false, _, false) => Status::Final,
    };
    let paid = bill.total.minus(bill.taken_back)?.minus(bill.written_off)?.minus(open)?;
    Ok(Stands {
        statement_id: bill.statement_id,
        status,
        paid: Money { micros: paid.micros.max(0), ..paid },
        open,
    })
}

impl Stands {
    /// In plain words, next to the whole tab and what happens to it.
    pub fn said(&self, owed: Money, why: &Reason) -> Standing {
        let Self { paid, open, .. } = *self;
        let others = Money { micros: owed.micros.saturating_sub(open.micros).max(0), ..owed };
        let part = if paid.is_zero() { String::new() } else { format!("{paid} is paid. ") };
        let tab = match others.is_zero() {
            true => format!("{open} of this statement stands on the tab."),
            false => format!("{open} of this statement stands on the tab, with {others} of others."),
        };
        let says = match self.status {
            Status::Draft => "It still grows.".to_owned(),
            Status::Paid if paid.is_zero() => "Nothing is owed for it.".to_owned(),
            Status::Paid => "It is paid.".to_owned(),
            Status::Void => "It is taken back. Nothing is owed for it.".to_owned(),
            Status::Uncollectible => format!("{part}The rest was given up. Nothing is owed for it any more."),
            Status::Final | Status::Collecting => format!("{part}{tab} {why}"),
        };
        Standing { paid, open, says }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{currency::Currency, money::MICROS_PER_MINOR};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn cents(cents: i64) -> Money {
        Money::micros(cents * MICROS_PER_MINOR, Currency::USD)
    }

    fn bill(id: u128, total: i64, paid: i64, written_off: i64, asked: bool) -> Bill {
        Bill {
            statement_id: StatementId(Uuid::from_u128(id)),
            finalized_at: Timestamp::UNIX_EPOCH,
            billed: cents(total),
            total: cents(total),
            taken_back: cents(0),
            paid: cents(paid),
            written_off: cents(written_off),
            asked,
        }
    }

    /// Rows: total, paid, written off, asked; what is owed in all; then the status, what is open and the words.
    #[test]
    fn a_statement_says_how_it_stands() {
        for (one, owed, status, open, says) in [
            (
                (25, 0, 0, false),
                25,
                Status::Final,
                25,
                "0.25 USD of this statement stands on the tab. Nothing",
            ),
            ((25, 0, 0, false), 165, Status::Final, 25, "stands on the tab, with 1.40 USD of others."),
            ((25, 10, 0, false), 15, Status::Final, 15, "0.10 USD is paid. 0.15 USD of this"),
            ((500, 0, 0, true), 500, Status::Collecting, 500, "5.00 USD of this statement"),
            ((25, 25, 0, true), 0, Status::Paid, 0, "It is paid."),
            ((0, 0, 0, false), 0, Status::Paid, 0, "Nothing is owed for it."),
            ((25, 0, 0, false), 0, Status::Paid, 0, "It is paid."), // a credit paid it
            ((25, 0, 25, true), 0, Status::Uncollectible, 0, "The rest was given up."),
            ((25, 5, 20, true), 0, Status::Uncollectible, 0, "0.05 USD is paid. The rest"),
            ((-10, 0, 0, false), 0, Status::Paid, 0, "Nothing is owed for it."),
        ] {
            let (total, paid, off, asked) = one;
            let stands = standings(&[bill(1, total, paid, off, asked)], cents(owed)).expect("small")[0];
            assert_eq!((stands.status, stands.open), (status, cents(open)), "{one:?}");
            let said = stands.said(cents(owed), &Reason::NothingOwed).says;
            assert!(said.contains(says), "{one:?}: {said}");
        }
    }

    /// Rows: total, taken back, paid; what is owed in all; then the status, what is open and what counts as paid.
    #[test]
    fn what_is_taken_back_is_taken_from_its_own_statement() {
        for (one, owed, expected) in [
            ((25, 25, 0), 25, (Status::Void, 0, 0)), // the older one is still owed
            ((25, 5, 0), 45, (Status::Final, 20, 0)),
            ((25, 5, 20), 25, (Status::Paid, 0, 20)),
            ((25, 25, 25), 0, (Status::Paid, 0, 0)), // paid before: the older one is paid by that
        ] {
            let ((total, taken_back, paid), (status, open, counts)) = (one, expected);
            let newer = Bill { taken_back: cents(taken_back), ..bill(2, total, paid, 0, false) };
            let stands = standings(&[bill(1, 25, 0, 0, false), newer], cents(owed)).expect("small");
            let seen = (stands[1].status, stands[1].open, stands[1].paid);
            assert_eq!(seen, (status, cents(open), cents(counts)), "{one:?}");
            assert_eq!(stands[0].open, cents(owed - open), "{one:?}");
        }
    }

    /// Rows: what is billed, what of it credits paid, what is taken back; then the status.
    #[test]
    fn a_statement_is_void_only_if_all_of_it_is_taken_back() {
        for (billed, credits, taken_back, status) in [
            (25, 0, 25, Status::Void),
            (25, 15, 25, Status::Void),
            (25, 15, 12, Status::Paid), // nothing is owed of it, but it still bills 13
            (25, 25, 25, Status::Paid), // nothing ever was
        ] {
            let total = billed - credits;
            let one =
                Bill { billed: cents(billed), taken_back: cents(taken_back), ..bill(1, total, 0, 0, false) };
            let stands = standings(&[one], cents(total - taken_back)).expect("small")[0];
            assert_eq!(stands.status, status, "{taken_back} of {billed}");
        }
    }

    #[test]
    fn the_oldest_is_paid_first() {
        let bills = [
            bill(1, 25, 0, 0, false),
            bill(2, 0, 0, 0, false),
            bill(3, 30, 5, 0, false),
            bill(4, 9, 0, 0, false),
        ];
        let allocated = allocate(&bills, cents(59), cents(30)).expect("small");
        let by_id = |id| StatementId(Uuid::from_u128(id));
        assert_eq!(allocated, [(by_id(1), cents(25)), (by_id(3), cents(5))]);
        // Ten cents came as a credit: they have paid the oldest already.
        let allocated = allocate(&bills, cents(49), cents(30)).expect("small");
        assert_eq!(allocated, [(by_id(1), cents(15)), (by_id(3), cents(15))]);
    }

    proptest! {
        /// What is owed is open, to the cent, and what is paid of it is laid against statements, none above its total.
        #[test]
        fn nothing_is_lost_between_a_tab_and_its_statements(
            totals in prop::collection::vec(-50_i64..500, 1..12), credit in 0_i64..300, pays in prop::collection::vec(1_i64..900, 0..6),
        ) {
            let mut bills: Vec<Bill> =
                (1..).zip(&totals).map(|(id, total)| bill(id, *total, 0, 0, false)).collect();
            let mut owed = totals.iter().sum::<i64>() - credit;
            for pay in pays {
                let open = |bills: &[Bill], owed| -> i64 {
                    let standings = standings(bills, cents(owed)).expect("small");
                    standings.iter().map(|it| it.open.micros).sum()
                };
                prop_assert_eq!(open(&bills, owed), cents(owed.max(0)).micros);
                let pay = pay.min(owed.max(0));
                let allocated = allocate(&bills, cents(owed), cents(pay)).expect("small");
                prop_assert_eq!(allocated.iter().map(|(_, it)| it.micros).sum::<i64>(), cents(pay).micros);
                for (statement, part) in allocated {
                    let bill = bills.iter_mut().find(|it| it.statement_id == statement).expect("its own");
                    bill.paid = bill.paid.plus(part).expect("small");
                    prop_assert!(bill.paid.micros <= bill.total.micros);
                }
                owed -= pay;
            }
        }

        /// Money, credits and write-offs only move a statement along the arrows; being asked does, too.
        #[test]
        fn a_status_never_goes_back(total in 1_i64..500, steps in prop::collection::vec((0_u8..5, 1_i64..200), 0..20)) {
            let mut one = bill(1, total, 0, 0, false);
            let mut owed = total;
            let mut before = Status::Final;
            for (step, amount) in steps {
                let amount = amount.min(owed);
                match step {
                    0 => one.asked |= owed > 0,
                    1 => { one.paid = one.paid.plus(cents(amount)).expect("small"); owed -= amount; }
                    2 => owed -= amount,
                    3 => { one.taken_back = one.taken_back.plus(cents(amount)).expect("small"); owed -= amount; }
                    _ => { one.written_off = one.written_off.plus(cents(owed)).expect("small"); owed = 0; }
                }
                let status = standings(&[one], cents(owed)).expect("small")[0].status;
                prop_assert!(before == status || before.may_become(status), "{before:?} → {status:?}");
                prop_assert!(one.paid.is_zero() || status != Status::Void);
                before = status;
            }
        }
    }
}
