//! Usage, charges, ledger and statements.
pub mod charge;
pub mod clock;
pub mod currency;
pub mod db;
pub mod ids;
pub mod money;
pub mod period;
pub mod price;
pub mod subscription;
pub mod usage;
pub use ids::TenantId;
