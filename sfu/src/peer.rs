//! One leg: its str0m connection, what it publishes, what its slots play and what it used.
//!
//! str0m's law is kept in [`Peer::drain`]: after each single change its outputs are taken until it answers with a time.

mod ceiling;
mod insight;
mod messaging;
mod slot_player;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use str0m::media::{KeyframeRequestKind, Mid, Rid};
use str0m::net::Receive;
use str0m::rtp::RtpPacket;
use str0m::{Event as RtcEvent, Input, Output, Rtc};

use crate::allowance::Allowance;
use crate::capture::CaptureClock;
use crate::congestion::allocate::{Allocator, Capacity};
use crate::consent::Consents;
use crate::control::{Kind, LegId, SendLine, Source, TenantId, TrackKey, Want};
use crate::demux::DATAGRAM_BYTES_MAX;
use crate::egress::train::Train;
use crate::egress::{Egress, Outgoing, Path, Wire};
use crate::fast_join;
use crate::forward::Packet;
use crate::messages::{Delivery, Mailbox};
use crate::metrics::{Counts, Dropped};
use crate::quality::{Rates, Uplink};
use crate::relay::Entered;
use crate::remote::Remote;
use crate::repairs::Repairs;
use crate::rtcp;
use crate::slots::Slots;
use crate::sources::Sources;
use crate::tap::Tap;
use crate::track::Track;
use crate::usage::LegUsage;
use ceiling::Ceiling;
pub(crate) use slot_player::SlotPlayer;

/// Silence after which a leg is lost.
const LOST_AFTER: Duration = Duration::from_secs(15);
/// A leg that never said anything has longer: its answer may still be on its way.
const UNHEARD_AFTER: Duration = Duration::from_secs(30);

/// A datagram to send.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) local: SocketAddr,
    pub(crate) remote: Remote,
    pub(crate) bytes: Vec<u8>,
}

/// A datagram that the door let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming<'a> {
    pub(crate) local: SocketAddr,
    pub(crate) remote: Remote,
    pub(crate) bytes: &'a [u8],
    /// A check with the right integrity.
    pub(crate) authenticated: bool,
}

/// What a connection said while it was drained.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) packets: Vec<RtpPacket>,
    /// Slots that need a keyframe.
    pub(crate) keyframes_for: Vec<Mid>,
    pub(crate) connected: bool,
    /// Messages for others, and how they are to travel.
    pub(crate) messages: Vec<(Delivery, Vec<u8>)>,
}

/// Time as the driver read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) wall: Timestamp,
}

/// What proves that a datagram is the leg's own.
#[derive(Debug)]
pub(crate) struct Secrets {
    pub(crate) sources: Sources,
    /// Of our own ICE credentials.
    pub(crate) password: String,
}

/// One participant's connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) leg: LegId,
    pub(crate) rtc: Rtc,
    pub(crate) usage: LegUsage,
    /// When the click came.
    pub(crate) entered: Option<Entered>,
    pub(crate) tracks: Vec<Track>,
    pub(crate) slots: Slots,
    pub(crate) players: Vec<SlotPlayer>,
    pub(crate) view: Option<Vec<Want>>,
    /// When str0m wants to be called.
    pub(crate) deadline: Instant,
    /// The entry of the shard's timers that counts: no later than [`Peer::due_at`].
    pub(crate) timer: Option<Instant>,
    /// On the room's list of those who have something to send.
    pub(crate) queued: bool,
    pub(crate) clock: CaptureClock,
    counts: Counts,
    uplink: Uplink,
    rates: Rates,
    /// Open while somebody looks for a fault.
    tap: Option<Box<Tap>>,
    egress: Box<dyn Egress>,
    /// Who gets how much of this subscriber's line.
    pub(crate) allocator: Allocator,
    /// Where checks said that it can be reached.
    path: Option<Path>,
    joined_at: Instant,
    heard_at: Option<Instant>,
    /// Cleared once a path was nominated.
    nominate: Option<String>,
    broken: bool,
    sources: Sources,
    allowance: Allowance,
    /// Of somebody whose plan limits what is sent.
    ceiling: Option<Ceiling>,
    repairs: Repairs,
    consents: Consents,
    /// Where the datagram at hand came from.
    remote: Option<Remote>,
    muted: Vec<(Source, bool)>,
    mailbox: Mailbox,
}

