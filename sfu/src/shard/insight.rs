//! What can be seen of a shard.

use std::collections::BTreeMap;
#[cfg(test)]
use std::sync::atomic::Ordering;

use super::Shard;
use crate::control::Refusal;
use crate::metrics::{Counts, Secured, ShardLook};
use crate::peer::Peer;
use crate::room::Room;

/// What a shard counts itself; the rest is counted in its rooms.
#[derive(Default)]
pub(super) struct Tally {
    /// Of rooms that are over, and of datagrams that belong to none.
    pub(super) past: Counts,
    pub(super) joins: u64,
    pub(super) refusals: BTreeMap<Refusal, u64>,
    pub(super) left: u64,
    pub(super) lost: u64,
    pub(super) given_up: u64,
}

/// See [`Shard::sizes`].
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) rooms: usize,
    pub(crate) legs: usize,
    pub(crate) places: usize,
    pub(crate) names: usize,
    pub(crate) tuples: usize,
    pub(crate) timers: usize,
}

impl Shard {
    /// How it stands. What the thread around it counts is left empty.
    pub(crate) fn look(&self) -> ShardLook {
        let mut counts = self.tally.past;
        let rooms: Vec<_> = self.rooms.values().map(Room::look).collect();
        rooms.iter().for_each(|room| counts += room.counts);
        ShardLook {
            rooms,
            counts,
            joins: self.tally.joins,
            refusals: self.tally.refusals.iter().map(|(reason, count)| (*reason, *count)).collect(),
            left: self.tally.left,
            lost: self.tally.lost,
            given_up: self.tally.given_up,
            secured: self.secured(),
            busy_ns: 0,
            running_ns: 0,
            events_held: 0,
            usage_held: 0,
        }
    }

    fn secured(&self) -> Vec<Secured> {
        let mut kinds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let peers = self.rooms.values().flat_map(|room| room.peers.values());
        for (version, profile, count) in peers.filter_map(Peer::secured) {
            *kinds.entry((version, profile)).or_default() += count;
        }
        kinds.into_iter().map(|((version, profile), count)| (version, profile, count)).collect()
    }

    /// How much there is of everything that comes and goes with legs.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> Sizes {
        let (names, tuples) = self.demux.sizes();
        Sizes {
            rooms: self.rooms.len(),
            legs: self.place_by_leg.len(),
            places: self.legs.load(Ordering::Relaxed),
            names,
            tuples,
            timers: self.timers.len(),
        }
    }
}
