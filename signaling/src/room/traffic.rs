//! What goes into a room and what comes out of it.

use crate::protocol::{
    ClientEvent, IceServer, LeaveReason, Participant, RoomInfo, ServerEvent, SlotInfo, You,
};
use crate::refusal::Refusal;
use crate::tokens::CallRole;
use sfu::control::{self, Command, LegId, RoomId, SendLine, Source, TenantId};
use uuid::Uuid;

/// Names a call: one use of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub Uuid);

/// Names one person in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticipantId(pub Uuid);

/// Something that happens to a room.
#[derive(Debug, Clone)]
pub enum Event {
    /// A page with a good token wants to come into the lobby, or a resource into the call.
    Arrive(Box<Arrival>),
    /// The answer to [`Effect::Store`]: the room is open and the leg's row is written.
    Stored {
        /// Whose.
        leg: LegId,
        /// The room's policy.
        policy: Policy,
    },
    /// The other answer to [`Effect::Store`]: there is no such row.
    NotStored {
        /// Whose.
        leg: LegId,
        /// Why.
        refusal: Refusal,
    },
    /// A page said something.
    Said {
        /// Which page.
        leg: LegId,
        /// The number of the event.
        seq: u64,
        /// What.
        event: ClientEvent,
    },
    /// A page has been without a socket for some seconds, or has one again.
    Away {
        /// Which.
        leg: LegId,
        /// Whether it is without.
        away: bool,
    },
    /// A page is gone and did not resume, or does not read what it is sent.
    Gone {
        /// Which.
        leg: LegId,
    },
    /// The business removes a participant.
    Remove {
        /// Whom.
        participant: ParticipantId,
    },
    /// The media plane tells something about one of the room's legs or its speakers.
    Media(control::Event),
    /// The call is to go over to another media node: whoever arrives from now on is there.
    Move,
    /// It does not: that node is gone.
    Stay,
    /// A deadline has come.
    Tick,
    /// The service stops.
    ShutDown,
}

/// A page that wants to come in.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The new connection.
    pub leg: LegId,
    /// The person, if the call does not know the identity yet.
    pub participant: ParticipantId,
    /// From the token.
    pub identity: String,
    /// From the page, or else from the token.
    pub name: Option<String>,
    /// From the token.
    pub role: CallRole,
    /// From the token.
    pub may_publish: Vec<Source>,
    /// SDP.
    pub offer: String,
    /// What the page will send where.
    pub sends: Vec<SendLine>,
    /// Nobody waits for a click: a publisher or viewer without a page is in the call with its answer.
    pub enters_at_once: bool,
}

/// What the database knows of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its title.
    pub title: String,
    /// How many fit in, lobby and call together.
    pub participants_max: u32,
    /// How much one person may send, in kbit/s, where the plan has a limit.
    pub bitrate_kbps_max: Option<u32>,
}

/// What is to be done for a room, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Check the room and write the leg's row; answered by [`Event::Stored`] or [`Event::NotStored`].
    Store(Box<NewLeg>),
    /// The page is in the lobby: its session begins.
    Welcome {
        /// Which page.
        leg: LegId,
        /// What it is told.
        welcome: Box<Welcome>,
    },
    /// The page does not come in.
    Refuse {
        /// Which page.
        leg: LegId,
        /// Why.
        refusal: Refusal,
    },
    /// Tell a page.
    Send {
        /// Which page.
        leg: LegId,
        /// What.
        event: ServerEvent,
    },
    /// The session is over once the page has what it was sent.
    Close {
        /// Which page.
        leg: LegId,
        /// Why.
        reason: LeaveReason,
    },
    /// Tell the media plane.
    Sfu(Command),
    /// Write down, some time soon.
    Record(Record),
}

/// The rows behind a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLeg {
    /// Whose room it is.
    pub tenant: TenantId,
    /// Where.
    pub room: RoomId,
    /// Written if it is the call's first leg.
    pub call: CallId,
    /// Written if it is the participant's first leg.
    pub participant: ParticipantId,
    /// From the token.
    pub identity: String,
    /// The display name so far.
    pub name: String,
    /// From the token.
    pub role: CallRole,
    /// The connection.
    pub leg: LegId,
}

/// The part of `joined` that a room knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Who the page is.
    pub you: You,
    /// Where it is.
    pub room: RoomInfo,
    /// Who is in the call already.
    pub participants: Vec<Participant>,
    /// The SDP answer.
    pub answer: String,
    /// The receive places.
    pub slots: Vec<SlotInfo>,
    /// Ways round strict firewalls.
    pub ice_servers: Vec<IceServer>,
}

/// What is written down about a call. The writer adds the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The first participant is in, or one is in again after all had left.
    CallStarted,
    /// A participant is in.
    Entered {
        /// Who.
        participant: ParticipantId,
        /// Over which connection.
        leg: LegId,
        /// Called.
        name: String,
    },
    /// A participant has another name.
    Renamed {
        /// Who.
        participant: ParticipantId,
        /// Called.
        name: String,
    },
    /// A participant is out of the call.
    Left {
        /// Who.
        participant: ParticipantId,
        /// Over which connection.
        leg: LegId,
        /// How.
        reason: LeaveReason,
    },
    /// A leg ended that was never in the call.
    LegEnded {
        /// Which.
        leg: LegId,
        /// How; `None`: it was refused.
        reason: Option<LeaveReason>,
    },
    /// The last participant is out, or the lobby is empty and nobody ever was in.
    CallEnded,
}
