//! How a subscription came to be as it is: decisions, each from an hour on, which are only ever added to.
//!
//! What holds at an hour is what the last decision about it says. A change keeps what was decided about later hours
//! before, but for what it changes itself: seats that are added today are there after a change of plan that was put off
//! to the end of the month, too.
//!
//! An hour that has begun is paid. So what makes a subscription dearer counts from the hour in progress, and what makes
//! it cheaper from the next one; nobody pays less by changing twice within an hour.

use super::{Subscription, Terms};
use crate::{
    currency::Currency,
    ids::{AccountId, PlanId, PlanVersionId, SubscriptionId, VendorId},
    period::{Hour, Month},
    price::{Item, Price, Pricing, Quantities},
    tax::TaxTerms,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, str::FromStr};
use utoipa::ToSchema;

/// As many decisions as one subscription remembers.
const DECISIONS_MAX: usize = 1_000;

/// In what state a subscription is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It can be used and costs nothing.
    Trial,
    /// It can be used and is paid.
    Active,
    /// It cannot be used and costs nothing.
    Paused,
    /// It is over, for good.
    Ended,
}

/// A state that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no state {0:?}")]
pub struct UnknownState(pub String);

impl State {
    /// The name in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Trial => "trial",
            State::Active => "active",
            State::Paused => "paused",
            State::Ended => "ended",
        }
    }

    /// May what the plan holds be used?
    pub fn is_usable(self) -> bool {
        matches!(self, State::Trial | State::Active)
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        match name {
            "trial" => Ok(State::Trial),
            "active" => Ok(State::Active),
            "paused" => Ok(State::Paused),
            "ended" => Ok(State::Ended),
            other => Err(UnknownState(other.to_owned())),
        }
    }
}

/// A decision: how a subscription is from an hour on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// The first hour.
    pub from: Hour,
    /// In what state.
    pub state: State,
    /// On which price list.
    pub plan: PlanVersionId,
    /// Who pays: the holder, or a sponsor.
    pub payer: AccountId,
    /// How many of each item are held.
    pub held: Quantities,
}

/// What a plan version offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Who sells it.
    pub vendor_id: VendorId,
    /// Which plan.
    pub plan_id: PlanId,
    /// What the plan is called.
    pub plan: String,
    /// In what it is paid.
    pub currency: Currency,
    /// How its prices stand to tax.
    pub tax: TaxTerms,
    /// So many days cost nothing, once for an account and plan.
    pub trial_days: u32,
    /// Only beside a plan that is none.
    pub is_add_on: bool,
    /// In their order.
    pub prices: Vec<Price>,
}

impl Offer {
    /// Does any price count this item?
    pub fn counts(&self, item: Item) -> bool {
        self.prices
            .iter()
            .any(|price| matches!(&price.pricing, Pricing::Counted(counted) if counted.item == item))
    }

    /// Does any price look at usage?
    pub fn is_metered(&self) -> bool {
        self.prices.iter().any(|price| price.meter().is_some())
    }

