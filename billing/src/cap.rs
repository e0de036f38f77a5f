//! Spending caps: what a business lets itself spend on usage in a calendar month, in all or through one of its keys.
//!
//! What is spent is what metered prices come to for the month's usage, beyond what would be due without any. For a key it is what
//! the usage that it reported would come to if there were no other.

use crate::{
    charge,
    currency::Currency,
    money::{Money, MoneyError},
    period::Month,
    subscription::Subscription,
    usage::Usage,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The shares of a cap that are warned of, in percent.
pub const WARNED_AT: [i16; 3] = [50, 80, 100];

/// A cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cap {
    /// Names it.
    pub cap_id: Uuid,
    /// The key whose usage it is about; null for all usage.
    pub key_id: Option<Uuid>,
    /// So much a calendar month.
    pub limit: Money,
    /// When it was set.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl Cap {
    /// May so much be spent?
    pub fn allows(&self, spent: Money) -> bool {
        spent.micros <= self.limit.micros
    }

    /// Is nothing left?
    pub fn is_used_up(&self, spent: Money) -> bool {
        spent.micros >= self.limit.micros
    }

    /// The shares that are reached.
    pub fn reached(&self, spent: Money) -> impl Iterator<Item = i16> {
        let (spent, limit) = (i128::from(spent.micros), i128::from(self.limit.micros));
        WARNED_AT.into_iter().filter(move |percent| spent * 100 >= limit * i128::from(*percent))
    }
}

/// What usage costs in a month.
pub fn spent(
    subscriptions: &[Subscription],
    usage: &Usage,
    currency: Currency,
    month: Month,
) -> Result<Money, MoneyError> {
    let (end, nothing) = (month.next().first(), Usage::default());
    let mut sum = Money::zero(currency);
    for subscription in subscriptions {
        for price in subscription.prices.iter().filter(|price| price.meter().is_some()) {
            let of = |usage: &Usage| charge::total(subscription, price, usage, month, end);
            if let (Some(with), Some(without)) = (of(usage)?, of(&nothing)?) {
                sum = sum.plus(with.amount.minus(without.amount)?)?;
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: what is spent of 10 cents, which warnings that makes, and whether it is allowed and used up.
    #[test]
    fn shares_are_warned_of_when_they_are_reached() {
        let usd = |micros| Money::micros(micros, Currency::USD);
        let (cap_id, created_at) = (Uuid::nil(), Timestamp::UNIX_EPOCH);
        let cap = Cap { cap_id, key_id: None, limit: usd(10_000_000), created_at };
        for (spent, warnings, is_allowed, is_used_up) in [
            (-5, &[][..], true, false),
            (4_999_999, &[], true, false),
            (5_000_000, &[50], true, false),
            (8_000_000, &[50, 80], true, false),
            (9_999_999, &[50, 80], true, false),
            (10_000_000, &[50, 80, 100], true, true),
            (10_000_001, &[50, 80, 100], false, true),
            (i64::MAX, &[50, 80, 100], false, true),
        ] {
            let seen: Vec<i16> = cap.reached(usd(spent)).collect();
            assert_eq!(
                (&seen[..], cap.allows(usd(spent)), cap.is_used_up(usd(spent))),
                (warnings, is_allowed, is_used_up)
            );
        }
    }
}
