//! `collection`: what is left of micro-subscriptions after fees, under several policies.
//!
//! A population lives through 36 months; the service's own rules decide when money is asked for. At the end all accounts
//! are closed, so that nothing counts as collected that merely waits: what can be collected still is, the rest is
//! written off. The figures are exact to the cent and the same in every run.
//!
//!     cargo bench -p billing --bench collection -- [--json] [--payers 100000] [--wallet 25] [--bank 10] [--sponsored 15] [--chart]

mod chance;
mod chart;
mod play;
mod population;
#[expect(unreachable_pub, reason = "the file is public in the crate that it lives in")]
#[path = "../../../tests/src/rows.rs"]
#[expect(dead_code, reason = "no figure here has a limit of the machine")]
mod rows;
mod table;

use billing::collection::Policy;
use chart::Series;
use clap::Parser;
use play::{DEFAULT, Outcome, Rule, play};
use population::{CARDS_ONLY, Mix, Payer, people};
use rows::Row;

/// Plays collection policies.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a row.
    #[arg(long)]
    json: bool,
    /// How many people.
    #[arg(long, default_value_t = 100_000)]
    payers: u64,
    /// Of a hundred, who pay from a wallet.
    #[arg(long, default_value_t = 25)]
    wallet: u64,
    /// Of a hundred, whose bank account is debited.
    #[arg(long, default_value_t = 10)]
    bank: u64,
    /// Of a hundred, for whom a business pays.
    #[arg(long, default_value_t = 15)]
    sponsored: u64,
    /// Draw the frontier into the documents.
    #[arg(long)]
    chart: bool,
    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One policy and what came of it.
#[derive(Debug)]
pub(crate) struct Played {
    name: String,
    outcome: Outcome,
}

/// Where docs/billing.md looks for it.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/collection.svg");

/// The frontier: each ratio with each age.
const RATIOS: [i64; 6] = [5, 8, 10, 15, 20, 30];
const AGES: [i64; 3] = [3, 12, 24];
/// As soon as the processor takes it.
const AT_ONCE: Rule = Rule::Tab(Policy { fee_percent_max: 1_000, age_months_max: 0 });

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let mix = Mix { wallet: arguments.wallet, bank: arguments.bank, sponsored: arguments.sponsored };
    let (cards, mixed) = (people(arguments.payers, CARDS_ONLY), people(arguments.payers, mix));
    let policies = [
        ("each subscription, every month", Rule::EachSubscription, &cards),
        ("one statement, every month", AT_ONCE, &cards),
        ("fee 10 % or 12 months, cards", DEFAULT, &cards),
        ("the default: and wallets, banks, sponsors", DEFAULT, &mixed),
    ];
    let played =
        policies.map(|(name, rule, people)| Played { name: name.to_owned(), outcome: all(people, rule) });
    let default = &played[3].outcome;
    if !arguments.json {
        table::print(&played);
    }
    if arguments.chart {
        std::fs::write(CHART, chart(&cards, &mixed, &played[3]))?;
    }
    rows::print(&rows(default), arguments.json);
    Ok(())
}

fn rows(default: &Outcome) -> Vec<Row> {
    let missed = 100.0 - table::collected_share(default);
    vec![
        Row::at_most("collection", "collection_fee_share", table::fee_share(default), "%", 9.0),
        Row::plain("collection", "collection_collected_share", table::collected_share(default), "%"),
        Row::at_most("collection", "collection_missed_share", missed, "%", 2.0),
    ]
}

fn all(people: &[Payer], rule: Rule) -> Outcome {
    let mut sum = Outcome::default();
    people.iter().for_each(|payer| sum.add(&play(payer, rule)));
    sum
}

/// Every ratio with every age, over a fifth of the people.
fn chart(cards: &[Payer], mixed: &[Payer], default: &Played) -> String {
    let kinds = [("cards", cards), ("mixed", mixed)];
    let lines: Vec<(&str, i64, Vec<Played>)> = kinds
        .iter()
        .flat_map(|(kind, people)| AGES.iter().map(|age| (*kind, *age, frontier(people, *age))))
        .collect();
    let series: Vec<Series<'_>> = lines
        .iter()
        .map(|(kind, age, points)| Series { name: format!("{kind}, {age} months"), class: kind, points })
        .collect();
    chart::svg(&series, default)
}

fn frontier(people: &[Payer], age: i64) -> Vec<Played> {
    let some: Vec<Payer> = people.iter().step_by(5).cloned().collect();
    let point = |ratio: &i64| {
        let policy = Policy { fee_percent_max: *ratio, age_months_max: age };
        Played { name: format!("fee {ratio} % at most"), outcome: all(&some, Rule::Tab(policy)) }
    };
    RATIOS.iter().map(point).collect()
}
