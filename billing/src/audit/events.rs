//! What was used in some hours, from facts and from events themselves: filters and aggregations worked out again.

use super::evidence::{EventRow, Evidence, MeterRow};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const HOUR_MICROS: i64 = 3_600_000_000;

/// A meter's quantity over some hours in their order; `None` for a meter or a value that cannot be read.
pub(super) fn used(evidence: &Evidence, meter: &str, hours: &[Timestamp]) -> Option<i64> {
    let hours: BTreeSet<i64> = hours.iter().map(|hour| hour.as_microsecond() / HOUR_MICROS).collect();
    let is_paid = |at: Timestamp| hours.contains(&at.as_microsecond().div_euclid(HOUR_MICROS));
    let Some(own) = evidence.meters.iter().find(|own| own.name == meter) else {
        let facts = evidence.used.iter().filter(|fact| fact.meter == meter && is_paid(fact.hour));
        return facts.map(|fact| fact.quantity).try_fold(0_i64, i64::checked_add);
    };
    let mut events: Vec<&EventRow> = evidence.events.iter().filter(|event| counts(own, event)).collect();
    events.sort_by_key(|event| (event.at, &event.source, &event.id));
    if own.aggregation == "time_weighted_sum" {
        return held(own, &events, &hours);
    }
    let mut paid = events.into_iter().filter(|event| is_paid(event.at));
    match own.aggregation.as_str() {
        "sum" => paid.map(|event| value(own, event)).try_fold(0_i64, |sum, value| sum.checked_add(value?)),
        "maximum" => paid.map(|event| value(own, event)).try_fold(0, |most, value| Some(most.max(value?))),
        "latest" => paid.next_back().map_or(Some(0), |event| value(own, event)),
        "unique_count" => {
            let all: Option<BTreeSet<String>> = paid.map(|event| told_apart(own, event)).collect();
            i64::try_from(all?.len()).ok()
        }
        _ => None,
    }
}

/// Does the meter take the event?
fn counts(meter: &MeterRow, event: &EventRow) -> bool {
    let lets_through = |filter: &Value| {
        let value = filter["property"].as_str().and_then(|path| written(at_path(&event.data, path)));
        let allowed = filter["in"].as_array().into_iter().flatten();
        value.is_some_and(|value| allowed.filter_map(Value::as_str).any(|one| one == value))
    };
    meter.event_type == event.event_type
        && meter.number <= event.meters_known
        && event.data.is_object()
        && meter.filters.as_array().is_some_and(|filters| filters.iter().all(lets_through))
}

fn value(meter: &MeterRow, event: &EventRow) -> Option<i64> {
    let Some(path) = &meter.value_property else { return Some(1) };
    written(at_path(&event.data, path))?.parse().ok()
}

fn told_apart(meter: &MeterRow, event: &EventRow) -> Option<String> {
    written(at_path(&event.data, meter.value_property.as_ref()?))
}

/// Each change of a level counts for the paid time that is left after it; what was set before the first hour for all of it.
fn held(meter: &MeterRow, events: &[&EventRow], hours: &BTreeSet<i64>) -> Option<i64> {
    let mut levels: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    let mut sum = 0_i128;
    for event in events {
        let series =
            meter.dimensions.iter().map(|path| written(at_path(&event.data, path)).unwrap_or_default());
        let before = levels.entry(series.collect()).or_insert(0);
        let now = value(meter, event)?;
        sum += i128::from(now - *before) * i128::from(time_after(event.at, hours));
        *before = now;
    }
    i64::try_from(sum / i128::from(HOUR_MICROS)).ok()
}

/// How much of some hours comes after an instant, in microseconds.
fn time_after(at: Timestamp, hours: &BTreeSet<i64>) -> i64 {
    let hour = at.as_microsecond().div_euclid(HOUR_MICROS);
    let whole = i64::try_from(hours.range(hour + 1..).count()).unwrap_or(i64::MAX);
    let part = if hours.contains(&hour) { (hour + 1) * HOUR_MICROS - at.as_microsecond() } else { 0 };
    whole.saturating_mul(HOUR_MICROS).saturating_add(part)
}

fn at_path<'a>(data: &'a Value, path: &str) -> &'a Value {
    let inner = |value: &'a Value, name| value.as_object().and_then(|object| object.get(name));
    path.split('.').fold(data, |value, name| inner(value, name).unwrap_or(&Value::Null))
}

/// A value as it is written, without the quotes of text.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        plain => Some(plain.to_string()),
    }
}
