//! What pages say, and what follows from it.

use super::member::{Member, Phase, check_offer};
use super::{RETURNING_MAX, Record, Room, out_of_order};
use crate::protocol::{ClientEvent, LeaveReason, RefusalCode, ServerEvent, WANTS_MAX, WantedTrack};
use crate::refusal::Refusal;
use crate::text;
use sfu::control::{Command, LegId, SendLine, Source, TrackKey, Want};
use std::collections::BTreeMap;

impl Room {
    pub(super) fn said(&mut self, leg: LegId, seq: u64, event: ClientEvent) {
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

    pub(super) fn enter(
        &mut self,
        leg: LegId,
        name: Option<String>,
        muted: &[Source],
    ) -> Result<(), Refusal> {
        let member = self.member(leg)?;
        if !matches!(member.phase, Phase::Lobby { .. }) {
            return Err(out_of_order("You are in the call already."));
        }
        let name = name.as_deref().map(text::name).transpose()?;
        self.go_in(leg, name, muted);
        Ok(())
    }

    /// From the lobby into the call; onto the node that it moves to, with everybody else.
    pub(super) fn go_in(&mut self, leg: LegId, name: Option<String>, muted: &[Source]) {
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        if self.moving.is_some() && member.is_ahead {
            member.phase = Phase::Ready { name, muted: muted.to_vec() };
            return;
        }
        let identity = member.identity.clone();
        for earlier in self.legs_of(&identity, Member::is_in_call) {
            self.remove(earlier, LeaveReason::Replaced);
        }
        if self.in_call().next().is_none() {
            self.record(Record::CallStarted);
            self.open_row = true;
        }
        self.come_in(leg, name, muted, Command::Enter { leg });
        self.tell_others_of(leg, |participant| ServerEvent::ParticipantJoined { participant });
    }

    pub(super) fn come_in(&mut self, leg: LegId, name: Option<String>, muted: &[Source], click: Command) {
        let Some(member) = self.member_by_leg.get_mut(&leg) else { return };
        member.enter(name, muted);
        let (participant, name) = (member.participant, member.name.clone());
        let identity = member.identity.clone();
        let muted: Vec<Source> = sources_where(&member.muted_by_source, true);
        for source in muted {
            self.sfu(Command::Mute { leg, source, muted: true });
        }
        self.sfu(click);
        self.record(Record::Entered { participant, leg, name });
        if self.participant_by_identity.len() < RETURNING_MAX {
            self.participant_by_identity.insert(identity, participant);
        }
        self.send(leg, ServerEvent::Entered { call_id: self.call.0 });
    }

    pub(super) fn mute(&mut self, leg: LegId, source: Source, muted: bool) -> Result<(), Refusal> {
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

    pub(super) fn view(&mut self, leg: LegId, wants: &[WantedTrack]) -> Result<(), Refusal> {
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

    pub(super) fn find_wanted(&self, want: &WantedTrack) -> Option<Want> {
        let (leg, _) = self.in_call().find(|(_, member)| member.participant.0 == want.participant_id)?;
        let track = TrackKey { leg, source: want.source };
        Some(Want { track, width: want.width, height: want.height })
    }

    pub(super) fn offer(
        &mut self,
        leg: LegId,
        seq: u64,
        offer: String,
        sends: Vec<SendLine>,
    ) -> Result<(), Refusal> {
        let member = self.member(leg)?;
        check_offer(&offer, &sends, &member.may_publish)?;
        if member.offered.is_some() {
            return Err(out_of_order("Your last offer is not answered yet."));
        }
        member.offered = Some((seq, sends.clone()));
        self.sfu(Command::Offer { leg, offer, sends });
        Ok(())
    }

    pub(super) fn rename(&mut self, leg: LegId, name: &str) -> Result<(), Refusal> {
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
}

fn sources_where(muted_by_source: &BTreeMap<Source, bool>, muted: bool) -> Vec<Source> {
    muted_by_source.iter().filter(|(_, state)| **state == muted).map(|(source, _)| *source).collect()
}
