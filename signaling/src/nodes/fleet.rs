//! Which node has which room, and who may say what about whom. Touches no socket and no clock.
//!
//! A node owns a leg from the command that places it there until the leg ends or the node's lease does. A lease ends when
//! nothing was heard from the node for its time, or when another process of that name takes its place: its legs are lost
//! then and their people are placed anew. What a silent node reports of them later is not billed.

mod drain;

pub use drain::{Progress, Standings};

use super::protocol::{HubFrame, Standing, UNACKNOWLEDGED_MAX};
use crate::delivery::{BadSequence, Delivery, Outgoing};
use crate::media::Reporter;
use sfu::Busy;
use sfu::control::{Command, Event, LegId, RoomId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The name of a node, as it stands in the legs' rows.
pub type NodeName = String;
/// Legs whose late usage is refused are remembered up to this many; the oldest are forgotten first.
const FENCED_MAX: usize = 100_000;
/// Batches of usage that are not stored yet; older ones are sent again under another number.
const BATCHES_MAX: usize = 4_096;

/// How soon a node whose connection has ended must be back. One that is alive dials again at once; from one that has died
/// the system ends the connection, and nobody needs to wait for the lease.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// Names a socket of a node within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell the node of this process.
    Local(Command),
    /// Tell signalling.
    Event(Event),
    /// Close a socket.
    HangUp(LinkId),
    /// There is something to send over a socket: see [`Fleet::poll_frame`].
    Speak(LinkId),
    /// Tell signalling that a room is to go over to another node; whoever joins it from now on is placed there.
    Move(RoomId),
    /// Tell signalling that it is to stay: that node is gone.
    Stay(RoomId),
}

/// How a socket has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The far end closed it or its system did: it is alive, and dials again, or it is dead.
    Closed,
    /// Nothing comes through, or we closed it: nothing is known of the far end.
    Unknown,
}

/// All nodes of a hub.
#[derive(Debug)]
pub struct Fleet {
    hub: Uuid,
    lease: Duration,
    members: BTreeMap<NodeName, Member>,
    /// Those that the operator wants empty.
    drained: BTreeSet<NodeName>,
    rooms: BTreeMap<RoomId, Placed>,
    legs: BTreeMap<LegId, (NodeName, RoomId)>,
    /// Our numbers of batches, and whose they are under which of theirs.
    batches: BTreeMap<u64, (NodeName, u64)>,
    last_batch: u64,
    fenced: BTreeSet<LegId>,
    fenced_order: VecDeque<LegId>,
    outputs: VecDeque<Output>,
}

/// Where a room is.
#[derive(Debug)]
struct Placed {
    name: NodeName,
    legs: usize,
    /// Where it goes over to.
    move_to: Option<Move>,
    /// Nobody was there when last looked at: whoever asked where it would be never came.
    idle: bool,
}

/// A room on its way.
#[derive(Debug)]
struct Move {
    to: NodeName,
    /// Legs for which there is a place, and that are not there yet.
    expected: usize,
}

#[derive(Debug)]
struct Member {
    legs_max: usize,
    legs: usize,
    /// Places for rooms on their way here.
    reserved: usize,
    far: Option<Far>,
}

/// A node in another process.
#[derive(Debug)]
struct Far {
    boot: Uuid,
    delivery: Delivery<Command>,
    link: Option<LinkId>,
    heard_at: Instant,
    /// Since when its connection is over, if the far end is to dial again or is dead.
    closed_at: Option<Instant>,
    /// It is about to stop and wants to be empty.
    leaving: bool,
    /// What it was last told about that.
    told: Option<Progress>,
    version: String,
    /// Its lease has ended; it owns nothing until it says hello again.
    lapsed: bool,
}

impl Placed {
    /// Where its next leg is to be.
    fn destination(&self) -> &NodeName {
        self.move_to.as_ref().map_or(&self.name, |moving| &moving.to)
    }
}

