//! Rows: what is refused and with which words; and what meters read.

use super::*;
use crate::meter::NewMeter;
use serde_json::json;

const NOW: &str = "2026-11-22T12:30:00Z";
const OWN: AccountId = AccountId(Uuid::from_u128(1));
const ADA: AccountId = AccountId(Uuid::from_u128(2));
const STRANGER: AccountId = AccountId(Uuid::from_u128(3));

fn with(mut object: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        object[name] = value.clone();
    }
    object
}

/// An event; null takes an attribute away, as it does in CloudEvents.
fn event(changes: Value) -> Value {
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/inference", "type": "completion", "time": NOW,
        "data": { "tokens": 730, "user": "ada", "model": "small" },
    });
    with(event, changes)
}

fn meter(changes: Value) -> OwnMeter {
    let meter = json!({
        "name": "tokens", "unit": "token", "event_type": "completion", "aggregation": "sum", "value_property": "tokens",
        "dimensions": ["model"],
    });
    let terms: NewMeter = serde_json::from_value(with(meter, changes)).expect("a meter");
    let key = terms.check().expect("makes sense");
    OwnMeter { terms, created_at: Timestamp::UNIX_EPOCH, number: 1, key }
}

fn unique() -> OwnMeter {
    meter(
        json!({ "name": "users", "aggregation": "unique_count", "value_property": "user", "event_type": "visit" }),
    )
}

fn admit(event: Value) -> Result<Event, EventRefused> {
    let accounts = [OWN, ADA].into();
    let meters = [meter(json!({})), unique()];
    let door = Door { own: OWN, accounts: &accounts, meters: &meters, now: NOW.parse().expect("a time") };
    read(event.to_string().as_bytes()).and_then(|reported| door.admit(reported))
}

#[test]
fn every_refusal_names_what_is_wrong() {
    let data = |value: Value| json!({ "data": value });
    for (changes, refusal) in [
        (json!({ "specversion": "0.3" }), "specversion: must be 1.0"),
        (json!({ "id": "" }), "id: must be 1 to 200 bytes"),
        (json!({ "id": 7 }), "invalid type: integer"),
        (json!({ "source": "a\nb" }), "source: must be 1 to 200 bytes"),
        (json!({ "source": "s".repeat(201) }), "source: must be 1 to 200 bytes"),
        (json!({ "type": "t".repeat(201) }), "type: must be 1 to 200 bytes"),
        (json!({ "time": null }), "time: is missing"),
        (json!({ "time": "yesterday" }), "failed to parse"),
        (json!({ "time": "2026-11-22T12:35:00.000001Z" }), "time: is more than 5 minutes in the future"),
        (json!({ "time": "2025-10-31T23:59:59Z" }), "time: is more than 12 months before this one"),
        (json!({ "subject": "ada" }), "subject: must be the id of an account"),
        (json!({ "subject": STRANGER }), "subject: is no account of this business"),
        (json!({ "type": "rain" }), "no meter listens to events of the type \"rain\""),
        (json!({ "datacontenttype": "text/xml" }), "data: must be JSON"),
        (json!({ "data_base64": "AA==" }), "data: must be JSON"),
        (json!({ "data": null }), "data: must be an object"),
        (json!({ "data": [1] }), "data: must be an object"),
        (json!({ "corrects": "1" }), "corrects: is the event's own id"),
        (json!({ "corrects": "" }), "corrects: must be 1 to 200 bytes"),
        (data(json!({})), "data.tokens: is missing, and the meter tokens needs it"),
        (data(json!({ "tokens": -1 })), "data.tokens: is below zero"),
        (data(json!({ "tokens": "-1" })), "data.tokens: is below zero"),
        (data(json!({ "tokens": 1.5 })), "data.tokens: must be a whole number"),
        (data(json!({ "tokens": "many" })), "data.tokens: must be a whole number"),
        (data(json!({ "tokens": VALUE_MAX + 1 })), "data.tokens: is more than 1000000000000000"),
        (data(json!({ "tokens": u64::MAX })), "data.tokens: is more than 1000000000000000"),
        (data(json!({ "tokens": "99999999999999999999" })), "data.tokens: is more than 1000000000000000"),
        (data(json!({ "tokens": 1, "model": [] })), "data.model: must be text"),
        (data(json!({ "tokens": 1, "model": "m".repeat(129) })), "data.model: must be text"),
        (data(json!({ "tokens": 1, "model": "\u{0}" })), "data.model: must be text"),
        (data(json!({ "tokens": 1, "more": "m".repeat(8_200) })), "data: must be 8192 bytes"),
        (json!({ "type": "visit", "data": { "user": null } }), "data.user: is missing"),
        (json!({ "type": "visit", "data": { "user": {} } }), "data.user: must be text"),
    ] {
        let refused = admit(event(changes)).expect_err(refusal).to_string();
        assert!(refused.starts_with(refusal), "{refused}");
    }
}

