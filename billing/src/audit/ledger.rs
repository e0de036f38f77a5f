//! The ledger next to the statements.

use super::{
    Findings, Rule, credit_notes, credits,
    evidence::{Evidence, Statement, TaxRow},
    movements,
};
use crate::money::apportion;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What stands on each account of a transaction.
pub(super) type Posting = BTreeMap<(String, String), i128>;

pub(super) fn examine(evidence: &Evidence, found: &mut Findings) {
    let mut posted: BTreeMap<Uuid, Posting> = BTreeMap::new();
    for entry in &evidence.entries {
        let key = (entry.account.clone(), entry.currency.clone());
        *posted.entry(entry.transaction).or_default().entry(key).or_default() += i128::from(entry.amount);
    }
    for (transaction, posting) in &posted {
        balances(*transaction, posting, found);
    }
    for account in evidence.accounts() {
        billed(account, &mut posted, found);
    }
    for (transaction, expected) in movements::expected(evidence) {
        let posting = posted.remove(&transaction).unwrap_or_default();
        let place = format!("transaction {transaction}");
        found.compare(Rule::MovementIsPosted, place, text(&expected), text(&posting));
    }
    for transaction in posted.keys() {
        found.add(Rule::PostingHasAStatement, format!("transaction {transaction}"), "a statement", "none");
    }
}

/// What was billed to an account, given to it and taken back.
fn billed(account: &Evidence, posted: &mut BTreeMap<Uuid, Posting>, found: &mut Findings) {
    for statement in &account.statements {
        let expected = expected(account, statement);
        let posting = posted.remove(&statement.statement).unwrap_or_default();
        found.compare(Rule::StatementIsPosted, &statement.number, text(&expected), text(&posting));
    }
    for (rule, all) in [
        (Rule::CreditIsPosted, credits::expected(account)),
        (Rule::CreditNoteIsPosted, credit_notes::expected(account)),
    ] {
        for (transaction, expected) in all {
            let posting = posted.remove(&transaction).unwrap_or_default();
            found.compare(rule, format!("transaction {transaction}"), text(&expected), text(&posting));
        }
    }
}

fn balances(transaction: Uuid, posting: &Posting, found: &mut Findings) {
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    for ((_, currency), amount) in posting {
        *sums.entry(currency).or_default() += amount;
    }
    for (currency, sum) in sums {
        found.compare(Rule::TransactionBalances, format!("transaction {transaction}, {currency}"), 0, sum);
    }
}

/// What each vendor has to give of a tax that is within prices.
fn within(statement: &Statement, row: &TaxRow) -> Vec<(Uuid, i64)> {
    let mut sold: BTreeMap<Uuid, i64> = BTreeMap::new();
    for line in statement.lines.iter().filter(|line| row.includes && line.tax_group == Some(row.position)) {
        let sum = sold.entry(line.vendor).or_default();
        *sum = sum.saturating_add(line.amount);
    }
    let weights: Vec<i64> = sold.values().copied().collect();
    sold.into_keys().zip(apportion(row.tax, &weights)).collect()
}

/// The payer owes the total less what credits pay, what is carried grows by what rounding left, countries are owed their tax, each vendor earned
/// its lines.
fn expected(evidence: &Evidence, statement: &Statement) -> Posting {
    let mut posting = Posting::new();
    let mut add = |account: String, amount: i128| {
        *posting.entry((account, statement.currency.clone())).or_default() += amount;
    };
    let payable = i128::from(statement.total) - i128::from(statement.credits);
    add(format!("receivable:{}", evidence.account), payable);
    add(format!("credits:{}", evidence.account), statement.credits.into());
    let carried = i128::from(statement.carried_out) - i128::from(statement.carried_in);
    add(format!("carried:{}", evidence.account), carried);
    for line in &statement.lines {
        add(format!("revenue:{}", line.vendor), -i128::from(line.amount));
    }
    for row in &statement.taxes {
        add(format!("tax:{}", row.country.as_deref().unwrap_or("nowhere")), -i128::from(row.tax));
        for (vendor, share) in within(statement, row) {
            add(format!("revenue:{vendor}"), share.into());
        }
    }
    posting.retain(|_, amount| *amount != 0);
    posting
}

fn text(posting: &Posting) -> String {
    let entries: Vec<String> = posting
        .iter()
        .map(|((account, currency), amount)| format!("{account} {amount} {currency}"))
        .collect();
    if entries.is_empty() { "nothing".to_owned() } else { entries.join(", ") }
}
