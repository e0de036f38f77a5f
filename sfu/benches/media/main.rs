//! `media`: what it costs to forward a packet, next to what this machine could do at best.
//!
//! The node runs in this process as it does in the service; the generator is a thread of its own with real clients (str0m:
//! ICE, DTLS, SRTP, their reports and retransmission requests). Cost is the processor time of the media thread over the
//! packets that came out of it; delay is from the publisher's write to the kernel's receipt for the subscriber.
//!
//!     cargo bench -p sfu --bench media -- [--json] [--quick] [--subscribers 200] [--rooms 10] [--seconds 5]

mod caller;
mod cpu;
mod inbox;
mod janus;
mod limit;
#[expect(unreachable_pub, reason = "the file is public in the crate that it lives in")]
#[path = "../../../tests/src/rows.rs"]
mod rows;
mod stage;

use clap::Parser;
use janus::Janus;
use limit::Limits;
use rows::{Row, print};
use sfu::EgressKind;
use sfu::control::Kind;
use stage::{Figures, Load, Scene, Stage};

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
    /// Meetings of eight that take place at once; of thirty, a fifth of it.
    #[arg(long, default_value_t = 10)]
    rooms: usize,
    /// Who listens to ten voices.
    #[arg(long, default_value_t = 1_000)]
    listeners: usize,
    /// Only one publisher and its subscribers.
    #[arg(long)]
    quick: bool,
    /// Whose hot path.
    #[arg(long, default_value = "own")]
    egress: EgressKind,
    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// 1.2 kB packets, evenly.
const STEADY: Load = Load { packets_per_s: limit::PACE, burst: 1, speaks: false };
/// The same in frames.
const FRAMES: Load = Load { packets_per_s: limit::PACE, burst: limit::TRAIN, speaks: false };
/// What a camera and a microphone send: 1.2 Mbit/s in frames of four packets, and a voice.
const MEETING: Load = Load { packets_per_s: 120, burst: 4, speaks: true };
/// Voices only. A camera that is not there sends nothing.
const VOICES: Load = Load { packets_per_s: 10, burst: 1, speaks: true };
/// Busier, and what it measures is partly its own.
const GENERATOR_BUSY: f64 = 0.9;

struct Bench {
    egress: EgressKind,
    seconds: u64,
    limits: Limits,
    rows: Vec<Row>,
}

fn main() {
    let arguments = Arguments::parse();
    let limits = limit::measure();
    let mut bench = Bench { egress: arguments.egress, seconds: arguments.seconds, limits, rows: Vec::new() };
    bench.fanout(arguments.subscribers);
    bench.janus(arguments.subscribers);
    if !arguments.quick {
        bench.capacity(arguments.subscribers);
        bench.meeting("meetings_8", arguments.rooms, 8);
        bench.meeting("meetings_30", arguments.rooms.div_ceil(5), 30);
        bench.audience(arguments.listeners);
        bench.shards(arguments.subscribers / 2);
    }
    for (name, limit) in [
        ("limit_single_us", limits.single_us),
        ("limit_train_us", limits.train_us),
        ("limit_paced_single_us", limits.paced_single_us),
        ("limit_paced_train_us", limits.paced_train_us),
    ] {
        bench.rows.push(Row::plain("media", name, limit, "us"));
    }
    print(&bench.rows, arguments.json);
}

