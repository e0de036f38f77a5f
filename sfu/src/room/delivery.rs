//! The way of a packet: from a publisher, or from the room's part on another shard, into everybody's slots.

use std::sync::Arc;

use str0m::rtp::RtpPacket;

use crate::codec::red;
use crate::control::{Kind, Source};
use crate::dependency::Raw;
use crate::egress::content_extensions;
use crate::forward::{Packet, SourceId};
use crate::messages::Message;
use crate::peer::Now;
use crate::relay::{Relay, Word};
use crate::rewrite::Numbers;
use crate::slab::Key;

use super::{Out, Room};

impl Room {
    /// A packet of a publisher here, to everybody who shows it.
    pub(super) fn forward(&mut self, at: Key, packet: RtpPacket, now: Now, out: &mut Out) {
        let Some(packet) = self.packet(at, packet, now) else { return };
        #[cfg(test)]
        assert!(!self.planted, "planted");
        if !self.deliver(&packet, now, out) {
            return;
        }
        for shard in self.elsewhere.shards() {
            let word = Word::Packet(packet.clone());
            out.relays.push((shard, Relay { room: self.id, word }));
        }
    }

    /// A packet, to everybody here who shows it. Answers whether it may be shown.
    pub(super) fn deliver(&mut self, packet: &Arc<Packet>, now: Now, out: &mut Out) -> bool {
        let key = packet.source.track;
        let Some(track) = self.track_mut(key).filter(|track| !track.muted) else { return false };
        track.note(packet);
        let is_first = !std::mem::replace(&mut track.delivered, true);
        let mut route = track.route.clone();
        if is_first {
            self.assign_all(now, out);
            self.tell(now, out);
            route = self.track(key).map(|track| track.route.clone()).unwrap_or_default();
        }
        if key.source == Source::Microphone
            && let Some(level) = packet.extensions.audio_level
        {
            self.speakers.heard(key.leg, level);
        }
        if is_first && key.source.kind() == Kind::Video {
            return true; // Played already, from what is kept for late joiners.
        }
        match (key.source.kind(), packet.marker) {
            (Kind::Audio, _) => {}
            (Kind::Video, true) => self.incomplete_since = None,
            (Kind::Video, false) => _ = self.incomplete_since.get_or_insert(now.instant),
        }
        self.arrive(packet, route, now, out);
        true
    }

    /// A word from the room's part on another shard.
    pub(crate) fn relayed(&mut self, shard: usize, word: Word, now: Now, out: &mut Out) {
        match word {
            Word::Packet(packet) => _ = self.deliver(&packet, now, out),
            Word::Message { from, delivery, bytes } => {
                if let Some(message) = Message::parse(&bytes) {
                    self.hand_out(&message, (from, delivery, Some(bytes.len())), now, out);
                }
            }
            Word::Keyframe(track, rid) => self.want_keyframe(track, rid.into(), now, out),
            Word::Playlist(playlist) => {
                if !self.elsewhere.knows(shard) {
                    (self.told, self.told_shown) = (None, None);
                }
                let (gone, is_more) = self.elsewhere.listen(shard, &playlist, now.instant);
                self.replay_changed(&gone, is_more, now, out);
                self.tell(now, out);
            }
            Word::Shown(shown) => self.elsewhere.show(shard, shown),
            Word::Closed => {
                let gone = self.elsewhere.forget(shard);
                self.replay_changed(&gone, false, now, out);
            }
        }
    }

    /// Makes a shared packet of what str0m received; `None` from the lobby or on a line without a source.
    pub(super) fn packet(&mut self, at: Key, packet: RtpPacket, now: Now) -> Option<Arc<Packet>> {
        let peer = self.peers.get_mut(at)?;
        if peer.entered.is_none() {
            peer.ignore_from_lobby();
            return None;
        }
        let ssrc = packet.header.ssrc;
        let (mid, rid) = peer.rtc.direct_api().stream_rx(&ssrc).map(|stream| (stream.mid(), stream.rid()))?;
        let key = peer.tracks.iter().find(|track| track.mid == mid)?.key;
        if !peer.affords(key.source, packet.payload.len(), now.instant) {
            return None;
        }
        let pt = packet.header.payload_type;
        let params = peer.rtc.codec_config().params();
        let params = params.iter().find(|params| params.pt() == pt || params.red() == Some(pt))?;
        let codec = params.spec();
        let primary_at = match params.red() == Some(pt) {
            true => Some(red::primary_at(&packet.payload)?),
            false => None,
        };
        let source = SourceId { track: key, rid, ssrc: *ssrc };
        let track = peer.tracks.iter_mut().find(|track| track.mid == mid)?;
        let raw = packet.header.ext_vals.user_values.get::<Raw>();
        let (picture, dependency) = track.reader(rid, *ssrc).read(codec.codec, &packet.payload, raw);
        let (ts, rate_hz, arrived) = (packet.header.timestamp, codec.clock_rate.get(), now.wall.into());
        let info = packet.last_sender_info.as_ref();
        let captured = info.map(|info| peer.clock.captured(info, ts, rate_hz, arrived));
        Some(Arc::new(Packet {
            source,
            numbers: Numbers {
                seq: *packet.seq_no,
                ts,
                picture_id: picture.picture_id,
                tl0: picture.tl0,
                key_index: picture.key_index,
                frame_number: dependency.as_ref().map(|dependency| dependency.frame_number),
            },
            pt: *pt,
            marker: packet.header.marker,
            codec,
            primary_at,
            payload: packet.payload,
            picture,
            dependency,
            extensions: content_extensions(&packet.header.ext_vals),
            arrived: packet.timestamp,
            captured,
        }))
    }
}
