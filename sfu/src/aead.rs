//! DTLS that, as the client, offers SRTP with AES-GCM and nothing else (RFC 5764 §4.1.1, RFC 7714 §14.2).
//!
//! dimpl offers AES-CM with HMAC-SHA1 as well, last; libwebrtc, as the server, goes by its own order and takes just that,
//! at 0.65 µs more for each packet. What dimpl offers cannot be configured, but its cryptography can: the hello leaves
//! with the last profile replaced, and whatever hashes or signs the handshake is told the same, so that both sides have
//! one transcript. Nothing else of the handshake is touched. As the server this is not used: there the client's own hello
//! would be rewritten.

use std::sync::LazyLock;
use std::time::Instant;

use dimpl::crypto::{
    Buf, CryptoProvider, HashAlgorithm, HashContext, HashProvider, KeyProvider, SignatureAlgorithm,
    SigningKey, aws_lc_rs,
};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
    SrtpProfile,
};

use crate::dtls::{Settings, pass_dtls_on_to};

/// `use_srtp` as dimpl writes it: AES-256-GCM, AES-128-GCM, AES-CM-HMAC-SHA1-80, no MKI.
const OFFERED: [u8; 13] = [0, 14, 0, 9, 0, 6, 0, 8, 0, 7, 0, 1, 0];
/// The same length without AES-CM: the second profile once more.
const AEAD_ONLY: [u8; 13] = [0, 14, 0, 9, 0, 6, 0, 8, 0, 7, 0, 7, 0];
/// A record of a handshake that is not encrypted yet (RFC 9147 §4).
const HANDSHAKE: u8 = 22;

/// Makes DTLS clients that offer AEAD profiles only.
#[derive(Debug)]
pub(crate) struct AeadDtls {
    /// Makes certificates.
    pub(crate) stock: &'static dyn DtlsProvider,
    pub(crate) settings: Settings,
}

impl DtlsProvider for AeadDtls {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.stock.generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let dtls = self.settings.connection(cert, now, version, mtu)?;
        Ok(Box::new(AeadClient { dtls, record: Some(Vec::new()) }))
    }
}

/// One handshake.
struct AeadClient {
    dtls: dimpl::Dtls,
    /// What dimpl wrote, before it is corrected, until the handshake is over.
    record: Option<Vec<u8>>,
}

impl std::fmt::Debug for AeadClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AeadClient")
    }
}

impl DtlsInstance for AeadClient {
    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let Some(record) = &mut self.record else { return self.dtls.poll_output(buf) };
        record.resize(buf.len(), 0);
        match self.dtls.poll_output(record) {
            DtlsOutput::Packet(packet) => DtlsOutput::Packet(corrected(packet, buf)),
            DtlsOutput::PeerCert(certificate) => DtlsOutput::PeerCert(copied(certificate, buf)),
            DtlsOutput::ApplicationData(data) => DtlsOutput::ApplicationData(copied(data, buf)),
            // Not among what was offered.
            DtlsOutput::KeyingMaterial(_, SrtpProfile::AES128_CM_SHA1_80) => DtlsOutput::CloseNotify,
            DtlsOutput::KeyingMaterial(material, profile) => {
                // No hello will follow: from here on dimpl writes where it is asked to.
                self.record = None;
                DtlsOutput::KeyingMaterial(material, profile)
            }
            DtlsOutput::BufferTooSmall { needed } => DtlsOutput::BufferTooSmall { needed },
            DtlsOutput::Timeout(at) => DtlsOutput::Timeout(at),
            DtlsOutput::Connected => DtlsOutput::Connected,
            // Or something that dimpl has learned to say since: the end, as it cannot be passed on.
            _ => DtlsOutput::CloseNotify,
        }
    }

    pass_dtls_on_to!(dtls);
}

fn copied<'a>(from: &[u8], to: &'a mut [u8]) -> &'a [u8] {
    let to = &mut to[..from.len()];
    to.copy_from_slice(from);
    to
}

fn corrected<'a>(packet: &[u8], to: &'a mut [u8]) -> &'a [u8] {
    let to = &mut to[..packet.len()];
    to.copy_from_slice(packet);
    if to.first() == Some(&HANDSHAKE)
        && let Some(at) = offer_in(to)
    {
        to[at..at + AEAD_ONLY.len()].copy_from_slice(&AEAD_ONLY);
    }
    to
}

/// Where a hello of dimpl's names its profiles. Anybody else's hello never comes here, and the peer's messages that follow
/// in a transcript come later than ours.
fn offer_in(bytes: &[u8]) -> Option<usize> {
    bytes.windows(OFFERED.len()).position(|window| window == OFFERED)
}

/// The transcript as it went over the wire, in parts.
fn as_sent(transcript: &[u8]) -> [&[u8]; 3] {
    match offer_in(transcript) {
        Some(at) => [&transcript[..at], &AEAD_ONLY, &transcript[at + OFFERED.len()..]],
        None => [transcript, &[], &[]],
    }
}

/// dimpl's cryptography, which hashes and signs what was sent.
pub(crate) fn crypto() -> CryptoProvider {
    static STOCK: LazyLock<CryptoProvider> = LazyLock::new(aws_lc_rs::default_provider);
    CryptoProvider { hash_provider: &Hashes, key_provider: &SigningKeys, ..STOCK.clone() }
}

