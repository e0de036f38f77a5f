//! Money that moved: each payment, settlement and share worked out again, in the order in which the ledger has them.

use super::{
    Findings, Rule,
    evidence::{Evidence, Part, Payment, Settlement, Statement},
    ledger::Posting,
};
use crate::money::round_half_even;
use std::collections::BTreeMap;
use uuid::Uuid;

mod backs;
mod payouts;

/// What ought to be posted for what moved, by transaction.
pub(super) fn expected(evidence: &Evidence) -> BTreeMap<Uuid, Posting> {
    let mut all = BTreeMap::new();
    for payment in evidence.payments.iter().filter(|it| it.state == "succeeded" && it.purpose != "collection")
    {
        let wallet = format!("wallet:{}", payment.account);
        all.insert(payment.payment, charged(wallet, payment.amount, payment.fee, &payment.currency));
    }
    for settlement in &evidence.settlements {
        all.insert(settlement.settlement, settled(settlement));
        let shared = shared(settlement);
        if !shared.is_empty() {
            all.insert(derived(b"share", settlement.settlement), shared);
        }
    }
    backs::expected(evidence, &mut all);
    payouts::expected(evidence, &mut all);
    all
}

fn charged(to: String, amount: i64, fee: i64, currency: &str) -> Posting {
    let rest = i128::from(amount) - i128::from(fee);
    posting(
        currency,
        [
            ("processor".to_owned(), rest),
            ("processor_fees".to_owned(), fee.into()),
            (to, -i128::from(amount)),
        ],
    )
}

fn settled(settlement: &Settlement) -> Posting {
    let Settlement { account, kind, amount, fee, currency, .. } = settlement;
    let receivable = format!("receivable:{account}");
    let from = match kind.as_str() {
        "collection" => return charged(receivable, *amount, *fee, currency),
        "wallet" => format!("wallet:{account}"),
        _ => "written_off".to_owned(),
    };
    posting(currency, [(from, (*amount).into()), (receivable, -i128::from(*amount))])
}

fn shared(settlement: &Settlement) -> Posting {
    let passed_on = settlement.parts.iter().filter(|part| part.passed_on);
    let entries = passed_on.flat_map(|part| {
        let vendor = part.account.trim_start_matches("revenue:");
        [
            (part.account.clone(), i128::from(part.gross)),
            ("platform_share".to_owned(), -i128::from(part.platform)),
            ("processor_fees".to_owned(), -i128::from(part.fee)),
            (format!("payable:{vendor}"), -i128::from(part.net)),
        ]
    });
    posting(&settlement.currency, entries)
}

fn posting(currency: &str, entries: impl IntoIterator<Item = (String, i128)>) -> Posting {
    let mut posting = Posting::new();
    for (account, amount) in entries {
        *posting.entry((account, currency.to_owned())).or_default() += amount;
    }
    posting.retain(|_, amount| *amount != 0);
    posting
}

/// The id of a transaction that follows from another: FNV-1a in 128 bits over a word and the other's id, as a UUID of
/// version 8.
fn derived(word: &[u8], from: Uuid) -> Uuid {
    let words = word.iter().chain(from.as_bytes());
    let mut hash: u128 = 144_066_263_297_769_815_596_495_629_667_062_367_629;
    for byte in words {
        hash = (hash ^ u128::from(*byte)).wrapping_mul((1 << 88) + 0x13b);
    }
    let versioned = hash & !(0xf << 76) | 8 << 76;
    Uuid::from_u128(versioned & !(0b11 << 62) | 0b10 << 62)
}

pub(super) fn examine(evidence: &Evidence, found: &mut Findings) {
    payments_are_settled(evidence, found);
    backs::examine(evidence, found);
    payouts::examine(evidence, found);
    wallets_stay_above_zero(evidence, found);
    let payers: BTreeMap<Uuid, &Evidence> = evidence.accounts().map(|it| (it.account, it)).collect();
    let earned = earned(evidence);
    let mut open = Open::default();
    let mut drawn: BTreeMap<Uuid, i128> = BTreeMap::new();
    for settlement in in_order(evidence) {
        let place = format!("settlement {}", settlement.settlement);
        if let Some(payer) = payers.get(&settlement.account) {
            open.allocations(payer, settlement, &place, found);
        }
        if settlement.kind != "write_off" {
            parts(evidence, &earned, settlement, &place, found);
        }
        if settlement.kind == "wallet" {
            let before = drawn.entry(settlement.account).or_default();
            let after = *before + i128::from(settlement.amount);
            let fee = filled(evidence, settlement, after) - filled(evidence, settlement, *before);
            found.compare(Rule::DrawBearsItsFee, &place, fee, settlement.fee.into());
            *before = after;
        }
    }
}

