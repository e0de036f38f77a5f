//! Attacks on a real node over loopback: what strangers with sockets of their own can do. Everything that needs exact
//! counts is in `src/attacks/`, in simulated time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod harness;

/// What the service runs with.
pub(crate) const EGRESS: sfu::EgressKind = sfu::EgressKind::Own;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Client, Hub, ROOM, TENANT, connect, run, run_until};
use sfu::control::{Command, Event, LegId, Refusal, RoomId};
use uuid::Uuid;

/// Call set-ups under attack, and how many at a time.
const SETUPS: u32 = 200;
const SETUPS_AT_ONCE: u32 = 10;

/// A hello whose only cipher is none (ES2023-01).
fn null_hello() -> Vec<u8> {
    let mut body = vec![254, 253];
    body.extend([9; 32]); // Random.
    body.extend([0, 0, 0, 2, 0, 0, 1, 0]); // No session, no cookie, TLS_NULL_WITH_NULL_NULL, no compression.
    let length = [0, body.len() as u8];
    let mut handshake = vec![1, 0, length[0], length[1], 0, 0, 0, 0, 0, 0, length[0], length[1]];
    handshake.extend(&body);
    let mut record = vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, handshake.len() as u8];
    record.extend(handshake);
    record
}

/// A thread that sends hellos from sockets of its own, about 5,000 a second, until it is dropped.
struct Sprayer {
    sockets: Arc<Vec<UdpSocket>>,
    sent: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sprayer {
    fn start(to: SocketAddr, from: &[&str]) -> Sprayer {
        let sockets: Vec<UdpSocket> = from.iter().map(|address| UdpSocket::bind(address).unwrap()).collect();
        let (sockets, sent, stop) =
            (Arc::new(sockets), Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (socks, count, stopping) = (sockets.clone(), sent.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let hello = null_hello();
            while !stopping.load(Ordering::Relaxed) {
                for socket in socks.iter() {
                    if socket.send_to(&hello, to).is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_micros(200 * socks.len() as u64));
            }
        });
        Sprayer { sockets, sent, stop, thread: Some(thread) }
    }

    /// How many hellos it sent, and how many datagrams came back.
    fn finish(mut self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
        (self.sent.load(Ordering::Relaxed), self.sockets.iter().map(heard).sum())
    }
}

/// How many datagrams wait at a socket.
fn heard(socket: &UdpSocket) -> usize {
    socket.set_nonblocking(true).unwrap();
    let mut buffer = [0; 2_048];
    std::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).count()
}

#[test]
fn two_hundred_calls_are_set_up_under_a_spray_of_forged_hellos_that_nobody_answers() {
    let mut hub = Hub::start_in(tempfile::tempdir().unwrap(), 1_000);
    // From elsewhere, and from the address of the callers with other ports.
    let sprayer = Sprayer::start(
        hub.node.local_addr(),
        &["127.0.0.2:0", "127.0.0.3:0", "127.0.0.4:0", "127.0.0.1:0", "127.0.0.1:0"],
    );
    for wave in 0..SETUPS / SETUPS_AT_ONCE {
        let room = RoomId(Uuid::from_u128(u128::from(wave)));
        let first = wave * SETUPS_AT_ONCE + 1;
        let mut clients: Vec<Client> =
            (first..first + SETUPS_AT_ONCE).map(|n| Client::join(&mut hub, room, n)).collect();
        let mut all: Vec<&mut Client> = clients.iter_mut().collect();
        connect(&mut hub, &mut all);
        for client in &clients {
            hub.send(Command::Leave { leg: client.leg });
        }
        hub.listen();
        assert!(!hub.seen.iter().any(|event| matches!(event, Event::Lost { .. } | Event::Refused { .. })));
    }
    let (sent, answers) = sprayer.finish();
    assert!(sent > SETUPS as usize * 10, "only {sent} hellos");
    assert_eq!(answers, 0, "a stranger was answered");
}

#[test]
fn hellos_from_a_member_of_the_call_are_that_members_own_affair() {
    let mut hub = Hub::start();
    let mut foul = Client::join(&mut hub, ROOM, 1);
    connect(&mut hub, &mut [&mut foul]);
    for n in 2..12 {
        let mut honest = Client::join(&mut hub, ROOM, n);
        for _ in 0..50 {
            foul.send_raw(&null_hello());
        }
        connect(&mut hub, &mut [&mut honest]);
        assert!(!hub.seen.contains(&Event::Lost { leg: honest.leg }));
    }
}

