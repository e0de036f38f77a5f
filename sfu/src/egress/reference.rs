//! str0m numbers the extensions, encrypts, reports and retransmits.

use str0m::Rtc;
use str0m::rtp::{RtpWrite, Vp8Patch};

use super::{Egress, Outgoing};
use crate::forward::Packet;
use crate::rewrite::Numbers;

/// The reference implementation.
#[derive(Debug)]
pub(crate) struct Reference;

impl Egress for Reference {
    fn send(&mut self, rtc: &mut Rtc, outgoing: &Outgoing<'_>) -> bool {
        let (packet, numbers) = (outgoing.packet, &outgoing.numbers);
        let mut api = rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(outgoing.mid, None) else { return false };
        let write = RtpWrite::new(
            outgoing.pt,
            numbers.seq.into(),
            numbers.ts,
            packet.arrived,
            packet.payload.clone(),
        );
        let is_video = packet.codec.codec.is_video();
        let write = write.marker(packet.marker).nackable(is_video).ext_vals(packet.extensions.clone());
        stream.write_rtp(match vp8_patch(packet, numbers) {
            Some(patch) => write.vp8_patch(patch),
            None => write,
        });
        true
    }
}

/// The slot's picture ids over the source's; as many bits as the source uses.
fn vp8_patch(packet: &Packet, numbers: &Numbers) -> Option<Vp8Patch> {
    let descriptor = packet.vp8.as_ref()?;
    let mut patch = descriptor.patch();
    if let Some(id) = numbers.picture_id {
        patch = patch.picture_id(id);
    }
    if let Some(tl0) = numbers.tl0 {
        patch = patch.tl0_pic_idx(tl0);
    }
    match patch.build() {
        Ok(patch) => Some(patch),
        // A 7-bit id: the source wraps it as it likes.
        Err(_) => numbers.picture_id.and_then(|id| descriptor.patch().picture_id(id & 0x7f).build().ok()),
    }
}
