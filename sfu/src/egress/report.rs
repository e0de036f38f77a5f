//! Sender reports (RFC 3550 §6.4.1) and the clock they are in.

use std::time::{Duration, SystemTime};

/// Seconds from 1900, where NTP's clock starts, to 1970.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;
/// A report of what we receive, which is nothing: a compound begins with one, and its SSRC is ours alone, so that our
/// SRTCP and str0m's never share a nonce.
const EMPTY_RR: [u8; 4] = [0x80, 201, 0, 1];
const SR: [u8; 4] = [0x80, 200, 0, 6];
const SR_BYTES: usize = 28;
/// Of an empty receiver report.
pub(super) const START_BYTES: usize = 8;

/// What a stream says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct SenderReport {
    pub(super) ssrc: u32,
    /// NTP time and the RTP timestamp of the same moment.
    pub(super) ntp: u64,
    pub(super) ts: u32,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

/// Begins a compound; answers its length.
pub(super) fn start(packet: &mut [u8], our_ssrc: u32) -> usize {
    packet[..4].copy_from_slice(&EMPTY_RR);
    packet[4..START_BYTES].copy_from_slice(&our_ssrc.to_be_bytes());
    START_BYTES
}

/// Adds a report at `at`; answers the new length, or `None` when there is no room.
pub(super) fn add(packet: &mut [u8], at: usize, report: &SenderReport) -> Option<usize> {
    let place = packet.get_mut(at..at + SR_BYTES)?;
    place[..4].copy_from_slice(&SR);
    place[4..8].copy_from_slice(&report.ssrc.to_be_bytes());
    place[8..16].copy_from_slice(&report.ntp.to_be_bytes());
    place[16..20].copy_from_slice(&report.ts.to_be_bytes());
    place[20..24].copy_from_slice(&report.packets.to_be_bytes());
    place[24..28].copy_from_slice(&report.octets.to_be_bytes());
    Some(at + SR_BYTES)
}

/// A moment in NTP's 32.32 fixed point.
pub(crate) fn ntp_of(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (NTP_TO_UNIX_S << 32).wrapping_add(ntp_span(since))
}

/// A span in 32.32 fixed point.
pub(crate) fn ntp_span(span: Duration) -> u64 {
    let fraction = (u64::from(span.subsec_nanos()) << 32) / 1_000_000_000;
    (span.as_secs() << 32).wrapping_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_counts_from_1900_in_fixed_point() {
        assert_eq!(ntp_of(SystemTime::UNIX_EPOCH), 2_208_988_800 << 32);
        let half_past = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(ntp_of(half_past), (2_208_988_801 << 32) + (1 << 31));
    }
}
