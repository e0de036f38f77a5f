//! What the billing code does is found sound; what somebody did to its rows afterwards is found.

pub(super) mod kept;

use super::*;
use crate::{
    charge,
    currency::Currency,
    ids::{PriceId, SubscriptionId, VendorId},
    period::{Hour, Month},
    price::{Counted, Metered, Model, Price, Pricing, tests::any_metered},
    statement::{self, Books, LineKind, tests::Service},
    subscription::Subscription,
};
use jiff::{SignedDuration, Timestamp, civil::date};
use kept::{JANUARY, Kept};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn sound_and_empty() -> Evidence {
    let evidence = sound();
    Evidence {
        used: Vec::new(),
        statements: Vec::new(),
        entries: Vec::new(),
        late: Default::default(),
        ..evidence
    }
}

fn named(id: u128, price: Price) -> Price {
    Price { price_id: PriceId(Uuid::from_u128(id)), ..price }
}

/// Two coupons, a late fact and credits over three months.
fn sound_and_discounted() -> Evidence {
    use crate::coupon::Off;
    use statement::tests::coupon;
    let minutes = Metered {
        meter: crate::usage::Meter::ParticipantMs,
        currency: Currency::USD,
        unit: "participant-minute".into(),
        unit_size: 60_000,
        included: 0,
        model: Model::PerUnit { micros: 50_000 },
        minimum: None,
        cap: None,
    };
    let minutes = Price {
        price_id: PriceId(Uuid::from_u128(12)),
        description: "Minutes".into(),
        pricing: Pricing::Metered(minutes),
    };
    let mut kept = Kept::new(vec![monthly(11, 25_400_000), minutes], 273 * 24, None);
    let five_cents = crate::money::Money::micros(5_000_000, Currency::USD);
    kept.service.books.coupons = vec![
        coupon(1, 1, Off::PercentMillionths(333_333), Some(2)),
        coupon(2, 1, Off::Amount(five_cents), None),
    ];
    kept.service.books.tax = statement::tests::taxed("DE", "DE", false);
    kept.service.give(71, 10, Some(time("2026-11-20")));
    kept.service.give(72, 3, None);
    kept.service.record(Hour(JANUARY + 280 * 24), 5_000_000);
    kept.finalise();
    kept.service.record(Hour(JANUARY + 290 * 24), 7_654_321);
    kept.service.give(73, 9, Some(time("2026-11-20")));
    kept.finalise();
    kept.service.give(74, 90, None);
    kept.finalise();
    kept.evidence()
}

#[test]
fn every_planted_error_of_coupons_and_credits_is_found() {
    use Rule::*;
    fn discount(e: &mut Evidence) -> &mut Line {
        e.statements[0].lines.iter_mut().find(|line| line.kind == "discount").expect("one")
    }
    each_is_found(
        sound_and_discounted,
        &[
            ("a discount is off by a micro", |e| discount(e).amount -= 1, DiscountIsOfACoupon),
            ("a discount vanished", |e| drop(e.statements[0].lines.pop()), DiscountIsOfACoupon),
            (
                "a discount names another coupon",
                |e| discount(e).discount = Some((Uuid::nil(), discount(e).line)),
                DiscountIsOfACoupon,
            ),
            ("a discount names none", |e| discount(e).discount = None, DiscountIsOfACoupon),
            ("a coupon takes more", |e| e.coupons[0].percent = Some(500_000), DiscountIsOfACoupon),
            ("a coupon lasts longer", |e| e.coupons[0].months = Some(3), DiscountIsOfACoupon),
            (
                "a coupon is for another plan",
                |e| e.coupons[1].plans = vec![Uuid::from_u128(6)],
                DiscountIsOfACoupon,
            ),
            ("a coupon is another vendor's", |e| e.coupons[1].vendor = Uuid::nil(), DiscountIsOfACoupon),
            ("a coupon was never redeemed", |e| drop(e.coupons.remove(1)), DiscountIsOfACoupon),
            ("more of a credit is used", |e| e.credits[0].uses[0].2 += 1_000_000, CreditIsNotExceeded),
            ("a use was forgotten", |e| e.credits[1].uses.clear(), CreditIsUsedInOrder),
            ("a credit ran out early", |e| e.credits[3].uses[0].1 = true, CreditIsUsedInOrder),
            ("a credit lasts longer", |e| e.credits[2].expires = None, CreditIsUsedInOrder),
            ("a statement forgot a credit", |e| e.statements[0].credits = 0, CreditIsUsedInOrder),
            ("a credit was larger", |e| e.credits[3].amount += 1_000_000, CreditIsPosted),
            ("a credit is in euros", |e| e.credits[3].currency = "EUR".into(), OneCurrency),
            ("a credit was never given", |e| drop(e.credits.remove(3)), PostingHasAStatement),
        ],
    );
}

