//! Subscribers behind one line: sources, pacers and downlinks at our end, receivers that report at the other.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use str0m::media::Rid;
use uuid::Uuid;

use super::super::allocate::{Allocator, Capacity, Offered, Wanted, goal_bps};
use super::super::pacer::{Class, Pacer};
use super::super::{Downlink, PADDING_BYTES};
use super::link::{Link, Media, Nature, Packet};
use super::{Dice, encoder, start};
use crate::control::{LegId, Source, TrackKey};
use crate::forward::LayerId;

/// How often a receiver reports.
const REPORT_US: u64 = 80_000;
const AUDIO_BYTES: usize = 130;
const AUDIO_BPS: u32 = 52_000;
const VIDEO_BYTES: usize = 1_100;
/// Any offset will do.
const RECEIVER_CLOCK_US: u64 = 7_777_777_777;

/// What a subscriber shows.
#[derive(Debug, Clone)]
pub(super) enum Demand {
    /// A voice and pictures, each with layers of these rates in bit/s.
    Tracks(Vec<(Source, Vec<u32>)>),
    /// A voice and a source that takes whatever the estimate allows.
    Greedy,
}

/// A picture that changed its layer. Levels count from the smallest; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    pub(super) at_s: f64,
    pub(super) track: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// One subscriber.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) downlink: Downlink,
    allocator: Allocator,
    pacer: Pacer<(Media, usize)>,
    demand: Demand,
    /// Silent before.
    pub(super) starts_us: u64,
    tracks: Vec<Picture>,
    seq: u64,
    tick_at: Instant,
    receiver: Receiver,
    pub(super) changes: Vec<Change>,
    /// Estimates, every 100 ms.
    pub(super) estimates: Vec<f64>,
    pub(super) audio_sent: usize,
    pub(super) arrived: Vec<Packet>,
}

#[derive(Debug)]
struct Picture {
    key: TrackKey,
    layers: Vec<Offered>,
    level: usize,
    /// The first frame of a layer is a keyframe.
    switched: bool,
}

#[derive(Debug, Default)]
struct Receiver {
    arrived: BTreeMap<u64, u64>,
    fresh: Vec<u64>,
    reported: Option<u64>,
    number: u8,
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    t0: Instant,
    pub(super) now_us: u64,
    dice: Dice,
    pub(super) link: Link,
    pub(super) flows: Vec<Flow>,
    reports: VecDeque<(u64, usize, Vec<u8>)>,
    /// The part of all reports that is lost.
    pub(super) report_loss: f64,
    /// Receivers whose machine has other things to do: now and then they read nothing for up to this long, and then all that
    /// has come meanwhile, with the time at which they read it.
    pub(super) starved_ms: f64,
    stall: Stall,
}

/// When the receivers' machine does something else, in microseconds.
#[derive(Debug, Default)]
struct Stall {
    begins_us: u64,
    ends_us: u64,
}

impl World {
    pub(super) fn new(seed: u64, nature: Nature, demands: Vec<Demand>) -> Self {
        let t0 = start();
        World {
            t0,
            now_us: 0,
            dice: Dice::new(seed),
            link: Link::new(nature, seed ^ 0x55),
            flows: demands.into_iter().map(|demand| Flow::new(demand, t0)).collect(),
            reports: VecDeque::new(),
            report_loss: 0.0,
            starved_ms: 0.0,
            stall: Stall::default(),
        }
    }

