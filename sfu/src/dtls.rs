//! DTLS connections of dimpl, as str0m makes them but for one thing: their settings are made once for all of them. dimpl tries
//! out all of its cryptography whenever it makes settings, which took longer than everything else that a join does here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dimpl::crypto::CryptoProvider;
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
};

/// The methods of [`DtlsInstance`] but `poll_output`, passed on to a field.
macro_rules! pass_dtls_on_to {
    ($inner:ident) => {
        fn set_active(&mut self, active: bool) {
            self.$inner.set_active(active);
        }

        fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
            self.$inner.handle_packet(packet)
        }

        fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
            self.$inner.handle_timeout(now)
        }

        fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
            self.$inner.send_application_data(data)
        }

        fn is_active(&self) -> bool {
            self.$inner.is_active()
        }

        fn protocol_version(&self) -> Option<ProtocolVersion> {
            self.$inner.protocol_version()
        }

        fn is_closing(&self) -> bool {
            self.$inner.is_closing()
        }

        fn is_closed(&self) -> bool {
            self.$inner.is_closed()
        }

        fn close(&mut self) -> Result<(), DtlsImplError> {
            self.$inner.close()
        }
    };
}

pub(crate) use pass_dtls_on_to;

/// The settings of all connections that one provider makes.
#[derive(Debug)]
pub(crate) struct Settings {
    crypto: fn() -> CryptoProvider,
    /// Of the newest size of datagrams; there is one.
    made: Mutex<Option<(Option<usize>, Arc<dimpl::Config>)>>,
}

impl Settings {
    pub(crate) const fn new(crypto: fn() -> CryptoProvider) -> Settings {
        Settings { crypto, made: Mutex::new(None) }
    }

    /// A connection with this certificate and with datagrams of this size.
    pub(crate) fn connection(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<dimpl::Dtls, CryptoError> {
        let config = self.config(mtu)?;
        let certificate = dimpl::DtlsCertificate {
            certificate: certificate.certificate.clone(),
            private_key: certificate.private_key.clone(),
        };
        Ok(match version {
            DtlsVersion::Dtls12 => dimpl::Dtls::new_12(config, certificate, now),
            DtlsVersion::Dtls13 => dimpl::Dtls::new_13(config, certificate, now),
            _ => dimpl::Dtls::new_auto(config, certificate, now),
        })
    }

    fn config(&self, mtu: Option<usize>) -> Result<Arc<dimpl::Config>, CryptoError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = made.as_ref().filter(|(of, _)| *of == mtu) {
            return Ok(config.clone());
        }
        // As str0m has it: the path was shown by ICE before DTLS begins, so no cookie is needed.
        let builder = dimpl::Config::builder().use_server_cookie(false).with_crypto_provider((self.crypto)());
        let builder = match mtu {
            Some(mtu) => builder.mtu(mtu),
            None => builder,
        };
        let failed = |error: dimpl::Error| CryptoError::Other(format!("DTLS cannot be configured: {error}"));
        let config = Arc::new(builder.build().map_err(failed)?);
        *made = Some((mtu, config.clone()));
        Ok(config)
    }
}

/// Makes connections that take whatever profile the other side prefers.
#[derive(Debug)]
pub(crate) struct PlainDtls {
    /// Makes certificates.
    pub(crate) stock: &'static dyn DtlsProvider,
    pub(crate) settings: Settings,
}

impl DtlsProvider for PlainDtls {
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
        Ok(Box::new(Plain { dtls }))
    }
}

struct Plain {
    dtls: dimpl::Dtls,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Plain")
    }
}

impl DtlsInstance for Plain {
    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        self.dtls.poll_output(buf)
    }

    pass_dtls_on_to!(dtls);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_made_once_for_all_connections() {
        let settings = Settings::new(dimpl::crypto::aws_lc_rs::default_provider);
        let [first, again, other] =
            [Some(1_200), Some(1_200), Some(1_100)].map(|mtu| settings.config(mtu).unwrap());
        assert!(Arc::ptr_eq(&first, &again) && !Arc::ptr_eq(&first, &other));
    }
}
