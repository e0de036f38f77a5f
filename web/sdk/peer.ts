import type { IceServer, Kind, SendLine, SlotInfo, Source } from './protocol.ts';

/** Receive places of the first offer, and how far video places may grow. */
export const AUDIO_SLOTS = 3;
export const VIDEO_SLOTS = 6;
export const VIDEO_SLOTS_MAX = 26;
const VIDEO_SLOTS_STEP = 4;
/** Bytes that wait in a channel for messages at most. */
const MESSAGES_WAITING_MAX = 256 * 1024;

/** A receive place and the track that plays in it: one track for the whole life of the connection. */
export interface Slot extends SlotInfo {
  readonly track: MediaStreamTrack;
}

/** Layers of the camera, smallest first. A hub that takes one layer only answers without simulcast, and the browser sends the first. */
const CAMERA_LAYERS: readonly RTCRtpEncodingParameters[] = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];
const SCREEN_LAYER: RTCRtpEncodingParameters = { maxBitrate: 2_500_000 };

/**
 * Whether the hub forwards what a codec makes. All else that a browser knows is answered by nobody, but makes an offer twice as
 * long and takes the browser its time with every line.
 */
export function isForwarded({ mimeType, sdpFmtpLine = '' }: Pick<RTCRtpCodec, 'mimeType' | 'sdpFmtpLine'>): boolean {
  switch (mimeType.toLowerCase()) {
    case 'audio/opus':
    case 'audio/red':
    case 'video/vp8':
    case 'video/rtx':
      return true;
    case 'video/vp9':
      return !/profile-id=[1-9]/.test(sdpFmtpLine);
    case 'video/av1':
      return !/profile=[1-9]/.test(sdpFmtpLine);
    case 'video/h264':
      // Constrained baseline.
      return /profile-level-id=42e0/i.test(sdpFmtpLine);
    default:
      return false;
  }
}

/** Offers no more than that on a line; in a browser that cannot be told, everything. */
function offerForwarded(line: RTCRtpTransceiver, kind: Kind): void {
  const known = globalThis.RTCRtpReceiver?.getCapabilities(kind)?.codecs;
  if (known) line.setCodecPreferences?.(known.filter(isForwarded));
}

/** All lines over one connection. */
function configuration(servers: readonly IceServer[]): RTCConfiguration {
  const iceServers: RTCIceServer[] = servers.map((server) => ({ ...server, urls: [...server.urls] }));
  return { bundlePolicy: 'max-bundle', ...(iceServers.length > 0 ? { iceServers } : {}) };
}

/** Header extensions of a line (W3C, WebRTC Extensions, §5.2); not in every browser. */
interface Extensible {
  getHeaderExtensionsToNegotiate?(): { readonly uri: string; direction: RTCRtpTransceiverDirection }[];
  setHeaderExtensionsToNegotiate?(extensions: readonly object[]): void;
}

/** Offers the dependency descriptor where the browser knows it, which it keeps to itself until asked: what tells layers of AV1 apart. */
function offerDependencies(line: RTCRtpTransceiver & Extensible): void {
  const extensions = line.getHeaderExtensionsToNegotiate?.();
  const dependencies = extensions?.find(({ uri }) => uri.includes('dependency-descriptor'));
  if (!dependencies) return;
  dependencies.direction = 'sendrecv';
  line.setHeaderExtensionsToNegotiate?.(extensions ?? []);
}

/**
 * The one peer connection of a call. It always offers: four lines to send on, silent until a track is put on them,
 * and receive slots. Who plays in which slot is data; people coming and going negotiate nothing.
 */
export class Peer {
  readonly #pc: RTCPeerConnection;
  readonly #hubBegins: boolean;
  readonly #senders = new Map<Source, RTCRtpTransceiver>();
  #channels: { readonly reliable: RTCDataChannel; readonly lossy: RTCDataChannel } | undefined;
  #slots: readonly Slot[] = [];
  #growing = false;
  /** The browser has taken on what was offered last. */
  #offered: Promise<void> = Promise.resolve();

  /** With servers, ways through them are looked for from the start. */
  constructor(onState: (state: RTCPeerConnectionState) => void, hubBegins: boolean = true, servers: readonly IceServer[] = []) {
    this.#hubBegins = hubBegins;
    this.#pc = new RTCPeerConnection(configuration(servers));
    this.#pc.onconnectionstatechange = () => onState(this.#pc.connectionState);
    this.#addSender('microphone', 'audio');
    this.#addSender('camera', 'video', CAMERA_LAYERS);
    this.#addSender('screen', 'video', [SCREEN_LAYER]);
    this.#addSender('screen_audio', 'audio');
    this.#addSlots('audio', AUDIO_SLOTS);
    this.#addSlots('video', VIDEO_SLOTS);
  }

  /** Opens both channels for messages. Before the first offer. */
  openMessages(onMessage: (data: ArrayBuffer) => void): void {
    // Both sides know them without asking, so that they are open as soon as the connection is.
    const open = (label: string, how: RTCDataChannelInit): RTCDataChannel => {
      const channel: RTCDataChannel = this.#pc.createDataChannel(label, { negotiated: true, ...how });
      channel.binaryType = 'arraybuffer';
      channel.onmessage = ({ data }) => data instanceof ArrayBuffer && onMessage(data);
      return channel;
    };
    this.#channels = { reliable: open('messages', { id: 0 }), lossy: open('lossy', { id: 1, ordered: false, maxRetransmits: 0 }) };
  }

  /** Sends a message. Answers false when the channel is not open, or too much waits in it. */
  message(bytes: Uint8Array<ArrayBuffer>, reliable: boolean): boolean {
    const channel: RTCDataChannel | undefined = reliable ? this.#channels?.reliable : this.#channels?.lossy;
    if (channel?.readyState !== 'open' || channel.bufferedAmount > MESSAGES_WAITING_MAX) return false;
    channel.send(bytes);
    return true;
  }

