//! A statement taken apart: a line into its hours, an hour into its calls. And usage by the hour before any statement.

use crate::{money::Money, period::Month};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// The hours that a line's amount is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineHours {
    /// In order; their amounts add up to the line's.
    pub hours: Vec<LineHour>,
}

/// One hour of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineHour {
    /// Its first instant.
    #[schema(value_type = String, format = DateTime)]
    pub hour: Timestamp,
    /// In the meter's own unit; null on a recurring line.
    pub quantity: Option<i64>,
    /// What the hour was charged.
    pub amount: Money,
}

/// The calls that an hour's quantity is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HourCalls {
    /// Oldest first.
    pub calls: Vec<CallShare>,
}

/// What one call used in an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallShare {
    /// Which call.
    pub call_id: Uuid,
    /// Where it was.
    pub room_title: String,
    /// The first join.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// The last leave; null while it is live.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// In the meter's own unit, in this hour.
    pub quantity: i64,
    /// Who used it.
    pub participants: Vec<ParticipantShare>,
}

/// What one participant used in an hour of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ParticipantShare {
    /// Who.
    pub participant_id: Uuid,
    /// As shown in the call.
    pub name: String,
    /// In the meter's own unit, in this hour.
    pub quantity: i64,
}

/// A month's usage by the hour, with what each hour costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageMonth {
    /// Which month, as `YYYY-MM`.
    #[schema(value_type = String, example = "2026-10")]
    pub month: Month,
    /// The tenant's time of this answer.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Hours with usage, in order.
    pub hours: Vec<UsageHour>,
    /// Their sums.
    pub totals: UsageTotals,
}

/// One hour's usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageHour {
    /// Its first instant.
    #[schema(value_type = String, format = DateTime)]
    pub hour: Timestamp,
    /// Milliseconds of all participants.
    pub participant_ms: i64,
    /// Bytes sent to all participants.
    pub egress_bytes: i64,
    /// Messages relayed to all participants.
    pub message_count: i64,
    /// What it costs beyond allowances; recurring prices not among it.
    pub amount: Money,
}

/// The sums of a month's hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageTotals {
    /// Milliseconds of all participants.
    pub participant_ms: i64,
    /// Bytes sent to all participants.
    pub egress_bytes: i64,
    /// Messages relayed to all participants.
    pub message_count: i64,
    /// What it costs beyond allowances; recurring prices not among it.
    pub amount: Money,
}

/// In how long pieces usage is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// An hour.
    Hour,
    /// A day in UTC.
    Day,
    /// A calendar month in UTC.
    Month,
}

impl Bucket {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Bucket::Hour => "hour",
            Bucket::Day => "day",
            Bucket::Month => "month",
        }
    }
}

/// What a meter counted, by time and by dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsagePage {
    /// Which meter.
    pub meter: String,
    /// What its quantity counts; of a meter that weighs by time, that times hours.
    pub unit: String,
    /// In how long pieces.
    pub by: Bucket,
    /// The first instant.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// The first instant after it.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// By time, then by dimensions; pieces without usage are left out.
    pub rows: Vec<UsageRow>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// A piece of time, and what was counted in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageRow {
    /// Its first instant.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// The values of the dimensions that it is grouped by; empty where an event had none.
    pub dimensions: BTreeMap<String, String>,
    /// How much, by the meter's aggregation of this piece alone.
    pub quantity: i64,
}
