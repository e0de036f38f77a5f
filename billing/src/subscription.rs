//! An account on a plan, from an hour to an hour.

mod add_on;
mod history;
mod preview;

pub use add_on::left_alone;
pub use history::{Catalogue, Change, ChangeRefused, History, Offer, Patch, Phase, State, When};
pub use preview::{Cost, Preview, preview};

use crate::{
    ids::{PlanId, SubscriptionId, VendorId},
    period::{Hour, Month},
    price::{Price, Quantities},
    tax::TaxTerms,
};
use std::ops::Range;

/// A stretch of time in which an account pays one plan version's prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name.
    pub subscription_id: SubscriptionId,
    /// Who sells it.
    pub vendor_id: VendorId,
    /// Which plan.
    pub plan_id: PlanId,
    /// What the plan is called.
    pub plan: String,
    /// How its prices stand to tax.
    pub tax: TaxTerms,
    /// The first hour that is paid.
    pub starts: Hour,
    /// The first hour that is not.
    pub ends: Option<Hour>,
    /// In the order of the plan version.
    pub prices: Vec<Price>,
    /// What changed on the way, in order. Before the first of them it is paid, and nothing is held that is counted.
    pub terms: Vec<Terms>,
}

/// How a subscription is from an hour on, until the next ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The first hour.
    pub from: Hour,
    /// Is it paid, and by this account? Not while it is paused, on trial, on another plan or sponsored.
    pub is_paid: bool,
    /// How many of each item are held.
    pub held: Quantities,
}

/// Hours of a month that are paid alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Which.
    pub hours: Range<Hour>,
    /// How many of each item are held.
    pub held: Quantities,
}

impl Subscription {
    /// The paid hours of a month that have begun before `until`, in order; none are empty.
    pub fn stretches(&self, month: Month, until: Hour) -> Vec<Stretch> {
        let Range { start, end } = month.hours();
        let (start, end) = (start.max(self.starts), self.ends.unwrap_or(end).min(end).min(until));
        let plain = Terms { from: self.starts, is_paid: true, held: Quantities::default() };
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut terms = std::iter::once(&plain).chain(&self.terms).peekable();
        while let Some(these) = terms.next() {
            let next = terms.peek().map_or(end, |next| next.from);
            let hours = these.from.max(start)..next.min(end);
            if these.is_paid && hours.start < hours.end {
                stretches.push(Stretch { hours, held: these.held });
            }
        }
        stretches
    }
}

#[cfg(test)]
pub(crate) mod tests;
