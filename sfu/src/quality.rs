//! How well a leg's lines do, both ways: from what its receiver reports (RFC 3550 §6.4), from what we would report to it,
//! and from our own counters. Told every few seconds; nothing here decides anything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use str0m::media::{Mid, Rid};
use str0m::stats::MediaIngressStats;

use crate::control::Flow;
use crate::metrics::Counts;
use crate::rtcp::Report;

/// How often a room's qualities are told.
pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// A round trip that a report claims beyond this is a mistake or a joke.
const ROUND_TRIP_MAX_S: u32 = 30;

/// The clock of Opus (RFC 7587 §4.1); pictures have another.
const VOICE_HZ: u32 = 48_000;

/// A line's jitter. A voice's is greater than any picture's, whose packets wait for the encoder as well as on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Jitter {
    is_voice: bool,
    ms: u32,
}

impl Jitter {
    fn of(units: u32, rate_hz: u32) -> Jitter {
        let ms = u64::from(units) * 1_000 / u64::from(rate_hz.max(1));
        Jitter { is_voice: rate_hz == VOICE_HZ, ms: ms.min(60_000) as u32 }
    }
}

/// What a subscriber reports of the lines that it is sent.
#[derive(Debug, Default)]
pub(crate) struct Downlink {
    lines: BTreeMap<u32, Sent>,
    rtt: Option<Duration>,
}

#[derive(Debug)]
struct Sent {
    /// Highest number and packets lost: when last told, and now.
    told: (u32, i32),
    newest: (u32, i32),
    jitter: Jitter,
}

impl Downlink {
    /// A report of one of our lines, whose clock has this rate, at this NTP time.
    pub(crate) fn report(&mut self, report: &Report, rate_hz: u32, ntp: u64) {
        let jitter = Jitter::of(report.jitter, rate_hz);
        let newest = (report.highest, report.lost);
        let line = self.lines.entry(report.ssrc).or_insert(Sent { told: newest, newest, jitter });
        (line.newest, line.jitter) = (newest, jitter);
        self.rtt = round_trip(report, ntp).or(self.rtt);
    }

    /// What became of what was sent since the last time.
    pub(crate) fn take(&mut self) -> Measured {
        let (mut expected, mut lost) = (0, 0);
        let mut jitter = None;
        for line in self.lines.values_mut() {
            let sent = i64::from(line.newest.0.wrapping_sub(line.told.0).cast_signed());
            if sent > 0 {
                expected += sent;
                lost += i64::from(line.newest.1.wrapping_sub(line.told.1)).clamp(0, sent);
                jitter = jitter.max(Some(line.jitter));
            }
            line.told = line.newest;
        }
        let loss_permille = (expected > 0).then(|| (lost * 1_000 / expected) as u16);
        Measured { loss_permille, jitter_ms: jitter.map(|jitter| jitter.ms), rtt: self.rtt }
    }
}

/// RFC 3550 §6.4.1: now, less when our report left, less how long they kept it; in 1/65536 s.
fn round_trip(report: &Report, ntp: u64) -> Option<Duration> {
    let now = (ntp >> 16) as u32;
    let units = now.wrapping_sub(report.last_sender_report).wrapping_sub(report.delay);
    let is_credible = report.last_sender_report != 0 && units < ROUND_TRIP_MAX_S << 16;
    is_credible.then(|| Duration::from_micros(u64::from(units) * 1_000_000 / 65_536))
}

/// What we measure of the lines that a publisher sends.
#[derive(Debug, Default)]
pub(crate) struct Uplink {
    /// As many as the offer has lines and layers.
    lines: Vec<Received>,
}

#[derive(Debug)]
struct Received {
    mid: Mid,
    rid: Option<Rid>,
    packets: u64,
    /// Since last told.
    fresh: u64,
    loss: f32,
    jitter: Jitter,
}

impl Uplink {
    /// str0m's word on one line.
    pub(crate) fn measured(&mut self, stats: &MediaIngressStats, rate_hz: u32) {
        let line = self.line(stats.mid, stats.rid);
        line.fresh += stats.packets.saturating_sub(line.packets);
        line.packets = stats.packets;
        line.loss = stats.loss.unwrap_or(0.0).clamp(0.0, 1.0);
        line.jitter = Jitter::of(stats.jitter, rate_hz);
    }

    fn line(&mut self, mid: Mid, rid: Option<Rid>) -> &mut Received {
        let known = self.lines.iter().position(|line| (line.mid, line.rid) == (mid, rid));
        let place = known.unwrap_or_else(|| {
            self.lines.push(Received {
                mid,
                rid,
                packets: 0,
                fresh: 0,
                loss: 0.0,
                jitter: Jitter::default(),
            });
            self.lines.len() - 1
        });
        &mut self.lines[place]
    }

