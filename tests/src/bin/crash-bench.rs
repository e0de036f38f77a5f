//! `crash`: kill -9 of the whole service, PostgreSQL included, in the middle of a call, again and again on one data
//! directory. However it falls, at most the last second of usage may be missing and no millisecond may stand twice. In
//! some rounds the database has not answered for a while before the kill: what was used meanwhile stands in the media
//! plane's journal and nowhere else. At the end the month is made final and the books are audited.

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::json;
use std::time::{Duration, Instant};
use tuppence_tests::rows::{Row, print};
use tuppence_tests::{Bot, Entered, Home, Killed, Service, eventually};

/// A checkpoint is at most this old (design §7).
const MISSING_MS_AIM: f64 = 1000.0;
/// Enter is sent, crosses the loopback and starts the clock; the kill takes effect a moment after the signal.
const DOUBLED_MS_AIM: f64 = 0.0;

/// Every so many rounds the database is away before the kill.
const AWAY_EVERY: usize = 4;
/// For longer than may be missing.
const AWAY_MS: (u64, u64) = (1500, 3000);

/// Kills the service in the middle of a call and compares the recorded usage with the wall clock.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many kills.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// One JSON object a row.
    #[arg(long)]
    json: bool,
    /// The random numbers that choose the moments; printed, so that a run can be repeated.
    #[arg(long)]
    seed: Option<u64>,
}

/// One life of the service, and the call that was cut.
#[derive(Debug)]
struct Round {
    leg_id: String,
    entered: Entered,
    killed: Killed,
    /// The database was away.
    away: bool,
    restart: Duration,
}

/// A round against what the service recorded.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    missing_ms: f64,
    doubled_ms: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    eprintln!("crash: {} rounds, seed {seed}", arguments.rounds);
    let home = Home::new()?;
    let mut service = home.start().await?;
    let room_id = service.api.room(8).await?;
    let mut dice = Dice(seed);
    let mut rounds = Vec::new();
    while rounds.len() < arguments.rounds {
        let number = rounds.len() + 1;
        let round;
        let talk_ms = dice.between(300, 2000);
        let away_ms = number.is_multiple_of(AWAY_EVERY).then(|| dice.between(AWAY_MS.0, AWAY_MS.1));
        (service, round) = play(&home, service, &room_id, talk_ms, away_ms)
            .await
            .with_context(|| format!("round {number}"))?;
        rounds.push(round);
        if number % 10 == 0 || number == arguments.rounds {
            eprintln!(
                "crash: {number}/{} rounds, last restart {} ms",
                arguments.rounds,
                rounds[number - 1].restart.as_millis()
            );
        }
    }
    let verdicts = judge(&service, &rounds).await?;
    let mut rows = summarise(&rounds, &verdicts);
    rows.push(Row::at_most("crash", "audit_differences", audit(&home, &service).await?, "", 0.0));
    print(&rows, arguments.json);
    if rows.iter().any(|row| row.met == Some(false)) {
        eprintln!("crash: a promise is broken; repeat with --seed {seed}\n{}", service.log());
        std::process::exit(1);
    }
    service.stop().await?;
    Ok(())
}

/// A call, a kill in its middle, a restart.
async fn play(
    home: &Home,
    service: Service,
    room_id: &str,
    talk_ms: u64,
    away_ms: Option<u64>,
) -> Result<(Service, Round)> {
    let token = service.api.token(room_id, "bot").await?;
    let mut bot = Bot::lobby(&service.socket_url(), &token).await?;
    let entered = bot.enter("Bot").await?;
    tokio::time::sleep(Duration::from_millis(talk_ms)).await;
    if let Some(away_ms) = away_ms {
        service.freeze_database();
        tokio::time::sleep(Duration::from_millis(away_ms)).await;
    }
    let killed = service.kill()?;
    let leg_id = bot.leg_id().to_owned();
    bot.close().await?;
    let begun = Instant::now();
    let service = home.start().await?;
    Ok((service, Round { leg_id, entered, killed, away: away_ms.is_some(), restart: begun.elapsed() }))
}

