//! No attack, for once: what a calm call makes the packet path allocate.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use allocation_counter::measure;
use str0m::change::SdpOffer;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Input, Output, Rtc, RtcConfig};
use uuid::Uuid;

use super::client::Client;
use super::lab::{Lab, ROOM, server};
use crate::control::{Command, Event, TenantId};
use crate::egress::{Path, Wire};
use crate::peer::Now;
use crate::rtcp;
use crate::shard::Shard;

/// How often some list may still find that it needs more room than ever before.
const GROWTHS: u64 = 10;

/// Datagrams of one kind, and what taking them allocated.
#[derive(Debug, Default)]
struct Taken {
    datagrams: u64,
    allocations: u64,
    /// Datagrams for which anything was allocated.
    dear: u64,
}

impl Taken {
    fn add(&mut self, allocations: u64) {
        self.datagrams += 1;
        self.allocations += allocations;
        self.dear += u64::from(allocations > 0);
    }
}

/// A wire with room for all that a turn sends.
struct Wide {
    bytes: Vec<u8>,
    datagrams: Vec<(SocketAddr, Range<usize>)>,
}

impl Wide {
    fn new() -> Wide {
        Wide { bytes: Vec::with_capacity(1 << 20), datagrams: Vec::with_capacity(1 << 10) }
    }

    fn reach(&mut self, clients: &mut [Client], lab: &Lab) {
        for (remote, range) in self.datagrams.drain(..) {
            if let Some(client) = clients.iter_mut().find(|client| client.address == remote) {
                client.receive(server(), &self.bytes[range], lab.now.instant);
            }
        }
        self.bytes.clear();
    }
}

impl Wire for Wide {
    fn send(&mut self, path: Path, train: &[u8], segment: usize) {
        for datagram in train.chunks(segment) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(datagram);
            self.datagrams.push((path.remote.address, start..self.bytes.len()));
        }
    }
}

fn is_media(datagram: &[u8]) -> bool {
    matches!(datagram, [128..192, ..]) && !rtcp::is_rtcp(datagram)
}

/// Media of one publisher, and the reports of this many subscribers, in five seconds. Some packets are lost on the way, so
/// that there is something to ask for again.
fn call<const PEOPLE: usize>() -> (Taken, Taken) {
    let mut lab = Lab::new();
    let mut clients: [Client; PEOPLE] = std::array::from_fn(|_| lab.join(ROOM));
    clients[1..].iter_mut().for_each(|client| client.publishes = false);
    lab.run(&mut clients, 2_000);
    clients.iter().for_each(|client| lab.command(Command::Enter { leg: client.leg }));
    // Until every ring has come around once.
    lab.run(&mut clients, 15_000);
    let (mut media, mut reports, mut repairs) = (Taken::default(), Taken::default(), 0);
    let mut wire = Wide::new();
    for step in 0..1_000 {
        lab.pass(Duration::from_millis(5));
        for n in 0..PEOPLE {
            clients[n].step(lab.now.instant);
            for datagram in clients[n].take_outbox() {
                let (address, now) = (clients[n].address, lab.now);
                let taken = measure(|| {
                    lab.shard.datagram(server(), address.into(), &datagram, now);
                    lab.shard.write(now, &mut wire);
                });
                match (is_media(&datagram), rtcp::is_rtcp(&datagram)) {
                    (true, _) => media.add(taken.count_total),
                    (_, true) if n > 0 => {
                        reports.add(taken.count_total);
                        repairs += wire.datagrams.len();
                    }
                    _ => {}
                }
                if step % 20 == 7 {
                    wire.datagrams.clear();
                }
                wire.reach(&mut clients, &lab);
            }
        }
        lab.step_alone(&mut clients);
    }
    assert!(clients[1].packets_from(&clients[0]) > 1_000, "the call was one");
    assert!(repairs > 0, "something was asked for again");
    (media, reports)
}

