//! What a slot sends: a pure decision from packets. The old source plays until the new one's keyframe, and whatever plays
//! leaves under the slot's own numbers.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use str0m::format::CodecSpec;
use str0m::media::Rid;
use str0m::rtp::{ExtensionValues, Vp8Descriptor};

use crate::control::{Kind, TrackKey};
use crate::keyframes::Replayed;
use crate::rewrite::{Line, Numbers};

/// One stream of packets: a layer of a track, under one SSRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceId {
    pub(crate) track: TrackKey,
    pub(crate) rid: Option<Rid>,
    pub(crate) ssrc: u32,
}

/// A packet as its publisher sent it, shared by all who get it.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) source: SourceId,
    pub(crate) numbers: Numbers,
    /// The payload type under which its publisher sent it.
    pub(crate) pt: u8,
    pub(crate) marker: bool,
    pub(crate) codec: CodecSpec,
    pub(crate) payload: Arc<[u8]>,
    pub(crate) vp8: Option<Vp8Descriptor>,
    pub(crate) starts_keyframe: bool,
    /// Level, voice and orientation; the other extensions are the connection's own.
    pub(crate) extensions: ExtensionValues,
    pub(crate) arrived: Instant,
    /// When it was captured, in our clock, once its publisher has reported.
    pub(crate) captured: Option<SystemTime>,
}

impl Replayed for Arc<Packet> {
    fn seq(&self) -> u64 {
        self.numbers.seq
    }
    fn ts(&self) -> u32 {
        self.numbers.ts
    }
    fn arrived(&self) -> Instant {
        self.arrived
    }
    fn size(&self) -> usize {
        self.payload.len()
    }
}

/// What one slot plays, and under which numbers.
#[derive(Debug)]
pub(crate) struct Player {
    kind: Kind,
    line: Line,
    playing: Option<SourceId>,
    wanted: Option<(TrackKey, Option<Rid>)>,
    /// The subscriber's line does not take it.
    paused: bool,
}

impl Player {
    /// An empty slot.
    pub(crate) fn new(kind: Kind) -> Self {
        let rate_hz = match kind {
            Kind::Audio => 48_000,
            Kind::Video => 90_000,
        };
        Player { kind, line: Line::new(rate_hz), playing: None, wanted: None, paused: false }
    }

    /// Plays this layer of a track from its next keyframe on; an empty slot falls silent at once.
    /// Answers whether that is something new.
    pub(crate) fn want(&mut self, wanted: Option<(TrackKey, Option<Rid>)>) -> bool {
        if wanted.is_none() {
            self.playing = None;
            self.line.pause();
        }
        let is_new = self.wanted != wanted || self.paused;
        (self.wanted, self.paused) = (wanted, false);
        is_new
    }

    /// Plays nothing until something is wanted anew. Answers whether it did play.
    pub(crate) fn pause(&mut self) -> bool {
        self.playing = None;
        self.line.pause();
        !std::mem::replace(&mut self.paused, true)
    }

    /// Whether it plays nothing though it should play something.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// What should play.
    pub(crate) fn wanted(&self) -> Option<(TrackKey, Option<Rid>)> {
        self.wanted
    }

