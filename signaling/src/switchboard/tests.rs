//! Scenarios of sockets that come, break and come back, in simulated time.

use super::*;
use crate::protocol::{ClientEvent, RefusalCode};
use crate::resource::{Approach, Denial, Outcome, Reply, TokenHash, Way};
use crate::room::Arrival;
use crate::sdp::OneWayOffer;
use crate::tokens::CallRole;
use sfu::control::{SendLine, Source};
use std::time::Duration;
use uuid::Uuid;

const HEARTBEAT: Duration = Duration::from_secs(5);
const RESUME_WITHIN: Duration = Duration::from_secs(30);
const ROOM: RoomId = RoomId(Uuid::from_u128(2));
const TENANT: TenantId = TenantId(Uuid::from_u128(1));

/// A switchboard between a media plane and a database that always say yes, and pages.
struct Scene {
    board: Switchboard,
    now: Instant,
    last: u64,
    frames: BTreeMap<SocketId, Vec<ServerFrame>>,
    hung_up: Vec<SocketId>,
    replies: BTreeMap<RequestId, Outcome>,
    records: Vec<Record>,
    commands: Vec<Command>,
    /// Does the database answer?
    stores: bool,
    /// What the media plane answers.
    answer: &'static str,
}

/// A page: its socket, its session's secret, and what it has said and heard.
struct Page {
    socket: SocketId,
    secret: ResumeSecret,
    said: u64,
    heard: Vec<ServerEvent>,
}

impl Scene {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
    fn new() -> Self {
        Self {
            board: Switchboard::new(Timing { heartbeat: HEARTBEAT, resume_within: RESUME_WITHIN }),
            now: Instant::now(),
            last: 0,
            frames: BTreeMap::new(),
            hung_up: Vec::new(),
            replies: BTreeMap::new(),
            records: Vec::new(),
            commands: Vec::new(),
            stores: true,
            answer: "v=0",
        }
    }

    fn handle(&mut self, input: Input) {
        self.board.handle(input, self.now);
        while let Some(output) = self.board.poll_output() {
            match output {
                Output::Frame { socket, frame } => {
                    assert!(!self.hung_up.contains(&socket), "nothing follows the end");
                    self.frames.entry(socket).or_default().push(frame);
                }
                Output::HangUp { socket } => self.hung_up.push(socket),
                Output::Reply { request, outcome } => {
                    let before = self.replies.insert(request, outcome);
                    assert_eq!(before, None, "a request is answered once");
                }
                Output::Record { record, .. } => self.records.push(record),
                Output::Store(row) if self.stores => {
                    let policy = Policy { title: "Tea".into(), participants_max: 8, bitrate_kbps_max: None };
                    self.handle(Input::Stored { row, result: Ok(policy) });
                }
                Output::Store(_) => {}
                Output::Sfu(command) => self.media(command),
            }
        }
    }

    fn media(&mut self, command: Command) {
        if let Command::Join { leg, .. } = command {
            self.commands.push(command);
            let answer = self.answer.into();
            return self.handle(Input::Media(control::Event::Joined {
                leg,
                answer,
                slots: vec![],
                turn: None,
            }));
        }
        self.commands.push(command);
    }

    fn socket(&mut self) -> SocketId {
        self.last += 1;
        SocketId(self.last)
    }

    fn join(&mut self, identity: &str) -> Page {
        let socket = self.socket();
        let n = u128::from(self.last);
        let leg = LegId(Uuid::from_u128(100 + n));
        let secret = ResumeSecret::new(leg, [self.last as u8; 32]);
        let newcomer = self.newcomer(leg, identity);
        let hello = Hello { socket, newcomer, secret: secret.clone(), origin: None, instead_of: None };
        self.handle(Input::Join(Box::new(hello)));
        Page { socket, secret, said: 0, heard: Vec::new() }
    }

    fn newcomer(&mut self, leg: LegId, identity: &str) -> Newcomer {
        let n = u128::from(self.last);
        let arrival = Arrival {
            leg,
            participant: ParticipantId(Uuid::from_u128(200 + n)),
            identity: identity.into(),
            name: Some(identity.into()),
            role: CallRole::Participant,
            may_publish: vec![Source::Camera],
            offer: "v=0".into(),
            sends: vec![SendLine { mid: "0".into(), source: Source::Camera }],
            enters_at_once: false,
        };
        Newcomer { tenant: TENANT, room: ROOM, call: CallId(Uuid::from_u128(n)), arrival }
    }

