//! What the media plane tells, in the words of people.

use super::Room;
use super::member::{Answer, Member, to_ice_servers, to_infos};
use crate::protocol::{LeaveReason, ServerEvent, SlotChange};
use crate::refusal::Refusal;
use sfu::control::{self, LegId, SlotTrack};
use std::time::Instant;

impl Room {
    pub(super) fn media(&mut self, event: control::Event, now: Instant) {
        match event {
            control::Event::Joined { leg, answer, slots, turn } => {
                let (slots, ice_servers) = (to_infos(slots), to_ice_servers(turn));
                self.joined(leg, Answer { answer, slots, ice_servers }, now);
            }
            control::Event::Refused { leg, reason } => self.refuse(leg, reason.into()),
            control::Event::Answered { leg, answer, slots } => {
                self.answered(leg, Answer { answer, slots: to_infos(slots), ice_servers: Vec::new() })
            }
            control::Event::OfferRefused { leg, reason } => self.offer_refused(leg, reason.into()),
            control::Event::Slots { leg, slots } => self.slots(leg, slots),
            control::Event::Paused { leg, mids } => self.tell(leg, ServerEvent::Paused { mids }),
            control::Event::Resting { leg, source, rids } => {
                self.tell(leg, ServerEvent::Resting { source, rids });
            }
            control::Event::Speakers { legs, .. } => self.speakers(legs),
            control::Event::Lost { leg } | control::Event::Left { leg } => self.media_lost(leg),
            control::Event::Connected { .. }
            | control::Event::Quality { .. }
            | control::Event::Tapped { .. }
            | control::Event::Usage { .. } => {}
        }
    }

    pub(super) fn answered(&mut self, leg: LegId, answer: Answer) {
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        let Some((_, sends)) = member.offered.take() else { return };
        let changed = member.publish(&sends);
        self.send(leg, ServerEvent::Answered { answer: answer.answer, slots: answer.slots });
        if changed {
            self.tell_others_of(leg, |participant| ServerEvent::ParticipantChanged { participant });
        }
    }

    pub(super) fn offer_refused(&mut self, leg: LegId, refusal: Refusal) {
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        if let Some((seq, _)) = member.offered.take() {
            self.reject(leg, seq, refusal);
        }
    }

    pub(super) fn slots(&mut self, leg: LegId, slots: Vec<SlotTrack>) {
        if !self.member_by_leg.get(&leg).is_some_and(Member::is_admitted) {
            return;
        }
        let slots = slots.into_iter().map(|slot| self.to_change(slot)).collect();
        self.send(leg, ServerEvent::Slots { slots });
    }

    /// A slot that plays someone who has just left plays nobody.
    pub(super) fn to_change(&self, slot: SlotTrack) -> SlotChange {
        let playing = slot.track.and_then(|track| Some((self.member_by_leg.get(&track.leg)?, track.source)));
        SlotChange {
            mid: slot.mid,
            participant_id: playing.map(|(member, _)| member.participant.0),
            source: playing.map(|(_, source)| source),
        }
    }

    /// News of a connection for its own page, once that is in the room.
    fn tell(&mut self, leg: LegId, event: ServerEvent) {
        if self.member_by_leg.get(&leg).is_some_and(Member::is_admitted) {
            self.send(leg, event);
        }
    }

    pub(super) fn speakers(&mut self, legs: Vec<LegId>) {
        self.speakers = legs;
        self.tell_speakers();
    }

    pub(super) fn tell_speakers(&mut self) {
        let in_call = |leg: &LegId| self.member_by_leg.get(leg).filter(|member| member.is_in_call());
        let participant_ids: Vec<_> =
            self.speakers.iter().filter_map(in_call).map(|member| member.participant.0).collect();
        let listeners: Vec<LegId> = self.in_call().map(|(leg, _)| leg).collect();
        for leg in listeners {
            self.send(leg, ServerEvent::Speakers { participant_ids: participant_ids.clone() });
        }
    }

    pub(super) fn media_lost(&mut self, leg: LegId) {
        self.depart(|departing| departing.leg == leg);
        match self.member_by_leg.get(&leg).map(Member::is_admitted) {
            Some(true) => {
                self.send(leg, ServerEvent::MediaLost);
                self.remove(leg, LeaveReason::Lost);
            }
            Some(false) => self.refuse(leg, Refusal::overloaded()),
            None => {} // The answer to our own `Leave`.
        }
    }
}