impl Member {
    fn free(&self) -> usize {
        let is_there = self.far.as_ref().is_none_or(|far| !far.lapsed && far.link.is_some());
        if is_there { self.legs_max.saturating_sub(self.legs) } else { 0 }
    }

    /// Free for those who are not expected from another node.
    fn unreserved(&self) -> usize {
        self.free().saturating_sub(self.reserved)
    }

    fn owns(&self) -> bool {
        self.far.as_ref().is_none_or(|far| !far.lapsed)
    }
}

impl Fleet {
    /// Without nodes. `hub` names this process.
    pub fn new(hub: Uuid, lease: Duration) -> Self {
        Self {
            hub,
            lease,
            members: BTreeMap::new(),
            drained: BTreeSet::new(),
            rooms: BTreeMap::new(),
            legs: BTreeMap::new(),
            batches: BTreeMap::new(),
            last_batch: 0,
            fenced: BTreeSet::new(),
            fenced_order: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The node of this process, which needs no lease.
    pub fn add_local(&mut self, name: &str, legs_max: usize) {
        self.members.insert(name.to_owned(), Member { legs_max, legs: 0, reserved: 0, far: None });
    }

    /// How often a node says that it is alive: four times in a lease.
    pub fn alive_every(&self) -> Duration {
        self.lease / 4
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where a room is or goes over to, or would be placed now: the node with the most room left.
    pub fn node_for(&mut self, room: RoomId) -> Option<NodeName> {
        let known = self.rooms.get(&room).filter(|placed| {
            let is_empty = placed.legs == 0 && self.is_draining(&placed.name);
            !is_empty && self.members.get(&placed.name).is_some_and(Member::owns)
        });
        if let Some(name) = known.map(|placed| placed.destination().clone()) {
            self.rooms.entry(room).and_modify(|placed| placed.idle = false);
            return Some(name);
        }
        let name = self.roomiest(1, None)?;
        self.rooms.insert(room, Placed { name: name.clone(), legs: 0, move_to: None, idle: false });
        Some(name)
    }

    /// The node that takes new rooms and has the most places left, this many at least.
    fn roomiest(&self, places: usize, other_than: Option<&str>) -> Option<NodeName> {
        let nodes =
            self.members.iter().filter(|(name, _)| other_than != Some(name) && !self.is_draining(name));
        let (name, _) =
            nodes.filter(|(_, it)| it.unreserved() >= places).max_by_key(|(_, it)| it.unreserved())?;
        Some(name.clone())
    }

    /// Passes a command on to whom it concerns.
    pub fn command(&mut self, command: Command) -> Result<(), Busy> {
        match command {
            Command::Join { leg, room, .. } => self.place(leg, room, command),
            Command::UsageStored { batch } => match self.batches.remove(&batch) {
                Some((name, batch)) => self.tell(&name, Command::UsageStored { batch }),
                None => Ok(()),
            },
            Command::Enter { leg }
            | Command::TakeOver { leg, .. }
            | Command::Limit { leg, .. }
            | Command::Offer { leg, .. }
            | Command::Mute { leg, .. }
            | Command::View { leg, .. }
            | Command::Tap { leg, .. }
            | Command::Leave { leg } => match self.legs.get(&leg) {
                Some((name, _)) => self.tell(&name.clone(), command),
                None => Ok(()), // It has just been lost, and an event has said so.
            },
        }
    }

    fn place(&mut self, leg: LegId, room: RoomId, command: Command) -> Result<(), Busy> {
        let name = self.node_for(room).ok_or(Busy)?;
        let is_expected = self.rooms.get(&room).is_some_and(|placed| placed.move_to.is_some());
        let is_full = self.members.get(&name).is_none_or(|member| {
            let places = if is_expected { member.free() } else { member.unreserved() };
            places == 0
        });
        if is_full || self.legs.contains_key(&leg) {
            return Err(Busy);
        }
        self.tell(&name, command)?;
        self.legs.insert(leg, (name.clone(), room));
        self.rooms.entry(room).and_modify(|placed| placed.legs += 1);
        self.members.entry(name).and_modify(|member| member.legs += 1);
        self.arrived(room);
        Ok(())
    }

    fn tell(&mut self, name: &str, command: Command) -> Result<(), Busy> {
        match self.members.get_mut(name).map(|member| &mut member.far) {
            Some(None) => self.outputs.push_back(Output::Local(command)),
            Some(Some(far)) if !far.lapsed => {
                far.delivery.push(command).map_err(|_| Busy)?;
                self.outputs.extend(far.link.map(Output::Speak));
            }
            // Whoever it is about has been told already.
            Some(Some(_)) | None => {}
        }
        Ok(())
    }

    /// A command that the node of this process had no room for, if its sender must know.
    pub fn refused(&mut self, command: &Command) {
        if let Command::Join { leg, .. } = command {
            self.forget(*leg);
        }
    }

    /// A node says hello over a socket. Answers what it is told first.
    pub fn hello(
        &mut self,
        name: &str,
        link: LinkId,
        hello: Hello,
        now: Instant,
    ) -> Result<HubFrame, BadSequence> {
        let known = self.members.get(name).and_then(|member| member.far.as_ref());
        let is_same = known.is_some_and(|far| far.boot == hello.boot);
        let lapsed = known.is_some_and(|far| far.lapsed) && is_same;
        let standing = match (is_same && hello.hub == Some(self.hub), lapsed) {
            (_, true) => Standing::Lapsed,
            (true, false) => Standing::Resumed,
            (false, false) => Standing::New,
        };
        if standing != Standing::Resumed {
            // Another process of this name, or the same one after it was given up.
            self.end_lease(name, false);
            let far = Far {
                boot: hello.boot,
                delivery: Delivery::new(UNACKNOWLEDGED_MAX),
                link: None,
                heard_at: now,
                closed_at: None,
                leaving: false,
                told: None,
                version: hello.version,
                lapsed: false,
            };
            let member = Member { legs_max: hello.legs_max, legs: 0, reserved: 0, far: Some(far) };
            self.members.insert(name.to_owned(), member);
        }
        if hello.leaving {
            self.wants_to_leave(name);
        }
        self.attach(name, link, (standing == Standing::Resumed).then_some(hello.received), now)?;
        let received = self.far(name).map_or(0, |far| far.delivery.received());
        let alive_every_ms = self.alive_every().as_millis() as u64;
        Ok(HubFrame::Welcome { hub: self.hub, standing, received, alive_every_ms })
    }

    fn attach(
        &mut self,
        name: &str,
        link: LinkId,
        received: Option<u64>,
        now: Instant,
    ) -> Result<(), BadSequence> {
        let Some(far) = self.far(name) else { return Ok(()) };
        if let Some(received) = received {
            far.delivery.resume(received)?;
        }
        far.heard_at = now;
        far.closed_at = None;
        let before = far.link.replace(link);
        self.outputs.extend(before.map(Output::HangUp));
        self.outputs.push_back(Output::Speak(link));
        Ok(())
    }

    fn far(&mut self, name: &str) -> Option<&mut Far> {
        self.members.get_mut(name)?.far.as_mut()
    }

    /// The socket's own far end, unless another socket has taken over.
    fn spoken(&mut self, name: &str, link: LinkId, now: Instant) -> Option<&mut Far> {
        let far = self.far(name).filter(|far| far.link == Some(link) && !far.lapsed)?;
        far.heard_at = now;
        Some(far)
    }

    /// A node is alive.
    pub fn alive(&mut self, name: &str, link: LinkId, now: Instant) {
        self.spoken(name, link, now);
    }

    /// A node has everything up to this number.
    pub fn acknowledge(
        &mut self,
        name: &str,
        link: LinkId,
        seq: u64,
        now: Instant,
    ) -> Result<(), BadSequence> {
        self.spoken(name, link, now).map_or(Ok(()), |far| far.delivery.acknowledge(seq))
    }

    /// A node tells something.
    pub fn event(
        &mut self,
        name: &str,
        link: LinkId,
        seq: u64,
        event: Event,
        now: Instant,
    ) -> Result<(), BadSequence> {
        let Some(far) = self.spoken(name, link, now) else { return Ok(()) };
        let is_new = far.delivery.accept(seq)?;
        self.outputs.push_back(Output::Speak(link));
        if is_new {
            self.heard(name, event);
        }
        Ok(())
    }

    /// The node of this process tells something.
    pub fn local_event(&mut self, name: &str, event: Event) {
        self.heard(name, event);
    }

    /// Only what a node may say goes on: about legs and rooms that are placed on it.
    fn heard(&mut self, name: &str, mut event: Event) {
        let is_its = |legs: &BTreeMap<LegId, (NodeName, RoomId)>, leg: &LegId| {
            legs.get(leg).is_some_and(|(owner, _)| owner == name)
        };
        let allowed = match &mut event {
            Event::Usage { batch, .. } => {
                *batch = self.number_batch(name, *batch);
                true
            }
            Event::Speakers { room, .. } => self.has_room(name, *room),
            Event::Quality { room, legs } => {
                legs.retain(|quality| is_its(&self.legs, &quality.leg));
                self.has_room(name, *room)
            }
            Event::Joined { leg, .. }
            | Event::Answered { leg, .. }
            | Event::Refused { leg, .. }
            | Event::OfferRefused { leg, .. }
            | Event::Connected { leg }
            | Event::Slots { leg, .. }
            | Event::Paused { leg, .. }
            | Event::Resting { leg, .. }
            | Event::Tapped { leg, .. }
            | Event::Lost { leg }
            | Event::Left { leg } => is_its(&self.legs, leg),
        };
        if !allowed {
            return;
        }
        if let Event::Lost { leg } | Event::Left { leg } | Event::Refused { leg, .. } = &event {
            self.forget(*leg);
        }
        self.outputs.push_back(Output::Event(event));
    }

    fn has_room(&self, name: &str, room: RoomId) -> bool {
        self.rooms.get(&room).is_some_and(|placed| placed.name == name || placed.destination() == name)
    }

    /// Batches of several nodes get numbers of our own.
    fn number_batch(&mut self, name: &str, batch: u64) -> u64 {
        let known = self.batches.iter().find(|(_, (owner, theirs))| owner == name && *theirs == batch);
        if let Some((number, _)) = known {
            return *number;
        }
        self.last_batch += 1;
        self.batches.insert(self.last_batch, (name.to_owned(), batch));
        while self.batches.len() > BATCHES_MAX {
            self.batches.pop_first();
        }
        self.last_batch
    }

    /// Whose batch it is.
    pub fn reporter(&self, batch: u64) -> Reporter {
        let Some((name, _)) = self.batches.get(&batch) else { return Reporter::Forgotten };
        match self.members.get(name).map(|member| &member.far) {
            Some(None) => Reporter::Own,
            Some(Some(_)) | None => Reporter::Node(name.clone()),
        }
    }

    /// Whether usage of this leg is no longer billed, since its node's lease has ended before it reported.
    pub fn is_fenced(&self, leg: LegId) -> bool {
        self.fenced.contains(&leg)
    }

    fn forget(&mut self, leg: LegId) {
        let Some((name, room)) = self.legs.remove(&leg) else { return };
        self.members.entry(name).and_modify(|member| member.legs = member.legs.saturating_sub(1));
        if let Some(placed) = self.rooms.get_mut(&room) {
            placed.legs = placed.legs.saturating_sub(1);
            if placed.legs == 0 {
                self.end_move(room);
                self.rooms.remove(&room);
            }
        }
        self.settle(room);
    }

    /// A node's socket is gone. Its lease goes on, but not for long when the far end closed it and does not dial again.
    pub fn gone(&mut self, name: &str, link: LinkId, ending: Ending, now: Instant) {
        if let Some(far) = self.far(name).filter(|far| far.link == Some(link)) {
            far.link = None;
            far.closed_at = (ending == Ending::Closed).then_some(now);
        }
    }

    /// Some time has passed: leases end.
    pub fn tick(&mut self, now: Instant) {
        for (name, why) in self.over(now) {
            tracing::warn!(node = name, "{why}; its people are placed elsewhere");
            self.end_lease(&name, true);
        }
        self.rooms.retain(|_, placed| placed.legs > 0 || !std::mem::replace(&mut placed.idle, true));
        self.drain();
    }

    /// Whose lease ends now, and why.
    fn over(&self, now: Instant) -> Vec<(NodeName, &'static str)> {
        let for_long = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let why = |far: &Far| match far.closed_at {
            _ if far.lapsed => None,
            Some(at) if for_long(at, BACK_WITHIN) => Some("a node is gone"),
            _ if for_long(far.heard_at, self.lease) => Some("a node is silent for too long"),
            _ => None,
        };
        let far = self.members.iter().filter_map(|(name, member)| Some((name, member.far.as_ref()?)));
        far.filter_map(|(name, far)| Some((name.clone(), why(far)?))).collect()
    }

    /// The operator has revoked a node's token.
    pub fn expel(&mut self, name: &str) {
        self.end_lease(name, true);
    }

    /// The nodes in other processes, and whether they are connected.
    pub fn far_nodes(&self) -> Vec<NodeName> {
        let far =
            self.members.iter().filter(|(_, member)| member.far.as_ref().is_some_and(|far| !far.lapsed));
        far.map(|(name, _)| name.clone()).collect()
    }

    /// What a process still reports that has died is true; one that has only slept would bill for somebody it has lost.
    fn end_lease(&mut self, name: &str, fences: bool) {
        let Some(far) = self.far(name) else { return };
        far.lapsed = true;
        let link = far.link.take();
        self.outputs.extend(link.map(Output::HangUp));
        let owned: Vec<LegId> =
            self.legs.iter().filter(|(_, (owner, _))| owner == name).map(|(leg, _)| *leg).collect();
        for leg in owned {
            self.forget(leg);
            if fences {
                self.fence(leg);
            }
            self.outputs.push_back(Output::Event(Event::Lost { leg }));
        }
        self.call_off(name);
    }

    fn fence(&mut self, leg: LegId) {
        if self.fenced.insert(leg) {
            self.fenced_order.push_back(leg);
        }
        if self.fenced_order.len() > FENCED_MAX
            && let Some(oldest) = self.fenced_order.pop_front()
        {
            self.fenced.remove(&oldest);
        }
    }

    /// The next frame for a node over its socket.
    pub fn poll_frame(&mut self, name: &str, link: LinkId) -> Option<HubFrame> {
        if let Some(frame) = self.poll_progress(name, link) {
            return Some(frame);
        }
        let far = self.far(name).filter(|far| far.link == Some(link))?;
        Some(match far.delivery.poll_outgoing()? {
            Outgoing::Event(seq, body) => HubFrame::Command { seq, body },
            Outgoing::Ack(seq) => HubFrame::Ack { seq },
        })
    }
}

/// What a node says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its process.
    pub boot: Uuid,
    /// The hub's process that it last spoke with.
    pub hub: Option<Uuid>,
    /// The greatest number it has received from it.
    pub received: u64,
    /// How many legs it takes.
    pub legs_max: usize,
    /// It is about to stop and wants to be empty.
    pub leaving: bool,
    /// Of its program.
    pub version: String,
}

#[cfg(test)]
mod tests;
