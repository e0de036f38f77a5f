//! Whose datagram is this? A STUN check for a known user fragment with the right MESSAGE-INTEGRITY opens a 5-tuple; only
//! an opened 5-tuple may send DTLS, then SRTP. Anything else is dropped and not answered.

use std::collections::{HashMap, VecDeque};
use std::sync::OnceLock;

use str0m::crypto::{CryptoProvider, from_feature_flags};
use str0m::ice::StunMessage;

use crate::remote::{ConnectionId, Remote, Transport};
use crate::slab::Key;

/// 5-tuples one leg may hold; a further one takes the place of its oldest.
const TUPLES_MAX: usize = 16;

/// Of these over TCP, each of which costs a descriptor: a further one ends the oldest. A caller with two networks who checks
/// both families of two addresses has eight.
const CONNECTIONS_MAX: usize = 8;

/// User names one leg may hold: that of now, and that of before an ICE restart. A further one takes the place of the oldest.
const UFRAGS_MAX: usize = 2;

/// Datagrams larger than this are no media of ours (str0m's limit).
pub(crate) const DATAGRAM_BYTES_MAX: usize = 2_000;

/// A leg's place in its room, and the room's in the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) room: Key,
    pub(crate) peer: Key,
}

/// A datagram that was let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) place: Place,
    /// A check with the right integrity.
    pub(crate) authenticated: bool,
}

/// The door of a shard.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    places_by_address: HashMap<Remote, Place>,
    secrets_by_ufrag: HashMap<String, Secret>,
    held_by_place: HashMap<Place, Held>,
    /// See [`Demux::orphans`].
    orphans: Vec<ConnectionId>,
}

/// What a leg has here.
#[derive(Debug, Default)]
struct Held {
    ufrags: VecDeque<String>,
    tuples: VecDeque<Remote>,
}

#[derive(Debug)]
struct Secret {
    place: Place,
    password: String,
}

impl Demux {
    /// Lets a leg in under its ICE credentials. After an ICE restart it has two.
    pub(crate) fn admit(&mut self, place: Place, ufrag: &str, password: &str) {
        let password = password.to_owned();
        let known = self.secrets_by_ufrag.insert(ufrag.to_owned(), Secret { place, password });
        if known.is_some() {
            return;
        }
        let ufrags = &mut self.held_by_place.entry(place).or_default().ufrags;
        ufrags.push_back(ufrag.to_owned());
        if ufrags.len() > UFRAGS_MAX
            && let Some(oldest) = ufrags.pop_front()
        {
            self.secrets_by_ufrag.remove(&oldest);
        }
    }

    /// Closes everything a leg had opened.
    pub(crate) fn forget(&mut self, place: Place) {
        let held = self.held_by_place.remove(&place).unwrap_or_default();
        for ufrag in held.ufrags {
            self.secrets_by_ufrag.remove(&ufrag);
        }
        for tuple in held.tuples {
            self.close(tuple, place);
        }
    }

    /// The TCP connections that were a leg's and are nobody's any more, each once: whoever holds them may end them.
    pub(crate) fn orphans(&mut self) -> impl Iterator<Item = ConnectionId> {
        self.orphans.drain(..)
    }

    /// User names and 5-tuples that are known.
    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.secrets_by_ufrag.len(), self.places_by_address.len())
    }

    /// Who may have sent this; `None` drops it.
    pub(crate) fn route(&mut self, source: Remote, datagram: &[u8]) -> Option<Admitted> {
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return None;
        }
        // RFC 7983 §7.
        match datagram.first()? {
            0..=3 => self.check(source, datagram),
            20..=63 | 128..=191 => {
                let place = *self.places_by_address.get(&source)?;
                Some(Admitted { place, authenticated: false })
            }
            _ => None,
        }
    }

    fn check(&mut self, source: Remote, datagram: &[u8]) -> Option<Admitted> {
        let message = StunMessage::parse(datagram).ok()?;
        if !message.is_binding_request() {
            return None;
        }
        let (ufrag, _) = message.split_username()?;
        let secret = self.secrets_by_ufrag.get(ufrag)?;
        if !message.verify(secret.password.as_bytes(), hmac_sha1) {
            return None;
        }
        let place = secret.place;
        self.open(source, place);
        Some(Admitted { place, authenticated: true })
    }

    fn open(&mut self, source: Remote, place: Place) {
        if self.places_by_address.insert(source, place) == Some(place) {
            return;
        }
        let tuples = &mut self.held_by_place.entry(place).or_default().tuples;
        tuples.retain(|address| *address != source);
        tuples.push_back(source);
        let is_connection = |tuple: &Remote| matches!(tuple.transport, Transport::Tcp(_));
        let oldest = if tuples.iter().filter(|tuple| is_connection(tuple)).count() > CONNECTIONS_MAX {
            tuples.iter().position(is_connection)
        } else {
            (tuples.len() > TUPLES_MAX).then_some(0)
        };
        if let Some(oldest) = oldest.and_then(|at| tuples.remove(at)) {
            self.close(oldest, place);
        }
    }

    /// A 5-tuple that a leg gives up, unless somebody else has proven it since.
    fn close(&mut self, tuple: Remote, place: Place) {
        if self.places_by_address.get(&tuple) != Some(&place) {
            return;
        }
        self.places_by_address.remove(&tuple);
        if let Transport::Tcp(connection) = tuple.transport {
            self.orphans.push(connection);
        }
    }
}

