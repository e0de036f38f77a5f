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

use crate::aead::{self, AeadDtls};
use crate::dtls::{PlainDtls, Settings, pass_dtls_on_to};
use crate::streams::Streams;

thread_local! {
    /// What the newest handshake of this thread will say: str0m begins it while it builds a connection.
    static NEWEST: RefCell<Option<Handshake>> = const { RefCell::new(None) };
}

/// DTLS whose handshakes are overheard. Any profile that the other side prefers will do.
pub(crate) fn overheard() -> CryptoProvider {
    static PLAIN: OnceLock<PlainDtls> = OnceLock::new();
    static OVERHEARD: OnceLock<Eavesdropper> = OnceLock::new();
    let stock = from_feature_flags();
    let settings = || Settings::new(dimpl::crypto::aws_lc_rs::default_provider);
    let plain = PLAIN.get_or_init(|| PlainDtls { stock: stock.dtls_provider, settings: settings() });
    let dtls_provider = OVERHEARD.get_or_init(|| Eavesdropper { dtls: plain });
    CryptoProvider { dtls_provider, ..stock }
}

/// The same for handshakes that our side begins: they end in an AEAD profile or in none.
pub(crate) fn overheard_aead() -> CryptoProvider {
    static AEAD: OnceLock<AeadDtls> = OnceLock::new();
    static OVERHEARD: OnceLock<Eavesdropper> = OnceLock::new();
    let stock = from_feature_flags();
    let aead =
        AEAD.get_or_init(|| AeadDtls { stock: stock.dtls_provider, settings: Settings::new(aead::crypto) });
    let dtls_provider = OVERHEARD.get_or_init(|| Eavesdropper { dtls: aead });
    CryptoProvider { dtls_provider, ..stock }
}

/// The handshake of the connection that this thread has just built with [`overheard`].
pub(crate) fn newest_handshake() -> Handshake {
    NEWEST.take().unwrap_or_default()
}

/// One connection's handshake: silent until it is over.
#[derive(Clone, Default)]
pub(crate) struct Handshake {
    said: Arc<OnceLock<Result<Agreed, NoProfile>>>,
}

/// The handshake is over and has agreed on no SRTP profile: there will be no media.
#[derive(Debug, Clone, Copy)]
struct NoProfile;

/// What a handshake agreed on: how to seal, and with which keys.
pub(crate) struct Agreed {
    pub(crate) profile: SrtpProfile,
    /// Client's key, server's key, client's salt, server's salt.
    pub(crate) material: Vec<u8>,
    /// Whether our side was the DTLS client.
    pub(crate) active: bool,
    /// Of DTLS.
    pub(crate) version: Option<ProtocolVersion>,
}

impl Agreed {
    /// The same as the other side has it: what it opens is what this side sealed.
    pub(crate) fn turned(&self) -> Agreed {
        let Agreed { profile, ref material, active, version } = *self;
        Agreed { profile, material: material.clone(), active: !active, version }
    }

    /// The version of DTLS, as metrics name it.
    pub(crate) fn version_name(&self) -> &'static str {
        match self.version {
            Some(ProtocolVersion::DTLS1_2) => "1.2",
            Some(ProtocolVersion::DTLS1_3) => "1.3",
            _ => "unknown",
        }
    }

    /// The SRTP profile, as metrics name it.
    pub(crate) fn profile_name(&self) -> &'static str {
        match self.profile {
            SrtpProfile::AES128_CM_SHA1_80 => "aes128_cm_sha1_80",
            SrtpProfile::AEAD_AES_128_GCM => "aead_aes_128_gcm",
            SrtpProfile::AEAD_AES_256_GCM => "aead_aes_256_gcm",
            _ => "other",
        }
    }
}

impl Handshake {
    /// What it agreed on, once it is over.
    pub(crate) fn agreed(&self) -> Option<&Agreed> {
        self.said.get()?.as_ref().ok()
    }

