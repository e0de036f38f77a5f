//! A client that joins, connects, and then writes or reads packets with the time in them.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use sfu::control::{LegId, SendLine, Source};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use uuid::Uuid;

/// With the VP8 descriptor.
const PAYLOAD: usize = 1_200;
/// Timers of a client are looked at this often.
const WAKE_EVERY: Duration = Duration::from_millis(10);

pub(crate) struct Caller {
    pub(crate) leg: LegId,
    pub(crate) connected: bool,
    /// Packets of pictures that came, and how long each took.
    pub(crate) delays_us: Vec<u32>,
    rtc: Rtc,
    socket: UdpSocket,
    pending: Option<SdpPendingOffer>,
    video: Option<Mid>,
    sent: u64,
    wake_at: Instant,
}

impl Caller {
    /// A publisher has a line to send on, a subscriber a slot.
    pub(crate) fn new(n: u128, publishes: bool, begun: Instant) -> (Caller, String, Vec<SendLine>) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_vp8(true)
            .set_dtls_version(str0m::config::DtlsVersion::Auto)
            .build(begun);
        let address = socket.local_addr().expect("bound");
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("an address"));
        let mut api = rtc.sdp_api();
        let direction = if publishes { Direction::SendOnly } else { Direction::RecvOnly };
        let video = api.add_media(MediaKind::Video, direction, None, None, None);
        let (offer, pending) = api.apply().expect("a line was added");
        let caller = Caller {
            leg: LegId(Uuid::from_u128(n)),
            connected: false,
            delays_us: Vec::new(),
            rtc,
            socket,
            pending: Some(pending),
            video: publishes.then_some(video),
            sent: 0,
            wake_at: begun,
        };
        let sends = SendLine { mid: video.to_string(), source: Source::Camera };
        (caller, offer.to_sdp_string(), if publishes { vec![sends] } else { Vec::new() })
    }

    pub(crate) fn answered(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).expect("an answer");
        let pending = self.pending.take().expect("one answer");
        self.rtc.sdp_api().accept_answer(pending, answer).expect("it fits the offer");
    }

    /// Takes what has come, and lets time pass now and then.
    pub(crate) fn step(&mut self, begun: Instant, now: Instant) {
        let mut buffer = [0; 2_000];
        while let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            let destination = self.socket.local_addr().expect("bound");
            if let Ok(received) = Receive::new(Protocol::Udp, source, destination, &buffer[..length]) {
                let _refused = self.rtc.handle_input(Input::Receive(now, received));
                self.drain(begun);
            }
        }
        if now >= self.wake_at {
            self.wake_at = now + WAKE_EVERY;
            let _broken = self.rtc.handle_input(Input::Timeout(now));
            self.drain(begun);
        }
    }

    /// Writes one packet of a frame. The first frame is a key.
    pub(crate) fn write(&mut self, ts: u32, is_last: bool, begun: Instant, now: Instant) {
        let Some(mid) = self.video else { return };
        let is_key = u8::from(self.sent >= 100);
        let mut payload = vec![0x90, 0x80, 0x80, 0, is_key, 0, 0, 0x9d, 0x01, 0x2a, 0xc0, 3, 0x1c, 2];
        payload.resize(PAYLOAD - 8, 9);
        payload.extend(((now - begun).as_nanos() as u64).to_be_bytes());
        let seq = 100 + self.sent;
        self.sent += 1;
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).expect("a publisher");
        stream.write_rtp(RtpWrite::new(96.into(), seq.into(), ts, now, payload).marker(is_last));
        let _broken = self.rtc.handle_input(Input::Timeout(now));
        self.drain(begun);
    }

    #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
    fn drain(&mut self, begun: Instant) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(_)) | Err(_) => return,
                Ok(Output::Transmit(transmit)) => {
                    let _dropped = self.socket.send_to(&transmit.contents, transmit.destination);
                }
                Ok(Output::Event(Event::Connected)) => self.connected = true,
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    let Some(written) = packet.payload.last_chunk() else { continue };
                    let written = Duration::from_nanos(u64::from_be_bytes(*written));
                    let delay = (Instant::now() - begun).saturating_sub(written);
                    self.delays_us.push(delay.as_micros() as u32);
                }
                Ok(Output::Event(_)) => {}
            }
        }
    }
}
