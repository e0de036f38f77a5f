//! The lines of a statement: one for each price of each subscription, one for each that a late fact changed, and one for
//! each of these that a coupon takes something off.

use super::{Books, discount};
use crate::{
    charge::{self, Rated},
    ids::{CouponId, LineId, PlanId, PriceId, SubscriptionId, VendorId},
    money::{Money, MoneyError},
    period::{Hour, Month},
    price::{Every, Metered, Price, Pricing},
    subscription::Subscription,
    tax::Treatment,
    usage::Meter,
};
use serde::Serialize;
use std::str::FromStr;
use utoipa::ToSchema;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// So much a month.
    Recurring,
    /// By what a meter counted.
    Metered,
    /// Usage that became known after its month was final.
    Adjustment,
    /// What a coupon takes off another line.
    Discount,
}

/// A kind that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind of line {0:?}")]
pub struct UnknownLineKind(pub String);

impl LineKind {
    /// The name in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            LineKind::Recurring => "recurring",
            LineKind::Metered => "metered",
            LineKind::Adjustment => "adjustment",
            LineKind::Discount => "discount",
        }
    }
}

impl FromStr for LineKind {
    type Err = UnknownLineKind;

    fn from_str(name: &str) -> Result<Self, UnknownLineKind> {
        match name {
            "recurring" => Ok(LineKind::Recurring),
            "metered" => Ok(LineKind::Metered),
            "adjustment" => Ok(LineKind::Adjustment),
            "discount" => Ok(LineKind::Discount),
            other => Err(UnknownLineKind(other.to_owned())),
        }
    }
}

/// One price's part of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Line {
    /// The same in every draft and in the final statement.
    pub line_id: LineId,
    /// What it is about.
    pub kind: LineKind,
    /// For people.
    pub description: String,
    /// Which meter; null when recurring.
    #[schema(value_type = Option<String>, example = "participant_ms")]
    pub meter: Option<Meter>,
    /// In the meter's own unit, or hours when recurring; where seats, rooms or mailboxes are counted, an hour for each held.
    pub quantity: Option<i64>,
    /// What the rate is for: `participant-minute`, `GB`, `month`.
    pub unit: String,
    /// How much of the quantity is one unit.
    pub unit_size: Option<i64>,
    /// How much is free each month, in the meter's own unit.
    pub included: Option<i64>,
    /// For one unit, where there is just one rate.
    pub rate: Option<Money>,
    /// Exact.
    pub amount: Money,
    /// The month that an adjustment belongs to, as `YYYY-MM`.
    #[schema(value_type = Option<String>, example = "2026-10")]
    pub for_month: Option<Month>,
    /// Of which subscription.
    pub subscription_id: SubscriptionId,
    /// At which price.
    pub price_id: PriceId,
    /// Who sold it.
    pub vendor_id: VendorId,
    /// Its place in the statement's `taxes`, from 1; null where the account is not taxed.
    pub tax_group: Option<i32>,
    /// A discount: by which coupon.
    pub coupon_id: Option<CouponId>,
    /// A discount: off which line of this statement.
    pub discounts: Option<LineId>,
}

/// A line, and how it is taxed.
pub(super) struct Priced {
    pub(super) line: Line,
    pub(super) treatment: Treatment,
    pub(super) plan: PlanId,
}

/// All lines of a month as of an hour: the month's own, then adjustments of earlier months, then discounts.
pub(super) fn all(books: &Books, month: Month, until: Hour) -> Result<Vec<Priced>, MoneyError> {
    let mut lines = Vec::new();
    for (subscription, price) in prices(books) {
        if let Some(rated) = charge::total(subscription, price, &books.usage, month, until)? {
            let treatment = books.treatment(subscription.tax, month, month);
            lines.push(Priced {
                line: own(subscription, price, month, rated),
                treatment,
                plan: subscription.plan_id,
            });
        }
    }
    for late in books.late.iter().filter(|late| **late < month) {
        for (subscription, price) in prices(books) {
            let line = adjustment(books, subscription, price, month, *late)?;
            let treatment = books.treatment(subscription.tax, month, *late);
            lines.extend(line.map(|line| Priced { line, treatment, plan: subscription.plan_id }));
        }
    }
    if !books.coupons.is_empty() {
        lines.extend(discount::all(books, month, &lines)?);
    }
    Ok(lines)
}

