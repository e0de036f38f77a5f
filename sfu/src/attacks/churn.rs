//! Those who come and go: nothing of them is left.

use allocation_counter::measure;
use uuid::Uuid;

use super::lab::{Lab, small_offer, stranger};
use crate::control::{Command, Event, LegId, RoomId};
use crate::demux::tests::check;
use crate::shard::Sizes;

const NOTHING: Sizes = Sizes { rooms: 0, legs: 0, places: 0, names: 0, tuples: 0, timers: 0 };

/// What growing tables may still take, in bytes: far below a leg for each that came.
const FLAT: i64 = 256 << 10;

/// A leg comes, is heard from, enters, and ends the one that came fifty before it: a room has a few people at any time.
fn come_and_go(lab: &mut Lab, offer: &str, n: u32) {
    let leg = LegId(Uuid::from_u128(u128::from(n)));
    let room = RoomId(Uuid::from_u128(u128::from(n % 17)));
    let Event::Joined { answer, .. } = lab.offer(leg, room, offer.to_owned(), Vec::new()) else {
        panic!("leg {n} found no place");
    };
    let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let user = format!("{}:x", field("a=ice-ufrag:"));
    lab.receive(stranger((n % 60_000) as u16), &check(&user, field("a=ice-pwd:"), true), &mut []);
    lab.command(Command::Enter { leg });
    if n >= 50 {
        lab.command(Command::Leave { leg: LegId(Uuid::from_u128(u128::from(n - 50))) });
    }
    lab.step(&mut []);
    let sizes = lab.shard.sizes();
    assert!(sizes.legs <= 51 && sizes.tuples <= 51 && sizes.names <= 51, "{n}: {sizes:?}");
    assert!(sizes.timers <= 2_000, "{n}: {sizes:?}");
    lab.events.clear();
    lab.facts.clear();
    lab.sent.clear();
}

/// The memory that is in use does not grow over the second half, nor is anything left at the end.
fn stays_flat(joins: u32) {
    let mut lab = Lab::new();
    let offer = small_offer(lab.now.instant);
    (0..joins / 2).for_each(|n| come_and_go(&mut lab, &offer, n));
    let grown = measure(|| (joins / 2..joins).for_each(|n| come_and_go(&mut lab, &offer, n))).bytes_current;
    assert!(grown < FLAT, "{grown} bytes more after {joins} joins");
    lab.wait(60_000);
    assert_eq!(lab.shard.sizes(), NOTHING);
}

#[test]
fn ten_thousand_joins_and_leaves_leave_no_leg_no_tuple_no_timer_and_no_memory() {
    stays_flat(10_000);
}

#[test]
#[ignore = "a day's churn takes minutes"]
fn a_hundred_thousand_joins_and_leaves_leave_nothing() {
    stays_flat(100_000);
}

#[test]
fn calls_that_end_in_every_way_leave_nothing() {
    let mut lab = Lab::new();
    for n in 0..60 {
        let room = RoomId(Uuid::from_u128(n));
        let mut clients = lab.call::<2>(room);
        match n % 3 {
            0 => clients.iter().for_each(|client| lab.command(Command::Leave { leg: client.leg })),
            1 => clients.iter_mut().for_each(|client| client.hang_up(lab.now.instant)),
            _ => clients.iter_mut().for_each(|client| client.alive = false),
        }
        lab.run(&mut clients, 200);
        lab.wait(17_000);
        let sizes = lab.shard.sizes();
        assert_eq!(Sizes { timers: 0, ..sizes }, NOTHING, "after call {n}");
    }
    lab.wait(60_000);
    assert_eq!(lab.shard.sizes(), NOTHING);
}
