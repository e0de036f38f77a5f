//! One room: its legs, whose packets go into whose slots, who speaks. Bytes and time in, datagrams and events out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use str0m::media::{Rid, Rids};
use str0m::rtp::{RtpPacket, Vp8Descriptor};

use crate::codec;
use crate::control::{Event, Kind, LegId, RoomId, SlotTrack, Source, TrackKey, UsageFact, Want};
use crate::egress::{Wire, content_extensions};
use crate::forward::{Packet, SourceId};
use crate::peer::{Datagram, Incoming, Now, Peer, Said};
use crate::rewrite::Numbers;
use crate::speaker::Speakers;

/// What a room or a shard wants done.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) datagrams: Vec<Datagram>,
    pub(crate) events: Vec<Event>,
    /// Counters, and what may be told once they are durable.
    pub(crate) usage: Vec<(Vec<UsageFact>, Option<Event>)>,
    /// Legs whose deadline may have changed.
    pub(crate) touched: Vec<LegId>,
    /// Legs whose egress has something to send at the end of the turn.
    pub(crate) waiting: Vec<(RoomId, LegId)>,
}

/// The places a track's packets go to: leg and slot.
type Route = Arc<[(LegId, usize)]>;

/// The people of one room.
#[derive(Debug)]
pub(crate) struct Room {
    id: RoomId,
    pub(crate) peers: BTreeMap<LegId, Peer>,
    routes_by_track: BTreeMap<TrackKey, Route>,
    speakers: Speakers,
    entries: u64,
}

impl Room {
    /// Nobody is here yet.
    pub(crate) fn new(id: RoomId) -> Self {
        Room {
            id,
            peers: BTreeMap::new(),
            routes_by_track: BTreeMap::new(),
            speakers: Speakers::default(),
            entries: 0,
        }
    }

    /// Somebody comes into the lobby. Keyframes are asked for already, while the connection is being made.
    pub(crate) fn join(&mut self, peer: Peer, now: Now, out: &mut Out) {
        out.touched.push(peer.leg);
        self.peers.insert(peer.leg, peer);
        for peer in self.peers.values_mut().filter(|peer| peer.entered.is_some()) {
            peer.tracks.iter_mut().for_each(|track| track.want_fresh_keyframes(now.instant));
        }
        self.ask_keyframes(now, out);
    }

    /// The click.
    pub(crate) fn enter(&mut self, leg: LegId, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(&leg) else { return };
        if peer.entered.is_some() {
            return;
        }
        self.entries += 1;
        peer.entered = Some(self.entries);
        peer.usage.enter(now.instant);
        self.assign(leg, now, out);
        self.ask_first_keyframes(leg, now, out);
    }

    /// Lines were added to a leg.
    pub(crate) fn lines_added(&mut self, leg: LegId, now: Now, out: &mut Out) {
        if let Some(peer) = self.peers.get_mut(&leg) {
            peer.players.iter_mut().for_each(|slot| slot.forget_payload_types());
        }
        self.wake(leg, now, out);
        self.assign(leg, now, out);
    }

    /// A publisher turned a medium off or on.
    pub(crate) fn mute(&mut self, leg: LegId, source: Source, muted: bool, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(&leg) else { return };
        peer.mute(source, muted);
        if source == Source::Microphone && muted {
            self.speakers.forget(leg);
        }
        self.assign_all(now, out);
        if !muted {
            self.ask_first_keyframes(leg, now, out);
        }
    }

    /// A subscriber says what it shows.
    pub(crate) fn view(&mut self, leg: LegId, wants: Vec<Want>, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(&leg) else { return };
        peer.view = Some(wants);
        self.assign(leg, now, out);
        self.choose_layers(leg, now, out);
    }

    /// Ends a leg; `then` is told once its usage is durable.
    pub(crate) fn leave(&mut self, leg: LegId, then: Event, now: Now, out: &mut Out) {
        let Some(mut peer) = self.peers.remove(&leg) else { return };
        peer.close(now, &mut out.datagrams);
        peer.usage.advance(now.instant, now.wall);
        out.usage.push((peer.usage.take_changed(), Some(then)));
        self.speakers.forget(leg);
        self.assign_all(now, out);
    }

    /// A datagram for a leg.
    pub(crate) fn receive(&mut self, leg: LegId, incoming: &Incoming<'_>, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(&leg) else { return };
        let said = peer.receive(incoming, now, &mut out.datagrams);
        peer.queue(self.id, &mut out.waiting);
        out.touched.push(leg);
        self.attend(leg, said, now, out);
    }

