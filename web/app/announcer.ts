import { namesOf } from './words.ts';

const TOGETHER_MS = 700;
const SHOWN_MS = 4500;

/** Says who came and went, several at once in one sentence, and lets it stand for a while. */
export class Announcer {
  readonly #show: (said: string) => void;
  readonly #names = new Map<string, string>();
  #came: string[] = [];
  #went: string[] = [];
  #gather = 0;
  #clear = 0;

  constructor(show: (said: string) => void) {
    this.#show = show;
  }

  /** Someone who is there already, or has another name now. */
  know(id: string, name: string): void {
    this.#names.set(id, name);
  }

  joined(id: string, name: string): void {
    this.#names.set(id, name);
    this.#came.push(name);
    this.#soon();
  }

  left(id: string): void {
    this.#went.push(this.#names.get(id) ?? '');
    this.#soon();
  }

  say(words: string): void {
    this.#show(words);
    clearTimeout(this.#clear);
    this.#clear = window.setTimeout(() => this.#show(''), Math.max(SHOWN_MS, words.length * 70));
  }

  #soon(): void {
    clearTimeout(this.#gather);
    this.#gather = window.setTimeout(() => {
      const came: string = this.#came.length ? `${namesOf(this.#came)} joined.` : '';
      const went: string = this.#went.length ? `${namesOf(this.#went)} left.` : '';
      this.#came = [];
      this.#went = [];
      const words: string = `${came} ${went}`.trim();
      this.say(words.charAt(0).toUpperCase() + words.slice(1));
    }, TOGETHER_MS);
  }
}
