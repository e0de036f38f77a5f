import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { present, type CallState, type Fact, type Live } from '../../sdk/call-store/state.ts';
import { CallStore } from '../../sdk/call-store/store.ts';
import { icon } from '../../theme/icons.ts';
import { baseSheet, sheet } from '../../theme/sheets.ts';
import coin from '../../theme/coin.svg';
import { nameIn, readAddress, tokenFor, type Address } from '../address.ts';
import type { Wish } from '../asking.ts';
import { mark } from '../marks.ts';
import { MediaPool } from '../media-pool.ts';
import { recall, remember } from '../memory.ts';
import { Announcer } from '../announcer.ts';
import { isPushToTalk, shortcutOf, type Shortcut } from '../shortcuts.ts';
import { statsOf } from '../stats.ts';
import { arrange, tilesOf } from '../tiles.ts';
import { cleanName, deviceWords } from '../words.ts';
import css from './call-room.css?inline';
import './call-bar.ts';
import './call-clock.ts';
import './call-end.ts';
import './call-help.ts';
import './call-lobby.ts';
import './call-people.ts';
import './call-stage.ts';

type Panel = 'people' | 'settings' | 'help' | null;

/**
 * The call page. Owns the store, hands its state down and hears what the elements below ask for.
 * @attr data-state - the phase: joining, lobby, live, ended, failed
 * @attr data-participants - how many people are in the call, oneself included
 * @attr data-link - open, reconnecting or rejoining
 */
export class CallRoomElement extends LitElement {
  static override styles = [baseSheet, sheet(css)];
  static override properties = {
    call: { state: true },
    panel: { state: true },
    pinned: { state: true },
    grid: { state: true },
    copied: { state: true },
    said: { state: true },
    soundBlocked: { state: true },
    entering: { state: true },
  };
  declare call: CallState;
  declare panel: Panel;
  declare pinned: string | null;
  declare grid: boolean;
  declare copied: boolean;
  declare said: string;
  declare soundBlocked: boolean;
  declare entering: boolean;

