//! A TLS terminator before a service, as an operator's proxy would be.

use anyhow::{Context, Result};
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Listens on a port of its own, with a certificate for `localhost` that nobody has signed but itself.
#[derive(Debug)]
pub struct Terminator {
    /// Where the service is to be had with TLS.
    pub url: String,
    /// The certificate.
    pub certificate_pem: String,
}

impl Terminator {
    /// Hands on to a service at `http://host:port`, until the test ends.
    ///
    /// # Errors
    /// No port is free.
    pub async fn before(service_url: &str) -> Result<Terminator> {
        let service = service_url.strip_prefix("http://").context("not an http address")?.to_owned();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hand_on(acceptor.clone(), stream, service.clone()));
            }
        });
        Ok(Terminator { url, certificate_pem: own.cert.pem() })
    }
}

/// Whoever does not trust the certificate hangs up.
async fn hand_on(acceptor: TlsAcceptor, stream: TcpStream, service: String) -> Result<()> {
    let mut sealed = acceptor.accept(stream).await?;
    let mut plain = TcpStream::connect(service).await?;
    copy_bidirectional(&mut sealed, &mut plain).await?;
    Ok(())
}
