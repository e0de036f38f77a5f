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

    /// One sample, which counts something.
    fn of(&self, series: &str) -> u64 {
        self.0.get(series).map_or(0, |value| *value as u64)
    }

    /// The sum over all samples whose text begins like this, which count something.
    fn sum(&self, beginning: &str) -> u64 {
        self.beginning(beginning).map(|value| value as u64).sum()
    }

    fn beginning(&self, beginning: &str) -> impl Iterator<Item = f64> {
        self.0.iter().filter(move |(series, _)| series.starts_with(beginning)).map(|(_, value)| *value)
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
        Ok((samples.sum("tuppence_media_sent_packets_total") > 100).then_some(samples))
    })
    .await?;
    let room = |name: &str| seen.of(&format!("tuppence_room_{name}{{room=\"{room_id}\"}}"));
    ensure!(room("sent_packets") == seen.sum("tuppence_media_sent_packets_total"), "{seen:?}");
    ensure!(seen.of("tuppence_room_sent_packets{room=\"other\"}") == 0);
    ensure!(room("received_bytes") > 1_000);
    let legs = |state: &str| seen.of(&format!("tuppence_room_legs{{room=\"{room_id}\",state=\"{state}\"}}"));
    ensure!((legs("entered"), legs("lobby")) == (2, 1), "{seen:?}");
    ensure!(seen.sum("tuppence_media_joins_total") == 3 && seen.of("tuppence_hub_joins_total") == 3);
    ensure!(seen.of("tuppence_hub_sockets") == 3);
    ensure!(seen.sum("tuppence_media_secured_legs") >= 2, "{seen:?}");
    ensure!(seen.of("tuppence_hub_http_responses_total{class=\"2xx\"}") >= 4, "{seen:?}");
    ensure!(seen.sum("tuppence_media_shard_up") >= 1);
    ensure!(seen.beginning("tuppence_media_shard_busy_seconds_total").any(|seconds| seconds > 0.0));
    ensure!(seen.sum("tuppence_hub_database_connections{") >= 1);
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
    ensure!(samples.of("tuppence_hub_refusals_total{code=\"token_invalid\"}") == 1, "{samples:?}");
    ensure!(samples.of("tuppence_hub_joins_total") == 0);
    Ok(())
}

#[tokio::test]
async fn a_business_sees_how_the_lines_of_its_call_do() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let (mut bots, mut call_id) = (Vec::new(), String::new());
    for name in ["ann", "ben"] {
        let token = service.api.token(&room_id, name).await?;
        let mut bot = Box::pin(Bot::lobby(&service.socket_url(), &token)).await?;
        call_id = bot.enter(name).await?.call_id;
        bots.push(bot);
    }
    let path = format!("/v1/calls/{call_id}/quality");
    let lines = eventually("both lines in use", Duration::from_secs(20), async || {
        let answer = service.api.get(&path).await?;
        ensure!(answer.status == 200, "{answer:?}");
        let lines = answer.body["connections"].as_array().cloned().context("connections")?;
        let is_used = |line: &serde_json::Value| {
            line["down"]["bits_per_s"].as_u64() > Some(1_000) && line["up"]["loss_permille"].is_u64()
        };
        Ok((lines.len() == 2 && lines.iter().all(is_used)).then_some(lines))
    })
    .await?;
    for line in &lines {
        ensure!(line["transport"] == "udp", "{line}");
        let plays = line["plays"].as_array().context("plays")?;
        ensure!(plays.iter().any(|played| played["source"] == "camera"), "{line}");
        ensure!(plays.iter().all(|played| played["leg_id"] != line["leg_id"]), "{line}");
    }
    let stranger = service.api.with_key(None).get(&path).await?;
    ensure!(stranger.status == 401, "{stranger:?}");
    let nothing = service.api.get("/v1/calls/00000000-0000-7000-8000-000000000000/quality").await?;
    ensure!(nothing.status == 404, "{nothing:?}");
    Ok(())
}

/// A datagram of a capture file: from the participant or not, its whole length, and what is kept of it.
struct Captured {
    from_them: bool,
    real: usize,
    kept: Vec<u8>,
}

/// Reads a file as `draft-ietf-opsawg-pcap` describes it, checking each layer down to UDP.
fn read_capture(file: &[u8]) -> Result<Vec<Captured>> {
    let word = |at: usize| -> Result<usize> {
        let bytes = file.get(at..at + 4).context("a file that ends too early")?;
        Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
    };
    ensure!((word(0)?, word(4)?, word(20)?) == (0xa1b2_c3d4, 0x0004_0002, 101), "not a pcap of raw IP");
    let (mut at, mut captured, mut before) = (24, Vec::new(), (0, 0));
    while at < file.len() {
        let (time, kept, real) = ((word(at)?, word(at + 4)?), word(at + 8)?, word(at + 12)?);
        ensure!(time >= before && time.1 < 1_000_000 && kept <= real, "record at {at}");
        before = time;
        let packet = file.get(at + 16..at + 16 + kept).context("a record that ends too early")?;
        let half = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
        ensure!(
            packet[0] == 0x45 && packet[9] == 17 && half(2) == real && half(24) == real - 20,
            "{packet:?}"
        );
        let sum: usize = (0..20).step_by(2).map(half).sum();
        ensure!((sum & 0xffff) + (sum >> 16) == 0xffff, "the IP header's checksum");
        ensure!(half(20) == 5004 && half(22) == 5004);
        let addresses = [&packet[12..16], &packet[16..20]];
        let (them, us) = ([192, 0, 2, 2], [192, 0, 2, 1]);
        let from_them = addresses == [them, us];
        ensure!(from_them || addresses == [us, them], "somebody's address: {addresses:?}");
        captured.push(Captured { from_them, real: real - 28, kept: packet[28..].to_vec() });
        at += 16 + kept;
    }
    Ok(captured)
}

