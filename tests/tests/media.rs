//! Media through the service, received by a WebRTC stack that is not ours.

use anyhow::Result;
use std::time::Duration;
use tuppence_tests::{Bot, Home, Received, Socket, eventually};
use webrtc::peer_connection::SrtpProtectionProfile;

#[tokio::test]
async fn two_bots_hear_and_see_each_other_and_the_lobby_hears_nothing() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let mut bots = Vec::new();
    for name in ["ann", "ben", "lurker"] {
        let token = service.api.token(&room_id, name).await?;
        bots.push(Box::pin(Bot::lobby(&service.socket_url(), &token)).await?);
    }
    for bot in &mut bots[..2] {
        bot.enter("Bot").await?;
    }
    for bot in &bots[..2] {
        hears_and_sees(bot).await?;
    }
    assert_eq!(bots[2].received(), Received { audio: 0, video: 0 }, "the lobby hears or sees");
    Ok(())
}

#[tokio::test]
async fn a_device_without_aes_gcm_calls_one_that_has_it() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(2).await?;
    let old = vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80];
    let new =
        vec![SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm, SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm];
    let mut bots = Vec::new();
    for profiles in [old, new] {
        let token = service.api.token(&room_id, &format!("bot-{}", bots.len())).await?;
        let url = service.socket_url();
        bots.push(Box::pin(Bot::lobby_sealing_with(&url, &token, profiles)).await?);
    }
    for bot in &mut bots {
        bot.enter("Bot").await?;
    }
    for bot in &bots {
        hears_and_sees(bot).await?;
    }
    Ok(())
}

#[tokio::test]
async fn eight_bots_share_a_room_and_their_minutes_add_up() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let mut bots = Vec::new();
    for number in 0..8 {
        let token = service.api.token(&room_id, &format!("bot-{number}")).await?;
        let mut bot = Box::pin(Bot::lobby(&service.socket_url(), &token)).await?;
        let entered = bot.enter(&format!("Bot {number}")).await?;
        bots.push((bot, entered));
    }
    for (bot, _) in &bots {
        hears_and_sees(bot).await?;
    }
    let mut expected_ms = Vec::new();
    for (bot, entered) in bots {
        let leg_id = bot.leg_id().to_owned();
        let before = entered.acknowledged.elapsed();
        bot.leave().await?;
        // The media plane takes a room's commands in order: whoever is let in now came after the leave had arrived.
        let (later, _) =
            Socket::join(&service.socket_url(), &service.api.token(&room_id, "later").await?).await?;
        expected_ms.push((
            entered.call_id.clone(),
            leg_id,
            before.as_millis() as i64,
            entered.sent.elapsed().as_millis() as i64,
        ));
        drop(later);
    }
    for (call_id, leg_id, least, most) in expected_ms {
        eventually("a leg's usage", Duration::from_secs(10), async || {
            let recorded = service.api.leg_participant_ms(&call_id, &leg_id).await?;
            assert!(recorded <= most, "leg {leg_id}: {recorded} ms recorded of {most} ms at most");
            Ok((recorded >= least - 5).then_some(()))
        })
        .await?;
    }
    Ok(())
}

async fn hears_and_sees(bot: &Bot) -> Result<()> {
    eventually("sound and pictures", Duration::from_secs(15), async || {
        let received = bot.received();
        Ok((received.audio > 20 && received.video > 10).then_some(()))
    })
    .await
}
