//! Sealing and opening under the keys of a handshake: SRTP and SRTCP (RFC 3711) with AES-GCM (RFC 7714) or with
//! AES-CM and HMAC-SHA1-80. Nothing is allocated per packet; everything happens in the caller's buffer.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac};
use str0m::crypto::dtls::SrtpProfile;

use crate::keys::Agreed;

/// Room that sealing needs behind a packet: GCM's tag is the longest, and SRTCP adds its index.
pub(crate) const SEAL_BYTES_MAX: usize = 16 + 4;
/// The part of an RTCP packet that is never encrypted: its first header and the sender's SSRC.
const RTCP_CLEAR: usize = 8;
const GCM_TAG: usize = 16;
const SHA1_TAG: usize = 10;
/// SRTCP's flag that says "encrypted", beside the 31 bits of its index.
const ENCRYPTED: u32 = 1 << 31;
/// SSRCs that one leg may report under in its life. A call with 64 lines, three layers and repair each has fewer.
const SENDERS_MAX: usize = 512;
/// The fixed part of an RTP header (RFC 3550 §5.1).
const RTP_FIXED: usize = 12;
/// The longest packet that is proven.
const PACKET_MAX: usize = 2_000;

/// What we send on one connection.
#[derive(Debug)]
pub(crate) struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    rtcp_index: u32,
}

/// What the other end sends.
#[derive(Debug)]
pub(crate) struct Opener {
    rtp: Cipher,
    rtcp: Cipher,
    /// SRTCP is numbered for each sender apart.
    seen: Vec<(u32, ReplayWindow)>,
}

impl Sealer {
    /// `None` when the keys do not fit their profile.
    pub(crate) fn new(keys: &Agreed) -> Option<Sealer> {
        let (rtp, rtcp) = ciphers(keys, keys.active)?;
        Some(Sealer { rtp, rtcp, rtcp_index: 0 })
    }

    /// Seals the RTP packet `packet[..len]`, whose header is `header` bytes long and which is the `index`-th of its SSRC
    /// (sequence number and rollovers). Answers its new length.
    ///
    /// The caller never seals two packets of one SSRC under one index: with GCM that gives the key away.
    pub(crate) fn seal_rtp(&self, packet: &mut [u8], header: usize, len: usize, index: u64) -> Option<usize> {
        let ssrc = word(packet, 8)?;
        let (clear, rest) = packet.split_at_mut_checked(header)?;
        let payload = len.checked_sub(header)?;
        let rollovers = ((index >> 16) as u32).to_be_bytes();
        match &self.rtp {
            Cipher::Gcm { key, salt } => {
                let (body, tag) = rest.split_at_mut_checked(payload)?;
                seal(key, mix(rtp_nonce(ssrc, index), salt), &*clear, body, tag.get_mut(..GCM_TAG)?)?;
                Some(len + GCM_TAG)
            }
            Cipher::Cm { salt, keys: cm } => {
                keystream(&cm.cipher, counter(salt, ssrc, index), &mut rest[..payload])?;
                let tag = hmac_sha1(&cm.auth, &[&packet[..len], &rollovers]);
                packet.get_mut(len..len + SHA1_TAG)?.copy_from_slice(&tag);
                Some(len + SHA1_TAG)
            }
        }
    }

