//! The server over loopback, with an echo in the node's place.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;

use tempfile::TempDir;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use uuid::Uuid;

use super::*;
use crate::control::{LegId, TurnServer};
use crate::turn::message::{Class, Message, Writer, attribute, method};
use crate::turn::passes::{REALM, long_term_key};
use crate::turn::stream::write_data;
use crate::turn::{CertificateError, TlsFiles};

/// Connections that never say anything whole (attack M17), and how many are kept open at once.
const LORISES: usize = 20_000;
const HELD: usize = 7_000;

/// A server that leads to an echo.
struct Scene {
    turn: Turn,
    node: SocketAddr,
}

impl Scene {
    fn new(tls: Option<TlsFiles>) -> Scene {
        let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
        let node = echo.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok((length, from)) = echo.recv_from(&mut buffer) {
                let _answered = echo.send_to(&buffer[..length], from);
            }
        });
        let mut reach = Reach::default();
        reach.add(&[node], &[node]);
        let config = TurnConfig { listen: ([127, 0, 0, 1], 0).into(), url: "turns:localhost".into(), tls };
        Scene { turn: start(&config, reach).unwrap(), node }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.turn.local_addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn pass(&self) -> TurnServer {
        self.turn.passes.issue(LegId(Uuid::from_u128(1)), wall_clock())
    }

    /// Whether somebody with a pass gets an allocation and, on a channel, what the node sends.
    fn relays<S: Read + Write>(&self, stream: S) -> bool {
        let mut client =
            Client { stream, frames: Frames::default(), pass: self.pass(), nonce: String::new() };
        client.allocates() && client.echoes(self.node)
    }
}

/// One with a pass.
struct Client<S> {
    stream: S,
    frames: Frames,
    pass: TurnServer,
    nonce: String,
}

impl<S: Read + Write> Client<S> {
    /// Whether a request is answered with success.
    fn ask(&mut self, writer: Writer) -> Option<bool> {
        let key = long_term_key(&self.pass.username, REALM, &self.pass.credential);
        let signed = writer
            .attribute(attribute::USERNAME, self.pass.username.as_bytes())
            .attribute(attribute::REALM, REALM.as_bytes())
            .attribute(attribute::NONCE, self.nonce.as_bytes())
            .signed(&key);
        self.stream.write_all(&signed).ok()?;
        let answer = self.next()?;
        let answer = Message::parse(&answer)?;
        if let Some(nonce) = answer.text(attribute::NONCE) {
            self.nonce = nonce.to_owned();
        }
        Some(answer.class == Class::Success)
    }

    /// The next message, or what is in the next packet of a channel.
    fn next(&mut self) -> Option<Vec<u8>> {
        let (mut buffer, mut found) = (vec![0; TURN_BYTES], None);
        while found.is_none() {
            let come = self.stream.read(&mut buffer).ok().filter(|come| *come > 0)?;
            let take = |frame: Frame<'_>| match frame {
                Frame::Message(bytes) | Frame::Data { packet: bytes, .. } => found = Some(bytes.to_vec()),
            };
            self.frames.read(&buffer[..come], take).ok()?;
        }
        found
    }

    fn allocates(&mut self) -> bool {
        let request = || {
            Writer::new(Class::Request, method::ALLOCATE, [1; 12])
                .attribute(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
        };
        self.ask(request()) == Some(false) && self.ask(request()) == Some(true)
    }

    fn echoes(&mut self, node: SocketAddr) -> bool {
        let bind = Writer::new(Class::Request, method::CHANNEL_BIND, [2; 12])
            .attribute(attribute::CHANNEL_NUMBER, &[0x40, 1, 0, 0])
            .address(attribute::XOR_PEER_ADDRESS, node);
        let (is_bound, mut stream) = (self.ask(bind) == Some(true), Vec::new());
        write_data(0x4001, b"are you there?", &mut stream);
        is_bound
            && self.stream.write_all(&stream).is_ok()
            && self.next().as_deref() == Some(b"are you there?")
    }
}

/// A certificate for `localhost`, in two files.
fn certificate(folder: &Path) -> (TlsFiles, CertificateDer<'static>) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, own.cert.pem()).unwrap();
    std::fs::write(&files.key, own.signing_key.serialize_pem()).unwrap();
    (files, own.cert.der().clone())
}

