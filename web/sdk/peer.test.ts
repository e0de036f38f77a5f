import { afterEach, describe, expect, test, vi } from 'vitest';
import { FakePeerConnection } from '../test/browser.ts';
import { isForwarded, Peer } from './peer.ts';

/** Names its lines in the offer, and gives them those names only when it has taken the offer on. */
class SlowPeerConnection extends FakePeerConnection {
  takeOn: () => void = () => {};
  readonly done: string[] = [];
  override addTransceiver(): object {
    return Object.assign(super.addTransceiver(), { mid: null });
  }
  override async createOffer(): Promise<object> {
    const lines: string = this.getTransceivers()
      .map((_, at) => `m=\r\na=setup:actpass\r\na=mid:line${at}\r\n`)
      .join('');
    return { type: 'offer', sdp: lines };
  }
  override setLocalDescription({ type }: { type?: string } = {}): Promise<void> {
    this.done.push(`local ${type}`);
    this.signalingState = type === 'offer' ? 'have-local-offer' : 'stable';
    return type === 'offer' ? new Promise((taken) => (this.takeOn = taken)) : Promise.resolve();
  }
  override async setRemoteDescription(): Promise<void> {
    this.done.push('remote');
  }
}

describe('an offer', () => {
  afterEach(() => vi.unstubAllGlobals());

  function peer(): { peer: Peer; browser: SlowPeerConnection } {
    vi.stubGlobal('RTCPeerConnection', SlowPeerConnection);
    const made = new Peer(() => {});
    return { peer: made, browser: FakePeerConnection.made.at(-1) as SlowPeerConnection };
  }

  test('goes out while the browser takes it on', async () => {
    const { offer, sends } = await peer().peer.offer();
    expect(offer).toContain('a=setup:passive');
    expect(sends.map(({ source, mid }) => `${source} ${mid}`)).toEqual(['microphone line0', 'camera line1', 'screen line2', 'screen_audio line3']);
  });

  test('is answered, or taken back, after that', async () => {
    const here = peer();
    for (const then of [() => here.peer.answered('', []), () => here.peer.rollback()]) {
      here.browser.done.length = 0;
      await here.peer.offer();
      const over = then();
      expect(here.browser.done).toEqual(['local offer']);
      here.browser.takeOn();
      await over;
      expect(here.browser.done).toHaveLength(2);
    }
  });
});

describe('what an offer names', () => {
  const table: readonly (readonly [mimeType: string, sdpFmtpLine: string | undefined, forwarded: boolean])[] = [
    ['audio/opus', 'minptime=10;useinbandfec=1', true],
    ['audio/red', '111/111', true],
    ['audio/G722', undefined, false],
    ['audio/telephone-event', undefined, false],
    ['video/VP8', undefined, true],
    ['video/rtx', undefined, true],
    ['video/VP9', 'profile-id=0', true],
    ['video/VP9', undefined, true],
    ['video/VP9', 'profile-id=2', false],
    ['video/AV1', 'level-idx=5;profile=0;tier=0', true],
    ['video/AV1', 'level-idx=5;profile=1;tier=0', false],
    ['video/H264', 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f', true],
    ['video/H264', 'level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42E01F', true],
    ['video/H264', 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f', false],
    ['video/H265', 'level-id=93;profile-id=1', false],
    ['video/red', undefined, false],
    ['video/ulpfec', undefined, false],
    ['video/flexfec-03', 'repair-window=10000000', false],
  ];
  test.each(table)('%s %s: %s', (mimeType, sdpFmtpLine, forwarded) => {
    expect(isForwarded(sdpFmtpLine === undefined ? { mimeType } : { mimeType, sdpFmtpLine })).toBe(forwarded);
  });
});
