//! Recurring prices by how many of something are held: seats, rooms, mailboxes.

use super::{Every, Model, PriceError};
use crate::{
    currency::Currency,
    money::{Money, MoneyError},
};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use utoipa::ToSchema;

/// What any number can be held of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// For one member of a business.
    Seat,
    /// A place to meet.
    Room,
    /// Where messages are left.
    Mailbox,
}

/// An item that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no item {0:?}")]
pub struct UnknownItem(pub String);

impl Item {
    /// All there are.
    pub const ALL: [Item; 3] = [Item::Seat, Item::Room, Item::Mailbox];

    /// The name in prices and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Item::Seat => "seat",
            Item::Room => "room",
            Item::Mailbox => "mailbox",
        }
    }
}

impl FromStr for Item {
    type Err = UnknownItem;

    fn from_str(name: &str) -> Result<Self, UnknownItem> {
        let known = Item::ALL.into_iter().find(|item| item.as_str() == name);
        known.ok_or_else(|| UnknownItem(name.to_owned()))
    }
}

/// How many of each item are held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quantities {
    /// For members of the business.
    #[schema(maximum = 1_000_000)]
    pub seats: u32,
    /// Places to meet.
    #[schema(maximum = 1_000_000)]
    pub rooms: u32,
    /// Where messages are left.
    #[schema(maximum = 1_000_000)]
    pub mailboxes: u32,
}

impl Quantities {
    /// As many as anybody can hold of one item.
    pub const MAX: u32 = 1_000_000;

    /// How many of one item.
    pub fn of(self, item: Item) -> u32 {
        match item {
            Item::Seat => self.seats,
            Item::Room => self.rooms,
            Item::Mailbox => self.mailboxes,
        }
    }

    /// Of each item the greater number.
    pub fn max(self, other: Self) -> Self {
        Self {
            seats: self.seats.max(other.seats),
            rooms: self.rooms.max(other.rooms),
            mailboxes: self.mailboxes.max(other.mailboxes),
        }
    }
}

/// So much a month or a year for as many of an item as are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Of what.
    pub item: Item,
    /// In what it is paid.
    pub currency: Currency,
    /// For how long the amounts are.
    pub every: Every,
    /// So many are free.
    pub included: i64,
    /// What the rest costs.
    pub model: Model,
    /// The period costs at least so much.
    pub minimum: Option<Money>,
    /// The period costs so much at most.
    pub cap: Option<Money>,
}

impl Counted {
    /// What a whole period costs with so many held.
    pub fn amount(&self, held: Quantities) -> Result<Money, MoneyError> {
        let beyond = i64::from(held.of(self.item)).saturating_sub(self.included).max(0);
        let price = self.model.micros(beyond, 1).ok_or(MoneyError::Overflow)?;
        let least = self.minimum.map_or(0, |minimum| i128::from(minimum.micros));
        let most = self.cap.map_or(i128::MAX, |cap| i128::from(cap.micros));
        let micros = i64::try_from(price.max(least).min(most)).map_err(|_| MoneyError::Overflow)?;
        Ok(Money::micros(micros, self.currency))
    }

    /// What one costs for a whole period, where each beyond the allowance costs the same.
    pub fn rate(&self) -> Option<Money> {
        self.model.rate_micros().map(|micros| Money::micros(micros, self.currency))
    }

    pub(super) fn check(&self) -> Result<(), PriceError> {
        self.model.check()?;
        if matches!(self.model, Model::Percentage { .. }) {
            return Err(PriceError::ShareOfACount);
        }
        super::check_bounds(self.currency, self.included, self.minimum, self.cap)?;
        let most = Quantities { seats: Quantities::MAX, rooms: Quantities::MAX, mailboxes: Quantities::MAX };
        self.amount(most).map(drop).map_err(|_| PriceError::TooLarge)
    }
}
