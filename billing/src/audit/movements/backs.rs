//! Money that went back, and money that was given up.

use super::{derived, divide, posting};
use crate::audit::{
    Findings, Rule,
    evidence::{Back, Evidence, Part},
    ledger::Posting,
};
use std::collections::BTreeMap;
use uuid::Uuid;

pub(super) fn expected(evidence: &Evidence, all: &mut BTreeMap<Uuid, Posting>) {
    for back in &evidence.backs {
        let given = given(evidence, back);
        if back.came_again {
            let again = given.iter().map(|(account, amount)| (account.clone(), -amount)).collect();
            all.insert(derived(b"taken back", back.back), again);
        }
        if !given.is_empty() {
            all.insert(back.back, given);
        }
        if back.fee != 0 {
            let fee = i128::from(back.fee);
            let entries = [("processor_fees".to_owned(), fee), ("processor".to_owned(), -fee)];
            all.insert(derived(b"dispute fee", back.back), posting(&back.currency, entries));
        }
    }
}

/// What goes back comes from whoever got it, in the proportion in which they did; what filled a wallet comes from there,
/// as far as it is there.
fn given(evidence: &Evidence, back: &Back) -> Posting {
    let amount = i128::from(back.amount);
    let mut entries = vec![("processor".to_owned(), -amount)];
    match evidence.settlements.iter().find(|it| it.settlement == back.payment) {
        Some(settlement) => {
            let before = gone_before(evidence, back);
            let weights: Vec<i128> = settlement.parts.iter().map(|part| part.gross.into()).collect();
            let (was, is) = (divide(before, &weights), divide(before + amount, &weights));
            for ((part, was), is) in settlement.parts.iter().zip(was).zip(is) {
                let cut = |back: i128| i128::from(part.platform) * back / i128::from(part.gross.max(1));
                let platform = cut(is) - cut(was);
                entries.push((from(part), is - was - platform));
                entries.push(("platform_share".to_owned(), platform));
            }
        }
        None => {
            let payer = evidence.payments.iter().find(|it| it.payment == back.payment).map(|it| it.account);
            let wallet = format!("wallet:{}", payer.unwrap_or_default());
            let there = balance_before(evidence, &wallet, back).clamp(0, amount);
            entries.push((wallet, there));
            entries.push(("written_off".to_owned(), amount - there));
        }
    }
    posting(&back.currency, entries)
}

fn from(part: &Part) -> String {
    match part.passed_on {
        true => part.account.replace("revenue:", "payable:"),
        false => part.account.clone(),
    }
}

/// What had gone back of the same payment when this did, and had not come again.
fn gone_before(evidence: &Evidence, back: &Back) -> i128 {
    let at = evidence.order_of(back.back);
    let is_gone = |it: &&Back| {
        let came = if it.came_again { evidence.order_of(derived(b"taken back", it.back)) } else { i64::MAX };
        it.payment == back.payment && evidence.order_of(it.back) < at && came > at
    };
    evidence.backs.iter().filter(is_gone).map(|it| i128::from(it.amount)).sum()
}

fn balance_before(evidence: &Evidence, wallet: &str, back: &Back) -> i128 {
    let at = evidence.order_of(back.back);
    let before =
        evidence.entries.iter().filter(|it| it.account == wallet && evidence.order_of(it.transaction) < at);
    -before.map(|it| i128::from(it.amount)).sum::<i128>()
}

pub(super) fn examine(evidence: &Evidence, found: &mut Findings) {
    for payment in &evidence.payments {
        let gone = evidence.backs.iter().filter(|it| it.payment == payment.payment && !it.came_again);
        let gone: i128 = gone.map(|it| i128::from(it.amount)).sum();
        let came = if payment.state == "succeeded" { i128::from(payment.amount) } else { 0 };
        if gone > came {
            found.add(Rule::NoMoreGoesBack, format!("payment {}", payment.payment), came, gone);
        }
    }
    for settlement in evidence.settlements.iter().filter(|it| it.kind == "write_off") {
        let row = (settlement.settlement, settlement.account, settlement.amount, settlement.currency.clone());
        let place = format!("settlement {}", settlement.settlement);
        found.compare(Rule::WriteOffIsApproved, place, true, evidence.write_offs.contains(&row));
    }
}
