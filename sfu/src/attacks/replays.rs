//! M4: genuine SRTP, again.

use super::lab::{Lab, ROOM};
use crate::control::Command;

/// 10^6 in all.
const REPLAYS: usize = 1_000_000;

#[test]
fn a_million_replays_are_forwarded_once() {
    let mut lab = Lab::new();
    let mut clients = [lab.join(ROOM), lab.join(ROOM)];
    clients[0].recorded = Some(Vec::new());
    lab.run(&mut clients, 2_000);
    for client in &clients {
        lab.command(Command::Enter { leg: client.leg });
    }
    lab.run(&mut clients, 1_000);
    let before = (clients[0].written(), clients[1].packets());
    let mut replayed = 0;
    while replayed < REPLAYS {
        lab.run(&mut clients, 100);
        // The newest, which are in every window, and from all times since the start: before and after the rollover.
        let recorded = clients[0].recorded.clone().unwrap();
        let newest = recorded.iter().rev().take(500);
        let spread = recorded.iter().step_by(recorded.len() / 500 + 1);
        for packet in newest.chain(spread).cycle().take(5_000) {
            lab.receive(clients[0].address, packet, &mut clients);
            replayed += 1;
        }
    }
    lab.run(&mut clients, 20);
    assert!(clients[0].written() - before.0 > 2_000);
    assert_eq!(clients[1].packets() - before.1, clients[0].written() - before.0);
    assert!(clients[1].received.values().all(|times| *times == 1), "nothing came twice");
    assert_eq!(lab.lost(), 0);
}
