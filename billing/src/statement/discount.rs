//! What coupons take off the lines of a statement, each as a line of its own.

use super::{Books, Line, LineKind, line::Priced};
use crate::{
    coupon::{Discounting, Off, Redeemed},
    ids::LineId,
    money::{Money, MoneyError},
    period::Month,
};

/// The discounts of a month, in the order in which the coupons were redeemed. Each takes of what the ones before left.
pub(super) fn all(books: &Books, month: Month, priced: &[Priced]) -> Result<Vec<Priced>, MoneyError> {
    let mut left: Vec<Money> = priced.iter().map(|it| it.line.amount).collect();
    let mut discounts = Vec::new();
    for redeemed in &books.coupons {
        let mut discounting = Discounting::of(&redeemed.coupon);
        for (it, left) in priced.iter().zip(&mut left) {
            if !is_about(redeemed, it, month) {
                continue;
            }
            let taken = discounting.take(*left)?;
            if !taken.is_zero() {
                *left = left.minus(taken)?;
                discounts.push(discount(redeemed, it, taken)?);
            }
        }
    }
    Ok(discounts)
}

/// An amount is for the month's own lines; a share also for what became known late of a month that the coupon counted for.
fn is_about(redeemed: &Redeemed, it: &Priced, month: Month) -> bool {
    let is_in_time = match (it.line.for_month, redeemed.coupon.off) {
        (None, _) => redeemed.covers(month),
        (Some(late), Off::PercentMillionths(_)) => redeemed.covers(late),
        (Some(_), Off::Amount(_)) => false,
    };
    is_in_time && redeemed.coupon.is_about(it.line.vendor_id, it.plan)
}

fn discount(redeemed: &Redeemed, it: &Priced, taken: Money) -> Result<Priced, MoneyError> {
    let (coupon, line) = (&redeemed.coupon, &it.line);
    let line = Line {
        line_id: LineId::derived(&[coupon.coupon_id.0.as_bytes(), line.line_id.0.as_bytes()]),
        kind: LineKind::Discount,
        description: format!("{}: {}", coupon.name, line.description),
        meter: None,
        quantity: None,
        unit: String::new(),
        unit_size: None,
        included: None,
        rate: None,
        amount: Money::zero(taken.currency).minus(taken)?,
        coupon_id: Some(coupon.coupon_id),
        discounts: Some(line.line_id),
        ..line.clone()
    };
    Ok(Priced { line, ..*it })
}