/// A taxed month with two vendors, corrected twice before the next month.
fn sound_and_corrected() -> Evidence {
    use crate::{
        credit_note::Asked,
        statement::tests::{sold, taxed},
        tax::Class,
    };
    let sales = [
        (25_400_000, Class::Standard, true),
        (13_300_000, Class::Standard, true),
        (9_000_000, Class::Reduced, false),
    ];
    let sales = (1..).zip(sales).map(|(id, (micros, class, includes))| sold(id, id, micros, class, includes));
    let mut kept = Kept::of(Service::new(sales.collect()));
    kept.service.books.tax = taxed("DE", "DE", false);
    kept.finalise();
    let line = kept.service.statements[0].lines[0].line_id;
    kept.correct(0, &Asked::Lines(vec![(line, Some(7_000_000))]));
    kept.correct(0, &Asked::Whole);
    kept.finalise();
    kept.correct(1, &Asked::Lines(vec![(kept.service.statements[1].lines[2].line_id, Some(1_000_000))]));
    kept.finalise();
    kept.evidence()
}

#[test]
fn every_planted_error_of_credit_notes_is_found() {
    use Rule::*;
    each_is_found(
        sound_and_corrected,
        &[
            (
                "a note takes back more",
                |e| e.credit_notes[0].lines[0].2 += 40_000_000,
                CreditNoteIsWithinTheBill,
            ),
            (
                "a note was written twice",
                |e| e.credit_notes.push(e.credit_notes[2].clone()),
                CreditNoteIsPosted,
            ),
            ("a note's tax is off", |e| e.credit_notes[1].taxes[0].2 += 1_000_000, CreditNoteAddsUp),
            ("a note's total is off", |e| e.credit_notes[1].total += 1_000_000, CreditNoteAddsUp),
            ("a line's amount is off", |e| e.credit_notes[1].lines[0].2 -= 1_000_000, CreditNoteAddsUp),
            (
                "a note takes from another vendor",
                |e| e.credit_notes[0].lines[0].1 = Uuid::nil(),
                CreditNoteIsWithinTheBill,
            ),
            (
                "a note is of no statement",
                |e| e.credit_notes[2].statement = Uuid::nil(),
                CreditNoteIsOfAStatement,
            ),
            ("a note is in euros", |e| e.credit_notes[0].currency = "EUR".into(), OneCurrency),
            (
                "a note has a rehearsal's number",
                |e| e.credit_notes[0].entity = "sandbox credit notes".into(),
                NumberIsOfItsSeries,
            ),
            ("a note vanished", |e| drop(e.credit_notes.remove(0)), PostingHasAStatement),
            (
                "a note was not posted",
                |e| {
                    let note = e.credit_notes[2].note;
                    e.entries.retain(|entry| entry.transaction != note);
                },
                CreditNoteIsPosted,
            ),
            (
                "a tab forgot the notes",
                |e| e.statements[1].tab_before = e.statements[0].tab_after,
                TabGrowsByTotals,
            ),
        ],
    );
    let numbers: Vec<Number> = sound_and_corrected().credit_notes.iter().map(Number::of_note).collect();
    let series = |last| [Series { entity: "operator credit notes".into(), prefix: "CN".into(), last }];
    assert_eq!(missing_numbers(&series(3), numbers.clone()), []);
    assert_eq!(missing_numbers(&series(4), numbers)[0].rule, NumbersHaveNoGaps);
}

