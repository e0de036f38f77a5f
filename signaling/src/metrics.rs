//! What can be seen of a running hub. Nothing here is on the way of a packet.

use crate::hub::Hub;
use crate::protocol::{RefusalCode, ServerFrame};
use crate::resource::{Denial, Outcome, Reply};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use billing::db::PoolLook;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A hub at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubLook {
    /// Open WebSockets.
    pub sockets: usize,
    /// How many there may be.
    pub sockets_max: usize,
    /// Pages and clients that were let in, into a lobby or a call.
    pub joins: u64,
    /// Sessions that went on over a new socket.
    pub resumes: u64,
    /// Refusals, by the code that was told; codes that were never told are left out.
    pub refusals: Vec<(RefusalCode, u64)>,
    /// Answers of the HTTP API by the first digit of their status, from 1 to 5.
    pub answers: [u64; 5],
    /// The connections to the database.
    pub database: PoolLook,
}

/// What a hub counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) joins: AtomicU64,
    pub(crate) resumes: AtomicU64,
    pub(crate) answers: [AtomicU64; 5],
    refusals: Mutex<BTreeMap<RefusalCode, u64>>,
}

impl Tally {
    /// A frame goes to a page.
    pub(crate) fn frame(&self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Joined { .. } => add_one(&self.joins),
            ServerFrame::Resumed { .. } => add_one(&self.resumes),
            ServerFrame::Refused { code, .. } => self.refused(*code),
            _ => {}
        }
    }

    /// A client without a socket is answered.
    pub(crate) fn outcome(&self, outcome: &Outcome) {
        match outcome {
            Ok(Reply::Made { .. }) => add_one(&self.joins),
            Err(Denial::Refused(refusal)) => self.refused(refusal.code),
            _ => {}
        }
    }

    /// Somebody is refused.
    pub(crate) fn refused(&self, code: RefusalCode) {
        *self.lock().entry(code).or_default() += 1;
    }

    pub(crate) fn refusals(&self) -> Vec<(RefusalCode, u64)> {
        self.lock().iter().map(|(code, count)| (*code, *count)).collect()
    }

    /// A poisoned lock only means that another thread panicked between two additions.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<RefusalCode, u64>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add_one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts the answers of the HTTP API.
pub(crate) async fn count_answer(State(hub): State<Hub>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let class = usize::from(response.status().as_u16() / 100);
    if let Some(counter) = class.checked_sub(1).and_then(|class| hub.tally().answers.get(class)) {
        add_one(counter);
    }
    response
}
