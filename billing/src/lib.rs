//! Usage, charges, ledger and statements: how what was used becomes what is owed.
//!
//! # From a counter to a cent
//!
//! 1. A media node counts, and the greatest count of an hour is kept: [`usage`]. Reports may come twice, late or in any
//!    order. What a business counts itself comes as an [`event`], which a [`meter`] of its own reads.
//! 2. A [`price`] is a function of what has been used in the month so far. An hour's [`charge`] is a difference of two
//!    of its values, so the hours add up to the price exactly: no hour is rounded to a cent.
//!    What is sold is checked when it is written into the [`catalogue`], and what a payer may do for it is an
//!    [`entitlement`].
//! 3. The [`statement`] of a month is a pure function of facts, prices, [`subscription`]s and what earlier statements
//!    said. It rounds once, to whole cents, and carries the rest on; [`tax`] is worked out of the whole cents.
//!    [`coupon`]s take something off its lines, [`credit`]s pay a part of its total.
//! 4. Making a month final numbers it, freezes it and posts it to the [`ledger`], where everything adds to zero. What was
//!    wrong is corrected by a [`credit_note`].
//! 5. What is owed stands on the tab until [`collection`] is worth its fee. Then a [`payment`] asks the [`processor`], and what
//!    came in falls to whoever earned it.
//! 6. The [`audit`] works all of it out again, sharing only [`money`]'s rounding with the code that bills, and compares.
//!
//! # Core and shell
//!
//! The modules named above touch no database and no clock: time is an argument. [`store`] loads and keeps their values,
//! each function on a [`db::Transaction`] of one tenant, or of many where a month ends; the [`collector`] has payers charged;
//! [`jobs`] does every hour what must happen by itself.
//! [`export`] writes the ledger for programs of accountants; [`drilldown`] holds the answers for those who take a statement apart.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod audit;
pub mod cap;
pub mod catalogue;
pub mod charge;
pub mod clock;
pub mod collection;
pub mod collector;
pub mod coupon;
pub mod credit;
pub mod credit_note;
pub mod currency;
pub mod db;
pub mod drilldown;
pub mod entitlement;
pub mod event;
pub mod export;
pub mod ids;
pub mod jobs;
pub mod ledger;
pub mod meter;
pub mod money;
pub mod payment;
pub mod period;
pub mod price;
pub mod processor;
pub mod statement;
pub mod store;
pub mod subscription;
pub mod tax;
pub mod usage;

pub use ids::TenantId;
