//! A caller without a browser, on the crate `webrtc`: a stack that shares no code with the service's.

use crate::media::{OPUS, Picture, VP8, Voice};
use crate::{Socket, eventually};
use anyhow::{Context, Result, bail};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_VP8};
use rtc::rtp::extension::HeaderExtension;
use rtc::rtp::extension::audio_level_extension::AudioLevelExtension;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState, RTCSessionDescription, Registry, SettingEngineBuilder, SrtpProtectionProfile,
    register_default_interceptors,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};

/// RFC 6464.
const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// RFC 9143 §14; the stack's defaults have it for video only.
const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// Frames a second that a bot publishes.
const FPS: u32 = 10;
/// As many receive places as a page of eight people needs.
const AUDIO_SLOTS: usize = 3;
const VIDEO_SLOTS: usize = 7;

/// A participant that publishes synthetic sound and pictures and counts what it receives.
pub struct Bot {
    /// The signalling.
    pub socket: Socket,
    /// The `joined` frame.
    pub joined: Value,
    connection: Arc<dyn PeerConnection>,
    seen: Arc<Seen>,
    voice: Arc<TrackLocalStaticRTP>,
    picture: Arc<TrackLocalStaticRTP>,
    publishing: Vec<JoinHandle<()>>,
}

/// The click and its answer.
#[derive(Debug, Clone)]
pub struct Entered {
    /// Just before `enter` was sent.
    pub sent: Instant,
    /// When `entered` was there.
    pub acknowledged: Instant,
    /// The call.
    pub call_id: String,
}

/// Packets received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Of sound.
    pub audio: u64,
    /// Of pictures.
    pub video: u64,
}

impl Bot {
    /// Joins the lobby and waits until media could flow.
    ///
    /// # Errors
    /// The join is refused, or ICE and DTLS do not come up within 10 s.
    pub async fn lobby(socket_url: &str, token: &str) -> Result<Bot> {
        Self::lobby_sealing_with(socket_url, token, Vec::new()).await
    }

    /// The same for a device that knows these SRTP profiles only; none means those of the stack.
    ///
    /// # Errors
    /// As [`Bot::lobby`].
    pub async fn lobby_sealing_with(
        socket_url: &str,
        token: &str,
        profiles: Vec<SrtpProtectionProfile>,
    ) -> Result<Bot> {
        Self::let_in(socket_url, json!({ "type": "join", "token": token }), profiles).await
    }

    /// The same person on a new connection, after this one was lost: without a token.
    ///
    /// # Errors
    /// As [`Bot::lobby`].
    pub async fn rejoin(&self, socket_url: &str) -> Result<Bot> {
        let first = json!({ "type": "rejoin", "resume": self.joined["resume"] });
        Self::let_in(socket_url, first, Vec::new()).await
    }

    /// Opens with this frame, to which the offer is added.
    async fn let_in(socket_url: &str, mut first: Value, profiles: Vec<SrtpProtectionProfile>) -> Result<Bot> {
        let seen = Arc::new(Seen::default());
        let connection = Box::pin(connection_sealing_with(seen.clone(), profiles)).await?;
        let (voice, picture) = tracks();
        let sends = publish_lines(&*connection, &voice, &picture).await?;
        add_slots(&*connection, AUDIO_SLOTS, VIDEO_SLOTS).await?;
        first["offer"] = json!(offer(&*connection, &seen).await?);
        first["sends"] = json!(named(&sends).await?);
        let mut socket = Socket::open(socket_url).await?;
        socket.send(&first).await?;
        let joined = socket.frame("joined").await?;
        let answer = joined["answer"].as_str().context("joined without an answer")?.to_owned();
        connection.set_remote_description(RTCSessionDescription::answer(answer)?).await?;
        eventually("a bot's media connection", Duration::from_secs(10), async || seen.connected()).await?;
        Ok(Bot { socket, joined, connection, seen, voice, picture, publishing: Vec::new() })
    }

    /// The click, and from then on sound and pictures until the bot is dropped.
    ///
    /// # Errors
    /// The service refuses.
    pub async fn enter(&mut self, name: &str) -> Result<Entered> {
        let sent = Instant::now();
        self.socket.event(json!({ "type": "enter", "name": name })).await?;
        let entered = self.socket.server_event("entered").await?;
        let acknowledged = Instant::now();
        self.publishing = publish_media(self.voice.clone(), self.picture.clone());
        let call_id = entered["call_id"].as_str().context("entered without a call")?.to_owned();
        Ok(Entered { sent, acknowledged, call_id })
    }

    /// Packets received so far.
    pub fn received(&self) -> Received {
        self.seen.received()
    }

    /// The connection's id.
    pub fn leg_id(&self) -> &str {
        self.joined["you"]["leg_id"].as_str().unwrap_or_default()
    }

