//! A published track: its layers, what is kept of each for late joiners, and when a keyframe was last asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::{Mid, Rid};

use crate::codec;
use crate::congestion::allocate::Offered;
use crate::congestion::meter::RateMeter;
use crate::control::{Kind, TrackKey};
use crate::forward::Packet;
use crate::keyframes::{Replay, RequestGate};
use crate::slab::Key;

/// A layer without a packet for this long is not sent any more.
const LAYER_ALIVE: Duration = Duration::from_secs(2);

/// What a packet costs beyond its payload: header, extensions, seal.
const OVERHEAD_BYTES: usize = 40;

/// What is kept of the wanted layer is replayed up to this size. A burst of seconds of a large picture keeps a browser
/// busy for longer than a fresh keyframe takes to come.
const WANTED_REPLAY_BYTES_MAX: usize = 48 << 10;

/// One of a publisher's media.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) key: TrackKey,
    pub(crate) mid: Mid,
    pub(crate) muted: bool,
    /// A packet came since the click: it is worth a slot.
    pub(crate) delivered: bool,
    /// Where its packets go: subscriber and slot.
    pub(crate) route: Arc<[(Key, usize)]>,
    /// Few: a layer is found by looking.
    layers: Vec<Layer>,
}

/// One encoding of a track.
#[derive(Debug)]
pub(crate) struct Layer {
    rid: Option<Rid>,
    ssrc: u32,
    began: Instant,
    heard_at: Instant,
    rate: RateMeter,
    /// Width and height, once a keyframe told.
    size: Option<(u32, u32)>,
    pub(crate) replay: Replay<Arc<Packet>>,
    gate: RequestGate,
}

impl Track {
    /// A track of which nothing was heard yet.
    pub(crate) fn new(key: TrackKey, mid: Mid) -> Self {
        Track { key, mid, muted: false, delivered: false, route: Arc::default(), layers: Vec::new() }
    }

    /// Whether the track may take a slot.
    pub(crate) fn is_playable(&self) -> bool {
        self.delivered && !self.muted
    }

    /// Takes note of a packet that will be forwarded.
    pub(crate) fn note(&mut self, packet: &Arc<Packet>) {
        let known = self.layers.iter().position(|layer| layer.rid == packet.source.rid);
        let place = known.unwrap_or_else(|| {
            self.layers.push(Layer::new(packet));
            self.layers.len() - 1
        });
        let layer = &mut self.layers[place];
        if layer.ssrc != packet.source.ssrc {
            *layer = Layer::new(packet);
        }
        layer.heard(packet);
        if self.key.source.kind() == Kind::Video {
            if packet.starts_keyframe {
                layer.gate.satisfied();
                layer.size = codec::vp8_size(&packet.payload).or(layer.size);
            }
            layer.replay.push(packet.clone(), packet.starts_keyframe);
        }
    }

    /// Off: what is kept is not shown to anybody later.
    pub(crate) fn mute(&mut self, muted: bool) {
        self.muted = muted;
        if muted {
            self.layers.iter_mut().for_each(|layer| layer.replay.clear());
        }
    }

    /// The layer for a view of this width: the smallest that fills it, else the largest there is, else the `current` one.
    pub(crate) fn layer_for(&self, width: Option<u32>, current: Option<Rid>, now: Instant) -> Option<Rid> {
        let layers = self.offered(now);
        let fills = |layer: &&Offered| width.is_some_and(|width| layer.width >= width);
        layers.iter().find(fills).or(layers.last()).map_or(current, |layer| layer.rid)
    }

    /// The layers that are sent and what each costs, the smallest first: by width, or by what they cost while a width is
    /// missing, since a keyframe that would tell it may have been lost.
    pub(crate) fn offered(&self, now: Instant) -> Vec<Offered> {
        let alive = self.layers.iter().filter(|layer| layer.is_alive(now));
        let mut offered: Vec<Offered> = alive.map(|layer| layer.offered(now)).collect();
        let is_known = offered.iter().all(|layer| layer.width > 0);
        offered.sort_by_key(|layer| (if is_known { layer.width } else { 0 }, layer.bps));
        offered
    }

    /// The kept picture that a newcomer sees soonest: the wanted layer's while it is little more than a keyframe, else
    /// the smallest layer's, which travels and decodes in a fraction of the time.
    pub(crate) fn quickest_picture(
        &self,
        wanted: Option<Rid>,
        now: Instant,
    ) -> Option<(Option<Rid>, Vec<Arc<Packet>>)> {
        let kept = || self.layers.iter().filter(|layer| layer.replay.is_fresh(now));
        let is_light =
            |layer: &&Layer| layer.rid == wanted && layer.replay.bytes() <= WANTED_REPLAY_BYTES_MAX;
        let layer = kept().find(is_light).or_else(|| kept().min_by_key(|layer| layer.replay.bytes()))?;
        Some((layer.rid, layer.replay.packets(now).cloned().collect()))
    }

