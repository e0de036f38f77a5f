//! One room: its legs, whose packets go into whose slots, who speaks. Bytes and time in, datagrams and events out.

mod assignment;
mod delivery;
mod demand;
mod departure;
mod keyframes;
mod layers;
mod messages;
mod playlist;
mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::Rid;

use crate::allowance::Allowance;
use crate::control::{Event, RoomId, Source, TrackKey, UsageFact, Want};
use crate::forward::Packet;
use crate::metrics::Counts;
use crate::peer::{Datagram, Incoming, Now, Peer, Said};
use crate::peers::Peers;
use crate::relay::{Elsewhere, Playlist, Relay, Shards, Shown, Word};
use crate::slab::Key;
use crate::speaker::Speakers;
use crate::track::Route;

/// What a room or a shard wants done.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) datagrams: Vec<Datagram>,
    pub(crate) events: Vec<Event>,
    /// Counters, and what may be told once they are durable.
    pub(crate) usage: Vec<(Vec<UsageFact>, Option<Event>)>,
    /// Peers of the room that acts whose deadline may have changed.
    pub(crate) touched: Vec<Key>,
    /// For other shards.
    pub(crate) relays: Vec<(usize, Relay)>,
}

/// The people of one room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) peers: Peers,
    /// Packets that are not in the slots yet, and which slots those are.
    arrived: Vec<(Arc<Packet>, Route)>,
    /// Peers whose egress has something to send at the end of the turn.
    waiting: Vec<Key>,
    /// Slots to which something came of the layer that they wait for.
    changing: Vec<(Key, usize)>,
    /// When the first of them came whose picture is not complete yet.
    incomplete_since: Option<Instant>,
    speakers: Speakers,
    shards: Shards,
    elsewhere: Elsewhere,
    /// What the other shards were told last, and when.
    told: Option<(Instant, Playlist)>,
    /// And what of theirs is shown here.
    told_shown: Option<(Instant, Shown)>,
    /// The encodings that are shown here or waited for, as the last look found.
    shown: Vec<(TrackKey, Option<Rid>)>,
    entries: u64,
    /// Of legs that have ended.
    past: Counts,
    /// When it is next told how the connections do.
    quality_at: Option<Instant>,
    /// What the connection that was heard last said: empty, but for the room it has.
    said: Said,
    /// For messages; since the first.
    fan_out: Option<Allowance>,
    /// A bug, for tests of what it costs.
    #[cfg(test)]
    pub(crate) planted: bool,
}

impl Room {
    /// Nobody is here yet.
    pub(crate) fn new(id: RoomId, shards: Shards) -> Self {
        Room {
            id,
            peers: Peers::default(),
            arrived: Vec::new(),
            waiting: Vec::new(),
            changing: Vec::new(),
            incomplete_since: None,
            speakers: Speakers::default(),
            shards,
            elsewhere: Elsewhere::default(),
            told: None,
            told_shown: None,
            shown: Vec::new(),
            entries: 0,
            past: Counts::default(),
            quality_at: None,
            said: Said::default(),
            fan_out: None,
            #[cfg(test)]
            planted: false,
        }
    }

    /// Somebody comes into the lobby. Keyframes are asked for already, while the connection is being made.
    pub(crate) fn join(&mut self, peer: Key, now: Now, out: &mut Out) {
        out.touched.push(peer);
        for peer in self.peers.values_mut().filter(|peer| peer.entered.is_some()) {
            peer.tracks.iter_mut().for_each(|track| track.want_fresh_keyframes(now.instant));
        }
        self.ask_keyframes(now, out);
    }

    /// The click. The first of it may be free.
    pub(crate) fn enter(&mut self, at: Key, free: Duration, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        if peer.entered.is_some() {
            return;
        }
        self.entries += 1;
        peer.entered = Some((now.instant, self.entries));
        peer.usage.enter(now.instant + free);
        self.assign(at, now, out);
        self.ask_first_keyframes(at, now, out);
    }

