//! Who gets how much of a subscriber's line: a layer or none for each track it shows.
//!
//! Sound always plays. Then every picture gets its smallest layer, the important ones first; what is left improves them in
//! the same order. Screens and speakers may take from the others; equals keep what they have. A picture gets worse at once when the line no longer carries it, and better only with room to spare
//! and some time after its last change, so that nothing flickers.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::BPS_START;
use crate::control::{Kind, Source, TrackKey};
use crate::forward::LayerId;

/// Nothing gets better unless this part of the line then stays free: an estimate falls to 0.85 of what came through when
/// a queue grows, and a picture that fits only just would fall with it.
const SPARE: f64 = 0.13;
/// A picture gets better at the earliest this long after it last did or after the line made it worse.
const HOLD: Duration = Duration::from_secs(5);
/// A picture that had to be taken back waits twice as long for the next attempt, up to this.
const HOLD_MAX: Duration = Duration::from_secs(40);
/// The smallest layer of what plays stays for a while though it is up to this much too large: an estimate undershoots while
/// a queue drains, and nothing smaller could be shown.
const STRETCH: f64 = 1.5;
const STRETCHED_MAX: Duration = Duration::from_secs(3);
/// A better layer that lasted this long was no mistake.
const PROVEN: Duration = Duration::from_secs(20);

/// A layer that a publisher sends, or would send when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offered {
    /// Its name.
    pub(crate) id: LayerId,
    /// Measured, in bit/s with headers.
    pub(crate) bps: u32,
    /// Width of the picture in pixels; 0 when not known.
    pub(crate) width: u32,
}

/// A track that the subscriber shows or hears.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Which.
    pub(crate) track: TrackKey,
    /// Width on screen in device pixels; `None` when the subscriber did not say.
    pub(crate) width: Option<u32>,
    /// Whether its publisher speaks.
    pub(crate) speaks: bool,
    /// The smallest first. A sound has at most one.
    pub(crate) layers: &'a [Offered],
}

/// What a track gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    /// Which.
    pub(crate) track: TrackKey,
    /// The layer to play, or `None` for none.
    pub(crate) layer: Option<Offered>,
}

/// What there is to share out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// What the line takes, in bit/s.
    pub(crate) bps: u64,
    /// A better estimate is likely within a moment.
    pub(crate) climbs: bool,
    /// Something speaks against more than that. Otherwise it is only as much as was tried.
    pub(crate) is_narrow: bool,
}

impl Capacity {
    /// Of a line that was sent nothing yet.
    pub(crate) fn unknown() -> Self {
        Capacity { bps: BPS_START as u64, climbs: false, is_narrow: false }
    }
}

/// The shares of one subscriber, with the memory that keeps them steady.
#[derive(Debug, Default)]
pub(crate) struct Allocator {
    held_by_track: BTreeMap<TrackKey, Held>,
    estimate_bps: u64,
}

/// What a track plays.
#[derive(Debug, Clone, Copy)]
struct Held {
    id: Option<LayerId>,
    /// When it last got better, and what the estimate was.
    raised: Option<(Instant, u64)>,
    /// Not better before.
    held_until: Option<Instant>,
    hold: Duration,
    /// Since when its smallest layer is a little too large.
    stretched: Option<Instant>,
}

/// A line while it is being shared out.
#[derive(Debug)]
struct Line {
    left_bps: f64,
    spare_bps: f64,
}

/// A picture while the line is being shared out. A level is a number of layers from the smallest; 0 is none.
#[derive(Debug)]
struct Share<'a> {
    wanted: &'a Wanted<'a>,
    /// The level that fills its place on screen.
    ideal: usize,
    /// What it plays now.
    held: usize,
    may_rise: bool,
    /// Its smallest layer may be a little too large.
    may_stretch: bool,
    is_new: bool,
    /// Its smallest layer is a little too large.
    is_stretched: bool,
    level: usize,
}