    fn call(&mut self, identity: &str) -> Page {
        let mut page = self.join(identity);
        self.say(&mut page, ClientEvent::Enter { name: None, muted: vec![] });
        self.read(&mut page);
        page
    }

    fn say(&mut self, page: &mut Page, event: ClientEvent) {
        page.said += 1;
        self.handle(Input::Event { socket: page.socket, seq: page.said, event });
    }

    fn rename(&mut self, page: &mut Page, name: &str) {
        self.say(page, ClientEvent::Rename { name: name.into() });
    }

    /// What came over the page's socket since the last look; events are acknowledged.
    fn read(&mut self, page: &mut Page) -> Vec<ServerFrame> {
        let frames = self.frames.remove(&page.socket).unwrap_or_default();
        for frame in &frames {
            if let ServerFrame::Event { seq, body } = frame {
                assert_eq!(*seq, page.heard.len() as u64 + 1, "in order, without gaps");
                page.heard.push(body.clone());
            }
        }
        self.handle(Input::Ack { socket: page.socket, seq: page.heard.len() as u64 });
        frames
    }

    fn resume(&mut self, page: &mut Page) -> Vec<ServerFrame> {
        page.socket = self.socket();
        let (secret, received) = (page.secret.clone(), page.heard.len() as u64);
        self.handle(Input::Resume { socket: page.socket, secret, origin: None, received });
        self.read(page)
    }

    /// Comes back with the secret of the page's last session; from this origin, if any.
    fn rejoin(&mut self, page: &Page, origin: Option<&str>) -> Page {
        let socket = self.socket();
        let n = u128::from(self.last);
        let secret = ResumeSecret::new(LegId(Uuid::from_u128(100 + n)), [self.last as u8; 32]);
        self.handle(Input::Rejoin(Box::new(Return {
            socket,
            before: page.secret.clone(),
            origin: origin.map(str::to_owned),
            participant: ParticipantId(Uuid::from_u128(200 + n)),
            call: CallId(Uuid::from_u128(n)),
            secret: secret.clone(),
            offer: "v=0".into(),
            sends: vec![SendLine { mid: "0".into(), source: Source::Camera }],
        })));
        Page { socket, secret, said: 0, heard: Vec::new() }
    }

    /// The media plane has lost this page's leg.
    fn lose_media(&mut self, page: &Page) {
        self.handle(Input::Media(control::Event::Lost { leg: page.secret.leg }));
    }

    fn drop_socket(&mut self, page: &Page) {
        self.handle(Input::Gone { socket: page.socket });
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.handle(Input::Tick);
    }

    fn left(&self) -> usize {
        self.records.iter().filter(|record| matches!(record, Record::Left { .. })).count()
    }
}

fn refusal(frames: &[ServerFrame]) -> Option<RefusalCode> {
    match frames.last() {
        Some(ServerFrame::Refused { code, .. }) => Some(*code),
        _ => None,
    }
}

/// Who changed in which way: whether they were said to be away.
fn aways(events: &[ServerEvent]) -> Vec<bool> {
    let away = |event: &ServerEvent| match event {
        ServerEvent::ParticipantChanged { participant } => Some(participant.away),
        _ => None,
    };
    events.iter().filter_map(away).collect()
}

fn news(page: &mut Page) -> Vec<ServerEvent> {
    std::mem::take(&mut page.heard)
}

#[test]
fn the_first_frame_is_joined_with_what_is_needed_to_resume() {
    let mut scene = Scene::new();
    let mut ada = scene.join("ada");
    let frames = scene.read(&mut ada);
    let [ServerFrame::Joined { resume, heartbeat_ms: 5_000, resume_within_ms: 30_000, .. }] = &frames[..]
    else {
        panic!("{frames:?}")
    };
    assert!(ResumeSecret::parse(resume).is_some_and(|secret| secret == ada.secret));
}

#[test]
fn joined_waits_for_the_row() {
    let mut scene = Scene::new();
    scene.stores = false;
    let mut ada = scene.join("ada");
    assert_eq!(scene.read(&mut ada), []);
}

