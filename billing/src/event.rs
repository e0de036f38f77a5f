//! Events: what a business counts itself and reports, as CloudEvents 1.0.
//!
//! An event is a fact of its source's, named for ever by its source and its id; when it happened is no part of the name. It
//! may be reported as often as one likes. One that says something else under the same name is refused. What was wrong is put
//! right by another event that [`corrects`](Reported::corrects) it: then only the other one counts.

use crate::{
    ids::AccountId,
    meter::{self, Aggregation, OwnMeter},
    money::Money,
    period::{Hour, Month},
    usage::MeterName,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// As many events as one request reports.
pub const EVENTS_MAX: usize = 10_000;
/// The longest id or source, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// The largest data, in bytes of JSON.
const DATA_BYTES_MAX: usize = 8 * 1024;
/// The greatest value of one event, so that no month of any account comes near the end of what can be counted.
pub const VALUE_MAX: i64 = 1_000_000_000_000_000;
/// How far clocks may be ahead of ours.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How many whole months before the current one an event may be of.
const MONTHS_MAX: usize = 12;

/// Why an event is not taken. Nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventRefused {
    /// It is no event.
    #[error("{0}")]
    NotAnEvent(String),
    /// An attribute or a property is not allowed.
    #[error("{field}: {why}")]
    Field {
        /// Which.
        field: String,
        /// The reason.
        why: String,
    },
    /// Nobody listens.
    #[error("no meter listens to events of the type {0:?}")]
    UnknownType(String),
    /// Something else was reported under the same name.
    #[error("another event with this source and id says something else; an id is used once, for ever")]
    KeyReused,
    /// It would cost more than the business lets itself spend.
    #[error("the spending cap of {limit} a month on {} leaves no room for it", if *is_of_key { "this key" } else { "usage" })]
    CapReached {
        /// What may be spent.
        limit: Money,
        /// Of the key that reports, or of all usage?
        is_of_key: bool,
    },
}

fn field(field: impl Into<String>, why: impl Into<String>) -> EventRefused {
    EventRefused::Field { field: field.into(), why: why.into() }
}

/// The attributes that matter here; others are let be.
#[derive(Debug, Deserialize)]
struct Wire {
    specversion: String,
    id: String,
    source: String,
    r#type: String,
    time: Option<Timestamp>,
    subject: Option<String>,
    datacontenttype: Option<String>,
    data: Option<Value>,
    data_base64: Option<IgnoredAny>,
    corrects: Option<String>,
}

/// An event as it was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Who reports. The ids are its own.
    pub source: String,
    /// Names the event.
    pub id: String,
    /// What happened.
    pub event_type: String,
    /// When.
    pub at: Timestamp,
    /// About which account; the business's own, if about none.
    pub account: Option<AccountId>,
    /// What meters read. Null takes back what it corrects and says nothing itself.
    pub data: Value,
    /// The id, within the same source, of the event that counts no more.
    pub corrects: Option<String>,
}

/// Reads one event in CloudEvents' JSON.
pub fn read(json: &[u8]) -> Result<Reported, EventRefused> {
    let wire: Wire = serde_json::from_slice(json).map_err(|why| EventRefused::NotAnEvent(why.to_string()))?;
    Reported::of(wire)
}

/// Reads an array of events. An element that is no event is refused alone; what is no array is refused as a whole.
pub fn read_batch(json: &[u8]) -> Result<Vec<Result<Reported, EventRefused>>, EventRefused> {
    let not_an_event = |why: serde_json::Error| EventRefused::NotAnEvent(why.to_string());
    if let Ok(wires) = serde_json::from_slice::<Vec<Wire>>(json) {
        return Ok(wires.into_iter().map(Reported::of).collect());
    }
    let values: Vec<Value> = serde_json::from_slice(json).map_err(not_an_event)?;
    let read = |value| Wire::deserialize(value).map_err(not_an_event).and_then(Reported::of);
    Ok(values.into_iter().map(read).collect())
}

/// Reads an event a line; empty lines are nothing.
pub fn read_lines(json: &[u8]) -> Vec<Result<Reported, EventRefused>> {
    let lines = json.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.map(read).collect()
}

