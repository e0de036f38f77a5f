//! Sockets come, say something, and go.

use super::{ARRIVING_MAX, Arriving, Hello, Newcomer, Return, Switchboard};
use crate::pass::Pass;
use crate::protocol::{ClientEvent, RefusalCode, ServerFrame};
use crate::refusal::Refusal;
use crate::resource::Denial;
use crate::room::{CallId, Event, ParticipantId, Room, Welcome};
use crate::session::{ResumeRefusal, ResumeSecret, Session, SocketId};
use sfu::control::{LegId, RoomId};
use std::time::{Duration, Instant};

/// Somebody before the door of a room.
pub(super) struct Entry {
    pub(super) leg: LegId,
    pub(super) room: RoomId,
    pub(super) event: Event,
}

impl Switchboard {
    pub(super) fn join(&mut self, hello: Hello, now: Instant) {
        let pass = Box::new(Pass::new(&hello));
        let Hello { socket, newcomer, secret, instead_of, .. } = hello;
        match self.let_in(newcomer, Arriving::Page { socket, secret, pass, instead_of }) {
            Ok(entry) => {
                self.leg_by_socket.insert(socket, entry.leg);
                self.tell_room(entry.room, entry.event, now);
            }
            Err(refusal) => self.refuse_socket(socket, refusal),
        }
    }

    /// A page whose call was lost, here or on its own side, wants a new leg as who it was.
    pub(super) fn rejoin(&mut self, back: Return, now: Instant) {
        let leg = back.before.leg;
        let pass = self.session_by_leg.get(&leg).map(Session::pass).or_else(|| self.lost.get(leg));
        let checked = pass.ok_or(ResumeRefusal::WrongSecret).and_then(|pass| {
            pass.check(&back.before, back.origin.as_deref())?;
            Ok(pass.clone())
        });
        match checked {
            Ok(pass) => {
                let goes_on = self.room_by_id.get(&pass.room()).map(Room::call);
                self.join(pass.hello(back, goes_on), now);
            }
            Err(reason) => self.refuse_socket(back.socket, reason.into()),
        }
    }

    /// Opens the room for a newcomer, if this process takes one; the event is to be told to the room.
    pub(super) fn let_in(&mut self, newcomer: Newcomer, arriving: Arriving) -> Result<Entry, Refusal> {
        if self.stopping {
            return Err(Refusal::unavailable());
        }
        if self.arriving_by_leg.len() >= ARRIVING_MAX {
            return Err(Refusal::overloaded());
        }
        let Newcomer { tenant, room, call, arrival } = newcomer;
        let leg = arrival.leg;
        self.arriving_by_leg.insert(leg, arriving);
        self.room_by_leg.insert(leg, room);
        self.room_by_id.entry(room).or_insert_with(|| Room::new(tenant, room, call));
        Ok(Entry { leg, room, event: Event::Arrive(Box::new(arrival)) })
    }

    pub(super) fn welcome(&mut self, leg: LegId, call: CallId, welcome: Welcome) {
        let Some(arriving) = self.arriving_by_leg.remove(&leg) else { return };
        match arriving {
            Arriving::Page { socket, secret, pass, instead_of } => {
                // One pass lets in once; the new session has its own.
                instead_of.inspect(|before| self.lost.forget(*before));
                let pass = pass.issued_to(ParticipantId(welcome.you.participant_id), call);
                self.session_by_leg.insert(leg, Session::new(pass, socket));
                let frame = self.joined(welcome, &secret);
                self.send(socket, frame);
            }
            Arriving::Client { request, resource } => self.made(request, leg, *resource, welcome),
        }
    }

    fn joined(&self, welcome: Welcome, secret: &ResumeSecret) -> ServerFrame {
        ServerFrame::Joined {
            you: welcome.you,
            room: welcome.room,
            participants: welcome.participants,
            answer: welcome.answer,
            slots: welcome.slots,
            ice_servers: welcome.ice_servers,
            resume: secret.to_text(),
            heartbeat_ms: to_ms(self.timing.heartbeat),
            resume_within_ms: to_ms(self.timing.resume_within),
        }
    }

