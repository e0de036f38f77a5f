//! What a statement is a function of.

use crate::{
    coupon::Redeemed,
    credit::Credit,
    currency::Currency,
    ids::{AccountId, PriceId, SubscriptionId},
    money::{Money, MoneyError},
    period::Month,
    processor::Rail,
    subscription::Subscription,
    tax::{TaxBooks, TaxTerms, Treatment},
    usage::Usage,
};
use std::collections::BTreeSet;

/// A payer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name in tables.
    pub account_id: AccountId,
    /// The business itself, not one of its people? Only a business's usage is measured.
    pub is_business: bool,
    /// Its name for people.
    pub name: String,
    /// Of everything it pays.
    pub currency: Currency,
    /// By what it pays, where it has said so.
    pub rail: Option<Rail>,
    /// Is there anything about it that few accounts have: tax, coupons, credits?
    pub has_terms: bool,
}

/// Everything that is known about an account's months.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    /// Who pays.
    pub account: Account,
    /// Its subscriptions, ended ones too, with their prices; oldest first.
    pub subscriptions: Vec<Subscription>,
    /// Its usage, at least of the drafted month and of the late ones.
    pub usage: Usage,
    /// Final months that facts came for after they were final.
    pub late: BTreeSet<Month>,
    /// Its final statements, oldest first.
    pub finals: Vec<Final>,
    /// The lines that final statements had about late months.
    pub billed: Vec<BilledLine>,
    /// What it owes from final statements.
    pub owed: Money,
    /// How it is taxed; nothing of whoever said nothing about that.
    pub tax: Option<TaxBooks>,
    /// What coupons it has redeemed, in that order.
    pub coupons: Vec<Redeemed>,
    /// What is left of its credits.
    pub credits: Vec<Credit>,
}

/// A final statement in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Final {
    /// Whose month.
    pub month: Month,
    /// What came onto the tab, in whole minor units.
    pub total: Money,
    /// What its rounding left.
    pub carried_out: Money,
}

/// What a final statement said about a price in a month, its own or an adjusted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BilledLine {
    /// Of which subscription.
    pub subscription_id: SubscriptionId,
    /// At which price.
    pub price_id: PriceId,
    /// In which month it was used.
    pub month: Month,
    /// How much.
    pub quantity: i64,
    /// For how much.
    pub amount: Money,
}

impl Books {
    /// The remainder that the last statement before a month left.
    pub(super) fn carried_into(&self, month: Month) -> Money {
        let before = self.finals.iter().filter(|earlier| earlier.month < month);
        before
            .max_by_key(|earlier| earlier.month)
            .map_or(Money::zero(self.account.currency), |last| last.carried_out)
    }

    /// How a sale of one month is taxed on the statement of another.
    pub(super) fn treatment(&self, terms: TaxTerms, month: Month, sold: Month) -> Treatment {
        let tax = self.tax.as_ref();
        tax.map_or(Treatment::OUTSIDE, |tax| tax.treat(terms, month.end(), sold.last_day()))
    }

    /// Why a part of a statement has no tax.
    pub(super) fn reason(&self, treatment: Treatment, month: Month) -> Option<String> {
        self.tax.as_ref().and_then(|tax| tax.reason(treatment.category, month.end()))
    }

    /// What has been billed so far for a price in a month: quantity and amount.
    pub(super) fn billed_for(
        &self,
        subscription_id: SubscriptionId,
        price_id: PriceId,
        month: Month,
    ) -> Result<(i64, Money), MoneyError> {
        let about = |line: &&BilledLine| {
            (line.subscription_id, line.price_id, line.month) == (subscription_id, price_id, month)
        };
        let nothing = (0_i64, Money::zero(self.account.currency));
        self.billed.iter().filter(about).try_fold(nothing, |(quantity, amount), line| {
            let quantity = quantity.checked_add(line.quantity).ok_or(MoneyError::Overflow)?;
            Ok((quantity, amount.plus(line.amount)?))
        })
    }

    /// The first month that is not final, if the account has anything to pay at all.
    pub fn open_month(&self) -> Option<Month> {
        let last = self.finals.iter().map(|earlier| earlier.month).max();
        let first = self.subscriptions.iter().map(|subscription| subscription.starts.month()).min();
        last.map(Month::next).or(first)
    }
}
