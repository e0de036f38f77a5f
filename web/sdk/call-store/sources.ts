import { Comeback } from '../comeback.ts';
import { Connection, type Over, type World, browserWorld } from '../connection.ts';
import { ApiError } from '../http.ts';
import { LocalMedia, type Devices, type SourceState } from '../local-media.ts';
import { decode, encode, type Body, type Received } from '../messages.ts';
import { Peer } from '../peer.ts';
import type { IceServer, Joined, LeaveReason, ServerEvent, SlotInfo, Source, WantedTrack } from '../protocol.ts';
import { Crossing, type Crosser, type Line } from './crossing.ts';
import { Detour } from './detour.ts';
import { flows, type Fact, type Problem } from './state.ts';

export interface CallOptions {
  /** `wss://…/v1/ws`. */
  readonly url: string;
  /** A fresh token, asked for at each join. A lost call is joined again without one, as long as the hub remembers it. */
  readonly token: () => Promise<string>;
  readonly name?: string;
  readonly devices?: Devices | undefined;
  readonly world?: World;
  /** Takes what others in the call write; without it no channel for messages is opened. */
  readonly onMessage?: (message: Received) => void;
  /** The call goes over to another media node, and in a moment these tracks play in place of those of before: a page that shows pictures gets them ready. */
  readonly onAhead?: (tracks: readonly MediaStreamTrack[]) => void;
}

const SOUNDS: readonly Source[] = ['microphone', 'screen_audio'];
const PICTURES: readonly Source[] = ['camera', 'screen'];
const SOURCES: readonly Source[] = [...SOUNDS, ...PICTURES];
/** Starting three encoders takes a small machine some 50 ms, which the others' first pictures would wait for. */
const PICTURES_AFTER_MS = 60;
/** How long the first line of a call that has gone over to another media node is kept if the hub does not end it. */
const FIRST_LINE_MS = 5_000;
/** How long a page that was never in tries to get in. */
const FIRST_WINDOW_MS = 30_000;

/** Socket, peer connection and devices of one call. Does what it is asked, reports only what has happened. */
export class Sources {
  readonly local: LocalMedia;
  readonly #options: CallOptions;
  readonly #world: World;
  readonly #tell: (fact: Fact) => void;
  readonly #own = new Map<Source, SourceState>();
  #connection: Connection | undefined;
  #peer: Peer | undefined;
  /** Names the line that is used now; each has a name of its own. */
  #turn = 0;
  #turns = 0;
  /** A further line, while the call goes over to another media node. */
  #crossing: Crossing | undefined;
  /** The line before; it still sends until the hub ends it, for those who are not over yet. */
  #before: (Line & { readonly turn: number }) | undefined;
  #joined = false;
  #inCall = false;
  /** Whether the hub has let the page in since the person asked for it. */
  #wasIn = false;
  /** What lets this page back in as who it was. */
  #resume: string | undefined;
  /** How long after a loss the page tries by itself. */
  #windowMs = FIRST_WINDOW_MS;
  #comeback = new Comeback();
  /** The next attempt, now; nothing when none is waited for. */
  #again: () => void = () => {};
  /** Whether the hub begins the DTLS handshake. Not any more once a connection ended before media could flow. */
  #hubBegins = true;
  #wasConnected = false;
  /** Another way for this line, if it finds none or loses the one that it had. */
  #detour: Detour | undefined;
  /** Ways through TLS that the hub named last. */
  #iceServers: readonly IceServer[] = [];
  /** Whether the last line got through by one of them only, or not at all. */
  #isRelayed = false;
  #name: string | undefined;
  #toldMuted = new Map<Source, boolean>();
  #toldView = '';
  #wants: readonly WantedTrack[] = [];
  #offerSeq = 0;

