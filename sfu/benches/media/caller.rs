//! A client that joins, connects, and then writes or reads packets with the time in them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sfu::control::{Kind, LegId, SendLine, Source};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::config::DtlsVersion;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use uuid::Uuid;

use crate::inbox::{Came, Inbox, wall};

/// With the VP8 descriptor.
const PAYLOAD: usize = 1_200;
/// 32 kbit/s of Opus.
const VOICE: usize = 80;
/// Timers of a client are looked at this often.
const WAKE_EVERY: Duration = Duration::from_millis(10);

pub(crate) struct Caller {
    pub(crate) leg: LegId,
    pub(crate) connected: bool,
    /// Media packets that came.
    pub(crate) came: u64,
    /// How long each took, if it was opened.
    pub(crate) delays_us: Vec<u32>,
    /// Counts media instead of opening it, and so reports nothing of it.
    is_light: bool,
    rtc: Rtc,
    inbox: Inbox,
    /// When the datagram came that is being read.
    came_at: Duration,
    pending: Option<SdpPendingOffer>,
    lines: Vec<(Kind, Mid)>,
    /// Of voice and picture.
    sent: [u64; 2],
    wake_at: Instant,
}

/// What somebody sends and shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) sends: &'a [Kind],
    pub(crate) audio_slots: usize,
    pub(crate) video_slots: usize,
    pub(crate) is_light: bool,
}

fn media_kind(kind: Kind) -> MediaKind {
    match kind {
        Kind::Audio => MediaKind::Audio,
        Kind::Video => MediaKind::Video,
    }
}

impl Caller {
    /// Somebody who offers these lines.
    pub(crate) fn new(
        n: u128,
        ip: IpAddr,
        lines: Lines<'_>,
        begun: Instant,
    ) -> (Caller, String, Vec<SendLine>) {
        let mut caller = Caller::bound(n, ip, begun);
        let mut api = caller.rtc.sdp_api();
        let mut line = |kind, direction| api.add_media(media_kind(kind), direction, None, None, None);
        let sent: Vec<(Kind, Mid)> =
            lines.sends.iter().map(|kind| (*kind, line(*kind, Direction::SendOnly))).collect();
        let slots = std::iter::repeat_n(Kind::Audio, lines.audio_slots);
        for kind in slots.chain(std::iter::repeat_n(Kind::Video, lines.video_slots)) {
            line(kind, Direction::RecvOnly);
        }
        let (offer, pending) = api.apply().expect("a line was added");
        let source = |kind| if kind == Kind::Audio { Source::Microphone } else { Source::Camera };
        let sends = sent.iter().map(|(kind, mid)| SendLine { mid: mid.to_string(), source: source(*kind) });
        let sends = sends.collect();
        let caller = Caller { is_light: lines.is_light, pending: Some(pending), lines: sent, ..caller };
        (caller, offer.to_sdp_string(), sends)
    }

    /// Somebody who takes what is offered. Answers the answer as well.
    pub(crate) fn taking(n: u128, ip: IpAddr, offer: &str, begun: Instant) -> (Caller, String) {
        let mut caller = Caller::bound(n, ip, begun);
        let offer = SdpOffer::from_sdp_string(offer).expect("an offer");
        let answer = caller.rtc.sdp_api().accept_offer(offer).expect("it can be taken");
        (caller, answer.to_sdp_string())
    }

    fn bound(n: u128, ip: IpAddr, begun: Instant) -> Caller {
        let inbox = Inbox::bound(ip);
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_dtls_version(DtlsVersion::Auto)
            .build(begun);
        let address = inbox.socket.local_addr().expect("bound");
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("an address"));
        Caller {
            leg: LegId(Uuid::from_u128(n)),
            connected: false,
            came: 0,
            delays_us: Vec::new(),
            is_light: false,
            rtc,
            inbox,
            came_at: Duration::ZERO,
            pending: None,
            lines: Vec::new(),
            sent: [0; 2],
            wake_at: begun,
        }
    }

    pub(crate) fn answered(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).expect("an answer");
        let pending = self.pending.take().expect("one answer");
        self.rtc.sdp_api().accept_answer(pending, answer).expect("it fits the offer");
    }

    /// Takes what has come, and lets time pass now and then.
    pub(crate) fn step(&mut self, now: Instant) {
        let mut buffer = [0; 2_000];
        while let Some(Came { length, from, at }) = self.inbox.next(&mut buffer) {
            self.came_at = at;
            let is_media = matches!(buffer, [128..192, kind, ..] if !(192..224).contains(&kind));
            self.came += u64::from(is_media);
            if is_media && self.is_light {
                continue;
            }
            let destination = self.inbox.socket.local_addr().expect("bound");
            if let Ok(received) = Receive::new(Protocol::Udp, from, destination, &buffer[..length]) {
                let _refused = self.rtc.handle_input(Input::Receive(now, received));
                self.drain();
            }
        }
        if now >= self.wake_at {
            self.wake_at = now + WAKE_EVERY;
            let _broken = self.rtc.handle_input(Input::Timeout(now));
            self.drain();
        }
    }

    /// Writes one packet of a frame. The first frame is a key.
    pub(crate) fn write_picture(&mut self, ts: u32, is_last: bool, now: Instant) {
        let is_key = u8::from(self.sent[1] >= 100);
        let mut payload = vec![0x90, 0x80, 0x80, 0, is_key, 0, 0, 0x9d, 0x01, 0x2a, 0xc0, 3, 0x1c, 2];
        payload.resize(PAYLOAD - 8, 9);
        self.write(Kind::Video, 96, ts, is_last, payload, now);
    }

    /// Writes 20 ms of a voice.
    pub(crate) fn write_voice(&mut self, now: Instant) {
        let ts = self.sent[0] as u32 * 960;
        self.write(Kind::Audio, 111, ts, true, vec![9; VOICE - 8], now);
    }

    fn write(&mut self, kind: Kind, pt: u8, ts: u32, is_last: bool, mut payload: Vec<u8>, now: Instant) {
        let Some((_, mid)) = self.lines.iter().find(|(of, _)| *of == kind).copied() else { return };
        payload.extend((wall().as_nanos() as u64).to_be_bytes());
        let sent = &mut self.sent[usize::from(kind == Kind::Video)];
        let seq = 100 + *sent;
        *sent += 1;
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).expect("a publisher");
        let ext = ExtensionValues { audio_level: Some(-30), ..ExtensionValues::default() };
        let write = RtpWrite::new(pt.into(), seq.into(), ts, now, payload);
        stream.write_rtp(write.marker(is_last).ext_vals(ext));
        let _broken = self.rtc.handle_input(Input::Timeout(now));
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(_)) | Err(_) => return,
                Ok(Output::Transmit(transmit)) => {
                    let _dropped = self.inbox.socket.send_to(&transmit.contents, transmit.destination);
                }
                Ok(Output::Event(Event::Connected)) => self.connected = true,
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    let Some(written) = packet.payload.last_chunk() else { continue };
                    let written = Duration::from_nanos(u64::from_be_bytes(*written));
                    let delay = self.came_at.saturating_sub(written);
                    self.delays_us.push(delay.as_micros() as u32);
                }
                Ok(Output::Event(_)) => {}
            }
        }
    }
}
