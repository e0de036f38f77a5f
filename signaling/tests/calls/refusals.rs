use crate::page::{Page, join};
use crate::service::{HEARTBEAT, RESUME_WITHIN, Service};
use serde_json::{Value, json};
use sfu::control::{Command, RoomId};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

/// Sends a first frame and answers the code of the refusal.
async fn refused(service: &Service, first: Message) -> String {
    let mut page = Page::open(service).await;
    page.send(first).await;
    page.refusal().await
}

fn text(frame: &Value) -> Message {
    Message::Text(frame.to_string().into())
}

#[tokio::test]
async fn a_bad_token_is_refused_by_code() {
    let service = Service::start().await;
    let join = |token: &str| text(&join(token, "Ada"));
    let token = service.token("ada");
    assert_eq!(refused(&service, join("x.y.z")).await, "token_invalid");
    assert_eq!(refused(&service, join(&token[..token.len() - 4])).await, "token_invalid");
    let long_ago = "2026-01-01T00:00:00Z".parse().expect("a time");
    let expired = service.hub.token_keys().issue(service.new_token("ada"), long_ago).token;
    assert_eq!(refused(&service, join(&expired)).await, "token_expired");
    let mut elsewhere = service.new_token("ada");
    elsewhere.room = RoomId(Uuid::nil());
    assert_eq!(refused(&service, join(&service.sign(elsewhere))).await, "room_not_found");
    assert!(!service.media.told().iter().any(|command| matches!(command, Command::Enter { .. })));
}

#[tokio::test]
async fn a_token_of_an_origin_works_from_no_other() {
    let service = Service::start().await;
    let mut token = service.new_token("ada");
    token.origin = Some("https://shop.example".into());
    let frame = join(&service.sign(token), "Ada");
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let mut page = Page::open_from(&service, origin).await;
        page.frame(frame.clone()).await;
        assert_eq!(page.refusal().await, "origin_not_allowed", "{origin:?}");
    }
    let mut page = Page::open_from(&service, Some("https://shop.example")).await;
    page.frame(frame).await;
    let joined = page.next().await.expect("an answer");
    assert_eq!(joined["type"], "joined");
    let mut thief = Page::open_from(&service, Some("https://evil.example")).await;
    thief.frame(json!({"type": "resume", "resume": joined["resume"], "received": 0})).await;
    assert_eq!(thief.refusal().await, "origin_not_allowed");
}

#[tokio::test]
async fn a_full_room_and_a_closed_room_are_refused() {
    let service = Service::start().await;
    let _two = (service.lobby("ada").await, service.lobby("bob").await);
    assert_eq!(refused(&service, text(&join(&service.token("cleo"), "Cleo"))).await, "room_full");
    let other = Service::start().await;
    let tx = other.db.tenant(other.tenant).await.expect("begins");
    tx.run("update room set closed_at = now() where room_id = $1", &[&other.room]).await.expect("closes");
    tx.commit().await.expect("commits");
    assert_eq!(refused(&other, text(&join(&other.token("ada"), "Ada"))).await, "room_not_found");
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let service = Service::start().await;
    let token = service.token("ada");
    let with = |field: &str, value: Value| {
        let mut frame = join(&token, "Ada");
        frame[field] = value;
        text(&frame)
    };
    for (first, code) in [
        (Message::Text("{".into()), "bad_message"),
        (Message::Text("{\"type\":\"pong\"}".into()), "out_of_order"),
        (Message::Binary(vec![1, 2, 3].into()), "bad_message"),
        (with("extra", json!(1)), "bad_message"),
        (with("offer", json!(1)), "bad_message"),
        (with("offer", json!("x".repeat(70_000))), "too_large"),
        (with("offer", json!("x".repeat(1 << 20))), "too_large"),
        (with("name", json!("x".repeat(10_000))), "bad_name"),
        (with("name", json!("a\u{7}b")), "bad_name"),
        (with("sends", json!([{"mid": "0", "source": "screen"}])), "not_allowed"),
        (text(&json!({"type": "resume", "resume": "x", "received": 0})), "resume_expired"),
    ] {
        let shown: String = first.to_string().chars().take(80).collect();
        assert_eq!(refused(&service, first).await, code, "{shown}");
    }
    assert_eq!(service.media.told(), [], "nobody was asked");
}