#[test]
fn a_dropped_socket_resumes_within_the_window_and_nobody_sees_them_leave() {
    let mut scene = Scene::new();
    let (mut ada, mut bob) = (scene.call("ada"), scene.call("bob"));
    scene.read(&mut ada);
    let before = bob.heard.len();
    scene.drop_socket(&ada);
    for name in ["b1", "b2", "b3"] {
        scene.rename(&mut bob, name);
    }
    scene.wait(RESUME_WITHIN - Duration::from_secs(1));
    assert_eq!(scene.resume(&mut ada)[0], ServerFrame::Resumed { received: 1 });
    assert_eq!(ada.heard.len(), 5, "entered, bob came, and three names while away");
    scene.wait(RESUME_WITHIN * 2);
    scene.read(&mut bob);
    assert_eq!(aways(&bob.heard[before..]), [true, false], "bob knows why the picture stood still");
    assert_eq!(bob.heard.len(), before + 2, "bob heard nothing else of it");
    assert_eq!(scene.left(), 0);
    assert!(!scene.commands.iter().any(|command| matches!(command, Command::Leave { .. })), "media goes on");
}

#[test]
fn who_is_back_within_3_s_was_never_away() {
    let mut scene = Scene::new();
    let (mut ada, mut bob) = (scene.call("ada"), scene.call("bob"));
    let before = bob.heard.len();
    for ms in [2_999, 3_000, 100] {
        scene.drop_socket(&ada);
        scene.wait(Duration::from_millis(ms));
        scene.resume(&mut ada);
    }
    scene.read(&mut bob);
    assert_eq!(aways(&bob.heard[before..]), [true, false], "only the second time");
}

#[test]
fn a_newcomer_is_told_who_is_away() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    scene.drop_socket(&ada);
    scene.wait(Duration::from_secs(5));
    let mut bob = scene.join("bob");
    let frames = scene.read(&mut bob);
    let [ServerFrame::Joined { participants, .. }] = &frames[..] else { panic!("{frames:?}") };
    assert!(participants[0].away);
}

#[test]
fn after_the_window_they_are_gone() {
    let mut scene = Scene::new();
    let (mut ada, mut bob) = (scene.call("ada"), scene.call("bob"));
    news(&mut bob);
    scene.drop_socket(&ada);
    scene.wait(RESUME_WITHIN);
    scene.frames.clear();
    bob.heard.clear();
    assert_eq!(scene.left(), 1);
    assert_eq!(refusal(&scene.resume(&mut ada)), Some(RefusalCode::ResumeExpired));
    assert!(matches!(scene.commands.last(), Some(Command::Leave { leg }) if *leg == ada.secret.leg));
}

#[test]
fn what_was_said_before_the_cut_is_not_done_twice() {
    let mut scene = Scene::new();
    let (mut ada, mut bob) = (scene.call("ada"), scene.call("bob"));
    scene.read(&mut ada);
    scene.rename(&mut ada, "Ada L.");
    scene.drop_socket(&ada);
    assert_eq!(scene.resume(&mut ada)[0], ServerFrame::Resumed { received: 2 });
    // The page had not heard the acknowledgement and says it again under its number.
    let event = ClientEvent::Rename { name: "Ada L.".into() };
    scene.handle(Input::Event { socket: ada.socket, seq: 2, event });
    news(&mut bob);
    scene.board.handle(Input::Tick, scene.now);
    let renames = scene.records.iter().filter(|record| matches!(record, Record::Renamed { .. })).count();
    assert_eq!(renames, 1);
}

#[test]
fn a_second_socket_takes_the_session_over_and_the_first_is_told() {
    let mut scene = Scene::new();
    let mut ada = scene.call("ada");
    let old = ada.socket;
    scene.resume(&mut ada);
    assert_eq!(refusal(&scene.frames[&old]), Some(RefusalCode::ResumedElsewhere));
    assert!(scene.hung_up.contains(&old));
    scene.handle(Input::Event { socket: old, seq: 2, event: ClientEvent::Leave {} });
    scene.handle(Input::Gone { socket: old });
    scene.wait(RESUME_WITHIN * 2);
    assert_eq!(scene.left(), 0, "what the old socket says or does changes nothing");
}

#[test]
fn a_stolen_leg_id_does_not_resume() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    let socket = scene.socket();
    let secret = ResumeSecret::new(ada.secret.leg, [0; 32]);
    scene.handle(Input::Resume { socket, secret, origin: None, received: 0 });
    assert_eq!(refusal(&scene.frames[&socket]), Some(RefusalCode::ResumeExpired));
    assert!(!scene.hung_up.contains(&ada.socket));
}

