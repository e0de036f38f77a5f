//! The media plane: packets in, packets out, usage facts.

pub mod control;
