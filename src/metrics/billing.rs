//! Billing's families.

use super::exposition::{Kind, Page};
use ::billing::{
    jobs::{Job, Tally},
    store::Unfinished,
};

/// Writes everything about billing's jobs.
pub(super) fn write(page: &mut Page, tally: &Tally) {
    use Kind::{Counter, Gauge};
    let jobs = tally.look();
    let mut rounds = page.family("tuppence_billing_rounds_total", Counter, "Rounds of billing's jobs.");
    for look in &jobs {
        rounds.sample(&[("job", &look.job.as_str()), ("outcome", &"done")], look.done);
        rounds.sample(&[("job", &look.job.as_str()), ("outcome", &"failed")], look.failed);
    }
    let mut done_at = page.family(
        "tuppence_billing_last_round_timestamp_seconds",
        Gauge,
        "When the last round came to its end; absent before the first.",
    );
    for (look, at) in jobs.iter().filter_map(|look| Some((look, look.done_at?))) {
        done_at.sample(&[("job", &look.job.as_str())], at.as_second());
    }
    let mut left_out = page.family(
        "tuppence_billing_left_out_accounts_total",
        Counter,
        "Accounts whose own turn failed; the next round tries again.",
    );
    for look in jobs.iter().filter(|look| matches!(look.job, Job::Close | Job::Collect)) {
        left_out.sample(&[("job", &look.job.as_str())], look.left_out);
    }
    if let Some(unfinished) = tally.unfinished() {
        let Unfinished { payments, refunds, payouts, news } = unfinished;
        let mut family = page.family(
            "tuppence_billing_unfinished",
            Gauge,
            "What was begun with the processor and is not finished.",
        );
        for (what, count) in [("payment", payments), ("refund", refunds), ("payout", payouts), ("news", news)]
        {
            family.sample(&[("what", &what)], count);
        }
    }
    page.family("tuppence_billing_statements_total", Counter, "Statements that became final.")
        .sample(&[], tally.statements());
}
