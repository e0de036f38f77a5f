//! M3: SRTP that is not the caller's, from the caller's own address: somebody on the path, without the keys.

use super::client::Client;
use super::lab::{Lab, ROOM};

/// 10^6, spread over ten seconds of a call.
const STEPS: usize = 2_000;
const FORGED_PER_STEP: usize = 500;

/// Bends one thing of a genuine packet.
fn forge(genuine: &[u8], n: usize) -> Vec<u8> {
    let mut forged = genuine.to_vec();
    let end = forged.len();
    match n % 5 {
        0 => forged[end - 1 - n % 10] ^= 1 << (n % 8),    // The tag.
        1 => forged[12 + n % (end - 22)] ^= 1 << (n % 8), // Extension or payload.
        2 => forged[8..12].copy_from_slice(&(n as u32).wrapping_mul(0x9e37_79b1).to_be_bytes()), // The SSRC.
        3 => forged[2] ^= 0x80,                           // Half a rollover away.
        _ => forged[1] = 200 + (n % 7) as u8,             // SRTCP of that name.
    }
    forged
}

/// A call in which the first client is recorded.
fn recorded_call(lab: &mut Lab) -> ([Client; 2], Vec<Vec<u8>>) {
    let mut clients = [lab.join(ROOM), lab.join(ROOM)];
    clients[0].recorded = Some(Vec::new());
    lab.run(&mut clients, 2_000);
    for client in &clients {
        lab.command(crate::control::Command::Enter { leg: client.leg });
    }
    lab.run(&mut clients, 1_000);
    let recorded = clients[0].recorded.take().unwrap();
    (clients, recorded)
}

#[test]
fn a_million_forged_packets_reach_nobody_and_end_no_call() {
    let mut lab = Lab::new();
    let (mut clients, recorded) = recorded_call(&mut lab);
    let victim = clients[0].address;
    let before = (clients[0].written(), clients[1].packets());
    for step in 0..STEPS {
        for n in 0..FORGED_PER_STEP {
            let n = step * FORGED_PER_STEP + n;
            lab.receive(victim, &forge(&recorded[n % recorded.len()], n), &mut clients);
        }
        lab.step(&mut clients);
    }
    lab.run(&mut clients, 20);
    let written = clients[0].written() - before.0;
    assert!(written > 1_200, "{written}");
    assert_eq!(clients[1].packets() - before.1, written, "all that the caller sent, and nothing else");
    assert!(clients[1].received.values().all(|times| *times == 1));
    assert_eq!(lab.lost(), 0);
}

#[test]
fn a_forged_packet_under_the_callers_mid_takes_no_line_from_it() {
    let mut lab = Lab::new();
    let (mut clients, recorded) = recorded_call(&mut lab);
    let victim = clients[0].address;
    // Ten seconds on, a browser has long stopped naming the line in its packets.
    lab.run(&mut clients, 10_000);
    let before = (clients[0].written(), clients[1].packets());
    for n in 0..100 {
        for genuine in &recorded[..10] {
            let mut forged = genuine.clone();
            forged[8..12].copy_from_slice(&[0xbad0_0000u32 + n].map(u32::to_be_bytes).concat());
            lab.receive(victim, &forged, &mut clients);
        }
        lab.run(&mut clients, 50);
    }
    lab.run(&mut clients, 20);
    let written = clients[0].written() - before.0;
    assert!(written > 600, "{written}");
    assert_eq!(clients[1].packets() - before.1, written);
}
