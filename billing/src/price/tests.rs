//! The table is the specification: what a price is, how much was used up to each hour, what the hour is charged.

use super::*;
use proptest::prelude::*;
use uuid::Uuid;

fn month(text: &str) -> Month {
    text.parse().expect(text)
}

fn recurring(micros: i64) -> Price {
    let amount = Money::micros(micros, Currency::USD);
    Price {
        price_id: PriceId(Uuid::nil()),
        description: String::new(),
        pricing: Pricing::Recurring { amount },
    }
}

fn metered(unit_size: i64, tiers: Vec<Tier>) -> Price {
    let tiers = Tiers::new(tiers).expect("tiers of a test");
    let (meter, currency, unit) = (Meter::ParticipantMs, Currency::USD, "participant-minute".to_owned());
    let pricing = Pricing::Metered { meter, currency, unit, unit_size, tiers };
    Price { price_id: PriceId(Uuid::nil()), description: String::new(), pricing }
}

/// Rows of a price: `month YYYY-MM`, then `price …`, then `use QUANTITY charge MICROS` and `total MICROS`.
/// A quantity is what was used in addition; `1m` is a minute, `h` an hour of the month.
fn check(table: &str) {
    let mut price = None;
    let mut in_month = month("2026-10");
    let (mut used, mut charged) = (0, 0);
    for row in
        table.lines().map(|row| row.split('#').next().unwrap_or("").trim()).filter(|row| !row.is_empty())
    {
        let words: Vec<&str> = row.split_whitespace().collect();
        let number = |word: &str| word.replace('_', "").parse::<i64>().expect(row);
        let quantity = |word: &str| match word.strip_suffix('m').or(word.strip_suffix('h')) {
            Some(minutes) if word.ends_with('m') => number(minutes) * 60_000,
            Some(hours) => number(hours),
            None => number(word),
        };
        match words[..] {
            ["month", text] => in_month = month(text),
            ["price", micros, "a", "month"] => price = Some(recurring(number(micros))),
            ["price", rate, "a", "minute"] => {
                price = Some(metered(60_000, vec![Tier { up_to: None, rate_micros: number(rate) }]));
            }
            ["price", rate, "a", "minute", "beyond", free] => {
                let free = Tier { up_to: Some(quantity(free)), rate_micros: 0 };
                price = Some(metered(60_000, vec![free, Tier { up_to: None, rate_micros: number(rate) }]));
            }
            ["use", amount, "charge", micros] => {
                let after = used + quantity(amount);
                let charge =
                    price.as_ref().expect("a price first").between(used, after, in_month).expect(row);
                assert_eq!(charge.micros, number(micros), "{row}");
                (used, charged) = (after, charged + charge.micros);
            }
            ["total", micros] => assert_eq!(charged, number(micros), "{row}"),
            _ => panic!("a row nobody understands: {row}"),
        }
    }
}

#[test]
fn minutes_cost_what_they_add() {
    check(
        "
        price  400_000 a minute            # 0.4 ¢
        use    90000   charge 600_000      # 1.5 min
        use    30000   charge 200_000
        total          800_000
        ",
    );
}

#[test]
fn an_allowance_is_a_free_first_tier() {
    check(
        "
        price  50_000 a minute beyond 1000m
        use    999m    charge 0
        use    2m      charge 50_000       # one minute of the two is beyond
        use    0       charge 0
        use    1       charge 1            # 0.83 micros, rounded
        use    1       charge 1            # 1.67 in all
        use    1       charge 0            # 2.5 in all: half to even
        total          50_002
        ",
    );
}

#[test]
fn a_month_costs_its_price_however_long() {
    for (text, hours) in [("2026-02", 672), ("2024-02", 696), ("2026-04", 720), ("2026-03", 744)] {
        check(&format!(
            "
            month  {text}
            price  5_000_000 a month
            use    {hours}h   charge 5_000_000
            "
        ));
    }
    check(
        "
        month  2026-10                     # 744 hours: 6,720.43 micros each
        price  5_000_000 a month
        use    1h      charge 6_720
        use    1h      charge 6_721
        use    370h    charge 2_486_559
        total          2_500_000           # half of the month
        ",
    );
}

#[test]
fn tiers_that_make_no_sense_are_refused_with_a_reason() {
    let open = |rate_micros| Tier { up_to: None, rate_micros };
    let to = |up_to, rate_micros| Tier { up_to: Some(up_to), rate_micros };
    for (tiers, reason) in [
        (vec![], TierError::Empty),
        (vec![to(10, 1)], TierError::LastEnds),
        (vec![open(1), open(1)], TierError::EndlessInTheMiddle(1)),
        (vec![to(0, 1), open(1)], TierError::NotRising(1)),
        (vec![to(5, 1), to(5, 2), open(1)], TierError::NotRising(2)),
        (vec![to(5, 1), open(-1)], TierError::NegativeRate(2)),
    ] {
        assert_eq!(Tiers::new(tiers.clone()), Err(reason), "{tiers:?}");
    }
}

#[test]
fn what_is_too_large_is_an_error() {
    let price = metered(1, vec![Tier { up_to: None, rate_micros: i64::MAX }]);
    assert_eq!(price.cumulative(2, month("2026-10")), Err(MoneyError::Overflow));
    assert_eq!(price.cumulative(i64::MAX, month("2026-10")), Err(MoneyError::Overflow));
}

fn any_price() -> impl Strategy<Value = Price> {
    let tiers = prop::collection::vec((1_i64..1_000_000_000, 0_i64..10_000_000), 0..4);
    let metered = (1_i64..10_000_000_000, tiers, 0_i64..10_000_000).prop_map(|(unit_size, steps, last)| {
        let mut up_to = 0;
        let mut tiers: Vec<Tier> = Vec::new();
        for (width, rate_micros) in steps {
            up_to += width;
            tiers.push(Tier { up_to: Some(up_to), rate_micros });
        }
        tiers.push(Tier { up_to: None, rate_micros: last });
        metered(unit_size, tiers)
    });
    prop_oneof![(0_i64..1_000_000_000_000).prop_map(recurring), metered]
}

proptest! {
    #[test]
    fn the_hours_of_a_month_add_up_to_the_sticker_price(
        micros in 0_i64..1_000_000_000_000,
        month in prop::sample::select(vec!["2026-02", "2024-02", "2026-04", "2026-03", "2026-10"]),
    ) {
        let (price, month) = (recurring(micros), month.parse::<Month>().expect("a month"));
        let hours = (0..month.length()).map(|hour| price.between(hour, hour + 1, month).expect("small").micros);
        prop_assert_eq!(hours.sum::<i64>(), micros);
    }

    #[test]
    fn however_usage_is_cut_it_costs_the_same(price in any_price(), cuts in prop::collection::vec(0_i64..5_000_000_000, 1..20)) {
        let month: Month = "2026-10".parse().expect("a month");
        let cuts: Vec<i64> = match price.meter() {
            Some(_) => cuts,
            None => cuts.iter().map(|cut| cut % month.length()).collect(),
        };
        let mut sorted = cuts.clone();
        sorted.sort_unstable();
        let (mut before, mut sum) = (0, 0);
        for cut in sorted {
            let charge = price.between(before, cut, month).expect("small").micros;
            prop_assert!(charge >= 0, "a price never falls");
            (before, sum) = (cut, sum + charge);
        }
        prop_assert_eq!(sum, price.cumulative(before, month).expect("small").micros);
    }
}
