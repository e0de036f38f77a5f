//! What is sold only beside a plan of the same vendor.

use super::{Catalogue, History, Offer, Phase};
use crate::{ids::SubscriptionId, period::Hour};
use std::collections::BTreeSet;

/// The add-ons among an account's subscriptions that could be used in some hour from `now` on in which no plan of their
/// vendor can: they would be paid and add to nothing.
pub fn left_alone(
    held: &[(SubscriptionId, &History)],
    catalogue: &Catalogue,
    now: Hour,
) -> BTreeSet<SubscriptionId> {
    let timelines: Vec<(SubscriptionId, Vec<Phase>)> =
        held.iter().map(|(id, history)| (*id, history.timeline())).collect();
    let phases = timelines.iter().flat_map(|(_, timeline)| timeline);
    let hours: BTreeSet<Hour> = phases.map(|phase| phase.from.max(now)).collect();
    hours.into_iter().flat_map(|hour| left_alone_at(&timelines, catalogue, hour)).collect()
}

fn left_alone_at(
    timelines: &[(SubscriptionId, Vec<Phase>)],
    catalogue: &Catalogue,
    hour: Hour,
) -> Vec<SubscriptionId> {
    let usable = |(id, timeline): &(SubscriptionId, Vec<Phase>)| {
        let phase = timeline.iter().rfind(|phase| phase.from <= hour)?;
        Some((*id, catalogue.get(&phase.plan).filter(|_| phase.state.is_usable())?))
    };
    let offers: Vec<(SubscriptionId, &Offer)> = timelines.iter().filter_map(usable).collect();
    let has_base = |vendor| offers.iter().any(|(_, offer)| !offer.is_add_on && offer.vendor_id == vendor);
    let is_alone = |(_, offer): &&(SubscriptionId, &Offer)| offer.is_add_on && !has_base(offer.vendor_id);
    offers.iter().filter(is_alone).map(|(id, _)| *id).collect()
}
