//! What can be done in a sequence, and where it is cut off.

use proptest::prelude::*;

/// One thing that somebody does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Command {
    /// Time passes.
    Wait { hours: i64 },
    /// A counter is reported for an hour that lies so long ago, perhaps in a month that is final.
    Use { leg: usize, is_egress: bool, hours_ago: i64, quantity: u64 },
    /// A subscription begins, with seats or at a flat price.
    Start { seats: Option<u32> },
    /// Another number of seats.
    Seats { which: usize, seats: u32 },
    /// It costs nothing from the next hour on.
    Pause { which: usize },
    /// It goes on.
    Resume { which: usize },
    /// It ends.
    Cancel { which: usize, with_the_month: bool },
    /// Ended months become final.
    Close,
    /// Somebody looks at what the month has come to.
    Look,
}

/// A command, and after how many waits each try but the last is cut off.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) command: Command,
    pub(super) cuts: Vec<usize>,
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => (1_i64..900).prop_map(|hours| Command::Wait { hours }),
        4 => (0_usize..2, any::<bool>(), 0_i64..1_500, 0_u64..30_000_000).prop_map(
            |(leg, is_egress, hours_ago, quantity)| {
                let quantity = if is_egress { quantity * 1_000 } else { quantity };
                Command::Use { leg, is_egress, hours_ago, quantity }
            }
        ),
        2 => prop::option::of(0_u32..20).prop_map(|seats| Command::Start { seats }),
        2 => (0_usize..3, 0_u32..20).prop_map(|(which, seats)| Command::Seats { which, seats }),
        1 => (0_usize..3).prop_map(|which| Command::Pause { which }),
        1 => (0_usize..3).prop_map(|which| Command::Resume { which }),
        1 => (0_usize..3, any::<bool>())
            .prop_map(|(which, with_the_month)| Command::Cancel { which, with_the_month }),
        3 => Just(Command::Close),
        1 => Just(Command::Look),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let cuts = prop_oneof![1 => Just(Vec::new()), 2 => prop::collection::vec(0_usize..24, 1..3)];
    (command(), cuts).prop_map(|(command, cuts)| Step { command, cuts })
}
