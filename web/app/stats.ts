import type { CallStore } from '../sdk/call-store/store.ts';
import { present } from '../sdk/call-store/state.ts';

/** What a test or a bench wants to know of a page in a call. */
export interface TuppenceStats {
  readonly phase: string;
  readonly link: string | null;
  readonly media: string | null;
  readonly participants: number;
  readonly framesDecoded: number;
  readonly framesDecodedByMid: Readonly<Record<string, number>>;
  /** Sum over the audio slots; rises while someone is heard. */
  readonly audioEnergy: number;
  readonly audioPacketsReceived: number;
  readonly framesEncoded: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly freezeCount: number;
  readonly roundTripMs: number | null;
  readonly selectedPair: string | null;
}

export async function statsOf(store: CallStore): Promise<TuppenceStats> {
  const state = store.getState();
  const report: readonly Record<string, unknown>[] = [...((await store.sources.stats()) ?? new Map()).values()];
  const inbound = report.filter(({ type }) => type === 'inbound-rtp');
  const video = inbound.filter(({ kind }) => kind === 'video');
  const audio = inbound.filter(({ kind }) => kind === 'audio');
  const pair = report.find(({ type, nominated }) => type === 'candidate-pair' && nominated === true);
  return {
    phase: state.phase,
    link: present(state) ? state.link.is : null,
    media: present(state) ? state.media : null,
    participants: present(state) ? state.others.length + (state.phase === 'live' ? 1 : 0) : 0,
    framesDecoded: sum(video, 'framesDecoded'),
    framesDecodedByMid: Object.fromEntries(video.map((slot) => [String(slot['mid']), Number(slot['framesDecoded'] ?? 0)])),
    audioEnergy: sum(audio, 'totalAudioEnergy'),
    audioPacketsReceived: sum(audio, 'packetsReceived'),
    framesEncoded: sum(report.filter(({ type }) => type === 'outbound-rtp'), 'framesEncoded'),
    bytesReceived: sum(inbound, 'bytesReceived'),
    bytesSent: sum(report.filter(({ type }) => type === 'outbound-rtp'), 'bytesSent'),
    freezeCount: sum(video, 'freezeCount'),
    roundTripMs: typeof pair?.['currentRoundTripTime'] === 'number' ? pair['currentRoundTripTime'] * 1000 : null,
    selectedPair: typeof pair?.['id'] === 'string' ? pair['id'] : null,
  };
}

function sum(reports: readonly Record<string, unknown>[], field: string): number {
  return reports.reduce((total, report) => total + Number(report[field] ?? 0), 0);
}

declare global {
  interface Window {
    /** For tests and benches: what this page sends, receives and shows. */
    tuppenceStats?: () => Promise<TuppenceStats>;
    /** For tests: drops the WebSocket as a broken network would. */
    tuppenceDropSocket?: () => void;
  }
}
