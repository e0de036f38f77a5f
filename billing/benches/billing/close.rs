//! The end of a month, against the same rows written by bare SQL.

use crate::{clock, rows::Row, server::Server};
use anyhow::{Context, Result, ensure};
use billing::{
    audit,
    clock::Clock,
    collection::DEFAULT_POLICY,
    collector::{Collector, PayoutFloor, Terms, Whom},
    db::Db,
    jobs,
    processor::Sandbox,
    store::PlatformShare,
};

/// What a close writes.
const WRITTEN: [&str; 5] =
    ["ledger_transaction", "ledger_entry", "charge_2026_10", "statement", "statement_line"];
/// Closes the October of many accounts.
pub(crate) async fn measure(server: &Server, accounts: u64, facts: u64) -> Result<Vec<Row>> {
    let url = server.database("closing").await?;
    let admin = server.client(&url).await?;
    let people = include_str!("people.sql")
        .replace("$ACCOUNTS", &accounts.to_string())
        .replace("$FACTS", &facts.to_string());
    admin.batch_execute(&people).await.context("the population")?;
    admin.batch_execute("vacuum analyze").await?;
    admin.batch_execute("checkpoint").await?;

    let db = Db::connect(&url).await?;
    let at = Clock::fixed("2026-11-01T02:00:00Z".parse()?);
    let began = clock::now();
    let round = jobs::round(&db, &at, |_, _| ()).await?;
    let took = began.elapsed().as_secs_f64();
    ensure!(round.failed.is_empty() && round.finalised == accounts, "{round:?}");
    let rss = peak_rss_mb()?;
    let storage = storage_mb(&admin).await?;
    let bare = bare(server, &url).await?;
    let per_second = |seconds: f64| accounts as f64 / seconds;
    let began = clock::now();
    let report = audit::audit(&db, at.now()).await?;
    let audited = report.accounts as f64 / began.elapsed().as_secs_f64();
    let (swept, summed) = (swept(&db, &at, accounts).await?, summed(&admin).await?);
    report.differences.iter().take(10).for_each(|difference| eprintln!("{difference}"));
    Ok(vec![
        Row::at_least("billing", "close_statements_per_s", per_second(took), "1/s", 25_000.0)
            .against(per_second(bare)),
        Row::plain("billing", "close_rss_mb", rss, "MB"),
        Row::plain("billing", "storage_mb_per_million_account_months", storage * 1e6 / accounts as f64, "MB"),
        Row::plain("billing", "audit_accounts_per_s", audited, "1/s"),
        Row::plain("billing", "collection_decisions_per_s", per_second(swept), "1/s")
            .against(per_second(summed)),
        Row::at_most("billing", "audit_differences", report.differences.len() as f64, "", 0.0),
    ])
}

/// The same rows into tables with the same checks and indexes, but without triggers, keys to other tables, policies,
/// reading and reckoning: from both cores at once.
async fn bare(server: &Server, url: &str) -> Result<f64> {
    let admin = server.client(url).await?;
    for table in WRITTEN {
        admin.batch_execute(&format!("create table bare_{table} (like {table} including all)")).await?;
    }
    admin.batch_execute("checkpoint").await?;
    let (ledger, statements) = (server.client(url).await?, server.client(url).await?);
    let write = async |client: &tokio_postgres::Client, tables: &[&str]| {
        let inserts = tables.iter().map(|table| format!("insert into bare_{table} select * from {table};"));
        client.batch_execute(&format!("begin; {} commit", inserts.collect::<String>())).await
    };
    let began = clock::now();
    tokio::try_join!(write(&ledger, &WRITTEN[..3]), write(&statements, &WRITTEN[3..]))?;
    Ok(began.elapsed().as_secs_f64())
}

/// Asks of every account what is to be done about its tab, and does it. Tells how many seconds that took.
async fn swept(db: &Db, at: &Clock, accounts: u64) -> Result<f64> {
    let terms =
        Terms { policy: DEFAULT_POLICY, platform: PlatformShare(100), payout_floor: PayoutFloor(500) };
    let collector = Collector::new(db.clone(), at.clone(), Sandbox::new(db.clone()), terms);
    let began = clock::now();
    let swept = collector.sweep(Whom::All).await?;
    ensure!(swept.payers == accounts && swept.failed == 0, "{swept:?}");
    Ok(began.elapsed().as_secs_f64())
}

/// The least that a decision needs to know: what stands on each tab.
async fn summed(admin: &tokio_postgres::Client) -> Result<f64> {
    let began = clock::now();
    let sql = "select count(*) from (select sum(amount_micros) from ledger_entry where ledger_account like 'receivable:%'
                                      group by tenant_id, ledger_account) tabs";
    admin.query_one(sql, &[]).await?;
    Ok(began.elapsed().as_secs_f64())
}

/// What a month of these accounts takes, its facts included.
async fn storage_mb(admin: &tokio_postgres::Client) -> Result<f64> {
    let mut bytes = 0;
    for table in WRITTEN.into_iter().chain(["usage_fact_2026_10"]) {
        let sql = format!("select pg_total_relation_size('{table}')");
        bytes += admin.query_one(&sql, &[]).await?.get::<_, i64>(0);
    }
    Ok(bytes as f64 / 1e6)
}

/// The most memory that this process ever held.
fn peak_rss_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}
