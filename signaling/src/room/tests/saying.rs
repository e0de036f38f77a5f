//! What pages say and hear in the call.

use super::*;

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
