//! Whose the money is, as the model remembers it: what each has earned, what is passed on when it comes in, and who gives it
//! back.

use billing::{
    money::{apportion, round_half_even},
    period::Month,
};
use std::collections::BTreeMap;

/// What the platform keeps of what the vendor earned.
pub(in crate::model) const PLATFORM_PER_MILLE: u16 = 100;

/// What stands apart from the payer's own accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::model) enum Account {
    /// What the operator earned.
    Operator,
    /// What the vendor earned and has not come in.
    Shop,
    /// What has come in for the vendor and was not sent.
    Payable,
    Country,
    /// What the processor has for us.
    Processor,
    Fees,
    Platform,
    WrittenOff,
    /// What falls to nobody.
    Nobody,
}

impl Account {
    pub(in crate::model) const ALL: [Self; 9] = [
        Self::Operator,
        Self::Shop,
        Self::Payable,
        Self::Country,
        Self::Processor,
        Self::Fees,
        Self::Platform,
        Self::WrittenOff,
        Self::Nobody,
    ];
}

/// Whose a part of what is paid can be. Of equal remainders the first one's is rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::model) enum Party {
    Operator,
    Shop,
    Country,
    Nobody,
}

impl Party {
    const ALL: [Self; 4] = [Self::Operator, Self::Shop, Self::Country, Self::Nobody];

    pub(in crate::model) fn account(self) -> Account {
        match self {
            Self::Operator => Account::Operator,
            Self::Shop => Account::Shop,
            Self::Country => Account::Country,
            Self::Nobody => Account::Nobody,
        }
    }
}

/// What the operator, the vendor and the country have of something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claims(pub(super) [i64; 3]);

impl Claims {
    pub(super) fn map(self, change: impl Fn(i64) -> i64) -> Self {
        Self(self.0.map(change))
    }
}

/// What lowers a tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Kind {
    Collection,
    Wallet,
    WriteOff,
}

#[derive(Debug, Clone)]
pub(in crate::model) struct Settlement {
    pub(in crate::model) kind: Kind,
    pub(in crate::model) amount: i64,
    pub(in crate::model) fee: i64,
    /// Of which months it pays how much.
    pub(in crate::model) laid: Vec<(Month, i64)>,
    pub(in crate::model) parts: Vec<Part>,
}

impl Settlement {
    /// Did more come than was owed?
    pub(in crate::model) fn goes_beyond(&self) -> bool {
        self.laid.iter().map(|(_, micros)| micros).sum::<i64>() < self.amount
    }
}

/// Somebody's part of what was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) struct Part {
    pub(in crate::model) party: Party,
    pub(in crate::model) gross: i64,
    /// What the platform keeps of it.
    pub(in crate::model) platform: i64,
    /// Its part of what the processor kept.
    pub(in crate::model) fee: i64,
}

impl Part {
    pub(in crate::model) fn net(self) -> i64 {
        self.gross - self.platform - self.fee
    }
}

/// In parts by weights; nothing to anybody where nobody weighs anything.
fn divide(whole: i64, weights: &[i64]) -> Vec<i64> {
    let is_any = weights.iter().any(|weight| *weight > 0);
    if is_any { apportion(whole, weights) } else { vec![0; weights.len()] }
}

/// Whose it is that came in: of each month what was paid of it, by what was earned in it. What is paid beyond is nobody's, and
/// the fee is borne by those who earned something.
pub(super) fn take_apart(amount: i64, fee: i64, laid: &[(Month, i64, Claims)]) -> Vec<Part> {
    let mut gross = [0; 4];
    for (_, paid, Claims(earned)) in laid {
        gross.iter_mut().zip(divide(*paid, earned)).for_each(|(sum, part)| *sum += part);
    }
    gross[Party::Nobody as usize] = amount - gross.iter().sum::<i64>();
    let [operator, shop, ..] = gross;
    let fees = if operator + shop > 0 { divide(fee, &[operator, shop, 0, 0]) } else { divide(fee, &gross) };
    let part = |party: Party| {
        let (gross, fee) = (gross[party as usize], fees[party as usize]);
        let is_vendors = party == Party::Shop;
        let share = i128::from(gross) * i128::from(PLATFORM_PER_MILLE);
        let platform = if is_vendors { round_half_even(share, 1_000) } else { 0 };
        Part { party, gross, platform: i64::try_from(platform).expect("small"), fee }
    };
    Party::ALL.into_iter().map(part).filter(|part| part.gross != 0).collect()
}

/// Balances, debit above zero.
#[derive(Debug, Clone, Default)]
pub(in crate::model) struct Books(BTreeMap<Account, i64>);

impl Books {
    pub(in crate::model) fn on(&self, account: Account) -> i64 {
        self.0.get(&account).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, account: Account, micros: i64) {
        *self.0.entry(account).or_default() += micros;
    }

    /// A month was billed; or less than nothing of it.
    pub(super) fn earn(&mut self, Claims(claims): Claims) {
        for (party, micros) in Party::ALL.into_iter().zip(claims) {
            self.add(party.account(), -micros);
        }
    }

    /// What came in for the vendor is owed to it, less what the platform and the processor keep.
    pub(super) fn pass_on(&mut self, parts: &[Part]) {
        for part in parts.iter().filter(|part| part.party == Party::Shop) {
            self.add(Account::Shop, part.gross);
            self.add(Account::Platform, -part.platform);
            self.add(Account::Fees, -part.fee);
            self.add(Account::Payable, -part.net());
        }
    }

    /// What went back of a payment rises: each gives its part, the platform what it kept of that. The fee is gone.
    pub(super) fn go_back(&mut self, parts: &[Part], before: i64, after: i64) {
        // Here nobody comes before the country, as their names in the ledger do.
        let mut parts = parts.to_vec();
        parts.sort_by_key(|part| (part.party == Party::Country, part.party));
        let gross: Vec<i64> = parts.iter().map(|part| part.gross).collect();
        let (before, after) = (divide(before, &gross), divide(after, &gross));
        for ((part, before), after) in parts.iter().zip(before).zip(after) {
            let kept = |back: i64| {
                let of_it = i128::from(part.platform) * i128::from(back) / i128::from(part.gross);
                i64::try_from(of_it).expect("small")
            };
            let platform = kept(after) - kept(before);
            let from = if part.party == Party::Shop { Account::Payable } else { part.party.account() };
            self.add(from, after - before - platform);
            self.add(Account::Platform, platform);
        }
    }
}
