//! M10 and M11: a member of the call who asks for too much, or sends too much.

use std::time::Duration;

use str0m::rtp::ExtensionValues;

use super::client::{Client, vp8_payload};
use super::lab::{Lab, ROOM, without_transport_feedback};
use crate::control::Command;

/// RTCP feedback (RFC 4585 §6.1): packet type, format, sender, source, the rest.
pub(super) fn feedback(kind: u8, format: u8, source: u32, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80 | format, kind];
    packet.extend((2 + rest.len() as u16 / 4).to_be_bytes());
    packet.extend(0xfeed_0001u32.to_be_bytes());
    packet.extend(source.to_be_bytes());
    packet.extend(rest);
    packet
}

/// What a subscriber gets in ten seconds, in bytes, while it sends `storm` for each of its sources every 5 ms.
fn bytes_under(storm: impl Fn(u32, u16) -> Vec<Vec<u8>>) -> (usize, usize) {
    let mut lab = Lab::new();
    let mut clients = lab.call::<3>(ROOM);
    clients[2].publishes = false;
    lab.run(&mut clients, 2_000);
    let mut seals = clients[2].seals();
    let asked = clients[0].keyframes_asked.len();
    let before = lab.sent_to(clients[2].address).bytes;
    for n in 0..2_000 {
        let newest: std::collections::BTreeMap<u32, u64> = clients[2].received.keys().copied().collect();
        for (ssrc, seq) in newest {
            for packet in storm(ssrc, (seq as u16).wrapping_sub(n % 64)) {
                let sealed = seals.rtcp(&packet);
                lab.receive(clients[2].address, &sealed, &mut clients);
            }
        }
        lab.step(&mut clients);
    }
    assert_eq!(lab.lost(), 0);
    (lab.sent_to(clients[2].address).bytes - before, clients[0].keyframes_asked.len() - asked)
}

#[test]
fn a_storm_of_keyframe_requests_reaches_the_publisher_once_a_second() {
    let (_, asked) = bytes_under(|ssrc, n| {
        let fir = [ssrc.to_be_bytes(), [n as u8, 0, 0, 0]].concat();
        vec![feedback(206, 1, ssrc, &[]), feedback(206, 4, 0, &fir)]
    });
    assert!((5..=11).contains(&asked), "{asked} requests in ten seconds");
}

#[test]
fn a_storm_of_repair_requests_gets_a_fifth_more_at_most() {
    let (calm, _) = bytes_under(|_, _| Vec::new());
    let (stormy, _) = bytes_under(|ssrc, seq| {
        let lost = |back: u16| [seq.wrapping_sub(back).to_be_bytes(), [0xff, 0xff]].concat();
        let rest: Vec<u8> = (0..20).flat_map(|n| lost(n * 17)).collect();
        vec![feedback(205, 1, ssrc, &rest)]
    });
    assert!(stormy > calm, "some is repaired");
    assert!(stormy * 10 <= calm * 12, "{stormy} instead of {calm} bytes");
}

#[test]
fn who_sends_fifty_times_too_much_loses_the_excess_and_others_lose_nothing() {
    let mut lab = Lab::new();
    // Who reports on packets would be sent no more than its line is known to take.
    let mut clients = lab.call_with::<3>(ROOM, without_transport_feedback);
    clients[0].publishes = false;
    let video = clients[0].video;
    let before = (clients[1].written(), clients[2].packets());
    let mut sent = 0;
    for n in 0..1_000u32 {
        // 2 Mbit/s would be one of these every five milliseconds.
        for _ in 0..250 {
            let payload = vp8_payload(true, sent == 0, n as u16);
            let now = lab.now.instant;
            clients[0].write(1, video, 96, n * 450, true, payload, ExtensionValues::default(), now);
            sent += 1;
        }
        lab.step(&mut clients);
    }
    lab.run(&mut clients, 20);
    let genuine = clients[1].written() - before.0;
    let forwarded = clients[2].packets() - before.1 - genuine;
    assert_eq!(sent, 250_000);
    // A second's worth at once and five more: 8,000 datagrams a second.
    assert!((40_000..=48_100).contains(&forwarded), "{forwarded} of {sent}");
    assert_eq!(lab.lost(), 0);
    lab.pass(Duration::from_millis(1));
}

#[test]
fn whoever_sends_more_than_their_plan_allows_is_told_so_and_keeps_the_voice() {
    let mut lab = Lab::new();
    let mut clients = lab.call_with::<3>(ROOM, without_transport_feedback);
    let seen = |clients: &[Client; 3]| {
        let [over, watches, other] = clients;
        (watches.packets_from(over), watches.packets_from(other), watches.voices_heard())
    };
    lab.command(Command::Limit { leg: clients[0].leg, kbps: 200 });
    let (before, written, spoken) = (seen(&clients), clients[2].written(), clients[0].voices());
    lab.run(&mut clients, 10_000);
    let after = seen(&clients);
    let spoken = clients[0].voices() - spoken;
    let pictures = after.0 - before.0 - spoken;
    // Of some 360 kbit/s, 250 are let through: a quarter above the limit, 62 packets of 500 bytes a second.
    assert!((620..=690).contains(&pictures), "{pictures} packets of pictures");
    assert_eq!(after.2 - before.2, 2 * spoken, "both voices are heard whole");
    assert!(
        written.abs_diff(clients[2].written() - (after.1 - before.1)) <= 3,
        "the other's pictures are whole"
    );
    let told = &clients[0].told_bps;
    assert!((9..=11).contains(&told.len()) && told.iter().all(|bps| *bps == 200_000), "{told:?}");
    assert!(clients[1].told_bps.is_empty() && clients[2].told_bps.is_empty());
    assert_eq!(lab.lost(), 0);
}
