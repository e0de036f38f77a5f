//! One browser, nearly: a full ICE agent that publishes made-up VP8 and Opus, and whose packets an attacker may record.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Candidate, Event as RtcEvent, Input, Output, Rtc, RtcConfig};
use uuid::Uuid;

use super::seals::Seals;
use crate::control::{LegId, SendLine, Slot, Source};
use crate::keys::{self, Handshake};

/// Packets that a recording holds at most: the newest.
const RECORDED_MAX: usize = 20_000;

pub(super) struct Client {
    pub(super) leg: LegId,
    pub(super) address: SocketAddr,
    pub(super) rtc: Rtc,
    pub(super) audio: Mid,
    pub(super) video: Mid,
    pub(super) slots: Vec<Slot>,
    /// User name and password of its checks.
    credentials: (String, String),
    pub(super) connected: bool,
    pub(super) publishes: bool,
    /// Whether it hears and says anything at all.
    pub(super) alive: bool,
    /// Media packets received, by SSRC and sequence number, and how often.
    pub(super) received: BTreeMap<(u32, u64), usize>,
    /// The same by the mark of who wrote them, each packet once.
    received_from: BTreeMap<u8, usize>,
    /// The last byte of all that it writes.
    mark: u8,
    pub(super) received_payloads: Option<Vec<Vec<u8>>>,
    pub(super) keyframes_asked: Vec<Instant>,
    /// SRTP and SRTCP as it went over the wire, while somebody records.
    pub(super) recorded: Option<Vec<Vec<u8>>>,
    /// For messages: reliable and lossy.
    pub(super) channels: Vec<ChannelId>,
    /// Messages received.
    pub(super) messages: Vec<Vec<u8>>,
    handshake: Handshake,
    outbox: Vec<Vec<u8>>,
    keyframe_due: bool,
    frames: u32,
    voices: u32,
    seq: [u64; 2],
    next_frame: Instant,
    next_voice: Instant,
}

impl Client {
    pub(super) fn new(n: u16, now: Instant) -> (Client, String, SdpPendingOffer) {
        Client::with_channels(n, &[], now)
    }

    /// One whose offer has these data channels, too.
    pub(super) fn with_channels(
        n: u16,
        channels: &[ChannelConfig],
        now: Instant,
    ) -> (Client, String, SdpPendingOffer) {
        let address = SocketAddr::from(([198, 51, 100, 7], 10_000 + n));
        let config = RtcConfig::new()
            .set_crypto_provider(Arc::new(keys::overheard()))
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_dtls_version(str0m::config::DtlsVersion::Auto);
        let mut rtc = config.build(now);
        let handshake = keys::newest_handshake();
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let mut api = rtc.sdp_api();
        let audio = api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
        let video = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        for kind in [MediaKind::Audio, MediaKind::Audio, MediaKind::Video, MediaKind::Video] {
            api.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        let channels = channels.iter().map(|config| api.add_channel_with_config(config.clone())).collect();
        let (offer, pending) = api.apply().unwrap();
        let client = Client {
            leg: LegId(Uuid::from_u128(u128::from(n))),
            address,
            rtc,
            audio,
            video,
            slots: Vec::new(),
            credentials: Default::default(),
            connected: false,
            publishes: true,
            alive: true,
            received: BTreeMap::new(),
            received_from: BTreeMap::new(),
            mark: n as u8,
            received_payloads: None,
            keyframes_asked: Vec::new(),
            recorded: None,
            channels,
            messages: Vec::new(),
            handshake,
            outbox: Vec::new(),
            keyframe_due: true,
            frames: 0,
            voices: 0,
            seq: [65_500, 65_500],
            next_frame: now,
            next_voice: now,
        };
        // As our pages write it.
        (client, offer.to_sdp_string().replace("a=setup:actpass", "a=setup:passive"), pending)
    }

    pub(super) fn sends(&self) -> Vec<SendLine> {
        let line = |mid: Mid, source| SendLine { mid: mid.to_string(), source };
        vec![line(self.audio, Source::Microphone), line(self.video, Source::Camera)]
    }

    pub(super) fn accept(&mut self, pending: SdpPendingOffer, answer: &str, slots: Vec<Slot>) {
        let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let own = self.rtc.direct_api().local_ice_credentials().ufrag;
        self.credentials = (format!("{}:{own}", field("a=ice-ufrag:")), field("a=ice-pwd:"));
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
        self.slots = slots;
    }

    /// How many different media packets came.
    pub(super) fn packets(&self) -> usize {
        self.received.len()
    }

    /// How many packets came that another client wrote.
    pub(super) fn packets_from(&self, other: &Client) -> usize {
        self.received_from.get(&other.mark).copied().unwrap_or_default()
    }

    /// Says goodbye as a page that is closed does.
    pub(super) fn hang_up(&mut self, now: Instant) {
        if self.rtc.close().is_ok() {
            self.drain(now);
        }
    }

    /// How many media packets it wrote.
    pub(super) fn written(&self) -> usize {
        self.seq.iter().map(|seq| (*seq - 65_500) as usize).sum()
    }

    /// The keys with which it speaks, once the handshake has made them.
    pub(super) fn seals(&self) -> Seals {
        Seals::new(&self.handshake)
    }

    pub(super) fn credentials(&self) -> (String, String) {
        self.credentials.clone()
    }

    pub(super) fn step(&mut self, now: Instant) {
        if !self.alive {
            return;
        }
        if self.rtc.handle_input(Input::Timeout(now)).is_ok() {
            self.drain(now);
        }
        if self.connected && self.publishes {
            self.publish(now);
        }
    }

    pub(super) fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let Ok(received) = Receive::new(Protocol::Udp, from, self.address, datagram) else { return };
        if self.alive && self.rtc.handle_input(Input::Receive(now, received)).is_ok() {
            self.drain(now);
        }
    }

