//! A node with one publisher and many subscribers in one room.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use sfu::control::{Command, Event, RoomId, TenantId};
use sfu::{EgressKind, Handle, Node, NodeConfig};
use tempfile::TempDir;
use uuid::Uuid;

use crate::caller::Caller;
use crate::cpu;

/// What is published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) packets_per_s: u32,
    /// Packets that are written at once.
    pub(crate) burst: u32,
}

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) us_per_packet: f64,
    pub(crate) packets_per_s: f64,
    pub(crate) lost_percent: f64,
    /// 1 is a whole core.
    pub(crate) generator_load: f64,
    /// Ascending.
    delays_us: Vec<u32>,
}

impl Figures {
    /// The delay that this part of the packets stayed below.
    pub(crate) fn delay_us(&self, part: f64) -> f64 {
        let last = self.delays_us.len().saturating_sub(1);
        self.delays_us.get((last as f64 * part) as usize).copied().map_or(f64::NAN, f64::from)
    }
}

pub(crate) struct Stage {
    /// While the subscribers joined, ICE and DTLS included, clients and node together.
    pub(crate) joins_per_s: f64,
    node: Handle,
    publisher: Caller,
    subscribers: Vec<Caller>,
    begun: Instant,
    ts: u32,
    _journal: TempDir,
}

impl Stage {
    /// Everybody joins, connects and enters, and a first second of pictures flows.
    #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
    pub(crate) fn new(egress: EgressKind, subscribers: usize) -> Stage {
        let begun = Instant::now();
        let journal = tempfile::tempdir().expect("a directory");
        let config = NodeConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            advertise: Vec::new(),
            journal_dir: journal.path().into(),
            shards: 1,
            legs_max: 10_000,
            egress,
            ways: sfu::Ways::Both,
        };
        let (node, mut events) = Node::start(config).expect("a node");
        let (told, answers) = channel();
        let acknowledging = node.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            while let Some(event) = runtime.block_on(events.recv()) {
                match event {
                    Event::Usage { batch, .. } => drop(acknowledging.send(Command::UsageStored { batch })),
                    Event::Joined { answer, .. } => drop(told.send(answer)),
                    _ => {}
                }
            }
        });
        let publisher = join(&node, &answers, 1, true, begun);
        let joining = Instant::now();
        let callers = (0..subscribers).map(|n| join(&node, &answers, 2 + n as u128, false, begun));
        let subscribers = callers.collect();
        let mut stage =
            Stage { joins_per_s: 0.0, node, publisher, subscribers, begun, ts: 0, _journal: journal };
        stage.connect();
        stage.joins_per_s = stage.subscribers.len() as f64 / joining.elapsed().as_secs_f64();
        for leg in std::iter::once(&stage.publisher).chain(&stage.subscribers).map(|caller| caller.leg) {
            stage.node.send(Command::Enter { leg }).expect("the node takes it");
        }
        stage.play(Load { packets_per_s: 300, burst: 1 }, 1);
        stage
    }

    /// Publishes and measures.
    #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
    pub(crate) fn play(&mut self, load: Load, seconds: u64) -> Figures {
        self.subscribers.iter_mut().for_each(|caller| caller.delays_us.clear());
        let (start, end) = (Instant::now(), Duration::from_secs(seconds));
        let (media, generator) = (cpu::of_threads("media-0"), cpu::of_this_thread());
        let every = Duration::from_secs(1) * load.burst / load.packets_per_s;
        let (mut next, mut written) = (start, 0u64);
        while start.elapsed() < end {
            let now = Instant::now();
            if now >= next {
                next += every;
                self.write(load, now);
                written += u64::from(load.burst);
            }
            self.step(now);
        }
        // What is still on its way counts as well.
        let settled = Instant::now() + Duration::from_millis(200);
        while Instant::now() < settled {
            self.step(Instant::now());
        }
        let generator = cpu::of_this_thread() - generator;
        let media = cpu::of_threads("media-0") - media;
        self.figures(written, media, generator, start.elapsed())
    }

    pub(crate) fn stop(self) {
        self.node.stop();
    }

    fn write(&mut self, load: Load, now: Instant) {
        self.ts = self.ts.wrapping_add(90_000 / load.packets_per_s * load.burst);
        for part in 1..=load.burst {
            self.publisher.write(self.ts, part == load.burst, self.begun, now);
        }
    }

    fn step(&mut self, now: Instant) {
        self.publisher.step(self.begun, now);
        for caller in &mut self.subscribers {
            caller.step(self.begun, now);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
    fn connect(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !(self.publisher.connected && self.subscribers.iter().all(|caller| caller.connected)) {
            self.step(Instant::now());
            assert!(Instant::now() < deadline, "not everybody connected within a minute");
        }
    }

    fn figures(&self, written: u64, media: Duration, generator: Duration, wall: Duration) -> Figures {
        let delays = self.subscribers.iter().flat_map(|caller| caller.delays_us.iter().copied());
        let mut delays_us: Vec<u32> = delays.collect();
        delays_us.sort_unstable();
        let expected = written * self.subscribers.len() as u64;
        let came = delays_us.len() as u64;
        Figures {
            us_per_packet: media.as_secs_f64() * 1e6 / expected.max(1) as f64,
            packets_per_s: expected as f64 / wall.as_secs_f64(),
            lost_percent: 100.0 * expected.saturating_sub(came) as f64 / expected.max(1) as f64,
            generator_load: generator.as_secs_f64() / wall.as_secs_f64(),
            delays_us,
        }
    }
}

fn join(node: &Handle, answers: &Receiver<String>, n: u128, publishes: bool, begun: Instant) -> Caller {
    let (mut caller, offer, sends) = Caller::new(n, publishes, begun);
    let (room, tenant) = (RoomId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(1)));
    node.send(Command::Join { leg: caller.leg, room, tenant, offer, sends }).expect("the node takes it");
    caller.answered(&answers.recv().expect("an answer"));
    caller
}