/// TLS to the server for whoever trusts this certificate alone.
fn sealed(trusted: CertificateDer<'static>, stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

#[test]
fn who_has_a_pass_reaches_the_node_through_tls() {
    let folder = TempDir::new().unwrap();
    let (files, trusted) = certificate(folder.path());
    let scene = Scene::new(Some(files));
    assert!(scene.relays(sealed(trusted, scene.connect())));
    assert_eq!((scene.turn.look().allocations, scene.turn.look().shed), (1, 0));
    scene.turn.stop();
}

#[test]
fn behind_a_proxy_that_ends_tls_it_is_the_same_without() {
    let scene = Scene::new(None);
    assert!(scene.relays(scene.connect()));
}

#[test]
fn whoever_is_not_one_of_ours_is_gone_in_a_moment() {
    let folder = TempDir::new().unwrap();
    let scene = Scene::new(Some(certificate(folder.path()).0));
    for first in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0], b""] {
        let mut stream = scene.connect();
        stream.write_all(first).unwrap();
        let mut said = Vec::new();
        // Either way it has ended.
        let _broken = stream.read_to_end(&mut said);
        assert!(said.len() < 64, "{first:?} is not worth an answer");
    }
}

#[test]
fn silent_connections_without_end_keep_nobody_out() {
    let scene = Scene::new(None);
    let mut held = VecDeque::new();
    for n in 0..LORISES {
        let mut stream = scene.connect();
        let _gone = stream.write_all(&[0, 3]);
        held.push_back(stream);
        if held.len() > HELD {
            held.pop_front();
        }
        assert!(scene.turn.look().connections <= UNPROVEN_MAX as u64 + 2);
        if n % 5_000 == 4_999 {
            assert!(scene.relays(scene.connect()), "after {n}");
        }
    }
    let mut oldest = held.pop_front().unwrap();
    assert_eq!(oldest.read(&mut [0; 8]).ok(), Some(0), "it was the first to go");
}

#[test]
fn one_address_does_not_take_all_places() {
    let folder = TempDir::new().unwrap();
    let (files, trusted) = certificate(folder.path());
    let scene = Scene::new(Some(files));
    let _held: Vec<TcpStream> = (0..2 * UNPROVEN_PER_ADDRESS_MAX).map(|_| scene.connect()).collect();
    // Connections are taken in the order in which they come.
    assert!(!scene.relays(sealed(trusted.clone(), scene.connect())), "its places are taken");
    assert_eq!(scene.turn.look().connections, UNPROVEN_PER_ADDRESS_MAX as u64);
    std::thread::sleep(UNPROVEN_FOR + Duration::from_secs(1));
    assert!(scene.relays(sealed(trusted, scene.connect())), "whoever was silent has gone");
}

#[test]
fn a_certificate_is_read_again_when_it_changes_and_kept_when_it_is_broken() {
    let folder = TempDir::new().unwrap();
    let (files, _) = certificate(folder.path());
    let begun = monotonic_clock();
    let mut certificate_now = Certificate::read(&files, begun).unwrap();
    let mut offers = |after: u64| {
        let acceptor = certificate_now.acceptor(begun + Duration::from_secs(after));
        Arc::as_ptr(acceptor.config()).addr()
    };
    let first = offers(0);
    std::fs::write(&files.certificate, "none").unwrap();
    assert_eq!(offers(61), first);
    certificate(folder.path());
    assert_eq!(offers(62), first, "it is not looked at with every caller");
    let second = offers(130);
    assert_ne!(second, first);
    assert_eq!(offers(260), second);
}

#[test]
fn a_server_does_not_start_without_what_it_needs() {
    let folder = TempDir::new().unwrap();
    let (files, _) = certificate(folder.path());
    let begins = |tls: TlsFiles| Certificate::read(&tls, monotonic_clock()).err();
    let missing = TlsFiles { key: folder.path().join("absent"), ..files.clone() };
    assert!(matches!(begins(missing), Some(CertificateError::File { path, .. }) if path.ends_with("absent")));
    let other = TempDir::new().unwrap();
    let mixed = TlsFiles { key: certificate(other.path()).0.key, ..files };
    assert!(matches!(begins(mixed), Some(CertificateError::Pair(_))));
}
