/**
 * Pages that know WHIP and WHEP and nothing of us: `fetch`, `RTCPeerConnection` and the two protocols. Each function runs
 * inside a page, so it must stand alone.
 */

declare global {
  interface Window {
    resource: { connection: RTCPeerConnection; location: string; etag: string; token: string; answer: string };
  }
}

export interface Endpoint {
  readonly url: string;
  readonly token: string;
}

/** Publishes camera and microphone, or watches, as the address says; answers with the address of the resource. */
export async function make({ url, token }: Endpoint): Promise<string> {
  const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  if (url.includes('/whip/')) {
    const stream: MediaStream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
    for (const track of stream.getTracks()) connection.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
  } else {
    connection.addTransceiver('audio', { direction: 'recvonly' });
    connection.addTransceiver('video', { direction: 'recvonly' });
  }
  await connection.setLocalDescription();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/sdp' };
  const response: Response = await fetch(url, { method: 'POST', headers, body: connection.localDescription!.sdp });
  const answer: string = await response.text();
  if (response.status !== 201) throw new Error(`${response.status} ${answer}`);
  await connection.setRemoteDescription({ type: 'answer', sdp: answer });
  await new Promise<void>((done, failed) => {
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === 'connected') done();
      if (connection.connectionState === 'failed') failed(new Error('the media connection failed'));
    };
  });
  const header = (name: string): string => response.headers.get(name) ?? '';
  const location: string = new URL(header('location'), url).href;
  window.resource = { connection, location, etag: header('etag'), token, answer };
  return location;
}

/** Tells the candidates that were gathered after the offer; answers with the status. */
export async function trickle(): Promise<number> {
  const { connection, location, etag, token } = window.resource;
  const lines: string[] = connection.localDescription!.sdp.split('\r\n');
  const kept: string[] = lines.filter((line) => /^a=(ice-ufrag|ice-pwd|candidate):/.test(line));
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': etag };
  const response: Response = await fetch(location, { method: 'PATCH', headers, body: [...new Set(kept), ''].join('\r\n') });
  return response.status;
}

/** Restarts ICE as a page does whose network has changed; answers with the new entity tag. */
export async function restart(): Promise<string> {
  const { connection, location, token, answer } = window.resource;
  connection.restartIce();
  await connection.setLocalDescription();
  const offer: string = connection.localDescription!.sdp;
  const find = (sdp: string, name: string): string => new RegExp(`^a=${name}:(.*)$`, 'm').exec(sdp)![1]!.trim();
  const body = `a=ice-ufrag:${find(offer, 'ice-ufrag')}\r\na=ice-pwd:${find(offer, 'ice-pwd')}\r\n`;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '*' };
  const response: Response = await fetch(location, { method: 'PATCH', headers, body });
  const fragment: string = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${fragment}`);
  const ours = (sdp: string, name: string): string => sdp.replace(new RegExp(`^a=${name}:.*$`, 'gm'), `a=${name}:${find(fragment, name)}`);
  const sdp: string = ours(ours(answer, 'ice-ufrag'), 'ice-pwd');
  await connection.setRemoteDescription({ type: 'answer', sdp });
  window.resource.etag = response.headers.get('etag') ?? '';
  return window.resource.etag;
}

/** Decoded frames and received packets of sound so far. */
export async function received(): Promise<{ frames: number; sound: number }> {
  const counted = { frames: 0, sound: 0 };
  for (const report of (await window.resource.connection.getStats()).values()) {
    if (report.type !== 'inbound-rtp') continue;
    if (report.kind === 'video') counted.frames += report.framesDecoded ?? 0;
    else counted.sound += report.packetsReceived ?? 0;
  }
  return counted;
}

/** Says goodbye; answers with the statuses of doing so twice. */
export async function end(): Promise<number[]> {
  const { connection, location, token } = window.resource;
  const headers = { authorization: `Bearer ${token}` };
  const first: Response = await fetch(location, { method: 'DELETE', headers });
  const second: Response = await fetch(location, { method: 'DELETE', headers });
  connection.close();
  return [first.status, second.status];
}
