//! What goes into the switchboard and what comes out of it.

use crate::protocol::{ClientEvent, Participant, ServerFrame};
use crate::refusal::Refusal;
use crate::resource::{Approach, Condition, Outcome, RequestId, Resource};
use crate::room::{Arrival, CallId, NewLeg, ParticipantId, Policy, Record};
use crate::sdp::Fragment;
use crate::session::{ResumeSecret, SocketId};
use sfu::control::{self, Command, LegId, RoomId, SendLine, TenantId};
use std::time::Duration;

/// What pages are told about time.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How often a socket is pinged.
    pub heartbeat: Duration,
    /// How long after a dropped socket its session can be resumed.
    pub resume_within: Duration,
}

/// Something that happens.
#[derive(Debug)]
pub enum Input {
    /// A socket's first frame was `join`, and its token is good.
    Join(Box<Hello>),
    /// A socket's first frame was `resume`.
    Resume {
        /// The socket.
        socket: SocketId,
        /// Which session.
        secret: ResumeSecret,
        /// The `Origin` of the request.
        origin: Option<String>,
        /// The greatest number that the page has received.
        received: u64,
    },
    /// A socket's first frame was `rejoin`.
    Rejoin(Box<Return>),
    /// A numbered event.
    Event {
        /// The socket.
        socket: SocketId,
        /// Its number.
        seq: u64,
        /// What the page said.
        event: ClientEvent,
    },
    /// An acknowledgement.
    Ack {
        /// The socket.
        socket: SocketId,
        /// The greatest number received.
        seq: u64,
    },
    /// A client without a socket asks; answered by [`Output::Reply`].
    Ask {
        /// Which request.
        request: RequestId,
        /// For what.
        ask: Ask,
    },
    /// The socket is closed, broken or silent.
    Gone {
        /// The socket.
        socket: SocketId,
    },
    /// The answer to [`Output::Store`].
    Stored {
        /// What was to be stored.
        row: Box<NewLeg>,
        /// The room's policy, or why nothing is stored.
        result: Result<Policy, Refusal>,
    },
    /// The media plane tells something.
    Media(control::Event),
    /// A call is to go over to another media node.
    Move {
        /// Which.
        room: RoomId,
    },
    /// It is to stay, since that node is gone.
    Stay {
        /// Which.
        room: RoomId,
    },
    /// The business removes a participant.
    Remove {
        /// Whose.
        tenant: TenantId,
        /// Whom.
        participant: ParticipantId,
    },
    /// Some time has passed.
    Tick,
    /// The service stops: everyone is told, nobody comes in.
    ShutDown,
}

/// Somebody with a good token.
#[derive(Debug)]
pub struct Newcomer {
    /// From the token.
    pub tenant: TenantId,
    /// From the token.
    pub room: RoomId,
    /// The call, if this one is the first.
    pub call: CallId,
    /// Who, and with what.
    pub arrival: Arrival,
}

/// A page with a good token.
#[derive(Debug)]
pub struct Hello {
    /// Its socket.
    pub socket: SocketId,
    /// Who comes, and where to.
    pub newcomer: Newcomer,
    /// The secret of the new session.
    pub secret: ResumeSecret,
    /// The origin that the token is bound to, if it is.
    pub origin: Option<String>,
    /// The leg that this page had before, when it comes back with the secret of that session.
    pub instead_of: Option<LegId>,
}

/// A page that comes back without a token.
#[derive(Debug)]
pub struct Return {
    /// Its socket.
    pub socket: SocketId,
    /// The secret of the session that it had.
    pub before: ResumeSecret,
    /// The `Origin` of the request.
    pub origin: Option<String>,
    /// The participant, should another call have begun in the room.
    pub participant: ParticipantId,
    /// That participant's call.
    pub call: CallId,
    /// The secret of the new session, and its leg.
    pub secret: ResumeSecret,
    /// SDP.
    pub offer: String,
    /// What its lines will carry.
    pub sends: Vec<SendLine>,
}

/// What a client without a socket asks for.
#[derive(Debug)]
pub enum Ask {
    /// To be in the call.
    Make {
        /// Who comes, and where to.
        newcomer: Box<Newcomer>,
        /// What its client will speak of.
        resource: Box<Resource>,
    },
    /// To note candidates, or to restart ICE.
    Patch {
        /// Of which resource.
        at: Approach,
        /// Of which ICE session.
        condition: Condition,
        /// What is told.
        fragment: Fragment,
    },
    /// To be out of the call.
    Delete {
        /// Which resource.
        at: Approach,
    },
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a frame.
    Frame {
        /// Over which socket.
        socket: SocketId,
        /// Which.
        frame: ServerFrame,
    },
    /// Close a socket when everything is sent.
    HangUp {
        /// Which.
        socket: SocketId,
    },
    /// Answer a request.
    Reply {
        /// Which.
        request: RequestId,
        /// What.
        outcome: Outcome,
    },
    /// Check the room and write the rows of a leg; answered by [`Input::Stored`].
    Store(Box<NewLeg>),
    /// Tell the media plane.
    Sfu(Command),
    /// Write down, some time soon.
    Record {
        /// Whose call.
        tenant: TenantId,
        /// Which call.
        call: CallId,
        /// What.
        record: Record,
    },
}

/// A call in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCall {
    /// Where.
    pub room: RoomId,
    /// Which.
    pub call: CallId,
    /// Who is in.
    pub participants: Vec<Participant>,
}
