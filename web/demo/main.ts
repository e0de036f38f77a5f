import { ApiError, ask } from '../sdk/http.ts';

/** What a frame with a call needs from the page around it. */
const ALLOW = 'camera; microphone; display-capture; autoplay; fullscreen; speaker-selection; picture-in-picture; clipboard-write; screen-wake-lock';

const find = <E extends HTMLElement>(id: string): E => {
  const element: HTMLElement | null = document.getElementById(id);
  if (!element) throw new Error(`The page lacks #${id}`);
  return element as E;
};
const call = find<HTMLButtonElement>('call');
const panel = find<HTMLElement>('panel');
const frame = find<HTMLElement>('frame');
const said = find<HTMLElement>('said');

call.addEventListener('click', () => void ring());
find('close').addEventListener('click', hangUp);
addEventListener('message', ({ origin, data }: MessageEvent<{ type?: string } | null>) => {
  if (origin === location.origin && data?.type === 'tuppence:left') setTimeout(hangUp, 2500);
});
addEventListener('keydown', ({ key }) => {
  if (key === 'Escape' && !panel.hidden && panel.contains(document.activeElement)) hangUp();
});

/** What the shop's page does: asks for a visit with its publishable key and opens the call it is given. */
async function ring(): Promise<void> {
  call.disabled = true;
  say('Ringing the shop…');
  try {
    const { publishable_key }: { readonly publishable_key: string } = await ask('/v1/demo');
    const visit: { readonly room_id: string; readonly token: string } = await ask('/v1/visits', {
      method: 'POST',
      key: publishable_key,
      body: { name: 'Visitor', topic: 'Plant question' },
    });
    open(visit);
    say('');
  } catch (cause) {
    say(wordsFor(cause));
    call.disabled = false;
  }
}

function open({ room_id, token }: { readonly room_id: string; readonly token: string }): void {
  const address = `/r/${encodeURIComponent(room_id)}`;
  const inside: HTMLIFrameElement = document.createElement('iframe');
  inside.title = 'Call with Fern & Finch';
  inside.allow = ALLOW;
  inside.src = `${address}#token=${token}`;
  frame.replaceChildren(inside);
  find<HTMLAnchorElement>('own-tab').href = address;
  panel.hidden = false;
  inside.focus();
}

function hangUp(): void {
  frame.replaceChildren();
  panel.hidden = true;
  call.disabled = false;
  call.focus();
}

function wordsFor(cause: unknown): string {
  if (!(cause instanceof ApiError)) return 'This did not work. Please reload the page and try again.';
  if (cause.status === 404) return 'This service runs without its demo business, so nobody can be rung from here.';
  return `${cause.title}. ${cause.message}`;
}

function say(words: string): void {
  said.textContent = words;
}
