//! Which SRTP and SRTCP is a leg's own, before str0m sees it.
//!
//! - A packet under a new SSRC must prove itself: str0m moves a line to the SSRC of whatever names it, and checks the packet
//!   only after that. One forged packet would take a picture away, and many would fill its memory.
//! - Every SRTCP packet must prove itself and be new: str0m does not know replays there, and a report that is sent again by
//!   somebody else would keep a leg heard, and paying, that is long gone.

use crate::keys::{Agreed, Handshake};
use crate::srtp::Opener;

/// SSRCs that one leg may come with in its life. A call with 64 lines, three layers and repair each has fewer.
const SSRCS_MAX: usize = 512;

/// What a leg has proven.
#[derive(Debug)]
pub(crate) struct Sources {
    handshake: Handshake,
    opener: Option<Opener>,
    /// Few, and the newest ask most: found by looking from the end.
    proven: Vec<u32>,
}

impl Sources {
    /// Nothing yet.
    pub(crate) fn new(handshake: Handshake) -> Self {
        Sources { handshake, opener: None, proven: Vec::new() }
    }

    /// What the handshake agreed on, once it is over.
    pub(crate) fn agreed(&self) -> Option<&Agreed> {
        self.handshake.agreed()
    }

    /// Whether the handshake is over without keys for media.
    pub(crate) fn are_in_vain(&self) -> bool {
        self.handshake.is_in_vain()
    }

    /// Whether str0m may see a datagram that came from an address of the leg. It may still be a copy of an earlier one:
    /// str0m finds that out.
    pub(crate) fn admits(&mut self, datagram: &[u8]) -> bool {
        let [128..192, ..] = datagram else { return true };
        let Some(ssrc) = datagram.get(8..12).and_then(<[u8]>::first_chunk) else { return false };
        let ssrc = u32::from_be_bytes(*ssrc);
        if self.proven.iter().rev().any(|known| *known == ssrc) {
            return true;
        }
        let is_proven = self.opener().is_some_and(|opener| opener.proves_rtp(datagram));
        let is_taken = is_proven && self.proven.len() < SSRCS_MAX;
        if is_taken {
            self.proven.push(ssrc);
        }
        is_taken
    }

    /// Opens an SRTCP datagram that came from an address of the leg, in place. `None` when the leg did not send it, or
    /// sent it before.
    pub(crate) fn open_report<'a>(&mut self, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        self.opener()?.open_rtcp(datagram)
    }

    /// Once the handshake is over.
    fn opener(&mut self) -> Option<&mut Opener> {
        if self.opener.is_none() {
            self.opener = self.handshake.agreed().and_then(Opener::new);
        }
        self.opener.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use str0m::crypto::dtls::SrtpProfile;

    use super::*;
    use crate::attacks::seals::Seals;
    use crate::rtcp;

    #[derive(Debug, PartialEq)]
    enum Worth {
        Nothing,
        /// str0m finds out.
        Unknown,
        Genuine,
    }

    /// As a leg is asked.
    fn judge(sources: &mut Sources, datagram: &[u8]) -> Worth {
        let mut bytes = datagram.to_vec();
        match rtcp::is_rtcp(datagram) {
            true => sources.open_report(&mut bytes).map_or(Worth::Nothing, |_| Worth::Genuine),
            false if sources.admits(datagram) => Worth::Unknown,
            false => Worth::Nothing,
        }
    }

    fn rtp(ssrc: u32, seq: u16) -> Vec<u8> {
        let mut packet = vec![0x90, 96];
        packet.extend(seq.to_be_bytes());
        packet.extend([0, 0, 0, 9]);
        packet.extend(ssrc.to_be_bytes());
        packet.extend([0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
        packet.extend([5; 40]);
        packet
    }

    fn profiles() -> [SrtpProfile; 3] {
        [SrtpProfile::AES128_CM_SHA1_80, SrtpProfile::AEAD_AES_128_GCM, SrtpProfile::AEAD_AES_256_GCM]
    }

    fn both_sides(profile: SrtpProfile) -> (Seals, Sources) {
        let material: Vec<u8> = (0..88).collect();
        let handshake = Handshake::said(&material, profile, true);
        (Seals::new(&Handshake::said(&material, profile, false)), Sources::new(handshake))
    }

    #[test]
    fn a_new_ssrc_proves_itself_in_every_profile() {
        for profile in profiles() {
            let (seals, mut sources) = both_sides(profile);
            let sealed = seals.rtp(&rtp(1, 65_530), 20, 65_530);
            for at in 0..sealed.len() {
                let mut forged = sealed.clone();
                forged[at] ^= 1;
                let worth = judge(&mut sources, &forged);
                assert!(worth == Worth::Nothing || forged[0] >> 6 != 2, "{profile:?}, byte {at}: {worth:?}");
            }
            for end in 8..sealed.len() {
                assert_eq!(judge(&mut sources, &sealed[..end]), Worth::Nothing);
            }
            assert_eq!(judge(&mut sources, &sealed), Worth::Unknown);
            assert_eq!(judge(&mut sources, &rtp(1, 1)), Worth::Unknown, "a known one is str0m's affair");
            assert_eq!(judge(&mut sources, &rtp(2, 1)), Worth::Nothing);
        }
    }

    #[test]
    fn a_report_counts_once_in_every_profile() {
        for profile in profiles() {
            let (mut seals, mut sources) = both_sides(profile);
            let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
            let (first, second) = (seals.rtcp(&report), seals.rtcp(&report));
            for at in 0..first.len() {
                let mut forged = first.clone();
                forged[at] ^= 1;
                assert_ne!(judge(&mut sources, &forged), Worth::Genuine, "{profile:?}, byte {at}");
            }
            assert_eq!(judge(&mut sources, &second), Worth::Genuine);
            assert_eq!(judge(&mut sources, &first), Worth::Genuine, "overtaken, but new");
            assert_eq!(
                (judge(&mut sources, &first), judge(&mut sources, &second)),
                (Worth::Nothing, Worth::Nothing)
            );
        }
    }

    #[test]
    fn a_leg_comes_with_so_many_ssrcs_and_no_more() {
        let (seals, mut sources) = both_sides(SrtpProfile::AEAD_AES_128_GCM);
        let genuine = (0..2_000).filter(|ssrc| {
            let sealed = seals.rtp(&rtp(*ssrc, 1), 20, 1);
            judge(&mut sources, &sealed) == Worth::Unknown
        });
        assert_eq!(genuine.count(), SSRCS_MAX);
    }
}
