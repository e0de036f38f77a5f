//! Usage, charges, ledger and statements.

pub mod clock;
