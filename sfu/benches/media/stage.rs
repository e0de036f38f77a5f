//! A node and rooms full of callers.

use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use sfu::control::{Command, Event, Kind, RoomId, TenantId};
use sfu::{EgressKind, Handle, Node, NodeConfig};
use tempfile::TempDir;
use uuid::Uuid;

use crate::caller::{Caller, Lines};
use crate::cpu;
use crate::janus::Janus;

/// Who is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) egress: EgressKind,
    pub(crate) shards: usize,
    pub(crate) rooms: usize,
    /// Who sends, in each room.
    pub(crate) publishers: usize,
    /// What they send.
    pub(crate) sends: &'a [Kind],
    /// Who only watches and listens, in each room.
    pub(crate) subscribers: usize,
    /// Publishers show each other.
    pub(crate) is_meeting: bool,
    pub(crate) audio_slots: usize,
    pub(crate) video_slots: usize,
    /// This many open what they get and report on it; the others count.
    pub(crate) opening: usize,
}

/// What each publisher sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) packets_per_s: u32,
    /// Packets of a picture, which are written at once.
    pub(crate) burst: u32,
    pub(crate) speaks: bool,
}

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) us_per_packet: f64,
    pub(crate) packets_per_s: f64,
    /// Of what one publisher sent to all others of its room.
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
    /// Processor time of the media threads for one join with ICE and DTLS; the clients' is not in it.
    pub(crate) join_cost: Duration,
    server: Server,
    publishers: Vec<Caller>,
    subscribers: Vec<Caller>,
    begun: Instant,
    ts: u32,
}

/// Who forwards.
enum Server {
    Ours { node: Handle, _journal: TempDir },
    Theirs(Janus),
}

impl Server {
    /// Processor time so far.
    fn cpu(&self) -> Duration {
        match self {
            Server::Ours { .. } => cpu::of_media(),
            Server::Theirs(janus) => janus.cpu(),
        }
    }
}

