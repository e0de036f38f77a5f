//! The messages between a page and the hub, as JSON over a WebSocket at `/v1/ws`, subprotocol `tuppence.v1`.
//!
//! The client's first frame is `join`, `rejoin` or `resume`; the server answers `joined`, `resumed` or `refused` (and closes).
//! After that both sides send `event` frames, numbered from 1 without gaps in each direction, and `ack` what arrived.
//! Whoever resumes sends again what the other side has not acknowledged; a number already seen is dropped.
//!
//! What a page sends is read strictly: unknown fields, missing fields, wrong types and arrays in place of objects are
//! refused. What the server sends may gain fields, and a page ignores those it does not know.

mod strict;

use serde::{Deserialize, Serialize};
use sfu::control::{Kind, SendLine, Source};
use uuid::Uuid;

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "tuppence.v1";
/// The largest frame either side sends, in bytes.
pub const FRAME_BYTES_MAX: usize = 128 * 1024;
/// The longest display name, in characters after trimming; control characters are refused.
pub const NAME_CHARS_MAX: usize = 64;
/// The largest offer, in bytes.
pub const OFFER_BYTES_MAX: usize = 64 * 1024;
/// The most sending lines of an offer.
pub const SENDS_MAX: usize = 64;
/// The longest `mid`, in characters (RFC 5888 has no limit; RFC 9143 needs short ones).
pub const MID_CHARS_MAX: usize = 16;
/// The most tracks that one `view` names.
pub const WANTS_MAX: usize = 64;
/// How many events either side may have sent without an acknowledgement.
pub const UNACKNOWLEDGED_MAX: usize = 512;

/// A frame from the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientFrame {
    /// The first frame of a new connection: enters the lobby.
    Join {
        /// From `POST /v1/tokens` or `POST /v1/rooms/{room}/guest-tokens`.
        token: String,
        /// The page's SDP offer.
        offer: String,
        /// What each sending line will carry.
        #[serde(deserialize_with = "strict::objects")]
        sends: Vec<SendLine>,
        /// Display name; may be given later, with `enter`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// The first frame after a lost call: a new session and a new connection for the same person, without a token.
    Rejoin {
        /// The secret from the last `joined`.
        resume: String,
        /// The page's SDP offer.
        offer: String,
        /// What each sending line will carry.
        #[serde(deserialize_with = "strict::objects")]
        sends: Vec<SendLine>,
    },
    /// The first frame after a dropped socket: continues the session.
    Resume {
        /// The secret from `joined`.
        resume: String,
        /// The greatest event number received from the server.
        received: u64,
    },
    /// A numbered event.
    Event {
        /// From 1, without gaps.
        seq: u64,
        /// What happened.
        #[serde(deserialize_with = "strict::object")]
        body: ClientEvent,
    },
    /// Everything up to `seq` has arrived.
    Ack {
        /// The greatest number received.
        seq: u64,
    },
    /// The answer to `ping`.
    Pong {},
}

impl ClientFrame {
    /// Reads a frame; see the module on how strictly.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let frame = strict::object(&mut json)?;
        json.end()?;
        Ok(frame)
    }
}

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientEvent {
    /// The click: from the lobby into the call.
    Enter {
        /// Display name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The sources that start muted.
        #[serde(default, deserialize_with = "strict::words")]
        muted: Vec<Source>,
    },
    /// A medium was turned off or on.
    Mute {
        /// Which.
        #[serde(deserialize_with = "strict::word")]
        source: Source,
        /// Off or on.
        muted: bool,
    },
    /// Which video tracks the page shows, most important first.
    View {
        /// At most 64.
        #[serde(deserialize_with = "strict::objects")]
        wants: Vec<WantedTrack>,
    },
    /// A further offer on the same peer connection, to add slots.
    Offer {
        /// SDP.
        offer: String,
        /// What each sending line carries.
        #[serde(deserialize_with = "strict::objects")]
        sends: Vec<SendLine>,
    },
    /// Another display name.
    Rename {
        /// The new name.
        name: String,
    },
    /// Hanging up.
    Leave {},
}

/// A track that a page shows, and how large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedTrack {
    /// Whose.
    pub participant_id: Uuid,
    /// Which.
    pub source: Source,
    /// Device pixels.
    pub width: u32,
    /// Device pixels.
    pub height: u32,
}

