//! Subscriptions as the model remembers them: written down hour by hour, and a month is the sum of its hours.

use super::Meter;
use billing::{
    ids::SubscriptionId,
    money::round_half_even,
    period::{Hour, Month},
};

/// As far as anybody looks ahead: hours.
const HORIZON: usize = 24 * 31 * 30;

/// What a subscription is in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) struct InAnHour {
    pub(in crate::model) state: State,
    /// Micros a month.
    pub(in crate::model) sticker: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum State {
    NotYet,
    Active,
    Paused,
    Ended,
}

/// What is sold by a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Plan {
    /// The operator's: a price a month, and calls.
    Business,
    /// The business's own events.
    Events,
    /// A price a month.
    Own,
}

/// A subscription, hour by hour.
#[derive(Debug, Clone)]
pub(in crate::model) struct Remembered {
    /// Of those that begin in the same hour, the one with the smaller name comes first.
    id: SubscriptionId,
    begins: Hour,
    plan: Plan,
    first: Hour,
    hours: Vec<InAnHour>,
}

impl Remembered {
    /// The hours from one on, once it has begun there.
    pub(in crate::model) fn starting(
        (id, plan): (SubscriptionId, Plan),
        first: Hour,
        begins: Hour,
        sticker: i64,
    ) -> Self {
        let nothing = InAnHour { state: State::NotYet, sticker: 0 };
        let mut all = Self { id, begins, plan, first, hours: vec![nothing; HORIZON] };
        all.from(begins, |hour| *hour = InAnHour { state: State::Active, sticker });
        all
    }

    /// What subscriptions are listed by.
    pub(super) fn age(&self) -> (Hour, SubscriptionId) {
        (self.begins, self.id)
    }

    pub(super) fn is_own(&self) -> bool {
        self.plan != Plan::Business
    }

    pub(super) fn is_recurring(&self) -> bool {
        self.plan != Plan::Events
    }

    pub(super) fn meters(&self) -> &'static [Meter] {
        match self.plan {
            Plan::Business => &[Meter::Minutes, Meter::Traffic],
            Plan::Events => &[Meter::Sum, Meter::Peak],
            Plan::Own => &[],
        }
    }

    pub(in crate::model) fn at(&self, hour: Hour) -> InAnHour {
        self.hours[self.place(hour)]
    }

    fn place(&self, hour: Hour) -> usize {
        usize::try_from(hour.0 - self.first.0).expect("not before the beginning")
    }

    /// Changes every hour from one on.
    pub(in crate::model) fn from(&mut self, hour: Hour, change: impl FnMut(&mut InAnHour)) {
        let place = self.place(hour);
        self.hours[place..].iter_mut().for_each(change);
    }

    /// Another price: what is dearer counts from one hour on, what is cheaper from another.
    pub(in crate::model) fn price(&mut self, raises: Hour, lowers: Hour, sticker: i64) {
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
    pub(in crate::model) fn resume(&mut self, now: Hour, next: Hour) -> bool {
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
    pub(in crate::model) fn comes_to(&self, month: Month, until: Hour) -> i128 {
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
