//! Which track plays in which slot. Stable: a track that plays stays where it is while it is wanted.

use crate::control::{Kind, Slot, SlotTrack, Source, TrackKey};

impl Source {
    /// Audio or video.
    pub fn kind(self) -> Kind {
        match self {
            Source::Microphone | Source::ScreenAudio => Kind::Audio,
            Source::Camera | Source::Screen => Kind::Video,
        }
    }
}

/// The slots of one subscriber and what is put into them.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    slot: Slot,
    track: Option<TrackKey>,
}

impl Slots {
    /// All slots, in the offer's order.
    pub(crate) fn list(&self) -> Vec<Slot> {
        self.places.iter().map(|place| place.slot.clone()).collect()
    }

    /// Adds a slot for a new line of an offer. Its seat is its rank among the slots of its kind.
    pub(crate) fn add(&mut self, mid: &str, kind: Kind) {
        let seat = self.count(kind) as u16;
        self.places.push(Place { slot: Slot { mid: mid.to_owned(), kind, seat }, track: None });
    }

    /// Whether a line is one of the slots.
    pub(crate) fn contains(&self, mid: &str) -> bool {
        self.places.iter().any(|place| place.slot.mid == mid)
    }

    /// How many slots of a kind there are.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.places.iter().filter(|place| place.slot.kind == kind).count()
    }

    /// The tracks that have a slot, each with the slot's place.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = (usize, TrackKey)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(place, slot)| slot.track.map(|track| (place, track)))
    }

    /// What a slot plays.
    #[cfg(test)]
    pub(crate) fn track(&self, mid: &str) -> Option<TrackKey> {
        self.places.iter().find(|place| place.slot.mid == mid).and_then(|place| place.track)
    }

    /// Puts the wanted tracks of a kind into its slots, the first ones first when there are not enough.
    /// Answers what changed.
    pub(crate) fn assign(&mut self, kind: Kind, wanted: &[TrackKey]) -> Vec<SlotTrack> {
        let wanted = &wanted[..wanted.len().min(self.count(kind))];
        let before: Vec<Option<TrackKey>> = self.places.iter().map(|place| place.track).collect();
        for place in self.places.iter_mut().filter(|place| place.slot.kind == kind) {
            place.track = place.track.filter(|track| wanted.contains(track));
        }
        for track in wanted {
            if self.places.iter().all(|place| place.track != Some(*track))
                && let Some(index) = self.free_place(kind, track)
            {
                self.places[index].track = Some(*track);
            }
        }
        let changed = self.places.iter().zip(before).filter(|(place, before)| place.track != *before);
        changed.map(|(place, _)| SlotTrack { mid: place.slot.mid.clone(), track: place.track }).collect()
    }

    /// A free slot for a track: where the same person already sits, else on a seat nobody has, else anywhere.
    fn free_place(&self, kind: Kind, track: &TrackKey) -> Option<usize> {
        let seat_of = |wanted: &dyn Fn(&TrackKey) -> bool| -> Vec<u16> {
            let taken = self.places.iter().filter(|place| place.track.as_ref().is_some_and(wanted));
            taken.map(|place| place.slot.seat).collect()
        };
        let own = seat_of(&|other| other.leg == track.leg && is_pair(other.source, track.source));
        let taken = seat_of(&|_| true);
        let free = || {
            let free = self.places.iter().enumerate();
            free.filter(|(_, place)| place.slot.kind == kind && place.track.is_none())
        };
        let found = free()
            .find(|(_, place)| own.contains(&place.slot.seat))
            .or_else(|| free().find(|(_, place)| !taken.contains(&place.slot.seat)))
            .or_else(|| free().next());
        found.map(|(index, _)| index)
    }
}

/// Whether two sources of one person belong on one seat: face and voice, or a screen and its sound.
fn is_pair(a: Source, b: Source) -> bool {
    matches!(
        (a, b),
        (Source::Microphone, Source::Camera)
            | (Source::Camera, Source::Microphone)
            | (Source::Screen, Source::ScreenAudio)
            | (Source::ScreenAudio, Source::Screen)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::control::LegId;

    fn leg(n: u128) -> LegId {
        LegId(Uuid::from_u128(n))
    }

    fn camera(n: u128) -> TrackKey {
        TrackKey { leg: leg(n), source: Source::Camera }
    }

    fn voice(n: u128) -> TrackKey {
        TrackKey { leg: leg(n), source: Source::Microphone }
    }

    fn slots(audio: usize, video: usize) -> Slots {
        let mut slots = Slots::default();
        for n in 0..audio {
            slots.add(&format!("a{n}"), Kind::Audio);
        }
        for n in 0..video {
            slots.add(&format!("v{n}"), Kind::Video);
        }
        slots
    }

    #[test]
    fn who_leaves_moves_nobody_else() {
        let mut slots = slots(0, 3);
        slots.assign(Kind::Video, &[camera(1), camera(2), camera(3)]);
        let changes = slots.assign(Kind::Video, &[camera(2), camera(3)]);
        assert_eq!(changes, [SlotTrack { mid: "v0".into(), track: None }]);
        let changes = slots.assign(Kind::Video, &[camera(2), camera(3), camera(4)]);
        assert_eq!(changes, [SlotTrack { mid: "v0".into(), track: Some(camera(4)) }]);
    }

    #[test]
    fn face_and_voice_share_a_seat() {
        let mut slots = slots(3, 4);
        slots.assign(Kind::Video, &[camera(1), camera(2), camera(3)]);
        slots.assign(Kind::Audio, &[voice(3), voice(1)]);
        assert_eq!(slots.track("a2"), Some(voice(3)));
        assert_eq!(slots.track("a0"), Some(voice(1)));
    }

    #[test]
    fn the_first_wanted_win_when_slots_are_few() {
        let mut slots = slots(0, 2);
        slots.assign(Kind::Video, &[camera(1), camera(2), camera(3)]);
        assert_eq!((slots.track("v0"), slots.track("v1")), (Some(camera(1)), Some(camera(2))));
        slots.assign(Kind::Video, &[camera(3), camera(1), camera(2)]);
        assert_eq!((slots.track("v0"), slots.track("v1")), (Some(camera(1)), Some(camera(3))));
    }

    proptest! {
        /// Over any history: no track plays twice, as many play as fit, and whoever stays wanted is not moved.
        #[test]
        fn assignment_is_stable(history in proptest::collection::vec(proptest::collection::vec(0u128..9, 0..9), 1..20)) {
            let mut slots = slots(3, 4);
            for wanted in history {
                let mut unique = wanted.clone();
                unique.sort_unstable();
                unique.dedup();
                let wanted: Vec<TrackKey> = unique.into_iter().map(camera).collect();
                let before: Vec<_> = (0..4).map(|n| slots.track(&format!("v{n}"))).collect();
                slots.assign(Kind::Video, &wanted);
                let after: Vec<_> = (0..4).map(|n| slots.track(&format!("v{n}"))).collect();
                let playing: Vec<_> = after.iter().flatten().collect();
                prop_assert_eq!(playing.len(), wanted.len().min(4));
                for track in &wanted[..wanted.len().min(4)] {
                    prop_assert_eq!(playing.iter().filter(|t| **t == track).count(), 1);
                    if let Some(place) = before.iter().position(|t| t == &Some(*track)) {
                        prop_assert_eq!(after[place], Some(*track));
                    }
                }
            }
        }
    }
}
