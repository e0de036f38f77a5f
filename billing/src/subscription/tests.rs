//! A table says what each change does; properties say what holds after any number of them.

use super::*;
use crate::{
    charge,
    currency::Currency,
    ids::{AccountId, PlanVersionId, PriceId},
    money::{Money, round_half_even},
    price::{Counted, Every, Item, Model, Pricing, Tier, Tiers, tests::any_metered},
    usage::{Meter, Usage},
};
use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

const ADA: AccountId = AccountId(Uuid::from_u128(7));
const BAKERY: AccountId = AccountId(Uuid::from_u128(8));
const ID: SubscriptionId = SubscriptionId(Uuid::from_u128(3));

fn plan(id: u128) -> PlanVersionId {
    PlanVersionId(Uuid::from_u128(id))
}

fn usd(micros: i64) -> Money {
    Money::micros(micros, Currency::USD)
}

fn price(id: u128, pricing: Pricing) -> Price {
    Price { price_id: PriceId(Uuid::from_u128(id)), description: "Price".into(), pricing }
}

fn counted(item: Item, model: Model) -> Pricing {
    Pricing::Counted(Counted {
        item,
        currency: Currency::USD,
        every: Every::Month,
        included: 0,
        model,
        minimum: None,
        cap: None,
    })
}

fn offer(trial_days: u32, prices: Vec<Price>) -> Offer {
    let (vendor_id, plan) = (VendorId(Uuid::from_u128(1)), "Plan".to_owned());
    let tax = Default::default();
    Offer {
        vendor_id,
        plan_id: crate::ids::PlanId(Uuid::nil()),
        plan,
        currency: Currency::USD,
        tax,
        trial_days,
        is_add_on: false,
        prices,
    }
}

/// Plan 1: 720 micros a month and 7,200 for each seat. Plan 2: 1,440 a month, with a trial of two days. Plan 3: rooms.
fn catalogue() -> Catalogue {
    let monthly = |micros| Pricing::Recurring { amount: usd(micros), every: Every::Month };
    let seats = counted(Item::Seat, Model::PerUnit { micros: 7_200 });
    let rooms = counted(Item::Room, Model::PerUnit { micros: 720 });
    [
        (plan(1), offer(0, vec![price(11, monthly(720)), price(12, seats)])),
        (plan(2), offer(2, vec![price(21, monthly(1_440))])),
        (plan(3), offer(0, vec![price(31, rooms)])),
    ]
    .into()
}

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// Rows: `start PLAN [SEATS seats] TIME`, `TIME CHANGE` or `TIME CHANGE refused WHY`, `TIME is STATE plan PLAN SEATS`,
/// `month YYYY-MM costs MICROS` and `sponsor pays MICROS in YYYY-MM`.
fn check(table: &str) {
    let mut history: Option<History> = None;
    let rows = table.lines().map(|row| row.split('#').next().unwrap_or("").trim());
    for row in rows.filter(|row| !row.is_empty()) {
        let number = |word: &str| word.replace('_', "").parse::<i64>().expect(row);
        let of_plan = |word: &str| plan(number(word).unsigned_abs().into());
        let words: Vec<&str> = row.split_whitespace().collect();
        match words[..] {
            ["start", of, when] => history = Some(start(of_plan(of), None, when).expect(row)),
            ["start", of, seats, "seats", when] => {
                history = Some(start(of_plan(of), seats.parse().ok(), when).expect(row));
            }
            ["month", text, "costs", micros] => {
                assert_eq!(cost(history.as_ref().expect(row), None, text), number(micros), "{row}");
            }
            [who, "pays", micros, "in", text] => {
                let payer = if who == "ada" { ADA } else { BAKERY };
                assert_eq!(cost(history.as_ref().expect(row), Some(payer), text), number(micros), "{row}");
            }
            [when, "is", state, "plan", of, seats] => {
                let phase = history.as_ref().and_then(|it| it.at(Hour::of(at(when)))).expect(row);
                let seen = (phase.state.as_str(), phase.plan, i64::from(phase.held.seats));
                assert_eq!(seen, (state, of_plan(of), number(seats)), "{row}");
            }
            [when, ref change @ ..] => {
                let known = history.take().expect(row);
                let (change, refusal) = match change.iter().position(|word| *word == "refused") {
                    Some(place) => (&change[..place], Some(change[place + 1..].join(" "))),
                    None => (change, None),
                };
                let decided = known.decide(change_of(change, row), &catalogue(), at(when));
                history = Some(match (decided, refusal) {
                    (Ok(decided), None) => known.with(&decided),
                    (Err(refused), Some(why)) => {
                        assert!(refused.to_string().contains(&why), "{row}: {refused}");
                        known
                    }
                    (decided, _) => panic!("{row}: {decided:?}"),
                });
            }
            [] => unreachable!("empty rows are left out"),
        }
    }
}

