//! Who comes in, and in what order it is said.

use super::*;

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
fn the_plan_s_limit_is_told_to_the_media_plane_before_anybody_may_enter() {
    let mut scene = Scene::new();
    scene.lobby("ada");
    assert!(matches!(scene.sfu[..], [Command::Join { .. }]), "no plan limits what it does not name");
    scene.bitrate_kbps_max = Some(300);
    let bob = scene.call("bob");
    let [_, Command::Join { .. }, Command::Limit { leg, kbps: 300 }, Command::Enter { leg: entered }] =
        scene.sfu[..]
    else {
        panic!("{:?}", scene.sfu)
    };
    assert_eq!((leg, entered), (bob, bob));
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