  readonly #address: Address = readAddress(location, history);
  readonly #store: CallStore;
  readonly #own: HTMLVideoElement = document.createElement('video');
  readonly #speakers: HTMLElement = document.createElement('div');
  readonly #pool = new MediaPool(this.#speakers, {
    firstFrame: () => mark('first-remote-frame'),
    blocked: () => (this.soundBlocked = true),
  });
  readonly #announcer = new Announcer((said) => (this.said = said));
  readonly #embedded: boolean = window.parent !== window;
  #stopWatching: () => void = () => {};
  #talking = false;
  #wasOn = { microphone: true, camera: true };
  #wakeLock: WakeLockSentinel | undefined;

  constructor() {
    super();
    this.panel = this.pinned = null;
    this.grid = this.copied = this.soundBlocked = this.entering = false;
    this.said = '';
    this.#own.muted = this.#own.autoplay = this.#own.playsInline = true;
    this.#speakers.hidden = true;
    const name: string | undefined = this.#address.name ?? recall('name');
    this.#store = new CallStore({
      url: `${location.origin.replace(/^http/, 'ws')}/v1/ws`,
      token: () => tokenFor(this.#address, Date.now),
      devices: navigator.mediaDevices,
      onAhead: (tracks) => this.#pool.prepare(tracks),
      ...(name ? { name: cleanName(name) } : {}),
    });
    this.call = this.#store.getState();
    this.#store.subscribe((state, fact) => this.#changed(state, fact));
    this.addEventListener('callask', (event) => this.#asked(event.detail));
  }

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('keydown', this.#keyDown);
    addEventListener('keyup', this.#keyUp);
    addEventListener('online', this.#online);
    addEventListener('pagehide', this.#pageHide);
    addEventListener('pointerdown', this.#wake);
    this.#stopWatching = this.#store.sources.local.watch(() => this.#devicesChanged());
    window.tuppenceStats = () => statsOf(this.#store);
    window.tuppenceDropSocket = () => this.#store.sources.dropSocket();
    this.#pool.useSpeaker(recall('speaker') ?? '');
    this.#begin(this.#address.autojoin);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('keydown', this.#keyDown);
    removeEventListener('keyup', this.#keyUp);
    removeEventListener('online', this.#online);
    removeEventListener('pagehide', this.#pageHide);
    removeEventListener('pointerdown', this.#wake);
    this.#stopWatching();
  }

  /** Connects while the devices start; the click comes later, or is meant already. */
  #begin(atOnce: boolean): void {
    if (atOnce) {
      mark('join-click');
      this.entering = true;
    }
    this.#store.dispatch({ ask: 'join' });
    if (atOnce) this.#store.dispatch({ ask: 'enter', name: cleanName(this.#address.name ?? recall('name') ?? 'Guest') });
    if (this.#wasOn.microphone && this.#wasOn.camera) {
      this.#store.dispatch({ ask: 'open-both', microphone: recall('microphone'), camera: recall('camera') });
    } else if (this.#wasOn.microphone) this.#open('microphone');
    else if (this.#wasOn.camera) this.#open('camera');
  }

  #open(source: 'microphone' | 'camera'): void {
    const deviceId: string | undefined = recall(source);
    this.#store.dispatch({ ask: 'open', source, ...(deviceId ? { deviceId } : {}) });
  }

  /** Something was plugged in or pulled out; what was missing before is taken at once. */
  #devicesChanged(): void {
    this.#store.dispatch({ ask: 'devices' });
    for (const source of ['microphone', 'camera'] as const) {
      const state = this.call.own[source];
      if (state.is === 'trouble' && state.trouble === 'missing') this.#open(source);
    }
  }

  #changed(state: CallState, fact: Fact): void {
    this.call = state;
    if (fact.fact === 'joined') mark('joined');
    if ((fact.fact === 'places' || fact.fact === 'crossed') && present(state)) this.#pool.fit(state.places, (mid) => this.#store.sources.slotTrack(mid));
    if (present(state)) this.#pool.assign(state.places);
    if (fact.fact === 'own' && fact.source === 'camera') this.#showOwnCamera();
    if (fact.fact === 'event' && fact.event.type === 'entered') this.#entered();
    if (fact.fact === 'ended' || fact.fact === 'failed') this.#over();
    this.#announce(state, fact);
  }

  #entered(): void {
    mark('entered');
    this.entering = false;
    void navigator.wakeLock?.request('screen').then((lock) => (this.#wakeLock = lock)).catch(() => {});
  }

  #over(): void {
    this.entering = false;
    this.panel = this.pinned = null;
    this.#pool.clear();
    void this.#wakeLock?.release().catch(() => {});
    if (this.#embedded) parent.postMessage({ type: 'tuppence:left' }, location.origin);
  }

  #showOwnCamera(): void {
    const track: MediaStreamTrack | undefined = this.#store.sources.local.track('camera');
    this.#own.srcObject = track ? new MediaStream([track]) : null;
  }

  #announce(state: CallState, fact: Fact): void {
    if (present(state)) for (const one of state.others) this.#announcer.know(one.participant_id, one.name);
    if (state.phase !== 'live') return;
    if (fact.fact === 'notice' && fact.notice) this.#announcer.say(`${fact.notice.title}. ${fact.notice.detail}`);
    if (fact.fact === 'own' && fact.state.is === 'trouble' && (fact.source === 'camera' || fact.source === 'microphone')) {
      const { title, detail } = deviceWords(fact.source, fact.state.trouble);
      this.#announcer.say(`${title}. ${detail.replace(/ You can join.*$/, '')}`);
    }
    if (fact.fact !== 'event') return;
    if (fact.event.type === 'participant_joined') this.#announcer.joined(fact.event.participant.participant_id, fact.event.participant.name);
    if (fact.event.type === 'participant_left') this.#announcer.left(fact.event.participant_id);
    if (fact.event.type === 'rejected') this.#announcer.say(fact.event.message);
  }

  #asked(wish: Wish): void {
    switch (wish.ask) {
      case 'pin':
        return void (this.pinned = wish.key);
      case 'arrange':
        this.grid = wish.grid;
        return void (this.pinned = null);
      case 'show':
        return void (this.panel = this.panel === wish.panel ? null : wish.panel);
      case 'speaker':
        return this.#pool.useSpeaker(wish.deviceId);
      case 'copy-link':
        return void this.#copyLink();
      case 'shortcuts':
        remember('shortcuts', wish.on ? 'on' : 'off');
        return this.requestUpdate();
      case 'rejoin':
        // Whoever was in the call goes straight back; whoever was not looks at the device check first.
        return this.#begin(this.call.phase === 'ended' && this.call.reason !== 'lobby_expired');
      case 'enter':
        mark('join-click');
        this.#store.dispatch(wish);
        this.entering = true;
        return this.#pool.resume();
      case 'leave':
        this.#wasOn = { microphone: this.call.own.microphone.is === 'on', camera: this.call.own.camera.is === 'on' };
        return this.#store.dispatch(wish);
      case 'rename':
        remember('name', wish.name);
        return this.#store.dispatch(wish);
      default:
        return this.#store.dispatch(wish);
    }
  }

  async #copyLink(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.#address.link);
      this.copied = true;
      this.#announcer.say('Link copied');
      setTimeout(() => (this.copied = false), 2500);
    } catch {
      this.#announcer.say(`Your browser did not let the page copy. The link is ${this.#address.link}`);
    }
  }

  #keyDown = (event: KeyboardEvent): void => {
    if (this.call.phase !== 'live' || recall('shortcuts') === 'off') return;
    if (isPushToTalk(event)) {
      event.preventDefault();
      return this.#talk(true);
    }
    const shortcut: Shortcut | undefined = shortcutOf(event);
    if (shortcut === undefined) return;
    event.preventDefault();
    this.#pressed(shortcut, this.call);
  };

  #keyUp = (event: KeyboardEvent): void => {
    if (event.key === ' ') this.#talk(false);
  };

  #pressed(shortcut: Shortcut, call: Live): void {
    switch (shortcut) {
      case 'mute':
        return this.#asked({ ask: 'toggle', source: 'microphone' });
      case 'camera':
        return this.#asked({ ask: 'toggle', source: 'camera' });
      case 'screen':
        return this.#asked({ ask: 'toggle', source: 'screen' });
      case 'people':
      case 'help':
        return this.#asked({ ask: 'show', panel: shortcut });
      case 'grid':
        return this.#asked({ ask: 'arrange', grid: !this.grid });
      case 'fullscreen':
        return void (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
      default: {
        const others = tilesOf(arrange(call, { pinned: null, grid: true })).filter(({ self }) => !self);
        this.pinned = others[shortcut.focus - 1]?.key ?? null;
      }
    }
  }

  /** Space held: the microphone is open as long as it was muted before. */
  #talk(wants: boolean): void {
    const { microphone } = this.call.own;
    if (wants === this.#talking || microphone.is !== 'on') return;
    if (wants && !microphone.muted) return;
    this.#talking = wants;
    this.#store.sources.local.mute('microphone', !wants);
  }

  #online = (): void => this.#store.sources.networkIsBack();
  #pageHide = (): void => {
    if (present(this.call)) this.#store.dispatch({ ask: 'leave' });
  };
  #wake = (): void => {
    if (!this.soundBlocked) return;
    this.soundBlocked = false;
    this.#pool.resume();
  };

  protected override render(): TemplateResult {
    return html`${this.#page()}${this.#speakers}
      <div class="sr-only" role="status" aria-live="polite">${this.said}</div>`;
  }

  #page(): TemplateResult {
    switch (this.call.phase) {
      case 'joining':
      case 'lobby':
        return html`${this.#top()}${this.#address.autojoin && this.entering ? this.#waiting() : this.#lobby()}`;
      case 'live':
        return this.#live(this.call);
      case 'ended':
      case 'failed':
        return html`${this.#top()}<call-end .call=${this.call} ?embedded=${this.#embedded}></call-end>`;
    }
  }

  #top(): TemplateResult {
    return html`<header class="top">
      ${this.#embedded ? html`<span class="wordmark">${this.#brand()}</span>` : html`<a class="wordmark" href="/">${this.#brand()}</a>`}
    </header>`;
  }

  #brand(): TemplateResult {
    return html`<img src=${coin} alt="" width="30" height="30" />Tuppence`;
  }

  #waiting(): TemplateResult {
    const note: string | null = this.call.phase === 'joining' ? this.call.note : null;
    return html`<main class="waiting"><h1>Joining the call…</h1><p class="soft" role="status">${note ?? 'Connecting to the room.'}</p></main>`;
  }

  #lobby(): TemplateResult {
    return html`<call-lobby .call=${this.call} .own=${this.#own} .microphone=${this.#microphone()} .invitedAs=${nameIn(this.#address.token) ?? this.#address.name ?? ''} ?entering=${this.entering}></call-lobby>`;
  }

  #live(call: Live): TemplateResult {
    return html`
      <main class="live">
        <header class="bar">
          <h1>${call.room.title || 'Call'}</h1>
          <call-clock></call-clock>
          <button class="button small" @click=${() => void this.#copyLink()}>${icon(this.copied ? 'check' : 'copy')}<span>${this.copied ? 'Copied' : 'Copy link'}</span></button>
        </header>
        ${this.#banner(call)}
        <div class="room ${this.panel === 'people' ? 'with-people' : ''}">
          <call-stage .call=${call} .pool=${this.#pool} .own=${this.#own} .pinned=${this.pinned} ?grid=${this.grid} .link=${this.#address.link} ?copied=${this.copied}></call-stage>
          ${this.panel === 'people' ? html`<call-people .call=${call} ?copied=${this.copied}></call-people>` : nothing}
        </div>
        ${this.said ? html`<p class="toast" aria-hidden="true">${this.said}</p>` : nothing}
        <call-bar .call=${call} .panel=${this.panel}></call-bar>
      </main>
      ${this.#dialog(call)}
    `;
  }

  #banner(call: Live): TemplateResult {
    const words: string = this.soundBlocked ? 'The browser holds the sound back. Click anywhere to hear the others.' : linkWords(call);
    return html`<div class="banner" role="status" ?data-shown=${words !== ''}>${words}</div>`;
  }

  #dialog(call: Live): TemplateResult | typeof nothing {
    if (this.panel !== 'settings' && this.panel !== 'help') return nothing;
    const settings: boolean = this.panel === 'settings';
    return html`<dialog aria-labelledby="dialog-title" @close=${() => (this.panel = null)} @click=${closeOutside}>
      <header><h2 id="dialog-title">${settings ? 'Devices and settings' : 'Keyboard shortcuts'}</h2>
        <button class="close" aria-label="Close" @click=${() => (this.panel = null)}>${icon('close')}</button></header>
      ${settings ? html`<call-devices meter .call=${call} .microphone=${this.#microphone()}></call-devices>` : nothing}
      ${settings ? html`<button class="button small" @click=${() => (this.panel = 'help')}>Keyboard shortcuts</button>` : nothing}
      ${settings ? nothing : html`<call-help ?on=${recall('shortcuts') !== 'off'}></call-help>`}
    </dialog>`;
  }

  #microphone(): MediaStreamTrack | null {
    return this.#store.sources.local.track('microphone') ?? null;
  }

  protected override updated(changed: PropertyValues): void {
    const dialog: HTMLDialogElement | null = this.renderRoot.querySelector('dialog');
    if (dialog && !dialog.open) dialog.showModal();
    if (!changed.has('call')) return;
    const { call } = this;
    this.dataset['state'] = call.phase;
    this.dataset['participants'] = String(present(call) ? call.others.length + (call.phase === 'live' ? 1 : 0) : 0);
    this.dataset['link'] = present(call) ? call.link.is : '';
    if (present(call)) document.title = `${call.room.title || 'Call'} · Tuppence`;
    if (this.#own.srcObject && this.#own.paused) void this.#own.play().catch(() => {});
  }
}

function linkWords({ link, media }: Live): string {
  if (link.is === 'rejoining') return 'Reconnecting… You are back in a moment.';
  if (media === 'disconnected' || media === 'failed') return 'Your network is interrupted. Waiting for it to come back…';
  if (link.is === 'reconnecting') return 'Reconnecting… You can go on talking; only news about others waits.';
  return '';
}

function closeOutside(event: MouseEvent): void {
  if (event.target instanceof HTMLDialogElement) event.target.close();
}

customElements.define('call-room', CallRoomElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-room': CallRoomElement;
  }
}
