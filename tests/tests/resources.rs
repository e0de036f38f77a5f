//! Programs without a page: WHIP in, WHEP out.

use anyhow::{Context, Result};
use serde_json::Value;
use std::time::{Duration, Instant};
use tuppence_tests::{Bot, Home, Resource, Service, eventually};

fn endpoint(service: &Service, way: &str, room_id: &str) -> String {
    format!("{}/v1/{way}/{room_id}", service.announced.url)
}

/// A bot in the call.
async fn bot(service: &Service, room_id: &str) -> Result<(Bot, String)> {
    let token = service.api.token(room_id, "bot").await?;
    let mut bot = Box::pin(Bot::lobby(&service.socket_url(), &token)).await?;
    let entered = bot.enter("Bot").await?;
    Ok((bot, entered.call_id))
}

/// The call's leg that is not the bot's.
async fn other_leg(service: &Service, call_id: &str, bot: &Bot) -> Result<Value> {
    let legs = service.api.legs(call_id).await?;
    legs.into_iter().find(|leg| leg["leg_id"] != bot.leg_id()).context("there is another leg")
}

#[tokio::test]
async fn a_publisher_is_seen_and_heard_and_its_minutes_are_recorded() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let (mut bot, call_id) = bot(&service, &room_id).await?;
    let token = service.api.token(&room_id, "obs").await?;
    let begun = Instant::now();
    let mut obs = Box::pin(Resource::publish(&endpoint(&service, "whip", &room_id), &token)).await?;
    let connected = Instant::now();
    let joined = bot.socket.server_event("participant_joined").await?;
    assert_eq!(joined["participant"]["name"], "obs");
    assert_eq!(joined["participant"]["tracks"].as_array().map(Vec::len), Some(2));
    hears_and_sees("the publisher", async || bot.received()).await?;

    obs.restart().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    hears_and_sees("the publisher after an ICE restart", async || bot.received()).await?;

    let sure = connected.elapsed();
    assert_eq!(obs.delete().await?, 200);
    let at_most = begun.elapsed().as_millis() as i64;
    assert_eq!(bot.socket.server_event("participant_left").await?["reason"], "left");
    assert_eq!(obs.delete().await?, 404);
    let leg = other_leg(&service, &call_id, &bot).await?;
    let leg_id = leg["leg_id"].as_str().context("a leg's id")?.to_owned();
    eventually("the publisher's minutes", Duration::from_secs(10), async || {
        let recorded = service.api.leg_participant_ms(&call_id, &leg_id).await?;
        assert!(recorded <= at_most, "{recorded} ms recorded of {at_most} ms at most");
        Ok((recorded >= sure.as_millis() as i64 - 1000).then_some(()))
    })
    .await?;
    eventually("the leg's end", Duration::from_secs(5), async || {
        Ok((other_leg(&service, &call_id, &bot).await?["end_reason"] == "left").then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_viewer_hears_and_sees_a_bot_and_is_gone_with_its_media() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let (mut bot, _) = bot(&service, &room_id).await?;
    let token = service.api.token(&room_id, "wall").await?;
    let mut viewer = Box::pin(Resource::watch(&endpoint(&service, "whep", &room_id), &token)).await?;
    let joined = bot.socket.server_event("participant_joined").await?;
    assert_eq!(joined["participant"]["tracks"].as_array().map(Vec::len), Some(0));
    hears_and_sees("the viewer", async || viewer.received()).await?;
    viewer.restart().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    hears_and_sees("the viewer after an ICE restart", async || viewer.received()).await?;
    drop(viewer);
    let left = tokio::time::timeout(Duration::from_secs(20), bot.socket.server_event("participant_left"));
    assert_eq!(left.await??["reason"], "lost");
    Ok(())
}

/// Waits for more of both than there is.
async fn hears_and_sees(who: &str, received: impl AsyncFn() -> tuppence_tests::Received) -> Result<()> {
    let before = received().await;
    eventually(who, Duration::from_secs(15), async || {
        let now = received().await;
        Ok((now.audio > before.audio + 20 && now.video > before.video + 10).then_some(()))
    })
    .await
}
