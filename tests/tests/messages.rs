//! Messages that a page would never send.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write as _;
use tuppence_tests::{Home, Service, Socket, minimal_offer};

#[tokio::test]
async fn a_bad_first_frame_is_refused_with_a_reason_and_changes_nothing() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let token = service.api.token(&room_id, "ann").await?;
    let before = service.row_counts().await?;
    for (name, frame, wanted) in first_frames(&token) {
        let heard = answer(&service, &frame).await.with_context(|| name.to_owned())?;
        assert_eq!(heard["type"], "refused", "{name}: {heard}");
        assert_eq!(heard["code"], wanted, "{name}: {heard}");
    }
    assert_eq!(service.row_counts().await?, before, "a refused frame wrote something");
    Socket::join(&service.socket_url(), &token).await.context("the service after all that")?;
    Ok(())
}

#[tokio::test]
async fn offers_that_are_too_large_or_not_understood_are_refused_and_change_nothing() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let token = service.api.token(&room_id, "ann").await?;
    let before = service.row_counts().await?;
    for (name, offer, wanted) in offers() {
        let frame = json!({ "type": "join", "token": token, "offer": offer, "sends": [] });
        let heard = answer(&service, &frame.to_string()).await.with_context(|| name.to_owned())?;
        assert_eq!(heard["type"], "refused", "{name}: {heard}");
        assert!(wanted.contains(&heard["code"].as_str().unwrap_or_default()), "{name}: {heard}");
    }
    let after = service.row_counts().await?;
    // The media plane refuses an offer after the hub has written down whose it was; nothing of money may follow.
    for table in ["room", "usage_fact", "statement", "ledger_entry", "api_key"] {
        assert_eq!(after.get(table), before.get(table), "{table}");
    }
    let live = service.api.get("/v1/calls?live=true").await?.ok()?;
    assert_eq!(live["calls"].as_array().map(Vec::len), Some(0), "a refused offer left a call: {live}");
    Socket::join(&service.socket_url(), &token).await.context("the service after all that")?;
    Ok(())
}

#[tokio::test]
async fn a_bad_event_is_rejected_and_the_session_goes_on() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let token = service.api.token(&room_id, "ann").await?;
    let (mut ann, _) = Socket::join(&service.socket_url(), &token).await?;
    let token = service.api.token(&room_id, "ben").await?;
    let (mut ben, _) = Socket::join(&service.socket_url(), &token).await?;
    ben.event(json!({ "type": "enter", "name": "Ben" })).await?;
    ben.server_event("entered").await?;
    for (name, body, wanted) in bad_names("enter") {
        rejected(&mut ann, name, body, wanted).await?;
    }
    rejected(
        &mut ann,
        "mute in the lobby",
        json!({ "type": "mute", "source": "screen", "muted": false }),
        "out_of_order",
    )
    .await?;
    ann.event(json!({ "type": "enter", "name": "Ann" })).await?;
    ann.server_event("entered").await?;
    for (name, body, wanted) in bad_names("rename") {
        rejected(&mut ann, name, body, wanted).await?;
    }
    rejected(&mut ann, "enter twice", json!({ "type": "enter" }), "out_of_order").await?;
    ann.event(json!({ "type": "rename", "name": "Ann the Second" })).await?;
    let told = loop {
        let changed = ben.server_event("participant_changed").await?;
        if changed["participant"]["name"] != "Ann" {
            break changed;
        }
    };
    assert_eq!(told["participant"]["name"], "Ann the Second", "a bad name was shown to others");
    Ok(())
}

