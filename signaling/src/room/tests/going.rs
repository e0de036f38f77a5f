//! Leaving, and what is written down of it.

use super::*;

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
