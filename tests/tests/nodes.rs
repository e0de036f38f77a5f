//! Media nodes in processes of their own: a hub without media, nodes that dial in, and what happens when either dies.

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tuppence_tests::{Bot, Home, Service, Terminator, binary, eventually};

/// A node with a directory of its own, which outlasts its lives. Killed when dropped.
struct Node {
    dir: TempDir,
    hub: String,
    token: String,
    /// Who may vouch for the hub.
    ca: Option<PathBuf>,
    child: Child,
}

impl Node {
    fn start(hub: &str, token: &str) -> Result<Node> {
        Self::trusting(None, hub, token)
    }

    fn trusting(ca: Option<PathBuf>, hub: &str, token: &str) -> Result<Node> {
        let dir = TempDir::with_prefix("tuppence-node-")?;
        let child = run(&dir, hub, token, ca.as_deref())?;
        Ok(Node { dir, hub: hub.to_owned(), token: token.to_owned(), ca, child })
    }

    fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn start_again(&mut self) -> Result<()> {
        self.child = run(&self.dir, &self.hub, &self.token, self.ca.as_deref())?;
        Ok(())
    }

    /// SIGTERM or SIGINT.
    fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?).context("a process without a number")?;
        Ok(kill_process(id, signal)?)
    }

    /// Waits until it has ended by itself, and answers how and when.
    async fn ends(&mut self, within: Duration) -> Result<(ExitStatus, Duration)> {
        let begun = std::time::Instant::now();
        let status = eventually("the node to end", within, async || Ok(self.child.try_wait()?)).await?;
        Ok((status, begun.elapsed()))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn run(dir: &TempDir, hub: &str, token: &str, ca: Option<&Path>) -> Result<Child> {
    let log = std::fs::File::options().create(true).append(true).open(dir.path().join("log"))?;
    let child = Command::new(binary()?)
        .arg("node")
        .env("TUPPENCE_HUB", hub)
        .env("TUPPENCE_NODE_TOKEN", token)
        .env("TUPPENCE_DATA_DIR", dir.path().join("data"))
        .env("TUPPENCE_MEDIA_LISTEN", "127.0.0.1:0")
        .env("TUPPENCE_DRAIN_WITHIN_S", "15")
        .env_remove("DATABASE_URL")
        .envs(ca.map(|path| ("TUPPENCE_HUB_CA", path)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    Ok(child)
}

fn nodes(home: &Home, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.arg("nodes").args(arguments).env("TUPPENCE_DATA_DIR", home.data()).env_remove("DATABASE_URL");
    Ok(command.output()?)
}

fn add(home: &Home, name: &str) -> Result<String> {
    let added = nodes(home, &["add", name])?;
    ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    Ok(String::from_utf8(added.stdout)?.trim().to_owned())
}

/// A hub that carries no media itself.
async fn hub() -> Result<(Home, Service)> {
    let home = Home::new()?;
    home.set("TUPPENCE_MEDIA_NODE", "false");
    home.set("TUPPENCE_NODE_LEASE_S", "5");
    let service = home.start().await?;
    Ok((home, service))
}

async fn bot(service: &Service, room_id: &str, name: &str) -> Result<Bot> {
    eventually("a node to take the call", Duration::from_secs(20), async || {
        let token = service.api.token(room_id, name).await?;
        Ok(Box::pin(Bot::lobby(&service.socket_url(), &token)).await.ok())
    })
    .await
}

async fn see_each_other(bots: &[(Bot, String)]) -> Result<()> {
    let before: Vec<_> = bots.iter().map(|(bot, _)| bot.received()).collect();
    eventually("sound and pictures both ways", Duration::from_secs(15), async || {
        let grows = |(at, (bot, _)): (usize, &(Bot, String))| {
            let (now, then) = (bot.received(), &before[at]);
            now.audio > then.audio + 20 && now.video > then.video + 10
        };
        Ok(bots.iter().enumerate().all(grows).then_some(()))
    })
    .await
}

async fn call(service: &Service, room_id: &str, names: &[&str]) -> Result<Vec<(Bot, String)>> {
    let mut bots = Vec::new();
    for name in names {
        let mut bot = bot(service, room_id, name).await?;
        let call_id = bot.enter(name).await?.call_id;
        bots.push((bot, call_id));
    }
    Ok(bots)
}

async fn recorded(service: &Service, call_id: &str, leg_id: &str) -> Result<i64> {
    service.api.leg_participant_ms(call_id, leg_id).await
}

#[tokio::test]
async fn a_call_runs_on_a_node_and_its_usage_arrives_once_whoever_dies() -> Result<()> {
    let (home, service) = hub().await?;
    let room_id = service.api.room(8).await?;
    let token = service.api.token(&room_id, "early").await?;
    let early = Box::pin(Bot::lobby(&service.socket_url(), &token)).await;
    ensure!(early.is_err(), "a hub without media takes nobody before a node has come");

    let mut node = Node::start(&service.announced.url, &add(&home, "node-1")?)?;
    let bots = call(&service, &room_id, &["ann", "ben"]).await?;
    see_each_other(&bots).await.with_context(|| node.log())?;
    let (leg_id, call_id) = (bots[0].0.leg_id().to_owned(), bots[0].1.clone());
    let legs = service.api.legs(&call_id).await?;
    ensure!(legs.iter().all(|leg| leg["node"] == "node-1"), "{legs:?}");

    // The hub dies and comes back: media goes on all the while, and the node finds the new one.
    service.kill()?;
    see_each_other(&bots).await.context("while the hub was away")?;
    let service = home.start().await?;
    let before = recorded(&service, &call_id, &leg_id).await?;
    see_each_other(&bots).await.context("after the hub has come back")?;
    let late = eventually("usage of the time without a hub", Duration::from_secs(20), async || {
        let now = recorded(&service, &call_id, &leg_id).await?;
        Ok((now > before + 2_000).then_some(now))
    })
    .await?;

    // The node dies: what it had counted is in its journal and comes once.
    node.kill()?;
    node.start_again()?;
    let last = eventually("the journal to be read again", Duration::from_secs(20), async || {
        let next = bot(&service, &room_id, "cleo").await?;
        drop(next);
        Ok(Some(recorded(&service, &call_id, &leg_id).await?))
    })
    .await?;
    ensure!(last >= late, "{last} ms after {late} ms");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let settled = recorded(&service, &call_id, &leg_id).await?;
    ensure!(
        (settled - last).abs() < 2_000,
        "a dead node's leg goes on counting: {last} ms, then {settled} ms"
    );
    let database = service.database().await?;
    let refused: i64 = database.query_one("select count(*) from refused_fact", &[]).await?.get(0);
    ensure!(refused == 0, "{refused} facts of a node's own legs were refused");
    Ok(())
}

#[tokio::test]
async fn callers_of_a_node_that_died_are_placed_on_another() -> Result<()> {
    let (home, service) = hub().await?;
    let room_id = service.api.room(8).await?;
    let mut first = Node::start(&service.announced.url, &add(&home, "first")?)?;
    let mut bots = call(&service, &room_id, &["ann"]).await?;
    let second = Node::start(&service.announced.url, &add(&home, "second")?)?;
    eventually("the second node to dial in", Duration::from_secs(10), async || {
        Ok(second.log().contains("the hub takes this node").then_some(()))
    })
    .await?;
    first.kill()?;
    bots[0].0.hears("media_lost").await?;
    let again = call(&service, &room_id, &["ann", "ben"]).await?;
    see_each_other(&again).await?;
    let legs = service.api.legs(&again[0].1).await?;
    let of = |leg_id: &str| legs.iter().find(|leg| leg["leg_id"] == leg_id).map(|leg| leg["node"].clone());
    ensure!(of(again[0].0.leg_id()) == Some("second".into()), "{legs:?}");
    ensure!(of(bots[0].0.leg_id()).is_none_or(|node| node == "first"), "{legs:?}");
    Ok(())
}

#[tokio::test]
async fn a_call_goes_on_as_the_same_call_when_its_node_dies_and_nobody_is_counted_twice() -> Result<()> {
    let (home, service) = hub().await?;
    let room_id = service.api.room(8).await?;
    let mut first = Node::start(&service.announced.url, &add(&home, "first")?)?;
    let mut bots = call(&service, &room_id, &["ann", "ben"]).await?;
    see_each_other(&bots).await?;
    let second = Node::start(&service.announced.url, &add(&home, "second")?)?;
    eventually("the second node to dial in", Duration::from_secs(10), async || {
        Ok(second.log().contains("the hub takes this node").then_some(()))
    })
    .await?;
    first.kill()?;
    for (bot, _) in &mut bots {
        bot.hears("media_lost").await?;
    }
    let mut again = Vec::new();
    for (bot, _) in &bots {
        let mut back = Box::pin(bot.rejoin(&service.socket_url())).await?;
        ensure!(back.participant_id() == bot.participant_id(), "the same participant");
        ensure!(Box::pin(bot.rejoin(&service.socket_url())).await.is_err(), "a secret lets in once");
        let call_id = back.enter("again").await?.call_id;
        again.push((back, call_id));
    }
    ensure!(again.iter().chain(&bots).all(|(_, call_id)| *call_id == bots[0].1), "one call");
    see_each_other(&again).await?;
    let legs = eventually("the legs to be written", Duration::from_secs(10), async || {
        let legs = service.api.legs(&bots[0].1).await?;
        Ok((legs.iter().filter(|leg| !leg["entered_at"].is_null()).count() == 4).then_some(legs))
    })
    .await?;
    let moment = |leg_id: &str, what: &str| -> Option<jiff::Timestamp> {
        let leg = legs.iter().find(|leg| leg["leg_id"] == leg_id)?;
        leg[what].as_str()?.parse().ok()
    };
    for ((before, _), (after, _)) in bots.iter().zip(&again) {
        let (ended, entered) = (moment(before.leg_id(), "ended_at"), moment(after.leg_id(), "entered_at"));
        ensure!(ended.is_some() && ended <= entered, "{ended:?} {entered:?}: {legs:?}");
        ensure!(moment(after.leg_id(), "ended_at").is_none(), "{legs:?}");
    }
    let database = service.database().await?;
    let refused: i64 = database.query_one("select count(*) from refused_fact", &[]).await?.get(0);
    ensure!(refused == 0, "{refused} facts were refused");
    Ok(())
}

/// Starts a node and waits until the hub has taken it.
async fn node(home: &Home, service: &Service, name: &str) -> Result<Node> {
    let node = Node::start(&service.announced.url, &add(home, name)?)?;
    eventually("the hub to take the node", Duration::from_secs(15), async || {
        Ok(node.log().contains("the hub takes this node").then_some(()))
    })
    .await?;
    Ok(node)
}

async fn both_hear(bots: &mut [(Bot, String)], event: &str) -> Result<()> {
    let [(ann, _), (ben, _)] = bots else { anyhow::bail!("two listen") };
    tokio::try_join!(ann.hears(event), ben.hears(event)).map(drop)
}

/// The bots come in over a second connection and wait there until all are over.
async fn go_over(service: &Service, bots: &mut [(Bot, String)]) -> Result<Vec<(Bot, String)>> {
    let mut ready = Vec::new();
    both_hear(bots, "move").await?;
    for (bot, _) in bots.iter() {
        ready.push(Box::pin(bot.rejoin(&service.socket_url())).await?);
    }
    let [ann, ben] = &mut ready[..] else { anyhow::bail!("two go over") };
    let (ann_in, ben_in) = tokio::join!(ann.enter("ann"), ben.enter("ben"));
    let calls = [ann_in?.call_id, ben_in?.call_id];
    Ok(ready.into_iter().zip(calls).collect())
}

#[tokio::test]
async fn a_node_told_to_stop_hands_its_call_over_and_the_time_is_counted_once() -> Result<()> {
    let (home, service) = hub().await?;
    let room_id = service.api.room(8).await?;
    let mut first = node(&home, &service, "first").await?;
    let mut bots = call(&service, &room_id, &["ann", "ben"]).await?;
    let _second = node(&home, &service, "second").await?;
    see_each_other(&bots).await?;
    let call_id = bots[0].1.clone();
    let legs_ms = async || -> Result<i64> {
        let legs = service.api.legs(&call_id).await?;
        let hours = legs.iter().filter_map(|leg| leg["hours"].as_array()).flatten();
        Ok(hours.filter_map(|hour| hour["participant_ms"].as_i64()).sum())
    };
    let (before, begun) = (legs_ms().await?, std::time::Instant::now());
    first.signal(Signal::TERM)?;
    let over = go_over(&service, &mut bots).await?;
    ensure!(over.iter().all(|(_, call)| *call == call_id), "one call");
    for ((bot, _), (too, _)) in bots.iter().zip(&over) {
        ensure!(bot.participant_id() == too.participant_id(), "the same person");
    }
    // The first connections carry media until the hub ends them.
    see_each_other(&bots).await.context("over the first connections")?;
    see_each_other(&over).await.context("over the second connections")?;
    both_hear(&mut bots, "closed").await?;
    let (status, took) = first.ends(Duration::from_secs(15)).await?;
    ensure!(status.code() == Some(0), "{status}: {}", first.log());
    ensure!(first.log().contains("nothing is left here"), "after {took:?}: {}", first.log());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (after, passed) = (legs_ms().await?, begun.elapsed().as_millis() as i64);
    let counted = (after - before) / 2;
    ensure!((counted - passed).abs() < 1_500, "{counted} ms each were counted in {passed} ms");
    let legs = service.api.legs(&call_id).await?;
    let nodes: Vec<_> = legs.iter().filter_map(|leg| leg["node"].as_str()).collect();
    ensure!(nodes.iter().filter(|node| **node == "second").count() == 2 && nodes.len() == 4, "{legs:?}");
    let database = service.database().await?;
    let refused: i64 = database.query_one("select count(*) from refused_fact", &[]).await?.get(0);
    ensure!(refused == 0, "{refused} facts were refused");
    Ok(())
}

#[tokio::test]
async fn a_drain_says_when_nobody_has_places_and_works_when_somebody_has() -> Result<()> {
    let (home, service) = hub().await?;
    let room_id = service.api.room(8).await?;
    let _first = node(&home, &service, "first").await?;
    let mut bots = call(&service, &room_id, &["ann", "ben"]).await?;
    let drained = nodes(&home, &["drain", "first", "--within-s", "4"])?;
    let said = String::from_utf8(drained.stdout)?;
    ensure!(
        !drained.status.success() && said.contains("no other node has places for 1 of the rooms"),
        "{said}"
    );
    see_each_other(&bots).await.context("while nobody else has places")?;
    let listed = String::from_utf8(nodes(&home, &["list"])?.stdout)?;
    ensure!(listed.contains("2 of") && listed.contains("draining"), "{listed}");

    // A page that does not answer is told after a while that its media is lost, and comes back.
    let _second = node(&home, &service, "second").await?;
    both_hear(&mut bots, "move").await?;
    both_hear(&mut bots, "media_lost").await?;
    let again = call_again(&service, &bots).await?;
    see_each_other(&again).await?;
    let drained = nodes(&home, &["drain", "first"])?;
    let said = String::from_utf8(drained.stdout)?;
    ensure!(drained.status.success() && said.contains("first is empty"), "{said}");
    ensure!(nodes(&home, &["undrain", "first"])?.status.success());
    ensure!(!nodes(&home, &["drain", "nobody"])?.status.success(), "there is no such node");
    Ok(())
}

async fn call_again(service: &Service, bots: &[(Bot, String)]) -> Result<Vec<(Bot, String)>> {
    let mut again = Vec::new();
    for (bot, _) in bots {
        let mut back = Box::pin(bot.rejoin(&service.socket_url())).await?;
        let call_id = back.enter("again").await?.call_id;
        again.push((back, call_id));
    }
    Ok(again)
}

#[tokio::test]
async fn a_node_ends_at_once_when_it_is_empty_or_told_twice() -> Result<()> {
    let (home, service) = hub().await?;
    let mut empty = node(&home, &service, "empty").await?;
    empty.signal(Signal::TERM)?;
    let (status, _) = empty.ends(Duration::from_secs(10)).await?;
    ensure!(status.code() == Some(0) && empty.log().contains("nothing is left here"), "{}", empty.log());

    let mut alone = node(&home, &service, "alone").await?;
    let room_id = service.api.room(8).await?;
    let mut bots = call(&service, &room_id, &["ann"]).await?;
    alone.signal(Signal::TERM)?;
    eventually("the node to say that nobody has places", Duration::from_secs(10), async || {
        Ok(alone.log().contains("no other node has places").then_some(()))
    })
    .await?;
    ensure!(alone.child.try_wait()?.is_none(), "it goes on serving");
    let elsewhere = service.api.token(&service.api.room(8).await?, "cleo").await?;
    let refused = Box::pin(Bot::lobby(&service.socket_url(), &elsewhere)).await.err();
    let refused = refused.context("a node that is to stop gets no new room")?.to_string();
    ensure!(refused.contains("overloaded") && refused.contains("retry_after_ms"), "{refused}");
    alone.signal(Signal::TERM)?;
    let (status, _) = alone.ends(Duration::from_secs(10)).await?;
    ensure!(status.code() == Some(0) && !alone.log().contains("nothing is left here"), "{}", alone.log());
    bots[0].0.hears("media_lost").await
}

#[tokio::test]
async fn a_node_that_was_killed_is_noticed_before_its_lease_has_ended() -> Result<()> {
    let (home, service) = hub().await?;
    let mut node = node(&home, &service, "short-lived").await?;
    let room_id = service.api.room(8).await?;
    let mut bots = call(&service, &room_id, &["ann"]).await?;
    node.kill()?;
    bots[0].0.hears("media_lost").await?;
    let log = service.log();
    ensure!(log.contains("a node is gone; its people are placed elsewhere"), "{log}");
    ensure!(!log.contains("a node is silent for too long"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_token_is_shown_once_and_ends_when_it_is_revoked() -> Result<()> {
    let (home, service) = hub().await?;
    let token = add(&home, "node-1")?;
    ensure!(token.starts_with("nt_"), "{token}");
    ensure!(!nodes(&home, &["add", "node-1"])?.status.success(), "a name is given once");
    ensure!(!nodes(&home, &["add", "local"])?.status.success(), "the hub's own name is taken");
    let listed = String::from_utf8(nodes(&home, &["list"])?.stdout)?;
    ensure!(listed.contains("node-1") && !listed.contains(&token), "{listed}");
    let node = Node::start(&service.announced.url, &token)?;
    let room_id = service.api.room(8).await?;
    drop(bot(&service, &room_id, "ann").await?);
    ensure!(nodes(&home, &["revoke", "node-1"])?.status.success());
    eventually("the node to be cut off", Duration::from_secs(10), async || {
        Ok(node.log().contains("the hub is away").then_some(()))
    })
    .await?;
    let late = service.api.token(&room_id, "late").await?;
    ensure!(Box::pin(Bot::lobby(&service.socket_url(), &late)).await.is_err(), "a revoked node takes nobody");
    let stranger = reqwest::Client::new()
        .get(format!("{}/v1/nodes/ws", service.announced.url))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .bearer_auth(&token)
        .send()
        .await?;
    ensure!(stranger.status() == 401, "{}", stranger.status());
    Ok(())
}

#[tokio::test]
async fn a_node_reaches_its_hub_over_tls_and_trusts_nobody_else() -> Result<()> {
    let (home, service) = hub().await?;
    let proxy = Terminator::before(&service.announced.url).await?;
    let strangers = Terminator::before(&service.announced.url).await?;
    let named = |name: &str, pem: &str| -> Result<PathBuf> {
        let path = home.data().with_file_name(name);
        std::fs::write(&path, pem)?;
        Ok(path)
    };
    let token = add(&home, "sealed")?;
    for ca in [None, Some(named("strangers.pem", &strangers.certificate_pem)?)] {
        let wary = Node::trusting(ca, &proxy.url, &token)?;
        eventually("the node to refuse the certificate", Duration::from_secs(15), async || {
            Ok(wary.log().contains("invalid peer certificate").then_some(()))
        })
        .await
        .with_context(|| wary.log())?;
        ensure!(!wary.log().contains("the hub takes this node"), "{}", wary.log());
    }
    let node = Node::trusting(Some(named("proxy.pem", &proxy.certificate_pem)?), &proxy.url, &token)?;
    let room_id = service.api.room(8).await?;
    let bots = call(&service, &room_id, &["ann", "ben"]).await?;
    see_each_other(&bots).await.with_context(|| node.log())
}
