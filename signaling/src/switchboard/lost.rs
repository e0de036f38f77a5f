//! Passes of sessions that ended though nobody wanted them to: kept for a while, so that their pages come back.

use crate::pass::Pass;
use crate::room::ParticipantId;
use sfu::control::{LegId, TenantId};
use std::collections::BTreeMap;
use std::time::Instant;

/// How many are kept; beyond it the oldest leg is forgotten, and its page needs a token.
const LOST_MAX: usize = 65_536;

/// Who may come back, and until when.
#[derive(Debug, Default)]
pub(super) struct Lost(BTreeMap<LegId, (Pass, Instant)>);

impl Lost {
    pub(super) fn keep(&mut self, leg: LegId, pass: Pass, until: Instant) {
        if self.0.len() >= LOST_MAX {
            self.0.pop_first();
        }
        self.0.insert(leg, (pass, until));
    }

    pub(super) fn get(&self, leg: LegId) -> Option<&Pass> {
        self.0.get(&leg).map(|(pass, _)| pass)
    }

    /// Its page is back.
    pub(super) fn forget(&mut self, leg: LegId) {
        self.0.remove(&leg);
    }

    /// The business wants them out.
    pub(super) fn remove(&mut self, tenant: TenantId, participant: ParticipantId) {
        self.0.retain(|_, (pass, _)| !pass.is_of(tenant, participant));
    }

    pub(super) fn has(&self, tenant: TenantId, participant: ParticipantId) -> bool {
        self.0.values().any(|(pass, _)| pass.is_of(tenant, participant))
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.0.retain(|_, (_, until)| *until > now);
    }
}
