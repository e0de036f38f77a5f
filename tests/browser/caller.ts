/** A person in a real Chromium, with a fake camera and a voice from a file. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core';
import { Person } from './person.ts';
import { installProbe, type Moments } from './probe.ts';
import { ROOT } from './service.ts';

/** Where screenshots go. */
export const OUT: string = join(ROOT, 'out');

const ARGUMENTS: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--auto-select-desktop-capture-source=Entire screen',
  '--autoplay-policy=no-user-gesture-required',
  // Tabs in the background must go on as if somebody looked at them.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

export interface BrowserOptions {
  /** Frames a second of the fake camera; fewer when many people share two cores. */
  readonly fps?: number;
  /** A video file in place of the browser's test card. */
  readonly video?: string;
  /** What is started in Chromium's place, with its arguments. */
  readonly program?: string;
  /** Pages from here are trusted with cameras as if they had come by HTTPS. */
  readonly trusts?: string;
  /** The SHA-256 of a certificate's public key, in base64, that is taken whoever has signed it. */
  readonly certificate?: string;
}

/** The browser that the stories use. */
export function chromiumPath(): string {
  const path: string = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  if (!existsSync(path)) throw new Error(`no Chromium at ${path}: apt-get install chromium, or set CHROMIUM`);
  return path;
}

export async function openBrowser({ fps = 20, video, program, trusts, certificate }: BrowserOptions = {}): Promise<Browser> {
  const executablePath: string = program ?? chromiumPath();
  const args: string[] = ARGUMENTS.map((argument) => (argument.startsWith('--use-fake-device') ? `${argument}=fps=${fps}` : argument));
  if (trusts !== undefined) args.push(`--unsafely-treat-insecure-origin-as-secure=${trusts}`);
  if (certificate !== undefined) args.push(`--ignore-certificate-errors-spki-list=${certificate}`);
  if (video !== undefined) args.push(`--use-file-for-fake-video-capture=${video}`);
  return chromium.launch({ executablePath, args: [...args, `--use-file-for-fake-audio-capture=${speech()}`] });
}

/** A participant of a call in Chromium. */
export class Caller extends Person {
  readonly page: Page;
  readonly context: BrowserContext;

  private constructor(name: string, page: Page, context: BrowserContext) {
    super(name);
    this.page = page;
    this.context = context;
  }

  /** Opens the link and waits in the lobby until the Join button can be pressed. */
  static async lobby(browser: Browser, link: string, name: string, options: BrowserContextOptions = {}): Promise<Caller> {
    const context: BrowserContext = await browser.newContext({
      permissions: ['camera', 'microphone'],
      viewport: { width: 1280, height: 720 },
      ...options,
    });
    const page: Page = await context.newPage();
    const caller = new Caller(name, page, context);
    // Eight people on two cores take their time; what must be quick is measured, not waited for.
    page.setDefaultTimeout(60_000);
    await page.addInitScript(installProbe);
    // Not until `load`: of eight lobbies opened at once, one in some fifty never sees it, though every request has ended and
    // the pictures move. What a person waits for is the button.
    await page.goto(link, { waitUntil: 'domcontentloaded' });
    await page.getByRole('textbox', { name: /name/i }).fill(name);
    await caller.joinButton().waitFor();
    return caller;
  }

  /** The lobby, the click and the first moment in the call. */
  static async join(browser: Browser, link: string, name: string, options: BrowserContextOptions = {}): Promise<Caller> {
    const caller: Caller = await Caller.lobby(browser, link, name, options);
    await caller.enter();
    return caller;
  }

  joinButton() {
    return this.button(/^join/i);
  }

  button(name: RegExp) {
    return this.page.getByRole('button', { name });
  }

  override press(name: RegExp): Promise<void> {
    return this.button(name).click();
  }

  override ask<Answer>(question: () => Answer | Promise<Answer>): Promise<Answer> {
    return this.page.evaluate(question);
  }

  async close(): Promise<void> {
    await this.context.close();
  }

  /** The page's clock as wall time, so that moments of two pages compare. */
  async wall(moment: keyof Moments): Promise<number> {
    const { at, origin } = await this.page.evaluate((what) => ({ at: window.probe.moments[what], origin: performance.timeOrigin }), moment);
    if (at === undefined) throw new Error(`${this.name} has no moment \`${moment}\``);
    return origin + at;
  }

  async screenshot(folder: string, name: string): Promise<string> {
    mkdirSync(folder, { recursive: true });
    const path: string = join(folder, `${name}.png`);
    await this.page.screenshot({ path });
    return path;
  }
}

/** Spoken words where espeak-ng is there, else bursts of a tone that rises and falls like speech. */
export function speech(): string {
  mkdirSync(OUT, { recursive: true });
  const path: string = join(OUT, 'speech.wav');
  if (existsSync(path)) return path;
  try {
    const words = 'Hello, this is Tuppence. Two people talk, and the call costs cents, not dollars. Can you hear me well?';
    execFileSync('espeak-ng', ['-s', '150', '-a', '180', '-w', path, words]);
  } catch {
    writeFileSync(path, toneBursts(6));
  }
  return path;
}

/** A mono 16-bit WAV at 16 kHz: syllables of 150 ms with pauses. */
function toneBursts(seconds: number): Buffer {
  const rate = 16_000;
  const wav = Buffer.alloc(44 + seconds * rate * 2);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(wav.length - 8, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(rate * 2, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(wav.length - 44, 40);
  for (let at = 0; at < seconds * rate; at++) {
    const time: number = at / rate;
    const loud: number = time % 0.25 < 0.15 ? 0.4 : 0;
    const pitch: number = 180 + 60 * Math.sin(time * 3);
    wav.writeInt16LE(Math.round(32_000 * loud * Math.sin(2 * Math.PI * pitch * time)), 44 + at * 2);
  }
  return wav;
}
