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
    str::FromStr,
};
use uuid::Uuid;

/// Where money stands: the chart of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerAccount {
    /// What a payer owes in whole minor units: the tab.
    Receivable(AccountId),
    /// What a payer was rated but not yet billed: the part of a cent that rounding left.
    Carried(AccountId),
    /// What a payer paid in advance and can have back.
    Wallet(AccountId),
    /// What a payer was given and has not used yet.
    Credits(AccountId),
    /// What a payer paid for months that are not over.
    Deferred(AccountId),
    /// What a vendor earned.
    Revenue(VendorId),
    /// What a vendor is to be paid out.
    Payable(VendorId),
    /// Collected for a country, by its ISO 3166-1 code.
    Tax([u8; 2]),
    /// What the payment processor has taken in for us and not yet paid out.
    Processor,
    /// What it kept.
    ProcessorFees,
    /// What is left to the platform of what vendors earned.
    PlatformShare,
    /// What was given to payers who did not pay it.
    Promotions,
    /// What will never be paid.
    WrittenOff,
    /// Remainders of a share that fall to nobody.
    Rounding,
}

/// What an account means for the balance sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Asset,
    /// Somebody else's.
    Liability,
    /// Earned.
    Income,
    /// Spent.
    Expense,
}

/// No account of the chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no ledger account {0:?}")]
pub struct UnknownAccount(pub String);

impl LedgerAccount {
    /// Whose it is, where it is a payer's.
    pub fn payer(self) -> Option<AccountId> {
        match self {
            Self::Receivable(payer)
            | Self::Carried(payer)
            | Self::Wallet(payer)
            | Self::Credits(payer)
            | Self::Deferred(payer) => Some(payer),
            Self::Revenue(_)
            | Self::Payable(_)
            | Self::Tax(_)
            | Self::Processor
            | Self::ProcessorFees
            | Self::PlatformShare
            | Self::Promotions
            | Self::WrittenOff
            | Self::Rounding => None,
        }
    }

    /// What it means for the balance sheet.
    pub fn kind(self) -> Kind {
        match self {
            Self::Receivable(_) | Self::Carried(_) | Self::Processor => Kind::Asset,
            Self::Wallet(_) | Self::Credits(_) | Self::Deferred(_) | Self::Payable(_) | Self::Tax(_) => {
                Kind::Liability
            }
            Self::Revenue(_) | Self::PlatformShare => Kind::Income,
            Self::Promotions | Self::ProcessorFees | Self::WrittenOff | Self::Rounding => Kind::Expense,
        }
    }
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receivable(account) => write!(f, "receivable:{account}"),
            Self::Carried(account) => write!(f, "carried:{account}"),
            Self::Wallet(account) => write!(f, "wallet:{account}"),
            Self::Credits(account) => write!(f, "credits:{account}"),
            Self::Deferred(account) => write!(f, "deferred:{account}"),
            Self::Revenue(vendor) => write!(f, "revenue:{vendor}"),
            Self::Payable(vendor) => write!(f, "payable:{vendor}"),
            Self::Tax([a, b]) => write!(f, "tax:{}{}", char::from(*a), char::from(*b)),
            Self::Processor => f.write_str("processor"),
            Self::ProcessorFees => f.write_str("processor_fees"),
            Self::PlatformShare => f.write_str("platform_share"),
            Self::Promotions => f.write_str("promotions"),
            Self::WrittenOff => f.write_str("written_off"),
            Self::Rounding => f.write_str("rounding"),
        }
    }
}

impl FromStr for LedgerAccount {
    type Err = UnknownAccount;

    fn from_str(name: &str) -> Result<Self, UnknownAccount> {
        let unknown = || UnknownAccount(name.to_owned());
        let Some((role, whose)) = name.split_once(':') else {
            let shared = [
                Self::Processor,
                Self::ProcessorFees,
                Self::PlatformShare,
                Self::Promotions,
                Self::WrittenOff,
                Self::Rounding,
            ];
            return shared.into_iter().find(|account| account.to_string() == name).ok_or_else(unknown);
        };
        if role == "tax" {
            let country = <[u8; 2]>::try_from(whose.as_bytes()).map_err(|_| unknown())?;
            return country
                .iter()
                .all(u8::is_ascii_uppercase)
                .then_some(Self::Tax(country))
                .ok_or_else(unknown);
        }
        let id: Uuid = whose.parse().map_err(|_| unknown())?;
        let (payer, vendor) = (AccountId(id), VendorId(id));
        Ok(match role {
            "receivable" => Self::Receivable(payer),
            "carried" => Self::Carried(payer),
            "wallet" => Self::Wallet(payer),
            "credits" => Self::Credits(payer),
            "deferred" => Self::Deferred(payer),
            "revenue" => Self::Revenue(vendor),
            "payable" => Self::Payable(vendor),
            _ => return Err(unknown()),
        })
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
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(account: u128, micros: i64) -> Entry {
        let account = LedgerAccount::Receivable(AccountId(Uuid::from_u128(account)));
        Entry { account, amount: Money::micros(micros, Currency::USD) }
    }

    fn transaction(id: u128, entries: Vec<Entry>) -> Transaction {
        Transaction::new(Uuid::from_u128(id), entries).expect("balanced")
    }

    /// One account of each sort.
    pub(crate) fn chart() -> Vec<LedgerAccount> {
        use LedgerAccount::*;
        let (payer, vendor) = (AccountId(Uuid::from_u128(1)), VendorId(Uuid::from_u128(2)));
        let payers = [Receivable, Carried, Wallet, Credits, Deferred].map(|account| account(payer));
        let vendors = [Revenue, Payable].map(|account| account(vendor));
        let ours = [Processor, ProcessorFees, PlatformShare, Promotions, WrittenOff, Rounding];
        payers.into_iter().chain(vendors).chain([Tax(*b"DE")]).chain(ours).collect()
    }

    #[test]
    fn an_account_is_read_as_it_is_written() {
        for account in chart() {
            assert_eq!(account.to_string().parse(), Ok(account));
        }
        for name in ["", "tax:de", "tax:DEU", "revenue", "revenue:x", "cash", "processor:1"] {
            assert_eq!(name.parse::<LedgerAccount>(), Err(UnknownAccount(name.to_owned())));
        }
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
