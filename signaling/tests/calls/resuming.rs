use crate::service::Service;
use serde_json::json;
use sfu::control::LegId;
use std::time::Duration;

#[tokio::test]
async fn a_cut_socket_resumes_with_nothing_lost_and_nobody_sees_it() {
    let service = Service::start().await;
    let (mut ada, mut bob) = (service.call("ada").await, service.call("bob").await);
    ada.hear("participant_joined").await;
    ada.cut();
    for name in ["b1", "b2", "b3"] {
        bob.say(json!({"type": "rename", "name": name})).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ada.resume(&service).await, json!({"type": "resumed", "received": 1}));
    for name in ["b1", "b2", "b3"] {
        assert_eq!(ada.hear("participant_changed").await["participant"]["name"], name);
    }
    ada.say(json!({"type": "rename", "name": "Ada L."})).await;
    let next = bob.hear("participant_changed").await;
    assert_eq!(next["participant"]["name"], "Ada L.", "nothing of the cut was seen in between");
    assert!(!service.media.has_left(LegId(ada.leg())), "media goes on");
}

#[tokio::test]
async fn a_hundred_cuts_in_a_row_lose_nothing() {
    let service = Service::start().await;
    let (mut ada, mut bob) = (service.call("ada").await, service.call("bob").await);
    ada.hear("participant_joined").await;
    for i in 0..100 {
        bob.say(json!({"type": "rename", "name": format!("bob {i}")})).await;
        if i % 3 == 0 {
            // Sometimes the event is under way when the socket breaks.
            tokio::time::sleep(Duration::from_millis(i % 7)).await;
        }
        ada.cut();
        assert_eq!(ada.resume(&service).await["type"], "resumed");
        assert_eq!(ada.hear("participant_changed").await["participant"]["name"], format!("bob {i}"));
        bob.hear_ack().await;
    }
}

#[tokio::test]
async fn after_the_window_the_session_is_gone() {
    let service = Service::start().await;
    let (mut ada, mut bob) = (service.call("ada").await, service.call("bob").await);
    ada.cut();
    assert_eq!(bob.hear("participant_left").await["reason"], "lost");
    assert_eq!(ada.resume(&service).await["code"], "resume_expired");
    let sql = "select end_reason from leg where leg_id = $1";
    service.row_says(sql, ada.leg(), "lost").await;
}
