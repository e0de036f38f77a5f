//! A published track: its layers, what is kept of each for late joiners, and when a keyframe was last asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::{Mid, Rid};

use crate::codec::{self, Sizes};
use crate::control::{Kind, TrackKey};
use crate::forward::{LayerId, Packet};
use crate::keyframes::{Replay, RequestGate};
use crate::slab::Key;
use crate::svc::{self, SPATIAL_MAX};

/// A layer without a packet for this long is not sent any more.
const LAYER_ALIVE: Duration = Duration::from_secs(2);

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
    /// Of each encoding and its SSRC.
    readers: Vec<(Option<Rid>, u32, codec::Reader)>,
}

/// One encoding of a track.
#[derive(Debug)]
pub(crate) struct Layer {
    rid: Option<Rid>,
    ssrc: u32,
    heard_at: Instant,
    /// Widths and heights, once a keyframe told.
    sizes: Option<Sizes>,
    /// For a scalable stream, when a packet of each spatial layer came last, and the highest frame rate's.
    scalable: [Option<Scalable>; SPATIAL_MAX],
    pub(crate) replay: Replay<Arc<Packet>>,
    gate: RequestGate,
}

/// A spatial layer of a scalable stream.
#[derive(Debug, Clone, Copy)]
struct Scalable {
    heard_at: Instant,
    /// The highest temporal layer, and when a packet of it came last.
    temporal: (u8, Instant),
}

impl Track {
    /// A track of which nothing was heard yet.
    pub(crate) fn new(key: TrackKey, mid: Mid) -> Self {
        let (route, layers, readers) = (Arc::default(), Vec::new(), Vec::new());
        Track { key, mid, muted: false, delivered: false, route, layers, readers }
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
        layer.heard_at = packet.arrived;
        if self.key.source.kind() == Kind::Video {
            layer.note(packet);
        }
    }

    /// What reads the packets of one of the track's encodings.
    pub(crate) fn reader(&mut self, rid: Option<Rid>, ssrc: u32) -> &mut codec::Reader {
        let known = self.readers.iter().position(|(other, _, _)| *other == rid);
        let place = known.unwrap_or(self.readers.len());
        if known.is_none() {
            self.readers.push((rid, ssrc, codec::Reader::default()));
        } else if self.readers[place].1 != ssrc {
            self.readers[place] = (rid, ssrc, codec::Reader::default());
        }
        &mut self.readers[place].2
    }

    /// Off: what is kept is not shown to anybody later.
    pub(crate) fn mute(&mut self, muted: bool) {
        self.muted = muted;
        if muted {
            self.layers.iter_mut().for_each(|layer| layer.replay.clear());
        }
    }

    /// The layer for a view of this width: the smallest that fills it, else the largest there is, else the `current` one.
    pub(crate) fn layer_for(&self, width: Option<u32>, current: LayerId, now: Instant) -> LayerId {
        let offered: Vec<(LayerId, u32)> = self.layers.iter().flat_map(|layer| layer.offered(now)).collect();
        let fills = |offered: &&(LayerId, u32)| width.is_some_and(|width| offered.1 >= width);
        let smallest = offered.iter().filter(fills).min_by_key(|(_, width)| *width);
        smallest.or(offered.iter().max_by_key(|(_, width)| *width)).map_or(current, |(layer, _)| *layer)
    }

    /// The kept picture that a newcomer sees soonest: the wanted layer's while it is little more than a keyframe, else
    /// the smallest layer's, which travels and decodes in a fraction of the time.
    pub(crate) fn quickest_picture(
        &self,
        wanted: LayerId,
        now: Instant,
    ) -> Option<(LayerId, Vec<Arc<Packet>>)> {
        let kept = || self.layers.iter().filter(|layer| layer.replay.is_fresh(now));
        let is_wanted = |layer: &&Layer| layer.rid == wanted.rid;
        let is_light = |layer: &&Layer| layer.replay.bytes() <= WANTED_REPLAY_BYTES_MAX;
        let light = kept().find(|layer| is_wanted(layer) && is_light(layer));
        let layer = light.or_else(|| kept().min_by_key(|layer| layer.replay.bytes()))?;
        let id = if is_wanted(&layer) { wanted } else { LayerId::from(layer.rid) };
        Some((id, layer.replay.packets(now).cloned().collect()))
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
            heard_at: packet.arrived,
            sizes: None,
            scalable: [None; SPATIAL_MAX],
            replay: Replay::default(),
            gate: RequestGate::default(),
        }
    }

    /// Takes note of a packet of a picture.
    fn note(&mut self, packet: &Arc<Packet>) {
        let picture = &packet.picture;
        if picture.starts_keyframe {
            self.gate.satisfied();
            let dependency = packet.dependency.as_ref();
            self.sizes = codec::sizes(packet.codec.codec, &packet.payload, dependency).or(self.sizes);
        }
        if let Some(frame) = &picture.frame {
            // A keyframe names the layers that are about to come.
            let named = self.sizes.filter(|_| picture.starts_keyframe).map_or(0, |sizes| sizes.count());
            (0..named as u8)
                .for_each(|spatial| self.hear(svc::Layer { spatial, temporal: 0 }, packet.arrived));
            self.hear(frame.layer, packet.arrived);
        }
        self.replay.push(packet.clone(), picture.starts_keyframe);
    }

    fn hear(&mut self, layer: svc::Layer, now: Instant) {
        let Some(place) = self.scalable.get_mut(usize::from(layer.spatial)) else { return };
        let heard = place.get_or_insert(Scalable { heard_at: now, temporal: (layer.temporal, now) });
        heard.heard_at = now;
        if layer.temporal >= heard.temporal.0 || !is_alive(heard.temporal.1, now) {
            heard.temporal = (layer.temporal, now);
        }
    }

    /// What can be had of it now, and how wide it is; the smallest first.
    fn offered(&self, now: Instant) -> Vec<(LayerId, u32)> {
        let width = |spatial: u8| self.sizes.map_or(0, |sizes| sizes.width(spatial));
        let scalable = (0u8..).zip(&self.scalable).filter_map(|(spatial, heard)| {
            let heard = heard.filter(|heard| is_alive(heard.heard_at, now))?;
            let svc = svc::Layer { spatial, temporal: heard.temporal.0 };
            Some((LayerId { rid: self.rid, svc }, width(spatial)))
        });
        let mut offered: Vec<_> = scalable.collect();
        if offered.is_empty() && is_alive(self.heard_at, now) {
            offered.push((LayerId::from(self.rid), width(0)));
        }
        offered
    }
}

fn is_alive(heard_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(heard_at) < LAYER_ALIVE
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
        let quick = track.quickest_picture(rid(wanted).into(), now);
        quick.map(|(layer, packets)| (layer.rid, packets.len()))
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
    fn a_single_layer_is_shown_however_much_is_kept() {
        let t0 = start();
        let track = track(&[(None, 1_000)], 100, t0);
        assert_eq!(shown(&track, None, t0), Some((None, 101)));
        assert_eq!(shown(&track, None, t0 + Duration::from_secs(5)), None, "nor an old one");
    }
}
