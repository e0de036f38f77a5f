//! Seals what no honest stack would send, with the keys of a client that plays foul.

use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::{AeadAes128Gcm, AeadAes256Gcm, Aes128CmSha1_80, from_feature_flags};

use crate::demux::hmac_sha1;
use crate::keys::{Agreed, Handshake};

/// One client's sending side.
pub(crate) struct Seals {
    keys: Keys,
    rtcp_index: u32,
}

impl Seals {
    /// Those of this end of a handshake that is over. Its RTCP is numbered far from that of the client's own stack.
    pub(crate) fn new(handshake: &Handshake) -> Seals {
        let keys = Keys::derive(handshake.agreed().expect("the handshake is over"));
        Seals { keys, rtcp_index: 1 << 16 }
    }

    /// Seals a whole RTP packet whose header has this length; `index` is the sequence number with its rollovers.
    pub(crate) fn rtp(&self, packet: &[u8], header: usize, index: u64) -> Vec<u8> {
        let ssrc = u32::from_be_bytes(packet[8..12].try_into().expect("4 bytes"));
        let (roc, seq) = ((index >> 16) as u32, index as u16);
        match self.keys.profile {
            SrtpProfile::AES128_CM_SHA1_80 => {
                let salt = self.keys.rtp.salt[..].try_into().expect("14 bytes");
                let iv = Aes128CmSha1_80::rtp_iv(salt, ssrc, index);
                let mut sealed = packet[..header].to_vec();
                sealed.extend(count_mode(&self.keys.rtp.key, &iv, &packet[header..]));
                let end = sealed.len();
                sealed.resize(end + 10, 0);
                Aes128CmSha1_80::rtp_hmac(hmac_sha1, &self.keys.rtp.auth, &mut sealed, index, end);
                sealed
            }
            _ => {
                let salt = self.keys.rtp.salt[..].try_into().expect("12 bytes");
                let iv = AeadAes128Gcm::rtp_iv(salt, ssrc, roc, seq);
                let mut sealed = packet[..header].to_vec();
                sealed.extend(gcm(&self.keys.rtp.key, &iv, &packet[..header], &packet[header..]));
                sealed
            }
        }
    }

    /// Seals a compound RTCP packet.
    pub(crate) fn rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.rtcp_index += 1;
        let ssrc = u32::from_be_bytes(packet[4..8].try_into().expect("4 bytes"));
        let index = self.rtcp_index;
        let flagged = (index | 0x8000_0000).to_be_bytes();
        let mut sealed = packet[..8].to_vec();
        match self.keys.profile {
            SrtpProfile::AES128_CM_SHA1_80 => {
                let salt = self.keys.rtcp.salt[..].try_into().expect("14 bytes");
                let iv = Aes128CmSha1_80::rtp_iv(salt, ssrc, u64::from(index));
                sealed.extend(count_mode(&self.keys.rtcp.key, &iv, &packet[8..]));
                sealed.extend(flagged);
                let end = sealed.len();
                sealed.resize(end + 10, 0);
                Aes128CmSha1_80::rtcp_hmac(hmac_sha1, &self.keys.rtcp.auth, &mut sealed, end);
            }
            _ => {
                let salt = self.keys.rtcp.salt[..].try_into().expect("12 bytes");
                let iv = AeadAes256Gcm::rtcp_iv(salt, ssrc, index);
                let aad = [&packet[..8], &flagged].concat();
                sealed.extend(gcm(&self.keys.rtcp.key, &iv, &aad, &packet[8..]));
                sealed.extend(flagged);
            }
        }
        sealed
    }
}

fn count_mode(key: &[u8], iv: &[u8; 16], plain: &[u8]) -> Vec<u8> {
    let key = key.try_into().expect("16 bytes");
    let mut cipher = from_feature_flags().srtp_provider.aes_128_cm_sha1_80().create_cipher(key, true);
    let mut sealed = vec![0; plain.len() + 15];
    cipher.encrypt(iv, plain, &mut sealed).expect("sealed");
    sealed.truncate(plain.len());
    sealed
}

fn gcm(key: &[u8], iv: &[u8; 12], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let provider = from_feature_flags().srtp_provider;
    let mut sealed = vec![0; plain.len() + 16];
    if let Ok(key) = <[u8; 16]>::try_from(key) {
        let mut cipher = provider.aead_aes_128_gcm().create_cipher(key, true);
        cipher.encrypt(iv, aad, plain, &mut sealed).expect("sealed");
    } else {
        let key = <[u8; 32]>::try_from(key).expect("32 bytes");
        let mut cipher = provider.aead_aes_256_gcm().create_cipher(key, true);
        cipher.encrypt(iv, aad, plain, &mut sealed).expect("sealed");
    }
    sealed
}

/// The session keys of one direction.
struct Keys {
    profile: SrtpProfile,
    rtp: SessionKey,
    rtcp: SessionKey,
}

/// What seals one protocol's packets.
struct SessionKey {
    key: Vec<u8>,
    auth: Vec<u8>,
    salt: Vec<u8>,
}

impl Keys {
    fn derive(agreed: &Agreed) -> Keys {
        let Agreed { profile, material, active, .. } = agreed;
        let (key, salt) = match *profile {
            SrtpProfile::AES128_CM_SHA1_80 => (16, 14),
            SrtpProfile::AEAD_AES_128_GCM => (16, 12),
            _ => (32, 12),
        };
        // Both keys, the client's first, then both salts.
        let side = usize::from(!active);
        let master = &material[side * key..][..key];
        let master_salt = &material[2 * key + side * salt..][..salt];
        let session = |label| SessionKey {
            key: stretch(master, master_salt, label, key),
            auth: stretch(master, master_salt, label + 1, 20),
            salt: stretch(master, master_salt, label + 2, salt),
        };
        Keys { profile: *profile, rtp: session(0), rtcp: session(3) }
    }
}

/// RFC 3711 §4.3.1 and §4.3.3: the key stream of AES under the master key, begun at the label.
fn stretch(master: &[u8], salt: &[u8], label: u8, length: usize) -> Vec<u8> {
    let provider = from_feature_flags().srtp_provider;
    let mut begin = [0; 16];
    begin[..salt.len()].copy_from_slice(salt);
    begin[7] ^= label;
    let mut stretched = Vec::with_capacity(length + 16);
    for round in 0u16.. {
        if stretched.len() >= length {
            break;
        }
        begin[14..].copy_from_slice(&round.to_be_bytes());
        let mut block = [0; 32];
        match master.len() {
            16 => provider.srtp_aes_128_ecb_round(master, &begin, &mut block),
            _ => provider.srtp_aes_256_ecb_round(master, &begin, &mut block),
        }
        stretched.extend(&block[..16]);
    }
    stretched.truncate(length);
    stretched
}

#[test]
fn the_vectors_of_rfc_3711_come_out() {
    // RFC 3711 appendix B.3.
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
    assert_eq!(stretch(&master, &salt, 0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(stretch(&master, &salt, 2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(stretch(&master, &salt, 1, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}