impl Allocator {
    /// Shares out a line. Answers every wanted track, in the order of the question, which is also the order of importance
    /// among equals. While the estimate climbs nothing gets better, so that one step is made and not three. A line that
    /// nothing says is narrow is tried with every picture's smallest layer.
    pub(crate) fn allocate(
        &mut self,
        capacity: &Capacity,
        wanted: &[Wanted<'_>],
        now: Instant,
    ) -> Vec<Given> {
        let &Capacity { bps: estimate_bps, climbs, is_narrow } = capacity;
        let bps = estimate_bps as f64;
        let mut line = Line { left_bps: bps - sound_bps(wanted), spare_bps: bps * SPARE };
        let videos = wanted.iter().filter(|wanted| is_video(wanted));
        let mut shares: Vec<Share<'_>> = videos.map(|wanted| self.share(wanted, now)).collect();
        // While it falls, what one picture frees is not given to another: the fall may not have ended.
        if climbs || estimate_bps < self.estimate_bps {
            shares.iter_mut().for_each(|share| share.may_rise &= share.is_new);
        }
        self.estimate_bps = estimate_bps;
        shares.sort_by_key(|share| importance(share.wanted));
        for equals in shares.chunk_by_mut(|a, b| rank(a.wanted) == rank(b.wanted)) {
            equals.iter_mut().for_each(|share| share.raise(share.held.min(1), &mut line));
            equals.iter_mut().for_each(|share| share.raise(1, &mut line));
        }
        for equals in shares.chunk_by_mut(|a, b| rank(a.wanted) == rank(b.wanted)) {
            equals.iter_mut().for_each(|share| share.raise(share.held, &mut line));
            equals.iter_mut().for_each(|share| share.raise(share.ideal, &mut line));
        }
        for share in shares.iter_mut().filter(|share| !is_narrow && (share.is_new || share.held > 0)) {
            share.level = share.level.max(share.ideal.min(1));
        }
        self.held_by_track.retain(|track, _| wanted.iter().any(|wanted| wanted.track == *track));
        for share in &shares {
            self.note(share, estimate_bps, now);
        }
        let layer_of = |wanted: &Wanted<'_>| {
            let share = shares.iter().find(|share| share.wanted.track == wanted.track);
            share.map_or(wanted.layers.first(), Share::layer).copied()
        };
        wanted.iter().map(|wanted| Given { track: wanted.track, layer: layer_of(wanted) }).collect()
    }

    fn share<'a>(&self, wanted: &'a Wanted<'a>, now: Instant) -> Share<'a> {
        let held = self.held_by_track.get(&wanted.track);
        let id = held.and_then(|held| held.id);
        let place = id.and_then(|id| wanted.layers.iter().position(|layer| layer.id == id));
        Share {
            wanted,
            ideal: ideal(wanted),
            held: place.map_or(0, |place| place + 1),
            may_rise: held.and_then(|held| held.held_until).is_none_or(|until| now >= until),
            may_stretch: held
                .and_then(|held| held.stretched)
                .is_none_or(|since| now.saturating_duration_since(since) < STRETCHED_MAX),
            is_new: held.is_none(),
            is_stretched: false,
            level: 0,
        }
    }

    fn note(&mut self, share: &Share<'_>, estimate_bps: u64, now: Instant) {
        let id = share.layer().map(|layer| layer.id);
        let fresh = Held { id, raised: None, held_until: None, hold: HOLD, stretched: None };
        let held = self.held_by_track.entry(share.wanted.track).or_insert(fresh);
        held.id = id;
        held.stretched = share.is_stretched.then(|| held.stretched.unwrap_or(now));
        if !share.is_new && share.level > share.held {
            held.raised(estimate_bps, now);
        } else if share.level < share.held.min(share.ideal) {
            held.lowered(estimate_bps, now);
        }
    }
}

