//! A published track: its layers, what is kept of each for late joiners, and when a keyframe was last asked for.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::{Mid, Rid};

use crate::codec::{self, Sizes};
use crate::congestion::allocate::Offered;
use crate::congestion::meter::RateMeter;
use crate::control::{Kind, TrackKey};
use crate::demand::Demand;
use crate::forward::{LayerId, Packet};
use crate::gaps::Gaps;
use crate::keyframes::{Arrival, Replay, RequestGate};
use crate::slab::Key;
use crate::svc;

/// A layer without a packet for this long is not sent any more.
const LAYER_ALIVE: Duration = Duration::from_secs(2);

/// An encoding that was told to come back and does not is given up after this long.
const WAKES_WITHIN: Duration = Duration::from_secs(3);

/// What a packet costs beyond its payload: header, extensions, seal.
const OVERHEAD_BYTES: usize = 40;

/// A keyframe that is no older is not asked for anew: another would take about as long to come as this one is old.
const RECENT: Duration = Duration::from_millis(500);

/// What is kept of the wanted layer is replayed up to this size. A burst of seconds of a large picture keeps a browser
/// busy for longer than a fresh keyframe takes to come.
const WANTED_REPLAY_BYTES_MAX: usize = 48 << 10;

/// Where a track's packets go: subscriber and slot.
pub(crate) type Route = Arc<[(Key, usize)]>;

/// One of a publisher's media.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) key: TrackKey,
    pub(crate) mid: Mid,
    pub(crate) muted: bool,
    /// A packet came since the click: it is worth a slot.
    pub(crate) delivered: bool,
    demand: Demand,
    pub(crate) route: Route,
    /// Few: a layer is found by looking.
    layers: Vec<Layer>,
    /// What they cost, and when that was worked out.
    offers: Vec<Offered>,
    looked_at: Option<Instant>,
    /// Of each encoding and its SSRC.
    readers: Vec<(Option<Rid>, u32, codec::Reader)>,
}

/// One encoding of a track.
#[derive(Debug)]
pub(crate) struct Layer {
    rid: Option<Rid>,
    ssrc: u32,
    began: Instant,
    heard_at: Instant,
    rate: RateMeter,
    /// Widths and heights, once a keyframe told.
    sizes: Option<Sizes>,
    /// The spatial layers of a scalable stream.
    scalable: Vec<Scalable>,
    rest: Rest,
    pub(crate) replay: Replay<Arc<Packet>>,
    gaps: Gaps,
    gate: RequestGate,
}

/// Whether an encoding is missing because its publisher was told so: it is still offered, as it was.
#[derive(Debug, Default)]
enum Rest {
    #[default]
    No,
    Resting(Vec<Offered>),
    /// It is to come back, by then at the latest.
    Waking(Vec<Offered>, Instant),
}

/// A spatial layer of a scalable stream.
#[derive(Debug)]
struct Scalable {
    spatial: u8,
    heard_at: Instant,
    rate: RateMeter,
    /// Of what has the lowest frame rate.
    base_rate: RateMeter,
    /// When a packet of a higher frame rate came last.
    faster_at: Option<Instant>,
}

impl Track {
    /// A track of which nothing was heard yet.
    pub(crate) fn new(key: TrackKey, mid: Mid) -> Self {
        Track {
            key,
            mid,
            muted: false,
            delivered: false,
            demand: Demand::default(),
            route: Arc::default(),
            layers: Vec::new(),
            offers: Vec::new(),
            looked_at: None,
            readers: Vec::new(),
        }
    }

    /// The encoding of which a packet came last, if any did.
    pub(crate) fn latest_encoding(&self) -> Option<Option<Rid>> {
        self.layers.iter().max_by_key(|layer| layer.heard_at).map(|layer| layer.rid)
    }

    /// Whether the track may take a slot.
    pub(crate) fn is_playable(&self) -> bool {
        self.delivered && !self.muted
    }

