//! What is sold, as it is written and read: vendors, plans, versions of plans and their prices.
//!
//! A version is checked when it is made and never changes: whoever subscribed to it pays what was written then. A
//! refusal names the field and the reason.

use crate::{
    currency::Currency,
    entitlement::Features,
    ids::{PlanId, PlanVersionId, PriceId, VendorId},
    money::Money,
    price::{Counted, Every, Item, Metered, Model, Price, PriceError, Pricing, Tier, Tiers},
    tax::TaxTerms,
    usage::{Meter, MeterName, UnknownMeter},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// As many prices as a version has.
pub const PRICES_MAX: usize = 50;
/// As many tiers as a price has.
pub const TIERS_MAX: usize = 100;
/// The longest description of a price, in characters.
const DESCRIPTION_CHARS_MAX: usize = 200;
/// The longest unit, in characters.
const UNIT_CHARS_MAX: usize = 40;
/// The longest trial.
const TRIAL_DAYS_MAX: u32 = 365;

/// Who sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Vendor {
    /// Names it.
    pub vendor_id: VendorId,
    /// What payers read.
    pub name: String,
    /// The operator of the service, or the business that asks?
    pub is_operator: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What is sold, whatever it costs at the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Plan {
    /// Names it.
    pub plan_id: PlanId,
    /// Who sells it.
    pub vendor_id: VendorId,
    /// What payers read.
    pub name: String,
    /// Is it sold only beside another plan of the vendor?
    pub add_on: bool,
    /// Its newest version; null before the first.
    pub latest: Option<PlanVersion>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What a plan costs, for whoever subscribes to this version. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanVersion {
    /// Names it.
    pub plan_version_id: PlanVersionId,
    /// Of which plan.
    pub plan_id: PlanId,
    /// Counts from 1.
    pub version: i32,
    /// Of all its amounts.
    #[schema(value_type = String, example = "USD")]
    pub currency: Currency,
    /// How its prices stand to tax.
    pub tax: TaxTerms,
    /// So many days cost nothing, once for an account and plan.
    pub trial_days: u32,
    /// What whoever is on it may do.
    pub features: Features,
    /// In the order of a statement's lines.
    pub prices: Vec<PricedTerms>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A price of a version, with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PricedTerms {
    /// Names it.
    pub price_id: PriceId,
    /// What it costs.
    #[serde(flatten)]
    pub terms: PriceTerms,
}

/// A version to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "currency": "EUR", "trial_days": 14, "features": { "rooms_max": 5, "recording": true },
    "prices": [
        { "description": "Seats", "model": "per_unit", "every": "month", "per": "seat", "amount_micros": 9_000_000 },
        { "description": "Minutes, 100 a month included", "model": "graduated", "meter": "participant_ms",
          "unit": "participant-minute", "unit_size": 60_000, "included": 6_000_000,
          "tiers": [{ "up_to": 60_000_000, "amount_micros": 50_000 }, { "amount_micros": 20_000 }] }
    ]
}))]
pub struct NewVersion {
    /// ISO 4217, of all its amounts.
    #[schema(example = "EUR")]
    pub currency: String,
    /// How its prices stand to tax: at the standard rate, on top of them, if left out.
    #[serde(default)]
    pub tax: TaxTerms,
    /// So many days cost nothing, once for an account and plan.
    #[serde(default)]
    #[schema(maximum = 365)]
    pub trial_days: u32,
    /// What whoever is on it may do.
    #[serde(default)]
    pub features: Features,
    /// In the order of a statement's lines, 1 to 50.
    pub prices: Vec<PriceTerms>,
}

/// How a price grows with what is held or used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelName {
    /// The same for any number or usage, nothing for none.
    #[default]
    Flat,
    /// Each unit the same.
    PerUnit,
    /// Each unit by the tier it lies in.
    Graduated,
    /// All units by the tier the last one lies in.
    Volume,
    /// Each package that was begun.
    Package,
    /// A share of money that a meter counts.
    Percentage,
}

