import type { Connection, Over, World } from '../connection.ts';
import type { Peer } from '../peer.ts';
import type { Joined, ServerEvent, Source, WantedTrack } from '../protocol.ts';
import type { Detour } from './detour.ts';

/** How long the new line may take to show what the old one shows, once it carries media. The old one does so for 2 s. */
const SHOWS_WITHIN_MS = 1500;
/** Sound needs no picture to wait for, but a moment to arrive. */
const SOUNDS_WITHIN_MS = 200;
const LOOKS_EVERY_MS = 50;

/** A peer connection and the session that goes with it. */
export interface Line {
  readonly connection: Connection;
  readonly peer: Peer;
}

/** What the owner of a crossing gives to it and is told by it. */
export interface Crosser {
  /** What the page says and sends over its line now. */
  muted(): readonly Source[];
  name(): string | undefined;
  wants(): readonly WantedTrack[];
  putAll(peer: Peer): void;
  /** The hub has answered: where nothing else gets through, the new line is made through TLS as the first one was. */
  detour(line: Line, frame: Joined): Detour;
  /** Pictures come over the new line from now on. */
  ahead(): void;
  /** The new line shows what is to be seen. */
  crossed(): void;
  /** It never will; the first line goes on. The hub may have said when to try again. */
  failed(againAfterMs?: number): void;
}

/**
 * A second line of a call to another media node, while the first goes on. It is connected, says that it is ready, and waits
 * until the hub lets everybody over at once; when the others' pictures are there, the page may show them from here.
 */
export class Crossing {
  readonly line: Line;
  readonly turn: number;
  readonly events: ServerEvent[] = [];
  muted: readonly Source[] = [];
  /** Other ways for the new line. */
  detour: Detour | undefined;
  readonly #owner: Crosser;
  readonly #world: World;
  #frame: Joined | undefined;
  #answered = false;
  #ready = false;
  #enteredAt: number | undefined;
  #firstIsOver = false;
  #isOver = false;

  constructor(line: Line, turn: number, owner: Crosser, world: World) {
    this.line = line;
    this.turn = turn;
    this.#owner = owner;
    this.#world = world;
  }

  /** Comes in over the new line, as who the page is. */
  async begin(resume: string, withinMs: number): Promise<void> {
    this.#world.later(() => {
      if (this.#enteredAt === undefined) this.#fail();
    }, withinMs);
    try {
      const offer = await this.line.peer.offer();
      if (!this.#isOver) this.line.connection.join({ resume, ...offer });
    } catch {
      this.#fail();
    }
  }

  /** What the hub answered; only once everybody is over. */
  get frame(): Joined | undefined {
    return this.#enteredAt === undefined ? undefined : this.#frame;
  }

  /** Ends it; what is late is not heard any more. */
  stop(): void {
    this.#isOver = true;
  }

  /** The hub has ended the first line: it carries nothing any more, whether the new one shows something or not. */
  firstIsOver(): void {
    this.#firstIsOver = true;
    if (this.frame) this.#cross();
  }

  async joined(frame: Joined): Promise<void> {
    this.#frame = frame;
    try {
      await this.line.peer.answered(frame.answer, frame.slots);
      this.#answered = true;
      this.detour = this.#owner.detour(this.line, frame);
      this.#getReady();
    } catch {
      this.#fail();
    }
  }

  /** The page sends something else. */
  changed(source: Source, track: MediaStreamTrack | null): void {
    if (this.#ready) void this.line.peer.put(source, track);
  }

  media(state: RTCPeerConnectionState): void {
    if (state === 'connected') this.#getReady();
    if (state === 'failed') this.#fail();
  }

  event(event: ServerEvent): void {
    if (event.type === 'closed' || event.type === 'media_lost') return this.#fail();
    if (event.type === 'entered') return this.#entered();
    // To the offer of a detour; there is no other.
    if (event.type === 'answered') return void this.line.peer.answered(event.answer, event.slots).catch(() => this.#fail());
    this.events.push(event);
  }

  over(over: Over): void {
    this.#fail(over.why === 'refused' ? over.refusal.retry_after_ms : undefined);
  }

  #getReady(): void {
    if (this.#isOver || this.#ready || !this.#answered || this.line.peer.state !== 'connected') return;
    this.#ready = true;
    // Nobody hears or sees it yet, but encoders need a moment to start.
    this.#owner.putAll(this.line.peer);
    this.muted = this.#owner.muted();
    const name: string | undefined = this.#owner.name();
    this.line.connection.send({ type: 'enter', ...(name ? { name } : {}), muted: this.muted });
  }

  #entered(): void {
    this.#enteredAt = this.#world.now();
    this.#owner.ahead();
    this.line.connection.send({ type: 'view', wants: this.#owner.wants() });
    if (this.#firstIsOver) return this.#cross();
    this.#world.later(() => void this.#look(), SOUNDS_WITHIN_MS);
  }

  /** The person looks at the old pictures until all new ones are there. */
  async #look(): Promise<void> {
    if (this.#isOver) return;
    const waitedMs: number = this.#world.now() - (this.#enteredAt ?? 0);
    if (waitedMs >= SHOWS_WITHIN_MS || (await this.#pictures()) >= this.#expected()) return this.#cross();
    this.#world.later(() => void this.#look(), LOOKS_EVERY_MS);
  }

  async #pictures(): Promise<number> {
    const report: readonly Record<string, unknown>[] = [...((await this.line.peer.stats().catch(() => undefined)) ?? new Map()).values()];
    return report.filter(({ type, kind, framesDecoded }) => type === 'inbound-rtp' && kind === 'video' && Number(framesDecoded ?? 0) > 0).length;
  }

  #expected(): number {
    const others = this.#frame?.participants.filter(({ participant_id }) => participant_id !== this.#frame?.you.participant_id) ?? [];
    const shown = others.flatMap(({ tracks }) => tracks).filter(({ source, muted }) => !muted && (source === 'camera' || source === 'screen'));
    return Math.min(shown.length, this.line.peer.slots.filter(({ kind }) => kind === 'video').length);
  }

  #cross(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.crossed();
  }

  #fail(againAfterMs?: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.failed(againAfterMs);
  }
}
