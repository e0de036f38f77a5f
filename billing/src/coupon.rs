//! Coupons: so much less for so many months, of what one vendor sells.
//!
//! A coupon is made once and never changes. What it takes off a line is a line of its own, which names the coupon and is
//! never more than what is left of the line it is about.

use crate::{
    catalogue::Refused,
    currency::Currency,
    ids::{CouponId, PlanId, VendorId},
    money::{Money, MoneyError, round_half_even},
    period::Month,
    tax::MILLIONTHS,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a coupon takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// A share of each line: 200,000 are 20 %.
    PercentMillionths(i64),
    /// So much of a month, from its lines in their order.
    Amount(Money),
}

/// So much less, for whoever redeems it. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Coupon {
    /// Names it.
    pub coupon_id: CouponId,
    /// What a payer types: capital letters, digits and hyphens.
    #[schema(example = "SPRING-26")]
    pub code: String,
    /// What a payer reads on the line.
    pub name: String,
    /// Of whose sales it takes something off.
    pub vendor_id: VendorId,
    /// Of which plans only; of all of the vendor's if there are none.
    pub plans: Vec<PlanId>,
    /// What it takes off.
    pub off: Off,
    /// In so many months, the one it is redeemed in included; null for ever.
    pub months: Option<u32>,
    /// How often it can be redeemed by all accounts together; null without limit. One account redeems it once.
    pub redemptions_max: Option<i64>,
    /// Until when it can be redeemed, UTC; null without end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub redeem_by: Option<Timestamp>,
}

/// Why a coupon is not redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CouponRefused {
    /// Nobody made it.
    #[error("there is no such coupon")]
    Unknown,
    /// It is too late.
    #[error("it could be redeemed until {0}")]
    Over(Timestamp),
    /// Others were quicker.
    #[error("it has been redeemed as often as it may be")]
    UsedUp,
    /// Once is enough.
    #[error("this account has redeemed it")]
    AlreadyRedeemed,
    /// It takes off another currency.
    #[error("it takes off {0}, and this account pays {1}")]
    AnotherCurrency(Currency, Currency),
}

/// Who wants to redeem a coupon, and what has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanting {
    /// In what the account pays.
    pub currency: Currency,
    /// The tenant's time.
    pub now: Timestamp,
    /// Has the account redeemed it?
    pub has_redeemed: bool,
    /// How often all have.
    pub redeemed: i64,
}

impl Coupon {
    /// May it be redeemed?
    pub fn check(&self, wanting: Wanting) -> Result<(), CouponRefused> {
        let Wanting { currency, now, has_redeemed, redeemed } = wanting;
        match (self.off, self.redeem_by) {
            _ if has_redeemed => Err(CouponRefused::AlreadyRedeemed),
            (_, Some(until)) if until < now => Err(CouponRefused::Over(until)),
            (Off::Amount(amount), _) if amount.currency != currency => {
                Err(CouponRefused::AnotherCurrency(amount.currency, currency))
            }
            _ if self.redemptions_max.is_some_and(|max| redeemed >= max) => Err(CouponRefused::UsedUp),
            _ => Ok(()),
        }
    }

    /// Is it about what this vendor sells by this plan?
    pub fn is_about(&self, vendor: VendorId, plan: PlanId) -> bool {
        self.vendor_id == vendor && (self.plans.is_empty() || self.plans.contains(&plan))
    }
}

/// A coupon that an account has redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// Which.
    pub coupon: Coupon,
    /// The first month that it counts for.
    pub from: Month,
}

impl Redeemed {
    /// Does it count for a month?
    pub fn covers(&self, month: Month) -> bool {
        let nth = month.index() - self.from.index();
        nth >= 0 && self.coupon.months.is_none_or(|months| nth < i64::from(months))
    }
}

/// What a coupon still takes off a month.
#[derive(Debug, Clone, Copy)]
pub struct Discounting {
    off: Off,
}

impl Discounting {
    /// At the beginning of a month's lines.
    pub fn of(coupon: &Coupon) -> Self {
        Self { off: coupon.off }
    }

    /// What it takes off what is left of a line; never more than that, and of the same sign. An amount takes nothing off what
    /// is paid back.
    pub fn take(&mut self, left: Money) -> Result<Money, MoneyError> {
        match &mut self.off {
            Off::PercentMillionths(millionths) => {
                let share = i128::from(left.micros) * i128::from(*millionths);
                let micros = round_half_even(share, MILLIONTHS.into());
                Ok(Money { micros: i64::try_from(micros).map_err(|_| MoneyError::Overflow)?, ..left })
            }
            Off::Amount(amount) => {
                let micros = left.micros.clamp(0, amount.micros);
                let taken = Money { micros, ..left };
                *amount = amount.minus(taken)?;
                Ok(taken)
            }
        }
    }
}

