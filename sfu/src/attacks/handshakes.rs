//! M2, M6 and M7: hellos that belong elsewhere, handshakes with the wrong certificate, without an end, and with bent records.

use uuid::Uuid;

use super::client::Client;
use super::lab::{Lab, OTHER_ROOM, ROOM, Sent, small_offer, stranger};
use crate::control::{Command, Event, LegId, RoomId};
use crate::demux::tests::check;
use crate::shard::Sizes;

/// Half-open handshakes at once, and how often.
const AT_ONCE: usize = 1_000;
const WAVES: usize = 10;
/// Hellos of either kind.
const HELLOS: u16 = 10_000;
/// Records that are bent: in a call, and as many in handshakes, this many in each.
const BENT: usize = 500_000;
const RECORDS_EACH: usize = 500;

/// Puts another fingerprint, in the place of the offer's own.
fn fingerprint(offer: &str, lines: &[String]) -> String {
    let bent = offer.lines().map(|line| match line.strip_prefix("a=fingerprint:") {
        Some(_) => lines.join("\r\n"),
        None => line.to_owned(),
    });
    bent.map(|line| line + "\r\n").collect()
}

fn other(hash: &str, bytes: usize) -> String {
    format!("a=fingerprint:{hash} {}", vec!["5A"; bytes].join(":"))
}

#[test]
fn a_certificate_that_the_offer_does_not_name_connects_in_no_role() {
    let wrong = [
        vec![other("sha-256", 32)],
        vec![other("sha-1", 20)],
        vec![other("sha-256", 32), other("sha-512", 64)],
        vec![other("sha-1", 20), other("sha-256", 32)],
    ];
    for role in ["actpass", "active", "passive"] {
        for lines in &wrong {
            let mut lab = Lab::new();
            let mut clients = lab.call::<2>(ROOM);
            let bend = |offer: String| {
                fingerprint(&offer, lines).replace("a=setup:passive", &format!("a=setup:{role}"))
            };
            let Some(foul) = lab.join_with(ROOM, bend) else { continue };
            let leg = foul.leg;
            lab.command(Command::Enter { leg });
            let mut all: Vec<Client> = [foul].into_iter().chain(clients).collect();
            lab.run(&mut all, 5_000);
            assert!(!lab.events.contains(&Event::Connected { leg }), "{role}, {lines:?}");
            assert_eq!(all[0].packets(), 0, "{role}, {lines:?}");
            clients = [all.remove(1), all.remove(1)];
            let sources: std::collections::BTreeSet<u32> =
                clients[0].received.keys().map(|(ssrc, _)| *ssrc).collect();
            assert_eq!(sources.len(), 2, "the picture and the voice of the other, and nobody else's");
        }
    }
}

#[test]
fn the_right_certificate_connects_in_every_role() {
    for role in ["actpass", "active", "passive"] {
        let mut lab = Lab::new();
        let bend = |offer: String| offer.replace("a=setup:passive", &format!("a=setup:{role}"));
        let mut clients = [lab.join_with(ROOM, bend).unwrap()];
        lab.run(&mut clients, 2_000);
        assert!(lab.events.contains(&Event::Connected { leg: clients[0].leg }), "{role}");
    }
}

