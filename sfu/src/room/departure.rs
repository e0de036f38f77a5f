//! What leaves at the end of a turn. The subscribers are gone through once for all packets that came: what each of them needs
//! is cold, and what is done while it is warm costs next to nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::egress::Wire;
use crate::forward::Packet;
use crate::peer::Now;
use crate::slab::Key;
use crate::track::Route;

use super::{Out, Room};

/// How long a packet waits for the rest of its picture, so that the kernel is called once for all of it.
const TOGETHER: Duration = Duration::from_micros(300);
/// Packets that are gone through at once; a batch of receptions rarely brings more.
const ARRIVED_MAX: usize = 64;

impl Room {
    /// Whether [`Room::write`] has something to do.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.arrived.is_empty() || !self.waiting.is_empty()
    }

    /// Until when what waits is held back, as more of the same picture is about to come.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.incomplete_since.map(|since| since + TOGETHER)
    }

    /// Takes a packet that goes into these slots at the end of the turn.
    pub(super) fn arrive(&mut self, packet: &Arc<Packet>, route: Route, now: Now, out: &mut Out) {
        if route.is_empty() {
            return;
        }
        self.arrived.push((packet.clone(), route));
        if self.arrived.len() >= ARRIVED_MAX {
            self.settle(now, out);
        }
    }

    /// Brings what has arrived into its slots, before anything changes there.
    pub(super) fn settle(&mut self, now: Now, out: &mut Out) {
        self.play_arrived(now, out, |_, _, _| {});
    }

    /// Sends what waits.
    pub(crate) fn write(&mut self, now: Now, wire: &mut dyn Wire, buffer: &mut [u8], out: &mut Out) {
        self.incomplete_since = None;
        self.play_arrived(now, out, |room, at, out| room.write_to(at, now, wire, buffer, out));
        let mut waiting = std::mem::take(&mut self.waiting);
        for at in waiting.drain(..) {
            self.write_to(at, now, wire, buffer, out);
        }
        self.waiting = waiting;
    }

    /// Goes through the subscribers of each picture and each voice. `then` is done with those who have all that arrived.
    fn play_arrived(&mut self, now: Now, out: &mut Out, mut then: impl FnMut(&mut Room, Key, &mut Out)) {
        let mut arrived = std::mem::take(&mut self.arrived);
        let mut runs = arrived.chunk_by(|(_, one), (_, other)| Arc::ptr_eq(one, other)).peekable();
        while let Some(run) = runs.next() {
            let is_last = runs.peek().is_none();
            let route = run.first().map_or(&[][..], |(_, route)| route);
            for (subscriber, slot) in route {
                for (packet, _) in run {
                    self.play(*subscriber, *slot, packet, now, out);
                }
                if is_last {
                    then(self, *subscriber, out);
                }
            }
        }
        arrived.clear();
        arrived.append(&mut self.arrived);
        self.arrived = arrived;
        let mut changing = std::mem::take(&mut self.changing);
        changing.drain(..).for_each(|(at, slot)| self.change_layer(at, slot, now, out));
        self.changing = changing;
    }

    /// Offers a packet to one slot.
    pub(super) fn play(&mut self, at: Key, slot: usize, packet: &Arc<Packet>, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let Some(mut said) = peer.play(slot, packet, now, &mut out.datagrams) else {
            let is_expected = peer.players.get(slot).is_some_and(|slot| slot.player.expects(&packet.source));
            if is_expected && self.changing.last() != Some(&(at, slot)) {
                self.changing.push((at, slot));
            }
            return;
        };
        if !self.queue(at, now.instant) {
            out.touched.push(at);
            self.attend(at, &mut said, now, out);
        }
    }

    /// Puts a peer on the list of those who have something to send, if it has. Answers whether it is there.
    pub(super) fn queue(&mut self, at: Key, now: Instant) -> bool {
        let Some(peer) = self.peers.get_mut(at) else { return false };
        if peer.begins_to_wait(now) {
            self.waiting.push(at);
        }
        peer.queued
    }

    /// Writes to one of those on the list.
    fn write_to(&mut self, at: Key, now: Now, wire: &mut dyn Wire, buffer: &mut [u8], out: &mut Out) {
        if self.waiting.last() == Some(&at) {
            self.waiting.pop();
        }
        let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.queued) else { return };
        peer.write(now, wire, buffer);
        if peer.is_early() {
            out.touched.push(at);
        }
    }
}