#[test]
fn media_from_another_address_is_neither_taken_nor_followed() {
    let mut hub = Hub::start();
    let (mut a, mut b) = (Client::join(&mut hub, ROOM, 1), Client::join(&mut hub, ROOM, 2));
    connect(&mut hub, &mut [&mut a, &mut b]);
    for client in [&a, &b] {
        hub.send(Command::Enter { leg: client.leg });
    }
    run(&mut hub, &mut [&mut a, &mut b], 500);
    a.record();
    run(&mut hub, &mut [&mut a, &mut b], 300);
    let recorded = a.recorded();
    assert!(recorded.len() > 20);
    // The same host with another port, and another host: before and after the caller's own packets.
    let thieves = ["127.0.0.1:0", "127.0.0.9:0"].map(|address| UdpSocket::bind(address).unwrap());
    let before = b.received.len();
    for packet in &recorded {
        for thief in &thieves {
            thief.send_to(packet, hub.node.local_addr()).unwrap();
        }
    }
    let more = |_: &Hub, clients: &[&mut Client]| clients[1].received.len() > before + 100;
    assert!(run_until(&mut hub, &mut [&mut a, &mut b], 5_000, more), "the call goes on");
    let mut seqs: Vec<(String, u64)> =
        b.received.iter().map(|(mid, packet)| (mid.to_string(), *packet.seq_no)).collect();
    let all = seqs.len();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), all, "nothing was taken twice");
    assert_eq!(thieves.iter().map(heard).sum::<usize>(), 0, "nothing is sent where media came from");
}

#[test]
fn addresses_that_an_offer_names_are_never_spoken_to() {
    let mut hub = Hub::start();
    let canaries = ["127.0.0.1:0", "127.0.0.66:0", "[::1]:0"].map(UdpSocket::bind);
    let canaries: Vec<UdpSocket> = canaries.into_iter().filter_map(Result::ok).collect();
    assert!(canaries.len() >= 2);
    let named = |n: usize| {
        let address = canaries[n % canaries.len()].local_addr().unwrap();
        let (ip, port) = (address.ip(), address.port());
        format!("a=candidate:{n} 1 udp {} {ip} {port} typ host\r\n", 2_122_260_223 - n)
    };
    let others = "a=candidate:90 1 udp 99 169.254.169.254 80 typ host\r\n\
                  a=candidate:91 1 udp 98 0a0a0a0a-0000-4000-8000-000000000000.local 9 typ host\r\n\
                  a=candidate:92 1 tcp 97 127.0.0.1 22 typ host tcptype passive\r\n";
    let with = |offer: &str, n: usize| {
        offer.to_owned() + &(0..n).map(named).collect::<String>() + others + "a=end-of-candidates\r\n"
    };
    let (_, offer, _, sends) = Client::prepare(1);
    let tries = [(28, None), (10_000, Some(Refusal::OfferTooLarge))];
    for (n, (candidates, expected)) in tries.into_iter().enumerate() {
        let leg = LegId(Uuid::from_u128(500 + n as u128));
        // The client's own candidate is a line too.
        let offer = with(&offer, candidates);
        hub.send(Command::Join { leg, room: ROOM, tenant: TENANT, offer, sends: sends.clone() });
        let answer = hub.expect("an answer", |event| match event {
            Event::Joined { leg: of, .. } | Event::Refused { leg: of, .. } => *of == leg,
            _ => false,
        });
        let refused = match answer {
            Event::Refused { reason, .. } => Some(reason),
            _ => None,
        };
        assert_eq!(refused, expected);
        hub.send(Command::Enter { leg });
    }
    // Others call meanwhile, for longer than any check would wait.
    let (mut a, mut b) = (Client::join(&mut hub, ROOM, 1), Client::join(&mut hub, ROOM, 2));
    connect(&mut hub, &mut [&mut a, &mut b]);
    run(&mut hub, &mut [&mut a, &mut b], 2_500);
    assert_eq!(canaries.iter().map(heard).sum::<usize>(), 0);
}

#[test]
fn ten_thousand_legs_come_and_go_through_one_node_and_leave_no_descriptor() {
    let mut hub = Hub::start();
    let (_, offer, _, sends) = Client::prepare(1);
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let resident_kb = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find_map(|line| line.strip_prefix("VmRSS:").map(|kb| kb.trim().to_owned()))
    };
    let churn = |hub: &mut Hub, legs: std::ops::Range<u128>| {
        for n in legs {
            let leg = LegId(Uuid::from_u128(n));
            let room = RoomId(Uuid::from_u128(n % 5));
            hub.send(Command::Join { leg, room, tenant: TENANT, offer: offer.clone(), sends: sends.clone() });
            hub.send(Command::Enter { leg });
            hub.send(Command::Leave { leg });
            if n % 50 == 49 {
                hub.expect("the goodbye", |event| *event == Event::Left { leg });
                hub.seen.clear();
            }
        }
    };
    churn(&mut hub, 0..1_000);
    let (before, began) = (descriptors(), resident_kb());
    churn(&mut hub, 1_000..10_000);
    println!("resident after 1,000 and 10,000 legs: {began:?}, {:?}", resident_kb());
    // Tests beside this one open sockets of their own; 9,000 legs would show.
    assert!(descriptors() < before + 100, "{} after {before}", descriptors());
    hub.node.stop();
}
