//! The VP9 payload descriptor (RFC 9628 §4.2), in flexible and non-flexible mode.

use super::{Picture, PictureId, Size, Sizes};
use crate::bits::Bits;
use crate::svc::{Frame, Layer, Raises};

const HAS_PICTURE_ID: u8 = 0x80;
const PREDICTED: u8 = 0x40;
const HAS_LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGINS: u8 = 0x08;
const ENDS: u8 = 0x04;
const HAS_STRUCTURE: u8 = 0x02;
/// In the layers' byte: later pictures of higher temporal layers need none of those layers before this one.
const SWITCH_UP: u8 = 0x10;
/// References of one picture in flexible mode.
const REFERENCES_MAX: usize = 3;

/// Reads a descriptor; `None` when it is cut short.
pub(super) fn read(payload: &[u8]) -> Option<Picture> {
    let flags = *payload.first()?;
    let (mut picture, mut at) = (Picture::default(), 1);
    if flags & HAS_PICTURE_ID != 0 {
        let id = PictureId::read(payload, at)?;
        at = id.end();
        picture.picture_id = Some(id.value);
        picture.places.picture_id = Some(id.place);
    }
    let is_key = flags & PREDICTED == 0;
    let mut spatial = 0;
    if flags & HAS_LAYERS != 0 {
        let layers = *payload.get(at)?;
        at += 1;
        let layer = Layer { spatial: layers >> 1 & 7, temporal: layers >> 5 };
        spatial = layer.spatial;
        picture.frame = Some(Frame {
            layer,
            begins: flags & BEGINS != 0,
            ends: flags & ENDS != 0,
            raises: match (is_key && spatial == 0, layers & SWITCH_UP != 0) {
                (true, _) => Raises::everything(),
                (false, true) => Raises::temporal(spatial),
                (false, false) => Raises::default(),
            },
        });
        if flags & FLEXIBLE == 0 {
            picture.tl0 = Some(*payload.get(at)?);
            picture.places.tl0 = Some(at as u8);
        }
    }
    picture.starts_keyframe = is_key && flags & BEGINS != 0 && spatial == 0;
    Some(picture)
}

/// Widths and heights of the spatial layers, from the packet that starts a keyframe: its scalability structure says, or
/// else the frame itself (VP9 bitstream §6.2).
pub(super) fn sizes(payload: &[u8]) -> Option<Sizes> {
    let at = structure_at(payload)?;
    if payload[0] & HAS_STRUCTURE == 0 {
        return frame_size(payload.get(at..)?).map(|size| Sizes::of(&[size]));
    }
    let head = *payload.get(at)?;
    let (count, has_sizes, has_group) = (usize::from(head >> 5) + 1, head & 0x10 != 0, head & 0x08 != 0);
    let at = at + 1;
    if has_sizes {
        let sizes = payload.get(at..at + 4 * count)?.chunks_exact(4);
        let number = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
        let sizes: Vec<Size> = sizes.map(|b| (number(b[0], b[1]), number(b[2], b[3]))).collect();
        return Some(Sizes::of(&sizes));
    }
    let at = if has_group { group_end(payload, at)? } else { at };
    frame_size(payload.get(at..)?).map(|size| Sizes::of(&[size]))
}

/// Where the scalability structure begins, or the frame if there is none.
fn structure_at(payload: &[u8]) -> Option<usize> {
    let flags = *payload.first()?;
    let mut at = 1;
    if flags & HAS_PICTURE_ID != 0 {
        at = PictureId::read(payload, at)?.end();
    }
    if flags & HAS_LAYERS != 0 {
        at += if flags & FLEXIBLE == 0 { 2 } else { 1 };
    }
    if flags & FLEXIBLE != 0 && flags & PREDICTED != 0 {
        for n in 1.. {
            let is_last = payload.get(at)? & 1 == 0 || n == REFERENCES_MAX;
            at += 1;
            if is_last {
                break;
            }
        }
    }
    Some(at)
}

/// The end of a structure's group of pictures.
fn group_end(payload: &[u8], mut at: usize) -> Option<usize> {
    let pictures = *payload.get(at)?;
    at += 1;
    for _ in 0..pictures {
        at += 1 + usize::from(payload.get(at)? >> 2 & 3);
    }
    Some(at)
}

/// The size in a keyframe's uncompressed header.
fn frame_size(frame: &[u8]) -> Option<Size> {
    const SRGB: u64 = 7;
    let mut bits = Bits::new(frame);
    let (marker, low, high) = (bits.take(2)?, bits.take(1)?, bits.take(1)?);
    let profile = high << 1 | low;
    if marker != 2 || (profile == 3 && bits.take(1)? != 0) {
        return None;
    }
    let (shows_existing, predicted) = (bits.take(1)?, bits.take(1)?);
    bits.take(2)?;
    if shows_existing + predicted != 0 || bits.take(24)? != 0x49_8342 {
        return None;
    }
    if profile >= 2 {
        bits.take(1)?;
    }
    let has_subsampling = profile == 1 || profile == 3;
    if bits.take(3)? == SRGB {
        bits.take(if has_subsampling { 1 } else { 0 })?;
    } else {
        bits.take(if has_subsampling { 4 } else { 1 })?;
    }
    Some((bits.take(16)? as u32 + 1, bits.take(16)? as u32 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_begin_in_the_lowest_spatial_layer_and_are_not_predicted() {
        let cases: [(&[u8], bool); 6] = [
            (&[0x08], true),
            (&[0x48], false),
            (&[0x00], false),
            (&[0xa8, 0x81, 0x02, 0x00, 0x07], true),
            (&[0xa8, 0x01, 0x02, 0x07], false),
            (&[0xb8, 0x01, 0x00], true),
        ];
        for (payload, expected) in cases {
            assert_eq!(read(payload).map(|p| p.starts_keyframe), Some(expected), "{payload:02x?}");
        }
        for cut in [&[][..], &[0x88], &[0x88, 0x80], &[0xa8, 0x01], &[0xa8, 0x01, 0x00]] {
            assert_eq!(read(cut), None, "{cut:02x?}");
        }
    }

    #[test]
    fn the_structure_tells_the_size_of_each_spatial_layer() {
        let payload = [0xaa, 0x81, 0x02, 0x00, 0x07, 0x30, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68];
        assert_eq!(sizes(&payload), Some(Sizes::of(&[(320, 180), (640, 360)])));
        assert_eq!(sizes(&payload[..13]), None);
    }

    #[test]
    fn a_frame_tells_its_size_where_the_structure_does_not() {
        let frame = [0x82, 0x49, 0x83, 0x42, 0x00, 0x27, 0xf0, 0x16, 0x70];
        assert_eq!(frame_size(&frame), Some((640, 360)));
        let mut payload = vec![0x0a, 0x08, 0x02, 0x00, 0x14, 0x01];
        payload.extend(frame);
        assert_eq!(sizes(&payload), Some(Sizes::of(&[(640, 360)])), "behind a group of two pictures");
        assert_eq!(frame_size(&[0x86, 0x49, 0x83, 0x42]), None, "predicted");
    }
}
