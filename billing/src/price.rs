//! Prices as functions of cumulative usage in a month.
//!
//! An hour's charge is a difference of two values of that function. So tiers, packages, allowances, minimums, caps and
//! proration need no case of their own, and the hours of a month add up to its price exactly.

mod accrual;
mod counted;
mod metered;
mod tiers;

pub use accrual::Accrual;
pub use counted::{Counted, Item, Quantities, UnknownItem};
pub use metered::{Metered, Model};
pub use tiers::{Tier, TierError, Tiers};

use crate::{
    currency::Currency,
    ids::PriceId,
    money::{Money, MoneyError},
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
    /// So much a calendar month or year, by the hour: the quantity is hours of the month that have begun.
    Recurring {
        /// For the whole of it, however long.
        amount: Money,
        /// Of what.
        every: Every,
    },
    /// So much a calendar month or year for as many of something as are held, by the hour.
    Counted(Counted),
    /// By what a meter counted.
    Metered(Metered),
}

/// What a recurring amount is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// A calendar month.
    Month,
    /// Twelve calendar months, whichever it begins with: each costs a twelfth, whatever its length.
    Year,
}

/// How far into a month somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// How much has been used, in the meter's own unit; hours of the month for a recurring price.
    pub quantity: i64,
    /// For how many hours of the month it has been subscribed: a minimum grows with them.
    pub hours: i64,
}

/// Why a price makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Its tiers do not.
    #[error(transparent)]
    Tiers(#[from] TierError),
    /// Somebody would be paid for using it.
    #[error("{0} is below zero")]
    Negative(&'static str),
    /// Nothing would be counted.
    #[error("a unit or a package holds at least one")]
    EmptyUnit,
    /// A share of what is no money.
    #[error("a share is of money that a meter counts, not of a number of things")]
    ShareOfACount,
    /// The tiers, or as many as can be held, would cost more than can be billed.
    #[error("the amount would be larger than can be billed")]
    TooLarge,
    /// More than all of it.
    #[error("a share is 100 % at most, which is 1,000,000 millionths")]
    MoreThanAll,
    /// The cap would win over the minimum.
    #[error("the cap {cap} is below the minimum {minimum}")]
    CapBelowMinimum {
        /// What is paid at most.
        cap: Money,
        /// What is paid at least.
        minimum: Money,
    },
    /// A minimum or a cap in something else.
    #[error("the price is in {0}, but its minimum or its cap is in {1}")]
    Currencies(Currency, Currency),
}

impl Price {
    /// What a month costs once somebody is so far into it. Rounds half to even, to a micro; only a statement rounds
    /// further, to the minor unit. `i128` inside. It may fall as usage grows only where a volume price says so.
    pub fn cumulative(&self, at: Position, month: Month) -> Result<Money, MoneyError> {
        match &self.pricing {
            Pricing::Recurring { amount, every } => every.cumulative(*amount, at.quantity, month),
            // For one of each: how many are held is no matter of usage. See [`Price::recurring`].
            Pricing::Counted(counted) => {
                let one = Quantities { seats: 1, rooms: 1, mailboxes: 1 };
                counted.every.cumulative(counted.amount(one)?, at.quantity, month)
            }
            Pricing::Metered(metered) => metered.cumulative(at, month),
        }
    }

    /// The charge for going from one position to another: a difference, so that charges add up.
    pub fn between(&self, before: Position, after: Position, month: Month) -> Result<Money, MoneyError> {
        self.cumulative(after, month)?.minus(self.cumulative(before, month)?)
    }

    /// What a whole period of a recurring price costs with so many held; `None` for a metered one.
    pub fn recurring(&self, held: Quantities) -> Result<Option<(Money, Every)>, MoneyError> {
        Ok(match &self.pricing {
            Pricing::Recurring { amount, every } => Some((*amount, *every)),
            Pricing::Counted(counted) => Some((counted.amount(held)?, counted.every)),
            Pricing::Metered(_) => None,
        })
    }

    /// How many of what it counts are held; one, if it counts nothing.
    pub fn counts(&self, held: Quantities) -> i64 {
        match &self.pricing {
            Pricing::Counted(counted) => held.of(counted.item).into(),
            Pricing::Recurring { .. } | Pricing::Metered(_) => 1,
        }
    }

    /// In what it is.
    pub fn currency(&self) -> Currency {
        match &self.pricing {
            Pricing::Recurring { amount, .. } => amount.currency,
            Pricing::Counted(counted) => counted.currency,
            Pricing::Metered(metered) => metered.currency,
        }
    }

    /// Which meter it looks at, unless it is recurring.
    pub fn meter(&self) -> Option<Meter> {
        match &self.pricing {
            Pricing::Recurring { .. } | Pricing::Counted(_) => None,
            Pricing::Metered(metered) => Some(metered.meter),
        }
    }

    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), PriceError> {
        match &self.pricing {
            Pricing::Recurring { amount, .. } if amount.micros < 0 => Err(PriceError::Negative("the amount")),
            Pricing::Recurring { .. } => Ok(()),
            Pricing::Counted(counted) => counted.check(),
            Pricing::Metered(metered) => metered.check(),
        }
    }
}

impl Every {
    /// What is due when `hours` of a month are over. Twelfths are cut where they fall in an endless row of months, so
    /// that any twelve in a row add up to the year.
    fn cumulative(self, amount: Money, hours: i64, month: Month) -> Result<Money, MoneyError> {
        let mut accrual = Accrual::starting(self, month, 0, amount);
        accrual.add(hours, amount);
        accrual.due()
    }

    /// Its name on a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Every::Month => "month",
            Every::Year => "year",
        }
    }
}

/// What an allowance, a minimum and a cap must keep to.
fn check_bounds(
    currency: Currency,
    included: i64,
    minimum: Option<Money>,
    cap: Option<Money>,
) -> Result<(), PriceError> {
    if included < 0 {
        return Err(PriceError::Negative("the allowance"));
    }
    for bound in [minimum, cap].into_iter().flatten() {
        if bound.currency != currency {
            return Err(PriceError::Currencies(currency, bound.currency));
        }
        if bound.micros < 0 {
            return Err(PriceError::Negative("the minimum or the cap"));
        }
    }
    match (minimum, cap) {
        (Some(minimum), Some(cap)) if cap.micros < minimum.micros => {
            Err(PriceError::CapBelowMinimum { cap, minimum })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
