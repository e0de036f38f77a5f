//! Every version that is refused, with its field and reason; and that what is written can be read again.

use super::*;
use crate::price::tests::any_price;
use proptest::prelude::*;
use serde_json::{Value, json};

const MINUTES: &str = r#"{ "description": "Minutes", "model": "per_unit", "meter": "participant_ms",
    "unit": "minute", "unit_size": 60000, "amount_micros": 5 }"#;

fn minutes(changed: Value) -> Value {
    with(serde_json::from_str(MINUTES).expect("JSON"), changed)
}

fn seats(changed: Value) -> Value {
    let seats = json!({ "description": "Seats", "model": "per_unit", "every": "month", "per": "seat", "amount_micros": 5 });
    with(seats, changed)
}

/// Null takes a field away.
fn with(mut price: Value, changed: Value) -> Value {
    for (field, value) in changed.as_object().expect("an object") {
        if value.is_null() {
            price.as_object_mut().expect("an object").remove(field);
        } else {
            price[field] = value.clone();
        }
    }
    price
}

fn version(prices: Vec<Value>) -> Value {
    json!({ "currency": "USD", "prices": prices })
}

/// Rows: a version, and what its refusal says.
#[test]
fn a_version_that_makes_no_sense_is_refused_with_its_field_and_reason() {
    let price = |changed| version(vec![minutes(changed)]);
    let seat = |changed| version(vec![seats(changed)]);
    let tiers =
        |model: &str, tiers: Value| price(json!({ "model": model, "amount_micros": null, "tiers": tiers }));
    let most = i64::MAX;
    for (version, refusal) in [
        (version(vec![]), "prices: must be 1 to 50"),
        (version(vec![minutes(json!({})); 51]), "prices: must be 1 to 50"),
        (json!({ "currency": "usd", "prices": [] }), "currency: a currency is three capital letters"),
        (json!({ "currency": "XXQ", "prices": [] }), "currency: ISO 4217 has no currency XXQ"),
        (with(price(json!({})), json!({ "trial_days": 366 })), "trial_days: must be 365 at most"),
        (with(price(json!({})), json!({ "features": { "rooms_max": 1_000_001 } })), "features.rooms_max: "),
        (
            with(price(json!({})), json!({ "features": { "participants_max": 65 } })),
            "features.participants_max: ",
        ),
        (price(json!({ "description": " " })), "prices[1].description: must be 1 to 200"),
        (price(json!({ "description": "x".repeat(201) })), "prices[1].description: must be 1 to 200"),
        (price(json!({ "description": "a\nb" })), "prices[1].description: must be 1 to 200"),
        (price(json!({ "meter": "smiles" })), "prices[1].meter: there is no meter \"smiles\""),
        (price(json!({ "every": "month" })), "prices[1].every: say either"),
        (price(json!({ "meter": null })), "prices[1].every: say either"),
        (price(json!({ "per": "seat" })), "prices[1].per: is of recurring prices"),
        (price(json!({ "unit": null })), "prices[1].unit: must be 1 to 40"),
        (price(json!({ "unit": "x".repeat(41) })), "prices[1].unit: must be 1 to 40"),
        (price(json!({ "unit_size": null })), "prices[1].unit_size: is missing"),
        (price(json!({ "unit_size": 0 })), "prices[1].unit_size: a unit or a package holds at least one"),
        (price(json!({ "amount_micros": null })), "prices[1].amount_micros: is missing"),
        (price(json!({ "amount_micros": -1 })), "prices[1].amount_micros: the rate is below zero"),
        (price(json!({ "included": -1 })), "prices[1].included: the allowance is below zero"),
        (
            price(json!({ "cap_micros": -1 })),
            "prices[1].minimum_micros: the minimum or the cap is below zero",
        ),
        (
            price(json!({ "minimum_micros": 6, "cap_micros": 5 })),
            "prices[1].cap_micros: the cap 0.00000005 USD is below",
        ),
        (price(json!({ "tiers": [{ "amount_micros": 1 }] })), "prices[1].tiers: are of graduated"),
        (price(json!({ "millionths": 1 })), "prices[1].millionths: are of percentages"),
        (price(json!({ "model": "percentage" })), "prices[1].amount_micros: is not of this model"),
        (price(json!({ "model": "percentage", "amount_micros": null })), "prices[1].millionths: are missing"),
        (
            price(json!({ "model": "percentage", "amount_micros": null, "millionths": 1_000_001 })),
            "prices[1].millionths: a share is 100 % at most",
        ),
        (
            price(json!({ "model": "percentage", "amount_micros": null, "millionths": -1 })),
            "prices[1].millionths: the share is below zero",
        ),
        (tiers("graduated", json!([])), "prices[1].tiers: a metered price needs at least one tier"),
        (
            tiers("volume", json!([{ "up_to": 5, "amount_micros": 1 }])),
            "prices[1].tiers: the last tier must have no end",
        ),
        (
            tiers("graduated", json!([{ "amount_micros": 1 }, { "amount_micros": 1 }])),
            "prices[1].tiers: tier 1 has no end",
        ),
        (
            tiers(
                "graduated",
                json!([{ "up_to": 9, "amount_micros": 1 }, { "up_to": 5, "amount_micros": 1 }, { "amount_micros": 1 }]),
            ),
            "prices[1].tiers: tier 2 ends where the one before it ends, or earlier",
        ),
        (
            tiers("volume", json!([{ "up_to": 9, "amount_micros": 1 }, { "amount_micros": -1 }])),
            "prices[1].tiers: tier 2 has a rate below zero",
        ),
        (
            tiers("graduated", json!([{ "up_to": most, "amount_micros": most }, { "amount_micros": 0 }])),
            "prices[1].amount_micros: the amount would be larger than can be billed",
        ),
        (
            tiers("graduated", json!(vec![json!({ "amount_micros": 1 }); 101])),
            "prices[1].tiers: must be 100 at most",
        ),
        (seat(json!({ "unit": "seat" })), "prices[1].unit: is of metered prices"),
        (seat(json!({ "unit_size": 1 })), "prices[1].unit_size: is of metered prices"),
        (seat(json!({ "per": null })), "prices[1].model: must be flat"),
        (
            seat(json!({ "per": null, "model": "flat", "cap_micros": 1 })),
            "prices[1].cap_micros: needs `per` or `meter`",
        ),
        (
            seat(json!({ "per": null, "model": "flat", "amount_micros": -1 })),
            "prices[1].amount_micros: the amount is below zero",
        ),
        (
            seat(json!({ "model": "percentage", "amount_micros": null, "millionths": 1 })),
            "prices[1].model: a share is of money",
        ),
        (seat(json!({ "amount_micros": most })), "prices[1].amount_micros: the amount would be larger"),
        (version(vec![seats(json!({})), seats(json!({ "amount_micros": -1 }))]), "prices[2].amount_micros: "),
    ] {
        let parsed: NewVersion = serde_json::from_value(version.clone()).expect("fields that there are");
        let refused = parsed.check(&BTreeSet::new()).expect_err(&version.to_string()).to_string();
        assert!(refused.starts_with(refusal), "{version}: {refused}");
    }
}