    /// A leg's deadline has come.
    pub(crate) fn wake(&mut self, leg: LegId, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(&leg) else { return };
        let said = peer.wake(now, &mut out.datagrams);
        out.touched.push(leg);
        self.attend(leg, said, now, out);
    }

    /// What is due every 100 ms.
    pub(crate) fn tick(&mut self, now: Now, out: &mut Out) {
        if let Some(legs) = self.speakers.tick(now.instant) {
            out.events.push(Event::Speakers { room: self.id, legs });
            self.assign_all(now, out);
        }
        let legs: Vec<LegId> = self.peers.keys().copied().collect();
        for leg in legs {
            let Some(peer) = self.peers.get_mut(&leg) else { continue };
            if peer.is_lost(now.instant) {
                self.leave(leg, Event::Lost { leg }, now, out);
                continue;
            }
            let said = peer.tick(now);
            peer.queue(self.id, &mut out.waiting);
            self.attend(leg, said, now, out);
            self.choose_layers(leg, now, out);
        }
        self.ask_keyframes(now, out);
    }

    /// Sends what waits for these legs.
    pub(crate) fn write(
        &mut self,
        waiting: &[(RoomId, LegId)],
        now: Now,
        wire: &mut dyn Wire,
        buffer: &mut [u8],
    ) {
        for (_, leg) in waiting {
            if let Some(peer) = self.peers.get_mut(leg) {
                peer.write(now, wire, buffer);
            }
        }
    }

    /// The counters that changed.
    pub(crate) fn checkpoint(&mut self, now: Now, facts: &mut Vec<UsageFact>) {
        for peer in self.peers.values_mut().filter(|peer| peer.entered.is_some()) {
            peer.usage.advance(now.instant, now.wall);
            facts.extend(peer.usage.take_changed());
        }
    }

    fn attend(&mut self, leg: LegId, said: Said, now: Now, out: &mut Out) {
        if said.connected {
            out.events.push(Event::Connected { leg });
        }
        for mid in said.keyframes_for {
            let slot = self.peers.get(&leg).and_then(|peer| peer.players.iter().find(|slot| slot.mid == mid));
            if let Some((track, rid)) = slot.and_then(|slot| slot.player.wanted()) {
                self.want_keyframe(track, rid, now, out);
            }
        }
        for packet in said.packets {
            self.forward(leg, packet, now, out);
        }
    }

    /// A packet of a publisher, to everybody who shows it.
    fn forward(&mut self, leg: LegId, packet: RtpPacket, now: Now, out: &mut Out) {
        let Some(packet) = self.packet(leg, packet, now) else { return };
        let key = packet.source.track;
        let Some(track) = self.track_mut(key) else { return };
        if track.muted {
            return;
        }
        track.note(&packet);
        let is_first = !std::mem::replace(&mut track.delivered, true);
        if is_first {
            self.assign_all(now, out);
        }
        if key.source == Source::Microphone
            && let Some(level) = packet.extensions.audio_level
        {
            self.speakers.heard(leg, level);
        }
        if is_first && key.source.kind() == Kind::Video {
            return; // Played already, from what is kept for late joiners.
        }
        let route = self.routes_by_track.get(&key).cloned();
        for (subscriber, slot) in route.iter().flat_map(|route| route.iter()) {
            self.play(*subscriber, *slot, &packet, now, out);
        }
    }

    fn play(&mut self, leg: LegId, slot: usize, packet: &Arc<Packet>, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(&leg) else { return };
        let Some(said) = peer.play(slot, packet, now, &mut out.datagrams) else { return };
        if !peer.queue(self.id, &mut out.waiting) {
            out.touched.push(leg);
            self.attend(leg, said, now, out);
        }
    }

