//! A room on two shards: its people notice nothing, whatever becomes of one of its parts.

use super::client::{Client, Layer};
use super::lab::{Lab, ROOM, told_to_rest};
use super::letters::{bodies, channels, letter};
use super::losses::is_picture;
use crate::control::{Command, Event, Meter, Source, TrackKey, Want};
use crate::relay::{Relay, Shards, Word};

/// About 130 and 1,150 kbit/s.
const LAYERS: &[Layer] =
    &[Layer { rid: Some("q"), packets: 1, width: 320 }, Layer { rid: Some("f"), packets: 9, width: 1_280 }];

/// Two shards with one clock, and what they say to each other.
struct Pair {
    labs: [Lab; 2],
    /// Whether what they say gets through.
    is_linked: bool,
    packets: usize,
}

impl Pair {
    fn new() -> Pair {
        let mut labs = [0, 1].map(|own| Lab::on(Shards { own, count: 2 }, 100));
        labs[1].now = labs[0].now;
        Pair { labs, is_linked: true, packets: 0 }
    }

    fn run(&mut self, clients: &mut [Vec<Client>; 2], ms: u64) {
        for _ in 0..ms / 5 {
            for (lab, clients) in self.labs.iter_mut().zip(clients.iter_mut()) {
                lab.step(clients);
            }
            self.relay();
        }
    }

    /// Until nobody has anything to say.
    fn relay(&mut self) {
        loop {
            let said: Vec<Vec<(usize, Relay)>> =
                self.labs.iter_mut().map(|lab| std::mem::take(&mut lab.shard.out.relays)).collect();
            if said.iter().all(Vec::is_empty) {
                return;
            }
            for (from, said) in said.into_iter().enumerate() {
                for (to, relay) in said.into_iter().filter(|_| self.is_linked) {
                    self.packets += usize::from(matches!(relay.word, Word::Packet(_)));
                    let now = self.labs[to].now;
                    self.labs[to].shard.relayed(from, relay, now);
                }
            }
        }
    }

    /// So many people on each shard, in one call.
    fn call(&mut self, people: [usize; 2]) -> [Vec<Client>; 2] {
        let one =
            |lab: &mut Lab| lab.join_writing(ROOM, &channels(), |offer| offer).expect("an honest offer");
        let join = |lab: &mut Lab, people| (0..people).map(|_| one(lab)).collect::<Vec<Client>>();
        let mut clients = [join(&mut self.labs[0], people[0]), join(&mut self.labs[1], people[1])];
        self.run(&mut clients, 2_000);
        for (lab, clients) in self.labs.iter_mut().zip(&clients) {
            for client in clients {
                assert!(client.connected);
                lab.command(Command::Enter { leg: client.leg });
            }
        }
        self.run(&mut clients, 1_000);
        clients
    }
}

#[test]
fn people_on_two_shards_write_to_each_other() {
    let mut pair = Pair::new();
    let mut clients = pair.call([2, 2]);
    let now = pair.labs[0].now.instant;
    let for_one = letter(&[&clients[1][1]], b"one");
    assert!(clients[0][0].message(0, &letter(&[], b"all"), now));
    assert!(clients[0][0].message(0, &for_one, now));
    pair.run(&mut clients, 500);
    assert_eq!(bodies(&clients[0][1]), [&b"all"[..]]);
    assert_eq!(bodies(&clients[1][0]), [&b"all"[..]]);
    assert_eq!(bodies(&clients[1][1]), [&b"all"[..], b"one"]);
    assert!(clients[0][0].messages.is_empty());
}

#[test]
fn people_on_two_shards_see_and_hear_each_other_whole() {
    let mut pair = Pair::new();
    let mut clients = pair.call([1, 2]);
    let before: Vec<usize> = clients[1].iter().map(|client| client.packets_from(&clients[0][0])).collect();
    let back = clients[0][0].packets_from(&clients[1][1]);
    let (written, theirs) = (clients[0][0].written(), clients[1][1].written());
    pair.run(&mut clients, 5_000);
    let written = clients[0][0].written() - written;
    for (client, before) in clients[1].iter().zip(before) {
        assert_eq!(client.packets_from(&clients[0][0]) - before, written, "not one is missing");
    }
    assert_eq!(clients[0][0].packets_from(&clients[1][1]) - back, clients[1][1].written() - theirs);
    let speakers =
        |lab: &Lab| lab.events.iter().filter(|event| matches!(event, Event::Speakers { .. })).count();
    assert!(speakers(&pair.labs[0]) > 0 && speakers(&pair.labs[1]) == 0, "one part speaks for all");
}

