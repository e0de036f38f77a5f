//! Messages of STUN (RFC 8489 §5, §14) as TURN uses them (RFC 8656 §17, §18): read without copying, written whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::demux::hmac_sha1;

/// Type, length, cookie and transaction.
pub(crate) const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Type and length of an attribute.
const ATTRIBUTE_BYTES: usize = 4;
/// A whole MESSAGE-INTEGRITY.
const INTEGRITY_BYTES: usize = ATTRIBUTE_BYTES + 20;
/// The bits of a type that are the class.
const CLASS: u16 = 0x0110;

/// What a message is about (RFC 8656 §17).
pub(crate) mod method {
    pub(crate) const BINDING: u16 = 0x001;
    pub(crate) const ALLOCATE: u16 = 0x003;
    pub(crate) const REFRESH: u16 = 0x004;
    pub(crate) const SEND: u16 = 0x006;
    pub(crate) const DATA: u16 = 0x007;
    pub(crate) const CREATE_PERMISSION: u16 = 0x008;
    pub(crate) const CHANNEL_BIND: u16 = 0x009;
}

/// Attributes that are read or written here (RFC 8489 §14, RFC 8656 §18).
pub(crate) mod attribute {
    pub(crate) const USERNAME: u16 = 0x0006;
    pub(crate) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(crate) const ERROR_CODE: u16 = 0x0009;
    pub(crate) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(crate) const CHANNEL_NUMBER: u16 = 0x000c;
    pub(crate) const LIFETIME: u16 = 0x000d;
    pub(crate) const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub(crate) const DATA: u16 = 0x0013;
    pub(crate) const REALM: u16 = 0x0014;
    pub(crate) const NONCE: u16 = 0x0015;
    pub(crate) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub(crate) const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub(crate) const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;

    /// Whether a message with it can be understood: those from 0x8000 on may be passed over.
    pub(crate) fn is_understood(kind: u16) -> bool {
        const KNOWN: [u16; 14] = [
            USERNAME,
            MESSAGE_INTEGRITY,
            ERROR_CODE,
            UNKNOWN_ATTRIBUTES,
            CHANNEL_NUMBER,
            LIFETIME,
            XOR_PEER_ADDRESS,
            DATA,
            REALM,
            NONCE,
            XOR_RELAYED_ADDRESS,
            REQUESTED_ADDRESS_FAMILY,
            REQUESTED_TRANSPORT,
            XOR_MAPPED_ADDRESS,
        ];
        kind >= 0x8000 || KNOWN.contains(&kind)
    }
}

/// What a message wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

impl Class {
    const ALL: [Class; 4] = [Class::Request, Class::Indication, Class::Success, Class::Error];

    fn bits(self) -> u16 {
        match self {
            Class::Request => 0x0000,
            Class::Indication => 0x0010,
            Class::Success => 0x0100,
            Class::Error => 0x0110,
        }
    }
}

/// A message that came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) class: Class,
    /// See [`method`]; one that is none of these as well.
    pub(crate) method: u16,
    pub(crate) transaction: [u8; 12],
    bytes: &'a [u8],
    /// Where MESSAGE-INTEGRITY begins, or the end: what comes behind it is nobody's word.
    signed_to: usize,
}

