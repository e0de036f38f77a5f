//! Money in millionths of a cent, the only function that rounds, and the only one that splits.

use crate::currency::Currency;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::{PartialSchema, ToSchema};

/// Micros in one minor unit: a micro is a millionth of a cent.
pub const MICROS_PER_MINOR: i64 = 1_000_000;

/// An amount in micros: millionths of the currency's minor unit (a cent).
/// Adding two currencies is an error, not a surprise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct Money {
    /// Millionths of the minor unit.
    pub micros: i64,
    /// Of which currency.
    pub currency: Currency,
}

/// Why two amounts do not make a third.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result is larger than 92 billion dollars.
    #[error("the amount is too large")]
    Overflow,
    /// Apples and oranges.
    #[error("{0} and {1} do not add up")]
    Currencies(Currency, Currency),
}

impl Money {
    /// An amount in micros.
    pub const fn micros(micros: i64, currency: Currency) -> Self {
        Self { micros, currency }
    }

    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self::micros(0, currency)
    }

    /// Is it nothing?
    pub const fn is_zero(self) -> bool {
        self.micros == 0
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let micros = self.micros.checked_add(other.micros).ok_or(MoneyError::Overflow)?;
        Ok(Self { micros, ..self })
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let micros = self.micros.checked_sub(other.micros).ok_or(MoneyError::Overflow)?;
        Ok(Self { micros, ..self })
    }

    /// The sum of many.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::plus)
    }

    /// The whole minor units nearest to it, half to even. Called once in the life of a statement.
    pub fn to_minor_unit(self) -> Self {
        let minor = round_half_even(i128::from(self.micros), i128::from(MICROS_PER_MINOR));
        let micros = i64::try_from(minor * i128::from(MICROS_PER_MINOR)).unwrap_or(if minor < 0 {
            i64::MIN / MICROS_PER_MINOR * MICROS_PER_MINOR
        } else {
            i64::MAX / MICROS_PER_MINOR * MICROS_PER_MINOR
        });
        Self { micros, ..self }
    }

    /// The amount in the major unit, exact: at least the minor unit's digits, no further trailing zeros.
    pub fn amount(self) -> String {
        let minor_digits = self.currency.minor_digits() as usize;
        let digits = minor_digits + 6;
        let padded = format!("{:0width$}", self.micros.unsigned_abs(), width = digits + 1);
        let (whole, fraction) = padded.split_at(padded.len() - digits);
        let kept = fraction.trim_end_matches('0').len().max(minor_digits);
        let sign = if self.micros < 0 { "-" } else { "" };
        let point = if kept == 0 { "" } else { "." };
        format!("{sign}{whole}{point}{}", &fraction[..kept])
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::Currencies(self.currency, other.currency))
        }
    }
}

/// `dividend / divisor` to the nearest whole, half to even. Every rounding of money goes through here.
/// The divisor is positive.
pub fn round_half_even(dividend: i128, divisor: i128) -> i128 {
    assert!(divisor > 0, "only counts and units divide money");
    let floor = dividend.div_euclid(divisor);
    let twice = 2 * dividend.rem_euclid(divisor);
    let up = twice > divisor || (twice == divisor && floor % 2 != 0);
    floor + i128::from(up)
}

/// A whole in parts by weights, by largest remainder: the parts add up to the whole exactly, and each is less than one away
/// from its exact share. Of equal remainders the first is rounded up. A weight below zero is none; where there is none at
/// all, the first part is the whole.
pub fn apportion(whole: i64, weights: &[i64]) -> Vec<i64> {
    let weights: Vec<i128> = weights.iter().map(|weight| i128::from(*weight).max(0)).collect();
    let all: i128 = weights.iter().sum();
    if all == 0 {
        return (0..weights.len()).map(|place| if place == 0 { whole } else { 0 }).collect();
    }
    let amount = i128::from(whole.unsigned_abs());
    let mut parts: Vec<i128> = weights.iter().map(|weight| amount * weight / all).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(amount * weights[*place] % all));
    let left = amount - parts.iter().sum::<i128>();
    for place in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        parts[place] += 1;
    }
    let signed = |part: i128| i64::try_from(part * i128::from(whole.signum()));
    parts.into_iter().map(|part| signed(part).expect("no part is larger than the whole")).collect()
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Money in JSON: `micros` for machines, `amount` for people, both exact.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wire {
    /// Millionths of the currency's minor unit (a cent).
    #[schema(example = 25_000_000)]
    micros: i64,
    /// ISO 4217.
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// The same amount in the major unit, exact.
    #[schema(example = "0.25")]
    #[serde(default)]
    amount: String,
}

