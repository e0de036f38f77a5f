//! Tuppence: reads the configuration and composes the roles of one process.

mod announce;
mod audit;
mod books;
mod config;
mod data_dir;
mod export;
mod metrics;
mod node;
mod nodes;
mod operators;
mod pages;
mod postgres;
mod serve;
mod stop;

use anyhow::{Context, Result};
use clap::{FromArgMatches, Parser};
use config::{Action, Cli, LogConfig, LogFormat};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tuppence: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let matches = config::command().get_matches();
    let action = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command;
    match action.unwrap_or_else(serve_with_defaults) {
        Action::Serve(config) => on_a_runtime(&config.log, serve::serve(&config)),
        Action::Node(config) => on_a_runtime(&config.log, node::run(&config)),
        Action::Nodes(action) => on_a_runtime(&action.log().clone(), nodes::run(action)),
        Action::Operators(action) => on_a_runtime(&action.log().clone(), operators::run(action)),
        Action::Audit(config) => on_a_runtime(&config.log, audit::audit(&config)),
        Action::Export { format, month, config } => {
            on_a_runtime(&config.log, export::export(&config, format, month))
        }
        Action::Postgres(config) => on_a_runtime(&config.log, serve::postgres_alone(&config)),
        Action::Show { env_example: true, .. } => {
            print!("{}", config::env_example());
            Ok(())
        }
        Action::Show { .. } => {
            let chosen = matches.subcommand_matches("config").expect("clap has parsed `config`");
            print!("{}", config::explain(chosen));
            Ok(())
        }
    }
}

/// `tuppence` alone is `tuppence serve`, with what the environment says.
fn serve_with_defaults() -> Action {
    let cli = Cli::parse_from(["tuppence", "serve"]);
    cli.command.expect("`serve` was just given")
}

fn on_a_runtime(log: &LogConfig, work: impl Future<Output = Result<()>>) -> Result<()> {
    start_log(log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // What still runs after an orderly stop has said all it had to say.
    runtime.shutdown_background();
    done
}

/// What others say at each start without news in it; a filter that names them wins.
const QUIET: &str = "refinery_core=warn,tokio_postgres=warn";

fn start_log(log: &LogConfig) -> Result<()> {
    let filter =
        EnvFilter::try_new(format!("{QUIET},{}", log.log)).context("--log is no level and no filter")?;
    let format = log.log_format;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// The error and everything that caused it, each said once.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(&format!(": {cause}"));
        }
    }
    text
}
