//! Meters that a business makes for what it counts itself.
//!
//! A meter listens to events of one CloudEvents type, takes those that its filters let through, and reads one property of
//! their data. It is sealed once made: what was counted by it stays what it was.

use crate::usage::{MeterName, Tally};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeSet, str::FromStr};
use utoipa::ToSchema;

/// As many meters as a business has.
pub const METERS_MAX: i64 = 200;
/// As many filters as a meter has.
const FILTERS_MAX: usize = 10;
/// As many values as a filter lets through.
const FILTER_VALUES_MAX: usize = 50;
/// As many dimensions as a meter has.
const DIMENSIONS_MAX: usize = 5;
/// The longest path of a property, and how deep it goes.
const PROPERTY_CHARS_MAX: usize = 64;
const PROPERTY_DEPTH_MAX: usize = 4;
/// The longest value of a filter or a dimension, in characters.
pub const TEXT_CHARS_MAX: usize = 128;
/// The longest type of event, in characters.
pub const TYPE_CHARS_MAX: usize = 128;
/// The longest unit, in characters.
const UNIT_CHARS_MAX: usize = 40;

/// How the values of a month become its quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// All of them, added.
    Sum,
    /// The greatest.
    Maximum,
    /// The last.
    Latest,
    /// How many different ones.
    UniqueCount,
    /// Each is a level that lasts until the next: level times hours. A level lasts beyond the month, too, and each
    /// combination of dimensions has a level of its own.
    TimeWeightedSum,
}

/// A name that stands for no aggregation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no aggregation {0:?}")]
pub struct UnknownAggregation(pub String);

impl Aggregation {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Sum, Self::Maximum, Self::Latest, Self::UniqueCount, Self::TimeWeightedSum];

    /// The name in tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Maximum => "maximum",
            Self::Latest => "latest",
            Self::UniqueCount => "unique_count",
            Self::TimeWeightedSum => "time_weighted_sum",
        }
    }

    /// What one value of an hour comes to, or the hash of one that is only told from others. A level needs to know how
    /// long it lasted: see [`crate::usage::hold`].
    pub fn tally(self, quantity: i64, item: Option<u128>) -> Tally {
        match self {
            Self::Sum => Tally::Sum(quantity),
            Self::Maximum => Tally::Maximum(quantity),
            Self::Latest => Tally::Latest(quantity),
            Self::UniqueCount => Tally::Unique(item.into_iter().collect()),
            Self::TimeWeightedSum => Tally::Nothing,
        }
    }
}

impl FromStr for Aggregation {
    type Err = UnknownAggregation;

    fn from_str(name: &str) -> Result<Self, UnknownAggregation> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == name);
        found.ok_or_else(|| UnknownAggregation(name.to_owned()))
    }
}

/// Lets through events whose property has one of some values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Which property of the data, such as `region` or `call.region`.
    #[schema(max_length = 64, example = "region")]
    pub property: String,
    /// Its values: text, or numbers and `true` and `false` as they are written. 1 to 50.
    #[serde(rename = "in")]
    #[schema(min_items = 1, max_items = 50, example = json!(["eu", "us"]))]
    pub values: BTreeSet<String>,
}

/// A meter to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "tokens", "unit": "token", "event_type": "com.example.completion", "aggregation": "sum",
    "value_property": "tokens", "filters": [{ "property": "tier", "in": ["paid"] }], "dimensions": ["model"]
}))]
pub struct NewMeter {
    /// What prices call it: a small letter, then up to 31 small letters, digits and underscores.
    #[schema(max_length = 32, pattern = "^[a-z][a-z0-9_]{0,31}$", example = "tokens")]
    pub name: String,
    /// What it counts, for people.
    #[schema(min_length = 1, max_length = 40, example = "token")]
    pub unit: String,
    /// The CloudEvents `type` that it listens to.
    #[schema(min_length = 1, max_length = 128, example = "com.example.completion")]
    pub event_type: String,
    /// How the values of a month become its quantity.
    pub aggregation: Aggregation,
    /// Which property of the data is the value. Left out, each event counts one, which only `sum` can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, example = "tokens")]
    pub value_property: Option<String>,
    /// Only events that all of these let through, at most 10.
    #[serde(default)]
    #[schema(max_items = 10)]
    pub filters: Vec<Filter>,
    /// The properties that usage can be grouped by later, at most 5.
    #[serde(default)]
    #[schema(max_items = 5, example = json!(["model"]))]
    pub dimensions: Vec<String>,
}