#[test]
fn fields_that_there_are_not_are_refused() {
    for price in
        [minutes(json!({ "amount": 5 })), seats(json!({ "per": "chair" })), seats(json!({ "every": "week" }))]
    {
        assert!(serde_json::from_value::<NewVersion>(version(vec![price.clone()])).is_err(), "{price}");
    }
}

#[test]
fn currencies_with_no_two_and_three_digits_are_sold_in() {
    for code in ["JPY", "USD", "KWD", "CLP", "EUR", "TND"] {
        let version = json!({ "currency": code, "prices": [seats(json!({}))] });
        let (currency, _) = serde_json::from_value::<NewVersion>(version)
            .expect("fields")
            .check(&BTreeSet::new())
            .expect(code);
        assert_eq!(currency.code(), code);
    }
}

proptest! {
    /// What a price says of itself, written again, is the same price.
    #[test]
    fn a_price_that_is_read_can_be_written(price in any_price()) {
        let version = NewVersion {
            currency: price.currency().to_string(),
            prices: vec![PriceTerms::of(&Price { description: "Price".into(), ..price.clone() })],
            ..NewVersion::default()
        };
        let json = serde_json::to_string(&version).expect("plain");
        let (_, prices) = serde_json::from_str::<NewVersion>(&json).expect("its own").check(&BTreeSet::new()).expect("sound");
        prop_assert_eq!(&prices[0].1, &price.pricing);
    }
}
