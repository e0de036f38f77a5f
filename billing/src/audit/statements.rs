//! A statement by itself, and next to the one before it.

use super::{
    Findings, Rule, discounts,
    evidence::{Evidence, Line, Statement},
    tax,
    usage::{day, end, start},
};

pub(super) fn examine(evidence: &Evidence, found: &mut Findings) {
    let mut before: Option<&Statement> = None;
    for statement in &evidence.statements {
        sums(statement, found);
        tax::examine(evidence, statement, found);
        discounts::examine(evidence, day(statement.starts), &statement.lines, &statement.number, found);
        follows(evidence, statement, before, found);
        for line in &statement.lines {
            lines(evidence, statement, line, found);
        }
        before = Some(statement);
    }
}

fn sums(statement: &Statement, found: &mut Findings) {
    let place = &statement.number;
    let lines: i128 = statement.lines.iter().map(|line| i128::from(line.amount)).sum();
    found.compare(Rule::LinesAddUp, place, lines, statement.subtotal.into());
    let (total, carried) = tax::settled(statement);
    found.compare(Rule::TotalIsRoundedOnce, place, total, statement.total.into());
    found.compare(Rule::RestIsCarriedOn, place, carried, statement.carried_out.into());
    let month = day(statement.starts);
    let whole_month = (start(month), end(month)) == (statement.starts, statement.ends);
    found.compare(Rule::StatementIsAMonth, place, true, whole_month);
}

/// What the ledger says was owed when a statement came: all that was posted before it, and the earlier months that were made
/// final together with it.
fn owed(evidence: &Evidence, statement: &Statement) -> i128 {
    // A statement of nothing at all is not posted, and moves no tab.
    if !evidence.posted.contains_key(&statement.statement) {
        return statement.tab_before.into();
    }
    let place = evidence.order_of(statement.statement);
    let together = |it: &&Statement| it.starts < statement.starts && evidence.order_of(it.statement) == place;
    let payable = |it: &Statement| i128::from(it.total) - i128::from(it.credits);
    let totals = evidence.statements.iter().filter(together).map(payable);
    evidence.receivable_before(evidence.account, place) + totals.sum::<i128>()
}

fn follows(evidence: &Evidence, statement: &Statement, before: Option<&Statement>, found: &mut Findings) {
    let place = &statement.number;
    let carried = before.map_or(0, |before| before.carried_out);
    found.compare(Rule::CarriedComesIn, place, carried, statement.carried_in);
    let owed = owed(evidence, statement);
    found.compare(Rule::TabGrowsByTotals, format!("{place}, before"), owed, statement.tab_before.into());
    let after = statement.tab_before.saturating_add(statement.total).saturating_sub(statement.credits);
    found.compare(Rule::TabGrowsByTotals, format!("{place}, after"), after, statement.tab_after);
    if let Some(before) = before {
        found.compare(Rule::MonthsFollow, place, before.ends, statement.starts);
    }
}

fn lines(evidence: &Evidence, statement: &Statement, line: &Line, found: &mut Findings) {
    let place = format!("{}, line {}", statement.number, line.line);
    // A subscription that changed its plan is there once for each plan version.
    let is_of_it = evidence.sold.iter().any(|sold| {
        (sold.subscription, sold.vendor) == (line.subscription, line.vendor)
            && sold.prices.iter().any(|price| price.price == line.price)
    });
    found.compare(Rule::LineIsOfASubscription, &place, true, is_of_it);
    for currency in [&statement.currency, &line.currency] {
        found.compare(Rule::OneCurrency, &place, &evidence.currency, currency);
    }
    let own = day(statement.starts);
    let is_in_place = match line.kind.as_str() {
        "adjustment" => line.month < own && evidence.late.contains(&line.month),
        "discount" => line.month <= own,
        _ => line.month == own,
    };
    found.compare(Rule::OnlyLateMonthsAreAdjusted, &place, true, is_in_place);
    hours(line, &place, found);
}

/// Recurring lines keep no hours: they can be derived for ever.
fn hours(line: &Line, place: &str, found: &mut Findings) {
    if line.kind == "recurring" || line.kind == "discount" {
        return;
    }
    let amount: i128 = line.hours.iter().map(|hour| i128::from(hour.amount)).sum();
    found.compare(Rule::HoursAddUp, format!("{place}, micros"), i128::from(line.amount), amount);
    let quantity: i128 = line.hours.iter().map(|hour| i128::from(hour.quantity)).sum();
    let expected = i128::from(line.quantity.unwrap_or(0));
    found.compare(Rule::HoursAddUp, format!("{place}, quantity"), expected, quantity);
    for hour in &line.hours {
        found.compare(Rule::HourLiesInMonth, format!("{place}, {}", hour.hour), line.month, day(hour.hour));
        found.compare(Rule::OneCurrency, format!("{place}, {}", hour.hour), &line.currency, &hour.currency);
    }
}
