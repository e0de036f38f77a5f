//! Random sequences of commands, each cut off at a random wait and tried again, against a small model in memory.
//!
//! A cut drops a command where it waits for PostgreSQL: before anything was written, between two writes, or while the
//! commit is on its way, so that nobody knows whether it happened. The command is then given again, as a caller would
//! who had no answer. Whatever was cut, drafts, statements and ledger must be those of a world in which nothing ever
//! failed, and the audit must find nothing.

mod commands;
mod memory;
mod world;

use crate::support::database;
use billing::db::Db;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use world::World;

/// Sequences of a run; `TUPPENCE_MODEL_SEQUENCES` asks for more.
const SEQUENCES: u32 = 10_000;
/// As many play at a time, each for tenants of its own on one database.
const PLAYERS: u32 = 4;

/// Plays its part of the sequences.
fn play(db: &Db, runtime: &tokio::runtime::Runtime, sequences: u32) {
    let config = Config { cases: sequences, source_file: Some(file!()), ..Config::default() };
    let sequence = (0_i64..2_000, prop::collection::vec(commands::step(), 1..14));
    let played = TestRunner::new(config).run(&sequence, |(start, steps)| {
        runtime.block_on(async {
            let mut world = World::begin(db, start).await;
            for step in steps {
                world.take(step).await?;
            }
            world.end().await
        })
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
}

#[test]
fn whatever_is_cut_off_the_books_are_those_of_a_world_without_failures() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let db = runtime.block_on(database());
    let asked = std::env::var("TUPPENCE_MODEL_SEQUENCES").ok();
    let sequences = asked.map_or(SEQUENCES, |count| count.parse().expect("a number of sequences"));
    std::thread::scope(|threads| {
        for _ in 0..PLAYERS {
            threads.spawn(|| play(&db, &runtime, sequences.div_ceil(PLAYERS)));
        }
    });
    runtime.block_on(world::no_number_is_missing(&db));
}
