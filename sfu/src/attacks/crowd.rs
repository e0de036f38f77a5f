//! Eight people on lines that take everything: once all are there, nothing has a reason to change.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::client::{Client, Layer};
use super::lab::{Lab, ROOM};
use crate::congestion::tests::link::Nature;
use crate::control::{Command, Event, Source, TrackKey, Want};

/// About 130, 380 and 1,150 kbit/s.
const LAYERS: &[Layer] = &[
    Layer { rid: Some("q"), packets: 1, width: 320 },
    Layer { rid: Some("h"), packets: 3, width: 640 },
    Layer { rid: Some("f"), packets: 9, width: 1_280 },
];

/// As a browser's VP8 encoder was seen to do after a keyframe.
const SPENT_FOR: &[Duration] =
    &[Duration::from_millis(700), Duration::from_millis(500), Duration::from_millis(300)];

/// What happened in a minute after the first ten seconds.
#[derive(Debug, PartialEq, Eq)]
struct Minute {
    keyframes_asked: usize,
    changes: usize,
    pauses: usize,
    /// The longest time that anybody saw nothing of somebody, in ms.
    longest_ms: u128,
}

fn minute(nature: Nature) -> Minute {
    let mut lab = Lab::new();
    let mut clients: [Client; 8] = std::array::from_fn(|_| lab.join_among(ROOM, LAYERS, 7));
    for client in &mut clients {
        client.spent_for = SPENT_FOR;
        lab.set_line(client, nature);
    }
    lab.enter(&mut clients);
    let views: Vec<Command> = clients.iter().map(|client| view(client, &clients)).collect();
    views.into_iter().for_each(|view| lab.command(view));
    lab.run(&mut clients, 10_000);
    let asked = |clients: &[Client]| clients.iter().map(|client| client.keyframes_asked.len()).sum::<usize>();
    let (before, told, since) = (asked(&clients), lab.events.len(), lab.now.instant);
    lab.run(&mut clients, 60_000);
    let is_pause = |event: &&Event| matches!(event, Event::Paused { mids, .. } if !mids.is_empty());
    Minute {
        keyframes_asked: asked(&clients) - before,
        changes: clients.iter().map(|client| changes(client, since)).sum(),
        pauses: lab.events[told..].iter().filter(is_pause).count(),
        longest_ms: clients.iter().map(|client| longest_ms(client, since)).max().unwrap_or_default(),
    }
}

/// Everybody else in a tile of its own.
fn view(client: &Client, all: &[Client]) -> Command {
    let others = all.iter().filter(|other| other.leg != client.leg);
    let track = |other: &Client| TrackKey { leg: other.leg, source: Source::Camera };
    let wants = others.map(|other| Want { track: track(other), width: 400, height: 225 });
    Command::View { leg: client.leg, wants: wants.collect() }
}

/// How often a picture that a client sees changed its layer.
fn changes(client: &Client, since: Instant) -> usize {
    let mut width_by_mark = BTreeMap::new();
    let seen = client.pictures.iter().filter(|seen| seen.at >= since);
    seen.filter(|seen| width_by_mark.insert(seen.of, seen.width).is_some_and(|was| was != seen.width)).count()
}

/// The longest time without anything of one of the seven others.
fn longest_ms(client: &Client, since: Instant) -> u128 {
    let mut at_by_mark: BTreeMap<u8, Instant> = BTreeMap::new();
    let seen = client.pictures.iter().filter(|seen| seen.at >= since);
    let gaps = seen.filter_map(|seen| Some(seen.at - at_by_mark.insert(seen.of, seen.at)?));
    let longest_ms = gaps.max().unwrap_or_default().as_millis();
    assert_eq!(at_by_mark.len(), 7, "all are seen");
    longest_ms
}

#[test]
fn in_a_room_of_eight_on_healthy_lines_nothing_changes() {
    let minute = minute(Nature::of(50e6));
    assert_eq!((minute.keyframes_asked, minute.changes, minute.pauses), (0, 0, 0), "{minute:?}");
}

#[test]
fn in_a_room_of_eight_on_lines_that_jolt_next_to_nothing_changes() {
    let minute = minute(Nature::of(50e6).jitter_ms(60.0));
    assert!(minute.keyframes_asked <= 8 && minute.changes <= 8 && minute.pauses == 0, "{minute:?}");
}
