//! Which encodings of a picture somebody is shown: a publisher rests the others, so that neither its processor nor its line
//! works for nobody.

use std::time::{Duration, Instant};

use str0m::media::Rid;

/// An encoding that nobody was shown for this long rests. Somebody who looks away for a moment costs no keyframe.
const REST_AFTER: Duration = Duration::from_secs(5);

/// What is known of one track's encodings.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    /// Few: found by looking.
    encodings: Vec<Encoding>,
}

#[derive(Debug)]
struct Encoding {
    rid: Rid,
    wanted_at: Instant,
    rests: bool,
}

impl Demand {
    /// Takes which encodings there are, the smallest first, and which of them somebody is shown or waits for. The smallest
    /// never rests: a newcomer sees it at once. Answers which ones are to rest, when that has changed.
    pub(crate) fn update(
        &mut self,
        offered: &[Rid],
        is_wanted: impl Fn(Rid) -> bool,
        now: Instant,
    ) -> Option<Vec<Rid>> {
        self.encodings.retain(|encoding| offered.contains(&encoding.rid));
        let mut changed = false;
        for (place, rid) in offered.iter().enumerate() {
            let encoding = self.encoding(*rid, now);
            if place == 0 || is_wanted(*rid) {
                encoding.wanted_at = now;
            }
            let rests = now.saturating_duration_since(encoding.wanted_at) >= REST_AFTER;
            changed |= rests != std::mem::replace(&mut encoding.rests, rests);
        }
        let resting = offered.iter().copied().filter(|rid| self.rests(*rid));
        changed.then(|| resting.collect())
    }

    /// Whether its publisher was told to rest it.
    pub(crate) fn rests(&self, rid: Rid) -> bool {
        self.encodings.iter().any(|encoding| encoding.rid == rid && encoding.rests)
    }

    fn encoding(&mut self, rid: Rid, now: Instant) -> &mut Encoding {
        let known = self.encodings.iter().position(|encoding| encoding.rid == rid);
        let place = known.unwrap_or_else(|| {
            self.encodings.push(Encoding { rid, wanted_at: now, rests: false });
            self.encodings.len() - 1
        });
        &mut self.encodings[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::tests::start;

    /// Rows: at which second, which encodings somebody is shown, and which rest from then on, if that is news.
    #[test]
    fn what_nobody_is_shown_rests_after_a_while_and_is_back_at_once() {
        let (t0, mut demand) = (start(), Demand::default());
        let all = ["q", "h", "f"].map(Rid::from);
        for (second, wanted, resting) in [
            (0, "", None),
            (4, "h", None),
            (5, "h", Some("f")),
            (8, "h", None),
            (9, "f", Some("")), // at once
            (12, "f", None),
            (13, "f", Some("h")),
            (13, "h f", Some("")),
            (18, "", Some("h f")),
            (60, "q", None), // the smallest is always there
        ] {
            let is_wanted = |rid: Rid| wanted.split(' ').any(|name| Rid::from(name) == rid);
            let told = demand.update(&all, is_wanted, t0 + Duration::from_secs(second));
            let rids = |names: &str| names.split_whitespace().map(Rid::from).collect::<Vec<_>>();
            let expected = resting.map(rids);
            assert_eq!(told, expected, "second {second}");
        }
    }

    #[test]
    fn a_picture_without_encodings_never_rests() {
        let (t0, mut demand) = (start(), Demand::default());
        assert_eq!(demand.update(&[], |_| false, t0), None);
        assert_eq!(demand.update(&[], |_| false, t0 + Duration::from_secs(60)), None);
    }
}