impl Peer {
    /// A leg in the lobby.
    pub(crate) fn new(
        leg: LegId,
        tenant: TenantId,
        rtc: Rtc,
        egress: Box<dyn Egress>,
        secrets: Secrets,
        now: Instant,
    ) -> Self {
        Peer {
            leg,
            rtc,
            usage: LegUsage::new(tenant, leg),
            entered: None,
            tracks: Vec::new(),
            slots: Slots::default(),
            players: Vec::new(),
            view: None,
            deadline: now,
            timer: None,
            queued: false,
            clock: CaptureClock::default(),
            counts: Counts::default(),
            uplink: Uplink::default(),
            rates: Rates::default(),
            tap: None,
            egress,
            allocator: Allocator::default(),
            path: None,
            joined_at: now,
            heard_at: None,
            nominate: Some(secrets.password),
            broken: false,
            sources: secrets.sources,
            allowance: Allowance::new(now),
            ceiling: None,
            repairs: Repairs::new(),
            consents: Consents::default(),
            remote: None,
            muted: Vec::new(),
            mailbox: Mailbox::new(Allowance::for_messages(now)),
        }
    }

    /// Takes on the lines of an answered offer.
    pub(crate) fn add_lines<'a>(&mut self, sends: &[SendLine], slots: impl Iterator<Item = (&'a str, Kind)>) {
        for send in sends {
            let key = TrackKey { leg: self.leg, source: send.source };
            let mid = Mid::from(send.mid.as_str());
            match self.tracks.iter_mut().find(|track| track.key == key) {
                Some(track) if track.mid == mid => {}
                Some(track) => *track = Track::new(key, mid),
                None => self.tracks.push(Track::new(key, mid)),
            }
        }
        for (source, muted) in self.muted.clone() {
            self.mute(source, muted);
        }
        for (mid, kind) in slots {
            if !self.slots.contains(mid) {
                self.slots.add(mid, kind);
                self.players.push(SlotPlayer::new(Mid::from(mid), kind));
            }
        }
    }

    /// Remembers a mute also for a line that is yet to come.
    pub(crate) fn mute(&mut self, source: Source, muted: bool) {
        self.muted.retain(|(other, _)| *other != source);
        self.muted.push((source, muted));
        if let Some(track) = self.tracks.iter_mut().find(|track| track.key.source == source) {
            track.mute(muted);
        }
    }

    /// Takes a datagram, unless the leg has sent more than its share or did not send it at all.
    pub(crate) fn receive(
        &mut self,
        incoming: &Incoming<'_>,
        now: Now,
        out: &mut Vec<Datagram>,
        said: &mut Said,
    ) {
        if !self.allowance.is_left(now.instant) {
            self.counts.drop(Dropped::Excess);
            return;
        }
        self.remote = Some(incoming.remote);
        let is_genuine = if incoming.authenticated {
            self.take_check(incoming, now, out, said);
            true
        } else if rtcp::is_rtcp(incoming.bytes) {
            self.take_report(incoming, now, out, said)
        } else {
            self.take_media(incoming, now, out, said)
        };
        self.remote = None;
        if is_genuine {
            self.allowance.spend(incoming.bytes.len());
        }
    }

    /// A datagram that is the leg's.
    fn note(&mut self, incoming: &Incoming<'_>, now: Now) {
        self.counts.received(incoming.bytes.len());
        if let Some(tap) = &mut self.tap {
            tap.came(incoming.bytes, now.wall);
        }
    }

    /// A check with the right integrity.
    fn take_check(&mut self, incoming: &Incoming<'_>, now: Now, out: &mut Vec<Datagram>, said: &mut Said) {
        self.note(incoming, now);
        self.hear(now);
        self.follow(incoming, now.instant);
        self.feed(incoming, incoming.bytes, now.instant);
        self.drain(now, out, said);
        if let Some(password) = self.nominate.take()
            && let Some(copy) = fast_join::nominating_copy(incoming.bytes, &password)
        {
            self.feed(incoming, &copy, now.instant);
            let first = out.len();
            self.drain(now, out, said);
            // The browser asked once and was answered above.
            if let Some(answer) = out[first..].iter().position(|sent| fast_join::is_stun(&sent.bytes)) {
                out.remove(first + answer);
            }
        }
    }

    /// SRTCP: opened here, once. Answers whether the leg has just sent it.
    fn take_report(
        &mut self,
        incoming: &Incoming<'_>,
        now: Now,
        out: &mut Vec<Datagram>,
        said: &mut Said,
    ) -> bool {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        let Some(buffer) = buffer.get_mut(..incoming.bytes.len()) else { return false };
        buffer.copy_from_slice(incoming.bytes);
        let Some(report) = self.sources.open_report(buffer) else {
            self.counts.drop(Dropped::Unproven);
            return false;
        };
        self.note(incoming, now);
        self.hear(now);
        said.keyframes_for = self.egress.hear(report, now);
        if self.egress.leaves_feedback_to_str0m() || rtcp::is_of_a_sender(report) {
            self.feed(incoming, incoming.bytes, now.instant);
            self.drain(now, out, said);
        }
        true
    }

    /// SRTP and DTLS. Answers whether it has proven to be the leg's.
    fn take_media(
        &mut self,
        incoming: &Incoming<'_>,
        now: Now,
        out: &mut Vec<Datagram>,
        said: &mut Said,
    ) -> bool {
        if !self.sources.admits(incoming.bytes) {
            self.counts.drop(Dropped::Unproven);
            return false;
        }
        self.note(incoming, now);
        self.feed(incoming, incoming.bytes, now.instant);
        self.drain(now, out, said);
        !said.packets.is_empty()
    }

    /// Lets time pass.
    pub(crate) fn wake(&mut self, now: Now, out: &mut Vec<Datagram>) -> Said {
        let mut said = Said::default();
        self.check(|rtc| rtc.handle_input(Input::Timeout(now.instant)));
        self.drain(now, out, &mut said);
        said
    }

    /// Offers a packet to one slot; `None` when it does not play there.
    pub(crate) fn play(
        &mut self,
        slot: usize,
        packet: &Arc<Packet>,
        now: Now,
        out: &mut Vec<Datagram>,
    ) -> Option<Said> {
        let place = self.players.get_mut(slot)?;
        let types = place.types_for(&self.rtc, packet)?;
        let rewritten = place.player.take(packet)?;
        let outgoing = Outgoing { slot, mid: place.mid, types, rewritten, packet };
        let is_for_str0m = self.egress.send(&mut self.rtc, &outgoing);
        Some(if is_for_str0m { self.wake(now, out) } else { Said::default() })
    }

    /// Lets an offer be answered, with the egress on both sides of it.
    pub(crate) fn answer<T>(&mut self, answer: impl FnOnce(&mut Rtc) -> T) -> T {
        self.egress.before_answer(&mut self.rtc);
        answer(&mut self.rtc)
    }

    /// Lets the egress have the lines of the answer.
    pub(crate) fn answered(&mut self) {
        let mids: Vec<Mid> = self.players.iter().map(|slot| slot.mid).collect();
        self.egress.after_answer(&mut self.rtc, &mids);
    }

    /// What is due every 100 ms.
    pub(crate) fn tick(&mut self, now: Now) -> Said {
        Said { keyframes_for: self.egress.tick(now), ..Said::default() }
    }

    /// How wide this subscriber shows a picture, if it said so.
    pub(crate) fn width_of(&self, track: TrackKey) -> Option<u32> {
        let wants = self.view.as_ref()?;
        wants.iter().find(|want| want.track == track).map(|want| want.width)
    }

    /// Where a picture stands among those that this subscriber shows; the first is the most important.
    pub(crate) fn importance_of(&self, track: TrackKey) -> usize {
        let place = self.view.as_ref().and_then(|wants| wants.iter().position(|want| want.track == track));
        place.unwrap_or(usize::MAX)
    }

    /// What this subscriber's line takes; `None` when nothing can be known of it.
    pub(crate) fn capacity(&self, now: Instant) -> Option<Capacity> {
        self.egress.capacity(now)
    }

    /// Stops a slot's picture at once, with what waits of it and what might be sent again. Answers whether it did play.
    pub(crate) fn pause(&mut self, slot: usize) -> bool {
        self.egress.drop_picture(slot);
        self.players.get_mut(slot).is_some_and(|slot| slot.player.pause())
    }

    /// What this subscriber would be sent if its line were no limit, in bit/s.
    pub(crate) fn set_goal_bps(&mut self, goal_bps: u64) {
        self.egress.set_goal_bps(goal_bps);
    }

    /// When something has to be done here, if nothing comes before.
    pub(crate) fn due_at(&self) -> Instant {
        // Who is on the list of those who have something to send is written to without being woken.
        let wake_at = self.egress.wake_at().filter(|_| !self.queued);
        wake_at.map_or(self.deadline, |at| at.min(self.deadline))
    }

    /// Whether no timer of the shard's is early enough.
    pub(crate) fn is_early(&self) -> bool {
        let wake_at = self.egress.wake_at();
        wake_at.is_some_and(|at| self.timer.is_none_or(|timer| timer > at))
    }

    /// Whether [`Peer::write`] has something to do.
    fn is_waiting(&self, now: Instant) -> bool {
        self.path.is_some() && self.egress.is_waiting(now)
    }

    /// Whether it has something to send and is not on the room's list yet; it is now.
    pub(crate) fn begins_to_wait(&mut self, now: Instant) -> bool {
        let begins = !self.queued && self.is_waiting(now);
        self.queued |= begins;
        begins
    }

    /// Sends what waits.
    pub(crate) fn write(&mut self, now: Now, wire: &mut dyn Wire, buffer: &mut [u8]) {
        self.queued = false;
        let Some(path) = self.path.filter(|path| self.consents.has(path.remote, now.instant)) else {
            return self.egress.discard();
        };
        let mut wire = Counted { wire, packets: 0, tap: self.tap.as_deref_mut(), wall: now.wall };
        let sent = self.egress.write(now, Train::new(&mut wire, path, buffer));
        self.counts.sent(wire.packets, sent);
        self.usage.sent(sent);
    }

    /// Media came from the lobby.
    pub(crate) fn ignore_from_lobby(&mut self) {
        self.counts.drop(Dropped::Lobby);
    }

    /// The subscriber cannot go on with a picture.
    pub(crate) fn wants_keyframe(&mut self) {
        self.counts.keyframes_wanted += 1;
    }

    /// Asks this publisher for a keyframe of a line.
    pub(crate) fn ask_keyframe(
        &mut self,
        mid: Mid,
        rid: Option<Rid>,
        now: Now,
        out: &mut Vec<Datagram>,
    ) -> Said {
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, rid) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
            self.counts.keyframes_asked += 1;
        }
        self.wake(now, out)
    }

    /// Says goodbye on the wire.
    pub(crate) fn close(&mut self, now: Now, out: &mut Vec<Datagram>) {
        self.check(Rtc::close);
        self.drain(now, out, &mut Said::default());
    }

    /// The connection cannot be trusted any more.
    pub(crate) fn give_up(&mut self) {
        self.broken = true;
    }

    /// Whether the connection is over without anybody having said so.
    pub(crate) fn is_lost(&self, now: Instant) -> bool {
        let silent = match self.heard_at {
            Some(at) => now.saturating_duration_since(at) >= LOST_AFTER,
            None => now.saturating_duration_since(self.joined_at) >= UNHEARD_AFTER,
        };
        silent || self.broken || !self.rtc.is_alive()
    }

    /// Gives a datagram to str0m as if it had come as `incoming`.
    fn feed(&mut self, incoming: &Incoming<'_>, datagram: &[u8], now: Instant) {
        let Incoming { local, remote, .. } = *incoming;
        let Ok(received) = Receive::new(remote.protocol(), remote.address, local, datagram) else {
            return;
        };
        if let Err(error) = self.rtc.handle_input(Input::Receive(now, received))
            && !self.rtc.is_alive()
        {
            // A single bad datagram may be anybody's, under a forged address: only a dead connection counts.
            self.fail(&error);
        }
    }

    /// Takes everything str0m has to say, until it names the time of its next word.
    fn drain(&mut self, now: Now, out: &mut Vec<Datagram>, said: &mut Said) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.deadline = at;
                    self.broken |= self.sources.are_in_vain();
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    let bytes = Vec::from(transmit.contents);
                    let newest = self.consents.newest(transmit.proto, transmit.destination);
                    let Some(remote) = newest else { continue };
                    if !self.may_leave(remote, &bytes, now.instant) {
                        continue;
                    }
                    if bytes.first().is_some_and(|byte| (128..192).contains(byte)) {
                        self.usage.sent(bytes.len());
                        self.counts.sent(1, bytes.len());
                        if let Some(tap) = &mut self.tap {
                            tap.left(&bytes, bytes.len(), now.wall);
                        }
                    }
                    out.push(Datagram { local: transmit.source, remote, bytes });
                }
                Ok(Output::Event(event)) => self.listen(event, now, said),
                Err(error) => {
                    self.fail(&error);
                    return;
                }
            }
        }
    }

    fn listen(&mut self, event: RtcEvent, now: Now, said: &mut Said) {
        match event {
            RtcEvent::Connected => said.connected = true,
            RtcEvent::RtpPacket(packet) => {
                self.hear(now);
                said.packets.push(packet);
            }
            RtcEvent::KeyframeRequest(request) => said.keyframes_for.push(request.mid),
            RtcEvent::ChannelOpen(id, _) => self.channel_opened(id),
            RtcEvent::ChannelData(data) => {
                let delivery = self.mailbox.delivery(&data);
                said.messages.extend(delivery.map(|delivery| (delivery, data.data)));
            }
            RtcEvent::Closed => self.broken = true,
            RtcEvent::MediaIngressStats(stats) => {
                let kind = self.rtc.media(stats.mid).map(|media| media.kind());
                let rate_hz = if kind.is_some_and(|kind| kind.is_audio()) { 48_000 } else { 90_000 };
                self.uplink.measured(&stats, rate_hz);
            }
            _ => {}
        }
    }

    /// The first check shows a path; a later one that nominates another moves to it.
    fn follow(&mut self, check: &Incoming<'_>, now: Instant) {
        let path = Path { local: check.local, remote: check.remote };
        match self.path {
            None => self.path = Some(path),
            Some(before) if before != path && fast_join::nominates(check.bytes) => {
                self.path = Some(path);
                // What was known of the line was the lost way's. Between two ways that work it is kept.
                if !self.consents.has(before.remote, now) {
                    self.allocator = Allocator::default();
                    self.egress.moved(now);
                }
            }
            Some(_) => {}
        }
    }

    fn hear(&mut self, now: Now) {
        self.heard_at = Some(now.instant);
        if let Some(remote) = self.remote {
            self.consents.heard(remote, now.instant);
        }
        self.usage.heard(now.instant, now.wall);
    }

    /// Whether a datagram that str0m wants to send is sent.
    fn may_leave(&mut self, to: Remote, datagram: &[u8], now: Instant) -> bool {
        if !self.consents.has(to, now) {
            return false;
        }
        let [128..192, kind, ..] = datagram else { return true };
        if self.is_repair(kind & 0x7f) {
            return self.repairs.spend(datagram.len());
        }
        self.repairs.earn(datagram.len());
        true
    }

    /// Whether a payload type is one of retransmissions (RFC 4588).
    fn is_repair(&self, payload_type: u8) -> bool {
        let params = self.rtc.codec_config().params();
        params.iter().any(|params| params.resend().is_some_and(|resend| *resend == payload_type))
    }

    fn check(&mut self, change: impl FnOnce(&mut Rtc) -> Result<(), str0m::RtcError>) {
        if let Err(error) = change(&mut self.rtc) {
            self.fail(&error);
        }
    }

    /// The error's text may hold addresses; its kind is enough here.
    fn fail(&mut self, _error: &str0m::RtcError) {
        if !self.broken {
            tracing::info!(leg = %self.leg.0, "a connection broke");
        }
        self.broken = true;
    }
}

/// A wire that counts datagrams and shows them to a tap.
struct Counted<'a> {
    wire: &'a mut dyn Wire,
    packets: usize,
    tap: Option<&'a mut Tap>,
    wall: Timestamp,
}

impl Wire for Counted<'_> {
    fn send(&mut self, path: Path, train: &[u8], segment: usize) {
        self.packets += train.len().div_ceil(segment.max(1));
        if let Some(tap) = &mut self.tap {
            tap.left(train, segment, self.wall);
        }
        self.wire.send(path, train, segment);
    }
}
