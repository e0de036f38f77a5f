//! How a packet leaves: behind a trait, so that another way of sealing and sending can be compared with str0m's.

use str0m::Rtc;
use str0m::media::{Mid, Pt};
use str0m::rtp::{ExtensionValues, RtpWrite, Vp8Patch};

use crate::forward::Packet;
use crate::rewrite::Numbers;

/// A packet on its way into a slot.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// The slot's line.
    pub(crate) mid: Mid,
    /// The subscriber's payload type for the packet's codec.
    pub(crate) pt: Pt,
    /// The slot's numbers for it.
    pub(crate) numbers: Numbers,
    /// The shared rest.
    pub(crate) packet: &'a Packet,
}

/// Puts packets on the wire for one connection.
pub(crate) trait Egress {
    /// Takes one packet. What the connection then has to send is fetched by its owner.
    fn send(&mut self, outgoing: &Outgoing<'_>);
}

/// The reference: str0m numbers the extensions, encrypts, reports and retransmits.
impl Egress for Rtc {
    fn send(&mut self, outgoing: &Outgoing<'_>) {
        let (packet, numbers) = (outgoing.packet, &outgoing.numbers);
        let mut api = self.direct_api();
        let Some(stream) = api.stream_tx_by_mid(outgoing.mid, None) else { return };
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

/// The extensions that say something about the content and therefore travel with it.
pub(crate) fn content_extensions(values: &ExtensionValues) -> ExtensionValues {
    ExtensionValues {
        audio_level: values.audio_level,
        voice_activity: values.voice_activity,
        video_orientation: values.video_orientation,
        ..ExtensionValues::default()
    }
}
