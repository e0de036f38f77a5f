//! Scenarios in simulated time.

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
        self.handle(Event::Stored { leg, policy: Policy { title: "Tea".into(), participants_max: 2 } });
    }

    fn joined(&mut self, leg: LegId) {
        let slots = vec![Slot { mid: "9".into(), kind: Kind::Video, seat: 0 }];
        self.handle(Event::Media(control::Event::Joined { leg, answer: "v=0 answer".into(), slots }));
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

#[test]
fn the_lobby_opens_when_both_the_media_plane_and_the_database_have_said_yes() {
    for media_first in [true, false] {
        let mut scene = Scene::new();
        let arrival = scene.arrival("ada");
        let leg = arrival.leg;
        scene.handle(Event::Arrive(Box::new(arrival)));
        assert!(matches!(scene.sfu[..], [Command::Join { .. }]), "the media plane is asked at once");
        assert_eq!(scene.stores.len(), 1);
        if media_first {
            scene.joined(leg)
        } else {
            scene.stored(leg)
        }
        assert!(scene.welcomed.is_empty());
        if media_first {
            scene.stored(leg)
        } else {
            scene.joined(leg)
        }
        let welcome = &scene.welcomed[&leg];
        assert_eq!((welcome.answer.as_str(), welcome.you.name.as_str()), ("v=0 answer", "ADA"));
        assert_eq!(welcome.room.title, "Tea");
    }
}

#[test]
fn a_late_joiner_is_told_who_is_here_and_the_others_that_they_came() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    let bob = scene.lobby("bob");
    assert_eq!(scene.welcomed[&bob].participants, [scene.room.member_by_leg[&ada].to_participant(ada)]);
    scene.news(ada);
    scene.enter(bob);
    let bob_id = scene.id(bob);
    assert!(matches!(&scene.news(ada)[..],
        [ServerEvent::ParticipantJoined { participant }] if participant.participant_id == bob_id && participant.name == "BOB"));
    assert_eq!(scene.news(bob), [ServerEvent::Entered { call_id: scene.room.call.0 }]);
}

#[test]
fn nobody_sees_the_lobby_but_the_lobby_sees_the_call() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    scene.news(ada);
    let bob = scene.lobby("bob");
    scene.say(bob, ClientEvent::Rename { name: "Robert".into() });
    assert_eq!(scene.news(ada), []);
    scene.say(ada, ClientEvent::Mute { source: Source::Camera, muted: true });
    assert!(matches!(&scene.news(bob)[..], [ServerEvent::ParticipantChanged { .. }]));
    scene.say(bob, ClientEvent::Leave {});
    assert_eq!(scene.news(ada), []);
    assert!(scene.records.contains(&Record::LegEnded { leg: bob, reason: Some(LeaveReason::Left) }));
}

#[test]
fn who_has_no_page_is_in_the_call_with_the_answer() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    scene.news(ada);
    let arrival = Arrival { name: None, enters_at_once: true, ..scene.arrival("camera-1") };
    let leg = arrival.leg;
    scene.handle(Event::Arrive(Box::new(arrival)));
    scene.joined(leg);
    assert_eq!(scene.news(ada), [], "not before its row is stored");
    scene.stored(leg);
    assert!(scene.welcomed.contains_key(&leg) && scene.sfu.contains(&Command::Enter { leg }));
    let news = scene.news(ada);
    assert!(
        matches!(&news[..], [ServerEvent::ParticipantJoined { participant }] if participant.name == "Guest")
    );
    assert_eq!(scene.room.next_deadline(), None, "no lobby to wait in");
    let again = Arrival { enters_at_once: true, ..scene.arrival("ada") };
    let second = again.leg;
    scene.handle(Event::Arrive(Box::new(again)));
    scene.joined(second);
    scene.stored(second);
    assert_eq!(scene.closed, [ada], "the same person elsewhere takes over at once");
}

#[test]
fn a_full_room_refuses_and_has_a_seat_again_when_someone_leaves() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    scene.lobby("bob");
    let cleo = scene.lobby("cleo");
    assert_eq!(scene.code(cleo), Some(RefusalCode::RoomFull));
    assert!(
        !scene.sfu.iter().any(|command| matches!(command, Command::Join { leg, .. } if *leg == cleo)),
        "at no cost"
    );
    scene.say(ada, ClientEvent::Leave {});
    let cleo = scene.lobby("cleo");
    assert!(scene.welcomed.contains_key(&cleo));
}

