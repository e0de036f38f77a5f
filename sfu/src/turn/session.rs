//! One connection to the TURN server: who it is, and what is relayed for it (RFC 8656). Pure, but for the socket that it asks
//! for: frames and time go in, answers and datagrams come out.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::peer::Now;

use super::message::{Class, Message, Writer, attribute, method};
use super::passes::{Pass, Passes, Place, REALM};
use super::reach::Reach;
use super::stream::{Frame, write_data};

/// The protocol of a relayed address: UDP (RFC 8656 §18.8).
const UDP: u8 = 17;
/// Channels that may be bound (RFC 8656 §12).
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;
/// An allocation lives at least and at most as long, unless it is refreshed (RFC 8656 §3.2).
const LIFETIME_S: std::ops::RangeInclusive<u32> = 600..=3_600;
/// Our addresses that one allocation may have permissions for or channels to; a node tells eight of each shard.
const PEERS_MAX: usize = 1_024;

/// Why a request is refused (RFC 8489 §14.8, RFC 8656 §19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadRequest,
    Unauthenticated,
    Forbidden,
    UnknownAttribute,
    AllocationMismatch,
    StaleNonce,
    FamilyNotSupported,
    WrongCredentials,
    TransportNotSupported,
    QuotaReached,
    InsufficientCapacity,
}

impl Refusal {
    fn code(self) -> (u16, &'static str) {
        match self {
            Refusal::BadRequest => (400, "Bad Request"),
            Refusal::Unauthenticated => (401, "Unauthenticated"),
            Refusal::Forbidden => (403, "Forbidden"),
            Refusal::UnknownAttribute => (420, "Unknown Attribute"),
            Refusal::AllocationMismatch => (437, "Allocation Mismatch"),
            Refusal::StaleNonce => (438, "Stale Nonce"),
            Refusal::FamilyNotSupported => (440, "Address Family not Supported"),
            Refusal::WrongCredentials => (441, "Wrong Credentials"),
            Refusal::TransportNotSupported => (442, "Unsupported Transport Protocol"),
            Refusal::QuotaReached => (486, "Allocation Quota Reached"),
            Refusal::InsufficientCapacity => (508, "Insufficient Capacity"),
        }
    }
}

/// What a frame leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Something for the connection.
    Answer(Vec<u8>),
    /// A datagram for this node.
    Forward { to: SocketAddr, packet: &'a [u8] },
    /// Nothing.
    Nothing,
}

/// Opens a socket at an address of this machine.
pub(crate) type Open<'a> = dyn FnMut(IpAddr) -> io::Result<SocketAddr> + 'a;

/// What one connection has.
#[derive(Debug)]
pub(crate) struct Session {
    client: SocketAddr,
    nonce: String,
    passes: Arc<Passes>,
    reach: Arc<Reach>,
    allocation: Option<Allocation>,
}

#[derive(Debug)]
struct Allocation {
    username: String,
    ends_at: Instant,
    permitted: BTreeSet<IpAddr>,
    /// The address that callers are told, by channel.
    channels: BTreeMap<u16, SocketAddr>,
    /// How what comes from an address inside goes out: as its client sent there last.
    ways: BTreeMap<SocketAddr, Way>,
    _place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Channel(u16),
    Indication(SocketAddr),
}

/// A request that is signed with a pass.
struct Signed<'a> {
    message: Message<'a>,
    username: &'a str,
    pass: Pass,
}

/// What an answer says besides its kind.
type Fields = Result<Writer, Refusal>;

impl Session {
    /// Of a connection from there. The nonce is of no use on another one.
    pub(crate) fn new(
        client: SocketAddr,
        nonce: [u8; 16],
        passes: Arc<Passes>,
        reach: Arc<Reach>,
    ) -> Session {
        let nonce = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        Session { client, nonce, passes, reach, allocation: None }
    }

    /// Until when it may go on; `None` as long as it has no allocation.
    pub(crate) fn ends_at(&self) -> Option<Instant> {
        self.allocation.as_ref().map(|allocation| allocation.ends_at)
    }

    /// Takes a frame.
    pub(crate) fn take<'a>(&mut self, frame: Frame<'a>, now: Now, open: &mut Open<'_>) -> Step<'a> {
        match frame {
            Frame::Data { channel, packet } => self.data(channel, packet),
            Frame::Message(bytes) => match Message::parse(bytes) {
                Some(message) if message.class == Class::Request => {
                    Step::Answer(self.request(message, now, open))
                }
                Some(message) if message.class == Class::Indication && message.method == method::SEND => {
                    self.indication(message)
                }
                _ => Step::Nothing,
            },
        }
    }

