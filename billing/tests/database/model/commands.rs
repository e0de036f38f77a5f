//! What can be done in a sequence, and where it is cut off.

use proptest::prelude::*;

/// One thing that somebody does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Command {
    /// Time passes.
    Wait { hours: i64 },
    /// Ended months become final.
    Close,
    /// The month ends and becomes final.
    Month,
    /// Somebody looks at what the month has come to.
    Look,
    /// About a subscription.
    Subscription(Subscription),
    /// About what is used, and what may be.
    Usage(Usage),
    /// About what makes statements smaller or larger.
    Terms(Terms),
    /// About what is paid.
    Money(Money),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Subscription {
    /// One begins, with seats or at a flat price.
    Start { seats: Option<u32> },
    /// Another number of seats.
    Seats { which: usize, seats: u32 },
    /// It costs nothing from the next hour on.
    Pause { which: usize },
    /// It goes on.
    Resume { which: usize },
    /// It ends.
    Cancel { which: usize, with_the_month: bool },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Usage {
    /// A counter is reported for an hour that lies so long ago, perhaps in a month that is final.
    Counter { leg: usize, is_egress: bool, hours_ago: i64, quantity: u64 },
    /// The business reports an event of its own.
    Event { hours_ago: i64, value: u64 },
    /// An event is reported again, perhaps with something else in it.
    Again { which: usize, differs: bool },
    /// Another event counts in place of one, or none does.
    Correct { which: usize, hours_ago: i64, value: Option<u64> },
    /// So much a month may be spent, or anything.
    Cap { cents: Option<i64> },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Terms {
    /// A coupon is redeemed: one for a share of each line, or one for an amount.
    Redeem { is_share: bool },
    /// The payer is given something, for ever or for some days.
    Give { cents: i64, days: Option<i64> },
    /// The payer moves to where tax is charged, or to where none is.
    Move { is_taxed: bool },
    /// A final statement is taken back, or so many cents of one of its lines.
    TakeBack { which: usize, part: Option<(usize, i64)> },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Money {
    /// The payer names a way to pay.
    Way { token: Token },
    /// The payer says from what on it wants to be asked, and how its wallet fills up: with how much, and how much a month.
    Say { at_least_cents: Option<i64>, refill_cents: Option<(i64, i64)> },
    /// The payer asks to pay now. The processor hears of it with the next thing that is finished.
    PayNow,
    /// The same into the wallet.
    TopUp { cents: i64 },
    /// The policy decides, until there is nothing more to do.
    Collect,
    /// What was begun is finished, and what happened at the processor is heard.
    Finish,
    /// A part of a payment is to go back.
    Refund { which: usize, cents: i64 },
    /// Somebody proposes to give the tab up.
    GiveUp,
    /// Somebody, perhaps the same one, approves or rejects that.
    Decide { approve: bool, is_same: bool },
    /// The vendor says where it is paid, which may not work.
    Destination { works: bool },
    /// Vendors are paid.
    PayOut,
}

/// What the sandbox does with a way to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Token {
    Succeeds,
    NoFunds,
    NoFundsOnce,
    NoFundsTwice,
    CardLost,
    AnswerLost,
    RequestLost,
    DisputeWon,
    DisputeLost,
}

impl Token {
    const ALL: [Self; 9] = [
        Self::Succeeds,
        Self::NoFunds,
        Self::NoFundsOnce,
        Self::NoFundsTwice,
        Self::CardLost,
        Self::AnswerLost,
        Self::RequestLost,
        Self::DisputeWon,
        Self::DisputeLost,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Succeeds => "sandbox_succeeds",
            Self::NoFunds => "sandbox_no_funds",
            Self::NoFundsOnce => "sandbox_no_funds_once",
            Self::NoFundsTwice => "sandbox_no_funds_twice",
            Self::CardLost => "sandbox_card_lost",
            Self::AnswerLost => "sandbox_answer_lost",
            Self::RequestLost => "sandbox_request_lost",
            Self::DisputeWon => "sandbox_dispute_won",
            Self::DisputeLost => "sandbox_dispute_lost",
        }
    }
}

/// A command, and after how many waits each try but the last is cut off.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) command: Command,
    pub(super) cuts: Vec<usize>,
}

/// Anything, or mostly what is about money.
fn command(is_paying: bool) -> impl Strategy<Value = Command> {
    let (some, much) = if is_paying { (1, 16) } else { (5, 5) };
    prop_oneof![
        3 => (1_i64..900).prop_map(|hours| Command::Wait { hours }),
        2 => Just(Command::Close),
        7 => Just(Command::Month),
        2 => Just(Command::Look),
        some => subscription().prop_map(Command::Subscription),
        some + 3 => usage().prop_map(Command::Usage),
        5 => terms().prop_map(Command::Terms),
        much => money().prop_map(Command::Money),
        1 => says(),
    ]
}

