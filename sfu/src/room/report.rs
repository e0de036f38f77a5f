//! What a room counts and tells: usage, metrics, how its connections do.

use std::time::Instant;

use crate::control::{Event, UsageFact};
use crate::metrics::{Counts, RoomLook};
use crate::peer::Now;
use crate::quality;

use super::{Out, Room};

impl Room {
    /// The counters that changed.
    pub(crate) fn checkpoint(&mut self, now: Now, facts: &mut Vec<UsageFact>) {
        for peer in self.peers.values_mut().filter(|peer| peer.entered.is_some()) {
            peer.usage.advance(now.instant, now.wall);
            facts.extend(peer.usage.take_changed());
        }
    }

    /// What was counted here so far.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.past;
        self.peers.values().for_each(|peer| counts += peer.counts());
        counts
    }

    /// How it stands.
    pub(crate) fn look(&self) -> RoomLook {
        let entered = self.peers.values().filter(|peer| peer.entered.is_some()).count();
        let lobby = self.peers.values().count() - entered;
        RoomLook { room: self.id, lobby, entered, counts: self.counts() }
    }

    /// Tells how the connections do, when it is time.
    pub(super) fn tell_quality(&mut self, now: Instant, out: &mut Out) {
        let due = *self.quality_at.get_or_insert(now + quality::EVERY);
        if now < due {
            return;
        }
        self.quality_at = Some(now + quality::EVERY);
        let entered = self.peers.values_mut().filter(|peer| peer.entered.is_some());
        let legs: Vec<_> = entered.map(|peer| peer.quality(now)).collect();
        if !legs.is_empty() {
            out.events.push(Event::Quality { room: self.id, legs });
        }
    }
}
