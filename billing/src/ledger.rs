//! Double entry: every transaction's entries add to zero per currency, nothing is ever changed, balances are derived.
//!
//! A debit is positive. The caller makes a transaction's id, so a retry is answered, not repeated.

use crate::{
    currency::Currency,
    ids::{AccountId, VendorId},
    money::{Money, MoneyError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use uuid::Uuid;

/// Where money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerAccount {
    /// What a payer owes in whole minor units: the tab.
    Receivable(AccountId),
    /// What a payer was rated but not yet billed: the part of a cent that rounding left.
    Carried(AccountId),
    /// What a vendor earned.
    Revenue(VendorId),
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receivable(account) => write!(f, "receivable:{account}"),
            Self::Carried(account) => write!(f, "carried:{account}"),
            Self::Revenue(vendor) => write!(f, "revenue:{vendor}"),
        }
    }
}

/// One side of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub account: LedgerAccount,
    /// Debit above zero, credit below.
    pub amount: Money,
}

/// Entries that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Made by the caller and kept for the retry.
    pub id: Uuid,
    /// Its entries, those of nothing left out, one for an account and currency.
    entries: Vec<Entry>,
}

/// Why entries are no transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Something came from nowhere.
    #[error("the entries in {0} add to {1} micros, not to zero")]
    Unbalanced(Currency, i128),
    /// Too large.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// What became of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It is in the ledger now.
    Created,
    /// It was there before, the same.
    Exists,
    /// Another transaction has this id: nothing was changed.
    ExistsWithDifferentAmount,
}

impl Transaction {
    /// Puts entries together: those of one account and currency become one, those of nothing vanish.
    pub fn new(id: Uuid, entries: impl IntoIterator<Item = Entry>) -> Result<Self, LedgerError> {
        let mut merged: BTreeMap<(LedgerAccount, Currency), Money> = BTreeMap::new();
        for Entry { account, amount } in entries {
            let sum = merged.entry((account, amount.currency)).or_insert(Money::zero(amount.currency));
            *sum = sum.plus(amount)?;
        }
        merged.retain(|_, amount| !amount.is_zero());
        let entries: Vec<Entry> =
            merged.into_iter().map(|((account, _), amount)| Entry { account, amount }).collect();
        match imbalance(&entries) {
            Some((currency, off)) => Err(LedgerError::Unbalanced(currency, off)),
            None => Ok(Self { id, entries }),
        }
    }

    /// Its entries, in the order of their accounts, so that writers never wait for each other in a circle.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// A ledger in memory that answers as the stored one does: for simulations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger(BTreeMap<Uuid, Transaction>);

impl Ledger {
    /// Adds a transaction, once.
    pub fn post(&mut self, transaction: Transaction) -> Posted {
        match self.0.get(&transaction.id) {
            None => {
                self.0.insert(transaction.id, transaction);
                Posted::Created
            }
            Some(existing) if *existing == transaction => Posted::Exists,
            Some(_) => Posted::ExistsWithDifferentAmount,
        }
    }

    /// What stands on an account.
    pub fn balance(&self, account: LedgerAccount, currency: Currency) -> Result<Money, MoneyError> {
        let entries = self.0.values().flat_map(Transaction::entries);
        let amounts = entries.filter(|entry| entry.account == account).map(|entry| entry.amount);
        Money::sum(currency, amounts.filter(|amount| amount.currency == currency))
    }

    /// All that was posted.
    pub fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.0.values()
    }

    /// All accounts together: zero in every currency, always.
    pub fn imbalance(&self) -> Option<(Currency, i128)> {
        imbalance(&self.0.values().flat_map(Transaction::entries).copied().collect::<Vec<_>>())
    }
}

fn imbalance(entries: &[Entry]) -> Option<(Currency, i128)> {
    let currencies: BTreeSet<Currency> = entries.iter().map(|entry| entry.amount.currency).collect();
    let sum = |currency| {
        let amounts = entries.iter().filter(move |entry| entry.amount.currency == currency);
        (currency, amounts.map(|entry| i128::from(entry.amount.micros)).sum::<i128>())
    };
    currencies.into_iter().map(sum).find(|(_, off)| *off != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(account: u128, micros: i64) -> Entry {
        let account = LedgerAccount::Receivable(AccountId(Uuid::from_u128(account)));
        Entry { account, amount: Money::micros(micros, Currency::USD) }
    }

    fn transaction(id: u128, entries: Vec<Entry>) -> Transaction {
        Transaction::new(Uuid::from_u128(id), entries).expect("balanced")
    }

    #[test]
    fn unbalanced_entries_are_refused() {
        let refused = Transaction::new(Uuid::nil(), [entry(1, 5), entry(2, -4)]);
        assert_eq!(refused, Err(LedgerError::Unbalanced(Currency::USD, 1)));
    }

    #[test]
    fn a_retry_is_answered_not_repeated() {
        let mut ledger = Ledger::default();
        let first = transaction(1, vec![entry(1, 5), entry(2, -5)]);
        assert_eq!(ledger.post(first.clone()), Posted::Created);
        assert_eq!(ledger.post(first), Posted::Exists);
        let other = transaction(1, vec![entry(1, 6), entry(2, -6)]);
        assert_eq!(ledger.post(other), Posted::ExistsWithDifferentAmount);
        let account = LedgerAccount::Receivable(AccountId(Uuid::from_u128(1)));
        let balance = ledger.balance(account, Currency::USD).expect("small");
        assert_eq!(balance, Money::micros(5, Currency::USD));
    }

    proptest! {
        #[test]
        fn whatever_is_posted_adds_to_zero(
            postings in prop::collection::vec((0_u128..6, 0_u128..4, 0_u128..4, -1_000_i64..1_000), 0..40),
        ) {
            let mut ledger = Ledger::default();
            for (id, from, to, micros) in postings {
                ledger.post(transaction(id, vec![entry(from, -micros), entry(to, micros)]));
            }
            prop_assert_eq!(ledger.imbalance(), None);
        }
    }
}
