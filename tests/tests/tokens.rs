//! Tokens that must not open a room, whoever signed them.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tuppence_tests::{Forge, Home, Service, Socket, base64url, claims_of, header_of, minimal_offer};

/// A token and the code of its refusal.
type Case = (&'static str, String, &'static str);

#[tokio::test]
async fn forged_tokens_are_refused_and_change_nothing() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let token = service.api.token(&room_id, "ann").await?;
    let cases =
        [by_signature(&service, &token).await?, by_claims(&service, &token).await?, by_spelling(&token)]
            .concat();
    let before = service.row_counts().await?;
    for (name, token, wanted) in &cases {
        let heard = first_answer(&service, token).await.with_context(|| name.to_string())?;
        assert_eq!(heard["type"], "refused", "{name}: {heard}");
        assert_eq!(heard["code"], *wanted, "{name}: {heard}");
        assert!(
            heard["message"].as_str().is_some_and(|message| message.len() > 10),
            "{name}: no words for a person"
        );
    }
    assert_eq!(service.row_counts().await?, before, "a refused token wrote something");
    let (_socket, joined) =
        Socket::join(&service.socket_url(), &token).await.context("the token that was not forged")?;
    assert_eq!(joined["room"]["room_id"], room_id.as_str());
    Ok(())
}

#[tokio::test]
async fn a_token_bound_to_an_origin_opens_no_other_page() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let bound = json!({ "room_id": room_id, "identity": "ann", "origin": "https://shop.example" });
    let bound = service.api.post("/v1/tokens", &bound).await?.ok()?;
    let token = bound["token"].as_str().context("a token")?;
    for origin in [None, Some("https://shop.example.evil.example"), Some("http://shop.example"), Some("null")]
    {
        let mut socket = Socket::open_from(&service.socket_url(), origin).await?;
        socket.send(&join(token)).await?;
        let heard = socket.next().await?.context("closed without a reason")?;
        assert_eq!(heard["code"], "origin_not_allowed", "from {origin:?}: {heard}");
    }
    let mut socket = Socket::open_from(&service.socket_url(), Some("https://shop.example")).await?;
    socket.send(&join(token)).await?;
    socket.frame("joined").await?;
    Ok(())
}

async fn by_signature(service: &Service, token: &str) -> Result<Vec<Case>> {
    let (header, claims) = (header_of(token)?, claims_of(token)?);
    let (stranger, kid) = (Forge::foreign()?, header["kid"].as_str().context("a kid")?.to_owned());
    let public = service.api.with_key(None).get("/.well-known/jwks.json").await?.ok()?;
    let x = public["keys"][0]["x"].as_str().context("a published key")?.to_owned();
    let raw = service.database().await?.query_one("select public_raw from token_key limit 1", &[]).await?;
    let raw: Vec<u8> = raw.get(0);
    let with = |extra: Value| merged(&header, &extra);
    let hs256 = with(json!({ "alg": "HS256" }));
    Ok(vec![
        ("another's key under our kid", stranger.sign(&header, &claims), "token_invalid"),
        (
            "another's key under another kid",
            stranger.sign(&with(json!({ "kid": "mine" })), &claims),
            "token_invalid",
        ),
        (
            "another's key, which the header brings",
            stranger.sign(&with(json!({ "jwk": public["keys"][0] })), &claims),
            "token_invalid",
        ),
        (
            "a key to be fetched",
            stranger.sign(&with(json!({ "jku": "http://127.0.0.1:1/jwks.json" })), &claims),
            "token_invalid",
        ),
        (
            "a certificate to be fetched",
            stranger.sign(&with(json!({ "x5u": "http://127.0.0.1:1/" })), &claims),
            "token_invalid",
        ),
        (
            "a kid that is a path",
            stranger.sign(&with(json!({ "kid": "../../etc/passwd" })), &claims),
            "token_invalid",
        ),
        ("no signature", Forge::unsigned(&claims), "token_invalid"),
        ("HS256 with the public key's bytes", Forge::hmac(&hs256, &claims, &raw), "token_invalid"),
        ("HS256 with the published text", Forge::hmac(&hs256, &claims, x.as_bytes()), "token_invalid"),
        ("HS256 with the kid", Forge::hmac(&hs256, &claims, kid.as_bytes()), "token_invalid"),
        ("HMAC under the name EdDSA", Forge::hmac(&header, &claims, &raw), "token_invalid"),
    ])
}

