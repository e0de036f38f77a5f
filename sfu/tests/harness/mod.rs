//! Clients for the node: str0m as a full ICE agent over loopback, publishing made-up VP8 and Opus.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test program uses a part of it")]

mod line;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sfu::control::{Command, Event, LegId, RoomId, SendLine, Slot, SlotTrack, Source, TenantId, UsageFact};
use sfu::{Events, Handle, Node, NodeConfig};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::Receive;
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, Vp8Descriptor};
use str0m::{Event as RtcEvent, Input, Output, Rtc, RtcConfig};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) use line::Line;

pub(crate) const TENANT: TenantId = TenantId(Uuid::from_u128(7));
pub(crate) const ROOM: RoomId = RoomId(Uuid::from_u128(1));

#[expect(clippy::disallowed_methods, reason = "the test is the shell here")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A node, its events so far, and the usage it reported (greatest wins).
pub(crate) struct Hub {
    pub(crate) node: Handle,
    events: Events,
    pub(crate) seen: Vec<Event>,
    pub(crate) usage: Vec<UsageFact>,
    pub(crate) acknowledges: bool,
    runtime: tokio::runtime::Runtime,
    pub(crate) directory: TempDir,
}

impl Hub {
    pub(crate) fn start() -> Hub {
        Hub::start_in(tempfile::tempdir().unwrap(), 100)
    }

    pub(crate) fn start_in(directory: TempDir, legs_max: usize) -> Hub {
        Hub::start_with(directory, legs_max, 1)
    }

    pub(crate) fn start_with(directory: TempDir, legs_max: usize, shards: usize) -> Hub {
        Hub::start_at(([127, 0, 0, 1], 0).into(), directory, legs_max, shards)
    }

    pub(crate) fn start_at(listen: SocketAddr, directory: TempDir, legs_max: usize, shards: usize) -> Hub {
        let (node, events) = Node::start(NodeConfig {
            listen,
            advertise: Vec::new(),
            journal_dir: directory.path().to_owned(),
            shards,
            legs_max,
            egress: crate::EGRESS,
            ways: sfu::Ways::Both,
            turn: None,
        })
        .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Hub { node, events, seen: Vec::new(), usage: Vec::new(), acknowledges: true, runtime, directory }
    }

    pub(crate) fn send(&self, command: Command) {
        self.node.send(command).unwrap();
    }

    /// Takes the events that are there.
    pub(crate) fn listen(&mut self) {
        loop {
            let next = self.runtime.block_on(async {
                tokio::time::timeout(Duration::from_millis(1), self.events.recv()).await.ok().flatten()
            });
            let Some(event) = next else { return };
            if let Event::Usage { batch, facts } = &event {
                for fact in facts {
                    self.store(*fact);
                }
                if self.acknowledges {
                    self.node.send(Command::UsageStored { batch: *batch }).unwrap();
                }
            } else {
                self.seen.push(event);
            }
        }
    }

    fn store(&mut self, fact: UsageFact) {
        let same =
            |kept: &&mut UsageFact| (kept.leg, kept.meter, kept.hour) == (fact.leg, fact.meter, fact.hour);
        match self.usage.iter_mut().find(same) {
            Some(kept) => kept.quantity = kept.quantity.max(fact.quantity),
            None => self.usage.push(fact),
        }
    }

    pub(crate) fn used(&self, leg: LegId, meter: sfu::control::Meter) -> u64 {
        let facts = self.usage.iter().filter(|fact| fact.leg == leg && fact.meter == meter);
        facts.map(|fact| fact.quantity).sum()
    }

    /// Waits for an event; fails the test after five seconds.
    pub(crate) fn expect(&mut self, what: &str, found: impl Fn(&Event) -> bool) -> Event {
        let deadline = now() + Duration::from_secs(5);
        loop {
            self.listen();
            if let Some(event) = self.seen.iter().find(|event| found(event)) {
                return event.clone();
            }
            assert!(now() < deadline, "{what} did not come; seen: {:?}", self.seen);
        }
    }

    /// What all announcements together say of a subscriber's slots.
    pub(crate) fn slots_of(&self, subscriber: LegId) -> Vec<SlotTrack> {
        let mut current: Vec<SlotTrack> = Vec::new();
        for event in &self.seen {
            if let Event::Slots { leg, slots } = event
                && *leg == subscriber
            {
                for slot in slots {
                    current.retain(|known| known.mid != slot.mid);
                    current.push(slot.clone());
                }
            }
        }
        current.retain(|slot| slot.track.is_some());
        current
    }
}