impl<'a> Message<'a> {
    /// Reads a whole message; `None` if it is none.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Message<'a>> {
        let (header, body) = bytes.split_at_checked(HEADER_BYTES)?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if kind & 0xc000 != 0 || header[4..8] != COOKIE || length != body.len() || !length.is_multiple_of(4) {
            return None;
        }
        let class = Class::ALL.into_iter().find(|class| kind & CLASS == class.bits())?;
        let mut message = Message {
            class,
            method: (kind & 0x000f) | ((kind & 0x00e0) >> 1) | ((kind & 0x3e00) >> 2),
            transaction: header[8..].try_into().ok()?,
            bytes,
            signed_to: bytes.len(),
        };
        let mut at = HEADER_BYTES;
        while at < bytes.len() {
            let (kind, value) = attribute_at(bytes, at)?;
            if kind == attribute::MESSAGE_INTEGRITY && message.signed_to == bytes.len() {
                message.signed_to = at;
            }
            at += ATTRIBUTE_BYTES + value.len().next_multiple_of(4);
        }
        Some(message)
    }

    /// The attributes before MESSAGE-INTEGRITY, in order.
    fn attributes(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut at = HEADER_BYTES;
        std::iter::from_fn(move || {
            let (kind, value) = attribute_at(&self.bytes[..self.signed_to], at)?;
            at += ATTRIBUTE_BYTES + value.len().next_multiple_of(4);
            Some((kind, value))
        })
    }

    /// The first of its kind; further ones do not count (RFC 8489 §14).
    pub(crate) fn attribute(self, kind: u16) -> Option<&'a [u8]> {
        self.attributes().find(|(of, _)| *of == kind).map(|(_, value)| value)
    }

    /// The first of its kind, as text.
    pub(crate) fn text(self, kind: u16) -> Option<&'a str> {
        str::from_utf8(self.attribute(kind)?).ok()
    }

    /// Every address under such an attribute; `None` for one that is none.
    pub(crate) fn addresses(self, kind: u16) -> impl Iterator<Item = Option<SocketAddr>> {
        let own = move |(of, value)| (of == kind).then(|| crossed_address(value, &self.transaction));
        self.attributes().filter_map(own)
    }

    /// What must be understood and is not.
    pub(crate) fn unknown(self) -> Vec<u16> {
        self.attributes().map(|(kind, _)| kind).filter(|kind| !attribute::is_understood(*kind)).collect()
    }

    /// Whether it says who sent it.
    pub(crate) fn is_signed(self) -> bool {
        self.signed_to < self.bytes.len()
    }

    /// Whether that is true (RFC 8489 §14.5).
    pub(crate) fn is_signed_with(self, key: &[u8]) -> bool {
        let Some((_, tag)) = attribute_at(self.bytes, self.signed_to) else { return false };
        let sum = integrity(key, &self.bytes[..self.signed_to]);
        verify_slices_are_equal(&sum, tag).is_ok()
    }
}

#[cfg(feature = "fuzzing")]
impl Message<'_> {
    /// The same, as whoever has this key would sign it.
    pub(crate) fn signed_anew(self, key: &[u8]) -> Vec<u8> {
        Writer { bytes: self.bytes[..self.signed_to].to_vec(), transaction: self.transaction }.signed(key)
    }
}

/// The attribute that begins there; what pads it is within the message.
fn attribute_at(bytes: &[u8], at: usize) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.get(at..)?.split_first_chunk::<ATTRIBUTE_BYTES>()?;
    let kind = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    (length.next_multiple_of(4) <= rest.len()).then(|| (kind, &rest[..length]))
}

/// The sum over a message up to here, whose length counts as if the sum were its end.
fn integrity(key: &[u8], message: &[u8]) -> [u8; 20] {
    let length = (message.len() - HEADER_BYTES + INTEGRITY_BYTES) as u16;
    hmac_sha1(key, &[&message[..2], &length.to_be_bytes(), &message[4..]])
}

