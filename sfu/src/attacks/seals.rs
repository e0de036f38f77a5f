//! Seals what no honest stack would send, with the keys of a client that plays foul.

use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::{AeadAes128Gcm, AeadAes256Gcm, Aes128CmSha1_80, from_feature_flags};

use crate::demux::hmac_sha1;
use crate::keys::Keys;

/// One client's sending side.
pub(crate) struct Seals {
    keys: Keys,
    rtcp_index: u32,
}

impl Seals {
    /// Its RTCP is numbered far from that of the client's own stack.
    pub(crate) fn new(keys: Keys) -> Seals {
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
