//! Facts that come in, against a bare staged `COPY` and merge.

use crate::{clock, rows::Row, server::Server};
use anyhow::Result;
use billing::{
    TenantId,
    db::Db,
    ids::LegId,
    period::Hour,
    store,
    usage::{Fact, FactKey, Meter},
};
use jiff::Timestamp;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio_postgres::{binary_copy::BinaryCopyInWriter, types::Type};
use uuid::Uuid;

/// Facts in one batch.
const BATCH: u64 = 5_000;
/// Batches at once.
const WRITERS: u64 = 3;
/// One in so many facts of a batch is a counter that was reported before and has grown.
const GROWN_EVERY: u64 = 4;
/// How often somebody looks how long a fact takes to its charge.
const PROBE_EVERY: Duration = Duration::from_millis(50);

/// How many facts come in, and how soon they are charged at half of that.
pub(crate) async fn measure(server: &Server, seconds: u64) -> Result<Vec<Row>> {
    let url = server.database("ingesting").await?;
    let db = Db::connect(&url).await?;
    let tenant = business(&db, 1).await?;
    let span = Duration::from_secs(seconds);
    let (top, _) = flood(&db, tenant, span, None, 0).await?;
    let bare = staged(server, &url, tenant, span).await?;
    let probe = business(&db, 2).await?;
    let (flood, waits) = tokio::try_join!(
        flood(&db, tenant, span, Some(top / 2.0), 1 << 40),
        probe_charges(&db, probe, span)
    )?;
    eprintln!("billing: {:.0} facts/s came in while {} charges were awaited", flood.0, waits.len());
    Ok(vec![
        Row::at_least("billing", "ingest_facts_per_s", top, "1/s", 150_000.0).against(bare),
        Row::at_most("billing", "fact_to_charge_p99_ms", percentile_ms(waits, 99), "ms", 1_000.0),
    ])
}

/// Some writers at once for a while, as fast as they can or at a rate of all of them together. Facts a second.
async fn flood(
    db: &Db,
    tenant: TenantId,
    span: Duration,
    rate: Option<f64>,
    first: u64,
) -> Result<(f64, u64)> {
    let next = Arc::new(AtomicU64::new(first / BATCH));
    let began = clock::now();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (db, next) = (db.clone(), next.clone());
        writers.push(tokio::spawn(async move {
            let mut facts = 0;
            while began.elapsed() < span {
                if let Some(rate) = rate {
                    let due = (facts * WRITERS) as f64 / rate;
                    tokio::time::sleep(Duration::from_secs_f64(due).saturating_sub(began.elapsed())).await;
                }
                let batch = batch(tenant, next.fetch_add(1, Relaxed));
                store::record_batch(&db, &batch, at()).await?;
                facts += BATCH;
            }
            anyhow::Ok(facts)
        }));
    }
    let mut facts = 0;
    for writer in writers {
        facts += writer.await??;
    }
    Ok((facts as f64 / began.elapsed().as_secs_f64(), facts))
}

/// A batch of its own facts and of some that have grown since an earlier batch.
fn batch(tenant: TenantId, number: u64) -> Vec<(TenantId, Fact)> {
    let fact = |place: u64| {
        let earlier = number > 0 && place.is_multiple_of(GROWN_EVERY);
        let key = if earlier { (number - 1) * BATCH + place + 1 } else { number * BATCH + place };
        (tenant, fact(key, 1_000 + u64::from(earlier)))
    };
    (0..BATCH).map(fact).collect()
}

fn fact(key: u64, quantity: u64) -> Fact {
    let first = Hour::of(at()).0 - 200;
    let hour = Hour(first + i64::try_from(key / 4 % 100).unwrap_or(0));
    let meter = if key.is_multiple_of(2) { Meter::ParticipantMs } else { Meter::EgressBytes };
    // Legs are spread as random ids are.
    let leg = u128::from(key / 2).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Fact { key: FactKey { leg: LegId(Uuid::from_u128(leg)), meter, hour }, quantity }
}

