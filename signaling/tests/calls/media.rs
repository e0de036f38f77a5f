//! A media plane that answers every offer and remembers what it was told.

use sfu::control::{Command, Event, Kind, LegId, Slot, TurnServer};
use signaling::media::{Commands, Happening, Happenings, MediaPlane};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Tells the hub what the test wants and shows what the hub said.
#[derive(Clone)]
pub(crate) struct FakeMedia {
    events: mpsc::UnboundedSender<Event>,
    told: Arc<Mutex<Vec<Command>>>,
}

struct Heard(mpsc::UnboundedReceiver<Event>);

impl FakeMedia {
    pub(crate) fn new() -> (Self, MediaPlane) {
        let (events, heard) = mpsc::unbounded_channel();
        let media = Self { events, told: Arc::default() };
        let plane = MediaPlane { commands: Arc::new(media.clone()), happenings: Box::new(Heard(heard)) };
        (media, plane)
    }

    pub(crate) fn tell(&self, event: Event) {
        self.events.send(event).expect("the hub listens");
    }

    pub(crate) fn told(&self) -> Vec<Command> {
        self.told.lock().expect("no test panics while holding it").clone()
    }

    pub(crate) fn has_left(&self, leg: LegId) -> bool {
        self.told().contains(&Command::Leave { leg })
    }

    /// Waits until the hub has said it.
    pub(crate) async fn hears(&self, is_meant: impl Fn(&Command) -> bool) {
        for _ in 0..500 {
            if self.told().iter().any(&is_meant) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the media plane was not told within 5 s");
    }
}

/// What a node with a TURN server tells of it.
pub(crate) fn turn() -> TurnServer {
    TurnServer {
        url: "turns:turn.example.com:443?transport=tcp".into(),
        username: "1795500000:leg".into(),
        credential: "0123456789abcdef".into(),
    }
}

impl Commands for FakeMedia {
    fn send(&self, command: Command) -> Result<(), sfu::Busy> {
        let answer = match &command {
            Command::Join { leg, .. } => {
                let slots = vec![Slot { mid: "9".into(), kind: Kind::Video, seat: 0 }];
                Some(Event::Joined {
                    leg: *leg,
                    answer: "v=0 answer".into(),
                    slots,
                    turn: Some(Box::new(turn())),
                })
            }
            Command::Leave { leg } => Some(Event::Left { leg: *leg }),
            _ => None,
        };
        self.told.lock().expect("no test panics while holding it").push(command);
        answer.map(|event| self.events.send(event));
        Ok(())
    }
}

impl Happenings for Heard {
    fn recv(&mut self) -> Pin<Box<dyn Future<Output = Option<Happening>> + Send + '_>> {
        Box::pin(async { self.0.recv().await.map(Happening::Event) })
    }
}
