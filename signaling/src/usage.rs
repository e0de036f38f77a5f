//! Usage facts on their way from the media plane's journal into the database.

use crate::media::{Commands, Reporter};
use crate::store;
use billing::clock::Clock;
use billing::db::{Db, DbError};
use billing::ids::LegId;
use billing::period::Hour;
use billing::store::{Recorded, record_batch, set_aside};
use billing::usage::{Fact, FactKey, Meter};
use jiff::Timestamp;
use sfu::control::{self, Command, UsageFact};
use std::collections::{BTreeMap, BTreeSet};
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
            let recorded = match commands.reporter(batch) {
                Reporter::Own => record_batch(&db, &facts, clock.now()).await,
                Reporter::Node(node) => record_from(&db, &node, facts, &*commands, clock.now()).await,
                Reporter::Forgotten => continue,
            };
            match recorded {
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

/// A node of another process may report the legs that were placed on it, as long as it owned them; what else it reports is
/// set aside.
async fn record_from(
    db: &Db,
    node: &str,
    facts: Vec<(billing::TenantId, Fact)>,
    commands: &dyn Commands,
    now: Timestamp,
) -> Result<Recorded, DbError> {
    let (late, facts): (Vec<_>, Vec<_>) =
        facts.into_iter().partition(|(_, fact)| commands.is_fenced(control::LegId(fact.key.leg.0)));
    let mut by_tenant: BTreeMap<uuid::Uuid, Vec<uuid::Uuid>> = BTreeMap::new();
    for (tenant, fact) in &facts {
        by_tenant.entry(tenant.0).or_default().push(fact.key.leg.0);
    }
    let mut own = BTreeSet::new();
    for (tenant, legs) in by_tenant {
        own.extend(store::calls::legs_of_node(db, billing::TenantId(tenant), &legs, node).await?);
    }
    let (own, foreign): (Vec<_>, Vec<_>) =
        facts.into_iter().partition(|(_, fact)| own.contains(&fact.key.leg.0));
    let mut recorded = record_batch(db, &own, now).await?;
    recorded.refused += set_aside(db, late, "reported after the node's lease had ended", now).await?;
    recorded.refused += set_aside(db, foreign, "reported by a node that does not have the leg", now).await?;
    Ok(recorded)
}

fn to_fact(fact: UsageFact) -> (billing::TenantId, Fact) {
    let meter = match fact.meter {
        control::Meter::ParticipantMs => Meter::ParticipantMs,
        control::Meter::EgressBytes => Meter::EgressBytes,
        control::Meter::MessageCount => Meter::MessageCount,
    };
    let key = FactKey { leg: LegId(fact.leg.0), meter, hour: Hour(fact.hour) };
    (billing::TenantId(fact.tenant.0), Fact { key, quantity: fact.quantity })
}
