//! How much a subscriber may have sent again: an eighth of what it is sent. Whoever asks for more than was lost gains
//! nothing by it, and the tenant does not pay for it.

/// One byte of repair is earned by this many bytes of media.
const MEDIA_PER_REPAIR: usize = 8;
/// Saved up for a burst of losses: half a second of a good picture.
const SAVED_MAX: usize = 64 << 10;

/// A subscriber's account of repairs, in bytes.
#[derive(Debug)]
pub(crate) struct Repairs {
    saved: usize,
    rest: usize,
}

impl Repairs {
    /// A full account.
    pub(crate) fn new() -> Self {
        Repairs { saved: SAVED_MAX, rest: 0 }
    }

    /// Media was sent.
    pub(crate) fn earn(&mut self, bytes: usize) {
        self.rest += bytes;
        self.saved = SAVED_MAX.min(self.saved + self.rest / MEDIA_PER_REPAIR);
        self.rest %= MEDIA_PER_REPAIR;
    }

    /// Whether a repair of this size may be sent; it is paid for.
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        let left = self.saved.checked_sub(bytes);
        self.saved = left.unwrap_or(self.saved);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_is_repaired_and_a_burst_at_once() {
        let mut repairs = Repairs::new();
        let burst = (0..1_000).filter(|_| repairs.spend(1_200)).count();
        assert_eq!(burst, SAVED_MAX / 1_200);
        let mut repaired = 0;
        for _ in 0..8_000 {
            repairs.earn(1_200);
            repaired += usize::from(repairs.spend(1_200));
        }
        assert!((999..=1_001).contains(&repaired), "{repaired}");
    }
}
