//! One shard: its rooms, its door and its timers. A panic in a room's path ends that room; the others go on.

mod insight;
mod joining;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use str0m::config::DtlsCert;
use str0m::crypto::CryptoProvider;

use crate::control::{Command, Event, LegId, RoomId, UsageFact};
use crate::demux::{Demux, Place};
use crate::egress::{EgressKind, Path, Wire, train};
use crate::fast_join;
use crate::keys;
use crate::metrics::Dropped;
use crate::peer::{Datagram, Incoming, Now};
use crate::relay::{Relay, Shards, Word};
use crate::remote::{ConnectionId, Remote, Transport};
use crate::room::{Out, Room};
use crate::slab::{Key, Slab};
#[cfg(test)]
pub(crate) use insight::Sizes;
use insight::Tally;

/// Speakers, layers and losses are looked after this often.
const TICK_EVERY: Duration = Duration::from_millis(100);
/// Changed counters are handed to the journal this often.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);
/// A leg's timer is set no further ahead than this: a connection that is over names a time in years, and its timer would
/// outlive it.
const TIMER_AHEAD_MAX: Duration = Duration::from_secs(1);
/// Wants of one view at most.
const WANTS_MAX: usize = 64;

/// The state of one shard. Sans IO: datagrams, commands and time in; [`Out`] out.
pub(crate) struct Shard {
    rooms: Slab<Room>,
    room_by_id: BTreeMap<RoomId, Key>,
    place_by_leg: BTreeMap<LegId, Place>,
    demux: Demux,
    timers: BinaryHeap<Reverse<(Instant, Place)>>,
    /// Rooms that have something to send at the end of the turn.
    waiting: Vec<Key>,
    /// The addresses that callers are told.
    candidates: Vec<SocketAddr>,
    /// The same for TCP.
    tcp_candidates: Vec<SocketAddr>,
    crypto: Arc<CryptoProvider>,
    /// For those whose handshake we begin.
    crypto_aead: Arc<CryptoProvider>,
    certificate: Option<DtlsCert>,
    /// Legs of all shards, and how many there may be.
    legs: Arc<AtomicUsize>,
    legs_max: usize,
    tick_at: Instant,
    checkpoint_at: Instant,
    egress: EgressKind,
    shards: Shards,
    /// Where packets are written and sealed before they leave.
    buffer: Vec<u8>,
    tally: Tally,
    pub(crate) out: Out,
}

impl Shard {
    /// A shard that is reached at these addresses.
    pub(crate) fn new(
        candidates: Vec<SocketAddr>,
        legs: Arc<AtomicUsize>,
        legs_max: usize,
        egress: EgressKind,
        shards: Shards,
        now: Instant,
    ) -> Self {
        let crypto = Arc::new(keys::overheard());
        Shard {
            rooms: Slab::default(),
            room_by_id: BTreeMap::new(),
            place_by_leg: BTreeMap::new(),
            demux: Demux::default(),
            timers: BinaryHeap::new(),
            waiting: Vec::new(),
            candidates,
            tcp_candidates: Vec::new(),
            certificate: crypto.dtls_provider.generate_certificate(),
            crypto,
            crypto_aead: Arc::new(keys::overheard_aead()),
            legs,
            legs_max,
            tick_at: now + TICK_EVERY,
            checkpoint_at: now + CHECKPOINT_EVERY,
            egress,
            shards,
            buffer: vec![0; train::BYTES],
            tally: Tally::default(),
            out: Out::default(),
        }
    }

    /// Tells callers these addresses, too, where they may connect.
    pub(crate) fn with_tcp(mut self, candidates: Vec<SocketAddr>) -> Self {
        self.tcp_candidates = candidates;
        self
    }

