import type { DeviceTrouble } from '../sdk/local-media.ts';
import type { LeaveReason } from '../sdk/protocol.ts';

/** What happened and what to do, in words. */
export interface Words {
  readonly title: string;
  readonly detail: string;
}

export function deviceWords(source: 'microphone' | 'camera', trouble: DeviceTrouble): Words {
  const name: string = source;
  const without: string = source === 'camera' ? 'You can join without a picture.' : 'You can join and listen.';
  switch (trouble) {
    case 'denied':
      return {
        title: `This page may not use your ${name}`,
        detail: `Click the icon left of the address, allow the ${name}, then press “Try again”. ${without}`,
      };
    case 'missing':
      return { title: `No ${name} found`, detail: `Plug one in; it is noticed at once. ${without}` };
    case 'busy':
      return {
        title: `Your ${name} is busy`,
        detail: `Another program seems to be using it. Close that program, then press “Try again”. ${without}`,
      };
    case 'insecure':
      return {
        title: `The browser gives no ${name} to this page`,
        detail: `Cameras and microphones work on https:// and on localhost only. Open the link with https://. ${without}`,
      };
    case 'failed':
      return { title: `Your ${name} did not start`, detail: `Press “Try again”, or pick another one below. ${without}` };
  }
}

export function endWords(reason: LeaveReason): Words {
  switch (reason) {
    case 'left':
      return { title: 'You left the call', detail: 'The others can go on without you. You can come back at any time.' };
    case 'lost':
      return { title: 'The connection was lost', detail: 'It could not be made again in time. Check your network, then join again.' };
    case 'lobby_expired':
      return { title: 'You waited for a while', detail: 'The connection behind the device check is let go after some time. Join when you are ready.' };
    case 'replaced':
      return { title: 'You joined somewhere else', detail: 'The call goes on in another tab or on another device. Join again to bring it back here.' };
    case 'removed':
      return { title: 'You were removed from the call', detail: 'The business that runs this room ended your part in it.' };
    case 'shutting_down':
      return { title: 'The service is restarting', detail: 'It will be back in a moment. Wait a few seconds, then join again.' };
  }
}

/** `Ada`, `Ada and Ben`, `Ada, Ben and 3 others`. */
export function namesOf(names: readonly string[]): string {
  const known: readonly string[] = names.map((name) => name || 'a guest');
  if (known.length <= 1) return known[0] ?? '';
  if (known.length <= 3) return `${known.slice(0, -1).join(', ')} and ${known.at(-1)}`;
  return `${known.slice(0, 2).join(', ')} and ${known.length - 2} others`;
}

/** A name as the hub takes it: trimmed, without control characters, at most 64 characters. */
export function cleanName(typed: string): string {
  return [...typed.replace(/\p{Cc}/gu, ' ').trim()].slice(0, 64).join('');
}
