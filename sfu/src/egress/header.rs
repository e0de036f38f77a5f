//! The RTP header of what we send (RFC 3550 §5.1), with its extensions (RFC 8285 §4.2).

use str0m::media::Media;
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues};

use crate::dependency;
use crate::forward::{Packet, Rewritten};

/// In the first byte: the payload ends in padding.
pub(super) const PADDED: u8 = 0x20;
/// Bytes of the fixed part.
pub(super) const FIXED: usize = 12;
/// The fixed part and the longest extensions without a dependency descriptor: 4 bytes of head, elements of 2, 1, 1 and 8
/// bytes with 2 bytes of head each, padded.
pub(super) const PLAIN_BYTES_MAX: usize = FIXED + 4 + 20;
/// And with one.
pub(super) const BYTES_MAX: usize = PLAIN_BYTES_MAX + (2 + dependency::BYTES_MAX).next_multiple_of(4);
/// The longest element of one-byte extensions (RFC 8285 §4.2).
const ELEMENT_BYTES_MAX: usize = 16;

/// What differs from packet to packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) marker: bool,
    pub(super) pt: u8,
    pub(super) seq: u16,
    pub(super) ts: u32,
    pub(super) ssrc: u32,
    pub(super) transport_seq: u16,
}

/// Ids of the extensions that a subscriber takes on one line, 1 to 14.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ExtensionIds {
    pub(super) transport_seq: Option<u8>,
    audio_level: Option<u8>,
    orientation: Option<u8>,
    capture_time: Option<u8>,
    dependency: Option<u8>,
}

impl ExtensionIds {
    pub(super) fn of(media: &Media) -> Self {
        Self::in_map(media.remote_extmap())
    }

    pub(super) fn in_map(map: &ExtensionMap) -> Self {
        let id = |extension| map.id_of(extension).filter(|id| (1..15).contains(id));
        ExtensionIds {
            transport_seq: id(Extension::TransportSequenceNumber),
            audio_level: id(Extension::AudioLevel),
            orientation: id(Extension::VideoOrientation),
            capture_time: id(Extension::AbsoluteCaptureTime),
            dependency: id(dependency::extension()),
        }
    }
}

/// Writes a packet's header at the front of `place`, which has room for [`BYTES_MAX`]; padding has no content. Answers its
/// length.
pub(super) fn write(
    place: &mut [u8],
    fields: &Fields,
    ids: &ExtensionIds,
    content: Option<(&Packet, &Rewritten)>,
) -> usize {
    place[1] = u8::from(fields.marker) << 7 | fields.pt & 0x7f;
    place[2..4].copy_from_slice(&fields.seq.to_be_bytes());
    place[4..8].copy_from_slice(&fields.ts.to_be_bytes());
    place[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
    let descriptor = content.and_then(|(packet, rewritten)| {
        let numbers = rewritten.numbers.frame_number.map(|number| (number, rewritten.active));
        ids.dependency.zip(packet.dependency.as_ref()).zip(numbers)
    });
    let is_long = descriptor.is_some_and(|((_, from), _)| from.len_max() > ELEMENT_BYTES_MAX);
    let mut elements = Elements { bytes: &mut place[FIXED + 4..BYTES_MAX], len: 0, is_long };
    if let Some(id) = ids.transport_seq {
        elements.add(id, &fields.transport_seq.to_be_bytes());
    }
    if let Some((packet, _)) = content {
        elements.add_values(ids, &packet.extensions);
    }
    if let Some(((id, from), (number, active))) = descriptor {
        elements.add_written(id, |place| from.write(place, number, active));
    }
    let words = elements.finish();
    place[0] = 0x80 | u8::from(words > 0) << 4;
    if words == 0 {
        return FIXED;
    }
    let form: [u8; 2] = if is_long { [0x10, 0x00] } else { [0xbe, 0xde] };
    place[FIXED..FIXED + 2].copy_from_slice(&form);
    place[FIXED + 2..FIXED + 4].copy_from_slice(&words.to_be_bytes());
    FIXED + 4 + usize::from(words) * 4
}

struct Elements<'a> {
    bytes: &'a mut [u8],
    len: usize,
    /// Two bytes of head each (RFC 8285 §4.3) in place of one.
    is_long: bool,
}

impl Elements<'_> {
    /// What travels with the content.
    fn add_values(&mut self, ids: &ExtensionIds, values: &ExtensionValues) {
        if let (Some(id), Some(level)) = (ids.audio_level, values.audio_level) {
            let voice = u8::from(values.voice_activity == Some(true)) << 7;
            self.add(id, &[voice | level.unsigned_abs() & 0x7f]);
        }
        if let (Some(id), Some(orientation)) = (ids.orientation, values.video_orientation) {
            self.add(id, &[orientation as u8]);
        }
        if let (Some(id), Some(captured)) = (ids.capture_time, values.abs_capture_time) {
            self.add(id, &super::report::ntp_of(captured.capture_time).to_be_bytes());
        }
    }

    fn add(&mut self, id: u8, value: &[u8]) {
        self.add_written(id, |place| {
            place[..value.len()].copy_from_slice(value);
            value.len()
        });
    }

    /// Adds what `write` puts in place; nothing when it answers a length of 0.
    fn add_written(&mut self, id: u8, write: impl FnOnce(&mut [u8]) -> usize) {
        let head = if self.is_long { 2 } else { 1 };
        let len = write(&mut self.bytes[self.len + head..]);
        if len > 0 {
            match self.is_long {
                true => self.bytes[self.len..self.len + 2].copy_from_slice(&[id, len as u8]),
                false => self.bytes[self.len] = id << 4 | (len - 1) as u8,
            }
            self.len += head + len;
        }
    }

    /// Fills the last word; answers how many there are.
    fn finish(self) -> u16 {
        let words = self.len.div_ceil(4);
        self.bytes[self.len..words * 4].fill(0);
        words as u16
    }
}