#[test]
fn of_many_who_arrive_at_once_only_as_many_as_fit_come_in() {
    let mut scene = Scene::new();
    let arrivals: Vec<Arrival> = ["ada", "bob", "cleo"].map(|identity| scene.arrival(identity)).into();
    let legs: Vec<LegId> = arrivals.iter().map(|arrival| arrival.leg).collect();
    for arrival in arrivals {
        scene.handle(Event::Arrive(Box::new(arrival)));
    }
    for leg in &legs {
        scene.joined(*leg);
        scene.stored(*leg);
    }
    assert_eq!(scene.welcomed.keys().copied().collect::<Vec<_>>(), legs[..2]);
    assert_eq!(scene.code(legs[2]), Some(RefusalCode::RoomFull));
    assert!(scene.sfu.contains(&Command::Leave { leg: legs[2] }));
    assert!(scene.records.contains(&Record::LegEnded { leg: legs[2], reason: None }));
}

#[test]
fn the_same_person_elsewhere_replaces_the_first_page_when_they_enter_and_needs_no_second_seat() {
    let mut scene = Scene::new();
    let first = scene.call("ada");
    let bob = scene.call("bob");
    let second = scene.lobby("ada");
    assert_eq!(scene.code(second), None, "the room has two seats and two people");
    assert_eq!(scene.closed, [], "looking at the device check takes nothing from the first page");
    scene.news(bob);
    scene.enter(second);
    assert_eq!(scene.closed, [first]);
    assert_eq!(scene.news(first).last(), Some(&ServerEvent::Closed { reason: LeaveReason::Replaced }));
    assert_eq!(scene.id(first), scene.id(second), "one person in one call is one participant");
    assert!(matches!(
        &scene.news(bob)[..],
        [
            ServerEvent::ParticipantLeft { reason: LeaveReason::Replaced, .. },
            ServerEvent::ParticipantJoined { .. },
        ]
    ));
}

#[test]
fn a_second_lobby_of_the_same_person_replaces_the_first() {
    let mut scene = Scene::new();
    let first = scene.lobby("ada");
    let second = scene.lobby("ada");
    assert_eq!(scene.closed, [first]);
    assert!(scene.welcomed.contains_key(&second));
}

#[test]
fn whoever_comes_back_is_the_same_participant() {
    let mut scene = Scene::new();
    scene.call("bob");
    let first = scene.call("ada");
    scene.say(first, ClientEvent::Leave {});
    let second = scene.call("ada");
    assert_eq!(scene.id(first), scene.id(second));
}

#[test]
fn entering_twice_is_rejected_and_changes_nothing() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    scene.news(ada);
    let (sfu, records) = (scene.sfu.len(), scene.records.len());
    scene.enter(ada);
    assert!(matches!(
        &scene.news(ada)[..],
        [ServerEvent::Rejected { seq: 2, code: RefusalCode::OutOfOrder, .. }]
    ));
    assert_eq!((scene.sfu.len(), scene.records.len()), (sfu, records));
}

#[test]
fn a_muted_track_is_told_to_the_media_plane_before_anything_flows_and_to_the_others_on_change() {
    let mut scene = Scene::new();
    let bob = scene.call("bob");
    let ada = scene.lobby("ada");
    scene.news(bob);
    scene.sfu.clear();
    scene.say(ada, ClientEvent::Enter { name: None, muted: vec![Source::Camera, Source::Screen] });
    let muted = Command::Mute { leg: ada, source: Source::Camera, muted: true };
    assert_eq!(scene.sfu, [muted, Command::Enter { leg: ada }], "a source without a line is nothing to mute");
    let unmute = || ClientEvent::Mute { source: Source::Camera, muted: false };
    scene.say(ada, unmute());
    scene.say(ada, unmute());
    let seen: Vec<Vec<bool>> = scene.news(bob).iter().map(mutes).collect();
    assert_eq!(seen, [vec![false, true], vec![false, false]], "saying it again tells nobody");
}