#[tokio::test]
async fn a_rejected_event_leaves_the_call_as_it_was() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    for (body, code) in [
        (json!({"type": "enter", "muted": []}), "out_of_order"),
        (json!({"type": "rename", "name": "\u{202e}"}), "bad_name"),
        (json!({"type": "mute", "source": "screen", "muted": true}), "out_of_order"),
    ] {
        ada.say(body).await;
        assert_eq!(ada.hear("rejected").await["code"], code);
    }
    ada.say(json!({"type": "leave"})).await;
    ada.hear("closed").await;
}

#[tokio::test]
async fn a_flood_closes_the_socket_and_the_session_can_be_resumed() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    for _ in 0..400 {
        ada.frame(json!({"type": "pong"})).await;
    }
    assert_eq!(ada.refusal().await, "too_many_messages");
    assert_eq!(ada.resume(&service).await["type"], "resumed");
}

#[tokio::test]
async fn a_gap_is_refused() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    ada.frame(json!({"type": "event", "seq": 9, "body": {"type": "leave"}})).await;
    assert_eq!(ada.refusal().await, "bad_sequence");
}

#[tokio::test]
async fn without_the_subprotocol_or_an_upgrade_the_answer_is_a_problem_document() {
    let service = Service::start().await;
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for headers in ["", upgrade] {
        let mut socket = tokio::net::TcpStream::connect(&service.address).await.expect("connects");
        let request = format!("GET /v1/ws HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        socket.write_all(request.as_bytes()).await.expect("writes");
        let mut answer = vec![0; 4096];
        let n = socket.read(&mut answer).await.expect("reads");
        let answer = String::from_utf8_lossy(&answer[..n]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 4") && answer.contains("application/problem+json"), "{answer}");
    }
}

#[tokio::test]
async fn a_silent_page_is_dead_and_after_the_window_gone() {
    let service = Service::start().await;
    let ada = service.call("ada").await;
    let mut bob = service.call("bob").await;
    // Ada's socket stays open, but nobody answers its pings.
    let silence = HEARTBEAT * 3 + RESUME_WITHIN;
    let left = tokio::time::timeout(silence + Duration::from_secs(3), bob.hear("participant_left")).await;
    assert_eq!(left.expect("in time")["reason"], "lost");
    drop(ada);
}

#[tokio::test]
async fn a_page_that_never_reads_is_cut_off_and_leaves_the_others_alone() {
    let service = Service::start().await;
    let ada = service.call("ada").await;
    let mut bob = service.call("bob").await;
    for i in 0..700 {
        bob.say(json!({"type": "rename", "name": format!("{i} {}", "é".repeat(50))})).await;
        if i > 150 {
            tokio::time::sleep(Duration::from_millis(21)).await;
        }
        if service.media.has_left(sfu::control::LegId(ada.leg())) {
            break;
        }
    }
    bob.hear("participant_left").await;
}

/// Puts the business on a plan of its own with these features.
async fn on_plan(service: &Service, features: Value) {
    use billing::{
        store,
        subscription::{Change, Patch, When},
    };
    let (tenant, now) = (service.tenant, jiff::Timestamp::UNIX_EPOCH);
    let tx = service.db.tenant(tenant).await.expect("begins");
    let vendor =
        store::insert_vendor(&tx, tenant, "Shop", now).await.expect("writes").expect("a place").vendor_id;
    let plan =
        store::insert_plan(&tx, tenant, vendor, "Plan", false, now).await.expect("writes").expect("its own");
    let price = json!({ "description": "Plan", "model": "flat", "every": "month", "amount_micros": 1 });
    let version = json!({ "currency": "USD", "features": features, "prices": [price] });
    let version = serde_json::from_value(version).expect("a version");
    let version = store::insert_version(&tx, tenant, plan.plan_id, &version, now).await.expect("writes");
    let plan_version_id = version.expect("sound").map(|version| version.plan_version_id);
    let own = store::subscriptions(&tx, tenant, None, 1).await.expect("reads")[0].subscription_id;
    let change = Change::Change { plan_version_id, quantities: Patch::default(), when: When::Now };
    let now = "2026-11-01T00:00:00Z".parse().expect("a time");
    let considered = store::consider_change(&tx, tenant, own, change, now).await.expect("allowed");
    store::keep(&tx, tenant, &considered, now).await.expect("kept");
    tx.commit().await.expect("commits");
}

#[tokio::test]
async fn a_plan_limits_the_people_in_a_room() {
    let service = Service::start().await;
    on_plan(&service, json!({ "participants_max": 1 })).await;
    let _one = service.lobby("ada").await;
    assert_eq!(refused(&service, text(&join(&service.token("bob"), "Bob"))).await, "room_full");
}

#[tokio::test]
async fn a_plan_limits_the_rooms_in_use() {
    let service = Service::start().await;
    on_plan(&service, json!({ "rooms_max": 1 })).await;
    let _one = service.call("ada").await;
    let token = token_of_another_room(&service, Uuid::from_u128(0xa)).await;
    assert_eq!(refused(&service, text(&join(&token, "Bob"))).await, "not_entitled");
    let _two = service.lobby("cleo").await;
}

/// For a room that the business has besides.
async fn token_of_another_room(service: &Service, room: Uuid) -> String {
    let tx = service.db.tenant(service.tenant).await.expect("begins");
    let sql =
        "insert into room (tenant_id, room_id, title, created_at) values ($1, $2, 'Back office', now())";
    tx.run(sql, &[&service.tenant.0, &room]).await.expect("a room");
    tx.commit().await.expect("commits");
    let mut token = service.new_token("bob");
    token.room = RoomId(room);
    service.sign(token)
}

#[tokio::test]
async fn of_rooms_that_open_at_once_no_more_open_than_the_plan_allows() {
    let service = Service::start().await;
    on_plan(&service, json!({ "rooms_max": 1 })).await;
    let (mut pages, mut frames) = (Vec::new(), Vec::new());
    for room in 1..=6 {
        frames.push(join(&token_of_another_room(&service, Uuid::from_u128(room << 8)).await, "Bob"));
        pages.push(Page::open(&service).await);
    }
    // A connection to the database for each, or they would come one after the other.
    let mut connections = Vec::new();
    for _ in &pages {
        connections.push(service.db.tenant(service.tenant).await.expect("begins"));
    }
    drop(connections);
    for (page, frame) in pages.iter_mut().zip(frames) {
        page.frame(frame).await;
    }
    let mut opened = 0;
    for page in &mut pages {
        let answer = page.next().await.expect("an answer");
        opened += usize::from(answer["type"] == "joined");
        assert!(answer["type"] == "joined" || answer["code"] == "not_entitled", "{answer}");
    }
    assert_eq!(opened, 1);
}

#[tokio::test]
async fn a_plan_limits_what_one_person_sends() {
    let service = Service::start().await;
    on_plan(&service, json!({ "bitrate_kbps_max": 300 })).await;
    let ada = service.lobby("ada").await;
    let of_ada = |command: &&Command| matches!(command, Command::Limit { leg, .. } if leg.0 == ada.leg());
    let told = service.media.told();
    assert!(matches!(told.iter().find(of_ada), Some(Command::Limit { kbps: 300, .. })), "{told:?}");
}

#[tokio::test]
async fn a_used_up_spending_cap_lets_no_call_begin() {
    use billing::{
        ids::LegId,
        period::Hour,
        store,
        usage::{Fact, FactKey, Meter},
    };
    let service = Service::start().await;
    let (tenant, now) = (service.tenant, billing::clock::Clock::system().now());
    let tx = service.db.tenant(tenant).await.expect("begins");
    store::set_cap(&tx, tenant, None, 1, now).await.expect("writes").expect("a cap");
    tx.commit().await.expect("commits");
    let leg = LegId(Uuid::from_u128(0xa));
    let key = FactKey { leg, meter: Meter::ParticipantMs, hour: Hour::of(now) };
    let fact = Fact { key, quantity: 2_000 * 60_000 };
    store::record_batch(&service.db, &[(tenant, fact)], now).await.expect("records");
    assert_eq!(refused(&service, text(&join(&service.token("ada"), "Ada"))).await, "not_entitled");
}
