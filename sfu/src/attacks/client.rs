//! One browser, nearly: a full ICE agent that publishes made-up VP8 and Opus, and whose packets an attacker may record.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::bwe::BweKind;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::media::{Direction, MediaKind, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Candidate, Event as RtcEvent, Input, Output, Rtc, RtcConfig};
use uuid::Uuid;

use super::decoder::{Decoder, Part};
use super::seals::Seals;
use crate::control::{LegId, SendLine, Slot, Source};
use crate::keys::{self, Handshake};

/// Packets that a recording holds at most: the newest.
const RECORDED_MAX: usize = 20_000;

/// Others that a client has places for, unless it says otherwise.
pub(super) const SEATS: usize = 2;

/// An encoding of its picture: its name, packets of 500 bytes a frame, and width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    pub(super) rid: Option<&'static str>,
    pub(super) packets: u8,
    pub(super) width: u16,
}

/// A frame could be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glimpse {
    /// The mark of who wrote it.
    pub(super) of: u8,
    pub(super) width: u16,
    pub(super) at: Instant,
}

/// A camera that knows nothing of layers: about 370 kbit/s.
pub(super) const PLAIN: &[Layer] = &[Layer { rid: None, packets: 3, width: 640 }];

pub(super) struct Client {
    pub(super) leg: LegId,
    pub(super) address: SocketAddr,
    /// What it takes for its address; behind a NAT the network sees another.
    own: SocketAddr,
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
    /// When a packet of a picture last came, by the width of its layer.
    pub(super) seen_at: BTreeMap<u16, Instant>,
    /// The frames that it could show.
    pub(super) pictures: Vec<Glimpse>,
    /// By SSRC.
    decoders: BTreeMap<u32, Decoder>,
    layers: &'static [Layer],
    /// By layer: for how long its encoder is silent after a keyframe, on which it spent what it may. It makes keyframes of
    /// all layers at once then.
    pub(super) spent_for: &'static [Duration],
    silent_until: Vec<Instant>,
    voices_heard: usize,
    /// Whether it sends again what it is asked for.
    pub(super) repairs: bool,
    /// Whether it sends a keyframe when asked.
    pub(super) heeds_requests: bool,
    /// How long that takes besides the wait for its next frame: the way there and back.
    pub(super) heeds_after: Duration,
    /// The last byte of all that it writes.
    mark: u8,
    pub(super) received_payloads: Option<Vec<Vec<u8>>>,
    pub(super) keyframes_asked: Vec<Instant>,
    /// The most that it was told to send, each time.
    pub(super) told_bps: Vec<u64>,
    /// SRTP and SRTCP as it went over the wire, while somebody records.
    pub(super) recorded: Option<Vec<Vec<u8>>>,
    /// For messages: reliable and lossy.
    pub(super) channels: Vec<ChannelId>,
    /// Messages received.
    pub(super) messages: Vec<Vec<u8>>,
    handshake: Handshake,
    outbox: Vec<Vec<u8>>,
    /// Layers that it does not send.
    rests: &'static [&'static str],
    /// By layer: from when on its next frame is a keyframe.
    keyframes_due: Vec<Option<Instant>>,
    frames: u32,
    voices: u32,
    /// Of the voice and of each layer.
    seq: Vec<u64>,
    next_frame: Instant,
    next_voice: Instant,
}

impl Client {
    pub(super) fn new(n: u16, now: Instant) -> (Client, String, SdpPendingOffer) {
        Client::with(n, PLAIN, SEATS, &[], now)
    }

    /// One whose picture has these layers, who has places for so many others, and whose offer has these data channels.
    pub(super) fn with(
        n: u16,
        layers: &'static [Layer],
        seats: usize,
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
        let mut simulcast = Simulcast::new();
        let rids = || layers.iter().filter_map(|layer| layer.rid);
        rids().for_each(|rid| simulcast.add_send_layer(SimulcastLayer::new(rid)));
        let simulcast = rids().next().map(|_| simulcast);
        let video = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, simulcast);
        for kind in [MediaKind::Audio, MediaKind::Video] {
            (0..seats).for_each(|_| _ = api.add_media(kind, Direction::RecvOnly, None, None, None));
        }
        let channels = channels.iter().map(|config| api.add_channel_with_config(config.clone())).collect();
        let (offer, pending) = api.apply().unwrap();
        let client = Client {
            leg: LegId(Uuid::from_u128(u128::from(n))),
            address,
            own: address,
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
            seen_at: BTreeMap::new(),
            pictures: Vec::new(),
            decoders: BTreeMap::new(),
            layers,
            spent_for: &[],
            silent_until: vec![now; layers.len()],
            voices_heard: 0,
            repairs: true,
            heeds_requests: true,
            heeds_after: Duration::ZERO,
            mark: n as u8,
            received_payloads: None,
            keyframes_asked: Vec::new(),
            told_bps: Vec::new(),
            recorded: None,
            channels,
            messages: Vec::new(),
            handshake,
            outbox: Vec::new(),
            rests: &[],
            keyframes_due: vec![Some(now); layers.len()],
            frames: 0,
            voices: 0,
            seq: vec![65_500; 1 + layers.len()],
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

    /// Does not send these layers any more, but all others.
    pub(super) fn rest(&mut self, rids: &'static [&'static str]) {
        self.rests = rids;
    }

    /// How many different media packets came.
    pub(super) fn packets(&self) -> usize {
        self.received.len()
    }

    /// How many packets came that another client wrote.
    pub(super) fn packets_from(&self, other: &Client) -> usize {
        self.received_from.get(&other.mark).copied().unwrap_or_default()
    }

