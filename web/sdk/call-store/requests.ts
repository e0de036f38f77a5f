import type { Source, WantedTrack } from '../protocol.ts';
import type { Sources } from './sources.ts';
import { flows, type CallState } from './state.ts';

/** What a person can ask for. */
export type Request =
  | { readonly ask: 'join' }
  | { readonly ask: 'enter'; readonly name?: string }
  | { readonly ask: 'leave' }
  | { readonly ask: 'rename'; readonly name: string }
  | { readonly ask: 'toggle'; readonly source: Source }
  | { readonly ask: 'open'; readonly source: 'microphone' | 'camera'; readonly deviceId?: string }
  | { readonly ask: 'open-both'; readonly microphone?: string | undefined; readonly camera?: string | undefined }
  | { readonly ask: 'close'; readonly source: Source }
  | { readonly ask: 'view'; readonly wants: readonly WantedTrack[] }
  | { readonly ask: 'devices' };

/** Does what is asked. Nothing is stored here: the state changes when a source reports that it happened. */
export function perform(request: Request, sources: Sources, state: CallState): void {
  switch (request.ask) {
    case 'join':
      return void sources.join();
    case 'enter':
      return sources.enter(request.name);
    case 'leave':
      return sources.leave();
    case 'rename':
      return sources.rename(request.name);
    case 'toggle':
      return toggle(request.source, sources, state);
    case 'open':
      return void sources.local.open(request.source, request.deviceId).then(() => sources.refreshDevices());
    case 'open-both':
      return void sources.local.openBoth(request).then(() => sources.refreshDevices());
    case 'close':
      return sources.local.close(request.source);
    case 'view':
      return sources.view(request.wants);
    case 'devices':
      return void sources.refreshDevices();
  }
}

function toggle(source: Source, sources: Sources, state: CallState): void {
  const now = state.own[source];
  if (source === 'microphone' && now.is === 'on') return sources.local.mute('microphone', !now.muted);
  if (source === 'screen' || source === 'screen_audio') return toggleScreen(sources, state);
  // The camera is let go, not hidden: its light goes out.
  if (flows(now)) return sources.local.close(source);
  if (now.is !== 'starting') void sources.local.open(source).then(() => sources.refreshDevices());
}

function toggleScreen(sources: Sources, state: CallState): void {
  if (state.own.screen.is !== 'on') return void sources.local.openScreen();
  sources.local.close('screen');
  sources.local.close('screen_audio');
}
