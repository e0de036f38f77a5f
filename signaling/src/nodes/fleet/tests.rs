//! Stories of nodes in simulated time.

use super::*;
use sfu::control::{Meter, Refusal, TenantId, UsageFact};

const LEASE: Duration = Duration::from_secs(10);
const HUB: Uuid = Uuid::from_u128(1);

struct Scene {
    fleet: Fleet,
    now: Instant,
    links: u64,
}

impl Scene {
    #[expect(clippy::disallowed_methods, reason = "any instant will do; the scene adds to it")]
    fn new() -> Scene {
        Scene { fleet: Fleet::new(HUB, LEASE), now: Instant::now(), links: 0 }
    }

    fn hello(&mut self, name: &str, hello: Hello) -> (LinkId, Standing, u64) {
        self.links += 1;
        let link = LinkId(self.links);
        match self.fleet.hello(name, link, hello, self.now) {
            Ok(HubFrame::Welcome { hub: HUB, standing, received, .. }) => (link, standing, received),
            other => panic!("{other:?}"),
        }
    }

    fn dial(&mut self, name: &str, boot: u128, legs_max: usize) -> LinkId {
        self.hello(name, hello(boot, None, 0, legs_max)).0
    }

    fn join(&mut self, leg: u128, at: u128) -> Result<(), Busy> {
        let (leg, room, tenant) = (self::leg(leg), room(at), TenantId(Uuid::nil()));
        self.fleet.command(Command::Join { leg, room, tenant, offer: String::new(), sends: Vec::new() })
    }

    /// The commands that wait for a node, and nothing of its acknowledgements.
    fn told(&mut self, name: &str, link: LinkId) -> Vec<(u64, Command)> {
        let frames = std::iter::from_fn(|| self.fleet.poll_frame(name, link));
        frames
            .filter_map(|frame| match frame {
                HubFrame::Command { seq, body } => Some((seq, body)),
                _ => None,
            })
            .collect()
    }

    fn heard(&mut self) -> Vec<Event> {
        let outputs = std::iter::from_fn(|| self.fleet.poll_output());
        outputs
            .filter_map(|output| match output {
                Output::Event(event) => Some(event),
                _ => None,
            })
            .collect()
    }

    /// The rooms that are to go over, or to stay after all.
    fn moves(&mut self) -> Vec<Output> {
        let outputs = std::iter::from_fn(|| self.fleet.poll_output());
        outputs.filter(|output| matches!(output, Output::Move(_) | Output::Stay(_))).collect()
    }

    fn drain(&mut self, names: &[&str]) {
        self.fleet.set_drained(names.iter().map(|name| (*name).to_owned()).collect());
    }

    fn left(&mut self, name: &str, leg: LegId) {
        self.fleet.heard(name, Event::Left { leg });
    }

    fn says(&mut self, name: &str, link: LinkId, seq: u64, event: Event) {
        self.fleet.event(name, link, seq, event, self.now).expect("a number that can be");
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.fleet.tick(self.now);
    }
}

fn hello(boot: u128, hub: Option<Uuid>, received: u64, legs_max: usize) -> Hello {
    Hello { boot: Uuid::from_u128(boot), hub, received, legs_max, leaving: false, version: "1".into() }
}

fn leg(n: u128) -> LegId {
    LegId(Uuid::from_u128(n))
}

fn room(n: u128) -> RoomId {
    RoomId(Uuid::from_u128(n))
}

fn usage(batch: u64) -> Event {
    let (tenant, leg) = (TenantId(Uuid::nil()), leg(1));
    Event::Usage {
        batch,
        facts: vec![UsageFact { tenant, leg, meter: Meter::ParticipantMs, hour: 1, quantity: 5 }],
    }
}

#[test]
fn rooms_go_where_most_is_free_and_stay_together() {
    let mut scene = Scene::new();
    scene.fleet.add_local("local", 2);
    let far = scene.dial("far", 7, 3);
    scene.join(1, 1).unwrap();
    assert_eq!(scene.told("far", far).len(), 1, "three places are more than two");
    scene.join(2, 1).unwrap();
    assert_eq!(scene.told("far", far).len(), 1, "a room is in one place");
    scene.join(3, 2).unwrap();
    assert_eq!(scene.told("far", far), [], "two places are more than one");
    assert_eq!(scene.fleet.node_for(room(2)).as_deref(), Some("local"));
    assert_eq!(scene.fleet.node_for(room(1)).as_deref(), Some("far"));
}

