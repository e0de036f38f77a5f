//! Tables say how a sale is taxed; properties say that the sums of a breakdown hold to the cent.

use super::*;
use crate::{
    currency::Currency,
    money::{MICROS_PER_MINOR, Money},
};
use proptest::prelude::*;

pub(crate) fn country(code: &str) -> Country {
    code.parse().expect(code)
}

/// A business has a VAT number.
pub(crate) fn buyer(code: &str, is_business: bool) -> Buyer {
    let country = country(code);
    let prefix = if code == "GR" { "EL" } else { code };
    let vat_id = is_business.then(|| VatId::parse(&format!("{prefix}123456789"), country).expect("a number"));
    Buyer { country, vat_id, exemption: None }
}

/// Germany lowered its rates for half a year; Denmark has no reduced one.
const RATES: [(&str, Class, &str, i64); 7] = [
    ("DE", Class::Standard, "2007-01-01", 190_000),
    ("DE", Class::Standard, "2020-07-01", 160_000),
    ("DE", Class::Standard, "2021-01-01", 190_000),
    ("DE", Class::Reduced, "2007-01-01", 70_000),
    ("DK", Class::Standard, "1992-01-01", 250_000),
    ("FI", Class::Standard, "2024-09-01", 255_000),
    ("CH", Class::Standard, "2024-01-01", 81_000),
];

pub(crate) fn rates() -> Rates {
    let mut rates = Rates::default();
    for (code, class, from, millionths) in RATES {
        rates.add(country(code), class, from.parse().expect("a day"), millionths);
    }
    rates
}

/// The same as rows.
pub(crate) fn rate_rows() -> Vec<(String, String, Date, i64)> {
    let row = |(code, class, from, millionths): (&str, Class, &str, i64)| {
        (code.to_owned(), class.as_str().to_owned(), from.parse().expect("a day"), millionths)
    };
    RATES.map(row).to_vec()
}

/// Rows: seller, buyer, is that a business, what is sold, the last day of it; category, whose tax, its rate.
#[test]
fn a_sale_is_taxed_by_who_sells_what_to_whom() {
    use Class::*;
    for (seller, to, business, class, day, category, of, rate) in [
        ("DE", "DE", false, Standard, "2026-11-30", "S", "DE", 190_000),
        ("DE", "DE", true, Standard, "2026-11-30", "S", "DE", 190_000), // at home a business pays, too
        ("DE", "DE", false, Standard, "2020-06-30", "S", "DE", 190_000),
        ("DE", "DE", false, Standard, "2020-07-31", "S", "DE", 160_000),
        ("DE", "DE", false, Standard, "2020-12-31", "S", "DE", 160_000),
        ("DE", "DE", false, Standard, "2021-01-31", "S", "DE", 190_000),
        ("DE", "DE", false, Reduced, "2026-11-30", "AA", "DE", 70_000),
        ("DE", "DK", false, Reduced, "2026-11-30", "S", "DK", 250_000), // no reduced rate there
        ("DE", "DE", false, Zero, "2026-11-30", "Z", "DE", 0),
        ("DE", "DE", false, Exempt, "2026-11-30", "E", "DE", 0),
        ("DE", "FI", false, Standard, "2026-11-30", "S", "FI", 255_000), // consumers pay their own country's
        ("DE", "FI", true, Standard, "2026-11-30", "AE", "FI", 0),
        ("DE", "FI", false, Standard, "2024-08-31", "O", "", 0), // before the first day that is known
        ("DE", "FR", false, Standard, "2026-11-30", "O", "", 0), // a country whose rate is not known
        ("DE", "US", false, Standard, "2026-11-30", "O", "", 0),
        ("DE", "CH", true, Standard, "2026-11-30", "O", "", 0), // exported, though there is a rate at home
        ("US", "DE", false, Standard, "2026-11-30", "S", "DE", 190_000),
        ("US", "DE", true, Standard, "2026-11-30", "AE", "DE", 0),
        ("US", "US", false, Standard, "2026-11-30", "O", "", 0),
        ("CH", "CH", true, Standard, "2026-11-30", "S", "CH", 81_000),
        ("CH", "US", false, Standard, "2026-11-30", "O", "", 0),
    ] {
        let terms = TaxTerms { class, prices_include_tax: false };
        let day = day.parse().expect("a day");
        let seen = treat(country(seller), &buyer(to, business), terms, &rates(), day);
        let code = seen.country.map(|it| it.to_string()).unwrap_or_default();
        let expected = (category, of, rate);
        assert_eq!(
            (seen.category.code(), code.as_str(), seen.rate_millionths),
            expected,
            "{seller} to {to}, {day}"
        );
        let exempt = Buyer { exemption: Some("Art. 151".into()), ..buyer(to, business) };
        let seen = treat(country(seller), &exempt, terms, &rates(), day);
        assert_eq!((seen.category, seen.rate_millionths), (Category::Exempt, 0));
    }
}

