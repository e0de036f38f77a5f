//! The NAL units of an H.264 payload (RFC 6184 §5): alone, aggregated or fragmented.

use super::Size;
use crate::bits::Bits;

const IDR: u8 = 5;
const PARAMETERS: u8 = 7;
const AGGREGATED: u8 = 24;
const FRAGMENTED: u8 = 28;
/// A parameter set is read up to here: its size stands in front.
const PARAMETERS_BYTES_MAX: usize = 64;

/// Whether a payload holds a parameter set or the first part of an instantaneous refresh picture.
pub(super) fn starts_keyframe(payload: &[u8]) -> bool {
    let is_key = |unit: &[u8]| unit.first().is_some_and(|byte| matches!(byte & 0x1f, IDR | PARAMETERS));
    match payload.first().map(|byte| byte & 0x1f) {
        Some(FRAGMENTED) => payload.get(1).is_some_and(|head| head & 0x80 != 0 && is_key(&[*head])),
        _ => units(payload).any(is_key),
    }
}

/// Width and height, from the sequence parameter set in a payload.
pub(super) fn size(payload: &[u8]) -> Option<Size> {
    let set = units(payload).find(|unit| unit.first().is_some_and(|byte| byte & 0x1f == PARAMETERS))?;
    // What emulates a start code is undone first (H.264 §7.4.1).
    let mut bytes = Vec::with_capacity(PARAMETERS_BYTES_MAX);
    for byte in set.iter().take(PARAMETERS_BYTES_MAX) {
        if !(*byte == 3 && bytes.ends_with(&[0, 0])) {
            bytes.push(*byte);
        }
    }
    read_size(&mut Bits::new(&bytes))
}

/// The NAL units that are whole.
fn units(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_aggregated = payload.first().is_some_and(|byte| byte & 0x1f == AGGREGATED);
    let mut rest = if is_aggregated { &payload[1..] } else { &[] };
    let aggregated = std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
        let (unit, behind) = behind.split_at(length);
        rest = behind;
        Some(unit)
    });
    (!is_aggregated).then_some(payload).into_iter().chain(aggregated)
}

/// H.264 §7.3.2.1.1, for the profiles without chroma formats: what WebRTC has.
fn read_size(bits: &mut Bits<'_>) -> Option<Size> {
    const CHROMA_PROFILES: [u64; 4] = [100, 110, 122, 244];
    bits.take(8)?;
    let profile = bits.take(8)?;
    bits.take(16)?;
    golomb(bits)?;
    if CHROMA_PROFILES.contains(&profile) {
        let is_plain = golomb(bits)? == 1 && golomb(bits)? == 0 && golomb(bits)? == 0 && bits.take(2)? == 0;
        is_plain.then_some(())?;
    }
    golomb(bits)?;
    match golomb(bits)? {
        0 => drop(golomb(bits)?),
        1 => return None,
        _ => {}
    }
    golomb(bits)?;
    bits.take(1)?;
    let (columns, rows) = (golomb(bits)? + 1, golomb(bits)? + 1);
    let fields = 2 - bits.take(1)?;
    bits.take(if fields == 2 { 2 } else { 1 })?;
    let (mut width, mut height) = (columns * 16, rows * 16 * fields);
    if bits.flag()? {
        let (left, right, top, bottom) = (golomb(bits)?, golomb(bits)?, golomb(bits)?, golomb(bits)?);
        width = width.checked_sub(2 * (left + right))?;
        height = height.checked_sub(2 * fields * (top + bottom))?;
    }
    Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?))
}

/// An exponential-Golomb number (H.264 §9.1) of at most 16 bits.
fn golomb(bits: &mut Bits<'_>) -> Option<u64> {
    let mut zeros = 0;
    while !bits.flag()? {
        zeros += 1;
    }
    (zeros <= 16).then(|| bits.take(zeros).map(|rest| (1 << zeros) - 1 + rest))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_are_found_alone_aggregated_and_fragmented() {
        for (payload, expected) in [
            (&[0x65][..], true),
            (&[0x41], false),
            (&[0x7c, 0x85], true),
            (&[0x7c, 0x05], false),
            (&[0x18, 0, 2, 0x06, 0, 0, 1, 0x67], true),
            (&[0x18, 0, 9, 0x06], false),
            (&[], false),
        ] {
            assert_eq!(starts_keyframe(payload), expected, "{payload:02x?}");
        }
    }

    #[test]
    fn a_parameter_set_tells_the_size() {
        // Constrained baseline, 640 × 360: 40 × 23 macroblocks, 8 rows cropped.
        let set = [0x67, 0x42, 0xc0, 0x1f, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0x40];
        assert_eq!(size(&set), Some((640, 360)));
        let mut aggregated = vec![0x78, 0, set.len() as u8];
        aggregated.extend(set);
        assert_eq!(size(&aggregated), Some((640, 360)));
        assert_eq!(size(&set[..6]), None);
        assert_eq!(size(&[0x65, 0x42, 0xc0]), None);
    }
}
