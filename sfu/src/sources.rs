//! Which SRTP and SRTCP is a leg's own, before str0m sees it.
//!
//! - A packet under a new SSRC must prove itself: str0m moves a line to the SSRC of whatever names it, and checks the packet
//!   only after that. One forged packet would take a picture away, and many would fill its memory.
//! - Every SRTCP packet must prove itself and be new: str0m does not know replays there, and a report that is sent again by
//!   somebody else would keep a leg heard, and paying, that is long gone.

use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::{AeadAes128Gcm, Aes128CmSha1_80, from_feature_flags};

use crate::demux::hmac_sha1;
use crate::keys::{Handshake, Keys, SessionKey, Side};

/// SSRCs that one leg may come with in its life. A call with 64 lines, three layers and repair each has fewer.
const SSRCS_MAX: usize = 512;
/// The fixed part of an RTP header (RFC 3550 §5.1).
const HEADER_BYTES: usize = 12;
/// The part of an SRTCP packet in the clear (RFC 3711 §3.4).
const RTCP_HEADER_BYTES: usize = 8;
/// The SRTCP index at the end, and its flag for encryption.
const INDEX_BYTES: usize = 4;
const ENCRYPTED: u32 = 1 << 31;

/// What a datagram is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// Not the leg's, or not for the first time: str0m must not see it.
    Nothing,
    /// str0m finds out.
    Unknown,
    /// The leg has just sent it.
    Genuine,
}

/// What a leg has proven.
#[derive(Debug)]
pub(crate) struct Sources {
    handshake: Handshake,
    keys: Option<Keys>,
    /// Few, and the newest ask most: found by looking from the end.
    proven: Vec<u32>,
    /// SRTCP is numbered for each sender apart.
    reports: Vec<(u32, Window)>,
}

impl Sources {
    /// Nothing yet.
    pub(crate) fn new(handshake: Handshake) -> Self {
        Sources { handshake, keys: None, proven: Vec::new(), reports: Vec::new() }
    }

    /// Judges a datagram that came from an address of the leg.
    pub(crate) fn judge(&mut self, datagram: &[u8]) -> Worth {
        let Some((head, _)) = datagram.split_first_chunk::<RTCP_HEADER_BYTES>() else {
            return Worth::Unknown;
        };
        if head[0] >> 6 != 2 {
            return Worth::Unknown;
        }
        if self.keys.is_none() {
            self.keys = self.handshake.keys(Side::Theirs);
        }
        // RFC 5761 §4.
        let judged = match head[1] {
            192..224 => self.judge_report(datagram),
            _ => self.judge_media(datagram),
        };
        judged.unwrap_or(Worth::Nothing)
    }

    fn judge_media(&mut self, packet: &[u8]) -> Option<Worth> {
        let ssrc = number(packet, 8)?;
        if self.proven.iter().rev().any(|known| *known == ssrc) {
            return Some(Worth::Unknown);
        }
        opens_media(self.keys.as_ref()?, packet, ssrc)?;
        if self.proven.len() == SSRCS_MAX {
            return None;
        }
        self.proven.push(ssrc);
        // As yet: the same packet may come again before str0m remembers its number.
        Some(Worth::Unknown)
    }

    fn judge_report(&mut self, packet: &[u8]) -> Option<Worth> {
        let ssrc = number(packet, 4)?;
        let index = opens_report(self.keys.as_ref()?, packet, ssrc)?;
        let known = self.reports.iter().position(|(sender, _)| *sender == ssrc);
        let place = known.unwrap_or(self.reports.len());
        if place == SSRCS_MAX {
            return None;
        }
        if known.is_none() {
            self.reports.push((ssrc, Window::default()));
        }
        self.reports[place].1.is_new(index).then_some(Worth::Genuine)
    }
}

/// The newest indices seen (RFC 3711 §3.3.2).
#[derive(Debug, Default)]
struct Window {
    newest: u32,
    /// Bit `n`: the index `newest - n` was seen.
    seen: u128,
}

impl Window {
    /// Whether an index was not seen yet; it is now.
    fn is_new(&mut self, index: u32) -> bool {
        if index > self.newest || self.seen == 0 {
            let ahead = index.saturating_sub(self.newest);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.newest = index;
            return true;
        }
        let Some(bit) = 1u128.checked_shl(self.newest - index) else { return false };
        let is_new = self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }
}

/// Opens the first packet of an SSRC, whose rollover counter is 0.
fn opens_media(keys: &Keys, packet: &[u8], ssrc: u32) -> Option<()> {
    let seq = u16::from_be_bytes([packet[2], packet[3]]);
    if keys.profile == SrtpProfile::AES128_CM_SHA1_80 {
        let (body, tag) = packet.split_at(packet.len().checked_sub(Aes128CmSha1_80::HMAC_TAG_LEN)?);
        let right = Aes128CmSha1_80::rtp_verify(hmac_sha1, &keys.rtp.auth, body, u64::from(seq), tag);
        return right.then_some(());
    }
    let (header, sealed) = packet.split_at_checked(header_bytes(packet)?)?;
    let iv = AeadAes128Gcm::rtp_iv(keys.rtp.salt.as_slice().try_into().ok()?, ssrc, 0, seq);
    opens_gcm(&keys.rtp, &iv, &[header], sealed)
}