    /// Does what signalling asks.
    pub(crate) fn command(&mut self, command: Command, now: Now) {
        match command {
            Command::Join { leg, room, tenant, offer, sends } => {
                if let Err(reason) = self.join(leg, room, tenant, &offer, &sends, now) {
                    *self.tally.refusals.entry(reason).or_default() += 1;
                    self.out.events.push(Event::Refused { leg, reason });
                }
            }
            Command::Offer { leg, offer, sends } => self.offer(leg, &offer, &sends, now),
            Command::Enter { leg } => {
                self.for_leg(leg, now, |room, at, out| room.enter(at, Duration::ZERO, now, out));
            }
            Command::TakeOver { leg, free_ms } => {
                let free = Duration::from_millis(free_ms.into());
                self.for_leg(leg, now, |room, at, out| room.enter(at, free, now, out));
            }
            Command::Limit { leg, kbps } => {
                self.for_leg(leg, now, |room, at, _| room.limit(at, kbps, now.instant));
            }
            Command::Mute { leg, source, muted } => {
                self.for_leg(leg, now, |room, at, out| room.mute(at, source, muted, now, out));
            }
            Command::View { leg, mut wants } => {
                wants.truncate(WANTS_MAX);
                self.for_leg(leg, now, |room, at, out| room.view(at, wants, now, out));
            }
            Command::Tap { leg, seconds, packets } => {
                self.for_leg(leg, now, |room, at, _| room.tap(at, seconds, packets, now));
            }
            Command::Leave { leg } => {
                self.for_leg(leg, now, |room, at, out| room.leave(at, Event::Left { leg }, now, out));
            }
            Command::UsageStored { .. } => {}
        }
    }

    /// A datagram from a socket that is known to callers as `local`. Answers whether it was let in.
    pub(crate) fn datagram(&mut self, local: SocketAddr, remote: Remote, datagram: &[u8], now: Now) -> bool {
        // Anybody may have sent this: a check that trips its parser up is dropped like any other rubbish.
        let routed = catch_unwind(AssertUnwindSafe(|| self.demux.route(remote, datagram)));
        let Ok(Some(admitted)) = routed else {
            self.tally.past.drop(Dropped::Stranger);
            return false;
        };
        // Of several advertised addresses behind one socket, the first of the family stands for all.
        let known = match remote.transport {
            Transport::Udp => &self.candidates,
            Transport::Tcp(_) => &self.tcp_candidates,
        };
        let local = if known.contains(&local) {
            local
        } else {
            let Some(local) = fast_join::local_for(remote.address, known) else { return false };
            local
        };
        let Place { room, peer } = admitted.place;
        let authenticated = admitted.authenticated;
        let incoming = Incoming { local, remote, bytes: datagram, authenticated };
        self.in_room(room, now, |room, out| room.receive(peer, &incoming, now, out));
        true
    }

    /// The TCP connections that are nobody's any more, each once.
    pub(crate) fn orphans(&mut self) -> impl Iterator<Item = ConnectionId> {
        self.demux.orphans()
    }

    /// A word from another shard; what concerns no room here is no news.
    pub(crate) fn relayed(&mut self, shard: usize, relay: Relay, now: Now) {
        if let Some(room) = self.room_by_id.get(&relay.room).copied() {
            self.in_room(room, now, |room, out| room.relayed(shard, relay.word, now, out));
        }
    }

    /// Does everything that is due.
    pub(crate) fn time(&mut self, now: Now) {
        while let Some(Reverse((at, place))) = self.timers.peek().copied()
            && at <= now.instant
        {
            self.timers.pop();
            self.in_room(place.room, now, |room, out| room.timer(place.peer, at, now, out));
        }
        if now.instant >= self.tick_at {
            self.tick_at = now.instant + TICK_EVERY;
            for room in self.rooms.keys().collect::<Vec<_>>() {
                self.in_room(room, now, |room, out| room.tick(now, out));
            }
        }
    }

    /// Sends what the turn has brought. What connections say of themselves goes first: the record that ends a handshake has
    /// to be there before what is sealed with its keys, or a browser drops that, the first picture among it.
    pub(crate) fn write(&mut self, now: Now, wire: &mut dyn Wire) {
        self.write_control(wire);
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut buffer = std::mem::take(&mut self.buffer);
        waiting.retain(|room| {
            let held_until = self.rooms.get(*room).and_then(Room::held_until);
            let is_held = held_until.is_some_and(|until| now.instant < until);
            if !is_held {
                self.in_room(*room, now, |room, out| room.write(now, wire, &mut buffer, out));
            }
            is_held
        });
        self.buffer = buffer;
        waiting.append(&mut self.waiting);
        self.waiting = waiting;
        // Of keyframes that are missing now, for instance.
        self.write_control(wire);
    }

