//! The two congestion reports within a compound RTCP packet (RFC 3550 §6.1): transport-wide feedback and the receiver's
//! own estimate. Everything else in it is somebody else's.

use super::twcc::Feedback;

/// Version, padding bit, format, type and length.
const HEADER_BYTES: usize = 4;
/// The SSRCs of sender and media, which lead every feedback packet (RFC 4585 §6.1).
const SSRC_BYTES: usize = 8;
/// Transport layer feedback (RFC 4585 §6.2).
const RTPFB: u8 = 205;
/// Payload-specific feedback (RFC 4585 §6.3).
const PSFB: u8 = 206;
/// Transport-wide feedback under 205, application layer feedback under 206.
const FORMAT: u8 = 15;

/// What a subscriber reports about its line.
#[derive(Debug)]
pub(crate) enum Report<'a> {
    /// Packet by packet.
    Feedback(Feedback<'a>),
    /// The most that the receiver believes it can take, in bit/s (draft-alvestrand-rmcat-remb-03 §2.2).
    Remb(u64),
}

/// The reports in a decrypted compound packet; ends where it stops making sense.
pub(crate) fn reports(compound: &[u8]) -> impl Iterator<Item = Report<'_>> {
    let mut rest = compound;
    std::iter::from_fn(move || {
        let (packet, after) = split(rest)?;
        rest = after;
        Some(packet)
    })
    .filter_map(report)
}

/// The first packet of a compound and what follows it.
fn split(compound: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = compound.get(..HEADER_BYTES)?;
    let words = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let is_version_2 = header[0] >> 6 == 2;
    compound.split_at_checked((words + 1) * 4).filter(|_| is_version_2)
}

fn report(packet: &[u8]) -> Option<Report<'_>> {
    let padding = if packet[0] & 0x20 == 0 { 0 } else { usize::from(*packet.last()?) };
    let body = packet.get(HEADER_BYTES + SSRC_BYTES..packet.len().checked_sub(padding)?)?;
    match (packet[1], packet[0] & 0x1f) {
        (RTPFB, FORMAT) => Feedback::parse(body).map(Report::Feedback),
        (PSFB, FORMAT) => remb(body).map(Report::Remb),
        _ => None,
    }
}

/// An exponent of 6 bits and a mantissa of 18.
fn remb(body: &[u8]) -> Option<u64> {
    let numbers = body.strip_prefix(b"REMB")?.get(..4)?;
    let mantissa = u64::from(u32::from_be_bytes([0, numbers[1] & 3, numbers[2], numbers[3]]));
    let exponent = u32::from(numbers[1] >> 2);
    Some(mantissa.checked_shl(exponent).filter(|bps| bps >> exponent == mantissa).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::encoder;
    use super::*;

    fn remb_packet(exponent: u8, mantissa: u32) -> Vec<u8> {
        let numbers = [1, exponent << 2 | (mantissa >> 16) as u8, (mantissa >> 8) as u8, mantissa as u8];
        encoder::rtcp(PSFB, &[b"REMB".as_slice(), &numbers, &[0, 0, 0, 9]].concat())
    }

    fn rembs(compound: &[u8]) -> Vec<u64> {
        let rembs = reports(compound).filter_map(|report| match report {
            Report::Remb(bps) => Some(bps),
            Report::Feedback(_) => None,
        });
        rembs.collect()
    }

    #[test]
    fn remb_is_a_mantissa_and_an_exponent() {
        assert_eq!(rembs(&remb_packet(3, 200_000)), [1_600_000]);
        assert_eq!(rembs(&remb_packet(0, 0x3ffff)), [262_143]);
        assert_eq!(rembs(&remb_packet(63, 0x3ffff)), [u64::MAX], "more than there is");
    }

    #[test]
    fn reports_are_found_among_others() {
        let receiver_report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let nack = [0x81, RTPFB, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 0];
        let twcc = encoder::feedback(7, 0, &[Some(10), None, Some(30)], || 2);
        let compound = [&receiver_report[..], &nack, &twcc, &remb_packet(0, 9_000)].concat();
        let counts = reports(&compound).map(|report| match report {
            Report::Feedback(feedback) => feedback.count(),
            Report::Remb(bps) => bps as usize,
        });
        assert_eq!(counts.collect::<Vec<usize>>(), [3, 9_000]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            reports(&bytes).for_each(drop);
        }

        /// Bytes that look right at first.
        #[test]
        fn no_broken_packet_panics(at in 0usize..60, byte: u8, cut in 0usize..60) {
            let mut bytes = [encoder::feedback(7, 0, &[Some(10), None, Some(30), Some(9_000)], || 1), remb_packet(1, 5)].concat();
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            reports(&bytes[..bytes.len().saturating_sub(cut)]).for_each(drop);
        }
    }
}