    /// Seals the compound RTCP packet `packet[..len]`. Answers its new length.
    pub(crate) fn seal_rtcp(&mut self, packet: &mut [u8], len: usize) -> Option<usize> {
        let ssrc = word(packet, 4)?;
        let index = self.rtcp_index;
        // 31 bits last for 68 years at one a second; whoever gets there must not start again.
        self.rtcp_index = index.checked_add(1).filter(|next| *next < ENCRYPTED)?;
        let trailer = (index | ENCRYPTED).to_be_bytes();
        match &self.rtcp {
            Cipher::Gcm { key, salt } => {
                let mut aad = [0; RTCP_CLEAR + 4];
                aad[..RTCP_CLEAR].copy_from_slice(packet.get(..RTCP_CLEAR)?);
                aad[RTCP_CLEAR..].copy_from_slice(&trailer);
                let (body, rest) = packet[RTCP_CLEAR..].split_at_mut_checked(len - RTCP_CLEAR)?;
                seal(key, mix(rtcp_nonce(ssrc, index), salt), &aad, body, rest.get_mut(..GCM_TAG)?)?;
                rest.get_mut(GCM_TAG..GCM_TAG + 4)?.copy_from_slice(&trailer);
                Some(len + GCM_TAG + 4)
            }
            Cipher::Cm { salt, keys: cm } => {
                keystream(&cm.cipher, counter(salt, ssrc, index.into()), packet.get_mut(RTCP_CLEAR..len)?)?;
                packet.get_mut(len..len + 4)?.copy_from_slice(&trailer);
                let tag = hmac_sha1(&cm.auth, &[&packet[..len + 4]]);
                packet.get_mut(len + 4..len + 4 + SHA1_TAG)?.copy_from_slice(&tag);
                Some(len + 4 + SHA1_TAG)
            }
        }
    }
}

impl Opener {
    /// `None` when the keys do not fit their profile.
    pub(crate) fn new(keys: &Agreed) -> Option<Opener> {
        let (rtp, rtcp) = ciphers(keys, !keys.active)?;
        Some(Opener { rtp, rtcp, seen: Vec::new() })
    }

    /// Whether an RTP packet is theirs, if it is one of the first of its SSRC: no rollover yet.
    pub(crate) fn proves_rtp(&self, packet: &[u8]) -> bool {
        self.open_first(packet).is_some()
    }

    fn open_first(&self, packet: &[u8]) -> Option<()> {
        let (ssrc, header) = (word(packet, 8)?, rtp_header_bytes(packet)?);
        match &self.rtp {
            Cipher::Gcm { key, salt } => {
                let (sealed, tag) = packet.split_at_checked(packet.len().checked_sub(GCM_TAG)?)?;
                let (clear, sealed) = sealed.split_at_checked(header)?;
                let seq = u16::from_be_bytes([packet[2], packet[3]]);
                let nonce = Nonce::assume_unique_for_key(mix(rtp_nonce(ssrc, seq.into()), salt));
                let mut opened = [0; PACKET_MAX];
                let opened = opened.get_mut(..sealed.len())?;
                key.open_separate_gather(nonce, Aad::from(clear), sealed, tag, opened).ok()
            }
            Cipher::Cm { keys, .. } => {
                let (signed, tag) = packet.split_at_checked(packet.len().checked_sub(SHA1_TAG)?)?;
                let right = hmac_sha1(&keys.auth, &[signed, &[0; 4]]);
                constant_time::verify_slices_are_equal(&right, tag).ok()
            }
        }
    }

    /// Opens an SRTCP packet in place. `None` when it is not theirs, not whole or was seen before.
    pub(crate) fn open_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let ssrc = word(packet, 4)?;
        let (index, opened) = match &self.rtcp {
            Cipher::Gcm { key, salt } => open_gcm(key, salt, packet, ssrc)?,
            Cipher::Cm { salt, keys } => open_cm(keys, salt, packet, ssrc)?,
        };
        self.is_new(ssrc, index).then_some(opened)
    }

    fn is_new(&mut self, ssrc: u32, index: u32) -> bool {
        if let Some((_, window)) = self.seen.iter_mut().find(|(known, _)| *known == ssrc) {
            return window.admit(index.into());
        }
        if self.seen.len() == SENDERS_MAX {
            return false;
        }
        let mut window = ReplayWindow::default();
        window.admit(index.into());
        self.seen.push((ssrc, window));
        true
    }
}

/// The ciphers of RTP and RTCP of the DTLS client or of the server.
fn ciphers(keys: &Agreed, of_client: bool) -> Option<(Cipher, Cipher)> {
    let (key_len, salt_len) = lengths(keys.profile)?;
    // Both keys, the client's first, then both salts (RFC 5764 §4.2).
    let side = usize::from(!of_client);
    let (masters, salts) = keys.material.get(..2 * (key_len + salt_len))?.split_at(2 * key_len);
    let (key, salt) = (&masters[side * key_len..][..key_len], &salts[side * salt_len..][..salt_len]);
    let derive = |label| Cipher::derive(keys.profile, (key, salt), label);
    Some((derive(Label::RTP)?, derive(Label::RTCP)?))
}