    /// The participant's id.
    pub fn participant_id(&self) -> &str {
        self.joined["you"]["participant_id"].as_str().unwrap_or_default()
    }

    /// Waits until the service tells this.
    ///
    /// # Errors
    /// It does not.
    pub async fn hears(&mut self, event: &str) -> Result<()> {
        self.socket.server_event(event).await.map(drop)
    }

    /// Hangs up and waits for the goodbye.
    ///
    /// # Errors
    /// The service says nothing.
    pub async fn leave(mut self) -> Result<()> {
        self.socket.event(json!({ "type": "leave" })).await?;
        self.socket.server_event("closed").await?;
        self.close().await
    }

    /// Vanishes without a word.
    ///
    /// # Errors
    /// The stack fails to close.
    pub async fn close(&self) -> Result<()> {
        Ok(self.connection.close().await?)
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        for task in &self.publishing {
            task.abort();
        }
        // The stack's driver goes on until it is told; a bot that is merely dropped would send checks for ever.
        let connection = self.connection.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { connection.close().await });
        }
    }
}

/// What the stack's callbacks have seen.
#[derive(Default)]
pub(crate) struct Seen {
    gathered: AtomicBool,
    up: AtomicBool,
    failed: AtomicBool,
    audio: AtomicU64,
    video: AtomicU64,
}

impl Seen {
    /// Packets received so far.
    pub(crate) fn received(&self) -> Received {
        Received { audio: self.audio.load(Ordering::Relaxed), video: self.video.load(Ordering::Relaxed) }
    }

    /// Whether media could flow; an error once they never will.
    pub(crate) fn connected(&self) -> Result<Option<()>> {
        if self.failed.load(Ordering::Relaxed) {
            bail!("the media connection failed");
        }
        Ok(self.up.load(Ordering::Relaxed).then_some(()))
    }

    fn gathered(&self) -> Option<()> {
        self.gathered.load(Ordering::Relaxed).then_some(())
    }
}

