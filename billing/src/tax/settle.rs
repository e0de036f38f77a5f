//! From exact prices to whole cents and their tax: each category and rate is rounded once.

use super::{MILLIONTHS, Treatment};
use crate::money::{MICROS_PER_MINOR, Money, MoneyError, round_half_even};
use serde::Serialize;
use utoipa::ToSchema;

/// One entry of a statement's breakdown: what is taxed alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Taxed {
    /// How.
    #[serde(flatten)]
    pub treatment: Treatment,
    /// Why there is no tax, where there is none and that needs a reason.
    pub reason: Option<String>,
    /// The sum of its lines as they are priced, exact.
    pub priced: Money,
    /// What the tax is a part of, in whole minor units, without tax (BT-116).
    pub taxable: Money,
    /// The taxable amount times the rate, rounded once to whole minor units (BT-117).
    pub tax: Money,
}

impl Taxed {
    /// The whole of a statement that no tax is involved in.
    pub fn outside(priced: Money, taxable: Money) -> Self {
        let tax = Money::zero(taxable.currency);
        Self { treatment: Treatment::OUTSIDE, reason: None, priced, taxable, tax }
    }

    /// What of it is billed in place of the exact price.
    pub fn billed(&self) -> Result<Money, MoneyError> {
        if self.treatment.prices_include_tax { self.taxable.plus(self.tax) } else { Ok(self.taxable) }
    }
}

/// Makes whole minor units of each part in turn. What its rounding leaves goes on to the next one, and the last one's to the
/// next statement: the second answer. A part whose prices include the tax becomes the whole amount nearest to its price
/// that a taxable amount and its tax add up to; there may be none within half a minor unit, but always within one. A part of
/// which nothing was taken off is never made one below zero by what an earlier one left: that would be billed to nobody, and
/// no credit note could take it back.
pub fn settle(parts: &[(Treatment, Money)], carried_in: Money) -> Result<(Vec<Taxed>, Money), MoneyError> {
    let mut carried = carried_in;
    let mut settled = Vec::with_capacity(parts.len());
    for (treatment, priced) in parts {
        let exact = priced.plus(carried)?;
        let taxable = taxable(exact, treatment)?;
        let is_below = taxable.micros < 0 && priced.micros >= 0;
        let taxable = if is_below { Money { micros: 0, ..taxable } } else { taxable };
        let tax = tax(taxable, treatment.rate_millionths)?;
        let part = Taxed { treatment: *treatment, reason: None, priced: *priced, taxable, tax };
        carried = exact.minus(part.billed()?)?;
        settled.push(part);
    }
    Ok((settled, carried))
}

/// What a rate makes of a taxable amount in whole minor units: the only rounding of tax.
pub(crate) fn tax(taxable: Money, rate_millionths: i64) -> Result<Money, MoneyError> {
    let whole = i128::from(taxable.micros / MICROS_PER_MINOR);
    let tax = round_half_even(whole * i128::from(rate_millionths), MILLIONTHS.into());
    let micros = i64::try_from(tax * i128::from(MICROS_PER_MINOR)).map_err(|_| MoneyError::Overflow)?;
    Ok(Money { micros, ..taxable })
}

fn taxable(exact: Money, treatment: &Treatment) -> Result<Money, MoneyError> {
    match treatment.prices_include_tax {
        true => within(exact, treatment.rate_millionths),
        false => Ok(exact.to_minor_unit()),
    }
}

/// The taxable amount whose sum with its tax is nearest to a price; the smaller one of two.
fn within(price: Money, rate_millionths: i64) -> Result<Money, MoneyError> {
    let scaled = i128::from(price.micros) * i128::from(MILLIONTHS);
    let about = scaled.div_euclid(i128::from(MICROS_PER_MINOR) * i128::from(MILLIONTHS + rate_millionths));
    let off = |taxable: i128| {
        let tax = round_half_even(taxable * i128::from(rate_millionths), MILLIONTHS.into());
        ((taxable + tax) * i128::from(MICROS_PER_MINOR) - i128::from(price.micros)).abs()
    };
    let nearest = (about - 1..=about + 2).min_by_key(|taxable| off(*taxable)).unwrap_or(about);
    let micros = i64::try_from(nearest * i128::from(MICROS_PER_MINOR)).map_err(|_| MoneyError::Overflow)?;
    Ok(Money { micros, ..price })
}