/// A frame to the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The page is in the lobby.
    Joined {
        /// Who the page is.
        you: You,
        /// Where it is.
        room: RoomInfo,
        /// Who is in the call already.
        participants: Vec<Participant>,
        /// The SDP answer.
        answer: String,
        /// The receive places.
        slots: Vec<SlotInfo>,
        /// Ways round firewalls that let neither UDP nor the media's TCP out, for a page that does not get through.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ice_servers: Vec<IceServer>,
        /// The secret with which a dropped socket resumes.
        resume: String,
        /// The server pings this often; a page that hears nothing for twice as long reconnects.
        heartbeat_ms: u64,
        /// How long after a drop the session can be resumed.
        resume_within_ms: u64,
    },
    /// The session goes on.
    Resumed {
        /// The greatest event number the server has received.
        received: u64,
    },
    /// The session cannot begin or go on; the socket closes after this.
    Refused {
        /// From the documented list.
        code: RefusalCode,
        /// What happened and what to do, for a person.
        message: String,
        /// When to try again, if that makes sense.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// A numbered event.
    Event {
        /// From 1, without gaps.
        seq: u64,
        /// What happened.
        body: ServerEvent,
    },
    /// Everything up to `seq` has arrived.
    Ack {
        /// The greatest number received.
        seq: u64,
    },
    /// Are you there?
    Ping,
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerEvent {
    /// The click was heard: the page is in the call.
    Entered {
        /// Which call.
        call_id: Uuid,
    },
    /// Someone is in the call now.
    ParticipantJoined {
        /// Who.
        participant: Participant,
    },
    /// Someone's name or tracks changed.
    ParticipantChanged {
        /// Their new state.
        participant: Participant,
    },
    /// Someone is gone.
    ParticipantLeft {
        /// Who.
        participant_id: Uuid,
        /// How.
        reason: LeaveReason,
    },
    /// What slots play from now on; those not named stay.
    Slots {
        /// What changed.
        slots: Vec<SlotChange>,
    },
    /// Which slots stand still because the page's own line does not take their pictures; each list replaces the one before.
    Paused {
        /// The `a=mid` of each.
        mids: Vec<String>,
    },
    /// Which encodings of one's own picture nobody is shown: they rest until an event names them no more.
    Resting {
        /// Which picture.
        source: Source,
        /// The `rid` of each.
        rids: Vec<String>,
    },
    /// Who speaks, loudest first.
    Speakers {
        /// Their ids.
        participant_ids: Vec<Uuid>,
    },
    /// The answer to `offer`.
    Answered {
        /// SDP.
        answer: String,
        /// All receive places.
        slots: Vec<SlotInfo>,
    },
    /// An event of the page was refused; nothing changed.
    Rejected {
        /// The number of the refused event.
        seq: u64,
        /// From the documented list.
        code: RefusalCode,
        /// What happened and what to do.
        message: String,
    },
    /// The call goes over to another media node: the page makes a second connection with `rejoin`, while the first goes on.
    Move {
        /// How long it has; a page without a second connection then loses the first.
        within_ms: u64,
    },
    /// The media connection is lost for good; the page joins anew.
    MediaLost,
    /// The session is over; the socket closes after this.
    Closed {
        /// How.
        reason: LeaveReason,
    },
}

/// Who the page is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct You {
    /// In this call.
    pub participant_id: Uuid,
    /// This connection.
    pub leg_id: Uuid,
    /// Display name so far.
    pub name: String,
    /// What the token allows to publish.
    pub may_publish: Vec<Source>,
}

/// Where the page is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomInfo {
    /// The room.
    pub room_id: Uuid,
    /// Its title.
    pub title: String,
    /// How many fit in.
    pub participants_max: u32,
}

/// A person in the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// In this call.
    pub participant_id: Uuid,
    /// The connection: whom messages name.
    pub leg_id: Uuid,
    /// Display name.
    pub name: String,
    /// What they publish.
    pub tracks: Vec<TrackInfo>,
    /// Their page has been without a socket for some seconds and tries to come back, or is gone for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
}

/// A published medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackInfo {
    /// Which.
    pub source: Source,
    /// Off or on.
    pub muted: bool,
}

/// A receive place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotInfo {
    /// The `a=mid` of its line.
    pub mid: String,
    /// What fits in.
    pub kind: Kind,
    /// Slots of one seat belong together.
    pub seat: u16,
}

/// A TURN server as a browser takes it (`RTCIceServer`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// Where it is.
    pub urls: Vec<String>,
    /// The leg's pass.
    pub username: String,
    /// Its password.
    pub credential: String,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IceServer({:?})", self.urls)
    }
}

/// What a slot plays from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotChange {
    /// Which slot.
    pub mid: String,
    /// Whose track, or nobody's.
    pub participant_id: Option<Uuid>,
    /// Which of their tracks.
    pub source: Option<Source>,
}

/// How a participant left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// Hung up.
    Left,
    /// The connection was lost.
    Lost,
    /// Waited in the lobby for longer than it is held.
    LobbyExpired,
    /// The same person joined again elsewhere.
    Replaced,
    /// Removed by the business or its token revoked.
    Removed,
    /// The service is shutting down.
    ShuttingDown,
}

impl LeaveReason {
    /// The reason's name in messages and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            LeaveReason::Left => "left",
            LeaveReason::Lost => "lost",
            LeaveReason::LobbyExpired => "lobby_expired",
            LeaveReason::Replaced => "replaced",
            LeaveReason::Removed => "removed",
            LeaveReason::ShuttingDown => "shutting_down",
        }
    }
}

/// Why something was refused. Documented in `docs/protocol.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Not JSON of this protocol, or an unknown field.
    BadMessage,
    /// A message that does not fit the state, such as `enter` twice.
    OutOfOrder,
    /// A number that leaves a gap.
    BadSequence,
    /// The token is malformed or not ours.
    TokenInvalid,
    /// The token's time is over.
    TokenExpired,
    /// The token is bound to another origin.
    OriginNotAllowed,
    /// The token does not allow this.
    NotAllowed,
    /// The plan of the business does not include this.
    NotEntitled,
    /// No such room.
    RoomNotFound,
    /// Everyone who fits is in.
    RoomFull,
    /// The session to resume is gone; join anew.
    ResumeExpired,
    /// The session goes on over another socket.
    ResumedElsewhere,
    /// More than a limit allows.
    TooLarge,
    /// The SDP is not understood.
    OfferNotUnderstood,
    /// The name is empty, too long or has control characters.
    BadName,
    /// Faster than allowed.
    TooManyMessages,
    /// The first frame or the acknowledgements did not come in time.
    TooSlow,
    /// The service takes no more calls now.
    Overloaded,
    /// The database cannot be asked now, or the service is shutting down; calls go on, new ones wait.
    Unavailable,
}

#[cfg(test)]
mod tests;
