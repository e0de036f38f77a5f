//! Scenarios in simulated time: the room and what it did. The stories stand beside it.

mod coming;
mod going;
mod moving;
mod saying;
mod seats;

use super::*;
use crate::protocol::{ClientEvent, SlotChange, WantedTrack};
use crate::tokens::CallRole;
use sfu::control::{self, Kind, SendLine, Slot, SlotTrack, Source, TrackKey, Want};
use uuid::Uuid;

/// A room, and everything that it did, sorted by whom it concerns.
struct Scene {
    room: Room,
    now: Instant,
    legs: u128,
    seat: BTreeMap<LegId, u64>,
    told: BTreeMap<LegId, Vec<ServerEvent>>,
    welcomed: BTreeMap<LegId, Welcome>,
    refused: BTreeMap<LegId, Refusal>,
    closed: Vec<LegId>,
    sfu: Vec<Command>,
    stores: Vec<NewLeg>,
    records: Vec<Record>,
    /// Of the plan.
    bitrate_kbps_max: Option<u32>,
}

impl Scene {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
    fn new() -> Self {
        Self {
            room: Room::new(
                TenantId(Uuid::from_u128(1)),
                RoomId(Uuid::from_u128(2)),
                CallId(Uuid::from_u128(3)),
            ),
            now: Instant::now(),
            legs: 100,
            seat: BTreeMap::new(),
            told: BTreeMap::new(),
            welcomed: BTreeMap::new(),
            refused: BTreeMap::new(),
            closed: Vec::new(),
            sfu: Vec::new(),
            stores: Vec::new(),
            records: Vec::new(),
            bitrate_kbps_max: None,
        }
    }

    fn handle(&mut self, event: Event) {
        self.room.handle(event, self.now);
        while let Some(effect) = self.room.poll_effect() {
            match effect {
                Effect::Store(row) => self.stores.push(*row),
                Effect::Welcome { leg, welcome } => drop(self.welcomed.insert(leg, *welcome)),
                Effect::Refuse { leg, refusal } => drop(self.refused.insert(leg, refusal)),
                Effect::Send { leg, event } => self.told.entry(leg).or_default().push(event),
                Effect::Close { leg, .. } => self.closed.push(leg),
                Effect::Sfu(command) => self.sfu.push(command),
                Effect::Record(record) => self.records.push(record),
            }
        }
    }

    fn arrival(&mut self, identity: &str) -> Arrival {
        self.legs += 1;
        let line = |mid: &str, source| SendLine { mid: mid.into(), source };
        Arrival {
            leg: LegId(Uuid::from_u128(self.legs)),
            participant: ParticipantId(Uuid::from_u128(self.legs + 1000)),
            identity: identity.into(),
            name: Some(identity.to_uppercase()),
            role: CallRole::Participant,
            may_publish: vec![Source::Microphone, Source::Camera],
            offer: "v=0".into(),
            sends: vec![line("0", Source::Microphone), line("1", Source::Camera)],
            enters_at_once: false,
        }
    }

    fn stored(&mut self, leg: LegId) {
        let policy =
            Policy { title: "Tea".into(), participants_max: 2, bitrate_kbps_max: self.bitrate_kbps_max };
        self.handle(Event::Stored { leg, policy });
    }

    fn joined(&mut self, leg: LegId) {
        let slots = vec![Slot { mid: "9".into(), kind: Kind::Video, seat: 0 }];
        self.handle(Event::Media(control::Event::Joined {
            leg,
            answer: "v=0 answer".into(),
            slots,
            turn: None,
        }));
    }

    /// From nothing into the lobby.
    fn lobby(&mut self, identity: &str) -> LegId {
        let arrival = self.arrival(identity);
        let leg = arrival.leg;
        self.handle(Event::Arrive(Box::new(arrival)));
        self.joined(leg);
        self.stored(leg);
        leg
    }

    fn say(&mut self, leg: LegId, event: ClientEvent) {
        let seq = self.seat.entry(leg).or_insert(0);
        *seq += 1;
        let seq = *seq;
        self.handle(Event::Said { leg, seq, event });
    }

    fn enter(&mut self, leg: LegId) {
        self.say(leg, ClientEvent::Enter { name: None, muted: vec![] });
    }

    /// From nothing into the call.
    fn call(&mut self, identity: &str) -> LegId {
        let leg = self.lobby(identity);
        self.enter(leg);
        leg
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.room.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            self.handle(Event::Tick);
        }
        self.now = end;
    }

    fn id(&self, leg: LegId) -> Uuid {
        self.welcomed[&leg].you.participant_id
    }

    /// What a leg was told since the last look.
    fn news(&mut self, leg: LegId) -> Vec<ServerEvent> {
        self.told.remove(&leg).unwrap_or_default()
    }

    fn code(&self, leg: LegId) -> Option<RefusalCode> {
        self.refused.get(&leg).map(|refusal| refusal.code)
    }
}

fn codes(news: &[ServerEvent]) -> Vec<RefusalCode> {
    let code = |event: &ServerEvent| match event {
        ServerEvent::Rejected { code, .. } => Some(*code),
        _ => None,
    };
    news.iter().filter_map(code).collect()
}
