/**
 * Pages that send one picture in a codec and layers of their choice, or show one at a width of their choice. Each function
 * runs inside a page, so it must stand alone.
 */

declare global {
  interface Window {
    studio: { connection: RTCPeerConnection; say(body: unknown): void; shown: { participant_id: string; source: string } | null };
  }
}

export interface Call {
  readonly url: string;
  readonly token: string;
  readonly name: string;
}

export interface Encoding extends RTCRtpEncodingParameters {
  readonly scalabilityMode?: string;
}

/** What a camera of this width sends. */
export interface Picture {
  readonly mimeType: string;
  readonly width: number;
  readonly encodings: readonly Encoding[];
}

/** What a viewer has been shown. */
export interface Shown {
  readonly mimeType: string;
  readonly width: number;
  readonly frames: number;
  readonly freezes: number;
}

/** Publishes a picture, or shows the first that somebody else publishes. */
export async function take({ url, token, name, picture }: Call & { picture?: Picture }): Promise<void> {
  const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  let line: RTCRtpTransceiver;
  if (picture === undefined) {
    line = connection.addTransceiver('video', { direction: 'recvonly' });
    connection.ontrack = ({ track }) => {
      const video = document.createElement('video');
      video.muted = true;
      video.srcObject = new MediaStream([track]);
      document.body.append(video);
      void video.play().catch(() => undefined);
    };
  } else {
    const video = { width: picture.width, height: (picture.width * 9) / 16, frameRate: 10 };
    const stream: MediaStream = await navigator.mediaDevices.getUserMedia({ video });
    const { width } = stream.getVideoTracks()[0]!.getSettings();
    if (width !== picture.width) throw new Error(`the camera is ${width} pixels wide, not ${picture.width}`);
    const sendEncodings = picture.encodings.map((encoding) => ({ ...encoding }));
    line = connection.addTransceiver(stream.getVideoTracks()[0]!, { direction: 'sendonly', sendEncodings });
    const isMeant = ({ mimeType, sdpFmtpLine }: RTCRtpCodec): boolean =>
      mimeType === 'video/rtx' || (mimeType === picture.mimeType && /^$|42e01f|profile-id=0|profile=0/.test(sdpFmtpLine ?? ''));
    line.setCodecPreferences(RTCRtpSender.getCapabilities('video')!.codecs.filter(isMeant));
  }
  // Chromium knows the dependency descriptor and offers it only when it is asked to.
  type Extension = { uri: string; direction: RTCRtpTransceiverDirection };
  const extensible = line as unknown as {
    getHeaderExtensionsToNegotiate(): Extension[];
    setHeaderExtensionsToNegotiate(extensions: Extension[]): void;
  };
  const wanted = extensible.getHeaderExtensionsToNegotiate();
  for (const extension of wanted) if (extension.uri.includes('dependency-descriptor')) extension.direction = 'sendrecv';
  extensible.setHeaderExtensionsToNegotiate(wanted);

  const offer = await connection.createOffer();
  await connection.setLocalDescription(offer);
  const socket = new WebSocket(url, 'tuppence.v1');
  let seq = 0;
  const say = (body: unknown): void => socket.send(JSON.stringify({ type: 'event', seq: ++seq, body }));
  window.studio = { connection, say, shown: null };
  const sends = picture === undefined ? [] : [{ mid: line.mid, source: 'camera' }];
  socket.onopen = () => socket.send(JSON.stringify({ type: 'join', token, offer: offer.sdp, sends, name }));
  socket.onmessage = async ({ data }) => {
    const frame = JSON.parse(String(data)) as { type: string; seq?: number; answer?: string; body?: { type: string; slots: Window['studio']['shown'][] } };
    if (frame.type === 'joined') {
      await connection.setRemoteDescription({ type: 'answer', sdp: frame.answer ?? '' });
      say({ type: 'enter', name, muted: [] });
    }
    if (frame.type === 'event') socket.send(JSON.stringify({ type: 'ack', seq: frame.seq }));
    if (frame.type === 'ping') socket.send(JSON.stringify({ type: 'pong' }));
    if (frame.body?.type === 'slots') window.studio.shown = frame.body.slots[0] ?? null;
  };
  await new Promise<void>((done, failed) => {
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === 'connected') done();
      if (connection.connectionState === 'failed') failed(new Error('the media connection failed'));
    };
  });
}

/** Says how wide the picture is shown. */
export function show(width: number): void {
  const { shown, say } = window.studio;
  say({ type: 'view', wants: [{ participant_id: shown!.participant_id, source: shown!.source, width, height: (width * 9) / 16 }] });
}

/** What is shown now; `null` before the first picture. */
export async function shown(): Promise<Shown | null> {
  const reports = await window.studio.connection.getStats();
  for (const report of reports.values()) {
    if (report.type !== 'inbound-rtp' || report.kind !== 'video' || !report.framesDecoded) continue;
    const { mimeType } = reports.get(report.codecId);
    return { mimeType, width: report.frameWidth, frames: report.framesDecoded, freezes: report.freezeCount ?? 0 };
  }
  return null;
}

/** The layers that a publisher sends now: widths of simulcast, or the scalability mode. */
export async function sent(): Promise<string[]> {
  const layers: string[] = [];
  for (const report of (await window.studio.connection.getStats()).values()) {
    if (report.type !== 'outbound-rtp' || !report.framesEncoded) continue;
    layers.push(`${report.rid ?? ''} ${report.frameWidth} ${report.scalabilityMode ?? ''} ${report.encoderImplementation ?? ''}`);
  }
  return layers;
}

/** Whether this browser can encode a codec. */
export function canSend(mimeType: string): boolean {
  return RTCRtpSender.getCapabilities('video')!.codecs.some((codec) => codec.mimeType === mimeType);
}
