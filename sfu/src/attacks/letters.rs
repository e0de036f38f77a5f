//! Messages between pages: who gets them, and what floods, giants and channels without end do (part of M9).

use str0m::channel::ChannelConfig;

use super::client::Client;
use super::lab::{Lab, ROOM};
use crate::control::{Command, Event, LegId, Meter};

/// Channels that are opened without being asked for. To number its own takes str0m, as whoever opens them, the cube of their
/// number; the node ends the leg at the 65th.
const STREAMS: usize = 300;

/// A page's two channels.
pub(super) fn channels() -> [ChannelConfig; 2] {
    [0, 1].map(|stream| ChannelConfig { negotiated: Some(stream), ..ChannelConfig::default() })
}

/// To these people; to all where nobody is named.
pub(super) fn letter(to: &[&Client], body: &[u8]) -> Vec<u8> {
    let names = to.iter().flat_map(|client| *client.leg.0.as_bytes());
    [1, to.len() as u8].into_iter().chain(names).chain(body.iter().copied()).collect()
}

/// How many were missed before, who wrote it, and what.
fn read(received: &[u8]) -> (u16, LegId, &[u8]) {
    let leg = LegId(uuid::Uuid::from_slice(&received[3..19]).unwrap());
    (u16::from_be_bytes([received[1], received[2]]), leg, &received[19..])
}

/// What came, without the heads.
pub(super) fn bodies(client: &Client) -> Vec<&[u8]> {
    client.messages.iter().map(|message| read(message).2).collect()
}

/// People of a call with channels; the last is still in the lobby.
fn people<const N: usize>(lab: &mut Lab) -> [Client; N] {
    let mut clients: [Client; N] =
        std::array::from_fn(|_| lab.join_writing(ROOM, &channels(), |offer| offer).unwrap());
    lab.run(&mut clients, 2_000);
    for client in &clients[..N - 1] {
        assert!(client.connected);
        lab.command(Command::Enter { leg: client.leg });
    }
    lab.run(&mut clients, 1_000);
    clients
}

#[test]
fn a_message_reaches_those_in_the_call_that_it_is_for() {
    let mut lab = Lab::new();
    let mut clients: [Client; 4] = people(&mut lab);
    let (all, some, quick) = (letter(&[], b"all"), letter(&[&clients[1]], b"some"), letter(&[], b"quick"));
    let now = lab.now.instant;
    for (channel, message) in [(0, &all), (0, &some), (1, &quick)] {
        assert!(clients[0].message(channel, message, now));
    }
    // Whoever is in the lobby neither writes nor reads; what is not of the form is nobody's.
    assert!(clients[3].message(0, &letter(&[], b"knock"), now));
    assert!(clients[0].message(0, &[9, 9, 9], now));
    lab.run(&mut clients, 500);
    let mut heard = bodies(&clients[1]);
    heard.sort_unstable();
    assert_eq!(heard, [&b"all"[..], b"quick", b"some"]);
    let mut heard = bodies(&clients[2]);
    heard.sort_unstable();
    assert_eq!(heard, [&b"all"[..], b"quick"]);
    assert!(clients[0].messages.is_empty() && clients[3].messages.is_empty());
    let counted = |client: &Client| lab.used(client.leg, Meter::MessageCount);
    assert_eq!(clients.each_ref().map(counted), [0, 3, 2, 0], "each is counted where it is delivered");
    assert_eq!(read(&clients[2].messages[0]).1, clients[0].leg);
}

#[test]
fn a_message_waits_for_whoever_is_still_connecting() {
    let mut lab = Lab::new();
    let [ann, ben, cleo]: [Client; 3] = people(&mut lab);
    let late = lab.join_writing(ROOM, &channels(), |offer| offer).unwrap();
    lab.command(Command::Enter { leg: late.leg });
    let mut clients = [ann, ben, cleo, late];
    let now = lab.now.instant;
    for body in [&b"first"[..], b"second"] {
        assert!(clients[0].message(0, &letter(&[], body), now));
    }
    // Ann's come to the node before a second of the late one's does.
    lab.run(&mut clients[..2], 50);
    assert_eq!(bodies(&clients[1]), [&b"first"[..], b"second"]);
    lab.run(&mut clients, 2_000);
    assert_eq!(bodies(&clients[3]), [&b"first"[..], b"second"], "in order, and none is lost");
    assert_eq!(lab.used(clients[3].leg, Meter::MessageCount), 2);
    // What would be too much to wait with is counted as missed.
    let late = lab.join_writing(ROOM, &channels(), |offer| offer).unwrap();
    lab.command(Command::Enter { leg: late.leg });
    clients[3] = late;
    for _ in 0..12 {
        assert!(clients[0].message(0, &letter(&[&clients[3]], &[5; 16 * 1024]), lab.now.instant));
        lab.run(&mut clients[..2], 500);
    }
    lab.run(&mut clients, 2_000);
    assert!(clients[0].message(0, &letter(&[], b"end"), lab.now.instant));
    lab.run(&mut clients, 500);
    let received = clients[3].messages.len();
    let missed: u16 = clients[3].messages.iter().map(|message| read(message).0).sum();
    assert_eq!(
        (received, missed),
        (8, 5),
        "seven of 16 KiB are kept, and the last tells of the five that are not"
    );
}

