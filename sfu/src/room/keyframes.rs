//! Who is asked for a keyframe, and when.

use std::time::Instant;

use str0m::media::Rids;

use crate::control::{Kind, TrackKey};
use crate::forward::LayerId;
use crate::peer::{Now, Said};
use crate::relay::{Relay, Word};
use crate::slab::Key;

use super::{Out, Room};

impl Room {
    /// A slot that still waits for its picture: the request, or the keyframe, may have been lost.
    pub(super) fn want_missing_keyframes(&mut self, at: Key, now: Instant) {
        let Some(peer) = self.peers.get(at) else { return };
        let players = peer.players.iter();
        let waiting = players.filter(|slot| !slot.player.is_settled() && !slot.player.is_expecting(now));
        let missing: Vec<_> = waiting.filter_map(|slot| slot.player.wanted()).collect();
        for (key, layer) in missing {
            if let Some(track) = self.track_mut(key) {
                track.want_keyframe(layer.rid);
            }
        }
    }

    /// A layer that is shown, of which some will not come any more. Each part of a room looks after its own people.
    pub(super) fn want_keyframes_for_gaps(&mut self, now: Instant) {
        let shown = &self.shown;
        let published_here = self.peers.values_mut().flat_map(|peer| &mut peer.tracks);
        let published_elsewhere = self.elsewhere.tracks_mut().map(|(_, track)| track);
        for track in published_here.chain(published_elsewhere) {
            let key = track.key;
            track.want_keyframes_for_gaps(|rid| shown.contains(&(key, rid)), now);
        }
    }

    pub(super) fn want_keyframe(&mut self, key: TrackKey, layer: LayerId, now: Now, out: &mut Out) {
        if let Some(track) = self.track_mut(key) {
            track.want_keyframe(layer.rid);
        }
        match self.peers.key_of(key.leg) {
            Some(publisher) => self.ask_keyframes_of(publisher, now, out),
            None => self.ask_keyframes_elsewhere(now, out),
        }
    }

    /// Asks all publishers where somebody waits and the last request is long enough ago.
    pub(super) fn ask_keyframes(&mut self, now: Now, out: &mut Out) {
        for at in self.peers.keys() {
            self.ask_keyframes_of(at, now, out);
        }
        self.ask_keyframes_elsewhere(now, out);
    }

    pub(super) fn ask_keyframes_elsewhere(&mut self, now: Now, out: &mut Out) {
        for (shard, track) in self.elsewhere.tracks_mut() {
            for rid in track.ask_keyframes(now.instant) {
                let word = Word::Keyframe(track.key, rid);
                out.relays.push((shard, Relay { room: self.id, word }));
            }
        }
    }

    pub(super) fn ask_keyframes_of(&mut self, at: Key, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let due = peer.tracks.iter_mut().map(|track| (track.mid, track.ask_keyframes(now.instant)));
        let due: Vec<_> = due.flat_map(|(mid, rids)| rids.into_iter().map(move |rid| (mid, rid))).collect();
        let said: Vec<Said> =
            due.into_iter().map(|(mid, rid)| peer.ask_keyframe(mid, rid, now, &mut out.datagrams)).collect();
        if !said.is_empty() {
            out.touched.push(at);
        }
        for mut said in said {
            self.attend(at, &mut said, now, out);
        }
    }

    /// A publisher that already sends when it enters or unmutes is asked for a keyframe, which is what all others need.
    pub(super) fn ask_first_keyframes(&mut self, at: Key, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.entered.is_some()) else { return };
        let tracks =
            peer.tracks.iter().filter(|track| track.key.source.kind() == Kind::Video && !track.muted);
        let mids: Vec<_> = tracks.map(|track| track.mid).collect();
        let mut said = Vec::new();
        for mid in mids {
            let rids = match peer.rtc.media(mid).map(|media| media.rids_rx()) {
                Some(Rids::Specific(rids)) => rids.iter().copied().map(Some).collect(),
                _ => vec![None],
            };
            said.extend(rids.into_iter().map(|rid| peer.ask_keyframe(mid, rid, now, &mut out.datagrams)));
        }
        out.touched.push(at);
        for mut said in said {
            self.attend(at, &mut said, now, out);
        }
    }
}
