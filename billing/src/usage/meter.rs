//! The names of what is counted.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, str::FromStr};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meter {
    /// Milliseconds of one participant in a call, from the click.
    ParticipantMs,
    /// Bytes sent to a participant.
    EgressBytes,
    /// Messages of others relayed to a participant.
    MessageCount,
    /// Whatever a business counts itself and tells us in events. See [`crate::meter`].
    Own(MeterName),
}

/// No name of a meter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no meter {0:?}")]
pub struct UnknownMeter(pub String);

impl Meter {
    /// What the nodes count.
    pub const BUILT_IN: [Self; 3] = [Self::ParticipantMs, Self::EgressBytes, Self::MessageCount];

    /// The name in facts, prices and JSON.
    pub fn as_str(&self) -> &str {
        match self {
            Meter::ParticipantMs => "participant_ms",
            Meter::EgressBytes => "egress_bytes",
            Meter::MessageCount => "message_count",
            Meter::Own(name) => name.as_str(),
        }
    }

    /// Its name, if a business made it.
    pub fn own(self) -> Option<MeterName> {
        match self {
            Meter::Own(name) => Some(name),
            Meter::ParticipantMs | Meter::EgressBytes | Meter::MessageCount => None,
        }
    }
}

impl FromStr for Meter {
    type Err = UnknownMeter;

    fn from_str(name: &str) -> Result<Self, UnknownMeter> {
        if let Some(meter) = Self::BUILT_IN.into_iter().find(|meter| meter.as_str() == name) {
            return Ok(meter);
        }
        name.parse().map(Meter::Own)
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Meter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Meter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The name of a meter that a business made: a small letter, then up to 31 small letters, digits and underscores. It is
/// kept in place, so that it is copied like the name of a built-in meter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterName([u8; MeterName::BYTES_MAX]);

impl MeterName {
    /// The longest name.
    pub const BYTES_MAX: usize = 32;

    /// As text.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::BYTES_MAX);
        std::str::from_utf8(&self.0[..end]).expect("a name is ASCII")
    }
}

impl FromStr for MeterName {
    type Err = UnknownMeter;

    fn from_str(text: &str) -> Result<Self, UnknownMeter> {
        let refused = || UnknownMeter(text.chars().take(Self::BYTES_MAX).collect());
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name = text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(is_allowed)
            && text.len() <= Self::BYTES_MAX
            && Meter::BUILT_IN.iter().all(|meter| meter.as_str() != text);
        if !is_name {
            return Err(refused());
        }
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }
}

impl fmt::Display for MeterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MeterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain_and_not_taken() {
        let longest = "a".repeat(32);
        for name in ["t", "tokens_in", "gb2", &longest] {
            let meter: Meter = name.parse().expect(name);
            assert_eq!((meter.as_str(), meter.own().map(|own| own.to_string())), (name, Some(name.into())));
        }
        for name in ["", "_a", "2gb", "Tokens", "to kens", "tökens", &"a".repeat(33)] {
            assert_eq!(name.parse::<Meter>(), Err(UnknownMeter(name.chars().take(32).collect())), "{name}");
        }
        for meter in Meter::BUILT_IN {
            assert_eq!(meter.as_str().parse(), Ok(meter));
            assert!(meter.as_str().parse::<MeterName>().is_err(), "{meter} is taken");
        }
    }
}
