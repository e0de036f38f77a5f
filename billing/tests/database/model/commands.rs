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

impl Command {
    /// In a word.
    pub(super) fn name(self) -> String {
        let said = format!("{self:?}");
        let mut words = said.split(|letter: char| !letter.is_alphanumeric());
        let kind = words.next().unwrap_or_default();
        let is_kind =
            matches!(self, Self::Subscription(_) | Self::Usage(_) | Self::Terms(_) | Self::Money(_));
        words.next().filter(|_| is_kind).unwrap_or(kind).to_owned()
    }
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
        3 => Just(Command::Close),
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
        3 => change(),
    ]
}

fn change() -> impl Strategy<Value = Subscription> {
    prop_oneof![
        3 => (0_usize..3, 0_u32..200).prop_map(|(which, seats)| Subscription::Seats { which, seats }),
        1 => (0_usize..3).prop_map(|which| Subscription::Pause { which }),
        2 => (0_usize..3).prop_map(|which| Subscription::Resume { which }),
        3 => (0_usize..3, any::<bool>())
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
        4 => event(),
        4 => about_an_event(),
        1 => prop::option::weighted(0.8, 1_i64..3_000).prop_map(|cents| Usage::Cap { cents }),
    ]
}

fn event() -> impl Strategy<Value = Usage> {
    (0_i64..1_500, 0_u64..3_000).prop_map(|(hours_ago, value)| Usage::Event { hours_ago, value })
}

fn about_an_event() -> impl Strategy<Value = Usage> {
    prop_oneof![
        2 => (0_usize..4, prop::bool::weighted(0.3))
            .prop_map(|(which, differs)| Usage::Again { which, differs }),
        2 => (0_usize..4, 0_i64..1_500, prop::option::of(0_u64..3_000))
            .prop_map(|(which, hours_ago, value)| Usage::Correct { which, hours_ago, value }),
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

/// With how much a wallet fills up, and how much a month: less than so many times as much.
fn refill(times: i64) -> impl Strategy<Value = (i64, i64)> {
    (dollars(), 1..times).prop_map(|(cents, times)| (cents, cents * times))
}

fn says() -> impl Strategy<Value = Command> {
    (prop::option::of(1_i64..2_000), prop::option::weighted(0.8, refill(5))).prop_map(
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
        5 => refund(),
        2 => Just(Money::GiveUp),
        2 => decision(),
        2 => any::<bool>().prop_map(|works| Money::Destination { works }),
        2 => Just(Money::PayOut),
    ]
}

fn refund() -> impl Strategy<Value = Money> {
    (0_usize..3, 1_i64..900).prop_map(|(which, cents)| Money::Refund { which, cents })
}

fn decision() -> impl Strategy<Value = Money> {
    (prop::bool::weighted(0.8), prop::bool::weighted(0.2))
        .prop_map(|(approve, is_same)| Money::Decide { approve, is_same })
}

fn token() -> impl Strategy<Value = Token> {
    prop::sample::select(Token::ALL.to_vec())
}

/// Commands of which the later ones have something to do only after the earlier ones. By chance they seldom follow each other.
fn story() -> impl Strategy<Value = Vec<Command>> {
    let start = (0_u32..200).prop_map(|seats| Subscription::Start { seats: Some(seats) });
    let paid = Command::Money(Money::PayNow);
    let done = Command::Money(Money::Finish);
    let take_back = |which, part| Command::Terms(Terms::TakeBack { which, part });
    let collect = Command::Money(Money::Collect);
    let destination = Command::Money(Money::Destination { works: true });
    let pay_out = Command::Money(Money::PayOut);
    let all =
        |subscriptions: Vec<Subscription>| subscriptions.into_iter().map(Command::Subscription).collect();
    prop_oneof![
        2 => (start.clone(), prop::collection::vec(change(), 1..4))
            .prop_map(move |(start, changes)| all([vec![start], changes].concat())),
        2 => start.prop_map(|start| {
            let [start, pause, resume] =
                [start, Subscription::Pause { which: 0 }, Subscription::Resume { which: 0 }].map(Command::Subscription);
            vec![start, pause, Command::Month, resume]
        }),
        3 => (event(), about_an_event())
            .prop_map(|(event, about_it)| [event, about_it].map(Command::Usage).into()),
        2 => (700_i64..900).prop_map(|hours| vec![Command::Wait { hours }, Command::Close]),
        4 => refund().prop_map(move |refund| vec![paid, done, Command::Money(refund)]),
        // What is paid and taken back pays the next month, which is taken back, too.
        3 => (0_usize..2).prop_map(move |next| {
            [vec![paid, take_back(0, None), done], [Command::Month, take_back(1, None)].repeat(next)].concat()
        }),
        // A credit pays a part of a month, and as much as was left or less is taken back of it.
        2 => (100_i64..400, 0_usize..2, 200_i64..500).prop_map(move |(cents, which, back)| {
            let give = Command::Terms(Terms::Give { cents, days: None });
            vec![give, Command::Month, take_back(which, Some((1, back)))]
        }),
        3 => (dollars(), dollars(), refund()).prop_map(move |(one, other, refund)| {
            let top_up = |cents| Command::Money(Money::TopUp { cents });
            vec![top_up(one), done, top_up(other), done, Command::Month, collect, Command::Money(refund)]
        }),
        4 => decision().prop_map(|decision| [Money::GiveUp, decision].map(Command::Money).into()),
        4 => (1_usize..3).prop_map(move |times| {
            [vec![destination], [Command::Month, collect, pay_out].repeat(times)].concat()
        }),
    ]
}

/// After how many waits each try of a command but the last is cut off: nearly half of them never are.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        4 => Just(Vec::new()),
        4 => (0_usize..40).prop_map(|waits| vec![waits]),
        1 => prop::collection::vec(0_usize..40, 2),
    ]
}