fn start(of: PlanVersionId, seats: Option<u32>, when: &str) -> Result<History, ChangeRefused> {
    let held = Patch { seats, ..Patch::default() };
    History::start(of, &catalogue()[&of], ADA, held, true, at(when))
}

fn change_of(words: &[&str], row: &str) -> Change {
    let when = if words.last() == Some(&"later") { When::PeriodEnd } else { When::Now };
    let change = |plan_version_id, quantities| Change::Change { plan_version_id, quantities, when };
    let seats = |count: &str| Patch { seats: Some(count.parse().expect(row)), ..Patch::default() };
    match words {
        ["plan", of, ..] => change(Some(plan(of.parse().expect(row))), Patch::default()),
        ["seats", count, ..] => change(None, seats(count)),
        ["rooms", count, ..] => {
            change(None, Patch { rooms: Some(count.parse().expect(row)), ..Patch::default() })
        }
        ["pause"] => Change::Pause {},
        ["resume"] => Change::Resume {},
        ["cancel", ..] => Change::Cancel { when },
        ["sponsor", "bakery"] => Change::Sponsor { account_id: BAKERY },
        ["sponsor", "ada"] => Change::Sponsor { account_id: ADA },
        _ => panic!("a change nobody understands: {row}"),
    }
}

fn cost(history: &History, payer: Option<AccountId>, month: &str) -> i64 {
    let month: Month = month.parse().expect(month);
    let subscriptions = history.subscriptions(ID, payer, &catalogue());
    let totals = subscriptions.iter().flat_map(|subscription| {
        let total = move |price| {
            charge::total(subscription, price, &Usage::default(), month, month.next().first()).expect("small")
        };
        subscription.prices.iter().filter_map(total)
    });
    totals.map(|rated| rated.amount.micros).sum()
}

#[test]
fn seats_go_up_with_this_hour_and_down_with_the_next() {
    check(
        "
        start  1 2 seats 2026-11-01T00:00:00Z    # 720 hours: a seat is 10 an hour, the plan 1
        2026-11-01T00:30:00Z  seats 5
        2026-11-01T00:10:00Z  is active plan 1 5
        2026-11-01T00:50:00Z  seats 1
        2026-11-01T00:59:00Z  is active plan 1 5
        2026-11-01T01:00:00Z  is active plan 1 1
        month  2026-11  costs 7_960              # 720 + 50 + 719 × 10
        2026-11-10T00:00:00Z  seats 1  refused nothing would change
        2026-11-10T00:00:00Z  rooms 1  refused rooms: the plan has no price for them
        2026-11-10T00:00:00Z  seats 1000001  refused 1,000,000 at most
        ",
    );
}

