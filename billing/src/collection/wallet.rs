//! Money paid ahead: what a tab takes from it, and when it is filled up by itself.

use super::FeeSchedule;
use crate::money::{Money, MoneyError};

/// How a wallet fills itself up, as its owner set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopUp {
    /// So much at a time.
    pub amount: Money,
    /// So much in a calendar month at most; beyond it the tab waits.
    pub monthly_ceiling: Money,
    /// So much of that has been used.
    pub this_month: Money,
}

/// What becomes of a tab that a wallet stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Taken from the wallet, what was just put there included.
    pub drawn: Money,
    /// Put there first, if that was needed and allowed.
    pub topped_up: Option<Money>,
    /// What is still owed.
    pub owed: Money,
    /// What is left in the wallet.
    pub balance: Money,
}

/// Pays what is owed from a wallet and fills it up once where it is too small. What it cannot pay stays on the tab:
/// a wallet is never below zero.
pub fn settle(
    owed: Money,
    balance: Money,
    top_up: Option<TopUp>,
    fees: &FeeSchedule,
) -> Result<Settled, MoneyError> {
    let missing = owed.minus(balance)?;
    let topped_up =
        top_up.filter(|_| missing.micros > 0).and_then(|top_up| top_up.at_most_once(missing, fees));
    let full = match topped_up {
        Some(amount) => balance.plus(amount)?,
        None => balance.plus(Money::zero(owed.currency))?,
    };
    let drawn = Money { micros: full.micros.min(owed.micros).max(0), ..full };
    Ok(Settled { drawn, topped_up, owed: owed.minus(drawn)?, balance: full.minus(drawn)? })
}

impl TopUp {
    /// The amount that was set, or what is missing where that is more; nothing where the ceiling or the processor's
    /// minimum is in the way.
    fn at_most_once(&self, missing: Money, fees: &FeeSchedule) -> Option<Money> {
        let amount = if missing.micros > self.amount.micros { missing } else { self.amount };
        let within = self.this_month.plus(amount).ok()?.micros <= self.monthly_ceiling.micros;
        (within && fees.takes(amount)).then_some(amount)
    }
}

/// A charge that filled a wallet up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// What came in.
    pub amount: Money,
    /// What the processor kept of it.
    pub fee: Money,
}

/// The part of the top-ups' fees that falls to a draw. What was filled in first is drawn first, and each draw costs the
/// difference of what all draws cost after and before it, so that an empty wallet has passed on every fee exactly once.
pub fn fee_of_draw(filled: &[Filled], drawn_before: Money, drawn: Money) -> Result<Money, MoneyError> {
    let after = fees_up_to(filled, drawn_before.plus(drawn)?)?;
    after.minus(fees_up_to(filled, drawn_before)?)
}

/// What the first so many micros ever drawn cost, rounded down to a micro.
fn fees_up_to(filled: &[Filled], drawn: Money) -> Result<Money, MoneyError> {
    let (mut left, mut fees) = (drawn.micros, Money::zero(drawn.currency));
    for Filled { amount, fee } in filled {
        let part = left.min(amount.micros).max(0);
        let micros = i128::from(fee.micros) * i128::from(part) / i128::from(amount.micros.max(1));
        let micros = i64::try_from(micros).map_err(|_| MoneyError::Overflow)?;
        fees = fees.plus(Money { micros, ..*fee })?;
        left -= part;
    }
    Ok(fees)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collection::US_CARD, currency::Currency, money::MICROS_PER_MINOR};
    use proptest::prelude::*;

    fn cents(cents: i64) -> Money {
        Money::micros(cents * MICROS_PER_MINOR, Currency::USD)
    }

    fn top_up(amount: i64, ceiling: i64, this_month: i64) -> TopUp {
        let (amount, monthly_ceiling, this_month) = (cents(amount), cents(ceiling), cents(this_month));
        TopUp { amount, monthly_ceiling, this_month }
    }

    /// Rows: owed, in the wallet, how it fills up; then what was put there, what is still owed and what is left.
    #[test]
    fn a_wallet_pays_and_fills_itself_up_within_its_ceiling() {
        let ten_of_thirty = Some(top_up(1_000, 3_000, 0));
        for (owed, balance, top_up, topped_up, still, left) in [
            (37, 500, ten_of_thirty, None, 0, 463),
            (37, 37, ten_of_thirty, None, 0, 0),
            (37, 10, None, None, 27, 0),
            (37, 10, ten_of_thirty, Some(1_000), 0, 973),
            (1_500, 100, ten_of_thirty, Some(1_400), 0, 0), // what is missing, where ten dollars are too few
            (37, 10, Some(top_up(1_000, 3_000, 2_500)), None, 27, 0), // the ceiling is in the way
            (37, 10, Some(top_up(20, 3_000, 0)), None, 27, 0), // the processor takes no 27 cents
            (0, 10, ten_of_thirty, None, 0, 10),
        ] {
            let settled = settle(cents(owed), cents(balance), top_up, &US_CARD).expect("small");
            let expected = (topped_up.map(cents), cents(still), cents(left));
            assert_eq!((settled.topped_up, settled.owed, settled.balance), expected, "{owed} of {balance}");
        }
    }

    proptest! {
        /// However a wallet is drawn empty, its draws bear what filling it cost, and none bears less than nothing.
        #[test]
        fn draws_bear_the_fees_of_what_they_draw(
            filled in prop::collection::vec((1_i64..5_000_000, 0_i64..90_000), 1..5),
            cuts in prop::collection::vec(1_i64..3_000_000, 0..12),
        ) {
            let micros = |micros| Money::micros(micros, Currency::USD);
            let filled: Vec<Filled> = filled
                .into_iter()
                .map(|(amount, fee)| Filled { amount: micros(amount), fee: micros(fee.min(amount)) })
                .collect();
            let all: i64 = filled.iter().map(|one| one.amount.micros).sum();
            let (mut drawn, mut fees) = (0, 0);
            for cut in cuts.into_iter().chain([i64::MAX]) {
                let draw = cut.min(all - drawn);
                let fee = fee_of_draw(&filled, micros(drawn), micros(draw)).expect("small");
                prop_assert!((0..=draw).contains(&fee.micros), "{fee} of {draw}");
                (drawn, fees) = (drawn + draw, fees + fee.micros);
            }
            prop_assert_eq!(fees, filled.iter().map(|one| one.fee.micros).sum::<i64>());
        }

        #[test]
        fn nothing_is_lost_and_nothing_goes_below_zero(
            owed in 0_i64..100_000, balance in 0_i64..100_000, amount in 1_i64..5_000,
            ceiling in 0_i64..100_000, this_month in 0_i64..100_000,
        ) {
            let rule = top_up(amount, ceiling, this_month);
            let settled = settle(cents(owed), cents(balance), Some(rule), &US_CARD).expect("small");
            let put = settled.topped_up.unwrap_or(cents(0));
            prop_assert_eq!(settled.owed.plus(settled.drawn), Ok(cents(owed)));
            prop_assert_eq!(settled.balance.plus(settled.drawn), cents(balance).plus(put));
            prop_assert!(settled.balance.micros >= 0 && settled.owed.micros >= 0 && settled.drawn.micros >= 0);
            prop_assert!(put.is_zero() || put.plus(rule.this_month).expect("small").micros <= rule.monthly_ceiling.micros);
        }
    }
}
