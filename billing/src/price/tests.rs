//! The table is the specification: what a price is, how much was used up to each hour, what the hour is charged.

use super::*;
use proptest::prelude::*;
use uuid::Uuid;

fn month(text: &str) -> Month {
    text.parse().expect(text)
}

fn price(pricing: Pricing) -> Price {
    Price { price_id: PriceId(Uuid::nil()), description: String::new(), pricing }
}

fn recurring(micros: i64, every: Every) -> Price {
    price(Pricing::Recurring { amount: usd(micros), every })
}

fn usd(micros: i64) -> Money {
    Money::micros(micros, Currency::USD)
}

fn metered(unit_size: i64, model: Model) -> Metered {
    Metered {
        meter: Meter::ParticipantMs,
        currency: Currency::USD,
        unit: "participant-minute".to_owned(),
        unit_size,
        included: 0,
        model,
        minimum: None,
        cap: None,
    }
}

fn tiers(tiers: Vec<Tier>) -> Tiers {
    Tiers::new(tiers).expect("tiers of a test")
}

/// Rows of a price: `month YYYY-MM`, then `price …` and what narrows it (`included`, `minimum`, `cap`), then
/// `use QUANTITY charge MICROS`, `hours N charge MICROS` of subscribed time, and `total MICROS`.
/// A quantity is what was used in addition; `1m` is a minute, `h` an hour of the month.
fn check(table: &str) {
    let mut play = Play { price: None, month: month("2026-10"), at: Position::default(), charged: 0 };
    let rows = table.lines().map(|row| row.split('#').next().unwrap_or("").trim());
    for row in rows.filter(|row| !row.is_empty()) {
        play.row(row);
    }
}

struct Play {
    price: Option<Price>,
    month: Month,
    at: Position,
    charged: i64,
}

impl Play {
    fn row(&mut self, row: &str) {
        let words: Vec<&str> = row.split_whitespace().collect();
        match words[..] {
            ["month", text] => self.month = month(text),
            ["price", ref words @ ..] => self.price = Some(price_of(words, row)),
            ["included", free] => self.metered().included = quantity(free),
            ["minimum", micros] => self.metered().minimum = Some(usd(number(micros))),
            ["cap", micros] => self.metered().cap = Some(usd(number(micros))),
            ["use", amount, "charge", micros] => {
                let quantity = self.at.quantity + quantity(amount);
                self.go(Position { quantity, ..self.at }, number(micros), row);
            }
            ["hours", hours, "charge", micros] => {
                let hours = self.at.hours + number(hours);
                self.go(Position { hours, ..self.at }, number(micros), row);
            }
            ["total", micros] => assert_eq!(self.charged, number(micros), "{row}"),
            _ => panic!("a row nobody understands: {row}"),
        }
    }

    fn go(&mut self, to: Position, micros: i64, row: &str) {
        let price = self.price.as_ref().expect("a price first");
        assert_eq!(price.check(), Ok(()), "{row}");
        let charge = price.between(self.at, to, self.month).expect(row);
        assert_eq!(charge.micros, micros, "{row}");
        (self.at, self.charged) = (to, self.charged + charge.micros);
    }

    fn metered(&mut self) -> &mut Metered {
        match &mut self.price {
            Some(Price { pricing: Pricing::Metered(metered), .. }) => metered,
            _ => panic!("a metered price first"),
        }
    }
}

fn price_of(words: &[&str], row: &str) -> Price {
    let step = |up_to: &str, rate: &str| Tier { up_to: Some(quantity(up_to)), rate_micros: number(rate) };
    let rest = |rate: &str| Tier { up_to: None, rate_micros: number(rate) };
    let (unit_size, model) = match words {
        [micros, "a", "month"] => return recurring(number(micros), Every::Month),
        [micros, "a", "year"] => return recurring(number(micros), Every::Year),
        [rate, "a", "minute"] => (60_000, Model::PerUnit { micros: number(rate) }),
        [rate, "a", "minute", "beyond", free] => {
            (60_000, Model::Graduated(tiers(vec![step(free, "0"), rest(rate)])))
        }
        [rate, "to", up_to, "then", last, kind] => {
            let tiers = tiers(vec![step(up_to, rate), rest(last)]);
            (60_000, if *kind == "graduated" { Model::Graduated(tiers) } else { Model::Volume(tiers) })
        }
        [micros, "for", "any"] => (60_000, Model::Flat { micros: number(micros) }),
        [micros, "a", "package", "of", size] => (quantity(size), Model::Package { micros: number(micros) }),
        [millionths, "millionths"] => (1, Model::Percentage { millionths: number(millionths) }),
        _ => panic!("a price nobody understands: {row}"),
    };
    price(Pricing::Metered(metered(unit_size, model)))
}

