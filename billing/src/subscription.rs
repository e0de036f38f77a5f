//! An account on a plan, from an hour to an hour.

use crate::{
    ids::{SubscriptionId, VendorId},
    period::{Hour, Month},
    price::Price,
};
use std::ops::Range;

/// A stretch of time in which an account pays one plan version's prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name.
    pub subscription_id: SubscriptionId,
    /// Who sells it.
    pub vendor_id: VendorId,
    /// What the plan is called.
    pub plan: String,
    /// The first hour that is paid.
    pub starts: Hour,
    /// The first hour that is not.
    pub ends: Option<Hour>,
    /// In the order of the plan version.
    pub prices: Vec<Price>,
}

impl Subscription {
    /// Its hours in a month that have begun before `until`; `None` if there are none.
    pub fn hours(&self, month: Month, until: Hour) -> Option<Range<Hour>> {
        let Range { start, end } = month.hours();
        let start = start.max(self.starts);
        let end = self.ends.unwrap_or(end).min(end).min(until);
        (start < end).then_some(start..end)
    }
}
