/** The outside of what only a browser has, for tests without one. */

export class FakeTrack {
  enabled = true;
  stopped = false;
  onended: (() => void) | null = null;
  contentHint = '';
  readonly label: string;
  constructor(label: string) {
    this.label = label;
  }
  getSettings(): MediaTrackSettings {
    return { deviceId: this.label };
  }
  stop(): void {
    this.stopped = true;
  }
}

/** Takes lines and tracks; connects when told to. */
export class FakePeerConnection {
  static made: FakePeerConnection[] = [];
  connectionState: RTCPeerConnectionState = 'new';
  signalingState: RTCSignalingState = 'stable';
  onconnectionstatechange: (() => void) | null = null;
  /** How many pictures come in. */
  pictures = 0;
  readonly sent: (FakeTrack | null)[] = [];
  readonly #lines: object[] = [];
  constructor(configuration: { iceServers?: readonly unknown[] } = {}) {
    this.setConfiguration(configuration);
    FakePeerConnection.made.push(this);
  }
  addTransceiver(): object {
    const line: number = this.#lines.length;
    this.sent.push(null);
    const replaceTrack = async (track: FakeTrack | null): Promise<void> => void (this.sent[line] = track);
    const added = { mid: String(line), sender: { replaceTrack }, receiver: { track: new FakeTrack(`from ${line}`) } };
    this.#lines.push(added);
    return added;
  }
  getTransceivers(): readonly object[] {
    return this.#lines;
  }
  async createOffer(): Promise<object> {
    return { type: 'offer', sdp: `offer ${FakePeerConnection.made.length} a=setup:actpass` };
  }
  /** How often another way was looked for, and through what. */
  restarts = 0;
  iceServers: readonly unknown[] = [];
  setConfiguration({ iceServers = [] }: { iceServers?: readonly unknown[] }): void {
    this.iceServers = iceServers;
  }
  restartIce(): void {
    this.restarts++;
  }
  async setLocalDescription(): Promise<void> {}
  async setRemoteDescription(): Promise<void> {}
  async getStats(): Promise<Map<string, object>> {
    const pictures = Array.from({ length: this.pictures }, (_, at) => [String(at), { type: 'inbound-rtp', kind: 'video', framesDecoded: 1 }] as const);
    return new Map(pictures);
  }
  close(): void {
    this.connectionState = 'closed';
  }
  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
  /** Labels of what is sent: microphone, camera, screen and its sound. */
  get sends(): readonly (string | undefined)[] {
    return this.sent.slice(0, 4).map((track) => track?.label);
  }
}
