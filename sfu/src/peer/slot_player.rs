//! What plays in one slot, and under which of the subscriber's payload types.

use str0m::Rtc;
use str0m::format::CodecSpec;
use str0m::media::Mid;

use crate::control::Kind;
use crate::egress::PayloadTypes;
use crate::forward::{Packet, Player};

/// A slot's player and what the subscriber's side of its line needs.
#[derive(Debug)]
pub(crate) struct SlotPlayer {
    pub(crate) mid: Mid,
    pub(crate) player: Player,
    /// Its subscriber knows that the line does not take it.
    pub(crate) told_paused: bool,
    /// By codec, and whether packets come with older encodings.
    payload_types: Vec<((CodecSpec, bool), Option<PayloadTypes>)>,
    /// For the publisher's SSRC and payload type that came last: usually the next packet's as well.
    last_types: Option<((u32, u8), PayloadTypes)>,
}

impl SlotPlayer {
    /// A line for one medium, on which nothing plays.
    pub(super) fn new(mid: Mid, kind: Kind) -> Self {
        SlotPlayer {
            mid,
            player: Player::new(kind),
            told_paused: false,
            payload_types: Vec::new(),
            last_types: None,
        }
    }

    /// The subscriber's payload types for a packet; `None` when it does not take its codec.
    pub(super) fn types_for(&mut self, rtc: &Rtc, packet: &Packet) -> Option<PayloadTypes> {
        let source = (packet.source.ssrc, packet.pt);
        if let Some((last, types)) = self.last_types
            && last == source
        {
            return Some(types);
        }
        let types = self.payload_types(rtc, (packet.codec, packet.primary_at.is_some()))?;
        self.last_types = Some((source, types));
        Some(types)
    }

    /// The subscriber's payload types for a codec; `None` when it does not take that codec.
    fn payload_types(&mut self, rtc: &Rtc, codec: (CodecSpec, bool)) -> Option<PayloadTypes> {
        if let Some((_, types)) = self.payload_types.iter().find(|(known, _)| *known == codec) {
            return *types;
        }
        let offered = rtc.media(self.mid)?.remote_pts();
        let (spec, is_redundant) = codec;
        let params = rtc.codec_config().params().iter().filter(|params| offered.contains(&params.pt()));
        let mut params = params.filter(|params| is_same(&params.spec(), &spec));
        let types = params.next().map(|params| {
            let rtx = params.resend();
            match params.red().filter(|_| is_redundant) {
                Some(red) => PayloadTypes { pt: red, rtx: None, primary: Some(params.pt()) },
                None => PayloadTypes { pt: params.pt(), rtx, primary: None },
            }
        });
        self.payload_types.push((codec, types));
        types
    }

    /// A new answer may have renumbered the payload types.
    pub(crate) fn forget_payload_types(&mut self) {
        self.payload_types.clear();
        self.last_types = None;
    }
}

/// Whether one can decode what the other sends.
fn is_same(a: &CodecSpec, b: &CodecSpec) -> bool {
    let high_bits = |id: Option<u32>| id.map(|id| id >> 16);
    a.codec == b.codec
        && a.clock_rate == b.clock_rate
        && a.format.packetization_mode == b.format.packetization_mode
        && a.format.profile_id == b.format.profile_id
        && high_bits(a.format.profile_level_id) == high_bits(b.format.profile_level_id)
}
