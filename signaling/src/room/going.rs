//! Leaving, in every way there is.

use super::member::Member;
use super::{Effect, ParticipantId, Record, Room};
use crate::protocol::{LeaveReason, ServerEvent};
use crate::refusal::Refusal;
use sfu::control::{Command, LegId};
use std::time::Instant;

impl Room {
    pub(super) fn tick(&mut self, now: Instant) {
        self.depart(|departing| departing.until <= now);
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

    pub(super) fn remove_participant(&mut self, participant: ParticipantId) {
        self.depart(|departing| departing.participant == participant);
        let is_them = |(leg, member): (&LegId, &Member)| (member.participant == participant).then_some(*leg);
        let legs: Vec<LegId> = self.member_by_leg.iter().filter_map(is_them).collect();
        for leg in legs {
            self.remove(leg, LeaveReason::Removed);
        }
    }

    pub(super) fn remove_all(&mut self, reason: LeaveReason) {
        self.depart(|_| true);
        let legs: Vec<LegId> = self.member_by_leg.keys().copied().collect();
        for leg in legs {
            self.remove(leg, reason);
        }
    }

    /// The others are told why somebody's picture stands still.
    pub(super) fn away(&mut self, leg: LegId, away: bool) {
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        if std::mem::replace(&mut member.away, away) != away {
            self.tell_others_of(leg, |participant| ServerEvent::ParticipantChanged { participant });
        }
    }

    pub(super) fn gone(&mut self, leg: LegId) {
        self.depart(|departing| departing.leg == leg);
        self.remove(leg, LeaveReason::Lost);
    }

    /// Takes a page out of the room, tells it, and tells the others if they saw it.
    pub(super) fn remove(&mut self, leg: LegId, reason: LeaveReason) {
        if !self.member_by_leg.get(&leg).is_some_and(Member::is_admitted) {
            return self.refuse(leg, Refusal::unavailable());
        }
        let Some(member) = self.member_by_leg.remove(&leg) else { return };
        self.sfu(Command::Leave { leg });
        self.send(leg, ServerEvent::Closed { reason });
        self.effects.push_back(Effect::Close { leg, reason });
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
    pub(super) fn close_row(&mut self) {
        if self.open_row && self.member_by_leg.is_empty() {
            self.record(Record::CallEnded);
            self.open_row = false;
        }
    }
}