#[test]
fn when_all_are_full_the_next_is_refused_at_once() {
    let mut scene = Scene::new();
    scene.fleet.add_local("local", 1);
    scene.join(1, 1).unwrap();
    assert_eq!(scene.join(2, 1), Err(Busy));
    assert_eq!(scene.join(3, 2), Err(Busy));
    scene.fleet.local_event("local", Event::Left { leg: leg(1) });
    scene.join(4, 2).unwrap();
    scene.fleet.local_event("local", Event::Refused { leg: leg(4), reason: Refusal::Full });
    scene.join(5, 3).unwrap();
}

#[test]
fn a_node_speaks_of_its_own_legs_only() {
    let mut scene = Scene::new();
    let one = scene.dial("one", 1, 9);
    scene.join(1, 1).unwrap();
    let two = scene.dial("two", 2, 100);
    scene.join(2, 2).unwrap();
    scene.heard();
    let lies = [
        Event::Lost { leg: leg(1) },
        Event::Connected { leg: leg(1) },
        Event::Speakers { room: room(1), legs: vec![leg(1)] },
        Event::Left { leg: leg(99) },
    ];
    for (seq, lie) in (1..).zip(lies) {
        scene.says("two", two, seq, lie);
    }
    assert_eq!(scene.heard(), []);
    scene.says("one", one, 1, Event::Connected { leg: leg(1) });
    assert_eq!(scene.heard(), [Event::Connected { leg: leg(1) }]);
}

#[test]
fn a_conversation_goes_on_where_it_was_cut() {
    let mut scene = Scene::new();
    let link = scene.dial("far", 7, 9);
    scene.join(1, 1).unwrap();
    scene.fleet.command(Command::Enter { leg: leg(1) }).unwrap();
    assert_eq!(scene.told("far", link).len(), 2);
    scene.says("far", link, 1, Event::Connected { leg: leg(1) });
    scene.fleet.gone("far", link, Ending::Unknown, scene.now);
    scene.fleet.command(Command::Leave { leg: leg(1) }).unwrap();
    scene.wait(LEASE - Duration::from_secs(1));
    let (again, standing, received) = scene.hello("far", hello(7, Some(HUB), 1, 9));
    assert_eq!((standing, received), (Standing::Resumed, 1));
    let told = scene.told("far", again);
    assert_eq!(told, [(2, Command::Enter { leg: leg(1) }), (3, Command::Leave { leg: leg(1) })]);
    assert_eq!(scene.heard(), [Event::Connected { leg: leg(1) }], "nobody was lost");
    scene.says("far", again, 1, Event::Connected { leg: leg(1) });
    assert_eq!(scene.heard(), [], "what was said before the cut is not heard twice");
}

#[test]
fn a_node_that_slept_past_its_lease_neither_owns_nor_bills() {
    let mut scene = Scene::new();
    let link = scene.dial("far", 7, 9);
    scene.join(1, 1).unwrap();
    scene.wait(LEASE - Duration::from_millis(1));
    assert_eq!(scene.heard(), []);
    scene.wait(Duration::from_millis(1));
    assert_eq!(scene.heard(), [Event::Lost { leg: leg(1) }]);
    assert!(scene.fleet.is_fenced(leg(1)));
    assert_eq!(scene.join(2, 1), Err(Busy), "it gets nobody");
    scene.says("far", link, 1, Event::Connected { leg: leg(1) });
    assert_eq!(scene.heard(), [], "its old socket is not heard");
    let (again, standing, received) = scene.hello("far", hello(7, Some(HUB), 1, 9));
    assert_eq!((standing, received), (Standing::Lapsed, 0));
    scene.join(3, 1).unwrap();
    assert_eq!(scene.told("far", again).len(), 1, "and begins anew");
    assert!(scene.fleet.is_fenced(leg(1)) && !scene.fleet.is_fenced(leg(3)));
}