#[test]
fn a_gap_closes_the_socket_and_the_session_can_still_be_resumed() {
    let mut scene = Scene::new();
    let mut ada = scene.call("ada");
    scene.handle(Input::Event { socket: ada.socket, seq: 5, event: ClientEvent::Leave {} });
    assert_eq!(refusal(&scene.frames[&ada.socket]), Some(RefusalCode::BadSequence));
    assert_eq!(scene.resume(&mut ada)[0], ServerFrame::Resumed { received: 1 });
    scene.handle(Input::Ack { socket: ada.socket, seq: 99 });
    assert_eq!(refusal(&scene.frames[&ada.socket]), Some(RefusalCode::BadSequence));
    assert_eq!(scene.left(), 0);
}

#[test]
fn a_page_that_never_acknowledges_is_told_and_leaves_the_call() {
    let mut scene = Scene::new();
    let (deaf, mut bob) = (scene.call("ada"), scene.call("bob"));
    for i in 0..600 {
        scene.rename(&mut bob, &format!("bob {i}"));
        scene.read(&mut bob);
    }
    assert_eq!(refusal(&scene.frames[&deaf.socket]), Some(RefusalCode::TooSlow));
    assert!(matches!(bob.heard.last(), Some(ServerEvent::ParticipantLeft { reason: LeaveReason::Lost, .. })));
    assert_eq!(scene.left(), 1);
    assert!(scene.frames[&deaf.socket].len() <= 520);
}

#[test]
fn a_page_that_goes_before_joined_leaves_nothing_behind() {
    let mut scene = Scene::new();
    scene.stores = false;
    let ada = scene.join("ada");
    scene.drop_socket(&ada);
    assert!(scene.board.is_idle());
    assert_eq!(scene.commands.last(), Some(&Command::Leave { leg: ada.secret.leg }));
}

#[test]
fn events_before_joined_are_refused() {
    let mut scene = Scene::new();
    scene.stores = false;
    let mut ada = scene.join("ada");
    scene.say(&mut ada, ClientEvent::Leave {});
    assert_eq!(refusal(&scene.frames[&ada.socket]), Some(RefusalCode::OutOfOrder));
    assert!(scene.board.is_idle());
}

#[test]
fn a_row_written_for_a_page_that_has_gone_is_closed() {
    let mut scene = Scene::new();
    scene.stores = false;
    let ada = scene.join("ada");
    scene.drop_socket(&ada);
    let row = Box::new(NewLeg {
        tenant: TENANT,
        room: ROOM,
        call: CallId(Uuid::from_u128(1)),
        participant: ParticipantId(Uuid::nil()),
        identity: "ada".into(),
        name: String::new(),
        role: CallRole::Participant,
        leg: ada.secret.leg,
    });
    scene.handle(Input::Stored {
        row,
        result: Ok(Policy { title: String::new(), participants_max: 8, bitrate_kbps_max: None }),
    });
    assert_eq!(scene.records, [Record::LegEnded { leg: ada.secret.leg, reason: None }, Record::CallEnded]);
}

#[test]
fn too_many_arriving_at_once_are_refused_at_once() {
    let mut scene = Scene::new();
    scene.stores = false;
    for i in 0..ARRIVING_MAX {
        scene.join(&i.to_string());
    }
    let last = scene.join("one more");
    assert_eq!(refusal(&scene.frames[&last.socket]), Some(RefusalCode::Overloaded));
}

/// A viewer's request to be in the call, and where it will be.
fn ask(scene: &mut Scene, identity: &str) -> (RequestId, Approach) {
    scene.last += 1;
    let (n, request) = (u128::from(scene.last), RequestId(scene.last));
    let sdp = "v=0\na=ice-ufrag:EsAw\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\nm=audio 9 x 1\na=mid:0\n";
    let offer = OneWayOffer::viewing(sdp).expect("an offer");
    let at = Approach {
        way: Way::Whep,
        room: ROOM,
        id: ResourceId::new([scene.last as u8; 16]),
        token: TokenHash::of(identity),
    };
    let mut newcomer = scene.newcomer(LegId(Uuid::from_u128(100 + n)), identity);
    newcomer.arrival.enters_at_once = true;
    let resource = Box::new(Resource::new(at.clone(), offer));
    scene.handle(Input::Ask { request, ask: Ask::Make { newcomer: Box::new(newcomer), resource } });
    (request, at)
}