/// Three months with a monthly price and minutes; facts for January come late, in February.
fn sound() -> Evidence {
    use crate::money::Money;
    let monthly = Price {
        price_id: PriceId(Uuid::from_u128(11)),
        description: "Plan".into(),
        pricing: Pricing::Recurring {
            amount: Money::micros(25_400_000, Currency::USD),
            every: crate::price::Every::Month,
        },
    };
    let minutes = Metered {
        meter: crate::usage::Meter::ParticipantMs,
        currency: Currency::USD,
        unit: "participant-minute".into(),
        unit_size: 60_000,
        included: 60_000,
        model: Model::PerUnit { micros: 50_000 },
        minimum: None,
        cap: None,
    };
    let minutes = Price {
        price_id: PriceId(Uuid::from_u128(12)),
        description: "Minutes".into(),
        pricing: Pricing::Metered(minutes),
    };
    let mut kept = Kept::new(vec![monthly, minutes], 100, None);
    kept.service.record(Hour(JANUARY + 200), 5_000_000);
    kept.finalise();
    kept.service.record(Hour(JANUARY + 300), 7_654_321);
    kept.service.record(Hour(JANUARY + 800), 3_333_333);
    kept.finalise();
    kept.service.record(Hour(JANUARY + 1_500), 1_000_000);
    kept.finalise();
    kept.service.record(Hour(JANUARY + 2_200), 2_000_000);
    kept.evidence()
}

/// Two months of prices with tax on top and within, sold from Germany to a consumer there.
fn sound_and_taxed() -> Evidence {
    use crate::tax::{Class, TaxTerms};
    let mut kept = Kept::new(vec![monthly(11, 25_400_000)], 0, None);
    for (id, class, prices_include_tax) in [(4, Class::Standard, true), (5, Class::Reduced, false)] {
        let sold = Subscription {
            subscription_id: SubscriptionId(Uuid::from_u128(id)),
            tax: TaxTerms { class, prices_include_tax },
            vendor_id: VendorId(Uuid::from_u128(id)),
            prices: vec![monthly(id + 10, 13_300_000)],
            ..kept.service.books.subscriptions[0].clone()
        };
        kept.service.books.subscriptions.push(sold);
    }
    kept.service.books.tax = statement::tests::taxed("DE", "DE", false);
    kept.finalise();
    kept.finalise();
    kept.evidence()
}

fn monthly(id: u128, micros: i64) -> Price {
    let amount = crate::money::Money::micros(micros, Currency::USD);
    let pricing = Pricing::Recurring { amount, every: crate::price::Every::Month };
    Price { price_id: PriceId(Uuid::from_u128(id)), description: "Plan".into(), pricing }
}

type Plant = fn(&mut Evidence);

/// Each row is one thing that somebody did to sound rows, and the rule that notices.
fn each_is_found(sound: fn() -> Evidence, planted: &[(&str, Plant, Rule)]) {
    assert_eq!(examine(&sound()), []);
    for (what, plant, rule) in planted {
        let mut evidence = sound();
        plant(&mut evidence);
        let differences = examine(&evidence);
        assert!(differences.iter().any(|difference| difference.rule == *rule), "{what}: {differences:?}");
    }
}