impl Reported {
    fn of(wire: Wire) -> Result<Self, EventRefused> {
        if wire.specversion != "1.0" {
            return Err(field("specversion", "must be 1.0"));
        }
        name("id", &wire.id)?;
        name("source", &wire.source)?;
        name("type", &wire.r#type)?;
        wire.corrects.iter().try_for_each(|id| name("corrects", id))?;
        if wire.corrects.as_ref() == Some(&wire.id) {
            return Err(field("corrects", "is the event's own id"));
        }
        if wire.data_base64.is_some() || wire.datacontenttype.is_some_and(|it| !is_json(&it)) {
            return Err(field("data", "must be JSON"));
        }
        let at = wire.time.ok_or_else(|| field("time", "is missing: usage is of an hour"))?;
        let subject = wire.subject.as_deref().map(str::parse).transpose();
        let account = subject.map_err(|_| field("subject", "must be the id of an account"))?;
        let data = wire.data.unwrap_or(Value::Null);
        let takes_back = data.is_null() && wire.corrects.is_some();
        if !data.is_object() && !takes_back {
            return Err(field("data", "must be an object"));
        }
        Ok(Self {
            source: wire.source,
            id: wire.id,
            event_type: wire.r#type,
            // As exact as the database keeps it.
            at: Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at),
            account: account.map(AccountId),
            data,
            corrects: wire.corrects,
        })
    }
}

fn name(of: &'static str, text: &str) -> Result<(), EventRefused> {
    if (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(field(of, format!("must be 1 to {NAME_BYTES_MAX} bytes without control characters")))
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

/// What events are admitted into.
#[derive(Debug)]
pub struct Door<'a> {
    /// The business's own account.
    pub own: AccountId,
    /// Those accounts of the business that the events name.
    pub accounts: &'a BTreeSet<AccountId>,
    /// All its meters.
    pub meters: &'a [OwnMeter],
    /// Its time.
    pub now: Timestamp,
}

/// An event that may be recorded, and what meters read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// As it was reported.
    pub reported: Reported,
    /// About which account.
    pub account: AccountId,
    /// Its data as it is kept: the same JSON is always the same text.
    pub data: String,
    /// What it says to each meter that takes it.
    pub readings: Vec<Reading>,
}

/// What a meter read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// About which account.
    pub account: AccountId,
    /// Which meter.
    pub meter: MeterName,
    /// How it aggregates.
    pub aggregation: Aggregation,
    /// In which hour.
    pub hour: Hour,
    /// When.
    pub at: Timestamp,
    /// Its values of the meter's dimensions, empty where there is none.
    pub dimensions: Vec<String>,
    /// How much; a sum's may be below zero where it takes back.
    pub quantity: i64,
    /// What is told from others where different ones are counted.
    pub item: Option<Uuid>,
    /// Whose it is. Sums of many events are nobody's.
    pub event: Option<String>,
}

impl Door<'_> {
    /// Looks at an event by itself.
    pub fn admit(&self, reported: Reported) -> Result<Event, EventRefused> {
        if reported.at > self.now.checked_add(AHEAD_MAX).unwrap_or(self.now) {
            return Err(field("time", "is more than 5 minutes in the future"));
        }
        if reported.at < self.earliest() {
            return Err(field("time", format!("is more than {MONTHS_MAX} months before this one")));
        }
        let account = reported.account.unwrap_or(self.own);
        if account != self.own && !self.accounts.contains(&account) {
            return Err(field("subject", "is no account of this business"));
        }
        let data = reported.data.to_string();
        if data.len() > DATA_BYTES_MAX {
            return Err(field("data", format!("must be {DATA_BYTES_MAX} bytes of JSON at most")));
        }
        if !self.meters.iter().any(|meter| meter.terms.event_type == reported.event_type) {
            return Err(EventRefused::UnknownType(reported.event_type));
        }
        let readings = readings(self.meters, &reported, account)?;
        Ok(Event { reported, account, data, readings })
    }

    /// The first instant of the earliest month that may still be reported.
    fn earliest(&self) -> Timestamp {
        let mut month = Month::of(self.now);
        (0..MONTHS_MAX).for_each(|_| month = month.before());
        month.start()
    }
}

/// What meters read of an event. Data of null says nothing to anyone.
pub fn readings(
    meters: &[OwnMeter],
    reported: &Reported,
    account: AccountId,
) -> Result<Vec<Reading>, EventRefused> {
    let listening = meters.iter().filter(|meter| {
        meter.terms.event_type == reported.event_type
            && !reported.data.is_null()
            && meter.takes(&reported.data)
    });
    listening.map(|meter| reading(meter, reported, account)).collect()
}

