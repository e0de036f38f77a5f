//! Our own hot path: the header is written, the shared payload copied, renumbered and sealed in one buffer, and what goes
//! to one subscriber leaves in trains. str0m has no sending streams then: it can neither send on their SSRCs nor report
//! on them, so no nonce is used by both.

use std::time::{Instant, SystemTime};

use str0m::Rtc;
use str0m::media::Mid;

use super::header::ExtensionIds;
use super::report::{self, ntp_of};
use super::shaper::Shaper;
use super::stream::{Again, Pending, Stream};
use super::train::Train;
use super::{Egress, Outgoing};
use crate::congestion::Stats;
use crate::congestion::allocate::Capacity;
use crate::congestion::pacer::Class;
use crate::keys::Handshake;
use crate::metrics::{Counts, Dropped};
use crate::peer::Now;
use crate::quality::{Downlink, Measured};
use crate::repairs::Repairs;
use crate::rtcp::{self, Item, Report};
use crate::srtp::{SEAL_BYTES_MAX, Sealer};

/// Packets that wait for the handshake, or for the end of a turn, at most.
const PENDING_MAX: usize = 4_096;
/// A report that is full is sent without the streams that have no room in it; they are next.
const REPORT_BYTES_MAX: usize = 1_200;

/// The sending side of one connection.
#[derive(Debug)]
pub(crate) struct Own {
    handshake: Handshake,
    srtp: Option<Sealer>,
    repairs: Repairs,
    /// One a slot, in the slots' order; a line that was answered without sending has none.
    streams: Vec<Option<Stream>>,
    pending: Vec<Departure>,
    /// From the first packet on, of a connection that numbers its packets over all streams.
    shaper: Option<Box<Shaper<Departure>>>,
    wake_at: Option<Instant>,
    report_ssrc: u32,
    report_due: bool,
    /// Packets were dropped here: the slots' pictures need keyframes.
    overflowed: bool,
    /// The same, but nobody can be sent one yet.
    discarded: bool,
    counts: Counts,
    downlink: Downlink,
}

/// A packet and the slot that it leaves from.
type Departure = (usize, Leaving);

#[derive(Debug)]
enum Leaving {
    First(Pending),
    Again(Pending),
}

impl Leaving {
    /// How urgent it is, and about how long.
    fn class(&self) -> (Class, usize) {
        let (class, pending) = match self {
            Leaving::First(pending) if pending.is_sound() => (Class::Audio, pending),
            Leaving::First(pending) => (Class::Video, pending),
            Leaving::Again(pending) => (Class::Retransmission, pending),
        };
        (class, pending.size())
    }
}

impl Own {
    pub(crate) fn new(handshake: Handshake) -> Self {
        Own {
            handshake,
            srtp: None,
            repairs: Repairs::new(),
            streams: Vec::new(),
            pending: Vec::new(),
            shaper: None,
            wake_at: None,
            report_ssrc: 0,
            report_due: false,
            overflowed: false,
            discarded: false,
            counts: Counts::default(),
            downlink: Downlink::default(),
        }
    }

    fn push(&mut self, slot: usize, leaving: Leaving) {
        if self.pending.len() < PENDING_MAX {
            self.pending.push((slot, leaving));
        } else {
            self.overflowed = true;
            self.counts.drop(Dropped::QueueFull);
        }
    }

    /// Packets of a line are missing. Answers the line if its picture needs a keyframe, as some cannot be sent again.
    fn nacked(&mut self, ssrc: u32, entries: &[u8]) -> Option<Mid> {
        let is_meant = |stream: &Option<Stream>| stream.as_ref().is_some_and(|stream| stream.ssrc == ssrc);
        let slot = self.streams.iter().position(is_meant)?;
        let mut stands_still = None;
        for seq in rtcp::missing(entries) {
            self.counts.nacked += 1;
            let stream = self.streams[slot].as_mut()?;
            match stream.again(seq, &mut self.repairs) {
                Again::Leaves(pending) => self.push(slot, Leaving::Again(pending)),
                Again::Gone => stands_still = Some(stream.mid),
                Again::Nothing => {}
            }
        }
        stands_still
    }

