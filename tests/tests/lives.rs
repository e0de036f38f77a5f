//! Starting, stopping, dying and starting again on one data directory.

use anyhow::{Context, Result};
use tuppence_tests::{Bot, Home};

#[tokio::test]
async fn a_second_start_on_the_same_directory_is_refused_and_harms_nothing() -> Result<()> {
    let home = Home::new()?;
    let service = home.start().await?;
    let (status, said) = home.start_in_vain().await?;
    assert!(!status.success(), "the second start succeeded");
    assert!(said.contains(&*home.data().to_string_lossy()), "it does not name the directory:\n{said}");
    service.api.room(8).await.context("the first service after that")?;
    Ok(())
}

#[tokio::test]
async fn a_stopped_service_leaves_no_process_and_finds_its_rooms_again() -> Result<()> {
    let home = Home::new()?;
    let service = home.start().await?;
    let room_id = service.api.room(8).await?;
    let status = service.stop().await?;
    assert!(status.success(), "it ended with {status}");
    assert!(home.inhabitants().is_empty(), "left behind: {:?}", home.inhabitants());
    let service = home.start().await?;
    service.api.get(&format!("/v1/rooms/{room_id}")).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_outlived_the_service_is_adopted() -> Result<()> {
    let home = Home::new()?;
    let service = home.start().await?;
    let room_id = service.api.room(8).await?;
    service.kill_only_itself()?;
    let service = home.start().await?;
    service.api.get(&format!("/v1/rooms/{room_id}")).await?.ok()?;
    assert!(service.stop().await?.success());
    assert!(home.inhabitants().is_empty(), "left behind: {:?}", home.inhabitants());
    Ok(())
}

#[tokio::test]
async fn a_call_that_a_crash_cut_is_billed_once_and_over() -> Result<()> {
    let home = Home::new()?;
    let service = home.start().await?;
    let room_id = service.api.room(8).await?;
    let token = service.api.token(&room_id, "bot").await?;
    let mut bot = Box::pin(Bot::lobby(&service.socket_url(), &token)).await?;
    let entered = bot.enter("Bot").await?;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let killed = service.kill()?;
    let service = home.start().await?;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let recorded = service.api.leg_participant_ms(&entered.call_id, bot.leg_id()).await?;
    let sure = killed.begun.duration_since(entered.acknowledged).as_millis() as i64;
    let possible = killed.done.duration_since(entered.sent).as_millis() as i64;
    assert!(recorded >= sure - 1000, "{recorded} ms of {sure} ms were recorded");
    assert!(recorded <= possible, "{recorded} ms were recorded of {possible} ms at most");
    let legs = service.api.legs(&entered.call_id).await?;
    assert!(legs.iter().all(|leg| leg["ended_at"].is_string()), "a leg of a dead service goes on: {legs:?}");
    Ok(())
}
