//! Tax on what is sold: which category and rate a sale has, and what the tax of a statement comes to.
//!
//! The words are those of EN 16931. [`treat`] is a pure function of who sells, who buys, what is sold and on which day.
//! [`settle()`] makes whole minor units of what the lines of one category and rate come to, and works the tax out of those,
//! rounded once (BR-CO-17), so that for each of them taxable amount and tax are what the invoice says, to the cent.

mod place;
mod settle;

pub use place::{Country, UnknownCountry, VatId, VatIdRefused};
pub use settle::{Taxed, settle};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};
use utoipa::ToSchema;

/// What a rate counts in: 190,000 are 19 %.
pub const MILLIONTHS: i64 = 1_000_000;

/// How what is sold is taxed by the law of the country whose tax it is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// At the standard rate.
    #[default]
    Standard,
    /// At the reduced rate; at the standard rate where there is none.
    Reduced,
    /// Taxable, at nothing.
    Zero,
    /// Not taxed by law.
    Exempt,
}

/// No class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no tax class {0:?}")]
pub struct UnknownClass(pub String);

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Reduced, Self::Zero, Self::Exempt];

    /// The name in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Reduced => "reduced",
            Self::Zero => "zero",
            Self::Exempt => "exempt",
        }
    }
}

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        Self::ALL.into_iter().find(|it| it.as_str() == name).ok_or_else(|| UnknownClass(name.to_owned()))
    }
}

/// What is taxed how, by the code list UNTDID 5305 that EN 16931 uses (BT-118). In an EN 16931 document a reduced rate
/// stands under `S` with its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Category {
    /// The standard rate.
    #[serde(rename = "S")]
    Standard,
    /// A reduced rate.
    #[serde(rename = "AA")]
    Reduced,
    /// Zero rated.
    #[serde(rename = "Z")]
    Zero,
    /// Exempt.
    #[serde(rename = "E")]
    Exempt,
    /// The buyer owes the tax.
    #[serde(rename = "AE")]
    ReverseCharge,
    /// Not subject to tax.
    #[serde(rename = "O")]
    OutsideScope,
}

/// No category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no tax category {0:?}")]
pub struct UnknownCategory(pub String);

impl Category {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Reduced, Self::Zero, Self::Exempt, Self::ReverseCharge, Self::OutsideScope];

    /// The code in JSON and in tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Standard => "S",
            Self::Reduced => "AA",
            Self::Zero => "Z",
            Self::Exempt => "E",
            Self::ReverseCharge => "AE",
            Self::OutsideScope => "O",
        }
    }
}

impl FromStr for Category {
    type Err = UnknownCategory;

    fn from_str(code: &str) -> Result<Self, UnknownCategory> {
        Self::ALL.into_iter().find(|it| it.code() == code).ok_or_else(|| UnknownCategory(code.to_owned()))
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// How the prices of a plan version stand to tax.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaxTerms {
    /// What is sold.
    #[serde(default)]
    pub class: Class,
    /// Do its prices include the tax, or does it come on top?
    #[serde(default)]
    pub prices_include_tax: bool,
}

/// How one part of a statement is taxed: what makes one entry of its breakdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
pub struct Treatment {
    /// By the code list of EN 16931: `S`, `AA` (a reduced rate), `Z`, `E`, `AE` (reverse charge) or `O`.
    pub category: Category,
    /// Whose tax it is, by ISO 3166-1; null outside of its scope.
    #[schema(value_type = Option<String>, example = "DE")]
    pub country: Option<Country>,
    /// 190,000 are 19 %.
    #[schema(example = 190_000)]
    pub rate_millionths: i64,
    /// Is the tax within the prices of the lines, or on top of them?
    pub prices_include_tax: bool,
}

impl Treatment {
    /// No tax is involved: how everybody is treated of whom nothing else is known.
    pub const OUTSIDE: Self = Self {
        category: Category::OutsideScope,
        country: None,
        rate_millionths: 0,
        prices_include_tax: false,
    };

    fn untaxed(category: Category, country: Country) -> Self {
        Self { category, country: Some(country), ..Self::OUTSIDE }
    }
}

/// Who is sold to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyer {
    /// Where.
    pub country: Country,
    /// A business has one.
    pub vat_id: Option<VatId>,
    /// Why nothing is taxed, if that is so: for the invoice (BT-120).
    pub exemption: Option<String>,
}