/// What str0m allocates by itself for the same publisher, with nobody behind it.
fn str0m_alone() -> Taken {
    let mut lab = Lab::new();
    let (mut client, offer, pending) = Client::new(1, lab.now.instant);
    let mut rtc = RtcConfig::new().set_ice_lite(true).set_rtp_mode(true).build(lab.now.instant);
    rtc.add_local_candidate(Candidate::host(server(), "udp").unwrap());
    let offer = SdpOffer::from_sdp_string(&offer).unwrap();
    let answer = rtc.sdp_api().accept_offer(offer).unwrap();
    client.accept(pending, &answer.to_sdp_string(), Vec::new());
    let (mut media, mut sent) = (Taken::default(), Vec::new());
    for step in 0..2_000 {
        lab.pass(Duration::from_millis(5));
        let now = lab.now.instant;
        client.step(now);
        for datagram in client.take_outbox() {
            let taken = measure(|| {
                let received = Receive::new(Protocol::Udp, client.address, server(), &datagram[..]);
                rtc.handle_input(Input::Receive(now, received.unwrap())).unwrap();
                drain(&mut rtc, &mut sent);
            });
            if is_media(&datagram) && step > 1_000 {
                media.add(taken.count_total);
            }
        }
        rtc.handle_input(Input::Timeout(now)).unwrap();
        drain(&mut rtc, &mut sent);
        sent.drain(..).for_each(|datagram: Vec<u8>| client.receive(server(), &datagram, now));
    }
    media
}

fn drain(rtc: &mut Rtc, sent: &mut Vec<Vec<u8>>) {
    loop {
        match rtc.poll_output().unwrap() {
            Output::Timeout(_) => return,
            Output::Transmit(transmit) => sent.push(Vec::from(transmit.contents)),
            Output::Event(_) => {}
        }
    }
}

#[test]
fn a_calm_call_allocates_nothing_for_a_subscriber_and_one_shared_packet_beyond_str0m() {
    let alone = str0m_alone();
    let [(few, few_reports), (many, many_reports)] = [call::<2>(), call::<9>()];
    assert!(alone.datagrams > 500 && few.datagrams == alone.datagrams && many.datagrams == alone.datagrams);
    // What is added is the packet that all subscribers share.
    let most = alone.allocations + alone.datagrams + GROWTHS;
    assert!(few.allocations <= most, "{few:?}, and str0m alone {alone:?}");
    assert!(many.allocations <= most, "{many:?} for eight subscribers, {few:?} for one");
    // Once a second, to the step, a client sends the sender reports of its own lines, which str0m reads and allocates for.
    assert!(many_reports.datagrams > 300 && few_reports.dear <= 5 && many_reports.dear <= 8 * 5);
}

/// How many datagrams each call of the kernel carried.
#[derive(Default)]
struct Trains(Vec<usize>);

impl Wire for Trains {
    fn send(&mut self, _path: Path, train: &[u8], segment: usize) {
        self.0.push(train.chunks(segment).count());
    }
}

/// The publisher's next picture: three packets.
fn next_picture(lab: &mut Lab, clients: &mut [Client]) -> Vec<Vec<u8>> {
    loop {
        lab.pass(Duration::from_millis(5));
        clients[0].step(lab.now.instant);
        let picture = |datagram: &Vec<u8>| is_media(datagram) && datagram.len() > 500;
        let (picture, others): (Vec<_>, Vec<_>) = clients[0].take_outbox().into_iter().partition(picture);
        others.iter().for_each(|datagram| lab.receive(clients[0].address, datagram, clients));
        lab.step_alone(clients);
        if picture.len() == 3 {
            return picture;
        }
    }
}

