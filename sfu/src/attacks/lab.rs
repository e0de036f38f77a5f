//! A shard on a table: its clients, its clock and everything that it sends, under the eyes of the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::SdpPendingOffer;
use str0m::channel::ChannelConfig;
use uuid::Uuid;

use super::client::{Client, Layer, PLAIN, SEATS};
use crate::congestion::tests::link::{Link, Media, Nature, Packet};
use crate::control::{Command, Event, LegId, Meter, RoomId, SendLine, SlotTrack, TenantId, UsageFact};
use crate::egress::{EgressKind, Path, Wire};
use crate::peer::Now;
use crate::relay::Shards;
use crate::shard::Shard;

/// How far the clock goes at a time.
const STEP: Duration = Duration::from_millis(5);

pub(super) const ROOM: RoomId = RoomId(Uuid::from_u128(1));
pub(super) const OTHER_ROOM: RoomId = RoomId(Uuid::from_u128(2));

pub(super) fn server() -> SocketAddr {
    ([192, 0, 2, 1], 3478).into()
}

/// An address that belongs to nobody in the call.
pub(super) fn stranger(n: u16) -> SocketAddr {
    ([203, 0, 113, 66], 1_024 + n).into()
}

/// The offer of somebody who only listens: quick to answer, where thousands are.
pub(super) fn small_offer(now: Instant) -> String {
    let mut rtc = str0m::Rtc::new(now);
    let mut api = rtc.sdp_api();
    let (kind, direction) = (str0m::media::MediaKind::Audio, str0m::media::Direction::RecvOnly);
    api.add_media(kind, direction, None, None, None);
    api.apply().expect("something to offer").0.to_sdp_string()
}

/// An offer of somebody who does not report on packets.
pub(super) fn without_transport_feedback(offer: String) -> String {
    let is_kept = |line: &&str| !line.contains("transport-cc") && !line.contains("transport-wide-cc");
    offer.lines().filter(is_kept).map(|line| format!("{line}\r\n")).collect()
}

/// Which encodings of its picture a publisher was told last to rest.
pub(super) fn told_to_rest(lab: &Lab, publisher: LegId) -> Vec<String> {
    let told = lab.events.iter().rev().find_map(|event| match event {
        Event::Resting { leg, rids, .. } if *leg == publisher => Some(rids.clone()),
        _ => None,
    });
    told.unwrap_or_default()
}

/// What was sent to one address.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) datagrams: usize,
    pub(super) bytes: usize,
    /// Of SRTP and SRTCP.
    pub(super) media_bytes: usize,
}

/// One shard with simulated time.
pub(super) struct Lab {
    pub(super) shard: Shard,
    pub(super) now: Now,
    pub(super) events: Vec<Event>,
    /// What was counted, every time.
    pub(super) facts: Vec<UsageFact>,
    /// All that left the shard, by destination.
    pub(super) sent: BTreeMap<SocketAddr, Sent>,
    /// The lines of those to whom datagrams take time.
    lines: BTreeMap<SocketAddr, Line>,
    begun: Instant,
    /// Names the next client.
    next: u16,
}

impl Lab {
    pub(super) fn new() -> Lab {
        Lab::with_places(100)
    }

    pub(super) fn with_places(legs_max: usize) -> Lab {
        Lab::on(Shards::ONE, legs_max)
    }

    /// One of several shards.
    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    pub(super) fn on(shards: Shards, legs_max: usize) -> Lab {
        let now = Now { instant: Instant::now(), wall: jiff::Timestamp::UNIX_EPOCH };
        let shard =
            Shard::new(vec![server()], Arc::default(), legs_max, EgressKind::Own, shards, now.instant);
        Lab {
            shard,
            now,
            events: Vec::new(),
            facts: Vec::new(),
            sent: BTreeMap::new(),
            lines: BTreeMap::new(),
            begun: now.instant,
            next: 1 + 100 * shards.own as u16,
        }
    }

    /// A client that has its answer and is not connected yet.
    pub(super) fn join(&mut self, room: RoomId) -> Client {
        self.join_with(room, |offer| offer).expect("an honest offer is answered")
    }

    /// The same with its offer bent on the way; `None` when that is refused.
    pub(super) fn join_with(&mut self, room: RoomId, bend: impl Fn(String) -> String) -> Option<Client> {
        self.join_writing(room, &[], bend)
    }

