//! Which layer of a picture a subscriber is sent: by its line, where that is known, and by its size on screen.

use std::time::Instant;

use crate::congestion::allocate::{Allocator, Capacity, Offered, Wanted, goal_bps};
use crate::control::{Event, Kind, TrackKey};
use crate::forward::LayerId;
use crate::peer::{Now, Peer};
use crate::slab::Key;
use crate::track::Track;

use super::{Out, Room};

/// What a slot's track is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// This layer plays.
    Layer(LayerId),
    /// The same in place of one that the subscriber's line does not take: that one ends at once, for what it still sent
    /// would stand before the other's keyframe.
    Less(LayerId),
    /// The subscriber's line does not take it.
    Pause,
}

impl Choice {
    /// What to do with a picture that is given a layer, or none, while another plays.
    fn of(given: Option<Offered>, playing: Option<&Offered>, capacity: &Capacity) -> Self {
        let Some(given) = given else { return Choice::Pause };
        // A scalable stream goes down with its next picture. And what is only a little too much may go on until the
        // other's keyframe comes: a gap would be seen, the few packets too many are not.
        let is_too_much = |playing: &Offered| {
            playing.id.rid != given.id.rid && u64::from(playing.bps) > capacity.bps * 3 / 2
        };
        match playing {
            Some(playing) if is_too_much(playing) => Choice::Less(given.id),
            _ => Choice::Layer(given.id),
        }
    }
}

impl Room {
    /// Takes the layers that fit the line and the sizes on screen. What plays goes on until the other layer's keyframe
    /// comes.
    pub(super) fn choose_layers(&mut self, at: Key, now: Now, out: &mut Out) {
        self.settle(now, out);
        for (slot, track, choice) in self.choices(at, now.instant) {
            let Some(peer) = self.peers.get_mut(at) else { return };
            let is_new = match choice {
                Choice::Layer(layer) => peer.players[slot].player.want(Some((track, layer))),
                Choice::Less(layer) => {
                    peer.pause(slot);
                    peer.players[slot].player.want(Some((track, layer)))
                }
                Choice::Pause => peer.pause(slot),
            };
            if is_new {
                peer.trace_line(now.instant, &choice);
            }
            let is_settled = peer.players[slot].player.is_settled();
            if is_new
                && !is_settled
                && let Choice::Layer(layer) | Choice::Less(layer) = choice
            {
                self.wait_for(at, slot, track, layer, now, out);
            }
        }
    }

    /// A slot is to change to a layer: from its newest keyframe if that has just come, else from one that is asked for.
    fn wait_for(&mut self, at: Key, slot: usize, key: TrackKey, layer: LayerId, now: Now, out: &mut Out) {
        let recent = self.track(key).and_then(|track| track.recent_arrival(layer.rid, now.instant));
        let player = self.peers.get_mut(at).map(|peer| &mut peer.players[slot].player);
        // What plays already gets its larger picture from a keyframe that is yet to come.
        match (player, recent) {
            (Some(player), Some(arrival)) if player.playing_rid(key) != Some(layer.rid) => {
                player.expect(&arrival);
                self.change_layer(at, slot, now, out);
            }
            _ => self.want_keyframe(key, layer, now, out),
        }
    }

    /// Lets the layer that a slot waits for play, as soon as it can go on without a gap.
    pub(super) fn change_layer(&mut self, at: Key, slot: usize, now: Now, out: &mut Out) {
        // What has arrived is among what is kept, and must not leave twice.
        if !self.arrived.is_empty() {
            return;
        }
        let player = |peer: &Peer| peer.players.get(slot).and_then(|slot| slot.player.expected());
        let Some((key, layer)) = self.peers.get(at).and_then(player) else { return };
        let arrival = self.track(key).and_then(|track| track.arrival(layer.rid));
        let (Some(arrival), Some(peer)) = (arrival, self.peers.get_mut(at)) else { return };
        if peer.players[slot].player.gives_way(&arrival, now.instant) {
            let kept = self.track(key).map(|track| track.kept(layer.rid, now.instant));
            for packet in kept.into_iter().flatten() {
                self.play(at, slot, &packet, now, out);
            }
        }
    }

