//! What a slot sends: a pure decision from packets. The old source plays until the new one's keyframe, another layer of the
//! same picture until the new one flows, and whatever plays leaves under the slot's own numbers.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use str0m::format::CodecSpec;
use str0m::media::Rid;
use str0m::rtp::ExtensionValues;

use crate::codec::{Picture, red};
use crate::control::{Kind, TrackKey};
use crate::dependency::Descriptor;
use crate::egress::PayloadTypes;
use crate::keyframes::{Arrival, Replayed};
use crate::rewrite::{Line, Numbers};
use crate::svc::{Layer, Selection};

/// A layer that nothing came of for this long does not keep the next one waiting.
const SILENT_AFTER: Duration = Duration::from_millis(300);

/// Nor does any for longer than this, from the keyframe on.
const FLOWS_WITHIN: Duration = Duration::from_secs(1);

/// A keyframe of which some is missing for so long never becomes whole: what comes next plays as far as it comes.
const WHOLE_WITHIN: Duration = Duration::from_secs(2);

/// What a subscriber may be shown of a track: an encoding of its own (simulcast), and of that the layers up to one (scalable
/// video). A track that has neither has one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerId {
    pub(crate) rid: Option<Rid>,
    pub(crate) svc: Layer,
}

impl LayerId {
    /// All of a track that has no layers.
    pub(crate) const ALL: LayerId = LayerId { rid: None, svc: Layer::TOP };
}

impl From<Option<Rid>> for LayerId {
    /// All of an encoding.
    fn from(rid: Option<Rid>) -> Self {
        LayerId { rid, svc: Layer::TOP }
    }
}

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
    /// Where its own encoding begins, if it came with older ones (RFC 2198).
    pub(crate) primary_at: Option<usize>,
    pub(crate) payload: Arc<[u8]>,
    /// What its codec says about it.
    pub(crate) picture: Picture,
    /// And what its dependency descriptor says.
    pub(crate) dependency: Option<Descriptor>,
    /// Level, voice and orientation; the other extensions are the connection's own.
    pub(crate) extensions: ExtensionValues,
    pub(crate) arrived: Instant,
    /// When it was captured, in our clock, once its publisher has reported.
    pub(crate) captured: Option<SystemTime>,
}

impl Packet {
    /// The payload, without older encodings for whoever does not take them.
    pub(crate) fn payload_for(&self, types: &PayloadTypes) -> &[u8] {
        match (self.primary_at, types.primary) {
            (Some(at), None) => &self.payload[at..],
            _ => &self.payload,
        }
    }

    /// Writes a slot's numbers and a subscriber's payload types over the publisher's.
    pub(crate) fn renumber(&self, payload: &mut [u8], numbers: &Numbers, types: &PayloadTypes) {
        self.picture.places.renumber(payload, numbers);
        if let (Some(_), Some(pt)) = (self.primary_at, types.primary) {
            red::rename(payload, *pt);
        }
    }

    /// Bytes of the payload, and of a descriptor that goes with it.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len() + self.dependency.as_ref().map_or(0, Descriptor::len_max)
    }
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
    fn ends(&self) -> bool {
        self.marker
    }
    fn size(&self) -> usize {
        self.payload.len()
    }
}

/// How a packet leaves on a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rewritten {
    pub(crate) numbers: Numbers,
    /// It ends its picture, as far as this slot sends it.
    pub(crate) marker: bool,
    /// The decode targets that this slot sends, where that is to be said.
    pub(crate) active: Option<u32>,
}

/// What one slot plays, and under which numbers.
#[derive(Debug)]
pub(crate) struct Player {
    kind: Kind,
    line: Line,
    playing: Option<Playing>,
    wanted: Option<(TrackKey, LayerId)>,
    /// The subscriber's line does not take it.
    paused: bool,
    /// The wanted layer is on its way while another one plays: when the keyframe from which it will play began to come.
    arriving: Option<Instant>,
    /// When that was due, once it is to play.
    due: Option<Instant>,
    /// When a packet last left.
    played_at: Option<Instant>,
}

#[derive(Debug)]
struct Playing {
    source: SourceId,
    /// Of a scalable stream.
    selection: Option<Selection>,
}

impl Player {
    /// An empty slot.
    pub(crate) fn new(kind: Kind) -> Self {
        let rate_hz = match kind {
            Kind::Audio => 48_000,
            Kind::Video => 90_000,
        };
        let line = Line::new(rate_hz);
        Player {
            kind,
            line,
            playing: None,
            wanted: None,
            paused: false,
            arriving: None,
            due: None,
            played_at: None,
        }
    }

