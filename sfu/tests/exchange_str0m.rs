//! What goes in comes out, where it shall and under which numbers: with str0m's egress, the reference.

use sfu::EgressKind;

mod harness;
#[path = "stories/exchange.rs"]
mod stories;

pub(crate) const EGRESS: EgressKind = EgressKind::Str0m;