/// The numbers of the last 128 packets that were seen.
#[derive(Debug, Default, Clone)]
pub(crate) struct ReplayWindow {
    newest: u64,
    seen: u128,
}

impl ReplayWindow {
    /// Takes note of a number. False when it was seen before or is too old to tell.
    pub(crate) fn admit(&mut self, number: u64) -> bool {
        if self.seen == 0 || number > self.newest {
            let ahead = number.saturating_sub(self.newest);
            self.seen = if self.seen == 0 || ahead > 127 { 1 } else { self.seen << ahead | 1 };
            self.newest = number;
            return true;
        }
        let behind = self.newest - number;
        if behind > 127 || self.seen >> behind & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

enum Cipher {
    Gcm { key: LessSafeKey, salt: [u8; 12] },
    Cm { salt: [u8; 14], keys: Box<CmKeys> },
}

/// Large: the library keeps the rounds of its keys inside them.
struct CmKeys {
    cipher: EncryptingKey,
    auth: hmac::Key,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Cipher::Gcm { .. } => "Gcm",
            Cipher::Cm { .. } => "Cm",
        })
    }
}

/// The first of the three labels of a direction's keys (RFC 3711 §4.3.1): encryption, authentication, salt.
struct Label(u8);

impl Label {
    const RTP: Label = Label(0);
    const RTCP: Label = Label(3);
}

impl Cipher {
    fn derive(profile: SrtpProfile, master: (&[u8], &[u8]), label: Label) -> Option<Cipher> {
        let (key_len, salt_len) = lengths(profile)?;
        let (mut key, mut auth, mut salt) = ([0; 32], [0; 20], [0; 14]);
        derive(master, label.0, &mut key[..key_len])?;
        derive(master, label.0 + 1, &mut auth)?;
        derive(master, label.0 + 2, &mut salt[..salt_len])?;
        let key = &key[..key_len];
        Some(match profile {
            SrtpProfile::AES128_CM_SHA1_80 => {
                let cipher = UnboundCipherKey::new(&AES_128, key).and_then(EncryptingKey::ctr).ok()?;
                let auth = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth);
                Cipher::Cm { salt, keys: Box::new(CmKeys { cipher, auth }) }
            }
            _ => {
                let algorithm = if key_len == 16 { &AES_128_GCM } else { &AES_256_GCM };
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
                Cipher::Gcm { key, salt: *salt.first_chunk()? }
            }
        })
    }
}

/// Of a master key and its salt.
fn lengths(profile: SrtpProfile) -> Option<(usize, usize)> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some((16, 14)),
        SrtpProfile::AEAD_AES_128_GCM => Some((16, 12)),
        SrtpProfile::AEAD_AES_256_GCM => Some((32, 12)),
        _ => None,
    }
}

/// A session key: the keystream of the master key at the salt with the label in it (RFC 3711 §4.3, key rate 0).
fn derive((key, salt): (&[u8], &[u8]), label: u8, out: &mut [u8]) -> Option<()> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let cipher = UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::ctr).ok()?;
    let mut iv = [0; 16];
    iv[..salt.len()].copy_from_slice(salt);
    iv[7] ^= label;
    keystream(&cipher, iv, out)
}

fn keystream(cipher: &EncryptingKey, iv: [u8; 16], data: &mut [u8]) -> Option<()> {
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    cipher.less_safe_encrypt(data, context).ok().map(|_| ())
}

/// The counter block of AES-CM (RFC 3711 §4.1.1).
fn counter(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    for (at, byte) in iv[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
        *at ^= byte;
    }
    for (at, byte) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
        *at ^= byte;
    }
    iv
}

