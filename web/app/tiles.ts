import { flows, type Live, type Place } from '../sdk/call-store/state.ts';
import type { Participant, WantedTrack } from '../sdk/protocol.ts';

/** One picture on the stage: a person, or a screen that someone shares. */
export interface Tile {
  readonly key: string;
  readonly participantId: string;
  readonly name: string;
  readonly source: 'camera' | 'screen';
  readonly self: boolean;
  /** Whose picture is there to be shown: the place it plays in, `own`, or nothing (a coin with initials). */
  readonly picture: { readonly is: 'place'; readonly mid: string } | { readonly is: 'own' } | { readonly is: 'none' };
  /** One's own line does not take the picture now. */
  readonly paused: boolean;
  /** The person's page has lost its connection and tries to come back. */
  readonly away: boolean;
  readonly micMuted: boolean;
  readonly speaking: boolean;
}

/** How the tiles are arranged. */
export type Arrangement =
  | { readonly mode: 'alone'; readonly self: Tile }
  | { readonly mode: 'pair'; readonly main: Tile; readonly self: Tile }
  | { readonly mode: 'grid'; readonly tiles: readonly Tile[] }
  | { readonly mode: 'focus'; readonly main: Tile; readonly strip: readonly Tile[] };

/** What to show of a call. `pinned` is a tile's key; a shared screen is shown large by itself, unless the grid is wished. */
export function arrange(call: Live, { pinned, grid }: { readonly pinned: string | null; readonly grid: boolean }): Arrangement {
  const self: Tile = ownTile(call);
  const others: readonly Tile[] = call.others.map((one) => cameraTile(call, one));
  const screens: readonly Tile[] = call.others.filter((one) => on(one, 'screen')).map((one) => screenTile(call, one));
  const all: readonly Tile[] = [...screens, ...others, self];
  const chosen: Tile | undefined = all.find(({ key }) => key === pinned) ?? (grid ? undefined : screens.at(-1));
  if (chosen) return { mode: 'focus', main: chosen, strip: all.filter((tile) => tile !== chosen) };
  const [only] = others;
  if (!only) return { mode: 'alone', self };
  if (others.length === 1 && screens.length === 0 && !grid) return { mode: 'pair', main: only, self };
  return { mode: 'grid', tiles: all };
}

/** All tiles of an arrangement, the most important first. */
export function tilesOf(arrangement: Arrangement): readonly Tile[] {
  switch (arrangement.mode) {
    case 'alone':
      return [arrangement.self];
    case 'pair':
      return [arrangement.main, arrangement.self];
    case 'grid':
      return arrangement.tiles;
    case 'focus':
      return [arrangement.main, ...arrangement.strip];
  }
}

/** What the hub should send, given how large each tile is on screen. */
export function wanted(tiles: readonly Tile[], sizeOf: (key: string) => { readonly width: number; readonly height: number } | undefined): readonly WantedTrack[] {
  return tiles.filter(({ self }) => !self).flatMap(({ key, participantId, source }): readonly WantedTrack[] => {
    const size = sizeOf(key);
    return size && size.width >= 1 && size.height >= 1 ? [{ participant_id: participantId, source, width: Math.round(size.width), height: Math.round(size.height) }] : [];
  }).slice(0, 64);
}

function ownTile({ you, own, speakers }: Live): Tile {
  return {
    key: 'self',
    participantId: you.participant_id,
    name: you.name,
    source: 'camera',
    self: true,
    picture: flows(own.camera) ? { is: 'own' } : { is: 'none' },
    paused: false,
    away: false,
    micMuted: !flows(own.microphone),
    speaking: flows(own.microphone) && speakers.includes(you.participant_id),
  };
}

function cameraTile(call: Live, one: Participant): Tile {
  return {
    key: one.participant_id,
    participantId: one.participant_id,
    name: one.name,
    source: 'camera',
    self: false,
    ...shownAt(on(one, 'camera') ? placeOf(call, one, 'camera') : undefined),
    away: one.away ?? false,
    micMuted: !on(one, 'microphone'),
    speaking: call.speakers.includes(one.participant_id),
  };
}

function screenTile(call: Live, one: Participant): Tile {
  return {
    key: `${one.participant_id} screen`,
    participantId: one.participant_id,
    name: one.name,
    source: 'screen',
    self: false,
    ...shownAt(placeOf(call, one, 'screen')),
    away: one.away ?? false,
    micMuted: false,
    speaking: false,
  };
}

function placeOf({ places }: Live, one: Participant, source: 'camera' | 'screen'): Place | undefined {
  return places.find((place) => place.participantId === one.participant_id && place.source === source);
}

function shownAt(place: Place | undefined): Pick<Tile, 'picture' | 'paused'> {
  return place ? { picture: { is: 'place', mid: place.mid }, paused: place.paused } : { picture: { is: 'none' }, paused: false };
}

function on({ tracks }: Participant, source: 'camera' | 'screen' | 'microphone'): boolean {
  return tracks.some((track) => track.source === source && !track.muted);
}

/** Up to two letters for a coin. */
export function initials(name: string): string {
  const words: readonly string[] = name.trim().split(/\s+/).filter(Boolean);
  const first = (word: string | undefined): string => [...(word ?? '')][0]?.toLocaleUpperCase() ?? '';
  return words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0]) || '?';
}
