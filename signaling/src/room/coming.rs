//! From a good token into the lobby, and through it for those who need no click.

use super::member::{Answer, Member, Phase};
use super::{ARRIVAL_MAX, Arrival, Effect, LOBBY_MAX, NewLeg, ParticipantId, Policy, Record, Room, Welcome};
use crate::protocol::{LeaveReason, RefusalCode, RoomInfo, You};
use crate::refusal::Refusal;
use sfu::control::{Command, LegId};
use std::collections::BTreeSet;
use std::time::Instant;

impl Room {
    pub(super) fn arrive(&mut self, arrival: Arrival, now: Instant) {
        let leg = arrival.leg;
        if let Err(refusal) = self.try_arrive(arrival, now) {
            self.effects.push_back(Effect::Refuse { leg, refusal });
        }
    }

    pub(super) fn try_arrive(&mut self, arrival: Arrival, now: Instant) -> Result<(), Refusal> {
        self.check_seat(&arrival.identity)?;
        let participant = self.known(&arrival.identity).unwrap_or(arrival.participant);
        let mut member = Member::arriving(&arrival, participant, now + ARRIVAL_MAX)?;
        member.is_ahead = self.moving.is_some();
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
    pub(super) fn known(&self, identity: &str) -> Option<ParticipantId> {
        let here = self.member_by_leg.values().find(|member| member.identity == identity);
        here.map(|member| member.participant).or_else(|| self.participant_by_identity.get(identity).copied())
    }

    /// Is there a seat for this person? As long as the policy is not known, there is.
    pub(super) fn check_seat(&self, identity: &str) -> Result<(), Refusal> {
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

    pub(super) fn stored(&mut self, leg: LegId, policy: Policy, now: Instant) {
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

    pub(super) fn joined(&mut self, leg: LegId, answer: Answer, now: Instant) {
        match self.member_by_leg.get_mut(&leg).map(|member| &mut member.phase) {
            Some(Phase::Arriving { answer: place, .. }) => *place = Some(answer),
            // It was refused while the media plane was answering, which has been told.
            _ => return,
        }
        self.admit(leg, now);
    }

    /// Opens the lobby to a page that both the media plane and the database know.
    pub(super) fn admit(&mut self, leg: LegId, now: Instant) {
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        let Phase::Arriving { answer, stored: true, .. } = &mut member.phase else { return };
        let Some(answer) = answer.take() else { return };
        let (identity, is_ahead) = (member.identity.clone(), member.is_ahead);
        if let Err(refusal) = self.check_seat(&identity) {
            return self.refuse(leg, refusal);
        }
        for earlier in self.legs_of(&identity, |it| it.is_waiting() && it.is_ahead == is_ahead) {
            self.remove(earlier, LeaveReason::Replaced);
        }
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        member.phase = Phase::Lobby { until: now + LOBBY_MAX };
        let enters_at_once = member.enters_at_once;
        if let Some(kbps) = self.policy.as_ref().and_then(|policy| policy.bitrate_kbps_max) {
            self.sfu(Command::Limit { leg, kbps });
        }
        self.welcome(leg, answer);
        if enters_at_once {
            self.go_in(leg, None, &[]);
        }
    }

    pub(super) fn welcome(&mut self, leg: LegId, answer: Answer) {
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
            ice_servers: answer.ice_servers,
        });
        self.effects.push_back(Effect::Welcome { leg, welcome });
    }

    /// Sends away a page that is not in yet.
    pub(super) fn refuse(&mut self, leg: LegId, refusal: Refusal) {
        let Some(member) = self.member_by_leg.remove(&leg) else { return };
        self.sfu(Command::Leave { leg });
        if let Phase::Arriving { stored: true, .. } = member.phase {
            self.record(Record::LegEnded { leg, reason: None });
        }
        self.effects.push_back(Effect::Refuse { leg, refusal });
    }
}
