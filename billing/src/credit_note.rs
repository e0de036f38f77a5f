//! Credit notes: how a final statement is corrected. The statement stays as it is.
//!
//! A statement bills whole minor units, its lines are exact; so first each line gets its part of what its category and
//! rate was billed, in whole minor units by largest remainder. A credit note takes some of these back, and of each tax what falls to
//! them: the difference of two values of one function of all that has been taken back, so any number of notes that take back
//! everything take back exactly what was billed and its tax.

use crate::{
    ids::{CreditNoteId, LineId, StatementId, VendorId},
    ledger::{Entry, LedgerAccount, LedgerError, Transaction},
    money::{MICROS_PER_MINOR, Money, MoneyError, apportion, round_half_even},
    statement::{Line, LineKind, Statement},
    tax::Treatment,
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// What is taken back of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreditedLine {
    /// Of which.
    pub line_id: LineId,
    /// Who had sold it.
    pub vendor_id: VendorId,
    /// How much, as the line was priced: with the tax if its price includes it.
    pub amount: Money,
    /// What the line was billed, in whole minor units, discounts taken off: as much can be credited in all.
    pub billed: Money,
    /// The line's place in the statement's taxes.
    pub tax_group: Option<i32>,
}

/// What is taken back of what was taxed alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreditedTax {
    /// Its place in the statement's taxes.
    pub tax_group: Option<i32>,
    /// How it was taxed.
    #[serde(flatten)]
    pub treatment: Treatment,
    /// Without tax.
    pub taxable: Money,
    /// The tax of it.
    pub tax: Money,
}

/// What a credit note says. Amounts are above zero; they are taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Correction {
    /// Line by line.
    pub lines: Vec<CreditedLine>,
    /// Category by category.
    pub taxes: Vec<CreditedTax>,
    /// The sum of the taxable amounts.
    pub total_without_tax: Money,
    /// The sum of the taxes.
    pub tax: Money,
    /// Both: by so much the tab goes down.
    pub total: Money,
}

/// A correction that has been made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreditNote {
    /// Names it, and its transaction in the ledger.
    pub credit_note_id: CreditNoteId,
    /// Without gaps in a series of its own per legal entity.
    #[schema(example = "CN-000001")]
    pub number: String,
    /// Which statement it corrects.
    pub statement_id: StatementId,
    /// Why, for the payer to read.
    pub reason: String,
    /// In the tenant's time.
    #[schema(value_type = String, format = DateTime)]
    pub issued_at: Timestamp,
    /// What is taken back.
    #[serde(flatten)]
    pub correction: Correction,
}

/// A credit note in a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CreditNoteSummary {
    /// Which.
    pub credit_note_id: CreditNoteId,
    /// As the payer reads it.
    pub number: String,
    /// How much it takes back.
    pub total: Money,
    /// In the tenant's time.
    #[schema(value_type = String, format = DateTime)]
    pub issued_at: Timestamp,
}

/// What to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All that has not been taken back yet.
    Whole,
    /// Of some lines, so many micros each; all that is left of the line where no number is given.
    Lines(Vec<(LineId, Option<i64>)>),
}

/// Why nothing is taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreditNoteRefused {
    /// It is no line of the statement that was billed.
    #[error("there is no line {0} that was billed")]
    NoSuchLine(LineId),
    /// Twice in one note.
    #[error("line {0} is named twice")]
    Twice(LineId),
    /// Nothing, less than nothing, or parts of a minor unit.
    #[error("must be whole minor units, at least one")]
    NotWhole,
    /// More than is left.
    #[error("of line {line} {left} are billed and not credited yet")]
    TooMuch {
        /// Which.
        line: LineId,
        /// What could be credited.
        left: Money,
    },
    /// It has all been taken back, or nothing was billed.
    #[error("nothing is billed and not credited yet")]
    NothingLeft,
    /// Too large.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// What each line of a final statement was billed, in the order of its lines, nothing taken back yet.
fn billed(statement: &Statement) -> Result<Vec<CreditedLine>, MoneyError> {
    let nothing = Money::zero(statement.currency);
    let mut all = Vec::new();
    for (group, part) in (1..).zip(&statement.taxes) {
        let whole = part.billed()?.micros.max(0) / MICROS_PER_MINOR;
        let is_of_it = |line: &&Line| line.kind != LineKind::Discount && line.tax_group.unwrap_or(1) == group;
        let lines: Vec<&Line> = statement.lines.iter().filter(is_of_it).collect();
        let weights = lines.iter().map(|line| left_of(statement, line)).collect::<Result<Vec<i64>, _>>()?;
        all.extend(lines.into_iter().zip(apportion(whole, &weights)).map(|(line, minor)| CreditedLine {
            line_id: line.line_id,
            vendor_id: line.vendor_id,
            amount: nothing,
            billed: Money { micros: minor * MICROS_PER_MINOR, ..nothing },
            tax_group: line.tax_group,
        }));
    }
    Ok(all)
}

/// What discounts leave of a line.
fn left_of(statement: &Statement, line: &Line) -> Result<i64, MoneyError> {
    let off = statement.lines.iter().filter(|it| it.discounts == Some(line.line_id));
    off.map(|it| it.amount).try_fold(line.amount, Money::plus).map(|left| left.micros)
}

