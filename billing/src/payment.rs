//! Payments: attempts to take money from a payer, each written down before the processor hears of it.

use crate::{
    collection::TopUp,
    ids::{AccountId, PaymentId, PaymentMethodId, VendorId},
    money::{MICROS_PER_MINOR, Money},
    processor::Rail,
};
use jiff::Timestamp;
use serde::Serialize;
use std::str::FromStr;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a payment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The tab.
    Collection,
    /// The wallet, because the payer put something in.
    TopUp,
    /// The wallet, which fills itself up.
    Refill,
}

/// How far a payment is. It moves once: from attempted to one of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The processor is being asked. Nobody is asked a second time meanwhile.
    Attempted,
    /// The money came.
    Succeeded,
    /// It did not, and nothing was taken.
    Failed,
}

/// Something stored that is none of the words above.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no payment has {0:?}")]
pub struct UnknownWord(pub String);

impl Purpose {
    /// As it is stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Collection => "collection",
            Purpose::TopUp => "top_up",
            Purpose::Refill => "refill",
        }
    }
}

impl FromStr for Purpose {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let known = [Purpose::Collection, Purpose::TopUp, Purpose::Refill];
        known.into_iter().find(|it| it.as_str() == text).ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

impl State {
    /// As it is stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Attempted => "attempted",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
        }
    }
}

impl FromStr for State {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let known = [State::Attempted, State::Succeeded, State::Failed];
        known.into_iter().find(|it| it.as_str() == text).ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// An attempt to take money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Payment {
    /// Names it, here and at the processor.
    pub payment_id: PaymentId,
    /// Who pays.
    pub account_id: AccountId,
    /// What for.
    pub purpose: Purpose,
    /// By what.
    pub payment_method_id: PaymentMethodId,
    /// How much.
    pub amount: Money,
    /// Why now, for the payer to read.
    pub why: String,
    /// How far it is.
    pub state: State,
    /// What the processor said where it failed.
    pub detail: Option<String>,
    /// What the processor kept where it succeeded.
    pub fee: Option<Money>,
    /// When it was begun, in the tenant's time.
    #[schema(value_type = String, format = DateTime)]
    pub attempted_at: Timestamp,
    /// When its outcome was known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// A way to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Method {
    /// Names it.
    pub payment_method_id: PaymentMethodId,
    /// At which processor; with `sandbox` no money moves.
    pub processor: String,
    /// By what money comes.
    pub rail: Rail,
    /// What the payer calls it.
    pub label: String,
    /// When it was named, in the tenant's time.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What a payer said about paying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// By what.
    pub method: Option<PaymentMethodId>,
    /// Not less than this at a time.
    pub at_least: Option<Money>,
    /// How the wallet fills itself up. `this_month` is not part of what was said.
    pub refill: Option<TopUp>,
}

/// A tab that is to be given up, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WriteOff {
    /// Names it.
    pub write_off_id: Uuid,
    /// Whose tab.
    pub account_id: AccountId,
    /// So much of it.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// How far it is.
    pub state: WriteOffState,
    /// Who proposed it.
    pub proposed_by: String,
    /// Who approved or rejected it.
    pub decided_by: Option<String>,
    /// In the tenant's time.
    #[schema(value_type = String, format = DateTime)]
    pub proposed_at: Timestamp,
    /// In the tenant's time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
}

/// How far a write-off is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteOffState {
    /// Somebody else is to approve it.
    Proposed,
    /// Nothing of it is owed any more.
    Approved,
    /// It is owed as before.
    Rejected,
}

impl FromStr for WriteOffState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "proposed" => Ok(Self::Proposed),
            "approved" => Ok(Self::Approved),
            "rejected" => Ok(Self::Rejected),
            other => Err(UnknownWord(other.to_owned())),
        }
    }
}

