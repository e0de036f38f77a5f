//! Every parser that reads what strangers send: its corpus, and some thousands of bent inputs.

use tuppence_tests::fuzz::{Mutator, TARGETS};

#[test]
fn the_corpus_breaks_no_parser() {
    for target in &TARGETS {
        for seed in target.seeds().unwrap() {
            target.run(&seed).unwrap_or_else(|crash| panic!("{}: {crash:?}", target.name));
        }
    }
}

#[test]
fn thousands_of_bent_inputs_break_no_parser() {
    for target in &TARGETS {
        let mut mutator = Mutator::new(target.seeds().unwrap(), 2_026);
        for _ in 0..target.runs_in_tests {
            let input = mutator.next_input();
            target.run(&input).unwrap_or_else(|crash| panic!("{}: {crash:?}", target.name));
        }
    }
}

#[test]
fn the_same_chance_bends_the_same_inputs() {
    let seeds = vec![b"one".to_vec(), b"another".to_vec()];
    let run = |chance| {
        let mut mutator = Mutator::new(seeds.clone(), chance);
        (0..1_000).map(|_| mutator.next_input()).collect::<Vec<_>>()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
