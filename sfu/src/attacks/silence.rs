//! M12: sending ends with the consent to it.

use std::time::Duration;

use super::lab::{Lab, OTHER_ROOM, ROOM, stranger, without_transport_feedback};
use crate::control::Command;
use crate::demux::tests::check;

#[test]
fn whoever_falls_silent_is_sent_nothing_after_five_seconds_and_everything_again_once_heard() {
    falls_silent(without_transport_feedback, 500);
    // Who reported on packets is shown no pictures soon, for nothing says any more that the line takes them.
    falls_silent(|offer| offer, 250);
}

/// `sent_min`: datagrams that a silence of 4 s does not keep from it.
fn falls_silent(bend: fn(String) -> String, sent_min: usize) {
    let mut lab = Lab::new();
    let mut clients = lab.call_with::<2>(ROOM, bend);
    let silent = clients[1].address;
    clients[1].alive = false;
    let at = |lab: &Lab| lab.sent_to(silent).datagrams;
    let begin = at(&lab);
    lab.run(&mut clients, 4_000);
    assert!(at(&lab) > begin + sent_min, "a short silence is nothing");
    lab.run(&mut clients, 1_100);
    let stopped = at(&lab);
    lab.run(&mut clients, 5_000);
    assert_eq!(at(&lab), stopped, "neither media nor reports");
    assert_eq!(lab.lost(), 0, "the leg may come back");
    clients[1].alive = true;
    let packets = clients[1].packets();
    lab.run(&mut clients, 200);
    let at_once = at(&lab) - stopped;
    assert!(at_once < 100, "{at_once}: what it missed is past");
    lab.run(&mut clients, 2_800);
    assert!(clients[1].packets() > packets + 200, "{}", clients[1].packets() - packets);
}

#[test]
fn nobody_is_sent_media_for_longer_because_the_leg_talks_from_elsewhere() {
    let mut lab = Lab::new();
    let mut clients = lab.call::<2>(ROOM);
    let (username, password) = clients[1].credentials();
    let victim = stranger(1);
    // One check of the attacker's own, under the victim's address, that nominates it.
    lab.receive(victim, &check(&username, &password, true), &mut clients);
    lab.run(&mut clients, 5_100);
    let reached = lab.sent_to(victim);
    assert!(reached.datagrams > 100, "{reached:?}: the attack itself does not work");
    lab.run(&mut clients, 20_000);
    assert_eq!(lab.sent_to(victim), reached, "five seconds at most");
    assert_eq!(lab.lost(), 0, "the attacker was heard all the time");
}

#[test]
fn a_recording_of_a_leg_keeps_it_neither_alive_nor_paying() {
    let mut lab = Lab::new();
    let mut clients = [lab.join(ROOM), lab.join(ROOM)];
    clients.iter_mut().for_each(|client| client.recorded = Some(Vec::new()));
    lab.run(&mut clients, 2_000);
    for client in &clients {
        lab.command(Command::Enter { leg: client.leg });
    }
    lab.run(&mut clients, 2_000);
    let recorded = clients[1].recorded.take().unwrap();
    let reports = recorded.iter().filter(|packet| (192..224).contains(&packet[1])).count();
    assert!(reports > 5 && recorded.len() > reports + 100, "{reports} of {}", recorded.len());
    clients[1].alive = false;
    for round in 0..155 {
        for packet in &recorded {
            lab.receive(clients[1].address, packet, &mut []);
        }
        lab.run(&mut clients[..1], 100);
        assert!(lab.lost() == 0 || round >= 145, "lost after {round} rounds");
    }
    assert_eq!(lab.lost(), 1);
}

#[test]
fn silence_in_one_room_is_nothing_to_another() {
    let mut lab = Lab::new();
    let mut gone = lab.call::<2>(ROOM);
    let mut clients = lab.call::<2>(OTHER_ROOM);
    gone.iter_mut().for_each(|client| client.alive = false);
    let before = (clients[0].written(), clients[1].packets());
    lab.run(&mut clients, 20_000);
    assert_eq!(lab.lost(), 2);
    assert_eq!(clients[1].packets() - before.1, clients[0].written() - before.0);
    lab.pass(Duration::from_secs(1));
}
