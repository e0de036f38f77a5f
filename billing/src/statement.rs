//! Statements: an account's month, as a pure function of what is known about it.
//!
//! [`Books`] hold facts, catalogue, subscription history and what earlier statements said; [`draft`] answers what the
//! month comes to so far. Finalising gives the draft at the end of the month a number and freezes it. Facts that come
//! after that stand on a later statement as an adjustment that names the month.
//!
//! Lines are exact. What they come to is rounded once for each way in which it is taxed ([`crate::tax::settle`]), and what
//! that leaves is carried to the next statement.

mod books;
mod discount;
mod line;

pub use books::{Account, BilledLine, Books, Final};
pub use line::{Line, LineKind};

use line::Priced;

use crate::{
    collection::{self, Collect, DEFAULT_POLICY, Owed},
    credit::{self, CreditPart, Spent},
    credit_note::CreditNoteSummary,
    currency::Currency,
    ids::{AccountId, StatementId, VendorId},
    ledger::{Entry, LedgerAccount, LedgerError, Transaction},
    money::{Money, MoneyError, apportion},
    period::{Hour, Month},
    tax::{self, Taxed, Treatment},
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Where a statement stands. It only moves along `draft → final → collecting → paid | void | uncollectible`, and may skip
/// what it does not need. What no payment has paid, but a credit or what was left over on the tab, may still become void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It grows with every hour.
    Draft,
    /// It never changes again, and what it says stands on the tab.
    Final,
    /// The payer has been charged for it, without success so far.
    Collecting,
    /// Nothing of it is owed any more.
    Paid,
    /// It was taken back as a whole, and no payment had paid any of it.
    Void,
    /// What was left of it was given up.
    Uncollectible,
}

impl Status {
    /// Is that one of the arrows?
    pub fn may_become(self, next: Self) -> bool {
        use Status::*;
        match self {
            Draft => next == Final,
            Final => matches!(next, Collecting | Paid | Void | Uncollectible),
            Collecting => matches!(next, Paid | Void | Uncollectible),
            Paid => next == Void,
            Void | Uncollectible => false,
        }
    }
}

/// A half-open stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Period {
    /// Its first instant.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// The first instant after it.
    #[schema(value_type = String, format = DateTime)]
    pub end: Timestamp,
}

impl From<Month> for Period {
    fn from(month: Month) -> Self {
        Self { start: month.start(), end: month.end() }
    }
}

/// Whose statement it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Payer {
    /// The account.
    pub account_id: AccountId,
    /// What it is called.
    pub name: String,
}

/// What the account owes without being asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tab {
    /// Before this statement.
    pub before: Money,
    /// With it.
    pub after: Money,
    /// What happens to it.
    pub collect: Collect,
}

/// An account's month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Statement {
    /// Null while it is a draft.
    pub statement_id: Option<StatementId>,
    /// Without gaps per legal entity; null while it is a draft.
    pub number: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Whose it is.
    pub account: Payer,
    /// The calendar month in UTC.
    pub period: Period,
    /// What was known at this time of the tenant's.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Of all its amounts.
    #[schema(value_type = String, example = "USD")]
    pub currency: Currency,
    /// What it is made of.
    pub lines: Vec<Line>,
    /// The sum of the lines, exact.
    pub subtotal: Money,
    /// The part of a cent that the last statement's rounding left.
    pub carried_in: Money,
    /// What is taxed alike, in whole cents: subtotal and carried in, each part of it rounded once.
    pub taxes: Vec<Taxed>,
    /// The sum of the taxable amounts.
    pub total_without_tax: Money,
    /// The sum of the taxes.
    pub tax: Money,
    /// Both: what is billed.
    pub total: Money,
    /// What of it is paid by credits.
    pub credits: Vec<CreditPart>,
    /// What is left of the total, and comes onto the tab.
    pub payable: Money,
    /// Credits that ran out before the end of this month.
    pub expired_credits: Vec<CreditPart>,
    /// What the rounding leaves to the next statement.
    pub carried_out: Money,
    /// What is owed.
    pub tab: Tab,
    /// What has been taken back of it since it is final.
    pub credit_notes: Vec<CreditNoteSummary>,
}

/// A final statement in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Summary {
    /// Its name.
    pub statement_id: StatementId,
    /// Who pays it.
    pub account_id: AccountId,
    /// Without gaps per legal entity.
    pub number: String,
    /// Where it stands; never a draft.
    pub status: Status,
    /// The calendar month in UTC.
    pub period: Period,
    /// In whole cents.
    pub total: Money,
    /// In the tenant's time.
    #[schema(value_type = String, format = DateTime)]
    pub finalized_at: Timestamp,
}

/// What a month comes to, as of a time. After the end of the month it is what would be finalised.
pub fn draft(books: &Books, month: Month, as_of: Timestamp) -> Result<Statement, MoneyError> {
    let currency = books.account.currency;
    let priced = line::all(books, month, Hour::from_start(as_of))?;
    let subtotal = Money::sum(currency, priced.iter().map(|priced| priced.line.amount))?;
    let carried_in = books.carried_into(month);
    let Settled { lines, taxes, carried_out } = settled(books, month, priced, carried_in)?;
    let total_without_tax = Money::sum(currency, taxes.iter().map(|part| part.taxable))?;
    let tax = Money::sum(currency, taxes.iter().map(|part| part.tax))?;
    let total = total_without_tax.plus(tax)?;
    let Spent { used, expired } = credit::spend(&books.credits, total, month.end())?;
    let payable = total.minus(Money::sum(currency, used.iter().map(|part| part.amount))?)?;
    Ok(Statement {
        statement_id: None,
        number: None,
        status: Status::Draft,
        account: Payer { account_id: books.account.account_id, name: books.account.name.clone() },
        period: month.into(),
        as_of,
        currency,
        lines,
        subtotal,
        carried_in,
        taxes,
        total_without_tax,
        tax,
        total,
        credits: used,
        payable,
        expired_credits: expired,
        carried_out,
        tab: tab(books, month, payable, as_of)?,
        credit_notes: Vec::new(),
    })
}