    /// The same with data channels.
    pub(super) fn join_writing(
        &mut self,
        room: RoomId,
        channels: &[ChannelConfig],
        bend: impl Fn(String) -> String,
    ) -> Option<Client> {
        let n = self.next;
        self.next += 1;
        let client = Client::with(n, PLAIN, SEATS, channels, self.now.instant);
        self.admit(client, room, bend)
    }

    /// One whose picture has layers.
    pub(super) fn join_in_layers(&mut self, room: RoomId, layers: &'static [Layer]) -> Client {
        self.join_among(room, layers, SEATS)
    }

    /// The same among so many others.
    pub(super) fn join_among(&mut self, room: RoomId, layers: &'static [Layer], seats: usize) -> Client {
        let n = self.next;
        self.next += 1;
        let client = Client::with(n, layers, seats, &[], self.now.instant);
        self.admit(client, room, |offer| offer).expect("an honest offer is answered")
    }

    fn admit(
        &mut self,
        (mut client, offer, pending): (Client, String, SdpPendingOffer),
        room: RoomId,
        bend: impl Fn(String) -> String,
    ) -> Option<Client> {
        let joined = self.offer(client.leg, room, bend(offer), client.sends());
        let Event::Joined { answer, slots, .. } = joined else { return None };
        client.accept(pending, &answer, slots);
        Some(client)
    }

    /// What is said to a joining offer.
    pub(super) fn offer(&mut self, leg: LegId, room: RoomId, offer: String, sends: Vec<SendLine>) -> Event {
        self.command(Command::Join { leg, room, tenant: TenantId(Uuid::from_u128(7)), offer, sends });
        let about = |event: &&Event| match event {
            Event::Joined { leg: of, .. } | Event::Refused { leg: of, .. } => *of == leg,
            _ => false,
        };
        self.events.iter().rev().find(about).expect("an answer or a refusal").clone()
    }

    /// Clients that are in the call and send.
    pub(super) fn call<const N: usize>(&mut self, room: RoomId) -> [Client; N] {
        self.call_with(room, |offer| offer)
    }

    /// The same with their offers bent on the way.
    pub(super) fn call_with<const N: usize>(
        &mut self,
        room: RoomId,
        bend: fn(String) -> String,
    ) -> [Client; N] {
        let join = |_| self.join_with(room, bend).expect("still an honest offer");
        let mut clients: [Client; N] = std::array::from_fn(join);
        self.enter(&mut clients);
        clients
    }

    /// Lets clients connect and come in.
    pub(super) fn enter(&mut self, clients: &mut [Client]) {
        self.run(clients, 2_000);
        for client in clients.iter() {
            assert!(client.connected, "a client did not connect");
            self.command(Command::Enter { leg: client.leg });
        }
        self.run(clients, 1_000);
    }

    /// From now on what is sent to a client takes a line of this nature.
    pub(super) fn set_line(&mut self, client: &Client, nature: Nature) {
        let line = self.lines.entry(client.address).or_insert_with(|| Line::new(nature));
        line.link.nature = nature;
    }

    /// What a leg's customer pays for so far.
    pub(super) fn egress_bytes(&self, leg: LegId) -> u64 {
        self.used(leg, Meter::EgressBytes)
    }

    /// What a leg has used in one hour, as the tests take less.
    pub(super) fn used(&self, leg: LegId, meter: Meter) -> u64 {
        let facts = self.facts.iter().filter(|fact| fact.leg == leg && fact.meter == meter);
        facts.map(|fact| fact.quantity).max().unwrap_or_default()
    }

    pub(super) fn command(&mut self, command: Command) {
        self.shard.command(command, self.now);
        self.collect(&mut []);
    }

    /// Lets clients and shard run.
    pub(super) fn run(&mut self, clients: &mut [Client], ms: u64) {
        let end = self.now.instant + Duration::from_millis(ms);
        while self.now.instant < end {
            self.step(clients);
        }
    }

    pub(super) fn step(&mut self, clients: &mut [Client]) {
        self.step_losing(clients, |_, _| false);
    }

    /// The same, with some of what the clients send lost on the way: by the client's place, and the datagram.
    pub(super) fn step_losing(
        &mut self,
        clients: &mut [Client],
        mut is_lost: impl FnMut(usize, &[u8]) -> bool,
    ) {
        self.pass(STEP);
        for n in 0..clients.len() {
            clients[n].step(self.now.instant);
            for datagram in clients[n].take_outbox() {
                if !is_lost(n, &datagram) {
                    self.receive(clients[n].address, &datagram, clients);
                }
            }
        }
        self.step_alone(clients);
    }

