//! The VP8 payload descriptor (RFC 7741 §4.2) and the head of a VP8 frame (RFC 6386 §9.1).

use super::{Picture, PictureId, Places};

const EXTENDED: u8 = 0x80;
/// First packet of a partition, and the first partition.
const BEGINS: u8 = 0x17;
const BEGINS_FRAME: u8 = 0x10;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0: u8 = 0x40;
const HAS_TID: u8 = 0x20;
const HAS_KEY_INDEX: u8 = 0x10;
/// Clear in a keyframe's first byte.
const PREDICTED: u8 = 0x01;

/// Reads a descriptor; `None` when it is cut short.
pub(super) fn read(payload: &[u8]) -> Option<Picture> {
    let (first, mut at) = (*payload.first()?, 1);
    let mut picture = Picture::default();
    if first & EXTENDED != 0 {
        let flags = *payload.get(1)?;
        at = 2;
        if flags & HAS_PICTURE_ID != 0 {
            let id = PictureId::read(payload, at)?;
            at = id.end();
            picture.picture_id = Some(id.value);
            picture.places.picture_id = Some(id.place);
        }
        if flags & HAS_TL0 != 0 {
            picture.tl0 = Some(*payload.get(at)?);
            picture.places.tl0 = Some(at as u8);
            at += 1;
        }
        if flags & (HAS_TID | HAS_KEY_INDEX) != 0 {
            if flags & HAS_KEY_INDEX != 0 {
                picture.key_index = Some(*payload.get(at)? & Places::KEY_INDEX_BITS);
                picture.places.key_index = Some(at as u8);
            }
            at += 1;
        }
    }
    let begins = first & BEGINS == BEGINS_FRAME;
    picture.starts_keyframe = begins && payload.get(at)? & PREDICTED == 0;
    Some(picture)
}

/// Width and height, from the packet that starts a keyframe.
pub(super) fn size(payload: &[u8]) -> Option<(u32, u32)> {
    let head = &payload[..payload.len().min(32)];
    let at = head.windows(3).position(|bytes| bytes == [0x9d, 0x01, 0x2a])? + 3;
    let size = payload.get(at..at + 4)?;
    let number = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((number(size[0], size[1]), number(size[2], size[3])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_begin_with_a_first_partition_that_is_not_predicted() {
        let cases: [(&[u8], bool); 6] = [
            (&[0x10, 0x00], true),
            (&[0x10, 0x01], false),
            (&[0x00, 0x00], false),
            (&[0x11, 0x00], false),
            (&[0x90, 0xf0, 0x80, 0x01, 0x05, 0x1f, 0x00], true),
            (&[0x90, 0xf0, 0x80, 0x01, 0x05, 0x1f, 0x01], false),
        ];
        for (payload, expected) in cases {
            assert_eq!(read(payload).map(|p| p.starts_keyframe), Some(expected), "{payload:02x?}");
        }
        for cut in [&[][..], &[0x90], &[0x90, 0x80], &[0x90, 0x80, 0x80], &[0x90, 0xc0, 0x01]] {
            assert_eq!(read(cut), None, "{cut:02x?}");
        }
    }

    #[test]
    fn a_keyframe_tells_its_size() {
        assert_eq!(size(&[0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x41]), Some((640, 360)));
        assert_eq!(size(&[0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0x80]), None);
    }
}
