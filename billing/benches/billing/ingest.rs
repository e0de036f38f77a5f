//! Facts that come in through HTTP, against a bare staged `COPY` and merge of the same rows.

use crate::{
    clock,
    rows::Row,
    server::Server,
    service::{Client, Service},
};
use anyhow::{Result, ensure};
use billing::{
    TenantId,
    catalogue::NewVersion,
    db::Db,
    meter::NewMeter,
    store::{self, Start},
    subscription::Patch,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write,
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
/// How often somebody looks how long a fact takes to its charge.
const PROBE_EVERY: Duration = Duration::from_millis(50);
const LINES: &str = "application/x-ndjson";
const ONE: &str = "application/cloudevents+json";

/// How many facts come in, and how soon they are charged at half of that.
pub(crate) async fn measure(server: &Server, seconds: u64) -> Result<Vec<Row>> {
    let url = server.database("ingesting").await?;
    let db = Db::connect(&url).await?;
    let (flooded, probed) = (business(server, &url, &db, 1).await?, business(server, &url, &db, 2).await?);
    let service = Service::start(&url).await?;
    let span = Duration::from_secs(seconds);
    let top = flood(&service, &flooded, span, None, 0).await?;
    let bare = staged(server, &url, &flooded, span).await?;
    let (rate, waits) = tokio::try_join!(
        flood(&service, &flooded, span, Some(top / 2.0), 1 << 40),
        probe_charges(&service, &probed, span)
    )?;
    eprintln!("billing: {rate:.0} facts/s came in while {} charges were awaited", waits.len());
    Ok(vec![
        Row::at_least("billing", "ingest_facts_per_s", top, "1/s", 150_000.0).against(bare),
        Row::at_most("billing", "fact_to_charge_p99_ms", percentile_ms(waits, 99), "ms", 1_000.0),
    ])
}

/// Some writers at once for a while, as fast as they can or at a rate of all of them together. Facts a second.
async fn flood(
    service: &Service,
    business: &Business,
    span: Duration,
    rate: Option<f64>,
    first: u64,
) -> Result<f64> {
    let next = Arc::new(AtomicU64::new(first / BATCH));
    let began = clock::now();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (mut client, next) = (service.client(&business.key).await?, next.clone());
        writers.push(tokio::spawn(async move {
            let mut facts = 0;
            while began.elapsed() < span {
                if let Some(rate) = rate {
                    let due = (facts * WRITERS) as f64 / rate;
                    tokio::time::sleep(Duration::from_secs_f64(due).saturating_sub(began.elapsed())).await;
                }
                let body = lines(next.fetch_add(1, Relaxed));
                let answer = client.post("/v1/events", LINES, body.as_bytes()).await?;
                let taken = format!("{{\"accepted\":{BATCH},\"refused\":0,");
                ensure!(answer.starts_with(&taken), "{}", answer.get(..400).unwrap_or(&answer));
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

/// A batch of facts, an event a line: each is new.
fn lines(number: u64) -> String {
    let mut body = String::with_capacity(1 << 20);
    for place in 0..BATCH {
        let Fact { id, at, data } = fact(number * BATCH + place);
        let written = writeln!(
            body,
            r#"{{"specversion":"1.0","id":"{id}","source":"/inference/eu-1","type":"completion","time":"{at}","data":{data}}}"#
        );
        written.expect("a string takes everything");
    }
    body
}

/// A fact as its event says it.
struct Fact {
    id: String,
    at: Timestamp,
    data: String,
}

/// Ids are counted, as sources do; the times are those of the last 100 hours.
fn fact(key: u64) -> Fact {
    let seconds = i64::try_from(key % 360_000).unwrap_or(0);
    Fact {
        id: format!("completion-{key:012}"),
        at: at().checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(at()),
        data: format!(r#"{{"model":"m{}","tokens":{}}}"#, key % 3, 100 + key % 900),
    }
}

/// The same rows by `COPY` into a table of one session and a merge from there into one with the same key, indexes and checks:
/// no requests, no policies, no readings, no late months. Facts a second of as many writers.
async fn staged(server: &Server, url: &str, business: &Business, span: Duration) -> Result<f64> {
    let admin = server.client(url).await?;
    admin.batch_execute("create table bare_event (like event including all)").await?;
    let next = Arc::new(AtomicU64::new(0));
    let began = clock::now();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (mut client, next, business) = (server.client(url).await?, next.clone(), business.clone());
        writers.push(tokio::spawn(async move {
            let stage = "create temp table stage (source text, id text, type text, occurred_at timestamptz, data text)";
            client.batch_execute(stage).await?;
            let mut facts = 0;
            while began.elapsed() < span {
                stage_and_merge(&mut client, &business, next.fetch_add(1, Relaxed)).await?;
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
    business: &Business,
    number: u64,
) -> Result<()> {
    let tx = client.transaction().await?;
    tx.batch_execute("truncate stage").await?;
    let sink = tx.copy_in("copy stage from stdin binary").await?;
    let types = [Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT];
    let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &types));
    for place in 0..BATCH {
        let Fact { id, at, data } = fact(number * BATCH + place);
        writer.as_mut().write(&[&"/inference/eu-1", &id, &"completion", &at, &data]).await?;
    }
    writer.finish().await?;
    let merge = "insert into bare_event
                   (tenant_id, source, id, account_id, type, occurred_at, data, meters_known, received_at)
                 select $1, source, id, $2, type, occurred_at, data, 1, $3 from stage order by 2, 3
                 on conflict do nothing";
    tx.execute(merge, &[&business.tenant.0, &business.account, &at()]).await?;
    tx.commit().await?;
    Ok(())
}

/// How long it takes from a fact to the draft that charges it, again and again, both through HTTP.
async fn probe_charges(service: &Service, business: &Business, span: Duration) -> Result<Vec<Duration>> {
    let mut client = service.client(&business.key).await?;
    let (began, mut waits) = (clock::now(), Vec::new());
    let mut charged = subtotal(&mut client).await?;
    while began.elapsed() < span {
        let asked = clock::now();
        let event = json!({
            "specversion": "1.0", "id": waits.len().to_string(), "source": "probe", "type": "completion", "time": at(),
            "data": { "model": "m1", "tokens": 1_000 },
        });
        client.post("/v1/events", ONE, event.to_string().as_bytes()).await?;
        loop {
            let now = subtotal(&mut client).await?;
            if now > charged {
                charged = now;
                break;
            }
        }
        waits.push(asked.elapsed());
        tokio::time::sleep(PROBE_EVERY).await;
    }
    Ok(waits)
}

async fn subtotal(client: &mut Client) -> Result<i64> {
    let draft: Value = serde_json::from_str(&client.get("/v1/statements/draft").await?)?;
    Ok(draft["subtotal"]["micros"].as_i64().unwrap_or(0))
}

fn percentile_ms(mut waits: Vec<Duration>, percent: usize) -> f64 {
    waits.sort_unstable();
    let place = (waits.len() * percent).div_ceil(100).saturating_sub(1);
    waits.get(place).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
}

/// A business with a key, a meter and a plan that prices it.
#[derive(Clone)]
struct Business {
    tenant: TenantId,
    account: Uuid,
    key: String,
}

async fn business(server: &Server, url: &str, db: &Db, id: u128) -> Result<Business> {
    let (tenant, now) = (TenantId(Uuid::from_u128(id)), at());
    let tx = db.tenant(tenant).await?;
    let sql = "insert into tenant (tenant_id, name, sandbox, created_at) values ($1, 'Bakery', false, $2)";
    tx.run(sql, &[&tenant.0, &now]).await?;
    let account = store::open_account(&tx, tenant, "Bakery", now).await?.0;
    let meter: NewMeter = serde_json::from_value(json!({
        "name": "tokens", "unit": "token", "event_type": "completion", "aggregation": "sum", "value_property": "tokens",
        "dimensions": ["model"],
    }))?;
    store::insert_meter(&tx, tenant, meter, now).await??;
    let version: NewVersion = serde_json::from_value(json!({
        "currency": "USD",
        "prices": [{ "description": "Tokens", "model": "per_unit", "meter": "tokens", "unit": "1,000 tokens",
                     "unit_size": 1_000, "amount_micros": 1_000 }],
    }))?;
    let vendor = store::insert_vendor(&tx, tenant, "Shop", now).await?.map(|it| it.vendor_id);
    let Some(vendor) = vendor else { anyhow::bail!("no vendor") };
    let plan = store::insert_plan(&tx, tenant, vendor, "Plan", false, now).await?.map(|it| it.plan_id);
    let Some(plan) = plan else { anyhow::bail!("no plan") };
    let version = store::insert_version(&tx, tenant, plan, &version, now).await??;
    let Some(version) = version else { anyhow::bail!("no version") };
    let start = Start {
        plan_version_id: version.plan_version_id,
        account_id: None,
        sponsor_id: None,
        quantities: Patch::default(),
    };
    let considered = store::consider_start(&tx, tenant, start, now).await?;
    store::keep(&tx, tenant, &considered, now).await?;
    tx.commit().await?;
    let key = format!("sk_{}{id}AA", "A".repeat(40));
    let hash = Sha256::digest(key.as_bytes());
    let hash = hash.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let sql = "insert into api_key (tenant_id, key_id, kind, prefix, key_hash, created_at)
               values ($1, $1, 'secret', left($2::text, 8), $3, now())";
    server.client(url).await?.execute(sql, &[&tenant.0, &key, &hash]).await?;
    Ok(Business { tenant, account, key })
}

/// The service works in real time.
fn at() -> Timestamp {
    static NOW: std::sync::OnceLock<Timestamp> = std::sync::OnceLock::new();
    *NOW.get_or_init(|| billing::clock::Clock::system().now())
}