/// The longest sequence.
const COMMANDS_MAX: usize = 64;

fn steps_of(commands: impl Strategy<Value = Vec<Command>>) -> impl Strategy<Value = Vec<Step>> {
    let cuts = prop::collection::vec(cuts(), COMMANDS_MAX);
    (commands, cuts).prop_map(|(commands, cuts)| {
        commands.into_iter().zip(cuts).map(|(command, cuts)| Step { command, cuts }).collect()
    })
}

/// Anything, and now and then a few things that belong together.
fn some(is_paying: bool, most: usize) -> impl Strategy<Value = Vec<Command>> {
    let one = command(is_paying).prop_map(|command| vec![command]);
    let some = prop_oneof![6 => one, 1 => story()];
    prop::collection::vec(some, 1..most).prop_map(|parts| parts.concat())
}

/// What much depends on that can be done with money: a way to pay, and a month that is worth its fee.
fn payer(token: impl Strategy<Value = Token>) -> impl Strategy<Value = Vec<Command>> {
    let seats = (130_u32..500).prop_map(|seats| Subscription::Start { seats: Some(seats) });
    (token, seats)
        .prop_map(|(token, seats)| vec![Command::Money(Money::Way { token }), Command::Subscription(seats)])
}

/// Months that a wallet pays, which fills itself up; with something else in one of them.
fn wallet() -> impl Strategy<Value = Vec<Command>> {
    let way =
        prop_oneof![3 => Just(Token::Succeeds), 1 => Just(Token::AnswerLost), 1 => Just(Token::DisputeLost)];
    let says = refill(3).prop_map(|refill| Money::Say { at_least_cents: None, refill_cents: Some(refill) });
    let month = vec![Command::Month, Command::Money(Money::Collect)];
    (payer(way), says, some(true, 3), 1_usize..3).prop_map(move |(payer, says, other, months)| {
        [payer, vec![Command::Money(says)], month.clone(), other, month.repeat(months)].concat()
    })
}

/// Steps one after the other: of anybody, of payers, and of payers with a wallet.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let paying = (payer(token()), prop::option::of(says()), some(true, 6)).prop_map(|(payer, says, rest)| {
        [payer, says.into_iter().chain([Command::Month]).collect(), rest].concat()
    });
    prop_oneof![
        4 => steps_of(some(false, 7)),
        4 => steps_of(paying),
        1 => steps_of(wallet()),
    ]
}
