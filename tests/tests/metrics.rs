//! What an operator sees at `/metrics`, read by a parser that is not ours to bend: every line by the format's grammar.

use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tuppence_tests::{Bot, Home, Socket, eventually};

/// Samples by name and labels, as they stand in a page of the text format 0.0.4.
#[derive(Debug)]
struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Reads a page, refusing what the format forbids: samples without a type, families in pieces, the same line twice.
    fn read(page: &str) -> Result<Samples> {
        let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
        let (mut family, mut closed) = (String::new(), BTreeSet::new());
        ensure!(page.ends_with('\n'), "the last line has no end");
        for line in page.lines() {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                let (name, kind) = typed.split_once(' ').context("a type")?;
                ensure!(matches!(kind, "counter" | "gauge"), "{line}");
                ensure!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
                ensure!(
                    (kind == "counter") == name.ends_with("_total"),
                    "a counter's name ends in _total: {line}"
                );
                ensure!(closed.insert(std::mem::replace(&mut family, name.to_owned())), "{line}");
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').context("a sample")?;
            let name = series.split('{').next().unwrap_or_default();
            ensure!(name == family, "{line} stands in the family {family}");
            ensure!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit()),
                "{line}"
            );
            if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
                ensure!(labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
            }
            let value: f64 = value.parse().with_context(|| line.to_owned())?;
            ensure!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
        }
        Ok(Samples(samples))
    }

    fn of(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or(0.0)
    }

    /// The sum over all samples whose text begins like this.
    fn sum(&self, beginning: &str) -> f64 {
        self.0.iter().filter(|(series, _)| series.starts_with(beginning)).map(|(_, value)| value).sum()
    }
}

#[tokio::test]
async fn an_operator_sees_a_call_and_a_stranger_sees_nothing() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let mut bots = Vec::new();
    for name in ["ann", "ben"] {
        let token = service.api.token(&room_id, name).await?;
        let mut bot = Box::pin(Bot::lobby(&service.socket_url(), &token)).await?;
        bot.enter(name).await?;
        bots.push(bot);
    }
    let lobby = service.api.token(&room_id, "lurker").await?;
    let lurker = Socket::join(&service.socket_url(), &lobby).await?;
    let seen = eventually("packets in both directions", Duration::from_secs(15), async || {
        let samples = Samples::read(&service.metrics().await?)?;
        Ok((samples.sum("tuppence_media_sent_packets_total") > 100.0).then_some(samples))
    })
    .await?;
    let room = |name: &str| seen.of(&format!("tuppence_room_{name}{{room=\"{room_id}\"}}"));
    ensure!(room("sent_packets") == seen.sum("tuppence_media_sent_packets_total"), "{seen:?}");
    ensure!(seen.of("tuppence_room_sent_packets{room=\"other\"}") == 0.0);
    ensure!(room("received_bytes") > 1_000.0);
    let legs = |state: &str| seen.of(&format!("tuppence_room_legs{{room=\"{room_id}\",state=\"{state}\"}}"));
    ensure!((legs("entered"), legs("lobby")) == (2.0, 1.0), "{seen:?}");
    ensure!(seen.sum("tuppence_media_joins_total") == 3.0 && seen.of("tuppence_hub_joins_total") == 3.0);
    ensure!(seen.of("tuppence_hub_sockets") == 3.0);
    ensure!(seen.sum("tuppence_media_secured_legs") >= 2.0, "{seen:?}");
    ensure!(seen.of("tuppence_hub_http_responses_total{class=\"2xx\"}") >= 4.0, "{seen:?}");
    ensure!(seen.sum("tuppence_media_shard_up") >= 1.0);
    ensure!(seen.sum("tuppence_media_shard_busy_seconds_total") > 0.0);
    ensure!(seen.sum("tuppence_hub_database_connections{") >= 1.0);
    drop(lurker);

    let public = reqwest::get(format!("{}/metrics", service.announced.url)).await?;
    if public.status() != 404 {
        bail!("the public address answers {}", public.status());
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_counted_under_its_code() -> Result<()> {
    let service = Home::new()?.start().await?;
    ensure!(Socket::join(&service.socket_url(), "no token").await.is_err());
    let samples = Samples::read(&service.metrics().await?)?;
    ensure!(samples.of("tuppence_hub_refusals_total{code=\"token_invalid\"}") == 1.0, "{samples:?}");
    ensure!(samples.of("tuppence_hub_joins_total") == 0.0);
    Ok(())
}
