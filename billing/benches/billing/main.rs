//! `billing`: facts that come in, and the end of a month, on this machine's PostgreSQL.
//!
//! Facts go through HTTP into the service's own binary, which `TUPPENCE_BIN` names. Each limit is bare SQL with the same rows in
//! the same run, on the same cluster.
//!
//!     TUPPENCE_BIN=target/release/tuppence cargo bench -p billing --bench billing -- [--json] [--accounts 1000000] [--facts 6] [--seconds 10]

mod clock;
mod close;
#[path = "../../tests/database/cluster.rs"]
mod cluster;
mod ingest;
#[expect(unreachable_pub, reason = "the file is public in the crate that it lives in")]
#[path = "../../../tests/src/rows.rs"]
mod rows;
mod server;
mod service;

use clap::Parser;
use server::Server;

/// Measures metering and the end of a month.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a row.
    #[arg(long)]
    json: bool,
    /// How many accounts are closed, with three subscriptions each.
    #[arg(long, default_value_t = 1_000_000)]
    accounts: u64,
    /// How many usage facts each of them has in the month.
    #[arg(long, default_value_t = 6)]
    facts: u64,
    /// For how long facts come in.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let server = Server::start()?;
    let mut measured = ingest::measure(&server, arguments.seconds).await?;
    rows::print(&measured, arguments.json);
    measured = close::measure(&server, arguments.accounts, arguments.facts).await?;
    rows::print(&measured, arguments.json);
    Ok(())
}
