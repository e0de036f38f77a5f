//! How often what was done, and what came of it: sequences in which everything is refused prove nothing.

use super::memory::{Kind, Memory, Payment, PaymentState, Purpose};
use billing::statement::Status;
use std::{collections::BTreeMap, fmt};

/// What must not grow rare: commands that were done, and what can come of them.
const WATCHED: [&str; 46] = [
    "Again",
    "Cancel",
    "Cap",
    "Close",
    "Collect",
    "Correct",
    "Counter",
    "Decide",
    "Destination",
    "Event",
    "Finish",
    "Give",
    "GiveUp",
    "Look",
    "Month",
    "Move",
    "Pause",
    "PayNow",
    "PayOut",
    "Redeem",
    "Refund",
    "Resume",
    "Say",
    "Seats",
    "Start",
    "TakeBack",
    "TopUp",
    "Wait",
    "Way",
    "a collection goes back as a whole",
    "a collection goes back in part",
    "a draw takes of several top-ups",
    "a payment fails",
    "a payment goes on beyond what is owed",
    "a statement is collecting",
    "a statement is final",
    "a statement is paid",
    "a statement is uncollectible",
    "a statement is void",
    "a tab is collected",
    "a tab is given up",
    "a top-up goes back",
    "a wallet fills itself up",
    "a wallet fills itself up in a later month",
    "a wallet is drawn from",
    "the vendor is sent something again",
];
/// Of so many sequences each of these happens in one, and often in many.
const SEQUENCES: u32 = 400;

/// How often each thing happened.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, u32>);

impl Tally {
    pub(super) fn add(&mut self, what: &str) {
        *self.0.entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn add_all(&mut self, other: Self) {
        for (what, times) in other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    fn add_some(&mut self, what: &str, times: usize) {
        (0..times).for_each(|_| self.add(what));
    }

    /// What has come of a sequence.
    pub(super) fn add_outcomes(&mut self, memory: &Memory) {
        self.add_payments(&memory.money.payments);
        let draws = &memory.money.draws;
        self.add_some("a wallet is drawn from", draws.len());
        self.add_some("a draw takes of several top-ups", draws.iter().filter(|some| **some > 1).count());
        let settled = |kind| memory.settlements.iter().filter(|it| it.kind == kind).count();
        self.add_some("a tab is collected", settled(Kind::Collection));
        self.add_some("a tab is given up", settled(Kind::WriteOff));
        let beyond = memory.settlements.iter().filter(|it| it.goes_beyond());
        self.add_some("a payment goes on beyond what is owed", beyond.count());
        self.add_some("the vendor is sent something again", memory.payouts.len().saturating_sub(1));
        for status in memory.statuses() {
            let status = match status {
                Status::Draft => "a draft",
                Status::Final => "final",
                Status::Collecting => "collecting",
                Status::Paid => "paid",
                Status::Void => "void",
                Status::Uncollectible => "uncollectible",
            };
            self.add(&format!("a statement is {status}"));
        }
    }

    fn add_payments(&mut self, payments: &[Payment]) {
        let failed = payments.iter().filter(|it| matches!(it.state, PaymentState::Failed { .. }));
        self.add_some("a payment fails", failed.count());
        for it in payments.iter().filter(|it| it.gone > 0) {
            self.add(match it.purpose {
                Purpose::Collection if it.gone == it.amount => "a collection goes back as a whole",
                Purpose::Collection => "a collection goes back in part",
                Purpose::TopUp | Purpose::Refill => "a top-up goes back",
            });
        }
        let refills = payments.iter().filter(|it| it.purpose == Purpose::Refill);
        let months: Vec<_> = refills.map(Payment::month).collect();
        self.add_some("a wallet fills itself up", months.len());
        let later = months.windows(2).filter(|pair| pair[0] < pair[1]);
        self.add_some("a wallet fills itself up in a later month", later.count());
    }

    /// What happened too seldom in so many sequences.
    pub(super) fn rare(&self, sequences: u32) -> Vec<&'static str> {
        let times = |what: &str| self.0.get(what).copied().unwrap_or(0);
        WATCHED.into_iter().filter(|what| times(what) < sequences / SEQUENCES).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "{times:>7}  {what}"))
    }
}
