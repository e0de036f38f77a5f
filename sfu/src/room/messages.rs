//! What people of a call write to each other.

use crate::allowance::Allowance;
use crate::control::LegId;
use crate::messages::{Delivery, Message};
use crate::peer::Now;
use crate::relay::{Relay, Word};
use crate::slab::Key;

use super::{Out, Room};

impl Room {
    /// A message of somebody here, to those in the call that it is for. What its sender cannot afford is cut here; only
    /// the people on this shard are told how much that was.
    pub(super) fn pass_on(&mut self, sender: Key, delivery: Delivery, bytes: &[u8], now: Now, out: &mut Out) {
        let Some(message) = Message::parse(bytes) else { return };
        let Some(peer) = self.peers.get_mut(sender).filter(|peer| peer.may_write()) else { return };
        let (from, affords) = (peer.leg, peer.can_afford(bytes.len(), now.instant));
        self.hand_out(&message, (from, delivery, affords.then_some(bytes.len())), now, out);
        if affords {
            for shard in self.elsewhere.shards() {
                let word = Word::Message { from, delivery, bytes: bytes.into() };
                out.relays.push((shard, Relay { room: self.id, word }));
            }
        }
    }

    /// Gives a message of so many bytes to those here that it is for; `None` is one that was cut.
    pub(super) fn hand_out(
        &mut self,
        message: &Message<'_>,
        (from, delivery, bytes): (LegId, Delivery, Option<usize>),
        now: Now,
        out: &mut Out,
    ) {
        for at in self.peers.keys() {
            let fan_out = self.fan_out.get_or_insert_with(|| Allowance::for_fan_out(now.instant));
            let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.entered.is_some()) else { continue };
            if peer.leg == from || !message.is_for(peer.leg) {
                continue;
            }
            let Some(bytes) = bytes.filter(|_| fan_out.is_left(now.instant)) else {
                peer.miss(delivery);
                continue;
            };
            fan_out.spend(bytes);
            if let Some(mut said) = peer.deliver(message, from, delivery, now, &mut out.datagrams) {
                out.touched.push(at);
                self.attend(at, &mut said, now, out);
            }
        }
    }
}
