//! str0m numbers the extensions, encrypts, reports and retransmits.

use str0m::Rtc;
use str0m::rtp::{ExtensionValues, RtpWrite};

use super::{Egress, Outgoing};
use crate::dependency::{self, Raw};
use crate::forward::{Packet, Rewritten};

/// The reference implementation.
#[derive(Debug)]
pub(crate) struct Reference;

impl Egress for Reference {
    fn send(&mut self, rtc: &mut Rtc, outgoing: &Outgoing<'_>) -> bool {
        let (packet, numbers) = (outgoing.packet, &outgoing.rewritten.numbers);
        let mut api = rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(outgoing.mid, None) else { return false };
        let mut payload = packet.payload_for(&outgoing.types).to_vec();
        packet.renumber(&mut payload, numbers, &outgoing.types);
        let write = RtpWrite::new(outgoing.types.pt, numbers.seq.into(), numbers.ts, packet.arrived, payload);
        let is_video = packet.codec.codec.is_video();
        let write = write.marker(outgoing.rewritten.marker).nackable(is_video);
        stream.write_rtp(write.ext_vals(extensions(packet, &outgoing.rewritten)));
        true
    }
}

/// The packet's extensions under the slot's frame number.
fn extensions(packet: &Packet, rewritten: &Rewritten) -> ExtensionValues {
    let mut values = packet.extensions.clone();
    if let (Some(descriptor), Some(number)) = (&packet.dependency, rewritten.numbers.frame_number) {
        let mut bytes = [0; dependency::BYTES_MAX];
        let len = descriptor.write(&mut bytes, number, rewritten.active);
        values.user_values.set(Raw(bytes[..len].into()));
    }
    values
}