/// Lines that know where they stand in the breakdown.
struct Settled {
    lines: Vec<Line>,
    taxes: Vec<Taxed>,
    carried_out: Money,
}

/// Makes whole cents of what is taxed alike.
fn settled(
    books: &Books,
    month: Month,
    priced: Vec<Priced>,
    carried_in: Money,
) -> Result<Settled, MoneyError> {
    let mut sums: BTreeMap<Treatment, Money> = BTreeMap::new();
    for Priced { line, treatment, .. } in &priced {
        let sum = sums.entry(*treatment).or_insert(Money::zero(books.account.currency));
        *sum = sum.plus(line.amount)?;
    }
    let parts: Vec<(Treatment, Money)> = sums.into_iter().collect();
    let (mut taxes, carried_out) = tax::settle(&parts, carried_in)?;
    let place = |of: Treatment| (1..).zip(&parts).find(|(_, (it, _))| *it == of).map(|(place, _)| place);
    let lines = priced.into_iter().map(|Priced { line, treatment, .. }| Line {
        tax_group: books.tax.as_ref().and_then(|_| place(treatment)),
        ..line
    });
    for part in &mut taxes {
        part.reason = books.reason(part.treatment, month);
    }
    Ok(Settled { lines: lines.collect(), taxes, carried_out })
}

/// The tab with what is left of a month's total on it. That is as old as its statement will be: from the end of the month.
fn tab(books: &Books, month: Month, payable: Money, as_of: Timestamp) -> Result<Tab, MoneyError> {
    let after = books.owed.plus(payable)?;
    let earlier = books.finals.iter().map(|earlier| (earlier.month.end(), earlier.total));
    let statements: Vec<(Timestamp, Money)> = earlier.chain([(month.end(), payable)]).collect();
    let since = collection::oldest_unpaid(statements.into_iter(), after);
    let owed = Owed { amount: after, since };
    let collect = collection::foresee(owed, books.account.rail, as_of, &DEFAULT_POLICY)?;
    Ok(Tab { before: books.owed, after, collect })
}

impl Statement {
    /// What finalising does to the ledger: the payer owes the total less what credits pay, the remainder is carried, countries are owed their
    /// tax, and the vendors earned the exact amounts, without the tax that is within them.
    pub fn posting(&self, id: StatementId) -> Result<Transaction, LedgerError> {
        let account = self.account.account_id;
        let carried = self.carried_out.minus(self.carried_in)?;
        let nothing = Money::zero(self.currency);
        let mut entries = vec![
            Entry { account: LedgerAccount::Receivable(account), amount: self.payable },
            Entry { account: LedgerAccount::Credits(account), amount: self.paid_by_credits()? },
            Entry { account: LedgerAccount::Carried(account), amount: carried },
        ];
        for line in &self.lines {
            let amount = nothing.minus(line.amount)?;
            entries.push(Entry { account: LedgerAccount::Revenue(line.vendor_id), amount });
        }
        for (group, part) in (1..).zip(&self.taxes) {
            let Some(country) = part.treatment.country else { continue };
            let amount = nothing.minus(part.tax)?;
            entries.push(Entry { account: LedgerAccount::Tax(country.letters()), amount });
            if part.treatment.prices_include_tax {
                entries.extend(self.tax_within(group, part.tax)?);
            }
        }
        Transaction::new(id.0, entries)
    }

    /// What of the total is paid by credits.
    pub fn paid_by_credits(&self) -> Result<Money, MoneyError> {
        self.total.minus(self.payable)
    }

    /// What the credits that ran out do to the ledger: what was not used was not given away.
    pub fn expiries(&self, id: StatementId) -> Result<Vec<Transaction>, LedgerError> {
        let account = self.account.account_id;
        let expiry = |part: &CreditPart| {
            let entries = [
                Entry { account: LedgerAccount::Credits(account), amount: part.amount },
                Entry {
                    account: LedgerAccount::Promotions,
                    amount: Money::zero(self.currency).minus(part.amount)?,
                },
            ];
            Transaction::new(part.credit_id.expiry(id), entries)
        };
        self.expired_credits.iter().map(expiry).collect()
    }

    /// What of the tax is not within the prices of the lines.
    pub fn tax_on_top(&self) -> Money {
        let on_top = self.taxes.iter().filter(|part| !part.treatment.prices_include_tax);
        let micros = on_top.fold(0_i64, |sum, part| sum.saturating_add(part.tax.micros));
        Money::micros(micros, self.currency)
    }

    /// What a tax takes from those in whose prices it is, in proportion to them.
    fn tax_within(&self, group: i32, tax: Money) -> Result<Vec<Entry>, MoneyError> {
        let mut sold: BTreeMap<VendorId, Money> = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line.tax_group == Some(group)) {
            let sum = sold.entry(line.vendor_id).or_insert(Money::zero(self.currency));
            *sum = sum.plus(line.amount)?;
        }
        let weights: Vec<i64> = sold.values().map(|sum| sum.micros).collect();
        let parts = sold.into_keys().zip(apportion(tax.micros, &weights));
        let entry = |(vendor, micros)| Entry {
            account: LedgerAccount::Revenue(vendor),
            amount: Money::micros(micros, self.currency),
        };
        Ok(parts.map(entry).collect())
    }
}

#[cfg(test)]
pub(crate) mod tests;