    /// Plays this layer of a track as soon as it can be shown: a stream from its next keyframe on, a layer of the stream that
    /// plays from the next picture that allows it. An empty slot falls silent at once. Answers whether that is something new.
    pub(crate) fn want(&mut self, wanted: Option<(TrackKey, LayerId)>) -> bool {
        if wanted.is_none() {
            self.playing = None;
            self.line.pause();
        }
        if let (Some((track, layer)), Some(playing)) = (wanted, &mut self.playing)
            && playing.source.is_of(track, layer)
            && let Some(selection) = &mut playing.selection
        {
            selection.want(layer.svc);
        }
        let is_new = self.wanted != wanted || self.paused;
        if is_new {
            (self.arriving, self.due) = (None, None);
        }
        (self.wanted, self.paused) = (wanted, false);
        is_new
    }

    /// Plays nothing until something is wanted anew. Answers whether it did play.
    pub(crate) fn pause(&mut self) -> bool {
        self.playing = None;
        self.arriving = None;
        self.line.pause();
        !std::mem::replace(&mut self.paused, true)
    }

    /// Whether it plays nothing though it should play something.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// What should play.
    pub(crate) fn wanted(&self) -> Option<(TrackKey, LayerId)> {
        self.wanted
    }

    /// The tracks whose packets concern this slot: what plays and what is waited for.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = TrackKey> {
        let wanted = self.wanted.map(|(track, _)| track);
        let playing = self.playing().filter(|track| Some(*track) != wanted);
        wanted.into_iter().chain(playing)
    }

    /// Whether what should play does play, or will without a keyframe, or nothing is to.
    pub(crate) fn is_settled(&self) -> bool {
        match (self.wanted, &self.playing) {
            _ if self.paused => true,
            (Some((track, layer)), Some(playing)) => {
                let is_large = playing.selection.is_none_or(|selection| selection.is_settled());
                playing.source.is_of(track, layer) && is_large
            }
            (wanted, playing) => wanted.is_none() && playing.is_none(),
        }
    }

    /// The wanted layer's keyframe is here already, at least some of it.
    pub(crate) fn expect(&mut self, arrival: &Arrival) {
        self.arriving = Some(arrival.began);
    }

    /// Whether what is wanted is on its way, so that nothing needs to be asked for.
    pub(crate) fn is_expecting(&self, now: Instant) -> bool {
        self.arriving.is_some_and(|since| now.saturating_duration_since(since) < WHOLE_WITHIN)
    }

    /// The layer that is on its way while another one plays.
    pub(crate) fn expected(&self) -> Option<(TrackKey, LayerId)> {
        self.wanted.filter(|_| self.arriving.is_some() && !self.paused)
    }

    /// Whether packets of this stream are what is waited for.
    pub(crate) fn expects(&self, source: &SourceId) -> bool {
        self.expected().is_some_and(|(track, layer)| source.is_of(track, layer))
    }

    /// Stops what plays if the layer that is waited for can go on in its place; its packets are to be taken then from the
    /// keyframe on. An encoder that spent what it may on a keyframe sends nothing for most of a second: the old layer
    /// goes on for so long, unless it is silent itself. Answers whether it gave way.
    pub(crate) fn gives_way(&mut self, arrival: &Arrival, now: Instant) -> bool {
        let passed = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let is_silent = self.played_at.is_none_or(|at| passed(at, SILENT_AFTER));
        let is_enough = arrival.flows || is_silent || passed(arrival.began, FLOWS_WITHIN);
        let is_of_this = self.arriving.is_some_and(|since| arrival.began >= since);
        let gives_way = is_of_this && (self.playing.is_none() || arrival.is_whole && is_enough);
        if gives_way {
            self.playing = None;
            self.arriving = None;
            self.due = Some(arrival.due);
        }
        gives_way
    }

    /// The layer whose packets leave here, if any.
    pub(crate) fn source(&self) -> Option<&SourceId> {
        self.playing.as_ref().map(|playing| &playing.source)
    }

    /// The encodings that are shown here or waited for.
    pub(crate) fn encodings(&self) -> impl Iterator<Item = (TrackKey, Option<Rid>)> {
        let wanted = self.wanted.filter(|_| !self.paused).map(|(track, layer)| (track, layer.rid));
        wanted.into_iter().chain(self.source().map(|source| (source.track, source.rid)))
    }

    /// The encoding whose packets leave here, if they are this track's.
    pub(crate) fn playing_rid(&self, track: TrackKey) -> Option<Option<Rid>> {
        self.source().filter(|source| source.track == track).map(|source| source.rid)
    }

    /// The track whose packets leave here, if any.
    pub(crate) fn playing(&self) -> Option<TrackKey> {
        self.playing.as_ref().map(|playing| playing.source.track)
    }

    /// How a packet leaves, or `None` when it does not.
    pub(crate) fn take(&mut self, packet: &Packet) -> Option<Rewritten> {
        if self.playing.as_ref().map(|playing| playing.source) != Some(packet.source) {
            self.start(packet)?;
        }
        let playing = self.playing.as_mut()?;
        self.played_at = Some(packet.arrived);
        let ts = packet.numbers.ts;
        let (Some(frame), Some(selection)) = (&packet.picture.frame, &mut playing.selection) else {
            let numbers = self.line.rewrite(&packet.numbers)?;
            return Some(Rewritten { numbers, marker: packet.marker, active: None });
        };
        if !selection.take(frame, ts) {
            self.line.leave_out(&packet.numbers);
            return None;
        }
        let numbers = self.line.rewrite(&packet.numbers)?;
        let layer = selection.layer(ts);
        Some(Rewritten {
            numbers,
            marker: packet.marker || frame.ends && frame.layer.spatial == layer.spatial,
            active: packet.dependency.as_ref().and_then(|dependency| dependency.active_within(layer)),
        })
    }

    /// Switches to a packet's source, if that is wanted and can be shown from this packet on.
    fn start(&mut self, packet: &Packet) -> Option<()> {
        let (track, layer) = self.wanted.filter(|_| !self.paused)?;
        let may_start = self.kind == Kind::Audio || packet.picture.starts_keyframe;
        if !packet.source.is_of(track, layer) || !may_start || self.waits_for_more_than(packet) {
            return None;
        }
        self.arriving = None;
        self.line.switch(&packet.numbers, self.due.take().unwrap_or(packet.arrived));
        let selection = packet.picture.frame.map(|_| Selection::new(layer.svc));
        self.playing = Some(Playing { source: packet.source, selection });
        Some(())
    }

    /// Whether another layer of the same track goes on while this keyframe comes.
    fn waits_for_more_than(&mut self, keyframe: &Packet) -> bool {
        let is_layer_of = |playing: &Playing| {
            playing.source.track == keyframe.source.track && playing.source.rid != keyframe.source.rid
        };
        if !self.playing.as_ref().is_some_and(is_layer_of) {
            return false;
        }
        let since = *self.arriving.get_or_insert(keyframe.arrived);
        keyframe.arrived.saturating_duration_since(since) < WHOLE_WITHIN
    }
}

