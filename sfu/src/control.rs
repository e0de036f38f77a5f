//! What signalling may say to the media plane and what it hears back: plain values, no sockets, no shared state. They
//! travel as JSON between a hub and the nodes of other processes.
//!
//! A leg is one participant's connection. It begins in the lobby ([`Command::Join`]): connected, sending nothing,
//! hearing nothing. [`Command::Enter`] is the click; from then on media flows and is metered.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names a room. The caller makes it; the media plane only compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomId(pub Uuid);

/// Names one participant's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LegId(pub Uuid);

/// Names the tenant whose usage a leg is. Opaque here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub Uuid);

/// Where a track comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A person's voice.
    Microphone,
    /// A person's picture.
    Camera,
    /// A shared screen, window or tab.
    Screen,
    /// The sound of a shared tab.
    ScreenAudio,
}

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// A published medium: whose, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackKey {
    /// The publisher's connection.
    pub leg: LegId,
    /// Which of its media.
    pub source: Source,
}

/// One media line of an offer that the client will send on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendLine {
    /// The `a=mid` of the line (RFC 5888), at most 16 characters.
    pub mid: String,
    /// What will be sent there.
    pub source: Source,
}

/// A receive place in a subscriber's connection, into which one track is put at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The `a=mid` of the line (RFC 5888).
    pub mid: String,
    /// What fits in.
    pub kind: Kind,
    /// Slots of one seat share a stream id, so that lips and voice stay together.
    pub seat: u16,
}

/// A TURN server with a pass for one leg, as a browser takes it (W3C WebRTC §4.2.4, `RTCIceServer`). It relays to the leg's
/// node only, and for a day.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnServer {
    /// Such as `turns:turn.example.com:443?transport=tcp` (RFC 7065).
    pub url: String,
    /// Whose pass, and until when.
    pub username: String,
    /// Its password.
    pub credential: String,
}

impl std::fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TurnServer({})", self.url)
    }
}

/// What a slot plays from now on; `None` when it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotTrack {
    /// Which slot.
    pub mid: String,
    /// What it plays.
    pub track: Option<TrackKey>,
}

/// A track that a subscriber shows, and how large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Which track.
    pub track: TrackKey,
    /// Width on screen in device pixels.
    pub width: u32,
    /// Height on screen in device pixels.
    pub height: u32,
}

/// What signalling asks for. Commands about an unknown leg are ignored: it has just been lost, and an event says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Answers an offer and holds the leg in the lobby. Answered by [`Event::Joined`] or [`Event::Refused`].
    Join {
        /// Named by the caller; must be new.
        leg: LegId,
        /// Where.
        room: RoomId,
        /// Who pays.
        tenant: TenantId,
        /// SDP, at most 64 KiB and 64 media lines.
        offer: String,
        /// Which lines of the offer the client will send on. All other `recvonly` lines become slots.
        sends: Vec<SendLine>,
    },
    /// The click: the leg hears and is heard, sees and is seen. Metering starts.
    Enter {
        /// Whose.
        leg: LegId,
    },
    /// The click of a leg that takes over from one on another node: as [`Command::Enter`], but metering starts a moment later,
    /// when that one ends. Both carry media meanwhile, so that nobody sees or hears a gap.
    TakeOver {
        /// Whose.
        leg: LegId,
        /// How long nothing is counted, in milliseconds.
        free_ms: u32,
    },
    /// What the plan of whoever pays lets this person send: all of it together. The client is told, and pictures that come
    /// faster go no further; a voice always does. Without it nothing but the node's own limits holds.
    Limit {
        /// Whose.
        leg: LegId,
        /// In kbit/s.
        kbps: u32,
    },
    /// Answers a further offer of the same connection, to add slots. Answered by [`Event::Answered`] or [`Event::OfferRefused`].
    Offer {
        /// Whose.
        leg: LegId,
        /// SDP, with the limits of [`Command::Join`].
        offer: String,
        /// As in [`Command::Join`].
        sends: Vec<SendLine>,
    },
    /// The publisher turned a medium off or on. A muted track takes no slot.
    Mute {
        /// Whose.
        leg: LegId,
        /// Which.
        source: Source,
        /// Off or on.
        muted: bool,
    },
    /// Which video tracks a subscriber shows. Without it every track of the room is wanted, oldest first.
    View {
        /// Whose.
        leg: LegId,
        /// In order of importance, at most 64.
        wants: Vec<Want>,
    },
    /// Records the headers of what a leg sends and is sent, without payloads and addresses. Answered by [`Event::Tapped`];
    /// a leg that has a tap already keeps that one.
    Tap {
        /// Whose.
        leg: LegId,
        /// For how long, at most 60.
        seconds: u32,
        /// How many packets; 512 KiB of them at most.
        packets: u32,
    },
    /// Ends the leg. Its last usage is journaled before this is answered by [`Event::Left`].
    Leave {
        /// Whose.
        leg: LegId,
    },
    /// The hub has stored a batch of [`Event::Usage`] for good.
    UsageStored {
        /// Which.
        batch: u64,
    },
}