impl From<Money> for Wire {
    fn from(money: Money) -> Self {
        Self { micros: money.micros, currency: money.currency, amount: money.amount() }
    }
}

impl TryFrom<Wire> for Money {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let money = Self::micros(wire.micros, wire.currency);
        if wire.amount.is_empty() || wire.amount == money.amount() {
            Ok(money)
        } else {
            Err(format!("amount {} and micros {} do not agree", wire.amount, wire.micros))
        }
    }
}

impl PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        Wire::schema()
    }
}

impl ToSchema for Money {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_exact_decimals() {
        for (micros, code, amount) in [
            (25_000_000, "USD", "0.25"),
            (0, "USD", "0.00"),
            (1, "USD", "0.00000001"),
            (-50_000, "USD", "-0.0005"),
            (12_345_600_000_000, "USD", "123456.00"),
            (100_000_000, "JPY", "100"),
            (1_500_000, "JPY", "1.5"),
            (1_000_000, "KWD", "0.001"),
            (i64::MIN, "USD", "-92233720368.54775808"),
        ] {
            let currency = code.parse().expect(code);
            assert_eq!(Money::micros(micros, currency).amount(), amount, "{micros} {code}");
        }
    }

    #[test]
    fn halves_go_to_the_even_side() {
        for (dividend, divisor, rounded) in [
            (5, 10, 0),
            (15, 10, 2),
            (25, 10, 2),
            (-5, 10, 0),
            (-15, 10, -2),
            (14, 10, 1),
            (16, 10, 2),
            (-16, 10, -2),
            (1, 3, 0),
            (2, 3, 1),
        ] {
            assert_eq!(round_half_even(dividend, divisor), rounded, "{dividend}/{divisor}");
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let euros: Currency = "EUR".parse().expect("EUR");
        let sum = Money::zero(Currency::USD).plus(Money::zero(euros));
        assert_eq!(sum, Err(MoneyError::Currencies(Currency::USD, euros)));
        assert!("usd".parse::<Currency>().is_err());
        assert!("US".parse::<Currency>().is_err());
    }

    #[test]
    fn overflow_is_an_error() {
        let most = Money::micros(i64::MAX, Currency::USD);
        assert_eq!(most.plus(Money::micros(1, Currency::USD)), Err(MoneyError::Overflow));
        assert_eq!(Money::micros(i64::MIN, Currency::USD).minus(most), Err(MoneyError::Overflow));
        assert_eq!(most.to_minor_unit().micros % MICROS_PER_MINOR, 0);
    }

    #[test]
    fn json_is_as_documented() {
        let json = r#"{"micros":25000000,"currency":"USD","amount":"0.25"}"#;
        let money = Money::micros(25_000_000, Currency::USD);
        assert_eq!(serde_json::to_string(&money).expect("plain"), json);
        assert_eq!(serde_json::from_str::<Money>(json).expect("round trip"), money);
        let lie = r#"{"micros":25000000,"currency":"USD","amount":"0.26"}"#;
        assert!(serde_json::from_str::<Money>(lie).is_err());
    }

    /// Rows: a whole, weights, the parts.
    #[test]
    fn parts_add_up_to_the_whole() {
        for (whole, weights, parts) in [
            (10, &[1, 1, 1][..], &[4, 3, 3][..]),
            (-10, &[1, 1, 1], &[-4, -3, -3]),
            (1, &[1, 2, 1], &[0, 1, 0]),
            (100, &[0, 7, -3], &[0, 100, 0]),
            (5, &[0, 0], &[5, 0]),
            (5, &[], &[]),
            (0, &[3, 4], &[0, 0]),
            (i64::MIN + 1, &[i64::MAX, i64::MAX], &[-(i64::MAX / 2 + 1), -(i64::MAX / 2)]),
        ] {
            assert_eq!(apportion(whole, weights), parts, "{whole} by {weights:?}");
        }
    }

    proptest! {
        #[test]
        fn each_part_is_its_share_to_one(whole in any::<i64>(), weights in prop::collection::vec(0..i64::MAX, 1..8)) {
            let parts = apportion(whole, &weights);
            prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(whole));
            let all: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let off = i128::from(*part) * all - i128::from(whole) * i128::from(*weight);
                prop_assert!(all == 0 || off.abs() < all, "{} of {:?}", whole, weights);
            }
        }

        #[test]
        fn rounding_is_off_by_half_at_most(dividend in any::<i64>(), divisor in 1..i64::MAX) {
            let (dividend, divisor) = (i128::from(dividend), i128::from(divisor));
            let error = dividend - round_half_even(dividend, divisor) * divisor;
            prop_assert!(2 * error.abs() <= divisor);
        }
    }
}