/// Settlements as the ledger has them one after the other.
fn in_order(evidence: &Evidence) -> Vec<&Settlement> {
    let mut settlements: Vec<&Settlement> = evidence.settlements.iter().collect();
    settlements.sort_by_key(|it| (evidence.order_of(it.settlement), it.settlement));
    settlements
}

/// Each collection that succeeded is one settlement of as much, and the other way round.
fn payments_are_settled(evidence: &Evidence, found: &mut Findings) {
    let line = |account: &Uuid, amount: i64, fee: i64, currency: &str| {
        format!("{amount} {currency} of {account}, fee {fee}")
    };
    let mut settled: BTreeMap<Uuid, String> = evidence
        .settlements
        .iter()
        .filter(|it| it.kind == "collection")
        .map(|it| (it.settlement, line(&it.account, it.amount, it.fee, &it.currency)))
        .collect();
    let taken = |it: &&Payment| it.state == "succeeded" && it.purpose == "collection";
    for payment in evidence.payments.iter().filter(taken) {
        let expected = line(&payment.account, payment.amount, payment.fee, &payment.currency);
        let settled = settled.remove(&payment.payment).unwrap_or_else(|| "nothing".into());
        found.compare(Rule::PaymentIsSettled, format!("payment {}", payment.payment), expected, settled);
    }
    for (settlement, said) in settled {
        found.add(Rule::PaymentIsSettled, format!("settlement {settlement}"), "a payment", said);
    }
}

fn wallets_stay_above_zero(evidence: &Evidence, found: &mut Findings) {
    let mut entries: Vec<_> =
        evidence.entries.iter().filter(|it| it.account.starts_with("wallet:")).collect();
    entries.sort_by_key(|it| evidence.order_of(it.transaction));
    let mut wallets: BTreeMap<(&str, &str), i128> = BTreeMap::new();
    for entry in entries {
        let balance = wallets.entry((&entry.account, &entry.currency)).or_default();
        *balance -= i128::from(entry.amount);
        if *balance < 0 {
            let place = format!("{} after transaction {}", entry.account, entry.transaction);
            found.add(Rule::WalletIsNeverNegative, place, "0 or more", *balance);
        }
    }
}

/// What has been laid against each statement so far.
#[derive(Default)]
struct Open(BTreeMap<Uuid, i128>);

impl Open {
    /// What is owed is what the newest statements say, back to where it is used up: older ones are paid. Of those that
    /// are owed the oldest gets the money first.
    fn allocations(&mut self, payer: &Evidence, settlement: &Settlement, place: &str, found: &mut Findings) {
        let at = payer.order_of(settlement.settlement);
        let mut owed = payer.receivable_before(settlement.account, at).max(0);
        let mut open: Vec<(&Statement, i128)> = Vec::new();
        for statement in payer.statements.iter().rev() {
            if payer.order_of(statement.statement) < at {
                let paid = self.0.get(&statement.statement).copied().unwrap_or_default();
                let said = i128::from(statement.total) - i128::from(statement.credits);
                let rest = (said - taken_back(payer, statement, at) - paid).max(0).min(owed);
                owed -= rest;
                open.push((statement, rest));
            }
        }
        let mut left = i128::from(settlement.amount);
        for (statement, rest) in open.into_iter().rev() {
            let part = rest.min(left);
            left -= part;
            let laid = settlement.allocated.get(&statement.statement).copied().unwrap_or_default();
            let place = format!("{place}, {}", statement.number);
            found.compare(Rule::OldestIsPaidFirst, place, part, laid.into());
            *self.0.entry(statement.statement).or_default() += i128::from(laid);
        }
    }
}

/// What credit notes before a place in the ledger say of a statement.
fn taken_back(payer: &Evidence, statement: &Statement, at: i64) -> i128 {
    let notes = payer.credit_notes.iter().filter(|note| note.statement == statement.statement);
    notes.filter(|note| payer.order_of(note.note) < at).map(|note| i128::from(note.total)).sum()
}

