//! One story each: what a call does on a line, and on a line that changes.

use super::link::{Media, Nature};
use super::world::{Change, Demand, World};
use crate::control::Source;

/// Chance differs, the story does not.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=8;

/// Three layers: 120, 450 and 1300 kbit/s.
pub(super) fn camera() -> (Source, Vec<u32>) {
    (Source::Camera, vec![120_000, 450_000, 1_300_000])
}

/// Two layers: 250 and 1000 kbit/s.
pub(super) fn screen() -> (Source, Vec<u32>) {
    (Source::Screen, vec![250_000, 1_000_000])
}

fn shows(tracks: Vec<(Source, Vec<u32>)>) -> Vec<Demand> {
    vec![Demand::Tracks(tracks)]
}

/// Tells a story once for each seed.
fn story(nature: Nature, demands: Vec<Demand>, tell: impl Fn(&mut World)) {
    for seed in SEEDS {
        let mut world = World::new(seed, nature, demands.clone());
        println!("seed {seed}");
        tell(&mut world);
    }
}

/// The wait in the bottleneck's queue that 95 of 100 packets do not exceed, in ms, from a moment on.
pub(super) fn p95_wait_ms(world: &World, from_s: f64) -> f64 {
    let packets = world.flows.iter().flat_map(|flow| flow.arrived.iter());
    let lately = packets.filter(|packet| packet.entered_us as f64 >= from_s * 1e6);
    let mut waits: Vec<u64> = lately.map(|packet| packet.waited_us).collect();
    waits.sort_unstable();
    waits.get(waits.len() * 95 / 100).map_or(0.0, |us| *us as f64 / 1e3)
}

/// What arrived at all in the last minute, in bit/s.
fn arrived_bps(world: &World) -> f64 {
    world.flows.iter().map(|flow| flow.arrived_bps(world.now_us, 60.0, |_| true)).sum()
}

/// The part of it that one subscriber got.
fn share_of(world: &World, flow: usize) -> f64 {
    world.flows[flow].arrived_bps(world.now_us, 60.0, |_| true) / arrived_bps(world)
}

fn level(world: &World) -> usize {
    world.flows[0].levels()[0]
}

fn estimate_bps(world: &World) -> f64 {
    world.flows[0].downlink.estimate_bps() as f64
}

fn changes_since(world: &World, from_s: f64) -> Vec<Change> {
    world.flows[0].changes.iter().filter(|change| change.at_s >= from_s).copied().collect()
}

/// Runs until the first picture plays at least this level, and answers the seconds that took.
fn until_level(world: &mut World, wanted: usize, s_max: f64) -> f64 {
    let from_s = world.now_s();
    while level(world) < wanted && world.now_s() < from_s + s_max {
        world.run_s(0.1);
    }
    world.now_s() - from_s
}

#[test]
fn a_link_of_300_kbit_drops_video_to_the_low_layer_within_3_s() {
    story(Nature::of(3e6), shows(vec![camera()]), |world| {
        world.run_s(20.0);
        assert_eq!(level(world), 3);
        world.link.nature = Nature::of(3e5);
        world.run_s(3.0);
        assert_eq!(level(world), 1);
        world.run_s(5.0);
        let voice = world.flows[0].voice_since(24_000_000, world.now_us);
        assert!(voice > 0.97, "voice {voice}");
        assert!(p95_wait_ms(world, 25.0) < 120.0, "{}", p95_wait_ms(world, 25.0));
    });
}

#[test]
fn a_newcomer_on_a_link_of_300_kbit_has_the_low_layer_within_3_s() {
    story(Nature::of(3e5), shows(vec![camera()]), |world| {
        world.run_s(3.0);
        assert_eq!(level(world), 1);
        world.run_s(57.0);
        assert_eq!(changes_since(world, 3.0), [], "and keeps it");
    });
}

#[test]
fn the_full_picture_plays_within_3_s_of_joining_a_good_link() {
    story(Nature::of(1e7), shows(vec![camera()]), |world| {
        let s = until_level(world, 3, 10.0);
        assert!(s <= 3.0, "{s} s");
        world.run_s(60.0);
        assert_eq!(changes_since(world, 4.0), []);
    });
}

#[test]
fn who_cannot_take_video_keeps_hearing() {
    story(Nature::of(8e4), shows(vec![camera(), screen()]), |world| {
        world.run_s(30.0);
        assert_eq!(world.flows[0].levels(), [0, 0]);
        let voice = world.flows[0].voice_since(5_000_000, world.now_us);
        assert!(voice > 0.98, "{voice}");
        assert!(p95_wait_ms(world, 5.0) < 150.0, "{}", p95_wait_ms(world, 5.0));
    });
}