/// The rates of countries, each from a day on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates(BTreeMap<(Country, Class, Date), i64>);

impl Rates {
    /// A rate in millionths, from a day on.
    pub fn add(&mut self, country: Country, class: Class, from: Date, millionths: i64) {
        self.0.insert((country, class, from), millionths);
    }

    /// The rate of a day, if the country has one.
    pub fn at(&self, country: Country, class: Class, day: Date) -> Option<i64> {
        let until = self.0.range((country, class, Date::MIN)..=(country, class, day));
        until.last().map(|(_, millionths)| *millionths)
    }
}

/// How a sale is taxed. `day` is the last one of what is billed.
pub fn treat(seller: Country, buyer: &Buyer, terms: TaxTerms, rates: &Rates, day: Date) -> Treatment {
    if buyer.exemption.is_some() {
        return Treatment::untaxed(Category::Exempt, buyer.country);
    }
    let abroad = seller != buyer.country;
    match (abroad, seller.is_in_eu(), buyer.country.is_in_eu()) {
        // The place of a service to a business is where the business is, and there it owes the tax itself.
        (true, _, true) if buyer.vat_id.is_some() => {
            Treatment::untaxed(Category::ReverseCharge, buyer.country)
        }
        // Electronic services to consumers are taxed where these live.
        (true, _, true) | (false, ..) => charged(buyer.country, terms, rates, day),
        (true, _, false) => Treatment::OUTSIDE,
    }
}

/// By the law of one country. Where its rate is not known, nothing is charged.
fn charged(country: Country, terms: TaxTerms, rates: &Rates, day: Date) -> Treatment {
    let rate = |class| rates.at(country, class, day);
    let (category, rate) = match terms.class {
        Class::Zero => (Category::Zero, Some(0)),
        Class::Exempt => (Category::Exempt, Some(0)),
        Class::Standard => (Category::Standard, rate(Class::Standard)),
        Class::Reduced => match rate(Class::Reduced) {
            Some(reduced) => (Category::Reduced, Some(reduced)),
            None => (Category::Standard, rate(Class::Standard)),
        },
    };
    match rate {
        None => Treatment::OUTSIDE,
        Some(0) if category == Category::Exempt => Treatment::untaxed(category, country),
        Some(0) => Treatment::untaxed(Category::Zero, country),
        Some(rate_millionths) => Treatment {
            category,
            country: Some(country),
            rate_millionths,
            prices_include_tax: terms.prices_include_tax,
        },
    }
}

/// What is known about an account's tax: who sold to whom since when, and what countries charge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaxBooks {
    /// Where the seller was, from when on; oldest first.
    pub sellers: Vec<(Timestamp, Country)>,
    /// What the account said of itself, from when on; oldest first.
    pub buyers: Vec<(Timestamp, Buyer)>,
    /// All rates.
    pub rates: Arc<Rates>,
}

impl TaxBooks {
    /// How a sale is taxed on a statement that ends at a time, for what was sold until a day.
    pub fn treat(&self, terms: TaxTerms, end: Timestamp, day: Date) -> Treatment {
        match (known(&self.sellers, end), self.buyer(end)) {
            (Some(seller), Some(buyer)) => treat(*seller, buyer, terms, &self.rates, day),
            _ => Treatment::OUTSIDE,
        }
    }

    /// Why a statement that ends at a time has no tax in a category, for its reader (BT-120).
    pub fn reason(&self, category: Category, end: Timestamp) -> Option<String> {
        let exemption = || self.buyer(end).and_then(|buyer| buyer.exemption.clone());
        match category {
            Category::Standard | Category::Reduced | Category::Zero => None,
            Category::Exempt => Some(exemption().unwrap_or_else(|| "Exempt from tax".to_owned())),
            Category::ReverseCharge => Some("Reverse charge".to_owned()),
            Category::OutsideScope => Some("Not subject to tax".to_owned()),
        }
    }

    fn buyer(&self, end: Timestamp) -> Option<&Buyer> {
        known(&self.buyers, end)
    }
}

/// The last that was known before a time.
fn known<T>(since: &[(Timestamp, T)], end: Timestamp) -> Option<&T> {
    since.iter().rfind(|(from, _)| *from < end).map(|(_, it)| it)
}

#[cfg(test)]
pub(crate) mod tests;
