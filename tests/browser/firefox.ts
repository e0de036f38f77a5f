/**
 * A person in a real Firefox. Playwright drives a Firefox of its own making only; Debian's speaks WebDriver BiDi
 * (https://www.w3.org/TR/webdriver-bidi/), of which a story needs the few commands below.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Person } from './person.ts';
import { installProbe } from './probe.ts';
import { end, until } from './service.ts';

const PREFERENCES: Readonly<Record<string, boolean | number>> = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  // Without it a page that has not opened the camera yet is known by one address only, which is not loopback.
  'permissions.default.camera': 1,
  'permissions.default.microphone': 1,
  // The service of the stories listens on loopback only, which Firefox leaves out otherwise.
  'media.peerconnection.ice.loopback': true,
  // Nothing is fetched that no story asks for.
  'app.normandy.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'browser.safebrowsing.downloads.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'media.gmp-manager.updateEnabled': false,
  'extensions.update.enabled': false,
};

interface Reply {
  readonly id?: number;
  readonly type: 'success' | 'error' | 'event';
  readonly result?: unknown;
  readonly message?: string;
}

/** The browser that the stories use. */
export function firefoxPath(): string {
  const path: string = process.env['FIREFOX'] ?? '/usr/bin/firefox-esr';
  if (!existsSync(path)) throw new Error(`no Firefox at ${path}: apt-get install firefox-esr, or set FIREFOX`);
  return path;
}

/** A running Firefox; `close` ends it and removes its profile. */
export class Firefox {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #socket: WebSocket;
  #id = 0;

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#child = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const reply = JSON.parse(String(data)) as Reply;
      if (reply.id !== undefined) this.#waiting.get(reply.id)?.(reply);
    };
  }

  static async open(): Promise<Firefox> {
    const profile: string = mkdtempSync(join(tmpdir(), 'tuppence-firefox-'));
    const lines: string[] = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${value});`);
    writeFileSync(join(profile, 'user.js'), lines.join('\n'));
    const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'];
    const child: ChildProcess = spawn(firefoxPath(), args, { stdio: 'ignore' });
    try {
      const firefox = new Firefox(child, profile, await connect(join(profile, 'WebDriverBiDiServer.json')));
      await firefox.command('session.new', { capabilities: {} });
      await firefox.command('script.addPreloadScript', { functionDeclaration: installProbe.toString() });
      return firefox;
    } catch (error) {
      await end(child);
      throw error;
    }
  }

  /** One command of WebDriver BiDi. */
  async command<Result>(method: string, params: unknown): Promise<Result> {
    this.#id += 1;
    const id: number = this.#id;
    const replied = new Promise<Reply>((done) => this.#waiting.set(id, done));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const reply: Reply = await replied;
    this.#waiting.delete(id);
    if (reply.type !== 'success') throw new Error(`${method}: ${reply.message}`);
    return reply.result as Result;
  }

  async close(): Promise<void> {
    await end(this.#child);
    rmSync(this.#profile, { recursive: true, force: true });
  }
}

/** Waits until Firefox has written where it listens. */
async function connect(announced: string): Promise<WebSocket> {
  const isWritten = (): boolean => existsSync(announced) && readFileSync(announced, 'utf8').includes('}');
  await until('Firefox to listen', 60_000, isWritten);
  const { ws_host, ws_port } = JSON.parse(readFileSync(announced, 'utf8')) as { ws_host: string; ws_port: number };
  const socket = new WebSocket(`ws://${ws_host}:${ws_port}/session`);
  await new Promise((done, failed) => {
    socket.onopen = done;
    socket.onerror = failed;
  });
  return socket;
}

/** A participant of a call in Firefox. */
export class FirefoxCaller extends Person {
  readonly #firefox: Firefox;
  readonly #context: string;

  private constructor(name: string, firefox: Firefox, context: string) {
    super(name);
    this.#firefox = firefox;
    this.#context = context;
  }

  /** The lobby, the click and the first moment in the call. */
  static async join(firefox: Firefox, link: string, name: string): Promise<FirefoxCaller> {
    const { context } = await firefox.command<{ context: string }>('browsingContext.create', { type: 'tab' });
    const caller = new FirefoxCaller(name, firefox, context);
    await firefox.command('browsingContext.navigate', { context, url: link, wait: 'complete' });
    await caller.#click('input', /name/i);
    await caller.#type(name);
    await caller.enter();
    return caller;
  }

  override press(name: RegExp): Promise<void> {
    return this.#click('button', name);
  }

  override async ask<Answer>(question: () => Answer | Promise<Answer>): Promise<Answer> {
    return this.#run<Answer>(question.toString(), '');
  }

  async close(): Promise<void> {
    await this.#firefox.command('browsingContext.close', { context: this.#context });
  }

  async #run<Answer>(declaration: string, argument: string): Promise<Answer> {
    type Result = { type: string; result: { value: string }; exceptionDetails?: { text: string } };
    const expression = `(async () => JSON.stringify([await (${declaration})(${argument})]))()`;
    const target = { context: this.#context };
    const answer = await this.#firefox.command<Result>('script.evaluate', { expression, target, awaitPromise: true });
    if (answer.type !== 'success') throw new Error(`in ${this.name}'s page: ${answer.exceptionDetails?.text}`);
    const [value] = JSON.parse(answer.result.value) as [Answer];
    return value;
  }

  /** Clicks, as a mouse does, in the middle of the first such element that can be used. */
  async #click(selector: string, name: RegExp): Promise<void> {
    const argument: string = JSON.stringify([selector, name.source]);
    const place = await until(`${this.name}'s page to have ${selector} ${name}`, 60_000, () => this.#run<[number, number] | null>(whereIs.toString(), argument));
    const [x, y] = place;
    const actions = [{ type: 'pointerMove', x, y }, { type: 'pointerDown', button: 0 }, { type: 'pointerUp', button: 0 }];
    await this.#act([{ type: 'pointer', id: 'mouse', actions }]);
  }

  async #type(text: string): Promise<void> {
    const actions = [...text].flatMap((value) => [{ type: 'keyDown', value }, { type: 'keyUp', value }]);
    await this.#act([{ type: 'key', id: 'keyboard', actions }]);
  }

  async #act(actions: unknown): Promise<void> {
    await this.#firefox.command('input.performActions', { context: this.#context, actions });
  }
}

/** The middle of an element that goes by such a name, through all shadow roots. Runs inside a page, so it stands alone. */
function whereIs([selector, name]: readonly [string, string]): [number, number] | null {
  const pattern = new RegExp(name, 'i');
  const find = (root: Document | ShadowRoot): HTMLElement | null => {
    for (const element of root.querySelectorAll<HTMLElement>('*')) {
      const label: string = `${element.getAttribute('aria-label') ?? ''} ${(element as HTMLInputElement).labels?.[0]?.textContent ?? ''} ${element.textContent}`;
      const isUsable: boolean = element.checkVisibility() && !(element as HTMLButtonElement).disabled;
      if (element.matches(selector) && isUsable && pattern.test(label.trim())) return element;
      const inner: HTMLElement | null = element.shadowRoot === null ? null : find(element.shadowRoot);
      if (inner !== null) return inner;
    }
    return null;
  };
  const found: HTMLElement | null = find(document);
  if (found === null) return null;
  found.scrollIntoView({ block: 'center' });
  const { x, y, width, height } = found.getBoundingClientRect();
  return [Math.round(x + width / 2), Math.round(y + height / 2)];
}