/// SSRC, rollovers and sequence number in the nonce of SRTP (RFC 7714 §8.1).
fn rtp_nonce(ssrc: u32, index: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
    nonce[6..12].copy_from_slice(&index.to_be_bytes()[2..]);
    nonce
}

/// SSRC and index in the nonce of SRTCP (RFC 7714 §9.1).
fn rtcp_nonce(ssrc: u32, index: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
    nonce[8..12].copy_from_slice(&index.to_be_bytes());
    nonce
}

fn mix(mut nonce: [u8; 12], salt: &[u8; 12]) -> [u8; 12] {
    for (byte, salt) in nonce.iter_mut().zip(salt) {
        *byte ^= salt;
    }
    nonce
}

fn seal(key: &LessSafeKey, nonce: [u8; 12], aad: &[u8], body: &mut [u8], tag: &mut [u8]) -> Option<()> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(aad), body).ok()?;
    tag.copy_from_slice(sealed.as_ref());
    Some(())
}

fn open_gcm<'a>(
    key: &LessSafeKey,
    salt: &[u8; 12],
    packet: &'a mut [u8],
    ssrc: u32,
) -> Option<(u32, &'a [u8])> {
    let end = packet.len().checked_sub(4).filter(|end| *end >= RTCP_CLEAR + GCM_TAG)?;
    let trailer = word(packet, end)?;
    if trailer & ENCRYPTED == 0 {
        return None;
    }
    let index = trailer & !ENCRYPTED;
    let mut aad = [0; RTCP_CLEAR + 4];
    aad[..RTCP_CLEAR].copy_from_slice(&packet[..RTCP_CLEAR]);
    aad[RTCP_CLEAR..].copy_from_slice(&trailer.to_be_bytes());
    let nonce = Nonce::assume_unique_for_key(mix(rtcp_nonce(ssrc, index), salt));
    key.open_in_place(nonce, Aad::from(&aad), &mut packet[RTCP_CLEAR..end]).ok()?;
    Some((index, &packet[..end - GCM_TAG]))
}

fn open_cm<'a>(keys: &CmKeys, salt: &[u8; 14], packet: &'a mut [u8], ssrc: u32) -> Option<(u32, &'a [u8])> {
    let signed = packet.len().checked_sub(SHA1_TAG).filter(|signed| *signed >= RTCP_CLEAR + 4)?;
    let tag = hmac_sha1(&keys.auth, &[&packet[..signed]]);
    constant_time::verify_slices_are_equal(&tag, &packet[signed..]).ok()?;
    let end = signed - 4;
    let trailer = word(packet, end)?;
    if trailer & ENCRYPTED == 0 {
        return None;
    }
    let index = trailer & !ENCRYPTED;
    keystream(&keys.cipher, counter(salt, ssrc, index.into()), &mut packet[RTCP_CLEAR..end])?;
    Some((index, &packet[..end]))
}

fn hmac_sha1(key: &hmac::Key, parts: &[&[u8]]) -> [u8; SHA1_TAG] {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    let mut tag = [0; SHA1_TAG];
    tag.copy_from_slice(&context.sign().as_ref()[..SHA1_TAG]);
    tag
}

