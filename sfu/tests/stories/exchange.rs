//! Legs through a real node over loopback: what is forwarded, what is not, and what it costs.

use std::net::UdpSocket;
use std::time::Duration;

use crate::harness::{Client, Hub, ROOM, TENANT, connect, is_keyframe, now, run, run_until};
use sfu::control::{Command, Event, Kind, LegId, Meter, Refusal, RoomId, Source, TrackKey};
use str0m::rtp::Vp8Descriptor;
use uuid::Uuid;

fn enter(hub: &mut Hub, client: &Client) {
    hub.send(Command::Enter { leg: client.leg });
}

/// Two legs that see and hear each other.
fn call(hub: &mut Hub) -> (Client, Client) {
    let mut a = Client::join(hub, ROOM, 1);
    let mut b = Client::join(hub, ROOM, 2);
    connect(hub, &mut [&mut a, &mut b]);
    enter(hub, &a);
    enter(hub, &b);
    (a, b)
}

#[test]
fn two_people_see_and_hear_each_other() {
    let mut hub = Hub::start();
    let (mut a, mut b) = call(&mut hub);
    let began = now();
    run(&mut hub, &mut [&mut a, &mut b], 2_000);
    for (me, other) in [(&a, &b), (&b, &a)] {
        let slots = hub.slots_of(me.leg);
        assert_eq!(slots.len(), 2, "{slots:?}");
        for slot in slots {
            let track = slot.track.unwrap();
            assert_eq!(track.leg, other.leg);
            let packets = me.received_on(&slot.mid);
            assert!(packets.len() > 60, "only {} packets of {track:?}", packets.len());
            let mut seqs: Vec<u64> = packets.iter().map(|packet| *packet.seq_no).collect();
            seqs.sort_unstable();
            assert_eq!(seqs[0], 1);
            assert_eq!(
                *seqs.last().unwrap() - seqs[0] + 1,
                seqs.len() as u64,
                "the line has no gap over the wraps"
            );
            if track.source == Source::Camera {
                assert!(is_keyframe(packets[0]), "a picture begins with a keyframe");
            } else {
                assert_eq!(packets[0].header.ext_vals.audio_level, Some(-20));
            }
        }
    }
    assert!(hub.seen.iter().any(|event| matches!(event, Event::Speakers { legs, .. } if legs.len() == 2)));
    for client in [&a, &b] {
        hub.send(Command::Leave { leg: client.leg });
        let leg = client.leg;
        hub.expect("the goodbye", |event| *event == Event::Left { leg });
    }
    let wall = began.elapsed().as_millis() as u64;
    std::thread::sleep(Duration::from_millis(1_300));
    hub.listen();
    for client in [&a, &b] {
        let ms = hub.used(client.leg, Meter::ParticipantMs);
        assert!(ms <= wall + 50 && ms + 400 > 2_000, "{ms} ms of {wall}");
        let payload: usize = client.received.iter().map(|(_, packet)| packet.payload.len()).sum();
        let bytes = hub.used(client.leg, Meter::EgressBytes);
        assert!(bytes > payload as u64 && bytes < payload as u64 * 2, "{bytes} bytes for {payload}");
    }
    hub.node.stop();
}

