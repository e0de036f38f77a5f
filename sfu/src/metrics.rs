//! What can be seen of a running node: plain numbers, counted where things happen and collected when somebody looks.
//!
//! The packet path adds to integers that only its own thread knows. [`crate::Handle::look`] asks each thread for them
//! between two turns, so that nothing is shared and nothing is summed up while nobody looks.

use std::ops::AddAssign;

use crate::control::{Refusal, RoomId};

/// Why a datagram or a packet went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It came from an address that no check has opened.
    Stranger,
    /// Its leg has sent more than one may.
    Excess,
    /// A picture that came faster than the plan of whoever pays lets its publisher send.
    OverPlan,
    /// It came from an opened address but did not prove to be the leg's own.
    Unproven,
    /// Media of somebody who has not entered.
    Lobby,
    /// Nobody at the leg's address has been heard lately, so nothing is sent there.
    NoConsent,
    /// More waited for one connection than may.
    QueueFull,
}

impl Dropped {
    /// All of them, in the order of their counters.
    pub const ALL: [Dropped; 7] = [
        Dropped::Stranger,
        Dropped::Excess,
        Dropped::OverPlan,
        Dropped::Unproven,
        Dropped::Lobby,
        Dropped::NoConsent,
        Dropped::QueueFull,
    ];

    /// The reason's name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Dropped::Stranger => "stranger",
            Dropped::Excess => "excess",
            Dropped::OverPlan => "over_plan",
            Dropped::Unproven => "unproven",
            Dropped::Lobby => "lobby",
            Dropped::NoConsent => "no_consent",
            Dropped::QueueFull => "queue_full",
        }
    }
}

/// What one connection, one room or one shard has counted. Never falls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that came from legs and were taken.
    pub packets_in: u64,
    /// Their bytes of UDP payload.
    pub bytes_in: u64,
    /// Datagrams of RTP and RTCP that were sent.
    pub packets_out: u64,
    /// Their bytes of UDP payload.
    pub bytes_out: u64,
    /// Requests for keyframes by those who watch.
    pub keyframes_wanted: u64,
    /// Requests for keyframes to those who publish, after merging.
    pub keyframes_asked: u64,
    /// Packets that those who watch reported missing (NACK).
    pub nacked: u64,
    /// Packets that were sent again (RTX).
    pub repaired: u64,
    dropped: [u64; Dropped::ALL.len()],
}

impl Counts {
    /// How many were dropped for this reason.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped[why as usize]
    }

    pub(crate) fn drop(&mut self, why: Dropped) {
        self.drop_many(why, 1);
    }

    pub(crate) fn drop_many(&mut self, why: Dropped, count: u64) {
        self.dropped[why as usize] += count;
    }

    pub(crate) fn received(&mut self, bytes: usize) {
        self.packets_in += 1;
        self.bytes_in += bytes as u64;
    }

    pub(crate) fn sent(&mut self, packets: usize, bytes: usize) {
        self.packets_out += packets as u64;
        self.bytes_out += bytes as u64;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.packets_in += other.packets_in;
        self.bytes_in += other.bytes_in;
        self.packets_out += other.packets_out;
        self.bytes_out += other.bytes_out;
        self.keyframes_wanted += other.keyframes_wanted;
        self.keyframes_asked += other.keyframes_asked;
        self.nacked += other.nacked;
        self.repaired += other.repaired;
        for (sum, more) in self.dropped.iter_mut().zip(other.dropped) {
            *sum += more;
        }
    }
}

/// A room as its shard sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomLook {
    /// Which.
    pub room: RoomId,
    /// Legs that are connected but have not entered.
    pub lobby: usize,
    /// Legs that have entered.
    pub entered: usize,
    /// Since the room began here.
    pub counts: Counts,
}

impl RoomLook {
    fn add(&mut self, part: &RoomLook) {
        self.lobby += part.lobby;
        self.entered += part.entered;
        self.counts += part.counts;
    }
}