/// Fixed part, contributing sources and extension.
fn rtp_header_bytes(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let fixed = RTP_FIXED + 4 * usize::from(first & 0x0f);
    if first & 0x10 == 0 {
        return Some(fixed);
    }
    let length = packet.get(fixed + 2..fixed + 4)?;
    Some(fixed + 4 + 4 * usize::from(u16::from_be_bytes([length[0], length[1]])))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROFILES: [SrtpProfile; 3] =
        [SrtpProfile::AES128_CM_SHA1_80, SrtpProfile::AEAD_AES_128_GCM, SrtpProfile::AEAD_AES_256_GCM];

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    fn agreed(profile: SrtpProfile, active: bool) -> Agreed {
        Agreed { profile, material: (0..100).collect(), active, version: None }
    }

    /// What the client sends: its own end and the other.
    fn pair(profile: SrtpProfile) -> (Sealer, Opener) {
        (Sealer::new(&agreed(profile, true)).unwrap(), Opener::new(&agreed(profile, false)).unwrap())
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711_b_3() {
        let (key, salt) = (bytes("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes("0EC675AD498AFEEBB6960B3AABE6"));
        let derived = |label, length| {
            let mut out = vec![0; length];
            derive((&key, &salt), label, &mut out).unwrap();
            out
        };
        assert_eq!(derived(0, 16), bytes("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derived(1, 20), bytes("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
        assert_eq!(derived(2, 14), bytes("30CBBC08863D8C85D49DB34A9AE1"));
    }

    #[test]
    fn a_packet_is_sealed_as_in_rfc_7714_16_1_1() {
        let key = UnboundKey::new(&AES_128_GCM, &bytes("000102030405060708090a0b0c0d0e0f")).unwrap();
        let salt = *bytes("517569642070726f2071756f").first_chunk().unwrap();
        let (mut srtp, _) = pair(SrtpProfile::AEAD_AES_128_GCM);
        srtp.rtp = Cipher::Gcm { key: LessSafeKey::new(key), salt };
        let mut packet = bytes(
            "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
             69736120 696e2070 61727465 73207472 6573",
        );
        let len = packet.len();
        packet.resize(len + SEAL_BYTES_MAX, 0);
        let sealed = srtp.seal_rtp(&mut packet, 12, len, 0xf17b).unwrap();
        let expected = bytes(
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
             0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        );
        assert_eq!(packet[..sealed], expected);
    }

    #[test]
    fn feedback_opens_once_and_only_whole_and_for_the_other_end() {
        for profile in PROFILES {
            let (mut ours, mut theirs) = pair(profile);
            let plain = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7];
            let mut sealed = [0; 64];
            sealed[..12].copy_from_slice(&plain);
            let len = ours.seal_rtcp(&mut sealed, 12).unwrap();
            for at in 0..len {
                let mut broken = sealed;
                broken[at] ^= 1;
                assert!(theirs.open_rtcp(&mut broken[..len]).is_none(), "{profile:?}: byte {at}");
            }
            let mut own = Opener::new(&agreed(profile, true)).unwrap();
            assert!(own.open_rtcp(&mut { sealed }[..len]).is_none(), "{profile:?}: reflected");
            assert_eq!(theirs.open_rtcp(&mut { sealed }[..len]), Some(&plain[..]));
            assert!(theirs.open_rtcp(&mut sealed[..len]).is_none(), "{profile:?}: replayed");
        }
    }

    #[test]
    fn keys_that_do_not_fit_their_profile_are_refused() {
        for profile in PROFILES {
            let keys = Agreed { profile, material: vec![0; 50], active: true, version: None };
            assert!(Sealer::new(&keys).is_none() && Opener::new(&keys).is_none(), "{profile:?}");
        }
    }

    #[test]
    fn a_window_knows_what_it_saw_and_takes_nothing_older() {
        let mut window = ReplayWindow::default();
        assert!(window.admit(0) && !window.admit(0));
        assert!(window.admit(300) && window.admit(173) && !window.admit(173));
        assert!(!window.admit(172), "further back than it can see");
        assert!(window.admit(u64::from(u32::MAX >> 1)) && !window.admit(300));
    }

    proptest! {
        #[test]
        fn garbage_opens_nothing(mut garbage in prop::collection::vec(any::<u8>(), 0..100)) {
            for profile in PROFILES {
                prop_assert!(pair(profile).1.open_rtcp(&mut garbage).is_none());
            }
        }

        /// Each number is admitted at most once, and a new greatest one always.
        #[test]
        fn no_number_is_admitted_twice(numbers in prop::collection::vec(0u64..400, 0..300)) {
            let mut window = ReplayWindow::default();
            let mut admitted = std::collections::BTreeSet::new();
            for number in numbers {
                let is_newest = admitted.last().is_none_or(|newest| number > *newest);
                let is_admitted = window.admit(number);
                prop_assert!(is_admitted || !is_newest);
                prop_assert!(!is_admitted || admitted.insert(number));
            }
        }
    }
}
