//! What goes in comes out, where it shall and under which numbers: with our own egress.

use sfu::EgressKind;

mod harness;
#[path = "stories/exchange.rs"]
mod stories;

pub(crate) const EGRESS: EgressKind = EgressKind::Own;
