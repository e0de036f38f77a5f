//! Tokens that ought to be refused, made by hand: a library would not let us write them.

use anyhow::{Context, Result};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use serde_json::{Value, json};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Signs whatever it is given.
#[derive(Debug)]
pub struct Forge {
    key: Ed25519KeyPair,
}

impl Forge {
    /// A key that the service has never seen.
    ///
    /// # Errors
    /// No key can be made.
    pub fn foreign() -> Result<Forge> {
        Ok(Forge { key: Ed25519KeyPair::generate()? })
    }

    /// The service's own key, out of its database.
    ///
    /// # Errors
    /// It is no Ed25519 key.
    pub fn stolen(pkcs8: &[u8]) -> Result<Forge> {
        Ok(Forge { key: Ed25519KeyPair::from_pkcs8(pkcs8)? })
    }

    /// A token with a right signature of this key.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = signed_part(header, claims);
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", base64url(signature.as_ref()))
    }

    /// A token "signed" by HMAC with public bytes as the secret: the classic swap of `alg` (RFC 8725 §2.1).
    pub fn hmac(header: &Value, claims: &Value, secret: &[u8]) -> String {
        let signed = signed_part(header, claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", base64url(tag.as_ref()))
    }

    /// A token without a signature.
    pub fn unsigned(claims: &Value) -> String {
        format!("{}.", signed_part(&json!({ "alg": "none", "typ": "tuppence-call+jwt" }), claims))
    }
}

fn signed_part(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()))
}

/// RFC 4648 §5 without padding.
pub fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().enumerate().fold(0u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}

/// The claims of a token, without asking who signed it.
///
/// # Errors
/// It is no token.
pub fn claims_of(token: &str) -> Result<Value> {
    let claims = token.split('.').nth(1).context("a token has three parts")?;
    Ok(serde_json::from_slice(&unbase64url(claims)?)?)
}

/// The header of a token.
///
/// # Errors
/// It is no token.
pub fn header_of(token: &str) -> Result<Value> {
    let header = token.split('.').next().context("a token has three parts")?;
    Ok(serde_json::from_slice(&unbase64url(header)?)?)
}

fn unbase64url(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for (at, letter) in chunk.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == letter).context("not base64url")?;
            bits |= u32::try_from(value)? << (18 - 6 * at);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{base64url, unbase64url};

    #[test]
    fn base64url_writes_the_examples_of_rfc_4648() {
        let examples =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64url(text.as_bytes()));
        assert_eq!(examples, ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"]);
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
        assert_eq!(unbase64url("Zm9vYmE").unwrap(), b"fooba");
    }
}
