//! Chance that is the same for everybody who asks the same question: so each policy meets the same people, the same
//! failing cards and the same months, and two runs print the same table.

/// What is decided by chance. Each has a stream of its own, so that a policy that asks less often changes no other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Question {
    Arrival,
    HowMany,
    Price(u64),
    Start(u64),
    End(u64),
    WayToPay,
    TopUpSize,
    Sponsor,
    Failure(u64),
    Lasting(u64),
    Retry(u64, u64),
    NewWay(u64),
    Dispute(u64),
}

impl Question {
    fn number(self) -> u64 {
        match self {
            Question::Arrival => 1,
            Question::HowMany => 2,
            Question::WayToPay => 3,
            Question::TopUpSize => 4,
            Question::Sponsor => 5,
            Question::Price(n) => 6 + (n << 8),
            Question::Start(n) => 7 + (n << 8),
            Question::End(n) => 8 + (n << 8),
            Question::Failure(n) => 9 + (n << 8),
            Question::Lasting(n) => 10 + (n << 8),
            Question::Retry(n, attempt) => 11 + (n << 8) + (attempt << 40),
            Question::NewWay(n) => 12 + (n << 8),
            Question::Dispute(n) => 13 + (n << 8),
        }
    }
}

/// A number below `below` for a payer's question.
pub(crate) fn draw(payer: u64, question: Question, below: u64) -> u64 {
    mix(mix(payer) ^ question.number()) % below
}

/// Does something happen that happens so many times in ten thousand?
pub(crate) fn happens(payer: u64, question: Question, in_ten_thousand: u64) -> bool {
    draw(payer, question, 10_000) < in_ten_thousand
}

/// SplitMix64's finaliser: every bit of the input changes half of the output's.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
