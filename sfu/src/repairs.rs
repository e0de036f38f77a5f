//! How much a subscriber may have sent again: an eighth of what it is sent, and more where its line is known to lose more.
//! Whoever asks for more than was lost gains nothing by it, and the tenant does not pay for it.

/// The part of media that is always earned for repairs.
const SHARE: f64 = 1.0 / 8.0;
/// And at most, whatever loss a subscriber reports: enough for three packets lost of eight.
const SHARE_MAX: f64 = 0.6;
/// Saved up for a burst of losses: half a second of a good picture.
const SAVED_MAX: f64 = 65_536.0;

/// A subscriber's account of repairs, in bytes.
#[derive(Debug)]
pub(crate) struct Repairs {
    saved: f64,
    share: f64,
}

impl Repairs {
    /// A full account.
    pub(crate) fn new() -> Self {
        Repairs { saved: SAVED_MAX, share: SHARE }
    }

    /// This part of all packets is lost, 0 to 1, of repairs too: a packet is sent again until it comes.
    pub(crate) fn set_loss(&mut self, loss: f64) {
        let again = if loss < 1.0 { loss / (1.0 - loss) } else { SHARE_MAX };
        self.share = again.clamp(SHARE, SHARE_MAX);
    }

    /// Media was sent.
    pub(crate) fn earn(&mut self, bytes: usize) {
        self.saved = SAVED_MAX.min(self.saved + bytes as f64 * self.share);
    }

    /// Whether a repair of this size may be sent; it is paid for.
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        let may = self.saved >= bytes as f64;
        self.saved -= if may { bytes as f64 } else { 0.0 };
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is repaired of media of 8,000 packets, for which everything is asked for again, once the account is empty.
    fn repaired(loss: f64) -> usize {
        let mut repairs = Repairs::new();
        repairs.set_loss(loss);
        let burst = (0..1_000).filter(|_| repairs.spend(1_200)).count();
        assert_eq!(burst, SAVED_MAX as usize / 1_200);
        let mut repaired = 0;
        for _ in 0..8_000 {
            repairs.earn(1_200);
            repaired += usize::from(repairs.spend(1_200));
        }
        repaired
    }

    #[test]
    fn an_eighth_is_repaired_and_a_burst_at_once() {
        assert!((999..=1_001).contains(&repaired(0.0)), "{}", repaired(0.0));
    }

    #[test]
    fn a_line_that_loses_a_lot_is_repaired_and_a_liar_gains_little() {
        let at_30_percent = repaired(0.3);
        assert!((3_420..=3_430).contains(&at_30_percent), "{at_30_percent}: 3/7, for repairs are lost, too");
        for loss in [0.5, 0.99, 1.0] {
            assert!((4_799..=4_801).contains(&repaired(loss)), "{loss}: {}", repaired(loss));
        }
    }
}
