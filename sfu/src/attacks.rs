//! The attacks of `docs/media.md` on one shard, in simulated time: every datagram is counted, none is lost on the way, and
//! an hour takes as long as its packets do. What needs real sockets is in `tests/attacks.rs`.

mod calm;
mod churn;
mod client;
mod crowd;
mod decoder;
mod forgery;
mod handshakes;
mod hostility;
mod joins;
mod lab;
mod letters;
mod lines;
mod losses;
mod offers;
mod parts;
mod replays;
mod rooms;
pub(crate) mod seals;
mod silence;
mod storms;
mod switches;
