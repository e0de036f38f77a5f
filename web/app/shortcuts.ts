/** What a key asks for. The letters are Jitsi's, which people know. */
export type Shortcut = 'mute' | 'camera' | 'screen' | 'people' | 'grid' | 'fullscreen' | 'help' | { readonly focus: number };

/** For the help: the keys as printed and what they do. */
export const shortcuts: readonly { readonly keys: string; readonly does: string }[] = [
  { keys: 'M', does: 'Mute or unmute' },
  { keys: 'Space', does: 'Hold to talk while muted' },
  { keys: 'V', does: 'Camera on or off' },
  { keys: 'D', does: 'Share your screen or stop' },
  { keys: 'P', does: 'Show or hide people' },
  { keys: 'W', does: 'Everyone in a grid, or one large' },
  { keys: 'S', does: 'Full screen' },
  { keys: '1 – 9', does: 'Pin that person; 0 unpins' },
  { keys: '?', does: 'Show these shortcuts' },
];

const letters: Readonly<Record<string, Shortcut>> = {
  m: 'mute',
  v: 'camera',
  d: 'screen',
  p: 'people',
  w: 'grid',
  s: 'fullscreen',
  '?': 'help',
};

/** The shortcut of a key press; none while typing, with a modifier, or on repeat. */
export function shortcutOf(event: KeyboardEvent): Shortcut | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event)) return undefined;
  if (/^[0-9]$/.test(event.key)) return { focus: Number(event.key) };
  return letters[event.key.toLowerCase()];
}

/** Whether Space means "talk": not in a field, and not on a control, which Space would press. */
export function isPushToTalk(event: KeyboardEvent): boolean {
  const on: EventTarget | undefined = event.composedPath()[0];
  return event.key === ' ' && !(on instanceof Element && on.closest('button, a, input, select, textarea, summary, dialog'));
}

function isTyping(event: KeyboardEvent): boolean {
  const on: EventTarget | undefined = event.composedPath()[0];
  return on instanceof HTMLElement && (on.isContentEditable || on.matches('input:not([type=checkbox]), select, textarea'));
}