    /// Lines were added to a leg.
    pub(crate) fn lines_added(&mut self, at: Key, now: Now, out: &mut Out) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.players.iter_mut().for_each(|slot| slot.forget_payload_types());
        }
        self.wake(at, now, out);
        self.assign(at, now, out);
    }

    /// A publisher turned a medium off or on.
    pub(crate) fn mute(&mut self, at: Key, source: Source, muted: bool, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        peer.mute(source, muted);
        if source == Source::Microphone && muted {
            self.speakers.forget(peer.leg);
        }
        self.assign_all(now, out);
        if !muted {
            self.ask_first_keyframes(at, now, out);
        }
    }

    /// The plan of whoever pays limits what this publisher sends.
    pub(crate) fn limit(&mut self, at: Key, kbps: u32, now: Instant) {
        self.peers.get_mut(at).into_iter().for_each(|peer| peer.limit(kbps, now));
    }

    /// A subscriber says what it shows.
    pub(crate) fn view(&mut self, at: Key, wants: Vec<Want>, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        peer.view = Some(wants);
        self.assign(at, now, out);
        self.choose_layers(at, now, out);
    }

    /// Records the headers of a leg for a while.
    pub(crate) fn tap(&mut self, at: Key, seconds: u32, packets: u32, now: Now) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.open_tap(seconds, packets, now.instant);
        }
    }

    /// Ends a leg; `then` is told once its usage is durable.
    pub(crate) fn leave(&mut self, at: Key, then: Event, now: Now, out: &mut Out) {
        let Some(mut peer) = self.peers.remove(at) else { return };
        peer.close(now, &mut out.datagrams);
        peer.usage.advance(now.instant, now.wall);
        self.past += peer.counts();
        out.events.extend(peer.close_tap().map(|file| Event::Tapped { leg: peer.leg, file }));
        out.usage.push((peer.usage.take_changed(), Some(then)));
        self.speakers.forget(peer.leg);
        self.assign_all(now, out);
    }

    /// A datagram for a leg.
    pub(crate) fn receive(&mut self, at: Key, incoming: &Incoming<'_>, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let mut said = std::mem::take(&mut self.said);
        peer.receive(incoming, now, &mut out.datagrams, &mut said);
        self.queue(at, now.instant);
        out.touched.push(at);
        self.attend(at, &mut said, now, out);
        self.said = said;
    }

    /// A timer has run out that was set for this peer.
    pub(crate) fn timer(&mut self, at: Key, set_for: Instant, now: Now, out: &mut Out) {
        // One that an earlier timer has overtaken counts no more.
        let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.timer == Some(set_for)) else { return };
        peer.timer = None;
        let is_due = peer.deadline <= now.instant;
        self.queue(at, now.instant);
        if is_due {
            self.wake(at, now, out);
        } else {
            out.touched.push(at);
        }
    }

    /// A leg's deadline has come.
    pub(crate) fn wake(&mut self, at: Key, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let mut said = peer.wake(now, &mut out.datagrams);
        out.touched.push(at);
        self.attend(at, &mut said, now, out);
    }

    /// What is due every 100 ms.
    pub(crate) fn tick(&mut self, now: Now, out: &mut Out) {
        if let Some(legs) = self.speakers.tick(now.instant) {
            // One part speaks for all: they hear the same.
            if self.elsewhere.shards().all(|shard| shard > self.shards.own) {
                out.events.push(Event::Speakers { room: self.id, legs });
            }
            self.assign_all(now, out);
        }
        self.tell(now, out);
        if let Some(shard) = self.elsewhere.silent(now.instant) {
            self.relayed(shard, Word::Closed, now, out);
        }
        for at in self.peers.keys() {
            let Some(peer) = self.peers.get_mut(at) else { continue };
            if peer.is_lost(now.instant) {
                let leg = peer.leg;
                self.leave(at, Event::Lost { leg }, now, out);
                continue;
            }
            let (leg, tapped) = (peer.leg, peer.close_tap_if_over(now.instant));
            out.events.extend(tapped.map(|file| Event::Tapped { leg, file }));
            let mut said = peer.tick(now);
            if peer.tell_ceiling(now, &mut out.datagrams, &mut said) {
                out.touched.push(at);
            }
            self.queue(at, now.instant);
            self.attend(at, &mut said, now, out);
            self.choose_layers(at, now, out);
            self.tell_paused(at, out);
            self.change_layers(at, now, out);
            self.want_missing_keyframes(at, now.instant);
        }
        self.look_at_shown();
        self.want_keyframes_for_gaps(now.instant);
        self.tell_demand(now.instant, out);
        self.ask_keyframes(now, out);
        self.tell_quality(now.instant, out);
    }

    /// Acts on all that a connection said, and leaves nothing of it.
    fn attend(&mut self, at: Key, said: &mut Said, now: Now, out: &mut Out) {
        if std::mem::take(&mut said.connected)
            && let Some(peer) = self.peers.get(at)
        {
            out.events.push(Event::Connected { leg: peer.leg });
        }
        for mid in said.keyframes_for.drain(..) {
            self.peers.get_mut(at).into_iter().for_each(Peer::wants_keyframe);
            let slot = self.peers.get(at).and_then(|peer| peer.players.iter().find(|slot| slot.mid == mid));
            let player = slot.map(|slot| &slot.player).filter(|player| !player.is_paused());
            if let Some((track, layer)) = player.and_then(|player| player.wanted()) {
                self.want_keyframe(track, layer, now, out);
            }
        }
        for packet in said.packets.drain(..) {
            self.forward(at, packet, now, out);
        }
        for (delivery, message) in said.messages.drain(..) {
            self.pass_on(at, delivery, &message, now, out);
        }
    }

    fn track(&self, key: TrackKey) -> Option<&crate::track::Track> {
        match self.peers.of(key.leg) {
            Some(peer) => peer.tracks.iter().find(|track| track.key == key),
            None => self.elsewhere.track(key),
        }
    }

    fn track_mut(&mut self, key: TrackKey) -> Option<&mut crate::track::Track> {
        match self.peers.of_mut(key.leg) {
            Some(peer) => peer.tracks.iter_mut().find(|track| track.key == key),
            None => self.elsewhere.track_mut(key),
        }
    }
}