fn prices(books: &Books) -> impl Iterator<Item = (&Subscription, &Price)> {
    books
        .subscriptions
        .iter()
        .flat_map(|subscription| subscription.prices.iter().map(move |price| (subscription, price)))
}

/// What the month itself comes to.
fn own(subscription: &Subscription, price: &Price, month: Month, rated: Rated) -> Line {
    let line = Line {
        line_id: line_id(subscription, price, month, None),
        kind: LineKind::Recurring,
        description: price.description.clone(),
        meter: price.meter(),
        quantity: Some(rated.quantity),
        unit: "month".to_owned(),
        unit_size: Some(month.length()),
        included: None,
        rate: None,
        amount: rated.amount,
        for_month: None,
        subscription_id: subscription.subscription_id,
        price_id: price.price_id,
        vendor_id: subscription.vendor_id,
        tax_group: None,
        coupon_id: None,
        discounts: None,
    };
    match &price.pricing {
        Pricing::Recurring { amount, every } => {
            let months = if *every == Every::Year { 12 } else { 1 };
            let (unit, unit_size) = (every.as_str().to_owned(), Some(month.length() * months));
            Line { rate: Some(*amount), unit, unit_size, ..line }
        }
        Pricing::Counted(counted) => {
            let months = if counted.every == Every::Year { 12 } else { 1 };
            Line {
                unit: format!("{}-{}", counted.item.as_str(), counted.every.as_str()),
                unit_size: Some(month.length() * months),
                included: Some(counted.included).filter(|included| *included > 0),
                rate: counted.rate(),
                ..line
            }
        }
        Pricing::Metered(metered) => Line {
            kind: LineKind::Metered,
            description: line.description + &bound(metered, rated.amount),
            unit: metered.unit.clone(),
            unit_size: Some(metered.unit_size),
            included: metered.free(),
            rate: metered.rate(),
            ..line
        },
    }
}

/// Why the amount is not what the usage alone would cost.
fn bound(metered: &Metered, amount: Money) -> String {
    let at = |bound: Option<Money>| bound.filter(|bound| *bound == amount);
    match (at(metered.cap), metered.minimum) {
        (Some(cap), _) => format!(", {cap} a month at most"),
        (None, Some(minimum)) => format!(", {minimum} a month at least"),
        (None, None) => String::new(),
    }
}

/// What a final month comes to now, less what has been billed for it.
fn adjustment(
    books: &Books,
    subscription: &Subscription,
    price: &Price,
    month: Month,
    late: Month,
) -> Result<Option<Line>, MoneyError> {
    let end = late.next().first();
    let Some(rated) = charge::total(subscription, price, &books.usage, late, end)? else { return Ok(None) };
    let (billed_quantity, billed) = books.billed_for(subscription.subscription_id, price.price_id, late)?;
    let amount = rated.amount.minus(billed)?;
    if amount.is_zero() {
        return Ok(None);
    }
    let quantity = rated.quantity.checked_sub(billed_quantity).ok_or(MoneyError::Overflow)?;
    Ok(Some(Line {
        line_id: line_id(subscription, price, month, Some(late)),
        kind: LineKind::Adjustment,
        description: format!("{}: known after {} was final", price.description, late.name()),
        for_month: Some(late),
        ..own(subscription, price, late, Rated { quantity, amount })
    }))
}

fn line_id(subscription: &Subscription, price: &Price, month: Month, late: Option<Month>) -> LineId {
    let late = late.map(|late| late.to_string()).unwrap_or_default();
    let (subscription, price) = (subscription.subscription_id.0, price.price_id.0);
    LineId::derived(&[
        subscription.as_bytes(),
        price.as_bytes(),
        month.to_string().as_bytes(),
        late.as_bytes(),
    ])
}
