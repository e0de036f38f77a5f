//! A call goes over to another media node without a gap: every page makes a second connection to that node while the first
//! goes on; when all are ready, all go over at once. The first connections carry media for a moment longer, until the second
//! ones do, and are counted as long; the second ones are counted from then on.
//!
//! Whoever cannot be asked or does not answer in time loses the first connection and comes back by itself.

use super::member::{Member, Phase};
use super::{Effect, ParticipantId, Record, Room};
use crate::protocol::{LeaveReason, ServerEvent};
use crate::refusal::Refusal;
use sfu::control::{Command, LegId};
use std::time::{Duration, Instant};

/// How long the pages of a call may take to connect to the other node.
pub(super) const MOVE_WITHIN: Duration = Duration::from_secs(10);
/// How long both connections of a person carry media.
pub(super) const OVERLAP: Duration = Duration::from_secs(2);
/// Deadlines are looked at 20 times a second, so that a first connection may be counted for as much longer. The second one
/// begins to be counted after that: nobody pays twice for the same time.
pub(super) const FREE: Duration = OVERLAP.saturating_add(Duration::from_millis(100));

/// A leg whose person is on another one already. It is in the room no more, but media goes on.
#[derive(Debug)]
pub(super) struct Departing {
    pub(super) leg: LegId,
    pub(super) participant: ParticipantId,
    pub(super) until: Instant,
}

impl Room {
    pub(super) fn begin_move(&mut self, now: Instant) {
        if self.moving.is_some() {
            return;
        }
        self.moving = Some(now + MOVE_WITHIN);
        let pages: Vec<LegId> =
            self.in_call().filter(|(_, member)| !member.enters_at_once).map(|(leg, _)| leg).collect();
        for leg in pages {
            self.send(leg, ServerEvent::Move { within_ms: MOVE_WITHIN.as_millis() as u64 });
        }
    }

    /// The other node is gone, and the legs on it with it. Whoever is ready all the same goes in as anybody does.
    pub(super) fn stay(&mut self) {
        self.moving = None;
        for (leg, name, muted) in self.settle() {
            self.go_in(leg, name, &muted);
        }
    }

    /// Goes over when nobody is waited for any more.
    pub(super) fn move_when_ready(&mut self, now: Instant) {
        let Some(until) = self.moving else { return };
        let is_waited_for = |member: &Member| !member.is_ahead && !member.enters_at_once;
        let is_ready =
            |identity: &str| !self.legs_of(identity, |it| matches!(it.phase, Phase::Ready { .. })).is_empty();
        let waits = self.in_call().any(|(_, member)| is_waited_for(member) && !is_ready(&member.identity));
        if !waits || now >= until {
            self.go_over(now);
        }
    }

    fn go_over(&mut self, now: Instant) {
        self.moving = None;
        let behind: Vec<LegId> =
            self.member_by_leg.iter().filter(|(_, member)| !member.is_ahead).map(|(leg, _)| *leg).collect();
        let mut newcomers = Vec::new();
        for (leg, name, muted) in self.settle() {
            match self.first_leg_of(leg, &behind) {
                Some(first) => self.take_over(leg, first, name, &muted, now),
                None => newcomers.push((leg, name, muted)),
            }
        }
        for (leg, name, muted) in newcomers {
            self.go_in(leg, name, &muted);
        }
        for leg in behind {
            match self.member_by_leg.get(&leg).map(Member::is_admitted) {
                Some(true) => self.media_lost(leg),
                Some(false) => self.refuse(leg, Refusal::overloaded()),
                None => {}
            }
        }
    }

    /// There is one node again. Answers who waited to go in there.
    fn settle(&mut self) -> Vec<(LegId, Option<String>, Vec<sfu::control::Source>)> {
        let mut ready = Vec::new();
        for (leg, member) in &mut self.member_by_leg {
            member.is_ahead = false;
            if let Phase::Ready { name, muted } = &mut member.phase {
                ready.push((*leg, name.take(), std::mem::take(muted)));
            }
        }
        ready
    }

    /// The connection that this person has in the call so far.
    fn first_leg_of(&self, leg: LegId, behind: &[LegId]) -> Option<LegId> {
        let identity = &self.member_by_leg.get(&leg)?.identity;
        self.legs_of(identity, Member::is_in_call).into_iter().find(|first| behind.contains(first))
    }

    /// One person goes over from one leg to another and is in the call all the while.
    fn take_over(
        &mut self,
        leg: LegId,
        first: LegId,
        name: Option<String>,
        muted: &[sfu::control::Source],
        now: Instant,
    ) {
        let Some(before) = self.member_by_leg.remove(&first) else { return };
        let (participant, reason) = (before.participant, LeaveReason::Replaced);
        self.departing.push(Departing { leg: first, participant, until: now + OVERLAP });
        self.speakers.iter_mut().filter(|speaker| **speaker == first).for_each(|speaker| *speaker = leg);
        self.record(Record::Left { participant, leg: first, reason });
        // On the new connection the page has seen itself in the call.
        self.send(leg, ServerEvent::ParticipantLeft { participant_id: participant.0, reason });
        let click = Command::TakeOver { leg, free_ms: FREE.as_millis() as u32 };
        self.come_in(leg, name.or(Some(before.name)), muted, click);
        self.tell_others_of(leg, |participant| ServerEvent::ParticipantChanged { participant });
    }

    /// Ends first connections.
    pub(super) fn depart(&mut self, is_meant: impl Fn(&Departing) -> bool) {
        for Departing { leg, .. } in self.departing.extract_if(.., |it| is_meant(it)).collect::<Vec<_>>() {
            let reason = LeaveReason::Replaced;
            self.sfu(Command::Leave { leg });
            self.send(leg, ServerEvent::Closed { reason });
            self.effects.push_back(Effect::Close { leg, reason });
        }
    }
}
