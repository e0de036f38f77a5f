//! What a way of collecting costs, and the least that it takes at all.

use super::Policy;
use crate::{
    currency::Currency,
    money::{MICROS_PER_MINOR, Money, MoneyError, round_half_even},
    processor::Rail,
};

/// What one collection costs and what the processor takes at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeSchedule {
    /// In which currency the fixed parts are.
    pub currency: Currency,
    /// Thousandths of the amount: 29 is 2.9 %.
    pub share_per_mille: i64,
    /// On top, each time.
    pub fixed_micros: i64,
    /// The fee is never more than this, where there is such a limit.
    pub cap_micros: Option<i64>,
    /// The processor refuses less.
    pub minimum_micros: i64,
}

/// The price list of US cards.
pub const US_CARD: FeeSchedule = FeeSchedule {
    currency: Currency::USD,
    share_per_mille: 29,
    fixed_micros: 30 * MICROS_PER_MINOR,
    cap_micros: None,
    minimum_micros: 50 * MICROS_PER_MINOR,
};

/// Debits of US bank accounts. There is no fixed part, but one in a hundred that comes back costs $4, so each is reckoned
/// with 4 ¢ for it: otherwise small debits would look cheaper than they are.
pub const US_BANK_DEBIT: FeeSchedule = FeeSchedule {
    currency: Currency::USD,
    share_per_mille: 8,
    fixed_micros: 4 * MICROS_PER_MINOR,
    cap_micros: Some(500 * MICROS_PER_MINOR),
    minimum_micros: 50 * MICROS_PER_MINOR,
};

/// What a card costs in currencies other than the dollar, as Stripe's price lists say it of the countries that use them:
/// code, share, fixed part and minimum, the last two in minor units. Of a currency that is not here nothing is known.
const CARDS: [(&str, i64, i64, i64); 11] = [
    ("AUD", 17, 30, 50),
    ("CAD", 29, 30, 50),
    ("CHF", 29, 30, 50),
    ("DKK", 15, 180, 250),
    ("EUR", 15, 25, 50),
    ("GBP", 15, 20, 30),
    ("JPY", 36, 0, 50),
    // Of dinars no price list is published: the dollar's, at three dollars a dinar.
    ("KWD", 29, 100, 170),
    ("NOK", 24, 200, 300),
    ("PLN", 15, 100, 200),
    ("SEK", 15, 180, 300),
];

/// What collecting costs by a rail in a currency; `None` where there is no price list for it.
pub fn price_list(rail: Rail, currency: Currency) -> Option<FeeSchedule> {
    match rail {
        Rail::BankDebit => (currency == Currency::USD).then_some(US_BANK_DEBIT),
        Rail::Card if currency == Currency::USD => Some(US_CARD),
        Rail::Card => {
            let (_, share_per_mille, fixed, minimum) =
                *CARDS.iter().find(|(code, ..)| *code == currency.code())?;
            Some(FeeSchedule {
                currency,
                share_per_mille,
                fixed_micros: fixed * MICROS_PER_MINOR,
                cap_micros: None,
                minimum_micros: minimum * MICROS_PER_MINOR,
            })
        }
    }
}

impl FeeSchedule {
    /// What collecting an amount costs, to the minor unit.
    pub fn fee(&self, amount: Money) -> Result<Money, MoneyError> {
        let exact = round_half_even(self.fee_mille(amount), 1_000);
        let micros = i64::try_from(exact).map_err(|_| MoneyError::Overflow)?;
        Ok(Money::micros(micros, self.currency).to_minor_unit())
    }

    /// Does the processor take so little?
    pub fn takes(&self, amount: Money) -> bool {
        amount.micros >= self.minimum_micros
    }

    /// The least that the processor takes.
    pub fn minimum(&self) -> Money {
        Money::micros(self.minimum_micros, self.currency)
    }

