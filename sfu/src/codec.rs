//! The little that forwarding must know of a codec: where a keyframe starts, and how large a VP8 picture is.

use str0m::format::Codec;
use str0m::rtp::Vp8Descriptor;

/// Whether this payload begins a picture that needs no other.
pub(crate) fn starts_keyframe(codec: Codec, payload: &[u8], vp8: Option<&Vp8Descriptor>) -> bool {
    match codec {
        Codec::Vp8 => vp8.is_some_and(|descriptor| descriptor.starts_keyframe(payload)),
        Codec::Vp9 => vp9_starts_keyframe(payload),
        Codec::H264 => h264_starts_keyframe(payload),
        Codec::Av1 => av1_starts_keyframe(payload),
        _ => false,
    }
}

/// Width and height of a VP8 keyframe (RFC 6386 §9.1), from the packet that starts it.
pub(crate) fn vp8_size(payload: &[u8]) -> Option<(u32, u32)> {
    let head = &payload[..payload.len().min(32)];
    let at = head.windows(3).position(|bytes| bytes == [0x9d, 0x01, 0x2a])? + 3;
    let size = payload.get(at..at + 4)?;
    let number = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((number(size[0], size[1]), number(size[2], size[3])))
}

/// RFC 9628 §4.2: beginning of a frame that is not predicted from another, in the lowest spatial layer.
fn vp9_starts_keyframe(payload: &[u8]) -> bool {
    let Some(flags) = payload.first() else { return false };
    let (has_id, predicted, has_layers, begins) =
        (flags & 0x80 != 0, flags & 0x40 != 0, flags & 0x20 != 0, flags & 0x08 != 0);
    if predicted || !begins {
        return false;
    }
    if !has_layers {
        return true;
    }
    let id_bytes = match payload.get(1) {
        _ if !has_id => 0,
        Some(byte) if byte & 0x80 != 0 => 2,
        _ => 1,
    };
    payload.get(1 + id_bytes).is_some_and(|layers| (layers >> 1) & 0x07 == 0)
}

/// RFC 6184 §5: a parameter set or the first part of an instantaneous refresh picture, alone, aggregated or fragmented.
fn h264_starts_keyframe(payload: &[u8]) -> bool {
    const IDR: u8 = 5;
    const PARAMETERS: u8 = 7;
    let is_key = |byte: u8| matches!(byte & 0x1f, IDR | PARAMETERS);
    match payload.first().map(|byte| byte & 0x1f) {
        Some(24) => {
            let mut rest = &payload[1..];
            while let [high, low, unit, ..] = rest {
                if is_key(*unit) {
                    return true;
                }
                let length = usize::from(u16::from_be_bytes([*high, *low])) + 2;
                rest = rest.get(length..).unwrap_or_default();
            }
            false
        }
        Some(28) => payload.get(1).is_some_and(|head| head & 0x80 != 0 && is_key(*head)),
        Some(unit) => is_key(unit),
        None => false,
    }
}

/// AV1 RTP §4.4: the first packet of a coded video sequence.
fn av1_starts_keyframe(payload: &[u8]) -> bool {
    payload.first().is_some_and(|aggregation| aggregation & 0x88 == 0x08)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_are_found() {
        let vp8 = |payload: &[u8]| {
            let descriptor = Vp8Descriptor::parse(payload).ok();
            starts_keyframe(Codec::Vp8, payload, descriptor.as_ref())
        };
        assert!(vp8(&[0x10, 0x00]) && !vp8(&[0x10, 0x01]) && !vp8(&[0x00, 0x00]) && !vp8(&[]));
        for (codec, payload, expected) in [
            (Codec::Vp9, &[0x08][..], true),
            (Codec::Vp9, &[0x48], false),
            (Codec::Vp9, &[0x00], false),
            (Codec::Vp9, &[0xa8, 0x81, 0x02, 0x00], true),
            (Codec::Vp9, &[0xa8, 0x01, 0x02], false),
            (Codec::Vp9, &[], false),
            (Codec::H264, &[0x65], true),
            (Codec::H264, &[0x41], false),
            (Codec::H264, &[0x7c, 0x85], true),
            (Codec::H264, &[0x7c, 0x05], false),
            (Codec::H264, &[0x18, 0, 2, 0x06, 0, 0, 1, 0x67], true),
            (Codec::H264, &[0x18, 0, 9, 0x06], false),
            (Codec::H264, &[], false),
            (Codec::Av1, &[0x08], true),
            (Codec::Av1, &[0x88], false),
            (Codec::Av1, &[0x10], false),
        ] {
            assert_eq!(starts_keyframe(codec, payload, None), expected, "{codec:?} {payload:02x?}");
        }
    }

    #[test]
    fn a_vp8_keyframe_tells_its_size() {
        assert_eq!(vp8_size(&[0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x41]), Some((640, 360)));
        assert_eq!(vp8_size(&[0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0x80]), None);
    }
}
