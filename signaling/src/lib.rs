//! People and rooms.

pub mod protocol;
