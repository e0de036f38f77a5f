//! What leaves on one slot: its numbers on the wire, what is kept for retransmission, what it says of itself.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use str0m::media::{Mid, Pt};

use super::PayloadTypes;
use super::header::{self, ExtensionIds, Fields};
use super::report::{SenderReport, ntp_of};
use crate::control::Kind;
use crate::forward::{Packet, Rewritten};
use crate::repairs::Repairs;
use crate::srtp::{ReplayWindow, SEAL_BYTES_MAX, Sealer};

/// Room for the longest packet: header, original sequence number, payload, seal.
pub(super) const PACKET_BYTES_MAX: usize = header::BYTES_MAX + 2 + PAYLOAD_BYTES_MAX + SEAL_BYTES_MAX;
/// What a packet is besides its payload and a dependency descriptor, at most.
const OVERHEAD_BYTES: usize = header::PLAIN_BYTES_MAX + 2 + SEAL_BYTES_MAX;
/// A longer payload came in no datagram that we take.
const PAYLOAD_BYTES_MAX: usize = 1_500;
/// Packets that are kept for retransmission; the payloads are shared by all slots that play them.
const KEPT: usize = 256;
/// Padding of one packet, its last byte being its length (RFC 3550 §5.1).
const PADDING: u8 = 224;
/// How often one packet is sent again.
const AGAIN_MAX: u8 = 8;
/// How often a stream says which moment its timestamps mean.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The sending side of one slot.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) mid: Mid,
    pub(super) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
    /// One of the payload types of its retransmissions: padding is all alike.
    padding_pt: Option<Pt>,
    pub(super) ids: ExtensionIds,
    /// Sequence numbers that were sealed: none is sealed twice.
    sealed: ReplayWindow,
    rtx_next: u64,
    kept: Vec<Option<Kept>>,
    packets: u32,
    octets: u32,
    newest: Option<Newest>,
    /// The greatest number that left.
    seq_max: Option<u64>,
    /// The number at which the newest keyframe began, and its timestamp.
    keyframe: Option<(u64, u32)>,
    reported_at: Option<Instant>,
}

/// A packet that is to leave, or may have to leave again.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) rewritten: Rewritten,
    pub(super) types: PayloadTypes,
    pub(super) packet: Arc<Packet>,
}

/// What becomes of a request for a packet.
#[derive(Debug)]
pub(super) enum Again {
    /// It leaves once more; that is paid for.
    Leaves(Pending),
    /// Nothing: it never left, there is no room for it at the moment, or it does not matter.
    Nothing,
    /// It cannot be had any more, and what was sent since needs it.
    Gone,
}

#[derive(Debug)]
struct Kept {
    pending: Pending,
    again: u8,
}

/// The last packet, for the report: what was captured when.
#[derive(Debug, Clone, Copy)]
struct Newest {
    ts: u32,
    /// In our clock.
    captured: Option<SystemTime>,
    rate_hz: u64,
}

impl Pending {
    pub(super) fn is_sound(&self) -> bool {
        self.packet.source.track.source.kind() == Kind::Audio
    }

    /// About as long as it will be on the wire.
    pub(super) fn size(&self) -> usize {
        OVERHEAD_BYTES + self.packet.bytes()
    }
}

impl Stream {
    pub(super) fn new(
        mid: Mid,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        padding_pt: Option<Pt>,
        ids: ExtensionIds,
    ) -> Self {
        Stream {
            mid,
            ssrc,
            rtx_ssrc,
            padding_pt,
            ids,
            sealed: ReplayWindow::default(),
            rtx_next: 1,
            kept: Vec::new(),
            packets: 0,
            octets: 0,
            newest: None,
            seq_max: None,
            keyframe: None,
            reported_at: None,
        }
    }

    /// Writes and seals a packet. `None` when its number was used before or it is too long.
    pub(super) fn write(
        &mut self,
        pending: Pending,
        transport_seq: u16,
        srtp: &Sealer,
        place: &mut [u8],
    ) -> Option<usize> {
        let seq = pending.rewritten.numbers.seq;
        if pending.packet.payload.len() > PAYLOAD_BYTES_MAX || !self.sealed.admit(seq) {
            return None;
        }
        let fields = Fields {
            marker: pending.rewritten.marker,
            pt: *pending.types.pt,
            seq: seq as u16,
            ts: pending.rewritten.numbers.ts,
            ssrc: self.ssrc,
            transport_seq,
        };
        let (head, len) = frame(place, &fields, &self.ids, &pending, false);
        let sealed = srtp.seal_rtp(place, head, len, seq)?;
        self.note(pending);
        Some(sealed)
    }

    /// Writes and seals a packet that was sent before as its retransmission (RFC 4588 §4).
    pub(super) fn write_again(
        &mut self,
        pending: &Pending,
        transport_seq: u16,
        srtp: &Sealer,
        place: &mut [u8],
    ) -> Option<usize> {
        let seq = self.rtx_next;
        let fields = Fields {
            marker: pending.rewritten.marker,
            pt: *pending.types.rtx?,
            seq: seq as u16,
            ts: pending.rewritten.numbers.ts,
            ssrc: self.rtx_ssrc?,
            transport_seq,
        };
        self.rtx_next += 1;
        let (head, len) = frame(place, &fields, &self.ids, pending, true);
        srtp.seal_rtp(place, head, len, seq)
    }