#[cfg(test)]
mod tests {
    use str0m::rtp::{ExtensionValues, VideoOrientation};

    use super::*;
    use crate::dependency::tests::{frame_of_l1t2, key_of_l1t2};
    use crate::dependency::{Raw, Reader};
    use crate::forward::tests::{packet, start};

    const FIELDS: Fields =
        Fields { marker: true, pt: 96, seq: 0x1234, ts: 7, ssrc: 9, transport_seq: 0xabcd };

    /// What is written for these values, and behind a keyframe for this descriptor.
    fn written(ids: &ExtensionIds, values: ExtensionValues, descriptor: Option<&Raw>) -> Vec<u8> {
        let mut packet = packet(1, 1, true, start());
        packet.extensions = values;
        let mut reader = Reader::default();
        reader.read(&key_of_l1t2(0, 5));
        packet.dependency = descriptor.and_then(|raw| reader.read(raw));
        packet.numbers.frame_number = descriptor.map(|_| 0x1122);
        let rewritten = Rewritten { numbers: packet.numbers, marker: true, active: None };
        let mut place = vec![0xff; BYTES_MAX];
        let len = write(&mut place, &FIELDS, ids, Some((&packet, &rewritten)));
        place.truncate(len);
        place
    }

    #[test]
    fn without_extensions_it_is_the_fixed_part() {
        let header = written(&ExtensionIds::default(), ExtensionValues::default(), None);
        assert_eq!(header, [0x80, 0xe0, 0x12, 0x34, 0, 0, 0, 7, 0, 0, 0, 9]);
    }

    #[test]
    fn only_what_was_negotiated_and_is_known_is_written() {
        let ids = ExtensionIds {
            transport_seq: Some(5),
            audio_level: Some(1),
            orientation: Some(3),
            ..ExtensionIds::default()
        };
        let values = ExtensionValues {
            audio_level: Some(-30),
            voice_activity: Some(true),
            ..ExtensionValues::default()
        };
        let header = written(&ids, values, None);
        assert_eq!(header[0], 0x90);
        assert_eq!(header[FIXED..], [0xbe, 0xde, 0, 2, 0x51, 0xab, 0xcd, 0x10, 0x9e, 0, 0, 0]);
    }

    #[test]
    fn a_long_descriptor_makes_all_elements_long() {
        let ids = ExtensionIds { transport_seq: Some(5), dependency: Some(12), ..ExtensionIds::default() };
        let frame = frame_of_l1t2(1, 6);
        let header = written(&ids, ExtensionValues::default(), Some(&frame));
        assert_eq!(header[FIXED..], [0xbe, 0xde, 0, 2, 0x51, 0xab, 0xcd, 0xc2, 0xc6, 0x11, 0x22, 0]);
        let Raw(mut key) = key_of_l1t2(1, 5);
        let header = written(&ids, ExtensionValues::default(), Some(&Raw(key.clone())));
        std::sync::Arc::make_mut(&mut key)[1..3].copy_from_slice(&[0x11, 0x22]);
        assert_eq!(header[FIXED..FIXED + 2], [0x10, 0x00]);
        assert_eq!(header[FIXED + 4..FIXED + 8], [5, 2, 0xab, 0xcd]);
        assert_eq!(header[FIXED + 8..FIXED + 10], [12, key.len() as u8]);
        assert_eq!(header[FIXED + 10..FIXED + 10 + key.len()], key[..]);
    }

    #[test]
    fn the_longest_header_fits() {
        let ids = ExtensionIds {
            transport_seq: Some(5),
            audio_level: Some(1),
            orientation: Some(3),
            capture_time: Some(14),
            dependency: Some(12),
        };
        let mut values = ExtensionValues {
            audio_level: Some(-127),
            video_orientation: Some(VideoOrientation::Deg90),
            ..ExtensionValues::default()
        };
        values.abs_capture_time = Some(str0m::rtp::AbsCaptureTime {
            capture_time: std::time::SystemTime::UNIX_EPOCH,
            clock_offset: None,
        });
        let Raw(key) = key_of_l1t2(1, 5);
        let mut longest = key.to_vec();
        longest.resize(dependency::BYTES_MAX, 0);
        let header = written(&ids, values.clone(), Some(&Raw(longest.into())));
        assert!(header.len() > BYTES_MAX - 4 && header.len() <= BYTES_MAX, "{}", header.len());
        assert!(written(&ids, values, None).len() <= PLAIN_BYTES_MAX);
    }
}