impl Stage {
    /// Everybody joins, connects and enters, and a first second of media flows.
    #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
    pub(crate) fn new(scene: Scene<'_>) -> Stage {
        let begun = Instant::now();
        let journal = tempfile::tempdir().expect("a directory");
        let config = NodeConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            advertise: Vec::new(),
            journal_dir: journal.path().into(),
            shards: scene.shards,
            legs_max: 10_000,
            egress: scene.egress,
            ways: sfu::Ways::Both,
            turn: None,
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
        let before = cpu::of_media();
        let mut stage = Stage::empty(Server::Ours { node: node.clone(), _journal: journal }, begun);
        stage.fill(scene, &node, &answers);
        stage.connect();
        let everybody = stage.publishers.len() + stage.subscribers.len();
        stage.join_cost = (cpu::of_media() - before) / everybody as u32;
        for leg in stage.publishers.iter().chain(&stage.subscribers).map(|caller| caller.leg) {
            while node.send(Command::Enter { leg }).is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let speaks = scene.sends.contains(&Kind::Audio);
        stage.play(Load { packets_per_s: 300, burst: 1, speaks }, 1);
        stage
    }

    /// The same with Janus between one publisher and those who watch, all of whom open what they get.
    #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
    pub(crate) fn of_janus(janus: Janus, subscribers: usize) -> Stage {
        let (begun, ip) = (Instant::now(), janus.ip());
        let lines = Lines { sends: &[Kind::Video], audio_slots: 0, video_slots: 0, is_light: false };
        let (mut publisher, offer, _) = Caller::new(1, ip, lines, begun);
        publisher.answered(&janus.publish(&offer));
        let mut stage = Stage::empty(Server::Theirs(janus), begun);
        stage.publishers.push(publisher);
        stage.connect();
        let warm_up = Load { packets_per_s: 300, burst: 1, speaks: false };
        stage.play(warm_up, 1);
        if let Server::Theirs(janus) = &stage.server {
            janus.await_media();
            stage.subscribers.extend((0..subscribers).map(|n| {
                let watching = janus.watch();
                let (caller, answer) = Caller::taking(2 + n as u128, ip, &watching.offer, begun);
                janus.start_watching(&watching, &answer);
                caller
            }));
        }
        stage.connect();
        stage.play(warm_up, 1);
        stage
    }

    fn empty(server: Server, begun: Instant) -> Stage {
        let join_cost = Duration::ZERO;
        Stage { join_cost, server, publishers: Vec::new(), subscribers: Vec::new(), begun, ts: 0 }
    }

    fn fill(&mut self, scene: Scene<'_>, node: &Handle, answers: &Receiver<String>) {
        let mut next = 1;
        for room in 0..scene.rooms {
            for n in 0..scene.publishers + scene.subscribers {
                let publishes = n < scene.publishers;
                let shows = !publishes || scene.is_meeting;
                let lines = Lines {
                    sends: if publishes { scene.sends } else { &[] },
                    audio_slots: if shows { scene.audio_slots } else { 0 },
                    video_slots: if shows { scene.video_slots } else { 0 },
                    is_light: next > scene.opening,
                };
                let room = RoomId(Uuid::from_u128(1 + room as u128));
                let caller = self.join(next as u128, room, lines, (node, answers));
                if publishes { &mut self.publishers } else { &mut self.subscribers }.push(caller);
                next += 1;
            }
        }
    }

    fn join(
        &self,
        n: u128,
        room: RoomId,
        lines: Lines<'_>,
        (node, answers): (&Handle, &Receiver<String>),
    ) -> Caller {
        let (mut caller, offer, sends) = Caller::new(n, Ipv4Addr::LOCALHOST.into(), lines, self.begun);
        let tenant = TenantId(Uuid::from_u128(1));
        let join = Command::Join { leg: caller.leg, room, tenant, offer, sends };
        node.send(join).expect("the node takes it");
        caller.answered(&answers.recv().expect("an answer"));
        caller
    }

    /// Publishes and measures.
    #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
    pub(crate) fn play(&mut self, load: Load, seconds: u64) -> Figures {
        for caller in self.publishers.iter_mut().chain(&mut self.subscribers) {
            (caller.came, caller.delays_us) = (0, Vec::new());
        }
        let (start, end) = (Instant::now(), Duration::from_secs(seconds));
        let (media, generator) = (self.server.cpu(), cpu::of_this_thread());
        let every = Duration::from_secs(1) * load.burst / load.packets_per_s;
        let (mut next, mut next_voice, mut written) = (start, start, 0u64);
        while start.elapsed() < end {
            let now = Instant::now();
            if now >= next {
                next += every;
                self.write(load, now);
                written += u64::from(load.burst);
            }
            if load.speaks && now >= next_voice {
                next_voice += Duration::from_millis(20);
                self.publishers.iter_mut().for_each(|caller| caller.write_voice(now));
            }
            self.step(now);
        }
        // What is still on its way counts as well.
        let settled = Instant::now() + Duration::from_millis(200);
        while Instant::now() < settled {
            self.step(Instant::now());
        }
        let generator = cpu::of_this_thread() - generator;
        let media = self.server.cpu() - media;
        self.figures(written, media, generator, start.elapsed())
    }

    pub(crate) fn stop(self) {
        if let Server::Ours { node, .. } = self.server {
            node.stop();
        }
    }

    fn write(&mut self, load: Load, now: Instant) {
        self.ts = self.ts.wrapping_add(90_000 / load.packets_per_s * load.burst);
        for caller in &mut self.publishers {
            for part in 1..=load.burst {
                caller.write_picture(self.ts, part == load.burst, now);
            }
        }
    }

    fn step(&mut self, now: Instant) {
        for caller in self.publishers.iter_mut().chain(&mut self.subscribers) {
            caller.step(now);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
    fn connect(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !self.publishers.iter().chain(&self.subscribers).all(|caller| caller.connected) {
            self.step(Instant::now());
            assert!(Instant::now() < deadline, "not everybody connected within two minutes");
        }
    }

    fn figures(&self, written: u64, media: Duration, generator: Duration, wall: Duration) -> Figures {
        let everybody = || self.publishers.iter().chain(&self.subscribers);
        let mut delays_us: Vec<u32> =
            everybody().flat_map(|caller| caller.delays_us.iter().copied()).collect();
        delays_us.sort_unstable();
        let came: u64 = everybody().map(|caller| caller.came).sum();
        let expected = written * self.subscribers.len() as u64;
        Figures {
            us_per_packet: media.as_secs_f64() * 1e6 / came.max(1) as f64,
            packets_per_s: came as f64 / wall.as_secs_f64(),
            lost_percent: 100.0 * expected.saturating_sub(came) as f64 / expected.max(1) as f64,
            generator_load: generator.as_secs_f64() / wall.as_secs_f64(),
            delays_us,
        }
    }
}