#[test]
fn video_comes_back_within_10_s_after_the_link_heals() {
    for narrow_bps in [3e5, 1e5, 6e4] {
        story(Nature::of(3e6), shows(vec![camera()]), |world| {
            world.run_s(20.0);
            world.link.nature = Nature::of(narrow_bps);
            world.run_s(20.0);
            assert!(level(world) <= 1);
            world.link.nature = Nature::of(3e6);
            let s = until_level(world, 3, 20.0);
            assert!(s <= 10.0, "{s} s after {narrow_bps}");
        });
    }
}

#[test]
fn video_comes_back_within_10_s_after_the_link_was_dead() {
    for dead_s in [2.0, 5.0, 30.0] {
        story(Nature::of(3e6), shows(vec![camera()]), |world| {
            world.run_s(20.0);
            world.link.nature = Nature::of(0.0);
            world.run_s(dead_s);
            world.link.nature = Nature::of(3e6);
            let s = until_level(world, 3, 20.0);
            assert!(s <= 10.0, "{s} s after {dead_s} s");
        });
    }
}

#[test]
fn at_30_percent_random_loss_audio_goes_on_and_the_estimate_does_not_collapse_to_nothing() {
    story(Nature::of(3e6).loss(0.3), shows(vec![camera()]), |world| {
        let mut seconds_with_a_picture = 0;
        world.run_s(20.0);
        for _ in 0..60 {
            world.run_s(1.0);
            assert!(estimate_bps(world) > 2e5, "{}", estimate_bps(world));
            seconds_with_a_picture += usize::from(level(world) >= 1);
        }
        let voice = world.flows[0].voice_since(0, world.now_us);
        assert!(voice > 0.66, "what the line lets through: {voice}");
        assert!(seconds_with_a_picture > 50, "{seconds_with_a_picture}");
    });
}

#[test]
fn random_loss_that_begins_in_a_call_costs_a_picture_for_10_s_at_most() {
    story(Nature::of(3e6), shows(vec![camera()]), |world| {
        world.run_s(20.0);
        world.link.nature.loss = 0.2;
        world.run_s(3.0);
        assert!(estimate_bps(world) > 2e5, "{}", estimate_bps(world));
        let s = 3.0 + until_level(world, 3, 20.0);
        assert!(s <= 15.0, "{s} s");
    });
}

#[test]
fn loss_that_comes_from_sending_too_much_ends_it() {
    story(Nature::of(3e6), shows(vec![camera()]), |world| {
        world.run_s(20.0);
        // A policer: what is too much is lost, hardly anything waits.
        world.link.nature = Nature::of(3e5).queue_ms(80.0);
        world.run_s(4.0);
        assert!(level(world) <= 1, "{}", level(world));
        assert!(world.flows[0].arrived_bps(world.now_us, 1.0, |_| true) > 0.3 * 3e5);
    });
}

#[test]
fn a_steady_link_is_used_to_80_percent_within_10_s() {
    for bps in [2e5, 5e5, 1e6, 3e6, 1e7] {
        story(Nature::of(bps), vec![Demand::Greedy], |world| {
            world.run_s(10.0);
            world.run_s(5.0);
            let used = world.flows[0].arrived_bps(world.now_us, 5.0, |_| true) / bps;
            assert!((0.8..=1.01).contains(&used), "{used} of {bps}");
        });
    }
}

#[test]
fn queueing_delay_stays_low() {
    // On a slow line one packet more a response is a larger part of it.
    for (bps, ms_max) in [(5e5, 200.0), (1e6, 120.0), (3e6, 100.0), (1e7, 100.0)] {
        for queue_ms in [300.0, 2_000.0] {
            story(Nature::of(bps).queue_ms(queue_ms), vec![Demand::Greedy], |world| {
                world.run_s(60.0);
                let wait_ms = p95_wait_ms(world, 5.0);
                assert!(wait_ms < ms_max, "{wait_ms} ms at {bps} bit/s");
            });
        }
    }
}

#[test]
fn competing_with_nothing_it_converges_below_capacity() {
    story(Nature::of(2e6), vec![Demand::Greedy], |world| {
        world.run_s(60.0);
        let tail = &world.flows[0].estimates[200..];
        let mean = tail.iter().sum::<f64>() / tail.len() as f64;
        assert!(mean < 2e6 && mean > 1.6e6, "{mean}");
        let above = tail.iter().filter(|bps| **bps > 2.3e6).count();
        assert!(above == 0, "{above} of {}", tail.len());
    });
}

