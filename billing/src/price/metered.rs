//! Prices by what a meter counted.

use super::{Position, PriceError, Tiers};
use crate::{
    currency::Currency,
    money::{Money, MoneyError, round_half_even},
    period::Month,
    usage::Meter,
};

/// A price by what a meter counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metered {
    /// Which meter.
    pub meter: Meter,
    /// In what it is paid.
    pub currency: Currency,
    /// What a payer counts in: `participant-minute`, `GB`.
    pub unit: String,
    /// How much of the meter is one unit, or one package: 60,000 ms are a minute.
    pub unit_size: i64,
    /// So much of the meter is free each month, however much of the month is subscribed.
    pub included: i64,
    /// What the rest costs.
    pub model: Model,
    /// A whole month costs at least so much; a part of it in proportion, by the hour.
    pub minimum: Option<Money>,
    /// A month costs so much at most.
    pub cap: Option<Money>,
}

/// What usage beyond the allowance costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// The same for any usage at all, nothing for none.
    Flat {
        /// Micros a month.
        micros: i64,
    },
    /// Each unit the same.
    PerUnit {
        /// Micros a unit.
        micros: i64,
    },
    /// Each unit by the tier that it lies in.
    Graduated(Tiers),
    /// All units by the tier that the last one lies in. Can cost less for more usage, where a tier begins.
    Volume(Tiers),
    /// Units are sold by the package; one that was begun is paid.
    Package {
        /// Micros a package.
        micros: i64,
    },
    /// A share of what the meter counted, which is money in micros.
    Percentage {
        /// Millionths: 25,000 are 2.5 %.
        millionths: i64,
    },
}

impl Metered {
    pub(super) fn cumulative(&self, at: Position, month: Month) -> Result<Money, MoneyError> {
        let beyond = at.quantity.saturating_sub(self.included).max(0);
        let price = self.model.micros(beyond, self.unit_size).ok_or(MoneyError::Overflow)?;
        let least = self.minimum.map_or(0, |minimum| {
            round_half_even(i128::from(minimum.micros) * i128::from(at.hours), i128::from(month.length()))
        });
        let most = self.cap.map_or(i128::MAX, |cap| i128::from(cap.micros));
        let micros = i64::try_from(price.max(least).min(most)).map_err(|_| MoneyError::Overflow)?;
        Ok(Money::micros(micros, self.currency))
    }

    /// How much is free: the allowance, or a first tier at no price.
    pub fn free(&self) -> Option<i64> {
        let tier = match &self.model {
            Model::Graduated(tiers) => tiers.included(),
            _ => None,
        };
        Some(self.included).filter(|included| *included > 0).or(tier)
    }

    /// What a unit costs, where each beyond the allowance costs the same.
    pub fn rate(&self) -> Option<Money> {
        self.model.rate_micros().map(|micros| Money::micros(micros, self.currency))
    }

    pub(super) fn check(&self) -> Result<(), PriceError> {
        self.model.check()?;
        if self.unit_size < 1 {
            return Err(PriceError::EmptyUnit);
        }
        super::check_bounds(self.currency, self.included, self.minimum, self.cap)?;
        self.model.check_size(self.unit_size)
    }
}

impl Model {
    pub(super) fn rate_micros(&self) -> Option<i64> {
        match self {
            Model::PerUnit { micros } | Model::Package { micros } => Some(*micros),
            Model::Graduated(tiers) => tiers.single_rate_micros(),
            Model::Flat { .. } | Model::Volume(_) | Model::Percentage { .. } => None,
        }
    }

    /// `None` if it is too large.
    pub(super) fn micros(&self, used: i64, unit_size: i64) -> Option<i128> {
        let (used, unit) = (i128::from(used), i128::from(unit_size));
        Some(match self {
            Model::Flat { micros } => i128::from(*micros) * i128::from(used > 0),
            Model::PerUnit { micros } => round_half_even(used * i128::from(*micros), unit),
            Model::Graduated(tiers) => round_half_even(tiers.weigh(used)?, unit),
            Model::Volume(tiers) => round_half_even(used * i128::from(tiers.rate_at(used)), unit),
            Model::Package { micros } => i128::from(*micros) * ((used + unit - 1) / unit),
            Model::Percentage { millionths } => round_half_even(used * i128::from(*millionths), 1_000_000),
        })
    }

    pub(super) fn check(&self) -> Result<(), PriceError> {
        match self {
            Model::Flat { micros } | Model::PerUnit { micros } | Model::Package { micros } if *micros < 0 => {
                Err(PriceError::Negative("the rate"))
            }
            Model::Percentage { millionths } if *millionths < 0 => Err(PriceError::Negative("the share")),
            Model::Percentage { millionths } if *millionths > 1_000_000 => Err(PriceError::MoreThanAll),
            _ => Ok(()),
        }
    }
    /// Whoever reaches the end of the tiers can be billed. (What lies beyond is refused when it is used.)
    fn check_size(&self, unit_size: i64) -> Result<(), PriceError> {
        let (Model::Graduated(tiers) | Model::Volume(tiers)) = self else { return Ok(()) };
        let last_bound = tiers.as_slice().iter().rev().find_map(|tier| tier.up_to).unwrap_or(0);
        let micros = self.micros(last_bound, unit_size).and_then(|micros| i64::try_from(micros).ok());
        micros.map(drop).ok_or(PriceError::TooLarge)
    }
}
