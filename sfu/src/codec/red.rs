//! Redundant audio (RFC 2198): a packet that holds the encodings before its own once more.

/// Another block follows.
const FOLLOWED: u8 = 0x80;
const PAYLOAD_TYPE: u8 = 0x7f;
/// Bytes of the head of a block that is followed by another; the last one's is its first byte.
const HEAD_BYTES: usize = 4;

/// Where the packet's own encoding begins; `None` when the packet is not one of these.
pub(crate) fn primary_at(payload: &[u8]) -> Option<usize> {
    let (mut at, mut redundant) = (0, 0);
    while payload.get(at)? & FOLLOWED != 0 {
        let head = payload.get(at..at + HEAD_BYTES)?;
        redundant += usize::from(u16::from_be_bytes([head[2], head[3]]) & 0x03ff);
        at += HEAD_BYTES;
    }
    Some(at + 1 + redundant).filter(|start| *start <= payload.len())
}

/// Writes another payload type over that of each block.
pub(crate) fn rename(payload: &mut [u8], pt: u8) {
    let mut at = 0;
    while let Some(head) = payload.get_mut(at) {
        let is_last = *head & FOLLOWED == 0;
        *head = *head & FOLLOWED | pt & PAYLOAD_TYPE;
        if is_last {
            return;
        }
        at += HEAD_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One redundant block of two bytes, 960 ticks older, before three bytes.
    const PACKET: [u8; 10] = [0xef, 0x0f, 0x00, 0x02, 0x6f, 1, 2, 3, 4, 5];

    #[test]
    fn the_last_block_is_the_packets_own() {
        assert_eq!(primary_at(&PACKET), Some(7));
        assert_eq!(primary_at(&[0x6f, 9]), Some(1), "no redundancy at the start of a talk");
        for cut in [&PACKET[..6], &PACKET[..4], &[]] {
            assert_eq!(primary_at(cut), None, "{cut:02x?}");
        }
    }

    #[test]
    fn blocks_get_the_receivers_payload_type() {
        let mut packet = PACKET;
        rename(&mut packet, 109);
        assert_eq!(packet, [0xed, 0x0f, 0x00, 0x02, 0x6d, 1, 2, 3, 4, 5]);
    }
}
