//! The slot's picture ids over the source's, in place (RFC 7741 §4.2).

use crate::rewrite::Numbers;

const EXTENDED: u8 = 0x80;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0: u8 = 0x40;
/// A picture id of 15 bits.
const LONG: u8 = 0x80;

/// Writes the numbers into a VP8 payload's descriptor, in as many bits as the source uses. A payload that is too short
/// for its own descriptor stays as it is.
pub(super) fn renumber(payload: &mut [u8], numbers: &Numbers) {
    let &mut [first, flags, ref mut rest @ ..] = payload else { return };
    if first & EXTENDED == 0 {
        return;
    }
    let mut at = 0;
    if flags & HAS_PICTURE_ID != 0 {
        let Some(length) = write_picture_id(rest, numbers.picture_id) else { return };
        at = length;
    }
    if flags & HAS_TL0 != 0
        && let (Some(place), Some(tl0)) = (rest.get_mut(at), numbers.tl0)
    {
        *place = tl0;
    }
}

/// Answers how many bytes the picture id has.
fn write_picture_id(rest: &mut [u8], id: Option<u16>) -> Option<usize> {
    let length = if rest.first()? & LONG != 0 { 2 } else { 1 };
    let place = rest.get_mut(..length)?;
    match id {
        Some(id) if length == 2 => place.copy_from_slice(&(id | u16::from(LONG) << 8).to_be_bytes()),
        Some(id) => place[0] = (id & 0x7f) as u8,
        None => {}
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_numbers_replace_the_sources() {
        let numbers = Numbers { seq: 0, ts: 0, picture_id: Some(0x1234), tl0: Some(9) };
        let cases: [(&[u8], &[u8]); 8] = [
            (&[0x90, 0xe0, 0x80, 0x01, 0x05, 0x20, 0xaa], &[0x90, 0xe0, 0x92, 0x34, 0x09, 0x20, 0xaa]),
            (&[0x90, 0xc0, 0x05, 0x06, 0xaa], &[0x90, 0xc0, 0x34, 0x09, 0xaa]),
            (&[0x90, 0x40, 0x06, 0xaa], &[0x90, 0x40, 0x09, 0xaa]),
            (&[0x90, 0x20, 0x06, 0xaa], &[0x90, 0x20, 0x06, 0xaa]),
            (&[0x10, 0xaa, 0xaa], &[0x10, 0xaa, 0xaa]),
            (&[0x90, 0xe0, 0x80], &[0x90, 0xe0, 0x80]),
            (&[0x90], &[0x90]),
            (&[], &[]),
        ];
        for (before, after) in cases {
            let mut payload = before.to_vec();
            renumber(&mut payload, &numbers);
            assert_eq!(payload, after, "{before:x?}");
        }
    }

    #[test]
    fn a_source_that_has_no_number_keeps_its_bytes() {
        let mut payload = [0x90, 0xc0, 0x80, 0x01, 0x05];
        renumber(&mut payload, &Numbers { seq: 0, ts: 0, picture_id: None, tl0: None });
        assert_eq!(payload, [0x90, 0xc0, 0x80, 0x01, 0x05]);
    }
}