#[tokio::test]
async fn unknown_fields_and_wrong_numbers_end_the_session_with_a_reason() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let rename = json!({ "type": "rename", "name": "Ann" });
    let frames = [
        (
            "an unknown field in an event",
            json!({ "type": "event", "seq": 1, "body": { "type": "leave", "now": true } }),
            "bad_message",
        ),
        (
            "an unknown field beside an event",
            json!({ "type": "event", "seq": 1, "to": "all", "body": rename }),
            "bad_message",
        ),
        (
            "an event that is none",
            json!({ "type": "event", "seq": 1, "body": { "type": "explode" } }),
            "bad_message",
        ),
        (
            "a number as a name",
            json!({ "type": "event", "seq": 1, "body": { "type": "rename", "name": 7 } }),
            "bad_message",
        ),
        ("a number that leaves a gap", json!({ "type": "event", "seq": 3, "body": rename }), "bad_sequence"),
        (
            "join again",
            json!({ "type": "join", "token": "x", "offer": minimal_offer(), "sends": [] }),
            "out_of_order",
        ),
        ("an acknowledgement of what was never sent", json!({ "type": "ack", "seq": 99 }), "bad_sequence"),
    ];
    for (name, frame, wanted) in frames {
        let token = service.api.token(&room_id, "ann").await?;
        let (mut socket, _) = Socket::join(&service.socket_url(), &token).await?;
        socket.send(&frame).await?;
        let heard = refusal(&mut socket).await.with_context(|| name.to_owned())?;
        assert_eq!(heard["code"], wanted, "{name}: {heard}");
    }
    Ok(())
}

#[tokio::test]
async fn a_room_that_is_full_says_so() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(2).await?;
    let mut people = Vec::new();
    for name in ["ann", "ben"] {
        let token = service.api.token(&room_id, name).await?;
        let (mut socket, _) = Socket::join(&service.socket_url(), &token).await?;
        socket.event(json!({ "type": "enter", "name": name })).await?;
        socket.server_event("entered").await?;
        people.push(socket);
    }
    let before = service.row_counts().await?;
    let token = service.api.token(&room_id, "cleo").await?;
    let heard = answer(&service, &join_with(&token, minimal_offer())).await?;
    assert_eq!(heard["code"], "room_full", "{heard}");
    assert_eq!(service.row_counts().await?, before);
    people[1].event(json!({ "type": "leave" })).await?;
    people[1].server_event("closed").await?;
    Socket::join(&service.socket_url(), &token).await.context("a place became free")?;
    Ok(())
}

