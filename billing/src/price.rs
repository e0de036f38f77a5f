//! Prices as functions of cumulative usage in a month.
//!
//! An hour's charge is a difference of two values of that function. So tiers, allowances and proration need no case
//! of their own, and the hours of a month add up to its price exactly.

mod tiers;

pub use tiers::{Tier, TierError, Tiers};

use crate::{
    currency::Currency,
    ids::PriceId,
    money::{Money, MoneyError, round_half_even},
    period::Month,
    usage::Meter,
};

/// What something costs. Immutable, as its plan version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Its name.
    pub price_id: PriceId,
    /// What a payer reads on the line.
    pub description: String,
    /// How it grows.
    pub pricing: Pricing,
}

/// How a price grows within a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pricing {
    /// So much a calendar month, by the hour: the quantity is hours of the month that have begun.
    Recurring {
        /// For a whole month, however long.
        amount: Money,
    },
    /// By what a meter counted.
    Metered {
        /// Which.
        meter: Meter,
        /// In what.
        currency: Currency,
        /// What a payer counts in: `participant-minute`, `GB`.
        unit: String,
        /// How much of the meter is one unit: 60,000 ms are a minute.
        unit_size: i64,
        /// What a unit costs, the more the further up.
        tiers: Tiers,
    },
}

impl Price {
    /// What a month costs once `used` has been used in it. Never falls as `used` grows.
    /// Rounds half to even, to a micro; only a statement rounds further, to the minor unit. `i128` inside.
    pub fn cumulative(&self, used: i64, month: Month) -> Result<Money, MoneyError> {
        let (dividend, divisor) = match &self.pricing {
            Pricing::Recurring { amount } => (i128::from(amount.micros) * i128::from(used), month.length()),
            Pricing::Metered { unit_size, tiers, .. } => {
                (tiers.weigh(used).ok_or(MoneyError::Overflow)?, *unit_size)
            }
        };
        let micros = round_half_even(dividend, i128::from(divisor));
        Ok(Money::micros(i64::try_from(micros).map_err(|_| MoneyError::Overflow)?, self.currency()))
    }

    /// The charge for going from one quantity to another: a difference, so that charges add up.
    pub fn between(&self, before: i64, after: i64, month: Month) -> Result<Money, MoneyError> {
        self.cumulative(after, month)?.minus(self.cumulative(before, month)?)
    }

    /// In what it is.
    pub fn currency(&self) -> Currency {
        match &self.pricing {
            Pricing::Recurring { amount } => amount.currency,
            Pricing::Metered { currency, .. } => *currency,
        }
    }

    /// Which meter it looks at, unless it is recurring.
    pub fn meter(&self) -> Option<Meter> {
        match &self.pricing {
            Pricing::Recurring { .. } => None,
            Pricing::Metered { meter, .. } => Some(*meter),
        }
    }
}

#[cfg(test)]
mod tests;