/// How soon a node's people are placed elsewhere: how its connection ended, when it is back if at all, and what becomes of
/// them.
#[test]
fn a_dead_node_is_told_from_one_that_cannot_be_reached() {
    use Ending::{Closed, Unknown};
    let table = [
        (Some(Closed), None, Some(2_000)), // It died.
        (Some(Closed), Some(1_500), None), // It dialled again.
        (Some(Unknown), None, Some(10_000)),
        (Some(Unknown), Some(9_500), None),
        (None, None, Some(10_000)), // Nothing comes, and nobody says why.
    ];
    for (ending, back_at, lost_at) in table {
        let mut scene = Scene::new();
        let link = scene.dial("far", 7, 9);
        scene.join(1, 1).unwrap();
        if let Some(ending) = ending {
            scene.fleet.gone("far", link, ending, scene.now);
        }
        let mut lost = None;
        for ms in (500..=12_000).step_by(500) {
            scene.wait(Duration::from_millis(500));
            if back_at == Some(ms) {
                assert_eq!(scene.hello("far", hello(7, Some(HUB), 0, 9)).1, Standing::Resumed);
            }
            if back_at.is_some_and(|at| at <= ms) {
                let link = LinkId(scene.links);
                scene.fleet.alive("far", link, scene.now);
            }
            if scene.heard().contains(&Event::Lost { leg: leg(1) }) {
                lost.get_or_insert(ms);
            }
        }
        assert_eq!(lost, lost_at, "{ending:?}, back at {back_at:?}");
        assert_eq!(scene.fleet.is_fenced(leg(1)), lost_at.is_some(), "nobody pays for both");
    }
}

#[test]
fn a_drained_nodes_rooms_go_where_there_are_places_and_no_new_ones_come() {
    let mut scene = Scene::new();
    scene.dial("one", 1, 9);
    scene.join(1, 1).unwrap();
    scene.join(2, 1).unwrap();
    let two = scene.dial("two", 2, 3);
    scene.drain(&["one"]);
    assert_eq!(scene.moves(), [Output::Move(room(1))]);
    scene.join(3, 2).unwrap();
    assert_eq!(scene.told("two", two).len(), 1, "a new room goes elsewhere");
    assert_eq!(scene.join(4, 3), Err(Busy), "the other two places are kept");
    // Whoever joins the room is placed where it goes, and its first legs are where they were.
    scene.join(5, 1).unwrap();
    scene.join(6, 1).unwrap();
    assert_eq!(scene.told("two", two).len(), 2);
    assert_eq!(scene.fleet.node_for(room(1)).as_deref(), Some("two"));
    scene.fleet.command(Command::Leave { leg: leg(1) }).unwrap();
    assert_eq!(scene.told("two", two), [], "a leg is told where it is");
    scene.left("one", leg(1));
    assert_eq!(scene.fleet.progress("one"), Progress { rooms: 1, legs: 1, stuck: 0 });
    scene.left("one", leg(2));
    assert_eq!(scene.fleet.progress("one"), Progress::default());
    assert_eq!(scene.fleet.progress("two"), Progress { rooms: 2, legs: 3, stuck: 0 });
    scene.wait(Duration::from_secs(1));
    assert_eq!(scene.moves(), [], "what has moved stays");
}

#[test]
fn a_room_without_a_place_elsewhere_stays_until_there_is_one() {
    let mut scene = Scene::new();
    scene.dial("one", 1, 9);
    scene.join(1, 1).unwrap();
    scene.join(2, 1).unwrap();
    scene.dial("two", 2, 1);
    scene.drain(&["one"]);
    assert_eq!(scene.moves(), []);
    assert_eq!(scene.fleet.progress("one"), Progress { rooms: 1, legs: 2, stuck: 1 });
    scene.join(3, 1).unwrap();
    assert_eq!(scene.fleet.progress("one").legs, 3, "whoever joins the call is let in to it");
    scene.fleet.add_local("local", 4);
    scene.wait(Duration::from_millis(500));
    assert_eq!(scene.moves(), [Output::Move(room(1))], "the hub's own media plane takes it");
}

#[test]
fn few_rooms_move_at_a_time() {
    let mut scene = Scene::new();
    let one = scene.dial("one", 1, 100);
    for n in 1..=20 {
        scene.join(n, n).unwrap();
    }
    scene.dial("two", 2, 100);
    scene.fleet.leave("one", one);
    assert_eq!(scene.moves().len(), 8);
    scene.wait(Duration::from_millis(500));
    assert_eq!(scene.moves().len(), 0);
    for n in 1..=3 {
        scene.left("one", leg(n));
    }
    scene.wait(Duration::from_millis(500));
    assert_eq!(scene.moves().len(), 3);
}

