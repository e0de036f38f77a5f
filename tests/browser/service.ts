/** Starts the real binary on a directory of its own, and talks to its API as an integrator. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, statSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

/** The repository. */
export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));

/** What the binary writes to `TUPPENCE_ANNOUNCE` when it takes calls. */
interface Announced {
  readonly url: string;
  readonly owner_link: string;
  readonly secret_key: string;
  readonly publishable_key: string;
}

export interface Room {
  readonly room_id: string;
  readonly link: string;
}

type Json = Record<string, unknown>;

/** A running service; `stop` ends it and removes its directory. */
export class Service {
  readonly url: string;
  readonly ownerLink: string;
  readonly secretKey: string;
  readonly dir: string;
  readonly #child: ChildProcess;

  private constructor(announced: Announced, dir: string, child: ChildProcess) {
    this.url = announced.url;
    this.ownerLink = announced.owner_link;
    this.secretKey = announced.secret_key;
    this.dir = dir;
    this.#child = child;
  }

  /**
   * `settings` are environment variables of its own; `address` is one of the machine's at which media and pages are to be
   * had besides loopback.
   */
  static async start(settings: Readonly<Record<string, string>> = {}, address?: string): Promise<Service> {
    const dir: string = mkdtempSync(join(tmpdir(), 'tuppence-'));
    // The private PostgreSQL of a service that runs as root is another user, who must be able to enter.
    chmodSync(dir, 0o755);
    const announce: string = join(dir, 'announce.json');
    const log: number = openSync(join(dir, 'log'), 'a');
    const http: number = await freeTcpPort();
    const { DATABASE_URL: _, ...inherited } = process.env;
    const child = spawn(binary(), ['serve'], {
      env: {
        ...inherited,
        TUPPENCE_DATA_DIR: join(dir, 'data'),
        TUPPENCE_LISTEN: `${address === undefined ? '127.0.0.1' : '0.0.0.0'}:${http}`,
        TUPPENCE_MEDIA_LISTEN: `${address ?? '127.0.0.1'}:${await freeUdpPort()}`,
        TUPPENCE_PUBLIC_URL: `http://${address ?? 'localhost'}:${http}`,
        TUPPENCE_ANNOUNCE: announce,
        ...settings,
      },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    try {
      await until('the service to announce itself', 60_000, () => {
        if (child.exitCode !== null) throw new Error(`tuppence ended with ${child.exitCode}:\n${tail(dir)}`);
        return existsSync(announce);
      });
    } catch (error) {
      await end(child);
      throw error;
    }
    return new Service(JSON.parse(readFileSync(announce, 'utf8')) as Announced, dir, child);
  }

  /** Where pages speak our protocol. */
  get socketUrl(): string {
    return `${this.url.replace('http', 'ws')}/v1/ws`;
  }

  /** The last lines of its log. */
  log(): string {
    return tail(this.dir);
  }

  async stop(): Promise<void> {
    await end(this.#child);
    rmSync(this.dir, { recursive: true, force: true });
  }

  async get<T = Json>(path: string): Promise<T> {
    return this.#ask<T>(path, {});
  }

  async post<T = Json>(path: string, body: unknown): Promise<T> {
    return this.#ask<T>(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  }

  async room(title: string, participantsMax = 8): Promise<Room> {
    return this.post<Room>('/v1/rooms', { title, participants_max: participantsMax, guests: true });
  }

  async token(room: Room, name: string): Promise<string> {
    const { token } = await this.post<{ token: string }>('/v1/tokens', { room_id: room.room_id, name });
    return token;
  }

  async #ask<T>(path: string, init: RequestInit): Promise<T> {
    const response: Response = await fetch(this.url + path, {
      ...init,
      headers: { ...init.headers, authorization: `Bearer ${this.secretKey}` },
    });
    const text: string = await response.text();
    if (!response.ok) throw new Error(`${init.method ?? 'GET'} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }
}

type Found<T> = Exclude<T, null | undefined | false>;

/**
 * Asks again and again until `probe` answers something, and says what it waited for when that never happens. The longer that
 * takes, the less often it asks: on a busy machine the questions would keep the pages from what is asked for.
 */
export async function until<T>(what: string, limitMs: number, probe: () => T | Promise<T>): Promise<Found<T>> {
  const begun: number = performance.now();
  for (;;) {
    const found: T = await probe();
    if (found) return found as Found<T>;
    const waited: number = performance.now() - begun;
    if (waited > limitMs) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await sleep(Math.min(Math.max(waited / 20, 50), 500));
  }
}

/** The newest build, or what `TUPPENCE_BIN` names. */
export function binary(): string {
  const named: string | undefined = process.env['TUPPENCE_BIN'];
  if (named !== undefined) return named;
  const target: string = process.env['CARGO_TARGET_DIR'] ?? join(ROOT, 'target');
  const built: string[] = ['debug', 'release'].map((profile) => join(target, profile, 'tuppence')).filter(existsSync);
  const newest: string | undefined = built.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  if (newest === undefined) throw new Error(`no tuppence in ${target}: run \`cargo build\` first`);
  return newest;
}

/** A polite end; after 10 s a rude one. PostgreSQL notices by itself that its keeper is gone or is adopted by the next start. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  child.kill('SIGTERM');
  const polite: boolean = await Promise.race([ended.then(() => true), sleep(10_000).then(() => false)]);
  if (!polite) {
    child.kill('SIGKILL');
    await ended;
  }
}

function tail(dir: string): string {
  const log: string = join(dir, 'log');
  return existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(-60).join('\n') : '';
}

export function freeTcpPort(): Promise<number> {
  return freePort((port) => {
    const server = createServer();
    return new Promise((answer) => {
      server.once('error', () => answer(false)).listen(port, '127.0.0.1', () => server.close(() => answer(true)));
    });
  });
}

function freeUdpPort(): Promise<number> {
  return freePort((port) => {
    const socket = createSocket('udp4');
    return new Promise((answer) => {
      socket.once('error', () => answer(false)).bind(port, '127.0.0.1', () => socket.close(() => answer(true)));
    });
  });
}

/** Below the ports that the system gives to whoever asks for any: one of those may be somebody else's by the time the service starts. */
async function freePort(isFree: (port: number) => Promise<boolean>): Promise<number> {
  for (;;) {
    const port: number = randomInt(10_000, 32_000);
    if (await isFree(port)) return port;
  }
}
