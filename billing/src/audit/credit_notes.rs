//! Credit notes, worked out again: what each takes back, and that all of a statement's take back no more than it billed.

use super::{
    Findings, Rule,
    evidence::{CreditNoteRow, Evidence, Statement},
    ledger::Posting,
};
use crate::money::{MICROS_PER_MINOR, apportion, round_half_even};
use std::collections::BTreeMap;
use uuid::Uuid;

pub(super) fn examine(evidence: &Evidence, found: &mut Findings) {
    let entity = if evidence.sandbox { "sandbox credit notes" } else { "operator credit notes" };
    for note in &evidence.credit_notes {
        found.compare(Rule::NumberIsOfItsSeries, &note.number, entity, &note.entity);
        found.compare(Rule::OneCurrency, &note.number, &evidence.currency, &note.currency);
        let sum =
            |of: fn(&(i32, i64, i64)) -> i64| note.taxes.iter().map(|it| i128::from(of(it))).sum::<i128>();
        let (net, tax) = (sum(|it| it.1), sum(|it| it.2));
        let expected = format!("{net} and {tax}, {} in all", net + tax);
        let seen = format!("{} and {}, {} in all", note.net, note.tax, note.total);
        found.compare(Rule::CreditNoteAddsUp, &note.number, expected, seen);
        if !evidence.statements.iter().any(|it| it.statement == note.statement) {
            found.add(Rule::CreditNoteIsOfAStatement, &note.number, "a final statement", "none");
        }
    }
    for statement in &evidence.statements {
        let notes: Vec<&CreditNoteRow> =
            evidence.credit_notes.iter().filter(|note| note.statement == statement.statement).collect();
        if !notes.is_empty() {
            lines(statement, &notes, found);
            taxes(statement, &notes, found);
        }
    }
}

/// Group, whole, tax, whether prices include it.
type Part = (i32, i64, i64, bool);

/// What was taxed alike; all of a statement without a breakdown.
fn parts(statement: &Statement) -> Vec<Part> {
    if statement.taxes.is_empty() {
        return vec![(1, statement.total, 0, false)];
    }
    let part = |row: &super::TaxRow| {
        let whole = if row.includes { row.taxable.saturating_add(row.tax) } else { row.taxable };
        (row.position, whole, row.tax, row.includes)
    };
    statement.taxes.iter().map(part).collect()
}

/// Nothing is taken back of a line beyond its part of what was billed.
fn lines(statement: &Statement, notes: &[&CreditNoteRow], found: &mut Findings) {
    let mut billed: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (group, whole, ..) in parts(statement) {
        let of_it = statement.lines.iter().filter(|line| line.tax_group.unwrap_or(1) == group);
        let charged: Vec<Uuid> = of_it.filter(|line| line.discount.is_none()).map(|line| line.line).collect();
        let left = |id: &Uuid| {
            let about = statement
                .lines
                .iter()
                .filter(|line| line.line == *id || line.discount.is_some_and(|(_, off)| off == *id));
            about.fold(0_i64, |sum, line| sum.saturating_add(line.amount))
        };
        let weights: Vec<i64> = charged.iter().map(left).collect();
        let minor = whole.max(0) / MICROS_PER_MINOR;
        billed.extend(charged.into_iter().zip(apportion(minor, &weights)));
    }
    let mut credited: BTreeMap<Uuid, i128> = BTreeMap::new();
    for (line, _, amount) in notes.iter().flat_map(|note| &note.lines) {
        *credited.entry(*line).or_default() += i128::from(*amount);
    }
    for (line, credited) in credited {
        let most = i128::from(billed.get(&line).copied().unwrap_or(0)) * i128::from(MICROS_PER_MINOR);
        if credited > most {
            let place = format!("{}, line {line}", statement.number);
            found.add(Rule::CreditNoteIsWithinTheBill, place, format!("at most {most}"), credited);
        }
    }
    for note in notes {
        for (line, vendor, _) in &note.lines {
            let seller = statement.lines.iter().find(|it| it.line == *line).map(|it| it.vendor);
            let place = format!("{}, line {line}", note.number);
            found.compare(Rule::CreditNoteIsWithinTheBill, place, true, seller == Some(*vendor));
        }
    }
}

/// Of each tax as much goes back as falls to what was taken back so far.
fn taxes(statement: &Statement, notes: &[&CreditNoteRow], found: &mut Findings) {
    for (group, whole, tax, includes) in parts(statement) {
        let falls = |amount: i128| {
            let minor = |micros: i128| micros / i128::from(MICROS_PER_MINOR);
            round_half_even(minor(tax.into()) * minor(amount), minor(whole.into()).max(1))
                * i128::from(MICROS_PER_MINOR)
        };
        let mut so_far = 0_i128;
        for note in notes {
            let is_of_it = |line: Uuid| {
                let line = statement.lines.iter().find(|it| it.line == line);
                line.is_some_and(|it| it.tax_group.unwrap_or(1) == group)
            };
            let of_it = note.lines.iter().filter(|(line, ..)| is_of_it(*line));
            let amount: i128 = of_it.map(|(.., amount)| i128::from(*amount)).sum();
            let tax = falls(so_far + amount) - falls(so_far);
            let expected = (if includes { amount - tax } else { amount }, tax);
            so_far += amount;
            let rows = note.taxes.iter().filter(|(of, ..)| *of == group);
            let seen = rows.fold((0, 0), |sum: (i128, i128), (_, net, tax)| {
                (sum.0 + i128::from(*net), sum.1 + i128::from(*tax))
            });
            let place = format!("{}, tax {group}", note.number);
            found.compare(Rule::CreditNoteAddsUp, place, format!("{expected:?}"), format!("{seen:?}"));
        }
    }
}

/// How credit notes ought to be posted: the payer owes less, the vendors earned less, countries are owed less.
pub(super) fn expected(evidence: &Evidence) -> Vec<(Uuid, Posting)> {
    let mut all = Vec::new();
    for note in &evidence.credit_notes {
        let Some(statement) = evidence.statements.iter().find(|it| it.statement == note.statement) else {
            continue;
        };
        let mut posting = Posting::new();
        let mut add = |account: String, amount: i128| {
            *posting.entry((account, note.currency.clone())).or_default() += amount;
        };
        add(format!("receivable:{}", evidence.account), -i128::from(note.total));
        for (group, net, tax) in &note.taxes {
            let row = statement.taxes.iter().find(|row| row.position == *group);
            if let Some(country) = row.and_then(|row| row.country.as_deref()) {
                add(format!("tax:{country}"), (*tax).into());
            }
            for (vendor, share) in sold(statement, note, *group, *net) {
                add(format!("revenue:{vendor}"), share.into());
            }
        }
        posting.retain(|_, amount| *amount != 0);
        all.push((note.note, posting));
    }
    all
}

/// What each vendor gives of an amount without tax, in proportion to what was taken back of its lines.
fn sold(statement: &Statement, note: &CreditNoteRow, group: i32, net: i64) -> Vec<(Uuid, i64)> {
    let mut sold: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (line, vendor, amount) in &note.lines {
        let of = statement.lines.iter().find(|it| it.line == *line);
        if of.is_some_and(|of| of.tax_group.unwrap_or(1) == group) {
            let sum = sold.entry(*vendor).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }
    let weights: Vec<i64> = sold.values().copied().collect();
    sold.into_keys().zip(apportion(net, &weights)).collect()
}