#[test]
fn a_node_that_wants_to_leave_is_told_what_is_left_on_it() {
    let mut scene = Scene::new();
    let one = scene.dial("one", 1, 10);
    scene.dial("two", 2, 9);
    let told = |scene: &mut Scene, link| {
        let frames = std::iter::from_fn(|| scene.fleet.poll_frame("one", link));
        frames.filter(|frame| matches!(frame, HubFrame::Left(_))).collect::<Vec<_>>()
    };
    scene.join(1, 1).unwrap();
    assert_eq!(told(&mut scene, one), []);
    scene.fleet.leave("one", one);
    let left = |rooms, legs| [HubFrame::Left(Progress { rooms, legs, stuck: 0 })];
    assert_eq!(told(&mut scene, one), left(1, 1));
    assert_eq!(told(&mut scene, one), [], "once");
    scene.left("one", leg(1));
    scene.wait(Duration::from_millis(500));
    assert_eq!(told(&mut scene, one), left(0, 0));
    // A hub that was started anew learns it from the first frame.
    let mut scene = Scene::new();
    let (one, ..) = scene.hello("one", Hello { leaving: true, ..hello(1, None, 0, 9) });
    assert_eq!(told(&mut scene, one), left(0, 0));
    assert_eq!(scene.join(1, 1), Err(Busy), "and places nobody there");
}

#[test]
fn when_the_other_node_dies_a_room_on_its_way_stays() {
    let mut scene = Scene::new();
    scene.dial("one", 1, 9);
    scene.join(1, 1).unwrap();
    scene.dial("two", 2, 9);
    scene.drain(&["one"]);
    scene.join(2, 1).unwrap();
    assert_eq!(scene.moves(), [Output::Move(room(1))]);
    scene.fleet.expel("two");
    let outputs: Vec<Output> = std::iter::from_fn(|| scene.fleet.poll_output()).collect();
    let lost = outputs.iter().position(|output| *output == Output::Event(Event::Lost { leg: leg(2) }));
    let stays = outputs.iter().position(|output| *output == Output::Stay(room(1)));
    assert!(lost.is_some() && lost < stays, "{outputs:?}");
    assert_eq!(scene.fleet.node_for(room(1)).as_deref(), Some("one"));
    scene.dial("three", 3, 9);
    scene.wait(Duration::from_millis(500));
    assert_eq!(scene.moves(), [Output::Move(room(1))], "and goes elsewhere");
}

#[test]
fn when_the_drained_node_dies_its_room_is_where_it_was_going() {
    let mut scene = Scene::new();
    scene.dial("one", 1, 9);
    scene.join(1, 1).unwrap();
    scene.dial("two", 2, 9);
    scene.drain(&["one"]);
    scene.join(2, 1).unwrap();
    scene.fleet.expel("one");
    assert_eq!(scene.heard(), [Event::Lost { leg: leg(1) }]);
    assert_eq!(scene.fleet.progress("two"), Progress { rooms: 1, legs: 1, stuck: 0 });
    assert_eq!(scene.fleet.node_for(room(1)).as_deref(), Some("two"));
}

#[test]
fn a_process_that_died_loses_its_people_and_bills_what_it_counted() {
    let mut scene = Scene::new();
    scene.dial("far", 7, 9);
    scene.join(1, 1).unwrap();
    let (_, standing, _) = scene.hello("far", hello(8, Some(HUB), 5, 9));
    assert_eq!(standing, Standing::New);
    assert_eq!(scene.heard(), [Event::Lost { leg: leg(1) }]);
    assert!(!scene.fleet.is_fenced(leg(1)));
}

#[test]
fn a_revoked_node_is_cut_off() {
    let mut scene = Scene::new();
    let link = scene.dial("far", 7, 9);
    scene.join(1, 1).unwrap();
    assert_eq!(scene.fleet.far_nodes(), ["far"]);
    scene.fleet.expel("far");
    let outputs: Vec<Output> = std::iter::from_fn(|| scene.fleet.poll_output()).collect();
    assert!(
        outputs.contains(&Output::HangUp(link))
            && outputs.contains(&Output::Event(Event::Lost { leg: leg(1) }))
    );
    assert_eq!(scene.fleet.far_nodes(), Vec::<String>::new());
}