    /// Lets time pass.
    pub(super) fn run_s(&mut self, s: f64) {
        let until_us = self.now_us + (s * 1e6) as u64;
        while self.now_us < until_us {
            self.now_us += 1_000;
            self.step();
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.t0 + Duration::from_micros(self.now_us)
    }

    pub(super) fn now_s(&self) -> f64 {
        self.now_us as f64 / 1e6
    }

    fn step(&mut self) {
        let now = self.t0 + Duration::from_micros(self.now_us);
        while self.reports.front().is_some_and(|report| report.0 <= self.now_us) {
            if let Some((_, flow, rtcp)) = self.reports.pop_front() {
                self.flows[flow].downlink.feedback(&rtcp, now);
            }
        }
        for (index, flow) in self.flows.iter_mut().enumerate() {
            flow.step(index, now, self.now_us, &mut self.dice, &mut self.link);
        }
        if self.stalls() {
            return;
        }
        for (place, mut packet) in self.link.arrivals(self.now_us).into_iter().enumerate() {
            if self.starved_ms > 0.0 {
                // A packet takes its time to be read.
                packet.arrived_us = self.now_us + 20 * place as u64;
            }
            self.flows[packet.flow].arrive(packet);
        }
        self.report();
    }

    fn stalls(&mut self) -> bool {
        if self.starved_ms > 0.0 && self.now_us >= self.stall.ends_us.max(self.stall.begins_us) {
            self.stall.begins_us = self.now_us + (self.dice.roll() * 5e5) as u64;
            self.stall.ends_us = self.stall.begins_us + (self.dice.roll() * self.starved_ms * 1e3) as u64;
        }
        (self.stall.begins_us..self.stall.ends_us).contains(&self.now_us)
    }

    fn report(&mut self) {
        for flow in 0..self.flows.len() {
            if !(self.now_us + 13_000 * flow as u64).is_multiple_of(REPORT_US) {
                continue;
            }
            let Some(rtcp) = self.flows[flow].receiver.report(&mut self.dice) else { continue };
            if self.dice.roll() >= self.report_loss && self.link.nature.bps > 0.0 {
                let back_us = (self.link.nature.delay_ms * 1e3) as u64;
                self.reports.push_back((self.now_us + back_us, flow, rtcp));
            }
        }
    }
}

impl Flow {
    fn new(demand: Demand, now: Instant) -> Self {
        let tracks = match &demand {
            Demand::Tracks(tracks) => {
                tracks.iter().enumerate().map(|(n, track)| Picture::new(n, track)).collect()
            }
            Demand::Greedy => Vec::new(),
        };
        Flow {
            downlink: Downlink::new(now),
            allocator: Allocator::default(),
            pacer: Pacer::new(1_000_000, now),
            demand,
            starts_us: 0,
            tracks,
            // The 16 bits on the wire wrap in every story.
            seq: 65_000,
            tick_at: now,
            receiver: Receiver::default(),
            changes: Vec::new(),
            estimates: Vec::new(),
            audio_sent: 0,
            arrived: Vec::new(),
        }
    }

    /// What arrived in the last seconds, in bit/s.
    pub(super) fn arrived_bps(&self, now_us: u64, s: f64, counts: impl Fn(Media) -> bool) -> f64 {
        let from_us = now_us.saturating_sub((s * 1e6) as u64);
        let lately = self.arrived.iter().rev().take_while(|packet| packet.arrived_us >= from_us);
        let bytes: usize = lately.filter(|packet| counts(packet.media)).map(|packet| packet.size).sum();
        bytes as f64 * 8.0 / s
    }

    /// The levels that play.
    pub(super) fn levels(&self) -> Vec<usize> {
        self.tracks.iter().map(|track| track.level).collect()
    }

    /// The part of the voice that came, from a moment on.
    pub(super) fn voice_since(&self, from_us: u64, now_us: u64) -> f64 {
        let came =
            self.arrived.iter().filter(|packet| packet.media == Media::Audio && packet.entered_us >= from_us);
        came.count() as f64 / ((now_us - from_us) as f64 / 20_000.0)
    }

    fn step(&mut self, index: usize, now: Instant, now_us: u64, dice: &mut Dice, link: &mut Link) {
        if now_us < self.starts_us {
            return;
        }
        if now_us.is_multiple_of(100_000) {
            self.allocate(now, now_us);
            self.estimates.push(self.downlink.estimate_bps() as f64);
        }
        if now >= self.tick_at {
            self.downlink.tick(now);
            self.pacer.set_pace(self.downlink.pacing_bps(), 0, now);
            self.tick_at = self.downlink.next_tick(now);
        }
        self.produce(now_us, dice);
        while let Some((media, size)) = self.pacer.pop(now) {
            self.send(index, media, size, now, now_us, link);
        }
        while self.pacer.is_empty() && self.downlink.padding_bytes(now) >= PADDING_BYTES {
            self.pacer.padded(PADDING_BYTES, now);
            self.send(index, Media::Padding, PADDING_BYTES, now, now_us, link);
        }
    }

    fn send(&mut self, flow: usize, media: Media, size: usize, now: Instant, now_us: u64, link: &mut Link) {
        self.seq += 1;
        self.audio_sent += usize::from(media == Media::Audio);
        self.downlink.sent(self.seq, size, now);
        let seq = self.seq;
        link.enter(Packet { flow, seq, size, media, entered_us: now_us, arrived_us: 0, waited_us: 0 });
    }