fn mutes(event: &ServerEvent) -> Vec<bool> {
    match event {
        ServerEvent::ParticipantJoined { participant } | ServerEvent::ParticipantChanged { participant } => {
            participant.tracks.iter().map(|track| track.muted).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn out_of_order_and_bad_messages_are_rejected_by_code() {
    let mut scene = Scene::new();
    let ada = scene.lobby("ada");
    let want = |source| WantedTrack { participant_id: Uuid::nil(), source, width: 1, height: 1 };
    let line = SendLine { mid: "3".into(), source: Source::Screen };
    let offer = |offer: &str, sends| ClientEvent::Offer { offer: offer.into(), sends };
    for (event, code) in [
        (ClientEvent::Mute { source: Source::Camera, muted: true }, RefusalCode::OutOfOrder),
        (ClientEvent::View { wants: vec![want(Source::Camera); 65] }, RefusalCode::TooLarge),
        (ClientEvent::View { wants: vec![want(Source::Microphone)] }, RefusalCode::BadMessage),
        (ClientEvent::Rename { name: " ".into() }, RefusalCode::BadName),
        (ClientEvent::Rename { name: "a".repeat(10_000) }, RefusalCode::BadName),
        (ClientEvent::Rename { name: "a\u{202e}b".into() }, RefusalCode::BadName),
        (ClientEvent::Enter { name: Some("a\u{1b}[31m".into()), muted: vec![] }, RefusalCode::BadName),
        (offer(&"a".repeat(65 * 1024), vec![]), RefusalCode::TooLarge),
        (offer("v=0", vec![line]), RefusalCode::NotAllowed),
    ] {
        let before = format!("{:?}", scene.room.member_by_leg);
        let sfu = scene.sfu.len();
        scene.say(ada, event.clone());
        assert_eq!(codes(&scene.news(ada)), [code], "{event:?}");
        assert_eq!((format!("{:?}", scene.room.member_by_leg), scene.sfu.len()), (before, sfu), "{event:?}");
    }
}

#[test]
fn a_bad_arrival_is_refused_before_anyone_is_asked() {
    let mut scene = Scene::new();
    let check = |scene: &mut Scene, change: &dyn Fn(&mut Arrival), code| {
        let mut arrival = scene.arrival("ada");
        let leg = arrival.leg;
        change(&mut arrival);
        scene.handle(Event::Arrive(Box::new(arrival)));
        assert_eq!(scene.code(leg), Some(code));
        assert!(scene.sfu.is_empty() && scene.stores.is_empty() && scene.room.is_empty());
    };
    check(&mut scene, &|a| a.name = Some("\n".repeat(3) + "x\ny"), RefusalCode::BadName);
    check(&mut scene, &|a| a.offer = "x".repeat(1 << 20), RefusalCode::TooLarge);
    check(&mut scene, &|a| a.sends[0].mid = "m".repeat(17), RefusalCode::TooLarge);
    check(&mut scene, &|a| a.sends = vec![a.sends[0].clone(); 65], RefusalCode::TooLarge);
    check(&mut scene, &|a| a.sends[0].source = Source::Screen, RefusalCode::NotAllowed);
    check(&mut scene, &|a| a.sends[0].source = Source::Camera, RefusalCode::OfferNotUnderstood);
}

#[test]
fn a_refusal_of_the_media_plane_or_the_database_ends_the_arrival_on_both_sides() {
    let mut scene = Scene::new();
    let arrival = scene.arrival("ada");
    let leg = arrival.leg;
    scene.handle(Event::Arrive(Box::new(arrival)));
    scene.handle(Event::Media(control::Event::Refused { leg, reason: control::Refusal::OfferNotUnderstood }));
    assert_eq!(scene.code(leg), Some(RefusalCode::OfferNotUnderstood));
    scene.stored(leg);
    let closed = [Record::LegEnded { leg, reason: None }, Record::CallEnded];
    assert_eq!(scene.records, closed, "the rows, written meanwhile, are closed");

    let arrival = scene.arrival("bob");
    let leg = arrival.leg;
    scene.handle(Event::Arrive(Box::new(arrival)));
    scene.handle(Event::NotStored { leg, refusal: Refusal::unavailable() });
    scene.joined(leg);
    assert_eq!(scene.code(leg), Some(RefusalCode::Unavailable));
    assert_eq!(scene.sfu.last(), Some(&Command::Leave { leg }));
    assert!(scene.room.is_empty());
}

#[test]
fn an_arrival_that_nobody_answers_is_refused_in_time() {
    let mut scene = Scene::new();
    let arrival = scene.arrival("ada");
    let leg = arrival.leg;
    scene.handle(Event::Arrive(Box::new(arrival)));
    scene.wait(ARRIVAL_MAX);
    assert_eq!(scene.code(leg), Some(RefusalCode::Overloaded));
    assert!(scene.room.is_empty());
}

#[test]
fn a_seat_in_the_lobby_expires_and_one_in_the_call_does_not() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    let bob = scene.lobby("bob");
    scene.wait(LOBBY_MAX * 100);
    assert_eq!(scene.closed, [bob]);
    assert_eq!(scene.news(bob), [ServerEvent::Closed { reason: LeaveReason::LobbyExpired }]);
    assert!(scene.room.member_by_leg[&ada].is_in_call());
}

#[test]
fn a_lost_connection_is_told_to_its_page_and_to_the_others() {
    let mut scene = Scene::new();
    let (ada, bob) = (scene.call("ada"), scene.call("bob"));
    let bob_id = scene.id(bob);
    scene.news(ada);
    scene.news(bob);
    scene.handle(Event::Media(control::Event::Lost { leg: bob }));
    assert_eq!(scene.news(bob), [ServerEvent::MediaLost, ServerEvent::Closed { reason: LeaveReason::Lost }]);
    assert_eq!(
        scene.news(ada),
        [ServerEvent::ParticipantLeft { participant_id: bob_id, reason: LeaveReason::Lost }]
    );
    assert_eq!(scene.closed, [bob]);
}

#[test]
fn the_call_is_recorded_from_the_first_click_to_the_last_leave() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    let bob = scene.call("bob");
    scene.say(ada, ClientEvent::Leave {});
    scene.say(bob, ClientEvent::Leave {});
    let participant = |leg| ParticipantId(scene.id(leg));
    let (left, name) = (LeaveReason::Left, |name: &str| name.to_string());
    assert_eq!(
        scene.records,
        [
            Record::CallStarted,
            Record::Entered { participant: participant(ada), leg: ada, name: name("ADA") },
            Record::Entered { participant: participant(bob), leg: bob, name: name("BOB") },
            Record::Left { participant: participant(ada), leg: ada, reason: left },
            Record::Left { participant: participant(bob), leg: bob, reason: left },
            Record::CallEnded,
        ]
    );
    assert!(scene.room.is_empty());
}

#[test]
fn a_further_offer_is_answered_and_a_refused_one_changes_nothing() {
    let mut scene = Scene::new();
    let (ada, bob) = (scene.call("ada"), scene.call("bob"));
    scene.news(ada);
    scene.news(bob);
    let only_voice = || vec![SendLine { mid: "0".into(), source: Source::Microphone }];
    let offer = || ClientEvent::Offer { offer: "v=0 more".into(), sends: only_voice() };
    scene.say(ada, offer());
    scene.say(ada, offer());
    assert_eq!(codes(&scene.news(ada)), [RefusalCode::OutOfOrder], "one offer at a time");
    let reason = control::Refusal::OfferNotUnderstood;
    scene.handle(Event::Media(control::Event::OfferRefused { leg: ada, reason }));
    assert!(matches!(&scene.news(ada)[..], [ServerEvent::Rejected { seq: 2, .. }]));
    assert_eq!(scene.news(bob), []);
    scene.say(ada, offer());
    scene.handle(Event::Media(control::Event::Answered {
        leg: ada,
        answer: "v=0 answer".into(),
        slots: vec![],
    }));
    assert!(matches!(&scene.news(ada)[..], [ServerEvent::Answered { .. }]));
    assert_eq!(scene.news(bob).iter().map(mutes).collect::<Vec<_>>(), [vec![false]], "the camera is gone");
}

#[test]
fn slots_and_speakers_speak_of_people() {
    let mut scene = Scene::new();
    let (ada, bob) = (scene.call("ada"), scene.call("bob"));
    scene.news(ada);
    let (slot, gone) = ("9".to_string(), LegId(Uuid::nil()));
    let plays = |leg| SlotTrack { mid: slot.clone(), track: Some(TrackKey { leg, source: Source::Camera }) };
    scene.handle(Event::Media(control::Event::Slots { leg: ada, slots: vec![plays(bob), plays(gone)] }));
    let bob_id = scene.id(bob);
    let change = |id: Option<Uuid>| SlotChange {
        mid: slot.clone(),
        participant_id: id,
        source: id.map(|_| Source::Camera),
    };
    assert_eq!(scene.news(ada), [ServerEvent::Slots { slots: vec![change(Some(bob_id)), change(None)] }]);
    let room = RoomId(Uuid::from_u128(2));
    scene.handle(Event::Media(control::Event::Speakers { room, legs: vec![bob, gone] }));
    assert_eq!(scene.news(ada), [ServerEvent::Speakers { participant_ids: vec![bob_id] }]);
    scene.say(bob, ClientEvent::Leave {});
    assert_eq!(scene.news(ada).last(), Some(&ServerEvent::Speakers { participant_ids: vec![] }));
}

#[test]
fn a_view_names_tracks_of_the_media_plane() {
    let mut scene = Scene::new();
    let (ada, bob) = (scene.call("ada"), scene.call("bob"));
    let want =
        |participant_id| WantedTrack { participant_id, source: Source::Camera, width: 640, height: 360 };
    let wants = vec![want(scene.id(bob)), want(Uuid::nil())];
    scene.say(ada, ClientEvent::View { wants });
    let track = TrackKey { leg: bob, source: Source::Camera };
    let wants = vec![Want { track, width: 640, height: 360 }];
    assert_eq!(scene.sfu.last(), Some(&Command::View { leg: ada, wants }));
}

#[test]
fn someone_without_a_name_is_a_guest() {
    let mut scene = Scene::new();
    let mut arrival = scene.arrival("ada");
    arrival.name = None;
    let leg = arrival.leg;
    scene.handle(Event::Arrive(Box::new(arrival)));
    scene.joined(leg);
    scene.stored(leg);
    assert_eq!(scene.welcomed[&leg].you.name, "");
    scene.enter(leg);
    assert_eq!(scene.room.participants()[0].name, "Guest");
}

#[test]
fn a_removed_participant_is_told_and_gone_at_once() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    scene.news(ada);
    scene.handle(Event::Remove { participant: ParticipantId(scene.id(ada)) });
    assert_eq!(scene.news(ada), [ServerEvent::Closed { reason: LeaveReason::Removed }]);
    assert_eq!(scene.sfu.last(), Some(&Command::Leave { leg: ada }));
}