/// For how long a recurring amount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EveryName {
    /// A calendar month.
    Month,
    /// Twelve of them.
    Year,
}

/// A tier as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TierTerms {
    /// Where it ends, in the meter's own unit or in things held; left out for the last, which has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<i64>,
    /// Micros for each unit within it.
    pub amount_micros: i64,
}

/// A price as it is written: recurring with `every`, metered with `meter`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceTerms {
    /// What a payer reads on the line, at most 200 characters.
    #[schema(max_length = 200)]
    pub description: String,
    /// How it grows. A recurring price for the subscription as a whole is `flat`.
    pub model: ModelName,
    /// A recurring price: what its amounts are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<EveryName>,
    /// A recurring price: for each of what is held; left out for the subscription as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Item>,
    /// A metered price: what is counted, such as `participant_ms` or a meter of the business's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "participant_ms")]
    pub meter: Option<String>,
    /// A metered price: what a payer counts in, such as `participant-minute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40)]
    pub unit: Option<String>,
    /// A metered price: how much of the meter is one unit, or one package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub unit_size: Option<i64>,
    /// Micros: of the whole (`flat`), of a unit (`per_unit`) or of a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub amount_micros: Option<i64>,
    /// The share (`percentage`): 25,000 are 2.5 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub millionths: Option<i64>,
    /// For `graduated` and `volume`, lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierTerms>,
    /// So much is free, in the meter's own unit or in things held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub included: Option<i64>,
    /// A period costs at least so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub minimum_micros: Option<i64>,
    /// A period costs so much at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub cap_micros: Option<i64>,
}

/// A field of a version that is not allowed, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Refused {
    /// Which, as `prices[2].tiers`; counts from 1.
    pub field: String,
    /// The reason.
    pub why: String,
}

fn refused(field: impl Into<String>, why: impl ToString) -> Refused {
    Refused { field: field.into(), why: why.to_string() }
}

impl NewVersion {
    /// The prices that it means, or the first reason why not. `own` are the meters that the business made. The ids are for
    /// the caller to give.
    pub fn check(&self, own: &BTreeSet<MeterName>) -> Result<(Currency, Vec<(String, Pricing)>), Refused> {
        let currency: Currency = self.currency.parse().map_err(|why| refused("currency", why))?;
        if !currency.is_known() {
            return Err(refused("currency", format!("ISO 4217 has no currency {currency}")));
        }
        if self.trial_days > TRIAL_DAYS_MAX {
            return Err(refused("trial_days", format!("must be {TRIAL_DAYS_MAX} at most")));
        }
        self.features.check().map_err(|(field, why)| refused(format!("features.{field}"), why))?;
        if self.prices.is_empty() || self.prices.len() > PRICES_MAX {
            return Err(refused("prices", format!("must be 1 to {PRICES_MAX}")));
        }
        let named = self.prices.iter().zip(1..).map(|(terms, position)| {
            let at = |Refused { field, why }| refused(format!("prices[{position}].{field}"), why);
            terms
                .check(currency, own)
                .map(|pricing| (terms.description.trim().to_owned(), pricing))
                .map_err(at)
        });
        Ok((currency, named.collect::<Result<_, _>>()?))
    }
}

impl PriceTerms {
    /// What it means in a currency.
    fn check(&self, currency: Currency, own: &BTreeSet<MeterName>) -> Result<Pricing, Refused> {
        let length = self.description.trim().chars().count();
        if !(1..=DESCRIPTION_CHARS_MAX).contains(&length) || self.description.chars().any(char::is_control) {
            return Err(refused("description", "must be 1 to 200 characters on one line"));
        }
        let pricing = match (&self.meter, self.every) {
            (Some(meter), None) => Pricing::Metered(self.metered(known(meter, own)?, currency)?),
            (None, Some(every)) => self.recurring(every.into(), currency)?,
            _ => return Err(refused("every", "say either `every` (recurring) or `meter` (metered)")),
        };
        let price = Price { price_id: PriceId(uuid::Uuid::nil()), description: String::new(), pricing };
        price.check().map_err(|why| refused(field_of(&why), why))?;
        Ok(price.pricing)
    }