impl SourceId {
    /// Whether a layer of a track is in this stream.
    fn is_of(&self, track: TrackKey, layer: LayerId) -> bool {
        (self.track, self.rid) == (track, layer.rid)
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
    use crate::rewrite::tests::blank;

    fn track(leg: u128) -> TrackKey {
        TrackKey { leg: LegId(Uuid::from_u128(leg)), source: Source::Camera }
    }

    pub(crate) fn packet(leg: u128, seq: u64, key: bool, arrived: Instant) -> Packet {
        Packet {
            source: SourceId { track: track(leg), rid: None, ssrc: leg as u32 },
            numbers: Numbers { seq, ts: seq as u32 * 3_000, ..blank() },
            pt: 96,
            marker: true,
            codec: CodecSpec {
                codec: Codec::Vp8,
                clock_rate: Frequency::NINETY_KHZ,
                channels: None,
                format: FormatParams::default(),
            },
            primary_at: None,
            payload: Arc::from([0u8; 4].as_slice()),
            picture: Picture { starts_keyframe: key, ..Picture::default() },
            dependency: None,
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
        player.want(Some((track(1), LayerId::ALL)));
        assert!(player.take(&packet(1, 10, false, at(0))).is_none(), "nothing before a keyframe");
        assert_eq!(player.take(&packet(1, 11, true, at(33))).map(|n| n.numbers.seq), Some(1));
        player.want(Some((track(2), LayerId::ALL)));
        assert!(player.take(&packet(2, 500, false, at(50))).is_none());
        assert_eq!(
            player.take(&packet(1, 12, false, at(66))).map(|n| n.numbers.seq),
            Some(2),
            "the old one goes on"
        );
        assert_eq!(player.take(&packet(2, 501, true, at(80))).map(|n| n.numbers.seq), Some(3));
        assert!(player.take(&packet(1, 13, false, at(99))).is_none(), "and is over then");
        assert!(player.is_settled());
        assert_eq!(player.playing(), Some(track(2)));
        player.want(None);
        assert!(player.take(&packet(2, 502, true, at(110))).is_none());
    }

    #[test]
    fn what_is_paused_is_silent_and_goes_on_with_a_keyframe_on_the_same_line() {
        let (mut player, t0) = (Player::new(Kind::Video), start());
        let at = |ms| t0 + Duration::from_millis(ms);
        player.want(Some((track(1), LayerId::ALL)));
        assert_eq!(player.take(&packet(1, 10, true, at(0))).map(|n| n.numbers.seq), Some(1));
        assert!(player.pause() && !player.pause());
        assert!(player.take(&packet(1, 11, true, at(33))).is_none());
        assert_eq!(player.tracks().collect::<Vec<_>>(), [track(1)], "it is still the slot's");
        assert!(player.want(Some((track(1), LayerId::ALL))), "which is news");
        assert!(player.take(&packet(1, 12, false, at(66))).is_none());
        assert_eq!(player.take(&packet(1, 13, true, at(99))).map(|n| n.numbers.seq), Some(2));
    }

    fn layer(name: &str) -> LayerId {
        LayerId::from(Some(Rid::from(name)))
    }

    fn of_layer(name: &str, seq: u64, key: bool, arrived: Instant) -> Packet {
        let mut packet = packet(1, seq, key, arrived);
        packet.source.rid = layer(name).rid;
        packet
    }

    /// Somebody who is shown the large layer since time 0, is to be shown the small one from 100 ms on, and had its
    /// keyframe begin at 200 ms.
    fn changing(t0: Instant) -> Player {
        let (mut player, at) = (Player::new(Kind::Video), |ms| t0 + Duration::from_millis(ms));
        player.want(Some((track(1), layer("f"))));
        assert!(player.take(&of_layer("f", 10, true, at(0))).is_some());
        player.want(Some((track(1), layer("q"))));
        assert!(player.take(&of_layer("f", 11, false, at(100))).is_some());
        assert!(player.take(&of_layer("q", 50, true, at(200))).is_none(), "the old one goes on");
        assert!(player.expects(&of_layer("q", 51, false, at(200)).source) && player.is_expecting(at(200)));
        player
    }

    /// Rows: when the large layer last played; since when the keyframe comes, whether it is whole and flows; when that is
    /// asked, and whether the small layer plays then. All in ms.
    #[test]
    fn a_layer_gives_way_to_another_one_that_flows() {
        let t0 = start();
        let at = |ms| t0 + Duration::from_millis(ms);
        for (played, began, is_whole, flows, now, gives_way) in [
            (230, 200, true, false, 240, false),
            (230, 200, true, true, 240, true),
            (230, 200, false, false, 240, false),
            (230, 200, true, false, 529, false),
            (230, 200, true, false, 530, true), // the large one is silent itself
            (230, 200, false, false, 530, false), // but nothing could be shown yet
            (1_190, 200, true, false, 1_199, false),
            (1_190, 200, true, false, 1_200, true),
            (230, 90, true, true, 240, false), // an older one
        ] {
            let mut player = changing(t0);
            assert!(player.take(&of_layer("f", 12, false, at(played))).is_some());
            let arrival = Arrival { began: at(began), due: at(began), is_whole, flows };
            assert_eq!(player.gives_way(&arrival, at(now)), gives_way, "{played} {began} {now}");
            let next = player.take(&of_layer("f", 13, false, at(now)));
            assert_eq!(next.is_none(), gives_way);
            assert_eq!(player.take(&of_layer("q", 50, true, at(200))).is_some(), gives_way);
        }
    }

    #[test]
    fn what_never_becomes_whole_keeps_nobody_waiting_for_ever() {
        let t0 = start();
        let mut player = changing(t0);
        let at = |ms| t0 + Duration::from_millis(ms);
        assert!(player.take(&of_layer("q", 80, true, at(2_199))).is_none());
        assert!(player.take(&of_layer("q", 90, true, at(2_200))).is_some());
    }

    #[test]
    fn who_is_back_at_the_old_layer_waits_for_nothing() {
        let t0 = start();
        let mut player = changing(t0);
        assert!(player.want(Some((track(1), layer("f")))) && player.is_settled());
        assert_eq!(player.expected(), None);
    }

    #[test]
    fn a_publisher_that_starts_a_new_stream_is_another_source() {
        let (mut player, t0) = (Player::new(Kind::Video), start());
        player.want(Some((track(1), LayerId::ALL)));
        player.take(&packet(1, 10, true, t0));
        let mut other = packet(1, 60_000, false, t0 + Duration::from_millis(40));
        other.source.ssrc = 99;
        assert!(player.take(&other).is_none());
        other.picture.starts_keyframe = true;
        assert_eq!(player.take(&other).map(|n| n.numbers.seq), Some(2));
    }
}
