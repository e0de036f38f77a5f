//! What billing keeps: one function a query, each on a transaction of the tenant whose rows it touches.
//!
//! The queries stand beside the functions as `.sql` files. Times that are passed in as `now` are the wall clock's;
//! a sandbox tenant's own time is derived from it by [`tenant_clock`].

mod accounts;
mod audit;
mod books;
mod caps;
mod catalogue;
mod chain;
mod clock;
mod close;
mod coupons;
mod credit_notes;
mod credits;
mod drilldown;
mod events;
mod export;
mod facts;
mod finalise;
mod freeze;
mod ledger;
mod meters;
mod news;
mod own_usage;
mod payers;
mod payments;
mod payouts;
mod refunds;
mod row;
mod settlements;
mod statements;
mod subscriptions;
mod tax;
mod tenants;
mod unfinished;
mod usage;
mod usage_query;
mod write_offs;

pub use accounts::{
    BUSINESS, DEMO, OpenedAccount, account_of_tenant, accounts, open_account, open_account_on, open_person,
};
pub use audit::{audit_weights, evidence, number_series};
pub use caps::{CapWarning, cap_warnings, caps, end_cap, set_cap};
pub use catalogue::{insert_plan, insert_vendor, insert_version, plan, plan_versions, plans, vendors};
pub use chain::{block_after, seal_ledger};
pub use clock::{AdvanceError, Advanced, TenantClock, advance_clock, tenant_clock};
pub use close::{ClosedPage, Due, DuePage, Progress, Seen, close_ended, due_after};
pub use coupons::{RedeemError, Tried, insert_coupon, redeem_coupon, redeemed_coupons, try_coupon};
pub use credit_notes::{CreditNoteError, credit_notes, issue_credit_note};
pub use credits::{GrantError, Granted, NewCredit, credits, grant_credit};
pub use drilldown::{StatementRef, hour_calls, line_hours};
pub use events::record_events;
pub use export::{Page, journal_after};
pub use facts::{Recorded, record_batch, record_facts, set_aside};
pub(crate) use finalise::lock as lock_tenant;
pub use finalise::{FinaliseError, finalise, finalise_account, finalise_ended};
pub use ledger::{balance, post};
pub use meters::{MeterNotMade, insert_meter, meters};
pub use news::{
    WaitingNews, hear_until, heard_until, news_to_try_again, news_waited_for, set_news_aside,
    tried_news_again, waiting_news,
};
pub use payers::{NewMethod, Payer, Who, methods, name_method, owing_after, payers, set, settings};
pub use payments::{NewPayment, OpenPayment, begin_payment, open_payments, payment, payments};
pub use payouts::{
    Payable, begin_payout, end_payout, name_destination, open_payouts, payable_after, payout, payouts,
    vendor_owed,
};
pub use refunds::{RefundError, begin_refund, end_refund, hear, open_refunds, refunds, whose_payment};
pub(crate) use row::new_id;
pub use settlements::{PlatformShare, Said, draw, how_statements_stand, settle_payment, standings_said};
pub use statements::{draft, statement, statements, statements_said};
pub use subscriptions::{
    Considered, Kept, Start, SubscribeError, consider_change, consider_start, entitlements, keep,
    subscription, subscriptions,
};
pub use tax::{
    Seller, StoredRate, account_tax, insert_seller, insert_tax_rate, sellers, set_account_tax, tax_rates,
};
pub use tenants::{make_partitions, tenants_after};
pub use unfinished::{Unfinished, unfinished};
pub use usage::usage_month;
pub use usage_query::{USAGE_ROWS_MAX, UsageAsk, UsageAskError, UsageCursor, usage_rows};
pub use write_offs::{WriteOffError, decide_write_off, propose_write_off, write_offs};

use crate::{db::DbError, ledger::LedgerError, money::MoneyError};

/// Why billing has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is the reason.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Nobody opened an account for the tenant.
    #[error("the tenant has no account")]
    NoAccount,
    /// Amounts that do not add up.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Entries that do not add to zero: billing stops rather than writes them.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl StoreError {
    /// Shall the same be tried again, now or later?
    pub fn is_transient(&self) -> bool {
        matches!(self, StoreError::Db(error) if error.is_transient())
    }
}
