//! The media node's families.

use super::exposition::Kind::{Counter, Gauge};
use super::exposition::{Kind, Page};
use sfu::metrics::{Counts, Dropped, JournalLook, NodeLook, ShardLook, TurnLook};
use std::fmt::Display;

/// A sample: its labels besides the shard, and its value.
type Sample = (Vec<(&'static str, String)>, f64);
/// What a shard has to say under one name.
type Samples<'a> = dyn Fn(&ShardLook) -> Vec<Sample> + 'a;
/// A family of one sample a shard.
type One<Of> = (&'static str, Kind, &'static str, fn(&Of) -> f64);

/// Writes everything about a node. `rooms` have lines of their own.
pub(super) fn write(page: &mut Page, look: &NodeLook, rooms: usize) {
    write_shards(page, look);
    write_rooms(page, look, rooms);
    page.family("tuppence_media_legs_max", Gauge, "Legs that the node takes.").sample(&[], look.legs_max);
    page.family("tuppence_media_events_waiting", Gauge, "Events that signalling has not taken yet.")
        .sample(&[], look.events_waiting);
    if let Some(journal) = &look.journal {
        write_journal(page, journal);
    }
    if let Some(turn) = &look.turn {
        write_turn(page, turn);
    }
}

const COUNTS: [One<Counts>; 8] = [
    ("received_packets", Counter, "Datagrams taken from legs.", |counts| counts.packets_in as f64),
    ("received_bytes", Counter, "Their bytes of UDP payload.", |counts| counts.bytes_in as f64),
    ("sent_packets", Counter, "Datagrams of RTP and RTCP sent to legs.", |counts| counts.packets_out as f64),
    ("sent_bytes", Counter, "Their bytes of UDP payload.", |counts| counts.bytes_out as f64),
    ("keyframe_requests_received", Counter, "Requests for keyframes by those who watch.", |counts| {
        counts.keyframes_wanted as f64
    }),
    ("keyframe_requests_sent", Counter, "Requests for keyframes to those who publish, merged.", |counts| {
        counts.keyframes_asked as f64
    }),
    ("nacked_packets", Counter, "Packets that those who watch reported missing.", |counts| {
        counts.nacked as f64
    }),
    ("retransmitted_packets", Counter, "Packets sent again (RTX).", |counts| counts.repaired as f64),
];

const SHARD: [One<ShardLook>; 7] = [
    ("joins_total", Counter, "Offers answered.", |shard| shard.joins as f64),
    ("rooms_given_up_total", Counter, "Rooms ended by a panic in their path.", |shard| shard.given_up as f64),
    ("rooms", Gauge, "Rooms with somebody in them.", |shard| shard.rooms.len() as f64),
    ("shard_busy_seconds_total", Counter, "Time the shard's thread was at work.", |shard| {
        shard.busy_ns as f64 / 1e9
    }),
    ("shard_running_seconds_total", Counter, "Time since the shard's thread began.", |shard| {
        shard.running_ns as f64 / 1e9
    }),
    ("shard_events_held", Gauge, "Events that found no room on their way out.", |shard| {
        shard.events_held as f64
    }),
    ("shard_usage_held", Gauge, "Batches of counters that found no room with the journal.", |shard| {
        shard.usage_held as f64
    }),
];

fn write_shards(page: &mut Page, look: &NodeLook) {
    each_shard(page, look, "shard_up", Gauge, "Whether the shard answered within half a second.", None);
    for (name, kind, help, of) in COUNTS {
        let samples = |shard: &ShardLook| vec![(Vec::new(), of(&shard.counts))];
        each_shard(page, look, &format!("{name}_total"), kind, help, Some(&samples));
    }
    for (name, kind, help, of) in SHARD {
        each_shard(page, look, name, kind, help, Some(&|shard: &ShardLook| vec![(Vec::new(), of(shard))]));
    }
    each_shard(page, look, "dropped_packets_total", Counter, "What went no further.", Some(&dropped));
    each_shard(page, look, "refusals_total", Counter, "Offers refused.", Some(&refusals));
    each_shard(page, look, "legs_ended_total", Counter, "Legs that said goodbye or were lost.", Some(&ended));
    each_shard(page, look, "legs", Gauge, "Legs now.", Some(&legs));
    each_shard(page, look, "secured_legs", Gauge, "Legs by DTLS version and SRTP profile.", Some(&secured));
}

fn each_shard(
    page: &mut Page,
    look: &NodeLook,
    name: &str,
    kind: Kind,
    help: &str,
    samples: Option<&Samples<'_>>,
) {
    let name = format!("tuppence_media_{name}");
    let mut family = page.family(&name, kind, help);
    for (number, shard) in look.shards.iter().enumerate() {
        let own = match (samples, shard) {
            (None, shard) => vec![(Vec::new(), if shard.is_some() { 1.0 } else { 0.0 })],
            (Some(samples), Some(shard)) => samples(shard),
            (Some(_), None) => continue,
        };
        for (labels, value) in own {
            let more = labels.iter().map(|(label, text)| (*label, text as &dyn Display));
            let labels: Vec<_> = std::iter::once(("shard", &number as &dyn Display)).chain(more).collect();
            family.sample(&labels, value);
        }
    }
}

fn one(label: &'static str, text: impl Display, value: f64) -> Sample {
    (vec![(label, text.to_string())], value)
}

fn dropped(shard: &ShardLook) -> Vec<Sample> {
    let reasons = Dropped::ALL.into_iter();
    reasons.map(|why| one("reason", why.as_str(), shard.counts.dropped(why) as f64)).collect()
}

fn refusals(shard: &ShardLook) -> Vec<Sample> {
    shard.refusals.iter().map(|(reason, count)| one("reason", reason.as_str(), *count as f64)).collect()
}

fn ended(shard: &ShardLook) -> Vec<Sample> {
    vec![one("how", "left", shard.left as f64), one("how", "lost", shard.lost as f64)]
}

fn legs(shard: &ShardLook) -> Vec<Sample> {
    let lobby: usize = shard.rooms.iter().map(|room| room.lobby).sum();
    let entered: usize = shard.rooms.iter().map(|room| room.entered).sum();
    vec![one("state", "lobby", lobby as f64), one("state", "entered", entered as f64)]
}

fn secured(shard: &ShardLook) -> Vec<Sample> {
    let kinds = shard.secured.iter();
    kinds
        .map(|(dtls, srtp, count)| {
            (vec![("dtls", (*dtls).to_owned()), ("srtp", (*srtp).to_owned())], *count as f64)
        })
        .collect()
}

/// A room may come into this list and fall out of it, so its numbers are gauges: since the room began.
fn write_rooms(page: &mut Page, look: &NodeLook, most: usize) {
    let (busiest, rest) = look.busiest_rooms(most);
    for (name, _, help, of) in &COUNTS[..4] {
        let name = format!("tuppence_room_{name}");
        let mut family = page.family(&name, Gauge, help);
        for room in &busiest {
            family.sample(&[("room", &room.room.0)], of(&room.counts));
        }
        family.sample(&[("room", &"other")], of(&rest));
    }
    let mut legs = page.family("tuppence_room_legs", Gauge, "Legs of the busiest rooms.");
    for room in &busiest {
        legs.sample(&[("room", &room.room.0), ("state", &"lobby")], room.lobby);
        legs.sample(&[("room", &room.room.0), ("state", &"entered")], room.entered);
    }
}

fn write_turn(page: &mut Page, turn: &TurnLook) {
    page.family("tuppence_turn_connections", Gauge, "Connections to the TURN server.")
        .sample(&[], turn.connections);
    page.family(
        "tuppence_turn_allocations_total",
        Counter,
        "Callers who got their way to the media through it.",
    )
    .sample(&[], turn.allocations);
    page.family("tuppence_turn_shed_total", Counter, "Connections to it that ended without one.")
        .sample(&[], turn.shed);
}

fn write_journal(page: &mut Page, journal: &JournalLook) {
    let seconds = |ms: u64| ms as f64 / 1e3;
    page.family("tuppence_usage_unwritten_counters", Gauge, "Usage counters that are not on disk yet.")
        .sample(&[], journal.unwritten);
    page.family("tuppence_usage_unwritten_seconds", Gauge, "How long none of them has reached the disk.")
        .sample(&[], seconds(journal.unwritten_ms));
    page.family("tuppence_usage_unshipped_counters", Gauge, "Usage counters that the hub has not confirmed.")
        .sample(&[], journal.unshipped);
    page.family("tuppence_usage_unshipped_seconds", Gauge, "How long the hub has confirmed none of them.")
        .sample(&[], seconds(journal.unshipped_ms));
}
