//! One business sees nothing of another.

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::fmt::Write as _;
use tuppence_tests::{Api, Bot, Home, Service};

const RIVAL_KEY: &str = "sk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the demo business has, which its rival must not read.
struct Possessions {
    room_id: String,
    call_id: String,
    statement_id: String,
    line_id: String,
    key_id: String,
}

#[tokio::test]
async fn a_secret_of_another_tenant_reads_nothing_and_changes_nothing() -> Result<()> {
    let service = Home::new()?.start().await?;
    let ours = possessions(&service).await?;
    let rival = rival(&service).await?;
    let before = service.row_counts().await?;
    for path in paths(&ours) {
        let answer = rival.get(&path).await?;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        let mine = service.api.get(&path).await?;
        assert_eq!(mine.status, 200, "{path}: the owner cannot read it either: {}", mine.body);
    }
    for path in ["/v1/rooms", "/v1/calls", "/v1/statements", "/v1/keys", "/v1/usage", "/v1/statements/draft"]
    {
        let seen = rival.get(path).await?.ok()?.to_string();
        for id in [&ours.room_id, &ours.call_id, &ours.statement_id, &ours.key_id] {
            assert!(!seen.contains(id.as_str()), "{path} shows {id}: {seen}");
        }
    }
    let usage = rival.get("/v1/usage").await?.ok()?;
    assert_eq!(usage["totals"]["participant_ms"], 0, "{usage}");
    let token = rival.post("/v1/tokens", &json!({ "room_id": ours.room_id })).await?;
    assert_eq!(token.status, 404, "a token for another's room: {}", token.body);
    let revoked = rival.delete(&format!("/v1/keys/{}", ours.key_id)).await?;
    assert_eq!(revoked.status, 404, "another's key was revoked: {}", revoked.body);
    assert_eq!(service.row_counts().await?, before);
    Ok(())
}

#[tokio::test]
async fn the_clock_of_another_tenant_stands_still() -> Result<()> {
    let service = Home::new()?.start().await?;
    let rival = rival(&service).await?;
    let before = service.api.get("/v1/clock").await?.ok()?;
    let advanced = rival.post("/v1/clock/advance", &json!({ "hours": 800 })).await?;
    assert_eq!(advanced.status, 200, "{}\n{}", advanced.body, service.log());
    let after = service.api.get("/v1/clock").await?.ok()?;
    assert_eq!(before["offset_hours"], after["offset_hours"]);
    assert_eq!(service.api.get("/v1/statements").await?.ok()?["statements"], json!([]));
    Ok(())
}

fn paths(ours: &Possessions) -> Vec<String> {
    let Possessions { room_id, call_id, statement_id, line_id, .. } = ours;
    vec![
        format!("/v1/rooms/{room_id}"),
        format!("/v1/calls/{call_id}"),
        format!("/v1/statements/{statement_id}"),
        format!("/v1/statements/{statement_id}/lines/{line_id}/hours"),
    ]
}

/// A room, a call in it, and a month that is over.
async fn possessions(service: &Service) -> Result<Possessions> {
    let room_id = service.api.room(8).await?;
    let token = service.api.token(&room_id, "bot").await?;
    let mut bot = Box::pin(Bot::lobby(&service.socket_url(), &token)).await?;
    let call_id = bot.enter("Bot").await?.call_id;
    bot.leave().await?;
    let advanced = service.api.post("/v1/clock/advance", &json!({ "hours": 750 })).await?.ok()?;
    let statement_id = text(&advanced["finalized"][0], "statement_id")?;
    let statement = service.api.get(&format!("/v1/statements/{statement_id}")).await?.ok()?;
    let line_id = text(&statement["lines"][0], "line_id")?;
    let key = service.api.post("/v1/keys", &json!({ "kind": "secret" })).await?.ok()?;
    Ok(Possessions { room_id, call_id, statement_id, line_id, key_id: text(&key, "key_id")? })
}

/// Another business with its own account and key, written by the database's superuser: the API cannot make one yet.
async fn rival(service: &Service) -> Result<Api> {
    let database = service.database().await?;
    let hash = digest(&SHA256, RIVAL_KEY.as_bytes());
    let hash = hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string grows");
        hex
    });
    database
        .batch_execute(&format!(
            "begin;
             insert into tenant (tenant_id, name, sandbox, created_at)
               values ('0198c000-0000-7000-8000-000000000001', 'Rival', true, now());
             insert into api_key (tenant_id, key_id, kind, prefix, key_hash, created_at)
               values ('0198c000-0000-7000-8000-000000000001', '0198c000-0000-7000-8000-000000000002', 'secret', 'sk_AAAAA', '{hash}', now());
             insert into account (tenant_id, account_id, kind, name, currency, created_at)
               values ('0198c000-0000-7000-8000-000000000001', '0198c000-0000-7000-8000-000000000003', 'tenant', 'Rival', 'USD', now());
             insert into subscription (tenant_id, account_id, subscription_id, plan_version_id, starts_at, created_at)
               select '0198c000-0000-7000-8000-000000000001', '0198c000-0000-7000-8000-000000000003',
                      '0198c000-0000-7000-8000-000000000004', plan_version_id, date_trunc('hour', now()), now()
               from subscription limit 1;
             commit"
        ))
        .await?;
    Ok(service.api.with_key(Some(RIVAL_KEY)))
}

fn text(value: &Value, field: &str) -> Result<String> {
    Ok(value[field].as_str().with_context(|| format!("no `{field}` in {value}"))?.to_owned())
}
