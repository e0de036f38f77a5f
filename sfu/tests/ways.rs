//! The ways to a node: IPv4 and IPv6, UDP and TCP; and what strangers may do to the TCP side (attack M17).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod harness;

/// What the service runs with.
pub(crate) const EGRESS: sfu::EgressKind = sfu::EgressKind::Own;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use harness::{Client, Hub, Line, ROOM, connect, run, run_until};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use sfu::control::{Command, Event};

/// Connections that never say anything whole.
const LORISES: u32 = 20_000;
/// How many of them are kept open at once.
const HELD: usize = 7_000;
/// Connections that one leg proves, and how many it may hold.
const PROVEN: usize = 200;
const PROVEN_MAX: usize = 8;

fn enter(hub: &Hub, clients: &[&mut Client]) {
    for client in clients {
        hub.send(Command::Enter { leg: client.leg });
    }
}

/// Two who join by these ways hear and see each other.
fn hear_and_see(hub: &mut Hub, lines: [Line; 2]) {
    let [a, b] = lines;
    let (mut a, mut b) = (Client::join_by(a, hub, ROOM, 1), Client::join_by(b, hub, ROOM, 2));
    let mut clients = [&mut a, &mut b];
    connect(hub, &mut clients);
    enter(hub, &clients);
    let flows = run_until(hub, &mut clients, 5_000, |_, clients| {
        clients.iter().all(|client| client.received.len() > 200)
    });
    assert!(flows, "{} and {} packets came", a.received.len(), b.received.len());
}

#[test]
fn a_caller_over_tcp_and_one_over_udp_hear_and_see_each_other() {
    let mut hub = Hub::start();
    let server = hub.node.local_addr();
    hear_and_see(&mut hub, [Line::tcp(server), Line::udp("127.0.0.1")]);
}

#[test]
fn so_do_two_over_ipv6() {
    let mut hub = Hub::start_at("[::1]:0".parse().unwrap(), tempfile::tempdir().unwrap(), 10, 1);
    let server = hub.node.local_addr();
    assert!(server.is_ipv6());
    hear_and_see(&mut hub, [Line::tcp(server), Line::udp("::1")]);
}

#[test]
fn whoever_hangs_up_a_connection_is_lost_like_anybody_who_falls_silent() {
    let mut hub = Hub::start();
    let server = hub.node.local_addr();
    let mut a = Client::join_by(Line::tcp(server), &mut hub, ROOM, 1);
    connect(&mut hub, &mut [&mut a]);
    let leg = a.leg;
    drop(a);
    assert!(run_until(&mut hub, &mut [], 20_000, |hub, _| hub.seen.contains(&Event::Lost { leg })));
}

/// Whether the other side has closed.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match stream.read(&mut [0; 16]) {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

