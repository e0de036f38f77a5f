use crate::page::{Page, join};
use crate::service::Service;
use serde_json::json;
use sfu::control::{Command, LegId, TenantId};
use signaling::room::ParticipantId;
use std::time::Duration;

#[tokio::test]
async fn joined_says_who_and_where_and_the_row_is_there() {
    let service = Service::start().await;
    let page = service.lobby("ada").await;
    assert_eq!(page.joined["answer"], "v=0 answer");
    assert_eq!(page.joined["room"]["title"], "Front desk");
    assert_eq!(page.joined["you"]["name"], "ada");
    assert_eq!(page.joined["slots"], json!([{"mid": "9", "kind": "video", "seat": 0}]));
    let sql = "select p.identity || ' ' || l.node || ' ' || (l.entered_at is null) from leg l
               join participant p using (tenant_id, participant_id) where l.leg_id = $1";
    assert_eq!(service.value(sql, page.leg()).await.as_deref(), Some("ada local true"));
}

#[tokio::test]
async fn two_people_meet_and_the_second_sees_the_first() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    let mut bob = service.lobby("bob").await;
    assert_eq!(bob.joined["participants"][0]["name"], "ada");
    bob.say(json!({"type": "enter", "name": "Bob", "muted": ["camera"]})).await;
    let seen = ada.hear("participant_joined").await;
    assert_eq!(seen["participant"]["name"], "Bob");
    assert_eq!(seen["participant"]["tracks"][1], json!({"source": "camera", "muted": true}));
    bob.say(json!({"type": "leave"})).await;
    assert_eq!(ada.hear("participant_left").await["reason"], "left");
    assert_eq!(bob.hear("closed").await["reason"], "left");
    assert_eq!(bob.next().await, None, "the socket closes after it");
    service.media.hears(|command| *command == Command::Leave { leg: LegId(bob.leg()) }).await;
}

#[tokio::test]
async fn pages_that_arrive_together_are_in_one_call() {
    let service = Service::start().await;
    let (ada, bob) = tokio::join!(service.lobby("ada"), service.lobby("bob"));
    let call = "select call_id::text from leg where leg_id = $1";
    assert_eq!(service.value(call, ada.leg()).await, service.value(call, bob.leg()).await);
}

#[tokio::test]
async fn a_second_join_is_quick() {
    let service = Service::start().await;
    service.lobby("ada").await;
    let second = tokio::time::timeout(Duration::from_millis(500), service.lobby("ada"));
    second.await.expect("a few milliseconds on a quiet machine");
}

#[tokio::test]
async fn a_removed_participant_is_out_at_once_and_only_by_their_tenant() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    let participant = ParticipantId(ada.participant());
    let (ours, other) = (TenantId(service.tenant.0), TenantId(uuid::Uuid::nil()));
    assert_eq!(service.hub.live_calls(ours).await.len(), 1);
    assert!(service.hub.live_calls(other).await.is_empty());
    assert!(!service.hub.remove_participant(other, participant).await);
    assert!(service.hub.remove_participant(ours, participant).await);
    assert_eq!(ada.hear("closed").await["reason"], "removed");
}

#[tokio::test]
async fn a_stopping_hub_tells_everyone_and_writes_it_down() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    let (hub, leg) = (service.hub.clone(), ada.leg());
    let stop = tokio::spawn(async move { hub.shutdown().await });
    assert_eq!(ada.hear("closed").await["reason"], "shutting_down");
    assert_eq!(ada.next().await, None);
    stop.await.expect("stops");
    let reason = service.value("select end_reason from leg where leg_id = $1", leg).await;
    assert_eq!(reason.as_deref(), Some("shutting_down"));
    let mut late = Page::open(&service).await;
    late.frame(join(&service.token("bob"), "Bob")).await;
    assert_eq!(late.refusal().await, "unavailable");
}