fn delete(scene: &mut Scene, at: &Approach) -> Outcome {
    scene.last += 1;
    let request = RequestId(scene.last);
    scene.handle(Input::Ask { request, ask: Ask::Delete { at: at.clone() } });
    scene.replies.remove(&request).expect("answered at once")
}

#[test]
fn a_client_is_answered_once_and_its_resource_ends_with_its_leg() {
    let mut scene = Scene::new();
    let (request, at) = ask(&mut scene, "wall");
    let made = Ok(Reply::Made { answer: "v=0".into(), tag: "\"ice-1\"".into(), ice_servers: vec![] });
    assert_eq!(scene.replies.remove(&request), Some(made));
    let stranger = Approach { token: TokenHash::of("another"), ..at.clone() };
    assert_eq!(delete(&mut scene, &stranger), Err(Denial::NotFound));
    assert_eq!(scene.left(), 0);
    assert_eq!(delete(&mut scene, &at), Ok(Reply::Ended));
    assert_eq!((delete(&mut scene, &at), scene.left()), (Err(Denial::NotFound), 1));
    assert!(scene.board.is_idle());
}

#[test]
fn a_client_is_not_let_in_by_half() {
    let mut scene = Scene::new();
    scene.answer = "v=0\r\nm=audio 9 x 111\r\nm=video 0 x 0\r\n";
    let (request, at) = ask(&mut scene, "wall");
    assert_eq!(scene.replies.get(&request), Some(&Err(Denial::Partial)));
    assert_eq!(delete(&mut scene, &at), Err(Denial::NotFound));
    assert!(
        matches!(scene.commands[..], [Command::Join { .. }, Command::Leave { .. }]),
        "{:?}",
        scene.commands
    );
    assert!(scene.board.is_idle());
    scene.call("ada");
    assert_eq!(scene.left(), 0, "a page knows which of its lines are answered");
}

#[test]
fn a_client_that_cannot_come_in_is_told_so() {
    let mut scene = Scene::new();
    scene.stores = false;
    let (waiting, _) = ask(&mut scene, "wall");
    assert_eq!(scene.replies.get(&waiting), None);
    scene.wait(Duration::from_secs(6));
    let overloaded = Some(&Err(Denial::Refused(Refusal::overloaded())));
    assert_eq!(scene.replies.get(&waiting), overloaded);
    for i in 0..ARRIVING_MAX {
        scene.join(&i.to_string());
    }
    let (last, _) = ask(&mut scene, "one more");
    assert_eq!(scene.replies.get(&last), overloaded);
    scene.handle(Input::ShutDown);
    let (late, _) = ask(&mut scene, "late");
    assert_eq!(scene.replies.get(&late), Some(&Err(Denial::Refused(Refusal::unavailable()))));
}

#[test]
fn a_stopping_service_tells_everyone_and_takes_nobody() {
    let mut scene = Scene::new();
    let mut ada = scene.call("ada");
    scene.handle(Input::ShutDown);
    let frames = scene.frames[&ada.socket].clone();
    assert!(matches!(
        frames.last(),
        Some(ServerFrame::Event { body: ServerEvent::Closed { reason: LeaveReason::ShuttingDown }, .. })
    ));
    assert!(scene.hung_up.contains(&ada.socket));
    assert!(scene.board.is_idle());
    assert_eq!(refusal(&scene.resume(&mut ada)), Some(RefusalCode::ResumeExpired));
    let bob = scene.join("bob");
    assert_eq!(refusal(&scene.frames[&bob.socket]), Some(RefusalCode::Unavailable));
}

#[test]
fn leaving_is_confirmed_before_the_socket_closes() {
    let mut scene = Scene::new();
    let mut ada = scene.call("ada");
    scene.frames.clear();
    scene.say(&mut ada, ClientEvent::Leave {});
    let frames = &scene.frames[&ada.socket];
    assert!(frames.contains(&ServerFrame::Ack { seq: 2 }));
    assert!(matches!(
        frames.last(),
        Some(ServerFrame::Event { body: ServerEvent::Closed { reason: LeaveReason::Left }, .. })
    ));
    assert!(scene.board.is_idle());
}

