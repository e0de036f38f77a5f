//! Recurring amounts as they grow by the hour.

use super::Every;
use crate::{
    currency::Currency,
    money::{Money, MoneyError, round_half_even},
    period::Month,
};

/// A recurring amount on its way through a month, which may be another one from hour to hour: the sum over the hours of
/// what each costs, rounded once. So neither the number of changes nor their order adds a micro.
#[derive(Debug, Clone, Copy)]
pub struct Accrual {
    currency: Currency,
    /// Hours of the whole period, a year's counted as twelve times the month's.
    whole: i128,
    /// Micro-hours that lie before the first one here.
    before: i128,
    /// The same and those since.
    weight: i128,
}

impl Accrual {
    /// Begins at an hour of the month, as if the first amount had been due since the period began: two that share a
    /// month at the same amount add up to it.
    pub fn starting(every: Every, month: Month, hour: i64, amount: Money) -> Self {
        let (parts, months_before) = match every {
            Every::Month => (1, 0),
            Every::Year => (12, month.index().rem_euclid(12)),
        };
        let length = i128::from(month.length());
        let before = i128::from(amount.micros) * (i128::from(months_before) * length + i128::from(hour));
        Self { currency: amount.currency, whole: parts * length, before, weight: before }
    }

    /// So many hours more at an amount for the whole period.
    pub fn add(&mut self, hours: i64, amount: Money) {
        self.weight += i128::from(amount.micros) * i128::from(hours);
    }

    /// What the hours so far come to.
    pub fn due(&self) -> Result<Money, MoneyError> {
        let micros = round_half_even(self.weight, self.whole) - round_half_even(self.before, self.whole);
        Ok(Money::micros(i64::try_from(micros).map_err(|_| MoneyError::Overflow)?, self.currency))
    }
}
