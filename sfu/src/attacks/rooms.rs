//! M15 and M16: what is one room's stays there, be it a panic or a picture.

use uuid::Uuid;

use super::lab::{Lab, OTHER_ROOM, ROOM};
use crate::control::{Command, Event, LegId, Source, TrackKey, Want};

/// 10^6 pairs of somebody who asks and a track that is not there for him, 64 at a time.
const PAIRS: usize = 1_000_000;

#[test]
fn a_panic_in_a_rooms_packet_path_ends_that_room_and_delays_no_other() {
    let mut lab = Lab::new();
    let mut broken = lab.call::<2>(ROOM);
    let mut whole = lab.call::<2>(OTHER_ROOM);
    let before = (whole[0].written(), whole[1].packets());
    lab.shard.plant_panic(ROOM);
    let mut seen = Vec::new();
    for _ in 0..100 {
        for client in &mut broken {
            client.step(lab.now.instant);
            for datagram in client.take_outbox() {
                lab.receive(client.address, &datagram, &mut []);
            }
        }
        lab.step(&mut whole);
        seen.push(whole[1].packets());
    }
    lab.run(&mut whole, 20);
    for client in &broken {
        let lost = Event::Lost { leg: client.leg };
        assert_eq!(lab.events.iter().filter(|event| **event == lost).count(), 1);
    }
    assert_eq!(lab.lost(), 2);
    assert_eq!(whole[1].packets() - before.1, whole[0].written() - before.0, "not one packet is missing");
    assert!(seen.windows(5).all(|five| five[4] > five[0]), "nor came one late");
    // The people of the broken room come back within a second.
    let mut again = [lab.join(ROOM), lab.join(ROOM)];
    lab.run(&mut again, 400);
    for client in &again {
        assert!(client.connected);
        lab.command(Command::Enter { leg: client.leg });
    }
    lab.run(&mut again, 500);
    assert!(again.iter().all(|client| client.packets() > 20));
}

#[test]
fn a_million_guesses_at_tracks_of_other_rooms_show_nothing() {
    let mut lab = Lab::new();
    let mut curious = lab.call::<2>(ROOM);
    let mut strangers = lab.call::<2>(OTHER_ROOM);
    let own = lab.slots_of(curious[0].leg);
    curious[0].received.clear();
    curious[0].received_payloads = Some(Vec::new());
    let sources = [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio];
    let mut guessed = 0;
    while guessed < PAIRS {
        let wants = (0..64).map(|n| {
            let n = guessed + n;
            // Every fourth is right: the leg is there, in another room.
            let leg = match n % 4 {
                0 => strangers[n % 2].leg,
                _ => LegId(Uuid::from_u128((n as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            };
            Want { track: TrackKey { leg, source: sources[n / 4 % 4] }, width: 640, height: 360 }
        });
        lab.command(Command::View { leg: curious[0].leg, wants: wants.collect() });
        guessed += 64;
        if guessed % 64_000 == 0 {
            lab.step(&mut strangers);
            lab.step(&mut curious);
        }
    }
    let people = [curious[0].leg, curious[1].leg];
    for event in &lab.events {
        if let Event::Slots { leg, slots } = event
            && people.contains(leg)
        {
            let tracks = slots.iter().filter_map(|slot| slot.track);
            assert!(tracks.clone().all(|track| people.contains(&track.leg)), "{slots:?}");
        }
    }
    assert_eq!(own.len(), 2, "{own:?}");
    assert_eq!(
        lab.slots_of(curious[0].leg).len(),
        1,
        "the view names nobody of this room: only its voices are left"
    );
    lab.run(&mut curious, 500);
    let payloads = curious[0].received_payloads.take().unwrap();
    assert!(!payloads.is_empty() && payloads.iter().all(|payload| payload.len() == 60), "voices, no picture");
}

#[test]
fn the_same_ssrc_in_two_rooms_is_two_streams() {
    let mut lab = Lab::new();
    let mut one = lab.call::<2>(ROOM);
    let mut other = lab.call::<2>(OTHER_ROOM);
    // Streams with the SSRC of the other room's caller, sealed with the keys of this one.
    one[0].recorded = Some(Vec::new());
    other[0].recorded = Some(Vec::new());
    lab.run(&mut other, 100);
    lab.run(&mut one, 100);
    let picture = |packet: &&Vec<u8>| packet[1] & 0x7f == 96;
    let colliding = other[0].recorded.take().unwrap().iter().find(picture).unwrap()[8..12].to_vec();
    let seals = one[0].seals();
    one[0].publishes = false;
    one[1].received_payloads = Some(Vec::new());
    let before = (other[0].written(), other[1].packets());
    for (n, packet) in one[0].recorded.take().unwrap().iter().filter(picture).enumerate() {
        let header = 12 + 4 + 4 * usize::from(u16::from_be_bytes([packet[14], packet[15]]));
        let mut forged = packet[..header].to_vec();
        forged[8..12].copy_from_slice(&colliding);
        forged.extend(vp8(n as u16));
        let index = u16::from_be_bytes([packet[2], packet[3]]);
        let sealed = seals.rtp(&forged, header, u64::from(index));
        lab.receive(one[0].address, &sealed, &mut one);
        lab.step(&mut other);
    }
    lab.run(&mut one, 100);
    lab.run(&mut other, 100);
    let payloads = one[1].received_payloads.take().unwrap();
    assert!(payloads.iter().any(|payload| payload.ends_with(b"forged")), "it does reach its own room");
    assert_eq!(other[1].packets() - before.1, other[0].written() - before.0);
    assert!(other[1].received.values().all(|times| *times == 1));
}

fn vp8(id: u16) -> Vec<u8> {
    let mut payload = super::client::vp8_payload(true, true, id);
    payload.extend(b"forged");
    payload
}