  constructor(options: CallOptions, tell: (fact: Fact) => void) {
    this.#options = options;
    this.#world = options.world ?? browserWorld;
    this.#tell = tell;
    this.#name = options.name;
    this.local = new LocalMedia(options.devices, (source, state, track) => this.#changed(source, state, track));
  }

  /** Connects and enters the lobby: token, offer and socket at the same time. */
  async join(): Promise<void> {
    const turn: number = this.#start();
    try {
      const [right, offer] = await Promise.all([this.#right(), this.#peer!.offer()]);
      if (turn !== this.#turn) return;
      this.#connection?.join({ ...right, ...offer });
    } catch (cause) {
      if (turn === this.#turn) this.#joinFailed(problemOf(cause), this.#waitAfter(cause));
    }
  }

  /** The click. Goes out now, or with the answer to the join. */
  enter(name?: string): void {
    this.#inCall = true;
    this.#name = name ?? this.#name;
    // The message first: everything else can happen while it travels.
    if (this.#joined) this.#sendEnter();
    this.#tell({ fact: 'entering' });
    this.#putAll();
  }

  rename(name: string): void {
    this.#name = name;
    this.#connection?.send({ type: 'rename', name });
    this.#tell({ fact: 'renamed', name });
  }

  /** Says which pictures are shown and how large; quiet if that is what it said last. */
  view(wants: readonly WantedTrack[]): void {
    this.#wants = wants;
    const said: string = JSON.stringify(wants);
    if (!this.#joined || said === this.#toldView) return;
    this.#toldView = said;
    this.#connection?.send({ type: 'view', wants });
  }

  /** A view says nothing of who was not there when it was said: also not of somebody who is back over another connection. */
  #viewAgain(participantId: string): void {
    if (!this.#wants.some(({ participant_id }) => participant_id === participantId)) return;
    this.#toldView = '';
    this.view(this.#wants);
  }

  /** Makes room for this many videos. */
  async grow(videoTracks: number): Promise<void> {
    if (!this.#joined || !this.#peer?.grow(videoTracks)) return;
    const offer = await this.#peer.offer();
    this.#offerSeq = this.#connection?.send({ type: 'offer', ...offer }) ?? 0;
  }

  /** Writes to these connections, or to everybody. Answers false while that is not possible. */
  message(body: Body, toLegs: readonly string[], reliable: boolean): boolean {
    return this.#inCall && (this.#peer?.message(encode(body, toLegs), reliable) ?? false);
  }

  leave(): void {
    this.#end('left');
  }

  networkIsBack(): void {
    this.#connection?.retryNow();
    this.#again();
  }

  /** Drops the socket as a broken network would. For tests. */
  dropSocket(): void {
    this.#connection?.dropSocket();
  }

  slotTrack(mid: string): MediaStreamTrack | undefined {
    return this.#peer?.slots.find((slot) => slot.mid === mid)?.track;
  }

  async stats(): Promise<RTCStatsReport | undefined> {
    return this.#peer?.stats();
  }

  async refreshDevices(): Promise<void> {
    this.#tell({ fact: 'devices', devices: await this.local.list() });
  }

  /** What lets the page in: who was in comes back as the same person, whatever has become of the token. */
  async #right(): Promise<{ resume: string } | { token: string; name?: string }> {
    if (this.#resume !== undefined) return { resume: this.#resume };
    return { token: await this.#options.token(), ...(this.#name ? { name: this.#name } : {}) };
  }

  #start(): number {
    this.#stop();
    this.#wasConnected = false;
    const { connection, peer } = this.#line(this.#turn);
    this.#connection = connection;
    this.#peer = peer;
    return this.#turn;
  }

  /** What a line says is heard while it is used, or while the call goes over to it. */
  #line(turn: number): Line {
    const heard = (here: () => void, ahead: (crossing: Crossing) => void = () => {}): void => {
      if (turn === this.#turn) here();
      else if (turn === this.#crossing?.turn) ahead(this.#crossing);
    };
    const peer = new Peer(
      (state) =>
        heard(
          () => this.#mediaState(state),
          (crossing) => crossing.media(state),
        ),
      this.#hubBegins,
      this.#isRelayed ? this.#iceServers : [],
    );
    const onMessage = this.#options.onMessage;
    if (onMessage) {
      peer.openMessages((data) => {
        const message: Received | undefined = decode(data);
        const tell = (): void => void (message && onMessage(message));
        // Whoever is not over yet still writes over the line before.
        if (turn === this.#before?.turn) tell();
        else heard(tell, tell);
      });
    }
    const connection = new Connection(
      this.#options.url,
      {
        joined: (frame) =>
          heard(
            () => void this.#joinedAs(frame),
            (crossing) => void crossing.joined(frame),
          ),
        event: (event) => {
          if (turn === this.#before?.turn && event.type === 'closed') this.#dropBefore();
          heard(
            () => this.#event(event),
            (crossing) => crossing.event(event),
          );
        },
        reconnecting: (attempt) => heard(() => this.#tell({ fact: 'reconnecting', attempt })),
        resumed: () => heard(() => this.#tell({ fact: 'resumed' })),
        over: (over) =>
          heard(
            () => this.#over(over),
            (crossing) => crossing.over(over),
          ),
      },
      this.#world,
    );
    return { connection, peer };
  }

  #stop(comesBack: boolean = false): void {
    this.#turn = ++this.#turns;
    this.#joined = false;
    this.#toldView = '';
    this.#toldMuted.clear();
    this.#dropCrossing(comesBack);
    this.#dropBefore();
    if (comesBack) this.#connection?.abandon();
    else this.#connection?.leave();
    this.#peer?.close();
    this.#connection = this.#peer = this.#detour = undefined;
  }

  /** The call goes over to another media node: a second line is made while this one goes on. */
  #move(withinMs: number): void {
    if (this.#crossing || !this.#inCall || this.#resume === undefined) return;
    this.#dropBefore();
    const turn: number = ++this.#turns;
    const until: number = this.#world.now() + withinMs;
    const again = (): void => {
      if (!this.#crossing && until > this.#world.now()) this.#move(until - this.#world.now());
    };
    const owner: Crosser = {
      muted: () => this.#mutedNow(),
      name: () => this.#name,
      wants: () => this.#wants,
      putAll: (peer) => SOURCES.forEach((source) => void peer.put(source, this.local.track(source) ?? null)),
      detour: (line, frame) => this.#detourOf(line, frame),
      ahead: () => this.#options.onAhead?.(this.#crossing?.line.peer.slots.map(({ track }) => track) ?? []),
      crossed: () => this.#crossed(),
      failed: (againAfterMs) => {
        this.#dropCrossing(true);
        const first: number = this.#turn;
        if (againAfterMs !== undefined) this.#world.later(() => void (first === this.#turn && again()), againAfterMs);
      },
    };
    this.#crossing = new Crossing(this.#line(turn), turn, owner, this.#world);
    void this.#crossing.begin(this.#resume, withinMs);
  }

  /** From now on the page listens to the new line and shows what comes there. */
  #crossed(): void {
    const crossing: Crossing | undefined = this.#crossing;
    const frame: Joined | undefined = crossing?.frame;
    if (!crossing || !frame || !this.#connection || !this.#peer) return;
    this.#before = { connection: this.#connection, peer: this.#peer, turn: this.#turn };
    const before = this.#before;
    this.#world.later(() => {
      if (before === this.#before) this.#dropBefore();
    }, FIRST_LINE_MS);
    this.#crossing = undefined;
    this.#turn = crossing.turn;
    this.#connection = crossing.line.connection;
    this.#peer = crossing.line.peer;
    this.#detour = crossing.detour;
    this.#resume = frame.resume;
    this.#windowMs = frame.resume_within_ms;
    this.#offerSeq = 0;
    this.#comeback.held(this.#world.now());
    for (const source of SOURCES) this.#toldMuted.set(source, crossing.muted.includes(source));
    this.#tell({ fact: 'crossed', frame, events: crossing.events, media: this.#peer.state });
    if (this.#name) this.#tell({ fact: 'renamed', name: this.#name });
    for (const event of crossing.events) if (event.type === 'resting') this.#rest(event);
    // What was turned off or on while the hub let everybody over, and what is shown now.
    for (const source of SOURCES) this.#tellMuted(source);
    this.#putAll();
    this.#connection.send({ type: 'view', wants: this.#wants });
  }

  #dropCrossing(comesBack: boolean): void {
    const crossing: Crossing | undefined = this.#crossing;
    this.#crossing = undefined;
    crossing?.stop();
    if (comesBack) crossing?.line.connection.abandon();
    else crossing?.line.connection.leave();
    crossing?.line.peer.close();
  }

  #dropBefore(): void {
    const before = this.#before;
    this.#before = undefined;
    before?.connection.abandon();
    before?.peer.close();
  }

  async #joinedAs(frame: Joined): Promise<void> {
    this.#joined = true;
    this.#wasIn = true;
    this.#resume = frame.resume;
    this.#windowMs = frame.resume_within_ms;
    this.#tell({ fact: 'joined', frame });
    if (this.#inCall) this.#sendEnter();
    const line: Line | undefined = this.#connection && this.#peer && { connection: this.#connection, peer: this.#peer };
    await this.#answered(frame.answer, frame.slots);
    if (line && line.peer === this.#peer) this.#detour = this.#detourOf(line, frame);
    if (this.#inCall) this.#putAll();
  }

  #detourOf(line: Line, frame: Joined): Detour {
    const offered = (seq: number): void => {
      if (line.peer === this.#peer) this.#offerSeq = seq;
    };
    const before: readonly string[] = this.#iceServers.flatMap(({ urls }) => urls);
    this.#iceServers = frame.ice_servers ?? [];
    // The line looks for ways through those of before already; another node has others.
    const areOthers: boolean = this.#iceServers.some(({ urls }) => !urls.some((url) => before.includes(url)));
    return new Detour(line, this.#iceServers, { offered }, this.#world, this.#isRelayed && areOthers);
  }

  async #answered(answer: string, slots: readonly SlotInfo[]): Promise<void> {
    const peer: Peer | undefined = this.#peer;
    try {
      await peer?.answered(answer, slots);
      if (peer === this.#peer) this.#tell({ fact: 'places', slots });
    } catch (cause) {
      if (peer === this.#peer) this.#fail({ code: 'answer_not_understood', title: 'The browser refused the connection', detail: `Reload the page. If it happens again, try another browser. (${String(cause)})` });
    }
  }

  #sendEnter(): void {
    const muted: readonly Source[] = this.#mutedNow();
    for (const source of SOURCES) this.#toldMuted.set(source, muted.includes(source));
    this.#connection?.send({ type: 'enter', ...(this.#name ? { name: this.#name } : {}), muted });
  }

  #mutedNow(): readonly Source[] {
    return SOURCES.filter((source) => !this.#flows(source));
  }

  #event(event: ServerEvent): void {
    if (event.type === 'move') return this.#move(event.within_ms);
    // The hub has let everybody over: what comes next comes over the other line.
    if (event.type === 'closed' && event.reason === 'replaced' && this.#crossing) return this.#crossing.firstIsOver();
    if (event.type === 'answered') void this.#answered(event.answer, event.slots);
    if (event.type === 'rejected' && event.seq === this.#offerSeq) void this.#peer?.rollback();
    if (event.type === 'resting') return this.#rest(event);
    if (event.type === 'media_lost' || (event.type === 'closed' && event.reason === 'lost')) return this.#comeBack(lost);
    if (event.type === 'closed') return this.#end(event.reason);
    if (event.type === 'participant_joined') this.#viewAgain(event.participant.participant_id);
    // The hub took the name that the click gave.
    if (event.type === 'entered' && this.#name) this.#tell({ fact: 'renamed', name: this.#name });
    this.#tell({ fact: 'event', event });
  }

  /** A browser that does not take it sends more than is shown: nobody notices. */
  #rest({ source, rids }: Extract<ServerEvent, { type: 'resting' }>): void {
    void this.#peer?.rest(source, rids).catch(() => undefined);
  }

  #mediaState(state: RTCPeerConnectionState): void {
    this.#tell({ fact: 'media', state });
    if (state === 'connected') {
      this.#wasConnected = true;
      void this.#learnWay();
      this.#comeback.held(this.#world.now());
    }
    if (state === 'disconnected') this.#detour?.lost();
    if (state === 'failed' && !this.#wasConnected && this.#detour?.take()) return;
    if (state === 'failed' && this.#joined) this.#comeBack(lost);
  }

  /** Who got through by a server only does not wait for other ways the next time. */
  async #learnWay(): Promise<void> {
    const peer: Peer | undefined = this.#detour?.taken || this.#isRelayed ? this.#peer : undefined;
    this.#isRelayed = (await peer?.isRelayed().catch(() => undefined)) ?? false;
  }

  #over(over: Over): void {
    if (over.why === 'expired') return this.#comeBack(lost);
    if (over.why === 'left') return;
    if (over.why === 'unreachable') return this.#joinFailed(unreachable);
    if (over.refusal.code === 'resume_expired') {
      // The hub has forgotten us, as one that was started anew: a token will do.
      this.#resume = undefined;
      return this.#comeBack(lost);
    }
    const { code, message, retry_after_ms } = over.refusal;
    this.#joinFailed({ code, title: refusalTitle(code), detail: message }, retry_after_ms === undefined ? undefined : retry_after_ms / 1000);
  }

  /** In a call, or when the service names a time, the page tries again by itself; else the person decides. */
  #joinFailed(problem: Problem, retryAfterS?: number): void {
    const again: boolean = retryAfterS !== undefined || ((this.#inCall || this.#wasIn) && problem.code === 'unreachable');
    if (!again) return this.#fail(problem);
    this.#comeBack(problem, (retryAfterS ?? 0) * 1000);
  }

  /** When to ask again for a token. A service that stumbles while a call is lost is asked again; one that says no is not. */
  #waitAfter(cause: unknown): number | undefined {
    if (!(cause instanceof ApiError)) return undefined;
    return cause.retryAfterS ?? (this.#wasIn && cause.status >= 500 ? 0 : undefined);
  }

  /** Joins again in a moment, with everything as it was; when the window has passed, says what happened. */
  #comeBack(problem: Problem, atLeastMs: number = 0): void {
    const waitMs: number | undefined = this.#comeback.next(this.#world.now(), this.#windowMs, this.#world.random, atLeastMs);
    if (waitMs === undefined) return this.#giveUp(problem);
    // A browser without AES-GCM cannot answer the hub's handshake, but can begin its own.
    if (this.#joined && !this.#wasConnected) this.#hubBegins = false;
    // Servers may do better from the start than on a connection that began without them.
    if (this.#detour?.taken && !this.#wasConnected) this.#isRelayed = true;
    this.#stop(true);
    this.#tell(this.#wasIn ? { fact: 'rejoining' } : { fact: 'joining', note: problem.detail });
    const turn: number = this.#turn;
    this.#again = () => {
      if (turn === this.#turn) this.#tryAgain(problem);
    };
    this.#world.later(this.#again, waitMs);
  }

  /** A hub that says nothing is waited for until the window has passed. */
  #tryAgain(problem: Problem): void {
    void this.join();
    const turn: number = this.#turn;
    this.#world.later(() => {
      if (turn === this.#turn && !this.#joined) this.#giveUp(problem);
    }, this.#comeback.leftMs(this.#world.now(), this.#windowMs));
  }

  #giveUp(problem: Problem): void {
    if (this.#wasIn && (problem === lost || problem.code === 'unreachable')) this.#end('lost');
    else this.#fail(problem);
  }

  #end(reason: LeaveReason): void {
    this.#reset();
    this.local.closeAll();
    this.#tell({ fact: 'ended', reason });
  }

  #fail(problem: Problem): void {
    this.#reset();
    this.local.closeAll();
    this.#tell({ fact: 'failed', problem });
  }

  #reset(): void {
    this.#stop();
    this.#inCall = this.#wasIn = false;
    this.#resume = undefined;
    this.#comeback = new Comeback();
  }

  #changed(source: Source, state: SourceState, track: MediaStreamTrack | null): void {
    this.#own.set(source, state);
    if (this.#inCall) void this.#peer?.put(source, track);
    this.#crossing?.changed(source, track);
    if (this.#inCall && this.#joined) this.#tellMuted(source);
    this.#tell({ fact: 'own', source, state });
    // Sharing stopped by the browser's own button ends the picture only.
    if (source === 'screen' && state.is === 'off' && this.local.track('screen_audio')) this.local.close('screen_audio');
  }

  #tellMuted(source: Source): void {
    const muted: boolean = !this.#flows(source);
    if (this.#toldMuted.get(source) === muted) return;
    this.#toldMuted.set(source, muted);
    this.#connection?.send({ type: 'mute', source, muted });
  }

  /** Sounds at once; pictures a moment later, so that our encoders do not start in front of the others' first pictures. */
  #putAll(): void {
    const peer: Peer | undefined = this.#peer;
    for (const source of SOUNDS) this.#put(source);
    this.#world.later(() => {
      if (peer === this.#peer && this.#inCall) for (const source of PICTURES) this.#put(source);
    }, PICTURES_AFTER_MS);
  }

  #put(source: Source): void {
    void this.#peer?.put(source, this.local.track(source) ?? null);
  }

  #flows(source: Source): boolean {
    return flows(this.#own.get(source) ?? { is: 'off' });
  }
}

const lost: Problem = {
  code: 'lost',
  title: 'The connection was lost',
  detail: 'It could not be made again in time. Check your network, then try again.',
};

const unreachable: Problem = {
  code: 'unreachable',
  title: 'The call service cannot be reached',
  detail: 'No answer came. Check your network, then try again.',
};

function problemOf(cause: unknown): Problem {
  if (cause instanceof ApiError) return { code: cause.code, title: cause.title, detail: cause.message };
  return { code: 'failed', title: 'The call could not be prepared', detail: `Reload the page; if it happens again, try another browser. (${String(cause)})` };
}

function refusalTitle(code: string): string {
  switch (code) {
    case 'room_full':
      return 'The room is full';
    case 'not_entitled':
      return 'The plan of the business does not include this';
    case 'room_not_found':
      return 'There is no such room';
    case 'token_expired':
    case 'token_invalid':
      return 'This invitation does not work any more';
    case 'origin_not_allowed':
      return 'This page may not open the call';
    case 'overloaded':
    case 'unavailable':
      return 'The service is busy';
    default:
      return 'The service refused the call';
  }
}
