//! Secrets that are shown once: API keys, sessions, sign-in links. The database keeps their SHA-256 only.

use crate::base64url;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use std::fmt;

const RANDOM_BYTES: usize = 32;
/// 32 bytes in base64url.
const RANDOM_CHARS: usize = 43;
/// How much of a secret may be shown to tell it from others.
const PREFIX_CHARS: usize = 8;

/// The text of a secret: three characters that say what it is, and 32 random bytes. Never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What a secret is for, as its first three characters say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// `sk_`: speaks for a tenant, on a server.
    SecretKey,
    /// `pk_`: stands in a page; may only ring or leave a message.
    PublishableKey,
    /// `cs_`: a member's console session, in a cookie.
    Session,
    /// `sl_`: signs a member in, once.
    SignInLink,
    /// `nt_`: lets a media node dial in.
    NodeToken,
    /// `ot_`: speaks for the operator, on a server.
    OperatorToken,
}

impl SecretKind {
    fn lead(self) -> &'static str {
        match self {
            SecretKind::SecretKey => "sk_",
            SecretKind::PublishableKey => "pk_",
            SecretKind::Session => "cs_",
            SecretKind::SignInLink => "sl_",
            SecretKind::NodeToken => "nt_",
            SecretKind::OperatorToken => "ot_",
        }
    }
}

impl Secret {
    /// Makes a new one from the operating system's randomness.
    pub fn generate(kind: SecretKind) -> Self {
        let mut random = [0; RANDOM_BYTES];
        aws_lc_rs::rand::fill(&mut random).expect("the operating system gives randomness");
        Self(format!("{}{}", kind.lead(), base64url::encode(&random)))
    }

    /// Takes what somebody presents, if it can be a secret of this kind at all.
    pub fn presented(kind: SecretKind, text: &str) -> Option<Self> {
        let random = text.strip_prefix(kind.lead())?;
        (random.len() == RANDOM_CHARS && base64url::decode(random).is_some()).then(|| Self(text.into()))
    }

    /// The text, for the one moment in which it is shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the database knows it by. The comparison happens on hashes, so its timing says nothing about the secret.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }

    /// The hash as the database spells it.
    pub fn hash_hex(&self) -> String {
        hex(&self.hash())
    }

    /// The first eight characters, to tell it from others.
    pub fn prefix(&self) -> &str {
        &self.0[..PREFIX_CHARS]
    }

    /// Encrypts so that only who holds this secret can read it again.
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = plain.to_vec();
        let nonce = self
            .sealing_key()
            .seal_in_place_append_tag(Aad::empty(), &mut sealed)
            .expect("a small message can be sealed");
        let nonce: &[u8; NONCE_LEN] = nonce.as_ref();
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts what [`Secret::seal`] of the same secret made.
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let plain = self.sealing_key().open_in_place(nonce, Aad::empty(), &mut sealed).ok()?;
        Some(plain.to_vec())
    }

    /// A key of its own purpose, derived from the secret and not from its hash, which the database holds.
    fn sealing_key(&self) -> RandomizedNonceKey {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        let key = hmac::sign(&secret, b"tuppence sealed answer");
        RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).expect("SHA-256 has the size of an AES-256 key")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognised_by_its_kind_and_size() {
        let secret = Secret::generate(SecretKind::SecretKey);
        assert_eq!(Secret::presented(SecretKind::SecretKey, secret.reveal()), Some(secret.clone()));
        assert_eq!(Secret::presented(SecretKind::Session, secret.reveal()), None);
        for text in ["", "sk_", "sk_short", &secret.reveal()[1..], &format!("{}A", secret.reveal())] {
            assert_eq!(Secret::presented(SecretKind::SecretKey, text), None, "{text}");
        }
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret.prefix().len(), PREFIX_CHARS);
    }

    #[test]
    fn only_the_same_secret_opens_what_was_sealed() {
        let (one, other) = (Secret::generate(SecretKind::SecretKey), Secret::generate(SecretKind::SecretKey));
        let sealed = one.seal(b"an answer");
        assert_eq!(one.open(&sealed).as_deref(), Some(&b"an answer"[..]));
        assert_eq!(other.open(&sealed), None);
        assert_eq!(one.open(&sealed[..10]), None);
        assert!(!sealed.windows(6).any(|window| window == b"answer"));
    }
}
