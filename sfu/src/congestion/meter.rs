//! How many bits a second pass: bytes in short buckets over a sliding window.

/// Length of a bucket of a line's meter.
const BUCKET_US: i64 = 25_000;
/// Of a meter that says what a layer costs: 2 s, in which a keyframe weighs little.
const BUCKET_US_SLOW: i64 = 125_000;
/// Buckets in the window: 400 ms, a dozen frames of video, so that one keyframe is no rate.
const BUCKETS: usize = 16;
/// A rate from less than this is a guess.
const SPAN_US_MIN: i64 = 100_000;
/// Buckets that show a change of the rate soon, but not every frame.
const BUCKETS_SHORT: usize = 6;

/// Told of bytes and when they passed, on any clock that rises.
#[derive(Debug)]
pub(crate) struct RateMeter {
    bucket_us: i64,
    bytes: [u32; BUCKETS],
    /// The newest bucket, counted from the clock's zero.
    newest: i64,
    first_us: Option<i64>,
}

impl Default for RateMeter {
    fn default() -> Self {
        RateMeter::with(BUCKET_US)
    }
}

impl RateMeter {
    /// A meter that takes its time.
    pub(crate) fn slow() -> Self {
        RateMeter::with(BUCKET_US_SLOW)
    }

    fn with(bucket_us: i64) -> Self {
        RateMeter { bucket_us, bytes: [0; BUCKETS], newest: 0, first_us: None }
    }

    /// Counts bytes. Those from before the window are ignored.
    pub(crate) fn add(&mut self, bytes: usize, at_us: i64) {
        let bucket = at_us.div_euclid(self.bucket_us);
        let idle = bucket - self.newest >= BUCKETS as i64;
        if self.first_us.is_none() || idle {
            // After a pause the window starts anew: silence says nothing about the line.
            *self = RateMeter { newest: bucket, first_us: Some(at_us), ..RateMeter::with(self.bucket_us) };
        }
        self.turn_to(bucket);
        if bucket > self.newest - BUCKETS as i64 {
            let place = place(bucket);
            self.bytes[place] = self.bytes[place].saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    /// Bit/s over the window up to this moment; `None` while too little was seen.
    pub(crate) fn bps(&self, at_us: i64) -> Option<f64> {
        self.bps_over(BUCKETS, at_us)
    }

    /// Bit/s over the last eighth of a second or so, or over the window if that is more: a rate that has just risen.
    pub(crate) fn risen_bps(&self, at_us: i64) -> Option<f64> {
        let risen_bps = self.bps_over(BUCKETS_SHORT, at_us)?;
        Some(self.bps(at_us)?.max(risen_bps))
    }

    fn bps_over(&self, buckets: usize, at_us: i64) -> Option<f64> {
        let bucket = at_us.div_euclid(self.bucket_us);
        let oldest = bucket - buckets as i64 + 1;
        let span_us = at_us - (oldest * self.bucket_us).max(self.first_us?);
        if span_us < SPAN_US_MIN {
            return None;
        }
        let oldest = oldest.max(self.newest - BUCKETS as i64 + 1);
        let bytes: f64 = (oldest..=self.newest).map(|bucket| f64::from(self.bytes[place(bucket)])).sum();
        Some(bytes * 8e6 / span_us as f64)
    }

    fn turn_to(&mut self, bucket: i64) {
        while self.newest < bucket {
            self.newest += 1;
            self.bytes[place(self.newest)] = 0;
        }
    }
}

fn place(bucket: i64) -> usize {
    bucket.rem_euclid(BUCKETS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_is_measured() {
        let mut meter = RateMeter::default();
        (0..200).for_each(|n| meter.add(1_000, n * 8_000));
        let bps = meter.bps(199 * 8_000).expect("enough");
        assert!((0.95e6..1.05e6).contains(&bps), "{bps}");
    }

    #[test]
    fn a_rate_that_rose_shows_in_an_eighth_of_a_second() {
        let mut meter = RateMeter::default();
        (0..100).for_each(|n| meter.add(100, n * 10_000));
        (0..40).for_each(|n| meter.add(1_000, 1_000_000 + n * 4_000));
        let (bps, risen_bps) = (meter.bps(1_156_000), meter.risen_bps(1_156_000));
        assert!(bps.expect("enough") < 1e6 && risen_bps.expect("enough") > 1.8e6, "{bps:?} {risen_bps:?}");
    }

    #[test]
    fn little_says_nothing_and_silence_ends_it() {
        let mut meter = RateMeter::default();
        assert_eq!(meter.bps(0), None);
        meter.add(1_000, 10_000);
        assert_eq!(meter.bps(50_000), None);
        assert_eq!(meter.bps(10_000_000).map(|bps| bps as u64), Some(0));
        meter.add(1_000, 10_000_000);
        assert_eq!(meter.bps(10_050_000), None, "starts anew");
        meter.add(1_000, -5_000_000);
        assert!(meter.bps(10_200_000).expect("enough") < 50_000.0, "from before the window");
    }
}
