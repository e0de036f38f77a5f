/** What is remembered while the tab is open, so that nothing typed or chosen is lost. Works without storage too. */
export type Remembered = 'name' | 'microphone' | 'camera' | 'speaker' | 'shortcuts';

const fallback = new Map<Remembered, string>();

export function recall(what: Remembered): string | undefined {
  try {
    return sessionStorage.getItem(`tuppence.${what}`) ?? fallback.get(what);
  } catch {
    return fallback.get(what);
  }
}

export function remember(what: Remembered, value: string): void {
  fallback.set(what, value);
  try {
    sessionStorage.setItem(`tuppence.${what}`, value);
  } catch {
    // Storage is refused in some frames; the page's own memory is enough there.
  }
}