/// Opens an SRTCP packet and answers its index.
fn opens_report(keys: &Keys, packet: &[u8], ssrc: u32) -> Option<u32> {
    if keys.profile == SrtpProfile::AES128_CM_SHA1_80 {
        let (body, tag) = packet.split_at(packet.len().checked_sub(Aes128CmSha1_80::HMAC_TAG_LEN)?);
        let index = number(body, body.len().checked_sub(INDEX_BYTES)?.max(RTCP_HEADER_BYTES))?;
        let right = Aes128CmSha1_80::rtcp_verify(hmac_sha1, &keys.rtcp.auth, body, tag);
        return right.then_some(index & !ENCRYPTED);
    }
    // RFC 7714 §9.2 and §9.3: in the clear, all but the tag is authenticated only.
    let (body, trailer) = packet.split_at(packet.len().checked_sub(INDEX_BYTES)?);
    let index = number(trailer, 0)?;
    let salt = keys.rtcp.salt.as_slice().try_into().ok()?;
    let iv = AeadAes128Gcm::rtcp_iv(salt, ssrc, index & !ENCRYPTED);
    let clear = match index & ENCRYPTED {
        0 => body.len().checked_sub(AeadAes128Gcm::TAG_LEN)?,
        _ => RTCP_HEADER_BYTES,
    };
    let (header, sealed) = body.split_at_checked(clear)?;
    opens_gcm(&keys.rtcp, &iv, &[&[header, trailer].concat()], sealed)?;
    Some(index & !ENCRYPTED)
}

fn opens_gcm(keys: &SessionKey, iv: &[u8; 12], aad: &[&[u8]], sealed: &[u8]) -> Option<()> {
    let provider = from_feature_flags().srtp_provider;
    let mut plain = vec![0; sealed.len().checked_sub(AeadAes128Gcm::TAG_LEN)?];
    let opened = if let Ok(key) = <[u8; 16]>::try_from(keys.key.as_slice()) {
        provider.aead_aes_128_gcm().create_cipher(key, false).decrypt(iv, aad, sealed, &mut plain)
    } else {
        let key = <[u8; 32]>::try_from(keys.key.as_slice()).ok()?;
        provider.aead_aes_256_gcm().create_cipher(key, false).decrypt(iv, aad, sealed, &mut plain)
    };
    opened.ok().map(|_| ())
}

/// Fixed part, contributing sources and extension.
fn header_bytes(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let fixed = HEADER_BYTES + 4 * usize::from(first & 0x0f);
    if first & 0x10 == 0 {
        return Some(fixed);
    }
    let length = packet.get(fixed + 2..fixed + 4)?;
    Some(fixed + 4 + 4 * usize::from(u16::from_be_bytes([length[0], length[1]])))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacks::seals::Seals;

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
        let sealing = Handshake::said(&material, profile, false).keys(Side::Ours).unwrap();
        (Seals::new(sealing), Sources::new(handshake))
    }

    #[test]
    fn a_new_ssrc_proves_itself_in_every_profile() {
        for profile in profiles() {
            let (seals, mut sources) = both_sides(profile);
            let sealed = seals.rtp(&rtp(1, 65_530), 20, 65_530);
            for at in 0..sealed.len() {
                let mut forged = sealed.clone();
                forged[at] ^= 1;
                let worth = sources.judge(&forged);
                assert!(worth == Worth::Nothing || forged[0] >> 6 != 2, "{profile:?}, byte {at}: {worth:?}");
            }
            for end in 8..sealed.len() {
                assert_eq!(sources.judge(&sealed[..end]), Worth::Nothing);
            }
            assert_eq!(sources.judge(&sealed), Worth::Unknown);
            assert_eq!(sources.judge(&rtp(1, 1)), Worth::Unknown, "a known one is str0m's affair");
            assert_eq!(sources.judge(&rtp(2, 1)), Worth::Nothing);
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
                assert_ne!(sources.judge(&forged), Worth::Genuine, "{profile:?}, byte {at}");
            }
            assert_eq!(sources.judge(&second), Worth::Genuine);
            assert_eq!(sources.judge(&first), Worth::Genuine, "overtaken, but new");
            assert_eq!((sources.judge(&first), sources.judge(&second)), (Worth::Nothing, Worth::Nothing));
        }
    }

    #[test]
    fn a_leg_comes_with_so_many_ssrcs_and_no_more() {
        let (seals, mut sources) = both_sides(SrtpProfile::AEAD_AES_128_GCM);
        let genuine = (0..2_000).filter(|ssrc| {
            let sealed = seals.rtp(&rtp(*ssrc, 1), 20, 1);
            sources.judge(&sealed) == Worth::Unknown
        });
        assert_eq!(genuine.count(), SSRCS_MAX);
    }

    #[test]
    fn a_window_knows_what_it_saw_and_takes_nothing_older() {
        let mut window = Window::default();
        assert!(window.is_new(0) && !window.is_new(0));
        assert!(window.is_new(300) && window.is_new(173) && !window.is_new(173));
        assert!(!window.is_new(172), "further back than it can see");
        assert!(window.is_new(u32::MAX >> 1) && !window.is_new(300));
    }
}
