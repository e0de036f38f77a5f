//! What a good token said, kept with the session that it began, so that the page whose call is lost comes back as who it was
//! when the token has long expired. It is worth as much as the session: it ends with it, or shortly after when nobody wanted that.

use crate::room::{Arrival, CallId, ParticipantId};
use crate::session::{ResumeRefusal, ResumeSecret};
use crate::switchboard::{Hello, Newcomer, Return};
use crate::tokens::CallRole;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use sfu::control::{RoomId, Source, TenantId};

/// Lets one page back into one room.
#[derive(Debug, Clone)]
pub struct Pass {
    secret_hash: [u8; 32],
    /// The origin that the token was bound to, if it was.
    origin: Option<String>,
    tenant: TenantId,
    room: RoomId,
    call: CallId,
    participant: ParticipantId,
    identity: String,
    name: Option<String>,
    role: CallRole,
    may_publish: Vec<Source>,
}

impl Pass {
    /// For a page with a good token.
    pub fn new(hello: &Hello) -> Self {
        let Newcomer { tenant, room, call, arrival } = &hello.newcomer;
        Self {
            secret_hash: hello.secret.hash(),
            origin: hello.origin.clone(),
            tenant: *tenant,
            room: *room,
            call: *call,
            participant: arrival.participant,
            identity: arrival.identity.clone(),
            name: arrival.name.clone(),
            role: arrival.role,
            may_publish: arrival.may_publish.clone(),
        }
    }

    /// The room has said which participant of which call the page is.
    pub fn issued_to(self, participant: ParticipantId, call: CallId) -> Self {
        Self { participant, call, ..self }
    }

    /// Into which room it lets.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// Is it this participant's?
    pub fn is_of(&self, tenant: TenantId, participant: ParticipantId) -> bool {
        (self.tenant, self.participant) == (tenant, participant)
    }

    /// Does whoever holds this secret, on a page of this origin, hold the pass?
    pub fn check(&self, secret: &ResumeSecret, origin: Option<&str>) -> Result<(), ResumeRefusal> {
        verify_slices_are_equal(&self.secret_hash, &secret.hash()).map_err(|_| ResumeRefusal::WrongSecret)?;
        if self.origin.is_some() && self.origin.as_deref() != origin {
            return Err(ResumeRefusal::WrongOrigin);
        }
        Ok(())
    }

    /// Its page before the door again, where this call goes on now. A call that lost everybody is gone on with.
    pub fn hello(&self, back: Return, goes_on: Option<CallId>) -> Hello {
        let is_same = goes_on.is_none_or(|call| call == self.call);
        let (call, participant) =
            if is_same { (self.call, self.participant) } else { (back.call, back.participant) };
        let arrival = Arrival {
            leg: back.secret.leg,
            participant,
            identity: self.identity.clone(),
            name: self.name.clone(),
            role: self.role,
            may_publish: self.may_publish.clone(),
            offer: back.offer,
            sends: back.sends,
            enters_at_once: false,
        };
        Hello {
            socket: back.socket,
            newcomer: Newcomer { tenant: self.tenant, room: self.room, call, arrival },
            secret: back.secret,
            origin: self.origin.clone(),
            instead_of: Some(back.before.leg),
        }
    }
}