/// A meter of a business. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwnMeter {
    /// What it is.
    #[serde(flatten)]
    pub terms: NewMeter,
    /// When it was made; it counts what is reported from then on.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Its place among the meters of the business, from 1: an event knows those that were there when it came.
    #[serde(skip)]
    pub number: i32,
    /// Its name, read.
    #[serde(skip)]
    pub key: MeterName,
}

/// A field of a meter that is not allowed, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct MeterRefused {
    /// Which.
    pub field: &'static str,
    /// The reason.
    pub why: String,
}

fn refused(field: &'static str, why: impl Into<String>) -> MeterRefused {
    MeterRefused { field, why: why.into() }
}

impl NewMeter {
    /// Its name, if it makes sense.
    pub fn check(&self) -> Result<MeterName, MeterRefused> {
        let name = self.name.parse().map_err(|_| {
            let why = "must be a small letter and up to 31 small letters, digits and underscores, and no built-in meter";
            refused("name", why)
        })?;
        one_line("unit", &self.unit, UNIT_CHARS_MAX)?;
        one_line("event_type", &self.event_type, TYPE_CHARS_MAX)?;
        match (&self.value_property, self.aggregation) {
            (Some(path), _) => property("value_property", path)?,
            (None, Aggregation::Sum) => {}
            (None, _) => return Err(refused("value_property", "is missing: only a sum can count events")),
        }
        self.check_filters()?;
        self.check_dimensions()?;
        Ok(name)
    }

    fn check_filters(&self) -> Result<(), MeterRefused> {
        if self.filters.len() > FILTERS_MAX {
            return Err(refused("filters", format!("must be {FILTERS_MAX} at most")));
        }
        for filter in &self.filters {
            property("filters", &filter.property)?;
            if !(1..=FILTER_VALUES_MAX).contains(&filter.values.len()) {
                return Err(refused("filters", format!("must let 1 to {FILTER_VALUES_MAX} values through")));
            }
            filter.values.iter().try_for_each(|value| one_line("filters", value, TEXT_CHARS_MAX))?;
        }
        Ok(())
    }

    fn check_dimensions(&self) -> Result<(), MeterRefused> {
        if self.dimensions.len() > DIMENSIONS_MAX {
            return Err(refused("dimensions", format!("must be {DIMENSIONS_MAX} at most")));
        }
        self.dimensions.iter().try_for_each(|path| property("dimensions", path))?;
        let different: BTreeSet<&String> = self.dimensions.iter().collect();
        if different.len() < self.dimensions.len() {
            return Err(refused("dimensions", "must all be different"));
        }
        Ok(())
    }
}

impl OwnMeter {
    /// Does it take an event with this data?
    pub fn takes(&self, data: &Value) -> bool {
        self.terms.filters.iter().all(|filter| {
            let value = find(data, &filter.property).and_then(text);
            value.is_some_and(|value| filter.values.contains(&value))
        })
    }
}

/// What stands at a path in an event's data.
pub fn find<'a>(data: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(data, |value, name| value.get(name))
}

/// A value as text, if it is neither null nor made of others.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is_true) => Some(is_true.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn one_line(field: &'static str, text: &str, chars_max: usize) -> Result<(), MeterRefused> {
    let is_long = !(1..=chars_max).contains(&text.chars().count());
    if is_long || text.chars().any(char::is_control) || text.trim() != text {
        return Err(refused(field, format!("must be 1 to {chars_max} characters on one line")));
    }
    Ok(())
}

