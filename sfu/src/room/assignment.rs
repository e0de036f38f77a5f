//! Which track plays in which slot, and where the packets of each go therefore.

use std::collections::BTreeMap;

use crate::control::{Event, Kind, SlotTrack, TrackKey};
use crate::forward::LayerId;
use crate::peer::Now;
use crate::slab::Key;

use super::layers::Choice;
use super::playlist::Playable;
use super::{Out, Room};

impl Room {
    pub(super) fn assign_all(&mut self, now: Now, out: &mut Out) {
        let playable = self.playable();
        let mut changed = false;
        for at in self.peers.keys() {
            changed |= self.assign_from(&playable, at, now, out);
        }
        self.find_routes();
        if changed {
            self.ask_keyframes(now, out);
        }
    }

    /// Decides what plays in a subscriber's slots, and starts what is new there.
    pub(super) fn assign(&mut self, at: Key, now: Now, out: &mut Out) {
        let playable = self.playable();
        if self.assign_from(&playable, at, now, out) {
            self.find_routes();
            self.ask_keyframes(now, out);
        }
    }

    /// Answers whether something changed.
    pub(super) fn assign_from(&mut self, playable: &Playable, at: Key, now: Now, out: &mut Out) -> bool {
        self.settle(now, out);
        let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.entered.is_some()) else { return false };
        let mut changes = peer.slots.assign(Kind::Video, &playable.video_for(peer));
        changes.extend(peer.slots.assign(Kind::Audio, &playable.audio_for(peer)));
        if changes.is_empty() {
            return false;
        }
        out.events.push(Event::Slots { leg: peer.leg, slots: changes.clone() });
        let choices = self.choices(at, now.instant);
        for change in changes {
            let choice = choices.iter().find(|(_, track, _)| Some(*track) == change.track);
            self.fill(at, &change, choice.map(|(_, _, choice)| *choice), now, out);
        }
        true
    }

    pub(super) fn fill(
        &mut self,
        at: Key,
        change: &SlotTrack,
        choice: Option<Choice>,
        now: Now,
        out: &mut Out,
    ) {
        let layer = match choice {
            Some(Choice::Layer(layer) | Choice::Less(layer)) => layer,
            Some(Choice::Pause) | None => LayerId::ALL,
        };
        let Some(peer) = self.peers.get_mut(at) else { return };
        let mid = str0m::media::Mid::from(change.mid.as_str());
        let Some(slot) = peer.players.iter().position(|slot| slot.mid == mid) else { return };
        // A picture is not seen under the name of another.
        let is_of_another =
            |playing: TrackKey| playing.source.kind() == Kind::Video && Some(playing) != change.track;
        if peer.players[slot].player.playing().is_some_and(is_of_another) {
            peer.pause(slot);
        }
        let player = &mut peer.players[slot].player;
        let is_new = player.want(change.track.map(|track| (track, layer)));
        match (change.track, choice) {
            (Some(_), Some(Choice::Pause)) => {
                player.pause();
            }
            (Some(track), _) if is_new => self.start(at, slot, track, layer, now, out),
            _ => {}
        }
    }

    /// Shows a picture at once where one is kept, and asks for the wanted one where that is another.
    pub(super) fn start(
        &mut self,
        at: Key,
        slot: usize,
        key: TrackKey,
        layer: LayerId,
        now: Now,
        out: &mut Out,
    ) {
        if key.source.kind() == Kind::Audio {
            return;
        }
        let kept = self.track(key).and_then(|track| track.quickest_picture(layer, now.instant));
        if let Some((quick, packets)) = kept {
            self.want(at, slot, key, quick);
            for packet in packets {
                self.play(at, slot, &packet, now, out);
            }
        }
        self.want(at, slot, key, layer);
        if let Some(peer) = self.peers.get(at)
            && !peer.players[slot].player.is_settled()
            && let Some(track) = self.track_mut(key)
        {
            track.want_keyframe(layer.rid);
        }
    }

    pub(super) fn want(&mut self, at: Key, slot: usize, track: TrackKey, layer: LayerId) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.players[slot].player.want(Some((track, layer)));
        }
    }

    pub(super) fn find_routes(&mut self) {
        let mut routes: BTreeMap<TrackKey, Vec<(Key, usize)>> = BTreeMap::new();
        for at in self.peers.keys() {
            let players = self.peers.get(at).map_or(&[][..], |peer| &peer.players);
            for (slot, place) in players.iter().enumerate() {
                for track in place.player.tracks() {
                    routes.entry(track).or_default().push((at, slot));
                }
            }
        }
        let own = self.peers.values_mut().flat_map(|peer| peer.tracks.iter_mut());
        for track in own.chain(self.elsewhere.tracks_mut().map(|(_, track)| track)) {
            track.route = routes.remove(&track.key).unwrap_or_default().into();
        }
    }
}
