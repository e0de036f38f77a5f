//! Somebody whose line is narrow: what they get, what it costs the others, and who pays for finding out.

use std::time::Duration;

use super::client::{Client, Layer};
use super::lab::{Lab, ROOM, stranger, told_to_rest, without_transport_feedback};
use crate::congestion::tests::link::Nature;
use crate::control::{Command, Source, TrackKey, Want};

/// About 130 and 1,150 kbit/s.
const LAYERS: &[Layer] =
    &[Layer { rid: Some("q"), packets: 1, width: 320 }, Layer { rid: Some("f"), packets: 9, width: 1_280 }];
const SMALL: u16 = 320;
const LARGE: u16 = 1_280;

/// A publisher in two layers, somebody on a line without limits, and somebody on a line of 3 Mbit/s.
fn call(bend: fn(String) -> String) -> (Lab, [Client; 3]) {
    let mut lab = Lab::new();
    let publisher = lab.join_in_layers(ROOM, LAYERS);
    let watchers = [(); 2].map(|()| lab.join_with(ROOM, bend).expect("an honest offer"));
    let [free, narrow] = watchers;
    lab.set_line(&narrow, Nature::of(3e6));
    let mut clients = [publisher, free, narrow];
    clients[1].publishes = false;
    clients[2].publishes = false;
    lab.enter(&mut clients);
    lab.run(&mut clients, 6_000);
    (lab, clients)
}

/// Whether a client sees this layer and no other, over the last half second.
fn sees(client: &Client, width: u16, lab: &Lab) -> bool {
    let lately = |at: &std::time::Instant| lab.now.instant - *at < Duration::from_millis(500);
    let seen: Vec<u16> =
        client.seen_at.iter().filter(|(_, at)| lately(at)).map(|(width, _)| *width).collect();
    seen == [width]
}

/// How long it takes until the narrow one sees this layer alone, in ms.
fn until_narrow_sees(width: u16, lab: &mut Lab, clients: &mut [Client]) -> u64 {
    for ms in (0..30_000).step_by(100) {
        if sees(&clients[2], width, lab) {
            return ms;
        }
        lab.run(clients, 100);
    }
    panic!("{width} is never seen");
}

#[test]
fn who_sits_behind_a_narrow_line_falls_to_the_small_layer_and_gets_the_large_one_back() {
    let (mut lab, mut clients) = call(|offer| offer);
    assert!(sees(&clients[2], LARGE, &lab), "{:?}", clients[2].seen_at);
    lab.set_line(&clients[2], Nature::of(3e5));
    let down_ms = until_narrow_sees(SMALL, &mut lab, &mut clients);
    assert!(down_ms <= 3_000, "{down_ms} ms");
    let (voice, written) = (clients[2].voices_heard(), clients[0].voices());
    for _ in 0..10 {
        lab.run(&mut clients, 1_000);
        assert!(sees(&clients[2], SMALL, &lab), "{:?}", clients[2].seen_at);
    }
    let (voice, written) = (clients[2].voices_heard() - voice, clients[0].voices() - written);
    assert!(voice + 20 >= written, "{voice} of {written} packets of the voice");
    lab.set_line(&clients[2], Nature::of(3e6));
    let up_ms = until_narrow_sees(LARGE, &mut lab, &mut clients);
    assert!(up_ms <= 10_000, "{up_ms} ms");
}

#[test]
fn a_picture_is_there_as_soon_as_another_way_is_found() {
    let (mut lab, mut clients) = call(|offer| offer);
    clients[2].address = stranger(1);
    let dead = lab.now.instant;
    while lab.now.instant - dead < Duration::from_secs(8) {
        lab.step_losing(&mut clients, |n, _| n == 2);
    }
    lab.set_line(&clients[2], Nature::of(3e6));
    let (silent, heard) = (lab.now.instant, clients[2].voices_heard());
    while clients[2].voices_heard() == heard {
        lab.run(&mut clients, 100);
        assert!(lab.now.instant - silent < Duration::from_secs(10), "a check goes out every few seconds");
    }
    let found = lab.now.instant;
    let shows = |client: &Client| client.seen_at.values().max().is_some_and(|at| *at > found);
    while !shows(&clients[2]) {
        lab.run(&mut clients, 100);
        let ms = (lab.now.instant - found).as_millis();
        assert!(ms <= 500, "{ms} ms without a picture");
    }
}

