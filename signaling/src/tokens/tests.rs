//! The zoo: what must not pass as a token, one line each, and what must.

use super::*;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

const ISSUER: &str = "https://calls.example.com";
const ORIGIN: &str = "https://shop.example";

struct Zoo {
    keys: TokenKeys,
    key: TokenKey,
    now: Timestamp,
}

impl Zoo {
    fn new() -> Self {
        let key = TokenKey::generate();
        let keys = TokenKeys::new(ISSUER, std::slice::from_ref(&key)).expect("a fresh key");
        Self { keys, key, now: "2026-11-21T12:00:00Z".parse().expect("a time") }
    }

    fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "typ": "tuppence-call+jwt", "kid": self.key.kid })
    }

    fn claims(&self) -> Value {
        let iat = self.now.as_second();
        json!({
            "iss": ISSUER, "aud": "tuppence", "sub": "ada", "jti": Uuid::from_u128(1), "iat": iat, "exp": iat + 60,
            "tenant": Uuid::from_u128(2), "room": Uuid::from_u128(3), "role": "participant", "may_publish": ["camera"],
        })
    }

    /// Signed with the service's own key, whatever header and claims say.
    fn sign(&self, header: &str, claims: &str) -> String {
        sign_with(&self.key, header, claims)
    }

    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = self.header();
        change(&mut header);
        self.sign(&header.to_string(), &self.claims().to_string())
    }

    fn with_claims(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    fn good(&self) -> String {
        self.with_claims(|_| ())
    }

    fn verify(&self, token: &str) -> Result<Grant, TokenRefusal> {
        self.keys.verify(token, self.now, Some(ORIGIN))
    }
}

fn sign_with(key: &TokenKey, header: &str, claims: &str) -> String {
    let message =
        format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
    let pair = Ed25519KeyPair::from_pkcs8(&key.private_pkcs8).expect("a key pair");
    format!("{message}.{}", base64url::encode(pair.sign(message.as_bytes()).as_ref()))
}

/// Signed by another library with another algorithm.
fn foreign_algorithm(zoo: &Zoo, alg: &str, algorithm: Algorithm, key: &EncodingKey) -> String {
    let mut header = zoo.header();
    header["alg"] = alg.into();
    let message = format!(
        "{}.{}",
        base64url::encode(header.to_string().as_bytes()),
        base64url::encode(zoo.claims().to_string().as_bytes())
    );
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).expect("signs");
    format!("{message}.{signature}")
}

fn es256_key() -> EncodingKey {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    EncodingKey::from_ec_der(pair.to_pkcs8v1().expect("PKCS #8").as_ref())
}

fn rs256_key() -> EncodingKey {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der = pair.as_der().expect("PKCS #8");
    // The library wants PKCS #1, which is what PKCS #8 wraps: 26 bytes of frame for 2048 bits.
    EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
}