    /// Whether these numbers fit what is counted.
    fn check(&self, held: Patch) -> Result<(), ChangeRefused> {
        for item in Item::ALL {
            match held.of(item) {
                Some(count) if count > Quantities::MAX => return Err(ChangeRefused::TooMany(item)),
                Some(count) if count > 0 && !self.counts(item) => {
                    return Err(ChangeRefused::NotCounted(item));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What can be subscribed to.
pub type Catalogue = BTreeMap<PlanVersionId, Offer>;

/// When a change takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// With the hour in progress, or the next one where it makes the subscription cheaper.
    #[default]
    Now,
    /// When the calendar month ends.
    PeriodEnd,
}

/// How many of which items shall be held; what is left out stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Patch {
    /// For members of the business.
    #[schema(maximum = 1_000_000)]
    pub seats: Option<u32>,
    /// Places to meet.
    #[schema(maximum = 1_000_000)]
    pub rooms: Option<u32>,
    /// Where messages are left.
    #[schema(maximum = 1_000_000)]
    pub mailboxes: Option<u32>,
}

impl Patch {
    fn of(self, item: Item) -> Option<u32> {
        match item {
            Item::Seat => self.seats,
            Item::Room => self.rooms,
            Item::Mailbox => self.mailboxes,
        }
    }

    fn over(self, held: Quantities) -> Quantities {
        Quantities {
            seats: self.seats.unwrap_or(held.seats),
            rooms: self.rooms.unwrap_or(held.rooms),
            mailboxes: self.mailboxes.unwrap_or(held.mailboxes),
        }
    }
}

/// What somebody wants of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// Another plan, another number of seats, rooms or mailboxes, or both.
    Change {
        /// Another plan, or another version of it.
        #[serde(default)]
        plan_version_id: Option<PlanVersionId>,
        /// Other numbers.
        #[serde(default)]
        quantities: Patch,
        /// From when on.
        #[serde(default)]
        when: When,
    },
    /// It costs nothing and cannot be used, from the next hour until it is resumed.
    Pause {},
    /// It goes on: after a pause with the hour in progress, or beyond an end that was decided but has not come.
    Resume {},
    /// It ends: with the hour in progress, or with the month.
    Cancel {
        /// When it ends.
        #[serde(default)]
        when: When,
    },
    /// Somebody else pays from the next hour on, or the holder again.
    Sponsor {
        /// Who pays.
        account_id: AccountId,
    },
}

/// Why a change is not made. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefused {
    /// For good.
    #[error("the subscription is over, or ends with this hour; start another one")]
    Ended,
    /// A second end.
    #[error("the subscription ends at {0} already")]
    EndsAlready(Timestamp),
    /// A second pause.
    #[error("the subscription is paused already")]
    Paused,
    /// There would be nothing to gain.
    #[error("a trial costs nothing and is not paused; it can be cancelled")]
    OnTrial,
    /// Neither paused nor about to end.
    #[error("the subscription is neither paused nor about to end")]
    NotPaused,
    /// The same again.
    #[error("nothing would change")]
    NothingChanges,
    /// Not in the catalogue, or not for this tenant.
    #[error("there is no plan version {0}")]
    NoSuchPlan(PlanVersionId),
    /// The payer's books are in one currency.
    #[error("the plan is in {plan}, but the account pays in {account}")]
    AnotherCurrency {
        /// Of the plan version.
        plan: Currency,
        /// Of the account that pays.
        account: Currency,
    },
    /// The plan does not price them.
    #[error("{0}: the plan has no price for them")]
    NotCounted(Item),
    /// More than anybody needs.
    #[error("{0}: 1,000,000 at most")]
    TooMany(Item),
    /// Nobody would know how many to charge.
    #[error("{0}: the plan is priced by them, so say how many")]
    Missing(Item),
    /// Usage is counted for the business as a whole.
    #[error("the plan has metered prices, and usage is measured for the business only")]
    MeteredForAPerson,
    /// An add-on adds to something.
    #[error("an add-on is for accounts with a subscription of the same vendor")]
    NothingToAddTo,
    /// Add-ons would be paid and add to nothing.
    #[error(
        "{} {} to it and would be left without it; end or pause them no later than it",
        among(.0), if .0.len() == 1 { "is an add-on" } else { "are add-ons" }
    )]
    AddOnsLeft(Vec<SubscriptionId>),
    /// A history must not grow for ever.
    #[error("the subscription has been changed 1,000 times; start another one")]
    TooManyChanges,
}

fn among(ids: &[SubscriptionId]) -> String {
    let ids: Vec<String> = ids.iter().map(SubscriptionId::to_string).collect();
    format!("{} {}", if ids.len() == 1 { "subscription" } else { "subscriptions" }, ids.join(", "))
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Item::Seat => "seats",
            Item::Room => "rooms",
            Item::Mailbox => "mailboxes",
        })
    }
}

/// All decisions about a subscription, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History(Vec<Phase>);

impl History {
    /// As it is kept: at least how the subscription began.
    pub fn new(decisions: Vec<Phase>) -> Self {
        Self(decisions)
    }

