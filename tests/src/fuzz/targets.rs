//! The parsers that are fuzzed: each with what it promises beside not to panic.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use jiff::Timestamp;
use sfu::control::{RoomId, Source, TenantId};
use sfu::fuzzing;
use signaling::protocol::ClientFrame;
use signaling::secret::{Secret, SecretKind};
use signaling::tokens::{CallRole, NewToken, TokenKey, TokenKeys};
use signaling::{base64url, text};
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
pub static TARGETS: [Target; 15] = [
    target("door", fuzzing::door),
    target("nomination", fuzzing::nomination),
    target("proof", fuzzing::proof),
    target("picture", fuzzing::picture),
    target("dependency", fuzzing::dependency),
    target("numbers", fuzzing::numbers),
    target("segment", fuzzing::segment),
    target("message", fuzzing::message),
    target("stream", fuzzing::stream),
    target("system", fuzzing::system),
    target("offer", fuzzing::offer),
    // A connection is built for each: a thousand times as slow.
    Target { runs_in_tests: 500, ..target("negotiation", fuzzing::negotiation) },
    Target { made: frames, ..target("frame", frame) },
    Target { made: tokens, ..target("token", token) },
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
    for kind in
        [SecretKind::SecretKey, SecretKind::PublishableKey, SecretKind::Session, SecretKind::SignInLink]
    {
        if let Some(secret) = Secret::presented(kind, &text) {
            assert_eq!(secret.reveal(), text);
        }
    }
}
