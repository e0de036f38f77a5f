//! The facade by itself: who reports nothing, who reports nonsense, what a packet costs.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::{Downlink, STATUSES_MAX};
use super::{encoder, start};

fn remb(bps: u32) -> Vec<u8> {
    let numbers = [1, 6 << 2 | (bps >> 22) as u8, (bps >> 14) as u8, (bps >> 6) as u8];
    encoder::rtcp(206, &[b"REMB".as_slice(), &numbers, &[0, 0, 0, 9]].concat())
}

/// Sends 40 packets a second of 1,000 bytes for a while, each reported 20 ms later when `reports`.
fn run(downlink: &mut Downlink, t0: Instant, s: u64, reports: bool) -> Instant {
    for n in 0..s * 40 {
        let now = t0 + Duration::from_millis(25 * n);
        downlink.sent(n, 1_000, now);
        if reports {
            let ticks = i64::try_from(n).expect("few") * 100 + 80;
            let rtcp = encoder::feedback(n as u16, n as u8, &[Some(ticks)], || 0);
            downlink.feedback(&rtcp, now + Duration::from_millis(20));
        }
        downlink.tick(now + Duration::from_millis(20));
    }
    t0 + Duration::from_secs(s)
}

#[test]
fn who_never_reports_is_believed_what_it_estimates_itself() {
    let (mut downlink, t0) = (Downlink::new(start()), start());
    run(&mut downlink, t0, 10, false);
    assert_eq!(downlink.estimate_bps(), 500_000, "nothing is known, and silence says nothing");
    downlink.feedback(&remb(1_600_000), t0);
    assert_eq!(downlink.estimate_bps(), 1_600_000);
}

#[test]
fn the_receivers_own_estimate_is_an_upper_bound() {
    let (mut downlink, t0) = (Downlink::new(start()), start());
    let now = run(&mut downlink, t0, 5, true);
    let before_bps = downlink.estimate_bps();
    downlink.feedback(&remb(128_000), now);
    assert_eq!(downlink.estimate_bps(), 128_000);
    downlink.feedback(&remb(64_000_000), now);
    assert_eq!(downlink.estimate_bps(), before_bps);
}

#[test]
fn without_a_goal_there_is_no_padding() {
    let (mut downlink, t0) = (Downlink::new(start()), start());
    let now = run(&mut downlink, t0, 5, true);
    assert_eq!(downlink.padding_bytes(now), 0);
    assert!(downlink.next_tick(now) > now + Duration::from_millis(50));
    downlink.set_goal_bps(3_000_000);
    downlink.tick(now);
    assert!(downlink.is_climbing());
    assert!(downlink.padding_bytes(now + Duration::from_millis(10)) > 1_000);
}

#[test]
fn padding_that_nobody_sends_is_given_up() {
    let (mut downlink, t0) = (Downlink::new(start()), start());
    downlink.set_goal_bps(3_000_000);
    let now = run(&mut downlink, t0, 5, true);
    assert!(downlink.estimate_bps() < 600_000, "media alone shows no more than media");
    assert!(downlink.padding_bytes(now) < 1_000_000);
}

#[test]
fn a_way_that_was_lost_says_nothing_of_the_next_one() {
    let (mut downlink, t0) = (Downlink::new(start()), start());
    downlink.set_goal_bps(3_000_000);
    let mut now = run(&mut downlink, t0, 5, true);
    for n in 200..400 {
        downlink.sent(n, 1_000, now);
        now += Duration::from_millis(25);
        downlink.tick(now);
    }
    assert!(downlink.estimate_bps() < 100_000 && downlink.is_narrow(), "nobody answers for 5 s");
    downlink.moved(now);
    assert_eq!(downlink.estimate_bps(), 500_000);
    assert!(!downlink.is_narrow() && downlink.stats(now).rtt.is_none());
    // The receiver speaks again, of what was lost on the way before as well.
    let lost = vec![None; 200];
    downlink.feedback(&encoder::feedback(200, 200, &lost, || 0), now);
    for n in 400..420 {
        downlink.sent(n, 1_000, now);
        now += Duration::from_millis(25);
        let came = [Some(i64::try_from(n).unwrap() * 100 + 80)];
        downlink.feedback(&encoder::feedback(n as u16, n as u8, &came, || 0), now);
        downlink.tick(now);
    }
    assert!(downlink.estimate_bps() >= 500_000 && downlink.loss() < 0.01, "{}", downlink.loss());
}

