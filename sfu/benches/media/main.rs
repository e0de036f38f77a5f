//! `media`: what it costs to forward a packet, next to what this machine could do at best.
//!
//! The node runs in this process as it does in the service; the generator is a thread of its own with real clients (str0m:
//! ICE, DTLS, SRTP, their reports and retransmission requests). Cost is the processor time of the media thread over the
//! packets that came out of it; delay is from the publisher's write to the subscriber's opened packet.
//!
//!     cargo bench -p sfu --bench media -- [--json] [--subscribers 200] [--seconds 5] [--egress own|str0m]

mod caller;
mod cpu;
mod limit;
#[expect(unreachable_pub, reason = "the file is public in the crate that it lives in")]
#[path = "../../../tests/src/rows.rs"]
mod rows;
mod stage;

use clap::Parser;
use rows::{Row, print};
use sfu::EgressKind;
use stage::{Figures, Load, Stage};

/// Measures the media plane.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a row.
    #[arg(long)]
    json: bool,
    /// Who receives what one publisher sends.
    #[arg(long, default_value_t = 200)]
    subscribers: usize,
    /// How long each load is measured.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Whose hot path.
    #[arg(long, default_value = "own")]
    egress: EgressKind,
    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// 1.2 kB packets, evenly.
const STEADY: Load = Load { packets_per_s: 300, burst: 1 };
/// The same as frames of ten packets.
const FRAMES: Load = Load { packets_per_s: 300, burst: 10 };

fn main() {
    let arguments = Arguments::parse();
    let limits = limit::measure();
    let mut stage = Stage::new(arguments.egress, arguments.subscribers);
    let joins_per_s = stage.joins_per_s;
    let steady = stage.play(STEADY, arguments.seconds);
    let frames = stage.play(FRAMES, arguments.seconds);
    stage.stop();
    let mut rows = steady_rows(&steady, limits.single_us);
    rows.extend(frame_rows(&frames, limits.train_us));
    rows.push(Row::plain("media", "limit_single_us", limits.single_us, "us"));
    rows.push(Row::plain("media", "limit_train_us", limits.train_us, "us"));
    rows.push(Row::plain("media", "joins_per_s", joins_per_s, "1/s"));
    print(&rows, arguments.json);
    if steady.generator_load > 0.9 || frames.generator_load > 0.9 {
        eprintln!(
            "media: the generator was busy for more than 90 % of the time; delay and loss are partly its own"
        );
    }
}

fn steady_rows(figures: &Figures, limit_us: f64) -> Vec<Row> {
    vec![
        Row::at_most("media", "fanout_us_per_packet", figures.us_per_packet, "us", 1.5).against(limit_us),
        Row::at_most("media", "fanout_p99_us", figures.delay_us(0.99), "us", 1_000.0),
        Row::plain("media", "fanout_p50_us", figures.delay_us(0.5), "us"),
        Row::at_most("media", "fanout_lost_percent", figures.lost_percent, "%", 0.0),
        Row::plain("media", "fanout_packets_per_s", figures.packets_per_s, "1/s"),
        Row::plain("media", "fanout_generator_load", figures.generator_load * 100.0, "%"),
    ]
}

fn frame_rows(figures: &Figures, limit_us: f64) -> Vec<Row> {
    vec![
        Row::at_most("media", "burst_us_per_packet", figures.us_per_packet, "us", 1.0).against(limit_us),
        Row::plain("media", "burst_p99_us", figures.delay_us(0.99), "us"),
        Row::at_most("media", "burst_lost_percent", figures.lost_percent, "%", 0.0),
        Row::plain("media", "burst_generator_load", figures.generator_load * 100.0, "%"),
    ]
}