  /** The receive places that the hub has answered. */
  get slots(): readonly Slot[] {
    return this.#slots;
  }

  get state(): RTCPeerConnectionState {
    return this.#pc.connectionState;
  }

  /**
   * A new offer. No candidate is in it: the hub needs none, and it learns no address before the first check. The browser
   * leaves open who begins the DTLS handshake; told `passive`, the hub begins it, a round trip earlier, and with AES-GCM.
   * The browser takes it on while it travels, which takes about as long as the hub takes to answer.
   */
  async offer(): Promise<{ offer: string; sends: readonly SendLine[] }> {
    const description = await this.#pc.createOffer();
    const sdp: string = description.sdp ?? '';
    this.#offered = this.#pc.setLocalDescription(description);
    // What the browser does not take on, it takes no answer to, and says so then.
    this.#offered.catch(() => undefined);
    const setup: string = this.#hubBegins ? 'passive' : 'active';
    return { offer: sdp.replaceAll('a=setup:actpass', `a=setup:${setup}`), sends: this.#sendLines(sdp) };
  }

  /** Takes the hub's answer; the slots play from now on. */
  async answered(answer: string, slots: readonly SlotInfo[]): Promise<void> {
    await this.#offered;
    await this.#pc.setRemoteDescription({ type: 'answer', sdp: answer });
    this.#slots = Object.freeze(slots.flatMap((slot) => this.#withTrack(slot)));
    this.#growing = false;
  }

  /** Adds receive places if more video tracks exist than places. Answers false if nothing is to be offered. */
  grow(videoTracks: number): boolean {
    const places: number = this.#slots.filter((slot) => slot.kind === 'video').length;
    const wanted: number = Math.min(videoTracks, VIDEO_SLOTS_MAX);
    if (this.#growing || wanted <= places || this.#pc.signalingState !== 'stable') return false;
    const target: number = Math.min(VIDEO_SLOTS_MAX, Math.max(wanted, places + VIDEO_SLOTS_STEP));
    this.#growing = true;
    this.#addSlots('video', target - places);
    return true;
  }

  /** Lets the next offer look for a way anew, through these servers, too (an ICE restart). Answers false while an offer is under way. */
  restart(servers: readonly IceServer[]): boolean {
    if (this.#pc.signalingState !== 'stable') return false;
    if (servers.length > 0) this.#pc.setConfiguration(configuration(servers));
    this.#pc.restartIce();
    return true;
  }

  /** Takes an offer back that the hub refused. */
  async rollback(): Promise<void> {
    await this.#offered;
    if (this.#pc.signalingState === 'have-local-offer') await this.#pc.setLocalDescription({ type: 'rollback' });
  }

  /** Puts a track on a line, or nothing. Needs no negotiation. */
  async put(source: Source, track: MediaStreamTrack | null): Promise<void> {
    await this.#senders.get(source)?.sender.replaceTrack(track);
  }

  /** Rests these encodings of a picture, which nobody is shown, and sends the others. */
  async rest(source: Source, rids: readonly string[]): Promise<void> {
    const sender: RTCRtpSender | undefined = this.#senders.get(source)?.sender;
    if (!sender) return;
    const parameters: RTCRtpSendParameters = sender.getParameters();
    for (const encoding of parameters.encodings) encoding.active = encoding.rid === undefined || !rids.includes(encoding.rid);
    await sender.setParameters(parameters);
  }

  /** Whether media go through a server on the way to the node. */
  async isRelayed(): Promise<boolean> {
    const report = new Map<string, { type: string; selectedCandidatePairId?: string; localCandidateId?: string; candidateType?: string }>(await this.stats());
    const pairs = [...report.values()].map(({ selectedCandidatePairId }) => report.get(selectedCandidatePairId ?? ''));
    return pairs.some((pair) => report.get(pair?.localCandidateId ?? '')?.candidateType === 'relay');
  }

  stats(): Promise<RTCStatsReport> {
    return this.#pc.getStats();
  }

  close(): void {
    this.#pc.onconnectionstatechange = null;
    this.#pc.close();
  }

  #addSender(source: Source, kind: Kind, sendEncodings?: readonly RTCRtpEncodingParameters[]): void {
    const encodings = sendEncodings ? { sendEncodings: sendEncodings.map((layer) => ({ ...layer })) } : {};
    this.#senders.set(source, this.#addLine(kind, { direction: 'sendonly', ...encodings }));
  }

  #addSlots(kind: Kind, howMany: number): void {
    for (let added = 0; added < howMany; added++) this.#addLine(kind, { direction: 'recvonly' });
  }

  #addLine(kind: Kind, init: RTCRtpTransceiverInit): RTCRtpTransceiver {
    const line: RTCRtpTransceiver = this.#pc.addTransceiver(kind, init);
    offerForwarded(line, kind);
    if (kind === 'video') offerDependencies(line);
    return line;
  }

  /** The lines that can be sent on come first in an offer. Until it is taken on, only the offer itself has their names. */
  #sendLines(sdp: string): readonly SendLine[] {
    const mids: readonly string[] = [...sdp.matchAll(/^a=mid:(\S+)/gm)].flatMap(([, mid]) => mid ?? []);
    return [...this.#senders].flatMap(([source, line], at) => {
      const mid: string | undefined = line.mid ?? mids[at];
      return mid === undefined ? [] : [{ mid, source }];
    });
  }

  #withTrack(slot: SlotInfo): readonly Slot[] {
    const place = this.#pc.getTransceivers().find((transceiver) => transceiver.mid === slot.mid);
    return place ? [{ ...slot, track: place.receiver.track }] : [];
  }
}