/// Nobody but the publisher sends; answers those who watch it from the other shard, and it.
fn watched_from_the_other_shard(pair: &mut Pair) -> [Vec<Client>; 2] {
    let mut clients = pair.call([1, 2]);
    clients[1].iter_mut().for_each(|client| client.publishes = false);
    clients[0][0].repairs = false;
    pair.run(&mut clients, 2_000);
    clients
}

/// The picture of those who watch stood still for this long at most, and goes on.
fn goes_on(pair: &Pair, watchers: &[Client], since: std::time::Instant, longest_ms: u128) {
    for viewer in watchers {
        let stood = viewer.stood_still(since);
        assert!(stood <= longest_ms, "{stood} ms");
        let last = viewer.pictures.last().expect("pictures come").at;
        assert!((pair.labs[1].now.instant - last).as_millis() < 100, "and goes on");
    }
}

#[test]
fn what_a_publisher_cannot_repair_is_followed_by_a_keyframe_on_the_other_shard_too() {
    let mut pair = Pair::new();
    let mut clients = watched_from_the_other_shard(&mut pair);
    let (asked, since) = (clients[0][0].keyframes_asked.len(), pair.labs[0].now.instant);
    let mut lost = 0;
    for _ in 0..100 {
        pair.labs[0].step_losing(&mut clients[0], |_, datagram| {
            let is_lost = lost == 0 && is_picture(datagram);
            lost += usize::from(is_lost);
            is_lost
        });
        pair.labs[1].step(&mut clients[1]);
        pair.relay();
    }
    pair.run(&mut clients, 5_000);
    assert_eq!(lost, 1);
    goes_on(&pair, &clients[1], since, 700);
    assert_eq!(clients[0][0].keyframes_asked.len() - asked, 1, "once, for both");
}

#[test]
fn what_is_lost_between_two_shards_is_followed_by_a_keyframe() {
    let mut pair = Pair::new();
    let mut clients = watched_from_the_other_shard(&mut pair);
    let (asked, since) = (clients[0][0].keyframes_asked.len(), pair.labs[0].now.instant);
    // A frame or two, as when a ring is full.
    pair.is_linked = false;
    pair.run(&mut clients, 50);
    pair.is_linked = true;
    pair.run(&mut clients, 5_000);
    goes_on(&pair, &clients[1], since, 1_000);
    let asked = clients[0][0].keyframes_asked.len() - asked;
    assert!((1..=2).contains(&asked), "{asked} requests");
}

#[test]
fn an_encoding_rests_when_it_is_shown_on_no_shard_and_is_back_for_who_looks_from_another() {
    let mut pair = Pair::new();
    let publisher = pair.labs[0].join_in_layers(ROOM, LAYERS);
    let watcher = pair.labs[1].join(ROOM);
    let (track, leg) = (TrackKey { leg: publisher.leg, source: Source::Camera }, watcher.leg);
    let show = |pair: &mut Pair, width| {
        let wants = vec![Want { track, width, height: width / 2 }];
        pair.labs[1].command(Command::View { leg, wants });
    };
    let mut clients = [vec![publisher], vec![watcher]];
    clients[1][0].publishes = false;
    pair.run(&mut clients, 2_000);
    pair.labs[0].command(Command::Enter { leg: track.leg });
    pair.labs[1].command(Command::Enter { leg });
    show(&mut pair, 1_280);
    pair.run(&mut clients, 10_000);
    assert!(told_to_rest(&pair.labs[0], track.leg).is_empty(), "it is shown across");
    show(&mut pair, 300);
    pair.run(&mut clients, 7_000);
    assert_eq!(told_to_rest(&pair.labs[0], track.leg), ["f"]);
    clients[0][0].rest(&["f"]);
    pair.run(&mut clients, 10_000);
    show(&mut pair, 1_280);
    pair.run(&mut clients, 500);
    assert!(told_to_rest(&pair.labs[0], track.leg).is_empty());
    clients[0][0].rest(&[]);
    pair.run(&mut clients, 2_000);
    assert_eq!(clients[1][0].pictures.last().map(|seen| seen.width), Some(1_280));
}

