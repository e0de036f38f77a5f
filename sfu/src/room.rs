//! One room: its legs, whose packets go into whose slots, who speaks. Bytes and time in, datagrams and events out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::{Rid, Rids};
use str0m::rtp::RtpPacket;

use crate::allowance::Allowance;
use crate::codec::red;
use crate::congestion::allocate::{Capacity, Offered, Wanted, goal_bps};
use crate::control::{Event, Kind, LegId, RoomId, SlotTrack, Source, TrackKey, UsageFact, Want};
use crate::dependency::Raw;
use crate::egress::{Wire, content_extensions};
use crate::forward::{LayerId, Packet, SourceId};
use crate::messages::{Delivery, Message};
use crate::metrics::{Counts, RoomLook};
use crate::peer::{Datagram, Incoming, Now, Peer, Said};
use crate::peers::Peers;
use crate::quality;
use crate::relay::{Elsewhere, Entered, Playlist, Relay, Shards, Word};
use crate::rewrite::Numbers;
use crate::slab::Key;
use crate::speaker::Speakers;

/// How long a packet waits for the rest of its picture, so that the kernel is called once for all of it.
const TOGETHER: Duration = Duration::from_micros(300);

/// The parts of a room on several shards tell each other what they have at least this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a room or a shard wants done.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) datagrams: Vec<Datagram>,
    pub(crate) events: Vec<Event>,
    /// Counters, and what may be told once they are durable.
    pub(crate) usage: Vec<(Vec<UsageFact>, Option<Event>)>,
    /// Peers of the room that acts whose deadline may have changed.
    pub(crate) touched: Vec<Key>,
    /// For other shards.
    pub(crate) relays: Vec<(usize, Relay)>,
}

/// What a room has to play.
struct Playable {
    /// Oldest leg first.
    video: Vec<TrackKey>,
    /// The sound of shared screens, then the voices, the loudest first.
    audio: Vec<TrackKey>,
}

impl Playable {
    /// What this subscriber shows, else the pictures of all others.
    fn video_for(&self, peer: &Peer) -> Vec<TrackKey> {
        let is_others = |track: &TrackKey| track.leg != peer.leg;
        match &peer.view {
            Some(wants) => {
                let wanted = wants.iter().map(|want| want.track);
                wanted.filter(|track| is_others(track) && self.video.contains(track)).collect()
            }
            None => self.video.iter().copied().filter(is_others).collect(),
        }
    }

    /// The sound of all others.
    fn audio_for(&self, peer: &Peer) -> Vec<TrackKey> {
        self.audio.iter().copied().filter(|track| track.leg != peer.leg).collect()
    }
}

/// What a slot's track is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// This layer plays.
    Layer(LayerId),
    /// The same in place of one that the subscriber's line does not take: that one ends at once, for what it still sent
    /// would stand before the other's keyframe.
    Less(LayerId),
    /// The subscriber's line does not take it.
    Pause,
}

impl Choice {
    /// What to do with a picture that is given a layer, or none, while another plays.
    fn of(given: Option<Offered>, playing: Option<&Offered>, capacity: &Capacity) -> Self {
        let Some(given) = given else { return Choice::Pause };
        // A scalable stream goes down with its next picture. And what is only a little too much may go on until the
        // other's keyframe comes: a gap would be seen, the few packets too many are not.
        let is_too_much = |playing: &Offered| {
            playing.id.rid != given.id.rid && u64::from(playing.bps) > capacity.bps * 3 / 2
        };
        match playing {
            Some(playing) if is_too_much(playing) => Choice::Less(given.id),
            _ => Choice::Layer(given.id),
        }
    }
}

