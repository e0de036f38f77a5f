//! A published track: its layers, what is kept of each for late joiners, and when a keyframe was last asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::{Mid, Rid};

use crate::codec;
use crate::control::{Kind, TrackKey};
use crate::forward::Packet;
use crate::keyframes::{Replay, RequestGate};

/// A layer without a packet for this long is not sent any more.
const LAYER_ALIVE: Duration = Duration::from_secs(2);

/// One of a publisher's media.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) key: TrackKey,
    pub(crate) mid: Mid,
    pub(crate) muted: bool,
    /// A packet came since the click: it is worth a slot.
    pub(crate) delivered: bool,
    /// Few: a layer is found by looking.
    layers: Vec<Layer>,
}

/// One encoding of a track.
#[derive(Debug)]
pub(crate) struct Layer {
    rid: Option<Rid>,
    ssrc: u32,
    heard_at: Instant,
    /// Width and height, once a keyframe told.
    size: Option<(u32, u32)>,
    pub(crate) replay: Replay<Arc<Packet>>,
    gate: RequestGate,
}

impl Track {
    /// A track of which nothing was heard yet.
    pub(crate) fn new(key: TrackKey, mid: Mid) -> Self {
        Track { key, mid, muted: false, delivered: false, layers: Vec::new() }
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
        let alive = |layer: &Layer| now.saturating_duration_since(layer.heard_at) < LAYER_ALIVE;
        let layers = self.layers.iter().filter(|layer| alive(layer));
        let fills = |layer: &&Layer| width.is_some_and(|width| layer.width() >= width);
        let smallest = layers.clone().filter(fills).min_by_key(|layer| layer.width());
        smallest.or(layers.max_by_key(|layer| layer.width())).map_or(current, |layer| layer.rid)
    }

    /// A layer, if it was heard of.
    pub(crate) fn layer(&self, rid: Option<Rid>) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.rid == rid)
    }

    /// Somebody needs a keyframe of a layer.
    pub(crate) fn want_keyframe(&mut self, rid: Option<Rid>) {
        if let Some(layer) = self.layers.iter_mut().find(|layer| layer.rid == rid) {
            layer.gate.want();
        }
    }

    /// Somebody may soon need one: asks where nothing fresh is kept.
    pub(crate) fn want_fresh_keyframes(&mut self, now: Instant) {
        for layer in &mut self.layers {
            if layer.replay.packets(now).next().is_none() {
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
            size: None,
            replay: Replay::default(),
            gate: RequestGate::default(),
        }
    }

    fn width(&self) -> u32 {
        self.size.map_or(0, |(width, _)| width)
    }
}