#[test]
fn a_room_on_one_shard_sends_nothing_to_the_other() {
    let mut pair = Pair::new();
    let mut clients = pair.call([2, 0]);
    pair.run(&mut clients, 2_000);
    assert_eq!(pair.packets, 0);
}

#[test]
fn who_comes_later_on_the_other_shard_gets_a_keyframe_that_is_asked_for_across() {
    let mut pair = Pair::new();
    let mut clients = pair.call([2, 0]);
    pair.run(&mut clients, 3_000);
    let asked = clients[0][0].keyframes_asked.len();
    clients[1].push(pair.labs[1].join(ROOM));
    pair.run(&mut clients, 2_000);
    let leg = clients[1][0].leg;
    pair.labs[1].command(Command::Enter { leg });
    pair.run(&mut clients, 1_000);
    assert!(clients[0][0].keyframes_asked.len() > asked);
    assert!(clients[1][0].packets_from(&clients[0][0]) > 100, "voice and picture");
}

#[test]
fn a_part_that_ends_or_panics_leaves_the_rest_of_the_room_whole() {
    for panics in [false, true] {
        let mut pair = Pair::new();
        let mut clients = pair.call([2, 2]);
        if panics {
            pair.labs[1].shard.plant_panic(ROOM);
        } else {
            clients[1].iter().for_each(|client| pair.labs[1].command(Command::Leave { leg: client.leg }));
        }
        pair.run(&mut clients, 200);
        clients[1].clear();
        let (one, two) = (clients[0][0].written(), clients[0][1].packets_from(&clients[0][0]));
        pair.run(&mut clients, 2_000);
        assert_eq!(clients[0][1].packets_from(&clients[0][0]) - two, clients[0][0].written() - one);
        let slots = pair.labs[0].slots_of(clients[0][0].leg);
        let left = clients[0][1].leg;
        assert!(!slots.is_empty() && slots.iter().all(|slot| slot.track.unwrap().leg == left), "{slots:?}");
        assert_eq!(pair.labs[1].shard.sizes().rooms, 0);
        // And they can come back.
        clients[1].push(pair.labs[1].join(ROOM));
        pair.run(&mut clients, 2_000);
        let leg = clients[1][0].leg;
        pair.labs[1].command(Command::Enter { leg });
        pair.run(&mut clients, 1_000);
        assert!(clients[0][0].packets_from(&clients[1][0]) > 100);
    }
}

#[test]
fn what_is_said_to_a_deaf_shard_is_said_again_and_a_dumb_one_is_forgotten() {
    let mut pair = Pair::new();
    pair.is_linked = false;
    let mut clients = pair.call([1, 1]);
    assert_eq!(clients[0][0].packets_from(&clients[1][0]), 0);
    pair.is_linked = true;
    pair.run(&mut clients, 2_000);
    assert!(clients[0][0].packets_from(&clients[1][0]) > 50);
    pair.is_linked = false;
    pair.run(&mut clients, 5_000);
    assert!(pair.labs[0].slots_of(clients[0][0].leg).is_empty());
}

#[test]
fn each_leg_is_counted_where_it_is_and_once() {
    let mut pair = Pair::new();
    let mut clients = pair.call([1, 1]);
    let counted = |pair: &Pair, n: usize, leg| {
        let facts = pair.labs[n].facts.iter().filter(|fact| fact.leg == leg);
        facts
            .filter(|fact| fact.meter == Meter::EgressBytes)
            .map(|fact| fact.quantity as usize)
            .max()
            .unwrap_or(0)
    };
    let own = |clients: &[Vec<Client>; 2], n: usize| (clients[n][0].leg, clients[n][0].address);
    let figures = |pair: &Pair, clients: &[Vec<Client>; 2]| {
        [0, 1].map(|n| {
            let (leg, address) = own(clients, n);
            (pair.labs[n].sent_to(address).bytes, counted(pair, n, leg), counted(pair, 1 - n, leg))
        })
    };
    let before = figures(&pair, &clients);
    pair.run(&mut clients, 10_000);
    for (before, after) in before.into_iter().zip(figures(&pair, &clients)) {
        let (sent, counted) = (after.0 - before.0, after.1 - before.1);
        // Checks are answered, and not counted; a checkpoint is 250 ms old at most.
        assert!(counted <= sent && counted * 100 >= sent * 96, "{counted} of {sent}");
        assert_eq!(after.2, 0, "the other shard does not know the leg");
    }
}
