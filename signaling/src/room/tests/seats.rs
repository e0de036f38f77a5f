//! As many as fit, and one seat a person.

use super::*;

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
fn a_seat_in_the_lobby_expires_and_one_in_the_call_does_not() {
    let mut scene = Scene::new();
    let ada = scene.call("ada");
    let bob = scene.lobby("bob");
    scene.wait(LOBBY_MAX * 100);
    assert_eq!(scene.closed, [bob]);
    assert_eq!(scene.news(bob), [ServerEvent::Closed { reason: LeaveReason::LobbyExpired }]);
    assert!(scene.room.member_by_leg[&ada].is_in_call());
}