fn property(field: &'static str, path: &str) -> Result<(), MeterRefused> {
    one_line(field, path, PROPERTY_CHARS_MAX)?;
    let names: Vec<&str> = path.split('.').collect();
    if names.len() > PROPERTY_DEPTH_MAX || names.contains(&"") {
        let why = format!("{path:?} must be 1 to {PROPERTY_DEPTH_MAX} names of properties with dots between");
        return Err(refused(field, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meter(changes: Value) -> Result<NewMeter, serde_json::Error> {
        let mut meter = json!({
            "name": "tokens", "unit": "token", "event_type": "com.example.completion", "aggregation": "sum",
            "value_property": "usage.tokens", "dimensions": ["model"],
        });
        for (field, value) in changes.as_object().expect("an object") {
            meter[field] = value.clone();
        }
        serde_json::from_value(meter)
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        let filter = |filter: Value| json!({ "filters": [filter] });
        for (changes, refusal) in [
            (json!({ "name": "Tokens" }), "name: must be a small letter"),
            (json!({ "name": "egress_bytes" }), "name: must be a small letter"),
            (json!({ "unit": "" }), "unit: must be 1 to 40"),
            (json!({ "event_type": "a\nb" }), "event_type: must be 1 to 128"),
            (json!({ "aggregation": "maximum", "value_property": null }), "value_property: is missing"),
            (json!({ "value_property": "a..b" }), "value_property: \"a..b\" must be 1 to 4 names"),
            (json!({ "value_property": "a.b.c.d.e" }), "value_property: \"a.b.c.d.e\" must be 1 to 4 names"),
            (filter(json!({ "property": "tier", "in": [] })), "filters: must let 1 to 50"),
            (filter(json!({ "property": "", "in": ["x"] })), "filters: must be 1 to 64"),
            (json!({ "filters": vec![json!({ "property": "a", "in": ["b"] }); 11] }), "filters: must be 10"),
            (json!({ "dimensions": ["a", "a"] }), "dimensions: must all be different"),
            (json!({ "dimensions": ["a", "b", "c", "d", "e", "f"] }), "dimensions: must be 5 at most"),
        ] {
            let refused = meter(changes).expect("the right types").check().expect_err(refusal).to_string();
            assert!(refused.starts_with(refusal), "{refused}");
        }
        assert!(meter(json!({ "aggregation": "median" })).is_err());
        assert!(meter(json!({ "colour": "red" })).is_err());
        assert!(meter(json!({})).expect("as it is").check().is_ok());
        assert!(meter(json!({ "value_property": null })).expect("counts events").check().is_ok());
    }

    #[test]
    fn filters_compare_what_is_written() {
        let terms = |filters: Value| meter(json!({ "filters": filters })).expect("filters");
        let takes = |filters: Value, data: Value| {
            let terms = terms(filters);
            let key = terms.check().expect("makes sense");
            OwnMeter { terms, created_at: Timestamp::UNIX_EPOCH, number: 1, key }.takes(&data)
        };
        let tier = json!([{ "property": "tier", "in": ["paid", "3", "true"] }]);
        for (data, is_taken) in [
            (json!({ "tier": "paid" }), true),
            (json!({ "tier": 3 }), true),
            (json!({ "tier": true }), true),
            (json!({ "tier": "free" }), false),
            (json!({ "tier": null }), false),
            (json!({ "tier": ["paid"] }), false),
            (json!({}), false),
            (json!("paid"), false),
        ] {
            assert_eq!(takes(tier.clone(), data.clone()), is_taken, "{data}");
            assert!(takes(json!([]), data));
        }
        let both = json!([{ "property": "a.b", "in": ["1"] }, { "property": "c", "in": ["2"] }]);
        assert!(takes(both.clone(), json!({ "a": { "b": 1 }, "c": 2 })));
        assert!(!takes(both, json!({ "a": { "b": 1 }, "c": 3 })));
    }
}
