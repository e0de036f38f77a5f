//! How long a picture stands still when its layer changes.

use std::time::{Duration, Instant};

use super::client::{Client, Layer};
use super::lab::{Lab, ROOM};
use crate::congestion::tests::link::Nature;
use crate::control::{Command, Source, TrackKey, Want};

/// About 130 and 1,150 kbit/s.
const LAYERS: &[Layer] =
    &[Layer { rid: Some("q"), packets: 1, width: 320 }, Layer { rid: Some("f"), packets: 9, width: 1_280 }];
const SMALL: u16 = 320;
const LARGE: u16 = 1_280;

/// As a browser's VP8 encoder was seen to do, at 150 and 1,500 kbit/s.
const SPENT_FOR: &[Duration] = &[Duration::from_millis(700), Duration::from_millis(300)];

/// A publisher in two layers and somebody who is shown the large one.
fn call() -> (Lab, [Client; 2]) {
    let mut lab = Lab::new();
    let mut clients = [lab.join_in_layers(ROOM, LAYERS), lab.join(ROOM)];
    clients[0].spent_for = SPENT_FOR;
    clients[1].publishes = false;
    lab.enter(&mut clients);
    lab.run(&mut clients, 8_000);
    assert_eq!(width_of(&clients[1]), Some(LARGE));
    (lab, clients)
}

fn view(lab: &mut Lab, clients: &mut [Client], width: u16) {
    let track = TrackKey { leg: clients[0].leg, source: Source::Camera };
    let want = Want { track, width: width.into(), height: u32::from(width) / 2 };
    lab.command(Command::View { leg: clients[1].leg, wants: vec![want] });
}

fn width_of(client: &Client) -> Option<u16> {
    client.pictures.last().map(|seen| seen.width)
}

/// The longest time without a new picture since then, in ms, and how often its width changed.
fn stood_still(client: &Client, since: Instant) -> (u128, usize) {
    let seen: Vec<_> = client.pictures.iter().filter(|seen| seen.at >= since).collect();
    let changes = seen.windows(2).filter(|pair| pair[0].width != pair[1].width).count();
    (client.stood_still(since), changes)
}

#[test]
fn a_picture_goes_on_in_its_old_layer_until_the_new_one_flows() {
    let (mut lab, mut clients) = call();
    for width in [SMALL, LARGE, SMALL, LARGE] {
        let since = lab.now.instant - Duration::from_millis(100);
        view(&mut lab, &mut clients, width);
        lab.run(&mut clients, 3_500);
        let (longest_ms, changes) = stood_still(&clients[1], since);
        assert_eq!((changes, width_of(&clients[1])), (1, Some(width)));
        // What the larger layer's encoder needs, and a frame on either side.
        assert!(longest_ms <= 370, "{width}: {longest_ms} ms");
    }
}

/// What a line does not take ends at once. To let it go on, until the smaller layer is there or until something waits, was
/// tried here and only made the keyframe come later: pictures stood still for up to 1,270 ms.
#[test]
fn a_line_that_narrows_lets_a_picture_stand_still_for_half_a_second() {
    for heeds_after in [0, 100].map(Duration::from_millis) {
        for begins_after in [0, 37, 71] {
            let (mut lab, mut clients) = call();
            clients[0].spent_for = &[];
            clients[0].heeds_after = heeds_after;
            lab.set_line(&clients[1], Nature::of(3e6));
            lab.run(&mut clients, 2_000 + begins_after);
            let since = lab.now.instant - Duration::from_millis(100);
            lab.set_line(&clients[1], Nature::of(3e5));
            lab.run(&mut clients, 6_000);
            let (longest_ms, changes) = stood_still(&clients[1], since);
            assert_eq!((changes, width_of(&clients[1])), (1, Some(SMALL)));
            assert!(longest_ms <= 500, "{longest_ms} ms, with {heeds_after:?}");
            let last = clients[1].pictures.last().expect("pictures come").at;
            assert!(lab.now.instant - last < Duration::from_millis(100), "and goes on");
        }
    }
}

#[test]
fn a_layer_whose_keyframe_has_just_come_is_not_asked_for_another() {
    let (mut lab, mut clients) = call();
    let asked = clients[0].keyframes_asked.len();
    view(&mut lab, &mut clients, SMALL);
    lab.run(&mut clients, 150);
    // The encoder made one of each layer, and the view changes its mind twice.
    view(&mut lab, &mut clients, LARGE);
    lab.run(&mut clients, 100);
    view(&mut lab, &mut clients, SMALL);
    lab.run(&mut clients, 3_000);
    assert_eq!(width_of(&clients[1]), Some(SMALL));
    assert_eq!(clients[0].keyframes_asked.len() - asked, 1);
}
