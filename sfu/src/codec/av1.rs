//! The aggregation header of an AV1 payload (RTP payload format for AV1 1.0, §4.4) and the sequence header behind it.

use super::Size;
use crate::bits::Bits;

const CONTINUES: u8 = 0x80;
const STARTS_SEQUENCE: u8 = 0x08;
/// How many elements there are, without a length before the last; 0: each has one.
const ELEMENTS: u8 = 0x30;
/// Type and flags of an open bitstream unit (AV1 §5.3.2).
const UNIT_TYPE: u8 = 0x78;
const SEQUENCE_HEADER: u8 = 1 << 3;
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

/// Whether a payload is the first of a coded video sequence.
pub(super) fn starts_keyframe(payload: &[u8]) -> bool {
    payload.first().is_some_and(|head| head & (CONTINUES | STARTS_SEQUENCE) == STARTS_SEQUENCE)
}

/// The largest width and height of a sequence, from its first packet.
pub(super) fn size(payload: &[u8]) -> Option<Size> {
    let head = *payload.first()?;
    let mut left = head & ELEMENTS;
    let mut rest = &payload[1..];
    while !rest.is_empty() {
        let length = if left == 0x10 { rest.len() } else { leb128(&mut rest)? };
        let unit = rest.get(..length)?;
        if unit.first()? & UNIT_TYPE == SEQUENCE_HEADER {
            return sequence_size(unit);
        }
        rest = &rest[length..];
        left = left.saturating_sub(0x10);
    }
    None
}

fn sequence_size(unit: &[u8]) -> Option<Size> {
    let (flags, mut rest) = (*unit.first()?, &unit[1..]);
    if flags & HAS_EXTENSION != 0 {
        rest = rest.get(1..)?;
    }
    if flags & HAS_SIZE != 0 {
        leb128(&mut rest)?;
    }
    let mut bits = Bits::new(rest);
    bits.take(4)?;
    match bits.flag()? {
        true => drop(bits.take(5)?),
        false => skip_operating_points(&mut bits)?,
    }
    let (width_bits, height_bits) = (bits.take(4)? as usize + 1, bits.take(4)? as usize + 1);
    Some((bits.take(width_bits)? as u32 + 1, bits.take(height_bits)? as u32 + 1))
}

/// Up to the size of a sequence header without timing, which real-time encoders leave out (AV1 §5.5.1).
fn skip_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    if bits.flag()? {
        return None;
    }
    let has_delays = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.take(12)?;
        if bits.take(5)? > 7 {
            bits.take(1)?;
        }
        if has_delays && bits.flag()? {
            bits.take(4)?;
        }
    }
    Some(())
}

/// AV1 §4.10.5.
fn leb128(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for place in 0..4 {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_are_the_first_packet_of_a_sequence() {
        for (payload, expected) in [(&[0x08][..], true), (&[0x88], false), (&[0x10], false), (&[], false)] {
            assert_eq!(starts_keyframe(payload), expected, "{payload:02x?}");
        }
    }

    #[test]
    fn a_sequence_header_tells_the_size() {
        // Profile 0, one operating point of level 3.1, sizes of 10 and 9 bits: 640 × 360.
        let unit = [0x08, 0x00, 0x00, 0x00, 0x2c, 0xc4, 0xff, 0x67];
        assert_eq!(sequence_size(&unit), Some((640, 360)));
        let mut payload = vec![0x28, unit.len() as u8];
        payload.extend(unit);
        payload.extend([0x30, 0x00]);
        assert_eq!(size(&payload), Some((640, 360)));
        assert_eq!(size(&payload[..8]), None);
        assert_eq!(size(&[0x28, 0xff]), None);
    }
}
