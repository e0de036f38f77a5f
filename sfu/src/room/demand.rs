//! Which encodings are worth sending: publishers hear which of theirs nobody is shown.

use std::time::Instant;

use str0m::media::Rid;

use crate::control::Event;
use crate::relay::{Relay, Shown, Word};

use super::playlist::TELL_EVERY;
use super::{Out, Room};

impl Room {
    /// Looks which encodings somebody here is shown or waits for.
    pub(super) fn look_at_shown(&mut self) {
        self.shown.clear();
        let players = self.peers.values().flat_map(|peer| &peer.players);
        self.shown.extend(players.flat_map(|slot| slot.player.encodings()));
    }

    /// Tells publishers here which encodings nobody is shown, and the other shards which of theirs somebody here is.
    pub(super) fn tell_demand(&mut self, now: Instant, out: &mut Out) {
        self.tell_publishers(now, out);
        self.tell_shown(now, out);
    }

    fn tell_publishers(&mut self, now: Instant, out: &mut Out) {
        let (shown, elsewhere) = (&self.shown, &self.elsewhere);
        for peer in self.peers.values_mut().filter(|peer| peer.entered.is_some()) {
            for track in peer.tracks.iter_mut().filter(|track| track.is_playable()) {
                let (leg, key, source) = (peer.leg, track.key, track.key.source);
                let is_wanted = |rid: Rid| shown.contains(&(key, Some(rid))) || elsewhere.shows(key, rid);
                if let Some(rids) = track.demanded(is_wanted, now) {
                    let rids = rids.iter().map(ToString::to_string).collect();
                    out.events.push(Event::Resting { leg, source, rids });
                }
            }
        }
    }

    /// When it has changed and now and then: a word may have been lost.
    fn tell_shown(&mut self, now: Instant, out: &mut Out) {
        if self.elsewhere.shards().next().is_none() {
            return;
        }
        let elsewhere = &self.elsewhere;
        self.shown.retain(|(track, _)| elsewhere.track(*track).is_some());
        let is_known = self.told_shown.as_ref().is_some_and(|(at, told)| {
            told[..] == self.shown[..] && now.saturating_duration_since(*at) < TELL_EVERY
        });
        if is_known {
            return;
        }
        let shown = Shown::from(&self.shown[..]);
        for shard in self.elsewhere.shards() {
            out.relays.push((shard, Relay { room: self.id, word: Word::Shown(shown.clone()) }));
        }
        self.told_shown = Some((now, shown));
    }
}