#[test]
fn a_late_joiner_gets_a_picture_at_once() {
    let mut hub = Hub::start();
    let (mut a, mut b) = call(&mut hub);
    run(&mut hub, &mut [&mut a, &mut b], 1_000);
    let mut c = Client::join(&mut hub, ROOM, 3);
    c.publishes = false;
    connect(&mut hub, &mut [&mut a, &mut b, &mut c]);
    run(&mut hub, &mut [&mut a, &mut b, &mut c], 300);
    assert!(c.received.is_empty(), "nothing in the lobby");
    let asked = a.keyframes_asked.len();
    let click = now();
    enter(&mut hub, &c);
    let video: Vec<String> =
        c.slots.iter().filter(|slot| slot.kind == Kind::Video).map(|slot| slot.mid.clone()).collect();
    let both = |_: &Hub, clients: &[&mut Client]| {
        video.iter().filter(|mid| !clients[2].received_on(mid).is_empty()).count() == 2
    };
    assert!(run_until(&mut hub, &mut [&mut a, &mut b, &mut c], 3_000, both));
    let waited = click.elapsed();
    assert!(waited < Duration::from_millis(500), "{waited:?}");
    assert_eq!(a.keyframes_asked.len(), asked, "what is kept is enough");
    run(&mut hub, &mut [&mut a, &mut b, &mut c], 500);
    for mid in &video {
        let packets = c.received_on(mid);
        if let Some(first) = packets.first() {
            assert!(is_keyframe(first));
            let id = |n: usize| Vp8Descriptor::parse(&packets[n].payload).unwrap().picture_id().unwrap();
            assert!((id(packets.len() - 1).wrapping_sub(id(0)) & 0x7fff) as usize <= packets.len() / 3 + 1);
        }
    }
}

#[test]
fn the_lobby_neither_gives_nor_gets_nor_pays() {
    let mut hub = Hub::start();
    let (mut a, mut b) = call(&mut hub);
    let mut c = Client::join(&mut hub, ROOM, 3);
    connect(&mut hub, &mut [&mut a, &mut b, &mut c]);
    run(&mut hub, &mut [&mut a, &mut b, &mut c], 1_500);
    assert!(c.received.is_empty(), "the lobby hears nothing");
    assert!(hub.usage.iter().all(|fact| fact.leg != c.leg), "the lobby is free");
    assert_eq!(hub.slots_of(a.leg).len(), 2, "the lobby is not heard");
    assert!(hub.slots_of(c.leg).is_empty());
    hub.send(Command::Leave { leg: c.leg });
    let leg = c.leg;
    hub.expect("the goodbye", |event| *event == Event::Left { leg });
}

#[test]
fn a_muted_track_takes_no_slot_and_comes_back() {
    let mut hub = Hub::start();
    let (mut a, mut b) = call(&mut hub);
    run(&mut hub, &mut [&mut a, &mut b], 600);
    let camera = TrackKey { leg: b.leg, source: Source::Camera };
    let shown = move |hub: &Hub| {
        hub.slots_of(LegId(Uuid::from_u128(1))).iter().any(|slot| slot.track == Some(camera))
    };
    assert!(shown(&hub));
    hub.send(Command::Mute { leg: b.leg, source: Source::Camera, muted: true });
    assert!(run_until(&mut hub, &mut [&mut a, &mut b], 2_000, |hub, _| !shown(hub)));
    run(&mut hub, &mut [&mut a, &mut b], 200);
    let mid = a.slots.iter().find(|slot| slot.kind == Kind::Video).unwrap().mid.clone();
    let count = a.received_on(&mid).len();
    run(&mut hub, &mut [&mut a, &mut b], 300);
    assert_eq!(a.received_on(&mid).len(), count, "nothing of a muted track leaves");
    hub.send(Command::Mute { leg: b.leg, source: Source::Camera, muted: false });
    assert!(run_until(&mut hub, &mut [&mut a, &mut b], 2_000, |hub, _| shown(hub)));
    run(&mut hub, &mut [&mut a, &mut b], 500);
    let packets = a.received_on(&mid);
    assert!(packets.len() > count);
    assert!(is_keyframe(packets[count]), "it comes back with a keyframe");
    assert_eq!(*packets[count].seq_no, *packets[count - 1].seq_no + 1, "on the same line");
}