#[test]
fn every_planted_error_of_tax_is_found() {
    use Rule::*;
    each_is_found(
        sound_and_taxed,
        &[
            ("a tax is off by a cent", |e| e.statements[1].taxes[0].tax += 1_000_000, TaxIsItsRate),
            ("a tax was left out of the sum", |e| e.statements[0].tax -= 1_000_000, TaxesAddUp),
            ("a tax went from on top to within", |e| e.statements[0].tax_on_top = 0, TaxesAddUp),
            ("a taxable amount went up", |e| e.statements[0].taxes[0].taxable += 5_000_000, TaxIsItsRate),
            ("a part is priced higher", |e| e.statements[0].taxes[1].priced += 1, TaxedLinesAddUp),
            ("a rate was lowered", |e| e.statements[1].taxes[0].rate = 160_000, LineHasItsTax),
            (
                "a tax is another country's",
                |e| e.statements[1].taxes[0].country = Some("DK".into()),
                LineHasItsTax,
            ),
            ("a part is reversed", |e| e.statements[1].taxes[0].category = "AE".into(), LineHasItsTax),
            ("a part is in euros", |e| e.statements[1].taxes[0].currency = "EUR".into(), OneCurrency),
            (
                "a line moved to another part",
                |e| e.statements[1].lines[0].tax_group = Some(3),
                TaxedLinesAddUp,
            ),
            ("a breakdown vanished", |e| e.statements[1].taxes.clear(), LineHasItsTax),
            ("a buyer moved", |e| e.tax.buyers[0].country = "DK".into(), LineHasItsTax),
            ("the seller is unknown", |e| e.tax.sellers.clear(), LineHasItsTax),
            ("a rate is gone", |e| e.tax.rates.retain(|rate| rate.1 != "reduced"), LineHasItsTax),
            ("a plan was never reduced", |e| e.sold[2].tax_class = "standard".into(), LineHasItsTax),
            (
                "a tax went to the vendor",
                |e| e.entries.retain(|entry| !entry.account.starts_with("tax:")),
                StatementIsPosted,
            ),
        ],
    );
}

#[test]
fn what_billing_does_is_found_sound() {
    let evidence = sound();
    assert_eq!(examine(&evidence), []);
    assert_eq!(evidence.statements.len(), 3);
    assert!(evidence.statements[1].lines.iter().any(|line| line.kind == "adjustment"));
    let series = Series { entity: "operator".into(), prefix: "TUP".into(), last: 3 };
    assert_eq!(missing_numbers(&[series], evidence.statements.iter().map(Number::of).collect()), []);
}

/// Each row is one thing that somebody did to the rows, and the rule that notices.
#[test]
fn every_planted_error_is_found() {
    use Rule::*;
    let planted: [(&str, Plant, Rule); 31] = [
        ("usage that was billed late shrank", |e| e.used[0].quantity -= 1_000_000, UsageNeverFalls),
        ("a fact grew after the close", |e| e.used[2].quantity += 1_000_000, LineBillsUsage),
        ("a fact vanished", |e| drop(e.used.remove(2)), LineBillsUsage),
        (
            "a fact moved to another month",
            |e| e.used[2].hour += SignedDuration::from_hours(744),
            LineBillsUsage,
        ),
        ("a price changed", |e| e.sold[0].prices[0].rates[0] += 1, LineBillsUsage),
        ("an allowance changed", |e| e.sold[0].prices[1].included = 0, LineBillsUsage),
        ("a price became unreadable", |e| e.sold[0].prices[1].model = "guess".into(), LineBillsUsage),
        ("a subscription began earlier", |e| e.sold[0].starts = time("2025-11-01"), DraftBillsUsage),
        ("a subscription ended", |e| e.sold[0].ends = Some(time("2026-02-10")), LineBillsUsage),
        ("a subscription was forgotten", |e| e.sold.clear(), LineIsOfASubscription),
        ("a line is off by a micro", |e| e.statements[2].lines[0].amount += 1, LineBillsUsage),
        ("a line is off by a micro, and its sum", |e| e.statements[0].lines[0].amount += 1, LinesAddUp),
        ("a line's quantity changed", |e| e.statements[2].lines[1].quantity = Some(1), LineBillsUsage),
        ("a line vanished", |e| drop(e.statements[2].lines.pop()), LinesAddUp),
        (
            "a line went to another vendor",
            |e| e.statements[1].lines[0].vendor = Uuid::nil(),
            LineIsOfASubscription,
        ),
        ("a line's currency was swapped", |e| e.statements[1].lines[0].currency = "EUR".into(), OneCurrency),
        ("an adjustment of a month that was not late", |e| e.late.clear(), OnlyLateMonthsAreAdjusted),
        ("an hour's charge is off by a micro", |e| e.statements[2].lines[1].hours[0].amount += 1, HoursAddUp),
        ("an hour's quantity changed", |e| e.statements[2].lines[1].hours[0].quantity += 1, HoursAddUp),
        (
            "an hour is of another month",
            |e| e.statements[2].lines[1].hours[0].hour = time("2026-07-01"),
            HourLiesInMonth,
        ),
        (
            "an hour is in another currency",
            |e| e.statements[2].lines[1].hours[0].currency = "JPY".into(),
            OneCurrency,
        ),
        ("a subtotal is off by a micro", |e| e.statements[0].subtotal += 1, LinesAddUp),
        ("a total was rounded up", |e| e.statements[0].total += 1_000_000, TotalIsRoundedOnce),
        ("a remainder was dropped", |e| e.statements[0].carried_out = 0, RestIsCarriedOn),
        ("a remainder did not come in", |e| e.statements[1].carried_in += 1, CarriedComesIn),
        ("a tab forgot a statement", |e| e.statements[2].tab_before = 0, TabGrowsByTotals),
        ("a month was left out", |e| drop(e.statements.remove(1)), MonthsFollow),
        ("a statement ends early", |e| e.statements[2].ends = time("2026-03-31"), StatementIsAMonth),
        ("an entry changed", |e| e.entries[0].amount += 1, TransactionBalances),
        (
            "a posting vanished",
            |e| e.entries.retain(|entry| entry.transaction != Uuid::from_u128(1_001)),
            StatementIsPosted,
        ),
        (
            "a draft shows too little",
            |e| drop(e.draft.as_mut().map(|(_, _, lines)| lines.pop())),
            DraftBillsUsage,
        ),
    ];
    for (what, plant, rule) in planted {
        let mut evidence = sound();
        plant(&mut evidence);
        let differences = examine(&evidence);
        assert!(differences.iter().any(|difference| difference.rule == rule), "{what}: {differences:?}");
    }
}