fn subscription() -> impl Strategy<Value = Subscription> {
    prop_oneof![
        2 => prop::option::of(0_u32..200).prop_map(|seats| Subscription::Start { seats }),
        2 => (0_usize..3, 0_u32..200).prop_map(|(which, seats)| Subscription::Seats { which, seats }),
        1 => (0_usize..3).prop_map(|which| Subscription::Pause { which }),
        1 => (0_usize..3).prop_map(|which| Subscription::Resume { which }),
        1 => (0_usize..3, any::<bool>())
            .prop_map(|(which, with_the_month)| Subscription::Cancel { which, with_the_month }),
    ]
}

fn usage() -> impl Strategy<Value = Usage> {
    prop_oneof![
        3 => (0_usize..2, any::<bool>(), 0_i64..1_500, 0_u64..30_000_000).prop_map(
            |(leg, is_egress, hours_ago, quantity)| {
                let quantity = if is_egress { quantity * 1_000 } else { quantity };
                Usage::Counter { leg, is_egress, hours_ago, quantity }
            }
        ),
        4 => (0_i64..1_500, 0_u64..3_000).prop_map(|(hours_ago, value)| Usage::Event { hours_ago, value }),
        1 => (0_usize..4, any::<bool>()).prop_map(|(which, differs)| Usage::Again { which, differs }),
        2 => (0_usize..4, 0_i64..1_500, prop::option::of(0_u64..3_000))
            .prop_map(|(which, hours_ago, value)| Usage::Correct { which, hours_ago, value }),
        1 => prop::option::weighted(0.8, 1_i64..3_000).prop_map(|cents| Usage::Cap { cents }),
    ]
}

fn terms() -> impl Strategy<Value = Terms> {
    prop_oneof![
        2 => any::<bool>().prop_map(|is_share| Terms::Redeem { is_share }),
        2 => (1_i64..1_000, prop::option::of(1_i64..70)).prop_map(|(cents, days)| Terms::Give { cents, days }),
        2 => any::<bool>().prop_map(|is_taxed| Terms::Move { is_taxed }),
        3 => (0_usize..6, prop::option::of((0_usize..4, 1_i64..500)))
            .prop_map(|(which, part)| Terms::TakeBack { which, part }),
    ]
}

fn dollars() -> impl Strategy<Value = i64> {
    (1_i64..5).prop_map(|fives| fives * 500)
}

fn says() -> impl Strategy<Value = Command> {
    let refill = (dollars(), 1_i64..5).prop_map(|(cents, times)| (cents, cents * times));
    (prop::option::of(1_i64..2_000), prop::option::weighted(0.8, refill)).prop_map(
        |(at_least_cents, refill_cents)| Command::Money(Money::Say { at_least_cents, refill_cents }),
    )
}

fn money() -> impl Strategy<Value = Money> {
    prop_oneof![
        3 => token().prop_map(|token| Money::Way { token }),
        3 => Just(Money::PayNow),
        2 => dollars().prop_map(|cents| Money::TopUp { cents }),
        6 => Just(Money::Collect),
        3 => Just(Money::Finish),
        5 => (0_usize..3, 1_i64..900).prop_map(|(which, cents)| Money::Refund { which, cents }),
        2 => Just(Money::GiveUp),
        2 => (any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(approve, is_same)| Money::Decide { approve, is_same }),
        2 => any::<bool>().prop_map(|works| Money::Destination { works }),
        2 => Just(Money::PayOut),
    ]
}

fn token() -> impl Strategy<Value = Token> {
    prop::sample::select(Token::ALL.to_vec())
}

fn step(command: impl Strategy<Value = Command>) -> impl Strategy<Value = Step> {
    let cuts = prop_oneof![4 => Just(Vec::new()), 4 => (0_usize..40).prop_map(|waits| vec![waits]), 1 => prop::collection::vec(0_usize..40, 2)];
    (command, cuts).prop_map(|(command, cuts)| Step { command, cuts })
}

/// Steps one after the other. Half of the payers begin with what much depends on that can be done with money: a way to pay, and
/// a month that is worth its fee.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let way = step(token().prop_map(|token| Command::Money(Money::Way { token })));
    let seats = step(
        (130_u32..400).prop_map(|seats| Command::Subscription(Subscription::Start { seats: Some(seats) })),
    );
    let wallet = prop::option::of(step(says()));
    let paying =
        (way, seats, wallet, step(Just(Command::Month)), prop::collection::vec(step(command(true)), 1..9));
    prop_oneof![
        prop::collection::vec(step(command(false)), 1..9),
        paying.prop_map(|(way, seats, wallet, month, rest)| {
            [way, seats].into_iter().chain(wallet).chain([month]).chain(rest).collect()
        }),
    ]
}
