//! Tuppence.
fn main() {}