    /// The shard does what is due.
    pub(super) fn step_alone(&mut self, clients: &mut [Client]) {
        self.shard.time(self.now);
        self.facts.extend(self.shard.checkpoint(self.now));
        self.collect(clients);
        self.deliver(clients);
    }

    /// The clock goes on; nobody has done anything yet.
    pub(super) fn pass(&mut self, span: Duration) {
        self.now = Now { instant: self.now.instant + span, wall: self.now.wall + span };
    }

    /// A datagram reaches the shard. What it answers reaches the clients at once.
    pub(super) fn receive(&mut self, from: SocketAddr, datagram: &[u8], clients: &mut [Client]) {
        self.shard.datagram(server(), from.into(), datagram, self.now);
        self.collect(clients);
    }

    pub(super) fn sent_to(&self, address: SocketAddr) -> Sent {
        self.sent.get(&address).copied().unwrap_or_default()
    }

    /// Nobody is there but the shard: the clock goes in strides.
    pub(super) fn wait(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.pass(Duration::from_millis(100));
            self.step(&mut []);
        }
    }

    /// How many legs were lost so far.
    pub(super) fn lost(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Lost { .. })).count()
    }

    /// What a subscriber's slots play.
    pub(super) fn slots_of(&self, subscriber: LegId) -> Vec<SlotTrack> {
        let told = self.events.iter().filter_map(|event| match event {
            Event::Slots { leg, slots } if *leg == subscriber => Some(slots),
            _ => None,
        });
        let mut playing: BTreeMap<String, SlotTrack> = BTreeMap::new();
        for slot in told.flatten() {
            playing.insert(slot.mid.clone(), slot.clone());
        }
        playing.into_values().filter(|slot| slot.track.is_some()).collect()
    }

    fn collect(&mut self, clients: &mut [Client]) {
        let mut left = Left::default();
        self.shard.write(self.now, &mut left);
        let out = &mut self.shard.out;
        self.events.append(&mut out.events);
        self.events.extend(out.usage.drain(..).filter_map(|(_, then)| then));
        for (remote, datagram) in left.0 {
            let sent = self.sent.entry(remote).or_default();
            sent.datagrams += 1;
            sent.bytes += datagram.len();
            sent.media_bytes += if (128..192).contains(&datagram[0]) { datagram.len() } else { 0 };
            if let Some(line) = self.lines.get_mut(&remote) {
                line.enter(datagram, (self.now.instant - self.begun).as_micros() as u64);
            } else if let Some(client) = clients.iter_mut().find(|client| client.address == remote) {
                client.receive(server(), &datagram, self.now.instant);
            }
        }
    }

    /// What has come over the lines.
    fn deliver(&mut self, clients: &mut [Client]) {
        let now_us = (self.now.instant - self.begun).as_micros() as u64;
        for (address, line) in &mut self.lines {
            let Some(client) = clients.iter_mut().find(|client| client.address == *address) else { continue };
            for datagram in line.arrivals(now_us) {
                client.receive(server(), &datagram, self.now.instant);
            }
        }
    }
}

/// A line and what is on it.
struct Line {
    link: Link,
    flying: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

impl Line {
    fn new(nature: Nature) -> Line {
        Line { link: Link::new(nature, 7), flying: BTreeMap::new(), next: 0 }
    }

    fn enter(&mut self, datagram: Vec<u8>, now_us: u64) {
        let (seq, size) = (self.next, datagram.len());
        self.next += 1;
        self.flying.insert(seq, datagram);
        let media = Media::Video;
        self.link.enter(Packet {
            flow: 0,
            seq,
            size,
            media,
            entered_us: now_us,
            arrived_us: 0,
            waited_us: 0,
        });
    }

    fn arrivals(&mut self, now_us: u64) -> Vec<Vec<u8>> {
        let arrived = self.link.arrivals(now_us);
        arrived.iter().filter_map(|packet| self.flying.remove(&packet.seq)).collect()
    }
}

/// What left the shard, with its destination.
#[derive(Default)]
struct Left(Vec<(SocketAddr, Vec<u8>)>);

impl Wire for Left {
    fn send(&mut self, path: Path, train: &[u8], segment: usize) {
        self.0.extend(train.chunks(segment).map(|datagram| (path.remote.address, datagram.to_vec())));
    }
}