#[test]
fn when_the_service_stops_everyone_is_told() {
    let mut scene = Scene::new();
    let (ada, bob) = (scene.call("ada"), scene.lobby("bob"));
    scene.handle(Event::ShutDown);
    for leg in [ada, bob] {
        assert!(scene.news(leg).contains(&ServerEvent::Closed { reason: LeaveReason::ShuttingDown }));
    }
    assert!(scene.room.is_empty());
}

impl Scene {
    fn last_is_closed(&mut self, leg: LegId, reason: LeaveReason) -> bool {
        self.news(leg).last() == Some(&ServerEvent::Closed { reason })
    }

    fn left_at_sfu(&self, leg: LegId) -> bool {
        self.sfu.contains(&Command::Leave { leg })
    }

    /// When a leg's metering began and ended, as the media plane is told it, in steps of 50 ms over this long.
    fn metered(&mut self, legs: &[LegId], time: Duration) -> BTreeMap<LegId, u64> {
        let (begun, mut ms) = (self.now, BTreeMap::new());
        while self.now < begun + time {
            self.wait(Duration::from_millis(50));
            for leg in legs.iter().filter(|leg| !self.left_at_sfu(**leg)) {
                let free = self.sfu.iter().find_map(|command| match command {
                    Command::TakeOver { leg: over, free_ms } if over == leg => Some(*free_ms),
                    _ => None,
                });
                if self.now > begun + Duration::from_millis(free.unwrap_or(0).into()) {
                    *ms.entry(*leg).or_default() += 50;
                }
            }
        }
        ms
    }
}