/// The same rows by `COPY` into a table of one session and a merge from there into one with the same key, index and
/// checks: no roles, no policies, no legs, no late months. Facts a second of as many writers.
async fn staged(server: &Server, url: &str, tenant: TenantId, span: Duration) -> Result<f64> {
    let admin = server.client(url).await?;
    admin.batch_execute("create table bare_fact (like usage_fact including all)").await?;
    let next = Arc::new(AtomicU64::new(0));
    let began = clock::now();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (mut client, next) = (server.client(url).await?, next.clone());
        writers.push(tokio::spawn(async move {
            client
                .batch_execute(
                    "create temp table stage (leg_id uuid, meter text, hour timestamptz, quantity bigint)",
                )
                .await?;
            let mut facts = 0;
            while began.elapsed() < span {
                let batch = batch(tenant, next.fetch_add(1, Relaxed));
                stage_and_merge(&mut client, tenant, &batch).await?;
                facts += BATCH;
            }
            anyhow::Ok(facts)
        }));
    }
    let mut facts = 0;
    for writer in writers {
        facts += writer.await??;
    }
    Ok(facts as f64 / began.elapsed().as_secs_f64())
}

async fn stage_and_merge(
    client: &mut tokio_postgres::Client,
    tenant: TenantId,
    batch: &[(TenantId, Fact)],
) -> Result<()> {
    let tx = client.transaction().await?;
    tx.batch_execute("truncate stage").await?;
    let sink = tx.copy_in("copy stage from stdin binary").await?;
    let writer = BinaryCopyInWriter::new(sink, &[Type::UUID, Type::TEXT, Type::TIMESTAMPTZ, Type::INT8]);
    let mut writer = std::pin::pin!(writer);
    for (_, Fact { key, quantity }) in batch {
        let (hour, quantity) = (key.hour.start(), i64::try_from(*quantity)?);
        writer.as_mut().write(&[&key.leg.0, &key.meter.as_str(), &hour, &quantity]).await?;
    }
    writer.finish().await?;
    let merge = "insert into bare_fact as f select $1, leg_id, meter, hour, quantity, $2, $2 from stage order by 2, 3, 4
                 on conflict (tenant_id, leg_id, meter, hour) do update
                 set quantity = excluded.quantity, updated_at = excluded.updated_at where f.quantity < excluded.quantity";
    tx.execute(merge, &[&tenant.0, &at()]).await?;
    tx.commit().await?;
    Ok(())
}

/// How long it takes from a fact to the draft that charges it, again and again.
async fn probe_charges(db: &Db, tenant: TenantId, span: Duration) -> Result<Vec<Duration>> {
    let (began, mut waits, mut charged) = (clock::now(), Vec::new(), 0);
    while began.elapsed() < span {
        let asked = clock::now();
        // Beyond the allowance, each more of ten minutes costs half a cent.
        let minutes = 2_000 + 10 * (waits.len() as u64 + 1);
        store::record_batch(db, &[(tenant, fact(0, minutes * 60_000))], at()).await?;
        loop {
            let tx = db.tenant(tenant).await?;
            let draft = store::draft(&tx, tenant, at()).await?;
            tx.rollback().await?;
            if draft.subtotal.micros > charged {
                charged = draft.subtotal.micros;
                break;
            }
        }
        waits.push(asked.elapsed());
        tokio::time::sleep(PROBE_EVERY).await;
    }
    Ok(waits)
}

fn percentile_ms(mut waits: Vec<Duration>, percent: usize) -> f64 {
    waits.sort_unstable();
    let place = (waits.len() * percent).div_ceil(100).saturating_sub(1);
    waits.get(place).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
}

/// A tenant with the business plan.
async fn business(db: &Db, id: u128) -> Result<TenantId> {
    let tenant = TenantId(Uuid::from_u128(id));
    let tx = db.tenant(tenant).await?;
    let sql = "insert into tenant (tenant_id, name, sandbox, created_at) values ($1, 'Bakery', false, now())";
    tx.run(sql, &[&tenant.0]).await?;
    store::open_account(&tx, tenant, "Bakery", "2026-10-01T00:00:00Z".parse()?).await?;
    tx.commit().await?;
    Ok(tenant)
}

fn at() -> Timestamp {
    "2026-10-20T12:00:00Z".parse().expect("a time")
}