    /// Makes a shared packet of what str0m received; `None` from the lobby or on a line without a source.
    fn packet(&mut self, leg: LegId, packet: RtpPacket, now: Now) -> Option<Arc<Packet>> {
        let peer = self.peers.get_mut(&leg).filter(|peer| peer.entered.is_some())?;
        let ssrc = packet.header.ssrc;
        let (mid, rid) = peer.rtc.direct_api().stream_rx(&ssrc).map(|stream| (stream.mid(), stream.rid()))?;
        let key = peer.tracks.iter().find(|track| track.mid == mid)?.key;
        let pt = packet.header.payload_type;
        let codec = peer.rtc.codec_config().params().iter().find(|params| params.pt() == pt)?.spec();
        let vp8 = (codec.codec == str0m::format::Codec::Vp8)
            .then(|| Vp8Descriptor::parse(&packet.payload).ok())
            .flatten();
        let (ts, rate_hz, arrived) = (packet.header.timestamp, codec.clock_rate.get(), now.wall.into());
        let info = packet.last_sender_info.as_ref();
        let captured = info.map(|info| peer.clock.captured(info, ts, rate_hz, arrived));
        Some(Arc::new(Packet {
            source: SourceId { track: key, rid, ssrc: *ssrc },
            numbers: Numbers {
                seq: *packet.seq_no,
                ts: packet.header.timestamp,
                picture_id: vp8.as_ref().and_then(Vp8Descriptor::picture_id),
                tl0: vp8.as_ref().and_then(Vp8Descriptor::tl0_pic_idx),
            },
            pt: *pt,
            marker: packet.header.marker,
            codec,
            starts_keyframe: codec::starts_keyframe(codec.codec, &packet.payload, vp8.as_ref()),
            payload: packet.payload,
            vp8,
            extensions: content_extensions(&packet.header.ext_vals),
            arrived: packet.timestamp,
            captured,
        }))
    }

    fn assign_all(&mut self, now: Now, out: &mut Out) {
        let legs: Vec<LegId> = self.peers.keys().copied().collect();
        for leg in legs {
            self.assign(leg, now, out);
        }
        self.find_routes();
    }

    /// Decides what plays in a subscriber's slots, and starts what is new there.
    fn assign(&mut self, leg: LegId, now: Now, out: &mut Out) {
        let (audio, video) = (self.audio_for(leg), self.video_for(leg));
        let Some(peer) = self.peers.get_mut(&leg).filter(|peer| peer.entered.is_some()) else { return };
        let mut changes = peer.slots.assign(Kind::Video, &video);
        changes.extend(peer.slots.assign(Kind::Audio, &audio));
        if changes.is_empty() {
            return;
        }
        out.events.push(Event::Slots { leg, slots: changes.clone() });
        for change in changes {
            self.fill(leg, &change, now, out);
        }
        self.find_routes();
        self.ask_keyframes(now, out);
    }

    fn fill(&mut self, leg: LegId, change: &SlotTrack, now: Now, out: &mut Out) {
        let layer = change.track.map(|track| (track, self.layer_for(leg, track, None, now.instant)));
        let slot = self.peers.get_mut(&leg).and_then(|peer| {
            let mid = str0m::media::Mid::from(change.mid.as_str());
            let slot = peer.players.iter().position(|slot| slot.mid == mid)?;
            peer.players[slot].player.want(layer).then_some(slot)
        });
        if let (Some(slot), Some((track, rid))) = (slot, layer) {
            self.start(leg, slot, track, rid, now, out);
        }
    }

    /// Shows a picture at once where one is kept, and asks for the wanted one where that is another.
    fn start(&mut self, leg: LegId, slot: usize, key: TrackKey, rid: Option<Rid>, now: Now, out: &mut Out) {
        if key.source.kind() == Kind::Audio {
            return;
        }
        let kept = self.track(key).and_then(|track| track.quickest_picture(rid, now.instant));
        if let Some((quick, packets)) = kept {
            self.want(leg, slot, key, quick);
            for packet in packets {
                self.play(leg, slot, &packet, now, out);
            }
        }
        self.want(leg, slot, key, rid);
        if let Some(peer) = self.peers.get(&leg)
            && !peer.players[slot].player.is_settled()
            && let Some(track) = self.track_mut(key)
        {
            track.want_keyframe(rid);
        }
    }

    fn want(&mut self, leg: LegId, slot: usize, track: TrackKey, rid: Option<Rid>) {
        if let Some(peer) = self.peers.get_mut(&leg) {
            peer.players[slot].player.want(Some((track, rid)));
        }
    }

    /// Takes the layers that fit the sizes on screen. What plays goes on until the better layer's keyframe comes.
    fn choose_layers(&mut self, leg: LegId, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get(&leg) else { return };
        let slots = peer.players.iter().enumerate();
        let wanted: Vec<_> =
            slots.filter_map(|(n, slot)| slot.player.wanted().map(|want| (n, want))).collect();
        for (slot, (track, rid)) in wanted {
            let better = self.layer_for(leg, track, rid, now.instant);
            if better != rid && track.source.kind() == Kind::Video {
                self.want(leg, slot, track, better);
                self.want_keyframe(track, better, now, out);
            }
        }
    }

    fn layer_for(&self, leg: LegId, key: TrackKey, current: Option<Rid>, now: Instant) -> Option<Rid> {
        let view = self.peers.get(&leg).and_then(|peer| peer.view.as_ref());
        let want = view.and_then(|wants| wants.iter().find(|want| want.track == key));
        self.track(key).and_then(|track| track.layer_for(want.map(|want| want.width), current, now))
    }