    /// Somebody needs a keyframe of a layer. Sound has none, whatever a subscriber asks for.
    pub(crate) fn want_keyframe(&mut self, rid: Option<Rid>) {
        if self.key.source.kind() == Kind::Audio {
            return;
        }
        if let Some(layer) = self.layers.iter_mut().find(|layer| layer.rid == rid) {
            layer.gate.want();
        }
    }

    /// Somebody may soon need one: asks where nothing fresh is kept.
    pub(crate) fn want_fresh_keyframes(&mut self, now: Instant) {
        for layer in &mut self.layers {
            if !layer.replay.is_fresh(now) {
                layer.gate.want();
            }
        }
    }

    /// The layers whose publisher is to be asked for a keyframe now.
    pub(crate) fn ask_keyframes(&mut self, now: Instant) -> Vec<Option<Rid>> {
        let due = self.layers.iter_mut().filter_map(|layer| layer.gate.ask(now).then_some(layer.rid));
        due.collect()
    }
}

impl Layer {
    fn new(packet: &Packet) -> Self {
        Layer {
            rid: packet.source.rid,
            ssrc: packet.source.ssrc,
            began: packet.arrived,
            heard_at: packet.arrived,
            rate: RateMeter::slow(),
            size: None,
            replay: Replay::default(),
            gate: RequestGate::default(),
        }
    }

    fn heard(&mut self, packet: &Packet) {
        self.heard_at = packet.arrived;
        let at_us = self.age_us(packet.arrived);
        self.rate.add(packet.payload.len() + OVERHEAD_BYTES, at_us);
    }

    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard_at) < LAYER_ALIVE
    }

    fn offered(&self, now: Instant) -> Offered {
        let bps = self.rate.bps(self.age_us(now)).unwrap_or(0.0) as u32;
        Offered { rid: self.rid, bps, width: self.width() }
    }

    fn age_us(&self, now: Instant) -> i64 {
        now.saturating_duration_since(self.began).as_micros() as i64
    }

    fn width(&self) -> u32 {
        self.size.map_or(0, |(width, _)| width)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::control::{LegId, Source};
    use crate::forward::tests::{packet, start};

    const SMALL: Option<&str> = Some("q");
    const LARGE: Option<&str> = Some("f");

    fn rid(name: Option<&str>) -> Option<Rid> {
        name.map(Rid::from)
    }

    /// A track whose layers each got a keyframe and `more` further packets of this size.
    fn track(layers: &[(Option<&str>, usize)], more: u64, at: Instant) -> Track {
        let key = TrackKey { leg: LegId(Uuid::from_u128(1)), source: Source::Camera };
        let mut track = Track::new(key, Mid::from("1"));
        for (layer, (name, size)) in layers.iter().enumerate() {
            for seq in 0..=more {
                let mut packet = packet(1, seq, seq == 0, at);
                packet.source.rid = rid(*name);
                packet.source.ssrc = layer as u32;
                packet.payload = Arc::from(vec![0; *size]);
                track.note(&Arc::new(packet));
            }
        }
        track
    }

    fn shown(track: &Track, wanted: Option<&str>, now: Instant) -> Option<(Option<Rid>, usize)> {
        track.quickest_picture(rid(wanted), now).map(|(rid, packets)| (rid, packets.len()))
    }

    #[test]
    fn a_newcomer_sees_the_wanted_layer_while_little_is_kept_of_it() {
        let t0 = start();
        let track = track(&[(SMALL, 100), (LARGE, 1_000)], 20, t0);
        assert_eq!(shown(&track, LARGE, t0), Some((rid(LARGE), 21)));
    }

    #[test]
    fn a_newcomer_sees_the_smallest_layer_first_when_much_is_kept_of_the_wanted_one() {
        let t0 = start();
        let track = track(&[(LARGE, 1_000), (SMALL, 100)], 100, t0);
        assert_eq!(shown(&track, LARGE, t0), Some((rid(SMALL), 101)));
        assert_eq!(shown(&track, SMALL, t0), Some((rid(SMALL), 101)));
    }

    #[test]
    fn a_layer_whose_width_is_not_known_stands_where_its_rate_puts_it() {
        let t0 = start();
        let mut track = track(&[(LARGE, 1_000), (SMALL, 100)], 0, t0);
        track.layers[1].size = Some((320, 180));
        for ms in [100, 200] {
            for (layer, size) in [1_000, 100].into_iter().enumerate() {
                let mut packet = packet(1, ms, false, t0 + Duration::from_millis(ms));
                (packet.source.rid, packet.source.ssrc) = (rid([LARGE, SMALL][layer]), layer as u32);
                packet.payload = Arc::from(vec![0; size]);
                track.note(&Arc::new(packet));
            }
        }
        let now = t0 + Duration::from_millis(200);
        assert_eq!(track.layer_for(None, None, now), rid(LARGE));
        assert_eq!(track.layer_for(Some(300), None, now), rid(SMALL));
    }

    #[test]
    fn a_single_layer_is_shown_however_much_is_kept() {
        let t0 = start();
        let track = track(&[(None, 1_000)], 100, t0);
        assert_eq!(shown(&track, None, t0), Some((None, 101)));
        assert_eq!(shown(&track, None, t0 + Duration::from_secs(5)), None, "nor an old one");
    }
}