#[test]
fn a_flood_of_messages_is_cut_and_counted_and_costs_no_picture() {
    let mut lab = Lab::new();
    let mut clients: [Client; 4] = people(&mut lab);
    let before = clients[1].packets_from(&clients[2]);
    let written = clients[2].written();
    let (mut sent, message) = (0, letter(&[], &[7; 998]));
    for _ in 0..400 {
        for _ in 0..20 {
            sent += usize::from(clients[0].message(0, &message, lab.now.instant));
        }
        lab.run(&mut clients, 25);
    }
    lab.run(&mut clients, 2_000);
    // One more says how many were missed before it.
    assert!(clients[0].message(0, &letter(&[], b"end"), lab.now.instant));
    lab.run(&mut clients, 1_000);
    let received = clients[1].messages.len();
    let missed: usize = clients[1].messages.iter().map(|message| usize::from(read(message).0)).sum();
    assert!(sent > 1_500, "{sent} were sent");
    assert_eq!(received + missed, sent + 1, "each is delivered or counted");
    assert_eq!(lab.used(clients[1].leg, Meter::MessageCount), received as u64, "what is cut is not billed");
    // 50 a second for 12 s, and a second's worth at once.
    assert!((400..=14 * 50).contains(&received), "{received} of {sent} came through");
    assert_eq!(bodies(&clients[1]).last(), Some(&&b"end"[..]));
    let (seen, shown) = (clients[1].packets_from(&clients[2]) - before, clients[2].written() - written);
    assert!(seen + 20 >= shown, "{seen} of {shown} packets of another's came");
}

#[test]
fn a_giant_message_is_its_senders_own_affair() {
    let mut lab = Lab::new();
    let mut clients: [Client; 4] = people(&mut lab);
    // A page that does not care what the answer announces.
    for size in [16 * 1024 + 3, 20_000, 60_000] {
        let _taken = clients[0].message(0, &vec![0; size], lab.now.instant);
        lab.run(&mut clients, 500);
    }
    assert!(clients[1].messages.is_empty());
    let message = letter(&[], &[5; 16 * 1024]);
    assert!(clients[1].message(0, &message, lab.now.instant));
    lab.run(&mut clients, 1_000);
    assert_eq!(bodies(&clients[2]), [&[5; 16 * 1024][..]], "the others write on, as much as is allowed");
}

#[test]
fn channels_without_end_end_the_leg_that_opens_them() {
    let mut lab = Lab::new();
    let mut honest: [Client; 3] = people(&mut lab);
    let many = vec![ChannelConfig { label: "more".into(), ..ChannelConfig::default() }; STREAMS];
    let foul = lab.join_writing(ROOM, &many, |offer| offer).unwrap();
    let leg = foul.leg;
    lab.command(Command::Enter { leg });
    let [a, b, c] = honest;
    let mut all = [a, b, c, foul];
    lab.run(&mut all, 3_000);
    assert!(lab.events.contains(&Event::Lost { leg }));
    let now = lab.now.instant;
    assert!(all[0].message(0, &letter(&[], b"on"), now));
    lab.run(&mut all, 500);
    assert_eq!(bodies(&all[1]), [b"on"]);
    let [a, b, c, _] = all;
    honest = [a, b, c];
    assert!(honest.iter().all(|client| !lab.events.contains(&Event::Lost { leg: client.leg })));
}

/// Writes on channels of which nobody has told the node, which str0m takes for some that are yet to be named.
#[test]
fn letters_on_channels_that_nobody_opened_end_the_leg_that_writes_them() {
    let mut lab = Lab::new();
    let honest: [Client; 3] = people(&mut lab);
    let untold = (2..).take(STREAMS);
    let untold: Vec<_> =
        untold.map(|stream| ChannelConfig { negotiated: Some(stream), ..ChannelConfig::default() }).collect();
    let foul = lab.join_writing(ROOM, &untold, |offer| offer).unwrap();
    let leg = foul.leg;
    lab.command(Command::Enter { leg });
    let [a, b, c] = honest;
    let mut all = [a, b, c, foul];
    lab.run(&mut all, 3_000);
    assert!(!lab.events.contains(&Event::Lost { leg }), "nothing is said of them yet");
    for channel in 0..STREAMS {
        let now = lab.now.instant;
        let _taken = all[3].message(channel, &letter(&[], b"untold"), now);
        lab.run(&mut all, 10);
    }
    lab.run(&mut all, 500);
    assert!(lab.events.contains(&Event::Lost { leg }));
    let now = lab.now.instant;
    assert!(all[0].message(0, &letter(&[], b"on"), now));
    lab.run(&mut all, 500);
    assert_eq!(bodies(&all[1]), [b"on"]);
}

/// Opens a channel in band (RFC 8832) on the streams that the node has for messages, as one whose own are elsewhere.
#[test]
fn a_channel_opened_on_a_stream_that_is_taken_is_its_openers_own_affair() {
    let mut lab = Lab::new();
    let mut honest: [Client; 3] = people(&mut lab);
    let asked = vec![ChannelConfig { label: "mine".into(), ..ChannelConfig::default() }; 4];
    let foul = lab.join_writing(ROOM, &asked, |offer| offer).unwrap();
    lab.command(Command::Enter { leg: foul.leg });
    let [a, b, c] = honest;
    let mut all = [a, b, c, foul];
    lab.run(&mut all, 3_000);
    for round in 0..50 {
        let now = lab.now.instant;
        for channel in 0..4 {
            let _taken = all[3].message(channel, &letter(&[], b"mine"), now);
        }
        assert!(all[0].message(0, &letter(&[], &[round]), now));
        lab.run(&mut all, 100);
    }
    let from_a = |client: &Client| {
        let heads = client.messages.iter().map(|message| read(message));
        heads
            .filter(|(_, from, _)| *from == LegId(uuid::Uuid::from_u128(1)))
            .map(|(_, _, body)| body[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(from_a(&all[1]), (0..50).collect::<Vec<_>>(), "in order, each once");
    let [a, b, c, _] = all;
    honest = [a, b, c];
    assert!(honest.iter().all(|client| !lab.events.contains(&Event::Lost { leg: client.leg })));
}
