//! The tokens that let one person into one room: EdDSA JWTs (RFC 7519, RFC 8037), at most ten minutes to be used.
//!
//! Only this profile exists. The signature is always checked as Ed25519 whatever the token says, the header may
//! hold `alg`, `typ` and `kid` and nothing else, and each part has exactly one spelling. No key is ever fetched.

use crate::base64url;
use crate::protocol::RefusalCode;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sfu::control::{RoomId, Source, TenantId};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// The longest time a token may be used, in seconds. A call that has begun goes on.
pub const TOKEN_TTL_S_MAX: i64 = 600;
/// The longest identity, in characters.
pub const IDENTITY_CHARS_MAX: usize = 128;

const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "tuppence-call+jwt";
const AUDIENCE: &str = "tuppence";
/// How far the clock of another hub may be ahead of ours.
const LEEWAY_S: i64 = 5;

/// What a token allows: who may enter which room as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose room it is.
    pub tenant: TenantId,
    /// The room.
    pub room: RoomId,
    /// The caller's word for the person; the same identity joining again replaces the earlier one.
    pub identity: String,
    /// Display name, if the issuer knows it.
    pub name: Option<String>,
    /// What the person may do in the room.
    pub role: CallRole,
    /// What the person may publish.
    pub may_publish: Vec<Source>,
    /// Names this token (`jti`).
    pub token_id: Uuid,
    /// The only origin whose pages may use it, if it is bound to one.
    pub origin: Option<String>,
    /// When it can no longer be used.
    pub expires_at: Timestamp,
}

/// What a person may do in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallRole {
    /// Takes part.
    Participant,
    /// Takes part and may remove others.
    Host,
}

impl CallRole {
    /// The role's name in tokens and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            CallRole::Participant => "participant",
            CallRole::Host => "host",
        }
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// More than [`TOKEN_BYTES_MAX`].
    #[error("the token is larger than 4 KiB")]
    TooLarge,
    /// Not three parts of base64url and JSON.
    #[error("the token is not a JWT of three base64url parts")]
    Malformed,
    /// Another algorithm or type, or a header field that is not allowed.
    #[error("the token's header must be alg EdDSA, typ tuppence-call+jwt and a kid, and nothing else")]
    HeaderNotAllowed,
    /// Signed with a key that is not ours or is retired.
    #[error("the token names a key that is not in use here")]
    KeyUnknown,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    SignatureWrong,
    /// A claim is missing, unknown, doubled, or not for this service.
    #[error("the token's claims are not those of this service")]
    ClaimsNotAllowed,
    /// Its time is over.
    #[error("the token has expired; ask for a new one")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Presented by a page of another origin.
    #[error("the token is bound to another origin")]
    OriginNotAllowed,
}

impl TokenRefusal {
    /// The code that the page hears.
    pub fn code(self) -> RefusalCode {
        match self {
            TokenRefusal::Expired => RefusalCode::TokenExpired,
            TokenRefusal::OriginNotAllowed => RefusalCode::OriginNotAllowed,
            _ => RefusalCode::TokenInvalid,
        }
    }
}

/// What a token is to say; the rest is added by [`TokenKeys::issue`].
#[derive(Debug, Clone)]
pub struct NewToken {
    /// As in [`Grant`].
    pub tenant: TenantId,
    /// As in [`Grant`].
    pub room: RoomId,
    /// As in [`Grant`].
    pub identity: String,
    /// As in [`Grant`].
    pub name: Option<String>,
    /// As in [`Grant`].
    pub role: CallRole,
    /// As in [`Grant`].
    pub may_publish: Vec<Source>,
    /// As in [`Grant`].
    pub origin: Option<String>,
    /// As in [`Grant`].
    pub token_id: Uuid,
    /// How long it may be used, in seconds, at most [`TOKEN_TTL_S_MAX`].
    pub ttl_s: i64,
}