#[test]
fn live_calls_are_those_of_the_tenant_with_someone_in() {
    let mut scene = Scene::new();
    scene.join("ada");
    assert_eq!(scene.board.live_calls(TENANT), []);
    let bob = scene.call("bob");
    let calls = scene.board.live_calls(TENANT);
    assert_eq!((calls.len(), calls[0].participants.len()), (1, 1));
    assert_eq!(scene.board.live_calls(TenantId(Uuid::nil())), []);
    let participant = ParticipantId(calls[0].participants[0].participant_id);
    assert!(!scene.board.has_participant(TenantId(Uuid::nil()), participant));
    scene.handle(Input::Remove { tenant: TenantId(Uuid::nil()), participant });
    assert!(!scene.hung_up.contains(&bob.socket), "another tenant removes nobody");
    scene.handle(Input::Remove { tenant: TENANT, participant });
    assert!(scene.hung_up.contains(&bob.socket));
}

/// Who the page is, if these frames let it in.
fn participant(frames: &[ServerFrame]) -> Option<(Uuid, String)> {
    match frames {
        [ServerFrame::Joined { you, .. }] => Some((you.participant_id, you.name.clone())),
        _ => None,
    }
}

#[test]
fn a_page_whose_media_was_lost_comes_back_without_a_token_as_who_it_was() {
    let mut scene = Scene::new();
    let mut ada = scene.join("ada");
    let before = participant(&scene.read(&mut ada));
    scene.say(&mut ada, ClientEvent::Enter { name: None, muted: vec![] });
    let mut ben = scene.call("ben");
    scene.lose_media(&ada);
    scene.read(&mut ada);
    assert!(
        ada.heard.ends_with(&[ServerEvent::MediaLost, ServerEvent::Closed { reason: LeaveReason::Lost }])
    );
    scene.wait(RESUME_WITHIN - Duration::from_secs(1));
    let mut again = scene.rejoin(&ada, None);
    assert_eq!(participant(&scene.read(&mut again)), before);
    scene.say(&mut again, ClientEvent::Enter { name: None, muted: vec![] });
    scene.read(&mut ben);
    let back = |event: &ServerEvent| match event {
        ServerEvent::ParticipantJoined { participant } => Some(participant.participant_id),
        _ => None,
    };
    assert_eq!(ben.heard.iter().filter_map(back).next_back(), before.map(|(participant, _)| participant));
    // The old leg has ended before the new one is counted.
    let of_ada = |record: &Record| match record {
        Record::Left { leg, .. } if *leg == ada.secret.leg => Some("left"),
        Record::Entered { leg, .. } if *leg == again.secret.leg => Some("entered"),
        _ => None,
    };
    assert_eq!(scene.records.iter().filter_map(of_ada).collect::<Vec<_>>(), ["left", "entered"]);
}

#[test]
fn a_call_that_lost_everybody_at_once_goes_on_as_the_same_call() {
    let mut scene = Scene::new();
    let mut pages = [scene.join("ada"), scene.join("ben")];
    let before = pages.each_mut().map(|page| participant(&scene.read(page)));
    let mut calls = BTreeSet::new();
    let mut enter = |scene: &mut Scene, page: &mut Page| {
        scene.say(page, ClientEvent::Enter { name: None, muted: vec![] });
        scene.read(page);
        calls.extend(page.heard.iter().filter_map(|event| match event {
            ServerEvent::Entered { call_id } => Some(*call_id),
            _ => None,
        }));
    };
    pages.iter_mut().for_each(|page| enter(&mut scene, page));
    pages.iter().for_each(|page| scene.lose_media(page));
    assert!(scene.board.live_calls(TENANT).is_empty());
    let mut again = pages.each_ref().map(|page| scene.rejoin(page, None));
    assert_eq!(again.each_mut().map(|page| participant(&scene.read(page))), before);
    again.iter_mut().for_each(|page| enter(&mut scene, page));
    assert_eq!(calls.len(), 1, "one call, before and after");
}

#[test]
fn who_comes_back_when_another_call_has_begun_is_somebody_new_in_it() {
    let mut scene = Scene::new();
    let mut ada = scene.join("ada");
    let before = participant(&scene.read(&mut ada)).map(|(id, _)| id);
    scene.lose_media(&ada);
    let _ben = scene.call("ben");
    let mut again = scene.rejoin(&ada, None);
    let after = participant(&scene.read(&mut again)).map(|(id, _)| id);
    assert!(after.is_some() && after != before, "a participant is of one call");
    assert_eq!(scene.board.live_calls(TENANT).len(), 1);
}