/// The same, for what shows only among all entries or all numbers.
#[test]
fn strange_entries_legs_and_numbers_are_found() {
    let mut evidence = sound();
    let strange = Uuid::from_u128(77);
    for (account, amount) in [("receivable", 5), ("revenue", -5)] {
        let account = format!("{account}:{}", evidence.account);
        evidence.entries.push(Entry { transaction: strange, account, currency: "USD".into(), amount });
    }
    evidence.unknown_legs.push(strange);
    evidence.sandbox = true;
    let rules: Vec<Rule> = examine(&evidence).iter().map(|difference| difference.rule).collect();
    assert_eq!(
        rules,
        [
            Rule::UsageHasALeg,
            Rule::PostingHasAStatement,
            Rule::NumberIsOfItsSeries,
            Rule::NumberIsOfItsSeries,
            Rule::NumberIsOfItsSeries
        ]
    );
    let series = |last| [Series { entity: "operator".into(), prefix: "TUP".into(), last }];
    let numbers = |places: &[i64]| -> Vec<Number> {
        let number = |place: &i64| Number {
            entity: "operator".into(),
            place: *place,
            text: format!("TUP-{place:06}"),
        };
        places.iter().map(number).collect()
    };
    for (last, places, missed) in [
        (3, &[1, 3][..], &["TUP-000002"][..]),
        (2, &[1, 2, 2], &["TUP-000002"]),
        (2, &[1, 2, 3], &[]), // given out while the audit ran
        (0, &[], &[]),
    ] {
        let found = missing_numbers(&series(last), numbers(places));
        let found: Vec<&str> = found.iter().map(|difference| difference.place.as_str()).collect();
        assert_eq!(found, missed, "{places:?}");
    }
    let renamed = vec![Number { entity: "operator".into(), place: 1, text: "TUP-1".into() }];
    assert_eq!(missing_numbers(&series(1), renamed)[0].rule, Rule::NumberIsOfItsSeries);
}

