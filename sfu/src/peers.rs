//! The people of a room: found by key on the packet path, by leg where signalling names them.

use std::collections::BTreeMap;

use crate::control::LegId;
use crate::peer::Peer;
use crate::slab::{Key, Slab};

/// All connections of one room.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// Boxed: one takes 11 kB, and a room that was large gives back what it does not need.
    slab: Slab<Box<Peer>>,
    /// Whatever goes through all of them goes in this order.
    key_by_leg: BTreeMap<LegId, Key>,
}

impl Peers {
    /// Somebody comes.
    pub(crate) fn insert(&mut self, peer: Peer) -> Key {
        let leg = peer.leg;
        let key = self.slab.insert(Box::new(peer));
        self.key_by_leg.insert(leg, key);
        key
    }

    /// Somebody goes.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Peer> {
        let peer = self.slab.remove(key)?;
        self.key_by_leg.remove(&peer.leg);
        Some(*peer)
    }

    /// Somebody, by key.
    pub(crate) fn get(&self, key: Key) -> Option<&Peer> {
        self.slab.get(key).map(Box::as_ref)
    }

    /// Somebody, by key, to change.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Peer> {
        self.slab.get_mut(key).map(Box::as_mut)
    }

    /// The key of a leg.
    pub(crate) fn key_of(&self, leg: LegId) -> Option<Key> {
        self.key_by_leg.get(&leg).copied()
    }

    /// Somebody, by leg.
    pub(crate) fn of(&self, leg: LegId) -> Option<&Peer> {
        self.get(self.key_of(leg)?)
    }

    /// Somebody, by leg, to change.
    pub(crate) fn of_mut(&mut self, leg: LegId) -> Option<&mut Peer> {
        self.get_mut(self.key_of(leg)?)
    }

    /// All keys, by leg. A copy: what is done with each may change who is here.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.key_by_leg.values().copied().collect()
    }

    /// All of them, in no order that means anything.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Peer> {
        self.slab.values().map(Box::as_ref)
    }

    /// All of them, to change.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.slab.values_mut().map(Box::as_mut)
    }

    /// Whether nobody is here.
    pub(crate) fn is_empty(&self) -> bool {
        self.key_by_leg.is_empty()
    }
}
