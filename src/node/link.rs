//! The node's end of `tuppence.node.v1`: dials, says hello, does what it is told and tells what happens, and dials again.

use super::dial::{Dialler, Socket};
use crate::config::NodeConfig;
use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use sfu::control::{Command, Event, LegId, Refusal};
use signaling::delivery::{Delivery, Outgoing};
use signaling::nodes::fleet::Progress;
use signaling::nodes::protocol::{HubFrame, NodeFrame, Standing, UNACKNOWLEDGED_MAX};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tracing::{info, warn};
use uuid::Uuid;

/// How long dialling and the answer to hello may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two tries: the first wait and the longest.
const AGAIN_AFTER: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// A hub that is silent for so many times its own rhythm is gone.
const SILENCES_MAX: u32 = 3;
/// A media plane that was too busy for a command is tried again.
const BUSY_AGAIN: Duration = Duration::from_millis(50);

/// What keeps a node that wants to leave.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Remains {
    /// Connections here.
    legs: usize,
    /// What the hub says; nobody is asked while it is away.
    hub: Asked,
}

#[derive(Debug, Clone, Copy, Default)]
enum Asked {
    #[default]
    Away,
    NotAnswered,
    Left(Progress),
}

impl Remains {
    /// The node may stop.
    pub(super) fn is_nothing(&self) -> bool {
        let keeps = match self.hub {
            Asked::Away => false,
            Asked::NotAnswered => true,
            Asked::Left(left) => left.legs > 0,
        };
        self.legs == 0 && !keeps
    }
}

/// A node and its hub.
pub(super) struct Link {
    dialler: Dialler,
    node: sfu::Handle,
    events: sfu::Events,
    legs_max: usize,
    boot: Uuid,
    /// The hub's process that was last spoken with.
    hub: Option<Uuid>,
    delivery: Delivery<Event>,
    /// Those that are here.
    legs: BTreeSet<LegId>,
    /// Commands that the media plane had no room for, in their order.
    waiting: VecDeque<Command>,
    /// It is to be emptied, before it stops.
    leaving: watch::Receiver<bool>,
    remains: watch::Sender<Remains>,
    /// The media node has stopped: there is nothing more to tell.
    is_over: bool,
}

impl Link {
    #[expect(clippy::disallowed_methods, reason = "this shell gives the process its name")]
    pub(super) fn new(
        config: &NodeConfig,
        node: sfu::Handle,
        events: sfu::Events,
        legs_max: usize,
    ) -> Result<(Link, watch::Sender<bool>, watch::Receiver<Remains>)> {
        let dialler = Dialler::new(config)?;
        let (leave, leaving) = watch::channel(false);
        let (remains, watched) = watch::channel(Remains::default());
        let link = Link {
            dialler,
            node,
            events,
            legs_max,
            boot: Uuid::new_v4(),
            hub: None,
            delivery: Delivery::new(UNACKNOWLEDGED_MAX),
            legs: BTreeSet::new(),
            waiting: VecDeque::new(),
            leaving,
            remains,
            is_over: false,
        };
        Ok((link, leave, watched))
    }

    /// Dials again and again until the media node has stopped.
    pub(super) async fn keep(mut self) {
        let mut pause = AGAIN_AFTER.0;
        loop {
            let begun = Instant::now();
            let Err(error) = self.converse().await else { continue };
            if self.is_over {
                return;
            }
            warn!(error = %format_args!("{error:#}"), "the hub is away; calls go on");
            self.remains.send_modify(|remains| remains.hub = Asked::Away);
            if begun.elapsed() > WITHIN {
                pause = AGAIN_AFTER.0;
            }
            self.wait(pause).await;
            if self.is_over {
                return;
            }
            pause = (pause * 2).min(AGAIN_AFTER.1);
        }
    }

    /// What happens meanwhile is kept for the hub.
    async fn wait(&mut self, pause: Duration) {
        let end = Instant::now() + pause;
        while let Ok(event) = timeout(end - Instant::now(), self.events.recv()).await {
            match event {
                Some(event) => self.note(event, false),
                None => return self.is_over = true,
            }
        }
    }

    async fn dial(&mut self) -> Result<(Socket, Duration)> {
        let mut socket = timeout(WITHIN, self.dialler.dial()).await.context("no answer")??;
        let (boot, hub, received) = (self.boot, self.hub, self.delivery.received());
        let (leaving, version) = (*self.leaving.borrow_and_update(), env!("CARGO_PKG_VERSION").to_owned());
        let hello = NodeFrame::Hello { boot, hub, received, legs_max: self.legs_max, leaving, version };
        write(&mut socket, &hello).await?;
        let answer = timeout(WITHIN, read(&mut socket)).await.context("no welcome")??;
        let HubFrame::Welcome { hub, standing, received, alive_every_ms } = answer else {
            bail!("the first frame is no welcome");
        };
        info!(?standing, "the hub takes this node");
        self.stand(hub, standing, received)?;
        self.remains.send_modify(|remains| remains.hub = Asked::NotAnswered);
        Ok((socket, Duration::from_millis(alive_every_ms.max(10))))
    }