    /// A line's receiver says how it arrives.
    fn reported(&mut self, report: &Report, ntp: u64) {
        let line = self.streams.iter().flatten().find(|stream| stream.ssrc == report.ssrc);
        if let Some(rate_hz) = line.and_then(Stream::rate_hz) {
            self.downlink.report(report, rate_hz, ntp);
        }
    }

    /// Takes the keys once the handshake has made them.
    fn is_ready(&mut self) -> bool {
        if self.srtp.is_none()
            && let Some(agreed) = self.handshake.agreed()
        {
            self.srtp = Sealer::new(agreed);
        }
        self.srtp.is_some()
    }

    fn write_reports(&mut self, now: Now, train: &mut Train<'_>) {
        let Some(srtp) = &mut self.srtp else { return };
        let wall = SystemTime::from(now.wall);
        let place = train.place();
        let mut len = report::start(place, self.report_ssrc);
        self.report_due = false;
        for stream in self.streams.iter_mut().flatten() {
            if len >= REPORT_BYTES_MAX {
                self.report_due = true;
                break;
            }
            if let Some(report) = stream.report(now.instant, wall) {
                len = report::add(place, len, &report).unwrap_or(len);
            }
        }
        if len > report::START_BYTES
            && let Some(sealed) = srtp.seal_rtcp(&mut place[..len + SEAL_BYTES_MAX], len)
        {
            train.add(sealed);
        }
    }

    /// Whether any packet carries a number that the receiver may report on.
    fn is_numbered(&self) -> bool {
        self.streams.iter().flatten().any(|stream| stream.ids.transport_seq.is_some())
    }

    /// Writes what may leave now; the rest waits for its turn.
    fn write_packets(&mut self, now: Instant, train: &mut Train<'_>) {
        if self.shaper.is_none() && !self.pending.is_empty() && self.is_numbered() {
            self.shaper = Some(Box::new(Shaper::new(now)));
        }
        let mut pending = std::mem::take(&mut self.pending);
        for (slot, leaving) in pending.drain(..) {
            let (class, size) = leaving.class();
            if self.shaper.as_mut().is_none_or(|shaper| shaper.admits(class, size, now)) {
                self.write_packet(slot, leaving, now, train);
            } else {
                self.wait(class, size, (slot, leaving));
            }
        }
        self.pending = pending;
        while let Some((slot, leaving)) = self.shaper.as_mut().and_then(|shaper| shaper.pop(now)) {
            self.write_packet(slot, leaving, now, train);
        }
    }

    /// Puts a packet in line.
    fn wait(&mut self, class: Class, size: usize, departure: Departure) {
        let has_room = self.shaper.as_mut().is_some_and(|shaper| shaper.push(class, size, departure).is_ok());
        if !has_room {
            self.overflowed = true;
            self.counts.drop(Dropped::QueueFull);
        }
    }

    fn write_packet(&mut self, slot: usize, leaving: Leaving, now: Instant, train: &mut Train<'_>) {
        let (Some(srtp), Some(Some(stream))) = (&self.srtp, self.streams.get_mut(slot)) else { return };
        let (place, seq) = (train.place(), self.shaper.as_ref().map_or(0, |shaper| shaper.seq()));
        let is_numbered = stream.ids.transport_seq.is_some();
        let is_first = matches!(leaving, Leaving::First(_));
        let written = match leaving {
            Leaving::First(pending) => stream.write(pending, seq, srtp, place),
            Leaving::Again(pending) => stream.write_again(&pending, seq, srtp, place),
        };
        let Some(len) = written else { return };
        train.add(len);
        if is_first {
            self.repairs.earn(len);
        } else {
            self.counts.repaired += 1;
        }
        if is_numbered && let Some(shaper) = &mut self.shaper {
            shaper.sent(len, now);
        }
    }

    /// Fills up what a probe lacks. Answers how many bytes that took.
    fn write_padding(&mut self, now: Instant, train: &mut Train<'_>) -> usize {
        let (Some(srtp), Some(shaper)) = (&self.srtp, &mut self.shaper) else { return 0 };
        let Some(stream) = self.streams.iter_mut().flatten().find(|stream| stream.can_pad()) else {
            return 0;
        };
        let mut padded = 0;
        while shaper.pads(now) {
            let Some(len) = stream.write_padding(shaper.seq(), srtp, train.place()) else { break };
            train.add(len);
            shaper.sent(len, now);
            padded += len;
        }
        padded
    }
}

