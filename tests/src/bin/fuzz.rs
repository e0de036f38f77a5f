//! `fuzz`: runs one parser on millions of bent inputs. An input that breaks it is kept in the corpus.

use anyhow::{Result, bail};
use clap::Parser;
use std::time::Instant;
use tuppence_tests::fuzz::{Crash, Mutator, Target};

/// Runs a parser on inputs bent from its corpus, and stops at the first that breaks it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which parser; a wrong name lists them.
    #[arg(long)]
    target: String,
    /// How many inputs.
    #[arg(long, default_value_t = 10_000_000)]
    runs: u64,
    /// The chance that bends them; the same makes the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// After so many runs it says how far it is.
const PROGRESS_EVERY: u64 = 100_000;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let target = Target::named(&arguments.target)?;
    let seeds = target.seeds()?;
    // A panic is reported below, once.
    std::panic::set_hook(Box::new(|_| {}));
    let begun = Instant::now();
    let mut mutator = Mutator::new(seeds.clone(), arguments.seed);
    for seed in &seeds {
        target.run(seed).or_else(|crash| keep(target, &crash))?;
    }
    for run in 0..arguments.runs {
        if run > 0 && run % PROGRESS_EVERY == 0 {
            eprintln!("{}: {run} runs in {:.0} s", target.name, begun.elapsed().as_secs_f64());
        }
        let input = mutator.next_input();
        if let Err(crash) = target.run(&input) {
            eprintln!("run {run} of seed {}", arguments.seed);
            keep(target, &crash)?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{}: {} runs of seed {} in {seconds:.1} s", target.name, arguments.runs, arguments.seed);
    Ok(())
}

/// Writes the input into the corpus, where every later test finds it.
fn keep(target: &Target, crash: &Crash) -> Result<()> {
    let sum = crash.input.iter().fold(0xcbf2_9ce4_8422_2325u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3) // FNV-1a.
    });
    let path = target.directory().join(format!("crash-{sum:016x}"));
    std::fs::create_dir_all(target.directory())?;
    std::fs::write(&path, &crash.input)?;
    bail!("{} broke: {}; its input is {}", target.name, crash.message, path.display())
}
