//! Random sequences of commands, each cut off at a random wait and tried again, against a small model in memory.
//!
//! A cut drops a command where it waits for PostgreSQL: before anything was written, between two writes, while the commit is
//! on its way, or between the processor's commit and ours, so that nobody knows whether it happened. The command is then given
//! again, as a caller would who had no answer. Whatever was cut, drafts, statements, payments and ledger must be those of a
//! world in which nothing ever failed, and the audit must find nothing.

mod commands;
mod memory;
mod tally;
mod world;

use crate::support::{client, migrated_database};
use billing::{db::Db, store};
use jiff::Timestamp;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::{cell::Cell, sync::Mutex};
use tally::Tally;
use world::World;

/// Sequences of a run, the same each time: what fails then is what was changed. `TUPPENCE_MODEL_SEQUENCES` asks for more, and
/// for other ones each time.
const SEQUENCES: u32 = 10_000;
/// As many play at a time, each on a database of its own: nobody else's payments are finished by its collector.
const PLAYERS: u32 = 4;
/// Sequences that share a database, each for a tenant of its own. Small tables keep PostgreSQL quick.
const SHARE: u32 = 2_500;

/// Plays some sequences on a database, and counts what happened.
fn play(
    db: &Db,
    runtime: &tokio::runtime::Runtime,
    (sequences, rng_seed): (u32, RngSeed),
    tally: &Mutex<Tally>,
) {
    let config = Config { cases: sequences, rng_seed, source_file: Some(file!()), ..Config::default() };
    let sequence = (0_i64..2_000, commands::steps());
    let begun = Cell::new(0_u32);
    let failed = Cell::new(None);
    let played = TestRunner::new(config).run(&sequence, |(start, steps)| {
        begun.set(begun.get() + 1);
        // Taken back where it goes well: what panics has failed, too. Later ones only make the failure smaller.
        let first = failed.replace(failed.get().or(Some(begun.get())));
        let happened = runtime.block_on(async {
            let mut world = World::begin(db, start, &steps).await;
            for step in steps {
                world.take(step).await?;
            }
            world.end().await
        })?;
        failed.set(first);
        tally.lock().expect("nobody has failed").add_all(happened);
        Ok(())
    });
    if let Err(failure) = played {
        panic!("sequence {} of a player: {failure}", failed.get().unwrap_or_default());
    }
}

/// A database of the operator's, who is at home in Germany. Each query is planned once: there are too few rows for planning to
/// be worth its time.
async fn country() -> Db {
    let url = migrated_database().await;
    let quick = "do $$ begin
                   execute format('alter database %I set plan_cache_mode = force_generic_plan', current_database());
                   execute format('alter database %I set jit = off', current_database());
                 end $$";
    client(&url).await.batch_execute(quick).await.expect("sets");
    let db = Db::connect(&url).await.expect("connects");
    let tx = db.service().await.expect("begins");
    let germany = "DE".parse().expect("a country");
    store::insert_seller(&tx, germany, None, Timestamp::UNIX_EPOCH).await.expect("a seller");
    tx.commit().await.expect("commits");
    db
}

#[test]
fn whatever_is_cut_off_the_books_are_those_of_a_world_without_failures() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let asked = std::env::var("TUPPENCE_MODEL_SEQUENCES").ok();
    let others = asked.map(|count| count.parse().expect("a number of sequences"));
    let sequences = others.unwrap_or(SEQUENCES);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|threads| {
        for player in 0..PLAYERS {
            let seed = if others.is_some() { RngSeed::Random } else { RngSeed::Fixed(player.into()) };
            let (tally, runtime) = (&tally, &runtime);
            threads.spawn(move || {
                let mut left = sequences.div_ceil(PLAYERS);
                while left > 0 {
                    let some = left.min(SHARE);
                    let db = runtime.block_on(country());
                    play(&db, runtime, (some, seed), tally);
                    runtime.block_on(world::no_number_is_missing(&db));
                    left -= some;
                }
            });
        }
    });
    let tally = tally.into_inner().expect("nobody has failed");
    println!("{tally}");
    let rare = tally.rare(sequences);
    assert!(rare.is_empty(), "hardly ever in {sequences} sequences: {rare:?}");
}