#[test]
fn keyframe_requests_of_a_crowd_reach_the_publisher_once() {
    let mut hub = Hub::start();
    let mut a = Client::join(&mut hub, ROOM, 1);
    connect(&mut hub, &mut [&mut a]);
    enter(&mut hub, &a);
    run(&mut hub, &mut [&mut a], 200);
    let asked = a.keyframes_asked.len();
    let mut crowd: Vec<Client> = (2..8).map(|n| Client::join(&mut hub, ROOM, n)).collect();
    for client in &mut crowd {
        client.publishes = false;
    }
    let mut all: Vec<&mut Client> = crowd.iter_mut().chain([&mut a]).collect();
    connect(&mut hub, &mut all);
    for leg in 2..8 {
        hub.send(Command::Enter { leg: LegId(Uuid::from_u128(leg)) });
    }
    run(&mut hub, &mut all, 900);
    drop(all);
    assert!(a.keyframes_asked.len() - asked <= 1 + 1, "{} requests", a.keyframes_asked.len() - asked);
    assert!(crowd.iter().all(|client| !client.received.is_empty()));
}

#[test]
fn strangers_are_not_answered() {
    let mut hub = Hub::start();
    let (mut a, mut b) = call(&mut hub);
    run(&mut hub, &mut [&mut a, &mut b], 300);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut stun = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    stun.extend([5; 12]);
    let mut hello = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1];
    hello.resize(53, 0);
    for datagram in
        [stun, hello, vec![128, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], vec![], vec![255; 1_400], vec![0; 3]]
    {
        stranger.send_to(&datagram, hub.node.local_addr()).unwrap();
    }
    assert!(stranger.recv_from(&mut [0; 2_000]).is_err(), "nobody answers a stranger");
    let (before, count) = (hub.seen.len(), a.received.len());
    run(&mut hub, &mut [&mut a, &mut b], 500);
    assert!(a.received.len() > count + 20, "the call goes on");
    assert!(hub.seen[before..].iter().all(|event| !matches!(event, Event::Lost { .. })));
}

#[test]
fn offers_beyond_the_limits_are_refused_and_change_nothing() {
    let mut hub = Hub::start_in(tempfile::tempdir().unwrap(), 1);
    let (_, offer, _, sends) = Client::prepare(9);
    let candidates = format!("{offer}{}", "a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n".repeat(10_000));
    let cases = [
        ("x".repeat(1 << 20), Refusal::OfferTooLarge),
        (candidates, Refusal::OfferTooLarge),
        ("rubbish".to_owned(), Refusal::OfferNotUnderstood),
        (offer.replace("a=fingerprint:", "a=x:"), Refusal::OfferNotUnderstood),
        (offer.replace("a=ice-ufrag:", "a=x:"), Refusal::OfferNotUnderstood),
        (offer.replace("a=mid:", "a=y:"), Refusal::OfferNotUnderstood),
        (offer.replace("a=sendonly", "a=recvonly"), Refusal::SendLinesDoNotMatch),
    ];
    for (n, (offer, expected)) in cases.into_iter().enumerate() {
        let leg = LegId(Uuid::from_u128(1_000 + n as u128));
        hub.send(Command::Join { leg, room: ROOM, tenant: TENANT, offer, sends: sends.clone() });
        let began = now();
        let refused = Event::Refused { leg, reason: expected };
        hub.expect(&format!("{refused:?}"), |event| *event == refused);
        assert!(began.elapsed() < Duration::from_millis(500));
    }
    let _first = Client::join(&mut hub, ROOM, 1);
    let leg = LegId(Uuid::from_u128(2_000));
    hub.send(Command::Join { leg, room: ROOM, tenant: TENANT, offer, sends });
    hub.expect("full", |event| *event == Event::Refused { leg, reason: Refusal::Full });
}

#[test]
fn rooms_do_not_hear_each_other() {
    let mut hub = Hub::start();
    let (mut a, mut b) = call(&mut hub);
    let mut c = Client::join(&mut hub, RoomId(Uuid::from_u128(2)), 3);
    connect(&mut hub, &mut [&mut a, &mut b, &mut c]);
    enter(&mut hub, &c);
    run(&mut hub, &mut [&mut a, &mut b, &mut c], 800);
    assert!(c.received.is_empty() && hub.slots_of(c.leg).is_empty());
    assert!(hub.slots_of(a.leg).iter().all(|slot| slot.track.unwrap().leg == b.leg));
}

