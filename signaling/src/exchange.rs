//! The task that works the [`Switchboard`]: it gives it what sockets, the database and the media plane say, and does
//! what it answers. Everything that happens in calls passes here one thing at a time, so that there is no lock and no
//! race between them.

use crate::admission::admit;
use crate::entitled::Entitled;
use crate::media::{Commands, Happening, Happenings, MediaPlane};
use crate::metrics::Tally;
use crate::protocol::ServerFrame;
use crate::records::{Records, Stamped};
use crate::refusal::Refusal;
use crate::resource::{Denial, Outcome, RequestId};
use crate::room::{CallId, NewLeg, ParticipantId};
use crate::session::SocketId;
use crate::switchboard::{Ask, Input, LiveCall, Output, Switchboard, Timing};
use crate::usage::{self, Batch};
use billing::clock::Clock;
use billing::db::Db;
use sfu::control::{self, Command, LegId, Quality, TenantId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How many inputs may wait; whoever brings another one waits with it, so that a flood slows its own sockets down.
const INPUTS_MAX: usize = 8192;
/// How many frames may wait for a socket; beyond it the socket is closed, and its session can be resumed.
/// As many as may be unacknowledged, and some for what is not numbered.
pub const FRAMES_MAX: usize = crate::protocol::UNACKNOWLEDGED_MAX + 64;
/// How many commands may wait for a busy media plane; beyond it views are dropped, which the next view repairs.
const COMMANDS_MAX: usize = 16_384;
/// How often deadlines are looked at and a busy media plane is tried again.
const TICK: Duration = Duration::from_millis(50);

/// What a socket's task is told.
#[derive(Debug)]
pub enum ToSocket {
    /// Send this.
    Frame(Box<ServerFrame>),
    /// Close when everything is sent.
    HangUp,
}

enum Job {
    Open(SocketId, mpsc::Sender<ToSocket>),
    Input(Input),
    Ask(Ask, oneshot::Sender<Outcome>),
    LiveCalls(TenantId, oneshot::Sender<Vec<LiveCall>>),
    Quality(TenantId, CallId, oneshot::Sender<Vec<Quality>>),
    Tap(Tap, oneshot::Sender<Result<Vec<u8>, TapRefusal>>),
    Remove(TenantId, ParticipantId, oneshot::Sender<bool>),
    ShutDown(oneshot::Sender<()>),
}

/// A leg whose headers are to be recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tap {
    pub(crate) tenant: TenantId,
    pub(crate) call: CallId,
    pub(crate) leg: LegId,
    pub(crate) seconds: u32,
    pub(crate) packets: u32,
}

/// Why there is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TapRefusal {
    /// There is no such leg in that call now.
    NotThere,
    /// Somebody records it already.
    Open,
}

/// The way to the exchange. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exchange(mpsc::Sender<Job>);

/// What the exchange works with.
pub(crate) struct Parts {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    /// The name of the node.
    pub(crate) node: String,
    pub(crate) timing: Timing,
    pub(crate) media: MediaPlane,
    pub(crate) records: Records,
    pub(crate) tally: Arc<Tally>,
}

impl Exchange {
    /// Starts the task.
    pub(crate) fn start(parts: Parts) -> Self {
        let Parts { db, clock, node, timing, media, records, tally } = parts;
        let (near, far) = mpsc::channel(INPUTS_MAX);
        let usage = usage::start(db.clone(), clock.clone(), media.commands.clone());
        let worker = Worker {
            board: Switchboard::new(timing),
            jobs: near.downgrade(),
            sockets: BTreeMap::new(),
            requests: BTreeMap::new(),
            taps: BTreeMap::new(),
            last_request: 0,
            commands: media.commands,
            waiting: VecDeque::new(),
            usage,
            records,
            db,
            clock,
            node,
            tally,
            entitled: Arc::default(),
            stopped: None,
        };
        tokio::spawn(worker.work(far, media.happenings));
        Self(near)
    }

    /// A socket is there; what it is to be told goes to `sender`.
    pub async fn open(&self, socket: SocketId, sender: mpsc::Sender<ToSocket>) {
        self.0.send(Job::Open(socket, sender)).await.ok();
    }

    /// Something has happened.
    pub async fn tell(&self, input: Input) {
        self.0.send(Job::Input(input)).await.ok();
    }