    pub(super) fn take_outbox(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outbox)
    }

    fn drain(&mut self, now: Instant) {
        while let Ok(output) = self.rtc.poll_output() {
            match output {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => self.transmit(Vec::from(transmit.contents)),
                Output::Event(RtcEvent::Connected) => self.connected = true,
                Output::Event(RtcEvent::KeyframeRequest(_)) => {
                    self.keyframe_due = true;
                    self.keyframes_asked.push(now);
                }
                Output::Event(RtcEvent::RtpPacket(packet)) => {
                    let times = self.received.entry((*packet.header.ssrc, *packet.seq_no)).or_default();
                    *times += 1;
                    if let Some(mark) = packet.payload.last().filter(|_| *times == 1) {
                        *self.received_from.entry(*mark).or_default() += 1;
                    }
                    if let Some(payloads) = &mut self.received_payloads {
                        payloads.push(packet.payload.to_vec());
                    }
                }
                Output::Event(RtcEvent::ChannelData(data)) => self.messages.push(data.data),
                Output::Event(_) => {}
            }
        }
    }

    /// Sends a message on one of its channels; answers whether there was room for it.
    pub(super) fn message(&mut self, channel: usize, bytes: &[u8], now: Instant) -> bool {
        let Some(mut channel) = self.rtc.channel(self.channels[channel]) else { return false };
        let taken = matches!(channel.write(true, bytes), Ok(true));
        if self.rtc.handle_input(Input::Timeout(now)).is_ok() {
            self.drain(now);
        }
        taken
    }

    fn transmit(&mut self, datagram: Vec<u8>) {
        let is_media = datagram.first().is_some_and(|byte| (128..192).contains(byte));
        if let Some(recorded) = self.recorded.as_mut().filter(|_| is_media)
            && recorded.len() < RECORDED_MAX
        {
            recorded.push(datagram.clone());
        }
        self.outbox.push(datagram);
    }

    fn publish(&mut self, now: Instant) {
        if now >= self.next_voice {
            self.next_voice = now + Duration::from_millis(20);
            self.voices += 1;
            let level =
                ExtensionValues { audio_level: Some(-20), voice_activity: Some(true), ..Default::default() };
            self.write(0, self.audio, 111, self.voices * 960, true, vec![self.mark; 60], level, now);
        }
        if now >= self.next_frame {
            self.next_frame = now + Duration::from_millis(33);
            self.frames += 1;
            let key = std::mem::take(&mut self.keyframe_due);
            for part in 0..3 {
                let mut payload = vp8_payload(part == 0, key, self.frames as u16);
                payload[499] = self.mark;
                let ts = self.frames * 2_970;
                self.write(1, self.video, 96, ts, part == 2, payload, ExtensionValues::default(), now);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a packet has that many fields")]
    pub(super) fn write(
        &mut self,
        line: usize,
        mid: Mid,
        pt: u8,
        ts: u32,
        marker: bool,
        payload: Vec<u8>,
        ext: ExtensionValues,
        now: Instant,
    ) {
        let seq = self.seq[line];
        self.seq[line] += 1;
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).unwrap();
        let packet = RtpWrite::new(pt.into(), seq.into(), ts, now, payload);
        stream.write_rtp(packet.marker(marker).ext_vals(ext).nackable(line == 1));
        if self.rtc.handle_input(Input::Timeout(now)).is_ok() {
            self.drain(now);
        }
    }
}

/// A packet of a VP8 frame, with the descriptor of RFC 7741 in full.
pub(super) fn vp8_payload(first: bool, key: bool, id: u16) -> Vec<u8> {
    let start = if first { 0x90 } else { 0x80 };
    let mut payload = vec![start, 0xe0, 0x80 | (id >> 8) as u8 & 0x7f, id as u8, id as u8, 0, u8::from(!key)];
    payload.resize(500, 9);
    payload
}
