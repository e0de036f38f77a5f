use super::*;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn fixtures(prefix: &str) -> Vec<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/protocol");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name.starts_with(prefix) {
            found.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
    found
}

fn check_golden<T: Serialize + DeserializeOwned>(name: &str, text: &str) -> T {
    let frame: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let expected: Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&frame).unwrap(), expected, "{name}");
    frame
}

fn type_of(frame: &impl Serialize) -> String {
    let json = serde_json::to_value(frame).unwrap();
    match json["type"].as_str().unwrap() {
        "event" => format!("event_{}", json["body"]["type"].as_str().unwrap()),
        other => other.to_owned(),
    }
}

fn names(words: &str) -> BTreeSet<String> {
    words.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn golden_client_frames_are_read_and_written_exactly() {
    let mut seen = BTreeSet::new();
    for (name, text) in fixtures("client_") {
        let frame: ClientFrame = check_golden(&name, &text);
        assert_eq!(ClientFrame::parse(&text).unwrap(), frame, "{name}");
        seen.insert(type_of(&frame));
    }
    let all =
        "join rejoin resume ack pong event_enter event_mute event_view event_offer event_rename event_leave";
    assert_eq!(seen, names(all));
}

#[test]
fn golden_server_frames_are_read_and_written_exactly() {
    let mut seen = BTreeSet::new();
    for (name, text) in fixtures("server_") {
        seen.insert(type_of(&check_golden::<ServerFrame>(&name, &text)));
    }
    let all = "joined resumed refused ack ping event_entered event_participant_joined event_participant_changed
        event_participant_left event_slots event_speakers event_answered event_rejected event_paused event_resting event_move
        event_media_lost event_closed";
    assert_eq!(seen, names(all));
}

/// Adds a field to each object of a golden message in turn, at every depth.
#[test]
fn an_unknown_field_is_refused_at_every_depth() {
    let mut tried = 0;
    for (name, text) in fixtures("client_") {
        let golden: Value = serde_json::from_str(&text).unwrap();
        for place in objects_of(&golden) {
            let mut changed = golden.clone();
            changed.pointer_mut(&place).unwrap().as_object_mut().unwrap().insert("extra".into(), 1.into());
            assert!(
                ClientFrame::parse(&changed.to_string()).is_err(),
                "{name} with an extra field at {place:?}"
            );
            tried += 1;
        }
    }
    assert!(tried > 15);
}

/// Puts a value of each other JSON type in place of each value of a golden message.
#[test]
fn a_wrong_type_is_refused_at_every_place() {
    let named = serde_json::json!({"camera": null});
    let list = serde_json::json!([1]);
    let others =
        [Value::Null, true.into(), 1.into(), 1.5.into(), (-1).into(), "x".into(), list, empty(), named];
    for (name, text) in fixtures("client_") {
        let golden: Value = serde_json::from_str(&text).unwrap();
        for place in places_of(&golden) {
            for other in &others {
                let mut changed = golden.clone();
                let value = changed.pointer_mut(&place).unwrap();
                if is_alike(value, other, &place) {
                    continue;
                }
                *value = other.clone();
                assert!(ClientFrame::parse(&changed.to_string()).is_err(), "{name}: {place:?} = {other}");
            }
        }
    }
}

#[test]
fn an_array_in_place_of_an_object_is_refused() {
    for text in [
        r#"["pong"]"#,
        r#"["ack", 1]"#,
        r#"{"type":"event","seq":1,"body":["leave"]}"#,
        r#"{"type":"event","seq":1,"body":{"type":"offer","offer":"","sends":[["0","camera"]]}}"#,
        r#"{"type":"event","seq":1,"body":{"type":"view","wants":[["01936f2c-8b21-7d4f-8c2e-3a7a9a1b2d02","camera",1,1]]}}"#,
    ] {
        assert!(ClientFrame::parse(text).is_err(), "{text}");
    }
}

#[test]
fn doubled_fields_and_trailing_text_are_refused() {
    for text in [
        r#"{"type":"ack","seq":1,"seq":2}"#,
        r#"{"type":"ack","type":"pong","seq":1}"#,
        r#"{"type":"pong"} {"type":"pong"}"#,
        r#"{"type":"pong"}x"#,
        r#"{"type":"PONG"}"#,
        r#"{"type":"nothing"}"#,
        "{}",
        "",
        "\u{0}",
    ] {
        assert!(ClientFrame::parse(text).is_err(), "{text}");
    }
    assert!(ClientFrame::parse(&"[".repeat(100_000)).is_err());
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Whether the value in place may as well be `other`.
fn is_alike(value: &Value, other: &Value, place: &str) -> bool {
    let same_type = std::mem::discriminant(value) == std::mem::discriminant(other);
    let number = value.is_u64() && (other.is_f64() || other.is_i64() && !other.is_u64());
    let free_text = value.is_string()
        && !place.ends_with("type")
        && !place.ends_with("source")
        && !place.ends_with("_id");
    let optional = place.ends_with("/name") && other.is_null();
    match (value, other) {
        (Value::Number(_), Value::Number(_)) => !number,
        (Value::String(_), Value::String(_)) => free_text,
        (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_)) => false,
        _ => same_type || optional,
    }
}

fn objects_of(json: &Value) -> Vec<String> {
    places_of(json).into_iter().filter(|place| json.pointer(place).unwrap().is_object()).collect()
}

/// JSON pointers (RFC 6901) to all values.
fn places_of(json: &Value) -> Vec<String> {
    let mut places = vec![String::new()];
    let children: Vec<(String, &Value)> = match json {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in children {
        places.extend(places_of(value).into_iter().map(|place| format!("/{key}{place}")));
    }
    places
}

/// The documentation's examples, by whom they come from.
fn examples(from: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let text = std::fs::read_to_string(path).unwrap();
    let fence = format!("```json {from}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_documentation_shows_messages_of_this_protocol() {
    let (client, server) = (examples("client"), examples("server"));
    assert!(client.len() >= 4 && server.len() >= 7);
    for text in client {
        ClientFrame::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    }
    for text in server {
        check_golden::<ServerFrame>("docs/protocol.md", &text);
    }
}

#[test]
fn every_code_and_reason_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let text = std::fs::read_to_string(path).unwrap();
    for word in words_of(include_str!("../protocol.rs"), &["RefusalCode", "LeaveReason"]) {
        assert!(text.contains(&format!("`{word}`")), "docs/protocol.md does not say what `{word}` means");
    }
}

/// The variants of some enums of this source, in snake case.
fn words_of(source: &str, enums: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    for name in enums {
        let body = source.split(&format!("pub enum {name} {{")).nth(1).unwrap().split("\n}").next().unwrap();
        for line in body.lines().map(str::trim).filter(|line| !line.starts_with("///") && !line.is_empty()) {
            let mut word = String::new();
            for letter in line.trim_end_matches(',').chars() {
                if letter.is_uppercase() && !word.is_empty() {
                    word.push('_');
                }
                word.extend(letter.to_lowercase());
            }
            words.push(word);
        }
    }
    assert!(words.len() > 20);
    words
}