#[test]
fn usage_that_was_not_stored_comes_again_after_a_restart() {
    let mut hub = Hub::start();
    hub.acknowledges = false;
    let (mut a, mut b) = call(&mut hub);
    run(&mut hub, &mut [&mut a, &mut b], 800);
    hub.node.stop();
    hub.listen();
    let mut truth = hub.usage.clone();
    let Hub { directory, .. } = hub;
    let mut again = Hub::start_in(directory, 100);
    let deadline = now() + Duration::from_secs(3);
    while again.usage.is_empty() && now() < deadline {
        again.listen();
    }
    for fact in &mut truth {
        let found = again
            .usage
            .iter()
            .find(|other| (other.leg, other.meter, other.hour) == (fact.leg, fact.meter, fact.hour));
        assert!(found.unwrap().quantity >= fact.quantity, "{fact:?} and {found:?}");
    }
    assert!(again.used(a.leg, Meter::ParticipantMs) >= 700);
    std::thread::sleep(Duration::from_millis(300));
    again.node.stop();
    let Hub { directory, .. } = again;
    let mut third = Hub::start_in(directory, 100);
    std::thread::sleep(Duration::from_millis(500));
    third.listen();
    assert!(third.usage.is_empty(), "what is stored is not sent again");
}

#[test]
fn shards_have_their_own_ports_and_their_own_rooms() {
    let directory = tempfile::tempdir().unwrap();
    let mut hub = Hub::start_with(directory, 100, 2);
    let mut clients: Vec<Client> = Vec::new();
    for n in 0..6 {
        let room = [0, 4, 1][n as usize / 2];
        clients.push(Client::join(&mut hub, RoomId(Uuid::from_u128(room)), n + 1));
    }
    let ports: std::collections::BTreeSet<u16> = clients.iter().map(|client| client.server_port).collect();
    assert_eq!(ports.len(), 2, "three rooms over two shards");
    let mut all: Vec<&mut Client> = clients.iter_mut().collect();
    connect(&mut hub, &mut all);
    for n in 1..=6 {
        hub.send(Command::Enter { leg: LegId(Uuid::from_u128(n)) });
    }
    run(&mut hub, &mut all, 800);
    drop(all);
    for pair in clients.chunks(2) {
        assert_eq!(pair[0].server_port, pair[1].server_port);
        assert!(hub.slots_of(pair[0].leg).iter().all(|slot| slot.track.unwrap().leg == pair[1].leg));
        assert!(pair.iter().all(|client| client.received.len() > 20));
    }
}

#[test]
fn more_slots_break_no_stream_that_plays() {
    let mut hub = Hub::start();
    let (mut a, mut b) = call(&mut hub);
    let mid = b.slots.iter().find(|slot| slot.kind == Kind::Video).unwrap().mid.clone();
    let plays = |least: usize| {
        let mid = mid.clone();
        move |_: &Hub, clients: &[&mut Client]| clients[1].received_on(&mid).len() >= least
    };
    assert!(run_until(&mut hub, &mut [&mut a, &mut b], 3_000, plays(30)));
    let slots = b.slots.len();
    b.grow(&mut hub, 2);
    assert_eq!(b.slots.len(), slots + 2);
    let before = b.received_on(&mid).len();
    assert!(run_until(&mut hub, &mut [&mut a, &mut b], 3_000, plays(before + 30)));
    let packets = b.received_on(&mid);
    let first = packets[0].header.ssrc;
    for pair in packets.windows(2) {
        assert_eq!(pair[1].header.ssrc, first, "the stream is the same");
        assert_eq!(*pair[1].seq_no, *pair[0].seq_no + 1, "and nothing is missing");
    }
}