#[test]
fn batches_of_several_nodes_are_told_apart() {
    let mut scene = Scene::new();
    scene.fleet.add_local("local", 1);
    let (one, two) = (scene.dial("one", 1, 9), scene.dial("two", 2, 9));
    scene.heard();
    scene.says("one", one, 1, usage(1));
    scene.says("two", two, 1, usage(1));
    scene.says("one", one, 2, usage(1));
    scene.fleet.local_event("local", usage(1));
    let batches: Vec<u64> = scene
        .heard()
        .iter()
        .filter_map(|event| match event {
            Event::Usage { batch, .. } => Some(*batch),
            _ => None,
        })
        .collect();
    assert_eq!(batches, [1, 2, 1, 3], "what is repeated keeps its number");
    let reporters = [1, 2, 3, 4].map(|batch| scene.fleet.reporter(batch));
    let node = |name: &str| Reporter::Node(name.into());
    assert_eq!(reporters, [node("one"), node("two"), Reporter::Own, Reporter::Forgotten]);
    scene.fleet.command(Command::UsageStored { batch: 2 }).unwrap();
    assert_eq!(scene.told("two", two), [(1, Command::UsageStored { batch: 1 })]);
    assert_eq!(scene.told("one", one), []);
}

mod any_order {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 3] = ["one", "two", "three"];

    #[derive(Debug, Clone)]
    enum Step {
        Dial(usize),
        Closed(usize),
        Join(u128),
        Left(usize),
        Drain(usize, bool),
        Leave(usize),
        Expel(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let name = || 0..NAMES.len();
        prop_oneof![
            3 => name().prop_map(Step::Dial),
            1 => name().prop_map(Step::Closed),
            8 => (1..5u128).prop_map(Step::Join),
            6 => (0..20usize).prop_map(Step::Left),
            3 => (name(), any::<bool>()).prop_map(|(name, on)| Step::Drain(name, on)),
            1 => name().prop_map(Step::Leave),
            1 => name().prop_map(Step::Expel),
            4 => (1..4_000u64).prop_map(Step::Wait),
        ]
    }

    fn apply(scene: &mut Scene, legs: &mut u128, step: Step) {
        let link = |scene: &Scene, name: usize| {
            let far = scene.fleet.members.get(NAMES[name]).and_then(|member| member.far.as_ref());
            far.and_then(|far| far.link)
        };
        match step {
            Step::Dial(name) => drop(scene.dial(NAMES[name], scene.links.into(), 5)),
            Step::Closed(name) => {
                if let Some(link) = link(scene, name) {
                    scene.fleet.gone(NAMES[name], link, Ending::Closed, scene.now);
                }
            }
            Step::Join(room) => {
                *legs += 1;
                scene.join(*legs, room).ok();
            }
            Step::Left(index) => {
                let leg = scene.fleet.legs.iter().nth(index).map(|(leg, (name, _))| (*leg, name.clone()));
                if let Some((leg, name)) = leg {
                    scene.left(&name, leg);
                }
            }
            Step::Drain(name, on) => scene.drain(if on { &NAMES[name..=name] } else { &[] }),
            Step::Leave(name) => {
                if let Some(link) = link(scene, name) {
                    scene.fleet.leave(NAMES[name], link);
                }
            }
            Step::Expel(name) => scene.fleet.expel(NAMES[name]),
            Step::Wait(ms) => scene.wait(Duration::from_millis(ms)),
        }
    }

    /// The counts are those of the legs, a room's legs are on two nodes only while it moves, and nothing is reserved for
    /// a room that stays.
    fn check(fleet: &Fleet) {
        for (name, member) in &fleet.members {
            let legs = fleet.legs.values().filter(|(owner, _)| owner == name).count();
            assert_eq!(member.legs, legs, "{name}");
            assert!(legs <= member.legs_max);
            let moves = fleet.rooms.values().filter_map(|placed| placed.move_to.as_ref());
            let reserved: usize =
                moves.filter(|moving| moving.to == *name).map(|moving| moving.expected).sum();
            assert_eq!(member.reserved, reserved, "{name}");
        }
        for (room, placed) in &fleet.rooms {
            let mut legs = fleet.legs.values().filter(|(_, at)| at == room).map(|(name, _)| name);
            assert_eq!(placed.legs, legs.clone().count());
            let allowed = [&placed.name, placed.destination()];
            assert!(legs.all(|name| allowed.contains(&name)), "{placed:?}");
        }
        assert!(fleet.legs.values().all(|(_, room)| fleet.rooms.contains_key(room)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn every_leg_is_where_its_room_is_or_goes(steps in prop::collection::vec(step(), 1..120)) {
            let (mut scene, mut legs) = (Scene::new(), 0);
            scene.fleet.add_local("local", 5);
            for step in steps {
                apply(&mut scene, &mut legs, step);
                check(&scene.fleet);
            }
        }
    }
}
