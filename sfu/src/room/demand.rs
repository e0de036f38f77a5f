//! Which encodings are worth sending: publishers hear which of theirs nobody is shown.

use std::time::Instant;

use str0m::media::Rid;

use crate::control::{Event, TrackKey};

use super::{Out, Room};

impl Room {
    /// Tells publishers which encodings nobody is shown. Where a room goes on on another shard, somebody there may be.
    pub(super) fn tell_demand(&mut self, now: Instant, out: &mut Out) {
        let is_alone = self.elsewhere.shards().next().is_none();
        let players = self.peers.values().flat_map(|peer| &peer.players);
        let shown: Vec<(TrackKey, Option<Rid>)> = players.flat_map(|slot| slot.player.encodings()).collect();
        for at in self.peers.keys() {
            let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.entered.is_some()) else { continue };
            let leg = peer.leg;
            for track in peer.tracks.iter_mut().filter(|track| track.is_playable()) {
                let (key, source) = (track.key, track.key.source);
                let is_wanted = |rid: Rid| !is_alone || shown.contains(&(key, Some(rid)));
                if let Some(rids) = track.demanded(is_wanted, now) {
                    let rids = rids.iter().map(ToString::to_string).collect();
                    out.events.push(Event::Resting { leg, source, rids });
                }
            }
        }
    }
}