    fn produce(&mut self, now_us: u64, dice: &mut Dice) {
        if now_us.is_multiple_of(20_000) {
            self.pacer
                .push(Class::Audio, AUDIO_BYTES, (Media::Audio, AUDIO_BYTES))
                .expect("a voice never waits");
        }
        if !now_us.is_multiple_of(33_000) {
            return;
        }
        let mut frames: Vec<f64> = self.tracks.iter_mut().map(|track| track.frame_bytes(dice)).collect();
        if matches!(self.demand, Demand::Greedy) {
            let video_bps = self.downlink.estimate_bps() as f64 - f64::from(AUDIO_BPS);
            frames.push(video_bps.max(0.0) * 0.033 / 8.0 * (0.8 + 0.4 * dice.roll()));
        }
        for frame in frames {
            let mut left = frame as usize;
            while left > 0 {
                let size = left.clamp(100, VIDEO_BYTES);
                let _ = self.pacer.push(Class::Video, size, (Media::Video, size));
                left = left.saturating_sub(VIDEO_BYTES);
            }
        }
    }

    fn allocate(&mut self, now: Instant, now_us: u64) {
        let voice = TrackKey { leg: LegId(Uuid::from_u128(99)), source: Source::Microphone };
        let sound = [Offered { id: LayerId::ALL, bps: AUDIO_BPS, width: 0 }];
        let pictures = self.tracks.iter().map(|track| (track.key, track.layers.as_slice()));
        let all = std::iter::once((voice, sound.as_slice())).chain(pictures);
        let wanted: Vec<Wanted<'_>> =
            all.map(|(track, layers)| Wanted { track, width: None, speaks: false, layers }).collect();
        let greedy = matches!(self.demand, Demand::Greedy);
        self.downlink.set_goal_bps(if greedy { 50_000_000 } else { goal_bps(&wanted) });
        let capacity = Capacity {
            bps: self.downlink.estimate_bps(),
            climbs: self.downlink.is_climbing(),
            is_narrow: self.downlink.is_narrow(),
        };
        let given = self.allocator.allocate(&capacity, &wanted, now);
        assert!(given[0].layer.is_some(), "sound always plays");
        for (n, given) in given.iter().skip(1).enumerate() {
            let track = &mut self.tracks[n];
            let id = given.layer.map(|layer| layer.id);
            let to = track.layers.iter().position(|layer| Some(layer.id) == id).map_or(0, |place| place + 1);
            if to != track.level {
                self.changes.push(Change { at_s: now_us as f64 / 1e6, track: n, from: track.level, to });
                (track.level, track.switched) = (to, true);
            }
        }
    }

    fn arrive(&mut self, packet: Packet) {
        self.receiver.arrived.insert(packet.seq, packet.arrived_us);
        self.receiver.fresh.push(packet.seq);
        self.arrived.push(packet);
    }
}

impl Picture {
    fn new(n: usize, (source, rates): &(Source, Vec<u32>)) -> Self {
        let layer = |(place, bps): (usize, &u32)| Offered {
            id: Some(Rid::from(["q", "h", "f"][place])).into(),
            bps: *bps,
            width: 320 << place,
        };
        Picture {
            key: TrackKey { leg: LegId(Uuid::from_u128(n as u128)), source: *source },
            layers: rates.iter().enumerate().map(layer).collect(),
            level: 0,
            switched: false,
        }
    }

    fn frame_bytes(&mut self, dice: &mut Dice) -> f64 {
        let Some(place) = self.level.checked_sub(1) else { return 0.0 };
        let key = if std::mem::take(&mut self.switched) { 5.0 } else { 1.0 };
        f64::from(self.layers[place].bps) * 0.033 / 8.0 * (0.75 + 0.5 * dice.roll()) * key
    }
}

impl Receiver {
    /// Like a browser: from the first packet not yet reported on, or further back when one came late.
    fn report(&mut self, dice: &mut Dice) -> Option<Vec<u8>> {
        let (first, last) = (*self.fresh.iter().min()?, *self.fresh.iter().max()?);
        self.fresh.clear();
        let base = self.reported.map_or(first, |reported| first.min(reported + 1));
        self.reported = self.reported.max(Some(last));
        self.number = self.number.wrapping_add(1);
        let base = base.max(last.saturating_sub(10_000));
        let ticks = |us: &u64| ((us + RECEIVER_CLOCK_US) / 250) as i64;
        let arrivals: Vec<Option<i64>> = (base..=last).map(|seq| self.arrived.get(&seq).map(ticks)).collect();
        Some(encoder::feedback(base as u16, self.number, &arrivals, || (dice.roll() * 3.0) as u8))
    }
}
