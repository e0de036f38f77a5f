//! How packets leave, behind a trait with two implementations: str0m's own, which is the reference, and ours, which
//! seals in one buffer and sends in trains. The same tests hold for both.

#[cfg(test)]
mod golden;
mod header;
mod own;
mod reference;
mod report;
mod shaper;
mod stream;
pub(crate) mod train;

use own::Own;
use reference::Reference;
use train::Train;

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use str0m::Rtc;
use str0m::media::{Mid, Pt};
use str0m::rtp::ExtensionValues;

use crate::congestion::Stats;
use crate::congestion::allocate::Capacity;
use crate::forward::{Packet, Rewritten};
use crate::keys::Handshake;
use crate::metrics::Counts;
use crate::peer::Now;
use crate::quality::Measured;
use crate::remote::Remote;

/// Which implementation is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EgressKind {
    /// Ours.
    #[default]
    Own,
    /// str0m's.
    Str0m,
}

impl FromStr for EgressKind {
    type Err = UnknownEgress;

    fn from_str(name: &str) -> Result<Self, UnknownEgress> {
        match name {
            "own" => Ok(EgressKind::Own),
            "str0m" => Ok(EgressKind::Str0m),
            _ => Err(UnknownEgress),
        }
    }
}

/// There is no egress of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the egress is `own` or `str0m`")]
pub struct UnknownEgress;

impl EgressKind {
    /// The egress of a connection, which begins with this handshake.
    pub(crate) fn of(self, handshake: Handshake) -> Box<dyn Egress> {
        match self {
            EgressKind::Own => Box::new(Own::new(handshake)),
            EgressKind::Str0m => Box::new(Reference),
        }
    }
}

/// A subscriber's numbers for the codec of a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PayloadTypes {
    pub(crate) pt: Pt,
    /// For retransmissions, where that was negotiated.
    pub(crate) rtx: Option<Pt>,
    /// For the blocks of a packet that goes with its older encodings (RFC 2198). Without, it goes without them.
    pub(crate) primary: Option<Pt>,
}

/// A packet on its way into a slot.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// Which of the connection's slots, in the order in which they were offered.
    pub(crate) slot: usize,
    /// The slot's line.
    pub(crate) mid: Mid,
    /// The subscriber's payload types for it.
    pub(crate) types: PayloadTypes,
    /// How it leaves there.
    pub(crate) rewritten: Rewritten,
    /// The shared rest.
    pub(crate) packet: &'a Arc<Packet>,
}

/// Where a connection's packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) local: SocketAddr,
    pub(crate) remote: Remote,
}

/// The socket, as an egress sees it.
pub(crate) trait Wire {
    /// Sends a train of datagrams that are all `segment` bytes long, but for the last, which may be shorter.
    fn send(&mut self, path: Path, train: &[u8], segment: usize);
}

/// Puts packets on the wire for one connection.
pub(crate) trait Egress: std::fmt::Debug + Send {
    /// An offer is about to be answered.
    fn before_answer(&mut self, _rtc: &mut Rtc) {}

    /// An offer was answered; these are all slots so far.
    fn after_answer(&mut self, _rtc: &mut Rtc, _slots: &[Mid]) {}

    /// Takes one packet. Answers whether str0m has something to send now.
    fn send(&mut self, rtc: &mut Rtc, outgoing: &Outgoing<'_>) -> bool;

    /// Takes what the subscriber reports, opened. Answers the slots whose picture it cannot go on with.
    fn hear(&mut self, _report: &[u8], _now: Now) -> Vec<Mid> {
        Vec::new()
    }

    /// The way to the subscriber is another one now.
    fn moved(&mut self, _now: Instant) {}

    /// Whether str0m must have the subscriber's feedback as well.
    fn leaves_feedback_to_str0m(&self) -> bool {
        true
    }

    /// Lets time pass. Answers the slots that lost packets here and need a keyframe.
    fn tick(&mut self, _now: Now) -> Vec<Mid> {
        Vec::new()
    }

    /// Packets that were reported missing, sent again or had no room. str0m keeps its own to itself.
    fn counts(&self) -> Counts {
        Counts::default()
    }

    /// What became of what was sent since the last time, as the subscriber reports. str0m keeps it to itself.
    fn take_measured(&mut self) -> Measured {
        Measured::default()
    }

    /// Whether [`Egress::write`] has something to do.
    fn is_waiting(&self, _now: Instant) -> bool {
        false
    }

    /// When [`Egress::write`] has something to do, if nothing new comes before.
    fn wake_at(&self) -> Option<Instant> {
        None
    }

    /// What the line takes; `None` when nothing can be known of it.
    fn capacity(&self, _now: Instant) -> Option<Capacity> {
        None
    }

    /// What is known about the line, for people.
    fn stats(&self, _now: Instant) -> Option<Stats> {
        None
    }

    /// What would be sent if the line were no limit, in bit/s.
    fn set_goal_bps(&mut self, _goal_bps: u64) {}

    /// What was taken for a slot is of no use any more, sent or not.
    fn drop_picture(&mut self, _slot: usize) {}

    /// Nobody may be sent anything now: what was taken is past before somebody may.
    fn discard(&mut self) {}

    /// Sends what may leave of what was taken. Answers how many bytes of UDP payload that were, without padding.
    fn write(&mut self, _now: Now, _train: Train<'_>) -> usize {
        0
    }
}

/// The extensions that say something about the content and therefore travel with it.
pub(crate) fn content_extensions(values: &ExtensionValues) -> ExtensionValues {
    ExtensionValues {
        audio_level: values.audio_level,
        voice_activity: values.voice_activity,
        video_orientation: values.video_orientation,
        abs_capture_time: values.abs_capture_time,
        ..ExtensionValues::default()
    }
}
