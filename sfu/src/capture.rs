//! When what a publisher sends was captured. Its reports say so in its own clock (RFC 3550 §6.4.1); one offset a person
//! turns that into ours, the same for voice and picture, so that whoever receives both keeps them together.

use std::time::{Duration, SystemTime};

use str0m::rtp::rtcp::SenderInfo;

/// A publisher whose clock seems to differ from what it was by more has set it.
const JUMP: Duration = Duration::from_secs(5);

/// One publisher's clock against ours.
#[derive(Debug, Default)]
pub(crate) struct CaptureClock {
    /// What to add to its time, in nanoseconds.
    offset_ns: Option<i128>,
}

impl CaptureClock {
    /// When a packet's content was captured, in our clock; never later than it came.
    pub(crate) fn captured(
        &mut self,
        info: &SenderInfo,
        ts: u32,
        rate_hz: u32,
        arrived: SystemTime,
    ) -> SystemTime {
        let (theirs, arrived_ns) = (in_their_clock(info, ts, rate_hz), since_epoch(arrived));
        let offset = match self.offset_ns {
            Some(offset) if (theirs + offset).abs_diff(arrived_ns) < JUMP.as_nanos() => offset,
            _ => arrived_ns - theirs,
        };
        // The quickest packet so far tells the offset best.
        let offset = offset.min(arrived_ns - theirs);
        self.offset_ns = Some(offset);
        let captured = u64::try_from(theirs + offset).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_nanos(captured)
    }
}

fn in_their_clock(info: &SenderInfo, ts: u32, rate_hz: u32) -> i128 {
    let ticks = ts.wrapping_sub(info.rtp_time.numer() as u32) as i32;
    since_epoch(info.ntp_time) + i128::from(ticks) * 1_000_000_000 / i128::from(rate_hz.max(1))
}

fn since_epoch(time: SystemTime) -> i128 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

#[cfg(test)]
mod tests {
    use str0m::media::{Frequency, MediaTime};

    use super::*;

    const RATE: u32 = 90_000;

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn report(ntp_ms: u64, ts: u32) -> SenderInfo {
        SenderInfo {
            ssrc: 1.into(),
            ntp_time: at(ntp_ms),
            rtp_time: MediaTime::new(u64::from(ts), Frequency::NINETY_KHZ),
            sender_packet_count: 0,
            sender_octet_count: 0,
        }
    }

    #[test]
    fn voice_and_picture_of_one_person_share_one_offset() {
        let mut clock = CaptureClock::default();
        let (voice, picture) = (report(1_000, 50), report(1_000, 7_000));
        assert_eq!(clock.captured(&voice, 50, RATE, at(50_020)), at(50_020));
        // The picture was captured with the voice and took 80 ms longer.
        assert_eq!(clock.captured(&picture, 7_000, RATE, at(50_100)), at(50_020));
        assert_eq!(clock.captured(&picture, 7_000 + RATE / 10, RATE, at(50_200)), at(50_120));
    }

    #[test]
    fn the_quickest_packet_tells_the_offset_and_a_clock_that_was_set_another() {
        let mut clock = CaptureClock::default();
        let info = report(1_000, 0);
        clock.captured(&info, 0, RATE, at(50_500));
        assert_eq!(clock.captured(&info, RATE, RATE, at(51_020)), at(51_020));
        assert_eq!(clock.captured(&info, 2 * RATE, RATE, at(52_500)), at(52_020));
        assert_eq!(clock.captured(&report(90_000, 0), 0, RATE, at(53_000)), at(53_000));
    }

    #[test]
    fn timestamps_wrap() {
        let mut clock = CaptureClock::default();
        let info = report(1_000, u32::MAX);
        clock.captured(&info, u32::MAX, RATE, at(50_000));
        assert_eq!(clock.captured(&info, RATE - 1, RATE, at(51_500)), at(51_000));
    }
}
