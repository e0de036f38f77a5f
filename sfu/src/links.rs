//! What connects the threads of the shards: a ring for each direction between two of them, and a bell for each that wakes
//! it. One thread writes a ring and one reads it, so neither waits for the other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};
use rustix::event::{EventfdFlags, eventfd};

use crate::relay::{Relay, Shards};

/// Relays that wait for a shard at most. Further packets are lost, as on any line; whatever else is lost is said again.
const RING: usize = 4_096;

/// Wakes a thread that polls it.
#[derive(Debug, Clone)]
pub(crate) struct Bell(Arc<OwnedFd>);

impl Bell {
    fn new() -> io::Result<Bell> {
        Ok(Bell(Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)))
    }

    /// Wakes the thread now or as soon as it sleeps.
    pub(crate) fn ring(&self) {
        // A full counter already means that the bell has rung.
        let _rung = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// Lets it be rung again.
    pub(crate) fn silence(&self) {
        let mut rung = [0; 8];
        let _count = rustix::io::read(&*self.0, &mut rung);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// One shard's ends of everything.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) shards: Shards,
    pub(crate) bell: Bell,
    to: Vec<Way>,
    from: Vec<(usize, Consumer<Relay>)>,
}

/// To one other shard.
#[derive(Debug)]
struct Way {
    shard: usize,
    ring: Producer<Relay>,
    bell: Bell,
    /// Something new is in the ring.
    is_fresh: bool,
}

/// The links of so many shards, in their order.
pub(crate) fn mesh(count: usize) -> io::Result<Vec<Links>> {
    let alone = |own| {
        let shards = Shards { own, count };
        Ok(Links { shards, bell: Bell::new()?, to: Vec::new(), from: Vec::new() })
    };
    let mut all: Vec<Links> = (0..count).map(alone).collect::<io::Result<_>>()?;
    for from in 0..count {
        for to in all[from].shards.others() {
            let (ring, end) = RingBuffer::new(RING);
            let bell = all[to].bell.clone();
            all[from].to.push(Way { shard: to, ring, bell, is_fresh: false });
            all[to].from.push((from, end));
        }
    }
    Ok(all)
}

impl Links {
    /// Hands relays over, and wakes each shard that got any, once.
    pub(crate) fn send(&mut self, relays: impl Iterator<Item = (usize, Relay)>) {
        for (shard, relay) in relays {
            if let Some(way) = self.to.iter_mut().find(|way| way.shard == shard) {
                way.is_fresh |= way.ring.push(relay).is_ok();
            }
        }
        for way in self.to.iter_mut().filter(|way| way.is_fresh) {
            way.is_fresh = false;
            way.bell.ring();
        }
    }

    /// Takes so many relays of each shard at most. Answers whether there may be more.
    pub(crate) fn take(&mut self, most: usize, mut take: impl FnMut(usize, Relay)) -> bool {
        let mut more = false;
        for (shard, ring) in &mut self.from {
            let waiting = (0..most).map_while(|_| ring.pop().ok());
            waiting.for_each(|relay| take(*shard, relay));
            more |= !ring.is_empty();
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use uuid::Uuid;

    use super::*;
    use crate::control::RoomId;
    use crate::relay::Word;

    fn relay(n: u128) -> Relay {
        Relay { room: RoomId(Uuid::from_u128(n)), word: Word::Closed }
    }

    fn is_rung(bell: &Bell) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(bell, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    fn taken(links: &mut Links, most: usize) -> (Vec<(usize, u128)>, bool) {
        let mut taken = Vec::new();
        let more = links.take(most, |shard, relay| taken.push((shard, relay.room.0.as_u128())));
        (taken, more)
    }

    #[test]
    fn what_is_sent_arrives_in_order_and_wakes_who_it_is_for() {
        let mut links = mesh(3).unwrap();
        links[0].send([(1, relay(1)), (1, relay(2)), (2, relay(3)), (1, relay(4))].into_iter());
        links[2].send([(1, relay(5))].into_iter());
        assert!(!is_rung(&links[0].bell) && is_rung(&links[1].bell) && is_rung(&links[2].bell));
        links[1].bell.silence();
        assert!(!is_rung(&links[1].bell));
        assert_eq!(taken(&mut links[1], 2), (vec![(0, 1), (0, 2), (2, 5)], true));
        assert_eq!(taken(&mut links[1], 2), (vec![(0, 4)], false));
        assert_eq!(taken(&mut links[2], 2), (vec![(0, 3)], false));
    }

    #[test]
    fn a_full_ring_loses_the_newest_and_holds_nobody_up() {
        let mut links = mesh(2).unwrap();
        links[0].send((0..10_000).map(|n| (1, relay(n))));
        let (taken, more) = taken(&mut links[1], 10_000);
        assert_eq!((taken.len(), taken.last(), more), (RING, Some(&(0, RING as u128 - 1)), false));
    }
}