    /// Sends what str0m has to say.
    fn write_control(&mut self, wire: &mut dyn Wire) {
        for datagram in self.out.datagrams.drain(..) {
            let Datagram { local, remote, bytes } = &datagram;
            wire.send(Path { local: *local, remote: *remote }, bytes, bytes.len());
        }
    }

    /// The counters that changed, when it is time for a checkpoint.
    pub(crate) fn checkpoint(&mut self, now: Now) -> Vec<UsageFact> {
        let mut facts = Vec::new();
        if now.instant >= self.checkpoint_at {
            self.checkpoint_at = now.instant + CHECKPOINT_EVERY;
            for room in self.rooms.values_mut() {
                room.checkpoint(now, &mut facts);
            }
        }
        facts
    }

    /// When [`Shard::time`] has something to do next.
    pub(crate) fn deadline(&self) -> Instant {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let waiting = self.waiting.iter().filter_map(|room| self.rooms.get(*room)?.held_until());
        let due = waiting.chain(timer).chain([self.tick_at, self.checkpoint_at]);
        due.min().unwrap_or(self.tick_at)
    }

    /// The next packet of this room will find a bug.
    #[cfg(test)]
    pub(crate) fn plant_panic(&mut self, room: RoomId) {
        if let Some(room) = self.room_by_id.get(&room).and_then(|room| self.rooms.get_mut(*room)) {
            room.planted = true;
        }
    }

    /// Ends all legs.
    pub(crate) fn stop(&mut self, now: Now) {
        for leg in self.place_by_leg.keys().copied().collect::<Vec<_>>() {
            self.for_leg(leg, now, |room, at, out| room.leave(at, Event::Lost { leg }, now, out));
        }
    }

    fn for_leg(&mut self, leg: LegId, now: Now, act: impl FnOnce(&mut Room, Key, &mut Out)) {
        if let Some(place) = self.place_by_leg.get(&leg).copied() {
            self.in_room(place.room, now, |room, out| act(room, place.peer, out));
        }
    }

    /// Acts in a room; a panic there gives the room up and nothing else.
    fn in_room(&mut self, at: Key, now: Now, act: impl FnOnce(&mut Room, &mut Out)) {
        let Some(room) = self.rooms.get_mut(at) else { return };
        let (ended, was_waiting) = (self.out.usage.len(), room.is_waiting());
        let out = &mut self.out;
        if catch_unwind(AssertUnwindSafe(|| act(room, out))).is_err() {
            self.give_up(at, now);
        } else if !was_waiting && room.is_waiting() {
            self.waiting.push(at);
        }
        self.set_timers(at, now.instant);
        self.forget_ended(at, ended);
    }

    /// A room that cannot be trusted any more: its counters are kept, its people are told.
    fn give_up(&mut self, at: Key, now: Now) {
        let Some(mut room) = self.rooms.remove(at) else { return };
        self.forget_room(room.id);
        self.tally.given_up += 1;
        self.tally.past += room.counts();
        tracing::error!(room = %room.id.0, "a room is given up after a panic in its path");
        for at in room.peers.keys() {
            let Some(peer) = room.peers.get_mut(at) else { continue };
            let leg = peer.leg;
            peer.usage.advance(now.instant, now.wall);
            self.out.usage.push((peer.usage.take_changed(), Some(Event::Lost { leg })));
        }
        // What a broken state does when it is dropped is its own affair.
        let _dropped = catch_unwind(AssertUnwindSafe(|| drop(room)));
    }

    fn set_timers(&mut self, at: Key, now: Instant) {
        let Some(room) = self.rooms.get_mut(at) else { return self.out.touched.clear() };
        for key in self.out.touched.drain(..) {
            let Some(peer) = room.peers.get_mut(key) else { continue };
            let due = peer.due_at().min(now + TIMER_AHEAD_MAX);
            if peer.timer.is_none_or(|timer| timer > due) {
                peer.timer = Some(due);
                self.timers.push(Reverse((due, Place { room: at, peer: key })));
            }
        }
    }