fn first_frames(token: &str) -> Vec<(&'static str, String, &'static str)> {
    let join = |extra: Value| {
        let mut frame = json!({ "type": "join", "token": token, "offer": minimal_offer(), "sends": [] });
        for (field, value) in extra.as_object().expect("an object") {
            frame[field] = value.clone();
        }
        frame.to_string()
    };
    let long = "x".repeat(10_000);
    vec![
        ("no JSON", "hello".into(), "bad_message"),
        ("nothing", String::new(), "bad_message"),
        ("null", "null".into(), "bad_message"),
        ("a list", "[]".into(), "bad_message"),
        ("a fields' list", format!(r#"["join","{token}","v=0",[]]"#), "bad_message"),
        ("100,000 brackets", "[".repeat(100_000), "bad_message"),
        ("no type", "{}".into(), "bad_message"),
        ("an unknown type", r#"{"type":"knock"}"#.into(), "bad_message"),
        ("an unknown field", join(json!({ "admin": true })), "bad_message"),
        ("a number as token", join(json!({ "token": 7 })), "bad_message"),
        ("an object as offer", join(json!({ "offer": { "sdp": "v=0" } })), "bad_message"),
        ("a text as sends", join(json!({ "sends": "all" })), "bad_message"),
        (
            "an unknown field in sends",
            join(json!({ "sends": [{ "mid": "0", "source": "camera", "rid": "h" }] })),
            "bad_message",
        ),
        (
            "a source that is none",
            join(json!({ "sends": [{ "mid": "0", "source": "mind" }] })),
            "bad_message",
        ),
        (
            "a field twice",
            format!(r#"{{"type":"join","token":"{token}","token":"x","offer":"","sends":[]}}"#),
            "bad_message",
        ),
        ("something behind", format!("{} {{}}", join(json!({}))), "bad_message"),
        ("an event first", r#"{"type":"event","seq":1,"body":{"type":"leave"}}"#.into(), "out_of_order"),
        ("a pong first", r#"{"type":"pong"}"#.into(), "out_of_order"),
        ("a resume of nothing", r#"{"type":"resume","resume":"x","received":0}"#.into(), "resume_expired"),
        ("a negative number", r#"{"type":"resume","resume":"x","received":-1}"#.into(), "bad_message"),
        (
            "a number beyond all numbers",
            r#"{"type":"resume","resume":"x","received":1e99}"#.into(),
            "bad_message",
        ),
        ("a name of 10,000 characters", join(json!({ "name": long })), "bad_name"),
        ("a name of control characters", join(json!({ "name": "\u{7}\u{1b}[31m\u{0}" })), "bad_name"),
        ("a name with a line break", join(json!({ "name": "Ann\r\nBen" })), "bad_name"),
        ("a name that turns the line round", join(json!({ "name": "Ann \u{202e}neB" })), "bad_name"),
        ("a frame of 1 MB", format!("\"{}\"", "x".repeat(1 << 20)), "too_large"),
    ]
}

fn offers() -> Vec<(&'static str, String, &'static [&'static str])> {
    const LARGE: &[&str] = &["too_large"];
    const STRANGE: &[&str] = &["offer_not_understood"];
    const EITHER: &[&str] = &["too_large", "offer_not_understood"];
    let candidates = |count: u32, address: &str| {
        let mut offer = minimal_offer();
        for at in 0..count {
            let port = 1024 + at % 60_000;
            write!(offer, "a=candidate:{at} 1 udp 2113937151 {address} {port} typ host\r\n")
                .expect("a string grows");
        }
        offer
    };
    let lines =
        |count: usize| minimal_offer() + &"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=recvonly\r\n".repeat(count);
    vec![
        ("1 MB of SDP", minimal_offer() + &"a=x-noise:0123456789abcdef\r\n".repeat(40_000), LARGE),
        ("70 KB of SDP", minimal_offer() + &"a=x-noise:0123456789abcdef\r\n".repeat(2500), LARGE),
        ("10,000 candidates", candidates(10_000, "127.0.0.1"), LARGE),
        ("40 candidates", candidates(40, "127.0.0.1"), LARGE),
        ("65 media lines", lines(65), EITHER),
        ("empty", String::new(), STRANGE),
        ("no SDP", "hello".into(), STRANGE),
        ("binary", "\u{0}\u{1}\u{2}".repeat(100), STRANGE),
        ("a session without media", "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".into(), STRANGE),
        (
            "no fingerprint",
            minimal_offer()
                .lines()
                .filter(|line| !line.starts_with("a=fingerprint"))
                .fold(String::new(), |all, line| all + line + "\r\n"),
            STRANGE,
        ),
        ("one mid twice", minimal_offer().replace("a=mid:1", "a=mid:0"), STRANGE),
        ("a payload type over 127", minimal_offer().replace("96", "196"), STRANGE),
    ]
}

fn bad_names(event: &str) -> Vec<(&'static str, Value, &'static str)> {
    let name = |name: &str| json!({ "type": event, "name": name });
    vec![
        ("a name of 10,000 characters", name(&"x".repeat(10_000)), "bad_name"),
        ("a name of 65 characters", name(&"ä".repeat(65)), "bad_name"),
        ("a name of control characters", name("\u{0}\u{7}\u{1b}[31m"), "bad_name"),
        ("a name that turns the line round", name("\u{202e}Ann"), "bad_name"),
        ("a name of spaces", name("   "), "bad_name"),
    ]
}

async fn rejected(socket: &mut Socket, name: &str, body: Value, wanted: &str) -> Result<()> {
    let seq = socket.event(body).await?;
    let heard = socket.server_event("rejected").await.with_context(|| name.to_owned())?;
    assert_eq!((&heard["seq"], &heard["code"]), (&json!(seq), &json!(wanted)), "{name}: {heard}");
    Ok(())
}

async fn answer(service: &Service, frame: &str) -> Result<Value> {
    let mut socket = Socket::open(&service.socket_url()).await?;
    // A frame over the limit may be refused while it is still being written.
    let _ = socket.send_text(frame.to_owned()).await;
    socket.next().await?.context("closed without a reason")
}

async fn refusal(socket: &mut Socket) -> Result<Value> {
    loop {
        let frame = socket.next().await?.context("closed without a reason")?;
        if frame["type"] == "refused" {
            return Ok(frame);
        }
    }
}

fn join_with(token: &str, offer: String) -> String {
    json!({ "type": "join", "token": token, "offer": offer, "sends": [] }).to_string()
}
