//! Billing on a real PostgreSQL: what the database itself enforces, and what the queries do.

mod audit;
mod caps;
mod chain;
mod close;
mod cluster;
mod collecting;
mod coupons;
mod credit_notes;
mod events;
mod export;
mod facts;
mod finalising;
mod giving_back;
mod ledger;
mod model;
mod paying_vendors;
mod people;
mod prices;
mod schema;
mod story;
mod subscriptions;
mod support;
mod taxes;
mod tenancy;