    /// Begins a subscription with the hour in progress; `is_first` gives it the plan's trial.
    pub fn start(
        plan: PlanVersionId,
        offer: &Offer,
        payer: AccountId,
        held: Patch,
        is_first: bool,
        at: Timestamp,
    ) -> Result<Self, ChangeRefused> {
        offer.check(held)?;
        let missing = Item::ALL.into_iter().find(|item| offer.counts(*item) && held.of(*item).is_none());
        if let Some(item) = missing {
            return Err(ChangeRefused::Missing(item));
        }
        let from = Hour::of(at);
        let paid = Phase { from, state: State::Active, plan, payer, held: held.over(Quantities::default()) };
        if !is_first || offer.trial_days == 0 {
            return Ok(Self(vec![paid]));
        }
        let trial = Phase { state: State::Trial, ..paid };
        Ok(Self(vec![trial, Phase { from: Hour(from.0 + 24 * i64::from(offer.trial_days)), ..paid }]))
    }

    /// The decisions as they were made.
    pub fn decisions(&self) -> &[Phase] {
        &self.0
    }

    /// What holds when: the decisions that later ones did not overrule, by their hours.
    pub fn timeline(&self) -> Vec<Phase> {
        let mut timeline: Vec<Phase> = Vec::new();
        for decision in &self.0 {
            timeline.retain(|earlier| earlier.from < decision.from);
            timeline.push(*decision);
        }
        timeline
    }

    /// How the subscription is in an hour; `None` before it began.
    pub fn at(&self, hour: Hour) -> Option<Phase> {
        self.timeline().into_iter().rfind(|phase| phase.from <= hour)
    }

    /// With further decisions.
    pub fn with(&self, decided: &[Phase]) -> Self {
        Self(self.0.iter().chain(decided).copied().collect())
    }

    /// What a change comes to: the decisions to add. `at` is the tenant's time.
    pub fn decide(
        &self,
        change: Change,
        catalogue: &Catalogue,
        at: Timestamp,
    ) -> Result<Vec<Phase>, ChangeRefused> {
        let before = self.timeline();
        let now = Hour::of(at);
        let next = Hour(now.0 + 1);
        if in_force(&before, next).is_none_or(|phase| phase.state == State::Ended) {
            return Err(ChangeRefused::Ended);
        }
        let period_end = Month::of(at).next().first();
        let after = match change {
            Change::Change { plan_version_id, quantities, when } => {
                let (raises, lowers) = if when == When::Now { (now, next) } else { (period_end, period_end) };
                let plan = plan_version_id;
                let terms = terms_then(&before, raises, plan, quantities, catalogue)?;
                let raised = edited(&before, raises, |phase| {
                    phase.plan = plan.unwrap_or(phase.plan);
                    phase.held = terms.over(phase.held).max(phase.held);
                });
                edited(&raised, lowers, |phase| phase.held = terms.over(phase.held))
            }
            Change::Pause {} => pause(&before, next)?,
            Change::Resume {} => resume(&before, now)?,
            Change::Cancel { when } => cancel(&before, if when == When::Now { next } else { period_end })?,
            Change::Sponsor { account_id } => edited(&before, next, |phase| phase.payer = account_id),
        };
        let first_new = after.iter().zip(&before).take_while(|(after, before)| after == before).count();
        let decided = after[first_new..].to_vec();
        if decided.is_empty() {
            return Err(ChangeRefused::NothingChanges);
        }
        if self.0.len() + decided.len() > DECISIONS_MAX {
            return Err(ChangeRefused::TooManyChanges);
        }
        Ok(decided)
    }

    /// What of it one account pays, or everybody together: once for each plan version that it was on.
    pub fn subscriptions(
        &self,
        subscription_id: SubscriptionId,
        payer: Option<AccountId>,
        catalogue: &Catalogue,
    ) -> Vec<Subscription> {
        let timeline = self.timeline();
        let mut plans: Vec<PlanVersionId> = Vec::new();
        for phase in timeline.iter().filter(|phase| phase.state != State::Ended) {
            if !plans.contains(&phase.plan) {
                plans.push(phase.plan);
            }
        }
        let paid = plans.into_iter().filter_map(|plan| {
            let offer = catalogue.get(&plan)?;
            let is_paid = |phase: &Phase| {
                phase.plan == plan
                    && phase.state == State::Active
                    && payer.is_none_or(|payer| payer == phase.payer)
            };
            let first = timeline.iter().position(is_paid)?;
            let after = timeline.iter().rposition(is_paid)? + 1;
            let terms = timeline[first..after].iter();
            Some(Subscription {
                subscription_id,
                vendor_id: offer.vendor_id,
                plan_id: offer.plan_id,
                plan: offer.plan.clone(),
                tax: offer.tax,
                starts: timeline[first].from,
                ends: timeline.get(after).map(|phase| phase.from),
                prices: offer.prices.clone(),
                terms: terms
                    .map(|phase| Terms { from: phase.from, is_paid: is_paid(phase), held: phase.held })
                    .collect(),
            })
        });
        paid.collect()
    }
}