#[test]
fn a_plan_changes_now_or_at_the_end_of_the_month() {
    check(
        "
        start  1 1 seats 2026-11-01T00:00:00Z
        2026-11-16T00:00:00Z  plan 2 later
        2026-11-30T23:00:00Z  is active plan 1 1
        2026-12-01T00:00:00Z  is active plan 2 1
        month  2026-11  costs 7_920
        month  2026-12  costs 1_440
        2026-11-16T00:00:00Z  plan 2             # or at once: half of each
        month  2026-11  costs 4_680
        2026-11-16T00:00:00Z  plan 9  refused there is no plan version
        ",
    );
}

#[test]
fn what_was_put_off_stays_decided_when_something_else_changes() {
    check(
        "
        start  1 1 seats 2026-11-01T00:00:00Z
        2026-11-05T00:00:00Z  plan 2 later
        2026-11-10T10:20:00Z  seats 3
        2026-11-10T10:00:00Z  is active plan 1 3
        2026-12-01T00:00:00Z  is active plan 2 3
        2026-11-12T00:00:00Z  cancel later
        2026-11-12T00:00:00Z  cancel later  refused ends at 2026-12-01T00:00:00Z already
        2026-11-13T00:00:00Z  seats 4
        2026-12-01T00:00:00Z  is ended plan 1 3
        month  2026-12  costs 0
        ",
    );
}

#[test]
fn a_pause_costs_nothing_and_one_call_ends_it() {
    check(
        "
        start  1 0 seats 2026-11-01T00:00:00Z
        2026-11-10T00:30:00Z  pause
        2026-11-10T00:31:00Z  pause  refused paused already
        2026-11-10T00:59:00Z  is active plan 1 0
        2026-11-10T01:00:00Z  is paused plan 1 0
        2026-11-20T00:59:59Z  resume
        2026-11-20T00:00:00Z  is active plan 1 0
        2026-11-21T00:00:00Z  resume  refused neither paused nor about to end
        month  2026-11  costs 481                # 217 hours before, 264 after
        2026-11-25T00:30:00Z  pause
        2026-11-25T01:10:00Z  resume             # in the hour that the pause would begin with
        2026-11-25T01:00:00Z  is active plan 1 0
        month  2026-11  costs 481
        ",
    );
}

#[test]
fn a_subscription_ends_with_the_hour_or_the_month_and_can_be_kept() {
    check(
        "
        start  1 0 seats 2026-11-01T00:00:00Z
        2026-11-10T00:30:00Z  cancel later
        2026-11-11T00:30:00Z  resume             # no, it goes on
        month  2026-12  costs 720
        2026-12-01T00:30:00Z  cancel
        2026-12-01T00:40:00Z  resume  refused over, or ends with this hour
        2026-12-01T00:40:00Z  cancel  refused over, or ends with this hour
        2026-12-01T00:59:00Z  is active plan 1 0
        2026-12-01T01:00:00Z  is ended plan 1 0
        month  2026-12  costs 1                  # an hour of 744, rounded
        ",
    );
}

#[test]
fn whatever_changed_on_the_way_an_end_is_decided_once() {
    check(
        "
        start  1 130 seats 2026-11-01T00:00:00Z
        2026-11-10T00:30:00Z  cancel later
        2026-11-10T00:40:00Z  seats 0
        2026-11-10T00:50:00Z  cancel later  refused ends at 2026-12-01T00:00:00Z already
        2026-11-10T00:50:00Z  cancel
        2026-11-10T01:00:00Z  is ended plan 1 130
        ",
    );
}

#[test]
fn a_trial_is_free_and_then_paid() {
    check(
        "
        start  2 2026-11-01T00:00:00Z
        2026-11-02T23:00:00Z  is trial plan 2 0
        2026-11-03T00:00:00Z  is active plan 2 0
        month  2026-11  costs 1_344              # 672 of 720 hours
        2026-11-01T05:00:00Z  pause  refused a trial costs nothing
        2026-11-01T05:00:00Z  cancel
        month  2026-11  costs 0
        ",
    );
}

