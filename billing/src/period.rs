//! Hours and calendar months in UTC, half-open.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::{fmt, ops::Range, str::FromStr};

const SECONDS: i64 = 3_600;

/// A whole UTC hour, counted from 1970-01-01T00:00Z. Its usage is what fell into `[start, start + 1 h)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i64);

impl Hour {
    /// The hour that an instant falls into.
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_nanosecond().div_euclid(i128::from(SECONDS) * 1_000_000_000) as i64)
    }

    /// The first hour that starts at the instant or after it.
    pub fn from_start(at: Timestamp) -> Self {
        let hour = Self::of(at);
        if hour.start() == at { hour } else { Self(hour.0 + 1) }
    }

    /// Its first instant.
    pub fn start(self) -> Timestamp {
        let bound = |seconds: i64| seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        Timestamp::from_second(bound(self.0.saturating_mul(SECONDS)))
            .expect("clamped to what a timestamp holds")
    }

    /// The month that it belongs to.
    pub fn month(self) -> Month {
        Month::of(self.start())
    }
}

/// A calendar month in UTC: the period of every statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Month {
    year: i16,
    month: i8,
}

/// Not a month as `YYYY-MM`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a month is written YYYY-MM, not {0:?}")]
pub struct NotAMonth(pub String);

impl Month {
    /// The month that an instant falls into.
    pub fn of(at: Timestamp) -> Self {
        Self::of_day(TimeZone::UTC.to_datetime(at).date())
    }

    /// The month after it.
    pub fn next(self) -> Self {
        if self.month == 12 {
            Self { year: self.year + 1, month: 1 }
        } else {
            Self { month: self.month + 1, ..self }
        }
    }

    /// The month before it.
    pub fn before(self) -> Self {
        if self.month == 1 {
            Self { year: self.year - 1, month: 12 }
        } else {
            Self { month: self.month - 1, ..self }
        }
    }

    /// The month that a day belongs to.
    pub fn of_day(day: Date) -> Self {
        Self { year: day.year(), month: day.month() }
    }

    /// Its first day.
    pub fn first_day(self) -> Date {
        Date::new(self.year, self.month, 1).expect("a month has a first day")
    }

    /// Its last day.
    pub fn last_day(self) -> Date {
        self.first_day().last_of_month()
    }

    /// Its first hour.
    pub fn first(self) -> Hour {
        let zoned =
            self.first_day().to_zoned(TimeZone::UTC).expect("months of a timestamp are within its range");
        Hour::of(zoned.timestamp())
    }

    /// Its hours, half-open: 672 to 744 of them.
    pub fn hours(self) -> Range<Hour> {
        self.first()..self.next().first()
    }

    /// How many hours it has.
    pub fn length(self) -> i64 {
        self.next().first().0 - self.first().0
    }

    /// How many months lie between it and January of the year 0: what twelfths of a year are counted by.
    pub fn index(self) -> i64 {
        i64::from(self.year) * 12 + i64::from(self.month) - 1
    }

    /// Its first instant.
    pub fn start(self) -> Timestamp {
        self.first().start()
    }

    /// The first instant after it.
    pub fn end(self) -> Timestamp {
        self.next().start()
    }

    /// Its name for people: `October 2026`.
    pub fn name(self) -> String {
        const NAMES: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        format!("{} {}", NAMES[self.month as usize - 1], self.year)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let refuse = || NotAMonth(text.chars().take(16).collect());
        let (year, month) = text.split_once('-').ok_or_else(refuse)?;
        let digits = |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(refuse());
        }
        match (year.parse(), month.parse()) {
            (Ok(year @ 1970..=9000), Ok(month @ 1..=12)) => Ok(Self { year, month }),
            _ => Err(refuse()),
        }
    }
}

impl TryFrom<String> for Month {
    type Error = NotAMonth;

    fn try_from(text: String) -> Result<Self, NotAMonth> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> String {
        month.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    #[test]
    fn months_are_half_open_and_touch() {
        for (month, start, end, hours) in [
            ("2026-02", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", 672),
            ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z", 696),
            ("2026-03", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", 744),
            ("2026-04", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z", 720),
            ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", 744),
        ] {
            let parsed: Month = month.parse().expect(month);
            assert_eq!(
                (parsed.start(), parsed.end(), parsed.length()),
                (at(start), at(end), hours),
                "{month}"
            );
            assert_eq!(parsed.to_string(), month);
            assert_eq!(Month::of(parsed.start()), parsed);
            assert_eq!(Month::of(parsed.end()), parsed.next());
            assert_eq!((parsed.next().before(), parsed.before().next()), (parsed, parsed));
        }
    }

    /// No hour lies in two months or in none, and every fourth February has a day more but that of 2100.
    #[test]
    fn months_follow_each_other_without_a_gap_up_to_2100() {
        let mut month: Month = "1999-12".parse().expect("a month");
        while month.to_string() != "2101-01" {
            let (hours, next) = (month.hours(), month.next());
            assert_eq!(hours.end, next.hours().start, "{month}");
            assert_eq!((hours.start.month(), Hour(hours.end.0 - 1).month()), (month, month));
            assert_eq!((month.index() + 1, hours.end.start()), (next.index(), month.end()), "{month}");
            let is_leap = month.year % 4 == 0 && month.year != 2100;
            let days = [31, 28 + i64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            assert_eq!(month.length(), 24 * days[month.month as usize - 1], "{month}");
            month = next;
        }
    }

    #[test]
    fn hours_start_on_the_hour() {
        for (instant, of, from_start) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1970-01-01T00:59:59.999Z", 0, 1),
            ("1970-01-01T01:00:00Z", 1, 1),
            ("1969-12-31T23:30:00Z", -1, 0),
        ] {
            assert_eq!(Hour::of(at(instant)), Hour(of), "{instant}");
            assert_eq!(Hour::from_start(at(instant)), Hour(from_start), "{instant}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in ["", "2026", "2026-13", "2026-00", "26-01", "2026-1", "+026-01", "2026-01-01", "0001-01"]
        {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