fn in_force(timeline: &[Phase], hour: Hour) -> Option<Phase> {
    timeline.iter().rfind(|phase| phase.from <= hour).copied()
}

/// A timeline with everything from an hour on edited, its end excepted.
fn edited(timeline: &[Phase], from: Hour, edit: impl Fn(&mut Phase)) -> Vec<Phase> {
    let (mut all, later): (Vec<Phase>, Vec<Phase>) =
        timeline.iter().copied().partition(|phase| phase.from < from);
    let begins = later.first().is_some_and(|phase| phase.from == from);
    let going_on = all.last().filter(|_| !begins).map(|phase| Phase { from, ..*phase });
    for mut phase in going_on.into_iter().chain(later) {
        if phase.state != State::Ended {
            edit(&mut phase);
        }
        // An hour in which nothing changes is no decision; but one that takes back what began with it is.
        let is_same = all.last().is_some_and(|last| Phase { from: phase.from, ..*last } == phase);
        if !is_same || begins || phase.from > from {
            all.push(phase);
        }
    }
    all
}

/// The numbers that are wanted, if the plan of that hour prices them.
fn terms_then(
    before: &[Phase],
    from: Hour,
    plan: Option<PlanVersionId>,
    quantities: Patch,
    catalogue: &Catalogue,
) -> Result<Patch, ChangeRefused> {
    let current = in_force(before, from).filter(|phase| phase.state != State::Ended);
    let plan = plan.unwrap_or(current.ok_or_else(|| ends_already(before))?.plan);
    catalogue.get(&plan).ok_or(ChangeRefused::NoSuchPlan(plan))?.check(quantities)?;
    Ok(quantities)
}

fn pause(before: &[Phase], from: Hour) -> Result<Vec<Phase>, ChangeRefused> {
    match in_force(before, from).map(|phase| phase.state) {
        Some(State::Paused) => Err(ChangeRefused::Paused),
        Some(State::Trial) => Err(ChangeRefused::OnTrial),
        _ => Ok(edited(before, from, |phase| phase.state = State::Paused)),
    }
}

fn resume(before: &[Phase], now: Hour) -> Result<Vec<Phase>, ChangeRefused> {
    let is_paused = |hour| in_force(before, hour).is_some_and(|phase| phase.state == State::Paused);
    let next = Hour(now.0 + 1);
    if is_paused(now) || is_paused(next) {
        let from = if is_paused(now) { now } else { next };
        return Ok(edited(before, from, |phase| {
            if phase.state == State::Paused {
                phase.state = State::Active;
            }
        }));
    }
    match before {
        [.., last, end] if end.state == State::Ended => {
            let goes_on = Phase { from: end.from, ..*last };
            Ok(before[..before.len() - 1].iter().copied().chain([goes_on]).collect())
        }
        _ => Err(ChangeRefused::NotPaused),
    }
}

fn cancel(before: &[Phase], from: Hour) -> Result<Vec<Phase>, ChangeRefused> {
    let mut after: Vec<Phase> = before.iter().copied().filter(|phase| phase.from < from).collect();
    // What is held or paid may have changed since an end was decided; it is the same end.
    let ends_then = before.iter().any(|phase| phase.from == from && phase.state == State::Ended);
    match after.last() {
        Some(last) if last.state != State::Ended && !ends_then => {
            after.push(Phase { from, state: State::Ended, ..*last });
            Ok(after)
        }
        _ => Err(ends_already(before)),
    }
}

fn ends_already(timeline: &[Phase]) -> ChangeRefused {
    let end = timeline.iter().find(|phase| phase.state == State::Ended);
    end.map_or(ChangeRefused::Ended, |end| ChangeRefused::EndsAlready(end.from.start()))
}
