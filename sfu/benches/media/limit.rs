//! What the machine could do at best: nothing but copying a payload, sealing it and handing it to the kernel.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};

use crate::cpu;

const PAYLOAD: usize = 1_200;
/// Header, payload and tag.
const DATAGRAM: usize = 12 + PAYLOAD + 16;
const RECEIVERS: usize = 200;
/// Packets of a train, here and of a frame in the rows beside it.
pub(crate) const TRAIN: u32 = 10;
const FOR: Duration = Duration::from_secs(1);

/// Packets that everybody is sent a second where there is a pace, here and in the rows beside it.
pub(crate) const PACE: u32 = 300;

/// Microseconds of processor time for one datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Each sent by itself, one after the other.
    pub(crate) single_us: f64,
    /// In trains of ten, one after the other.
    pub(crate) train_us: f64,
    /// Each by itself, at the pace of a picture. Between two rounds the thread sleeps, and what it needs has left the caches.
    pub(crate) paced_single_us: f64,
    /// In trains of ten, at that pace.
    pub(crate) paced_train_us: f64,
}

/// Measures both on loopback, with receivers that take what comes.
pub(crate) fn measure() -> Limits {
    let receivers: Vec<UdpSocket> = (0..RECEIVERS).map(|_| bound()).collect();
    let stopping = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| take_all(&receivers, &stopping));
        let limits = Limits {
            single_us: send(&receivers, 1, None),
            train_us: send(&receivers, TRAIN, None),
            paced_single_us: send(&receivers, 1, Some(every(1))),
            paced_train_us: send(&receivers, TRAIN, Some(every(TRAIN))),
        };
        stopping.store(true, Ordering::Relaxed);
        limits
    })
}

/// From one round to the next.
fn every(train: u32) -> Duration {
    Duration::from_secs(1) * train / PACE
}

fn bound() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_nonblocking(true).expect("a socket can be non-blocking");
    socket
}

fn take_all(receivers: &[UdpSocket], stopping: &AtomicBool) {
    let mut buffer = [0; 2_000];
    while !stopping.load(Ordering::Relaxed) {
        for receiver in receivers {
            while receiver.recv(&mut buffer).is_ok() {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn send(receivers: &[UdpSocket], train: u32, every: Option<Duration>) -> f64 {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("32 bytes"));
    let socket = bound();
    let state = UdpSocketState::new(UdpSockRef::from(&socket)).expect("a UDP socket");
    let to: Vec<_> = receivers.iter().map(|receiver| receiver.local_addr().expect("bound")).collect();
    let payload = [9; PAYLOAD];
    let mut datagrams = vec![0; train as usize * DATAGRAM];
    let (begun, before, mut sent) = (Instant::now(), cpu::of_this_thread(), 0);
    let mut rounds = 0;
    while begun.elapsed() < FOR {
        if let Some(every) = every {
            std::thread::sleep((every * rounds).saturating_sub(begun.elapsed()));
            rounds += 1;
        }
        for destination in &to {
            for datagram in datagrams.chunks_mut(DATAGRAM) {
                sent += 1;
                datagram[12..12 + PAYLOAD].copy_from_slice(&payload);
                let (head, rest) = datagram.split_at_mut(12);
                let (body, tag) = rest.split_at_mut(PAYLOAD);
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&u64::to_be_bytes(sent));
                let nonce = Nonce::assume_unique_for_key(nonce);
                let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(head), body);
                tag.copy_from_slice(sealed.expect("it fits").as_ref());
            }
            let transmit = Transmit {
                destination: *destination,
                ecn: None,
                contents: &datagrams,
                segment_size: (train > 1).then_some(DATAGRAM),
                src_ip: None,
            };
            let _dropped = state.try_send(UdpSockRef::from(&socket), &transmit);
        }
    }
    (cpu::of_this_thread() - before).as_secs_f64() * 1e6 / sent as f64
}
