//! Usage facts on their way from the media plane's journal into the database.

use crate::media::Commands;
use billing::clock::Clock;
use billing::db::Db;
use billing::ids::LegId;
use billing::period::Hour;
use billing::store::record_batch;
use billing::usage::{Fact, FactKey, Meter};
use sfu::control::{self, Command, UsageFact};
use std::sync::Arc;
use tokio::sync::mpsc;

/// How many batches may wait. Beyond it they are dropped here: the journal keeps them and sends them again.
const WAITING_MAX: usize = 64;

/// A batch of the journal.
#[derive(Debug)]
pub struct Batch {
    /// Its number.
    pub batch: u64,
    /// Its counters.
    pub facts: Vec<UsageFact>,
}

/// Starts the writer. A batch is acknowledged only when every fact of it is committed, recorded or set aside.
pub fn start(db: Db, clock: Clock, commands: Arc<dyn Commands>) -> mpsc::Sender<Batch> {
    let (near, mut far) = mpsc::channel::<Batch>(WAITING_MAX);
    tokio::spawn(async move {
        while let Some(Batch { batch, facts }) = far.recv().await {
            let facts: Vec<_> = facts.into_iter().map(to_fact).collect();
            match record_batch(&db, &facts, clock.now()).await {
                Ok(recorded) => {
                    if recorded.refused > 0 {
                        tracing::error!(
                            batch,
                            facts = recorded.refused,
                            "usage that belongs to nobody here is set aside in refused_fact"
                        );
                    }
                    // When the media plane is too busy to hear it, it sends the batch again, which changes nothing.
                    commands.send(Command::UsageStored { batch }).ok();
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(batch, %error, "usage waits in the journal for the database");
                }
                Err(error) => {
                    tracing::error!(batch, %error, "the database refuses usage; it stays in the journal")
                }
            }
        }
    });
    near
}

fn to_fact(fact: UsageFact) -> (billing::TenantId, Fact) {
    let meter = match fact.meter {
        control::Meter::ParticipantMs => Meter::ParticipantMs,
        control::Meter::EgressBytes => Meter::EgressBytes,
    };
    let key = FactKey { leg: LegId(fact.leg.0), meter, hour: Hour(fact.hour) };
    (billing::TenantId(fact.tenant.0), Fact { key, quantity: fact.quantity })
}
