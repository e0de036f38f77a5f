//! Payouts next to what vendors are owed: each transaction on a vendor's account is paid once, and none is passed over.

use super::{derived, posting};
use crate::audit::{
    Findings, Rule,
    evidence::{Evidence, Payout},
    ledger::Posting,
};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub(super) fn expected(evidence: &Evidence, all: &mut BTreeMap<Uuid, Posting>) {
    for payout in &evidence.payouts {
        let amount = i128::from(payout.amount);
        let sent = |amount: i128| {
            let entries = [(account(payout), amount), ("processor".to_owned(), -amount)];
            posting(&payout.currency, entries)
        };
        all.insert(payout.payout, sent(amount));
        if payout.came_again {
            all.insert(derived(b"taken back", payout.payout), sent(-amount));
        }
    }
}

fn account(payout: &Payout) -> String {
    format!("payable:{}", payout.vendor)
}

pub(super) fn examine(evidence: &Evidence, found: &mut Findings) {
    let mut left: BTreeMap<(Uuid, &str), i64> = BTreeMap::new();
    let mut paid: BTreeSet<(Uuid, &str, Uuid)> = BTreeSet::new();
    for payout in &evidence.payouts {
        let place = format!("payout {}", payout.payout);
        let key = (payout.vendor, payout.currency.as_str());
        let carried = left.insert(key, payout.carried_out).unwrap_or_default();
        found.compare(Rule::PayoutLinesAddUp, format!("{place}, carried in"), carried, payout.carried_in);
        let lines: i128 = payout.lines.values().map(|amount| i128::from(*amount)).sum();
        let goes_out = i128::from(payout.amount) + i128::from(payout.carried_out);
        found.compare(Rule::PayoutLinesAddUp, &place, goes_out, lines + i128::from(payout.carried_in));
        paid.extend(payout.lines.keys().map(|line| (key.0, key.1, *line)));
        let wanted = owed_before(evidence, payout);
        for (transaction, amount) in &wanted {
            let is_paid = paid.contains(&(key.0, key.1, *transaction));
            found.compare(Rule::PayoutPaysWhatIsOwed, format!("{place}, {transaction}"), true, is_paid);
            if let Some(line) = payout.lines.get(transaction) {
                found.compare(Rule::PayoutPaysWhatIsOwed, format!("{place}, {transaction}"), *amount, *line);
            }
        }
        for line in payout.lines.keys().filter(|line| !wanted.contains_key(line)) {
            found.add(Rule::PayoutPaysWhatIsOwed, format!("{place}, {line}"), "nothing", "a line");
        }
    }
}

/// What each transaction before a payout added to what its vendor is owed, payouts themselves left out.
fn owed_before(evidence: &Evidence, payout: &Payout) -> BTreeMap<Uuid, i64> {
    let (name, at) = (account(payout), evidence.order_of(payout.payout));
    let is_payout = |id: Uuid| evidence.payouts.iter().any(|it| it.payout == id);
    let entries = evidence.entries.iter().filter(|it| it.account == name && it.currency == payout.currency);
    let before = entries.filter(|it| evidence.order_of(it.transaction) < at && !is_payout(it.transaction));
    before.map(|it| (it.transaction, -it.amount)).collect()
}