/// A signed token and the moment it ends.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The JWT.
    pub token: String,
    /// When it can no longer be used.
    pub expires_at: Timestamp,
}

/// A key pair as it is stored.
#[derive(Clone)]
pub struct TokenKey {
    /// The JWK thumbprint of the public key (RFC 7638).
    pub kid: String,
    /// PKCS #8 version 2.
    pub private_pkcs8: Vec<u8>,
    /// 32 bytes.
    pub public_raw: Vec<u8>,
    /// A retired key verifies nothing.
    pub retired: bool,
}

/// A stored key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("token key {0} cannot be used")]
pub struct BrokenKey(String);

impl TokenKey {
    /// Makes a new key pair from the operating system's randomness.
    pub fn generate() -> Self {
        let pair = Ed25519KeyPair::generate().expect("the operating system gives randomness");
        let private_pkcs8 = pair.to_pkcs8().expect("a fresh key has a PKCS #8 form").as_ref().to_vec();
        let public_raw = pair.public_key().as_ref().to_vec();
        Self { kid: thumbprint(&public_raw), private_pkcs8, public_raw, retired: false }
    }
}

/// The JWK thumbprint of an Ed25519 key (RFC 7638 §3, RFC 8037 §2).
fn thumbprint(public_raw: &[u8]) -> String {
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url::encode(public_raw));
    base64url::encode(digest(&SHA256, jwk.as_bytes()).as_ref())
}

/// The keys that sign and verify tokens of one issuer. Cheap to clone.
#[derive(Clone)]
pub struct TokenKeys(Arc<Inner>);

struct Inner {
    issuer: String,
    signing_kid: String,
    signing: Ed25519KeyPair,
    public_by_kid: BTreeMap<String, Vec<u8>>,
}

impl TokenKeys {
    /// Takes the stored keys, oldest first; the last one that is not retired signs.
    pub fn new(issuer: &str, keys: &[TokenKey]) -> Result<Self, BrokenKey> {
        let live: Vec<&TokenKey> = keys.iter().filter(|key| !key.retired).collect();
        let signing_key = live.last().ok_or_else(|| BrokenKey("(none)".into()))?;
        let signing = Ed25519KeyPair::from_pkcs8(&signing_key.private_pkcs8)
            .map_err(|_| BrokenKey(signing_key.kid.clone()))?;
        if signing.public_key().as_ref() != signing_key.public_raw {
            return Err(BrokenKey(signing_key.kid.clone()));
        }
        Ok(Self(Arc::new(Inner {
            issuer: issuer.into(),
            signing_kid: signing_key.kid.clone(),
            signing,
            public_by_kid: live.iter().map(|key| (key.kid.clone(), key.public_raw.clone())).collect(),
        })))
    }

    /// Signs a token that can be used from `now`.
    pub fn issue(&self, new: NewToken, now: Timestamp) -> IssuedToken {
        let iat = now.as_second();
        let exp = iat + new.ttl_s.clamp(1, TOKEN_TTL_S_MAX);
        let claims = Claims {
            iss: self.0.issuer.clone(),
            aud: AUDIENCE.into(),
            sub: new.identity,
            jti: new.token_id,
            iat,
            nbf: None,
            exp,
            tenant: new.tenant.0,
            room: new.room.0,
            role: new.role,
            name: new.name,
            may_publish: new.may_publish,
            origin: new.origin,
        };
        let expires_at = Timestamp::from_second(exp).expect("ten minutes from now is a timestamp");
        IssuedToken { token: self.sign(&claims), expires_at }
    }

