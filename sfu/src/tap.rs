//! What a connection sends and is sent, for whoever looks for a fault in it: the headers of RTP and the types of RTCP, and
//! nothing that anybody said or showed. Payloads are left out, reports are zeroed, addresses are made-up ones.

mod pcap;

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::keys::Agreed;
use crate::rtcp;
use crate::srtp::Opener;
use pcap::{Direction, Pcap};

/// A tap is open no longer than this.
const OPEN_MAX: Duration = Duration::from_secs(60);
/// And holds no more than this.
const BYTES_MAX: usize = 512 << 10;
/// Larger than any datagram of ours.
const DATAGRAM_MAX: usize = 2_048;
/// What SRTCP leaves unsealed, and what is kept of each packet of a compound: header and SSRC.
const RTCP_KEPT: usize = 8;

/// A tap on one connection.
#[derive(Debug)]
pub(crate) struct Tap {
    pcap: Pcap,
    until: Instant,
    left: usize,
    /// Opens what they sent, and what we did.
    theirs: Option<Opener>,
    ours: Option<Opener>,
}

impl Tap {
    /// Stays open for so many seconds and packets at most.
    pub(crate) fn open(seconds: u32, packets: u32, agreed: Option<&Agreed>, now: Instant) -> Tap {
        let turned = agreed.map(Agreed::turned);
        Tap {
            pcap: Pcap::new(),
            until: now + Duration::from_secs(seconds.into()).min(OPEN_MAX),
            left: packets as usize,
            theirs: agreed.and_then(Opener::new),
            ours: turned.as_ref().and_then(Opener::new),
        }
    }

    /// A datagram came from the participant.
    pub(crate) fn came(&mut self, datagram: &[u8], wall: Timestamp) {
        self.note(Direction::FromThem, datagram, wall);
    }

    /// Datagrams of this length, the last one maybe shorter, go to the participant.
    pub(crate) fn left(&mut self, train: &[u8], segment: usize, wall: Timestamp) {
        for datagram in train.chunks(segment.max(1)) {
            self.note(Direction::ToThem, datagram, wall);
        }
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.until || self.left == 0 || self.pcap.len() >= BYTES_MAX
    }

    /// The file.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.pcap.finish()
    }

    fn note(&mut self, direction: Direction, datagram: &[u8], wall: Timestamp) {
        // What is neither RTP nor RTCP is the connection's own affair (RFC 7983).
        if self.left == 0 || self.pcap.len() >= BYTES_MAX || !matches!(datagram, [128..192, ..]) {
            return;
        }
        self.left -= 1;
        if rtcp::is_rtcp(datagram) {
            let mut buffer = [0; DATAGRAM_MAX];
            let kept = self.rtcp(direction, datagram, &mut buffer);
            self.pcap.add(direction, wall, &buffer[..kept], datagram.len());
        } else if let Some(head) = rtp_header(datagram) {
            self.pcap.add(direction, wall, &datagram[..head], datagram.len());
        }
    }

    /// Writes what may be seen of a compound; answers how long that is.
    fn rtcp(&mut self, direction: Direction, datagram: &[u8], buffer: &mut [u8; DATAGRAM_MAX]) -> usize {
        let opener = match direction {
            Direction::FromThem => &mut self.theirs,
            Direction::ToThem => &mut self.ours,
        };
        let mut opening = [0; DATAGRAM_MAX];
        let clear = datagram.len().min(RTCP_KEPT);
        if let Some(place) = opening.get_mut(..datagram.len()) {
            place.copy_from_slice(datagram);
            if let Some(opened) = opener.as_mut().and_then(|opener| opener.open_rtcp(place)) {
                return zeroed(opened, buffer);
            }
        }
        buffer[..clear].copy_from_slice(&datagram[..clear]);
        clear
    }
}

/// A compound whose packets keep their header and SSRC only; the rest is 0.
fn zeroed(compound: &[u8], buffer: &mut [u8; DATAGRAM_MAX]) -> usize {
    let mut at = 0;
    for packet in rtcp::packets(compound) {
        let kept = packet.len().min(RTCP_KEPT);
        buffer[at..at + kept].copy_from_slice(&packet[..kept]);
        at += packet.len();
    }
    at
}