/// The people of one room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) peers: Peers,
    /// Peers whose egress has something to send at the end of the turn.
    waiting: Vec<Key>,
    /// When the first of them came whose picture is not complete yet.
    incomplete_since: Option<Instant>,
    speakers: Speakers,
    shards: Shards,
    elsewhere: Elsewhere,
    /// What the other shards were told last, and when.
    told: Option<(Instant, Playlist)>,
    entries: u64,
    /// Of legs that have ended.
    past: Counts,
    /// When it is next told how the connections do.
    quality_at: Option<Instant>,
    /// What the connection that was heard last said: empty, but for the room it has.
    said: Said,
    /// For messages; since the first.
    fan_out: Option<Allowance>,
    /// A bug, for tests of what it costs.
    #[cfg(test)]
    pub(crate) planted: bool,
}

impl Room {
    /// Nobody is here yet.
    pub(crate) fn new(id: RoomId, shards: Shards) -> Self {
        Room {
            id,
            peers: Peers::default(),
            waiting: Vec::new(),
            incomplete_since: None,
            speakers: Speakers::default(),
            shards,
            elsewhere: Elsewhere::default(),
            told: None,
            entries: 0,
            past: Counts::default(),
            quality_at: None,
            said: Said::default(),
            fan_out: None,
            #[cfg(test)]
            planted: false,
        }
    }

    /// Somebody comes into the lobby. Keyframes are asked for already, while the connection is being made.
    pub(crate) fn join(&mut self, peer: Key, now: Now, out: &mut Out) {
        out.touched.push(peer);
        for peer in self.peers.values_mut().filter(|peer| peer.entered.is_some()) {
            peer.tracks.iter_mut().for_each(|track| track.want_fresh_keyframes(now.instant));
        }
        self.ask_keyframes(now, out);
    }

    /// The click.
    pub(crate) fn enter(&mut self, at: Key, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        if peer.entered.is_some() {
            return;
        }
        self.entries += 1;
        peer.entered = Some((now.instant, self.entries));
        peer.usage.enter(now.instant);
        self.assign(at, now, out);
        self.ask_first_keyframes(at, now, out);
    }