/// What all the wanted tracks would use if the line were no limit, with what must stay free: how far it is worth
/// probing. In bit/s.
pub(crate) fn goal_bps(wanted: &[Wanted<'_>]) -> u64 {
    let best = |wanted: &Wanted<'_>| ideal(wanted).checked_sub(1).map_or(0, |place| wanted.layers[place].bps);
    let video_bps: f64 =
        wanted.iter().filter(|wanted| is_video(wanted)).map(|wanted| f64::from(best(wanted))).sum();
    ((sound_bps(wanted) + video_bps) / (1.0 - SPARE)) as u64
}

impl Held {
    fn raised(&mut self, estimate_bps: u64, now: Instant) {
        self.raised = Some((now, estimate_bps));
        self.held_until = Some(now + HOLD);
    }

    /// A picture that the line did not carry for long was raised by mistake; one that has to give way to a more
    /// important one was not.
    fn lowered(&mut self, estimate_bps: u64, now: Instant) {
        if let Some((at, bps)) = self.raised.take() {
            let was_hasty = now.saturating_duration_since(at) < PROVEN && estimate_bps < bps;
            self.hold = if was_hasty { (self.hold * 2).min(HOLD_MAX) } else { HOLD };
        }
        self.held_until = Some(now + self.hold);
    }
}

impl Share<'_> {
    fn layer(&self) -> Option<&Offered> {
        self.wanted.layers.get(self.level.checked_sub(1)?)
    }

    /// Takes as much of the line as it may, up to a level.
    fn raise(&mut self, level_max: usize, line: &mut Line) {
        let levels = self.level + 1..=level_max.min(self.ideal);
        if let Some(level) = levels.rev().find(|level| self.may_have(*level, line)) {
            self.is_stretched |= level == 1 && self.step_bps(level) > line.left_bps;
            line.left_bps -= self.step_bps(level);
            self.level = level;
        }
    }

    fn may_have(&self, level: usize, line: &Line) -> bool {
        if level <= self.held {
            let stretch = if level == 1 && self.may_stretch { STRETCH } else { 1.0 };
            return self.step_bps(level) <= line.left_bps * stretch;
        }
        self.may_rise && self.step_bps(level) <= line.left_bps - line.spare_bps
    }

    /// What a level costs beyond the one it has.
    fn step_bps(&self, level: usize) -> f64 {
        let bps =
            |level: usize| level.checked_sub(1).map_or(0.0, |place| f64::from(self.wanted.layers[place].bps));
        bps(level) - bps(self.level)
    }
}

fn is_video(wanted: &Wanted<'_>) -> bool {
    wanted.track.source.kind() == Kind::Video
}