/// The length of an RTP header with its contributors and extensions (RFC 3550 §5.1, §5.3.1), which SRTP leaves readable.
fn rtp_header(datagram: &[u8]) -> Option<usize> {
    let fixed = 12 + usize::from(datagram.first()? & 0x0f) * 4;
    let mut length = fixed;
    if datagram[0] & 0x10 != 0 {
        let words = datagram.get(fixed + 2..fixed + 4)?;
        length += 4 + usize::from(u16::from_be_bytes([words[0], words[1]])) * 4;
    }
    (datagram.len() >= length).then_some(length)
}

#[cfg(test)]
mod tests {
    use str0m::crypto::dtls::SrtpProfile;

    use super::*;
    use crate::forward::tests::start;
    use crate::srtp::Sealer;

    const MATERIAL: [u8; 56] = [7; 56];

    fn agreed(active: bool) -> Agreed {
        let (material, profile) = (MATERIAL.to_vec(), SrtpProfile::AEAD_AES_128_GCM);
        Agreed { profile, material, active, version: None }
    }

    /// The recorded datagrams: their real lengths and what was kept of them. Reads the file by its own words.
    fn records(file: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let (mut at, mut records) = (24, Vec::new());
        while at < file.len() {
            let (kept, real) = (word(at + 8), word(at + 12));
            records.push((real - 28, file[at + 16 + 28..at + 16 + kept].to_vec()));
            at += 16 + kept;
        }
        records
    }

    #[test]
    fn payloads_are_left_out_and_reports_are_zeroed() {
        let mut tap = Tap::open(10, 10, Some(&agreed(true)), start());
        let mut rtp = vec![0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x10, 5, 0, 0];
        let head = rtp.clone();
        rtp.extend([0xaa; 500]);
        tap.came(&rtp, Timestamp::UNIX_EPOCH);
        let mut rr = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
        rr.extend([0xaa; 24]);
        let pli = [0x81, 206, 0, 2, 0, 0, 0, 9, 0xaa, 0xaa, 0xaa, 0xaa];
        let mut sealed = [&rr[..], &pli].concat();
        let len = sealed.len();
        sealed.resize(len + 20, 0);
        for (direction, by) in [(Direction::FromThem, false), (Direction::ToThem, true)] {
            let mut sealed = sealed.clone();
            let length = Sealer::new(&agreed(by)).unwrap().seal_rtcp(&mut sealed, len).unwrap();
            tap.note(direction, &sealed[..length], Timestamp::UNIX_EPOCH);
        }
        let file = tap.finish();
        assert!(!file.windows(2).any(|pair| pair == [0xaa; 2]), "nothing of a payload is in the file");
        let mut seen = rr[..8].to_vec();
        seen.extend([0; 24]);
        seen.extend(&pli[..8]);
        seen.extend([0; 4]);
        assert_eq!(records(&file), [(520, head), (64, seen.clone()), (64, seen)]);
    }

    #[test]
    fn it_ends_by_time_by_number_and_by_size() {
        let t0 = start();
        let mut tap = Tap::open(5, 2, None, t0);
        let packet = [&[0x80, 96, 0, 1][..], &[0; 8]].concat();
        tap.came(&[22, 254, 253], Timestamp::UNIX_EPOCH);
        assert!(!tap.is_over(t0), "a handshake is not recorded");
        tap.came(&packet, Timestamp::UNIX_EPOCH);
        assert!(!tap.is_over(t0) && tap.is_over(t0 + Duration::from_secs(5)));
        tap.left(&[&packet[..], &packet, &packet].concat(), packet.len(), Timestamp::UNIX_EPOCH);
        assert!(tap.is_over(t0));
        assert_eq!(records(&tap.finish()).len(), 2);

        let mut tap = Tap::open(u32::MAX, u32::MAX, None, t0);
        let many = vec![0x80; 12 * 1_000];
        (0..100).for_each(|_| tap.left(&many, 12, Timestamp::UNIX_EPOCH));
        assert!(tap.is_over(t0) && tap.finish().len() < BYTES_MAX + 100);
        assert!(Tap::open(u32::MAX, 1, None, t0).is_over(t0 + OPEN_MAX));
    }

    #[test]
    fn what_is_too_short_is_not_recorded() {
        let mut tap = Tap::open(5, 100, Some(&agreed(true)), start());
        for short in [&[0x80][..], &[0x9f; 40], &[0x80, 200], &[0x80, 201, 0, 1], &[0x90; 15]] {
            tap.came(short, Timestamp::UNIX_EPOCH);
        }
        let kept: Vec<usize> = records(&tap.finish()).iter().map(|(_, kept)| kept.len()).collect();
        assert!(kept.iter().all(|kept| *kept <= 8), "{kept:?}");
    }
}