impl Egress for Own {
    /// str0m answers for the streams that it has, so it is given ours back while it does.
    fn before_answer(&mut self, rtc: &mut Rtc) {
        let mut api = rtc.direct_api();
        for stream in self.streams.iter().flatten() {
            api.declare_stream_tx(stream.ssrc.into(), stream.rtx_ssrc.map(Into::into), stream.mid, None);
        }
    }

    fn after_answer(&mut self, rtc: &mut Rtc, slots: &[Mid]) {
        if self.report_ssrc == 0 {
            self.report_ssrc = *rtc.direct_api().new_ssrc();
        }
        self.streams.resize_with(slots.len(), || None);
        for (place, mid) in self.streams.iter_mut().zip(slots) {
            let answered = take_stream(rtc, *mid);
            match (place, answered) {
                (Some(known), Some(answered)) => known.ids = answered.ids,
                (place @ None, answered) => *place = answered,
                (Some(_), None) => {}
            }
        }
    }

    fn send(&mut self, _rtc: &mut Rtc, outgoing: &Outgoing<'_>) -> bool {
        let &Outgoing { slot, types, rewritten, packet, .. } = outgoing;
        let pending = Pending { rewritten, types, packet: packet.clone() };
        self.push(slot, Leaving::First(pending));
        false
    }

    fn hear(&mut self, report: &[u8], now: Now) -> Vec<Mid> {
        let mut keyframes_for = Vec::new();
        if let Some(shaper) = &mut self.shaper {
            shaper.feedback(report, now.instant);
            self.repairs.set_loss(shaper.loss());
        }
        rtcp::read(report, |item| match item {
            Item::Nack { ssrc, entries } => keyframes_for.extend(self.nacked(ssrc, entries)),
            Item::KeyframeRequest { ssrc } => {
                let streams = self.streams.iter().flatten();
                let mids = streams.filter(|stream| stream.ssrc == ssrc).map(|stream| stream.mid);
                keyframes_for.extend(mids);
            }
            Item::Report(report) => self.reported(&report, ntp_of(now.wall.into())),
            Item::Transport(_) | Item::Remb(_) => {}
        });
        keyframes_for
    }

    fn leaves_feedback_to_str0m(&self) -> bool {
        false
    }

    fn tick(&mut self, now: Now) -> Vec<Mid> {
        self.report_due = true;
        if let Some(shaper) = &mut self.shaper {
            shaper.tick(now.instant);
        }
        if !self.is_ready() || !std::mem::take(&mut self.overflowed) {
            return Vec::new();
        }
        self.streams.iter().flatten().map(|stream| stream.mid).collect()
    }