    fn recurring(&self, every: Every, currency: Currency) -> Result<Pricing, Refused> {
        must_be_absent("unit", self.unit.is_some(), "is of metered prices")?;
        must_be_absent("unit_size", self.unit_size.is_some(), "is of metered prices")?;
        let Some(item) = self.per else {
            let why = "needs `per` or `meter`: the subscription as a whole is one thing";
            must_be_absent("included", self.included.is_some(), why)?;
            must_be_absent("minimum_micros", self.minimum_micros.is_some(), why)?;
            must_be_absent("cap_micros", self.cap_micros.is_some(), why)?;
            return match self.model()? {
                Model::Flat { micros } => {
                    Ok(Pricing::Recurring { amount: Money::micros(micros, currency), every })
                }
                _ => Err(refused("model", "must be flat: the subscription as a whole is one thing")),
            };
        };
        let (included, model) = (self.included.unwrap_or(0), self.model()?);
        let [minimum, cap] = self.bounds(currency);
        Ok(Pricing::Counted(Counted { item, currency, every, included, model, minimum, cap }))
    }

    fn metered(&self, meter: Meter, currency: Currency) -> Result<Metered, Refused> {
        must_be_absent("per", self.per.is_some(), "is of recurring prices")?;
        let unit = self.unit.as_deref().unwrap_or("").trim();
        if unit.is_empty() || unit.chars().count() > UNIT_CHARS_MAX || unit.chars().any(char::is_control) {
            return Err(refused("unit", "must be 1 to 40 characters on one line"));
        }
        let unit_size = match (self.unit_size, self.model) {
            (Some(size), _) => size,
            (None, ModelName::Flat | ModelName::Percentage) => 1,
            (None, _) => return Err(refused("unit_size", "is missing: how much of the meter is one unit?")),
        };
        let [minimum, cap] = self.bounds(currency);
        Ok(Metered {
            meter,
            currency,
            unit: unit.to_owned(),
            unit_size,
            included: self.included.unwrap_or(0),
            model: self.model()?,
            minimum,
            cap,
        })
    }

    fn bounds(&self, currency: Currency) -> [Option<Money>; 2] {
        [self.minimum_micros, self.cap_micros]
            .map(|bound| bound.map(|micros| Money::micros(micros, currency)))
    }

    fn model(&self) -> Result<Model, Refused> {
        let has_tiers = matches!(self.model, ModelName::Graduated | ModelName::Volume);
        let is_share = self.model == ModelName::Percentage;
        must_be_absent("tiers", !has_tiers && !self.tiers.is_empty(), "are of graduated and volume prices")?;
        must_be_absent("millionths", !is_share && self.millionths.is_some(), "are of percentages")?;
        let has_amount = self.amount_micros.is_some();
        must_be_absent("amount_micros", (has_tiers || is_share) && has_amount, "is not of this model")?;
        let amount = || self.amount_micros.ok_or_else(|| refused("amount_micros", "is missing"));
        Ok(match self.model {
            ModelName::Flat => Model::Flat { micros: amount()? },
            ModelName::PerUnit => Model::PerUnit { micros: amount()? },
            ModelName::Package => Model::Package { micros: amount()? },
            ModelName::Graduated => Model::Graduated(self.tiers()?),
            ModelName::Volume => Model::Volume(self.tiers()?),
            ModelName::Percentage => Model::Percentage {
                millionths: self.millionths.ok_or_else(|| refused("millionths", "are missing"))?,
            },
        })
    }