#[test]
fn a_narrow_line_costs_nobody_else_anything() {
    let (mut lab, mut clients) = call(|offer| offer);
    lab.set_line(&clients[2], Nature::of(1e5));
    let asked = clients[0].keyframes_asked.len();
    let sent = |clients: &[Client]| clients[0].voices() + clients[0].written_in(1);
    let before = (sent(&clients), clients[1].packets());
    for _ in 0..20 {
        lab.run(&mut clients, 500);
        assert!(sees(&clients[1], LARGE, &lab), "{:?}", clients[1].seen_at);
    }
    assert_eq!(clients[1].packets() - before.1, sent(&clients) - before.0);
    let asked = clients[0].keyframes_asked.len() - asked;
    assert!(asked <= 4, "{asked} keyframes asked for");
}

#[test]
fn who_cannot_be_sent_the_small_layer_still_hears() {
    let (mut lab, mut clients) = call(|offer| offer);
    lab.set_line(&clients[2], Nature::of(8e4));
    lab.run(&mut clients, 8_000);
    let (voice, written) = (clients[2].voices_heard(), clients[0].voices());
    lab.run(&mut clients, 5_000);
    let (voice, written) = (clients[2].voices_heard() - voice, clients[0].voices() - written);
    assert!(voice + 10 >= written, "{voice} of {written} packets of the voice");
}

#[test]
fn a_layer_that_is_waited_for_is_asked_for_until_it_comes() {
    let (mut lab, mut clients) = call(|offer| offer);
    clients[0].heeds_requests = false;
    lab.set_line(&clients[2], Nature::of(3e5));
    let asked = clients[0].keyframes_asked.len();
    lab.run(&mut clients, 5_000);
    assert!(clients[0].keyframes_asked.len() >= asked + 4);
    clients[0].heeds_requests = true;
    lab.run(&mut clients, 2_500);
    assert!(sees(&clients[2], SMALL, &lab), "{:?}", clients[2].seen_at);
}

#[test]
fn who_does_not_report_on_packets_is_sent_what_it_shows() {
    let (mut lab, mut clients) = call(without_transport_feedback);
    lab.set_line(&clients[2], Nature::of(3e5));
    let before = lab.sent_to(clients[2].address).media_bytes;
    lab.run(&mut clients, 10_000);
    let bps = (lab.sent_to(clients[2].address).media_bytes - before) * 8 / 10;
    assert!(bps > 1_100_000, "{bps} bit/s");
}

#[test]
fn probing_is_not_on_the_bill_and_everything_else_is() {
    let counted = |bend| {
        let (mut lab, mut clients) = call(bend);
        lab.set_line(&clients[2], Nature::of(3e5));
        lab.run(&mut clients, 10_000);
        let sent = lab.sent_to(clients[2].address).media_bytes as u64;
        sent.checked_sub(lab.egress_bytes(clients[2].leg)).expect("nothing is billed that was not sent")
    };
    let (unprobed, probed) = (counted(without_transport_feedback), counted(|offer| offer));
    // The counters are a quarter of a second old at most.
    assert!(unprobed < 50_000, "{unprobed}");
    assert!(probed > unprobed + 5_000, "{probed} after {unprobed}");
}

#[test]
fn an_encoding_that_nobody_is_shown_rests_and_is_back_for_who_looks() {
    let (mut lab, mut clients) = call(|offer| offer);
    let small = |leg: &Client, track: &Client| Command::View { leg: leg.leg, wants: vec![want(track, 300)] };
    for n in [1, 2] {
        let command = small(&clients[n], &clients[0]);
        lab.command(command);
    }
    lab.run(&mut clients, 4_000);
    assert!(told_to_rest(&lab, clients[0].leg).is_empty(), "whoever looks away for a moment costs nothing");
    lab.run(&mut clients, 2_500);
    assert_eq!(told_to_rest(&lab, clients[0].leg), ["f"]);
    clients[0].rest(&["f"]);
    lab.run(&mut clients, 20_000);
    assert!(sees(&clients[1], SMALL, &lab), "{:?}", clients[1].seen_at);
    lab.command(Command::View { leg: clients[1].leg, wants: vec![want(&clients[0], 1_280)] });
    lab.run(&mut clients, 200);
    assert!(told_to_rest(&lab, clients[0].leg).is_empty(), "at once");
    clients[0].rest(&[]);
    lab.run(&mut clients, 2_000);
    assert!(sees(&clients[1], LARGE, &lab), "{:?}", clients[1].seen_at);
    assert!(sees(&clients[2], SMALL, &lab), "{:?}", clients[2].seen_at);
}

fn want(publisher: &Client, width: u32) -> Want {
    let track = TrackKey { leg: publisher.leg, source: Source::Camera };
    Want { track, width, height: width / 2 }
}