#[test]
fn ten_thousand_half_open_handshakes_hold_a_thousand_places_and_leave_nothing() {
    let mut lab = Lab::with_places(AT_ONCE);
    let offer = small_offer(lab.now.instant);
    let (mut joined, mut most) = (0, Sent::default());
    for wave in 0..WAVES {
        // Twice as many knock as there are places.
        for n in 0..2 * AT_ONCE {
            let leg = LegId(Uuid::from_u128((wave * 10_000 + n) as u128));
            let room = RoomId(Uuid::from_u128(n as u128 % 7));
            let Event::Joined { answer, .. } = lab.offer(leg, room, offer.clone(), Vec::new()) else {
                continue;
            };
            joined += 1;
            let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let user = format!("{}:x", field("a=ice-ufrag:"));
            let from = stranger(n as u16);
            lab.receive(from, &check(&user, field("a=ice-pwd:"), true), &mut []);
            lab.receive(from, &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], &mut []);
        }
        lab.wait(1_000);
        let sizes = lab.shard.sizes();
        assert!(sizes.legs == AT_ONCE && sizes.tuples <= AT_ONCE && sizes.timers <= 4 * AT_ONCE, "{sizes:?}");
        lab.wait(32_000);
        for sent in std::mem::take(&mut lab.sent).into_values() {
            most.datagrams = most.datagrams.max(sent.datagrams);
            most.bytes = most.bytes.max(sent.bytes);
        }
        assert_eq!(lab.lost(), joined);
        lab.events.clear();
        joined = 0;
    }
    // The answer to the check, and a hello that is repeated while the address has consent.
    assert!(most.datagrams <= 8 && most.bytes < 4_000, "{most:?}");
    lab.wait(60_000);
    let nothing = Sizes { rooms: 0, legs: 0, places: 0, names: 0, tuples: 0, timers: 0 };
    assert_eq!(lab.shard.sizes(), nothing);
}

/// Connects two and answers the records of the first one's handshake, with some that no handshake has.
fn records(lab: &mut Lab, clients: &mut [Client; 2]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for _ in 0..200 {
        lab.pass(std::time::Duration::from_millis(5));
        for n in 0..2 {
            clients[n].step(lab.now.instant);
            for datagram in clients[n].take_outbox() {
                records.extend((20..64).contains(&datagram[0]).then(|| datagram.clone()));
                lab.receive(clients[n].address, &datagram, clients);
            }
        }
        lab.shard.time(lab.now);
    }
    assert!(clients[0].connected && records.len() >= 4, "{}", records.len());
    // Alerts, a change of cipher and data in the clear, which epoch 0 would carry; and parts of handshakes (RFC 9147 §5.5)
    // that are empty, beyond their end, over each other, or of the largest message there is.
    let part = |length: u8, offset: u8, bytes: u8| [1, 0, 0, length, 0, 0, 0, 0, offset, 0, 0, bytes];
    let giant = [1, 255, 255, 255, 0, 0, 255, 255, 0, 0, 0, 12];
    let parts = [part(0, 0, 0), part(9, 200, 4), part(9, 0, 0), part(20, 5, 12), part(20, 0, 12), giant];
    let bodies = [(21, vec![1, 0]), (21, vec![2, 40]), (20, vec![1]), (23, b"plain".to_vec())];
    let empty = [(22, vec![]), (25, vec![0; 9])];
    let parts = parts.iter().map(|head| (22, [&head[..], &[7; 12]].concat()));
    for (kind, body) in bodies.into_iter().chain(empty).chain(parts) {
        let mut record = vec![kind, 254, 253, 0, 0, 0, 0, 0, 0, 0, 77, 0, body.len() as u8];
        record.extend(body);
        records.push(record);
    }
    records
}

/// A record, cut, with another length, with another byte, or as it was.
fn bent(records: &[Vec<u8>], n: usize) -> Vec<u8> {
    let mut bent = records[n % records.len()].clone();
    let seed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let at = (seed >> 32) as usize % bent.len();
    match seed >> 62 {
        0 => bent[at] ^= seed as u8,
        1 => bent.truncate(at.max(1)),
        2 if bent.len() > 12 => bent[11..13].copy_from_slice(&(seed as u16).to_be_bytes()),
        _ => {}
    }
    bent
}

#[test]
fn half_a_million_bent_records_end_no_call() {
    let mut lab = Lab::new();
    let mut clients = [lab.join(ROOM), lab.join(ROOM)];
    let records = records(&mut lab, &mut clients);
    for client in &clients {
        lab.command(Command::Enter { leg: client.leg });
    }
    lab.run(&mut clients, 1_000);
    let before = (clients[0].written(), clients[1].packets());
    for n in 0..BENT {
        lab.receive(clients[0].address, &bent(&records, n), &mut clients);
        if n % 200 == 0 {
            lab.step(&mut clients);
        }
    }
    lab.run(&mut clients, 50);
    assert_eq!(lab.lost(), 0);
    let written = clients[0].written() - before.0;
    assert!(written > 300);
    assert_eq!(clients[1].packets() - before.1, written);
}

