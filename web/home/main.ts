import { ApiError, ask } from '../sdk/http.ts';

const button = document.querySelector<HTMLButtonElement>('#start');
const said = document.querySelector<HTMLElement>('#said');

button?.addEventListener('click', () => void start());

/** Makes a room of the demo business and goes there. */
async function start(): Promise<void> {
  say('Making a room…', true);
  button?.toggleAttribute('disabled', true);
  try {
    const room: { readonly room_id: string } = await ask('/v1/demo/rooms', { method: 'POST', body: {} });
    location.href = `/r/${encodeURIComponent(room.room_id)}`;
  } catch (cause) {
    say(wordsFor(cause), false);
    button?.toggleAttribute('disabled', false);
  }
}

function wordsFor(cause: unknown): string {
  if (!(cause instanceof ApiError)) return `This did not work. Reload the page and try again. (${String(cause)})`;
  if (cause.status === 404) return 'This service has no demo business, so nobody may start a call from here. Sign in to the console and press “New call”.';
  if (cause.status === 429) return `Many calls were started from here just now. Wait ${cause.retryAfterS ?? 60} seconds, then try again.`;
  return `${cause.title}. ${cause.message}`;
}

function say(words: string, waiting: boolean): void {
  said?.classList.toggle('waiting', waiting);
  if (said) said.textContent = words;
}

// A page that comes back from the browser's memory shows its button again.
addEventListener('pageshow', () => {
  button?.toggleAttribute('disabled', false);
  say('', true);
});