fn number(word: &str) -> i64 {
    word.replace('_', "").parse::<i64>().expect(word)
}

fn quantity(word: &str) -> i64 {
    match (word.strip_suffix('m'), word.strip_suffix('h')) {
        (Some(minutes), _) => number(minutes) * 60_000,
        (_, Some(hours)) => number(hours),
        _ => number(word),
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
fn a_year_costs_its_price_a_twelfth_a_month_whatever_its_length() {
    let price = recurring(100, Every::Year);
    let months: Vec<i64> = ["2026-11", "2026-12", "2027-01", "2027-02"]
        .map(|text| price.cumulative(whole(month(text)), month(text)).expect("small").micros)
        .into();
    assert_eq!(months, [9, 8, 8, 9]); // 8.33 each: rounded where they fall, not one by one
    check(
        "
        month  2026-02
        price  12_000_000 a year
        use    336h   charge 500_000       # half of February
        use    336h   charge 500_000
        ",
    );
}

#[test]
fn each_model_charges_in_its_own_way() {
    check(
        "
        price  3_000_000 for any           # the same for any usage
        use    0       charge 0
        use    1       charge 3_000_000
        use    900m    charge 0
        ",
    );
    check(
        "
        price  50_000 to 100m then 20_000 graduated
        use    100m    charge 5_000_000
        use    10m     charge 200_000
        ",
    );
    check(
        "
        price  50_000 to 100m then 20_000 volume
        use    100m    charge 5_000_000
        use    10m     charge -2_800_000   # all 110 minutes at 2 hundredths of a cent
        total          2_200_000
        ",
    );
    check(
        "
        price  1_000_000 a package of 1000
        use    1       charge 1_000_000
        use    999     charge 0
        use    1       charge 1_000_000
        ",
    );
    check(
        "
        price  25_000 millionths           # 2.5 % of 99 cents
        use    99_000_000  charge 2_475_000
        ",
    );
}

#[test]
fn allowance_minimum_and_cap_hold_for_a_month() {
    check(
        "
        price     400_000 a minute
        included  10m
        cap       5_000_000
        use       10m    charge 0
        use       2m     charge 800_000
        use       90m    charge 4_200_000  # the cap
        use       90m    charge 0
        ",
    );
    check(
        "
        month     2026-02                  # 672 hours
        price     400_000 a minute
        minimum   6_720_000
        hours     1      charge 10_000     # the minimum grows by the hour
        use       1m     charge 390_000    # until usage costs more
        hours     100    charge 610_000
        hours     571    charge 5_710_000
        total            6_720_000
        ",
    );
}

/// Rows: what is wrong with a price and the reason given.
#[test]
fn a_price_that_makes_no_sense_is_refused_with_a_reason() {
    let sound = || metered(60_000, Model::PerUnit { micros: 1 });
    let euros = Money::micros(5, "EUR".parse().expect("EUR"));
    for (pricing, reason) in [
        (Pricing::Recurring { amount: usd(-1), every: Every::Month }, "the amount is below zero"),
        (Pricing::Metered(metered(0, Model::Flat { micros: 1 })), "holds at least one"),
        (Pricing::Metered(metered(1, Model::PerUnit { micros: -1 })), "the rate is below zero"),
        (Pricing::Metered(metered(1, Model::Percentage { millionths: 1_000_001 })), "100 % at most"),
        (Pricing::Metered(Metered { included: -1, ..sound() }), "the allowance is below zero"),
        (Pricing::Metered(Metered { cap: Some(usd(-1)), ..sound() }), "cap is below zero"),
        (
            Pricing::Metered(Metered { minimum: Some(usd(6)), cap: Some(usd(5)), ..sound() }),
            "the cap 0.00000005 USD is below the minimum 0.00000006 USD",
        ),
        (
            Pricing::Metered(Metered { minimum: Some(euros), ..sound() }),
            "in USD, but its minimum or its cap is in EUR",
        ),
    ] {
        let refusal = price(pricing.clone()).check().expect_err("no sense").to_string();
        assert!(refusal.contains(reason), "{pricing:?}: {refusal}");
    }
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
    let dear = price(Pricing::Metered(metered(1, Model::PerUnit { micros: i64::MAX })));
    for quantity in [2, i64::MAX] {
        let at = Position { quantity, hours: 0 };
        assert_eq!(dear.cumulative(at, month("2026-10")), Err(MoneyError::Overflow));
    }
}

/// The end of a month that was subscribed whole.
fn whole(month: Month) -> Position {
    Position { quantity: month.length(), hours: month.length() }
}

fn any_tiers() -> impl Strategy<Value = Tiers> {
    let steps = prop::collection::vec((1_i64..1_000_000_000, 0_i64..10_000_000), 0..4);
    (steps, 0_i64..10_000_000).prop_map(|(steps, last)| {
        let mut up_to = 0;
        let mut all: Vec<Tier> = Vec::new();
        for (width, rate_micros) in steps {
            up_to += width;
            all.push(Tier { up_to: Some(up_to), rate_micros });
        }
        all.push(Tier { up_to: None, rate_micros: last });
        tiers(all)
    })
}

fn any_model() -> impl Strategy<Value = Model> {
    let micros = 0_i64..10_000_000;
    prop_oneof![
        micros.clone().prop_map(|micros| Model::Flat { micros }),
        micros.clone().prop_map(|micros| Model::PerUnit { micros }),
        any_tiers().prop_map(Model::Graduated),
        any_tiers().prop_map(Model::Volume),
        micros.prop_map(|micros| Model::Package { micros }),
        (0_i64..=1_000_000).prop_map(|millionths| Model::Percentage { millionths }),
    ]
}

/// Any price by a meter that makes sense.
pub(crate) fn any_metered() -> impl Strategy<Value = Price> {
    let bounds = prop::option::of((0_i64..1_000_000_000, 0_i64..1_000_000_000));
    // A minor unit is two, no or three digits; sums are in micros of it all the same.
    let currency = prop::sample::select(vec!["USD", "JPY", "KWD"]);
    (1_i64..10_000_000_000, any_model(), 0_i64..1_000_000_000, bounds, currency).prop_map(
        |(unit_size, model, included, bounds, currency)| {
            let currency: Currency = currency.parse().expect("a currency");
            let money = |micros| Money::micros(micros, currency);
            let minimum = bounds.map(|(minimum, _)| money(minimum));
            let cap = bounds.map(|(minimum, more)| money(minimum + more));
            price(Pricing::Metered(Metered { currency, included, minimum, cap, ..metered(unit_size, model) }))
        },
    )
}

/// Any price that makes sense.
pub(crate) fn any_price() -> impl Strategy<Value = Price> {
    let every = prop::sample::select(vec![Every::Month, Every::Year]);
    prop_oneof![
        1 => (0_i64..1_000_000_000_000, every).prop_map(|(micros, every)| recurring(micros, every)),
        4 => any_metered(),
    ]
}

proptest! {
    #[test]
    fn the_hours_of_a_month_add_up_to_the_sticker_price(
        micros in 0_i64..1_000_000_000_000,
        month in prop::sample::select(vec!["2026-02", "2024-02", "2026-04", "2026-03", "2026-10"]),
    ) {
        let (price, month) = (recurring(micros, Every::Month), month.parse::<Month>().expect("a month"));
        let at = |quantity| Position { quantity, hours: quantity };
        let hours = (0..month.length()).map(|hour| price.between(at(hour), at(hour + 1), month).expect("small").micros);
        prop_assert_eq!(hours.sum::<i64>(), micros);
    }

    /// Whichever month it begins with, leap years included.
    #[test]
    fn twelve_months_in_a_row_add_up_to_the_price_of_a_year(
        micros in 0_i64..1_000_000_000_000, year in 1970_i64..2101, first in 1_i64..=12,
    ) {
        let price = recurring(micros, Every::Year);
        let first: Month = format!("{year:04}-{first:02}").parse().expect("a month");
        let months = std::iter::successors(Some(first), |month| Some(month.next())).take(12);
        let sum: i64 = months.map(|month| price.cumulative(whole(month), month).expect("small").micros).sum();
        prop_assert_eq!(sum, micros);
    }

    /// For every model: in whatever pieces, charges add up to the price of the whole.
    #[test]
    fn however_usage_is_cut_it_costs_the_same(
        price in any_price(),
        cuts in prop::collection::vec((0_i64..5_000_000_000, 0_i64..=744), 1..20),
    ) {
        let month: Month = "2026-10".parse().expect("a month");
        prop_assert_eq!(price.check(), Ok(()));
        let may_fall = matches!(&price.pricing, Pricing::Metered(Metered { model: Model::Volume(_), .. }));
        let (mut quantities, mut hours): (Vec<i64>, Vec<i64>) = cuts.into_iter().unzip();
        if price.meter().is_none() {
            quantities.clone_from(&hours);
        }
        quantities.sort_unstable();
        hours.sort_unstable();
        let (mut before, mut sum) = (Position::default(), 0);
        for (quantity, hours) in quantities.into_iter().zip(hours) {
            let after = Position { quantity, hours };
            let charge = price.between(before, after, month).expect("small").micros;
            prop_assert!(charge >= 0 || may_fall, "only a volume price falls");
            (before, sum) = (after, sum + charge);
        }
        let whole = price.cumulative(before, month).expect("small");
        prop_assert_eq!(sum, whole.micros);
        if let Pricing::Metered(Metered { cap: Some(cap), .. }) = &price.pricing {
            prop_assert!(whole.micros <= cap.micros);
        }
    }
}
