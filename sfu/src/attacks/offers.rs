//! M13 and M14: offers that are too much, not SDP, or somebody's address.

use uuid::Uuid;

use super::client::Client;
use super::hostility::Dice;
use super::lab::{Lab, ROOM};
use crate::control::{Command, Event, LegId, Refusal, SendLine};

fn refused(lab: &mut Lab, offer: String, sends: &[SendLine]) -> Option<Refusal> {
    match lab.offer(LegId(Uuid::from_u128(4_711)), ROOM, offer, sends.to_vec()) {
        Event::Refused { reason, .. } => Some(reason),
        _ => None,
    }
}

#[test]
fn offers_beyond_every_measure_are_refused_and_leave_nothing() {
    let mut lab = Lab::new();
    let (client, offer, _) = Client::new(1, lab.now.instant);
    let sends = client.sends();
    let with = |lines: &str, times: usize| format!("{offer}{}", lines.repeat(times));
    let (candidate, mid) = ("a=candidate:1 1 udp 1 127.0.0.1 22 typ host\r\n", client.audio.to_string());
    let too_large = [
        "m".repeat(10 << 20),
        with("m=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:x\r\n", 100_000),
        with("a=extmap:1 urn:x\r\n", 100_000),
        with(candidate, 33),
        with(candidate, 10_000),
    ];
    for offer in too_large {
        assert_eq!(refused(&mut lab, offer, &sends), Some(Refusal::OfferTooLarge));
    }
    let not_understood = [
        String::new(),
        "\0".repeat(60_000),
        "v=0\r\n".repeat(10_000),
        offer.replace(&format!("a=mid:{}", client.video), &format!("a=mid:{mid}")),
        offer.replace("a=mid:", "a=mid:\u{202e}"),
        offer.replace("m=audio", "m=audio\u{0}"),
        offer.replace("m=", "M="),
    ];
    for offer in not_understood {
        let reason = refused(&mut lab, offer.clone(), &sends);
        let refusals = [Refusal::OfferNotUnderstood, Refusal::SendLinesDoNotMatch];
        assert!(reason.is_some_and(|reason| refusals.contains(&reason)), "{:.80}: {reason:?}", offer);
    }
    assert_eq!((lab.shard.sizes().legs, lab.shard.sizes().places, lab.shard.sizes().names), (0, 0, 0));
    assert!(refused(&mut lab, offer, &sends).is_none(), "and an honest one is answered");
}

#[test]
fn no_candidate_survives_the_reading_of_an_offer() {
    let (_, offer, _) = Client::new(1, Lab::new().now.instant);
    let address = "1 1 udp 2122260223 203.0.113.66 1025 typ host";
    for line in ["a=candidate:", "a=candidate: ", " a=candidate:", "a=x\ra=candidate:", "A=CANDIDATE:"] {
        for end in ["\r\n", "\n", "\r", "\r\r\n"] {
            let bent = format!("{}{line}{address}{end}", offer);
            let read = crate::fast_join::prepare_offer(&bent);
            let parsed = str0m::change::SdpOffer::from_sdp_string(&read);
            let text = parsed.map(|offer| offer.to_sdp_string()).unwrap_or_default();
            assert!(!text.contains("203.0.113.66"), "{line:?} {end:?}");
        }
    }
}

#[test]
fn a_thousand_bent_offers_in_mid_call_disturb_nobody_else() {
    let mut lab = Lab::new();
    let mut clients = lab.call::<3>(ROOM);
    let (_, offer, _) = Client::new(1, lab.now.instant);
    let before = (clients[1].written(), clients[2].packets_from(&clients[1]));
    let mut dice = Dice(7);
    for n in 0..1_000 {
        let mut bent = offer.clone().into_bytes();
        for _ in 0..dice.roll(4) {
            let (at, length) = (dice.roll(bent.len()), dice.roll(60));
            let piece: Vec<u8> = bent[at..].iter().take(length).copied().collect();
            match dice.roll(3) {
                0 => bent[at] = dice.roll(128) as u8,
                1 => drop(bent.splice(at..at, piece)),
                _ => drop(bent.drain(at..at + piece.len())),
            }
        }
        let offer = String::from_utf8_lossy(&bent).into_owned();
        lab.command(Command::Offer { leg: clients[0].leg, offer, sends: Vec::new() });
        if n % 5 == 0 {
            lab.step(&mut clients);
        }
    }
    lab.run(&mut clients, 50);
    let written = clients[1].written() - before.0;
    assert_eq!(clients[2].packets_from(&clients[1]) - before.1, written);
    for client in &clients[1..] {
        assert!(!lab.events.contains(&Event::Lost { leg: client.leg }));
    }
    assert!(lab.shard.sizes().names <= 2 + 2, "{:?}", lab.shard.sizes());
}

/// An offer over which str0m 0.25 panics: it locks payload type 102 twice.
const TRIPS: &[u8] = include_bytes!("../../../tests/corpus/negotiation/payload-type-locked-twice.sdp");
#[test]
fn an_offer_that_trips_the_parser_up_costs_that_offer() {
    let mut lab = Lab::new();
    let mut clients = lab.call::<2>(ROOM);
    let before = (clients[0].written(), clients[1].packets());
    let trips = String::from_utf8_lossy(TRIPS).into_owned();
    assert_eq!(refused(&mut lab, trips, &[]), Some(Refusal::OfferNotUnderstood));
    assert_eq!((lab.shard.sizes().legs, lab.shard.sizes().places), (2, 2));
    lab.run(&mut clients, 500);
    assert_eq!(lab.lost(), 0);
    assert_eq!(clients[1].packets() - before.1, clients[0].written() - before.0);
}
