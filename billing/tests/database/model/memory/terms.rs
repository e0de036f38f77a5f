//! What makes statements smaller or larger, as the model remembers it.

use super::bill::Line;
use billing::{money::round_half_even, period::Month};
use jiff::Timestamp;

/// Micros in a cent.
pub(in crate::model) const CENT: i64 = 1_000_000;
/// One coupon takes this share off each line for so many months, the other so much off each month for so many.
pub(in crate::model) const SHARE_MILLIONTHS: i64 = 333_333;
pub(in crate::model) const SHARE_MONTHS: u32 = 2;
pub(in crate::model) const AMOUNT: i64 = 500 * CENT + 1;
pub(in crate::model) const AMOUNT_MONTHS: u32 = 3;
/// What Germany takes.
const RATE_MILLIONTHS: i64 = 190_000;

#[derive(Debug, Clone, Copy)]
struct Coupon {
    is_share: bool,
    from: Month,
}

impl Coupon {
    fn covers(self, month: Month) -> bool {
        let months = if self.is_share { SHARE_MONTHS } else { AMOUNT_MONTHS };
        let mut covered = std::iter::successors(Some(self.from), |month| Some(month.next()));
        (0..months).any(|_| covered.next() == Some(month))
    }
}

#[derive(Debug, Clone, Copy)]
struct Credit {
    expires: Option<Timestamp>,
    left: i64,
}

#[derive(Debug, Clone, Default)]
pub(in crate::model) struct Terms {
    coupons: Vec<Coupon>,
    credits: Vec<Credit>,
    /// What was given, less what ran out.
    promoted: i64,
    /// Is the payer taxed, from when on?
    moves: Vec<(Timestamp, bool)>,
}

impl Terms {
    /// False where the payer had redeemed it.
    pub(in crate::model) fn redeem(&mut self, is_share: bool, from: Month) -> bool {
        let is_new = self.coupons.iter().all(|coupon| coupon.is_share != is_share);
        if is_new {
            self.coupons.push(Coupon { is_share, from });
        }
        is_new
    }

    pub(in crate::model) fn give(&mut self, micros: i64, expires: Option<Timestamp>) {
        self.promoted += micros;
        self.credits.push(Credit { expires, left: micros });
    }

    pub(in crate::model) fn moves(&mut self, at: Timestamp, is_taxed: bool) {
        self.moves.push((at, is_taxed));
    }

    pub(in crate::model) fn promoted(&self) -> i64 {
        self.promoted
    }

    /// What is left of all credits.
    pub(in crate::model) fn credit(&self) -> i64 {
        self.credits.iter().map(|credit| credit.left).sum()
    }

    /// Takes off the lines of a month what coupons take off them.
    pub(super) fn discount(&self, month: Month, lines: &mut [Line]) {
        for coupon in &self.coupons {
            let mut amount = i128::from(AMOUNT);
            for line in lines.iter_mut().filter(|line| line.is_own) {
                let is_covered = match line.late {
                    None => coupon.covers(month),
                    Some(late) => coupon.is_share && coupon.covers(late),
                };
                let taken = match (is_covered, coupon.is_share) {
                    (false, _) => 0,
                    (true, true) => round_half_even(line.left * i128::from(SHARE_MILLIONTHS), CENT.into()),
                    (true, false) => line.left.clamp(0, amount),
                };
                amount -= taken;
                line.left -= taken;
            }
        }
    }

    /// The tax on whole cents in a month that ends then.
    pub(super) fn tax(&self, without_tax: i64, end: Timestamp) -> i64 {
        let last = self.moves.iter().rfind(|(at, _)| *at < end);
        if last.is_some_and(|(_, is_taxed)| *is_taxed) { tax_of(without_tax) } else { 0 }
    }

    /// Pays by credits what they can pay of the total of a month that ends then, and answers with what that is.
    pub(super) fn spend(&mut self, total: i64, end: Timestamp) -> i64 {
        self.credits.sort_by_key(|credit| credit.expires.unwrap_or(Timestamp::MAX));
        let mut owed = total.max(0);
        for credit in &mut self.credits {
            if credit.expires.is_some_and(|expires| expires < end) {
                self.promoted -= credit.left;
                credit.left = 0;
            }
            let part = credit.left.min(owed);
            credit.left -= part;
            owed -= part;
        }
        total.max(0) - owed
    }
}

fn tax_of(without_tax: i64) -> i64 {
    let micros = round_half_even(i128::from(without_tax / CENT * RATE_MILLIONTHS), CENT.into());
    i64::try_from(micros).expect("small") * CENT
}

/// What of a tax falls to a part of what is taxed, in whole cents.
pub(super) fn share_of(tax: i64, part: i64, whole: i64) -> i64 {
    let cents =
        round_half_even(i128::from(tax / CENT) * i128::from(part / CENT), i128::from((whole / CENT).max(1)));
    i64::try_from(cents).expect("small") * CENT
}