    /// The tracks whose packets concern this slot: what plays and what is waited for.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = TrackKey> {
        let wanted = self.wanted.map(|(track, _)| track);
        let playing = self.playing.map(|playing| playing.track).filter(|track| Some(*track) != wanted);
        wanted.into_iter().chain(playing)
    }

    /// Whether what should play does play, or nothing is to.
    pub(crate) fn is_settled(&self) -> bool {
        self.paused || self.wanted == self.playing.map(|playing| (playing.track, playing.rid))
    }

    /// The layer whose packets leave here, if any.
    pub(crate) fn source(&self) -> Option<&SourceId> {
        self.playing.as_ref()
    }

    /// The layer whose packets leave here, if they are this track's.
    pub(crate) fn playing_layer(&self, track: TrackKey) -> Option<Option<Rid>> {
        self.playing.filter(|playing| playing.track == track).map(|playing| playing.rid)
    }

    /// The track whose packets leave here, if any.
    #[cfg(test)]
    pub(crate) fn playing(&self) -> Option<TrackKey> {
        self.playing.map(|playing| playing.track)
    }

    /// The numbers under which a packet leaves, or `None` when it does not.
    pub(crate) fn take(&mut self, packet: &Packet) -> Option<Numbers> {
        if self.playing != Some(packet.source) {
            let is_wanted = !self.paused && self.wanted == Some((packet.source.track, packet.source.rid));
            let may_start = self.kind == Kind::Audio || packet.starts_keyframe;
            if !is_wanted || !may_start {
                return None;
            }
            self.line.switch(&packet.numbers, packet.arrived);
            self.playing = Some(packet.source);
        }
        self.line.rewrite(&packet.numbers)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use str0m::format::{Codec, FormatParams};
    use str0m::media::Frequency;
    use uuid::Uuid;

    use super::*;
    use crate::control::{LegId, Source};

    fn track(leg: u128) -> TrackKey {
        TrackKey { leg: LegId(Uuid::from_u128(leg)), source: Source::Camera }
    }

    pub(crate) fn packet(leg: u128, seq: u64, key: bool, arrived: Instant) -> Packet {
        Packet {
            source: SourceId { track: track(leg), rid: None, ssrc: leg as u32 },
            numbers: Numbers { seq, ts: seq as u32 * 3_000, picture_id: None, tl0: None },
            pt: 96,
            marker: true,
            codec: CodecSpec {
                codec: Codec::Vp8,
                clock_rate: Frequency::NINETY_KHZ,
                channels: None,
                format: FormatParams::default(),
            },
            payload: Arc::from([0u8; 4].as_slice()),
            vp8: None,
            starts_keyframe: key,
            extensions: ExtensionValues::default(),
            arrived,
            captured: None,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    pub(crate) fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_old_source_plays_until_the_new_ones_keyframe() {
        let (mut player, t0) = (Player::new(Kind::Video), start());
        let at = |ms| t0 + Duration::from_millis(ms);
        player.want(Some((track(1), None)));
        assert!(player.take(&packet(1, 10, false, at(0))).is_none(), "nothing before a keyframe");
        assert_eq!(player.take(&packet(1, 11, true, at(33))).map(|n| n.seq), Some(1));
        player.want(Some((track(2), None)));
        assert!(player.take(&packet(2, 500, false, at(50))).is_none());
        assert_eq!(player.take(&packet(1, 12, false, at(66))).map(|n| n.seq), Some(2), "the old one goes on");
        assert_eq!(player.take(&packet(2, 501, true, at(80))).map(|n| n.seq), Some(3));
        assert!(player.take(&packet(1, 13, false, at(99))).is_none(), "and is over then");
        assert_eq!(player.playing(), Some(track(2)));
        player.want(None);
        assert!(player.take(&packet(2, 502, true, at(110))).is_none());
    }

    #[test]
    fn what_is_paused_is_silent_and_goes_on_with_a_keyframe_on_the_same_line() {
        let (mut player, t0) = (Player::new(Kind::Video), start());
        let at = |ms| t0 + Duration::from_millis(ms);
        player.want(Some((track(1), None)));
        assert_eq!(player.take(&packet(1, 10, true, at(0))).map(|n| n.seq), Some(1));
        assert!(player.pause() && !player.pause());
        assert!(player.take(&packet(1, 11, true, at(33))).is_none());
        assert_eq!(player.tracks().collect::<Vec<_>>(), [track(1)], "it is still the slot's");
        assert!(player.want(Some((track(1), None))), "which is news");
        assert!(player.take(&packet(1, 12, false, at(66))).is_none());
        assert_eq!(player.take(&packet(1, 13, true, at(99))).map(|n| n.seq), Some(2));
    }

    #[test]
    fn a_publisher_that_starts_a_new_stream_is_another_source() {
        let (mut player, t0) = (Player::new(Kind::Video), start());
        player.want(Some((track(1), None)));
        player.take(&packet(1, 10, true, t0));
        let mut other = packet(1, 60_000, false, t0 + Duration::from_millis(40));
        other.source.ssrc = 99;
        assert!(player.take(&other).is_none());
        other.starts_keyframe = true;
        assert_eq!(player.take(&other).map(|n| n.seq), Some(2));
    }
}