#[test]
fn a_profile_counts_from_the_month_in_which_it_is_known() {
    let at = |text: &str| text.parse::<Timestamp>().expect(text);
    let books = TaxBooks {
        sellers: vec![(at("2026-01-01T00:00:00Z"), country("DE"))],
        buyers: vec![
            (at("2026-10-31T23:59:59Z"), buyer("DE", false)),
            (at("2026-12-01T00:00:00Z"), buyer("DK", true)),
        ],
        rates: Arc::new(rates()),
    };
    for (end, last, category) in [
        ("2026-10-01T00:00:00Z", "2026-09-30", "O"),
        ("2026-11-01T00:00:00Z", "2026-10-31", "S"),
        ("2026-12-01T00:00:00Z", "2026-11-30", "S"), // what is said at its end is of the next month
        ("2027-01-01T00:00:00Z", "2026-12-31", "AE"),
    ] {
        let seen = books.treat(TaxTerms::default(), at(end), last.parse().expect("a day"));
        assert_eq!(seen.category.code(), category, "{end}");
    }
}

/// Rows: what somebody writes, where; what it is read as, or a part of the refusal.
#[test]
fn the_form_of_a_vat_number_is_looked_at() {
    for (text, of, read) in [
        ("DE 123 456 789", "DE", Ok("DE123456789")),
        ("atu-12345678", "AT", Ok("ATU12345678")),
        ("EL123456789", "GR", Ok("EL123456789")),
        ("GR123456789", "GR", Err("begins with EL")),
        ("123456789", "DE", Err("begins with DE")),
        ("FR12345678901", "DE", Err("begins with DE")),
        ("CHE-123.456.788", "CH", Ok("CHE123456788")),
        ("12-3456789", "US", Ok("123456789")),
        ("", "DE", Err("4 to 20")),
        ("DE1", "DE", Err("4 to 20")),
        ("DE12345678901234567890", "DE", Err("4 to 20")),
        ("DE12345678é", "DE", Err("4 to 20")),
    ] {
        let seen = VatId::parse(text, country(of));
        match read {
            Ok(number) => assert_eq!(seen.expect(text).as_str(), number),
            Err(why) => {
                let refused = seen.expect_err(text).to_string();
                assert!(refused.contains(why), "{text}: {refused}");
            }
        }
    }
    for (code, is_known, is_in_eu) in [
        ("DE", true, true),
        ("GR", true, true),
        ("GB", true, false),
        ("EL", false, false),
        ("de", false, false),
        ("DEU", false, false),
        ("", false, false),
    ] {
        let seen = code.parse::<Country>();
        assert_eq!((seen.is_ok(), seen.is_ok_and(Country::is_in_eu)), (is_known, is_in_eu), "{code}");
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for class in Class::ALL {
        assert_eq!(class.as_str().parse(), Ok(class));
        assert_eq!(serde_json::to_value(class).expect("plain"), class.as_str());
    }
    for category in Category::ALL {
        assert_eq!(category.code().parse(), Ok(category));
        assert_eq!(serde_json::to_value(category).expect("plain"), category.code());
    }
    assert!("K".parse::<Category>().is_err() && "half".parse::<Class>().is_err());
}

fn at_rate(rate_millionths: i64, prices_include_tax: bool) -> Treatment {
    Treatment {
        category: Category::Standard,
        country: Some(country("DE")),
        rate_millionths,
        prices_include_tax,
    }
}

/// Rows: what a month is priced at in hundredths of a minor unit, month after month; the taxable amounts and taxes.
#[test]
fn tax_is_rounded_once_and_the_price_stays_exact_over_the_months() {
    for (includes, priced, expected) in [
        // 5 ¢ and 19 % on top: 0.95 ¢ are a cent.
        (false, [500, 500, 500, 500], [(5, 1), (5, 1), (5, 1), (5, 1)]),
        // 2 ¢: 0.38 ¢ are none.
        (false, [200, 200, 200, 200], [(2, 0), (2, 0), (2, 0), (2, 0)]),
        // 25.55 ¢, of which 26 are billed; the tax is of what is billed.
        (false, [2_555, 2_555, 2_555, 2_555], [(26, 5), (25, 5), (26, 5), (25, 5)]),
        // 25 ¢ with 19 % within: 21 and 4, every month.
        (true, [2_500, 2_500, 2_500, 2_500], [(21, 4), (21, 4), (21, 4), (21, 4)]),
        // Nothing and its tax are 3 ¢: 2 and none, then 3 and 1; 12 ¢ after four months all the same.
        (true, [300, 300, 300, 300], [(2, 0), (3, 1), (2, 0), (3, 1)]),
        // What is taken back is rounded the same way.
        (false, [500, -500, -2_550, 50], [(5, 1), (-5, -1), (-26, -5), (1, 0)]),
    ] {
        let mut carried = Money::zero(Currency::USD);
        for (hundredths, whole) in priced.into_iter().zip(expected) {
            let priced = Money::micros(hundredths * MICROS_PER_MINOR / 100, Currency::USD);
            let (parts, left) = settle(&[(at_rate(190_000, includes), priced)], carried).expect("small");
            let [part] = &parts[..] else { panic!("one part") };
            let seen = (part.taxable.micros / MICROS_PER_MINOR, part.tax.micros / MICROS_PER_MINOR);
            assert_eq!(seen, whole, "{hundredths} hundredths, included: {includes}");
            carried = left;
        }
    }
}

/// Nothing was sold at this rate, and what an earlier one left is carried past it.
#[test]
fn what_is_carried_makes_no_part_negative() {
    for includes in [false, true] {
        for (priced, taxable, left) in
            [(0, 0, -900_000), (300_000, 0, -600_000), (-300_000, -1_000_000, -200_000)]
        {
            let money = |micros| Money::micros(micros, Currency::USD);
            let (parts, carried) =
                settle(&[(at_rate(0, includes), money(priced))], money(-900_000)).expect("small");
            assert_eq!(
                (parts[0].taxable, carried),
                (money(taxable), money(left)),
                "{priced}, included: {includes}"
            );
        }
    }
}

#[test]
fn what_is_too_large_is_an_error() {
    let most = Money::micros(i64::MAX, Currency::USD);
    for includes in [false, true] {
        assert!(settle(&[(at_rate(999_999, includes), most)], most).is_err(), "{includes}");
    }
    let (parts, _) =
        settle(&[(at_rate(999_999, false), most)], Money::zero(Currency::USD)).expect("each fits");
    assert!(parts[0].taxable.plus(parts[0].tax).is_err(), "but not their sum");
}

proptest! {
    /// BR-CO-17 and BR-CO-14/15 as integers: each tax is its taxable amount times the rate to half a cent, everything is
    /// whole, and what is billed in place of the exact prices differs from them by what is carried and nothing else.
    #[test]
    fn net_and_tax_make_gross_for_each_rate(
        parts in prop::collection::vec((0_i64..1_000_000, any::<bool>(), -50_000_000_000_i64..50_000_000_000), 0..6),
        carried in -1_000_000_i64..=1_000_000,
        code in prop_oneof![Just("USD"), Just("JPY"), Just("KWD")],
    ) {
        let money = |micros| Money::micros(micros, code.parse().expect(code));
        let parts: Vec<_> =
            parts.into_iter().map(|(rate, includes, micros)| (at_rate(rate, includes), money(micros))).collect();
        let (settled, left) = settle(&parts, money(carried)).expect("small");
        prop_assert_eq!(settled.len(), parts.len());
        let mut exact = i128::from(carried) - i128::from(left.micros);
        for (part, (treatment, priced)) in settled.iter().zip(&parts) {
            prop_assert_eq!((part.treatment, part.priced), (*treatment, *priced));
            prop_assert_eq!((part.taxable.micros % MICROS_PER_MINOR, part.tax.micros % MICROS_PER_MINOR), (0, 0));
            let off = i128::from(part.tax.micros) * i128::from(MILLIONTHS)
                - i128::from(part.taxable.micros) * i128::from(treatment.rate_millionths);
            prop_assert!(2 * off.abs() <= i128::from(MILLIONTHS) * i128::from(MICROS_PER_MINOR));
            exact += i128::from(priced.micros) - i128::from(part.billed().expect("small").micros);
        }
        prop_assert_eq!(exact, 0);
        let limit = match parts.last() {
            Some((treatment, _)) if !treatment.prices_include_tax => MICROS_PER_MINOR / 2,
            _ => MICROS_PER_MINOR,
        };
        prop_assert!(left.micros.abs() <= limit, "{} is carried", left);
    }

    /// Whoever is told a price with tax pays that price over the months, however small it is.
    #[test]
    fn a_price_with_tax_within_is_paid_exactly(rate in 0_i64..400_000, micros in 0_i64..30_000_000, months in 1_i64..60) {
        let price = Money::micros(micros, Currency::USD);
        let (mut carried, mut paid) = (Money::zero(Currency::USD), 0);
        for _ in 0..months {
            let (parts, left) = settle(&[(at_rate(rate, true), price)], carried).expect("small");
            paid += parts[0].billed().expect("small").micros;
            carried = left;
        }
        prop_assert!((paid - months * micros).abs() <= MICROS_PER_MINOR);
    }
}