    /// Whether it is over and no media can follow.
    pub(crate) fn is_in_vain(&self) -> bool {
        matches!(self.said.get(), Some(Err(NoProfile)))
    }

    /// A handshake that is over.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn said(material: &[u8], profile: SrtpProfile, active: bool) -> Handshake {
        let said = Agreed { material: material.to_vec(), profile, active, version: None };
        Handshake { said: Arc::new(OnceLock::from(Ok(said))) }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake")
    }
}

#[derive(Debug)]
struct Eavesdropper {
    dtls: &'static dyn DtlsProvider,
}

impl DtlsProvider for Eavesdropper {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.dtls.generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let inner = self.dtls.new_dtls(cert, now, version, mtu)?;
        let handshake = Handshake::default();
        NEWEST.set(Some(handshake.clone()));
        let streams = Streams::default();
        Ok(Box::new(Overheard { inner, handshake, connected: false, streams }))
    }
}

/// A DTLS connection that notes its keying material in passing, and ends when its messages are on too many streams.
#[derive(Debug)]
struct Overheard {
    inner: Box<dyn DtlsInstance>,
    handshake: Handshake,
    connected: bool,
    streams: Streams,
}

impl DtlsInstance for Overheard {
    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let active = self.inner.is_active();
        let output = self.inner.poll_output(buf);
        match &output {
            DtlsOutput::KeyingMaterial(material, profile) => {
                let (material, profile) = (material.to_vec(), *profile);
                let version = self.inner.protocol_version();
                let said = Agreed { material, profile, active, version };
                let _said_before = self.handshake.said.set(Ok(said));
            }
            DtlsOutput::Connected => self.connected = true,
            // Keys come in the turn in which the handshake ends.
            DtlsOutput::Timeout(_) if self.connected => {
                let _said_before = self.handshake.said.set(Err(NoProfile));
            }
            DtlsOutput::ApplicationData(packet) if !self.streams.admit(packet) => {
                return DtlsOutput::CloseNotify;
            }
            _ => {}
        }
        output
    }

    pass_dtls_on_to!(inner);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handshake that ends at once and has agreed on nothing.
    #[derive(Debug)]
    struct WithoutSrtp(bool);

    impl DtlsInstance for WithoutSrtp {
        fn poll_output<'a>(&mut self, _: &'a mut [u8]) -> DtlsOutput<'a> {
            #[expect(clippy::disallowed_methods, reason = "nobody looks at it")]
            if std::mem::replace(&mut self.0, true) {
                DtlsOutput::Timeout(Instant::now())
            } else {
                DtlsOutput::Connected
            }
        }

        fn set_active(&mut self, _: bool) {}

        fn handle_packet(&mut self, _: &[u8]) -> Result<(), DtlsImplError> {
            Ok(())
        }

        fn handle_timeout(&mut self, _: Instant) -> Result<(), DtlsImplError> {
            Ok(())
        }

        fn send_application_data(&mut self, _: &[u8]) -> Result<usize, DtlsImplError> {
            Ok(0)
        }

        fn is_active(&self) -> bool {
            true
        }

        fn protocol_version(&self) -> Option<ProtocolVersion> {
            None
        }

        fn is_closing(&self) -> bool {
            false
        }

        fn is_closed(&self) -> bool {
            false
        }

        fn close(&mut self) -> Result<(), DtlsImplError> {
            Ok(())
        }
    }

    #[test]
    fn a_handshake_without_a_profile_was_in_vain() {
        let handshake = Handshake::default();
        let inner = Box::new(WithoutSrtp(false));
        let streams = Streams::default();
        let mut overheard = Overheard { inner, handshake: handshake.clone(), connected: false, streams };
        for expected in [false, true] {
            let _said = overheard.poll_output(&mut []);
            assert_eq!(handshake.is_in_vain(), expected);
        }
        assert!(handshake.agreed().is_none());
    }
}
