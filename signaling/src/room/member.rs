//! One connection of a room.

use super::traffic::{Arrival, ParticipantId};
use crate::protocol::{
    IceServer, MID_CHARS_MAX, OFFER_BYTES_MAX, Participant, RefusalCode, SENDS_MAX, SlotInfo, TrackInfo,
};
use crate::refusal::Refusal;
use crate::text;
use crate::tokens::CallRole;
use sfu::control::{LegId, SendLine, Slot, Source, TurnServer};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What someone without a name is called in the call.
const NAMELESS: &str = "Guest";

/// One leg, and the person behind it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) participant: ParticipantId,
    pub(super) identity: String,
    pub(super) name: String,
    pub(super) role: CallRole,
    pub(super) may_publish: Vec<Source>,
    /// Whether each published medium is muted.
    pub(super) muted_by_source: BTreeMap<Source, bool>,
    /// Does it pass the lobby by?
    pub(super) enters_at_once: bool,
    pub(super) phase: Phase,
    /// Is its page without a socket?
    pub(super) away: bool,
    /// While the call moves: is this leg on the node that it moves to?
    pub(super) is_ahead: bool,
    /// The number of the offer that the media plane has not answered, and what it will send.
    pub(super) offered: Option<(u64, Vec<SendLine>)>,
}

/// How far in a member is.
#[derive(Debug)]
pub(super) enum Phase {
    /// The media plane and the database have not both said yes.
    Arriving { answer: Option<Answer>, stored: bool, until: Instant },
    /// Connected, sending nothing, hearing nothing.
    Lobby { until: Instant },
    /// Waits on the node that the call moves to, until everybody goes over.
    Ready { name: Option<String>, muted: Vec<Source> },
    /// In the call.
    InCall,
}

/// What the media plane answered to a join.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) answer: String,
    pub(super) slots: Vec<SlotInfo>,
    /// To a join only.
    pub(super) ice_servers: Vec<IceServer>,
}

impl Member {
    /// Someone who arrives, or why they can't.
    pub(super) fn arriving(
        arrival: &Arrival,
        participant: ParticipantId,
        until: Instant,
    ) -> Result<Self, Refusal> {
        let name = arrival.name.as_deref().map(text::name).transpose()?;
        check_offer(&arrival.offer, &arrival.sends, &arrival.may_publish)?;
        Ok(Self {
            participant,
            identity: arrival.identity.clone(),
            name: name.unwrap_or_default(),
            role: arrival.role,
            may_publish: arrival.may_publish.clone(),
            muted_by_source: arrival.sends.iter().map(|line| (line.source, false)).collect(),
            enters_at_once: arrival.enters_at_once,
            phase: Phase::Arriving { answer: None, stored: false, until },
            away: false,
            is_ahead: false,
            offered: None,
        })
    }

    /// Is a session open?
    pub(super) fn is_admitted(&self) -> bool {
        !matches!(self.phase, Phase::Arriving { .. })
    }

    pub(super) fn is_in_call(&self) -> bool {
        matches!(self.phase, Phase::InCall)
    }

    /// Has it not clicked yet, or does it still wait for the others?
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Lobby { .. } | Phase::Ready { .. })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Arriving { until, .. } | Phase::Lobby { until } => Some(until),
            Phase::Ready { .. } | Phase::InCall => None,
        }
    }

    /// Into the call, under the name given now, or before, or none.
    pub(super) fn enter(&mut self, name: Option<String>, muted: &[Source]) {
        if let Some(name) = name {
            self.name = name;
        }
        if self.name.is_empty() {
            self.name = NAMELESS.into();
        }
        for source in muted {
            if let Some(is_muted) = self.muted_by_source.get_mut(source) {
                *is_muted = true;
            }
        }
        self.phase = Phase::InCall;
    }

    /// Takes over what an answered offer sends. Says whether that changes what others see.
    pub(super) fn publish(&mut self, sends: &[SendLine]) -> bool {
        let muted = |source| self.muted_by_source.get(&source).copied().unwrap_or(false);
        let after = sends.iter().map(|line| (line.source, muted(line.source))).collect();
        let changed = after != self.muted_by_source;
        self.muted_by_source = after;
        changed
    }

    /// As others see them, on this connection.
    pub(super) fn to_participant(&self, leg: LegId) -> Participant {
        let tracks =
            self.muted_by_source.iter().map(|(source, muted)| TrackInfo { source: *source, muted: *muted });
        Participant {
            participant_id: self.participant.0,
            leg_id: leg.0,
            name: self.name.clone(),
            tracks: tracks.collect(),
            away: self.away,
        }
    }
}

/// What can be said of an offer without reading its SDP.
pub(super) fn check_offer(offer: &str, sends: &[SendLine], may_publish: &[Source]) -> Result<(), Refusal> {
    if offer.len() > OFFER_BYTES_MAX {
        return Err(Refusal::new(RefusalCode::TooLarge, "The offer is larger than 64 KiB."));
    }
    if sends.len() > SENDS_MAX || sends.iter().any(|line| line.mid.len() > MID_CHARS_MAX) {
        return Err(Refusal::new(
            RefusalCode::TooLarge,
            "More than 64 sending lines, or a mid of more than 16 characters.",
        ));
    }
    if let Some(line) = sends.iter().find(|line| !may_publish.contains(&line.source)) {
        let message = format!("The token does not allow to publish {:?}.", line.source);
        return Err(Refusal::new(RefusalCode::NotAllowed, message));
    }
    let sources: BTreeSet<Source> = sends.iter().map(|line| line.source).collect();
    if sources.len() < sends.len() {
        return Err(Refusal::new(
            RefusalCode::OfferNotUnderstood,
            "Two sending lines carry the same source.",
        ));
    }
    Ok(())
}

/// A node's way round strict firewalls, as a browser takes it.
pub(super) fn to_ice_servers(turn: Option<Box<TurnServer>>) -> Vec<IceServer> {
    let server =
        |TurnServer { url, username, credential }| IceServer { urls: vec![url], username, credential };
    turn.into_iter().map(|turn| server(*turn)).collect()
}

/// The media plane's slots in the protocol's words.
pub(super) fn to_infos(slots: Vec<Slot>) -> Vec<SlotInfo> {
    slots.into_iter().map(|slot| SlotInfo { mid: slot.mid, kind: slot.kind, seat: slot.seat }).collect()
}