/// Reads every leg at the very end: what was replayed by later starts must not have grown any of them.
async fn judge(service: &Service, rounds: &[Round]) -> Result<Vec<Verdict>> {
    let last = rounds.last().context("at least one round")?;
    // The journals' last batch is on its way; it is there when the last leg's figure rests.
    settled(service, last).await?;
    let mut verdicts = Vec::new();
    for (at, round) in rounds.iter().enumerate() {
        let verdict = compare(service, round).await?;
        if verdict.missing_ms > MISSING_MS_AIM || verdict.doubled_ms > DOUBLED_MS_AIM {
            eprintln!(
                "crash: round {}: leg {} missing {:.1} ms, doubled {:.1} ms",
                at + 1,
                round.leg_id,
                verdict.missing_ms,
                verdict.doubled_ms
            );
        }
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

async fn settled(service: &Service, round: &Round) -> Result<()> {
    let mut last = (-1, Instant::now());
    eventually("the recorded usage to rest", Duration::from_secs(20), async || {
        let now = service.api.leg_participant_ms(&round.entered.call_id, &round.leg_id).await?;
        if now != last.0 {
            last = (now, Instant::now());
        }
        Ok((last.1.elapsed() > Duration::from_secs(2)).then_some(()))
    })
    .await
}

/// Makes the month final and has the books audited beside the running service.
async fn audit(home: &Home, service: &Service) -> Result<f64> {
    service.api.post("/v1/clock/advance", &json!({ "hours": 745 })).await?.ok()?;
    let (differences, said) = home.audit().await?;
    if differences > 0 {
        eprintln!("crash: {said}");
    }
    Ok(differences.into())
}

/// At least from the acknowledged click to the first signal; at most from the sent click until nothing was left alive.
async fn compare(service: &Service, round: &Round) -> Result<Verdict> {
    let recorded = service.api.leg_participant_ms(&round.entered.call_id, &round.leg_id).await?;
    let recorded = f64::from(i32::try_from(recorded)?);
    let sure = ms(round.killed.begun.duration_since(round.entered.acknowledged));
    let possible = ms(round.killed.done.duration_since(round.entered.sent));
    Ok(Verdict { missing_ms: (sure - recorded).max(0.0), doubled_ms: (recorded - possible).max(0.0) })
}

fn summarise(rounds: &[Round], verdicts: &[Verdict]) -> Vec<Row> {
    let greatest = |figures: Vec<f64>| figures.into_iter().fold(0.0, f64::max);
    let restarts: Vec<f64> = rounds.iter().map(|round| ms(round.restart)).collect();
    let missing: Vec<f64> = verdicts.iter().map(|verdict| verdict.missing_ms).collect();
    let pairs = rounds.iter().zip(&missing);
    let away = pairs.filter(|(round, _)| round.away).map(|(_, missing)| *missing).collect();
    let doubled = verdicts.iter().map(|verdict| verdict.doubled_ms).collect();
    vec![
        Row::at_most("crash", "missing_ms_max", greatest(missing.clone()), "ms", MISSING_MS_AIM),
        Row::at_most("crash", "database_away_missing_ms_max", greatest(away), "ms", MISSING_MS_AIM),
        Row::plain("crash", "missing_ms_median", median(missing), "ms"),
        Row::at_most("crash", "doubled_ms_max", greatest(doubled), "ms", DOUBLED_MS_AIM),
        Row::plain("crash", "restart_ms_median", median(restarts.clone()), "ms"),
        Row::plain("crash", "restart_ms_max", greatest(restarts), "ms"),
        Row::plain("crash", "rounds", f64::from(u32::try_from(rounds.len()).unwrap_or(u32::MAX)), "kills"),
    ]
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// splitmix64: enough chance for choosing moments, and the same ones from the same seed.
struct Dice(u64);

impl Dice {
    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        low + (mixed ^ (mixed >> 31)) % (high - low)
    }
}
