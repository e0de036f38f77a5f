//! Credits, worked out again: what each month used of them, and what ran out.

use super::{
    Findings, Rule,
    evidence::{CreditRow, Evidence, Statement},
    ledger::Posting,
};
use crate::ids::{CreditId, StatementId};
use jiff::Timestamp;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What became of credits in a month: of each that ran out and of each that was used.
type Spent = BTreeMap<(bool, Uuid), i128>;

pub(super) fn examine(evidence: &Evidence, found: &mut Findings) {
    for credit in &evidence.credits {
        let place = format!("credit {}", credit.credit);
        found.compare(Rule::OneCurrency, &place, &evidence.currency, &credit.currency);
        let gone: i128 = credit.uses.iter().map(|(.., amount)| i128::from(*amount)).sum();
        if gone > credit.amount.into() {
            found.add(Rule::CreditIsNotExceeded, place, format!("at most {}", credit.amount), gone);
        }
    }
    let mut left: BTreeMap<Uuid, i128> =
        evidence.credits.iter().map(|credit| (credit.credit, credit.amount.into())).collect();
    for statement in &evidence.statements {
        let seen = seen(evidence, statement);
        let expected = expected_of(evidence, statement, &left);
        let text = |spent: &Spent| format!("{spent:?}");
        found.compare(Rule::CreditIsUsedInOrder, &statement.number, text(&expected), text(&seen));
        let paid: i128 = seen.iter().filter(|((expired, _), _)| !expired).map(|(_, amount)| amount).sum();
        let place = format!("{}, paid by credits", statement.number);
        found.compare(Rule::CreditIsUsedInOrder, place, paid, statement.credits.into());
        for ((_, credit), amount) in seen {
            left.entry(credit).and_modify(|left| *left -= amount);
        }
    }
}

/// What the rows say that a close did.
fn seen(evidence: &Evidence, statement: &Statement) -> Spent {
    let mut spent = Spent::new();
    for credit in &evidence.credits {
        for (_, expired, amount) in credit.uses.iter().filter(|(of, ..)| *of == statement.statement) {
            *spent.entry((*expired, credit.credit)).or_default() += i128::from(*amount);
        }
    }
    spent
}

/// What it ought to have done with what was left of the credits that were given before it.
fn expected_of(evidence: &Evidence, statement: &Statement, left: &BTreeMap<Uuid, i128>) -> Spent {
    let place = evidence.order_of(statement.statement);
    let given = evidence.credits.iter().filter(|credit| evidence.order_of(credit.credit) < place);
    let (mut over, mut lasting): (Vec<&CreditRow>, Vec<&CreditRow>) =
        given.partition(|credit| credit.expires.is_some_and(|expires| expires < statement.ends));
    over.retain(|credit| left[&credit.credit] > 0);
    lasting.retain(|credit| left[&credit.credit] > 0);
    lasting.sort_by_key(|credit| (credit.expires.unwrap_or(Timestamp::MAX), credit.credit));
    let mut spent: Spent = over.iter().map(|credit| ((true, credit.credit), left[&credit.credit])).collect();
    let mut owed = i128::from(statement.total).max(0);
    for credit in lasting {
        let used = left[&credit.credit].min(owed);
        owed -= used;
        if used > 0 {
            spent.insert((false, credit.credit), used);
        }
    }
    spent
}

/// How credits ought to be posted: when they are given, and when they run out.
pub(super) fn expected(evidence: &Evidence) -> Vec<(Uuid, Posting)> {
    let posting = |credit: &CreditRow, given: i128| {
        let account = format!("credits:{}", evidence.account);
        let entries = [("promotions".to_owned(), given), (account, -given)];
        entries.map(|(account, amount)| ((account, credit.currency.clone()), amount)).into()
    };
    let mut all = Vec::new();
    for credit in &evidence.credits {
        all.push((credit.credit, posting(credit, credit.amount.into())));
        for (statement, _, amount) in credit.uses.iter().filter(|(_, expired, _)| *expired) {
            let expiry = CreditId(credit.credit).expiry(StatementId(*statement));
            all.push((expiry, posting(credit, -i128::from(*amount))));
        }
    }
    all
}
