//! `tuppence nodes`: who may dial in, written into the database of a hub, which looks there every two seconds.

use crate::config::{DatabaseConfig, NodesAction};
use crate::postgres::PrivatePostgres;
use anyhow::{Context, Result, bail, ensure};
use billing::clock::Clock;
use billing::db::Db;
use jiff::Timestamp;
use signaling::nodes::fleet::{Progress, Standings};
use signaling::secret::{Secret, SecretKind};
use signaling::store::nodes::{self, StoredNode};
use std::time::Duration;
use tokio::time::Instant;

/// How often the hub's notes are looked at; it writes them every two seconds.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
/// A node that the hub has not noted for so long is not connected.
const NOT_SEEN_FOR: Duration = Duration::from_secs(8);

/// Does it and prints what came of it.
pub(crate) async fn run(action: NodesAction) -> Result<()> {
    let now = Clock::system().now();
    match action {
        NodesAction::Add { name, database, .. } => {
            let (db, token) = (connect(&database).await?, Secret::generate(SecretKind::NodeToken));
            let is_free = nodes::add(&db, &name, &token, now)
                .await
                .context("the name must be small letters, digits and hyphens, and not `local`")?;
            ensure!(is_free, "there is a node {name} already; revoke its token first");
            println!("{}", token.reveal());
        }
        NodesAction::Revoke { name, database, .. } => {
            let revoked = nodes::revoke(&connect(&database).await?, &name, now).await?;
            ensure!(revoked, "there is no node {name}");
        }
        NodesAction::Drain { name, within_s, database, .. } => {
            drain(&connect(&database).await?, &name, Duration::from_secs(within_s), now).await?;
        }
        NodesAction::Undrain { name, database, .. } => {
            let known = nodes::set_draining(&connect(&database).await?, &name, None).await?;
            ensure!(known, "there is no node {name}");
        }
        NodesAction::List { database, .. } => {
            for node in nodes::list(&connect(&database).await?).await? {
                let state = state(&node, now);
                println!("{:<32} {}… since {}  {state}", node.name, node.prefix, node.created_at);
            }
        }
    }
    Ok(())
}

fn state(node: &StoredNode, now: Timestamp) -> String {
    let wanted = if node.draining_since.is_some() { ", to be drained" } else { "" };
    match &node.seen {
        Some(seen) if now.duration_since(seen.at).unsigned_abs() < NOT_SEEN_FOR => {
            let Standings { version, carries, legs_max, draining, .. } = &seen.standing;
            let draining = if *draining { ", draining" } else { "" };
            format!(
                "{version}, {} of {legs_max} connections, {} rooms{draining}",
                carries.legs, carries.rooms
            )
        }
        _ => format!("not connected{wanted}"),
    }
}

/// Marks the node and tells how it gets empty.
async fn drain(db: &Db, name: &str, within: Duration, now: Timestamp) -> Result<()> {
    let before = find(db, name).await?;
    nodes::set_draining(db, name, before.draining_since.or(Some(now))).await?;
    let (begun, mut told) = (Instant::now(), None);
    while begun.elapsed() < within {
        tokio::time::sleep(LOOKS_EVERY).await;
        let seen = find(db, name).await?.seen;
        let is_news = seen.as_ref().map(|seen| seen.at) != before.seen.as_ref().map(|seen| seen.at);
        if !is_news && begun.elapsed() > NOT_SEEN_FOR {
            println!("{name} is not connected; when it is, it gets no rooms");
            return Ok(());
        }
        let Some(seen) = seen.filter(|seen| is_news && seen.standing.draining) else { continue };
        let carries = seen.standing.carries;
        if carries.legs == 0 {
            println!("{name} is empty; `tuppence nodes undrain {name}` gives it rooms again");
            return Ok(());
        }
        if told.replace(carries) != Some(carries) {
            println!("{}", progress(&carries));
        }
    }
    bail!(
        "{name} is not empty after {} s; it goes on serving who is there, and gets no new rooms",
        within.as_secs()
    )
}

fn progress(carries: &Progress) -> String {
    let Progress { rooms, legs, stuck } = carries;
    match stuck {
        0 => format!("{rooms} rooms with {legs} connections are left"),
        _ => format!(
            "{rooms} rooms with {legs} connections are left; no other node has places for {stuck} of the rooms"
        ),
    }
}

async fn find(db: &Db, name: &str) -> Result<StoredNode> {
    let known = nodes::list(db).await?.into_iter().find(|node| node.name == name);
    known.with_context(|| format!("there is no node {name}"))
}

pub(crate) async fn connect(config: &DatabaseConfig) -> Result<Db> {
    let url = match &config.database_url {
        Some(url) => url.clone(),
        None => PrivatePostgres::url_of_running(&config.data_dir())
            .context("no service runs on this data folder; start it, or name its database")?,
    };
    Db::connect(&url).await.context("the database does not let us in")
}