    pub(super) fn refuse_arrival(&mut self, leg: LegId, refusal: Refusal) {
        self.room_by_leg.remove(&leg);
        match self.arriving_by_leg.remove(&leg) {
            Some(Arriving::Page { socket, .. }) if self.leg_by_socket.remove(&socket).is_some() => {
                self.refuse_socket(socket, refusal);
            }
            Some(Arriving::Client { request, .. }) => self.deny(request, Denial::Refused(refusal)),
            // The page has gone before.
            Some(Arriving::Page { .. }) | None => {}
        }
    }

    pub(super) fn resume(
        &mut self,
        socket: SocketId,
        secret: &ResumeSecret,
        origin: Option<&str>,
        received: u64,
        now: Instant,
    ) {
        let leg = secret.leg;
        let Some(session) = self.session_by_leg.get_mut(&leg) else {
            return self.refuse_socket(socket, Refusal::resume_expired());
        };
        let earlier = session.attached();
        match session.resume(secret, origin, received, socket) {
            Ok(received) => {
                if let Some(earlier) = earlier {
                    self.leg_by_socket.remove(&earlier);
                    self.refuse_socket(earlier, Refusal::resumed_elsewhere());
                }
                self.leg_by_socket.insert(socket, leg);
                self.send(socket, ServerFrame::Resumed { received });
                self.speaking.insert(leg);
                self.tell_room_of(leg, Event::Away { leg, away: false }, now);
            }
            Err(reason) => self.refuse_socket(socket, reason.into()),
        }
    }

    pub(super) fn event(&mut self, socket: SocketId, seq: u64, event: ClientEvent, now: Instant) {
        let Some(leg) = self.leg_by_socket.get(&socket).copied() else { return };
        let Some(session) = self.session_by_leg.get_mut(&leg) else {
            return self.drop_socket(socket, before_joined(), now);
        };
        match session.accept(seq) {
            Ok(true) => {
                self.speaking.insert(leg);
                self.tell_room_of(leg, Event::Said { leg, seq, event }, now);
            }
            Ok(false) => {}
            Err(error) => self.drop_socket(socket, Refusal::bad_sequence(error), now),
        }
    }

    pub(super) fn ack(&mut self, socket: SocketId, seq: u64, now: Instant) {
        let Some(leg) = self.leg_by_socket.get(&socket).copied() else { return };
        let Some(session) = self.session_by_leg.get_mut(&leg) else {
            return self.drop_socket(socket, before_joined(), now);
        };
        if let Err(error) = session.acknowledge(seq) {
            self.drop_socket(socket, Refusal::bad_sequence(error), now);
        }
    }

    /// Closes a socket that breaks the rules. Its session can be resumed by one that keeps them.
    fn drop_socket(&mut self, socket: SocketId, refusal: Refusal, now: Instant) {
        self.refuse_socket(socket, refusal);
        self.socket_gone(socket, now);
    }

    pub(super) fn socket_gone(&mut self, socket: SocketId, now: Instant) {
        let Some(leg) = self.leg_by_socket.remove(&socket) else { return };
        match self.session_by_leg.get_mut(&leg) {
            Some(session) => session.detach(socket, now, self.timing.resume_within),
            None => self.tell_room_of(leg, Event::Gone { leg }, now),
        }
    }
}

fn before_joined() -> Refusal {
    Refusal::new(RefusalCode::OutOfOrder, "Wait for `joined` before sending events.")
}

impl From<ResumeRefusal> for Refusal {
    fn from(reason: ResumeRefusal) -> Self {
        match reason {
            // Whoever guesses learns nothing about which sessions there are.
            ResumeRefusal::WrongSecret => Self::resume_expired(),
            ResumeRefusal::WrongOrigin => {
                Self::new(RefusalCode::OriginNotAllowed, "The session belongs to a page of another origin.")
            }
            ResumeRefusal::BadSequence(error) => Self::bad_sequence(error),
        }
    }
}

fn to_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