/// Money that goes back to a payer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refund {
    /// Names it, here and at the processor.
    pub refund_id: Uuid,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// How far it is.
    pub state: State,
    /// What the processor said where it failed.
    pub detail: Option<String>,
    /// When it was begun, in the tenant's time.
    #[schema(value_type = String, format = DateTime)]
    pub attempted_at: Timestamp,
    /// When its outcome was known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// Money that goes out to a vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Payout {
    /// Names it, here and at the processor.
    pub payout_id: Uuid,
    /// To whom.
    pub vendor_id: VendorId,
    /// What the payout before left.
    pub carried_in: Money,
    /// How much goes out: what came in and the lines, less what is carried on.
    pub amount: Money,
    /// Less than a minor unit, left to the next one.
    pub carried_out: Money,
    /// Where to, as the vendor calls it.
    pub destination: String,
    /// How far it is.
    pub state: State,
    /// What the processor said where it failed.
    pub detail: Option<String>,
    /// When it was begun, in the tenant's time.
    #[schema(value_type = String, format = DateTime)]
    pub attempted_at: Timestamp,
    /// When its outcome was known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// One transaction of the ledger that a payout pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PayoutLine {
    /// Which.
    pub transaction_id: Uuid,
    /// What it is of: `share`, `refund`, `dispute`, or a `payout` that failed.
    pub kind: String,
    /// What it added to what the vendor is owed; below zero where it took.
    pub amount: Money,
    /// In the tenant's time.
    #[schema(value_type = String, format = DateTime)]
    pub posted_at: Timestamp,
}

/// The least and the most that goes into a wallet at once, in minor units of a currency with two decimals: what is put in
/// is worth its fee, and nobody leaves a fortune here.
pub const TOP_UP_MINOR: std::ops::RangeInclusive<i64> = 500..=50_000;

/// Why an amount does not go into a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whole and between {least} and {most}")]
pub struct NotAnAmount {
    /// The least that does.
    pub least: Money,
    /// The most.
    pub most: Money,
}

/// May so much go into a wallet at once? $5, $10, $20 and whatever lies between $5 and $500; in other currencies the same
/// numbers of the major unit, of a yen a hundred times as many.
pub fn top_up_amount(amount: Money) -> Result<Money, NotAnAmount> {
    // 10^digits minor units are one of the major; a yen is counted like a cent.
    let scale = if amount.currency.minor_digits() == 3 { 10 } else { 1 };
    let bound = |minor: i64| Money::micros(minor * scale * MICROS_PER_MINOR, amount.currency);
    let (least, most) = (bound(*TOP_UP_MINOR.start()), bound(*TOP_UP_MINOR.end()));
    let is_whole = amount.micros % MICROS_PER_MINOR == 0;
    match is_whole && (least.micros..=most.micros).contains(&amount.micros) {
        true => Ok(amount),
        false => Err(NotAnAmount { least, most }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for purpose in [Purpose::Collection, Purpose::TopUp, Purpose::Refill] {
            assert_eq!(purpose.as_str().parse(), Ok(purpose));
        }
        for state in [State::Attempted, State::Succeeded, State::Failed] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("gone".parse::<State>().is_err() && "gone".parse::<Purpose>().is_err());
    }

    /// Rows: minor units of a currency, and whether they may go into a wallet.
    #[test]
    fn a_wallet_takes_what_is_worth_its_fee_and_no_fortune() {
        for (code, minor, allowed) in [
            ("USD", 500, true),
            ("USD", 2_000, true),
            ("USD", 499, false),
            ("USD", 50_001, false),
            ("USD", -500, false),
            ("JPY", 500, true),
            ("KWD", 5_000, true),
            ("KWD", 4_999, false),
        ] {
            let amount = Money::micros(minor * MICROS_PER_MINOR, code.parse().expect(code));
            assert_eq!(top_up_amount(amount).is_ok(), allowed, "{amount}");
        }
        let odd = Money::micros(500 * MICROS_PER_MINOR + 1, crate::currency::Currency::USD);
        assert!(top_up_amount(odd).is_err());
    }
}