#[test]
fn whoever_looks_sees_what_is_forwarded_and_by_whom() {
    let mut hub = Hub::start();
    let (mut a, mut b) = call(&mut hub);
    run(&mut hub, &mut [&mut a, &mut b], 1_000);
    let look = hub.node.look();
    let [Some(shard)] = &look.shards[..] else { panic!("{look:?}") };
    let [room] = &shard.rooms[..] else { panic!("{shard:?}") };
    assert_eq!((room.room, room.lobby, room.entered), (ROOM, 0, 2));
    assert_eq!((shard.joins, &shard.refusals[..], shard.left, shard.lost), (2, &[][..], 0, 0));
    let received = (a.received.len() + b.received.len()) as u64;
    assert!(shard.counts.packets_out >= received, "{received} of {:?}", shard.counts);
    assert!(shard.counts.bytes_out > shard.counts.packets_out * 12 && shard.counts.bytes_in > 0);
    assert!(shard.counts.keyframes_asked > 0, "{:?}", shard.counts);
    assert_eq!(room.counts, shard.counts, "one room is all there is");
    assert!(matches!(shard.secured[..], [("1.3" | "1.2", _, 2)]), "{:?}", shard.secured);
    assert!(0 < shard.busy_ns && shard.busy_ns < shard.running_ns);
    assert!(look.journal.is_some());

    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(&[0x80; 40], ("127.0.0.1", a.server_port)).unwrap();
    hub.send(Command::Leave { leg: a.leg });
    let leg = a.leg;
    hub.expect("the goodbye", |event| *event == Event::Left { leg });
    hub.send(Command::Leave { leg: b.leg });
    let leg = b.leg;
    hub.expect("the goodbye", |event| *event == Event::Left { leg });
    let after = hub.node.look();
    let [Some(after)] = &after.shards[..] else { panic!("{after:?}") };
    assert!(after.rooms.is_empty() && after.left == 2);
    assert!(after.counts.packets_out >= shard.counts.packets_out, "what rooms counted outlasts them");
    assert_eq!(after.counts.dropped(sfu::metrics::Dropped::Stranger), 1);
}

#[test]
fn connections_are_told_how_they_do() {
    let mut hub = Hub::start();
    let (mut a, mut b) = call(&mut hub);
    run(&mut hub, &mut [&mut a, &mut b], 11_000);
    let mut told = hub.seen.iter().filter_map(|event| match event {
        Event::Quality { room, legs } => Some((room, legs)),
        _ => None,
    });
    let (room, legs) = told.next_back().unwrap();
    assert_eq!((*room, legs.len()), (ROOM, 2));
    for quality in legs {
        assert!(quality.up.bits_per_s > 10_000 && quality.down.bits_per_s > 10_000, "{quality:?}");
        assert_eq!(quality.up.loss_permille, Some(0), "{quality:?}");
        assert_eq!(quality.layers.len(), 2, "a voice and a picture: {quality:?}");
        assert!(quality.layers.iter().all(|layer| layer.track.leg != quality.leg));
        if crate::EGRESS == sfu::EgressKind::Own {
            assert_eq!(quality.down.loss_permille, Some(0), "{quality:?}");
            assert!(quality.rtt_ms.is_some_and(|ms| ms < 1_000), "{quality:?}");
        }
    }
}

#[test]
fn a_room_that_is_too_large_for_a_shard_goes_on_on_the_next_and_nobody_notices() {
    let mut hub = Hub::start_with(tempfile::tempdir().unwrap(), 200, 2);
    let mut a = Client::join(&mut hub, ROOM, 1);
    // Ninety-nine who only hold their places fill the first shard.
    let _others: Vec<Client> = (2..=100).map(|n| Client::join(&mut hub, ROOM, n)).collect();
    let mut b = Client::join(&mut hub, ROOM, 101);
    assert_ne!(a.server_port, b.server_port);
    connect(&mut hub, &mut [&mut a, &mut b]);
    enter(&mut hub, &a);
    enter(&mut hub, &b);
    run(&mut hub, &mut [&mut a, &mut b], 3_000);
    for (me, other) in [(&a, &b), (&b, &a)] {
        let slots = hub.slots_of(me.leg);
        assert_eq!(slots.len(), 2, "{slots:?}");
        for slot in slots {
            assert_eq!(slot.track.unwrap().leg, other.leg);
            let packets = me.received_on(&slot.mid).len();
            assert!(packets > 60, "only {packets} packets of {slot:?}");
        }
    }
}