    fn take_measured(&mut self) -> Measured {
        self.downlink.take()
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn is_waiting(&self, now: Instant) -> bool {
        !self.pending.is_empty() || self.report_due || self.wake_at.is_some_and(|at| at <= now)
    }

    fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    fn capacity(&self, now: Instant) -> Option<Capacity> {
        match &self.shaper {
            Some(shaper) => shaper.capacity(now),
            None => self.is_numbered().then(Capacity::unknown),
        }
    }

    fn stats(&self, now: Instant) -> Option<Stats> {
        self.shaper.as_ref().map(|shaper| shaper.stats(now))
    }

    fn set_goal_bps(&mut self, goal_bps: u64) {
        if let Some(shaper) = &mut self.shaper {
            shaper.set_goal_bps(goal_bps);
        }
    }

    fn drop_picture(&mut self, slot: usize) {
        self.pending.retain(|(other, _)| *other != slot);
        if let Some(shaper) = &mut self.shaper {
            shaper.retain(|(other, _)| *other != slot);
        }
        if let Some(Some(stream)) = self.streams.get_mut(slot) {
            stream.forget();
        }
    }

    fn moved(&mut self, now: Instant) {
        if let Some(shaper) = &mut self.shaper {
            shaper.moved(now);
        }
    }

    fn discard(&mut self) {
        let waited = self.shaper.as_mut().map_or(0, |shaper| shaper.clear());
        self.discarded |= waited > 0 || !self.pending.is_empty();
        self.counts.drop_many(Dropped::NoConsent, (waited + self.pending.len()) as u64);
        self.pending.clear();
        self.wake_at = None;
    }

    fn write(&mut self, now: Now, mut train: Train<'_>) -> usize {
        if !self.is_ready() {
            return 0;
        }
        self.overflowed |= std::mem::take(&mut self.discarded);
        if self.report_due {
            self.write_reports(now, &mut train);
        }
        if let Some(shaper) = &mut self.shaper {
            shaper.tick(now.instant);
        }
        self.write_packets(now.instant, &mut train);
        let padded = self.write_padding(now.instant, &mut train);
        self.wake_at = self.shaper.as_ref().and_then(|shaper| shaper.wake_at(now.instant));
        train.finish() - padded
    }
}

/// Takes the sending stream of a line away from str0m.
fn take_stream(rtc: &mut Rtc, mid: Mid) -> Option<Stream> {
    let media = rtc.media(mid)?;
    let (ids, offered) = (ExtensionIds::of(media), media.remote_pts());
    let params = rtc.codec_config().params().iter().filter(|params| offered.contains(&params.pt()));
    let rtx_pt = params.filter_map(|params| params.resend()).next();
    let mut api = rtc.direct_api();
    let stream = api.stream_tx_by_mid(mid, None)?;
    let (ssrc, rtx) = (stream.ssrc(), stream.rtx());
    api.remove_stream_tx(ssrc);
    Some(Stream::new(mid, *ssrc, rtx.map(|rtx| *rtx), rtx_pt, ids))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use str0m::crypto::dtls::SrtpProfile;

    use super::super::{Path, PayloadTypes, Wire, train};
    use super::*;
    use crate::forward::Rewritten;
    use crate::forward::tests::{packet, start};
    use crate::srtp::Opener;

    #[derive(Default)]
    struct Heard(Vec<Vec<u8>>);

    impl Wire for Heard {
        fn send(&mut self, _path: Path, train: &[u8], segment: usize) {
            self.0.extend(train.chunks(segment).map(<[u8]>::to_vec));
        }
    }

    /// Sender reports in a compound: 28 bytes each behind the empty receiver report.
    fn reports(compound: &[u8]) -> usize {
        (compound.len() - report::START_BYTES) / 28
    }

    #[test]
    fn every_slot_is_reported_even_when_one_compound_cannot_hold_them_all() {
        const SLOTS: usize = 60;
        let (material, profile) = ([7; 56], SrtpProfile::AEAD_AES_128_GCM);
        let mut own = Own::new(Handshake::said(&material, profile, true));
        let theirs = Handshake::said(&material, profile, false);
        let mut theirs = Opener::new(theirs.agreed().unwrap()).unwrap();
        let now = Now { instant: start(), wall: Timestamp::UNIX_EPOCH };
        for slot in 0..SLOTS {
            let stream = Stream::new(Mid::from("1"), 100 + slot as u32, None, None, ExtensionIds::default());
            own.streams.push(Some(stream));
            let mut packet = packet(1, 1, true, now.instant);
            packet.captured = Some(SystemTime::UNIX_EPOCH);
            let rewritten = Rewritten { numbers: packet.numbers, marker: true, active: None };
            let packet = Arc::new(packet);
            let types = PayloadTypes { pt: 96.into(), rtx: None, primary: None };
            own.push(slot, Leaving::First(Pending { rewritten, types, packet }));
        }
        let (mut heard, mut buffer) = (Heard::default(), vec![0; train::BYTES]);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        for _ in 0..4 {
            let path = Path { local: address, remote: address.into() };
            own.write(now, Train::new(&mut heard, path, &mut buffer));
            own.tick(now);
        }
        let sent = heard.0.iter_mut().filter(|datagram| rtcp::is_rtcp(datagram));
        let counts: Vec<usize> = sent.filter_map(|sealed| theirs.open_rtcp(sealed).map(reports)).collect();
        assert_eq!(counts.iter().sum::<usize>(), SLOTS, "{counts:?}");
    }
}