impl Bench {
    /// One publisher and many who watch, all of whom open what they get and report on it.
    fn scene(&self, subscribers: usize) -> Scene<'static> {
        Scene {
            egress: self.egress,
            shards: 1,
            rooms: 1,
            publishers: 1,
            sends: &[Kind::Video],
            subscribers,
            is_meeting: false,
            audio_slots: 0,
            video_slots: 1,
            opening: usize::MAX,
        }
    }

    fn plain(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.rows.push(Row::plain("media", name, value, unit));
    }

    /// Says so when the generator was the bottleneck.
    fn check(&self, name: &str, figures: &Figures) {
        if figures.generator_load > GENERATOR_BUSY {
            eprintln!(
                "media: {name}: the generator was busy for more than 90 % of the time; delay and loss are its own"
            );
        }
    }

    fn fanout(&mut self, subscribers: usize) {
        let mut stage = Stage::new(self.scene(subscribers));
        let joins_per_s = 1.0 / stage.join_cost.as_secs_f64();
        let steady = stage.play(STEADY, self.seconds);
        let frames = stage.play(FRAMES, self.seconds);
        stage.stop();
        self.check("fanout", &steady);
        self.check("burst", &frames);
        let Limits { single_us, train_us, paced_single_us, paced_train_us } = self.limits;
        self.rows.extend([
            Row::at_most("media", "fanout_us_per_packet", steady.us_per_packet, "us", 1.5).against(single_us),
            Row::at_most("media", "fanout_p99_us", steady.delay_us(0.99), "us", 1_000.0),
            Row::plain("media", "fanout_p50_us", steady.delay_us(0.5), "us"),
            Row::at_most("media", "fanout_lost_percent", steady.lost_percent, "%", 0.0),
            Row::plain("media", "fanout_packets_per_s", steady.packets_per_s, "1/s"),
            Row::plain("media", "fanout_generator_load", steady.generator_load * 100.0, "%"),
            Row::at_most("media", "burst_us_per_packet", frames.us_per_packet, "us", 1.0).against(train_us),
            Row::plain("media", "fanout_to_paced_limit", steady.us_per_packet / paced_single_us, "times"),
            Row::plain("media", "burst_to_paced_limit", frames.us_per_packet / paced_train_us, "times"),
            Row::plain("media", "burst_p99_us", frames.delay_us(0.99), "us"),
            Row::at_most("media", "burst_lost_percent", frames.lost_percent, "%", 0.0),
            Row::plain("media", "burst_generator_load", frames.generator_load * 100.0, "%"),
            Row::at_least("media", "joins_per_s", joins_per_s, "1/s", 400.0),
        ]);
    }

    /// The same loads through Janus, where it is installed.
    fn janus(&mut self, subscribers: usize) {
        let Some(janus) = Janus::start() else {
            eprintln!(
                "media: Janus is not installed (Debian's package janus), so there is nothing to compare with"
            );
            return;
        };
        let mut stage = Stage::of_janus(janus, subscribers);
        let steady = stage.play(STEADY, self.seconds);
        let frames = stage.play(FRAMES, self.seconds);
        stage.stop();
        self.check("janus", &steady);
        let Limits { single_us, train_us, .. } = self.limits;
        let rows = [
            ("janus_us_per_packet", "janus_to_ours", "fanout_us_per_packet", steady, single_us),
            ("janus_burst_us_per_packet", "janus_burst_to_ours", "burst_us_per_packet", frames, train_us),
        ];
        for (name, ratio, ours, figures, limit) in rows {
            let ours = self.rows.iter().find(|row| row.name == ours).map_or(f64::NAN, |row| row.value);
            self.rows.push(Row::plain("media", name, figures.us_per_packet, "us").against(limit));
            self.plain(ratio, figures.us_per_packet / ours, "times");
        }
    }

    /// Doubles the load until a packet in a thousand is lost or one in a hundred takes 10 ms.
    fn capacity(&mut self, subscribers: usize) {
        let mut stage = Stage::new(Scene { opening: 11, ..self.scene(subscribers) });
        let (mut best, mut by_processor) = (0.0f64, 0.0f64);
        for packets_per_s in [300, 600, 1_200, 2_400, 4_800] {
            let figures = stage.play(Load { packets_per_s, burst: 10, speaks: false }, self.seconds.min(3));
            by_processor = by_processor.max(1e6 / figures.us_per_packet);
            self.check("capacity", &figures);
            if figures.lost_percent >= 0.1 || figures.delay_us(0.99) > 10_000.0 {
                break;
            }
            best = best.max(figures.packets_per_s);
        }
        stage.stop();
        self.rows.push(Row::at_least("media", "capacity_packets_per_s", best, "1/s", 400_000.0));
        self.plain("capacity_by_processor_time", by_processor, "1/s");
    }

    /// Rooms in which everybody sends a picture and a voice to everybody.
    fn meeting(&mut self, name: &'static str, rooms: usize, people: usize) {
        let sends = &[Kind::Audio, Kind::Video];
        let scene = Scene {
            rooms,
            publishers: people,
            sends,
            is_meeting: true,
            audio_slots: 3,
            video_slots: people - 1,
            opening: 8,
            ..self.scene(0)
        };
        let mut stage = Stage::new(scene);
        let figures = stage.play(MEETING, self.seconds);
        stage.stop();
        self.check(name, &figures);
        let row = Row::plain("media", name, figures.us_per_packet, "us/packet");
        self.rows.push(row.against(self.limits.train_us));
        let (rate, p99) = match name {
            "meetings_8" => ("meetings_8_packets_per_s", "meetings_8_p99_us"),
            _ => ("meetings_30_packets_per_s", "meetings_30_p99_us"),
        };
        self.plain(rate, figures.packets_per_s, "1/s");
        self.plain(p99, figures.delay_us(0.99), "us");
    }

    /// Ten who speak, and so many who listen.
    fn audience(&mut self, listeners: usize) {
        let scene = Scene {
            publishers: 10,
            sends: &[Kind::Audio],
            audio_slots: 3,
            video_slots: 0,
            opening: 20,
            ..self.scene(listeners)
        };
        let mut stage = Stage::new(scene);
        let figures = stage.play(VOICES, self.seconds);
        stage.stop();
        self.check("audio_1000", &figures);
        let row = Row::plain("media", "audio_1000_us_per_packet", figures.us_per_packet, "us");
        self.rows.push(row.against(self.limits.single_us));
        self.plain("audio_1000_packets_per_s", figures.packets_per_s, "1/s");
    }

    /// Two rooms on two shards against the same on one. By processor time: the generator needs the processors as well.
    fn shards(&mut self, subscribers: usize) {
        let [one, two] = [1, 2].map(|shards| {
            let mut stage = Stage::new(Scene { shards, rooms: 4, opening: 4, ..self.scene(subscribers / 2) });
            let figures = stage.play(FRAMES, self.seconds);
            stage.stop();
            self.check("shards", &figures);
            figures.us_per_packet
        });
        self.rows.push(Row::at_least("media", "shards_speedup", 2.0 * one / two, "", 1.8));
    }
}