#[test]
fn a_page_whose_own_side_lost_the_media_takes_its_old_leg_out() {
    let mut scene = Scene::new();
    let mut ada = scene.call("ada");
    let mut again = scene.rejoin(&ada, None);
    assert!(participant(&scene.read(&mut again)).is_some());
    assert_eq!(scene.left(), 0, "the old leg stays until the new one enters");
    scene.say(&mut again, ClientEvent::Enter { name: None, muted: vec![] });
    scene.read(&mut ada);
    assert_eq!(ada.heard.last(), Some(&ServerEvent::Closed { reason: LeaveReason::Replaced }));
    assert_eq!(scene.left(), 1);
}

#[test]
fn a_pass_lets_in_once_for_a_while_and_its_owner_only() {
    let mut scene = Scene::new();
    let expired = |scene: &mut Scene, page: &Page| {
        let mut back = scene.rejoin(page, None);
        refusal(&scene.read(&mut back)) == Some(RefusalCode::ResumeExpired)
    };
    let mut ada = scene.call("ada");
    scene.lose_media(&ada);
    scene.read(&mut ada);
    let guess = Page { secret: ResumeSecret::new(ada.secret.leg, [99; 32]), ..scene.join("mallory") };
    assert!(expired(&mut scene, &guess), "a wrong secret");
    let mut again = scene.rejoin(&ada, None);
    assert!(participant(&scene.read(&mut again)).is_some());
    assert!(expired(&mut scene, &ada), "a second time");
    scene.lose_media(&again);
    scene.wait(RESUME_WITHIN);
    assert!(expired(&mut scene, &again), "too late");
}

#[test]
fn nobody_comes_back_whom_somebody_wanted_out() {
    let mut scene = Scene::new();
    let refused = |scene: &mut Scene, page: &Page| {
        let mut back = scene.rejoin(page, None);
        refusal(&scene.read(&mut back)) == Some(RefusalCode::ResumeExpired)
    };
    let mut ada = scene.call("ada");
    scene.say(&mut ada, ClientEvent::Leave {});
    assert!(refused(&mut scene, &ada), "who hung up");
    let mut ben = scene.join("ben");
    let (id, _) = participant(&scene.read(&mut ben)).expect("ben is in the lobby");
    scene.say(&mut ben, ClientEvent::Enter { name: None, muted: vec![] });
    let removal = || Input::Remove { tenant: TENANT, participant: ParticipantId(id) };
    scene.lose_media(&ben);
    assert!(scene.board.has_participant(TENANT, ParticipantId(id)), "he is about to come back");
    scene.handle(removal());
    assert!(!scene.board.has_participant(TENANT, ParticipantId(id)));
    assert!(refused(&mut scene, &ben), "who was removed while away");
    let cleo = scene.call("cleo");
    let _elsewhere = scene.call("cleo");
    assert!(refused(&mut scene, &cleo), "whose other page took over");
}

#[test]
fn a_session_bound_to_an_origin_is_rejoined_from_there_only() {
    let mut scene = Scene::new();
    let socket = scene.socket();
    let secret = ResumeSecret::new(LegId(Uuid::from_u128(100)), [1; 32]);
    let newcomer = scene.newcomer(secret.leg, "ada");
    let origin = Some("https://a.example".to_owned());
    let hello = Hello { socket, newcomer, secret: secret.clone(), origin, instead_of: None };
    scene.handle(Input::Join(Box::new(hello)));
    let ada = Page { socket, secret, said: 0, heard: Vec::new() };
    scene.lose_media(&ada);
    for elsewhere in [None, Some("https://b.example")] {
        let mut back = scene.rejoin(&ada, elsewhere);
        assert_eq!(refusal(&scene.read(&mut back)), Some(RefusalCode::OriginNotAllowed));
    }
    let mut back = scene.rejoin(&ada, Some("https://a.example"));
    assert!(participant(&scene.read(&mut back)).is_some());
    // The binding passes on to the new session.
    scene.lose_media(&back);
    let mut stolen = scene.rejoin(&back, Some("https://b.example"));
    assert_eq!(refusal(&scene.read(&mut stolen)), Some(RefusalCode::OriginNotAllowed));
}