type Zookeeper = Vec<(&'static str, String, TokenRefusal)>;

fn headers(zoo: &Zoo) -> Zookeeper {
    use TokenRefusal::{HeaderNotAllowed, KeyUnknown};
    let mut rows = Vec::new();
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES256", "PS256", "eddsa", "EDDSA", "EdDSA ",
        "Ed25519",
    ] {
        rows.push(("alg", zoo.with_header(|h| h["alg"] = alg.into()), HeaderNotAllowed));
    }
    for typ in ["JWT", "jwt", "tuppence-call", "TUPPENCE-CALL+JWT", "application/tuppence-call+jwt", ""] {
        rows.push(("typ", zoo.with_header(|h| h["typ"] = typ.into()), HeaderNotAllowed));
    }
    for kid in ["", "../../etc/passwd", "/dev/null", "' or '1'='1", "0", "kid\u{0}"] {
        rows.push(("kid", zoo.with_header(|h| h["kid"] = kid.into()), KeyUnknown));
    }
    let lower = zoo.key.kid.to_lowercase();
    rows.push(("kid in lower case", zoo.with_header(|h| h["kid"] = lower.into()), KeyUnknown));
    for (field, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("jwk", zoo.keys.jwks()["keys"][0].clone()),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("epk", json!({})),
    ] {
        rows.push((field, zoo.with_header(|h| h[field] = value), HeaderNotAllowed));
    }
    for field in ["alg", "typ", "kid"] {
        let without = zoo.with_header(|h| drop(h.as_object_mut().expect("an object").remove(field)));
        rows.push(("a missing header field", without, HeaderNotAllowed));
        rows.push(("a null header field", zoo.with_header(|h| h[field] = Value::Null), HeaderNotAllowed));
        rows.push((
            "an array in the header",
            zoo.with_header(|h| h[field] = json!(["EdDSA"])),
            HeaderNotAllowed,
        ));
    }
    let (claims, kid) = (zoo.claims().to_string(), &zoo.key.kid);
    for header in [
        format!(r#"["EdDSA","tuppence-call+jwt","{kid}"]"#),
        format!(r#"{{"alg":"none","alg":"EdDSA","typ":"tuppence-call+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"tuppence-call+jwt","kid":"x","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"EdDSA","typ":"tuppence-call+jwt","kid":"{kid}"}}{{}}"#),
        format!(r#" {{"alg":"EdDSA","typ":"tuppence-call+jwt","kid":"{kid}"}}"#),
        "{}".into(),
        "null".into(),
        String::new(),
    ] {
        rows.push(("a header of another shape", zoo.sign(&header, &claims), HeaderNotAllowed));
    }
    rows
}

fn claims(zoo: &Zoo) -> Zookeeper {
    use TokenRefusal::{ClaimsNotAllowed, Expired, NotYetValid, OriginNotAllowed};
    let iat = zoo.now.as_second();
    let mut rows = Vec::new();
    for (field, value, refusal) in [
        ("iss", json!("https://evil.example"), ClaimsNotAllowed),
        ("iss", json!("https://calls.example.com/"), ClaimsNotAllowed),
        ("iss", json!([ISSUER]), ClaimsNotAllowed),
        ("aud", json!("stripe"), ClaimsNotAllowed),
        ("aud", json!(["tuppence"]), ClaimsNotAllowed),
        ("aud", json!(["tuppence", "other"]), ClaimsNotAllowed),
        ("aud", Value::Null, ClaimsNotAllowed),
        ("exp", json!(iat), ClaimsNotAllowed),
        ("exp", json!(iat - 1), ClaimsNotAllowed),
        ("exp", json!(iat + 601), ClaimsNotAllowed),
        ("exp", json!(i64::MAX), ClaimsNotAllowed),
        ("exp", json!(i64::MIN), ClaimsNotAllowed),
        ("exp", json!((iat + 60) as f64), ClaimsNotAllowed),
        ("exp", json!((iat + 60).to_string()), ClaimsNotAllowed),
        ("exp", Value::Null, ClaimsNotAllowed),
        ("iat", json!(iat + 30), NotYetValid),
        ("iat", json!("now"), ClaimsNotAllowed),
        ("nbf", json!(iat + 30), NotYetValid),
        ("nbf", json!("tomorrow"), ClaimsNotAllowed),
        ("sub", json!(""), ClaimsNotAllowed),
        ("sub", json!("a".repeat(129)), ClaimsNotAllowed),
        ("sub", json!(7), ClaimsNotAllowed),
        ("jti", json!("not a uuid"), ClaimsNotAllowed),
        ("tenant", json!("*"), ClaimsNotAllowed),
        ("room", json!(""), ClaimsNotAllowed),
        ("role", json!("owner"), ClaimsNotAllowed),
        ("role", json!("Participant"), ClaimsNotAllowed),
        ("may_publish", json!("camera"), ClaimsNotAllowed),
        ("may_publish", json!(["x-ray"]), ClaimsNotAllowed),
        ("admin", json!(true), ClaimsNotAllowed),
        ("origin", json!("https://evil.example"), OriginNotAllowed),
        ("origin", json!("https://shop.example.evil.example"), OriginNotAllowed),
        ("origin", json!("http://shop.example"), OriginNotAllowed),
        ("origin", json!(""), OriginNotAllowed),
    ] {
        rows.push((field, zoo.with_claims(|claims| claims[field] = value), refusal));
    }
    for field in ["iss", "aud", "sub", "jti", "iat", "exp", "tenant", "room", "role", "may_publish"] {
        let without = zoo.with_claims(|c| drop(c.as_object_mut().expect("an object").remove(field)));
        rows.push(("a missing claim", without, ClaimsNotAllowed));
    }
    let old = zoo.with_claims(|c| (c["iat"], c["exp"]) = (json!(iat - 60), json!(iat)));
    rows.push(("expired this second", old, Expired));
    let doubled =
        zoo.claims().to_string().replacen('{', r#"{"room":"00000000-0000-0000-0000-000000000009","#, 1);
    rows.push(("a claim twice", zoo.sign(&zoo.header().to_string(), &doubled), ClaimsNotAllowed));
    let listed = json!([ISSUER, "tuppence", "ada"]).to_string();
    rows.push(("claims as a list", zoo.sign(&zoo.header().to_string(), &listed), ClaimsNotAllowed));
    rows
}

fn signatures(zoo: &Zoo) -> Zookeeper {
    use TokenRefusal::{HeaderNotAllowed, KeyUnknown, SignatureWrong};
    let (header, claims) = (zoo.header().to_string(), zoo.claims().to_string());
    let stranger = TokenKey::generate();
    let stranger_header = header.replace(&zoo.key.kid, &stranger.kid);
    let other_claims = zoo.claims().to_string().replace("participant", "host");
    let good = zoo.good();
    let parts: Vec<&str> = good.split('.').collect();
    let joined = |header: &str, claims: &str, signature: &str| format!("{header}.{claims}.{signature}");
    let encoded = base64url::encode;
    let hmac_raw = EncodingKey::from_secret(&zoo.key.public_raw);
    let hmac_text = EncodingKey::from_secret(encoded(&zoo.key.public_raw).as_bytes());
    let mut swapped = base64url::decode(parts[2]).expect("a signature");
    swapped.rotate_left(32);
    vec![
        ("a stranger's key under our kid", sign_with(&stranger, &header, &claims), SignatureWrong),
        ("a stranger's key under its own kid", sign_with(&stranger, &stranger_header, &claims), KeyUnknown),
        ("other claims", joined(parts[0], &encoded(other_claims.as_bytes()), parts[2]), SignatureWrong),
        (
            "another token's signature",
            joined(
                parts[0],
                parts[1],
                zoo.with_claims(|c| c["sub"] = "eve".into()).rsplit_once('.').expect("parts").1,
            ),
            SignatureWrong,
        ),
        ("an empty signature", joined(parts[0], parts[1], ""), SignatureWrong),
        ("a signature of zeros", joined(parts[0], parts[1], &encoded(&[0; 64])), SignatureWrong),
        ("a signature of ones", joined(parts[0], parts[1], &encoded(&[0xff; 64])), SignatureWrong),
        ("half a signature", joined(parts[0], parts[1], &encoded(&[7; 32])), SignatureWrong),
        ("a longer signature", joined(parts[0], parts[1], &encoded(&[7; 65])), SignatureWrong),
        ("R and S swapped", joined(parts[0], parts[1], &encoded(&swapped)), SignatureWrong),
        (
            "the identity point",
            joined(parts[0], parts[1], &encoded(&[&[1u8][..], &[0; 63]].concat())),
            SignatureWrong,
        ),
        (
            "HS256 with the raw public key",
            foreign_algorithm(zoo, "HS256", Algorithm::HS256, &hmac_raw),
            HeaderNotAllowed,
        ),
        (
            "HS256 with the encoded public key",
            foreign_algorithm(zoo, "HS256", Algorithm::HS256, &hmac_text),
            HeaderNotAllowed,
        ),
        (
            "HS256 that says EdDSA",
            foreign_algorithm(zoo, "EdDSA", Algorithm::HS256, &hmac_raw),
            SignatureWrong,
        ),
        (
            "HS512 that says EdDSA",
            foreign_algorithm(zoo, "EdDSA", Algorithm::HS512, &hmac_raw),
            SignatureWrong,
        ),
        ("ES256", foreign_algorithm(zoo, "ES256", Algorithm::ES256, &es256_key()), HeaderNotAllowed),
        (
            "ES256 that says EdDSA",
            foreign_algorithm(zoo, "EdDSA", Algorithm::ES256, &es256_key()),
            SignatureWrong,
        ),
        ("RS256", foreign_algorithm(zoo, "RS256", Algorithm::RS256, &rs256_key()), HeaderNotAllowed),
        (
            "RS256 that says EdDSA",
            foreign_algorithm(zoo, "EdDSA", Algorithm::RS256, &rs256_key()),
            SignatureWrong,
        ),
    ]
}

fn spellings(zoo: &Zoo) -> Zookeeper {
    use TokenRefusal::{Malformed, TooLarge};
    let good = zoo.good();
    let parts: Vec<&str> = good.split('.').collect();
    let last = good.chars().last().expect("a letter");
    // The last letter of 64 bytes carries four bits that must be zero.
    let stray = char::from(base64url_next(last));
    vec![
        ("nothing", String::new(), Malformed),
        ("one part", parts[0].into(), Malformed),
        ("two parts", format!("{}.{}", parts[0], parts[1]), Malformed),
        ("four parts", format!("{good}.{}", parts[2]), Malformed),
        ("five parts, as a JWE", format!("{good}.a.b"), Malformed),
        ("dots", "..".into(), TokenRefusal::HeaderNotAllowed),
        ("a padded signature", format!("{good}=="), Malformed),
        ("a padded header", format!("{}=.{}.{}", parts[0], parts[1], parts[2]), Malformed),
        ("a space in front", format!(" {good}"), Malformed),
        ("a line break behind", format!("{good}\n"), Malformed),
        ("a line break within", good.replacen('.', ".\n", 1), Malformed),
        ("stray bits", format!("{}{stray}", &good[..good.len() - 1]), Malformed),
        (
            "the alphabet of RFC 4648 section 4",
            format!("{}.{}.{}", parts[0], parts[1], "+/".repeat(43)),
            Malformed,
        ),
        ("percent encoding", good.replacen('.', "%2e", 1), Malformed),
        ("letters of another script", format!("{good}é"), Malformed),
        ("a truncated signature", good[..good.len() - 1].into(), Malformed),
        ("a truncated token", good[..good.len() / 2].into(), Malformed),
        ("Bearer", format!("Bearer {good}"), Malformed),
        (
            "a JSON serialisation",
            json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] }).to_string(),
            Malformed,
        ),
        ("4 KiB and a byte", "a".repeat(TOKEN_BYTES_MAX + 1), TooLarge),
        ("a valid token of 5 KB", zoo.with_claims(|c| c["name"] = "n".repeat(5000).into()), TooLarge),
    ]
}

fn base64url_next(letter: char) -> u8 {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.iter().position(|l| char::from(*l) == letter).expect("a letter of the alphabet");
    alphabet[at + 1]
}

#[test]
fn no_forged_token_is_accepted() {
    let zoo = Zoo::new();
    let rows = [headers(&zoo), claims(&zoo), signatures(&zoo), spellings(&zoo)].concat();
    assert!(rows.len() >= 60, "the zoo has {} animals only", rows.len());
    for (name, token, refusal) in rows {
        assert_eq!(zoo.verify(&token), Err(refusal), "{name}: {token}");
    }
}

#[test]
fn a_good_token_says_what_it_allows() {
    let zoo = Zoo::new();
    let grant = zoo.verify(&zoo.good()).expect("a good token");
    assert_eq!((grant.tenant, grant.room), (TenantId(Uuid::from_u128(2)), RoomId(Uuid::from_u128(3))));
    assert_eq!((grant.identity.as_str(), grant.role), ("ada", CallRole::Participant));
    assert_eq!(grant.may_publish, [Source::Camera]);
    for token in [
        zoo.with_claims(|c| c["origin"] = ORIGIN.into()),
        zoo.with_claims(|c| c["nbf"] = c["iat"].clone()),
        zoo.with_claims(|c| c["exp"] = json!(c["iat"].as_i64().expect("a number") + 600)),
        zoo.with_claims(|c| c["iat"] = json!(c["iat"].as_i64().expect("a number") + 4)),
        zoo.with_claims(|c| c["name"] = "Ada".into()),
        zoo.with_claims(|c| c["may_publish"] = json!([])),
    ] {
        zoo.verify(&token).expect(&token);
    }
}

#[test]
fn what_is_issued_is_accepted_until_it_expires() {
    let zoo = Zoo::new();
    let new = NewToken {
        tenant: TenantId(Uuid::from_u128(2)),
        room: RoomId(Uuid::from_u128(3)),
        identity: "ada".into(),
        name: Some("Ada".into()),
        role: CallRole::Host,
        may_publish: vec![Source::Microphone, Source::ScreenAudio],
        origin: Some(ORIGIN.into()),
        token_id: Uuid::from_u128(4),
        ttl_s: 60,
    };
    let issued = zoo.keys.issue(new, zoo.now);
    let grant = zoo.verify(&issued.token).expect("just issued");
    assert_eq!((grant.name.as_deref(), grant.expires_at), (Some("Ada"), issued.expires_at));
    let at = |s: i64| zoo.now + SignedDuration::from_secs(s);
    assert!(zoo.keys.verify(&issued.token, at(59), Some(ORIGIN)).is_ok());
    assert_eq!(zoo.keys.verify(&issued.token, at(60), Some(ORIGIN)), Err(TokenRefusal::Expired));
    assert_eq!(zoo.keys.verify(&issued.token, at(-6), Some(ORIGIN)), Err(TokenRefusal::NotYetValid));
    assert_eq!(zoo.keys.verify(&issued.token, zoo.now, None), Err(TokenRefusal::OriginNotAllowed));
}

#[test]
fn a_retired_key_verifies_nothing_and_the_newest_signs() {
    let (old, new) = (TokenKey::generate(), TokenKey::generate());
    let zoo = Zoo {
        keys: TokenKeys::new(ISSUER, &[old.clone(), new.clone()]).expect("keys"),
        key: old,
        ..Zoo::new()
    };
    zoo.verify(&zoo.good()).expect("both are in use");
    let retired = TokenKey { retired: true, ..zoo.key.clone() };
    let keys = TokenKeys::new(ISSUER, &[retired.clone(), new]).expect("keys");
    assert_eq!(keys.verify(&zoo.good(), zoo.now, None), Err(TokenRefusal::KeyUnknown));
    assert!(TokenKeys::new(ISSUER, &[retired]).is_err());
}

/// Another implementation of the standard reads our tokens with our published keys.
#[test]
fn another_library_verifies_with_the_published_keys() {
    let zoo = Zoo::new();
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(zoo.keys.jwks()).expect("a key set");
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&zoo.key.kid).expect("our key")).expect("a key");
    let mut validation = jsonwebtoken::Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.set_audience(&["tuppence"]);
    validation.set_issuer(&[ISSUER]);
    let read = jsonwebtoken::decode::<Value>(zoo.good(), &key, &validation).expect("a good token");
    assert_eq!(read.claims["sub"], "ada");
}

proptest::proptest! {
    /// One changed byte, anywhere, spoils a token.
    #[test]
    fn no_mutation_is_accepted(at in 0usize..1000, byte: u8) {
        let zoo = Zoo::new();
        let good = zoo.good();
        let mut bytes = good.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) && text != good {
            proptest::prop_assert!(zoo.verify(&text).is_err(), "{text}");
        }
    }
}
