//! Discounts, worked out again: what each coupon takes off each line of a statement.

use super::{
    Findings, Rule,
    evidence::{CouponRow, Evidence, Line},
};
use crate::money::round_half_even;
use jiff::civil::Date;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Coupon and line.
type Key = (Uuid, Uuid);

/// Compares the discounts among a month's lines with what the coupons say.
pub(super) fn examine(evidence: &Evidence, own: Date, lines: &[Line], place: &str, found: &mut Findings) {
    let mut seen: BTreeMap<Key, i64> = BTreeMap::new();
    for line in lines {
        if let Some(key) = line.discount {
            let sum = seen.entry(key).or_default();
            *sum = sum.saturating_add(line.amount);
        }
        found.compare(
            Rule::DiscountIsOfACoupon,
            format!("{place}, line {}", line.line),
            line.kind == "discount",
            line.discount.is_some(),
        );
    }
    let expected = expected(evidence, own, lines);
    for key in expected.keys().chain(seen.keys().filter(|key| !expected.contains_key(key))) {
        let of = |all: &BTreeMap<Key, i64>| all.get(key).copied().unwrap_or(0);
        let place = format!("{place}, coupon {} off line {}", key.0, key.1);
        found.compare(Rule::DiscountIsOfACoupon, place, of(&expected), of(&seen));
    }
}

/// Line after line, each coupon in the order of its redeeming.
fn expected(evidence: &Evidence, own: Date, lines: &[Line]) -> BTreeMap<Key, i64> {
    let mut all = BTreeMap::new();
    let mut budgets: Vec<i64> = evidence.coupons.iter().map(|coupon| coupon.amount.unwrap_or(0)).collect();
    for line in lines.iter().filter(|line| line.discount.is_none()) {
        let mut left = i128::from(line.amount);
        for (coupon, budget) in evidence.coupons.iter().zip(&mut budgets) {
            if !counts(evidence, coupon, own, line) {
                continue;
            }
            let taken = match coupon.percent {
                Some(share) => round_half_even(left * i128::from(share), 1_000_000),
                None => left.clamp(0, (*budget).into()),
            };
            if coupon.percent.is_none() {
                *budget -= i64::try_from(taken).unwrap_or(0);
            }
            left -= taken;
            if let (Ok(taken), true) = (i64::try_from(taken), taken != 0) {
                all.insert((coupon.coupon, line.line), -taken);
            }
        }
    }
    all
}

/// Does a coupon count for a line?
fn counts(evidence: &Evidence, coupon: &CouponRow, own: Date, line: &Line) -> bool {
    let is_late = line.month != own;
    let first = coupon.from;
    let nth =
        i32::from(line.month.year() - first.year()) * 12 + i32::from(line.month.month() - first.month());
    let is_in_time = nth >= 0 && coupon.months.is_none_or(|months| nth < months);
    let plan = evidence.sold.iter().find(|sold| {
        sold.subscription == line.subscription && sold.prices.iter().any(|price| price.price == line.price)
    });
    let is_of_plan = coupon.plans.is_empty() || plan.is_some_and(|sold| coupon.plans.contains(&sold.plan));
    is_in_time && is_of_plan && coupon.vendor == line.vendor && !(is_late && coupon.percent.is_none())
}
