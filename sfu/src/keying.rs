//! The SRTP keys of a connection. str0m keeps them to itself, so its DTLS is watched while it hands them over.

use std::cell::Cell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion, SrtpProfile,
};
use str0m::crypto::from_feature_flags;

/// What a handshake agreed on (RFC 5764 §4.2): how to seal, and with which keys.
pub(crate) struct Keys {
    pub(crate) profile: SrtpProfile,
    /// Client's key, server's key, client's salt, server's salt.
    pub(crate) material: Vec<u8>,
    /// We are the client.
    pub(crate) active: bool,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// Where the keys of one connection appear once its handshake is done. They are taken once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mailbox(Arc<Mutex<Option<Keys>>>);

impl Mailbox {
    pub(crate) fn take(&self) -> Option<Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, keys: Keys) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys);
    }
}

thread_local! {
    /// str0m makes the DTLS side of a connection inside `build`: the newest mailbox of this thread is the one of the
    /// connection that was just built.
    static NEWEST: Cell<Option<Mailbox>> = const { Cell::new(None) };
}

/// The mailbox of the connection that this thread built last; answered once.
pub(crate) fn newest_mailbox() -> Option<Mailbox> {
    NEWEST.take()
}

/// str0m's cryptography with watched DTLS.
pub(crate) fn crypto_provider() -> CryptoProvider {
    static WATCHING: OnceLock<Watching> = OnceLock::new();
    let provider = from_feature_flags();
    let dtls_provider = WATCHING.get_or_init(|| Watching(provider.dtls_provider));
    CryptoProvider { dtls_provider, ..provider }
}

#[derive(Debug)]
struct Watching(&'static dyn DtlsProvider);

impl DtlsProvider for Watching {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.0.generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let inner = self.0.new_dtls(cert, now, version, mtu)?;
        let mailbox = Mailbox::default();
        NEWEST.set(Some(mailbox.clone()));
        Ok(Box::new(Watched { inner, mailbox }))
    }
}

#[derive(Debug)]
struct Watched {
    inner: Box<dyn DtlsInstance>,
    mailbox: Mailbox,
}

impl DtlsInstance for Watched {
    fn set_active(&mut self, active: bool) {
        self.inner.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.inner.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.inner.poll_output(buffer);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output {
            let active = self.inner.is_active();
            self.mailbox.put(Keys { profile: *profile, material: material.to_vec(), active });
        }
        output
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
