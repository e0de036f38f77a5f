//! The feedback of subscribers (RFC 3550 §6.4, RFC 4585 §6), read from compounds that anybody may have written.

/// One thing that a subscriber says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// Packets are missing: 4 bytes each, a number and a mask of the 16 after it (RFC 4585 §6.2.1).
    Nack { ssrc: u32, entries: &'a [u8] },
    /// A picture cannot be decoded (RFC 4585 §6.3.1, RFC 5104 §4.3.1).
    KeyframeRequest { ssrc: u32 },
    /// How one stream arrives (RFC 3550 §6.4.1).
    Report(Report),
    /// How every packet arrived: the body of a transport-wide report (draft-holmer-rmcat-transport-wide-cc-extensions-01
    /// §3.1), from its base sequence number on.
    Transport(&'a [u8]),
    /// The most that the receiver believes it can take, in bit/s (draft-alvestrand-rmcat-remb-03 §2.2).
    Remb(u64),
}

/// What a receiver says of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) ssrc: u32,
    /// Packets that did not come since the beginning; duplicates make it less.
    pub(crate) lost: i32,
    /// The highest number that came, with its wraps.
    pub(crate) highest: u32,
    /// In units of the stream's clock.
    pub(crate) jitter: u32,
    /// The middle of the NTP time of the last sender report, or 0.
    pub(crate) last_sender_report: u32,
    /// How long that was kept, in 1/65536 s.
    pub(crate) delay: u32,
}

/// Version, padding bit, count or format, type and length.
const HEADER: usize = 4;
/// The SSRCs of sender and media lead every feedback packet (RFC 4585 §6.1).
const FEEDBACK_HEAD: usize = 12;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const NACK: u8 = 1;
const PLI: u8 = 1;
const FIR: u8 = 4;
const GOODBYE: u8 = 203;
/// Transport-wide under transport feedback, application layer under payload feedback.
const WHOLE_LINE: u8 = 15;
const REPORT_BLOCK: usize = 24;
/// Before the report blocks: header and SSRC, and in a sender report 20 bytes about the sender.
const RECEIVER_REPORT_HEAD: usize = 8;
const SENDER_REPORT_HEAD: usize = 28;

/// Whether a datagram of the RTP range is RTCP (RFC 5761 §4).
pub(crate) fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, 192..=223, ..])
}

/// Reads a compound up to the first packet that is not whole.
pub(crate) fn read<'a>(compound: &'a [u8], mut take: impl FnMut(Item<'a>)) {
    packets(compound).for_each(|packet| read_packet(packet, &mut take));
}

/// Whether a compound says something of what its sender sends, and not only of what it receives.
pub(crate) fn is_of_a_sender(compound: &[u8]) -> bool {
    packets(compound).any(|packet| matches!(packet[1], SENDER_REPORT | GOODBYE))
}

/// The packets of a compound, up to the first that is not whole.
pub(crate) fn packets(mut compound: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (packet, rest) = split(compound)?;
        compound = rest;
        Some(packet)
    })
}

fn split(compound: &[u8]) -> Option<(&[u8], &[u8])> {
    let [first, _, high, low, ..] = *compound else { return None };
    let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * HEADER;
    if first >> 6 != 2 {
        return None;
    }
    compound.split_at_checked(length)
}

fn read_packet<'a>(packet: &'a [u8], take: &mut impl FnMut(Item<'a>)) {
    let (count, kind) = (packet[0] & 0x1f, packet[1]);
    match (kind, count) {
        (SENDER_REPORT, _) => read_reports(packet, SENDER_REPORT_HEAD, count, take),
        (RECEIVER_REPORT, _) => read_reports(packet, RECEIVER_REPORT_HEAD, count, take),
        (TRANSPORT_FEEDBACK, NACK) => {
            if let (Some(ssrc), Some(entries)) = (word(packet, 8), packet.get(FEEDBACK_HEAD..)) {
                take(Item::Nack { ssrc, entries });
            }
        }
        (PAYLOAD_FEEDBACK, PLI) => {
            if let Some(ssrc) = word(packet, 8) {
                take(Item::KeyframeRequest { ssrc });
            }
        }
        (PAYLOAD_FEEDBACK, FIR) => {
            for entry in packet.get(FEEDBACK_HEAD..).unwrap_or_default().chunks_exact(8) {
                if let Some(ssrc) = word(entry, 0) {
                    take(Item::KeyframeRequest { ssrc });
                }
            }
        }
        (TRANSPORT_FEEDBACK, WHOLE_LINE) => {
            if let Some(body) = feedback_body(packet) {
                take(Item::Transport(body));
            }
        }
        (PAYLOAD_FEEDBACK, WHOLE_LINE) => {
            if let Some(bps) = feedback_body(packet).and_then(remb) {
                take(Item::Remb(bps));
            }
        }
        _ => {}
    }
}

/// Behind the SSRCs and before the padding.
fn feedback_body(packet: &[u8]) -> Option<&[u8]> {
    let padding = if packet[0] & 0x20 == 0 { 0 } else { usize::from(*packet.last()?) };
    packet.get(FEEDBACK_HEAD..packet.len().checked_sub(padding)?)
}