struct Handler(Arc<Seen>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.0.gathered.store(true, Ordering::Relaxed);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        match state {
            RTCPeerConnectionState::Connected => self.0.up.store(true, Ordering::Relaxed),
            RTCPeerConnectionState::Failed => self.0.failed.store(true, Ordering::Relaxed),
            _ => {}
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let seen = self.0.clone();
        tokio::spawn(async move {
            let count = if track.kind().await == RtpCodecKind::Audio { &seen.audio } else { &seen.video };
            while let Some(event) = track.poll().await {
                if matches!(event, TrackRemoteEvent::OnRtpPacket(_)) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
}

/// A peer connection that counts what it receives.
pub(crate) async fn connection(seen: Arc<Seen>) -> Result<Arc<dyn PeerConnection>> {
    connection_sealing_with(seen, Vec::new()).await
}

async fn connection_sealing_with(
    seen: Arc<Seen>,
    profiles: Vec<SrtpProtectionProfile>,
) -> Result<Arc<dyn PeerConnection>> {
    let mut media = MediaEngine::default();
    media.register_codec(codec(opus(), OPUS), RtpCodecKind::Audio)?;
    media.register_codec(codec(vp8(), VP8), RtpCodecKind::Video)?;
    for uri in [AUDIO_LEVEL_URI, MID_URI] {
        let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        media.register_header_extension(extension, RtpCodecKind::Audio, None)?;
    }
    let interceptors = register_default_interceptors(Registry::new(), &mut media)?;
    let settings = SettingEngineBuilder::default()
        .with_include_loopback_candidate(true)
        .with_srtp_protection_profiles(profiles);
    let builder = PeerConnectionBuilder::new()
        .with_media_engine(media)
        .with_interceptor_registry(interceptors)
        .with_setting_engine(settings.build())
        .with_handler(Arc::new(Handler(seen)))
        .with_udp_addrs(vec!["127.0.0.1:0"]);
    Ok(Arc::new(Box::pin(builder.build()).await?))
}

pub(crate) type SendLine = (Arc<dyn webrtc::rtp_transceiver::RtpTransceiver>, &'static str);

/// A line to send sound on and one for pictures.
pub(crate) async fn publish_lines(
    connection: &dyn PeerConnection,
    voice: &Arc<TrackLocalStaticRTP>,
    picture: &Arc<TrackLocalStaticRTP>,
) -> Result<Vec<SendLine>> {
    let init = || Some(direction(RTCRtpTransceiverDirection::Sendonly));
    let audio = connection.add_transceiver_from_track(voice.clone(), init()).await?;
    let video = connection.add_transceiver_from_track(picture.clone(), init()).await?;
    Ok(vec![(audio, "microphone"), (video, "camera")])
}

/// Places to receive in.
pub(crate) async fn add_slots(connection: &dyn PeerConnection, audio: usize, video: usize) -> Result<()> {
    let kinds = [(RtpCodecKind::Audio, audio), (RtpCodecKind::Video, video)];
    for (kind, count) in kinds {
        for _ in 0..count {
            let init = Some(direction(RTCRtpTransceiverDirection::Recvonly));
            connection.add_transceiver_from_kind(kind, init).await?;
        }
    }
    Ok(())
}

/// The next offer, with its candidates.
pub(crate) async fn offer(connection: &dyn PeerConnection, seen: &Seen) -> Result<String> {
    let offer = connection.create_offer(None).await?;
    connection.set_local_description(offer).await?;
    eventually("a bot's candidates", Duration::from_secs(5), async || Ok(seen.gathered())).await?;
    Ok(connection.local_description().await.context("an offer was made")?.sdp)
}

async fn named(sends: &[SendLine]) -> Result<Vec<Value>> {
    let mut named = Vec::new();
    for (transceiver, source) in sends {
        let mid = transceiver.mid().await?.context("a line of an offer has a mid")?;
        named.push(json!({ "mid": mid, "source": source }));
    }
    Ok(named)
}

/// Sound and pictures, until the tasks are aborted.
pub(crate) fn publish_media(
    voice: Arc<TrackLocalStaticRTP>,
    picture: Arc<TrackLocalStaticRTP>,
) -> Vec<JoinHandle<()>> {
    vec![tokio::spawn(speak(voice)), tokio::spawn(show(picture))]
}

async fn speak(track: Arc<TrackLocalStaticRTP>) {
    let mut voice = Voice::new(ssrc(&track).await);
    let level = HeaderExtension::AudioLevel(AudioLevelExtension { level: 30, voice: true });
    let mut every = tokio::time::interval(Duration::from_millis(20));
    loop {
        every.tick().await;
        if track.write_rtp_with_extensions(voice.next(), std::slice::from_ref(&level)).await.is_err() {
            return;
        }
    }
}

async fn show(track: Arc<TrackLocalStaticRTP>) {
    let mut picture = Picture::new(ssrc(&track).await, FPS);
    let mut every = tokio::time::interval(Duration::from_secs(1) / FPS);
    loop {
        every.tick().await;
        if track.write_rtp(picture.next()).await.is_err() {
            return;
        }
    }
}

async fn ssrc(track: &TrackLocalStaticRTP) -> u32 {
    use webrtc::media_stream::Track;
    track.ssrcs().await.first().copied().unwrap_or_default()
}

/// A voice and a picture to publish.
pub(crate) fn tracks() -> (Arc<TrackLocalStaticRTP>, Arc<TrackLocalStaticRTP>) {
    let voice = local_track(RtpCodecKind::Audio, opus(), 0x1000_0001);
    (voice, local_track(RtpCodecKind::Video, vp8(), 0x2000_0001))
}

fn local_track(kind: RtpCodecKind, codec: RTCRtpCodec, ssrc: u32) -> Arc<TrackLocalStaticRTP> {
    // Several bots share a room, and an SSRC must be one of a kind in it.
    let ssrc = ssrc.wrapping_add(rand::random::<u32>() & 0x0fff_ffff);
    let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() };
    let encoding = RTCRtpEncodingParameters { rtp_coding_parameters: coding, codec, ..Default::default() };
    let name = format!("bot-{kind}");
    Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        name.clone(),
        name.clone(),
        name,
        kind,
        vec![encoding],
    )))
}

fn direction(direction: RTCRtpTransceiverDirection) -> RTCRtpTransceiverInit {
    RTCRtpTransceiverInit { direction, ..Default::default() }
}

fn codec(rtp_codec: RTCRtpCodec, payload_type: u8) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters { rtp_codec, payload_type }
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        ..Default::default()
    }
}

fn vp8() -> RTCRtpCodec {
    RTCRtpCodec { mime_type: MIME_TYPE_VP8.to_owned(), clock_rate: 90_000, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bot_offers_two_lines_to_send_and_ten_slots() -> Result<()> {
        let seen = Arc::new(Seen::default());
        let connection = Box::pin(connection(seen.clone())).await?;
        let (voice, picture) =
            (local_track(RtpCodecKind::Audio, opus(), 1), local_track(RtpCodecKind::Video, vp8(), 2));
        let sends = publish_lines(&*connection, &voice, &picture).await?;
        add_slots(&*connection, AUDIO_SLOTS, VIDEO_SLOTS).await?;
        let offer = offer(&*connection, &seen).await?;
        assert_eq!(offer.matches("a=sendonly").count(), 2, "{offer}");
        assert_eq!(offer.matches("a=recvonly").count(), AUDIO_SLOTS + VIDEO_SLOTS, "{offer}");
        assert_eq!(named(&sends).await?.len(), 2);
        Ok(connection.close().await?)
    }
}
