//! A room on several shards. Each part holds some of its people, hears from the other parts what these publish, and seals
//! for its own subscribers only.
//!
//! No part leads. Each tells the others which tracks it has to play, all of them every time, so that a message that finds
//! no room costs nothing but a second; it passes on every packet of them, opened once; and it asks for keyframes where the
//! publisher is. From that each part works out its own subscribers' slots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::{Mid, Rid};

use crate::control::{LegId, RoomId, TrackKey};
use crate::forward::Packet;
use crate::messages::Delivery;
use crate::track::Track;

/// A part tells of itself every second; what is silent for this long was ended in words that were lost.
const SILENT_AFTER: Duration = Duration::from_secs(4);

/// When somebody entered, and the how manyth that was on its shard: the older is shown first.
pub(crate) type Entered = (Instant, u64);
/// What one part has to play, by the age of who publishes it.
pub(crate) type Playlist = Arc<[Listed]>;
/// The encodings that one part shows or waits for, of the tracks of others.
pub(crate) type Shown = Arc<[(TrackKey, Option<Rid>)]>;

/// A track on a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) entered: Entered,
    pub(crate) track: TrackKey,
    /// Encodings that its publisher sends only when somebody is to be shown them.
    pub(crate) resting: Vec<Rid>,
}

/// What one part of a room says to another.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) room: RoomId,
    pub(crate) word: Word,
}

/// See [`Relay`].
#[derive(Debug)]
pub(crate) enum Word {
    /// All that there is to play here.
    Playlist(Playlist),
    /// All that is shown here of what is published elsewhere.
    Shown(Shown),
    /// Nobody is here any more.
    Closed,
    /// A packet of a track on the playlist.
    Packet(Arc<Packet>),
    /// What somebody here wrote to people of the call.
    Message { from: LegId, delivery: Delivery, bytes: Arc<[u8]> },
    /// Somebody there needs a keyframe of a track from here.
    Keyframe(TrackKey, Option<Rid>),
}

/// Which shard this is, of how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shards {
    pub(crate) own: usize,
    pub(crate) count: usize,
}

impl Shards {
    /// A shard that is alone.
    #[cfg(test)]
    pub(crate) const ONE: Shards = Shards { own: 0, count: 1 };

    /// The other shards.
    pub(crate) fn others(self) -> impl Iterator<Item = usize> {
        (0..self.count).filter(move |shard| *shard != self.own)
    }
}

/// The parts of a room on other shards, as far as they have told of themselves.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    part_by_shard: BTreeMap<usize, Part>,
}

#[derive(Debug)]
struct Part {
    heard_at: Instant,
    tracks: BTreeMap<TrackKey, Distant>,
    /// Until it has said so, it may be anything.
    shown: Option<Shown>,
}

/// A track that is published elsewhere.
#[derive(Debug)]
struct Distant {
    entered: Entered,
    track: Track,
}

impl Elsewhere {
    /// The shards with a part of the room.
    pub(crate) fn shards(&self) -> impl Iterator<Item = usize> {
        self.part_by_shard.keys().copied()
    }

    /// Whether a part of the room is known there.
    pub(crate) fn knows(&self, shard: usize) -> bool {
        self.part_by_shard.contains_key(&shard)
    }

    /// Takes a part's playlist, which replaces the one before. Answers which tracks are gone, and whether any is new.
    pub(crate) fn listen(
        &mut self,
        shard: usize,
        playlist: &[Listed],
        now: Instant,
    ) -> (Vec<TrackKey>, bool) {
        let part = self.part_by_shard.entry(shard);
        let part = part.or_insert_with(|| Part { heard_at: now, tracks: BTreeMap::new(), shown: None });
        part.heard_at = now;
        let known = &mut part.tracks;
        let is_told = |key: &TrackKey| playlist.iter().any(|told| told.track == *key);
        let gone: Vec<TrackKey> = known.keys().copied().filter(|key| !is_told(key)).collect();
        gone.iter().for_each(|key| _ = known.remove(key));
        let before = known.len();
        for &Listed { entered, track: key, ref resting } in playlist {
            let distant = known.entry(key);
            let distant = distant.or_insert_with(|| Distant { entered, track: Track::elsewhere(key) });
            distant.track.rest(resting, now);
        }
        (gone, known.len() > before)
    }

    /// Takes what a part shows.
    pub(crate) fn show(&mut self, shard: usize, shown: Shown) {
        if let Some(part) = self.part_by_shard.get_mut(&shard) {
            part.shown = Some(shown);
        }
    }

    /// Whether an encoding is shown anywhere else, as far as is known.
    pub(crate) fn shows(&self, track: TrackKey, rid: Rid) -> bool {
        let shows = |shown: &Shown| shown.contains(&(track, Some(rid)));
        self.part_by_shard.values().any(|part| part.shown.as_ref().is_none_or(shows))
    }

    /// A part is over. Answers which tracks were there.
    pub(crate) fn forget(&mut self, shard: usize) -> Vec<TrackKey> {
        self.part_by_shard.remove(&shard).map_or_else(Vec::new, |part| part.tracks.into_keys().collect())
    }

    /// A part that has told nothing for long is over as well.
    pub(crate) fn silent(&self, now: Instant) -> Option<usize> {
        let is_silent = |part: &Part| now.saturating_duration_since(part.heard_at) >= SILENT_AFTER;
        self.part_by_shard.iter().find(|(_, part)| is_silent(part)).map(|(shard, _)| *shard)
    }

    /// All tracks, with their publishers' age.
    pub(crate) fn playlist(&self) -> impl Iterator<Item = (Entered, TrackKey)> {
        self.part_by_shard.values().flat_map(|part| &part.tracks).map(|(key, remote)| (remote.entered, *key))
    }

    /// A track.
    pub(crate) fn track(&self, key: TrackKey) -> Option<&Track> {
        self.part_by_shard.values().find_map(|part| part.tracks.get(&key)).map(|remote| &remote.track)
    }

    /// A track, to change.
    pub(crate) fn track_mut(&mut self, key: TrackKey) -> Option<&mut Track> {
        let found = self.part_by_shard.values_mut().find_map(|part| part.tracks.get_mut(&key));
        found.map(|remote| &mut remote.track)
    }

    /// All tracks, to change, with their shards.
    pub(crate) fn tracks_mut(&mut self) -> impl Iterator<Item = (usize, &mut Track)> {
        let parts = self.part_by_shard.iter_mut();
        parts.flat_map(|(shard, part)| part.tracks.values_mut().map(|remote| (*shard, &mut remote.track)))
    }
}

impl Track {
    /// A track of another shard: it is on a playlist, so it has begun.
    fn elsewhere(key: TrackKey) -> Track {
        // The line is its publisher's, who is asked for nothing from here.
        let mut track = Track::new(key, Mid::from("0"));
        track.delivered = true;
        track
    }
}
