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
        let boot = Uuid::from_u128(boot);
        self.hello(name, Hello { boot, hub: None, received: 0, legs_max }).0
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

    fn says(&mut self, name: &str, link: LinkId, seq: u64, event: Event) {
        self.fleet.event(name, link, seq, event, self.now).expect("a number that can be");
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.fleet.tick(self.now);
    }
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
    scene.fleet.gone("far", link);
    scene.fleet.command(Command::Leave { leg: leg(1) }).unwrap();
    scene.wait(LEASE - Duration::from_secs(1));
    let hello = Hello { boot: Uuid::from_u128(7), hub: Some(HUB), received: 1, legs_max: 9 };
    let (again, standing, received) = scene.hello("far", hello);
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
    let hello = Hello { boot: Uuid::from_u128(7), hub: Some(HUB), received: 1, legs_max: 9 };
    let (again, standing, received) = scene.hello("far", hello);
    assert_eq!((standing, received), (Standing::Lapsed, 0));
    scene.join(3, 1).unwrap();
    assert_eq!(scene.told("far", again).len(), 1, "and begins anew");
    assert!(scene.fleet.is_fenced(leg(1)) && !scene.fleet.is_fenced(leg(3)));
}

#[test]
fn a_process_that_died_loses_its_people_and_bills_what_it_counted() {
    let mut scene = Scene::new();
    scene.dial("far", 7, 9);
    scene.join(1, 1).unwrap();
    let boot = Uuid::from_u128(8);
    let (_, standing, _) = scene.hello("far", Hello { boot, hub: Some(HUB), received: 5, legs_max: 9 });
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