    /// Takes note of a packet that will be forwarded.
    pub(crate) fn note(&mut self, packet: &Arc<Packet>) {
        self.looked_at = None;
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
        layer.rate.add(packet.bytes() + OVERHEAD_BYTES, layer.age_us(packet.arrived));
        if self.key.source.kind() == Kind::Video {
            layer.note(packet);
        }
    }

    /// Takes which encodings somebody is shown or waits for. Answers which ones are to rest, when that has
    /// changed.
    pub(crate) fn demanded(&mut self, is_wanted: impl Fn(Rid) -> bool, now: Instant) -> Option<Vec<Rid>> {
        // Of a picture that stands still nothing is known.
        if !self.layers.iter().any(|layer| is_alive(layer.heard_at, now)) {
            return None;
        }
        let mut offered: Vec<Rid> = Vec::new();
        for layer in self.look(now) {
            offered.extend(layer.id.rid.filter(|rid| !offered.contains(rid)));
        }
        let told = self.demand.update(&offered, is_wanted, now)?;
        self.looked_at = None;
        for layer in &mut self.layers {
            layer.rest(layer.rid.is_some_and(|rid| self.demand.rests(rid)), now);
        }
        Some(told)
    }

    /// Its publisher, who is on another shard, rests these encodings and no others.
    pub(crate) fn rest(&mut self, rids: &[Rid], now: Instant) {
        self.looked_at = None;
        for layer in &mut self.layers {
            layer.rest(layer.rid.is_some_and(|rid| rids.contains(&rid)), now);
        }
    }