/// Why an offer was refused. The wording for people is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// More bytes or lines than the limits.
    #[error("the offer is larger than 64 KiB or has more than 64 media lines or 32 candidates")]
    OfferTooLarge,
    /// Not SDP that this stack understands.
    #[error("the offer is not understood")]
    OfferNotUnderstood,
    /// The send lines name mids that the offer lacks, or twice the same.
    #[error("the send lines do not match the offer")]
    SendLinesDoNotMatch,
    /// The node takes no more legs.
    #[error("the node is full")]
    Full,
}

impl Refusal {
    /// The reason's name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::OfferTooLarge => "offer_too_large",
            Refusal::OfferNotUnderstood => "offer_not_understood",
            Refusal::SendLinesDoNotMatch => "send_lines_do_not_match",
            Refusal::Full => "full",
        }
    }
}

/// What the media plane tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The answer to [`Command::Join`].
    Joined {
        /// Whose.
        leg: LegId,
        /// SDP.
        answer: String,
        /// The receive places of the offer, in its order.
        slots: Vec<Slot>,
        /// A way round a strict firewall, where the node has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        turn: Option<Box<TurnServer>>,
    },
    /// The answer to [`Command::Offer`].
    Answered {
        /// Whose.
        leg: LegId,
        /// SDP.
        answer: String,
        /// All receive places, in the offer's order.
        slots: Vec<Slot>,
    },
    /// [`Command::Join`] is refused; the leg does not exist.
    Refused {
        /// Whose.
        leg: LegId,
        /// Why.
        reason: Refusal,
    },
    /// [`Command::Offer`] is refused; the leg stays as it was.
    OfferRefused {
        /// Whose.
        leg: LegId,
        /// Why.
        reason: Refusal,
    },
    /// ICE and DTLS are up: media can flow.
    Connected {
        /// Whose.
        leg: LegId,
    },
    /// Slots of a subscriber changed; those not named stay.
    Slots {
        /// The subscriber.
        leg: LegId,
        /// What changed.
        slots: Vec<SlotTrack>,
    },
    /// Which slots of a subscriber stand still because its line does not take their pictures. Sent on change only; at first
    /// none does.
    Paused {
        /// The subscriber.
        leg: LegId,
        /// The `a=mid` of each.
        mids: Vec<String>,
    },
    /// Which encodings of a picture nobody is shown (simulcast): its publisher rests them until an event names them no
    /// more. Sent on change only; at first none rests.
    Resting {
        /// The publisher.
        leg: LegId,
        /// Which picture.
        source: Source,
        /// The `rid` of each (RFC 8851); never that of the smallest.
        rids: Vec<String>,
    },
    /// Who speaks, loudest first; empty in silence. Sent on change only.
    Speakers {
        /// Where.
        room: RoomId,
        /// Who.
        legs: Vec<LegId>,
    },
    /// How the connections of a room do, every few seconds. News: left out when the receiver is far behind.
    Quality {
        /// Where.
        room: RoomId,
        /// All who have entered.
        legs: Vec<Quality>,
    },
    /// The answer to [`Command::Tap`], when its time or room is over or the leg has ended.
    Tapped {
        /// Whose.
        leg: LegId,
        /// A capture file (pcap).
        file: Vec<u8>,
    },
    /// The connection is silent for good (no authenticated packet for 15 s) or broke; the leg is over and its usage journaled.
    Lost {
        /// Whose.
        leg: LegId,
    },
    /// The answer to [`Command::Leave`].
    Left {
        /// Whose.
        leg: LegId,
    },
    /// Usage to be stored by the hub, repeated until [`Command::UsageStored`].
    Usage {
        /// Names the batch.
        batch: u64,
        /// Cumulative counters.
        facts: Vec<UsageFact>,
    },
}