/// A coupon to make.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "code": "SPRING-26", "name": "Spring", "vendor_id": "0199c000-0000-7000-8000-000000000001",
    "percent_millionths": 200_000, "months": 3, "redemptions_max": 1_000, "redeem_by": "2026-06-01T00:00:00Z"
}))]
pub struct NewCoupon {
    /// What a payer types, 3 to 40 capital letters, digits and hyphens; nobody else's.
    #[schema(pattern = "^[A-Z0-9][A-Z0-9-]{2,39}$")]
    pub code: String,
    /// What a payer reads on the line, 1 to 120 characters on one line.
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    /// Of whose sales it takes something off: a vendor of whoever makes it.
    pub vendor_id: VendorId,
    /// Of which plans of the vendor only, at most 50; of all of them if left out.
    #[serde(default)]
    pub plans: Vec<PlanId>,
    /// A share of each line: 200,000 are 20 %. Either this or an amount.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub percent_millionths: Option<i64>,
    /// So much of each month.
    #[schema(minimum = 1)]
    pub amount_micros: Option<i64>,
    /// Of the amount, ISO 4217.
    pub currency: Option<String>,
    /// In so many months, the one it is redeemed in included: 1 is once. For ever if left out.
    #[schema(minimum = 1, maximum = 1_200)]
    pub months: Option<u32>,
    /// How often it can be redeemed by all accounts together; without limit if left out.
    #[schema(minimum = 1)]
    pub redemptions_max: Option<i64>,
    /// Until when it can be redeemed; without end if left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub redeem_by: Option<Timestamp>,
}

/// As many months as a coupon counts for at most, unless it does for ever.
const MONTHS_MAX: u32 = 1_200;
/// As many plans as a coupon names.
const PLANS_MAX: usize = 50;

impl NewCoupon {
    /// The coupon that it means, or the first reason why not.
    pub fn check(&self, coupon_id: CouponId) -> Result<Coupon, Refused> {
        let refused = |field: &str, why: &str| Refused { field: field.into(), why: why.into() };
        let is_word = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'-';
        if !(3..=40).contains(&self.code.len())
            || !self.code.bytes().all(is_word)
            || self.code.starts_with('-')
        {
            return Err(refused("code", "must be 3 to 40 capital letters, digits and hyphens"));
        }
        let name = self.name.trim();
        if !(1..=120).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(refused("name", "must be 1 to 120 characters on one line"));
        }
        if self.plans.len() > PLANS_MAX {
            return Err(refused("plans", "must be 50 at most"));
        }
        if self.months.is_some_and(|months| !(1..=MONTHS_MAX).contains(&months)) {
            return Err(refused("months", "must be 1 to 1200; left out, it counts for ever"));
        }
        if self.redemptions_max.is_some_and(|max| max < 1) {
            return Err(refused("redemptions_max", "must be 1 or more"));
        }
        let Self { code, vendor_id, plans, months, redemptions_max, redeem_by, .. } = self.clone();
        let (off, name) = (self.off()?, name.to_owned());
        Ok(Coupon { coupon_id, code, name, vendor_id, plans, off, months, redemptions_max, redeem_by })
    }

    fn off(&self) -> Result<Off, Refused> {
        let refused = |field: &str, why: &str| Refused { field: field.into(), why: why.into() };
        match (self.percent_millionths, self.amount_micros, &self.currency) {
            (Some(share @ 1..=MILLIONTHS), None, None) => Ok(Off::PercentMillionths(share)),
            (Some(_), None, None) => {
                Err(refused("percent_millionths", "must be 1 to 1000000: 200000 are 20 %"))
            }
            (None, Some(micros), Some(code)) => {
                let currency = code.parse().ok().filter(|currency: &Currency| currency.is_known());
                let currency = currency.ok_or_else(|| refused("currency", "is no currency of ISO 4217"))?;
                match micros {
                    1.. => Ok(Off::Amount(Money::micros(micros, currency))),
                    _ => Err(refused("amount_micros", "must be 1 or more")),
                }
            }
            (None, Some(_), None) => Err(refused("currency", "is missing: of which is the amount?")),
            _ => Err(refused("percent_millionths", "say either this, or `amount_micros` and `currency`")),
        }
    }
}

#[cfg(test)]
mod tests;