/// Draws up a credit note for a final statement, after others.
pub fn draw_up(
    statement: &Statement,
    before: &[Correction],
    asked: &Asked,
) -> Result<Correction, CreditNoteRefused> {
    let mut lines = billed(statement)?;
    for line in &mut lines {
        let left = line.billed.minus(credited(before, line.line_id, statement)?)?;
        line.amount = match asked {
            Asked::Whole => left,
            Asked::Lines(asked) => match asked.iter().find(|(line_id, _)| *line_id == line.line_id) {
                None => Money::zero(statement.currency),
                Some((_, None)) => left,
                Some((_, Some(micros))) => amount(*micros, left, line.line_id)?,
            },
        };
    }
    if let Asked::Lines(asked) = asked {
        let mut named = BTreeSet::new();
        for (line_id, _) in asked {
            if !lines.iter().any(|line| line.line_id == *line_id) {
                return Err(CreditNoteRefused::NoSuchLine(*line_id));
            }
            if !named.insert(line_id) {
                return Err(CreditNoteRefused::Twice(*line_id));
            }
        }
    }
    lines.retain(|line| line.amount.micros > 0);
    if lines.is_empty() {
        return Err(CreditNoteRefused::NothingLeft);
    }
    let taxes = taxes(statement, before, &lines)?;
    let total_without_tax = Money::sum(statement.currency, taxes.iter().map(|it| it.taxable))?;
    let tax = Money::sum(statement.currency, taxes.iter().map(|it| it.tax))?;
    let total = total_without_tax.plus(tax)?;
    Ok(Correction { lines, taxes, total_without_tax, tax, total })
}

fn credited(before: &[Correction], line: LineId, statement: &Statement) -> Result<Money, MoneyError> {
    let lines = before.iter().flat_map(|it| &it.lines).filter(|it| it.line_id == line);
    Money::sum(statement.currency, lines.map(|it| it.amount))
}

fn amount(micros: i64, left: Money, line: LineId) -> Result<Money, CreditNoteRefused> {
    match micros {
        _ if micros <= 0 || micros % MICROS_PER_MINOR != 0 => Err(CreditNoteRefused::NotWhole),
        _ if micros > left.micros => Err(CreditNoteRefused::TooMuch { line, left }),
        _ => Ok(Money { micros, ..left }),
    }
}

/// The tax that falls to what is taken back, part by part.
fn taxes(
    statement: &Statement,
    before: &[Correction],
    lines: &[CreditedLine],
) -> Result<Vec<CreditedTax>, MoneyError> {
    let mut taxes = Vec::new();
    for (group, part) in (1..).zip(&statement.taxes) {
        let is_of_it = |line: &&CreditedLine| line.tax_group.unwrap_or(1) == group;
        let sum = |lines: Vec<&CreditedLine>| {
            Money::sum(statement.currency, lines.into_iter().filter(is_of_it).map(|line| line.amount))
        };
        let amount = sum(lines.iter().collect())?;
        if amount.is_zero() {
            continue;
        }
        let already = sum(before.iter().flat_map(|it| &it.lines).collect())?;
        let whole = part.billed()?;
        let tax =
            falls_to(already.plus(amount)?, part.tax, whole).minus(falls_to(already, part.tax, whole))?;
        let taxable = if part.treatment.prices_include_tax { amount.minus(tax)? } else { amount };
        let tax_group = lines.iter().find(is_of_it).and_then(|line| line.tax_group);
        taxes.push(CreditedTax { tax_group, treatment: part.treatment, taxable, tax });
    }
    Ok(taxes)
}

/// The tax of so much of a whole, in whole minor units: all of it for the whole.
fn falls_to(amount: Money, tax: Money, whole: Money) -> Money {
    let minor = |money: Money| i128::from(money.micros / MICROS_PER_MINOR);
    let share = round_half_even(minor(tax) * minor(amount), minor(whole).max(1));
    // Of an amount within the whole no more than the tax, which is an i64 of micros.
    let micros = i64::try_from(share).unwrap_or(0).saturating_mul(MICROS_PER_MINOR);
    Money { micros, ..tax }
}

impl Correction {
    /// What it does to the ledger: the payer owes less, vendors earned less, countries are owed less tax.
    pub fn posting(&self, id: CreditNoteId, statement: &Statement) -> Result<Transaction, LedgerError> {
        let nothing = Money::zero(statement.currency);
        let receivable = LedgerAccount::Receivable(statement.account.account_id);
        let mut entries = vec![Entry { account: receivable, amount: nothing.minus(self.total)? }];
        for part in &self.taxes {
            let lines = self.lines.iter().filter(|line| line.tax_group == part.tax_group);
            let mut sold: BTreeMap<VendorId, i64> = BTreeMap::new();
            for line in lines {
                let sum = sold.entry(line.vendor_id).or_default();
                *sum = sum.checked_add(line.amount.micros).ok_or(MoneyError::Overflow)?;
            }
            let weights: Vec<i64> = sold.values().copied().collect();
            let shares = apportion(part.taxable.micros, &weights);
            entries.extend(sold.into_keys().zip(shares).map(|(vendor, micros)| Entry {
                account: LedgerAccount::Revenue(vendor),
                amount: Money { micros, ..nothing },
            }));
            if let Some(country) = part.treatment.country {
                entries.push(Entry { account: LedgerAccount::Tax(country.letters()), amount: part.tax });
            }
        }
        Transaction::new(id.0, entries)
    }
}

#[cfg(test)]
mod tests;