    /// Whether padding can leave here: beside the pictures, so that their numbers have no gap.
    pub(super) fn can_pad(&self) -> bool {
        self.rtx_ssrc.is_some() && self.padding_pt.is_some() && self.ids.transport_seq.is_some()
    }

    /// Writes and seals a packet of nothing but padding, which a receiver reports on and drops.
    pub(super) fn write_padding(
        &mut self,
        transport_seq: u16,
        srtp: &Sealer,
        place: &mut [u8],
    ) -> Option<usize> {
        let seq = self.rtx_next;
        let fields = Fields {
            marker: false,
            pt: *self.padding_pt?,
            seq: seq as u16,
            ts: self.newest.map_or(0, |newest| newest.ts),
            ssrc: self.rtx_ssrc?,
            transport_seq,
        };
        self.rtx_next += 1;
        let head = header::write(place, &fields, &self.ids, None);
        place[0] |= header::PADDED;
        let end = head + usize::from(PADDING);
        place[head..end].fill(0);
        place[end - 1] = PADDING;
        srtp.seal_rtp(place, head, end, seq)
    }

    /// A packet is missing over there.
    pub(super) fn again(&mut self, seq: u16, repairs: &mut Repairs) -> Again {
        let (Some(_), Some(seq)) = (self.rtx_ssrc, self.extended(seq)) else { return Again::Nothing };
        let is_needed = self.keyframe.is_some_and(|(began, _)| seq >= began);
        let Some(Some(kept)) = self.kept.get_mut(seq as usize % KEPT) else { return Again::Nothing };
        let is_kept = kept.pending.rewritten.numbers.seq == seq;
        let is_past = kept.pending.rewritten.numbers.seq > seq || is_kept && kept.again >= AGAIN_MAX;
        match (is_kept, is_past) {
            (_, true) if is_needed => Again::Gone,
            (true, false) if repairs.spend(kept.pending.size()) => {
                kept.again += 1;
                Again::Leaves(kept.pending.clone())
            }
            _ => Again::Nothing,
        }
    }

    /// The whole number of a packet that has left, by its low 16 bits.
    fn extended(&self, seq: u16) -> Option<u64> {
        let newest = self.seq_max?;
        let behind = (newest as u16).wrapping_sub(seq);
        newest.checked_sub(behind.into()).filter(|_| behind < 1 << 15)
    }

    /// Of its clock, once something was sent.
    pub(super) fn rate_hz(&self) -> Option<u32> {
        self.newest.map(|newest| newest.rate_hz as u32)
    }

    /// Nothing of what was sent so far is sent again.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
    }

    /// What to report now, if it is time.
    pub(super) fn report(&mut self, now: Instant, wall: SystemTime) -> Option<SenderReport> {
        let newest = self.newest?;
        let captured = newest.captured?;
        if self.reported_at.is_some_and(|at| now.saturating_duration_since(at) < REPORT_EVERY) {
            return None;
        }
        self.reported_at = Some(now);
        let since = wall.duration_since(captured).unwrap_or_default();
        let ticks = since.as_nanos() * u128::from(newest.rate_hz) / 1_000_000_000;
        Some(SenderReport {
            ssrc: self.ssrc,
            ntp: ntp_of(wall),
            ts: newest.ts.wrapping_add(ticks as u32),
            packets: self.packets,
            octets: self.octets,
        })
    }

    fn note(&mut self, pending: Pending) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(pending.packet.payload.len() as u32);
        let packet = &pending.packet;
        let (seq, ts) = (pending.rewritten.numbers.seq, pending.rewritten.numbers.ts);
        self.seq_max = self.seq_max.max(Some(seq));
        if packet.picture.starts_keyframe && self.keyframe.is_none_or(|(_, known)| known != ts) {
            self.keyframe = Some((seq, ts));
        }
        self.newest =
            Some(Newest { ts, captured: packet.captured, rate_hz: u64::from(packet.codec.clock_rate.get()) });
        if self.rtx_ssrc.is_some() && pending.types.rtx.is_some() {
            if self.kept.is_empty() {
                self.kept.resize_with(KEPT, || None);
            }
            self.kept[seq as usize % KEPT] = Some(Kept { pending, again: 0 });
        }
    }
}

/// Header and payload under the slot's numbers; answers the header's length and the whole. A retransmission begins its
/// payload with the sequence number of the original.
pub(super) fn frame(
    place: &mut [u8],
    fields: &Fields,
    ids: &ExtensionIds,
    pending: &Pending,
    again: bool,
) -> (usize, usize) {
    let Pending { packet, rewritten, types } = pending;
    let head = header::write(place, fields, ids, Some((packet, rewritten)));
    let start = if again { head + 2 } else { head };
    if again {
        place[head..start].copy_from_slice(&(rewritten.numbers.seq as u16).to_be_bytes());
    }
    let payload = packet.payload_for(types);
    let end = start + payload.len();
    place[start..end].copy_from_slice(payload);
    packet.renumber(&mut place[start..end], &rewritten.numbers, types);
    (head, end)
}
