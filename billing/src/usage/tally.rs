//! What a meter comes to over some hours, by the way it aggregates.
//!
//! An hour has a tally, and the tally of several hours is theirs put one after the other. A price sees the quantity of the
//! tally of the paid hours of the month so far, whatever the aggregation; an hour costs what its tally changes of the
//! price. So hours add up to the month exactly for all of them.

use std::collections::BTreeSet;

/// Microseconds of an hour: a level that is held for so long counts once.
const HOUR_MICROS: i128 = 3_600_000_000;

/// What was counted in an hour, or in several that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tally {
    /// Nothing yet.
    #[default]
    Nothing,
    /// All of it, added.
    Sum(i64),
    /// The greatest of it.
    Maximum(i64),
    /// The last of it.
    Latest(i64),
    /// How many different ones; of each 128 bits of a hash.
    Unique(BTreeSet<u128>),
    /// What was held, times how long, in microseconds: counted in whole hours, a begun one not at all.
    TimeWeighted(i128),
}

impl Tally {
    /// Puts later hours behind these. Tallies of one meter are all of one kind.
    pub fn then(&mut self, later: &Self) {
        match (&mut *self, later) {
            (_, Tally::Nothing) => {}
            (Tally::Sum(sum), Tally::Sum(more)) => *sum = sum.saturating_add(*more),
            (Tally::Maximum(most), Tally::Maximum(more)) => *most = (*most).max(*more),
            (Tally::Unique(all), Tally::Unique(more)) => all.extend(more),
            (Tally::TimeWeighted(held), Tally::TimeWeighted(more)) => *held = held.saturating_add(*more),
            (this, later) => *this = later.clone(),
        }
    }

    /// What a price sees.
    pub fn quantity(&self) -> i64 {
        match self {
            Tally::Nothing => 0,
            Tally::Sum(quantity) | Tally::Maximum(quantity) | Tally::Latest(quantity) => *quantity,
            Tally::Unique(all) => i64::try_from(all.len()).unwrap_or(i64::MAX),
            Tally::TimeWeighted(held) => i64::try_from(held.div_euclid(HOUR_MICROS)).unwrap_or(i64::MAX),
        }
    }
}