/// What was laid against each statement falls to those whom its own posting credited, in the same proportion.
fn parts(
    evidence: &Evidence,
    earned: &Earned<'_>,
    settlement: &Settlement,
    place: &str,
    found: &mut Findings,
) {
    let mut gross: BTreeMap<String, i128> = BTreeMap::new();
    let mut left = i128::from(settlement.amount);
    for (statement, laid) in &settlement.allocated {
        let Some(claims) = earned.get(statement) else { continue };
        let weights: Vec<i128> = claims.values().copied().collect();
        for (account, part) in claims.keys().zip(divide((*laid).into(), &weights)) {
            left -= part;
            *gross.entry((*account).to_owned()).or_default() += part;
        }
    }
    *gross.entry("rounding".to_owned()).or_default() += left;
    gross.retain(|_, part| *part != 0);
    let sold: Vec<i128> =
        gross.iter().map(|(account, part)| if account.starts_with("revenue:") { *part } else { 0 }).collect();
    let bears = if sold.iter().all(|part| *part == 0) { gross.values().copied().collect() } else { sold };
    let fees = divide(settlement.fee.into(), &bears);
    for ((account, gross), fee) in gross.iter().zip(fees) {
        let part = settlement.parts.iter().find(|part| part.account == *account);
        let passed_on = evidence.vendors.iter().any(|vendor| *account == format!("revenue:{vendor}"));
        let mille = part.map_or(0, |part| i128::from(part.platform_per_mille));
        let platform = if passed_on { round_half_even(gross * mille, 1_000) } else { 0 };
        let expected =
            format!("{gross} of which {platform}, {fee}, {} passed on {passed_on}", gross - platform - fee);
        let said = part.map_or_else(|| "nothing".to_owned(), words);
        found.compare(Rule::SharesAddUp, format!("{place}, {account}"), expected, said);
    }
    let unknown = settlement.parts.iter().filter(|part| !gross.contains_key(&part.account));
    for part in unknown {
        found.add(Rule::SharesAddUp, format!("{place}, {}", part.account), "nothing", words(part));
    }
}

fn words(part: &Part) -> String {
    let Part { gross, platform, fee, net, passed_on, .. } = part;
    format!("{gross} of which {platform}, {fee}, {net} passed on {passed_on}")
}

/// Whom each posting credited with revenue or tax.
type Earned<'a> = BTreeMap<Uuid, BTreeMap<&'a str, i128>>;

fn earned(evidence: &Evidence) -> Earned<'_> {
    let mut all = Earned::new();
    for it in &evidence.entries {
        if it.account.starts_with("revenue:") || it.account.starts_with("tax:") {
            let credited = (-i128::from(it.amount)).max(0);
            all.entry(it.transaction).or_default().insert(&it.account, credited);
        }
    }
    all
}

/// By largest remainder: as many micros as are missing go to those whom rounding down cost most.
fn divide(whole: i128, weights: &[i128]) -> Vec<i128> {
    let all: i128 = weights.iter().sum();
    if all == 0 {
        return vec![0; weights.len()];
    }
    let mut parts: Vec<i128> = weights.iter().map(|weight| whole * weight / all).collect();
    while parts.iter().sum::<i128>() < whole {
        let lost = |index: &usize| whole * weights[*index] - parts[*index] * all;
        let most = (0..parts.len()).rev().max_by_key(lost).unwrap_or(0);
        parts[most] += 1;
    }
    parts
}

/// What filling the wallet cost, up to what has been drawn of it: first in, first out.
fn filled(evidence: &Evidence, draw: &Settlement, drawn: i128) -> i128 {
    let own = |it: &&Payment| {
        let into_wallet = it.state == "succeeded" && it.purpose != "collection";
        let before = evidence.order_of(it.payment) < evidence.order_of(draw.settlement);
        into_wallet && it.account == draw.account && before
    };
    let mut payments: Vec<&Payment> = evidence.payments.iter().filter(own).collect();
    payments.sort_by_key(|it| it.number);
    let (mut begins, mut fees) = (0, 0);
    for payment in payments {
        let amount = i128::from(payment.amount);
        fees += i128::from(payment.fee) * (drawn - begins).clamp(0, amount) / amount.max(1);
        begins += amount;
    }
    fees
}
