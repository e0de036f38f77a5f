//! What was used as the model remembers it: every report is kept, and a month is added up when somebody asks.

use billing::{
    money::round_half_even,
    period::{Hour, Month},
};
use std::collections::BTreeMap;

/// What is metered: two counters of calls at the operator's prices, two readings of the business's own events at its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::model) enum Meter {
    Minutes,
    Traffic,
    /// The values of all events.
    Sum,
    /// The greatest of them.
    Peak,
}

/// What a metered price asks for: free until the allowance, then so much a unit.
struct Rate {
    allowance: i128,
    unit: i128,
    micros: i128,
}

impl Meter {
    pub(in crate::model) const ALL: [Self; 4] = [Self::Minutes, Self::Traffic, Self::Sum, Self::Peak];

    fn rate(self) -> Rate {
        match self {
            Self::Minutes => Rate { allowance: 60_000_000, unit: 60_000, micros: 50_000 },
            Self::Traffic => Rate { allowance: 10_000_000_000, unit: 1_000_000_000, micros: 1_000_000 },
            Self::Sum => Rate { allowance: 0, unit: SUM_UNIT.into(), micros: SUM_MICROS.into() },
            Self::Peak => Rate { allowance: 0, unit: 1, micros: PEAK_MICROS.into() },
        }
    }
}

/// The business's own prices: for so many units of the sum, and for each of the peak.
pub(in crate::model) const SUM_UNIT: i64 = 7;
pub(in crate::model) const SUM_MICROS: i64 = 2_000_003;
pub(in crate::model) const PEAK_MICROS: i64 = 300_001;

/// An event that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) struct Event {
    pub(in crate::model) hour: Hour,
    /// Nothing where it only takes another one back.
    pub(in crate::model) value: Option<u64>,
    /// Another one counts in its place.
    pub(in crate::model) is_corrected: bool,
}

#[derive(Debug, Clone, Default)]
pub(in crate::model) struct Used {
    /// Greatest count of leg, meter and hour.
    counters: BTreeMap<(usize, bool, Hour), u64>,
    pub(in crate::model) events: Vec<Event>,
    /// Micros that may be spent in a month.
    pub(in crate::model) cap: Option<i64>,
}

impl Used {
    pub(in crate::model) fn count(&mut self, leg: usize, is_egress: bool, hour: Hour, quantity: u64) {
        let count = self.counters.entry((leg, is_egress, hour)).or_insert(0);
        *count = quantity.max(*count);
    }

    /// Takes an event, and corrects an earlier one by it, unless a cap is in the way. Says whether it did.
    pub(in crate::model) fn take(&mut self, event: Event, corrects: Option<usize>) -> bool {
        let before = self.clone();
        self.events.push(event);
        let mut months = vec![event.hour.month()];
        if let Some(which) = corrects {
            self.events[which].is_corrected = true;
            months.push(self.events[which].hour.month());
        }
        let is_beyond = |month: Month| {
            let spent = self.spent(month);
            spent > before.spent(month) && self.cap.is_some_and(|cap| spent > cap.into())
        };
        if months.into_iter().any(is_beyond) {
            *self = before;
            return false;
        }
        true
    }

    /// What usage of a month costs.
    fn spent(&self, month: Month) -> i128 {
        Meter::ALL.map(|meter| self.costs(month, meter, month.hours().end)).iter().sum()
    }

    /// What usage of a month before an hour costs by one meter.
    pub(in crate::model) fn costs(&self, month: Month, meter: Meter, until: Hour) -> i128 {
        let Rate { allowance, unit, micros } = meter.rate();
        let used = i128::from(self.quantity(month, meter, until));
        round_half_even((used - allowance).max(0) * micros, unit)
    }

    fn quantity(&self, month: Month, meter: Meter, until: Hour) -> u64 {
        let hours = month.hours();
        let is_in = |hour: &Hour| hours.contains(hour) && *hour < until;
        let counted = |egress: bool| {
            let some =
                self.counters.iter().filter(|((_, is_egress, hour), _)| *is_egress == egress && is_in(hour));
            some.map(|(_, quantity)| quantity).sum()
        };
        let counts = |event: &&Event| !event.is_corrected && is_in(&event.hour);
        let values = self.events.iter().filter(counts).filter_map(|event| event.value);
        match meter {
            Meter::Minutes => counted(false),
            Meter::Traffic => counted(true),
            Meter::Sum => values.sum(),
            Meter::Peak => values.max().unwrap_or(0),
        }
    }
}
