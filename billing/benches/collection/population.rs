//! Who pays: people with one to twenty subscriptions of 1 to 99 ¢ a month, who come, go and pay in different ways.
//! Every share is an assumption; they stand here together, to be argued with.

use crate::chance::{Question, draw, happens};

/// Months that are played.
pub(crate) const MONTHS: usize = 36;
/// Callers that one sponsoring business pays for.
const CALLERS_PER_SPONSOR: u64 = 50;

/// How many subscriptions a payer has in a life: (from, to, payers of a hundred).
const HOW_MANY: [(u64, u64, u64); 6] =
    [(1, 1, 35), (2, 2, 20), (3, 3, 12), (4, 5, 13), (6, 10, 12), (11, 20, 8)];
/// What one costs a month: (from, to, subscriptions of a hundred), in cents.
const PRICES: [(u64, u64, u64); 7] =
    [(1, 9, 15), (10, 24, 20), (25, 25, 20), (26, 49, 15), (50, 50, 10), (51, 98, 10), (99, 99, 10)];
/// Subscriptions of ten thousand that end in a month.
const CHURN: u64 = 300;
/// Payers of ten thousand who are there from the first month; the others come over the next two years.
const THERE_AT_FIRST: u64 = 5_000;

/// How people pay where they have the choice, of a hundred; the others have a card that is charged in arrears.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    pub(crate) wallet: u64,
    pub(crate) bank: u64,
    pub(crate) sponsored: u64,
}

/// The only way that most of the field has.
pub(crate) const CARDS_ONLY: Mix = Mix { wallet: 0, bank: 0, sponsored: 0 };

/// How somebody pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Card,
    Bank,
    /// A wallet that fills itself by card, so many cents at a time.
    Wallet(i64),
}

/// Something that costs cents from one month to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subscription {
    pub(crate) cents: i64,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// Somebody who gets one statement a month.
#[derive(Debug, Clone)]
pub(crate) struct Payer {
    pub(crate) name: u64,
    pub(crate) way: Way,
    pub(crate) subscriptions: Vec<Subscription>,
}

impl Payer {
    /// What a month costs.
    pub(crate) fn bill(&self, month: usize) -> i64 {
        self.subscriptions.iter().filter(|one| (one.from..one.to).contains(&month)).map(|one| one.cents).sum()
    }

    /// The first month without any subscription left.
    pub(crate) fn end(&self) -> usize {
        self.subscriptions.iter().map(|one| one.to).max().unwrap_or(0)
    }
}

/// So many people, some of whom have their sponsor pay.
pub(crate) fn people(count: u64, mix: Mix) -> Vec<Payer> {
    let sponsors = (count * mix.sponsored / 100).div_ceil(CALLERS_PER_SPONSOR);
    let mut sponsored: Vec<Payer> =
        (0..sponsors).map(|n| Payer { name: count + n, way: Way::Card, subscriptions: Vec::new() }).collect();
    let mut paying = Vec::new();
    for name in 0..count {
        let subscriptions = subscriptions(name);
        match way(name, mix) {
            Some(way) => paying.push(Payer { name, way, subscriptions }),
            None => {
                let sponsor = draw(name, Question::Sponsor, sponsors) as usize;
                sponsored[sponsor].subscriptions.extend(subscriptions);
            }
        }
    }
    paying.extend(sponsored);
    paying
}

/// `None`: somebody else pays.
fn way(name: u64, mix: Mix) -> Option<Way> {
    let chosen = draw(name, Question::WayToPay, 100);
    let (wallet, bank) = (mix.wallet, mix.wallet + mix.bank);
    match chosen {
        _ if chosen < wallet => Some(Way::Wallet(top_up(name))),
        _ if chosen < bank => Some(Way::Bank),
        _ if chosen < bank + mix.sponsored => None,
        _ => Some(Way::Card),
    }
}

/// $5, $10 or $20.
fn top_up(name: u64) -> i64 {
    *among(name, Question::TopUpSize, &[(500, 50), (1_000, 35), (2_000, 15)])
}

fn subscriptions(name: u64) -> Vec<Subscription> {
    let arrival = if happens(name, Question::Arrival, THERE_AT_FIRST) {
        0
    } else {
        1 + draw(name, Question::Arrival, 24) as usize
    };
    let (from, to) = span(name, Question::HowMany, &HOW_MANY);
    let how_many = from + draw(name, Question::HowMany, to - from + 1);
    (0..how_many).map(|n| subscription(name, n, arrival)).collect()
}

/// The first begins with its payer; half of the others do, too, the rest within the year after.
fn subscription(name: u64, n: u64, arrival: usize) -> Subscription {
    let later = draw(name, Question::Start(n), 24).saturating_sub(11) as usize;
    let from = arrival + if n == 0 { 0 } else { later };
    let ends = (0..MONTHS as u64).find(|month| happens(name, Question::End(n * 64 + month), CHURN));
    let to = ends.map_or(MONTHS, |months| (from + 1 + months as usize).min(MONTHS));
    let (least, most) = span(name, Question::Price(n), &PRICES);
    let cents = least + draw(name, Question::Price(n + 1_000), most - least + 1);
    Subscription { cents: cents as i64, from: from.min(MONTHS), to }
}

fn span(name: u64, question: Question, table: &[(u64, u64, u64)]) -> (u64, u64) {
    let rows: Vec<((u64, u64), u64)> = table.iter().map(|(from, to, share)| ((*from, *to), *share)).collect();
    *among(name, question, &rows)
}

/// One of several things, each with its share of a hundred.
fn among<T>(name: u64, question: Question, table: &[(T, u64)]) -> &T {
    let mut left = draw(name, question, 100);
    let found = table.iter().find(|(_, share)| {
        let is_it = left < *share;
        left = left.saturating_sub(*share);
        is_it
    });
    &found.or(table.last()).expect("a table has rows").0
}
