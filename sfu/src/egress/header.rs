//! The RTP header of what we send (RFC 3550 §5.1), with its extensions (RFC 8285 §4.2).

use str0m::media::Media;
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues};

/// In the first byte: the payload ends in padding.
pub(super) const PADDED: u8 = 0x20;
/// Bytes of the fixed part.
pub(super) const FIXED: usize = 12;
/// The fixed part and the longest extensions that are written: 4 bytes of head, 3 + 2 + 2 + 9 of elements, padded.
pub(super) const BYTES_MAX: usize = FIXED + 4 + 16;

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
}

impl ExtensionIds {
    pub(super) fn of(media: &Media) -> Self {
        Self::in_map(media.remote_extmap())
    }

    fn in_map(map: &ExtensionMap) -> Self {
        let id = |extension| map.id_of(extension).filter(|id| (1..15).contains(id));
        ExtensionIds {
            transport_seq: id(Extension::TransportSequenceNumber),
            audio_level: id(Extension::AudioLevel),
            orientation: id(Extension::VideoOrientation),
            capture_time: id(Extension::AbsoluteCaptureTime),
        }
    }
}

/// Writes a header at the front of `packet`, which has room for [`BYTES_MAX`]. Answers its length.
pub(super) fn write(
    packet: &mut [u8],
    fields: &Fields,
    ids: &ExtensionIds,
    values: &ExtensionValues,
) -> usize {
    packet[1] = u8::from(fields.marker) << 7 | fields.pt & 0x7f;
    packet[2..4].copy_from_slice(&fields.seq.to_be_bytes());
    packet[4..8].copy_from_slice(&fields.ts.to_be_bytes());
    packet[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
    let mut elements = Elements { bytes: &mut packet[FIXED + 4..BYTES_MAX], len: 0 };
    if let Some(id) = ids.transport_seq {
        elements.add(id, &fields.transport_seq.to_be_bytes());
    }
    if let (Some(id), Some(level)) = (ids.audio_level, values.audio_level) {
        let voice = u8::from(values.voice_activity == Some(true)) << 7;
        elements.add(id, &[voice | level.unsigned_abs() & 0x7f]);
    }
    if let (Some(id), Some(orientation)) = (ids.orientation, values.video_orientation) {
        elements.add(id, &[orientation as u8]);
    }
    if let (Some(id), Some(captured)) = (ids.capture_time, values.abs_capture_time) {
        elements.add(id, &super::report::ntp_of(captured.capture_time).to_be_bytes());
    }
    let words = elements.finish();
    packet[0] = 0x80 | u8::from(words > 0) << 4;
    if words == 0 {
        return FIXED;
    }
    packet[FIXED..FIXED + 2].copy_from_slice(&[0xbe, 0xde]);
    packet[FIXED + 2..FIXED + 4].copy_from_slice(&words.to_be_bytes());
    FIXED + 4 + usize::from(words) * 4
}

struct Elements<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl Elements<'_> {
    fn add(&mut self, id: u8, value: &[u8]) {
        let end = self.len + 1 + value.len();
        self.bytes[self.len] = id << 4 | (value.len() - 1) as u8;
        self.bytes[self.len + 1..end].copy_from_slice(value);
        self.len = end;
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
    use str0m::rtp::VideoOrientation;

    use super::*;

    const FIELDS: Fields =
        Fields { marker: true, pt: 96, seq: 0x1234, ts: 7, ssrc: 9, transport_seq: 0xabcd };

    #[test]
    fn without_extensions_it_is_the_fixed_part() {
        let mut packet = [0xff; BYTES_MAX];
        let len = write(&mut packet, &FIELDS, &ExtensionIds::default(), &ExtensionValues::default());
        assert_eq!(packet[..len], [0x80, 0xe0, 0x12, 0x34, 0, 0, 0, 7, 0, 0, 0, 9]);
    }

    #[test]
    fn only_what_was_negotiated_and_is_known_is_written() {
        let mut packet = [0xff; BYTES_MAX];
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
        let len = write(&mut packet, &FIELDS, &ids, &values);
        assert_eq!(packet[0], 0x90);
        assert_eq!(packet[FIXED..len], [0xbe, 0xde, 0, 2, 0x51, 0xab, 0xcd, 0x10, 0x9e, 0, 0, 0]);
    }

    #[test]
    fn the_longest_header_fits() {
        let mut packet = [0; BYTES_MAX];
        let ids = ExtensionIds {
            transport_seq: Some(5),
            audio_level: Some(1),
            orientation: Some(3),
            capture_time: Some(14),
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
        assert_eq!(write(&mut packet, &FIELDS, &ids, &values), BYTES_MAX);
    }
}
