//! The outcome of each policy, for people.

use crate::{Played, play::Outcome};

pub(crate) fn print(played: &[Played]) {
    println!(
        "{:<42} {:>9} {:>9} {:>9} {:>11} {:>9} {:>11} {:>11}",
        "policy", "collected", "fees", "kept", "median wait", "mean wait", "outstanding", "written off"
    );
    for Played { name, outcome } in played {
        println!(
            "{name:<42} {:>7.1} % {:>7.1} % {:>7.1} % {:>8} mo. {:>5.1} mo. {:>9.1} % {:>9.1} %",
            collected_share(outcome),
            fee_share(outcome),
            percent(outcome.collected - outcome.fees, outcome.billed),
            outcome.median_wait(),
            outcome.mean_wait(),
            percent(outcome.outstanding, outcome.billed),
            percent(outcome.written_off, outcome.billed),
        );
    }
}

/// Of what was billed.
pub(crate) fn collected_share(outcome: &Outcome) -> f64 {
    percent(outcome.collected, outcome.billed)
}

/// Of what was collected.
pub(crate) fn fee_share(outcome: &Outcome) -> f64 {
    percent(outcome.fees, outcome.collected)
}

fn percent(part: i64, whole: i64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}