const WITHIN: Duration = moving::MOVE_WITHIN;

#[test]
fn a_call_goes_over_when_everybody_is_ready_and_nobody_leaves_it() {
    let mut scene = Scene::new();
    let (ada, ben) = (scene.call("ada"), scene.call("ben"));
    scene.news(ada);
    scene.handle(Event::Move);
    assert_eq!(scene.news(ada), [ServerEvent::Move { within_ms: 10_000 }]);
    let (ada_too, ben_too) = (scene.lobby("ada"), scene.lobby("ben"));
    assert_eq!(scene.id(ada_too), scene.id(ada), "the same participant");
    scene.enter(ada_too);
    assert!(
        !scene.sfu.iter().any(|command| matches!(command, Command::TakeOver { .. })),
        "Ben is waited for"
    );
    scene.records.clear();
    scene.told.clear();
    scene.enter(ben_too);
    let over = |leg| Command::TakeOver { leg, free_ms: 2_100 };
    assert!(scene.sfu.contains(&over(ada_too)) && scene.sfu.contains(&over(ben_too)));
    let changed = |event: &ServerEvent| match event {
        ServerEvent::ParticipantChanged { participant } => Some(participant.leg_id),
        ServerEvent::ParticipantJoined { .. } => Some(Uuid::nil()),
        _ => None,
    };
    let news = scene.news(ada_too);
    assert_eq!(news.iter().filter_map(changed).collect::<Vec<_>>(), [ben_too.0], "Ben is on another leg");
    let legs = scene.records.iter().map(|record| match record {
        Record::Left { leg, reason: LeaveReason::Replaced, .. } => ("left", *leg),
        Record::Entered { leg, .. } => ("entered", *leg),
        other => panic!("{other:?}"),
    });
    let turns = [("left", ada), ("entered", ada_too), ("left", ben), ("entered", ben_too)];
    assert_eq!(legs.collect::<Vec<_>>(), turns, "one call, and each is in it once");
    // The first connections go on for a while.
    assert!(!scene.left_at_sfu(ada) && scene.closed.is_empty());
    scene.wait(moving::OVERLAP);
    assert!(scene.left_at_sfu(ada) && scene.left_at_sfu(ben));
    assert!(
        scene.last_is_closed(ada, LeaveReason::Replaced) && scene.last_is_closed(ben, LeaveReason::Replaced)
    );
}

