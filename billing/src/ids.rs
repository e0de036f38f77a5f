//! The names of things, each its own type, so that two never swap.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A business. Everything it owns is visible in its own scope only.
    TenantId;
    /// A payer.
    AccountId;
    /// An account on a plan version, from an hour to an hour.
    SubscriptionId;
    /// What is sold, whatever it costs at the time.
    PlanId;
    /// One immutable price list of a plan.
    PlanVersionId;
    /// One price of a plan version.
    PriceId;
    /// Who sells a plan.
    VendorId;
    /// One participant's connection: whose usage a fact is.
    LegId;
    /// A finalised statement. Also names its transaction in the ledger.
    StatementId;
    /// A way to pay that a payer named.
    PaymentMethodId;
    /// An attempt to take money. Also names its order at the processor and, where it succeeds, its transaction in the ledger.
    PaymentId;
    /// So much less, for whoever redeems it.
    CouponId;
    /// A correction of a final statement.
    CreditNoteId;
    /// What a payer was given.
    CreditId;
    /// A line of a statement, the same in every draft and in the final one.
    LineId;
}

impl LineId {
    /// Derives the id from what the line is about, so that a line keeps its name while its amount grows.
    pub fn derived(parts: &[&[u8]]) -> Self {
        Self(derived(parts))
    }
}

impl CreditId {
    /// The name of the transaction by which what was left of it expires when a month is closed.
    pub fn expiry(self, closed: StatementId) -> Uuid {
        derived(&[b"expiry", self.0.as_bytes(), closed.0.as_bytes()])
    }
}

/// An id that follows from what it is about: the same every time, so that whoever tries again means the same thing.
/// The words are mixed by FNV-1a in 128 bits into a UUID of version 8 (RFC 9562 §5.8).
pub fn derived(parts: &[&[u8]]) -> Uuid {
    const OFFSET: u128 = 0x6c62272e07bb014262b821756295c58d;
    const PRIME: u128 = 0x0000000001000000000000000000013b;
    let mixed = parts
        .iter()
        .flat_map(|part| part.iter())
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    uuid::Builder::from_custom_bytes(mixed.to_be_bytes()).into_uuid()
}