fn time(day: &str) -> Timestamp {
    format!("{day}T00:00:00Z").parse().expect(day)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Two ways to the same money: whatever is sold and used, early or late, the audit agrees with the bill.
    #[test]
    fn the_audit_agrees_with_the_bill(
        metered in prop::collection::vec(any_metered(), 0..3),
        monthly in 0_i64..1_000_000_000,
        yearly in any::<bool>(),
        starts in 0_i64..700,
        length in prop::option::of(1_i64..3_000),
        steps in prop::collection::vec(prop::option::weighted(0.8, (0_i64..2_880, 0_i64..5_000_000_000)), 0..24),
    ) {
        use crate::{money::Money, price::Every};
        let every = if yearly { Every::Year } else { Every::Month };
        let recurring = Pricing::Recurring { amount: Money::micros(monthly, Currency::USD), every };
        let recurring = Price { price_id: PriceId(Uuid::nil()), description: "Plan".into(), pricing: recurring };
        let prices = metered.into_iter().map(in_dollars).chain([recurring]);
        let prices = (20..).zip(prices).map(|(id, price)| named(id, price)).collect();
        let mut kept = Kept::new(prices, starts, length.map(|length| starts + length));
        for step in steps {
            match step {
                Some((hour, quantity)) => kept.service.record(Hour(JANUARY + hour), quantity),
                None => kept.finalise(),
            }
        }
        prop_assert_eq!(examine(&kept.evidence()), []);
    }

    /// And whoever is taxed in whatever way.
    #[test]
    fn the_audit_agrees_about_tax(
        sales in prop::collection::vec((1_u128..4, 0_i64..100_000_000, 0_usize..4, any::<bool>()), 1..5),
        buyer in prop_oneof![Just("DE"), Just("DK"), Just("FI"), Just("US")],
        is_business in any::<bool>(),
    ) {
        use crate::tax::{Class, TaxTerms};
        let mut kept = Kept::new(Vec::new(), 0, None);
        let first = kept.service.books.subscriptions.remove(0);
        for (id, (vendor, micros, class, prices_include_tax)) in (30..).zip(sales) {
            kept.service.books.subscriptions.push(Subscription {
                subscription_id: SubscriptionId(Uuid::from_u128(id)),
                vendor_id: VendorId(Uuid::from_u128(vendor)),
                tax: TaxTerms { class: Class::ALL[class], prices_include_tax },
                prices: vec![monthly(id, micros)],
                ..first.clone()
            });
        }
        kept.service.books.tax = statement::tests::taxed("DE", buyer, is_business);
        (0..4).for_each(|_| kept.finalise());
        prop_assert_eq!(examine(&kept.evidence()), []);
    }
}

/// An account is in one currency.
fn in_dollars(price: Price) -> Price {
    let Pricing::Metered(metered) = price.pricing else { return price };
    let dollars = |money: crate::money::Money| crate::money::Money { currency: Currency::USD, ..money };
    let metered = Metered {
        currency: Currency::USD,
        minimum: metered.minimum.map(dollars),
        cap: metered.cap.map(dollars),
        ..metered
    };
    Price { pricing: Pricing::Metered(metered), ..price }
}

/// Rows: how many events each tenant has, and whose books are held together when there may be ten.
#[test]
fn many_events_are_held_by_few_tenants_at_a_time() {
    for (events, batches) in [
        (&[][..], &[][..]),
        (&[0, 0, 0], &[&[0, 1, 2][..]][..]),
        (&[5, 5, 1], &[&[0, 1], &[2]]),
        (&[99, 1, 9, 1], &[&[0], &[1, 2], &[3]]),
        (&[1, 99, 99, 0], &[&[0], &[1], &[2], &[3]]),
        (&[i64::MAX, i64::MAX], &[&[0], &[1]]),
    ] {
        let tenant = |place: usize| TenantId(Uuid::from_u128(place as u128));
        let counted: Vec<(TenantId, i64)> =
            events.iter().enumerate().map(|(place, events)| (tenant(place), *events)).collect();
        let expected: Vec<Vec<TenantId>> =
            batches.iter().map(|batch| batch.iter().map(|place| tenant(*place)).collect()).collect();
        assert_eq!(in_batches(&counted, 10), expected, "{events:?}");
    }
}

#[test]
fn january_is_where_the_tests_think() {
    assert_eq!(Hour(JANUARY).month().first_day(), date(2026, 1, 1));
    assert_eq!(Hour(JANUARY).month().first(), Hour(JANUARY));
}
