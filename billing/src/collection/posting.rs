//! What moving money does to the ledger.

use super::Part;
use crate::{
    ids::{AccountId, VendorId},
    ledger::{Entry, LedgerAccount, LedgerError, Transaction},
    money::Money,
};
use uuid::Uuid;

/// A payer was charged: the processor has it, less its fee, and the tab is shorter.
pub fn collection(id: Uuid, payer: AccountId, amount: Money, fee: Money) -> Result<Transaction, LedgerError> {
    charged(id, LedgerAccount::Receivable(payer), amount, fee)
}

/// The same into the payer's wallet.
pub fn top_up(id: Uuid, payer: AccountId, amount: Money, fee: Money) -> Result<Transaction, LedgerError> {
    charged(id, LedgerAccount::Wallet(payer), amount, fee)
}

fn charged(id: Uuid, to: LedgerAccount, amount: Money, fee: Money) -> Result<Transaction, LedgerError> {
    let entries = [
        debit(LedgerAccount::Processor, amount.minus(fee)?),
        debit(LedgerAccount::ProcessorFees, fee),
        credit(to, amount)?,
    ];
    Transaction::new(id, entries)
}

/// The wallet pays the tab.
pub fn draw(id: Uuid, payer: AccountId, amount: Money) -> Result<Transaction, LedgerError> {
    let entries =
        [debit(LedgerAccount::Wallet(payer), amount), credit(LedgerAccount::Receivable(payer), amount)?];
    Transaction::new(id, entries)
}

/// The tab is given up.
pub fn write_off(id: Uuid, payer: AccountId, amount: Money) -> Result<Transaction, LedgerError> {
    let entries =
        [debit(LedgerAccount::WrittenOff, amount), credit(LedgerAccount::Receivable(payer), amount)?];
    Transaction::new(id, entries)
}

/// What was earned and has come in goes on to the vendors whose it is: what is left to them is owed, the platform has its
/// share, and they bear their part of the fee. Without vendors of a tenant's own there is nothing to post.
pub fn share(id: Uuid, parts: &[Part]) -> Result<Transaction, LedgerError> {
    let mut entries = Vec::new();
    for part in parts.iter().filter(|part| part.passed_on) {
        let LedgerAccount::Revenue(vendor) = part.account else { continue };
        entries.push(debit(part.account, part.gross));
        entries.push(credit(LedgerAccount::PlatformShare, part.platform)?);
        entries.push(credit(LedgerAccount::ProcessorFees, part.fee)?);
        entries.push(credit(LedgerAccount::Payable(vendor), part.net)?);
    }
    Transaction::new(id, entries)
}

/// What goes back to a payer comes from whoever got it: a vendor's balance and the platform's share, or the revenue and the
/// tax where they had stayed.
pub fn back(id: Uuid, parts: &[Part], amount: Money) -> Result<Transaction, LedgerError> {
    let mut entries = vec![credit(LedgerAccount::Processor, amount)?];
    for part in parts {
        let from = match part.account {
            LedgerAccount::Revenue(vendor) if part.passed_on => LedgerAccount::Payable(vendor),
            stayed => stayed,
        };
        entries.push(debit(from, part.net));
        entries.push(debit(LedgerAccount::PlatformShare, part.platform));
    }
    Transaction::new(id, entries)
}

/// What goes back of a top-up comes from the wallet; what is not there any more is lost.
pub fn back_from_wallet(
    id: Uuid,
    payer: AccountId,
    wallet: Money,
    amount: Money,
) -> Result<Transaction, LedgerError> {
    let there = Money { micros: wallet.micros.min(amount.micros).max(0), ..amount };
    let entries = [
        credit(LedgerAccount::Processor, amount)?,
        debit(LedgerAccount::Wallet(payer), there),
        debit(LedgerAccount::WrittenOff, amount.minus(there)?),
    ];
    Transaction::new(id, entries)
}

/// What the processor keeps for a payer's objection, whatever comes of it.
pub fn dispute_fee(id: Uuid, fee: Money) -> Result<Transaction, LedgerError> {
    let entries = [debit(LedgerAccount::ProcessorFees, fee), credit(LedgerAccount::Processor, fee)?];
    Transaction::new(id, entries)
}

/// Takes a posting back.
pub fn reversed(id: Uuid, posted: &Transaction) -> Result<Transaction, LedgerError> {
    let entries = posted.entries().iter().map(|entry| credit(entry.account, entry.amount));
    Transaction::new(id, entries.collect::<Result<Vec<_>, _>>()?)
}

/// A vendor is paid.
pub fn payout(id: Uuid, vendor: VendorId, amount: Money) -> Result<Transaction, LedgerError> {
    let entries = [debit(LedgerAccount::Payable(vendor), amount), credit(LedgerAccount::Processor, amount)?];
    Transaction::new(id, entries)
}

fn debit(account: LedgerAccount, amount: Money) -> Entry {
    Entry { account, amount }
}

fn credit(account: LedgerAccount, amount: Money) -> Result<Entry, LedgerError> {
    Ok(Entry { account, amount: Money::zero(amount.currency).minus(amount)? })
}
