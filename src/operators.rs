//! `tuppence operators`: who may speak for the operator over HTTP.

use crate::config::OperatorsAction;
use crate::nodes::connect;
use anyhow::{Context, Result, ensure};
use billing::clock::Clock;
use signaling::secret::{Secret, SecretKind};
use signaling::store::operators;

/// Does it and prints what came of it.
pub(crate) async fn run(action: OperatorsAction) -> Result<()> {
    let now = Clock::system().now();
    match action {
        OperatorsAction::Add { name, database, .. } => {
            let (db, token) = (connect(&database).await?, Secret::generate(SecretKind::OperatorToken));
            let is_free = operators::add(&db, &name, &token, now)
                .await
                .context("the name must be small letters, digits and hyphens")?;
            ensure!(is_free, "there is a token of {name} already; revoke it first");
            println!("{}", token.reveal());
        }
        OperatorsAction::Revoke { name, database, .. } => {
            let revoked = operators::revoke(&connect(&database).await?, &name, now).await?;
            ensure!(revoked, "there is no token of {name}");
        }
        OperatorsAction::List { database, .. } => {
            for token in operators::list(&connect(&database).await?).await? {
                println!("{:<32} {}… since {}", token.name, token.prefix, token.created_at);
            }
        }
    }
    Ok(())
}