/// One browser, nearly.
pub(crate) struct Client {
    pub(crate) leg: LegId,
    rtc: Rtc,
    line: Line,
    audio: Mid,
    video: Mid,
    pub(crate) slots: Vec<Slot>,
    /// The port of the answer's candidate.
    pub(crate) server_port: u16,
    pub(crate) connected: bool,
    /// Whether it sends.
    pub(crate) publishes: bool,
    pub(crate) keyframes_asked: Vec<Instant>,
    pub(crate) received: Vec<(Mid, RtpPacket)>,
    /// The last check that it sent, as anybody may repeat it who has seen it.
    pub(crate) check: Vec<u8>,
    /// SRTP as it went over the wire, while somebody records.
    recording: Option<Vec<Vec<u8>>>,
    keyframe_due: bool,
    frames: u32,
    voices: u32,
    seq: [u64; 2],
    next_frame: Instant,
    next_voice: Instant,
    /// Numbers start here: each client elsewhere, near the wraps.
    base: u32,
}

impl Client {
    /// An offer of one audio and one video line to send, and slots for three voices and four pictures.
    pub(crate) fn join(hub: &mut Hub, room: RoomId, n: u32) -> Client {
        Client::join_by(Line::udp("127.0.0.1"), hub, room, n)
    }

    /// The same by another way.
    pub(crate) fn join_by(line: Line, hub: &mut Hub, room: RoomId, n: u32) -> Client {
        let (mut client, offer, pending, sends) = Client::prepare_by(line, n);
        let leg = client.leg;
        hub.send(Command::Join { leg, room, tenant: TENANT, offer, sends });
        let joined = hub.expect("the answer", |event| match event {
            Event::Joined { leg: of, .. } | Event::Refused { leg: of, .. } => *of == leg,
            _ => false,
        });
        let Event::Joined { answer, slots, .. } = joined else { panic!("{joined:?}") };
        client.slots = slots;
        let candidate = answer.lines().find(|line| line.starts_with("a=candidate:")).unwrap();
        client.server_port = candidate.split(' ').nth(5).unwrap().parse().unwrap();
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        client.rtc.sdp_api().accept_answer(pending, answer).unwrap();
        client
    }

    pub(crate) fn prepare(n: u32) -> (Client, String, str0m::change::SdpPendingOffer, Vec<SendLine>) {
        Client::prepare_by(Line::udp("127.0.0.1"), n)
    }

