//! The SQL of tenants, keys, sessions, rooms and calls: one function, one query, in the scope it is given.

pub mod calls;
pub mod keys;
pub mod nodes;
pub mod operators;
pub mod rooms;
pub mod sessions;
pub mod tenants;
pub mod token_keys;