/// Signed with the service's own key: only the words are wrong.
async fn by_claims(service: &Service, token: &str) -> Result<Vec<Case>> {
    let (header, claims) = (header_of(token)?, claims_of(token)?);
    let rows =
        service.database().await?.query_one("select private_pkcs8 from token_key limit 1", &[]).await?;
    let ours = Forge::stolen(rows.get(0))?;
    let iat = claims["iat"].as_i64().context("iat")?;
    let nobody = "0198c000-0000-7000-8000-000000000000";
    let say = |extra: Value| ours.sign(&header, &merged(&claims, &extra));
    let head = |extra: Value| ours.sign(&merged(&header, &extra), &claims);
    let without = |field: &str| {
        let mut fewer = claims.clone();
        fewer.as_object_mut().expect("claims are an object").remove(field);
        ours.sign(&header, &fewer)
    };
    Ok(vec![
        ("expired", say(json!({ "iat": iat - 700, "exp": iat - 100 })), "token_expired"),
        ("not yet", say(json!({ "nbf": iat + 300 })), "token_invalid"),
        ("issued in the future", say(json!({ "iat": iat + 300, "exp": iat + 600 })), "token_invalid"),
        ("valid for a day", say(json!({ "exp": iat + 86_400 })), "token_invalid"),
        ("valid for ever", say(json!({ "exp": i64::MAX })), "token_invalid"),
        ("before it was issued", say(json!({ "exp": iat - 100 })), "token_invalid"),
        ("exp as text", say(json!({ "exp": (iat + 60).to_string() })), "token_invalid"),
        ("exp as a fraction", say(json!({ "exp": 1.5e9 })), "token_invalid"),
        ("no exp", without("exp"), "token_invalid"),
        ("no sub", without("sub"), "token_invalid"),
        ("no room", without("room"), "token_invalid"),
        ("no tenant", without("tenant"), "token_invalid"),
        ("no aud", without("aud"), "token_invalid"),
        ("another aud", say(json!({ "aud": "somebody" })), "token_invalid"),
        ("another iss", say(json!({ "iss": "http://localhost:1" })), "token_invalid"),
        ("a role that is none", say(json!({ "role": "owner" })), "token_invalid"),
        ("a source that is none", say(json!({ "may_publish": ["mind"] })), "token_invalid"),
        ("an unknown claim", say(json!({ "admin": true })), "token_invalid"),
        ("a room of nobody", say(json!({ "room": nobody })), "room_not_found"),
        ("a room under another tenant", say(json!({ "tenant": nobody })), "room_not_found"),
        ("a room that is a path", say(json!({ "room": "../rooms" })), "token_invalid"),
        ("typ JWT", head(json!({ "typ": "JWT" })), "token_invalid"),
        ("alg ES256", head(json!({ "alg": "ES256" })), "token_invalid"),
        ("alg in lower case", head(json!({ "alg": "eddsa" })), "token_invalid"),
        ("alg none with a signature", head(json!({ "alg": "none" })), "token_invalid"),
        ("critical extensions", head(json!({ "crit": ["exp"] })), "token_invalid"),
        ("unencoded payload", head(json!({ "b64": false })), "token_invalid"),
    ])
}

/// One token has one spelling.
fn by_spelling(token: &str) -> Vec<Case> {
    let parts: Vec<&str> = token.split('.').collect();
    let (head, claims, signature) = (parts[0], parts[1], parts[2]);
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let twice = base64url(br#"{"alg":"EdDSA","alg":"EdDSA","typ":"tuppence-call+jwt","kid":"x"}"#);
    vec![
        ("a flipped bit", format!("{head}.{claims}.{flipped}{}", &signature[1..]), "token_invalid"),
        ("half a signature", format!("{head}.{claims}.{}", &signature[..40]), "token_invalid"),
        ("an empty signature", format!("{head}.{claims}."), "token_invalid"),
        ("two parts", format!("{head}.{claims}"), "token_invalid"),
        ("four parts", format!("{token}.{signature}"), "token_invalid"),
        ("padding", format!("{head}=.{claims}.{signature}"), "token_invalid"),
        ("a space in front", format!(" {token}"), "token_invalid"),
        ("a newline behind", format!("{token}\n"), "token_invalid"),
        ("a header field twice", format!("{twice}.{claims}.{signature}"), "token_invalid"),
        ("nothing", String::new(), "token_invalid"),
        ("no token at all", "let me in".to_owned(), "token_invalid"),
        ("60 KB of dots", ".".repeat(60_000), "token_invalid"),
        ("60 KB of letters", "A".repeat(60_000), "token_invalid"),
    ]
}

async fn first_answer(service: &Service, token: &str) -> Result<Value> {
    let mut socket = Socket::open(&service.socket_url()).await?;
    socket.send(&join(token)).await?;
    socket.next().await?.context("closed without a reason")
}

fn join(token: &str) -> Value {
    json!({ "type": "join", "token": token, "offer": minimal_offer(), "sends": [] })
}

fn merged(base: &Value, extra: &Value) -> Value {
    let mut merged = base.clone();
    for (field, value) in extra.as_object().expect("an object") {
        merged[field] = value.clone();
    }
    merged
}
