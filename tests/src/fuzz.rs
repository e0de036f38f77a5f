//! A small fuzzer on stable Rust: it bends the inputs of a corpus without knowing what they are, by chance that can be
//! repeated, and runs every parser of ours that reads what strangers send.

mod mutation;
mod targets;

use anyhow::{Context, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

pub use mutation::Mutator;
pub use targets::{TARGETS, Target};

/// An input on which a target panicked.
#[derive(Debug)]
pub struct Crash {
    /// What was read.
    pub input: Vec<u8>,
    /// What the panic said.
    pub message: String,
}

impl Target {
    /// Finds a target by its name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<&'static Target> {
        let names = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
        TARGETS.iter().find(|target| target.name == name).with_context(|| format!("targets are {}", names()))
    }

    /// Where its corpus is committed.
    pub fn directory(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }

    /// The inputs that everything else is bent from, in the order of their names.
    ///
    /// # Errors
    /// The corpus cannot be read, or is empty.
    pub fn seeds(&self) -> Result<Vec<Vec<u8>>> {
        let mut seeds = (self.made)();
        let directory = self.directory();
        if directory.exists() {
            let mut paths = Vec::new();
            for entry in std::fs::read_dir(directory)? {
                paths.push(entry?.path());
            }
            paths.sort();
            for path in paths {
                seeds.push(std::fs::read(path)?);
            }
        }
        anyhow::ensure!(!seeds.is_empty(), "{} has no corpus", self.name);
        Ok(seeds)
    }

    /// Runs it on one input.
    ///
    /// # Errors
    /// It panicked.
    pub fn run(&self, input: &[u8]) -> Result<(), Crash> {
        let ran = catch_unwind(AssertUnwindSafe(|| (self.read)(input)));
        ran.map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Crash { input: input.to_vec(), message: message.to_owned() }
        })
    }
}