    /// Lines were added to a leg.
    pub(crate) fn lines_added(&mut self, at: Key, now: Now, out: &mut Out) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.players.iter_mut().for_each(|slot| slot.forget_payload_types());
        }
        self.wake(at, now, out);
        self.assign(at, now, out);
    }

    /// A publisher turned a medium off or on.
    pub(crate) fn mute(&mut self, at: Key, source: Source, muted: bool, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        peer.mute(source, muted);
        if source == Source::Microphone && muted {
            self.speakers.forget(peer.leg);
        }
        self.assign_all(now, out);
        if !muted {
            self.ask_first_keyframes(at, now, out);
        }
    }

    /// A subscriber says what it shows.
    pub(crate) fn view(&mut self, at: Key, wants: Vec<Want>, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        peer.view = Some(wants);
        self.assign(at, now, out);
        self.choose_layers(at, now, out);
    }

    /// Records the headers of a leg for a while.
    pub(crate) fn tap(&mut self, at: Key, seconds: u32, packets: u32, now: Now) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.open_tap(seconds, packets, now.instant);
        }
    }

    /// Ends a leg; `then` is told once its usage is durable.
    pub(crate) fn leave(&mut self, at: Key, then: Event, now: Now, out: &mut Out) {
        let Some(mut peer) = self.peers.remove(at) else { return };
        peer.close(now, &mut out.datagrams);
        peer.usage.advance(now.instant, now.wall);
        self.past += peer.counts();
        out.events.extend(peer.close_tap().map(|file| Event::Tapped { leg: peer.leg, file }));
        out.usage.push((peer.usage.take_changed(), Some(then)));
        self.speakers.forget(peer.leg);
        self.assign_all(now, out);
    }

    /// A datagram for a leg.
    pub(crate) fn receive(&mut self, at: Key, incoming: &Incoming<'_>, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let mut said = std::mem::take(&mut self.said);
        peer.receive(incoming, now, &mut out.datagrams, &mut said);
        self.queue(at, now.instant);
        out.touched.push(at);
        self.attend(at, &mut said, now, out);
        self.said = said;
    }

    /// A timer has run out that was set for this peer.
    pub(crate) fn timer(&mut self, at: Key, set_for: Instant, now: Now, out: &mut Out) {
        // One that an earlier timer has overtaken counts no more.
        let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.timer == Some(set_for)) else { return };
        peer.timer = None;
        let is_due = peer.deadline <= now.instant;
        self.queue(at, now.instant);
        if is_due {
            self.wake(at, now, out);
        } else {
            out.touched.push(at);
        }
    }

    /// A leg's deadline has come.
    pub(crate) fn wake(&mut self, at: Key, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let mut said = peer.wake(now, &mut out.datagrams);
        out.touched.push(at);
        self.attend(at, &mut said, now, out);
    }

    /// What is due every 100 ms.
    pub(crate) fn tick(&mut self, now: Now, out: &mut Out) {
        if let Some(legs) = self.speakers.tick(now.instant) {
            // One part speaks for all: they hear the same.
            if self.elsewhere.shards().all(|shard| shard > self.shards.own) {
                out.events.push(Event::Speakers { room: self.id, legs });
            }
            self.assign_all(now, out);
        }
        self.tell(now, out);
        if let Some(shard) = self.elsewhere.silent(now.instant) {
            self.relayed(shard, Word::Closed, now, out);
        }
        for at in self.peers.keys() {
            let Some(peer) = self.peers.get_mut(at) else { continue };
            if peer.is_lost(now.instant) {
                let leg = peer.leg;
                self.leave(at, Event::Lost { leg }, now, out);
                continue;
            }
            let (leg, tapped) = (peer.leg, peer.close_tap_if_over(now.instant));
            out.events.extend(tapped.map(|file| Event::Tapped { leg, file }));
            let mut said = peer.tick(now);
            self.queue(at, now.instant);
            self.attend(at, &mut said, now, out);
            self.choose_layers(at, now, out);
            self.want_missing_keyframes(at);
        }
        self.tell_demand(now.instant, out);
        self.ask_keyframes(now, out);
        self.tell_quality(now.instant, out);
    }

    /// Tells publishers which encodings nobody is shown. Where a room goes on on another shard, somebody there may be.
    fn tell_demand(&mut self, now: Instant, out: &mut Out) {
        let is_alone = self.elsewhere.shards().next().is_none();
        let players = self.peers.values().flat_map(|peer| &peer.players);
        let shown: Vec<(TrackKey, Option<Rid>)> = players.flat_map(|slot| slot.player.encodings()).collect();
        for at in self.peers.keys() {
            let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.entered.is_some()) else { continue };
            let leg = peer.leg;
            for track in peer.tracks.iter_mut().filter(|track| track.is_playable()) {
                let (key, source) = (track.key, track.key.source);
                let is_wanted = |rid: Rid| !is_alone || shown.contains(&(key, Some(rid)));
                if let Some(rids) = track.demanded(is_wanted, now) {
                    let rids = rids.iter().map(ToString::to_string).collect();
                    out.events.push(Event::Resting { leg, source, rids });
                }
            }
        }
    }

    /// Whether [`Room::write`] has something to do.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Until when what waits is held back, as more of the same picture is about to come.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.incomplete_since.map(|since| since + TOGETHER)
    }

    /// Sends what waits.
    pub(crate) fn write(&mut self, now: Now, wire: &mut dyn Wire, buffer: &mut [u8], out: &mut Out) {
        self.incomplete_since = None;
        for at in self.waiting.drain(..) {
            if let Some(peer) = self.peers.get_mut(at) {
                peer.write(now, wire, buffer);
                if peer.is_early() {
                    out.touched.push(at);
                }
            }
        }
    }

    /// Puts a peer on the list of those who have something to send, if it has. Answers whether it is there.
    fn queue(&mut self, at: Key, now: Instant) -> bool {
        let Some(peer) = self.peers.get_mut(at) else { return false };
        if peer.begins_to_wait(now) {
            self.waiting.push(at);
        }
        peer.queued
    }

    /// The counters that changed.
    pub(crate) fn checkpoint(&mut self, now: Now, facts: &mut Vec<UsageFact>) {
        for peer in self.peers.values_mut().filter(|peer| peer.entered.is_some()) {
            peer.usage.advance(now.instant, now.wall);
            facts.extend(peer.usage.take_changed());
        }
    }

    /// What was counted here so far.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.past;
        self.peers.values().for_each(|peer| counts += peer.counts());
        counts
    }

    /// How it stands.
    pub(crate) fn look(&self) -> RoomLook {
        let entered = self.peers.values().filter(|peer| peer.entered.is_some()).count();
        let lobby = self.peers.values().count() - entered;
        RoomLook { room: self.id, lobby, entered, counts: self.counts() }
    }

    /// Tells how the connections do, when it is time.
    fn tell_quality(&mut self, now: Instant, out: &mut Out) {
        let due = *self.quality_at.get_or_insert(now + quality::EVERY);
        if now < due {
            return;
        }
        self.quality_at = Some(now + quality::EVERY);
        let entered = self.peers.values_mut().filter(|peer| peer.entered.is_some());
        let legs: Vec<_> = entered.map(|peer| peer.quality(now)).collect();
        if !legs.is_empty() {
            out.events.push(Event::Quality { room: self.id, legs });
        }
    }

    /// Acts on all that a connection said, and leaves nothing of it.
    fn attend(&mut self, at: Key, said: &mut Said, now: Now, out: &mut Out) {
        if std::mem::take(&mut said.connected)
            && let Some(peer) = self.peers.get(at)
        {
            out.events.push(Event::Connected { leg: peer.leg });
        }
        for mid in said.keyframes_for.drain(..) {
            self.peers.get_mut(at).into_iter().for_each(Peer::wants_keyframe);
            let slot = self.peers.get(at).and_then(|peer| peer.players.iter().find(|slot| slot.mid == mid));
            let player = slot.map(|slot| &slot.player).filter(|player| !player.is_paused());
            if let Some((track, layer)) = player.and_then(|player| player.wanted()) {
                self.want_keyframe(track, layer, now, out);
            }
        }
        for packet in said.packets.drain(..) {
            self.forward(at, packet, now, out);
        }
        for (delivery, message) in said.messages.drain(..) {
            self.pass_on(at, delivery, &message, now, out);
        }
    }

    /// A message of somebody here, to those in the call that it is for. What its sender cannot afford is cut here; only
    /// the people on this shard are told how much that was.
    fn pass_on(&mut self, sender: Key, delivery: Delivery, bytes: &[u8], now: Now, out: &mut Out) {
        let Some(message) = Message::parse(bytes) else { return };
        let Some(peer) = self.peers.get_mut(sender).filter(|peer| peer.may_write()) else { return };
        let (from, affords) = (peer.leg, peer.can_afford(bytes.len(), now.instant));
        self.hand_out(&message, (from, delivery, affords.then_some(bytes.len())), now, out);
        if affords {
            for shard in self.elsewhere.shards() {
                let word = Word::Message { from, delivery, bytes: bytes.into() };
                out.relays.push((shard, Relay { room: self.id, word }));
            }
        }
    }

    /// Gives a message of so many bytes to those here that it is for; `None` is one that was cut.
    fn hand_out(
        &mut self,
        message: &Message<'_>,
        (from, delivery, bytes): (LegId, Delivery, Option<usize>),
        now: Now,
        out: &mut Out,
    ) {
        for at in self.peers.keys() {
            let fan_out = self.fan_out.get_or_insert_with(|| Allowance::for_fan_out(now.instant));
            let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.entered.is_some()) else { continue };
            if peer.leg == from || !message.is_for(peer.leg) {
                continue;
            }
            let Some(bytes) = bytes.filter(|_| fan_out.is_left(now.instant)) else {
                peer.miss(delivery);
                continue;
            };
            fan_out.spend(bytes);
            if let Some(mut said) = peer.deliver(message, from, delivery, now, &mut out.datagrams) {
                out.touched.push(at);
                self.attend(at, &mut said, now, out);
            }
        }
    }

    /// A packet of a publisher here, to everybody who shows it.
    fn forward(&mut self, at: Key, packet: RtpPacket, now: Now, out: &mut Out) {
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
    fn deliver(&mut self, packet: &Arc<Packet>, now: Now, out: &mut Out) -> bool {
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
        for (subscriber, slot) in route.iter() {
            self.play(*subscriber, *slot, packet, now, out);
        }
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
                    self.told = None;
                }
                let (gone, is_more) = self.elsewhere.listen(shard, &playlist, now.instant);
                self.replay_changed(&gone, is_more, now, out);
                self.tell(now, out);
            }
            Word::Closed => {
                let gone = self.elsewhere.forget(shard);
                self.replay_changed(&gone, false, now, out);
            }
        }
    }

    fn replay_changed(&mut self, gone: &[TrackKey], is_more: bool, now: Now, out: &mut Out) {
        let silent = gone.iter().filter(|track| track.source == Source::Microphone);
        silent.for_each(|track| self.speakers.forget(track.leg));
        if is_more || !gone.is_empty() {
            self.assign_all(now, out);
        }
    }

    /// Tells the other shards what there is to play here, when that has changed and now and then.
    fn tell(&mut self, now: Now, out: &mut Out) {
        if self.shards.count == 1 {
            return;
        }
        let playlist = self.own_playlist();
        let is_known = self.told.as_ref().is_some_and(|(at, told)| {
            told[..] == playlist[..] && now.instant.saturating_duration_since(*at) < TELL_EVERY
        });
        if is_known {
            return;
        }
        let playlist = Playlist::from(playlist);
        for shard in self.shards.others() {
            let word = Word::Playlist(playlist.clone());
            out.relays.push((shard, Relay { room: self.id, word }));
        }
        self.told = Some((now.instant, playlist));
    }

    /// Oldest leg first.
    fn own_playlist(&self) -> Vec<(Entered, TrackKey)> {
        let tracks = self.peers.values().filter_map(|peer| Some((peer.entered?, &peer.tracks)));
        let tracks = tracks.flat_map(|(entered, tracks)| tracks.iter().map(move |track| (entered, track)));
        let playable = tracks.filter(|(_, track)| track.is_playable());
        let mut playlist: Vec<_> = playable.map(|(entered, track)| (entered, track.key)).collect();
        playlist.sort_by_key(|(entered, _)| *entered);
        playlist
    }

    fn play(&mut self, at: Key, slot: usize, packet: &Arc<Packet>, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let Some(mut said) = peer.play(slot, packet, now, &mut out.datagrams) else { return };
        if !self.queue(at, now.instant) {
            out.touched.push(at);
            self.attend(at, &mut said, now, out);
        }
    }

    /// Makes a shared packet of what str0m received; `None` from the lobby or on a line without a source.
    fn packet(&mut self, at: Key, packet: RtpPacket, now: Now) -> Option<Arc<Packet>> {
        let peer = self.peers.get_mut(at)?;
        if peer.entered.is_none() {
            peer.ignore_from_lobby();
            return None;
        }
        let ssrc = packet.header.ssrc;
        let (mid, rid) = peer.rtc.direct_api().stream_rx(&ssrc).map(|stream| (stream.mid(), stream.rid()))?;
        let track = peer.tracks.iter_mut().find(|track| track.mid == mid)?;
        let pt = packet.header.payload_type;
        let params = peer.rtc.codec_config().params();
        let params = params.iter().find(|params| params.pt() == pt || params.red() == Some(pt))?;
        let codec = params.spec();
        let primary_at = match params.red() == Some(pt) {
            true => Some(red::primary_at(&packet.payload)?),
            false => None,
        };
        let source = SourceId { track: track.key, rid, ssrc: *ssrc };
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

    fn assign_all(&mut self, now: Now, out: &mut Out) {
        let playable = self.playable();
        let mut changed = false;
        for at in self.peers.keys() {
            changed |= self.assign_from(&playable, at, now, out);
        }
        self.find_routes();
        if changed {
            self.ask_keyframes(now, out);
        }
    }

    /// Decides what plays in a subscriber's slots, and starts what is new there.
    fn assign(&mut self, at: Key, now: Now, out: &mut Out) {
        let playable = self.playable();
        if self.assign_from(&playable, at, now, out) {
            self.find_routes();
            self.ask_keyframes(now, out);
        }
    }

    /// Answers whether something changed.
    fn assign_from(&mut self, playable: &Playable, at: Key, now: Now, out: &mut Out) -> bool {
        let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.entered.is_some()) else { return false };
        let mut changes = peer.slots.assign(Kind::Video, &playable.video_for(peer));
        changes.extend(peer.slots.assign(Kind::Audio, &playable.audio_for(peer)));
        if changes.is_empty() {
            return false;
        }
        out.events.push(Event::Slots { leg: peer.leg, slots: changes.clone() });
        let choices = self.choices(at, now.instant);
        for change in changes {
            let choice = choices.iter().find(|(_, track, _)| Some(*track) == change.track);
            self.fill(at, &change, choice.map(|(_, _, choice)| *choice), now, out);
        }
        true
    }

    fn fill(&mut self, at: Key, change: &SlotTrack, choice: Option<Choice>, now: Now, out: &mut Out) {
        let layer = match choice {
            Some(Choice::Layer(layer) | Choice::Less(layer)) => layer,
            Some(Choice::Pause) | None => LayerId::ALL,
        };
        let Some(peer) = self.peers.get_mut(at) else { return };
        let mid = str0m::media::Mid::from(change.mid.as_str());
        let Some(slot) = peer.players.iter().position(|slot| slot.mid == mid) else { return };
        let player = &mut peer.players[slot].player;
        let is_new = player.want(change.track.map(|track| (track, layer)));
        match (change.track, choice) {
            (Some(_), Some(Choice::Pause)) => {
                player.pause();
            }
            (Some(track), _) if is_new => self.start(at, slot, track, layer, now, out),
            _ => {}
        }
    }

    /// Shows a picture at once where one is kept, and asks for the wanted one where that is another.
    fn start(&mut self, at: Key, slot: usize, key: TrackKey, layer: LayerId, now: Now, out: &mut Out) {
        if key.source.kind() == Kind::Audio {
            return;
        }
        let kept = self.track(key).and_then(|track| track.quickest_picture(layer, now.instant));
        if let Some((quick, packets)) = kept {
            self.want(at, slot, key, quick);
            for packet in packets {
                self.play(at, slot, &packet, now, out);
            }
        }
        self.want(at, slot, key, layer);
        if let Some(peer) = self.peers.get(at)
            && !peer.players[slot].player.is_settled()
            && let Some(track) = self.track_mut(key)
        {
            track.want_keyframe(layer.rid);
        }
    }

    fn want(&mut self, at: Key, slot: usize, track: TrackKey, layer: LayerId) {
        if let Some(peer) = self.peers.get_mut(at) {
            peer.players[slot].player.want(Some((track, layer)));
        }
    }

    /// Takes the layers that fit the line and the sizes on screen. What plays goes on until the other layer's keyframe
    /// comes.
    fn choose_layers(&mut self, at: Key, now: Now, out: &mut Out) {
        for (slot, track, choice) in self.choices(at, now.instant) {
            let Some(peer) = self.peers.get_mut(at) else { return };
            let is_new = match choice {
                Choice::Layer(layer) => peer.players[slot].player.want(Some((track, layer))),
                Choice::Less(layer) => {
                    peer.pause(slot);
                    peer.players[slot].player.want(Some((track, layer)))
                }
                Choice::Pause => peer.pause(slot),
            };
            if is_new {
                peer.trace_line(now.instant, &choice);
            }
            let is_settled = peer.players[slot].player.is_settled();
            if is_new
                && !is_settled
                && let Choice::Layer(layer) | Choice::Less(layer) = choice
            {
                self.want_keyframe(track, layer, now, out);
            }
        }
    }

    /// What each picture of a subscriber is to do: by its line, where that is known, and by its size on screen.
    fn choices(&mut self, at: Key, now: Instant) -> Vec<(usize, TrackKey, Choice)> {
        let Some(peer) = self.peers.get(at) else { return Vec::new() };
        let Some(capacity) = peer.capacity(now) else { return self.choices_by_size(at, now) };
        let shown: Vec<_> = peer
            .slots
            .tracks()
            .filter_map(|(slot, key)| {
                let track = self.track(key)?;
                Some((slot, key, track.offered(now)))
            })
            .collect();
        let mut wanted: Vec<Wanted<'_>> = shown
            .iter()
            .map(|(_, track, layers)| Wanted {
                track: *track,
                width: peer.width_of(*track),
                speaks: self.speakers.is_speaking(track.leg),
                layers,
            })
            .collect();
        wanted.sort_by_key(|wanted| peer.importance_of(wanted.track));
        let Some(peer) = self.peers.get_mut(at) else { return Vec::new() };
        peer.set_goal_bps(goal_bps(&wanted));
        let given = peer.allocator.allocate(&capacity, &wanted, now);
        let pictures = shown
            .iter()
            .filter(|(_, track, layers)| track.source.kind() == Kind::Video && !layers.is_empty());
        pictures
            .map(|(slot, track, layers)| {
                let layer = given.iter().find(|given| given.track == *track).and_then(|given| given.layer);
                let playing = peer.players[*slot].player.playing_rid(*track);
                let playing = layers.iter().rfind(|layer| Some(layer.id.rid) == playing);
                (*slot, *track, Choice::of(layer, playing, &capacity))
            })
            .collect()
    }

    /// The same for a subscriber of whose line nothing can be known.
    fn choices_by_size(&self, at: Key, now: Instant) -> Vec<(usize, TrackKey, Choice)> {
        let Some(peer) = self.peers.get(at) else { return Vec::new() };
        let pictures = peer.slots.tracks().filter(|(_, key)| key.source.kind() == Kind::Video);
        let layer_of = |(slot, key): (usize, TrackKey)| {
            let wanted = peer.players[slot].player.wanted().filter(|(track, _)| *track == key);
            let current = wanted.map_or(LayerId::ALL, |(_, layer)| layer);
            let layer = self.track(key)?.layer_for(peer.width_of(key), current, now);
            Some((slot, key, Choice::Layer(layer)))
        };
        pictures.filter_map(layer_of).collect()
    }

    /// What there is to play.
    fn playable(&self) -> Playable {
        let mut playlist = self.own_playlist();
        playlist.extend(self.elsewhere.playlist());
        playlist.sort_by_key(|(entered, _)| *entered);
        let tracks = playlist.into_iter().map(|(_, track)| track);
        let (video, audio): (Vec<TrackKey>, Vec<_>) =
            tracks.partition(|track| track.source.kind() == Kind::Video);
        let (mut audio, voices): (Vec<TrackKey>, Vec<TrackKey>) =
            audio.into_iter().partition(|track| track.source == Source::ScreenAudio);
        let mut legs: Vec<LegId> = voices.iter().map(|track| track.leg).collect();
        self.speakers.rank(&mut legs);
        audio.extend(legs.into_iter().map(|leg| TrackKey { leg, source: Source::Microphone }));
        Playable { video, audio }
    }

    fn find_routes(&mut self) {
        let mut routes: BTreeMap<TrackKey, Vec<(Key, usize)>> = BTreeMap::new();
        for at in self.peers.keys() {
            let players = self.peers.get(at).map_or(&[][..], |peer| &peer.players);
            for (slot, place) in players.iter().enumerate() {
                for track in place.player.tracks() {
                    routes.entry(track).or_default().push((at, slot));
                }
            }
        }
        let own = self.peers.values_mut().flat_map(|peer| peer.tracks.iter_mut());
        for track in own.chain(self.elsewhere.tracks_mut().map(|(_, track)| track)) {
            track.route = routes.remove(&track.key).unwrap_or_default().into();
        }
    }

    /// A slot that still waits for its picture: the request, or the keyframe, may have been lost.
    fn want_missing_keyframes(&mut self, at: Key) {
        let Some(peer) = self.peers.get(at) else { return };
        let waiting = peer.players.iter().filter(|slot| !slot.player.is_settled());
        let missing: Vec<_> = waiting.filter_map(|slot| slot.player.wanted()).collect();
        for (key, layer) in missing {
            if let Some(track) = self.track_mut(key) {
                track.want_keyframe(layer.rid);
            }
        }
    }

    fn want_keyframe(&mut self, key: TrackKey, layer: LayerId, now: Now, out: &mut Out) {
        if let Some(track) = self.track_mut(key) {
            track.want_keyframe(layer.rid);
        }
        match self.peers.key_of(key.leg) {
            Some(publisher) => self.ask_keyframes_of(publisher, now, out),
            None => self.ask_keyframes_elsewhere(now, out),
        }
    }

    /// Asks all publishers where somebody waits and the last request is long enough ago.
    fn ask_keyframes(&mut self, now: Now, out: &mut Out) {
        for at in self.peers.keys() {
            self.ask_keyframes_of(at, now, out);
        }
        self.ask_keyframes_elsewhere(now, out);
    }

    fn ask_keyframes_elsewhere(&mut self, now: Now, out: &mut Out) {
        for (shard, track) in self.elsewhere.tracks_mut() {
            for rid in track.ask_keyframes(now.instant) {
                let word = Word::Keyframe(track.key, rid);
                out.relays.push((shard, Relay { room: self.id, word }));
            }
        }
    }

    fn ask_keyframes_of(&mut self, at: Key, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at) else { return };
        let due = peer.tracks.iter_mut().map(|track| (track.mid, track.ask_keyframes(now.instant)));
        let due: Vec<_> = due.flat_map(|(mid, rids)| rids.into_iter().map(move |rid| (mid, rid))).collect();
        let said: Vec<Said> =
            due.into_iter().map(|(mid, rid)| peer.ask_keyframe(mid, rid, now, &mut out.datagrams)).collect();
        if !said.is_empty() {
            out.touched.push(at);
        }
        for mut said in said {
            self.attend(at, &mut said, now, out);
        }
    }

    /// A publisher that already sends when it enters or unmutes is asked for a keyframe, which is what all others need.
    fn ask_first_keyframes(&mut self, at: Key, now: Now, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(at).filter(|peer| peer.entered.is_some()) else { return };
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
        out.touched.push(at);
        for mut said in said {
            self.attend(at, &mut said, now, out);
        }
    }

    fn track(&self, key: TrackKey) -> Option<&crate::track::Track> {
        match self.peers.of(key.leg) {
            Some(peer) => peer.tracks.iter().find(|track| track.key == key),
            None => self.elsewhere.track(key),
        }
    }

    fn track_mut(&mut self, key: TrackKey) -> Option<&mut crate::track::Track> {
        match self.peers.of_mut(key.leg) {
            Some(peer) => peer.tracks.iter_mut().find(|track| track.key == key),
            None => self.elsewhere.track_mut(key),
        }
    }
}
