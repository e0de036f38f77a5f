/**
 * Watches a page from outside: wraps `WebSocket` and `RTCPeerConnection` before the page's own code runs, so that the
 * stories and the bench believe the browser and not the page. Everything here runs inside the page.
 */

/** When something first happened, in milliseconds of the page's clock. */
export interface Moments {
  click?: number;
  socketMade?: number;
  socketOpen?: number;
  joined?: number;
  enterSent?: number;
  entered?: number;
  leaveSent?: number;
  iceConnected?: number;
  connected?: number;
  firstPacket?: number;
  firstFrame?: number;
}

/** What the peer connections of a page have received. */
export interface Seen {
  readonly framesDecoded: number;
  readonly pictures: number;
  readonly totalAudioEnergy: number;
  readonly bytesReceived: number;
  readonly framesSent: number;
  /** With headers, and without what is sent again. */
  readonly bytesSent: number;
  /** The same by the encoding's `rid`. */
  readonly framesSentOf: Readonly<Record<string, number>>;
  readonly connections: number;
  readonly negotiations: number;
  /** What seals the media, by its name in the registry of DTLS-SRTP protection profiles. */
  readonly srtpCiphers: readonly string[];
  /** Over what packets travel: `udp` or `tcp`. */
  readonly ways: readonly string[];
}

export interface Probe {
  readonly moments: Moments;
  readonly frames: { at: number; type: string; event: string; out: boolean }[];
  readonly framesAt: Record<string, number>;
  seen(): Promise<Seen>;
  cutSockets(): number;
}

declare global {
  interface Window {
    probe: Probe;
  }
}

/** Give it to `page.addInitScript`: it must stand alone. */
export function installProbe(): void {
  if (window !== window.top) return;
  const sockets = new Set<WebSocket>();
  const connections: RTCPeerConnection[] = [];
  const moments: Moments = {};
  const frames: Probe['frames'] = [];
  const framesAt: Record<string, number> = {};
  let negotiations = 0;
  const first = (what: keyof Moments, at: number = performance.now()): void => {
    moments[what] ??= at;
  };

  const note = (data: unknown, out: boolean): void => {
    if (typeof data !== 'string') return;
    const frame = JSON.parse(data) as { type: string; body?: { type: string } };
    const event: string = frame.body?.type ?? '';
    frames.push({ at: performance.now(), type: frame.type, event, out });
    if (frame.type === 'joined') first('joined');
    if (event === 'enter') first('enterSent');
    if (event === 'entered') first('entered');
    if (event === 'leave') first('leaveSent');
  };

  window.WebSocket = class extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      if (!String(url).includes('/v1/ws')) return;
      first('socketMade');
      sockets.add(this);
      this.addEventListener('open', () => first('socketOpen'));
      this.addEventListener('message', ({ data }) => note(data, false));
      this.addEventListener('close', () => sockets.delete(this));
    }

    override send(data: string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBuffer>): void {
      note(data, true);
      super.send(data as string);
    }
  };

  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      connections.push(this);
      this.addEventListener('iceconnectionstatechange', () => {
        if (this.iceConnectionState === 'connected') first('iceConnected');
      });
      this.addEventListener('connectionstatechange', () => {
        if (this.connectionState === 'connected') first('connected');
      });
      this.addEventListener('signalingstatechange', () => {
        if (this.signalingState === 'have-local-offer') negotiations += 1;
      });
    }
  };

  // A frame of a remote track names the moment its last packet came (`receiveTime`); the own camera's frames do not.
  const source = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, 'srcObject');
  Object.defineProperty(HTMLMediaElement.prototype, 'srcObject', {
    ...source,
    set(this: HTMLMediaElement, stream: MediaProvider | null) {
      source?.set?.call(this, stream);
      if (!(this instanceof HTMLVideoElement) || !(stream instanceof MediaStream)) return;
      const look = (looks: number, { receiveTime }: VideoFrameCallbackMetadata): void => {
        if (receiveTime === undefined) {
          if (looks > 0) this.requestVideoFrameCallback((_, metadata) => look(looks - 1, metadata));
          return;
        }
        const now: number = performance.now();
        framesAt[stream.getVideoTracks()[0]?.id ?? ''] ??= now;
        first('firstPacket', receiveTime);
        first('firstFrame', now);
      };
      this.requestVideoFrameCallback((_, metadata) => look(100, metadata));
    },
  });

  addEventListener(
    'click',
    (event) => {
      if (moments.enterSent === undefined) moments.click = event.timeStamp;
    },
    { capture: true },
  );

  const seen = async (): Promise<Seen> => {
    const srtpCiphers: string[] = [];
    const ways: string[] = [];
    const framesSentOf: Record<string, number> = {};
    const sum = { framesDecoded: 0, pictures: 0, totalAudioEnergy: 0, bytesReceived: 0, framesSent: 0, bytesSent: 0 };
    for (const connection of connections) {
      if (connection.connectionState === 'closed') continue;
      const report: RTCStatsReport = await connection.getStats();
      for (const entry of report.values()) {
        if (entry.type === 'transport' && entry.selectedCandidatePairId !== undefined) {
          const pair = report.get(entry.selectedCandidatePairId) as { localCandidateId: string } | undefined;
          const local = report.get(pair?.localCandidateId ?? '') as { protocol?: string; relayProtocol?: string } | undefined;
          // What leaves the browser: behind a relay that is not what leaves the relay.
          const way: string | undefined = local?.relayProtocol ?? local?.protocol;
          if (way !== undefined) ways.push(way);
        }
        if (entry.type === 'transport' && entry.srtpCipher !== undefined) srtpCiphers.push(entry.srtpCipher);
        if (entry.type === 'outbound-rtp') {
          sum.framesSent += entry.framesSent ?? 0;
          sum.bytesSent += (entry.bytesSent ?? 0) + (entry.headerBytesSent ?? 0);
        }
        if (entry.type === 'outbound-rtp' && entry.rid !== undefined) framesSentOf[entry.rid] = entry.framesSent ?? 0;
        if (entry.type !== 'inbound-rtp') continue;
        sum.bytesReceived += entry.bytesReceived ?? 0;
        if (entry.kind === 'audio') sum.totalAudioEnergy += entry.totalAudioEnergy ?? 0;
        if (entry.kind === 'video') sum.framesDecoded += entry.framesDecoded ?? 0;
        if (entry.kind === 'video' && (entry.framesPerSecond ?? 0) > 0) sum.pictures += 1;
      }
    }
    return { ...sum, framesSentOf, connections: connections.length, negotiations, srtpCiphers, ways };
  };

  const cutSockets = (): number => {
    const cut: number = sockets.size;
    for (const socket of sockets) socket.close(4000, 'cut by a story');
    return cut;
  };

  window.probe = { moments, frames, framesAt, seen, cutSockets };
}
