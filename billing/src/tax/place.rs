//! Countries, and the numbers by which businesses are known to their tax offices.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A country by its ISO 3166-1 code of two letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Country([u8; 2]);

/// No country.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ISO 3166-1 has no country {0:?}")]
pub struct UnknownCountry(pub String);

/// The officially assigned codes of ISO 3166-1, as of 2026.
const KNOWN: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV \
    BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK \
    FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT \
    JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY \
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO \
    TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// The member states of the European Union since 2020-02-01.
const EU: &str = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";

impl Country {
    /// The code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made of capital letters only")
    }

    /// The code as the ledger names the account of its tax.
    pub fn letters(self) -> [u8; 2] {
        self.0
    }

    /// Is it a member of the European Union, whose sales across borders are taxed by one law?
    pub fn is_in_eu(self) -> bool {
        EU.split(' ').any(|code| code == self.code())
    }

    /// What VAT numbers begin with there: Greece writes EL.
    fn vat_prefix(&self) -> &str {
        if self.code() == "GR" { "EL" } else { self.code() }
    }
}

impl FromStr for Country {
    type Err = UnknownCountry;

    fn from_str(code: &str) -> Result<Self, UnknownCountry> {
        let unknown = || UnknownCountry(code.to_owned());
        let letters = <[u8; 2]>::try_from(code.as_bytes()).map_err(|_| unknown())?;
        KNOWN.split(' ').any(|known| known == code).then_some(Self(letters)).ok_or_else(unknown)
    }
}

impl TryFrom<String> for Country {
    type Error = UnknownCountry;

    fn try_from(code: String) -> Result<Self, UnknownCountry> {
        code.parse()
    }
}

impl From<Country> for String {
    fn from(country: Country) -> String {
        country.code().to_owned()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The number of a business at its tax office, without spaces and dots. Its form is looked at, not whether it was given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VatId(String);

/// What cannot be a VAT number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VatIdRefused {
    /// Of the wrong length, or with something else than letters and digits.
    #[error("a VAT number has 4 to 20 letters and digits")]
    Form,
    /// It is another country's, or lacks the country.
    #[error("a VAT number of {country} begins with {prefix}")]
    Country {
        /// Where the account is.
        country: Country,
        /// What its numbers begin with.
        prefix: String,
    },
}

impl VatId {
    /// Reads what somebody wrote. In the European Union it begins with its country.
    pub fn parse(text: &str, country: Country) -> Result<Self, VatIdRefused> {
        let number: String =
            text.chars().filter(|it| !" .-".contains(*it)).map(|it| it.to_ascii_uppercase()).collect();
        if !(4..=20).contains(&number.len()) || !number.bytes().all(|it| it.is_ascii_alphanumeric()) {
            return Err(VatIdRefused::Form);
        }
        if country.is_in_eu() && !number.starts_with(country.vat_prefix()) {
            return Err(VatIdRefused::Country { country, prefix: country.vat_prefix().to_owned() });
        }
        Ok(Self(number))
    }

    /// The number.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