/// How one connection does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// Whose.
    pub leg: LegId,
    /// Over what.
    pub transport: Transport,
    /// To the participant and back, in milliseconds; none before a report has come.
    pub rtt_ms: Option<u32>,
    /// From the participant to us.
    pub up: Flow,
    /// From us to the participant.
    pub down: Flow,
    /// What its slots play now; empty ones are left out.
    pub layers: Vec<SlotLayer>,
}

/// One direction of a connection over the last few seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// UDP payload.
    pub bits_per_s: u64,
    /// Packets lost on the way, of a thousand; none when nothing was sent or reported.
    pub loss_permille: Option<u16>,
    /// The worst voice's interarrival jitter (RFC 3550 §6.4.1) in milliseconds, or the worst picture's where there is no
    /// voice: a picture's packets also wait for its encoder.
    pub jitter_ms: Option<u32>,
}

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection, where a network lets no datagrams out.
    Tcp,
}

impl Transport {
    /// The transport's name in answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// What a slot plays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotLayer {
    /// Which slot.
    pub mid: String,
    /// Whose medium.
    pub track: TrackKey,
    /// The `rid` of the layer (RFC 8851); none where the publisher sends one.
    pub layer: Option<String>,
}

/// What is counted by the media plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Milliseconds in the call, from the click, while media can flow.
    ParticipantMs,
    /// Bytes of UDP payload sent to the participant since the click.
    EgressBytes,
    /// Messages of others relayed to the participant.
    MessageCount,
}

impl Meter {
    /// The meter's name in usage facts and prices.
    pub fn as_str(self) -> &'static str {
        match self {
            Meter::ParticipantMs => "participant_ms",
            Meter::EgressBytes => "egress_bytes",
            Meter::MessageCount => "message_count",
        }
    }
}

/// A counter of one leg in one UTC hour. Reports may be lost, repeated or reordered: the greatest quantity wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageFact {
    /// Who pays.
    pub tenant: TenantId,
    /// Whose.
    pub leg: LegId,
    /// What.
    pub meter: Meter,
    /// Whole hours since 1970-01-01T00:00Z.
    pub hour: i64,
    /// Cumulative within the hour; never falls.
    pub quantity: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_travels_to_the_hub_and_a_node_without_one_says_nothing_of_it() {
        let joined =
            |turn| Event::Joined { leg: LegId(Uuid::nil()), answer: String::new(), slots: vec![], turn };
        let server = TurnServer { url: "turns:a".into(), username: "b".into(), credential: "c".into() };
        let (with, without) = (joined(Some(Box::new(server))), joined(None));
        for event in [&with, &without] {
            let written = serde_json::to_string(event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&written).unwrap(), *event);
        }
        // As nodes of before 2026-11-23 write it.
        assert!(!serde_json::to_string(&without).unwrap().contains("turn"));
        assert!(!format!("{with:?}").contains("\"c\""), "passwords are in no log");
    }
}