/// How the connections of a shard are secured: DTLS version, SRTP profile, and how many.
pub type Secured = (&'static str, &'static str, usize);

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardLook {
    /// Its rooms now.
    pub rooms: Vec<RoomLook>,
    /// Everything that was ever counted here, its rooms' counts included.
    pub counts: Counts,
    /// Offers that were answered.
    pub joins: u64,
    /// Offers that were not, by reason; those that never happened are left out.
    pub refusals: Vec<(Refusal, u64)>,
    /// Legs that said goodbye.
    pub left: u64,
    /// Legs that were lost.
    pub lost: u64,
    /// Rooms that were given up after a panic.
    pub given_up: u64,
    /// Connections whose handshake is over.
    pub secured: Vec<Secured>,
    /// Nanoseconds for which the thread was at work, since its start.
    pub busy_ns: u64,
    /// Nanoseconds since its start.
    pub running_ns: u64,
    /// Events that the hub has no room for.
    pub events_held: usize,
    /// Batches of counters that the journal's thread has no room for.
    pub usage_held: usize,
}

/// The journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalLook {
    /// Counters that are not on disk yet.
    pub unwritten: usize,
    /// Milliseconds for which there have been such and nothing has reached the disk.
    pub unwritten_ms: u64,
    /// Counters that the hub has not confirmed.
    pub unshipped: usize,
    /// Milliseconds for which there have been such and the hub has confirmed nothing.
    pub unshipped_ms: u64,
}

/// The TURN server of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnLook {
    /// Connections now, with an allocation or on the way to one.
    pub connections: u64,
    /// Allocations that were made since the start.
    pub allocations: u64,
    /// Connections that ended without one: too slow, too many, or none of TURN's.
    pub shed: u64,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLook {
    /// Its shards; `None` for one that did not answer in time.
    pub shards: Vec<Option<ShardLook>>,
    /// Its journal, when its thread answered in time.
    pub journal: Option<JournalLook>,
    /// Its TURN server, if it has one.
    pub turn: Option<TurnLook>,
    /// Events that the hub has not taken yet.
    pub events_waiting: usize,
    /// How many legs there may be.
    pub legs_max: usize,
}

impl NodeLook {
    /// All rooms, the busiest first: the first `most`, and the rest as one.
    pub fn busiest_rooms(&self, most: usize) -> (Vec<RoomLook>, Counts) {
        let mut rooms: Vec<RoomLook> = Vec::new();
        let mut parts: Vec<&RoomLook> = self.shards.iter().flatten().flat_map(|shard| &shard.rooms).collect();
        parts.sort_by_key(|part| part.room);
        for part in parts {
            // A large room is in parts on several shards.
            match rooms.last_mut().filter(|room| room.room == part.room) {
                Some(room) => room.add(part),
                None => rooms.push(part.clone()),
            }
        }
        rooms.sort_by_key(|room| {
            (std::cmp::Reverse(room.counts.packets_in + room.counts.packets_out), room.room)
        });
        let mut rest = Counts::default();
        for room in rooms.drain(most.min(rooms.len())..) {
            rest += room.counts;
        }
        (rooms, rest)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_busiest_rooms_are_shown_and_the_rest_is_one() {
        let room = |n: u64| {
            let counts = Counts { packets_in: n, packets_out: 1, ..Counts::default() };
            RoomLook { room: RoomId(Uuid::from_u128(u128::from(n))), lobby: 0, entered: 1, counts }
        };
        let shard = |rooms: Vec<RoomLook>| ShardLook {
            rooms,
            counts: Counts::default(),
            joins: 0,
            refusals: Vec::new(),
            left: 0,
            lost: 0,
            given_up: 0,
            secured: Vec::new(),
            busy_ns: 0,
            running_ns: 0,
            events_held: 0,
            usage_held: 0,
        };
        let look = NodeLook {
            shards: vec![Some(shard(vec![room(1), room(5)])), None, Some(shard(vec![room(3), room(4)]))],
            journal: None,
            turn: None,
            events_waiting: 0,
            legs_max: 1,
        };
        let (shown, rest) = look.busiest_rooms(2);
        assert_eq!(shown, [room(5), room(4)]);
        assert_eq!((rest.packets_in, rest.packets_out), (4, 2));
        let (all, rest) = look.busiest_rooms(9);
        assert_eq!((all.len(), rest), (4, Counts::default()));
        let shards = vec![Some(shard(vec![room(1), room(5)])), Some(shard(vec![room(5)]))];
        let (shown, _) = NodeLook { shards, ..look }.busiest_rooms(1);
        assert_eq!((shown[0].entered, shown[0].counts.packets_in), (2, 10), "a room in parts is one");
    }
}