    /// Writes a datagram that came from an address inside, as the client is to read it.
    pub(crate) fn relayed(
        &self,
        from: SocketAddr,
        packet: &[u8],
        transaction: fn() -> [u8; 12],
        stream: &mut Vec<u8>,
    ) {
        match self.allocation.as_ref().and_then(|allocation| allocation.ways.get(&from)) {
            Some(Way::Channel(channel)) => write_data(*channel, packet, stream),
            Some(Way::Indication(told)) => stream.extend(
                Writer::new(Class::Indication, method::DATA, transaction())
                    .address(attribute::XOR_PEER_ADDRESS, *told)
                    .attribute(attribute::DATA, packet)
                    .end(),
            ),
            None => {}
        }
    }

    fn data<'a>(&mut self, channel: u16, packet: &'a [u8]) -> Step<'a> {
        let Some(allocation) = &mut self.allocation else { return Step::Nothing };
        let Some(told) = allocation.channels.get(&channel) else { return Step::Nothing };
        let Some(to) = self.reach.inside(*told) else { return Step::Nothing };
        allocation.ways.insert(to, Way::Channel(channel));
        Step::Forward { to, packet }
    }

    fn indication<'a>(&mut self, message: Message<'a>) -> Step<'a> {
        let Some(allocation) = &mut self.allocation else { return Step::Nothing };
        let Some(Some(told)) = message.addresses(attribute::XOR_PEER_ADDRESS).next() else {
            return Step::Nothing;
        };
        let (Some(to), Some(packet)) = (self.reach.inside(told), message.attribute(attribute::DATA)) else {
            return Step::Nothing;
        };
        if !allocation.permitted.contains(&told.ip()) || !message.unknown().is_empty() {
            return Step::Nothing;
        }
        allocation.ways.insert(to, Way::Indication(told));
        Step::Forward { to, packet }
    }

    fn request(&mut self, message: Message<'_>, now: Now, open: &mut Open<'_>) -> Vec<u8> {
        if message.method == method::BINDING {
            return success(message).address(attribute::XOR_MAPPED_ADDRESS, self.client).end();
        }
        let signed = match self.authenticate(message, now) {
            Ok(signed) => signed,
            Err(refusal) => return self.challenge(message, refusal).end(),
        };
        let is_another_s = |allocation: &Allocation| allocation.username != signed.username;
        let fields = match message.method {
            _ if self.allocation.as_ref().is_some_and(is_another_s) => Err(Refusal::WrongCredentials),
            _ if !message.unknown().is_empty() => Err(Refusal::UnknownAttribute),
            method::ALLOCATE => self.allocate(&signed, now, open),
            method::REFRESH => self.refresh(message, now),
            method::CREATE_PERMISSION => self.permit(message),
            method::CHANNEL_BIND => self.bind(message),
            _ => Err(Refusal::BadRequest),
        };
        fields.unwrap_or_else(|refusal| self.challenge(message, refusal)).signed(&signed.pass.key)
    }

    /// The long-term credential mechanism (RFC 8489 §9.2.4).
    fn authenticate<'a>(&self, message: Message<'a>, now: Now) -> Result<Signed<'a>, Refusal> {
        if !message.is_signed() {
            return Err(Refusal::Unauthenticated);
        }
        let text = |kind| message.text(kind).ok_or(Refusal::BadRequest);
        let (username, _realm) = (text(attribute::USERNAME)?, text(attribute::REALM)?);
        if text(attribute::NONCE)? != self.nonce {
            return Err(Refusal::StaleNonce);
        }
        let pass = self.passes.find(username).filter(|pass| message.is_signed_with(&pass.key));
        let pass = pass.ok_or(Refusal::Unauthenticated)?;
        // What a pass has opened outlives it.
        if self.allocation.is_none() && pass.is_over(now.wall) {
            return Err(Refusal::Unauthenticated);
        }
        Ok(Signed { message, username, pass })
    }

    fn challenge(&self, message: Message<'_>, refusal: Refusal) -> Writer {
        let (code, reason) = refusal.code();
        let mut value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
        value.extend_from_slice(reason.as_bytes());
        let answer = Writer::new(Class::Error, message.method, message.transaction)
            .attribute(attribute::ERROR_CODE, &value);
        match refusal {
            Refusal::Unauthenticated | Refusal::StaleNonce => answer
                .attribute(attribute::REALM, REALM.as_bytes())
                .attribute(attribute::NONCE, self.nonce.as_bytes()),
            Refusal::UnknownAttribute => {
                let unknown = message.unknown().into_iter().flat_map(u16::to_be_bytes);
                answer.attribute(attribute::UNKNOWN_ATTRIBUTES, &unknown.collect::<Vec<_>>())
            }
            _ => answer,
        }
    }

    fn allocate(&mut self, signed: &Signed<'_>, now: Now, open: &mut Open<'_>) -> Fields {
        let Signed { message, username, .. } = *signed;
        if self.allocation.is_some() {
            return Err(Refusal::AllocationMismatch);
        }
        match message.attribute(attribute::REQUESTED_TRANSPORT) {
            Some([UDP, ..]) => {}
            Some(_) => return Err(Refusal::TransportNotSupported),
            None => return Err(Refusal::BadRequest),
        }
        let is_ipv4 = match message.attribute(attribute::REQUESTED_ADDRESS_FAMILY) {
            None | Some([1, ..]) => true,
            Some([2, ..]) => false,
            Some(_) => return Err(Refusal::FamilyNotSupported),
        };
        let lifetime_s = lifetime_s(message)?.clamp(*LIFETIME_S.start(), *LIFETIME_S.end());
        let from = self.reach.from(is_ipv4).ok_or(Refusal::FamilyNotSupported)?;
        let place = self.passes.take(username).ok_or(Refusal::QuotaReached)?;
        let opened = open(from.inside).map_err(|_| Refusal::InsufficientCapacity)?;
        let relayed = SocketAddr::new(from.told, opened.port());
        self.allocation = Some(Allocation {
            username: username.to_owned(),
            ends_at: now.instant + Duration::from_secs(lifetime_s.into()),
            permitted: BTreeSet::new(),
            channels: BTreeMap::new(),
            ways: BTreeMap::new(),
            _place: place,
        });
        Ok(success(message)
            .address(attribute::XOR_RELAYED_ADDRESS, relayed)
            .attribute(attribute::LIFETIME, &lifetime_s.to_be_bytes())
            .address(attribute::XOR_MAPPED_ADDRESS, self.client))
    }

    /// A lifetime of 0 ends the allocation, and with it the connection's use.
    fn refresh(&mut self, message: Message<'_>, now: Now) -> Fields {
        let allocation = self.allocation.as_mut().ok_or(Refusal::AllocationMismatch)?;
        let lifetime_s = match lifetime_s(message)? {
            0 => 0,
            wanted => wanted.clamp(*LIFETIME_S.start(), *LIFETIME_S.end()),
        };
        allocation.ends_at = now.instant + Duration::from_secs(lifetime_s.into());
        Ok(success(message).attribute(attribute::LIFETIME, &lifetime_s.to_be_bytes()))
    }

    /// All of them or none. A permission lasts as long as the allocation: it can name nobody but this node.
    fn permit(&mut self, message: Message<'_>) -> Fields {
        let allocation = self.allocation.as_mut().ok_or(Refusal::AllocationMismatch)?;
        let peers: Option<Vec<SocketAddr>> = message.addresses(attribute::XOR_PEER_ADDRESS).collect();
        let peers = peers.filter(|peers| !peers.is_empty()).ok_or(Refusal::BadRequest)?;
        if !peers.iter().all(|peer| self.reach.has(peer.ip())) {
            return Err(Refusal::Forbidden);
        }
        allocation.permitted.extend(peers.iter().map(SocketAddr::ip));
        Ok(success(message))
    }

    fn bind(&mut self, message: Message<'_>) -> Fields {
        let allocation = self.allocation.as_mut().ok_or(Refusal::AllocationMismatch)?;
        let number = message.attribute(attribute::CHANNEL_NUMBER).and_then(|value| value.first_chunk());
        let channel =
            number.map(|bytes| u16::from_be_bytes(*bytes)).filter(|number| CHANNELS.contains(number));
        let peer = message.addresses(attribute::XOR_PEER_ADDRESS).next().flatten();
        let (channel, peer) = channel.zip(peer).ok_or(Refusal::BadRequest)?;
        let inside = self.reach.inside(peer).ok_or(Refusal::Forbidden)?;
        let is_other = |(bound, to): (&u16, &SocketAddr)| (*bound == channel) != (*to == peer);
        if allocation.channels.iter().any(is_other) {
            return Err(Refusal::BadRequest);
        }
        if allocation.channels.len() >= PEERS_MAX {
            return Err(Refusal::InsufficientCapacity);
        }
        allocation.channels.insert(channel, peer);
        allocation.permitted.insert(peer.ip());
        allocation.ways.insert(inside, Way::Channel(channel));
        Ok(success(message))
    }
}

fn success(message: Message<'_>) -> Writer {
    Writer::new(Class::Success, message.method, message.transaction)
}

/// The lifetime that is asked for, or the least.
fn lifetime_s(message: Message<'_>) -> Result<u32, Refusal> {
    match message.attribute(attribute::LIFETIME) {
        None => Ok(*LIFETIME_S.start()),
        Some(value) => value.try_into().map(u32::from_be_bytes).map_err(|_| Refusal::BadRequest),
    }
}

#[cfg(test)]
mod tests;
