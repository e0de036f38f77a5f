//! What accountants' own programs say of the exported ledger: they read it, and it balances to the micro.

use crate::support::{at, call, client, fact, migrated_database, tenant};
use billing::{
    clock::Clock,
    db::Db,
    export::{Format, Journal},
    jobs, store,
    usage::Meter::ParticipantMs,
};
use jiff::Timestamp;
use std::{fs, path::PathBuf, process::Command};
use tokio_postgres::Client;

/// Two businesses with two months each and a sandbox; one late fact, so that amounts have all digits.
async fn played() -> (Db, Client) {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    for sandbox in [false, true, false] {
        let tenant = tenant(&db, sandbox, "2026-09-20T10:30:00Z").await;
        let leg = call(&db, tenant, "Tea", &["Ada"], 0).await[0];
        let minutes = fact(leg, ParticipantMs, "2026-10-03T10:00:00Z", 90_123_457);
        store::record_batch(&db, &[(tenant, minutes)], at("2026-10-03T11:00:00Z")).await.expect("records");
    }
    jobs::round(&db, &Clock::fixed(at("2026-11-02T00:00:00Z")), |_, _| ()).await.expect("a round");
    (db, client(&url).await)
}

/// The journal of a stretch of time, in a file.
async fn journal(db: &Db, format: Format, from: &str, to: &str) -> PathBuf {
    let tx = db.closing().await.expect("begins");
    let (mut journal, mut page) = (Journal::new(format), store::Page::default());
    let mut text = journal.head().to_owned();
    let posted: std::ops::Range<Timestamp> = at(from)..at(to);
    loop {
        let records = store::journal_after(&tx, &mut page, &posted).await.expect("reads");
        if records.is_empty() {
            break;
        }
        records.iter().for_each(|record| text.push_str(&journal.record(record)));
    }
    let path = std::env::temp_dir().join(format!("billing-export-{}-{format:?}-{to}", std::process::id()));
    fs::write(&path, text).expect("writes");
    path
}

/// What a program says; it must be content.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; script/bootstrap --browser installs it"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}{complained}");
    said
}

const EVER: (&str, &str) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");

/// What stands in the database's own ledger, as the programs write it.
async fn receivable_micros(owner: &Client) -> i64 {
    let sql = "select sum(e.amount_micros)::bigint from ledger_entry e join tenant t using (tenant_id)
                where not t.sandbox and e.ledger_account like 'receivable:%'";
    owner.query_one(sql, &[]).await.expect("sums").get(0)
}

#[tokio::test]
async fn hledger_reads_the_ledger_and_finds_it_balanced() {
    let (db, owner) = played().await;
    let file = journal(&db, Format::Hledger, EVER.0, EVER.1).await;
    let path = file.to_str().expect("a path");
    run("hledger", &["-f", path, "check", "commodities", "ordereddates"]);
    let total = run("hledger", &["-f", path, "balance", "--format", "%(total)"]);
    assert_eq!(total.lines().last().map(str::trim), Some("0"), "{total}");
    let tabs = run(
        "hledger",
        &["-f", path, "balance", "assets:receivable", "--depth", "2", "-N", "--format", "%(total)"],
    );
    assert_eq!(micros(tabs.trim()), receivable_micros(&owner).await, "{tabs}");
    let numbers = run("hledger", &["-f", path, "codes"]);
    assert_eq!(numbers.split_whitespace().count(), 4, "two statements of two businesses: {numbers}");
    assert!(numbers.lines().all(|number| number.starts_with("TUP-")), "no rehearsals: {numbers}");
    fs::remove_file(file).expect("removes");
}

#[tokio::test]
async fn beancount_reads_the_ledger_and_finds_it_balanced() {
    let (db, owner) = played().await;
    let file = journal(&db, Format::Beancount, EVER.0, EVER.1).await;
    let path = file.to_str().expect("a path");
    assert_eq!(run("bean-check", &[path]), "");
    let sql = "select sum(number) where account ~ '^Assets:Receivable'";
    let tabs = run("bean-query", &["-q", "-f", "csv", path, sql]);
    let sum = tabs.lines().last().unwrap_or_default().trim();
    assert_eq!(micros(&format!("{sum} USD")), receivable_micros(&owner).await, "{tabs}");
    let all = run("bean-query", &["-q", "-f", "csv", path, "select sum(number)"]);
    let all = all.lines().last().unwrap_or_default().trim().to_owned();
    assert_eq!(micros(&format!("{all} USD")), 0, "{all}");
    fs::remove_file(file).expect("removes");
}

#[tokio::test]
async fn a_month_is_what_was_posted_in_it() {
    let (db, _) = played().await;
    for (from, to, codes) in [
        ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", 0),
        ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", 4),
    ] {
        let file = journal(&db, Format::Hledger, from, to).await;
        let text = fs::read_to_string(&file).expect("reads");
        assert_eq!(text.matches("TUP-").count(), codes, "{text}");
        fs::remove_file(file).expect("removes");
    }
}

/// `1.50000000 USD` as 150,000,000 micros; all eight decimals must be there or none.
fn micros(amount: &str) -> i64 {
    let amount = amount.trim_end_matches(" USD").trim();
    // Python's way to write a zero with eight decimals.
    let amount = if amount == "0E-8" { "0" } else { amount };
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let part = format!("{part:0<8}");
    assert_eq!(part.len(), 8, "{amount}");
    format!("{whole}{part}").parse().expect(amount)
}
