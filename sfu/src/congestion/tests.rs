//! Stories of lines and what becomes of the calls on them, in simulated time with seeded chance.

pub(super) mod encoder;
