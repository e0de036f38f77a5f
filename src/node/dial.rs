//! The way to a hub: TCP, with TLS around it for an `https://` address.

use crate::config::NodeConfig;
use anyhow::{Context, Result, ensure};
use signaling::nodes::protocol::{FRAME_BYTES_MAX, PATH, SUBPROTOCOL};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Bytes both ways, sealed or not.
pub(super) trait Way: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Way for T {}

/// A connection to a hub.
pub(super) type Socket = WebSocketStream<Box<dyn Way>>;

/// Knows where the hub is, and how to tell it from another.
pub(super) struct Dialler {
    request: Request,
    tls: Option<TlsConnector>,
}

impl Dialler {
    pub(super) fn new(config: &NodeConfig) -> Result<Dialler> {
        let NodeConfig { hub, node_token, hub_ca, .. } = config;
        let url = format!("{}{PATH}", hub.replacen("http", "ws", 1));
        let mut request = url.into_client_request().context("--hub is no address")?;
        let token =
            HeaderValue::from_str(&format!("Bearer {node_token}")).context("--node-token is no token")?;
        request.headers_mut().insert(header::AUTHORIZATION, token);
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let is_sealed = hub.starts_with("https:");
        ensure!(is_sealed || hub_ca.is_none(), "--hub-ca is for a hub at an https:// address");
        let tls = is_sealed.then(|| tls(hub_ca.as_deref())).transpose()?;
        Ok(Dialler { request, tls })
    }

    pub(super) async fn dial(&self) -> Result<Socket> {
        let uri = self.request.uri();
        let host = uri.host().context("--hub names no host")?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        let way: Box<dyn Way> = match &self.tls {
            Some(tls) => Box::new(tls.connect(ServerName::try_from(host)?, stream).await?),
            None => Box::new(stream),
        };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        let (socket, _) = client_async_with_config(self.request.clone(), way, Some(limits)).await?;
        Ok(socket)
    }
}

/// Trusts those whom browsers trust, or whom the operator names and nobody else.
fn tls(authorities: Option<&Path>) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => named_in(path, &mut roots).with_context(|| format!("--hub-ca {}", path.display()))?,
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn named_in(path: &Path, roots: &mut RootCertStore) -> Result<()> {
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    ensure!(!roots.is_empty(), "there is no certificate in it");
    Ok(())
}