/// HMAC-SHA1 by the crypto library that str0m uses.
pub(crate) fn hmac_sha1(key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
    static PROVIDER: OnceLock<CryptoProvider> = OnceLock::new();
    PROVIDER.get_or_init(from_feature_flags).sha1_hmac_provider.sha1_hmac(key, payloads)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::SocketAddr;

    use str0m::ice::TransId;

    use super::*;

    fn place(n: u32) -> Place {
        Place { room: Key::first(1), peer: Key::first(n) }
    }

    fn address(port: u16) -> Remote {
        SocketAddr::from(([192, 0, 2, 1], port)).into()
    }

    /// As high as a candidate's can be (RFC 8445 §5.1.2), so that its pair is preferred.
    const HOST_PRIORITY: u32 = 0x7eff_ffff;

    pub(crate) fn check(username: &str, password: &str, nominates: bool) -> Vec<u8> {
        let check = StunMessage::binding_request(username, TransId::new(), true, 7, HOST_PRIORITY, nominates);
        let mut bytes = vec![0; 500];
        let length = check.to_bytes(Some(password.as_bytes()), &mut bytes, hmac_sha1).unwrap();
        bytes.truncate(length);
        bytes
    }

    const DTLS: &[u8] = &[22, 254, 253, 0];
    const RTP: &[u8] = &[128, 96, 0, 1];

    #[test]
    fn only_a_right_check_opens_the_door_and_only_for_its_address() {
        let mut demux = Demux::default();
        demux.admit(place(1), "ours", "secret");
        for datagram in [
            DTLS,
            RTP,
            &[],
            &[70, 1],
            &check("ours:x", "wrong", false),
            &check("other:x", "secret", false),
            &[0; 20],
        ] {
            assert_eq!(demux.route(address(1), datagram), None);
        }
        let admitted = Admitted { place: place(1), authenticated: true };
        assert_eq!(demux.route(address(1), &check("ours:x", "secret", false)), Some(admitted));
        for datagram in [DTLS, RTP] {
            let admitted = Admitted { place: place(1), authenticated: false };
            assert_eq!(demux.route(address(1), datagram), Some(admitted));
            assert_eq!(demux.route(address(2), datagram), None);
        }
        demux.forget(place(1));
        assert_eq!(demux.route(address(1), RTP), None);
        assert_eq!(demux.route(address(1), &check("ours:x", "secret", false)), None);
    }

    #[test]
    fn a_connection_from_an_open_address_opens_itself() {
        let mut demux = Demux::default();
        demux.admit(place(1), "ours", "secret");
        demux.route(address(1), &check("ours:x", "secret", false));
        let over_tcp = Remote { transport: Transport::Tcp(ConnectionId(1)), ..address(1) };
        assert_eq!(demux.route(over_tcp, RTP), None);
        demux.route(over_tcp, &check("ours:x", "secret", false));
        assert!(demux.route(over_tcp, RTP).is_some());
    }

    #[test]
    fn an_address_goes_to_the_leg_that_proved_it_last() {
        let mut demux = Demux::default();
        demux.admit(place(1), "one", "secret");
        demux.admit(place(2), "two", "secret");
        demux.route(address(1), &check("one:x", "secret", false));
        demux.route(address(1), &check("two:x", "secret", false));
        demux.forget(place(1));
        assert_eq!(demux.route(address(1), RTP).map(|admitted| admitted.place), Some(place(2)));
    }

    #[test]
    fn ice_restarts_leave_two_user_names() {
        let mut demux = Demux::default();
        for n in 0..100 {
            demux.admit(place(1), &format!("name{n}"), "secret");
        }
        let mut opens = |name: &str| demux.route(address(1), &check(name, "secret", false)).is_some();
        assert!(opens("name99:x") && opens("name98:x") && !opens("name97:x"));
        assert_eq!(demux.secrets_by_ufrag.len(), UFRAGS_MAX);
    }

    #[test]
    fn a_leg_holds_few_addresses() {
        let mut demux = Demux::default();
        demux.admit(place(1), "ours", "secret");
        for port in 1..=40 {
            demux.route(address(port), &check("ours:x", "secret", false));
        }
        assert_eq!(demux.places_by_address.len(), TUPLES_MAX);
        assert!(demux.route(address(40), RTP).is_some() && demux.route(address(1), RTP).is_none());
    }

    #[test]
    fn a_leg_holds_fewer_connections_and_what_it_gives_up_is_nobodys() {
        let mut demux = Demux::default();
        demux.admit(place(1), "ours", "secret");
        let proof = check("ours:x", "secret", false);
        let over_tcp = |n: u64| Remote { transport: Transport::Tcp(ConnectionId(n)), ..address(n as u16) };
        demux.route(address(99), &proof);
        for n in 1..=20 {
            demux.route(over_tcp(n), &proof);
            demux.route(over_tcp(n), &proof);
        }
        let ended: Vec<_> = demux.orphans().collect();
        assert_eq!(ended, (1..=12).map(ConnectionId).collect::<Vec<_>>());
        assert!(demux.route(over_tcp(12), RTP).is_none() && demux.route(over_tcp(13), RTP).is_some());
        assert!(demux.route(address(99), RTP).is_some(), "over UDP it is reached as before");
        demux.forget(place(1));
        assert_eq!(demux.orphans().count(), CONNECTIONS_MAX);
        assert_eq!(demux.orphans().count(), 0);
    }
}
