//! One use of a room, from the first page in its lobby to the last one gone: who is here, what they are called, what
//! they publish and what they may hear about each other. Touches no socket, no database and no clock.
//!
//! A page *arrives* when its token is good; it is in the *lobby* once the media plane has answered its offer and its
//! row is stored; one message brings it into the *call*. Seats are counted in people, lobby and call together, and one
//! person on two pages has one seat. Whoever is in the lobby sees who is in the call; nobody sees the lobby. A publisher
//! or viewer without a page ([`crate::resource`]) passes the lobby by.

mod coming;
mod going;
mod hearing;
mod member;
mod moving;
mod saying;
mod traffic;

pub use traffic::{Arrival, CallId, Effect, Event, NewLeg, ParticipantId, Policy, Record, Welcome};

use crate::protocol::{LeaveReason, Participant, RefusalCode, ServerEvent};
use crate::refusal::Refusal;
use member::Member;
use moving::Departing;
use sfu::control::{Command, LegId, RoomId, TenantId};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How long the media plane and the database together may take to let a page in.
const ARRIVAL_MAX: Duration = Duration::from_secs(5);
/// How long a seat is held for a page in the lobby.
const LOBBY_MAX: Duration = Duration::from_secs(15 * 60);
/// How many people a call remembers by their identity when they are gone; further ones come back as someone new.
const RETURNING_MAX: usize = 4096;

/// One use of a room.
#[derive(Debug)]
pub struct Room {
    room: RoomId,
    tenant: TenantId,
    call: CallId,
    /// Known once the database has said it for the first page.
    policy: Option<Policy>,
    member_by_leg: BTreeMap<LegId, Member>,
    /// Who was in the call, so that they come back as the same participant.
    participant_by_identity: BTreeMap<String, ParticipantId>,
    speakers: Vec<LegId>,
    /// Until when the call may take to go over to another media node, if it does.
    moving: Option<Instant>,
    /// Legs whose people have just gone over to others.
    departing: Vec<Departing>,
    /// Was anybody's row stored, and is the call's row still to be closed?
    open_row: bool,
    effects: VecDeque<Effect>,
}

impl Room {
    /// An empty room, about to be used.
    pub fn new(tenant: TenantId, room: RoomId, call: CallId) -> Self {
        Self {
            room,
            tenant,
            call,
            policy: None,
            member_by_leg: BTreeMap::new(),
            participant_by_identity: BTreeMap::new(),
            speakers: Vec::new(),
            moving: None,
            departing: Vec::new(),
            open_row: false,
            effects: VecDeque::new(),
        }
    }

    /// Applies one event. Effects appear in [`Room::poll_effect`], in the order in which they must happen.
    pub fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Arrive(arrival) => self.arrive(*arrival, now),
            Event::Stored { leg, policy } => self.stored(leg, policy, now),
            Event::NotStored { leg, refusal } => self.refuse(leg, refusal),
            Event::Said { leg, seq, event } => self.said(leg, seq, event),
            Event::Away { leg, away } => self.away(leg, away),
            Event::Gone { leg } => self.gone(leg),
            Event::Remove { participant } => self.remove_participant(participant),
            Event::Media(event) => self.media(event, now),
            Event::Move => self.begin_move(now),
            Event::Stay => self.stay(),
            Event::Tick => self.tick(now),
            Event::ShutDown => self.remove_all(LeaveReason::ShuttingDown),
        }
        self.move_when_ready(now);
        self.close_row();
    }

    /// The next thing to be done.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call `handle(Event::Tick, now)` next, if nothing else happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        let members = self.member_by_leg.values().filter_map(Member::deadline);
        members.chain(self.departing.iter().map(|leg| leg.until)).chain(self.moving).min()
    }

    /// Nobody is here: this use of the room is over.
    pub fn is_empty(&self) -> bool {
        self.member_by_leg.is_empty() && self.departing.is_empty()
    }

    /// Names this use.
    pub fn call(&self) -> CallId {
        self.call
    }

    /// Whose room it is.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Is this participant here, in the lobby or in the call?
    pub fn has_participant(&self, participant: ParticipantId) -> bool {
        self.member_by_leg.values().any(|member| member.participant == participant)
    }

    /// Who is in the call.
    pub fn participants(&self) -> Vec<Participant> {
        self.in_call().map(|(leg, member)| member.to_participant(leg)).collect()
    }

    fn member(&mut self, leg: LegId) -> Result<&mut Member, Refusal> {
        self.member_by_leg.get_mut(&leg).ok_or_else(|| out_of_order("You are not here any more."))
    }

    fn admitted(&self) -> impl Iterator<Item = (LegId, &Member)> {
        self.member_by_leg
            .iter()
            .filter(|(_, member)| member.is_admitted())
            .map(|(leg, member)| (*leg, member))
    }

    fn in_call(&self) -> impl Iterator<Item = (LegId, &Member)> {
        self.admitted().filter(|(_, member)| member.is_in_call())
    }

    fn legs_of(&self, identity: &str, is_meant: impl Fn(&Member) -> bool) -> Vec<LegId> {
        let meant = self.admitted().filter(|(_, member)| member.identity == identity && is_meant(member));
        meant.map(|(leg, _)| leg).collect()
    }

    fn send(&mut self, leg: LegId, event: ServerEvent) {
        self.effects.push_back(Effect::Send { leg, event });
    }

    fn sfu(&mut self, command: Command) {
        self.effects.push_back(Effect::Sfu(command));
    }

    fn record(&mut self, record: Record) {
        self.effects.push_back(Effect::Record(record));
    }

    fn reject(&mut self, leg: LegId, seq: u64, refusal: Refusal) {
        self.send(leg, ServerEvent::Rejected { seq, code: refusal.code, message: refusal.message });
    }

    fn tell_all(&mut self, event: &ServerEvent) {
        let legs: Vec<LegId> = self.admitted().map(|(leg, _)| leg).collect();
        for leg in legs {
            self.send(leg, event.clone());
        }
    }

    /// Tells everyone else, lobby included, about someone in the call. What happens in the lobby stays there.
    fn tell_others_of(&mut self, leg: LegId, event: impl Fn(Participant) -> ServerEvent) {
        let Some(member) = self.member_by_leg.get(&leg).filter(|member| member.is_in_call()) else { return };
        let event = event(member.to_participant(leg));
        let others: Vec<LegId> =
            self.admitted().map(|(other, _)| other).filter(|other| *other != leg).collect();
        for other in others {
            self.send(other, event.clone());
        }
    }
}

fn out_of_order(message: &str) -> Refusal {
    Refusal::new(RefusalCode::OutOfOrder, message)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