/// Nobody of these sends more than their first check: what follows in their name is bent. The handshakes that are begun so
/// are in every state that such records lead to.
#[test]
fn half_a_million_bent_records_in_unfinished_handshakes_disturb_nobody() {
    let mut lab = Lab::new();
    let mut clients = [lab.join(ROOM), lab.join(ROOM)];
    let records = records(&mut lab, &mut clients);
    for client in &clients {
        lab.command(Command::Enter { leg: client.leg });
    }
    lab.run(&mut clients, 1_000);
    let offers = ["actpass", "passive"]
        .map(|role| small_offer(lab.now.instant).replace("a=setup:actpass", &format!("a=setup:{role}")));
    let (mut heard, mut shown) = (clients[1].packets(), clients[0].written());
    for n in 0..BENT / RECORDS_EACH {
        let leg = LegId(Uuid::from_u128(1_000_000 + n as u128));
        let Event::Joined { answer, .. } = lab.offer(leg, OTHER_ROOM, offers[n % 2].clone(), Vec::new())
        else {
            panic!("there is a place")
        };
        let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let from = stranger(n as u16);
        let knock = check(&format!("{}:x", field("a=ice-ufrag:")), field("a=ice-pwd:"), true);
        lab.receive(from, &knock, &mut clients);
        for record in 0..RECORDS_EACH {
            lab.receive(from, &bent(&records, n * RECORDS_EACH + record), &mut clients);
        }
        assert!(!lab.events.contains(&Event::Connected { leg }));
        lab.command(Command::Leave { leg });
        lab.events.clear();
        lab.step(&mut clients);
    }
    lab.run(&mut clients, 50);
    heard = clients[1].packets() - heard;
    shown = clients[0].written() - shown;
    assert!(shown > 300 && heard == shown, "{heard} of {shown}");
    assert_eq!(lab.shard.sizes().legs, 2);
}

/// A hello of one who would begin, whole enough to be read.
fn hello(n: u16) -> Vec<u8> {
    let mut record = vec![22, 254, 253, 0, 0, 0, 0, 0, 0];
    record.extend(n.to_be_bytes());
    let body = [&[254, 253][..], &[9; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]].concat();
    record.extend([0, 12 + body.len() as u8, 1, 0, 0, body.len() as u8, 0, 0, 0, 0, 0, body.len() as u8]);
    record.extend(body);
    record
}

#[test]
fn ten_thousand_hellos_from_a_callers_host_or_from_another_call_disturb_nobody() {
    let mut lab = Lab::new();
    let [a, b]: [Client; 2] = lab.call(ROOM);
    let [foul, witness]: [Client; 2] = lab.call(OTHER_ROOM);
    let mut all = [a, b, foul, witness];
    let mut port = 40_000;
    for n in 0..HELLOS {
        // The caller's host with another port; and one who is in another call, from where it is known.
        port = if port == 60_000 { 40_000 } else { port + 1 };
        let elsewhere = (all[0].address.ip(), port).into();
        lab.receive(elsewhere, &hello(n), &mut all);
        assert_eq!(lab.sent_to(elsewhere), Sent::default(), "a stranger is not answered");
        let known = all[2].address;
        lab.receive(known, &hello(n), &mut all);
    }
    let before = [all[0].packets_from(&all[1]), all[1].packets_from(&all[0])];
    lab.run(&mut all, 1_000);
    let after = [all[0].packets_from(&all[1]), all[1].packets_from(&all[0])];
    assert!(after[0] > before[0] + 100 && after[1] > before[1] + 100, "{before:?} {after:?}");
    assert_eq!(lab.lost(), 0);
}
