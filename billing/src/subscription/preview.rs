//! What a change would cost, before it is made.

use super::Subscription;
use crate::{
    charge,
    currency::Currency,
    money::{Money, MoneyError},
    period::{Hour, Month},
    usage::Usage,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What a subscription comes to in a whole month, as it is and as it would be; exact, and before anything that is still to
/// be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cost {
    /// Which month, as `YYYY-MM`.
    #[schema(value_type = String, example = "2026-11")]
    pub month: Month,
    /// As it is.
    pub before: Money,
    /// As it would be.
    pub after: Money,
    /// The one less the other.
    pub difference: Money,
}

/// What a change would cost: it is worked out by the rules that charge, so it comes out exactly so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Preview {
    /// This month, to its end.
    pub this_month: Cost,
    /// The first month that is wholly as decided.
    pub next_month: Cost,
}

/// Compares two ways that a subscription may go on. `usage` is what is known of this month.
pub fn preview(
    before: &[Subscription],
    after: &[Subscription],
    currency: Currency,
    usage: &Usage,
    now: Hour,
) -> Result<Preview, MoneyError> {
    let cost = |month: Month| {
        let end = month.next().first();
        let of = |subscriptions: &[Subscription]| -> Result<Money, MoneyError> {
            let mut sum = Money::zero(currency);
            for subscription in subscriptions {
                for price in &subscription.prices {
                    let rated = charge::total(subscription, price, usage, month, end)?;
                    sum = rated.map_or(Ok(sum), |rated| sum.plus(rated.amount))?;
                }
            }
            Ok(sum)
        };
        let (before, after) = (of(before)?, of(after)?);
        Ok::<_, MoneyError>(Cost { month, before, after, difference: after.minus(before)? })
    };
    let month = now.month();
    Ok(Preview { this_month: cost(month)?, next_month: cost(month.next())? })
}
