import { Comeback } from '../comeback.ts';
import { Connection, type Over, type World, browserWorld } from '../connection.ts';
import { ApiError } from '../http.ts';
import { LocalMedia, type Devices, type SourceState } from '../local-media.ts';
import { decode, encode, type Body, type Received } from '../messages.ts';
import { Peer } from '../peer.ts';
import type { Joined, LeaveReason, ServerEvent, SlotInfo, Source, WantedTrack } from '../protocol.ts';
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
}

const SOUNDS: readonly Source[] = ['microphone', 'screen_audio'];
const PICTURES: readonly Source[] = ['camera', 'screen'];
const SOURCES: readonly Source[] = [...SOUNDS, ...PICTURES];
/** Starting three encoders takes a small machine some 50 ms, which the others' first pictures would wait for. */
const PICTURES_AFTER_MS = 60;
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
  #turn = 0;
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
  #name: string | undefined;
  #toldMuted = new Map<Source, boolean>();
  #toldView = '';
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
    const said: string = JSON.stringify(wants);
    if (!this.#joined || said === this.#toldView) return;
    this.#toldView = said;
    this.#connection?.send({ type: 'view', wants });
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
    const turn: number = ++this.#turn;
    const current = (run: () => void): void => {
      if (turn === this.#turn) run();
    };
    this.#wasConnected = false;
    this.#peer = new Peer((state) => current(() => this.#mediaState(state)), this.#hubBegins);
    const onMessage = this.#options.onMessage;
    if (onMessage) {
      this.#peer.openMessages((data) => {
        const message: Received | undefined = decode(data);
        if (message) current(() => onMessage(message));
      });
    }
    this.#connection = new Connection(
      this.#options.url,
      {
        joined: (frame) => current(() => void this.#joinedAs(frame)),
        event: (event) => current(() => this.#event(event)),
        reconnecting: (attempt) => current(() => this.#tell({ fact: 'reconnecting', attempt })),
        resumed: () => current(() => this.#tell({ fact: 'resumed' })),
        over: (over) => current(() => this.#over(over)),
      },
      this.#world,
    );
    return turn;
  }

  #stop(comesBack: boolean = false): void {
    this.#turn++;
    this.#joined = false;
    this.#toldView = '';
    this.#toldMuted.clear();
    if (comesBack) this.#connection?.abandon();
    else this.#connection?.leave();
    this.#peer?.close();
    this.#connection = this.#peer = undefined;
  }

  async #joinedAs(frame: Joined): Promise<void> {
    this.#joined = true;
    this.#wasIn = true;
    this.#resume = frame.resume;
    this.#windowMs = frame.resume_within_ms;
    this.#tell({ fact: 'joined', frame });
    if (this.#inCall) this.#sendEnter();
    await this.#answered(frame.answer, frame.slots);
    if (this.#inCall) this.#putAll();
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
    const muted: readonly Source[] = SOURCES.filter((source) => !this.#flows(source));
    for (const source of SOURCES) this.#toldMuted.set(source, muted.includes(source));
    this.#connection?.send({ type: 'enter', ...(this.#name ? { name: this.#name } : {}), muted });
  }

  #event(event: ServerEvent): void {
    if (event.type === 'answered') void this.#answered(event.answer, event.slots);
    if (event.type === 'rejected' && event.seq === this.#offerSeq) void this.#peer?.rollback();
    // A browser that does not take it sends more than is shown: nobody notices.
    if (event.type === 'resting') return void this.#peer?.rest(event.source, event.rids).catch(() => undefined);
    if (event.type === 'media_lost' || (event.type === 'closed' && event.reason === 'lost')) return this.#comeBack(lost);
    if (event.type === 'closed') return this.#end(event.reason);
    // The hub took the name that the click gave.
    if (event.type === 'entered' && this.#name) this.#tell({ fact: 'renamed', name: this.#name });
    this.#tell({ fact: 'event', event });
  }

  #mediaState(state: RTCPeerConnectionState): void {
    this.#tell({ fact: 'media', state });
    if (state === 'connected') {
      this.#wasConnected = true;
      this.#comeback.held(this.#world.now());
    }
    if (state === 'failed' && this.#joined) this.#comeBack(lost);
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
