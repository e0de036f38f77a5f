//! Packets that left together, and how the gaps between such groups change on the way: the arrival-time model
//! (draft-ietf-rmcat-gcc-02 §5.1 and §5.2).

/// Packets sent within this time are one group.
const GROUP_US: i64 = 5_000;
/// Packets that come closer together than this after having been sent further apart were held up together on the way.
const BURST_GAP_US: i64 = 5_000;
/// No longer than this, or a line that is merely fast would become one group.
const BURST_US_MAX: i64 = 100_000;
/// A gap that changed by more than this is a clock that was set, or a connection that slept.
const JUMP_US: i64 = 3_000_000;

/// How two neighbouring groups were sent and how they came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Delta {
    /// Between their last packets when sent.
    pub(crate) sent_ms: f64,
    /// Between their last packets when they came.
    pub(crate) arrived_ms: f64,
    /// When the later one came, on the receiver's clock.
    pub(crate) at_ms: f64,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent_us: i64,
    sent_us: i64,
    first_arrived_us: i64,
    arrived_us: i64,
}

/// Joins packets into groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    before: Option<Group>,
    current: Option<Group>,
}

impl Groups {
    /// Adds a packet that came; answers when that completes a group after another.
    pub(crate) fn push(&mut self, sent_us: i64, arrived_us: i64) -> Option<Delta> {
        let fresh = Group { first_sent_us: sent_us, sent_us, first_arrived_us: arrived_us, arrived_us };
        let Some(current) = &mut self.current else {
            self.current = Some(fresh);
            return None;
        };
        if sent_us < current.first_sent_us {
            return None; // Overtaken: its group is closed.
        }
        if current.takes(sent_us, arrived_us) {
            current.sent_us = current.sent_us.max(sent_us);
            current.arrived_us = current.arrived_us.max(arrived_us);
            return None;
        }
        let whole = *current;
        self.current = Some(fresh);
        self.before.replace(whole).and_then(|before| self.delta(before, whole))
    }

    /// Forgets: the next gap is not to be compared.
    pub(crate) fn reset(&mut self) {
        *self = Groups::default();
    }

    fn delta(&mut self, before: Group, after: Group) -> Option<Delta> {
        let (sent_us, arrived_us) = (after.sent_us - before.sent_us, after.arrived_us - before.arrived_us);
        if (arrived_us - sent_us).abs() > JUMP_US {
            self.reset();
            return None;
        }
        let ms = |us: i64| us as f64 / 1e3;
        let delta = Delta { sent_ms: ms(sent_us), arrived_ms: ms(arrived_us), at_ms: ms(after.arrived_us) };
        // A group that overtook the one before counts as well: left out, the delays would not add up.
        Some(delta)
    }
}

impl Group {
    fn takes(&self, sent_us: i64, arrived_us: i64) -> bool {
        let gap_us = arrived_us - self.arrived_us;
        let is_burst = (0..=BURST_GAP_US).contains(&gap_us)
            && gap_us < sent_us - self.sent_us
            && arrived_us - self.first_arrived_us < BURST_US_MAX;
        sent_us - self.first_sent_us <= GROUP_US || is_burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets as `(sent ms, arrived ms)`; answers the changes of delay between groups, in ms.
    fn changes(packets: &[(i64, i64)]) -> Vec<f64> {
        let mut groups = Groups::default();
        let deltas = packets.iter().filter_map(|(sent, arrived)| groups.push(sent * 1_000, arrived * 1_000));
        deltas.map(|delta| delta.arrived_ms - delta.sent_ms).collect()
    }

    #[test]
    fn a_group_is_what_left_within_5_ms() {
        assert_eq!(changes(&[(0, 100), (3, 103), (5, 104), (20, 125), (40, 145), (60, 165)]), [6.0, 0.0]);
    }

    #[test]
    fn what_was_held_up_together_is_one_group() {
        assert_eq!(
            changes(&[(0, 100), (20, 150), (40, 151), (60, 160), (80, 180), (100, 200)]),
            [11.0, -11.0, 0.0]
        );
    }

    #[test]
    fn delays_add_up_though_groups_overtake_each_other() {
        let total: f64 =
            changes(&[(0, 100), (20, 140), (40, 130), (60, 165), (80, 180), (100, 200)]).iter().sum();
        assert!(total.abs() < 1e-9, "{total}");
    }

    #[test]
    fn a_clock_that_was_set_starts_anew() {
        assert_eq!(
            changes(&[
                (0, 100),
                (20, 120),
                (40, 9_140),
                (60, 9_160),
                (80, 9_180),
                (100, 9_200),
                (120, 9_220)
            ]),
            [0.0, 0.0]
        );
    }
}