    /// The same for all that a subscriber waits for: time alone may be what was missing.
    pub(super) fn change_layers(&mut self, at: Key, now: Now, out: &mut Out) {
        let slots = self.peers.get(at).map_or(0, |peer| peer.players.len());
        (0..slots).for_each(|slot| self.change_layer(at, slot, now, out));
    }

    /// Tells a subscriber which of its pictures stand still because of its line, when that has changed.
    pub(super) fn tell_paused(&mut self, at: Key, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let mut changed = false;
        for slot in &mut peer.players {
            changed |=
                slot.player.is_paused() != std::mem::replace(&mut slot.told_paused, slot.player.is_paused());
        }
        if changed {
            let paused = peer.players.iter().filter(|slot| slot.told_paused);
            let mids = paused.map(|slot| slot.mid.to_string()).collect();
            out.events.push(Event::Paused { leg: peer.leg, mids });
        }
    }

    /// What each picture of a subscriber is to do: by its line, where that is known, and by its size on screen.
    pub(super) fn choices(&mut self, at: Key, now: Instant) -> Vec<(usize, TrackKey, Choice)> {
        let Some(peer) = self.peers.get_mut(at) else { return Vec::new() };
        let (capacity, mut allocator) = (peer.capacity(now), std::mem::take(&mut peer.allocator));
        let shown: Vec<(usize, TrackKey)> = peer.slots.tracks().collect();
        for (_, key) in &shown {
            if let Some(track) = self.track_mut(*key) {
                track.look(now);
            }
        }
        let (choices, goal_bps) = match &capacity {
            Some(capacity) => self.choices_by_line(at, &shown, capacity, &mut allocator, now),
            None => (self.choices_by_size(at, &shown), None),
        };
        if let Some(peer) = self.peers.get_mut(at) {
            peer.allocator = allocator;
            goal_bps.into_iter().for_each(|goal_bps| peer.set_goal_bps(goal_bps));
        }
        choices
    }

    /// What a subscriber's line takes of what it is shown, and what all of that would be.
    fn choices_by_line(
        &self,
        at: Key,
        shown: &[(usize, TrackKey)],
        capacity: &Capacity,
        allocator: &mut Allocator,
        now: Instant,
    ) -> (Vec<(usize, TrackKey, Choice)>, Option<u64>) {
        let Some(peer) = self.peers.get(at) else { return (Vec::new(), None) };
        let offered = |key: TrackKey| self.track(key).map(Track::offered);
        let want = |&(_, track): &(usize, TrackKey)| {
            let (width, speaks) = (peer.width_of(track), self.speakers.is_speaking(track.leg));
            offered(track).map(|layers| Wanted { track, width, speaks, layers })
        };
        let mut wanted: Vec<Wanted<'_>> = shown.iter().filter_map(want).collect();
        wanted.sort_by_key(|wanted| peer.importance_of(wanted.track));
        let given = allocator.allocate(capacity, &wanted, now);
        let choose = |&(slot, track): &(usize, TrackKey)| {
            let layers =
                offered(track).filter(|layers| track.source.kind() == Kind::Video && !layers.is_empty())?;
            let layer = given.iter().find(|given| given.track == track).and_then(|given| given.layer);
            let playing = peer.players[slot].player.playing_rid(track);
            let playing = layers.iter().rfind(|layer| Some(layer.id.rid) == playing);
            Some((slot, track, Choice::of(layer, playing, capacity)))
        };
        (shown.iter().filter_map(choose).collect(), Some(goal_bps(&wanted)))
    }

    /// The same for a subscriber of whose line nothing can be known.
    fn choices_by_size(&self, at: Key, shown: &[(usize, TrackKey)]) -> Vec<(usize, TrackKey, Choice)> {
        let Some(peer) = self.peers.get(at) else { return Vec::new() };
        let pictures = shown.iter().filter(|(_, key)| key.source.kind() == Kind::Video);
        let layer_of = |&(slot, key): &(usize, TrackKey)| {
            let wanted = peer.players[slot].player.wanted().filter(|(track, _)| *track == key);
            let current = wanted.map_or(LayerId::ALL, |(_, layer)| layer);
            let layer = self.track(key)?.layer_for(peer.width_of(key), current);
            Some((slot, key, Choice::Layer(layer)))
        };
        pictures.filter_map(layer_of).collect()
    }
}
