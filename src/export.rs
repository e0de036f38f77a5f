//! `tuppence export`: the ledger for programs of accountants, on standard output.

use crate::books::with_database;
use crate::config::Config;
use anyhow::{Context, Result};
use billing::db::Db;
use billing::export::{Format, Journal};
use billing::period::Month;
use billing::store::{Page, journal_after};
use jiff::Timestamp;
use std::io::Write;
use std::ops::Range;

/// Prints what was posted, in one month or ever.
pub(crate) async fn export(config: &Config, format: Format, month: Option<Month>) -> Result<()> {
    let posted = month.map_or(Timestamp::UNIX_EPOCH..Timestamp::MAX, |month| month.start()..month.end());
    with_database(config, async |db| write(&db, format, posted).await).await
}

/// All of it is of one moment, however long it takes.
async fn write(db: &Db, format: Format, posted: Range<Timestamp>) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut journal, mut page) = (Journal::new(format), Page::default());
    out.write_all(journal.head().as_bytes())?;
    let tx = db.closing().await?;
    tx.batch_execute("set transaction isolation level repeatable read").await?;
    loop {
        let records = journal_after(&tx, &mut page, &posted).await.context(
            "the ledger cannot be read; if the database is of another version, start the service once to bring it up to date",
        )?;
        if records.is_empty() {
            break;
        }
        for record in &records {
            out.write_all(journal.record(record).as_bytes())?;
        }
    }
    tx.rollback().await?;
    Ok(out.flush()?)
}