#[test]
fn what_is_within_the_limits_is_taken() {
    for changes in [
        json!({}),
        json!({ "time": "2026-11-22T12:35:00Z" }),
        json!({ "time": "2026-11-22T14:35:00+02:00" }),
        json!({ "time": "2025-11-01T00:00:00Z" }),
        json!({ "subject": ADA }),
        json!({ "data": { "tokens": "730" } }),
        json!({ "data": { "tokens": VALUE_MAX } }),
        json!({ "datacontenttype": "application/json; charset=utf-8", "dataschema": "x", "traceparent": "y" }),
        json!({ "id": "2", "corrects": "1", "data": null }),
    ] {
        admit(event(changes.clone())).unwrap_or_else(|refused| panic!("{changes}: {refused}"));
    }
}

#[test]
fn a_meter_reads_what_it_was_made_for() {
    let read = |changes: Value| admit(event(changes)).expect("taken").readings;
    let [reading] = &read(json!({ "subject": ADA }))[..] else { panic!("one meter listens") };
    let seen = (reading.account, reading.quantity, reading.dimensions.clone(), reading.event.clone());
    assert_eq!(seen, (ADA, 730, vec!["small".to_owned()], None));
    assert_eq!(reading.hour.start(), "2026-11-22T12:00:00Z".parse().expect("a time"));
    assert_eq!(read(json!({ "data": { "tokens": 1 } }))[0].dimensions, [""], "a dimension may be missing");
    assert_eq!(read(json!({ "id": "2", "corrects": "1", "data": null })), [], "nothing is said");
    let [ada, grace, again] = ["ada", "grace", "ada"]
        .map(|user| read(json!({ "type": "visit", "data": { "user": user } }))[0].clone());
    assert_eq!((ada.item == grace.item, ada.item == again.item, ada.quantity), (false, true, 1));
    assert_eq!(ada.event.as_deref(), Some("/inference\n1"), "it can be taken back");
    let paid = meter(json!({ "filters": [{ "property": "model", "in": ["large"] }] }));
    let reported = super::read(event(json!({})).to_string().as_bytes()).expect("an event");
    assert_eq!(readings(&[paid], &reported, OWN), Ok(vec![]), "a filter keeps it out");
    let calls = meter(json!({ "value_property": null }));
    assert_eq!(readings(&[calls], &reported, OWN).expect("read")[0].quantity, 1, "events are counted");
}

#[test]
fn each_event_of_a_batch_is_read_alone() {
    let batch = json!([event(json!({})), { "id": "2" }, event(json!({ "id": "" })), 7]);
    let read = read_batch(batch.to_string().as_bytes()).expect("a list");
    assert_eq!(read.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, false]);
    assert!(read_batch(b"{}").is_err() && read_batch(b"[").is_err());
    let lines = format!("{}\n\n  \n{{\n{}", event(json!({})), event(json!({ "id": "2" })));
    let read = read_lines(lines.as_bytes());
    assert_eq!(read.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert!(read_lines(b"\n").is_empty());
}

#[test]
fn sums_are_added_where_they_are_alike() {
    let reading = |id: &str, time: &str, model: &str| {
        let event = event(json!({ "id": id, "time": time, "data": { "tokens": 5, "model": model } }));
        admit(event).expect("taken").readings
    };
    let all = [
        reading("1", "2026-11-22T12:00:01Z", "small"),
        reading("2", "2026-11-22T12:20:00Z", "small"),
        reading("3", "2026-11-22T12:20:00Z", "large"),
        reading("4", "2026-11-22T11:20:00Z", "small"),
    ];
    let merged: Vec<_> =
        merge(all.concat()).into_iter().map(|it| (it.dimensions.concat(), it.quantity)).collect();
    let expected = [("small", 5), ("large", 5), ("small", 10)].map(|(model, sum)| (model.to_owned(), sum));
    assert_eq!(merged, expected);
}
