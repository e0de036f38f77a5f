//! The model: what is paid is written down hour by hour, and a month is the sum of its hours.

use billing::{
    money::round_half_even,
    period::{Hour, Month},
};
use std::collections::BTreeMap;

/// As far as anybody looks ahead: hours.
const HORIZON: usize = 24 * 31 * 30;
/// Micros in a cent.
const CENT: i128 = 1_000_000;

/// What a subscription is in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InAnHour {
    pub(super) state: State,
    /// Micros a month.
    pub(super) sticker: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    NotYet,
    Active,
    Paused,
    Ended,
}

/// A subscription at a price a month, hour by hour.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    first: Hour,
    hours: Vec<InAnHour>,
}

impl Remembered {
    /// The hours from one on, once it has begun there.
    pub(super) fn starting(first: Hour, at: Hour, sticker: i64) -> Self {
        let nothing = InAnHour { state: State::NotYet, sticker: 0 };
        let mut all = Self { first, hours: vec![nothing; HORIZON] };
        all.from(at, |hour| *hour = InAnHour { state: State::Active, sticker });
        all
    }

    pub(super) fn at(&self, hour: Hour) -> InAnHour {
        self.hours[self.place(hour)]
    }

    fn place(&self, hour: Hour) -> usize {
        usize::try_from(hour.0 - self.first.0).expect("not before the beginning")
    }

    /// Changes every hour from one on.
    pub(super) fn from(&mut self, hour: Hour, change: impl FnMut(&mut InAnHour)) {
        let place = self.place(hour);
        self.hours[place..].iter_mut().for_each(change);
    }

    /// Another price: what is dearer counts from one hour on, what is cheaper from another.
    pub(super) fn price(&mut self, raises: Hour, lowers: Hour, sticker: i64) {
        let is_open = |hour: &InAnHour| hour.state != State::Ended;
        self.from(raises, |hour| {
            if is_open(hour) {
                hour.sticker = hour.sticker.max(sticker);
            }
        });
        self.from(lowers, |hour| {
            if is_open(hour) {
                hour.sticker = sticker;
            }
        });
    }

    /// Goes on after a pause, or beyond its end. False if there is neither.
    pub(super) fn resume(&mut self, now: Hour, next: Hour) -> bool {
        let paused = [now, next].into_iter().find(|hour| self.at(*hour).state == State::Paused);
        if let Some(from) = paused {
            self.from(from, |hour| {
                if hour.state == State::Paused {
                    hour.state = State::Active;
                }
            });
            return true;
        }
        let Some(end) = self.hours.iter().position(|hour| hour.state == State::Ended) else { return false };
        let last = self.hours[end - 1];
        self.hours[end..].fill(last);
        true
    }

    /// What the hours of a month before another come to, rounded once.
    fn comes_to(&self, month: Month, until: Hour) -> i128 {
        let length = i128::from(month.length());
        let mut sum: Option<(i128, i128)> = None; // where its first paid hour lies on the way, and where it is now
        for hour in (month.hours().start.0..month.hours().end.0.min(until.0)).map(Hour) {
            if hour < self.first {
                continue;
            }
            let InAnHour { state, sticker } = self.at(hour);
            if state == State::Active {
                let begun = i128::from(sticker) * i128::from(hour.0 - month.first().0);
                let (_, now) = sum.get_or_insert((begun, begun));
                *now += i128::from(sticker);
            }
        }
        sum.map_or(0, |(begun, now)| round_half_even(now, length) - round_half_even(begun, length))
    }
}

/// What a metered price of the business plan asks for: free until the allowance, then so much a unit.
struct Rate {
    allowance: i128,
    unit: i128,
    micros: i128,
}

const MINUTES: Rate = Rate { allowance: 60_000_000, unit: 60_000, micros: 50_000 };
const TRAFFIC: Rate = Rate { allowance: 10_000_000_000, unit: 1_000_000_000, micros: 1_000_000 };

impl Rate {
    fn of(&self, used: u64) -> i128 {
        round_half_even((i128::from(used) - self.allowance).max(0) * self.micros, self.unit)
    }
}

/// A month as its statement ought to say it, in micros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) subtotal: i64,
    pub(super) carried_in: i64,
    pub(super) total: i64,
    pub(super) carried_out: i64,
}

/// Everything that has happened.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) first: Hour,
    pub(super) now: Hour,
    pub(super) subscriptions: Vec<Remembered>,
    /// Greatest count of leg, meter and hour.
    counters: BTreeMap<(usize, bool, Hour), u64>,
    /// Final months in order.
    pub(super) finals: Vec<(Month, Sum)>,
    /// What usage was billed for a month, by meter, whenever it was.
    billed: BTreeMap<(Month, bool), i128>,
}

impl Memory {
    pub(super) fn starting(first: Hour) -> Self {
        Self {
            first,
            now: first,
            subscriptions: Vec::new(),
            counters: BTreeMap::new(),
            finals: Vec::new(),
            billed: BTreeMap::new(),
        }
    }

    pub(super) fn count(&mut self, leg: usize, is_egress: bool, hour: Hour, quantity: u64) {
        let count = self.counters.entry((leg, is_egress, hour)).or_insert(0);
        *count = quantity.max(*count);
    }

    /// The month after the last final one.
    pub(super) fn open(&self) -> Month {
        self.finals.last().map_or(self.first.month(), |(last, _)| last.next())
    }

    pub(super) fn owed(&self) -> i64 {
        self.finals.iter().map(|(_, sum)| sum.total).sum()
    }

    pub(super) fn revenue(&self) -> i64 {
        self.finals.iter().map(|(_, sum)| sum.subtotal).sum()
    }

    /// Makes every month final that is over.
    pub(super) fn close(&mut self) {
        while self.open().hours().end <= self.now {
            let month = self.open();
            let sum = self.sum(month, month.hours().end);
            for (late, _) in self.finals.clone().into_iter().chain([(month, sum)]) {
                for is_egress in [false, true] {
                    self.billed.insert((late, is_egress), self.used(late, is_egress, late.hours().end));
                }
            }
            self.finals.push((month, sum));
        }
    }

    /// The open month as it stands, or as it ends.
    pub(super) fn sum(&self, month: Month, until: Hour) -> Sum {
        let recurring: i128 = self.subscriptions.iter().map(|it| it.comes_to(month, until)).sum();
        let metered: i128 = [false, true].map(|meter| self.used(month, meter, until)).iter().sum();
        let late: i128 = self
            .billed
            .iter()
            .map(|((late, meter), billed)| self.used(*late, *meter, late.hours().end) - billed)
            .sum();
        let subtotal = recurring + metered + late;
        let carried_in = self.finals.last().map_or(0, |(_, last)| i128::from(last.carried_out));
        let total = round_half_even(subtotal + carried_in, CENT) * CENT;
        let small = |micros: i128| i64::try_from(micros).expect("small");
        Sum {
            subtotal: small(subtotal),
            carried_in: small(carried_in),
            total: small(total),
            carried_out: small(subtotal + carried_in - total),
        }
    }

    /// What usage of a month before an hour costs.
    fn used(&self, month: Month, is_egress: bool, until: Hour) -> i128 {
        let hours = month.hours();
        let of_month = self.counters.iter().filter(|((_, meter, hour), _)| {
            *meter == is_egress && hours.contains(hour) && *hour < until && *hour >= self.first
        });
        let rate = if is_egress { TRAFFIC } else { MINUTES };
        rate.of(of_month.map(|(_, quantity)| quantity).sum())
    }
}