    fn prepare_by(line: Line, n: u32) -> (Client, String, str0m::change::SdpPendingOffer, Vec<SendLine>) {
        let mut rtc =
            RtcConfig::new().set_rtp_mode(true).clear_codecs().enable_opus(true, false).enable_vp8(true);
        rtc = rtc.set_dtls_version(str0m::config::DtlsVersion::Auto);
        let mut rtc = rtc.build(now());
        rtc.add_local_candidate(line.candidate());
        let mut api = rtc.sdp_api();
        let audio = api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
        let video = api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        for _ in 0..3 {
            api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        }
        for _ in 0..4 {
            api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = api.apply().unwrap();
        let client = Client {
            leg: LegId(Uuid::from_u128(u128::from(n))),
            rtc,
            line,
            audio,
            video,
            slots: Vec::new(),
            server_port: 0,
            connected: false,
            publishes: true,
            keyframes_asked: Vec::new(),
            received: Vec::new(),
            check: Vec::new(),
            recording: None,
            keyframe_due: true,
            frames: 0,
            voices: 0,
            seq: [65_500, 65_500],
            next_frame: now(),
            next_voice: now(),
            base: 0u32.wrapping_sub(n * 50_000),
        };
        let sends = client.sends();
        (client, offer.to_sdp_string(), pending, sends)
    }

    /// Offers more slots for pictures, and waits for the answer.
    pub(crate) fn grow(&mut self, hub: &mut Hub, slots: usize) {
        let mut api = self.rtc.sdp_api();
        for _ in 0..slots {
            api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = api.apply().unwrap();
        let sends = self.sends();
        hub.send(Command::Offer { leg: self.leg, offer: offer.to_sdp_string(), sends });
        let leg = self.leg;
        let answered = hub.expect("the answer", |event| match event {
            Event::Answered { leg: of, .. } | Event::OfferRefused { leg: of, .. } => *of == leg,
            _ => false,
        });
        let Event::Answered { answer, slots, .. } = answered else { panic!("{answered:?}") };
        self.slots = slots;
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    fn sends(&self) -> Vec<SendLine> {
        vec![
            SendLine { mid: self.audio.to_string(), source: Source::Microphone },
            SendLine { mid: self.video.to_string(), source: Source::Camera },
        ]
    }

    /// The packets that came on lines of a kind, by line.
    pub(crate) fn received_on(&self, mid: &str) -> Vec<&RtpPacket> {
        self.received.iter().filter(|(on, _)| on.to_string() == mid).map(|(_, packet)| packet).collect()
    }

    /// From now on its SRTP is kept.
    pub(crate) fn record(&mut self) {
        self.recording = Some(Vec::new());
    }

    /// How many media packets it wrote.
    pub(crate) fn written(&self) -> usize {
        self.seq.iter().map(|seq| (*seq - 65_500) as usize).sum()
    }

    pub(crate) fn recorded(&mut self) -> Vec<Vec<u8>> {
        self.recording.take().unwrap_or_default()
    }

    /// Sends what no honest stack would, from its own address.
    pub(crate) fn send_raw(&self, datagram: &[u8]) {
        let server = SocketAddr::from(([127, 0, 0, 1], self.server_port));
        self.line.send(datagram, server);
    }

    fn step(&mut self) {
        while let Some((packet, source)) = self.line.receive() {
            if let Ok(received) = Receive::new(self.line.protocol(), source, self.line.local(), &packet) {
                self.rtc.handle_input(Input::Receive(now(), received)).unwrap();
                self.drain();
            }
        }
        self.rtc.handle_input(Input::Timeout(now())).unwrap();
        self.drain();
        if self.connected && self.publishes {
            self.publish();
        }
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => {
                    if let Some(recording) = &mut self.recording
                        && transmit.contents.first().is_some_and(|byte| (128..192).contains(byte))
                    {
                        recording.push(transmit.contents.to_vec());
                    }
                    if transmit.contents.first().is_some_and(|byte| *byte < 4) {
                        self.check = transmit.contents.to_vec();
                    }
                    self.line.send(&transmit.contents, transmit.destination);
                }
                Output::Event(RtcEvent::Connected) => self.connected = true,
                Output::Event(RtcEvent::KeyframeRequest(_)) => {
                    self.keyframe_due = true;
                    self.keyframes_asked.push(now());
                }
                Output::Event(RtcEvent::RtpPacket(packet)) => {
                    let mid = self.rtc.direct_api().stream_rx(&packet.header.ssrc).unwrap().mid();
                    self.received.push((mid, packet));
                }
                Output::Event(_) => {}
            }
        }
    }

    fn publish(&mut self) {
        if now() >= self.next_voice {
            self.next_voice += Duration::from_millis(20);
            let level =
                ExtensionValues { audio_level: Some(-20), voice_activity: Some(true), ..Default::default() };
            let ts = self.base.wrapping_add(self.voices * 960);
            self.voices += 1;
            self.write(0, self.audio, 111, ts, true, vec![7; 60], level);
        }
        if now() >= self.next_frame {
            self.next_frame += Duration::from_millis(33);
            let key = std::mem::take(&mut self.keyframe_due);
            self.frames += 1;
            let ts = self.base.wrapping_add(self.frames * 2_970);
            let id = 0x7ff0u16.wrapping_add(self.frames as u16) & 0x7fff;
            for part in 0..3 {
                let start = if part == 0 { 0x90 } else { 0x80 };
                let frame = u8::from(!key);
                let mut payload =
                    vec![start, 0xe0, 0x80 | (id >> 8) as u8, id as u8, self.frames as u8, 0, frame];
                payload.resize(500, 9);
                self.write(1, self.video, 96, ts, part == 2, payload, ExtensionValues::default());
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a packet has that many fields")]
    fn write(
        &mut self,
        line: usize,
        mid: Mid,
        pt: u8,
        ts: u32,
        marker: bool,
        payload: Vec<u8>,
        ext: ExtensionValues,
    ) {
        let seq = self.seq[line];
        self.seq[line] += 1;
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).unwrap();
        let packet = RtpWrite::new(pt.into(), seq.into(), ts, now(), payload);
        stream.write_rtp(packet.marker(marker).ext_vals(ext).nackable(line == 1));
        self.rtc.handle_input(Input::Timeout(now())).unwrap();
        self.drain();
    }
}

/// Lets clients and hub run for a while.
pub(crate) fn run(hub: &mut Hub, clients: &mut [&mut Client], ms: u64) {
    run_until(hub, clients, ms, |_, _| false);
}

/// Lets clients and hub run until something is so; answers whether it came to be.
pub(crate) fn run_until(
    hub: &mut Hub,
    clients: &mut [&mut Client],
    ms: u64,
    done: impl Fn(&Hub, &[&mut Client]) -> bool,
) -> bool {
    let deadline = now() + Duration::from_millis(ms);
    while now() < deadline {
        for client in clients.iter_mut() {
            client.step();
        }
        hub.listen();
        if done(hub, clients) {
            return true;
        }
    }
    false
}

/// Connects clients that have joined, still in the lobby.
pub(crate) fn connect(hub: &mut Hub, clients: &mut [&mut Client]) {
    let up = run_until(hub, clients, 10_000, |_, clients| clients.iter().all(|client| client.connected));
    assert!(up, "the clients did not connect");
}

/// Whether a packet begins a VP8 keyframe.
pub(crate) fn is_keyframe(packet: &RtpPacket) -> bool {
    Vp8Descriptor::parse(&packet.payload).is_ok_and(|descriptor| descriptor.starts_keyframe(&packet.payload))
}
