//! The parsers that are fuzzed: each with what it promises beside not to panic.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sfu::control::{RoomId, Source, TenantId};
use sfu::fuzzing;
use signaling::auth;
use signaling::nodes::protocol::{HubFrame, NodeFrame};
use signaling::protocol::ClientFrame;
use signaling::resource::ResourceId;
use signaling::sdp::{Fragment, OneWayOffer, SdpRefusal};
use signaling::secret::{Secret, SecretKind};
use signaling::session::ResumeSecret;
use signaling::tokens::{CallRole, NewToken, TokenKey, TokenKeys};
use signaling::{base64url, sdp, text};
use std::sync::LazyLock;
use uuid::Uuid;

/// One parser.
#[derive(Debug)]
pub struct Target {
    /// Its name, and its folder's in the corpus.
    pub name: &'static str,
    /// Reads any bytes. Panics when a promise is broken.
    pub read: fn(&[u8]),
    /// Inputs that cannot be files.
    pub made: fn() -> Vec<Vec<u8>>,
    /// How often it is run on bent inputs in `cargo test`.
    pub runs_in_tests: usize,
}

/// All of them.
pub static TARGETS: [Target; 25] = [
    target("door", fuzzing::door),
    target("nomination", fuzzing::nomination),
    target("proof", fuzzing::proof),
    target("picture", fuzzing::picture),
    target("dependency", fuzzing::dependency),
    target("numbers", fuzzing::numbers),
    target("capture", fuzzing::capture),
    target("feedback", fuzzing::feedback),
    target("redundant", fuzzing::redundant),
    target("tap", fuzzing::tap),
    target("segment", fuzzing::segment),
    target("message", fuzzing::message),
    target("stream", fuzzing::stream),
    target("chunks", fuzzing::chunks),
    target("system", fuzzing::system),
    Target { made: fuzzing::turn_streams, ..target("turn", fuzzing::turn) },
    target("offer", fuzzing::offer),
    target("answer", fuzzing::answer),
    target("one_way", one_way),
    // str0m reads it, and a connection is built for each: a thousand times as slow.
    Target { runs_in_tests: 500, ..target("negotiation", fuzzing::negotiation) },
    Target { made: frames, ..target("frame", frame) },
    Target { made: tokens, ..target("token", token) },
    target("node", node),
    target("headers", headers),
    target("text", texts),
];

const fn target(name: &'static str, read: fn(&[u8])) -> Target {
    Target { name, read, made: Vec::new, runs_in_tests: 20_000 }
}

/// A page's frame: what is read comes out the same when it is written and read again.
fn frame(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(frame) = ClientFrame::parse(&text) {
        let written = serde_json::to_string(&frame).expect("a frame can be written");
        assert_eq!(ClientFrame::parse(&written).ok(), Some(frame));
    }
}

/// What a hub and a node say to each other: likewise.
fn node(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    is_read_as_written::<NodeFrame>(&text);
    is_read_as_written::<HubFrame>(&text);
}

fn is_read_as_written<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(frame) = serde_json::from_str::<T>(text) {
        let written = serde_json::to_string(&frame).expect("a frame can be written");
        assert_eq!(serde_json::from_str(&written).ok(), Some(frame));
    }
}

/// The golden messages, which the other tests read too.
fn frames() -> Vec<Vec<u8>> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/protocol");
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .expect("the golden messages are there")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("client_")))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).expect("a golden message can be read")).collect()
}

/// Of one of the two.
type Reader = fn(&str) -> Result<OneWayOffer, SdpRefusal>;

/// An offer of WHIP or WHEP, and the fragments that follow it: what is read comes out the same when it is read again.
fn one_way(bytes: &[u8]) {
    const ALL: [Source; 4] = [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio];
    let text = String::from_utf8_lossy(bytes);
    let readers: [Reader; 2] = [OneWayOffer::viewing, |sdp| OneWayOffer::publishing(sdp, &ALL)];
    for read in readers {
        let Ok(offer) = read(&text) else { continue };
        assert!(offer.sends.len() <= ALL.len());
        assert_eq!(read(&offer.sdp).as_ref(), Ok(&offer));
        let restarted = offer.restarted(&offer.credentials);
        assert_eq!(read(&restarted.sdp).as_ref(), Ok(&restarted));
    }
    let _fragment = Fragment::parse(&text);
    let told = sdp::fragment_of(&text);
    assert!(told.len() <= text.len() + text.lines().count() + 32);
    assert!(told.lines().all(|line| line.starts_with("a=") || line.starts_with("m=")), "{told}");
    let _gives_up = sdp::is_partial(&text);
}

