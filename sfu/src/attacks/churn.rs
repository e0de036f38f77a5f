//! Ten thousand who come and go: nothing of them is left.

use uuid::Uuid;

use super::lab::{Lab, small_offer, stranger};
use crate::control::{Command, Event, LegId, RoomId};
use crate::demux::tests::check;
use crate::shard::Sizes;

const NOTHING: Sizes = Sizes { rooms: 0, legs: 0, places: 0, names: 0, tuples: 0, timers: 0 };

#[test]
fn ten_thousand_joins_and_leaves_leave_no_leg_no_tuple_and_no_timer() {
    let mut lab = Lab::new();
    let offer = small_offer(lab.now.instant);
    for n in 0..10_000u32 {
        let leg = LegId(Uuid::from_u128(u128::from(n)));
        let room = RoomId(Uuid::from_u128(u128::from(n % 17)));
        let Event::Joined { answer, .. } = lab.offer(leg, room, offer.clone(), Vec::new()) else {
            panic!("leg {n} found no place");
        };
        let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let user = format!("{}:x", field("a=ice-ufrag:"));
        lab.receive(stranger((n % 60_000) as u16), &check(&user, field("a=ice-pwd:"), true), &mut []);
        lab.command(Command::Enter { leg });
        if n >= 50 {
            // A room has a few people at any time.
            lab.command(Command::Leave { leg: LegId(Uuid::from_u128(u128::from(n - 50))) });
        }
        lab.step(&mut []);
        let sizes = lab.shard.sizes();
        assert!(sizes.legs <= 51 && sizes.tuples <= 51 && sizes.names <= 51, "{n}: {sizes:?}");
        assert!(sizes.timers <= 2_000, "{n}: {sizes:?}");
        lab.events.clear();
        lab.sent.clear();
    }
    lab.wait(60_000);
    assert_eq!(lab.shard.sizes(), NOTHING);
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