    /// Closes the doors of legs that ended since `first`.
    fn forget_ended(&mut self, at: Key, first: usize) {
        for (_, then) in &self.out.usage[first..] {
            if let Some(Event::Left { leg } | Event::Lost { leg }) = then
                && let Some(place) = self.place_by_leg.remove(leg)
            {
                match then {
                    Some(Event::Left { .. }) => self.tally.left += 1,
                    _ => self.tally.lost += 1,
                }
                self.demux.forget(place);
                self.legs.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if self.rooms.get(at).is_some_and(|room| room.peers.is_empty())
            && let Some(room) = self.rooms.remove(at)
        {
            self.tally.past += room.counts();
            self.forget_room(room.id);
        }
    }

    /// Nobody of a room is here any more; the other shards may have some of it.
    fn forget_room(&mut self, room: RoomId) {
        self.room_by_id.remove(&room);
        for shard in self.shards.others() {
            self.out.relays.push((shard, Relay { room, word: Word::Closed }));
        }
    }
}

#[cfg(test)]
mod tests {
    use str0m::RtcConfig;
    use str0m::media::{Direction, MediaKind};
    use uuid::Uuid;

    use super::*;
    use crate::control::TenantId;

    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    fn start() -> Now {
        Now { instant: Instant::now(), wall: jiff::Timestamp::UNIX_EPOCH }
    }

    fn after(now: Now, ms: u64) -> Now {
        let span = Duration::from_millis(ms);
        Now { instant: now.instant + span, wall: now.wall + span }
    }

    fn shard(legs_max: usize, now: Now) -> Shard {
        Shard::new(
            vec![([127, 0, 0, 1], 9).into()],
            Arc::default(),
            legs_max,
            EgressKind::Own,
            Shards::ONE,
            now.instant,
        )
    }

    fn leg(n: u128) -> LegId {
        LegId(Uuid::from_u128(n))
    }

    fn join(shard: &mut Shard, leg: LegId, room: u128, now: Now) {
        let mut rtc = RtcConfig::new().build(now.instant);
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, _pending) = api.apply().unwrap();
        let (room, tenant) = (RoomId(Uuid::from_u128(room)), TenantId(Uuid::nil()));
        let offer = offer.to_sdp_string();
        shard.command(Command::Join { leg, room, tenant, offer, sends: Vec::new() }, now);
        assert!(matches!(shard.out.events.pop(), Some(Event::Joined { slots, .. }) if slots.len() == 1));
    }

    fn ended(shard: &mut Shard) -> Vec<Event> {
        shard.out.usage.drain(..).filter_map(|(_, then)| then).collect()
    }

    #[test]
    fn a_leg_that_never_comes_is_lost_and_leaves_nothing_behind() {
        let t0 = start();
        let mut shard = shard(1, t0);
        join(&mut shard, leg(1), 1, t0);
        // The DTLS handshake, whose own patience varies, may give up a little before we do.
        for second in 1..=20 {
            shard.time(after(t0, second * 1_000));
            assert!(ended(&mut shard).is_empty(), "lost after {second} s");
        }
        shard.time(after(t0, 30_200));
        assert_eq!(ended(&mut shard), [Event::Lost { leg: leg(1) }]);
        assert_eq!((shard.rooms.len(), shard.place_by_leg.len()), (0, 0));
        join(&mut shard, leg(2), 1, after(t0, 31_000));
    }

    #[test]
    fn a_panic_costs_its_room_and_nobody_else() {
        let t0 = start();
        let mut shard = shard(3, t0);
        join(&mut shard, leg(1), 1, t0);
        join(&mut shard, leg(2), 1, t0);
        join(&mut shard, leg(3), 2, t0);
        shard.for_leg(leg(1), t0, |_, _, _| panic!("planted"));
        assert_eq!(ended(&mut shard), [Event::Lost { leg: leg(1) }, Event::Lost { leg: leg(2) }]);
        shard.time(after(t0, 1_000));
        assert!(ended(&mut shard).is_empty());
        join(&mut shard, leg(4), 1, after(t0, 1_000));
        shard.command(Command::Leave { leg: leg(3) }, after(t0, 1_000));
        assert_eq!(ended(&mut shard), [Event::Left { leg: leg(3) }]);
    }

    #[test]
    fn stopping_ends_every_leg() {
        let t0 = start();
        let mut shard = shard(9, t0);
        join(&mut shard, leg(1), 1, t0);
        join(&mut shard, leg(2), 2, t0);
        shard.stop(t0);
        assert_eq!(ended(&mut shard), [Event::Lost { leg: leg(1) }, Event::Lost { leg: leg(2) }]);
    }
}
