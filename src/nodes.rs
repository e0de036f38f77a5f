//! `tuppence nodes`: who may dial in, written into the database of a hub, which looks there every two seconds.

use crate::config::{DatabaseConfig, NodesAction};
use crate::postgres::PrivatePostgres;
use anyhow::{Context, Result, ensure};
use billing::clock::Clock;
use billing::db::Db;
use signaling::secret::{Secret, SecretKind};
use signaling::store::nodes;

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
        NodesAction::List { database, .. } => {
            for node in nodes::list(&connect(&database).await?).await? {
                println!("{:<32} {}… since {}", node.name, node.prefix, node.created_at);
            }
        }
    }
    Ok(())
}

async fn connect(config: &DatabaseConfig) -> Result<Db> {
    let url = match &config.database_url {
        Some(url) => url.clone(),
        None => PrivatePostgres::url_of_running(&config.data_dir())
            .context("no service runs on this data folder; start it, or name its database")?,
    };
    Db::connect(&url).await.context("the database does not let us in")
}