/// An exponent of 6 bits and a mantissa of 18.
fn remb(body: &[u8]) -> Option<u64> {
    let numbers = body.strip_prefix(b"REMB")?.get(..4)?;
    let mantissa = u64::from(u32::from_be_bytes([0, numbers[1] & 3, numbers[2], numbers[3]]));
    let exponent = u32::from(numbers[1] >> 2);
    Some(mantissa.checked_shl(exponent).filter(|bps| bps >> exponent == mantissa).unwrap_or(u64::MAX))
}

fn read_reports<'a>(packet: &'a [u8], head: usize, count: u8, take: &mut impl FnMut(Item<'a>)) {
    let blocks = packet.get(head..).unwrap_or_default().chunks_exact(REPORT_BLOCK);
    for block in blocks.take(usize::from(count)) {
        let word = |at| word(block, at).unwrap_or_default();
        take(Item::Report(Report {
            ssrc: word(0),
            // 24 bits with a sign.
            lost: (word(4) << 8).cast_signed() >> 8,
            highest: word(8),
            jitter: word(12),
            last_sender_report: word(16),
            delay: word(20),
        }));
    }
}

/// The sequence numbers that NACK entries name.
pub(crate) fn missing(entries: &[u8]) -> impl Iterator<Item = u16> {
    entries.chunks_exact(4).flat_map(|entry| {
        let first = u16::from_be_bytes([entry[0], entry[1]]);
        let mask = u16::from_be_bytes([entry[2], entry[3]]);
        let more = (0..16).filter(move |bit| mask >> bit & 1 == 1);
        std::iter::once(first).chain(more.map(move |bit| first.wrapping_add(bit + 1)))
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::congestion::tests::encoder;

    fn items(compound: &[u8]) -> Vec<Item<'_>> {
        let mut items = Vec::new();
        read(compound, |item| items.push(item));
        items
    }

    #[test]
    fn a_compound_is_read_item_by_item() {
        let mut compound = vec![0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 5, 64, 0xff, 0xff, 0xfe];
        compound.extend([0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5]);
        compound.extend([0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 6, 0, 9, 0, 5]);
        compound.extend([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7]);
        compound.extend([0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0]);
        let entries = [0, 9, 0, 5];
        let (highest, jitter, last_sender_report, delay) = (65_538, 3, 4, 5);
        let report = Report { ssrc: 5, lost: -2, highest, jitter, last_sender_report, delay };
        let expected = [
            Item::Report(report),
            Item::Nack { ssrc: 6, entries: &entries },
            Item::KeyframeRequest { ssrc: 7 },
            Item::KeyframeRequest { ssrc: 8 },
        ];
        assert_eq!(items(&compound), expected);
        assert_eq!(missing(&entries).collect::<Vec<_>>(), [9, 10, 12]);
    }

    #[test]
    fn what_is_not_whole_is_not_read() {
        assert!(items(&[0x81, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 7]).is_empty());
        assert!(items(&[0x81, 206, 0, 1, 0, 0, 0, 1]).is_empty());
        assert!(items(&[0x41, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7]).is_empty());
    }

    fn remb_packet(exponent: u8, mantissa: u32) -> Vec<u8> {
        let numbers = [1, exponent << 2 | (mantissa >> 16) as u8, (mantissa >> 8) as u8, mantissa as u8];
        encoder::rtcp(206, &[b"REMB".as_slice(), &numbers, &[0, 0, 0, 9]].concat())
    }

    #[test]
    fn remb_is_a_mantissa_and_an_exponent() {
        assert_eq!(items(&remb_packet(3, 200_000)), [Item::Remb(1_600_000)]);
        assert_eq!(items(&remb_packet(0, 0x3ffff)), [Item::Remb(262_143)]);
        assert_eq!(items(&remb_packet(63, 0x3ffff)), [Item::Remb(u64::MAX)], "more than there is");
    }

    #[test]
    fn congestion_reports_are_found_among_others() {
        let receiver_report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let nack = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 0];
        let twcc = encoder::feedback(7, 0, &[Some(10), None, Some(30)], || 2);
        let compound = [&receiver_report[..], &nack, &twcc, &remb_packet(0, 9_000)].concat();
        let items = items(&compound);
        assert_eq!(items.len(), 3);
        assert!(matches!(items[1], Item::Transport([0, 7, 0, 3, ..])), "{items:?}");
        assert_eq!(items[2], Item::Remb(9_000));
    }

    #[test]
    fn who_sends_or_leaves_says_so() {
        let receives = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let goes = [0x81, 203, 0, 1, 0, 0, 0, 1];
        assert!(!is_of_a_sender(&receives));
        assert!(is_of_a_sender(&[receives, goes].concat()));
        assert!(is_of_a_sender(&[&[0x80, 200, 0, 6][..], &[0; 24]].concat()));
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_is_longer_than_what_came(compound in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut seqs = 0;
            read(&compound, |item| if let Item::Nack { entries, .. } = item { seqs += missing(entries).count() });
            prop_assert!(seqs <= compound.len() * 17 / 4);
        }

        /// Bytes that look right at first.
        #[test]
        fn no_broken_packet_panics(at in 0usize..60, byte: u8, cut in 0usize..60) {
            let twcc = encoder::feedback(7, 0, &[Some(10), None, Some(30), Some(9_000)], || 1);
            let mut bytes = [twcc, remb_packet(1, 5)].concat();
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            read(&bytes[..bytes.len().saturating_sub(cut)], |_| {});
        }
    }
}
