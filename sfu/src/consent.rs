//! Who may be sent anything: an address from which something authenticated came a moment ago (RFC 7675).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::net::Protocol;

use crate::remote::Remote;

/// Nothing is sent to an address from which nothing authenticated came for this long (RFC 7675 §5.1 allows 30 s).
const FRESH: Duration = Duration::from_secs(5);
/// Addresses that are remembered: the last heard.
const ADDRESSES_MAX: usize = 8;

/// Where datagrams of one leg's own came from, and when last. Few.
#[derive(Debug, Default)]
pub(crate) struct Consents(Vec<(Remote, Instant)>);

impl Consents {
    /// Something of this leg's own came from there.
    pub(crate) fn heard(&mut self, remote: Remote, now: Instant) {
        if let Some((_, at)) = self.0.iter_mut().find(|(address, _)| *address == remote) {
            *at = now;
            return;
        }
        if self.0.len() == ADDRESSES_MAX {
            self.0.sort_unstable_by_key(|(_, at)| std::cmp::Reverse(*at));
            self.0.pop();
        }
        self.0.push((remote, now));
    }

    /// Of several connections from one address, that which was heard last.
    pub(crate) fn newest(&self, protocol: Protocol, address: SocketAddr) -> Option<Remote> {
        let named =
            self.0.iter().filter(|(remote, _)| remote.address == address && remote.protocol() == protocol);
        named.max_by_key(|(_, at)| *at).map(|(remote, _)| *remote)
    }

    /// Whether an address may be sent to: a leg that is heard from elsewhere does not speak for it.
    pub(crate) fn has(&self, remote: Remote, now: Instant) -> bool {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < FRESH;
        self.0.iter().any(|(address, at)| *address == remote && is_fresh(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{ConnectionId, Transport};

    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    fn start() -> Instant {
        Instant::now()
    }

    fn udp(port: u16) -> Remote {
        SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    #[test]
    fn consent_is_an_addresss_own_and_ends_with_its_silence() {
        let (mut consents, t0) = (Consents::default(), start());
        consents.heard(udp(1), t0);
        assert!(consents.has(udp(1), t0 + FRESH - Duration::from_millis(1)));
        assert!(!consents.has(udp(1), t0 + FRESH), "silent for too long");
        assert!(!consents.has(udp(2), t0), "somebody else");
    }

    #[test]
    fn the_address_that_was_silent_longest_is_forgotten_first() {
        let (mut consents, t0) = (Consents::default(), start());
        let at = |ms: u64| t0 + Duration::from_millis(ms);
        for port in 1..=ADDRESSES_MAX as u16 {
            consents.heard(udp(port), at(port.into()));
        }
        consents.heard(udp(1), at(90));
        consents.heard(udp(99), at(100));
        assert!(consents.has(udp(1), at(100)) && consents.has(udp(99), at(100)));
        assert!(!consents.has(udp(2), at(100)));
    }

    #[test]
    fn an_answer_goes_to_the_connection_that_was_heard_last() {
        let (mut consents, t0) = (Consents::default(), start());
        let tcp = |id| Remote { transport: Transport::Tcp(ConnectionId(id)), ..udp(1) };
        consents.heard(tcp(1), t0);
        consents.heard(tcp(2), t0 + Duration::from_millis(1));
        assert_eq!(consents.newest(Protocol::Tcp, udp(1).address), Some(tcp(2)));
        assert_eq!(consents.newest(Protocol::Udp, udp(1).address), None);
    }
}
