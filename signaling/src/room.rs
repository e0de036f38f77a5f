//! One use of a room, from the first page in its lobby to the last one gone: who is here, what they are called, what
//! they publish and what they may hear about each other. Touches no socket, no database and no clock.
//!
//! A page *arrives* when its token is good; it is in the *lobby* once the media plane has answered its offer and its
//! row is stored; one message brings it into the *call*. Seats are counted in people, lobby and call together, and one
//! person on two pages has one seat. Whoever is in the lobby sees who is in the call; nobody sees the lobby.

mod member;
mod traffic;

pub use traffic::{Arrival, CallId, Effect, Event, NewLeg, ParticipantId, Policy, Record, Welcome};

use crate::protocol::{
    ClientEvent, LeaveReason, Participant, RefusalCode, RoomInfo, ServerEvent, SlotChange, WANTS_MAX,
    WantedTrack, You,
};
use crate::refusal::Refusal;
use crate::text;
use member::{Answer, Member, Phase, check_offer, to_infos};
use sfu::control::{self, Command, LegId, RoomId, SendLine, SlotTrack, Source, TenantId, TrackKey, Want};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
            Event::Gone { leg } => self.remove(leg, LeaveReason::Lost),
            Event::Remove { participant } => self.remove_participant(participant),
            Event::Media(event) => self.media(event, now),
            Event::Tick => self.tick(now),
            Event::ShutDown => self.remove_all(LeaveReason::ShuttingDown),
        }
        self.close_row();
    }

    /// The next thing to be done.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call `handle(Event::Tick, now)` next, if nothing else happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.member_by_leg.values().filter_map(Member::deadline).min()
    }

    /// Nobody is here: this use of the room is over.
    pub fn is_empty(&self) -> bool {
        self.member_by_leg.is_empty()
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
        self.in_call().map(|(_, member)| member.to_participant()).collect()
    }

    // Coming in

    fn arrive(&mut self, arrival: Arrival, now: Instant) {
        let leg = arrival.leg;
        if let Err(refusal) = self.try_arrive(arrival, now) {
            self.effects.push_back(Effect::Refuse { leg, refusal });
        }
    }

    fn try_arrive(&mut self, arrival: Arrival, now: Instant) -> Result<(), Refusal> {
        self.check_seat(&arrival.identity)?;
        let participant = self.known(&arrival.identity).unwrap_or(arrival.participant);
        let member = Member::arriving(&arrival, participant, now + ARRIVAL_MAX)?;
        let leg = arrival.leg;
        self.sfu(Command::Join {
            leg,
            room: self.room,
            tenant: self.tenant,
            offer: arrival.offer,
            sends: arrival.sends,
        });
        self.effects.push_back(Effect::Store(Box::new(NewLeg {
            tenant: self.tenant,
            room: self.room,
            call: self.call,
            participant,
            identity: arrival.identity,
            name: member.name.clone(),
            role: member.role,
            leg,
        })));
        self.member_by_leg.insert(leg, member);
        Ok(())
    }

    /// The participant that this identity is or was in this call.
    fn known(&self, identity: &str) -> Option<ParticipantId> {
        let here = self.member_by_leg.values().find(|member| member.identity == identity);
        here.map(|member| member.participant).or_else(|| self.participant_by_identity.get(identity).copied())
    }

    /// Is there a seat for this person? As long as the policy is not known, there is.
    fn check_seat(&self, identity: &str) -> Result<(), Refusal> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let taken: BTreeSet<&str> = self
            .admitted()
            .map(|(_, member)| member.identity.as_str())
            .filter(|taken| *taken != identity)
            .collect();
        if taken.len() < policy.participants_max as usize {
            return Ok(());
        }
        let message = format!("The room is full: no more than {} people fit in.", policy.participants_max);
        Err(Refusal::new(RefusalCode::RoomFull, message))
    }

    fn stored(&mut self, leg: LegId, policy: Policy, now: Instant) {
        self.policy = Some(policy);
        self.open_row = true;
        match self.member_by_leg.get_mut(&leg).map(|member| &mut member.phase) {
            Some(Phase::Arriving { stored, .. }) => *stored = true,
            Some(_) => return,
            // It was refused while its row was written.
            None => return self.record(Record::LegEnded { leg, reason: None }),
        }
        self.admit(leg, now);
    }

    fn joined(&mut self, leg: LegId, answer: Answer, now: Instant) {
        match self.member_by_leg.get_mut(&leg).map(|member| &mut member.phase) {
            Some(Phase::Arriving { answer: place, .. }) => *place = Some(answer),
            // It was refused while the media plane was answering, which has been told.
            _ => return,
        }
        self.admit(leg, now);
    }

    /// Opens the lobby to a page that both the media plane and the database know.
    fn admit(&mut self, leg: LegId, now: Instant) {
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        let Phase::Arriving { answer, stored: true, .. } = &mut member.phase else { return };
        let Some(answer) = answer.take() else { return };
        let identity = member.identity.clone();
        if let Err(refusal) = self.check_seat(&identity) {
            return self.refuse(leg, refusal);
        }
        for earlier in self.legs_of(&identity, |member| matches!(member.phase, Phase::Lobby { .. })) {
            self.remove(earlier, LeaveReason::Replaced);
        }
        if let Some(member) = self.member_by_leg.get_mut(&leg) {
            member.phase = Phase::Lobby { until: now + LOBBY_MAX };
        }
        self.welcome(leg, answer);
    }

    fn welcome(&mut self, leg: LegId, answer: Answer) {
        let (Some(member), Some(policy)) = (self.member_by_leg.get(&leg), &self.policy) else { return };
        let welcome = Box::new(Welcome {
            you: You {
                participant_id: member.participant.0,
                leg_id: leg.0,
                name: member.name.clone(),
                may_publish: member.may_publish.clone(),
            },
            room: RoomInfo {
                room_id: self.room.0,
                title: policy.title.clone(),
                participants_max: policy.participants_max,
            },
            participants: self.participants(),
            answer: answer.answer,
            slots: answer.slots,
        });
        self.effects.push_back(Effect::Welcome { leg, welcome });
    }

    /// Sends away a page that is not in yet.
    fn refuse(&mut self, leg: LegId, refusal: Refusal) {
        let Some(member) = self.member_by_leg.remove(&leg) else { return };
        self.sfu(Command::Leave { leg });
        if let Phase::Arriving { stored: true, .. } = member.phase {
            self.record(Record::LegEnded { leg, reason: None });
        }
        self.effects.push_back(Effect::Refuse { leg, refusal });
    }

    // What pages say

    fn said(&mut self, leg: LegId, seq: u64, event: ClientEvent) {
        if !self.member_by_leg.get(&leg).is_some_and(Member::is_admitted) {
            return; // It has just been closed, and told so.
        }
        let result = match event {
            ClientEvent::Enter { name, muted } => self.enter(leg, name, &muted),
            ClientEvent::Mute { source, muted } => self.mute(leg, source, muted),
            ClientEvent::View { wants } => self.view(leg, &wants),
            ClientEvent::Offer { offer, sends } => self.offer(leg, seq, offer, sends),
            ClientEvent::Rename { name } => self.rename(leg, &name),
            ClientEvent::Leave {} => {
                self.remove(leg, LeaveReason::Left);
                Ok(())
            }
        };
        if let Err(refusal) = result {
            self.reject(leg, seq, refusal);
        }
    }

    fn enter(&mut self, leg: LegId, name: Option<String>, muted: &[Source]) -> Result<(), Refusal> {
        let member = self.member(leg)?;
        if member.is_in_call() {
            return Err(out_of_order("You are in the call already."));
        }
        let name = name.as_deref().map(text::name).transpose()?;
        let identity = member.identity.clone();
        for earlier in self.legs_of(&identity, Member::is_in_call) {
            self.remove(earlier, LeaveReason::Replaced);
        }
        let is_first = self.in_call().next().is_none();
        let member = self.member(leg)?;
        member.enter(name, muted);
        let (participant, name) = (member.participant, member.name.clone());
        let muted: Vec<Source> = sources_where(&member.muted_by_source, true);
        for source in muted {
            self.sfu(Command::Mute { leg, source, muted: true });
        }
        self.sfu(Command::Enter { leg });
        if is_first {
            self.record(Record::CallStarted);
            self.open_row = true;
        }
        self.record(Record::Entered { participant, leg, name });
        if self.participant_by_identity.len() < RETURNING_MAX {
            self.participant_by_identity.insert(identity, participant);
        }
        self.send(leg, ServerEvent::Entered { call_id: self.call.0 });
        self.tell_others_of(leg, |participant| ServerEvent::ParticipantJoined { participant });
        Ok(())
    }

    fn mute(&mut self, leg: LegId, source: Source, muted: bool) -> Result<(), Refusal> {
        let member = self.member(leg)?;
        if !member.is_in_call() {
            return Err(out_of_order("Enter the call first; `enter` says what starts muted."));
        }
        let Some(state) = member.muted_by_source.get_mut(&source) else {
            return Err(out_of_order("No line of your offer sends this."));
        };
        if std::mem::replace(state, muted) != muted {
            self.sfu(Command::Mute { leg, source, muted });
            self.tell_others_of(leg, |participant| ServerEvent::ParticipantChanged { participant });
        }
        Ok(())
    }

    fn view(&mut self, leg: LegId, wants: &[WantedTrack]) -> Result<(), Refusal> {
        if wants.len() > WANTS_MAX {
            return Err(Refusal::new(RefusalCode::TooLarge, "A view names at most 64 tracks."));
        }
        if wants.iter().any(|want| !matches!(want.source, Source::Camera | Source::Screen)) {
            return Err(Refusal::new(RefusalCode::BadMessage, "A view names cameras and screens only."));
        }
        // Whoever has just left is not missed.
        let wants = wants.iter().filter_map(|want| self.find_wanted(want)).collect();
        self.sfu(Command::View { leg, wants });
        Ok(())
    }

    fn find_wanted(&self, want: &WantedTrack) -> Option<Want> {
        let (leg, _) = self.in_call().find(|(_, member)| member.participant.0 == want.participant_id)?;
        let track = TrackKey { leg, source: want.source };
        Some(Want { track, width: want.width, height: want.height })
    }

    fn offer(&mut self, leg: LegId, seq: u64, offer: String, sends: Vec<SendLine>) -> Result<(), Refusal> {
        let member = self.member(leg)?;
        check_offer(&offer, &sends, &member.may_publish)?;
        if member.offered.is_some() {
            return Err(out_of_order("Your last offer is not answered yet."));
        }
        member.offered = Some((seq, sends.clone()));
        self.sfu(Command::Offer { leg, offer, sends });
        Ok(())
    }

    fn rename(&mut self, leg: LegId, name: &str) -> Result<(), Refusal> {
        let name = text::name(name)?;
        let member = self.member(leg)?;
        if member.name == name {
            return Ok(());
        }
        member.name = name.clone();
        let participant = member.participant;
        self.record(Record::Renamed { participant, name });
        self.tell_others_of(leg, |participant| ServerEvent::ParticipantChanged { participant });
        Ok(())
    }

    // What the media plane tells

    fn media(&mut self, event: control::Event, now: Instant) {
        match event {
            control::Event::Joined { leg, answer, slots } => {
                self.joined(leg, Answer { answer, slots: to_infos(slots) }, now);
            }
            control::Event::Refused { leg, reason } => self.refuse(leg, reason.into()),
            control::Event::Answered { leg, answer, slots } => {
                self.answered(leg, Answer { answer, slots: to_infos(slots) })
            }
            control::Event::OfferRefused { leg, reason } => self.offer_refused(leg, reason.into()),
            control::Event::Slots { leg, slots } => self.slots(leg, slots),
            control::Event::Speakers { legs, .. } => self.speakers(legs),
            control::Event::Lost { leg } | control::Event::Left { leg } => self.media_lost(leg),
            control::Event::Connected { .. } | control::Event::Usage { .. } => {}
        }
    }

    fn answered(&mut self, leg: LegId, answer: Answer) {
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        let Some((_, sends)) = member.offered.take() else { return };
        let changed = member.publish(&sends);
        self.send(leg, ServerEvent::Answered { answer: answer.answer, slots: answer.slots });
        if changed {
            self.tell_others_of(leg, |participant| ServerEvent::ParticipantChanged { participant });
        }
    }

    fn offer_refused(&mut self, leg: LegId, refusal: Refusal) {
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        if let Some((seq, _)) = member.offered.take() {
            self.reject(leg, seq, refusal);
        }
    }

    fn slots(&mut self, leg: LegId, slots: Vec<SlotTrack>) {
        if !self.member_by_leg.get(&leg).is_some_and(Member::is_admitted) {
            return;
        }
        let slots = slots.into_iter().map(|slot| self.to_change(slot)).collect();
        self.send(leg, ServerEvent::Slots { slots });
    }

    /// A slot that plays someone who has just left plays nobody.
    fn to_change(&self, slot: SlotTrack) -> SlotChange {
        let playing = slot.track.and_then(|track| Some((self.member_by_leg.get(&track.leg)?, track.source)));
        SlotChange {
            mid: slot.mid,
            participant_id: playing.map(|(member, _)| member.participant.0),
            source: playing.map(|(_, source)| source),
        }
    }

    fn speakers(&mut self, legs: Vec<LegId>) {
        self.speakers = legs;
        self.tell_speakers();
    }

    fn tell_speakers(&mut self) {
        let in_call = |leg: &LegId| self.member_by_leg.get(leg).filter(|member| member.is_in_call());
        let participant_ids: Vec<_> =
            self.speakers.iter().filter_map(in_call).map(|member| member.participant.0).collect();
        let listeners: Vec<LegId> = self.in_call().map(|(leg, _)| leg).collect();
        for leg in listeners {
            self.send(leg, ServerEvent::Speakers { participant_ids: participant_ids.clone() });
        }
    }

    fn media_lost(&mut self, leg: LegId) {
        match self.member_by_leg.get(&leg).map(Member::is_admitted) {
            Some(true) => {
                self.send(leg, ServerEvent::MediaLost);
                self.remove(leg, LeaveReason::Lost);
            }
            Some(false) => self.refuse(leg, Refusal::overloaded()),
            None => {} // The answer to our own `Leave`.
        }
    }

    // Going

    fn tick(&mut self, now: Instant) {
        let is_due = |member: &Member| member.deadline().is_some_and(|until| until <= now);
        let due: Vec<LegId> =
            self.member_by_leg.iter().filter(|(_, member)| is_due(member)).map(|(leg, _)| *leg).collect();
        for leg in due {
            if self.member_by_leg.get(&leg).is_some_and(Member::is_admitted) {
                self.remove(leg, LeaveReason::LobbyExpired);
            } else {
                self.refuse(leg, Refusal::overloaded());
            }
        }
    }

    fn remove_participant(&mut self, participant: ParticipantId) {
        let is_them = |(leg, member): (&LegId, &Member)| (member.participant == participant).then_some(*leg);
        let legs: Vec<LegId> = self.member_by_leg.iter().filter_map(is_them).collect();
        for leg in legs {
            self.remove(leg, LeaveReason::Removed);
        }
    }

    fn remove_all(&mut self, reason: LeaveReason) {
        let legs: Vec<LegId> = self.member_by_leg.keys().copied().collect();
        for leg in legs {
            self.remove(leg, reason);
        }
    }

    /// Takes a page out of the room, tells it, and tells the others if they saw it.
    fn remove(&mut self, leg: LegId, reason: LeaveReason) {
        if !self.member_by_leg.get(&leg).is_some_and(Member::is_admitted) {
            return self.refuse(leg, Refusal::unavailable());
        }
        let Some(member) = self.member_by_leg.remove(&leg) else { return };
        self.sfu(Command::Leave { leg });
        self.send(leg, ServerEvent::Closed { reason });
        self.effects.push_back(Effect::Close { leg });
        if !member.is_in_call() {
            return self.record(Record::LegEnded { leg, reason: Some(reason) });
        }
        let participant = member.participant;
        self.record(Record::Left { participant, leg, reason });
        self.tell_all(&ServerEvent::ParticipantLeft { participant_id: participant.0, reason });
        if self.speakers.contains(&leg) {
            self.speakers.retain(|speaker| *speaker != leg);
            self.tell_speakers();
        }
        if self.in_call().next().is_none() {
            self.record(Record::CallEnded);
            self.open_row = false;
        }
    }

    /// A call that nobody entered ends with its lobby.
    fn close_row(&mut self) {
        if self.open_row && self.is_empty() {
            self.record(Record::CallEnded);
            self.open_row = false;
        }
    }

    // Helpers

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
        let event = event(member.to_participant());
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

fn sources_where(muted_by_source: &BTreeMap<Source, bool>, muted: bool) -> Vec<Source> {
    muted_by_source.iter().filter(|(_, state)| **state == muted).map(|(source, _)| *source).collect()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