/// An address that is crossed with the cookie and the transaction, so that no middlebox finds it (RFC 8489 §14.2).
fn crossed_address(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let (head, ip) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([head[2] ^ COOKIE[0], head[3] ^ COOKIE[1]]);
    let ip = match head[1] {
        1 => IpAddr::V4(Ipv4Addr::from(crossed(<[u8; 4]>::try_from(ip).ok()?, transaction))),
        2 => IpAddr::V6(Ipv6Addr::from(crossed(<[u8; 16]>::try_from(ip).ok()?, transaction))),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn crossed<const N: usize>(mut ip: [u8; N], transaction: &[u8; 12]) -> [u8; N] {
    let mask = COOKIE.iter().chain(transaction);
    ip.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    ip
}

/// A message that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    transaction: [u8; 12],
}

impl Writer {
    pub(crate) fn new(class: Class, method: u16, transaction: [u8; 12]) -> Writer {
        let kind = (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2) | class.bits();
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&transaction);
        Writer { bytes, transaction }
    }

    /// Adds an attribute. A longer one than any of ours, of 64 KiB, is cut.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Writer {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn address(self, kind: u16, address: SocketAddr) -> Writer {
        let port = (address.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]])).to_be_bytes();
        let family = if address.is_ipv4() { 1 } else { 2 };
        let mut value = vec![0, family, port[0], port[1]];
        match address.ip() {
            IpAddr::V4(ip) => value.extend_from_slice(&crossed(ip.octets(), &self.transaction)),
            IpAddr::V6(ip) => value.extend_from_slice(&crossed(ip.octets(), &self.transaction)),
        }
        self.attribute(kind, &value)
    }

    /// The message, unsigned.
    pub(crate) fn end(mut self) -> Vec<u8> {
        let length = (self.bytes.len() - HEADER_BYTES) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
        self.bytes
    }

    /// The message, with MESSAGE-INTEGRITY.
    pub(crate) fn signed(self, key: &[u8]) -> Vec<u8> {
        let sum = integrity(key, &self.bytes);
        self.attribute(attribute::MESSAGE_INTEGRITY, &sum).end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSACTION: [u8; 12] = *b"transaction!";
    const KEY: &[u8] = b"a key of 16 byte";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let (v4, v6) = (address("192.0.2.7:7900"), address("[2001:db8::7]:7901"));
        let bytes = Writer::new(Class::Request, method::CHANNEL_BIND, TRANSACTION)
            .attribute(attribute::USERNAME, b"some")
            .attribute(attribute::NONCE, b"fives")
            .address(attribute::XOR_PEER_ADDRESS, v4)
            .address(attribute::XOR_PEER_ADDRESS, v6)
            .signed(KEY);
        let message = Message::parse(&bytes).unwrap();
        let read = (message.class, message.method, message.transaction);
        assert_eq!(read, (Class::Request, method::CHANNEL_BIND, TRANSACTION));
        assert_eq!(message.text(attribute::USERNAME), Some("some"));
        assert_eq!(message.text(attribute::NONCE), Some("fives"));
        assert_eq!(message.addresses(attribute::XOR_PEER_ADDRESS).collect::<Vec<_>>(), [Some(v4), Some(v6)]);
        assert!(message.is_signed_with(KEY) && !message.is_signed_with(b"another"));
        assert!(message.unknown().is_empty());
    }

    /// The sample request of RFC 5769 §2.4, with long-term credentials.
    #[test]
    fn the_standard_s_own_sample_is_signed_right() {
        let sample: [u8; 116] = [
            0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0,
            0x29, 0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88, 0xe3, 0x83,
            0xaa, 0xe3, 0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00, 0x15, 0x00, 0x1c,
            0x66, 0x2f, 0x2f, 0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36, 0x4f, 0x4c, 0x33, 0x34,
            0x6f, 0x4c, 0x39, 0x46, 0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73, 0x41, 0x00, 0x14, 0x00, 0x0b,
            0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e, 0x6f, 0x72, 0x67, 0x00, 0x00, 0x08, 0x00, 0x14,
            0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02, 0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2,
            0x8c, 0xa8, 0x96, 0x66,
        ];
        let message = Message::parse(&sample).unwrap();
        assert_eq!(message.text(attribute::REALM), Some("example.org"));
        let key = super::super::passes::long_term_key("マトリックス", "example.org", "TheMatrIX");
        assert!(message.is_signed_with(&key));
    }

    #[test]
    fn what_stands_behind_the_signature_does_not_count() {
        let mut bytes = Writer::new(Class::Request, method::REFRESH, TRANSACTION).signed(KEY);
        let behind =
            Writer::new(Class::Request, 0, TRANSACTION).attribute(attribute::LIFETIME, &[0; 4]).end();
        bytes.extend_from_slice(&behind[HEADER_BYTES..]);
        let length = (bytes.len() - HEADER_BYTES) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let message = Message::parse(&bytes).unwrap();
        assert!(message.is_signed_with(KEY));
        assert_eq!(message.attribute(attribute::LIFETIME), None);
    }

    #[test]
    fn what_is_no_message_is_none() {
        let whole = Writer::new(Class::Request, method::ALLOCATE, TRANSACTION)
            .attribute(attribute::USERNAME, b"some")
            .end();
        assert!(Message::parse(&whole).is_some());
        for length in 0..whole.len() {
            assert!(Message::parse(&whole[..length]).is_none());
        }
        for (at, byte) in [(0, 0x40), (3, 9), (4, 0), (HEADER_BYTES + 3, 5)] {
            let mut bent = whole.clone();
            bent[at] = byte;
            assert!(Message::parse(&bent).is_none(), "{at}");
        }
    }
}