    fn stand(&mut self, hub: Uuid, standing: Standing, received: u64) -> Result<()> {
        if standing == Standing::Resumed {
            return Ok(self.delivery.resume(received)?);
        }
        self.hub = Some(hub);
        self.delivery = Delivery::new(UNACKNOWLEDGED_MAX);
        self.waiting.clear();
        if standing == Standing::Lapsed {
            let legs = std::mem::take(&mut self.legs);
            self.waiting.extend(legs.into_iter().map(|leg| Command::Leave { leg }));
        }
        Ok(())
    }

    async fn converse(&mut self) -> Result<()> {
        let (mut socket, alive_every) = self.dial().await?;
        let (mut alive, mut busy) = (interval(alive_every), interval(BUSY_AGAIN));
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        busy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_at = Instant::now();
        loop {
            tokio::select! {
                frame = read(&mut socket) => {
                    heard_at = Instant::now();
                    self.hear(frame?)?;
                }
                event = self.events.recv() => match event {
                    Some(event) => self.note(event, true),
                    None => {
                        self.is_over = true;
                        bail!("the media node has stopped");
                    }
                },
                Ok(()) = self.leaving.changed() => write(&mut socket, &NodeFrame::Leave {}).await?,
                _ = alive.tick() => {
                    if heard_at.elapsed() > alive_every * SILENCES_MAX {
                        bail!("the hub is silent");
                    }
                    write(&mut socket, &NodeFrame::Alive {}).await?;
                }
                _ = busy.tick(), if !self.waiting.is_empty() => self.catch_up(),
            }
            while let Some(outgoing) = self.delivery.poll_outgoing() {
                let frame = match outgoing {
                    Outgoing::Event(seq, body) => NodeFrame::Event { seq, body },
                    Outgoing::Ack(seq) => NodeFrame::Ack { seq },
                };
                write(&mut socket, &frame).await?;
            }
            if self.hub.is_none() {
                bail!("more has happened than the hub could be told");
            }
        }
    }

    fn hear(&mut self, frame: HubFrame) -> Result<()> {
        match frame {
            HubFrame::Command { seq, body } => {
                if self.delivery.accept(seq)? {
                    self.waiting.push_back(body);
                    self.catch_up();
                }
            }
            HubFrame::Ack { seq } => self.delivery.acknowledge(seq)?,
            HubFrame::Left(left) => self.left(left),
            HubFrame::Alive {} => {}
            HubFrame::Welcome { .. } => bail!("the hub says welcome twice"),
        }
        Ok(())
    }

    fn left(&mut self, left: Progress) {
        let Progress { rooms, legs, stuck } = left;
        info!(rooms, connections = legs, "left on this node");
        if stuck > 0 {
            warn!(rooms = stuck, "no other node has places for them; they go on here");
        }
        self.remains.send_modify(|remains| remains.hub = Asked::Left(left));
    }

    fn count_legs(&self) {
        self.remains.send_modify(|remains| remains.legs = self.legs.len());
    }

    /// Commands keep their order; a join does not wait, it is refused.
    fn catch_up(&mut self) {
        while let Some(command) = self.waiting.pop_front() {
            let joining = match &command {
                Command::Join { leg, .. } => Some(*leg),
                _ => None,
            };
            match (self.node.send(command.clone()), joining) {
                (Ok(()), Some(leg)) => {
                    self.legs.insert(leg);
                    self.count_legs();
                }
                (Ok(()), None) => {}
                (Err(_), Some(leg)) => self.note(Event::Refused { leg, reason: Refusal::Full }, true),
                (Err(_), None) => return self.waiting.push_front(command),
            }
        }
    }

    /// Keeps an event until the hub has it. While the hub is away, news is left out; usage stands in the journal, which
    /// repeats it.
    fn note(&mut self, event: Event, is_connected: bool) {
        if let Event::Left { leg } | Event::Lost { leg } | Event::Refused { leg, .. } = &event {
            self.legs.remove(leg);
            self.count_legs();
        }
        let can_wait = matches!(event, Event::Speakers { .. } | Event::Quality { .. } | Event::Usage { .. });
        if can_wait && !is_connected {
            return;
        }
        if self.delivery.push(event).is_err() {
            // More has happened than can be told: the hub begins anew with this node.
            self.hub = None;
        }
    }
}

async fn write(socket: &mut Socket, frame: &NodeFrame) -> Result<()> {
    let text = serde_json::to_string(frame)?;
    timeout(WITHIN, socket.send(Message::text(text))).await.context("the hub does not read")??;
    Ok(())
}

async fn read(socket: &mut Socket) -> Result<HubFrame> {
    loop {
        match socket.next().await.context("the connection has ended")?? {
            Message::Text(text) => return Ok(serde_json::from_str(&text)?),
            Message::Close(_) => bail!("the hub hangs up"),
            _ => {}
        }
    }
}
