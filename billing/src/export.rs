//! The ledger as plain text accounting: a journal that hledger or beancount reads, exact to the micro.
//!
//! A [`Journal`] turns one transaction after the other into text. It remembers which accounts it has introduced, those of
//! payers only as long as their tenant lasts.

use crate::{
    currency::Currency,
    ids::TenantId,
    ledger::{Entry, Kind, LedgerAccount},
    money::Money,
};
use jiff::civil::Date;
use std::{collections::BTreeSet, fmt::Write, str::FromStr};
use uuid::Uuid;

/// Decimals of a micro beyond those of the currency's minor unit.
const MICRO_DIGITS: u32 = 6;

/// For which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// hledger, from 1.19 on, and what reads its journals.
    Hledger,
    /// beancount, from version 2 on.
    Beancount,
}

/// None of the formats.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no format {0:?}: hledger or beancount")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "hledger" => Ok(Self::Hledger),
            "beancount" => Ok(Self::Beancount),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// A transaction of the ledger with what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose books it is in.
    pub tenant: TenantId,
    /// Its id.
    pub id: Uuid,
    /// The day in UTC.
    pub date: Date,
    /// What it is of: a statement's number, or its kind.
    pub title: String,
    /// They add to zero.
    pub entries: Vec<Entry>,
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    format: Format,
    tenant: Option<TenantId>,
    accounts: BTreeSet<LedgerAccount>,
    currencies: BTreeSet<Currency>,
}

impl Journal {
    /// An empty one.
    pub fn new(format: Format) -> Self {
        Self { format, tenant: None, accounts: BTreeSet::new(), currencies: BTreeSet::new() }
    }

    /// What it begins with.
    pub fn head(&self) -> &'static str {
        match self.format {
            Format::Hledger => "; The ledger of Tuppence. Amounts are exact; a debit is positive.\n",
            Format::Beancount => "option \"title\" \"The ledger of Tuppence\"\n",
        }
    }

    /// The text of a transaction, and before it of what is new in it. A tenant's transactions come one after the other.
    pub fn record(&mut self, record: &Record) -> String {
        if self.tenant.replace(record.tenant) != Some(record.tenant) {
            self.accounts.retain(|account| account.payer().is_none());
        }
        let mut text = String::new();
        for Entry { account, amount } in &record.entries {
            self.introduce(*account, amount.currency, &mut text);
        }
        text.push('\n');
        match self.format {
            Format::Hledger => hledger(record, &mut text),
            Format::Beancount => beancount(record, &mut text),
        }
        text
    }

    fn introduce(&mut self, account: LedgerAccount, currency: Currency, text: &mut String) {
        match self.format {
            // How many digits it has, once: otherwise the first amount decides what is shown.
            Format::Hledger if self.currencies.insert(currency) => {
                let one = exact(Money::micros(10_i64.pow(digits(currency)), currency));
                said(writeln!(text, "commodity {one} {currency}"));
            }
            Format::Beancount if self.accounts.insert(account) => {
                said(writeln!(text, "1970-01-01 open {}", beancount_name(account)));
            }
            Format::Hledger | Format::Beancount => {}
        }
    }
}

fn hledger(record: &Record, text: &mut String) {
    let Record { tenant, id, date, title, entries } = record;
    said(writeln!(text, "{date} * ({title})  ; id:{id}, tenant:{tenant}"));
    for Entry { account, amount } in entries {
        said(writeln!(text, "    {}  {} {}", hledger_name(*account), exact(*amount), amount.currency));
    }
}

fn beancount(record: &Record, text: &mut String) {
    let Record { tenant, id, date, title, entries } = record;
    said(writeln!(text, "{date} * \"{title}\"\n  id: \"{id}\"\n  tenant: \"{tenant}\""));
    for Entry { account, amount } in entries {
        said(writeln!(text, "  {}  {} {}", beancount_name(*account), exact(*amount), amount.currency));
    }
}

fn hledger_name(account: LedgerAccount) -> String {
    let root = match account.kind() {
        Kind::Asset => "assets",
        Kind::Liability => "liabilities",
        Kind::Income => "income",
        Kind::Expense => "expenses",
    };
    format!("{root}:{account}")
}

/// Each part of a name begins with a capital letter or a digit, and has letters, digits and dashes.
fn beancount_name(account: LedgerAccount) -> String {
    let root = match account.kind() {
        Kind::Asset => "Assets",
        Kind::Liability => "Liabilities",
        Kind::Income => "Income",
        Kind::Expense => "Expenses",
    };
    let name = account.to_string().replace('_', "-");
    let (role, whose) = name.split_once(':').unwrap_or((&name, ""));
    let (first, rest) = role.split_at(1);
    let whose = if whose.is_empty() { String::new() } else { format!(":{}", whose.to_uppercase()) };
    format!("{root}:{}{rest}{whose}", first.to_uppercase())
}

/// With all its digits: `0.25550000` for 25.55 ¢.
fn exact(amount: Money) -> String {
    let (digits, sign) = (digits(amount.currency), if amount.micros < 0 { "-" } else { "" });
    let (one, micros) = (10_u64.pow(digits), amount.micros.unsigned_abs());
    format!("{sign}{}.{:0width$}", micros / one, micros % one, width = digits as usize)
}

fn digits(currency: Currency) -> u32 {
    currency.minor_digits() + MICRO_DIGITS
}

fn said(written: std::fmt::Result) {
    written.expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::chart;

    #[test]
    fn amounts_keep_every_digit() {
        for (micros, currency, text) in [
            (25_550_000, "USD", "0.25550000"),
            (-1, "USD", "-0.00000001"),
            (1_000_000, "JPY", "1.000000"),
            (-1_234_567_890, "KWD", "-1.234567890"),
            (i64::MIN, "USD", "-92233720368.54775808"),
        ] {
            let currency = currency.parse().expect("a currency");
            assert_eq!(exact(Money::micros(micros, currency)), text);
        }
    }

    #[test]
    fn names_are_those_that_the_programs_take() {
        let names: Vec<_> = chart().into_iter().map(beancount_name).collect();
        for name in &names {
            for part in name.split(':') {
                assert!(
                    part.starts_with(|first: char| first.is_ascii_uppercase() || first.is_ascii_digit()),
                    "{name}"
                );
                assert!(part.chars().all(|it| it.is_ascii_alphanumeric() || it == '-'), "{name}");
            }
        }
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}