#[test]
fn a_sponsor_pays_from_the_next_hour() {
    check(
        "
        start  1 0 seats 2026-11-01T00:00:00Z
        2026-11-10T00:30:00Z  sponsor bakery
        ada    pays 217 in 2026-11
        bakery pays 503 in 2026-11
        2026-12-01T00:00:00Z  sponsor ada
        ada    pays 719 in 2026-12               # 743 of 744 hours
        bakery pays 1 in 2026-12
        ",
    );
}

#[test]
fn a_start_says_how_many() {
    assert_eq!(start(plan(1), None, "2026-11-01T00:00:00Z"), Err(ChangeRefused::Missing(Item::Seat)));
    let seats = start(plan(2), Some(1), "2026-11-01T00:00:00Z");
    assert_eq!(seats, Err(ChangeRefused::NotCounted(Item::Seat)));
}

#[test]
fn changes_are_written_as_documented() {
    for (json, change) in [
        (r#"{"action":"pause"}"#, Change::Pause {}),
        (r#"{"action":"cancel","when":"period_end"}"#, Change::Cancel { when: When::PeriodEnd }),
        (
            r#"{"action":"change","quantities":{"seats":3}}"#,
            Change::Change {
                plan_version_id: None,
                quantities: Patch { seats: Some(3), ..Patch::default() },
                when: When::Now,
            },
        ),
    ] {
        assert_eq!(serde_json::from_str::<Change>(json).expect(json), change);
    }
    for json in [r#"{"action":"pause","why":1}"#, r#"{"action":"stop"}"#, r#"{"action":"change","seats":3}"#]
    {
        assert!(serde_json::from_str::<Change>(json).is_err(), "{json}");
    }
}

/// Prices whose amounts depend on how much is held in every way there is.
fn any_catalogue() -> impl Strategy<Value = Catalogue> {
    let item = prop::sample::select(Item::ALL.to_vec());
    let every = prop::sample::select(vec![Every::Month, Every::Year]);
    let tiers = |volume: bool, rates: (i64, i64)| {
        let first = Tier { up_to: Some(3), rate_micros: rates.0 };
        let tiers = Tiers::new(vec![first, Tier { up_to: None, rate_micros: rates.1 }]).expect("rising");
        if volume { Model::Volume(tiers) } else { Model::Graduated(tiers) }
    };
    let model = prop_oneof![
        (0_i64..1_000_000_000).prop_map(|micros| Model::PerUnit { micros }),
        (0_i64..1_000_000_000).prop_map(|micros| Model::Flat { micros }),
        (any::<bool>(), (0_i64..1_000_000_000, 0_i64..1_000_000_000))
            .prop_map(move |(volume, rates)| tiers(volume, rates)),
    ];
    let by_number = (item, every.clone(), model, 0_i64..3).prop_map(|(item, every, model, included)| {
        Pricing::Counted(Counted {
            item,
            currency: Currency::USD,
            every,
            included,
            model,
            minimum: None,
            cap: None,
        })
    });
    let fixed = (0_i64..1_000_000_000, every)
        .prop_map(|(micros, every)| Pricing::Recurring { amount: usd(micros), every });
    let metered = any_metered()
        .prop_filter_map("dollars", |price| (price.currency() == Currency::USD).then_some(price.pricing));
    let prices = prop::collection::vec(prop_oneof![by_number, fixed, metered], 1..4);
    prop::collection::vec(prices, 3).prop_map(|plans| {
        let plans = plans.into_iter().zip(1_u128..).map(|(prices, id)| {
            let named = prices.into_iter().zip(0..).map(|(pricing, n)| price(id * 10 + n, pricing));
            (plan(id), offer(0, named.collect()))
        });
        plans.collect()
    })
}

fn any_change() -> impl Strategy<Value = Change> {
    let when = prop::sample::select(vec![When::Now, When::PeriodEnd]);
    let number = || prop::option::of(0_u32..8);
    let patch = (number(), number(), number()).prop_map(|(seats, rooms, mailboxes)| Patch {
        seats,
        rooms,
        mailboxes,
    });
    let to = prop::option::of((1_u128..=3).prop_map(plan));
    prop_oneof![
        6 => (to, patch, when.clone())
            .prop_map(|(plan_version_id, quantities, when)| Change::Change { plan_version_id, quantities, when }),
        2 => Just(Change::Pause {}),
        3 => Just(Change::Resume {}),
        1 => when.prop_map(|when| Change::Cancel { when }),
        1 => prop::sample::select(vec![ADA, BAKERY]).prop_map(|account_id| Change::Sponsor { account_id }),
    ]
}

const OCTOBER: i64 = 497_448; // 2026-10-01T00:00Z in hours

/// A history that begins in the three months after an hour and was changed now and then, with its price lists.
pub(crate) fn any_changed(first: i64) -> impl Strategy<Value = (History, Catalogue)> {
    let changes = prop::collection::vec((0_i64..20_000, any_change()), 0..12);
    (any_catalogue(), prop_oneof![Just(0_i64), 0_i64..1_000], changes).prop_map(
        move |(catalogue, starts, changes)| (played_from(first, &catalogue, starts, &changes), catalogue),
    )
}

/// One after the other, at minutes since the first of October; what is refused changes nothing.
fn played(catalogue: &Catalogue, starts: i64, changes: &[(i64, Change)]) -> History {
    played_from(OCTOBER, catalogue, starts, changes)
}

fn played_from(month: i64, catalogue: &Catalogue, starts: i64, changes: &[(i64, Change)]) -> History {
    let first = Phase {
        from: Hour(month + starts),
        state: State::Active,
        plan: plan(1),
        payer: ADA,
        held: Quantities { seats: 2, rooms: 1, mailboxes: 0 },
    };
    let mut history = History::new(vec![first]);
    let mut minute = starts * 60;
    for (later, change) in changes {
        minute += later;
        let now = Hour(month).start() + jiff::SignedDuration::from_mins(minute);
        // Whatever is counted somewhere: which plan prices what is another test's matter.
        if let Ok(decided) = history.decide(*change, catalogue, now) {
            history = history.with(&decided);
        }
    }
    history
}

fn some_usage(used: Vec<(i64, i64)>) -> Usage {
    let mut usage = Usage::default();
    used.into_iter()
        .for_each(|(hour, quantity)| usage.add(Meter::ParticipantMs, Hour(OCTOBER + hour), quantity));
    usage
}

proptest! {
    /// However often anything was changed: a month costs the integral of what each hour costs, rounded once, and its
    /// hours add up to it.
    #[test]
    fn proration_of_any_changes_is_the_integral_over_the_hours(
        catalogue in any_catalogue(),
        starts in prop_oneof![Just(0_i64), 0_i64..1_000],
        changes in prop::collection::vec((0_i64..20_000, any_change()), 0..12),
        used in prop::collection::vec((0_i64..2_200, 0_i64..5_000_000_000), 0..12),
    ) {
        let history = played(&catalogue, starts, &changes);
        let usage = some_usage(used);
        for month in ["2026-10", "2026-11", "2026-12"].map(|text| text.parse::<Month>().expect("a month")) {
            let end = month.next().first();
            for subscription in history.subscriptions(ID, None, &catalogue) {
                for price in &subscription.prices {
                    let total = charge::total(&subscription, price, &usage, month, end).expect("small");
                    let total = total.map_or(0, |rated| rated.amount.micros);
                    let hours = charge::hourly(&subscription, price, &usage, month, end).expect("small");
                    prop_assert_eq!(hours.iter().map(|charge| charge.amount.micros).sum::<i64>(), total);
                    let paid = |hour: &i64| {
                        history.at(Hour(*hour)).filter(|phase| phase.state == State::Active
                            && catalogue[&phase.plan].prices.iter().any(|it| it.price_id == price.price_id))
                    };
                    let (mut months, mut weight, mut before) = (1, 0_i128, None);
                    for hour in month.first().0..end.0 {
                        let Some(phase) = paid(&hour) else { continue };
                        if let Some((amount, every)) = price.recurring(phase.held).expect("small") {
                            let year = (12, month.index().rem_euclid(12) * month.length());
                            let (parts, earlier) = if every == Every::Year { year } else { (1, 0) };
                            let hours = earlier + hour - month.first().0;
                            before.get_or_insert(i128::from(amount.micros) * i128::from(hours));
                            weight += i128::from(amount.micros);
                            months = parts;
                        }
                    }
                    if price.meter().is_none() {
                        // As if the first amount had been due since the period began, less what that part costs: two
                        // who share a month at one amount add up to it.
                        let (whole, before) = (i128::from(months * month.length()), before.unwrap_or(0));
                        let due = round_half_even(before + weight, whole) - round_half_even(before, whole);
                        prop_assert_eq!(i128::from(total), due);
                    }
                }
            }
        }
    }

    /// Payers share what a subscription costs: no hour is paid twice or by nobody.
    #[test]
    fn every_hour_is_paid_by_one(
        changes in prop::collection::vec((0_i64..20_000, any_change()), 0..12),
    ) {
        let history = played(&catalogue(), 0, &changes);
        let hours = |payer| -> i64 {
            let subscriptions = history.subscriptions(ID, payer, &catalogue());
            let months = ["2026-10", "2026-11", "2026-12"].map(|text| text.parse::<Month>().expect("a month"));
            let stretches = subscriptions.iter().flat_map(|it| months.iter().flat_map(|month| {
                it.stretches(*month, month.next().first())
            }));
            stretches.map(|stretch| stretch.hours.end.0 - stretch.hours.start.0).sum()
        };
        prop_assert_eq!(hours(Some(ADA)) + hours(Some(BAKERY)), hours(None));
    }

    /// What a preview says before a change is what the months cost after it, to the micro.
    #[test]
    fn previews_come_true(
        catalogue in any_catalogue(),
        changes in prop::collection::vec((0_i64..8_000, any_change()), 0..8),
        change in any_change(),
        used in prop::collection::vec((0_i64..2_200, 0_i64..5_000_000_000), 0..8),
    ) {
        let minutes: i64 = changes.iter().map(|(later, _)| later).sum();
        let history = played(&catalogue, 0, &changes);
        let now = Hour(OCTOBER).start() + jiff::SignedDuration::from_mins(minutes);
        let Ok(decided) = history.decide(change, &catalogue, now) else { return Ok(()) };
        let usage = some_usage(used);
        let (before, after) = (&history, history.with(&decided));
        let paid = |history: &History| history.subscriptions(ID, None, &catalogue);
        let seen = preview(&paid(before), &paid(&after), Currency::USD, &usage, Hour::of(now)).expect("small");
        for cost in [seen.this_month, seen.next_month] {
            let lines = charge_all(&paid(&after), &usage, cost.month);
            prop_assert_eq!(lines, cost.after.micros);
            prop_assert_eq!(charge_all(&paid(before), &usage, cost.month), cost.before.micros);
        }
        // What has been paid for already stays as it was.
        let hour = Hour::of(now);
        for earlier in OCTOBER..hour.0 {
            prop_assert_eq!(before.at(Hour(earlier)), after.at(Hour(earlier)));
        }
    }
}

/// Hour by hour, as a statement that is taken apart shows it.
fn charge_all(subscriptions: &[Subscription], usage: &Usage, month: Month) -> i64 {
    let all = subscriptions.iter().flat_map(|subscription| {
        subscription.prices.iter().flat_map(move |price| {
            charge::hourly(subscription, price, usage, month, month.next().first()).expect("small")
        })
    });
    all.map(|charge| charge.amount.micros).sum()
}