#[test]
fn feedback_told_twice_changes_nothing() {
    let (mut downlink, t0) = (Downlink::new(start()), start());
    let now = run(&mut downlink, t0, 5, true);
    let before = (downlink.estimate_bps(), downlink.stats(now).rtt);
    let rtcp = encoder::feedback(100, 9, &[Some(10_080), None, Some(10_280)], || 0);
    downlink.feedback(&rtcp, now + Duration::from_secs(3));
    assert_eq!((downlink.estimate_bps(), downlink.stats(now).rtt), before);
}

#[test]
fn a_datagram_of_endless_feedback_is_read_to_a_bound() {
    let (mut downlink, t0) = (Downlink::new(start()), start());
    (0..100).for_each(|n| downlink.sent(n, 1_000, t0));
    // Nine chunks speak of 65,535 packets.
    let empty = encoder::feedback(0, 0, &vec![None; usize::from(u16::MAX)], || 0);
    let good = encoder::feedback(0, 0, &[Some(1)], || 0);
    assert!(empty.len() < 50 && usize::from(u16::MAX) > STATUSES_MAX);
    downlink.feedback(&[empty, good].concat(), t0);
    assert!(downlink.stats(t0).rtt.is_none());
}

proptest! {
    /// Whatever is sent and whatever is said about it.
    #[test]
    fn nonsense_neither_panics_nor_leaves_the_bounds(
        steps in proptest::collection::vec((0u64..100_000, 0u64..3, 0usize..2_000, proptest::collection::vec(proptest::option::of(-20_000i64..20_000), 0..40), any::<u16>(), any::<u8>()), 1..200),
    ) {
        let t0 = start();
        let (mut downlink, mut now, mut seq) = (Downlink::new(t0), t0, 0);
        downlink.set_goal_bps(u64::MAX);
        for (us, step, size, arrivals, place, byte) in steps {
            now += Duration::from_micros(us);
            seq += step;
            downlink.sent(seq, size, now);
            let base = (seq as u16).wrapping_sub(u16::from(byte));
            // The draft allows 8 s either way between two packets.
            let arrivals: Vec<Option<i64>> = arrivals.into_iter().map(|at| at.map(|at| 30_000 + at.rem_euclid(16_000))).collect();
            let mut rtcp = encoder::feedback(base, byte, &arrivals, || byte);
            let place = usize::from(place) % rtcp.len();
            if byte & 3 == 0 {
                rtcp[place] = byte;
            }
            downlink.feedback(&rtcp, now);
            downlink.tick(now);
            prop_assert!((30_000..=100_000_000).contains(&downlink.estimate_bps()));
            prop_assert!(downlink.padding_bytes(now) < 100_000_000);
        }
    }
}

#[test]
#[ignore = "prints what a packet costs"]
#[expect(clippy::disallowed_methods, reason = "measures")]
fn cost() {
    let (mut downlink, t0) = (Downlink::new(start()), start());
    let rounds: u64 = 20_000;
    let arrivals: Vec<Option<i64>> = (0..100).map(|n| Some(300 + n * 4)).collect();
    let reports: Vec<Vec<u8>> =
        (0..rounds).map(|n| encoder::feedback((n * 100) as u16, n as u8, &arrivals, || 1)).collect();
    let began = Instant::now();
    for (n, rtcp) in reports.iter().enumerate() {
        let now = t0 + Duration::from_millis(100 * n as u64);
        for packet in 0..100 {
            downlink.sent(n as u64 * 100 + packet, 1_000, now + Duration::from_millis(packet));
        }
        downlink.feedback(rtcp, now + Duration::from_millis(120));
    }
    let ns = began.elapsed().as_nanos() as f64 / (rounds * 100) as f64;
    println!("{ns:.0} ns a packet, sent and reported; {} bytes besides the history", size_of::<Downlink>());
}