    fn tiers(&self) -> Result<Tiers, Refused> {
        if self.tiers.len() > TIERS_MAX {
            return Err(refused("tiers", format!("must be {TIERS_MAX} at most")));
        }
        let tier = |tier: &TierTerms| Tier { up_to: tier.up_to, rate_micros: tier.amount_micros };
        Tiers::new(self.tiers.iter().map(tier).collect()).map_err(|why| refused("tiers", why))
    }

    /// As a stored price would be written.
    pub fn of(price: &Price) -> Self {
        let description = price.description.clone();
        match &price.pricing {
            Pricing::Recurring { amount, every } => Self {
                description,
                every: Some((*every).into()),
                amount_micros: Some(amount.micros),
                ..Self::default()
            },
            Pricing::Counted(Counted { item, every, included, model, minimum, cap, .. }) => Self {
                description,
                every: Some((*every).into()),
                per: Some(*item),
                ..Self::of_model(model, *included, *minimum, *cap)
            },
            Pricing::Metered(Metered { meter, unit, unit_size, included, model, minimum, cap, .. }) => Self {
                description,
                meter: Some(meter.to_string()),
                unit: Some(unit.clone()),
                unit_size: Some(*unit_size),
                ..Self::of_model(model, *included, *minimum, *cap)
            },
        }
    }

    fn of_model(model: &Model, included: i64, minimum: Option<Money>, cap: Option<Money>) -> Self {
        let (name, amount, millionths, tiers) = match model {
            Model::Flat { micros } => (ModelName::Flat, Some(*micros), None, None),
            Model::PerUnit { micros } => (ModelName::PerUnit, Some(*micros), None, None),
            Model::Package { micros } => (ModelName::Package, Some(*micros), None, None),
            Model::Percentage { millionths } => (ModelName::Percentage, None, Some(*millionths), None),
            Model::Graduated(tiers) => (ModelName::Graduated, None, None, Some(tiers)),
            Model::Volume(tiers) => (ModelName::Volume, None, None, Some(tiers)),
        };
        let tiers = tiers.map_or(&[][..], |tiers| tiers.as_slice());
        let written = |tier: &Tier| TierTerms { up_to: tier.up_to, amount_micros: tier.rate_micros };
        Self {
            model: name,
            amount_micros: amount,
            millionths,
            tiers: tiers.iter().map(written).collect(),
            included: Some(included).filter(|included| *included != 0),
            minimum_micros: minimum.map(|minimum| minimum.micros),
            cap_micros: cap.map(|cap| cap.micros),
            ..Self::default()
        }
    }
}

/// A built-in meter, or one that the business made.
fn known(name: &str, own: &BTreeSet<MeterName>) -> Result<Meter, Refused> {
    let meter = name.parse::<Meter>().ok().filter(|meter| meter.own().is_none_or(|name| own.contains(&name)));
    meter.ok_or_else(|| refused("meter", UnknownMeter(name.to_owned())))
}

fn must_be_absent(field: &str, is_there: bool, why: &str) -> Result<(), Refused> {
    if is_there { Err(refused(field, why)) } else { Ok(()) }
}

fn field_of(error: &PriceError) -> &'static str {
    match error {
        PriceError::Tiers(_) => "tiers",
        PriceError::Negative("the allowance") => "included",
        PriceError::Negative("the share") | PriceError::MoreThanAll => "millionths",
        PriceError::Negative("the minimum or the cap") | PriceError::Currencies(..) => "minimum_micros",
        PriceError::Negative(_) | PriceError::TooLarge => "amount_micros",
        PriceError::EmptyUnit => "unit_size",
        PriceError::ShareOfACount => "model",
        PriceError::CapBelowMinimum { .. } => "cap_micros",
    }
}

impl From<EveryName> for Every {
    fn from(every: EveryName) -> Self {
        match every {
            EveryName::Month => Every::Month,
            EveryName::Year => Every::Year,
        }
    }
}

impl From<Every> for EveryName {
    fn from(every: Every) -> Self {
        match every {
            Every::Month => EveryName::Month,
            Every::Year => EveryName::Year,
        }
    }
}

#[cfg(test)]
mod tests;
