//! How legs come: an offer is answered, a place taken, a door opened.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use str0m::config::DtlsVersion;
use str0m::net::TcpType;
use str0m::rtp::Extension;
use str0m::{Candidate, RtcConfig};

use super::Shard;
use crate::control::{Event, LegId, Refusal, RoomId, SendLine, TenantId};
use crate::demux::Place;
use crate::dependency;
use crate::fast_join::Begins;
use crate::keys;
use crate::messages::MESSAGE_BYTES_MAX;
use crate::offer::{Offer, name_seats};
use crate::peer::{Now, Peer, Secrets};
use crate::quality;
use crate::room::Room;
use crate::sources::Sources;

impl Shard {
    /// Answers an offer and holds its leg in the lobby of its room.
    pub(super) fn join(
        &mut self,
        leg: LegId,
        room: RoomId,
        tenant: TenantId,
        offer: &str,
        sends: &[SendLine],
        now: Now,
    ) -> Result<(), Refusal> {
        let offer = Offer::check(offer, sends)?;
        if self.place_by_leg.contains_key(&leg) || !self.take_place() {
            return Err(Refusal::Full);
        }
        // A parser that trips over a hostile offer costs that offer only.
        let joined = catch_unwind(AssertUnwindSafe(|| self.connect(leg, tenant, &offer, sends, now)));
        let (mut peer, answer) = match joined.unwrap_or(Err(Refusal::OfferNotUnderstood)) {
            Ok(joined) => joined,
            Err(reason) => {
                self.legs.fetch_sub(1, Ordering::Relaxed);
                return Err(reason);
            }
        };
        let slots = peer.slots.list();
        self.tally.joins += 1;
        let credentials = peer.rtc.direct_api().local_ice_credentials();
        let place = self.seat(room, peer);
        self.demux.admit(place, &credentials.ufrag, &credentials.pass);
        let answer = name_seats(&answer, &slots);
        self.out.events.push(Event::Joined { leg, answer, slots, turn: None });
        self.in_room(place.room, now, |room, out| room.join(place.peer, now, out));
        Ok(())
    }

    /// Gives a newcomer a place in a room, and the room one if it is the first.
    fn seat(&mut self, id: RoomId, peer: Peer) -> Place {
        let leg = peer.leg;
        let room =
            *self.room_by_id.entry(id).or_insert_with(|| self.rooms.insert(Room::new(id, self.shards)));
        let peer = self.rooms.get_mut(room).expect("a room that is named").peers.insert(peer);
        let place = Place { room, peer };
        self.place_by_leg.insert(leg, place);
        place
    }

    /// Takes one of the node's places, if there is one.
    fn take_place(&self) -> bool {
        let taken = self.legs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |legs| {
            (legs < self.legs_max).then_some(legs + 1)
        });
        taken.is_ok()
    }

    fn connect(
        &mut self,
        leg: LegId,
        tenant: TenantId,
        offer: &Offer,
        sends: &[SendLine],
        now: Now,
    ) -> Result<(Peer, String), Refusal> {
        let mut rtc = self.rtc_config(offer.begins).build(now.instant);
        let handshake = keys::newest_handshake();
        let (egress, sources) = (self.egress.of(handshake.clone()), Sources::new(handshake));
        let udp = self.candidates.iter().map(|address| Candidate::host(*address, "udp"));
        let passive = |address: &SocketAddr| {
            Candidate::builder().tcp().host(*address).tcptype(TcpType::Passive).build()
        };
        for candidate in udp.chain(self.tcp_candidates.iter().map(passive)).flatten() {
            rtc.add_local_candidate(candidate);
        }
        let answer = offer.answer(&mut rtc)?;
        let credentials = rtc.direct_api().local_ice_credentials();
        let secrets = Secrets { sources, password: credentials.pass.clone() };
        let mut peer = Peer::new(leg, tenant, rtc, egress, secrets, now.instant);
        peer.add_lines(sends, offer.slots());
        peer.open_messages(offer);
        peer.answered();
        peer.wake(now, &mut self.out.datagrams);
        Ok((peer, answer))
    }

    fn rtc_config(&self, begins: Begins) -> RtcConfig {
        let (crypto, version) = match begins {
            Begins::We => (&self.crypto_aead, DtlsVersion::Auto),
            Begins::They => (&self.crypto, DtlsVersion::Dtls12),
        };
        let mut config = RtcConfig::new()
            .set_crypto_provider(crypto.clone())
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_stats_interval(Some(quality::EVERY))
            .set_dtls_version(version)
            .set_sctp_max_message_size(MESSAGE_BYTES_MAX as u32)
            .clear_codecs()
            .enable_opus(true, true)
            .enable_vp8(true)
            .enable_vp9(true)
            .enable_av1(true)
            // The clients' ids count; these are only those of our own offers, which we never make.
            .set_extension(9, Extension::AbsoluteCaptureTime)
            .set_extension(12, dependency::extension());
        // Constrained baseline, which every browser has, in both packetizations.
        let codecs = config.codec_config();
        codecs.add_h264(108.into(), Some(109.into()), true, 0x42_e01f);
        codecs.add_h264(124.into(), Some(120.into()), false, 0x42_e01f);
        match &self.certificate {
            Some(certificate) => config.set_dtls_cert(certificate.clone()),
            None => config,
        }
    }

    /// Answers a further offer of a leg: more lines, or an ICE restart.
    pub(super) fn offer(&mut self, leg: LegId, offer: &str, sends: &[SendLine], now: Now) {
        let Some(place) = self.place_by_leg.get(&leg).copied() else { return };
        let room = self.rooms.get_mut(place.room);
        let Some(peer) = room.and_then(|room| room.peers.get_mut(place.peer)) else { return };
        let answered = Offer::check(offer, sends).and_then(|offer| {
            let answer = catch_unwind(AssertUnwindSafe(|| peer.answer(|rtc| offer.answer(rtc))));
            let answer = answer.unwrap_or_else(|_| {
                // The connection was left in the middle of a change: nobody knows what it would do next.
                peer.give_up();
                Err(Refusal::OfferNotUnderstood)
            });
            if answer.is_ok() {
                peer.add_lines(sends, offer.slots());
                peer.open_messages(&offer);
            }
            peer.answered();
            answer
        });
        let credentials = peer.rtc.direct_api().local_ice_credentials();
        let slots = peer.slots.list();
        self.demux.admit(place, &credentials.ufrag, &credentials.pass);
        self.out.events.push(match answered {
            Ok(answer) => Event::Answered { leg, answer: name_seats(&answer, &slots), slots },
            Err(reason) => Event::OfferRefused { leg, reason },
        });
        self.in_room(place.room, now, |room, out| room.lines_added(place.peer, now, out));
    }
}