fn sound_bps(wanted: &[Wanted<'_>]) -> f64 {
    let sounds = wanted.iter().filter(|wanted| !is_video(wanted));
    sounds.filter_map(|wanted| wanted.layers.first()).map(|layer| f64::from(layer.bps)).sum()
}

/// The number of layers up to the smallest that fills its place, at its full frame rate, or all.
fn ideal(wanted: &Wanted<'_>) -> usize {
    let fills = |layer: &&Offered| wanted.width.is_some_and(|width| layer.width >= width);
    let filling = wanted.layers.iter().find(fills);
    let is_as_wide = |layer: &Offered| filling.is_none_or(|filling| layer.width == filling.width);
    wanted.layers.iter().rposition(is_as_wide).map_or(0, |place| place + 1)
}

/// Smaller is more important, what is large first among equals.
fn importance(wanted: &Wanted<'_>) -> ((bool, bool), Reverse<u32>) {
    (rank(wanted), Reverse(wanted.width.unwrap_or(0)))
}

/// Smaller is more important: screens, then who speaks.
fn rank(wanted: &Wanted<'_>) -> (bool, bool) {
    (wanted.track.source != Source::Screen, !wanted.speaks)
}

#[cfg(test)]
mod tests {
    use str0m::media::Rid;
    use uuid::Uuid;

    use super::super::tests::start;
    use super::*;
    use crate::control::LegId;

    /// 100, 400 and 1,000 kbit/s.
    const LAYERS: [u32; 3] = [100_000, 400_000, 1_000_000];
    const SOUND: [Offered; 1] = [Offered { id: LayerId::ALL, bps: 50_000, width: 0 }];

    fn layers() -> Vec<Offered> {
        let layer = |(place, bps): (usize, &u32)| Offered {
            id: Some(Rid::from(["q", "h", "f"][place])).into(),
            bps: *bps,
            width: 320 << place,
        };
        LAYERS.iter().enumerate().map(layer).collect()
    }

    /// A subscriber's view as text: `camera`, `camera*` (speaks), `screen@640` (640 pixels wide), `voice`.
    fn wanted<'a>(view: &str, layers: &'a [Offered]) -> Vec<Wanted<'a>> {
        let one = |(n, word): (usize, &str)| {
            let (name, width) =
                word.split_once('@').map_or((word, None), |(name, width)| (name, width.parse().ok()));
            let source = match name.trim_end_matches('*') {
                "camera" => Source::Camera,
                "screen" => Source::Screen,
                _ => Source::Microphone,
            };
            let track = TrackKey { leg: LegId(Uuid::from_u128(n as u128)), source };
            let layers = if source == Source::Microphone { &SOUND } else { layers };
            Wanted { track, width, speaks: name.ends_with('*'), layers }
        };
        view.split_whitespace().enumerate().map(one).collect()
    }

    fn narrow(bps: u64) -> Capacity {
        Capacity { bps, climbs: false, is_narrow: true }
    }

    /// The levels that a view gets: the number of layers from the smallest, 0 for none.
    fn levels(allocator: &mut Allocator, kbps: u64, view: &str, now: Instant) -> Vec<usize> {
        let layers = layers();
        let given = allocator.allocate(&narrow(kbps * 1_000), &wanted(view, &layers), now);
        let level = |given: &Given| {
            given
                .layer
                .map_or(0, |given| layers.iter().position(|layer| *layer == given).map_or(1, |n| n + 1))
        };
        given.iter().map(level).collect()
    }

    #[test]
    fn who_gets_what() {
        let cases: [(&str, u64, &str, &[usize]); 12] = [
            ("sound always plays", 10, "voice camera", &[1, 0]),
            ("a picture takes what fits", 2_000, "voice camera", &[1, 3]),
            ("with some to spare", 1_150, "voice camera", &[1, 2]),
            ("all get the smallest before any gets more", 650, "camera camera camera", &[1, 1, 1]),
            ("and then the first more", 900, "camera camera", &[2, 1]),
            ("a screen before cameras", 1_400, "camera screen camera", &[1, 3, 1]),
            ("who speaks before the others", 1_400, "camera camera* camera", &[1, 3, 1]),
            ("a screen before who speaks", 1_400, "camera* screen", &[1, 3]),
            ("what is large before what is small", 1_300, "camera@640 camera@1280", &[1, 3]),
            ("no more than is seen", 9_000, "camera@320 camera@321 camera@5000", &[1, 2, 3]),
            ("a smaller one when the important one does not fit", 300, "screen camera camera", &[1, 1, 0]),
            ("nothing wanted", 1_000, "", &[]),
        ];
        for (name, kbps, view, expected) in cases {
            assert_eq!(levels(&mut Allocator::default(), kbps, view, start()), expected, "{name}");
        }
    }

    #[test]
    fn worse_at_once_and_better_after_5_s() {
        let (mut allocator, t0) = (Allocator::default(), start());
        let mut at = |ms: u64, kbps| levels(&mut allocator, kbps, "camera", t0 + Duration::from_millis(ms));
        assert_eq!(at(0, 3_000), [3]);
        assert_eq!(at(100, 450), [2]);
        assert_eq!(at(200, 120), [1]);
        assert_eq!(at(300, 50), [0]);
        assert_eq!(at(5_200, 3_000), [0]);
        assert_eq!(at(5_300, 3_000), [3]);
    }

    #[test]
    fn the_smallest_layer_bears_a_dip_and_no_drought() {
        let (mut allocator, t0) = (Allocator::default(), start());
        let mut at = |ms: u64, kbps| levels(&mut allocator, kbps, "camera", t0 + Duration::from_millis(ms));
        assert_eq!(at(0, 150), [1]);
        assert_eq!(at(100, 70), [1]);
        assert_eq!(at(2_000, 120), [1], "which ends the dip");
        assert_eq!(at(2_100, 70), [1]);
        assert_eq!(at(5_000, 70), [1]);
        assert_eq!(at(5_100, 70), [0]);
    }

    #[test]
    fn what_plays_needs_no_spare() {
        let (mut allocator, t0) = (Allocator::default(), start());
        let mut at = |s: u64, kbps| levels(&mut allocator, kbps, "camera", t0 + Duration::from_secs(s));
        assert_eq!(at(0, 1_100), [2]);
        assert_eq!(at(10, 1_200), [3]);
        assert_eq!(at(20, 1_001), [3]);
        assert_eq!(at(21, 999), [2]);
    }

    #[test]
    fn what_had_to_be_taken_back_waits_longer_each_time() {
        let (mut allocator, t0) = (Allocator::default(), start());
        let mut raised_at_s = Vec::new();
        let mut level = 0;
        for s in 0..200 {
            // As soon as it gets better, the line turns out not to carry it.
            let kbps = if level == 3 { 500 } else { 1_200 };
            let now = levels(&mut allocator, kbps, "camera", t0 + Duration::from_secs(s))[0];
            raised_at_s.extend((now > level && s > 0).then_some(s));
            level = now;
        }
        assert_eq!(raised_at_s, [6, 17, 38, 79, 120, 161]);
    }

    #[test]
    fn equals_keep_what_they_have_and_give_way_to_the_more_important() {
        let (mut allocator, t0) = (Allocator::default(), start());
        let mut at = |s: u64, view: &str| levels(&mut allocator, 1_350, view, t0 + Duration::from_secs(s));
        assert_eq!(at(0, "camera camera"), [3, 1]);
        assert_eq!(at(10, "camera camera@2000"), [3, 1], "larger, but no more important");
        assert_eq!(at(20, "camera camera*"), [1, 3]);
        assert_eq!(at(22, "camera* camera"), [1, 3], "not back at once");
        assert_eq!(at(26, "camera* camera"), [3, 1]);
    }

    #[test]
    fn a_smaller_view_shows_less_at_once_and_costs_no_wait() {
        let (mut allocator, t0) = (Allocator::default(), start());
        let mut at = |s: u64, view: &str| levels(&mut allocator, 3_000, view, t0 + Duration::from_secs(s));
        assert_eq!(at(0, "camera@1280"), [3]);
        assert_eq!(at(10, "camera@300"), [1]);
        assert_eq!(at(11, "camera@1280"), [3]);
    }

    #[test]
    fn nothing_gets_better_while_the_estimate_moves() {
        let (mut allocator, t0, layers) = (Allocator::default(), start(), layers());
        let view = wanted("camera", &layers);
        let mut at = |bps, climbs| {
            let capacity = Capacity { climbs, ..narrow(bps) };
            allocator.allocate(&capacity, &view, t0)[0].layer.map(|layer| layer.bps)
        };
        assert_eq!(at(500_000, true), Some(400_000), "what is new starts");
        assert_eq!(at(3_000_000, true), Some(400_000));
        assert_eq!(at(2_900_000, false), Some(400_000), "it falls");
        assert_eq!(at(2_900_000, false), Some(1_000_000));
    }

    #[test]
    fn a_line_that_nothing_calls_narrow_is_tried_with_the_smallest_layer() {
        let (mut allocator, t0, layers) = (Allocator::default(), start(), layers());
        let view = wanted("camera camera", &layers);
        let mut at = |is_narrow| {
            let given = allocator.allocate(&Capacity { is_narrow, ..narrow(50_000) }, &view, t0);
            given.iter().map(|given| given.layer.map(|layer| layer.bps)).collect::<Vec<_>>()
        };
        assert_eq!(at(false), [Some(100_000), Some(100_000)]);
        assert_eq!(at(true), [None, None]);
        assert_eq!(at(false), [None, None], "what was taken back waits for its time");
    }

    #[test]
    fn a_layer_that_ended_is_replaced_by_what_is_there() {
        let (mut allocator, t0, layers) = (Allocator::default(), start(), layers());
        allocator.allocate(&narrow(3_000_000), &wanted("camera", &layers), t0);
        let given = allocator.allocate(&narrow(3_000_000), &wanted("camera", &layers[..2]), t0);
        assert_eq!(given[0].layer.map(|layer| layer.bps), Some(400_000));
        let given = allocator.allocate(&narrow(3_000_000), &wanted("camera", &[]), t0);
        assert_eq!(given[0].layer, None);
    }

    #[test]
    fn a_lower_frame_rate_is_a_step_on_the_way_and_no_goal() {
        let t0 = start();
        let mut layers = layers();
        layers.insert(0, Offered { bps: 50_000, ..layers[0] });
        for (bps, width, expected) in [(3_000, 320, 100_000), (90, 320, 50_000), (3_000, 1280, 1_000_000)] {
            let wanted = wanted(&format!("camera@{width}"), &layers);
            let given = Allocator::default().allocate(&narrow(bps * 1_000), &wanted, t0);
            assert_eq!(given[0].layer.map(|layer| layer.bps), Some(expected), "{bps} kbit/s, {width} pixels");
        }
    }

    #[test]
    fn the_goal_is_all_that_is_seen_with_some_to_spare() {
        let layers = layers();
        assert_eq!(goal_bps(&wanted("voice camera@320 screen", &layers)) / 1_000, 1_321);
        assert_eq!(goal_bps(&[]), 0);
    }
}
