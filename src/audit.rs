//! `tuppence audit`: the second opinion on the books, beside a running service or without one.

use crate::books::with_database;
use crate::config::Config;
use anyhow::{Context, Result, bail};
use billing::audit::{Head, Report};
use billing::clock::Clock;
use billing::db::Db;

/// Prints every difference and fails if there is one.
pub(crate) async fn audit(config: &Config) -> Result<()> {
    tell(&with_database(config, examine).await?)
}

async fn examine(db: Db) -> Result<Report> {
    billing::audit::audit(&db, Clock::system().now()).await.context(
        "the books cannot be read; if the database is of another version, start the service once to bring it up to date",
    )
}

fn tell(report: &Report) -> Result<()> {
    let Report { accounts, statements, head, differences } = report;
    for difference in differences {
        println!("{difference}");
    }
    if let Some(Head { number, hash }) = head {
        println!("the ledger's chain ends with block {number}, {hash}");
    }
    println!("{accounts} accounts, {statements} final statements, {} differences", differences.len());
    match differences.len() {
        0 => Ok(()),
        some => bail!("{some} things in the books are not as they ought to be"),
    }
}