/// The types of a compound, which shows nothing behind each packet's first 8 bytes.
fn rtcp_types(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut types = Vec::new();
    while rest.len() >= 4 {
        let length = (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1) * 4;
        let packet = rest.get(..length.min(rest.len())).context("a packet")?;
        ensure!(packet.iter().skip(8).all(|byte| *byte == 0), "a report is shown: {packet:?}");
        types.push(packet[1]);
        rest = &rest[packet.len()..];
    }
    Ok(types)
}

#[tokio::test]
async fn the_headers_of_a_connection_are_captured_without_what_was_said() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let (mut bots, mut call_id) = (Vec::new(), String::new());
    for name in ["ann", "ben"] {
        let token = service.api.token(&room_id, name).await?;
        let mut bot = Box::pin(Bot::lobby(&service.socket_url(), &token)).await?;
        call_id = bot.enter(name).await?.call_id;
        bots.push(bot);
    }
    eventually("pictures", Duration::from_secs(15), async || {
        Ok((bots[0].received().video > 10).then_some(()))
    })
    .await?;
    let path = |leg: &str, ask: &str| format!("/v1/calls/{call_id}/legs/{leg}/captures{ask}");
    let own = path(bots[0].leg_id(), "?seconds=3&packets=3000");
    let (first, second) = tokio::join!(service.api.post_raw(&own), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        service.api.post(&own, &serde_json::json!({})).await
    });
    ensure!(second?.code() == "capture_in_progress");
    let (content_type, file) = first?;
    ensure!(content_type == "application/vnd.tcpdump.pcap", "{content_type}");
    let captured = read_capture(&file)?;
    let is_rtcp = |datagram: &&Captured| matches!(datagram.kept[1], 192..=223);
    for from_them in [true, false] {
        let way = || captured.iter().filter(|datagram| datagram.from_them == from_them);
        let (rtcp, rtp) = (way().filter(is_rtcp).count(), way().filter(|one| !is_rtcp(one)).count());
        ensure!(rtp > 20 && rtcp > 0, "{rtp} RTP and {rtcp} RTCP packets, from them: {from_them}");
    }
    for datagram in &captured {
        ensure!(datagram.kept[0] >> 6 == 2 && datagram.kept.len() <= datagram.real);
        if is_rtcp(&datagram) {
            ensure!(rtcp_types(&datagram.kept)?.iter().all(|kind| (192..=223).contains(kind)));
        } else {
            ensure!(datagram.kept.len() < 60, "{} bytes of RTP are no header", datagram.kept.len());
        }
    }

    let nobody = path("00000000-0000-7000-8000-000000000000", "");
    ensure!(service.api.post(&nobody, &serde_json::json!({})).await?.code() == "not_found");
    let long = path(bots[0].leg_id(), "?seconds=16");
    ensure!(service.api.post(&long, &serde_json::json!({})).await?.code() == "bad_input");
    let stranger = service.api.with_key(service.announced.publishable_key.as_deref());
    ensure!(stranger.post(&own, &serde_json::json!({})).await?.code() == "forbidden");
    Ok(())
}

#[tokio::test]
async fn each_job_of_billing_says_when_it_last_came_to_its_end() -> Result<()> {
    let service = Home::new()?.start().await?;
    let jobs = ["close", "collect", "pay_out", "seal", "finish"];
    let done_at = |job: &str| format!("tuppence_billing_last_round_timestamp_seconds{{job=\"{job}\"}}");
    let seen = eventually("a round of each job", Duration::from_secs(15), async || {
        let samples = Samples::read(&service.metrics().await?)?;
        let all = jobs.iter().all(|job| samples.beginning(&done_at(job)).next().is_some());
        Ok(all.then_some(samples))
    })
    .await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    for job in jobs {
        ensure!(now - seen.of(&done_at(job)) < 60, "{job}: {seen:?}");
        let rounds =
            |outcome| format!("tuppence_billing_rounds_total{{job=\"{job}\",outcome=\"{outcome}\"}}");
        ensure!(seen.of(&rounds("done")) >= 1 && seen.of(&rounds("failed")) == 0, "{job}: {seen:?}");
    }
    ensure!(seen.of("tuppence_billing_left_out_accounts_total{job=\"close\"}") == 0);
    ensure!(seen.of("tuppence_billing_statements_total") == 0, "{seen:?}");
    for what in ["payment", "refund", "payout", "news"] {
        ensure!(seen.of(&format!("tuppence_billing_unfinished{{what=\"{what}\"}}")) == 0, "{what}: {seen:?}");
    }
    Ok(())
}