#[test]
fn two_subscribers_behind_one_link_share_it_roughly_fairly() {
    story(Nature::of(2e6), vec![Demand::Greedy, Demand::Greedy], |world| {
        world.run_s(90.0);
        let (share, used_bps) = (share_of(world, 1), arrived_bps(world));
        assert!((0.3..0.7).contains(&share), "{share}");
        assert!(used_bps > 1.6e6, "{used_bps}");
    });
}

#[test]
fn who_comes_later_gets_a_share() {
    story(Nature::of(2e6), vec![Demand::Greedy, Demand::Greedy], |world| {
        world.flows[1].starts_us = 30_000_000;
        world.run_s(120.0);
        let share = share_of(world, 1);
        assert!((0.25..0.75).contains(&share), "{share}");
    });
}

#[test]
fn feedback_lost_for_seconds_backs_off() {
    story(Nature::of(3e6), shows(vec![camera()]), |world| {
        world.run_s(20.0);
        let before_bps = estimate_bps(world);
        world.report_loss = 1.0;
        world.run_s(4.0);
        assert!(estimate_bps(world) < before_bps / 3.0);
        world.run_s(20.0);
        assert!(level(world) == 0 && estimate_bps(world) < 5e4);
        world.report_loss = 0.0;
        let s = until_level(world, 3, 20.0);
        assert!(s <= 10.0, "{s} s");
    });
}

#[test]
fn some_lost_feedback_changes_nothing() {
    story(Nature::of(3e6), shows(vec![camera()]), |world| {
        world.report_loss = 0.3;
        world.run_s(60.0);
        assert_eq!(changes_since(world, 20.0), []);
        assert!(world.flows[0].downlink.stats(world.now()).loss < 0.01);
    });
}

#[test]
fn a_longer_route_is_believed_in_the_end() {
    story(Nature::of(3e6), shows(vec![camera()]), |world| {
        world.run_s(20.0);
        world.link.nature = Nature::of(3e6).delay_ms(300.0);
        world.run_s(15.0);
        let s = until_level(world, 3, 20.0);
        assert!(s <= 5.0, "{s} s");
        world.run_s(30.0);
        assert_eq!(changes_since(world, 45.0), []);
    });
}

#[test]
fn a_screen_comes_before_a_camera() {
    story(Nature::of(1.6e6), shows(vec![camera(), screen()]), |world| {
        world.run_s(15.0);
        assert_eq!(world.flows[0].levels(), [1, 2]);
    });
}

#[test]
fn jitter_is_not_taken_for_congestion() {
    for jitter_ms in [10.0, 30.0, 60.0] {
        story(Nature::of(3e6).jitter_ms(jitter_ms), shows(vec![camera()]), |world| {
            world.run_s(60.0);
            let full = world.flows[0].arrived_bps(world.now_us, 40.0, |media| media == Media::Video) / 1.3e6;
            assert!(full > 0.6, "{full} with {jitter_ms} ms");
        });
    }
}

#[test]
fn packets_that_overtake_each_other_are_not_lost() {
    for jitter_ms in [5.0, 20.0, 40.0] {
        story(Nature::of(3e6).reorder_ms(jitter_ms), shows(vec![camera()]), |world| {
            world.run_s(60.0);
            let stats = world.flows[0].downlink.stats(world.now());
            assert!(stats.loss < 0.01, "{stats:?}");
            let full = world.flows[0].arrived_bps(world.now_us, 40.0, |media| media == Media::Video) / 1.3e6;
            assert!(full > 0.8, "{full} with {jitter_ms} ms");
        });
    }
}

#[test]
fn the_figures_for_people_tell_the_line() {
    story(Nature::of(3e6).loss(0.05).delay_ms(40.0), shows(vec![camera()]), |world| {
        world.run_s(30.0);
        let stats = world.flows[0].downlink.stats(world.now());
        assert!((0.01..0.12).contains(&stats.loss), "{stats:?}");
        let rtt_ms = stats.rtt.expect("reported").as_millis();
        assert!((80..180).contains(&rtt_ms), "{stats:?}");
        assert!(stats.queue.as_millis() < 50 && stats.sent_bps > 1_000_000, "{stats:?}");
    });
}

#[test]
#[ignore = "prints a table"]
fn table() {
    println!(
        "{:<34} {:>6} {:>8} {:>9} {:>8} {:>8}",
        "line", "used %", "p95 ms", "est kb/s", "changes", "voice %"
    );
    let tracks = shows(vec![camera(), camera(), screen()]);
    for narrow_bps in [3e5, 1e5, 6e4, 0.0] {
        println!("back after 10 s of {narrow_bps} bit/s: {:.1} s at worst", worst_return_s(narrow_bps));
    }
    for starts_s in [0, 30] {
        println!("shares of two, one {starts_s} s later: {:.2?}", shares(starts_s));
    }
    for (source, demands) in [("greedy", vec![Demand::Greedy]), ("two cameras, a screen", tracks)] {
        println!("{source}");
        lines().into_iter().for_each(|(name, nature)| row(name, nature, demands.clone()));
    }
}

