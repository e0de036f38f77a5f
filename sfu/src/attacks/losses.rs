//! No attack either: packets of a picture are lost and no repair brings them. Nobody here asks for a keyframe by itself, as
//! browsers do after a second or three: what asks is the shard.

use std::time::Duration;

use super::client::Client;
use super::lab::{Lab, ROOM};
use super::seals::Seals;
use super::storms::feedback;
use crate::control::Command;
use crate::rtcp;

/// A publisher and two who are shown its picture.
fn call() -> (Lab, [Client; 3]) {
    let mut lab = Lab::new();
    let mut clients: [Client; 3] = std::array::from_fn(|_| lab.join(ROOM));
    clients[1..].iter_mut().for_each(|client| client.publishes = false);
    lab.enter(&mut clients);
    lab.run(&mut clients, 3_000);
    (lab, clients)
}

pub(super) fn is_picture(datagram: &[u8]) -> bool {
    matches!(datagram, [128..192, ..]) && !rtcp::is_rtcp(datagram) && datagram.len() > 500
}

/// Each `nth` packet of the publisher's picture is lost on its way to us, once and with what repairs it; answers how many.
fn lose(lab: &mut Lab, clients: &mut [Client], nth: usize, ms: u64) -> usize {
    let (mut pictures, mut lost) = (0, 0);
    for _ in 0..ms / 5 {
        lab.step_losing(clients, |client, datagram| {
            let is_published = client == 0 && is_picture(datagram);
            pictures += usize::from(is_published);
            let is_lost = is_published && pictures % nth == 0;
            lost += usize::from(is_lost);
            is_lost
        });
    }
    lost
}

#[test]
fn what_a_publisher_cannot_repair_is_followed_by_a_keyframe() {
    let (mut lab, mut clients) = call();
    clients[0].repairs = false;
    let (asked, since) = (clients[0].keyframes_asked.len(), lab.now.instant);
    // One of the 45 that come meanwhile.
    assert_eq!(lose(&mut lab, &mut clients, 40, 500), 1);
    lab.run(&mut clients, 5_000);
    for viewer in &clients[1..] {
        // What a repair may take, and the look every 100 ms.
        let longest_ms = viewer.stood_still(since);
        assert!((500..=700).contains(&longest_ms), "{longest_ms} ms");
        let last = viewer.pictures.last().expect("pictures come").at;
        assert!(lab.now.instant - last < Duration::from_millis(100), "and goes on");
    }
    assert_eq!(clients[0].keyframes_asked.len() - asked, 1, "once, for both");
}

#[test]
fn what_a_publisher_repairs_needs_no_keyframe() {
    let (mut lab, mut clients) = call();
    let (asked, since) = (clients[0].keyframes_asked.len(), lab.now.instant);
    assert!(lose(&mut lab, &mut clients, 40, 10_000) >= 20);
    lab.run(&mut clients, 2_000);
    assert_eq!(clients[0].keyframes_asked.len(), asked);
    assert!(clients[1].stood_still(since) < 300, "{} ms", clients[1].stood_still(since));
}

#[test]
fn a_publisher_who_loses_all_the_time_is_asked_once_a_second() {
    let (mut lab, mut clients) = call();
    clients[0].repairs = false;
    let asked = clients[0].keyframes_asked.len();
    assert!(lose(&mut lab, &mut clients, 20, 20_000) >= 80);
    let asked = clients[0].keyframes_asked.len() - asked;
    assert!((10..=21).contains(&asked), "{asked} requests in twenty seconds");
}

#[test]
fn a_picture_that_nobody_is_shown_is_not_repaired_by_keyframes() {
    let (mut lab, mut clients) = call();
    for viewer in &clients[1..] {
        lab.command(Command::View { leg: viewer.leg, wants: Vec::new() });
    }
    clients[0].repairs = false;
    lab.run(&mut clients, 1_500);
    let asked = clients[0].keyframes_asked.len();
    assert!(lose(&mut lab, &mut clients, 40, 5_000) >= 10);
    lab.run(&mut clients, 2_000);
    assert_eq!(clients[0].keyframes_asked.len(), asked);
}

/// One of them asks for a packet of the picture again that came so many before the newest one.
fn ask_again(lab: &mut Lab, clients: &mut [Client], seals: &mut Seals, back: u64) {
    let (ssrc, newest) = clients[1].newest_of_picture().expect("a picture comes");
    let missing = [((newest - back) as u16).to_be_bytes(), [0, 0]].concat();
    let sealed = seals.rtcp(&feedback(205, 1, ssrc, &missing));
    lab.receive(clients[1].address, &sealed, clients);
    lab.run(clients, 200);
}

#[test]
fn what_we_cannot_send_again_is_followed_by_a_keyframe() {
    let (mut lab, mut clients) = call();
    lab.run(&mut clients, 5_000);
    let mut seals = clients[1].seals();
    let mut asked_after = |back, ms| {
        let before = clients[0].keyframes_asked.len();
        ask_again(&mut lab, &mut clients, &mut seals, back);
        lab.run(&mut clients, ms);
        clients[0].keyframes_asked.len() - before
    };
    assert_eq!(asked_after(200, 0), 0, "we have that one");
    assert_eq!(asked_after(400, 5_000), 1, "and this one no more");
    assert_eq!(asked_after(600, 0), 0, "what came before the keyframe matters to nobody");
}