    /// Is the exact fee a small enough part of the amount?
    pub fn is_worth(&self, amount: Money, policy: &Policy) -> bool {
        self.fee_mille(amount) <= i128::from(amount.micros) * i128::from(policy.fee_percent_max) * 10
    }

    /// The fee in whole hundredths of the amount, rounded.
    pub fn percent(&self, amount: Money) -> Result<i128, MoneyError> {
        let fee = self.fee(amount)?;
        Ok(round_half_even(i128::from(fee.micros) * 100, i128::from(amount.micros).max(1)))
    }

    /// The smallest whole amount that is worth its fee.
    pub fn threshold(&self, policy: &Policy) -> Money {
        let per_mille = (policy.fee_percent_max * 10 - self.share_per_mille).max(1);
        let micros = i128::from(self.fixed_micros) * 1_000 / i128::from(per_mille);
        let minor = micros.unsigned_abs().div_ceil(MICROS_PER_MINOR.unsigned_abs().into());
        let micros = i64::try_from(minor).unwrap_or(i64::MAX).saturating_mul(MICROS_PER_MINOR);
        Money::micros(micros.max(self.minimum_micros), self.currency)
    }

    /// The exact fee in thousandths of a micro.
    fn fee_mille(&self, amount: Money) -> i128 {
        let share = i128::from(amount.micros) * i128::from(self.share_per_mille);
        let fee = share + i128::from(self.fixed_micros) * 1_000;
        self.cap_micros.map_or(fee, |cap| fee.min(i128::from(cap) * 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::DEFAULT_POLICY;
    use proptest::prelude::*;

    fn cents(cents: i64) -> Money {
        Money::micros(cents * MICROS_PER_MINOR, Currency::USD)
    }

    /// Rows: what is collected, by what, the fee.
    #[test]
    fn a_fee_is_what_the_price_list_says() {
        for (amount, fees, fee) in [
            (25, US_CARD, 31),
            (500, US_CARD, 44), // 44.5 ¢: half to even
            (1_000, US_CARD, 59),
            (100, US_BANK_DEBIT, 5),
            (10_000, US_BANK_DEBIT, 84),
            (100_000, US_BANK_DEBIT, 500),
        ] {
            assert_eq!(fees.fee(cents(amount)), Ok(cents(fee)), "{amount}");
        }
    }

    /// Rows: a currency of no, two and three decimals, what is collected in minor units, the fee and the minimum.
    #[test]
    fn each_currency_has_a_price_list_of_its_own() {
        for (code, amount, fee, minimum) in
            [("JPY", 500, 18, 50), ("EUR", 1_000, 40, 50), ("GBP", 1_000, 35, 30), ("KWD", 5_000, 245, 170)]
        {
            let currency: Currency = code.parse().expect(code);
            let minor = |minor: i64| Money::micros(minor * MICROS_PER_MINOR, currency);
            let fees = price_list(Rail::Card, currency).expect(code);
            assert_eq!((fees.fee(minor(amount)), fees.minimum()), (Ok(minor(fee)), minor(minimum)), "{code}");
        }
        let unheard_of: Currency = "XPF".parse().expect("a code");
        assert_eq!(price_list(Rail::Card, unheard_of), None);
        assert_eq!(price_list(Rail::BankDebit, "EUR".parse().expect("a code")), None);
    }

    proptest! {
        /// The threshold is worth its fee and a cent less is not, unless the processor's minimum lies above.
        #[test]
        fn the_threshold_is_the_smallest_amount_worth_its_fee(percent in 3_i64..60, bank in any::<bool>()) {
            let fees = if bank { US_BANK_DEBIT } else { US_CARD };
            let policy = Policy { fee_percent_max: percent, ..DEFAULT_POLICY };
            let threshold = fees.threshold(&policy);
            prop_assert!(fees.takes(threshold) && fees.is_worth(threshold, &policy));
            let less = threshold.minus(cents(1)).expect("small");
            prop_assert!(!fees.takes(less) || !fees.is_worth(less, &policy));
        }
    }
}