fn closes(stream: &TcpStream, within: Duration) -> bool {
    let deadline = harness::now() + within;
    while harness::now() < deadline {
        if is_closed(stream) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn a_connection_has_one_try_and_no_long_packets() {
    let hub = Hub::start();
    let stun_without_a_name = [&[0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    for first in
        [&[0, 4, 22, 254, 253, 0][..], &[8, 1], &[0, 0], b"GET / HTTP/1.1\r\n\r\n", &stun_without_a_name]
    {
        let mut stream = TcpStream::connect(hub.node.local_addr()).unwrap();
        stream.write_all(first).unwrap();
        assert!(closes(&stream, Duration::from_secs(4)), "{first:?}");
    }
}

#[test]
fn a_leg_that_proves_connections_without_end_holds_eight_and_costs_the_others_nothing() {
    let mut hub = Hub::start();
    let server = hub.node.local_addr();
    let mut a = Client::join_by(Line::tcp(server), &mut hub, ROOM, 1);
    let mut b = Client::join_by(Line::tcp(server), &mut hub, ROOM, 2);
    let mut greedy = Client::join(&mut hub, ROOM, 3);
    connect(&mut hub, &mut [&mut a, &mut b, &mut greedy]);
    enter(&hub, &[&mut a, &mut b]);
    run(&mut hub, &mut [&mut a, &mut b, &mut greedy], 500);
    let frame = [&(greedy.check.len() as u16).to_be_bytes()[..], &greedy.check].concat();
    let received = [a.received.len(), b.received.len()];
    let mut proven = Vec::new();
    for _ in 0..PROVEN {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.write_all(&frame).unwrap();
        run(&mut hub, &mut [&mut a, &mut b, &mut greedy], 5);
        proven.push(stream);
    }
    run(&mut hub, &mut [&mut a, &mut b, &mut greedy], 500);
    // An open one has the answer to its check waiting; what was ended has that and then the end.
    let is_open = |stream: &&TcpStream| {
        while matches!((&mut &**stream).read(&mut [0; 256]), Ok(1..)) {}
        !is_closed(stream)
    };
    proven.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    assert_eq!(proven.iter().filter(is_open).count(), PROVEN_MAX);
    assert!(proven.iter().rev().take(PROVEN_MAX).all(|stream| is_open(&stream)), "the newest stay");
    assert!(a.received.len() > received[0] + 50 && b.received.len() > received[1] + 50);
    hub.send(Command::Leave { leg: greedy.leg });
    run(&mut hub, &mut [&mut a, &mut b], 500);
    assert_eq!(proven.iter().filter(is_open).count(), 0, "they go with their leg");
}

/// A connection from one of many addresses, as each has ports for some of them only.
fn loris(n: u32, to: SocketAddrV4) -> Option<TcpStream> {
    let from = SocketAddr::from(([127, 0, 1, 1 + (n / 4_000) as u8], 0));
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).ok()?;
    rustix::net::bind(&socket, &from).ok()?;
    rustix::net::connect(&socket, &to).ok()?;
    let mut stream = TcpStream::from(socket);
    stream.write_all(&[1]).ok()?;
    Some(stream)
}

#[test]
fn twenty_thousand_connections_that_say_nothing_whole_cost_a_call_no_packet() {
    let mut hub = Hub::start();
    let server = hub.node.local_addr();
    let mut a = Client::join_by(Line::tcp(server), &mut hub, ROOM, 1);
    let mut b = Client::join_by(Line::tcp(server), &mut hub, ROOM, 2);
    connect(&mut hub, &mut [&mut a, &mut b]);
    enter(&hub, &[&mut a, &mut b]);
    run(&mut hub, &mut [&mut a, &mut b], 500);
    let SocketAddr::V4(server) = server else { panic!("{server}") };
    let attack = std::thread::spawn(move || {
        let (mut held, mut opened) = (VecDeque::new(), 0);
        for n in 0..LORISES {
            let Some(stream) = loris(n, server) else { continue };
            opened += 1;
            held.push_back(stream);
            if held.len() > HELD {
                held.pop_front();
            }
        }
        (held, opened)
    });
    let (written, received) = ([a.written(), b.written()], [a.received.len(), b.received.len()]);
    while !attack.is_finished() {
        run(&mut hub, &mut [&mut a, &mut b], 20);
    }
    let (held, opened) = attack.join().unwrap();
    assert_eq!(opened, LORISES, "nobody is kept from connecting");
    // What is on its way arrives.
    (a.publishes, b.publishes) = (false, false);
    let written = [a.written() - written[0], b.written() - written[1]];
    run(&mut hub, &mut [&mut a, &mut b], 300);
    let received = [a.received.len() - received[0], b.received.len() - received[1]];
    assert!(received[0] >= written[1] && received[1] >= written[0], "{received:?} of {written:?} crosswise");

    let waiting = held.iter().filter(|stream| !is_closed(stream)).count();
    assert!((1..HELD).contains(&waiting), "the oldest go, the newest stay: {waiting}");
    assert!(!is_closed(held.back().unwrap()));
    // Their time is up after 5 s; the call goes on.
    run(&mut hub, &mut [&mut a, &mut b], 6_500);
    assert!(held.iter().all(is_closed), "a connection that proves nothing is held for 5 s");
    let received = [a.received.len(), b.received.len()];
    (a.publishes, b.publishes) = (true, true);
    run(&mut hub, &mut [&mut a, &mut b], 500);
    assert!(a.received.len() > received[0] + 20 && b.received.len() > received[1] + 20);
}
