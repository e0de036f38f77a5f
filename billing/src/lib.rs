//! Usage, charges, ledger and statements.
pub mod charge;
pub mod clock;
pub mod collection;
pub mod currency;
pub mod db;
pub mod drilldown;
pub mod ids;
pub mod jobs;
pub mod ledger;
pub mod money;
pub mod period;
pub mod price;
pub mod statement;
pub mod store;
pub mod subscription;
pub mod usage;
pub use ids::TenantId;