    fn sign(&self, claims: &Claims) -> String {
        let header =
            serde_json::json!({ "alg": ALGORITHM, "typ": TYPE, "kid": self.0.signing_kid }).to_string();
        let claims = serde_json::to_string(claims).expect("claims are plain JSON");
        let message =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
        let signature = base64url::encode(self.0.signing.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }

    /// Checks a token that is presented at `now` by a page of `origin` and says what it allows.
    pub fn verify(&self, token: &str, now: Timestamp, origin: Option<&str>) -> Result<Grant, TokenRefusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefusal::TooLarge);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenRefusal::Malformed)?;
        let public = self.key_for(&decode(header)?)?;
        let (claims, signature) = (decode(claims)?, decode(signature)?);
        UnparsedPublicKey::new(&ED25519, public)
            .verify(message.as_bytes(), &signature)
            .map_err(|_| TokenRefusal::SignatureWrong)?;
        let claims: Claims = object(&claims).ok_or(TokenRefusal::ClaimsNotAllowed)?;
        claims.check(&self.0.issuer, now, origin)
    }

    fn key_for(&self, header: &[u8]) -> Result<&[u8], TokenRefusal> {
        let header: Header = object(header).ok_or(TokenRefusal::HeaderNotAllowed)?;
        if header.alg != ALGORITHM || header.typ != TYPE {
            return Err(TokenRefusal::HeaderNotAllowed);
        }
        self.0.public_by_kid.get(&header.kid).map(Vec::as_slice).ok_or(TokenRefusal::KeyUnknown)
    }

    /// The public keys as a JWK set (RFC 7517), so that others can check a token alone.
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<serde_json::Value> = self
            .0
            .public_by_kid
            .iter()
            .map(|(kid, public)| {
                let x = base64url::encode(public);
                serde_json::json!({
                    "kty": "OKP", "crv": "Ed25519", "alg": ALGORITHM, "use": "sig", "kid": kid, "x": x,
                })
            })
            .collect();
        serde_json::json!({ "keys": keys })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenRefusal> {
    base64url::decode(part).ok_or(TokenRefusal::Malformed)
}

/// Parses a JSON object. (Serde would also take an array with the fields in order.)
fn object<T: serde::de::DeserializeOwned>(json: &[u8]) -> Option<T> {
    if json.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(json).ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    jti: Uuid,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    exp: i64,
    tenant: Uuid,
    room: Uuid,
    role: CallRole,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    may_publish: Vec<Source>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

impl Claims {
    fn check(self, issuer: &str, now: Timestamp, origin: Option<&str>) -> Result<Grant, TokenRefusal> {
        if self.iss != issuer
            || self.aud != AUDIENCE
            || !self.lifetime_is_allowed()
            || !self.subject_is_allowed()
        {
            return Err(TokenRefusal::ClaimsNotAllowed);
        }
        let latest_start = now.checked_add(SignedDuration::from_secs(LEEWAY_S)).unwrap_or(now).as_second();
        if self.iat > latest_start || self.nbf.is_some_and(|nbf| nbf > latest_start) {
            return Err(TokenRefusal::NotYetValid);
        }
        let expires_at = Timestamp::from_second(self.exp).map_err(|_| TokenRefusal::ClaimsNotAllowed)?;
        if now >= expires_at {
            return Err(TokenRefusal::Expired);
        }
        if self.origin.is_some() && self.origin.as_deref() != origin {
            return Err(TokenRefusal::OriginNotAllowed);
        }
        Ok(self.into_grant(expires_at))
    }

    fn lifetime_is_allowed(&self) -> bool {
        self.exp.checked_sub(self.iat).is_some_and(|ttl_s| (1..=TOKEN_TTL_S_MAX).contains(&ttl_s))
    }

    fn subject_is_allowed(&self) -> bool {
        (1..=IDENTITY_CHARS_MAX).contains(&self.sub.chars().count())
    }

    fn into_grant(self, expires_at: Timestamp) -> Grant {
        Grant {
            tenant: TenantId(self.tenant),
            room: RoomId(self.room),
            identity: self.sub,
            name: self.name,
            role: self.role,
            may_publish: self.may_publish,
            token_id: self.jti,
            origin: self.origin,
            expires_at,
        }
    }
}

#[cfg(test)]
mod tests;
