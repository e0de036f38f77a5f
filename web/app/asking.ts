import type { Request } from '../sdk/call-store/requests.ts';

/** What the elements of the page ask `<call-room>` for, beyond the requests of the store. */
export type Wish =
  | Request
  | { readonly ask: 'pin'; readonly key: string | null }
  | { readonly ask: 'arrange'; readonly grid: boolean }
  | { readonly ask: 'show'; readonly panel: 'people' | 'settings' | 'help' | null }
  | { readonly ask: 'speaker'; readonly deviceId: string }
  | { readonly ask: 'copy-link' }
  | { readonly ask: 'rejoin' }
  | { readonly ask: 'shortcuts'; readonly on: boolean };

/** An element asks by event and knows nobody; `<call-room>` hears it. */
export function askFor(element: EventTarget, wish: Wish): void {
  element.dispatchEvent(new CustomEvent<Wish>('callask', { detail: wish, bubbles: true, composed: true }));
}

declare global {
  interface HTMLElementEventMap {
    callask: CustomEvent<Wish>;
  }
}
