//! What makes a join quick: each trick, why it is sound, and what it saves (measured with Chromium on loopback).
//!
//! - **Server active**: of the two DTLS roles we take the client's where the offer leaves it to us (`a=setup:passive`, as
//!   our pages write it). With DTLS 1.3 our hello can leave as soon as a path is known, and the browser's reply finishes
//!   the handshake: 5 ms less without delay, 80 ms less at a round trip of 80 ms. A browser that knows only DTLS 1.2 gets
//!   that. Our hello offers AES-GCM only (see [`crate::aead`]), which every browser can.
//! - **Server passive**: whoever leaves the choice open (`actpass`) or begins itself (`active`) may be a device that knows
//!   AES-CM only. It begins, with DTLS 1.2: there we choose among the profiles that it offers, AES-GCM first. (In DTLS 1.3
//!   dimpl takes the client's first, which is AES-CM with libwebrtc.)
//! - **Self-nomination**: an ICE-lite agent must wait for the browser to nominate a path (57 ms in Chromium) before it may
//!   send. We nominate the path of the first check ourselves: str0m is given a copy of it with `USE-CANDIDATE`, signed with
//!   our own password, and its second answer is dropped. The check was authenticated, so this path belongs to the
//!   browser; when the browser nominates another later, that one is followed.
//! - **Early keyframe and replay**: see [`crate::keyframes`]. The turn that ends the handshake sends what is kept right behind
//!   the handshake's last record (see [`crate::shard`]): the other way round the browser would have no keys for it yet.

use std::net::SocketAddr;

use str0m::ice::{StunMessage, StunMessageBuilder};

use crate::demux::hmac_sha1;

/// Room for any request that we copy.
const REQUEST_BYTES_MAX: usize = 600;

/// Who begins the DTLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    /// Our side, with AEAD profiles only.
    We,
    /// The client, with the profiles that it has.
    They,
}

impl Begins {
    /// Whom an offer wants to begin (RFC 8842 §5.2).
    pub(crate) fn in_offer(sdp: &str) -> Begins {
        if sdp.lines().any(|line| line == "a=setup:passive") { Begins::We } else { Begins::They }
    }
}

/// Leaves out candidates: we send no checks, so that no address a client names is ever spoken to.
pub(crate) fn prepare_offer(sdp: &str) -> String {
    let kept = sdp.lines().filter(|line| !line.starts_with("a=candidate:"));
    let mut prepared = String::with_capacity(sdp.len());
    for line in kept {
        prepared.push_str(line);
        prepared.push_str("\r\n");
    }
    prepared
}

/// A copy of an authenticated check that also nominates its path.
pub(crate) fn nominating_copy(request: &[u8], password: &str) -> Option<Vec<u8>> {
    let check = StunMessage::parse(request).ok()?;
    if !check.is_binding_request() || check.use_candidate() {
        return None;
    }
    let nomination = StunMessageBuilder::new()
        .binding()
        .request()
        .username(check.username()?)
        .prio(check.prio()?)
        .use_candidate()
        .ice_controlling(check.ice_controlling()?)
        .build(check.trans_id());
    let mut copy = vec![0; REQUEST_BYTES_MAX];
    let length = nomination.to_bytes(Some(password.as_bytes()), &mut copy, hmac_sha1).ok()?;
    copy.truncate(length);
    Some(copy)
}

/// Whether a check nominates its path.
pub(crate) fn nominates(check: &[u8]) -> bool {
    StunMessage::parse(check).is_ok_and(|check| check.use_candidate())
}

/// Whether a datagram that str0m wants to send is its answer to a check.
pub(crate) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|byte| *byte < 4)
}

/// The port that a connection of one family leaves from, among our addresses.
pub(crate) fn local_for(source: SocketAddr, ours: &[SocketAddr]) -> Option<SocketAddr> {
    ours.iter().copied().find(|local| local.is_ipv4() == source.is_ipv4())
}

#[cfg(test)]
mod tests {
    use str0m::ice::TransId;

    use super::*;

    #[test]
    fn the_copy_nominates_and_is_signed_by_us() {
        let check = StunMessage::binding_request("ours:theirs", TransId::new(), true, 77, 99, false);
        let mut bytes = vec![0; 500];
        let length = check.to_bytes(Some(b"secret"), &mut bytes, hmac_sha1).unwrap();
        let copy = nominating_copy(&bytes[..length], "secret").unwrap();
        let copy = StunMessage::parse(&copy).unwrap();
        assert!(copy.use_candidate() && copy.verify(b"secret", hmac_sha1));
        assert_eq!(
            (copy.username(), copy.prio(), copy.ice_controlling()),
            (Some("ours:theirs"), Some(99), Some(77))
        );
        assert!(nominating_copy(b"rubbish", "secret").is_none());
    }

    #[test]
    fn the_offer_is_read_without_candidates() {
        let sdp = "v=0\r\na=setup:actpass\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=x\r\n";
        assert_eq!(prepare_offer(sdp), "v=0\r\na=setup:actpass\r\na=x\r\n");
    }

    #[test]
    fn we_begin_where_the_offer_says_so() {
        for (role, begins) in [
            ("passive", Begins::We),
            ("actpass", Begins::They),
            ("active", Begins::They),
            ("x", Begins::They),
        ] {
            assert_eq!(Begins::in_offer(&format!("v=0\r\na=setup:{role}\r\n")), begins, "{role}");
        }
    }
}
