//! A page's session: what survives a dropped socket. Knows numbers, the resume secret and whether a socket is
//! attached; touches no socket and no clock.

use crate::delivery::{BadSequence, Delivery, OutboxFull, Outgoing};
use crate::pass::Pass;
use crate::protocol::{ServerEvent, ServerFrame, UNACKNOWLEDGED_MAX};
use aws_lc_rs::digest::{SHA256, digest};
use sfu::control::LegId;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// After so long without a socket the others are told. A socket that merely dropped is back within a second.
const AWAY_AFTER: Duration = Duration::from_secs(3);

/// Names a socket within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SocketId(pub u64);

/// The secret with which a dropped socket resumes: the leg it belongs to and 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumeSecret {
    /// Whose session.
    pub leg: LegId,
    secret: [u8; 32],
}

impl ResumeSecret {
    /// Takes 32 bytes of the shell's chance.
    pub fn new(leg: LegId, secret: [u8; 32]) -> Self {
        Self { leg, secret }
    }

    /// Reads what [`ResumeSecret::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (leg, secret) = text.split_once('.')?;
        let leg = (leg.len() == 36).then(|| Uuid::parse_str(leg).ok())??;
        let secret = crate::base64url::decode(secret)?.try_into().ok()?;
        Some(Self { leg: LegId(leg), secret })
    }

    /// As the page keeps it.
    pub fn to_text(&self) -> String {
        format!("{}.{}", self.leg.0, crate::base64url::encode(&self.secret))
    }

    /// What the server keeps of it.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &self.secret).as_ref());
        hash
    }
}

impl std::fmt::Debug for ResumeSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ResumeSecret({})", self.leg.0)
    }
}

/// Why a session does not go on over this socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeRefusal {
    /// The secret is not this session's.
    WrongSecret,
    /// The page comes from another origin than the one that its token was bound to.
    WrongOrigin,
    /// The page has received what was never sent.
    BadSequence(BadSequence),
}

/// One page's session.
#[derive(Debug)]
pub struct Session {
    delivery: Delivery<ServerEvent>,
    pass: Pass,
    attached: Option<SocketId>,
    /// When the others are to be told that its page is away, if they are not yet.
    away_at: Option<Instant>,
    /// When the session ends unless a socket resumes it.
    ends_at: Option<Instant>,
}

impl Session {
    /// A session that begins with a socket attached.
    pub fn new(pass: Pass, socket: SocketId) -> Self {
        let (delivery, attached) = (Delivery::new(UNACKNOWLEDGED_MAX), Some(socket));
        Self { delivery, pass, attached, away_at: None, ends_at: None }
    }

    /// What lets its page back in when the call is lost.
    pub fn pass(&self) -> &Pass {
        &self.pass
    }

    /// The session is over; what it was begun with may outlast it.
    pub fn into_pass(self) -> Pass {
        self.pass
    }

    /// The socket that carries the session now.
    pub fn attached(&self) -> Option<SocketId> {
        self.attached
    }

    /// When the session ends unless a socket resumes it.
    pub fn ends_at(&self) -> Option<Instant> {
        self.ends_at
    }

    /// Numbers an event for the page. When [`UNACKNOWLEDGED_MAX`] wait, the session is to be ended.
    pub fn push(&mut self, event: ServerEvent) -> Result<(), OutboxFull> {
        self.delivery.push(event)
    }

    /// What the attached socket should carry next.
    pub fn poll_frame(&mut self) -> Option<ServerFrame> {
        self.attached?;
        Some(match self.delivery.poll_outgoing()? {
            Outgoing::Event(seq, body) => ServerFrame::Event { seq, body },
            Outgoing::Ack(seq) => ServerFrame::Ack { seq },
        })
    }

    /// An event of the page has come; `Ok(true)` when it is to be acted on.
    pub fn accept(&mut self, seq: u64) -> Result<bool, BadSequence> {
        self.delivery.accept(seq)
    }

    /// The page has everything up to `seq`.
    pub fn acknowledge(&mut self, seq: u64) -> Result<(), BadSequence> {
        self.delivery.acknowledge(seq)
    }