/// A key that everybody knows and nothing trusts.
static KEYS: LazyLock<TokenKeys> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any seed is a key");
    let private_pkcs8 = pair.to_pkcs8().expect("a key has a PKCS #8 form").as_ref().to_vec();
    let public_raw = pair.public_key().as_ref().to_vec();
    let key = TokenKey { kid: "fuzz".into(), private_pkcs8, public_raw, retired: false };
    TokenKeys::new("https://calls.example", &[key]).expect("the key can be used")
});

static GENUINE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let issue = |name: Option<&str>, origin: Option<&str>| {
        let new = NewToken {
            tenant: TenantId(Uuid::from_u128(1)),
            room: RoomId(Uuid::from_u128(2)),
            identity: "customer-4711".into(),
            name: name.map(str::to_owned),
            role: CallRole::Participant,
            may_publish: vec![Source::Microphone, Source::Camera],
            token_id: Uuid::from_u128(3),
            origin: origin.map(str::to_owned),
            ttl_s: 600,
        };
        KEYS.issue(new, Timestamp::UNIX_EPOCH).token.into_bytes()
    };
    vec![issue(None, None), issue(Some("Ada"), None), issue(Some("Łukasz 👋"), Some("https://shop.example"))]
});

/// A token: none but the genuine ones lets anybody in, not even in another spelling.
fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let grant = KEYS.verify(&text, Timestamp::UNIX_EPOCH, Some("https://shop.example"));
    assert_eq!(grant.is_ok(), GENUINE.iter().any(|genuine| genuine == bytes), "{text}");
}

fn tokens() -> Vec<Vec<u8>> {
    GENUINE.clone()
}

/// Names, origins, secrets and base64url: one spelling for one value.
fn texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(decoded) = base64url::decode(&text) {
        assert_eq!(base64url::encode(&decoded), text);
    }
    if let Ok(origin) = text::origin(&text) {
        assert_eq!(text::origin(&origin).ok().as_ref(), Some(&origin));
    }
    if let Ok(name) = text::name(&text) {
        assert!(name.chars().count() <= 64 && !name.is_empty());
        assert_eq!(text::name(&name).ok().as_ref(), Some(&name));
    }
    if let Some(secret) = ResumeSecret::parse(&text) {
        assert_eq!(ResumeSecret::parse(&secret.to_text()), Some(secret));
    }
    if let Some(id) = ResourceId::parse(&text) {
        assert_eq!(id.to_text(), text);
    }
    for kind in
        [SecretKind::SecretKey, SecretKind::PublishableKey, SecretKind::Session, SecretKind::SignInLink]
    {
        if let Some(secret) = Secret::presented(kind, &text) {
            assert_eq!(secret.reveal(), text);
        }
    }
}

/// The headers of a request, a line each: who asks, and from which page. Nobody is believed who says it twice.
fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), &line[colon + 1..]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let count = |name: &str| headers.get_all(name).iter().count();
    if let Ok(bearer) = auth::bearer(&headers) {
        assert_eq!(bearer.is_some(), count("authorization") == 1);
    }
    if let Ok(origin) = auth::origin(&headers) {
        assert_eq!(origin.is_some(), count("origin") == 1);
    }
    if let Some(secret) = auth::session_cookie(&headers) {
        let name = format!("{}=", auth::SESSION_COOKIE);
        let values = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
        let cookies = values.flat_map(|value| value.split(';')).map(str::trim);
        let sessions: Vec<&str> = cookies.filter_map(|cookie| cookie.strip_prefix(&name)).collect();
        assert_eq!(sessions, [secret.reveal()]);
    }
}