/// Of all seeds, the longest until the full picture is back.
fn worst_return_s(narrow_bps: f64) -> f64 {
    let return_s = |seed| {
        let mut world = World::new(seed, Nature::of(3e6), shows(vec![camera()]));
        world.run_s(20.0);
        world.link.nature = Nature::of(narrow_bps);
        world.run_s(10.0);
        world.link.nature = Nature::of(3e6);
        until_level(&mut world, 3, 30.0)
    };
    SEEDS.map(return_s).fold(0.0, f64::max)
}

/// What the second of two subscribers behind 2 Mbit/s gets, by seed.
fn shares(starts_s: u64) -> Vec<f64> {
    let share = |seed| {
        let mut world = World::new(seed, Nature::of(2e6), vec![Demand::Greedy, Demand::Greedy]);
        world.flows[1].starts_us = starts_s * 1_000_000;
        world.run_s(120.0);
        share_of(&world, 1)
    };
    SEEDS.map(share).collect()
}

fn row(name: &str, nature: Nature, demands: Vec<Demand>) {
    let mut world = World::new(1, nature, demands);
    world.run_s(70.0);
    let flow = &world.flows[0];
    let used = flow.arrived_bps(world.now_us, 60.0, |_| true) / nature.bps / (1.0 - nature.loss);
    let (wait_ms, changes) = (p95_wait_ms(&world, 10.0), changes_since(&world, 10.0).len());
    let mean = flow.estimates[100..].iter().sum::<f64>() / (flow.estimates.len() - 100) as f64;
    let voice = flow.voice_since(10_000_000, world.now_us) * 100.0;
    println!("{name:<34} {:>6.0} {wait_ms:>8.0} {:>9.0} {changes:>8} {voice:>8.1}", used * 100.0, mean / 1e3);
}

fn lines() -> Vec<(&'static str, Nature)> {
    vec![
        ("100 kbit/s", Nature::of(1e5)),
        ("300 kbit/s", Nature::of(3e5)),
        ("1 Mbit/s", Nature::of(1e6)),
        ("3 Mbit/s", Nature::of(3e6)),
        ("10 Mbit/s", Nature::of(1e7)),
        ("1 Mbit/s, 20 ms jitter", Nature::of(1e6).jitter_ms(20.0)),
        ("3 Mbit/s, 60 ms jitter", Nature::of(3e6).jitter_ms(60.0)),
        ("3 Mbit/s, 2 % loss", Nature::of(3e6).loss(0.02)),
        ("3 Mbit/s, 10 % loss", Nature::of(3e6).loss(0.1)),
        ("3 Mbit/s, 30 % loss", Nature::of(3e6).loss(0.3)),
        ("1 Mbit/s, queue of 20 ms", Nature::of(1e6).queue_ms(20.0)),
        ("1 Mbit/s, queue of 2 s", Nature::of(1e6).queue_ms(2_000.0)),
        ("2 Mbit/s, 200 ms away", Nature::of(2e6).delay_ms(200.0)),
    ]
}

/// Pages that share a processor with others read late what came in time, and report late, too.
#[test]
fn a_receiver_that_is_busy_now_and_then_is_not_a_narrow_line() {
    for (starved_ms, paused_max) in [(300.0, 0.0), (1_000.0, 0.0), (2_000.0, 0.05)] {
        let cameras = shows(vec![(Source::Camera, vec![60_000, 200_000]); 7]);
        story(Nature::of(1e8).delay_ms(1.0), cameras, |world| {
            world.starved_ms = starved_ms;
            let mut paused = 0.0;
            for _ in 0..600 {
                world.run_s(0.1);
                let levels = world.flows[0].levels();
                paused += levels.iter().filter(|level| **level == 0).count() as f64 / 4_200.0;
            }
            assert!(paused <= paused_max, "{paused} of the time is no picture, busy for {starved_ms} ms");
        });
    }
}

#[test]
fn a_line_that_was_gone_and_comes_back_narrow_is_no_busy_receiver() {
    for gone_s in [1.0, 2.0, 4.0] {
        story(Nature::of(3e6), shows(vec![camera()]), |world| {
            world.run_s(20.0);
            assert_eq!(level(world), 3);
            world.link.nature = Nature::of(0.0);
            world.run_s(gone_s);
            world.link.nature = Nature::of(3e5);
            world.run_s(3.0);
            assert!(level(world) <= 1, "level {} after {gone_s} s", level(world));
        });
    }
}