#[test]
fn a_picture_leaves_in_one_train_and_waits_for_its_rest_no_longer_than_a_moment() {
    let mut lab = Lab::new();
    let mut clients = lab.call::<2>(ROOM);
    let publisher = clients[0].address;
    let mut trains = Trains::default();
    for datagram in next_picture(&mut lab, &mut clients) {
        assert!(trains.0.is_empty());
        lab.shard.datagram(server(), publisher.into(), &datagram, lab.now);
        lab.shard.write(lab.now, &mut trains);
    }
    assert_eq!(trains.0, [3]);
    for datagram in &next_picture(&mut lab, &mut clients)[..2] {
        lab.shard.datagram(server(), publisher.into(), datagram, lab.now);
        lab.shard.write(lab.now, &mut trains);
    }
    assert_eq!(trains.0, [3], "the third is on its way");
    assert!(lab.shard.deadline() <= lab.now.instant + Duration::from_micros(300));
    lab.pass(Duration::from_micros(299));
    lab.shard.write(lab.now, &mut trains);
    assert_eq!(trains.0, [3]);
    lab.pass(Duration::from_micros(1));
    lab.shard.write(lab.now, &mut trains);
    assert_eq!(trains.0, [3, 2], "or was lost");
}

/// A shard whose every byte is counted.
struct Counted {
    lab: Lab,
    bytes: i64,
    wire: Wide,
}

impl Counted {
    fn act<T>(&mut self, act: impl FnOnce(&mut Shard, Now, &mut Wide) -> T) {
        let (shard, now, wire) = (&mut self.lab.shard, self.lab.now, &mut self.wire);
        self.bytes += measure(|| _ = act(shard, now, wire)).bytes_current;
    }

    fn join(&mut self, n: u16) -> Client {
        let (mut client, offer, pending) = Client::new(n, self.lab.now.instant);
        let (leg, tenant, sends) = (client.leg, TenantId(Uuid::nil()), client.sends());
        let join = Command::Join { leg, room: ROOM, tenant, offer, sends };
        self.act(|shard, now, _| shard.command(join, now));
        let joined = self.lab.shard.out.events.last().cloned();
        let Some(Event::Joined { answer, slots, .. }) = joined else { panic!("there is a place") };
        client.accept(pending, &answer, slots);
        client.publishes = false;
        client
    }

    fn run(&mut self, clients: &mut [Client], ms: u64) {
        for _ in 0..ms / 5 {
            self.lab.pass(Duration::from_millis(5));
            for n in 0..clients.len() {
                clients[n].step(self.lab.now.instant);
                for datagram in clients[n].take_outbox() {
                    let address = clients[n].address;
                    self.act(|shard, now, wire| {
                        shard.datagram(server(), address.into(), &datagram, now);
                        shard.write(now, wire);
                    });
                    self.wire.reach(clients, &self.lab);
                }
            }
            self.act(|shard, now, wire| {
                shard.time(now);
                let _facts = shard.checkpoint(now);
                shard.write(now, wire);
                shard.out.events.clear();
                shard.out.usage.clear();
            });
            self.wire.reach(clients, &self.lab);
        }
    }
}

#[test]
fn what_a_subscriber_takes_in_memory_has_a_bound() {
    const PEOPLE: u16 = 50;
    let mut counted = Counted { lab: Lab::new(), bytes: 0, wire: Wide::new() };
    let mut clients: Vec<Client> = (1..=PEOPLE).map(|n| counted.join(n)).collect();
    counted.run(&mut clients, 2_000);
    for client in &clients {
        assert!(client.connected);
        counted.act(|shard, now, _| shard.command(Command::Enter { leg: client.leg }, now));
    }
    counted.run(&mut clients, 2_000);
    let idle_kb = counted.bytes / i64::from(PEOPLE) / 1_000;
    clients[0].publishes = true;
    // Until every ring is full. The shared packets are in the figure.
    counted.run(&mut clients, 10_000);
    assert!(clients[9].packets_from(&clients[0]) > 1_000, "the call was one");
    let active_kb = counted.bytes / i64::from(PEOPLE) / 1_000;
    // Two thirds of what is there before anything plays are str0m's, once it has answered the offer.
    assert!(idle_kb <= 90 && active_kb <= 155, "{idle_kb} kB, {active_kb} kB");
}
