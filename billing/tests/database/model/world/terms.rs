//! What makes statements smaller or larger.

use super::{World, agree};
use crate::model::{
    commands::Terms,
    memory::{AMOUNT, AMOUNT_MONTHS, CENT, SHARE_MILLIONTHS, SHARE_MONTHS},
};
use billing::{
    coupon::NewCoupon,
    credit_note::{Asked, CreditNoteRefused},
    db::Transaction,
    statement::{Line, LineKind, Statement},
    store::{self, CreditNoteError, NewCredit, RedeemError},
    tax::Buyer,
};
use jiff::SignedDuration;
use proptest::{prelude::*, test_runner::TestCaseError};

impl World<'_> {
    pub(super) async fn agree_on(&mut self, command: Terms, cuts: &[usize]) -> Result<bool, TestCaseError> {
        match command {
            Terms::Redeem { is_share } => return self.redeem(is_share, cuts).await,
            Terms::Give { cents, days } => self.give(cents * CENT, days, cuts).await,
            Terms::Move { is_taxed } => self.moves(is_taxed, cuts).await,
            Terms::TakeBack { which, part } if !self.memory.finals.is_empty() => {
                return self.take_back(which % self.memory.finals.len(), part, cuts).await;
            }
            Terms::TakeBack { .. } => return Ok(false),
        }
        Ok(true)
    }

    /// The coupon is made when it is first asked for.
    async fn redeem(&mut self, is_share: bool, cuts: &[usize]) -> Result<bool, TestCaseError> {
        let coupon = self.coupon(is_share);
        let make = async |tx: &Transaction| {
            store::insert_coupon(tx, Some(self.tenant()), &coupon, self.now()).await.map(drop)
        };
        self.once(&[], make).await.expect("made, or there");
        let redeem = async |tx: &Transaction| {
            store::redeem_coupon(tx, (self.tenant(), None), &coupon.code, self.now()).await.map(drop)
        };
        let done = self.once(cuts, redeem).await;
        if let Err(RedeemError::Store(error)) = done {
            panic!("{error}");
        }
        let month = self.memory.now.month();
        agree(Terms::Redeem { is_share }, self.memory.terms.redeem(is_share, month), &done)
    }

    fn coupon(&self, is_share: bool) -> NewCoupon {
        let tenant = self.tenant().0.simple().to_string().to_uppercase();
        NewCoupon {
            code: format!("{}-{tenant}", if is_share { "SHARE" } else { "AMOUNT" }),
            name: "Spring".into(),
            vendor_id: self.shop,
            plans: Vec::new(),
            percent_millionths: is_share.then_some(SHARE_MILLIONTHS),
            amount_micros: (!is_share).then_some(AMOUNT),
            currency: (!is_share).then(|| "USD".into()),
            months: Some(if is_share { SHARE_MONTHS } else { AMOUNT_MONTHS }),
            redemptions_max: None,
            redeem_by: None,
        }
    }

    async fn give(&mut self, micros: i64, days: Option<i64>, cuts: &[usize]) {
        let expires_at = days.map(|days| self.now() + SignedDuration::from_hours(24 * days));
        let new = NewCredit { account: self.who.account, micros, reason: "Sorry".into(), expires_at };
        let give =
            async |tx: &Transaction| store::grant_credit(tx, self.tenant(), &new, self.now()).await.map(drop);
        self.once(cuts, give).await.expect("given");
        self.memory.terms.give(micros, expires_at);
    }

    /// The operator is at home in Germany and charges the tax of the Union's countries.
    async fn moves(&mut self, is_taxed: bool, cuts: &[usize]) {
        let country = if is_taxed { "DE" } else { "US" }.parse().expect("a country");
        let buyer = Buyer { country, vat_id: None, exemption: None };
        let say = async |tx: &Transaction| {
            store::set_account_tax(tx, self.tenant(), self.who.account, &buyer, self.now()).await.map(drop)
        };
        self.once(cuts, say).await.expect("said");
        self.memory.terms.moves(self.now(), is_taxed);
    }

    async fn take_back(
        &mut self,
        which: usize,
        part: Option<(usize, i64)>,
        cuts: &[usize],
    ) -> Result<bool, TestCaseError> {
        let statement = self.finals().await.swap_remove(which);
        let of = statement.statement_id.expect("final");
        let lines = self.memory.finals[which].lines.len();
        let part = part.map(|(place, cents)| (place % lines, cents * CENT));
        let asked = asked(&statement, part);
        let correct = async |tx: &Transaction| {
            store::issue_credit_note(tx, self.tenant(), of, &asked, "Wrong", self.now()).await.map(drop)
        };
        let done = self.once(cuts, correct).await;
        let expected = self.memory.take_back(which, part);
        match &done {
            Err(CreditNoteError::Store(error)) => panic!("{error}"),
            Err(CreditNoteError::Refused(CreditNoteRefused::TooMuch { left, .. })) => {
                prop_assert_eq!(Err(left.micros), expected);
                Ok(false)
            }
            done => agree(Terms::TakeBack { which, part }, expected.is_ok(), done),
        }
    }
}

/// All, or so much of one of the lines that came to something.
fn asked(statement: &Statement, part: Option<(usize, i64)>) -> Asked {
    let Some((place, micros)) = part else { return Asked::Whole };
    let comes_to_something = |line: &&Line| line.kind != LineKind::Discount && !line.amount.is_zero();
    let line = statement.lines.iter().filter(comes_to_something).nth(place).expect("as many as expected");
    Asked::Lines(vec![(line.line_id, Some(micros))])
}