    /// The SSRC of a line that shows a picture, and the greatest number that came on it.
    pub(super) fn newest_of_picture(&self) -> Option<(u32, u64)> {
        let ssrc = *self.decoders.keys().next()?;
        self.received.range((ssrc, 0)..=(ssrc, u64::MAX)).next_back().map(|(newest, _)| *newest)
    }

    /// The longest time without a new picture since then, in ms.
    pub(super) fn stood_still(&self, since: Instant) -> u128 {
        let seen: Vec<_> = self.pictures.iter().map(|seen| seen.at).filter(|at| *at >= since).collect();
        seen.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).max().expect("pictures come")
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

    /// How many packets of a layer it wrote.
    pub(super) fn written_in(&self, layer: usize) -> usize {
        (self.seq[1 + layer] - 65_500) as usize
    }

    /// How many packets of its voice it wrote.
    pub(super) fn voices(&self) -> usize {
        self.voices as usize
    }

    /// How many packets of voices came.
    pub(super) fn voices_heard(&self) -> usize {
        self.voices_heard
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
        let Ok(received) = Receive::new(Protocol::Udp, from, self.own, datagram) else { return };
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
                Output::Event(RtcEvent::KeyframeRequest(request)) => {
                    let rid = request.rid.map(|rid| rid.to_string());
                    let layers = self.layers.iter().zip(&mut self.keyframes_due);
                    let all = !self.spent_for.is_empty();
                    let asked = layers.filter(|(layer, _)| all || layer.rid == rid.as_deref());
                    for (_, due) in asked.filter(|_| self.heeds_requests) {
                        due.get_or_insert(now + self.heeds_after);
                    }
                    self.keyframes_asked.push(now);
                }
                Output::Event(RtcEvent::RtpPacket(packet)) => {
                    let times = self.received.entry((*packet.header.ssrc, *packet.seq_no)).or_default();
                    *times += 1;
                    if let Some(mark) = packet.payload.last().filter(|_| *times == 1) {
                        *self.received_from.entry(*mark).or_default() += 1;
                    }
                    self.voices_heard += usize::from(*times == 1 && packet.payload.len() == 60);
                    if let Some([high, low, mark]) =
                        packet.payload.last_chunk().filter(|_| packet.payload.len() == 500)
                    {
                        let width = u16::from_be_bytes([*high, *low]);
                        self.seen_at.insert(width, now);
                        let part = Part {
                            begins_keyframe: begins_keyframe(&packet.payload),
                            ends: packet.header.marker,
                        };
                        let decoder = self.decoders.entry(*packet.header.ssrc).or_default();
                        if decoder.take(*packet.seq_no, part) {
                            self.pictures.push(Glimpse { of: *mark, width, at: now });
                        }
                    }
                    if let Some(payloads) = &mut self.received_payloads {
                        payloads.push(packet.payload.to_vec());
                    }
                }
                Output::Event(RtcEvent::EgressBitrateEstimate(BweKind::Remb { estimate, .. })) => {
                    self.told_bps.push(estimate.as_u64());
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
            let layers = self.layers;
            let rests = |layer: &&Layer| layer.rid.is_some_and(|rid| self.rests.contains(&rid));
            let (rests, sent): (Vec<_>, Vec<_>) = (1..).zip(layers).partition(|(_, layer)| rests(layer));
            // What comes back begins with a keyframe.
            rests.into_iter().for_each(|(line, _): (usize, _)| self.keyframes_due[line - 1] = Some(now));
            sent.into_iter().for_each(|(line, layer)| self.write_frame(line, layer, now));
        }
    }

    fn write_frame(&mut self, line: usize, layer: &Layer, now: Instant) {
        let place = line - 1;
        let key = self.keyframes_due[place].take_if(|due| *due <= now).is_some();
        if let Some(span) = self.spent_for.get(place).filter(|_| key) {
            self.silent_until[place] = now + *span;
        } else if now < self.silent_until[place] {
            return;
        }
        for part in 0..layer.packets {
            let mut payload = vp8_payload(part == 0, key, self.frames as u16);
            if part == 0 && key {
                payload[10..13].copy_from_slice(&[0x9d, 0x01, 0x2a]);
                payload[13..15].copy_from_slice(&layer.width.to_le_bytes());
                payload[15..17].copy_from_slice(&(layer.width / 2).to_le_bytes());
            }
            payload[497..499].copy_from_slice(&layer.width.to_be_bytes());
            payload[499] = self.mark;
            let (ts, is_last) = (self.frames * 2_970, part + 1 == layer.packets);
            self.write(line, self.video, 96, ts, is_last, payload, ExtensionValues::default(), now);
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
        let rid = line.checked_sub(1).and_then(|layer| self.layers[layer].rid);
        let stream = api.stream_tx_by_mid(mid, rid.map(Rid::from)).unwrap();
        let packet = RtpWrite::new(pt.into(), seq.into(), ts, now, payload);
        stream.write_rtp(packet.marker(marker).ext_vals(ext).nackable(line > 0 && self.repairs));
        if self.rtc.handle_input(Input::Timeout(now)).is_ok() {
            self.drain(now);
        }
    }
}

/// Whether such a packet is a keyframe's first.
fn begins_keyframe(payload: &[u8]) -> bool {
    payload[0] & 0x10 != 0 && payload[6] & 1 == 0
}

/// A packet of a VP8 frame, with the descriptor of RFC 7741 in full.
pub(super) fn vp8_payload(first: bool, key: bool, id: u16) -> Vec<u8> {
    let start = if first { 0x90 } else { 0x80 };
    let mut payload = vec![start, 0xe0, 0x80 | (id >> 8) as u8 & 0x7f, id as u8, id as u8, 0, u8::from(!key)];
    payload.resize(500, 9);
    payload
}
