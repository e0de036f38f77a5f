//! Tax, worked out again: how each line is taxed by the tables, and what the whole cents of a breakdown come to.

use super::{
    Findings, Rule,
    evidence::{Evidence, Line, Sold, Statement, TaxRow},
};
use crate::money::{MICROS_PER_MINOR, round_half_even};
use jiff::{Timestamp, civil::Date};

/// A minor unit.
const WHOLE: i128 = MICROS_PER_MINOR as i128;
/// All of what a rate is a share of.
const ALL: i128 = 1_000_000;
/// Who is taxed by the union's law.
const UNION: [&str; 27] = [
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV", "LT",
    "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE",
];

/// Category, country, rate, and whether it is within the prices.
type Way = (String, Option<String>, i64, bool);

pub(super) fn examine(evidence: &Evidence, statement: &Statement, found: &mut Findings) {
    for line in &statement.lines {
        group(evidence, statement, line, found);
    }
    for row in &statement.taxes {
        let place = format!("{}, tax {}", statement.number, row.position);
        let of_it = statement.lines.iter().filter(|line| line.tax_group == Some(row.position));
        let priced: i128 = of_it.map(|line| i128::from(line.amount)).sum();
        found.compare(Rule::TaxedLinesAddUp, &place, priced, row.priced.into());
        found.compare(Rule::OneCurrency, &place, &statement.currency, &row.currency);
        let tax = round_half_even(i128::from(row.taxable) / WHOLE * i128::from(row.rate), ALL) * WHOLE;
        found.compare(Rule::TaxIsItsRate, &place, tax, row.tax.into());
    }
    let sum = |of: fn(&TaxRow) -> i64| statement.taxes.iter().map(|row| i128::from(of(row))).sum::<i128>();
    found.compare(Rule::TaxesAddUp, &statement.number, sum(|row| row.tax), statement.tax.into());
    let on_top = sum(|row| if row.includes { 0 } else { row.tax });
    found.compare(
        Rule::TaxesAddUp,
        format!("{}, on top", statement.number),
        on_top,
        statement.tax_on_top.into(),
    );
}

/// A line stands where it is taxed as the tables say.
fn group(evidence: &Evidence, statement: &Statement, line: &Line, found: &mut Findings) {
    let place = format!("{}, line {}", statement.number, line.line);
    let row = statement.taxes.iter().find(|row| Some(row.position) == line.tax_group);
    let seen =
        row.map_or_else(outside, |row| (row.category.clone(), row.country.clone(), row.rate, row.includes));
    found.compare(
        Rule::LineHasItsTax,
        &place,
        statement.taxes.is_empty(),
        line.tax_group.is_none() || row.is_none(),
    );
    // A rehearsal may be years ahead of the rates that were known when it was played.
    if evidence.sandbox {
        return;
    }
    let is_of_it = |sold: &&Sold| {
        sold.subscription == line.subscription && sold.prices.iter().any(|price| price.price == line.price)
    };
    if let Some(sold) = evidence.sold.iter().find(is_of_it) {
        let last = line.month.last_of_month();
        let expected = way(evidence, sold, statement.ends, last);
        found.compare(Rule::LineHasItsTax, &place, text(&expected), text(&seen));
    }
}

fn text((category, country, rate, includes): &Way) -> String {
    let country = country.as_deref().unwrap_or("nowhere");
    let within = if *includes { ", within" } else { "" };
    format!("{category} {country} {rate}{within}")
}

fn outside() -> Way {
    ("O".to_owned(), None, 0, false)
}

/// How the tables say that a sale is taxed.
fn way(evidence: &Evidence, sold: &Sold, ends: Timestamp, day: Date) -> Way {
    let tax = &evidence.tax;
    let seller = tax.sellers.iter().rev().find(|(from, _)| *from < ends);
    let buyer = tax.buyers.iter().rev().find(|buyer| buyer.from < ends);
    let (Some((_, seller)), Some(buyer)) = (seller, buyer) else { return outside() };
    let there = Some(buyer.country.clone());
    let plain = |category: &str| (category.to_owned(), there.clone(), 0, false);
    if buyer.is_exempt {
        return plain("E");
    }
    if *seller != buyer.country {
        if !UNION.contains(&buyer.country.as_str()) {
            return outside();
        }
        if buyer.is_business {
            return plain("AE");
        }
    }
    let rate = |class: &str| {
        let of = |it: &&(String, String, Date, i64)| it.0 == buyer.country && it.1 == class && it.2 <= day;
        tax.rates.iter().filter(of).max_by_key(|it| it.2).map(|it| it.3)
    };
    let charged = |category: &str, rate| (category.to_owned(), there.clone(), rate, sold.prices_include_tax);
    match (sold.tax_class.as_str(), rate("reduced"), rate("standard")) {
        ("zero", ..) => plain("Z"),
        ("exempt", ..) => plain("E"),
        ("reduced", Some(rate), _) => charged("AA", rate),
        (_, _, Some(rate)) => charged("S", rate),
        _ => outside(),
    }
}

/// What a statement bills and carries on. Without a breakdown everything is rounded once; with one, each part, and what it
/// leaves goes on to the next.
pub(super) fn settled(statement: &Statement) -> (i128, i128) {
    let mut carried = i128::from(statement.carried_in);
    let plain = TaxRow {
        position: 1,
        category: String::new(),
        country: None,
        rate: 0,
        includes: false,
        priced: statement.subtotal,
        taxable: 0,
        tax: 0,
        currency: String::new(),
    };
    let rows = if statement.taxes.is_empty() { std::slice::from_ref(&plain) } else { &statement.taxes };
    let mut total = 0;
    if statement.lines.is_empty() {
        return (total, carried);
    }
    for row in rows {
        let exact = i128::from(row.priced) + carried;
        let nearest = if row.includes { nearest(exact, row.rate) } else { round_half_even(exact, WHOLE) };
        // What an earlier part left makes none of this one below zero.
        let whole = if row.priced < 0 { nearest } else { nearest.max(0) };
        let with_tax = whole + tax(whole, row.rate);
        carried = exact - if row.includes { with_tax } else { whole } * WHOLE;
        total += with_tax * WHOLE;
    }
    (total, carried)
}

fn tax(whole: i128, rate: i64) -> i128 {
    round_half_even(whole * i128::from(rate), ALL)
}

/// Counts up from below to the amount whose sum with its tax comes nearest.
fn nearest(exact: i128, rate: i64) -> i128 {
    let off = |whole: i128| ((whole + tax(whole, rate)) * WHOLE - exact).abs();
    let mut whole = (exact * ALL).div_euclid((ALL + i128::from(rate)) * WHOLE) - 3;
    while off(whole + 1) < off(whole) {
        whole += 1;
    }
    whole
}