    /// Asks for a client without a socket.
    pub async fn ask(&self, ask: Ask) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        self.0.send(Job::Ask(ask, answer)).await.ok();
        outcome.await.unwrap_or_else(|_| Err(Denial::Refused(Refusal::unavailable())))
    }

    /// The tenant's calls in progress.
    pub async fn live_calls(&self, tenant: TenantId) -> Vec<LiveCall> {
        let (answer, calls) = oneshot::channel();
        self.0.send(Job::LiveCalls(tenant, answer)).await.ok();
        calls.await.unwrap_or_default()
    }

    /// How the connections of a call in progress do.
    pub(crate) async fn quality(&self, tenant: TenantId, call: CallId) -> Vec<Quality> {
        let (answer, quality) = oneshot::channel();
        self.0.send(Job::Quality(tenant, call, answer)).await.ok();
        quality.await.unwrap_or_default()
    }

    /// Records the headers of a leg; answers when its time is over.
    pub(crate) async fn tap(&self, tap: Tap) -> Result<Vec<u8>, TapRefusal> {
        let (answer, file) = oneshot::channel();
        self.0.send(Job::Tap(tap, answer)).await.ok();
        file.await.unwrap_or(Err(TapRefusal::NotThere))
    }

    /// Takes a participant out of their room. Tells whether they were there.
    pub async fn remove(&self, tenant: TenantId, participant: ParticipantId) -> bool {
        let (answer, was_there) = oneshot::channel();
        self.0.send(Job::Remove(tenant, participant, answer)).await.ok();
        was_there.await.unwrap_or(false)
    }

    /// Tells everyone that the service stops, and waits until all sockets have gone.
    pub async fn shut_down(&self) {
        let (answer, stopped) = oneshot::channel();
        self.0.send(Job::ShutDown(answer)).await.ok();
        stopped.await.ok();
    }
}

struct Worker {
    entitled: Arc<Entitled>,
    board: Switchboard,
    jobs: mpsc::WeakSender<Job>,
    sockets: BTreeMap<SocketId, mpsc::Sender<ToSocket>>,
    requests: BTreeMap<RequestId, oneshot::Sender<Outcome>>,
    /// Whoever waits for the record of a leg.
    taps: BTreeMap<LegId, oneshot::Sender<Result<Vec<u8>, TapRefusal>>>,
    last_request: u64,
    commands: Arc<dyn Commands>,
    /// For a media plane that was too busy.
    waiting: VecDeque<Command>,
    usage: mpsc::Sender<Batch>,
    records: Records,
    db: Db,
    clock: Clock,
    node: String,
    tally: Arc<Tally>,
    stopped: Option<oneshot::Sender<()>>,
}

