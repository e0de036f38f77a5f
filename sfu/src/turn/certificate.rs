//! Who the server says it is: read from files, and again when they change, as certificates that live for weeks do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::TlsFiles;

/// How often the files are looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(60);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or has no PEM of its kind.
    #[error("{path} cannot be read as PEM")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The two do not fit.
    #[error("the certificate and the key do not fit")]
    Pair(#[source] rustls::Error),
}

/// The TLS of the server.
pub(super) struct Certificate {
    files: TlsFiles,
    acceptor: TlsAcceptor,
    changed_at: [Option<SystemTime>; 2],
    look_at: Instant,
}

impl Certificate {
    pub(super) fn read(files: &TlsFiles, now: Instant) -> Result<Certificate, CertificateError> {
        // When first: a change meanwhile is found the next time.
        let changed_at = changed_at(files);
        let acceptor = acceptor(files)?;
        Ok(Certificate { files: files.clone(), acceptor, changed_at, look_at: now + LOOKED_AT_EVERY })
    }

    /// What to greet the next caller with. Files that cannot be used are told of, and those of before go on.
    pub(super) fn acceptor(&mut self, now: Instant) -> TlsAcceptor {
        if now >= self.look_at {
            self.look_at = now + LOOKED_AT_EVERY;
            self.look();
        }
        self.acceptor.clone()
    }

    fn look(&mut self) {
        let changed_at = changed_at(&self.files);
        if changed_at == self.changed_at {
            return;
        }
        match acceptor(&self.files) {
            Ok(acceptor) => {
                tracing::info!("the TURN server has a new certificate");
                (self.acceptor, self.changed_at) = (acceptor, changed_at);
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the TURN server keeps its old certificate"
                );
            }
        }
    }
}

fn changed_at(files: &TlsFiles) -> [Option<SystemTime>; 2] {
    let changed_at = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    [changed_at(&files.certificate), changed_at(&files.key)]
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, CertificateError> {
    let unread = |path: &Path| {
        let path = path.to_owned();
        |source| CertificateError::File { path, source }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(unread(&files.certificate))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unread(&files.key))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|versions| versions.with_no_client_auth().with_single_cert(chain, key))
        .map_err(CertificateError::Pair)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
