//! The SRTP keys of a leg, overheard from its DTLS handshake (RFC 5764 §4.2, RFC 3711 §4.3).
//!
//! str0m keeps its keys to itself; its crypto provider is ours to wrap. Nothing here is ever logged.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
    SrtpProfile,
};
use str0m::crypto::{CryptoError, CryptoProvider, from_feature_flags};

thread_local! {
    /// What the newest handshake of this thread will say: str0m begins it while it builds a connection.
    static NEWEST: RefCell<Option<Handshake>> = const { RefCell::new(None) };
}

/// str0m's provider, whose handshakes are overheard.
pub(crate) fn overheard() -> CryptoProvider {
    static OVERHEARD: OnceLock<Eavesdropper> = OnceLock::new();
    let stock = from_feature_flags();
    let dtls_provider = OVERHEARD.get_or_init(|| Eavesdropper { stock: stock.dtls_provider });
    CryptoProvider { dtls_provider, ..stock }
}

/// The handshake of the connection that this thread has just built with [`overheard`].
pub(crate) fn newest_handshake() -> Handshake {
    NEWEST.take().unwrap_or_default()
}

/// One connection's handshake: silent until it is over.
#[derive(Clone, Default)]
pub(crate) struct Handshake {
    said: Arc<OnceLock<Agreed>>,
}

/// What a handshake agreed on: how to seal, and with which keys.
pub(crate) struct Agreed {
    pub(crate) profile: SrtpProfile,
    /// Client's key, server's key, client's salt, server's salt.
    pub(crate) material: Vec<u8>,
    /// Whether our side was the DTLS client.
    pub(crate) active: bool,
}

/// Whose packets a key seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// What this side sends.
    #[cfg(test)]
    Ours,
    /// What the other side sends.
    Theirs,
}

impl Handshake {
    /// What it agreed on, once it is over.
    pub(crate) fn agreed(&self) -> Option<&Agreed> {
        self.said.get()
    }

    /// The keys of one direction, once there are any.
    pub(crate) fn keys(&self, side: Side) -> Option<Keys> {
        let said = self.said.get()?;
        let is_client = match side {
            #[cfg(test)]
            Side::Ours => said.active,
            Side::Theirs => !said.active,
        };
        Keys::derive(&said.material, said.profile, is_client)
    }

    /// A handshake that is over.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn said(material: &[u8], profile: SrtpProfile, active: bool) -> Handshake {
        let said = Agreed { material: material.to_vec(), profile, active };
        Handshake { said: Arc::new(OnceLock::from(said)) }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake")
    }
}

/// The session keys of one direction.
pub(crate) struct Keys {
    pub(crate) profile: SrtpProfile,
    pub(crate) rtp: SessionKey,
    pub(crate) rtcp: SessionKey,
}

/// What seals one protocol's packets.
pub(crate) struct SessionKey {
    pub(crate) key: Vec<u8>,
    pub(crate) auth: Vec<u8>,
    pub(crate) salt: Vec<u8>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    fn derive(material: &[u8], profile: SrtpProfile, of_client: bool) -> Option<Keys> {
        let (key, salt) = match profile {
            SrtpProfile::AES128_CM_SHA1_80 => (16, 14),
            SrtpProfile::AEAD_AES_128_GCM => (16, 12),
            SrtpProfile::AEAD_AES_256_GCM => (32, 12),
            _ => return None,
        };
        // Both keys, the client's first, then both salts.
        let side = usize::from(!of_client);
        let master = material.get(side * key..)?.get(..key)?;
        let master_salt = material.get(2 * key + side * salt..)?.get(..salt)?;
        let session = |label| SessionKey {
            key: stretch(master, master_salt, label, key),
            auth: stretch(master, master_salt, label + 1, 20),
            salt: stretch(master, master_salt, label + 2, salt),
        };
        Some(Keys { profile, rtp: session(0), rtcp: session(3) })
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

#[derive(Debug)]
struct Eavesdropper {
    stock: &'static dyn DtlsProvider,
}

impl DtlsProvider for Eavesdropper {
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
        let inner = self.stock.new_dtls(cert, now, version, mtu)?;
        let handshake = Handshake::default();
        NEWEST.set(Some(handshake.clone()));
        Ok(Box::new(Overheard { inner, handshake }))
    }
}

/// A DTLS connection that notes its keying material in passing.
#[derive(Debug)]
struct Overheard {
    inner: Box<dyn DtlsInstance>,
    handshake: Handshake,
}

impl DtlsInstance for Overheard {
    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let active = self.inner.is_active();
        let output = self.inner.poll_output(buf);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output {
            let said = Agreed { material: material.to_vec(), profile: *profile, active };
            let _said_before = self.handshake.said.set(said);
        }
        output
    }

    fn set_active(&mut self, active: bool) {
        self.inner.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.inner.handle_packet(packet)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.inner.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.inner.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.inner.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.inner.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.inner.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