fn reading(meter: &OwnMeter, reported: &Reported, account: AccountId) -> Result<Reading, EventRefused> {
    let aggregation = meter.terms.aggregation;
    let of = |path: &str| {
        field(format!("data.{path}"), format!("is missing, and the meter {} needs it", meter.key))
    };
    let (mut quantity, mut item) = (1, None);
    if let Some(path) = &meter.terms.value_property {
        let value = meter::find(&reported.data, path).ok_or_else(|| of(path))?;
        if aggregation == Aggregation::UniqueCount {
            item = Some(hash(&short_text(path, value)?.ok_or_else(|| of(path))?));
        } else {
            quantity = whole(path, value)?;
        }
    }
    let dimension = |path: &String| {
        let value = meter::find(&reported.data, path).map(|value| short_text(path, value)).transpose()?;
        Ok(value.flatten().unwrap_or_default())
    };
    Ok(Reading {
        account,
        meter: meter.key,
        aggregation,
        hour: Hour::of(reported.at),
        at: reported.at,
        dimensions: meter.terms.dimensions.iter().map(dimension).collect::<Result<_, _>>()?,
        quantity,
        item,
        event: (aggregation != Aggregation::Sum).then(|| reported.name()),
    })
}

impl Reported {
    /// Source and id in one, in an order of their own: of two events at the same instant the greater is the later.
    pub fn name(&self) -> String {
        name_of(&self.source, &self.id)
    }
}

/// Source and id in one. Neither holds a control character.
pub fn name_of(source: &str, id: &str) -> String {
    format!("{source}\n{id}")
}

/// A whole number from zero up: as one, or as its digits.
fn whole(path: &str, value: &Value) -> Result<i64, EventRefused> {
    let of = || format!("data.{path}");
    let number: Option<i128> = match value {
        Value::Number(number) => number.as_i64().map(i128::from).or(number.as_u64().map(i128::from)),
        Value::String(digits) if digits.len() <= 20 => digits.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number < 0 => Err(field(of(), "is below zero; correct an event instead")),
        Some(number) if number > VALUE_MAX.into() => Err(field(of(), format!("is more than {VALUE_MAX}"))),
        Some(number) => i64::try_from(number).map_err(|_| field(of(), "is too large")),
        None => Err(field(of(), format!("must be a whole number up to {VALUE_MAX}"))),
    }
}

/// Text that is not too long; `None` for null.
fn short_text(path: &str, value: &Value) -> Result<Option<String>, EventRefused> {
    let refuse = || {
        field(format!("data.{path}"), format!("must be text of {} characters at most", meter::TEXT_CHARS_MAX))
    };
    match (meter::text(value), value) {
        (None, Value::Null) => Ok(None),
        (None, _) => Err(refuse()),
        // A database's text holds anything but this.
        (Some(text), _) if text.contains('\0') || text.chars().count() > meter::TEXT_CHARS_MAX => {
            Err(refuse())
        }
        (text, _) => Ok(text),
    }
}

/// 128 bits of SHA-256.
fn hash(text: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    Uuid::from_slice(&digest[..16]).expect("16 bytes")
}

/// Many readings as few: those of sums are added where they are alike.
pub fn merge(readings: impl IntoIterator<Item = Reading>) -> Vec<Reading> {
    let mut sums: BTreeMap<(AccountId, MeterName, Hour, Vec<String>), Reading> = BTreeMap::new();
    let mut merged = Vec::new();
    for mut reading in readings {
        if reading.event.is_some() {
            merged.push(reading);
            continue;
        }
        let dimensions = std::mem::take(&mut reading.dimensions);
        let key = (reading.account, reading.meter, reading.hour, dimensions);
        match sums.get_mut(&key) {
            Some(sum) => sum.quantity = sum.quantity.saturating_add(reading.quantity),
            None => drop(sums.insert(key, Reading { at: reading.hour.start(), ..reading })),
        }
    }
    merged.extend(sums.into_iter().map(|((.., dimensions), sum)| Reading { dimensions, ..sum }));
    merged
}

#[cfg(test)]
mod tests;
