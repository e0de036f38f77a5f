//! A call goes over to another media node.

use super::*;
use crate::room::moving::{MOVE_WITHIN as WITHIN, OVERLAP};

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
    scene.wait(OVERLAP);
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
