//! Any order of events keeps what a room promises.

use super::*;
use crate::protocol::{ClientEvent, WantedTrack};
use crate::tokens::CallRole;
use proptest::prelude::*;
use sfu::control::{self, Kind, SendLine, Slot, SlotTrack, Source, TrackKey};
use std::collections::BTreeSet;
use uuid::Uuid;

const SEATS: u32 = 3;
const YOUNGEST: usize = 7;

#[derive(Debug, Clone)]
enum Step {
    Arrive(u8, bool),
    Joined(usize),
    SfuRefused(usize),
    Stored(usize),
    NotStored(usize),
    Said(usize, ClientEvent),
    Gone(usize),
    Away(usize, bool),
    Lost(usize),
    Left(usize),
    Answered(usize),
    OfferRefused(usize),
    Slots(usize, usize),
    Speakers(usize, usize),
    Remove(usize),
    Move,
    Stay,
    Wait(u64),
    ShutDown,
}

fn said() -> impl Strategy<Value = ClientEvent> {
    let source = || prop_oneof![Just(Source::Camera), Just(Source::Screen), Just(Source::Microphone)];
    prop_oneof![
        6 => Just(ClientEvent::Enter { name: None, muted: vec![Source::Camera] }),
        2 => (source(), any::<bool>()).prop_map(|(source, muted)| ClientEvent::Mute { source, muted }),
        1 => (0..200u128, source()).prop_map(|(id, source)| ClientEvent::View {
            wants: vec![WantedTrack { participant_id: Uuid::from_u128(id), source, width: 1, height: 1 }],
        }),
        1 => source().prop_map(|source| ClientEvent::Offer {
            offer: "v=0".into(),
            sends: vec![SendLine { mid: "0".into(), source }],
        }),
        1 => "[ a-c\u{1}]{0,3}".prop_map(|name| ClientEvent::Rename { name }),
        2 => Just(ClientEvent::Leave {}),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let leg = || 0..40usize;
    prop_oneof![
        5 => (0..6u8, prop::bool::weighted(0.3)).prop_map(|(who, at_once)| Step::Arrive(who, at_once)),
        6 => leg().prop_map(Step::Joined),
        6 => leg().prop_map(Step::Stored),
        1 => leg().prop_map(Step::SfuRefused),
        1 => leg().prop_map(Step::NotStored),
        12 => (leg(), said()).prop_map(|(leg, event)| Step::Said(leg, event)),
        1 => leg().prop_map(Step::Gone),
        1 => (leg(), any::<bool>()).prop_map(|(leg, away)| Step::Away(leg, away)),
        1 => leg().prop_map(Step::Lost),
        1 => leg().prop_map(Step::Left),
        1 => leg().prop_map(Step::Answered),
        1 => leg().prop_map(Step::OfferRefused),
        1 => (leg(), leg()).prop_map(|(to, from)| Step::Slots(to, from)),
        1 => (leg(), leg()).prop_map(|(one, two)| Step::Speakers(one, two)),
        1 => leg().prop_map(Step::Remove),
        2 => Just(Step::Move),
        1 => prop_oneof![3 => Just(Step::Wait(2)), 1 => Just(Step::Stay)],
        1 => (0..600u64).prop_map(Step::Wait),
        1 => prop_oneof![9 => Just(Step::Wait(1)), 1 => Just(Step::ShutDown)],
    ]
}

/// What a page believes, from what it was told alone.
#[derive(Debug, Default)]
struct Page {
    participant: Uuid,
    entered: bool,
    roster: BTreeMap<Uuid, Participant>,
    closed: bool,
}

/// The world around a room: pages, the media plane, the rows.
struct World {
    room: Room,
    now: Instant,
    legs: Vec<LegId>,
    /// Those without a page, which pass the lobby by.
    at_once: BTreeSet<LegId>,
    page_by_leg: BTreeMap<LegId, Page>,
    refused: BTreeSet<LegId>,
    at_sfu: BTreeSet<LegId>,
    /// Rows of legs: stored, and when in the call.
    stored: BTreeSet<LegId>,
    in_call_by_rows: BTreeSet<LegId>,
    ended_rows: BTreeSet<LegId>,
    call_runs: bool,
    seq: u64,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
    fn new() -> Self {
        Self {
            room: Room::new(TenantId(Uuid::nil()), RoomId(Uuid::nil()), CallId(Uuid::nil())),
            now: Instant::now(),
            legs: Vec::new(),
            at_once: BTreeSet::new(),
            page_by_leg: BTreeMap::new(),
            refused: BTreeSet::new(),
            at_sfu: BTreeSet::new(),
            stored: BTreeSet::new(),
            in_call_by_rows: BTreeSet::new(),
            ended_rows: BTreeSet::new(),
            call_runs: false,
            seq: 0,
        }
    }

    /// One of the youngest legs, or now and then one that never was.
    fn leg(&self, index: usize) -> LegId {
        let youngest = self.legs.len().saturating_sub(YOUNGEST);
        let index = youngest + index % (YOUNGEST + 1);
        self.legs.get(index).copied().unwrap_or(LegId(Uuid::from_u128(1000)))
    }

    fn apply(&mut self, step: Step) {
        let event = match step {
            Step::Arrive(identity, at_once) => self.arrival(identity, at_once),
            Step::Joined(leg) => Event::Media(control::Event::Joined {
                leg: self.leg(leg),
                answer: "v=0".into(),
                slots: vec![Slot { mid: "0".into(), kind: Kind::Audio, seat: 0 }],
                turn: None,
            }),
            Step::SfuRefused(leg) => {
                let leg = self.leg(leg);
                if self.page_by_leg.contains_key(&leg) {
                    return; // The media plane refuses only what it has not joined.
                }
                Event::Media(control::Event::Refused { leg, reason: control::Refusal::Full })
            }
            Step::Stored(leg) => self.stored(leg),
            Step::NotStored(leg) => {
                let leg = self.leg(leg);
                if self.stored.contains(&leg) {
                    return; // The database answers once.
                }
                Event::NotStored { leg, refusal: Refusal::unavailable() }
            }
            Step::Said(leg, event) => {
                self.seq += 1;
                Event::Said { leg: self.leg(leg), seq: self.seq, event }
            }
            Step::Gone(leg) => Event::Gone { leg: self.leg(leg) },
            Step::Away(leg, away) => Event::Away { leg: self.leg(leg), away },
            Step::Lost(leg) => Event::Media(control::Event::Lost { leg: self.leg(leg) }),
            Step::Left(leg) => Event::Media(control::Event::Left { leg: self.leg(leg) }),
            Step::Answered(leg) => Event::Media(control::Event::Answered {
                leg: self.leg(leg),
                answer: "v=0".into(),
                slots: vec![],
            }),
            Step::OfferRefused(leg) => Event::Media(control::Event::OfferRefused {
                leg: self.leg(leg),
                reason: control::Refusal::Full,
            }),
            Step::Slots(to, from) => {
                let track = Some(TrackKey { leg: self.leg(from), source: Source::Camera });
                let slots = vec![SlotTrack { mid: "0".into(), track }];
                Event::Media(control::Event::Slots { leg: self.leg(to), slots })
            }
            Step::Speakers(one, two) => {
                let legs = vec![self.leg(one), self.leg(two)];
                Event::Media(control::Event::Speakers { room: RoomId(Uuid::nil()), legs })
            }
            Step::Remove(leg) => {
                let page = self.page_by_leg.get(&self.leg(leg));
                Event::Remove {
                    participant: ParticipantId(page.map_or(Uuid::nil(), |page| page.participant)),
                }
            }
            Step::Move => Event::Move,
            Step::Stay => Event::Stay,
            Step::Wait(seconds) => {
                self.now += Duration::from_secs(seconds);
                Event::Tick
            }
            Step::ShutDown => Event::ShutDown,
        };
        self.room.handle(event, self.now);
        while let Some(effect) = self.room.poll_effect() {
            self.obey(effect);
        }
        self.check();
    }

    fn arrival(&mut self, identity: u8, enters_at_once: bool) -> Event {
        let n = self.legs.len() as u128;
        let leg = LegId(Uuid::from_u128(n));
        self.legs.push(leg);
        if enters_at_once {
            self.at_once.insert(leg);
        }
        let line = |mid: &str, source| SendLine { mid: mid.into(), source };
        Event::Arrive(Box::new(Arrival {
            leg,
            participant: ParticipantId(Uuid::from_u128(100 + n)),
            identity: identity.to_string(),
            name: None,
            role: CallRole::Participant,
            may_publish: vec![Source::Microphone, Source::Camera],
            offer: "v=0".into(),
            sends: vec![line("0", Source::Microphone), line("1", Source::Camera)],
            enters_at_once,
        }))
    }

    fn stored(&mut self, leg: usize) -> Event {
        let leg = self.leg(leg);
        if !self.legs.contains(&leg) || !self.stored.insert(leg) {
            return Event::Tick; // The database answers once, and only when asked.
        }
        Event::Stored {
            leg,
            policy: Policy { title: String::new(), participants_max: SEATS, bitrate_kbps_max: Some(500) },
        }
    }

    fn obey(&mut self, effect: Effect) {
        match effect {
            Effect::Store(row) => assert!(self.legs.contains(&row.leg)),
            Effect::Welcome { leg, welcome } => {
                assert!(self.stored.contains(&leg), "a leg is in the lobby only when its row is stored");
                assert!(self.at_sfu.contains(&leg) && !self.refused.contains(&leg));
                let roster = welcome.participants.into_iter().map(|who| (who.participant_id, who)).collect();
                let page = Page { participant: welcome.you.participant_id, roster, ..Page::default() };
                assert!(self.page_by_leg.insert(leg, page).is_none(), "a page is welcomed once");
            }
            Effect::Refuse { leg, .. } => {
                assert!(self.legs.contains(&leg) && !self.page_by_leg.contains_key(&leg));
                assert!(self.refused.insert(leg), "a page is refused once");
            }
            Effect::Send { leg, event } => self.told(leg, event),
            Effect::Close { leg, .. } => {
                let page = self.page_by_leg.get_mut(&leg).expect("only a session can be closed");
                assert!(!std::mem::replace(&mut page.closed, true), "a session is closed once");
            }
            Effect::Sfu(Command::Join { leg, .. }) => assert!(self.at_sfu.insert(leg)),
            Effect::Sfu(Command::Leave { leg }) => assert!(self.at_sfu.remove(&leg)),
            Effect::Sfu(
                Command::Enter { leg }
                | Command::TakeOver { leg, .. }
                | Command::Limit { leg, .. }
                | Command::Offer { leg, .. }
                | Command::Mute { leg, .. }
                | Command::View { leg, .. },
            ) => assert!(self.at_sfu.contains(&leg)),
            Effect::Sfu(Command::UsageStored { .. } | Command::Tap { .. }) => {
                panic!("usage and captures are not a room's business")
            }
            Effect::Record(record) => self.written(record),
        }
    }

    fn told(&mut self, leg: LegId, event: ServerEvent) {
        let page = self.page_by_leg.get_mut(&leg).expect("only a session can be told something");
        assert!(!page.closed, "nothing follows the end");
        match event {
            ServerEvent::Entered { .. } => assert!(!std::mem::replace(&mut page.entered, true)),
            ServerEvent::ParticipantJoined { participant } => {
                let before = page.roster.insert(participant.participant_id, participant);
                assert_eq!(before, None, "nobody joins who is here");
            }
            ServerEvent::ParticipantChanged { participant } => {
                let before = page.roster.insert(participant.participant_id, participant);
                assert!(before.is_some(), "nobody changes who is not here");
            }
            ServerEvent::ParticipantLeft { participant_id, .. } => {
                assert!(page.roster.remove(&participant_id).is_some(), "nobody leaves who is not here");
            }
            _ => {}
        }
    }

    fn written(&mut self, record: Record) {
        match record {
            Record::CallStarted => assert!(!std::mem::replace(&mut self.call_runs, true)),
            Record::CallEnded => {
                self.call_runs = false;
                assert!(self.in_call_by_rows.is_empty());
            }
            Record::Entered { leg, .. } => {
                assert!(self.call_runs && self.stored.contains(&leg) && !self.ended_rows.contains(&leg));
                assert!(self.in_call_by_rows.insert(leg));
            }
            Record::Left { leg, .. } => {
                assert!(self.in_call_by_rows.remove(&leg) && self.ended_rows.insert(leg));
            }
            Record::LegEnded { leg, .. } => {
                assert!(self.stored.contains(&leg) && !self.in_call_by_rows.contains(&leg))
            }
            Record::Renamed { .. } => {}
        }
    }

    fn check(&self) {
        let in_call: BTreeMap<Uuid, Participant> =
            self.room.participants().into_iter().map(|who| (who.participant_id, who)).collect();
        let entered: BTreeSet<LegId> = self.room.in_call().map(|(leg, _)| leg).collect();
        let people: BTreeSet<&str> =
            self.room.admitted().map(|(_, member)| member.identity.as_str()).collect();
        assert!(people.len() <= SEATS as usize, "more people than seats");
        for (leg, page) in self.page_by_leg.iter().filter(|(_, page)| !page.closed) {
            assert!(self.at_sfu.contains(leg));
            if self.room.departing.iter().any(|departing| departing.leg == *leg) {
                assert!(!entered.contains(leg), "whoever goes over is counted on one leg");
                continue; // The page listens to its other session.
            }
            let waits = self.room.member_by_leg.get(leg).is_some_and(Member::is_waiting);
            let goes_over = waits && self.room.moving.is_some();
            assert!(
                page.entered || goes_over || !self.at_once.contains(leg),
                "nobody without a page is in the lobby"
            );
            let mut expected = in_call.clone();
            if page.entered {
                assert!(expected.remove(&page.participant).is_some(), "whoever has entered is in the call");
            }
            assert_eq!(page.roster, expected, "a page believes what is true");
        }
        assert_eq!(entered, self.in_call_by_rows, "the rows say who is in the call");
        assert_eq!(self.call_runs, !entered.is_empty());
        let goes_over = self.room.moving.is_some() || !self.room.departing.is_empty();
        let waits = goes_over || entered.len() < self.room.member_by_leg.len();
        assert_eq!(self.room.next_deadline().is_some(), waits);
        let persons: BTreeSet<ParticipantId> = self.room.in_call().map(|(_, it)| it.participant).collect();
        assert_eq!(persons.len(), entered.len(), "one person is in the call once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_order_of_events_keeps_what_a_room_promises(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
        }
    }
}
