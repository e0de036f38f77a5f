//! What moves real money: one small trait, so that nothing else knows which processor it is.
//!
//! Whoever gives an [`Order`] has written it down before, under the id that the processor knows it by, too. So an order
//! can be given again and looked up for as long as one likes: it is carried out once.

mod sandbox;

pub use sandbox::Sandbox;

use crate::{
    collection::{FeeSchedule, dunning::Failure},
    currency::Currency,
    ids::{AccountId, TenantId},
    money::Money,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// By what money comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rail {
    /// A card.
    Card,
    /// A debit of a bank account.
    BankDebit,
}

/// No rail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no rail {0:?}")]
pub struct UnknownRail(pub String);

impl Rail {
    /// As it is stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Rail::Card => "card",
            Rail::BankDebit => "bank_debit",
        }
    }
}

impl std::str::FromStr for Rail {
    type Err = UnknownRail;

    fn from_str(text: &str) -> Result<Self, UnknownRail> {
        let known = [Rail::Card, Rail::BankDebit].into_iter().find(|rail| rail.as_str() == text);
        known.ok_or_else(|| UnknownRail(text.to_owned()))
    }
}

/// Something to do, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Ours, written down before; the processor keeps it as the idempotency key.
    pub id: Uuid,
    /// What.
    pub what: What,
    /// In whole minor units.
    pub amount: Money,
    /// For the processor's own records: whose books it is in.
    pub tenant: TenantId,
    /// In the tenant's time.
    pub at: Timestamp,
}

/// What an order is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Take money from a payer.
    Charge {
        /// The processor's name for the payer's way to pay.
        token: String,
        /// Who that is.
        payer: AccountId,
    },
    /// Give a payer back what a charge took, or a part of it.
    Refund {
        /// The charge's id.
        charge: Uuid,
    },
    /// Send a vendor what is its own.
    PayOut {
        /// The processor's name for where it goes.
        destination: String,
    },
}

/// What came of an order. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done {
        /// What the processor kept.
        fee: Money,
        /// The processor's own name for it.
        reference: String,
    },
    /// It is not, and no money moved.
    Failed {
        /// Would it help to try again?
        failure: Failure,
        /// In the processor's words.
        detail: String,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessorError {
    /// It may have happened or not. Look it up.
    #[error("the processor's answer did not come: {0}")]
    Unknown(String),
    /// The id is another order's: a mistake of ours.
    #[error("order {0} was given before with other contents")]
    Mismatch(Uuid),
}

/// What happened at the processor without an order of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Rises; what is asked after next time.
    pub number: i64,
    /// The charge that it is about.
    pub charge: Uuid,
    /// What.
    pub event: Event,
}

/// What can happen to a charge later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The payer objects. The processor takes the money back and keeps a fee.
    DisputeOpened {
        /// It.
        fee: Money,
    },
    /// The money comes back to us.
    DisputeWon,
    /// It does not.
    DisputeLost,
}

/// A payment processor.
pub trait Processor: Send + Sync {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// What a payer must know about it.
    fn says(&self) -> &'static str;

    /// What charging by a rail costs; `None` where it does not take that currency so.
    fn fees(&self, rail: Rail, currency: Currency) -> Option<FeeSchedule>;

    /// Carries out an order, or answers as before if it has been given before.
    fn submit(&self, order: &Order) -> impl Future<Output = Result<Answer, ProcessorError>> + Send;

    /// What came of an order; `None` if it never arrived.
    fn look_up(&self, id: Uuid) -> impl Future<Output = Result<Option<Answer>, ProcessorError>> + Send;

    /// What happened since, oldest first, some of it at a time.
    fn news(&self, after: i64) -> impl Future<Output = Result<Vec<News>, ProcessorError>> + Send;
}
