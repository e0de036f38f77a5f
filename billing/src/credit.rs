//! Credits: what a payer was given and did not pay, used up when months are closed.
//!
//! A credit pays whole minor units of what a statement comes to, tax included; what is taxed is what was sold. The one that runs
//! out first is used first. A credit counts for a month that ends before it runs out; what is left of it when the first month
//! is closed that ends later, expires.

use crate::{
    ids::CreditId,
    money::{Money, MoneyError},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A credit with what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// Names it; ids are in the order of their making.
    pub credit_id: CreditId,
    /// For the payer to read.
    pub reason: String,
    /// When it runs out, if ever.
    pub expires_at: Option<Timestamp>,
    /// In whole minor units.
    pub left: Money,
}

/// A part of a credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreditPart {
    /// Of which.
    pub credit_id: CreditId,
    /// For what it was given.
    pub reason: String,
    /// How much of it.
    pub amount: Money,
}

/// What becomes of credits when a month is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// What pays the statement, in the order of its use.
    pub used: Vec<CreditPart>,
    /// What ran out before the end of the month.
    pub expired: Vec<CreditPart>,
}

/// Pays as much of a total as credits can, for a month that ends at a time.
pub fn spend(credits: &[Credit], total: Money, end: Timestamp) -> Result<Spent, MoneyError> {
    let mut by_expiry: Vec<&Credit> = credits.iter().filter(|credit| credit.left.micros > 0).collect();
    by_expiry.sort_by_key(|credit| (credit.expires_at.unwrap_or(Timestamp::MAX), credit.credit_id));
    let (mut spent, mut owed) = (Spent::default(), total);
    for credit in by_expiry {
        if credit.expires_at.is_some_and(|expires_at| expires_at < end) {
            spent.expired.push(credit.part(credit.left));
            continue;
        }
        let micros = credit.left.micros.min(owed.micros);
        if micros > 0 {
            let part = credit.part(Money { micros, ..credit.left });
            owed = owed.minus(part.amount)?;
            spent.used.push(part);
        }
    }
    Ok(spent)
}

impl Credit {
    fn part(&self, amount: Money) -> CreditPart {
        CreditPart { credit_id: self.credit_id, reason: self.reason.clone(), amount }
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

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).expect("a time")
    }

    fn credit(id: u128, left: i64, expires: Option<i64>) -> Credit {
        let credit_id = CreditId(Uuid::from_u128(id));
        Credit { credit_id, reason: "Sorry".into(), expires_at: expires.map(at), left: cents(left) }
    }

    fn parts(parts: &[CreditPart]) -> Vec<(u128, i64)> {
        parts.iter().map(|part| (part.credit_id.0.as_u128(), part.amount.micros / MICROS_PER_MINOR)).collect()
    }

    /// Rows: credits as id, cents and last day; the total; what is used and what expires when a month ends on day 30.
    #[test]
    fn the_credit_that_runs_out_first_is_used_first() {
        for (credits, total, used, expired) in [
            (
                vec![(1, 10, None), (2, 10, Some(60)), (3, 10, Some(40))],
                25,
                vec![(3, 10), (2, 10), (1, 5)],
                vec![],
            ),
            (vec![(2, 10, Some(60)), (1, 10, Some(60))], 5, vec![(1, 5)], vec![]),
            (vec![(1, 10, Some(30))], 5, vec![(1, 5)], vec![]), // until the very end
            (vec![(1, 10, Some(29)), (2, 3, None)], 5, vec![(2, 3)], vec![(1, 10)]),
            (vec![(1, 0, Some(29)), (2, 0, None)], 5, vec![], vec![]),
            (vec![(1, 10, None)], 0, vec![], vec![]),
            (vec![(1, 10, None)], -5, vec![], vec![]),
            (vec![], 5, vec![], vec![]),
        ] {
            let credits: Vec<Credit> =
                credits.into_iter().map(|(id, left, end)| credit(id, left, end)).collect();
            let spent = spend(&credits, cents(total), at(30)).expect("small");
            assert_eq!((parts(&spent.used), parts(&spent.expired)), (used, expired), "{credits:?}");
        }
    }

    #[test]
    fn another_currency_pays_nothing() {
        let euros = Money::micros(MICROS_PER_MINOR, "EUR".parse().expect("EUR"));
        assert!(spend(&[credit(1, 10, None)], euros, at(30)).is_err());
    }

    proptest! {
        /// Month after month: used, expired and left are what was given, nothing goes below zero, and a credit is left over
        /// only when the total is paid.
        #[test]
        fn used_expired_and_left_are_what_was_given(
            given in prop::collection::vec((1_i64..50, prop::option::of(1_i64..200)), 0..6),
            totals in prop::collection::vec(-5_i64..60, 1..6),
        ) {
            let mut credits: Vec<Credit> =
                (1..).zip(&given).map(|(id, (left, expires))| credit(id, *left, *expires)).collect();
            let (mut used, mut expired) = (0, 0);
            for (month, total) in (1_i64..).zip(totals) {
                let spent = spend(&credits, cents(total), at(month * 30)).expect("small");
                for part in spent.used.iter().chain(&spent.expired) {
                    let of = credits.iter_mut().find(|credit| credit.credit_id == part.credit_id).expect("known");
                    of.left = of.left.minus(part.amount).expect("small");
                    prop_assert!(part.amount.micros > 0 && of.left.micros >= 0);
                }
                let sum = |parts: &[CreditPart]| parts.iter().map(|part| part.amount.micros).sum::<i64>();
                let paid = sum(&spent.used);
                prop_assert!((0..=cents(total).micros.max(0)).contains(&paid));
                let usable = |credit: &&Credit| credit.left.micros > 0;
                prop_assert!(paid == cents(total).micros.max(0) || credits.iter().find(usable).is_none());
                (used, expired) = (used + paid, expired + sum(&spent.expired));
            }
            let left: i64 = credits.iter().map(|credit| credit.left.micros).sum();
            let given: i64 = given.iter().map(|(left, _)| cents(*left).micros).sum();
            prop_assert_eq!(used + expired + left, given);
        }
    }
}