    /// Playable tracks of the others, oldest leg first.
    fn playable(&self, leg: LegId, kind: Kind) -> Vec<TrackKey> {
        let others = self.peers.values().filter(|peer| peer.leg != leg && peer.entered.is_some());
        let mut others: Vec<&Peer> = others.collect();
        others.sort_by_key(|peer| peer.entered);
        let tracks = others.into_iter().flat_map(|peer| peer.tracks.iter());
        tracks
            .filter(|track| track.is_playable() && track.key.source.kind() == kind)
            .map(|track| track.key)
            .collect()
    }

    fn video_for(&self, leg: LegId) -> Vec<TrackKey> {
        let playable = self.playable(leg, Kind::Video);
        match self.peers.get(&leg).and_then(|peer| peer.view.as_ref()) {
            Some(wants) => {
                wants.iter().map(|want| want.track).filter(|track| playable.contains(track)).collect()
            }
            None => playable,
        }
    }

    /// The sound of shared screens, then the voices; the loudest first when there are more than slots.
    fn audio_for(&self, leg: LegId) -> Vec<TrackKey> {
        let (mut tracks, voices): (Vec<TrackKey>, Vec<TrackKey>) = self
            .playable(leg, Kind::Audio)
            .into_iter()
            .partition(|track| track.source == Source::ScreenAudio);
        let mut legs: Vec<LegId> = voices.iter().map(|track| track.leg).collect();
        self.speakers.rank(&mut legs);
        tracks.extend(legs.into_iter().map(|leg| TrackKey { leg, source: Source::Microphone }));
        tracks
    }

    fn find_routes(&mut self) {
        let mut routes: BTreeMap<TrackKey, Vec<(LegId, usize)>> = BTreeMap::new();
        for peer in self.peers.values() {
            for (slot, place) in peer.players.iter().enumerate() {
                for track in place.player.tracks() {
                    routes.entry(track).or_default().push((peer.leg, slot));
                }
            }
        }
        self.routes_by_track = routes.into_iter().map(|(track, route)| (track, route.into())).collect();
    }

    fn want_keyframe(&mut self, key: TrackKey, rid: Option<Rid>, now: Now, out: &mut Out) {
        if let Some(track) = self.track_mut(key) {
            track.want_keyframe(rid);
        }
        self.ask_keyframes(now, out);
    }

    /// Asks publishers where somebody waits and the last request is long enough ago.
    fn ask_keyframes(&mut self, now: Now, out: &mut Out) {
        let mut said = Vec::new();
        for peer in self.peers.values_mut() {
            let due = peer.tracks.iter_mut().map(|track| (track.mid, track.ask_keyframes(now.instant)));
            let due: Vec<_> =
                due.flat_map(|(mid, rids)| rids.into_iter().map(move |rid| (mid, rid))).collect();
            for (mid, rid) in due {
                said.push((peer.leg, peer.ask_keyframe(mid, rid, now, &mut out.datagrams)));
                out.touched.push(peer.leg);
            }
        }
        for (leg, said) in said {
            self.attend(leg, said, now, out);
        }
    }

    /// A publisher that already sends when it enters or unmutes is asked for a keyframe, which is what all others need.
    fn ask_first_keyframes(&mut self, leg: LegId, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(&leg).filter(|peer| peer.entered.is_some()) else { return };
        let tracks =
            peer.tracks.iter().filter(|track| track.key.source.kind() == Kind::Video && !track.muted);
        let mids: Vec<_> = tracks.map(|track| track.mid).collect();
        let mut said = Vec::new();
        for mid in mids {
            let rids = match peer.rtc.media(mid).map(|media| media.rids_rx()) {
                Some(Rids::Specific(rids)) => rids.iter().copied().map(Some).collect(),
                _ => vec![None],
            };
            said.extend(rids.into_iter().map(|rid| peer.ask_keyframe(mid, rid, now, &mut out.datagrams)));
        }
        out.touched.push(leg);
        for said in said {
            self.attend(leg, said, now, out);
        }
    }

    fn track(&self, key: TrackKey) -> Option<&crate::track::Track> {
        self.peers.get(&key.leg)?.tracks.iter().find(|track| track.key == key)
    }

    fn track_mut(&mut self, key: TrackKey) -> Option<&mut crate::track::Track> {
        self.peers.get_mut(&key.leg)?.tracks.iter_mut().find(|track| track.key == key)
    }
}
