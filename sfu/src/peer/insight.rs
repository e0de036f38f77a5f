//! What can be seen of one connection: counters, quality, a capture of its headers.

use std::time::Instant;

use super::Peer;
use crate::control::{Quality, SlotLayer, Transport};
use crate::metrics::{Counts, Secured};
use crate::remote;
use crate::tap::Tap;

impl Peer {
    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.counts;
        counts += self.egress.counts();
        counts
    }

    /// How the connection did since the last time.
    pub(crate) fn quality(&mut self, now: Instant) -> Quality {
        let (up_bits, down_bits) = self.rates.take(self.counts(), now);
        let (up, down) = (self.uplink.take(), self.egress.take_measured());
        let playing = self.players.iter().filter_map(|slot| Some((slot, slot.player.source()?)));
        let layers = playing.map(|(slot, source)| SlotLayer {
            mid: slot.mid.to_string(),
            track: source.track,
            layer: source.rid.map(|rid| rid.to_string()),
        });
        Quality {
            leg: self.leg,
            transport: self.transport(),
            rtt_ms: down.rtt.map(|rtt| rtt.as_millis() as u32),
            layers: layers.collect(),
            up: up.at(up_bits),
            down: down.at(down_bits),
        }
    }

    fn transport(&self) -> Transport {
        match self.path.map(|path| path.remote.transport) {
            Some(remote::Transport::Tcp(_)) => Transport::Tcp,
            Some(remote::Transport::Udp) | None => Transport::Udp,
        }
    }

    /// Records headers from now on, unless that is done already.
    pub(crate) fn open_tap(&mut self, seconds: u32, packets: u32, now: Instant) {
        let agreed = self.sources.agreed();
        self.tap.get_or_insert_with(|| Box::new(Tap::open(seconds, packets, agreed, now)));
    }

    /// What was recorded, if anything was.
    pub(crate) fn close_tap(&mut self) -> Option<Vec<u8>> {
        self.tap.take().map(|tap| tap.finish())
    }

    /// What was recorded, once its time or its room is over.
    pub(crate) fn close_tap_if_over(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.tap.take_if(|tap| tap.is_over(now)).map(|tap| tap.finish())
    }

    /// How the connection is secured, once its handshake is over.
    pub(crate) fn secured(&self) -> Option<Secured> {
        let agreed = self.sources.agreed()?;
        Some((agreed.version_name(), agreed.profile_name(), 1))
    }

    /// Says why another layer is chosen, to whoever looks into it.
    pub(crate) fn trace_line(&self, now: Instant, what: &dyn std::fmt::Debug) {
        let Some(stats) = self.egress.stats(now) else { return };
        tracing::debug!(
            leg = %self.leg.0,
            ?what,
            estimate_bps = stats.estimate_bps,
            sent_bps = stats.sent_bps,
            loss = stats.loss,
            rtt = ?stats.rtt,
            queue = ?stats.queue,
            "another layer",
        );
    }
}