impl Worker {
    async fn work(mut self, mut jobs: mpsc::Receiver<Job>, mut happenings: Box<dyn Happenings>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut media_runs = true;
        loop {
            tokio::select! {
                event = happenings.recv(), if media_runs => match event {
                    Some(Happening::Event(event)) => self.media(event),
                    Some(Happening::Move(room)) => self.handle(Input::Move { room }),
                    Some(Happening::Stay(room)) => self.handle(Input::Stay { room }),
                    None => media_runs = false,
                },
                job = jobs.recv() => match job {
                    Some(job) => self.job(job),
                    None => return,
                },
                _ = tick.tick() => self.tick(),
            }
        }
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Open(socket, sender) => drop(self.sockets.insert(socket, sender)),
            Job::Input(Input::Gone { socket }) => {
                self.sockets.remove(&socket);
                self.handle(Input::Gone { socket });
            }
            Job::Input(input) => self.handle(input),
            Job::Ask(ask, answer) => {
                self.last_request += 1;
                let request = RequestId(self.last_request);
                self.requests.insert(request, answer);
                self.handle(Input::Ask { request, ask });
            }
            Job::LiveCalls(tenant, answer) => drop(answer.send(self.board.live_calls(tenant))),
            Job::Quality(tenant, call, answer) => drop(answer.send(self.board.quality(tenant, call))),
            Job::Tap(tap, answer) => self.tap(tap, answer),
            Job::Remove(tenant, participant, answer) => {
                let was_there = self.board.has_participant(tenant, participant);
                self.handle(Input::Remove { tenant, participant });
                answer.send(was_there).ok();
            }
            Job::ShutDown(answer) => {
                self.handle(Input::ShutDown);
                self.stopped = Some(answer);
            }
        }
        self.say_when_stopped();
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the exchange is the shell that gives the cores their time"
    )]
    fn tap(&mut self, tap: Tap, answer: oneshot::Sender<Result<Vec<u8>, TapRefusal>>) {
        let Tap { tenant, call, leg, seconds, packets } = tap;
        // Whoever waited and has gone makes room.
        self.taps.retain(|_, waiting| !waiting.is_closed());
        let refused = match (self.board.has_leg(tenant, call, leg), self.taps.contains_key(&leg)) {
            (false, _) => Some(TapRefusal::NotThere),
            (true, true) => Some(TapRefusal::Open),
            (true, false) => None,
        };
        if let Some(refused) = refused {
            return drop(answer.send(Err(refused)));
        }
        self.taps.insert(leg, answer);
        self.command(Command::Tap { leg, seconds, packets }, Instant::now());
    }

    fn say_when_stopped(&mut self) {
        if self.sockets.is_empty()
            && self.waiting.is_empty()
            && let Some(answer) = self.stopped.take()
        {
            answer.send(()).ok();
        }
    }

    fn media(&mut self, event: control::Event) {
        match event {
            // When the writer is behind, the journal sends the batch again.
            control::Event::Usage { batch, facts } => drop(self.usage.try_send(Batch { batch, facts })),
            control::Event::Tapped { leg, file } => {
                // Whoever asked may have gone.
                self.taps.remove(&leg).map(|answer| answer.send(Ok(file)));
            }
            event => self.handle(Input::Media(event)),
        }
    }

    fn tick(&mut self) {
        while let Some(command) = self.waiting.pop_front() {
            if self.commands.send(command.clone()).is_err() {
                self.waiting.push_front(command);
                break;
            }
        }
        self.handle(Input::Tick);
        self.say_when_stopped();
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the exchange is the shell that gives the cores their time"
    )]
    fn handle(&mut self, input: Input) {
        let (now, at) = (Instant::now(), self.clock.now());
        self.board.handle(input, now);
        while let Some(output) = self.board.poll_output() {
            match output {
                Output::Frame { socket, frame } => self.send(socket, frame),
                Output::HangUp { socket } => self.hang_up(socket),
                Output::Reply { request, outcome } => {
                    self.tally.outcome(&outcome);
                    // A client that has gone is not told; without media its leg ends soon.
                    self.requests.remove(&request).map(|answer| answer.send(outcome));
                }
                Output::Store(row) => self.store(row),
                Output::Sfu(command) => self.command(command, now),
                Output::Record { tenant, call, record } => {
                    self.records.push(Stamped { tenant, call, at, record });
                }
            }
        }
    }

    /// A socket that does not keep up loses its queue and with it its task.
    fn send(&mut self, socket: SocketId, frame: ServerFrame) {
        self.tally.frame(&frame);
        let Some(sender) = self.sockets.get(&socket) else { return };
        if sender.try_send(ToSocket::Frame(Box::new(frame))).is_err() {
            self.sockets.remove(&socket);
        }
    }

    /// The socket stays in the list until its task says that it is gone.
    fn hang_up(&mut self, socket: SocketId) {
        let Some(sender) = self.sockets.get(&socket) else { return };
        if sender.try_send(ToSocket::HangUp).is_err() {
            self.sockets.remove(&socket);
        }
    }

    fn store(&self, row: Box<NewLeg>) {
        let Some(jobs) = self.jobs.upgrade() else { return };
        let node = self.commands.node_for(row.room).unwrap_or_else(|| self.node.clone());
        let (db, entitled, now) = (self.db.clone(), self.entitled.clone(), self.clock.now());
        tokio::spawn(async move {
            let result = admit(&db, &entitled, &row, &node, now).await;
            jobs.send(Job::Input(Input::Stored { row, result })).await.ok();
        });
    }

    /// Commands of a leg keep their order: while some wait, all wait. A join does not wait, it is refused.
    fn command(&mut self, command: Command, now: Instant) {
        let refused = match (&command, self.waiting.is_empty()) {
            (Command::Join { leg, .. }, false) => Some(*leg),
            (Command::Join { leg, .. }, true) => self.commands.send(command.clone()).is_err().then_some(*leg),
            (_, true) if self.commands.send(command.clone()).is_ok() => None,
            (Command::View { .. }, _) if self.waiting.len() >= COMMANDS_MAX => None,
            _ => {
                self.waiting.push_back(command);
                None
            }
        };
        if let Some(leg) = refused {
            let event = control::Event::Refused { leg, reason: control::Refusal::Full };
            self.board.handle(Input::Media(event), now);
        }
    }
}
