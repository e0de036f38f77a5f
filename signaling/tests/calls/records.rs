use crate::service::Service;
use crate::support::{self, at};
use billing::ids::LegId;
use billing::usage::Meter;
use serde_json::json;
use sfu::control::{self, Command, Event, UsageFact};
use uuid::Uuid;

#[tokio::test]
async fn a_call_is_written_down_from_the_click_to_the_last_leave() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    ada.say(json!({"type": "rename", "name": "Ada L."})).await;
    let name = "select name || (joined_at is not null) || (left_at is null) from participant where participant_id = $1";
    service.row_says(name, ada.participant(), "Ada L.truetrue").await;
    ada.say(json!({"type": "leave"})).await;
    let leg = "select end_reason || (entered_at <= ended_at) from leg where leg_id = $1";
    service.row_says(leg, ada.leg(), "lefttrue").await;
    let call = "select (c.ended_at = p.left_at and c.started_at = p.joined_at)::text from call c
                join participant p using (tenant_id, call_id) where p.participant_id = $1";
    service.row_says(call, ada.participant(), "true").await;
}

#[tokio::test]
async fn a_lobby_that_nobody_left_for_the_call_leaves_no_open_row() {
    let service = Service::start().await;
    let mut ada = service.lobby("ada").await;
    ada.say(json!({"type": "leave"})).await;
    let sql = "select (c.ended_at is not null and l.ended_at is not null and l.entered_at is null)::text
               from leg l join call c using (tenant_id, call_id) where l.leg_id = $1";
    service.row_says(sql, ada.leg(), "true").await;
}

#[tokio::test]
async fn whoever_comes_back_keeps_their_participant_and_the_call_goes_on() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    let waiting = service.lobby("bob").await;
    ada.say(json!({"type": "leave"})).await;
    ada.hear("closed").await;
    let again = service.call("ada").await;
    assert_eq!(again.participant(), ada.participant());
    let sql = "select (c.ended_at is null and p.left_at is null)::text || (select count(*) from leg l
                 where l.participant_id = p.participant_id)
               from participant p join call c using (tenant_id, call_id) where p.participant_id = $1";
    service.row_says(sql, ada.participant(), "true2").await;
    drop(waiting);
}

#[tokio::test]
async fn usage_is_acknowledged_when_it_is_stored() {
    let service = Service::start().await;
    let ada = service.call("ada").await;
    let fact = UsageFact {
        tenant: control::TenantId(service.tenant.0),
        leg: control::LegId(ada.leg()),
        meter: control::Meter::ParticipantMs,
        hour: 498_000,
        quantity: 1234,
    };
    for batch in [7, 7, 8] {
        service.media.tell(Event::Usage { batch, facts: vec![fact] });
    }
    service.media.hears(|command| *command == Command::UsageStored { batch: 8 }).await;
    let sql = "select sum(quantity)::text from usage_fact where leg_id = $1";
    assert_eq!(service.value(sql, ada.leg()).await.as_deref(), Some("1234"));
}

#[tokio::test]
async fn what_a_dead_process_left_open_ends_where_its_usage_ends() {
    let db = support::database().await;
    let before = Service::on(db.clone()).await;
    let legs = support::call(&db, before.tenant, "Desk", &["ada", "bob"], 0).await;
    let tx = db.tenant(before.tenant).await.expect("begins");
    let entered = at("2026-11-20T10:00:00Z");
    let sql = "update leg set node = 'local', created_at = $1, entered_at = $1 where leg_id = any($2)";
    let ids: Vec<Uuid> = legs.iter().map(|leg| leg.0).collect();
    tx.run(sql, &[&entered, &ids]).await.expect("updates");
    tx.run("update participant set joined_at = $1 where name in ('ada', 'bob')", &[&entered])
        .await
        .expect("updates");
    tx.run("update call set started_at = $1", &[&entered]).await.expect("updates");
    let ms = |leg: LegId, ms| support::fact(leg, Meter::ParticipantMs, "2026-11-20T10:00:00Z", ms);
    let facts = [ms(legs[0], 90_000), ms(legs[1], 30_500)];
    billing::store::record_facts(&tx, before.tenant, facts, entered).await.expect("records");
    tx.commit().await.expect("commits");

    let after = Service::with(db, before.tenant, before.room).await;
    let leg = "select end_reason || ' ' || (ended_at at time zone 'UTC')::text from leg where leg_id = $1";
    assert_eq!(after.value(leg, ids[0]).await.as_deref(), Some("server_lost 2026-11-20 10:01:30"));
    assert_eq!(after.value(leg, ids[1]).await.as_deref(), Some("server_lost 2026-11-20 10:00:30.5"));
    let call = "select (c.ended_at at time zone 'UTC')::text || ' ' || (p.left_at at time zone 'UTC')::text
                from leg l join call c using (tenant_id, call_id) join participant p using (tenant_id, participant_id)
                where l.leg_id = $1";
    let expected = "2026-11-20 10:01:30 2026-11-20 10:00:30.5";
    assert_eq!(after.value(call, ids[1]).await.as_deref(), Some(expected));
}