    /// The encodings that its publisher was told to rest.
    pub(crate) fn resting(&self) -> Vec<Rid> {
        let resting = self.layers.iter().filter(|layer| matches!(layer.rest, Rest::Resting(_)));
        resting.filter_map(|layer| layer.rid).collect()
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
            self.layers.iter_mut().for_each(Layer::interrupt);
        }
    }

    /// The layer for a view of this width: the smallest that fills it, else the largest there is, else the `current` one. As
    /// of the last look.
    pub(crate) fn layer_for(&self, width: Option<u32>, current: LayerId) -> LayerId {
        let offered = self.offered();
        let fills = |layer: &&Offered| width.is_some_and(|width| layer.width >= width);
        let smallest =
            offered.iter().filter(fills).min_by_key(|layer| (layer.width, Reverse(layer.id.svc.temporal)));
        smallest.or(offered.last()).map_or(current, |layer| layer.id)
    }

    /// Works out which layers are sent and what each costs, unless that was done this very moment: all subscribers of a room
    /// are told in one turn. The smallest is the first: by width, or by what it costs while a width is missing, since a
    /// keyframe that would tell it may have been lost.
    pub(crate) fn look(&mut self, now: Instant) -> &[Offered] {
        if self.looked_at != Some(now) {
            self.looked_at = Some(now);
            self.offers.clear();
            self.layers.iter().for_each(|layer| layer.offer(now, &mut self.offers));
            let is_known = self.offers.iter().all(|layer| layer.width > 0);
            self.offers.sort_by_key(|layer| (if is_known { layer.width } else { 0 }, layer.bps));
        }
        &self.offers
    }

    /// What the last look found.
    pub(crate) fn offered(&self) -> &[Offered] {
        &self.offers
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

    /// How far the newest keyframe of a layer has come.
    pub(crate) fn arrival(&self, rid: Option<Rid>) -> Option<Arrival> {
        self.layers.iter().find(|layer| layer.rid == rid)?.replay.arrival()
    }

    /// The same while it is as good as one that would be asked for now.
    pub(crate) fn recent_arrival(&self, rid: Option<Rid>, now: Instant) -> Option<Arrival> {
        self.arrival(rid).filter(|arrival| now.saturating_duration_since(arrival.began) < RECENT)
    }

    /// What came of a layer since its newest keyframe.
    pub(crate) fn kept(&self, rid: Option<Rid>, now: Instant) -> Vec<Arc<Packet>> {
        let layer = self.layers.iter().find(|layer| layer.rid == rid);
        layer.into_iter().flat_map(|layer| layer.replay.packets(now).cloned()).collect()
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

    /// Whoever is shown a layer of which some will not come needs a keyframe, too. Its browser would find that out by itself,
    /// but only after seconds.
    pub(crate) fn want_keyframes_for_gaps(&mut self, is_shown: impl Fn(Option<Rid>) -> bool, now: Instant) {
        for layer in self.layers.iter_mut().filter(|layer| is_alive(layer.heard_at, now)) {
            if layer.gaps.are_for_good(now) && is_shown(layer.rid) {
                layer.gate.want();
            }
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
            sizes: None,
            scalable: Vec::new(),
            rest: Rest::No,
            replay: Replay::default(),
            gaps: Gaps::default(),
            gate: RequestGate::default(),
        }
    }

    /// Takes note of a packet of a picture.
    fn note(&mut self, packet: &Arc<Packet>) {
        let picture = &packet.picture;
        self.gaps.note(packet.numbers.seq, packet.arrived);
        if picture.starts_keyframe {
            self.gate.satisfied();
            self.gaps.begin_keyframe(packet.numbers.seq, packet.numbers.ts);
            let dependency = packet.dependency.as_ref();
            self.sizes = codec::sizes(packet.codec.codec, &packet.payload, dependency).or(self.sizes);
        }
        if let Some(frame) = &picture.frame {
            // A keyframe names the layers that are about to come.
            let named = self.sizes.filter(|_| picture.starts_keyframe).map_or(0, |sizes| sizes.count());
            for spatial in 0..named as u8 {
                self.scalable(spatial, packet.arrived).heard_at = packet.arrived;
            }
            self.hear(frame.layer, packet);
        }
        self.replay.push(packet.clone(), picture.starts_keyframe);
    }

    /// Nothing is taken note of for a while.
    fn interrupt(&mut self) {
        self.replay.clear();
        self.gaps = Gaps::default();
    }

    fn hear(&mut self, layer: svc::Layer, packet: &Packet) {
        let (bytes, at_us) = (packet.bytes() + OVERHEAD_BYTES, self.age_us(packet.arrived));
        let scalable = self.scalable(layer.spatial, packet.arrived);
        scalable.heard_at = packet.arrived;
        scalable.rate.add(bytes, at_us);
        match layer.temporal {
            0 => scalable.base_rate.add(bytes, at_us),
            _ => scalable.faster_at = Some(packet.arrived),
        }
    }

    /// A spatial layer; the smallest is the first.
    fn scalable(&mut self, spatial: u8, now: Instant) -> &mut Scalable {
        let place = self.scalable.partition_point(|known| known.spatial < spatial);
        if self.scalable.get(place).is_none_or(|known| known.spatial != spatial) {
            let (rate, base_rate) = (RateMeter::slow(), RateMeter::slow());
            self.scalable
                .insert(place, Scalable { spatial, heard_at: now, rate, base_rate, faster_at: None });
        }
        &mut self.scalable[place]
    }

    /// Its publisher was told to rest it, or to send it again.
    fn rest(&mut self, rests: bool, now: Instant) {
        self.rest = match (rests, std::mem::take(&mut self.rest)) {
            (true, Rest::No) => {
                let mut was = Vec::new();
                self.measure(now, &mut was);
                Rest::Resting(was)
            }
            (true, Rest::Resting(was) | Rest::Waking(was, _)) => Rest::Resting(was),
            (false, Rest::Resting(was)) => {
                self.gate.want();
                Rest::Waking(was, now + WAKES_WITHIN)
            }
            (false, other) => other,
        };
    }

    /// Adds what can be had of it, now or for the asking.
    fn offer(&self, now: Instant, offers: &mut Vec<Offered>) {
        match &self.rest {
            _ if is_alive(self.heard_at, now) => self.measure(now, offers),
            Rest::Resting(was) => offers.extend(was),
            Rest::Waking(was, until) if now < *until => offers.extend(was),
            Rest::No | Rest::Waking(..) => {}
        }
    }

    /// Adds what comes of it now. Of a scalable stream the smallest picture comes at its lowest frame rate, too: a line that
    /// takes no more shows at least that.
    fn measure(&self, now: Instant, offers: &mut Vec<Offered>) {
        let bps = |rate: &RateMeter| rate.bps(self.age_us(now)).unwrap_or(0.0) as u32;
        let offer = |svc: svc::Layer, bps: u32| {
            let width = self.sizes.map_or(0, |sizes| sizes.width(svc.spatial));
            Offered { id: LayerId { rid: self.rid, svc }, bps, width }
        };
        let (before, mut sum_bps) = (offers.len(), 0);
        for layer in self.scalable.iter().filter(|layer| is_alive(layer.heard_at, now)) {
            if layer.spatial == 0 && layer.faster_at.is_some_and(|at| is_alive(at, now)) {
                offers.push(offer(svc::Layer::BASE, bps(&layer.base_rate)));
            }
            sum_bps += bps(&layer.rate);
            offers.push(offer(svc::Layer::full(layer.spatial), sum_bps));
        }
        if offers.len() == before && is_alive(self.heard_at, now) {
            offers.push(Offered { id: self.rid.into(), ..offer(svc::Layer::BASE, bps(&self.rate)) });
        }
    }

    fn age_us(&self, now: Instant) -> i64 {
        now.saturating_duration_since(self.began).as_micros() as i64
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

    /// A stream of two pictures at two frame rates, 500 bytes a packet, 20 pictures a second.
    fn scalable(t0: Instant) -> Track {
        let key = TrackKey { leg: LegId(Uuid::from_u128(1)), source: Source::Camera };
        let mut track = Track::new(key, Mid::from("1"));
        for n in 0..20u8 {
            for spatial in 0..2 {
                let mut packet = packet(1, u64::from(n) * 2 + u64::from(spatial), false, t0);
                packet.arrived += Duration::from_millis(u64::from(n) * 50);
                packet.payload = Arc::from(vec![0; 460]);
                let layer = svc::Layer { spatial, temporal: n % 2 };
                let frame = svc::Frame { layer, begins: true, ends: true, raises: svc::Raises::default() };
                packet.picture.frame = Some(frame);
                track.note(&Arc::new(packet));
            }
        }
        track
    }

    #[test]
    fn the_layers_of_a_scalable_stream_are_offered_with_what_they_are_made_of() {
        let t0 = start();
        let (mut track, now) = (scalable(t0), t0 + Duration::from_millis(950));
        let offered: Vec<_> =
            track.look(now).iter().map(|layer| (layer.id.svc, layer.bps / 20_000)).collect();
        let (base, small, large) = (svc::Layer::BASE, svc::Layer::full(0), svc::Layer::full(1));
        assert_eq!(offered, [(base, 2), (small, 4), (large, 8)]);
        assert_eq!(track.layer_for(None, LayerId::ALL).svc, large);
        assert_eq!(track.look(now + Duration::from_secs(3)), []);
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
        track.layers[1].sizes = Some(Sizes::of(&[(320, 180)]));
        for ms in [100, 200] {
            for (layer, size) in [1_000, 100].into_iter().enumerate() {
                let mut packet = packet(1, ms, false, t0 + Duration::from_millis(ms));
                (packet.source.rid, packet.source.ssrc) = (rid([LARGE, SMALL][layer]), layer as u32);
                packet.payload = Arc::from(vec![0; size]);
                track.note(&Arc::new(packet));
            }
        }
        let now = t0 + Duration::from_millis(200);
        track.look(now);
        assert_eq!(track.layer_for(None, LayerId::ALL).rid, rid(LARGE));
        assert_eq!(track.layer_for(Some(300), LayerId::ALL).rid, rid(SMALL));
    }

    #[test]
    fn a_single_layer_is_shown_however_much_is_kept() {
        let t0 = start();
        let track = track(&[(None, 1_000)], 100, t0);
        assert_eq!(shown(&track, None, t0), Some((None, 101)));
        assert_eq!(shown(&track, None, t0 + Duration::from_secs(5)), None, "nor an old one");
    }
}
