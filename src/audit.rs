//! `tuppence audit`: the second opinion on the books, beside a running service or without one.

use crate::config::{Config, DatabaseConfig};
use crate::data_dir::DataDir;
use crate::postgres::PrivatePostgres;
use anyhow::{Context, Result, bail};
use billing::audit::{Head, Report};
use billing::clock::Clock;
use billing::db::Db;

/// Prints every difference and fails if there is one.
pub(crate) async fn audit(config: &Config) -> Result<()> {
    if let Some(url) = where_it_runs(&config.database) {
        return tell(&examine(&url).await?);
    }
    let data_dir = DataDir::open(&config.database.data_dir())?;
    let postgres = PrivatePostgres::start(&data_dir, &config.database).await?;
    let report = examine(&postgres.url()).await;
    postgres.stop().await;
    tell(&report?)
}

/// The database of the operator's, or the private one of a service that runs.
fn where_it_runs(config: &DatabaseConfig) -> Option<String> {
    config.database_url.clone().or_else(|| PrivatePostgres::url_of_running(&config.data_dir()))
}

async fn examine(url: &str) -> Result<Report> {
    let db = Db::connect(url).await.context("the database does not let us in")?;
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