    /// The socket is gone. Nothing happens when another one has taken over.
    pub fn detach(&mut self, socket: SocketId, now: Instant, resume_within: Duration) {
        if self.attached == Some(socket) {
            self.attached = None;
            self.away_at = Some(now + AWAY_AFTER);
            self.ends_at = Some(now + resume_within);
        }
    }

    /// Whether the others are to be told now that its page is away; it says so once.
    pub fn goes_away(&mut self, now: Instant) -> bool {
        self.away_at.take_if(|at| *at <= now).is_some()
    }

    /// Another socket wants to carry the session on. Answers what the server has received.
    pub fn resume(
        &mut self,
        secret: &ResumeSecret,
        origin: Option<&str>,
        received: u64,
        socket: SocketId,
    ) -> Result<u64, ResumeRefusal> {
        self.pass.check(secret, origin)?;
        self.delivery.resume(received).map_err(ResumeRefusal::BadSequence)?;
        self.attached = Some(socket);
        (self.away_at, self.ends_at) = (None, None);
        Ok(self.delivery.received())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::{Arrival, CallId, ParticipantId};
    use crate::switchboard::{Hello, Newcomer};
    use crate::tokens::CallRole;
    use sfu::control::{RoomId, TenantId};

    const FIRST: SocketId = SocketId(1);
    const SECOND: SocketId = SocketId(2);

    fn secret(byte: u8) -> ResumeSecret {
        ResumeSecret::new(LegId(Uuid::from_u128(7)), [byte; 32])
    }

    fn session() -> Session {
        let arrival = Arrival {
            leg: LegId(Uuid::from_u128(7)),
            participant: ParticipantId(Uuid::from_u128(8)),
            identity: "ada".into(),
            name: None,
            role: CallRole::Participant,
            may_publish: Vec::new(),
            offer: String::new(),
            sends: Vec::new(),
            enters_at_once: false,
        };
        let (tenant, room) = (TenantId(Uuid::from_u128(1)), RoomId(Uuid::from_u128(2)));
        let newcomer = Newcomer { tenant, room, call: CallId(Uuid::from_u128(3)), arrival };
        let origin = Some("https://a.example".into());
        let hello = Hello { socket: FIRST, newcomer, secret: secret(1), origin, instead_of: None };
        Session::new(Pass::new(&hello), FIRST)
    }

    #[test]
    fn the_secret_is_read_as_it_was_written() {
        let text = secret(200).to_text();
        assert!(ResumeSecret::parse(&text).is_some_and(|parsed| parsed == secret(200)));
        for wrong in
            ["", ".", "x.y", &text[1..], &text[..text.len() - 1], &format!("{text}A"), &text.replace('-', "")]
        {
            assert!(ResumeSecret::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_secret_does_not_show_in_logs() {
        assert!(!format!("{:?}", secret(1)).contains("AQEB"));
    }

    #[test]
    fn a_wrong_secret_or_origin_is_refused_and_changes_nothing() {
        let mut session = session();
        let origin = Some("https://a.example");
        assert_eq!(session.resume(&secret(2), origin, 0, SECOND), Err(ResumeRefusal::WrongSecret));
        assert_eq!(
            session.resume(&secret(1), Some("https://b.example"), 0, SECOND),
            Err(ResumeRefusal::WrongOrigin)
        );
        assert_eq!(session.resume(&secret(1), None, 0, SECOND), Err(ResumeRefusal::WrongOrigin));
        assert!(matches!(session.resume(&secret(1), origin, 1, SECOND), Err(ResumeRefusal::BadSequence(_))));
        assert_eq!(session.attached(), Some(FIRST));
        assert_eq!(session.resume(&secret(1), origin, 0, SECOND), Ok(0));
        assert_eq!(session.attached(), Some(SECOND));
    }

    #[test]
    fn the_end_of_an_old_socket_does_not_detach_the_new_one() {
        let mut session = session();
        session.resume(&secret(1), Some("https://a.example"), 0, SECOND).unwrap();
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        session.detach(FIRST, now, Duration::from_secs(30));
        assert_eq!((session.attached(), session.ends_at()), (Some(SECOND), None));
        session.detach(SECOND, now, Duration::from_secs(30));
        assert_eq!((session.attached(), session.ends_at()), (None, Some(now + Duration::from_secs(30))));
    }
}
