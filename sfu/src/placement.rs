//! Which shard takes whom: a room stays on one shard until that has many of its legs, and goes on on the next one then.

use std::collections::BTreeMap;

use crate::control::{LegId, RoomId};

/// Legs of one room that one shard takes before the next one does.
const ROOM_LEGS_PER_SHARD: usize = 100;

/// Where all legs of a node are.
#[derive(Debug)]
pub(crate) struct Placement {
    shards: usize,
    place_by_leg: BTreeMap<LegId, (usize, RoomId)>,
    legs_by_room: BTreeMap<RoomId, Vec<usize>>,
}

impl Placement {
    /// Nobody is here yet.
    pub(crate) fn new(shards: usize) -> Self {
        Placement { shards, place_by_leg: BTreeMap::new(), legs_by_room: BTreeMap::new() }
    }

    /// Finds a shard for a new leg; `None` when it is here already.
    pub(crate) fn place(&mut self, leg: LegId, room: RoomId) -> Option<usize> {
        if self.place_by_leg.contains_key(&leg) {
            return None;
        }
        let home = crc32fast::hash(room.0.as_bytes()) as usize % self.shards;
        let legs = self.legs_by_room.entry(room).or_insert_with(|| vec![0; self.shards]);
        let in_turn = || (0..legs.len()).map(|n| (home + n) % legs.len());
        let roomy = in_turn().find(|shard| legs[*shard] < ROOM_LEGS_PER_SHARD);
        let shard = roomy.or_else(|| in_turn().min_by_key(|shard| legs[*shard]))?;
        legs[shard] += 1;
        self.place_by_leg.insert(leg, (shard, room));
        Some(shard)
    }

    /// Where a leg is.
    pub(crate) fn shard_of(&self, leg: LegId) -> Option<usize> {
        self.place_by_leg.get(&leg).map(|(shard, _)| *shard)
    }

    /// A leg is over.
    pub(crate) fn forget(&mut self, leg: LegId) {
        let Some((shard, room)) = self.place_by_leg.remove(&leg) else { return };
        let Some(legs) = self.legs_by_room.get_mut(&room) else { return };
        legs[shard] -= 1;
        if legs.iter().all(|legs| *legs == 0) {
            self.legs_by_room.remove(&room);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn leg(n: usize) -> LegId {
        LegId(Uuid::from_u128(n as u128))
    }

    #[test]
    fn a_room_fills_one_shard_after_the_other_and_then_all_alike() {
        let (mut placement, room) = (Placement::new(3), RoomId(Uuid::from_u128(7)));
        let shards: Vec<usize> = (0..900).map(|n| placement.place(leg(n), room).unwrap()).collect();
        let first = shards[0];
        assert!(shards[..100].iter().all(|shard| *shard == first));
        assert!(shards[100..200].iter().all(|shard| *shard == (first + 1) % 3));
        assert!((0..3).all(|n| shards.iter().filter(|shard| **shard == n).count() == 300));
        assert_eq!(placement.place(leg(5), room), None, "it is here");
    }

    #[test]
    fn who_leaves_makes_room_and_nothing_is_left_of_an_empty_one() {
        let (mut placement, room) = (Placement::new(2), RoomId(Uuid::from_u128(7)));
        let first = placement.place(leg(0), room).unwrap();
        (1..150).for_each(|n| _ = placement.place(leg(n), room));
        placement.forget(leg(0));
        assert_eq!(placement.shard_of(leg(0)), None);
        assert_eq!(placement.place(leg(0), room), Some(first));
        (0..150).for_each(|n| placement.forget(leg(n)));
        assert!(placement.place_by_leg.is_empty() && placement.legs_by_room.is_empty());
    }
}