    /// What became of what was sent to us since the last time.
    pub(crate) fn take(&mut self) -> Measured {
        let (mut packets, mut lost) = (0.0, 0.0);
        let mut jitter = None;
        for line in self.lines.iter_mut().filter(|line| line.fresh > 0) {
            packets += line.fresh as f64;
            lost += line.fresh as f64 * f64::from(line.loss);
            jitter = jitter.max(Some(line.jitter));
            line.fresh = 0;
        }
        let loss_permille = (packets > 0.0).then(|| (lost / packets * 1_000.0).round() as u16);
        Measured { loss_permille, jitter_ms: jitter.map(|jitter| jitter.ms), rtt: None }
    }
}

/// One direction of a leg.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) loss_permille: Option<u16>,
    pub(crate) jitter_ms: Option<u32>,
    pub(crate) rtt: Option<Duration>,
}

/// How much goes each way, from counters that never fall.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    told: Option<(Instant, Counts)>,
}

impl Rates {
    /// Bits a second in and out since the last time; 0 the first time.
    pub(crate) fn take(&mut self, counts: Counts, now: Instant) -> (u64, u64) {
        let (before, old) = self.told.replace((now, counts)).unwrap_or((now, counts));
        let ms = now.saturating_duration_since(before).as_millis().max(1) as u64;
        let rate = |bytes: u64| bytes * 8_000 / ms;
        (rate(counts.bytes_in - old.bytes_in), rate(counts.bytes_out - old.bytes_out))
    }
}

impl Measured {
    /// With the rate it is one direction's whole story.
    pub(crate) fn at(self, bits_per_s: u64) -> Flow {
        Flow { bits_per_s, loss_permille: self.loss_permille, jitter_ms: self.jitter_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(highest: u32, lost: i32) -> Report {
        Report { ssrc: 1, highest, lost, jitter: 900, last_sender_report: 0, delay: 0 }
    }

    #[test]
    fn loss_is_that_of_the_time_since_it_was_last_told() {
        let mut down = Downlink::default();
        assert_eq!(down.take(), Measured::default());
        for (highest, lost) in [(100, 50), (200, 50), (300, 70)] {
            down.report(&report(highest, lost), 90_000, 0);
        }
        let told = Measured { loss_permille: Some(100), jitter_ms: Some(10), rtt: None };
        assert_eq!(down.take(), told, "what was lost before the first report is nobody's");
        assert_eq!(down.take().loss_permille, None, "nothing is news");
        down.report(&report(400, 60), 90_000, 0);
        assert_eq!(down.take().loss_permille, Some(0), "duplicates lower the count of lost ones");
        down.report(&report(u32::MAX, -5), 0, 0);
        assert_eq!(down.take().loss_permille, None, "numbers that go back are no traffic");
    }

    #[test]
    fn the_jitter_told_is_a_voices_if_there_is_one() {
        let mut down = Downlink::default();
        for (highest, rate_hz) in [(1, 90_000), (2, 90_000)] {
            down.report(&report(highest, 0), rate_hz, 0);
        }
        assert_eq!(down.take().jitter_ms, Some(10));
        for highest in [1, 2] {
            down.report(&Report { ssrc: 2, jitter: 48, ..report(highest, 0) }, VOICE_HZ, 0);
        }
        down.report(&report(3, 0), 90_000, 0);
        assert_eq!(down.take().jitter_ms, Some(1));
    }

    #[test]
    fn a_round_trip_is_what_they_did_not_keep() {
        let second = 1u64 << 32;
        let sent = 1_000 * second;
        let kept = Report { last_sender_report: (sent >> 16) as u32, delay: 2 << 16, ..report(1, 0) };
        let mut down = Downlink::default();
        down.report(&kept, 90_000, sent + 2 * second + second / 8);
        assert_eq!(down.take().rtt, Some(Duration::from_millis(125)));
        down.report(&kept, 90_000, sent + second);
        assert_eq!(down.take().rtt, Some(Duration::from_millis(125)), "a joke changes nothing");
        let never = Report { last_sender_report: 0, ..kept };
        assert_eq!(round_trip(&never, sent), None);
    }

    #[test]
    fn rates_are_those_since_the_last_time() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
        let t0 = Instant::now();
        let mut rates = Rates::default();
        let counts = |bytes| {
            let mut counts = Counts::default();
            counts.received(bytes);
            counts.sent(1, 2 * bytes);
            counts
        };
        assert_eq!(rates.take(counts(5_000), t0), (0, 0));
        assert_eq!(rates.take(counts(6_000), t0 + Duration::from_secs(2)), (4_000, 8_000));
        assert_eq!(rates.take(counts(6_000), t0 + Duration::from_secs(4)), (0, 0));
    }
}