#[test]
fn the_time_of_going_over_is_counted_once() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    scene.handle(Event::Move);
    let ada_too = scene.lobby("ada");
    scene.enter(ada_too);
    let counted: u64 = scene.metered(&[ada, ada_too], Duration::from_secs(10)).values().sum();
    assert!((9_850..=10_000).contains(&counted), "{counted} ms of 10 s: never more, and hardly less");
}

#[test]
fn a_page_that_does_not_answer_is_told_that_its_media_is_lost() {
    let mut scene = Scene::new();
    let (_ada, ben) = (scene.call("ada"), scene.call("ben"));
    scene.handle(Event::Move);
    let ada_too = scene.lobby("ada");
    scene.enter(ada_too);
    scene.wait(WITHIN - Duration::from_millis(1));
    assert!(!scene.left_at_sfu(ben));
    scene.wait(Duration::from_millis(1));
    let news = scene.news(ben);
    assert_eq!(
        news[news.len() - 2..],
        [ServerEvent::MediaLost, ServerEvent::Closed { reason: LeaveReason::Lost }]
    );
    assert!(scene.left_at_sfu(ben));
    assert_eq!(scene.room.participants().len(), 1, "Ada is over");
}

#[test]
fn a_lobby_and_clients_without_a_page_do_not_hold_a_room_up() {
    let mut scene = Scene::new();
    let lobby = scene.lobby("ada");
    let mut arrival = scene.arrival("encoder");
    arrival.enters_at_once = true;
    let encoder = arrival.leg;
    scene.handle(Event::Arrive(Box::new(arrival)));
    scene.joined(encoder);
    scene.stored(encoder);
    scene.handle(Event::Move);
    assert!(scene.left_at_sfu(lobby) && scene.left_at_sfu(encoder));
    assert!(scene.closed.contains(&encoder) && scene.last_is_closed(lobby, LeaveReason::Lost));
}

#[test]
fn when_the_other_node_dies_the_call_stays_as_it_is() {
    let mut scene = Scene::new();
    let (ada, ben) = (scene.call("ada"), scene.call("ben"));
    scene.handle(Event::Move);
    let ada_too = scene.lobby("ada");
    scene.enter(ada_too);
    scene.handle(Event::Media(control::Event::Lost { leg: ada_too }));
    scene.handle(Event::Stay);
    scene.wait(2 * WITHIN);
    assert!(!scene.left_at_sfu(ada) && !scene.left_at_sfu(ben));
    assert_eq!(scene.room.participants().len(), 2);
}

#[test]
fn when_the_first_node_dies_whoever_is_ready_goes_in_at_once() {
    let mut scene = Scene::new();
    let (ada, ben) = (scene.call("ada"), scene.call("ben"));
    scene.handle(Event::Move);
    let ada_too = scene.lobby("ada");
    scene.enter(ada_too);
    for leg in [ada, ben] {
        scene.handle(Event::Media(control::Event::Lost { leg }));
    }
    assert!(scene.sfu.contains(&Command::Enter { leg: ada_too }), "counted from now on");
    assert_eq!(scene.room.participants().len(), 1);
}

#[test]
fn who_is_removed_while_going_over_is_out_at_once() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    scene.handle(Event::Move);
    let ada_too = scene.lobby("ada");
    scene.enter(ada_too);
    scene.handle(Event::Remove { participant: ParticipantId(scene.id(ada)) });
    assert!(scene.left_at_sfu(ada) && scene.left_at_sfu(ada_too) && scene.room.is_empty());
}
