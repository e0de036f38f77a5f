//! A leg without a socket: a WHIP publisher or a WHEP viewer (RFC 9725), whose client asks over HTTP. It is reached
//! under an address that cannot be guessed and with the token that made it; it lives as long as its leg. Knows the
//! offer, the ICE session and what is asked of it; touches no socket and no clock.

use crate::base64url;
use crate::protocol::{ClientEvent, IceServer, ServerEvent};
use crate::refusal::Refusal;
use crate::sdp::{Credentials, Fragment, OneWayOffer, fragment_of};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use sfu::control::RoomId;

/// Which way the media go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In: a publisher, by WHIP.
    Whip,
    /// Out: a viewer, by WHEP.
    Whep,
}

impl Way {
    /// The protocol's name in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Way::Whip => "whip",
            Way::Whep => "whep",
        }
    }
}

/// Names a resource in its address: 128 random bits (RFC 9725 §5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceId([u8; 16]);

impl ResourceId {
    /// Takes 16 bytes of the shell's chance.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// Reads what [`ResourceId::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(base64url::decode(text)?.try_into().ok()?))
    }

    /// As it stands in the address.
    pub fn to_text(self) -> String {
        base64url::encode(&self.0)
    }
}

impl std::fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResourceId")
    }
}

/// The SHA-256 of the token that a resource was made with. The token's ten minutes do not matter after that.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of a token as it is presented.
    pub fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash")
    }
}

/// Where and with what a request about a resource comes.
#[derive(Debug, Clone)]
pub struct Approach {
    /// By which protocol.
    pub way: Way,
    /// In which room.
    pub room: RoomId,
    /// Which one.
    pub id: ResourceId,
    /// With which token.
    pub token: TokenHash,
}

/// Which ICE session a request means: the header `If-Match` (RFC 9110 §13.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// There is no such header.
    Missing,
    /// `*`: whichever there is.
    Any,
    /// One of these entity tags, as they were given out.
    Tags(Vec<String>),
}

/// Names a request within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The leg is in the call.
    Made {
        /// SDP.
        answer: String,
        /// The entity tag of the ICE session.
        tag: String,
        /// Ways round strict firewalls.
        ice_servers: Vec<IceServer>,
    },
    /// The candidates are noted.
    Taken,
    /// The ICE session is another one now.
    Restarted {
        /// Our side of it.
        fragment: String,
        /// Its entity tag.
        tag: String,
    },
    /// The leg has ended.
    Ended,
}

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// There is no such resource, or not for this token.
    NotFound,
    /// `If-Match` is missing.
    ConditionMissing,
    /// `If-Match` names an ICE session that is over.
    ConditionFailed,
    /// A line of the offer has no codec that the media plane takes.
    Partial,
    /// An ICE restart is not answered yet.
    Busy,
    /// What a page would be told.
    Refused(Refusal),
}

/// What becomes of a request.
pub type Outcome = Result<Reply, Denial>;

/// A publisher or viewer, as its client sees it.
#[derive(Debug)]
pub struct Resource {
    approach: Approach,
    offer: OneWayOffer,
    /// How many ICE sessions there were.
    sessions: u32,
    /// A restart that the media plane has not answered.
    restarting: Option<(RequestId, Credentials)>,
}

impl Resource {
    /// One whose offer is on its way to the media plane.
    pub fn new(approach: Approach, offer: OneWayOffer) -> Self {
        Self { approach, offer, sessions: 1, restarting: None }
    }

    /// Its name.
    pub fn id(&self) -> ResourceId {
        self.approach.id
    }

    /// May this request touch it?
    pub fn admits(&self, approach: &Approach) -> bool {
        let ours = &self.approach;
        let is_same_token = verify_slices_are_equal(&ours.token.0, &approach.token.0).is_ok();
        is_same_token && ours.id == approach.id && ours.way == approach.way && ours.room == approach.room
    }

    /// The entity tag of the ICE session.
    pub fn tag(&self) -> String {
        format!("\"ice-{}\"", self.sessions)
    }

    /// Takes a fragment. `Ok(Some)` is to be asked of the room, whose answer goes to [`Resource::hear`].
    pub fn patch(
        &mut self,
        request: RequestId,
        condition: &Condition,
        fragment: Fragment,
    ) -> Result<Option<ClientEvent>, Denial> {
        match condition {
            Condition::Missing => return Err(Denial::ConditionMissing),
            Condition::Tags(tags) if !tags.contains(&self.tag()) => return Err(Denial::ConditionFailed),
            Condition::Tags(_) | Condition::Any => {}
        }
        let Some(credentials) = fragment.credentials.filter(|new| *new != self.offer.credentials) else {
            return Ok(None);
        };
        if self.restarting.is_some() {
            return Err(Denial::Busy);
        }
        let OneWayOffer { sdp, sends, .. } = self.offer.restarted(&credentials);
        self.restarting = Some((request, credentials));
        Ok(Some(ClientEvent::Offer { offer: sdp, sends }))
    }

    /// Hears what the room tells the leg. Of all that, only the answer to a restart concerns its client.
    pub fn hear(&mut self, event: ServerEvent) -> Option<(RequestId, Outcome)> {
        let outcome = match event {
            ServerEvent::Answered { answer, .. } => Ok(fragment_of(&answer)),
            ServerEvent::Rejected { code, message, .. } => Err(Denial::Refused(Refusal::new(code, message))),
            _ => return None,
        };
        let (request, credentials) = self.restarting.take()?;
        let restarted = outcome.map(|fragment| {
            self.offer = self.offer.restarted(&credentials);
            self.sessions += 1;
            Reply::Restarted { fragment, tag: self.tag() }
        });
        Some((request, restarted))
    }

    /// The leg has ended: whoever waits is to be told.
    pub fn end(self) -> Option<RequestId> {
        self.restarting.map(|(request, _)| request)
    }
}
