//! The classic capture file (draft-ietf-opsawg-pcap), with raw IPv4 packets between two addresses for documentation.

use jiff::Timestamp;

/// Microseconds, in our byte order, which says how to read the rest.
const MAGIC: u32 = 0xa1b2_c3d4;
/// Packets begin with their IP header.
const LINKTYPE_RAW: u32 = 101;
const SNAP_BYTES: u32 = 65_535;
/// The IP and the UDP header.
const HEADS: usize = 20 + 8;
/// TEST-NET-1 (RFC 5737): whoever reads the file learns nobody's address.
const US: [u8; 4] = [192, 0, 2, 1];
const THEM: [u8; 4] = [192, 0, 2, 2];
/// The port that is registered for RTP.
const PORT: u16 = 5004;

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the participant.
    FromThem,
    /// To the participant.
    ToThem,
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Pcap {
    bytes: Vec<u8>,
}

impl Pcap {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend(2u16.to_le_bytes());
        bytes.extend(4u16.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(SNAP_BYTES.to_le_bytes());
        bytes.extend(LINKTYPE_RAW.to_le_bytes());
        Pcap { bytes }
    }

    /// How long it is so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A datagram of `real` bytes of which these are shown.
    pub(super) fn add(&mut self, direction: Direction, wall: Timestamp, shown: &[u8], real: usize) {
        let seconds = u32::try_from(wall.as_second()).unwrap_or_default();
        let micros = u32::try_from(wall.subsec_nanosecond() / 1_000).unwrap_or_default();
        for word in [seconds, micros, (HEADS + shown.len()) as u32, (HEADS + real) as u32] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(heads(direction, real));
        self.bytes.extend(shown);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// The headers of IPv4 (RFC 791) and of UDP, whose checksum may be left out (RFC 768).
fn heads(direction: Direction, real: usize) -> [u8; HEADS] {
    let (from, to) = match direction {
        Direction::FromThem => (THEM, US),
        Direction::ToThem => (US, THEM),
    };
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
    let mut heads = [0; HEADS];
    heads[0] = 0x45;
    heads[2..4].copy_from_slice(&length(HEADS + real));
    heads[8..10].copy_from_slice(&[64, 17]);
    heads[12..16].copy_from_slice(&from);
    heads[16..20].copy_from_slice(&to);
    let sum: u32 = heads[..20].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    heads[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    heads[20..22].copy_from_slice(&PORT.to_be_bytes());
    heads[22..24].copy_from_slice(&PORT.to_be_bytes());
    heads[24..26].copy_from_slice(&length(8 + real));
    heads
}
