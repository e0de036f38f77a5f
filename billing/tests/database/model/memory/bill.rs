//! A final month as the model remembers it: what was billed by which line, and what has become of that.

use super::{
    Remembered, Sum,
    books::{Claims, Party},
    terms::{CENT, share_of},
};
use billing::{money::apportion, period::Month, statement::Status};
use jiff::Timestamp;

/// A price's part of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) struct Line {
    /// Sold by the business itself, not by the operator.
    pub(in crate::model) is_own: bool,
    /// The final month that it adjusts.
    pub(in crate::model) late: Option<Month>,
    pub(in crate::model) micros: i128,
    /// What coupons leave of it.
    pub(in crate::model) left: i128,
}

impl Line {
    pub(super) fn of(sold: &Remembered, late: Option<Month>, micros: i128) -> Self {
        Self { is_own: sold.is_own(), late, micros, left: micros }
    }
}

/// A final month.
#[derive(Debug, Clone)]
pub(in crate::model) struct Final {
    pub(in crate::model) month: Month,
    pub(in crate::model) sum: Sum,
    /// Those that came to something.
    pub(in crate::model) lines: Vec<Line>,
    pub(super) at: Timestamp,
    /// Of each line what it was billed, in whole cents.
    billed: Vec<i64>,
    /// What was taken back of each line, and of the tax.
    taken_back: (Vec<i64>, i64),
    /// What collections and draws paid of it.
    pub(super) paid: i64,
    pub(super) given_up: i64,
}

impl Final {
    pub(super) fn new(month: Month, sum: Sum, at: Timestamp, mut lines: Vec<Line>) -> Self {
        lines.retain(|line| line.micros != 0);
        let weights: Vec<i64> = lines.iter().map(|line| i64::try_from(line.left).expect("small")).collect();
        let cents = apportion(sum.without_tax.max(0) / CENT, &weights);
        let billed = cents.into_iter().map(|cents| cents * CENT).collect();
        let taken_back = (vec![0; lines.len()], 0);
        Self { month, sum, lines, at, billed, taken_back, paid: 0, given_up: 0 }
    }

    /// What it was worth to whom, to the micro.
    pub(super) fn earned(&self) -> Claims {
        let of = |is_own| {
            let lines = self.lines.iter().filter(|line| line.is_own == is_own);
            i64::try_from(lines.map(|line| line.left).sum::<i128>()).expect("small")
        };
        Claims([of(false), of(true), self.sum.tax])
    }

    /// With its tax.
    pub(super) fn taken_back(&self) -> i64 {
        let (lines, tax) = &self.taken_back;
        lines.iter().sum::<i64>() + tax
    }

    fn is_taken_back(&self) -> bool {
        self.taken_back() > 0 && self.taken_back() == self.sum.without_tax + self.sum.tax
    }

    /// What nobody has paid of it, given up or taken back.
    pub(super) fn rest(&self) -> i64 {
        (self.sum.payable - self.taken_back() - self.paid - self.given_up).max(0)
    }

    /// How it stands once nothing of it is owed. What credits had paid as a whole was never on the tab, whatever is taken back.
    pub(super) fn ended_as(&self) -> Status {
        match () {
            () if self.given_up > 0 => Status::Uncollectible,
            () if self.is_taken_back() && self.sum.payable > 0 && self.paid == 0 => Status::Void,
            () => Status::Paid,
        }
    }

    /// Takes so much of a line back, or of each all that is left, and the tax that falls to that. Tells whose it was; or what
    /// is left, where that is too little.
    pub(super) fn take_back(&mut self, part: Option<(usize, i64)>) -> Result<Claims, i64> {
        let (before, tax_before) = self.taken_back.clone();
        let mut after = self.billed.clone();
        if let Some((place, micros)) = part {
            let left = self.billed[place] - before[place];
            if micros > left {
                return Err(left);
            }
            after.clone_from(&before);
            after[place] += micros;
        }
        if after == before {
            return Err(0);
        }
        let whole = self.sum.without_tax.max(0);
        let tax = share_of(self.sum.tax.max(0), after.iter().sum(), whole);
        let mut claims = Claims([0, 0, tax - tax_before]);
        for ((line, after), before) in self.lines.iter().zip(&after).zip(&before) {
            let party = if line.is_own { Party::Shop } else { Party::Operator };
            claims.0[party as usize] += after - before;
        }
        self.taken_back = (after, tax);
        Ok(claims)
    }
}
