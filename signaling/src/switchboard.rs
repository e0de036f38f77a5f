//! Connects sockets, sessions, resources, rooms and the media plane of one process. Decides nothing about people (that is the
//! [`Room`]) and nothing about numbers (that is the [`Session`]); knows which belongs to which. Touches no socket,
//! no database and no clock.
//!
//! A panic in a room costs that room: its pages are told, its legs end, the others go on.

mod ask;
mod connect;
mod lost;
mod traffic;

pub use traffic::{Ask, Hello, Input, LiveCall, Newcomer, Output, Return, Timing};

use crate::pass::Pass;
use crate::protocol::{LeaveReason, ServerEvent, ServerFrame};
use crate::refusal::Refusal;
use crate::resource::{RequestId, Resource, ResourceId};
use crate::room::{CallId, Effect, Event, NewLeg, ParticipantId, Policy, Record, Room};
use crate::session::{ResumeSecret, Session, SocketId};
use lost::Lost;
use sfu::control::{self, Command, LegId, Quality, RoomId, TenantId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// How many pages may be arriving at once; further ones are refused at once.
const ARRIVING_MAX: usize = 256;

/// All rooms and sessions of one process.
#[derive(Debug)]
pub struct Switchboard {
    timing: Timing,
    stopping: bool,
    room_by_id: BTreeMap<RoomId, Room>,
    /// What the media plane last said of each room's connections.
    quality_by_room: BTreeMap<RoomId, Vec<Quality>>,
    room_by_leg: BTreeMap<LegId, RoomId>,
    session_by_leg: BTreeMap<LegId, Session>,
    lost: Lost,
    resource_by_leg: BTreeMap<LegId, Resource>,
    leg_by_resource: BTreeMap<ResourceId, LegId>,
    arriving_by_leg: BTreeMap<LegId, Arriving>,
    leg_by_socket: BTreeMap<SocketId, LegId>,
    outputs: VecDeque<Output>,
    /// Sessions with something to say.
    speaking: BTreeSet<LegId>,
    /// Legs whose page does not read, to be taken out of their rooms.
    deaf: Vec<LegId>,
}

/// Somebody who is not let in yet.
#[derive(Debug)]
enum Arriving {
    /// A page whose session has not begun.
    Page { socket: SocketId, secret: ResumeSecret, pass: Box<Pass>, instead_of: Option<LegId> },
    /// A client that waits for the answer to its request.
    Client { request: RequestId, resource: Box<Resource> },
}

impl Switchboard {
    /// Without rooms.
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            stopping: false,
            room_by_id: BTreeMap::new(),
            quality_by_room: BTreeMap::new(),
            room_by_leg: BTreeMap::new(),
            session_by_leg: BTreeMap::new(),
            lost: Lost::default(),
            resource_by_leg: BTreeMap::new(),
            leg_by_resource: BTreeMap::new(),
            arriving_by_leg: BTreeMap::new(),
            leg_by_socket: BTreeMap::new(),
            outputs: VecDeque::new(),
            speaking: BTreeSet::new(),
            deaf: Vec::new(),
        }
    }

    /// Applies one input. Outputs appear in [`Switchboard::poll_output`], in the order in which they must happen.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Join(hello) => self.join(*hello, now),
            Input::Resume { socket, secret, origin, received } => {
                self.resume(socket, &secret, origin.as_deref(), received, now);
            }
            Input::Rejoin(back) => self.rejoin(*back, now),
            Input::Event { socket, seq, event } => self.event(socket, seq, event, now),
            Input::Ack { socket, seq } => self.ack(socket, seq, now),
            Input::Ask { request, ask } => self.ask(request, ask, now),
            Input::Gone { socket } => self.socket_gone(socket, now),
            Input::Stored { row, result } => self.stored(&row, result, now),
            Input::Media(event) => self.media(event, now),
            Input::Move { room } => self.tell_room(room, Event::Move, now),
            Input::Stay { room } => self.tell_room(room, Event::Stay, now),
            Input::Remove { tenant, participant } => self.remove(tenant, participant, now),
            Input::Tick => self.tick(now),
            Input::ShutDown => self.shut_down(now),
        }
        self.hang_up_on_the_deaf(now);
        self.speak();
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The tenant's calls in progress.
    pub fn live_calls(&self, tenant: TenantId) -> Vec<LiveCall> {
        let of_tenant = self.room_by_id.iter().filter(|(_, room)| room.tenant() == tenant);
        of_tenant
            .map(|(id, room)| LiveCall { room: *id, call: room.call(), participants: room.participants() })
            .filter(|call| !call.participants.is_empty())
            .collect()
    }

    /// How the connections of a call in progress did over the last few seconds; nothing before the first word of it.
    pub fn quality(&self, tenant: TenantId, call: CallId) -> Vec<Quality> {
        let is_meant = |room: &Room| room.tenant() == tenant && room.call() == call;
        let room = self.room_by_id.iter().find(|(_, room)| is_meant(room));
        let legs = room.and_then(|(id, _)| self.quality_by_room.get(id)).into_iter().flatten();
        legs.filter(|quality| self.room_by_leg.contains_key(&quality.leg)).cloned().collect()
    }

    /// Is this leg one of the tenant's call in progress?
    pub fn has_leg(&self, tenant: TenantId, call: CallId, leg: LegId) -> bool {
        let room = self.room_by_leg.get(&leg).and_then(|room| self.room_by_id.get(room));
        room.is_some_and(|room| room.tenant() == tenant && room.call() == call)
    }

    /// Is this participant here, in a lobby or in a call, or about to come back?
    pub fn has_participant(&self, tenant: TenantId, participant: ParticipantId) -> bool {
        let mut rooms = self.room_by_id.values().filter(|room| room.tenant() == tenant);
        rooms.any(|room| room.has_participant(participant)) || self.lost.has(tenant, participant)
    }

    /// Are no sockets and no rooms left?
    pub fn is_idle(&self) -> bool {
        self.room_by_id.is_empty() && self.leg_by_socket.is_empty() && self.leg_by_resource.is_empty()
    }

    // What happens to rooms

    fn stored(&mut self, row: &NewLeg, result: Result<Policy, Refusal>, now: Instant) {
        let leg = row.leg;
        let is_this_call = self.room_by_id.get(&row.room).is_some_and(|room| room.call() == row.call);
        match result {
            Ok(policy) if is_this_call => self.tell_room(row.room, Event::Stored { leg, policy }, now),
            Ok(_) => {
                // Everyone has gone while the row was written.
                for record in [Record::LegEnded { leg, reason: None }, Record::CallEnded] {
                    self.outputs.push_back(Output::Record { tenant: row.tenant, call: row.call, record });
                }
            }
            Err(refusal) => self.tell_room(row.room, Event::NotStored { leg, refusal }, now),
        }
    }

    fn media(&mut self, event: control::Event, now: Instant) {
        use control::Event as Media;
        if let Media::Quality { room, legs } = event {
            return self.measured(room, legs);
        }
        if let Media::Joined { leg, answer, .. } = &event {
            self.turn_away_halves(*leg, answer, now);
        }
        let room = match &event {
            Media::Speakers { room, .. } => Some(*room),
            Media::Joined { leg, .. }
            | Media::Answered { leg, .. }
            | Media::Refused { leg, .. }
            | Media::OfferRefused { leg, .. }
            | Media::Connected { leg }
            | Media::Slots { leg, .. }
            | Media::Paused { leg, .. }
            | Media::Resting { leg, .. }
            | Media::Lost { leg }
            | Media::Left { leg } => self.room_by_leg.get(leg).copied(),
            Media::Quality { .. } | Media::Tapped { .. } | Media::Usage { .. } => None,
        };
        if let Some(room) = room {
            self.tell_room(room, Event::Media(event), now);
        }
    }

    fn measured(&mut self, room: RoomId, legs: Vec<Quality>) {
        if !self.room_by_id.contains_key(&room) {
            return;
        }
        // The threads that share a large room tell of their own legs each.
        let known = self.quality_by_room.entry(room).or_default();
        known.retain(|known| {
            self.room_by_leg.contains_key(&known.leg) && !legs.iter().any(|quality| quality.leg == known.leg)
        });
        known.extend(legs);
    }

    fn remove(&mut self, tenant: TenantId, participant: ParticipantId, now: Instant) {
        self.lost.remove(tenant, participant);
        let is_there = |room: &Room| room.tenant() == tenant && room.has_participant(participant);
        let rooms: Vec<RoomId> =
            self.room_by_id.iter().filter(|(_, room)| is_there(room)).map(|(id, _)| *id).collect();
        for room in rooms {
            self.tell_room(room, Event::Remove { participant }, now);
        }
    }

    fn tick(&mut self, now: Instant) {
        self.lost.tick(now);
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let rooms: Vec<RoomId> = self
            .room_by_id
            .iter()
            .filter(|(_, room)| is_due(room.next_deadline()))
            .map(|(id, _)| *id)
            .collect();
        for room in rooms {
            self.tell_room(room, Event::Tick, now);
        }
        let away = |(leg, session): (&LegId, &mut Session)| session.goes_away(now).then_some(*leg);
        for leg in self.session_by_leg.iter_mut().filter_map(away).collect::<Vec<_>>() {
            self.tell_room_of(leg, Event::Away { leg, away: true }, now);
        }
        let gone: Vec<LegId> = self
            .session_by_leg
            .iter()
            .filter(|(_, session)| is_due(session.ends_at()))
            .map(|(leg, _)| *leg)
            .collect();
        for leg in gone {
            self.tell_room_of(leg, Event::Gone { leg }, now);
        }
    }

    fn shut_down(&mut self, now: Instant) {
        self.stopping = true;
        let rooms: Vec<RoomId> = self.room_by_id.keys().copied().collect();
        for room in rooms {
            self.tell_room(room, Event::ShutDown, now);
        }
    }

    fn tell_room_of(&mut self, leg: LegId, event: Event, now: Instant) {
        if let Some(room) = self.room_by_leg.get(&leg).copied() {
            self.tell_room(room, event, now);
        }
    }

    fn tell_room(&mut self, id: RoomId, event: Event, now: Instant) {
        let Some(room) = self.room_by_id.get_mut(&id) else { return };
        let worked = catch_unwind(AssertUnwindSafe(|| {
            room.handle(event, now);
            std::iter::from_fn(|| room.poll_effect()).collect::<Vec<_>>()
        }));
        let (tenant, call) = (room.tenant(), room.call());
        if room.is_empty() {
            self.quality_by_room.remove(&id);
            self.room_by_id.remove(&id);
        }
        match worked {
            Ok(effects) => effects.into_iter().for_each(|effect| self.obey(tenant, call, effect, now)),
            Err(_) => self.bury(id, tenant, call, now),
        }
    }

    /// A room has panicked: its pages are told to join anew and its legs end.
    fn bury(&mut self, id: RoomId, tenant: TenantId, call: CallId, now: Instant) {
        tracing::error!(room_id = %id.0, "a room has panicked and is closed");
        self.quality_by_room.remove(&id);
        self.room_by_id.remove(&id);
        let legs: Vec<LegId> =
            self.room_by_leg.iter().filter(|(_, room)| **room == id).map(|(leg, _)| *leg).collect();
        for leg in legs {
            self.outputs.push_back(Output::Sfu(Command::Leave { leg }));
            let record = Record::LegEnded { leg, reason: Some(LeaveReason::Lost) };
            self.outputs.push_back(Output::Record { tenant, call, record });
            if self.arriving_by_leg.contains_key(&leg) {
                self.refuse_arrival(leg, Refusal::unavailable());
            } else {
                self.push(leg, ServerEvent::Closed { reason: LeaveReason::Lost });
                self.close(leg, LeaveReason::Lost, now);
            }
        }
        self.outputs.push_back(Output::Record { tenant, call, record: Record::CallEnded });
    }

    fn obey(&mut self, tenant: TenantId, call: CallId, effect: Effect, now: Instant) {
        match effect {
            Effect::Store(row) => self.outputs.push_back(Output::Store(row)),
            Effect::Welcome { leg, welcome } => self.welcome(leg, call, *welcome),
            Effect::Refuse { leg, refusal } => self.refuse_arrival(leg, refusal),
            Effect::Send { leg, event } => self.push(leg, event),
            Effect::Close { leg, reason } => self.close(leg, reason, now),
            Effect::Sfu(command) => self.outputs.push_back(Output::Sfu(command)),
            Effect::Record(record) => self.outputs.push_back(Output::Record { tenant, call, record }),
        }
    }

    // What sessions say

    fn push(&mut self, leg: LegId, event: ServerEvent) {
        let Some(session) = self.session_by_leg.get_mut(&leg) else { return self.tell_client(leg, event) };
        match session.push(event) {
            Ok(()) => drop(self.speaking.insert(leg)),
            Err(_) => self.deaf.push(leg),
        }
    }

    /// Gives the sockets what their sessions have to say.
    fn speak(&mut self) {
        for leg in std::mem::take(&mut self.speaking) {
            self.flush(leg);
        }
    }

    fn flush(&mut self, leg: LegId) {
        let Some(session) = self.session_by_leg.get_mut(&leg) else { return };
        let Some(socket) = session.attached() else { return };
        while let Some(frame) = session.poll_frame() {
            self.outputs.push_back(Output::Frame { socket, frame });
        }
    }

    /// The session ends when its page has what it was sent; a page that is away finds it gone.
    fn close(&mut self, leg: LegId, reason: LeaveReason, now: Instant) {
        self.flush(leg);
        self.forget_resource(leg);
        self.room_by_leg.remove(&leg);
        let Some(session) = self.session_by_leg.remove(&leg) else { return };
        if let Some(socket) = session.attached() {
            self.leg_by_socket.remove(&socket);
            self.outputs.push_back(Output::HangUp { socket });
        }
        if reason == LeaveReason::Lost {
            self.lost.keep(leg, session.into_pass(), now + self.timing.resume_within);
        }
    }

    /// Ends the sessions whose pages have not acknowledged for too long. Their rooms tell the others.
    fn hang_up_on_the_deaf(&mut self, now: Instant) {
        while let Some(leg) = self.deaf.pop() {
            if let Some(session) = self.session_by_leg.remove(&leg) {
                if let Some(socket) = session.attached() {
                    self.leg_by_socket.remove(&socket);
                    self.refuse_socket(socket, Refusal::not_acknowledged());
                }
                self.lost.keep(leg, session.into_pass(), now + self.timing.resume_within);
            }
            self.tell_room_of(leg, Event::Gone { leg }, now);
            self.room_by_leg.remove(&leg);
        }
    }

    fn refuse_socket(&mut self, socket: SocketId, refusal: Refusal) {
        self.outputs.push_back(Output::Frame { socket, frame: refusal.into_frame() });
        self.outputs.push_back(Output::HangUp { socket });
    }

    fn send(&mut self, socket: SocketId, frame: ServerFrame) {
        self.outputs.push_back(Output::Frame { socket, frame });
    }
}

#[cfg(test)]
mod tests;
