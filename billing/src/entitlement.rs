//! What an account may do, by what it is subscribed to.

use crate::price::Quantities;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The largest room that any plan may promise.
const PARTICIPANTS_MAX: u32 = 64;
/// The most that any plan may let one person send, in kbit/s.
const BITRATE_KBPS_MAX: u32 = 1_000_000;

/// What a plan version allows. What it leaves out, a plan does not limit and an add-on does not add.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Features {
    /// As many rooms at a time, besides those that are held and paid one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub rooms_max: Option<u32>,
    /// As many people in one room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 64)]
    pub participants_max: Option<u32>,
    /// May calls be recorded?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<bool>,
    /// As much as one person may send, in kbit/s: their pictures, their screen and their voice together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub bitrate_kbps_max: Option<u32>,
}

impl Features {
    /// Whether the numbers are ones that anybody can keep to; else the field and the reason.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let within = |field, value: Option<u32>, least, most| match value {
            Some(value) if !(least..=most).contains(&value) => {
                Err((field, format!("must be between {least} and {most}")))
            }
            _ => Ok(()),
        };
        within("rooms_max", self.rooms_max, 0, Quantities::MAX)?;
        within("participants_max", self.participants_max, 1, PARTICIPANTS_MAX)?;
        within("bitrate_kbps_max", self.bitrate_kbps_max, 1, BITRATE_KBPS_MAX)
    }
}

/// A subscription that can be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usable {
    /// What its plan version allows.
    pub features: Features,
    /// Does it add to another one?
    pub is_add_on: bool,
    /// How many of each item are held.
    pub held: Quantities,
}

/// What an account may do now. `null` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Entitlements {
    /// May calls begin at all? Not while every subscription is paused or over, nor while a spending cap is used up.
    pub calls: bool,
    /// Is the cap on what all usage may cost this month used up?
    pub spending_cap_reached: bool,
    /// As many rooms at a time.
    pub rooms_max: Option<u32>,
    /// As many people in one room.
    pub participants_max: Option<u32>,
    /// May calls be recorded?
    pub recording: bool,
    /// As much as one person may send, in kbit/s.
    pub bitrate_kbps_max: Option<u32>,
}

impl Entitlements {
    /// Of whoever never subscribed to anything: nobody limits what nobody sells.
    pub const UNLIMITED: Self = Self {
        calls: true,
        spending_cap_reached: false,
        rooms_max: None,
        participants_max: None,
        recording: true,
        bitrate_kbps_max: None,
    };
    /// Of whoever did, and has nothing left that can be used.
    pub const NOTHING: Self = Self {
        calls: false,
        spending_cap_reached: false,
        rooms_max: Some(0),
        participants_max: Some(0),
        recording: false,
        bitrate_kbps_max: Some(0),
    };

    /// Once a spending cap is used up: calls that have begun go on, no other begins.
    pub fn used_up(self) -> Self {
        Self { calls: false, spending_cap_reached: true, ..self }
    }

    /// What subscriptions allow together: of plans the most generous, and what add-ons add to it.
    pub fn of(usable: &[Usable]) -> Self {
        let plans: Vec<&Usable> = usable.iter().filter(|it| !it.is_add_on).collect();
        let add_ons: Vec<&Usable> = usable.iter().filter(|it| it.is_add_on).collect();
        if plans.is_empty() {
            return Self::NOTHING;
        }
        let limit = |of: fn(&Usable) -> Option<u32>| {
            let base = plans.iter().map(|it| of(it)).try_fold(0, |most: u32, it| Some(most.max(it?)))?;
            Some(add_ons.iter().filter_map(|it| of(it)).fold(base, u32::saturating_add))
        };
        Self {
            calls: true,
            spending_cap_reached: false,
            rooms_max: limit(|it| it.features.rooms_max.map(|rooms| rooms.saturating_add(it.held.rooms))),
            participants_max: limit(|it| it.features.participants_max),
            recording: plans.iter().any(|it| it.features.recording.unwrap_or(true))
                || add_ons.iter().any(|it| it.features.recording == Some(true)),
            bitrate_kbps_max: limit(|it| it.features.bitrate_kbps_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(
        rooms: impl Into<Option<u32>>,
        people: impl Into<Option<u32>>,
        recording: Option<bool>,
    ) -> Usable {
        let (rooms_max, participants_max) = (rooms.into(), people.into());
        let features = Features { rooms_max, participants_max, recording, bitrate_kbps_max: None };
        Usable { features, is_add_on: false, held: Quantities::default() }
    }

    fn add_on(rooms: impl Into<Option<u32>>, recording: Option<bool>) -> Usable {
        Usable { is_add_on: true, ..plan(rooms, None, recording) }
    }

    /// Rows: what can be used; rooms, people in one, and whether they may be recorded.
    #[test]
    fn the_most_generous_plan_counts_and_add_ons_add() {
        let three_rooms =
            Usable { held: Quantities { rooms: 3, ..Quantities::default() }, ..plan(2, 4, None) };
        for (usable, rooms, people, recording) in [
            (vec![plan(None, None, None)], None, None, true),
            (vec![plan(2, 4, Some(false))], Some(2), Some(4), false),
            (vec![plan(2, 8, Some(false)), plan(5, 4, Some(true))], Some(5), Some(8), true),
            (vec![plan(2, 8, None), plan(None, 4, None)], None, Some(8), true),
            (vec![plan(2, 8, Some(false)), add_on(10, Some(true))], Some(12), Some(8), true),
            (vec![plan(2, 8, Some(false)), add_on(None, None)], Some(2), Some(8), false),
            (vec![three_rooms], Some(5), Some(4), true),
        ] {
            let seen = Entitlements::of(&usable);
            assert_eq!(
                (seen.calls, seen.rooms_max, seen.participants_max, seen.recording),
                (true, rooms, people, recording)
            );
        }
        assert_eq!(Entitlements::of(&[]), Entitlements::NOTHING);
        assert_eq!(Entitlements::of(&[add_on(10, None)]), Entitlements::NOTHING, "nothing to add to");
    }
}