#[derive(Debug)]
struct Hashes;

impl HashProvider for Hashes {
    fn create_hash(&self, algorithm: HashAlgorithm) -> Box<dyn HashContext> {
        Box::new(Hash(aws_lc_rs::default_provider().hash_provider.create_hash(algorithm)))
    }
}

#[derive(Debug)]
struct Hash(Box<dyn HashContext>);

impl HashContext for Hash {
    /// dimpl keeps the whole transcript and hashes it at once, never a hello in two halves.
    fn update(&mut self, data: &[u8]) {
        for part in as_sent(data) {
            self.0.update(part);
        }
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        self.0.clone_and_finalize(out);
    }
}

/// DTLS 1.2 signs the transcript itself (RFC 5246 §7.4.8).
#[derive(Debug)]
struct SigningKeys;

impl KeyProvider for SigningKeys {
    fn load_private_key(&self, key_der: &[u8]) -> Result<Box<dyn SigningKey>, dimpl::CryptoError> {
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(key_der)?;
        Ok(Box::new(Key(key)))
    }
}

#[derive(Debug)]
struct Key(Box<dyn SigningKey>);

impl SigningKey for Key {
    fn sign(
        &mut self,
        data: &[u8],
        hash_alg: HashAlgorithm,
        out: &mut Buf,
    ) -> Result<(), dimpl::CryptoError> {
        self.0.sign(&as_sent(data).concat(), hash_alg, out)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.0.hash_algorithm()
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        self.0.supported_hash_algorithms()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use str0m::crypto::from_feature_flags;

    use super::*;

    /// One side of a handshake, and what it said.
    struct End {
        dtls: Box<dyn DtlsInstance>,
        agreed: Option<(Vec<u8>, SrtpProfile)>,
    }

    impl End {
        fn new(provider: &dyn DtlsProvider, active: bool, version: DtlsVersion, now: Instant) -> End {
            let certificate = provider.generate_certificate().unwrap();
            let mut dtls = provider.new_dtls(&certificate, now, version, None).unwrap();
            dtls.set_active(active);
            dtls.handle_timeout(now).unwrap();
            End { dtls, agreed: None }
        }

        fn say(&mut self, now: Instant) -> Vec<Vec<u8>> {
            self.dtls.handle_timeout(now).unwrap();
            let (mut packets, mut buffer) = (Vec::new(), vec![0; 4_096]);
            loop {
                match self.dtls.poll_output(&mut buffer) {
                    DtlsOutput::Packet(packet) => packets.push(packet.to_vec()),
                    DtlsOutput::KeyingMaterial(material, profile) => {
                        self.agreed = Some((material.to_vec(), profile));
                    }
                    DtlsOutput::Timeout(_) => return packets,
                    _ => {}
                }
            }
        }
    }

    /// Both sides of a handshake, and all that the client sent.
    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    fn shake_hands(ours: DtlsVersion, theirs: DtlsVersion) -> (End, End, Vec<u8>) {
        let mut now = Instant::now();
        let stock = from_feature_flags().dtls_provider;
        let mut client = End::new(&AeadDtls { stock, settings: Settings::new(crypto) }, true, ours, now);
        let mut server = End::new(stock, false, theirs, now);
        let mut sent = Vec::new();
        for _ in 0..20 {
            now += Duration::from_millis(10);
            for packet in client.say(now) {
                sent.extend_from_slice(&packet);
                server.dtls.handle_packet(&packet).unwrap();
            }
            for packet in server.say(now) {
                client.dtls.handle_packet(&packet).unwrap();
            }
        }
        (client, server, sent)
    }

    #[test]
    fn the_hello_names_no_aes_cm_and_both_sides_agree() {
        use DtlsVersion::{Auto, Dtls12, Dtls13};
        for (ours, theirs) in
            [(Auto, Auto), (Auto, Dtls12), (Auto, Dtls13), (Dtls12, Dtls12), (Dtls13, Dtls13)]
        {
            let (client, server, sent) = shake_hands(ours, theirs);
            let agreed = client.agreed.expect("keys");
            assert_eq!(agreed.1, SrtpProfile::AEAD_AES_256_GCM, "{ours:?} {theirs:?}");
            assert_eq!(Some(agreed), server.agreed, "{ours:?} {theirs:?}");
            assert!(sent.windows(AEAD_ONLY.len()).any(|window| window == AEAD_ONLY));
            assert!(offer_in(&sent).is_none(), "AES-CM was offered");
        }
    }

    #[test]
    fn only_the_offer_is_replaced() {
        let transcript = [&[1, 2, 3][..], &OFFERED, &[4, 5]].concat();
        assert_eq!(as_sent(&transcript).concat(), [&[1, 2, 3][..], &AEAD_ONLY, &[4, 5]].concat());
        assert_eq!(as_sent(b"finished").concat(), b"finished");
        let application_data = [&[23][..], &OFFERED].concat();
        assert_eq!(corrected(&application_data, &mut [0; 20]), application_data);
    }
}
