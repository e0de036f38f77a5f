/**
 * Bare pages: the protocol spoken by hand, without the call page around it. Each function runs inside a page, so it must
 * stand alone.
 */

/** Milliseconds since nothing was there. */
export interface ColdMoments {
  readonly offer: number;
  readonly socketOpen: number;
  readonly joined: number;
  readonly ice: number;
  readonly connected: number;
  readonly firstPacket: number;
  readonly firstFrame: number;
}

/** A join from nothing. */
export interface ColdJoin {
  readonly moments: ColdMoments;
  /** Keyframes that the browser asked for by the first frame, as some of what it was sent was of no use to it. */
  readonly keyframesAsked: number;
}

/** The quickest way in that the protocol allows. */
export async function cold({ url, token }: { url: string; token: string }): Promise<ColdJoin> {
  const begun: number = performance.now();
  const moments = { offer: 0, socketOpen: 0, joined: 0, ice: 0, connected: 0, firstPacket: 0, firstFrame: 0 };
  const note = (moment: keyof typeof moments, at: number = performance.now()): void => {
    if (moments[moment] === 0) moments[moment] = at - begun;
  };

  const socket = new WebSocket(url, 'tuppence.v1');
  const opened = new Promise<void>((done) => {
    socket.onopen = () => {
      note('socketOpen');
      done();
    };
  });

  const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  connection.oniceconnectionstatechange = () => connection.iceConnectionState === 'connected' && note('ice');
  connection.onconnectionstatechange = () => connection.connectionState === 'connected' && note('connected');
  connection.addTransceiver('audio', { direction: 'sendonly' });
  const rids = [
    { rid: 'q', scaleResolutionDownBy: 4 },
    { rid: 'h', scaleResolutionDownBy: 2 },
    { rid: 'f', scaleResolutionDownBy: 1 },
  ];
  connection.addTransceiver('video', { direction: 'sendonly', sendEncodings: rids });
  for (let slot = 0; slot < 3; slot++) connection.addTransceiver('audio', { direction: 'recvonly' });
  for (let slot = 0; slot < 6; slot++) connection.addTransceiver('video', { direction: 'recvonly' });
  // As our pages do: what the hub does not forward makes the offer twice as long.
  const isForwarded = ({ mimeType, sdpFmtpLine = '' }: RTCRtpCodec): boolean =>
    /opus|VP8|rtx/.test(mimeType) || (/VP9|AV1|H264/.test(mimeType) && /profile-id=0|profile=0|42e01f/.test(sdpFmtpLine));
  const [sound, picture] = ['audio', 'video'].map((kind) => RTCRtpReceiver.getCapabilities(kind)!.codecs.filter(isForwarded));
  for (const line of connection.getTransceivers()) line.setCodecPreferences(line.receiver.track.kind === 'audio' ? sound! : picture!);

  const shown = new Promise<void>((done) => {
    connection.ontrack = ({ track }) => {
      if (track.kind !== 'video') return;
      const video = document.createElement('video');
      video.muted = true;
      video.srcObject = new MediaStream([track]);
      document.documentElement.append(video);
      void video.play().catch(() => undefined);
      video.requestVideoFrameCallback((_, metadata) => {
        note('firstFrame');
        note('firstPacket', metadata.receiveTime ?? performance.now());
        done();
      });
    };
  });

  const offer = await connection.createOffer();
  note('offer');
  // It is taken on while it travels; the answer waits for that in the browser.
  void connection.setLocalDescription(offer);
  await opened;
  const answered = new Promise<void>((done, failed) => {
    socket.onmessage = async ({ data }) => {
      const frame = JSON.parse(String(data)) as { type: string; answer?: string };
      if (frame.type === 'refused') failed(new Error(String(data)));
      if (frame.type !== 'joined') return;
      note('joined');
      // The click goes out with the answer's arrival; the hub lets media flow as soon as it can.
      socket.send(JSON.stringify({ type: 'event', seq: 1, body: { type: 'enter', name: 'Cold', muted: [] } }));
      await connection.setRemoteDescription({ type: 'answer', sdp: frame.answer ?? '' });
      done();
    };
  });
  // The lines get their names when the offer is taken on.
  const [microphone, camera] = [...(offer.sdp ?? '').matchAll(/^a=mid:(\S+)/gm)].map(([, mid]) => mid);
  const sends = [
    { mid: microphone, source: 'microphone' },
    { mid: camera, source: 'camera' },
  ];
  // `passive`: the hub begins the DTLS handshake.
  const passive: string = (offer.sdp ?? '').replaceAll('a=setup:actpass', 'a=setup:passive');
  socket.send(JSON.stringify({ type: 'join', token, offer: passive, sends, name: 'Cold' }));
  await answered;
  const late = new Promise<never>((_, failed) => setTimeout(() => failed(new Error(`no frame: ${JSON.stringify(moments)}`)), 10_000));
  await Promise.race([shown, late]);
  let keyframesAsked = 0;
  for (const report of (await connection.getStats()).values()) if (report.type === 'inbound-rtp') keyframesAsked += report.pliCount ?? 0;
  socket.send(JSON.stringify({ type: 'event', seq: 2, body: { type: 'leave' } }));
  connection.close();
  return { moments, keyframesAsked };
}

/** How long a browser takes when it has only itself to talk to. */
export interface AloneMoments {
  /** Of that, what the other end took to answer. */
  readonly answer: number;
  readonly firstFrame: number;
}

/**
 * What of a cold join is the browser's: two connections of one page, without a server, a socket, a token or a camera. There are
 * as many lines, and the picture is as large as the one that a newcomer is shown first.
 */
export async function alone(): Promise<AloneMoments> {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [240, 135];
  const context = canvas.getContext('2d')!;
  const picture = canvas.captureStream(20).getVideoTracks()[0]!;
  let hue = 0;
  setInterval(() => {
    context.fillStyle = `hsl(${(hue += 7)} 90% 50%)`;
    context.fillRect(0, 0, 240, 135);
  }, 50);
  const begun: number = performance.now();
  const [near, far] = [new RTCPeerConnection({ bundlePolicy: 'max-bundle' }), new RTCPeerConnection({ bundlePolicy: 'max-bundle' })];
  near.onicecandidate = ({ candidate }) => candidate && far.addIceCandidate(candidate);
  far.onicecandidate = ({ candidate }) => candidate && near.addIceCandidate(candidate);
  near.addTransceiver('audio', { direction: 'sendonly' });
  near.addTransceiver('video', { direction: 'sendonly' });
  for (let slot = 0; slot < 3; slot++) near.addTransceiver('audio', { direction: 'recvonly' });
  for (let slot = 0; slot < 6; slot++) near.addTransceiver('video', { direction: 'recvonly' });
  const isVp8 = ({ mimeType }: RTCRtpCodec): boolean => /opus|VP8|rtx/.test(mimeType);
  const [sound, sight] = ['audio', 'video'].map((kind) => RTCRtpReceiver.getCapabilities(kind)!.codecs.filter(isVp8));
  for (const line of near.getTransceivers()) line.setCodecPreferences(line.receiver.track.kind === 'audio' ? sound! : sight!);
  const shown = new Promise<void>((done) => {
    near.ontrack = ({ track }) => {
      if (track.kind !== 'video') return;
      const video = document.createElement('video');
      video.muted = true;
      video.srcObject = new MediaStream([track]);
      document.documentElement.append(video);
      void video.play().catch(() => undefined);
      video.requestVideoFrameCallback(() => done());
    };
  });
  const offer = await near.createOffer();
  const taken: Promise<void> = near.setLocalDescription(offer);
  const offered: number = performance.now();
  await far.setRemoteDescription(offer);
  const line = far.getTransceivers().findLast(({ receiver }) => receiver.track.kind === 'video')!;
  line.direction = 'sendonly';
  await line.sender.replaceTrack(picture);
  const answer = await far.createAnswer();
  const told: Promise<void> = far.setLocalDescription(answer);
  const answered: number = performance.now();
  await taken;
  await near.setRemoteDescription(answer);
  await told;
  await shown;
  const firstFrame: number = performance.now();
  near.close();
  far.close();
  return { answer: answered - offered, firstFrame: firstFrame - begun };
}

/** Somebody who comes in, and what they show: the camera in three layers, or noise in two, which takes all the bits it may. */
export interface Publisher {
  readonly url: string;
  readonly token: string;
  readonly name: string;
  readonly noise?: boolean;
  /** The voice goes out with each packet's predecessor (RFC 2198). */
  readonly red?: boolean;
  /** In place of all that, a slate: once a second a flash and a tone that begin together. */
  readonly slate?: boolean;
}

/**
 * Somebody who only talks and shows: a picture in layers and a microphone, nobody else's media. Light enough that two of
 * them leave a small machine to the one whose time is taken, as they would on machines of their own.
 */
export async function publish({ url, token, name, noise = false, red = false, slate = false }: Publisher): Promise<void> {
  const clap = (): MediaStream => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [640, 360];
    const context = canvas.getContext('2d')!;
    const audio = new AudioContext();
    const [tone, loudness, voice] = [audio.createOscillator(), audio.createGain(), audio.createMediaStreamDestination()];
    loudness.gain.value = 0;
    tone.connect(loudness).connect(voice);
    tone.start();
    const picture = canvas.captureStream(0).getVideoTracks()[0] as CanvasCaptureMediaStreamTrack;
    let ticks = 0;
    setInterval(() => {
      const isOn: boolean = ticks++ % 20 < 6;
      context.fillStyle = isOn ? 'white' : 'black';
      context.fillRect(0, 0, 640, 360);
      context.fillStyle = 'grey';
      context.fillRect((ticks * 8) % 640, 0, 16, 16);
      loudness.gain.setValueAtTime(isOn ? 0.5 : 0, audio.currentTime);
      picture.requestFrame();
    }, 50);
    return new MediaStream([picture, ...voice.stream.getTracks()]);
  };
  const seen = { audio: true, video: { width: 960, height: 540 } };
  const stream: MediaStream = slate ? clap() : await navigator.mediaDevices.getUserMedia(seen);
  const snow = (): MediaStreamTrack => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [640, 360];
    const context = canvas.getContext('2d')!;
    setInterval(() => {
      for (let block = 0; block < 400; block++) {
        context.fillStyle = `hsl(${Math.random() * 360} 90% ${Math.random() * 100}%)`;
        context.fillRect(Math.random() * 640, Math.random() * 360, 32, 32);
      }
    }, 66);
    return canvas.captureStream(15).getVideoTracks()[0]!;
  };
  const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const microphone = connection.addTransceiver(stream.getAudioTracks()[0]!, { direction: 'sendonly' });
  const isRed = ({ mimeType }: RTCRtpCodec): boolean => mimeType === 'audio/red';
  if (red) microphone.setCodecPreferences(RTCRtpSender.getCapabilities('audio')!.codecs.toSorted((a, b) => Number(isRed(b)) - Number(isRed(a))));
  const layers = [
    { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
    { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
    { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
  ];
  // Chromium sends a picture of this size in two layers at most.
  const sendEncodings = noise || slate ? layers.filter(({ rid }) => rid !== 'h') : layers;
  const picture: MediaStreamTrack = noise ? snow() : stream.getVideoTracks()[0]!;
  const camera = connection.addTransceiver(picture, { direction: 'sendonly', sendEncodings });
  const offer = await connection.createOffer();
  await connection.setLocalDescription(offer);
  const sends = [
    { mid: microphone.mid, source: 'microphone' },
    { mid: camera.mid, source: 'camera' },
  ];
  const socket = new WebSocket(url, 'tuppence.v1');
  socket.onopen = () => socket.send(JSON.stringify({ type: 'join', token, offer: offer.sdp, sends, name }));
  const connected = new Promise<void>((done) => {
    connection.onconnectionstatechange = () => connection.connectionState === 'connected' && done();
  });
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data)) as { type: string; seq?: number; answer?: string };
    if (frame.type === 'joined') {
      void connection.setRemoteDescription({ type: 'answer', sdp: frame.answer ?? '' });
      socket.send(JSON.stringify({ type: 'event', seq: 1, body: { type: 'enter', name, muted: [] } }));
    }
    if (frame.type === 'event') socket.send(JSON.stringify({ type: 'ack', seq: frame.seq }));
    if (frame.type === 'ping') socket.send(JSON.stringify({ type: 'pong' }));
  };
  await connected;
}

/** What a watching page has seen and heard. */
export interface Watched {
  /** Frames that were shown: when, by the page's clock, and how wide. */
  readonly frames: { at: number; width: number }[];
  readonly connection: RTCPeerConnection;
  /** Says how wide the picture is shown. */
  show(width: number): void;
}

declare global {
  interface Window {
    watched: Watched;
  }
}

/** Somebody who only watches and listens: one picture and one voice. */
export async function watch({ url, token, name }: { url: string; token: string; name: string }): Promise<void> {
  const connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  connection.addTransceiver('audio', { direction: 'recvonly' });
  connection.addTransceiver('video', { direction: 'recvonly' });
  const frames: Watched['frames'] = [];
  connection.ontrack = ({ track }) => {
    const element = document.createElement(track.kind === 'video' ? 'video' : 'audio');
    element.srcObject = new MediaStream([track]);
    element.autoplay = true;
    document.documentElement.append(element);
    if (!(element instanceof HTMLVideoElement)) return;
    element.muted = true;
    const look = (at: number, { width }: VideoFrameCallbackMetadata): void => {
      frames.push({ at, width });
      element.requestVideoFrameCallback(look);
    };
    element.requestVideoFrameCallback(look);
  };
  await connection.setLocalDescription();
  const socket = new WebSocket(url, 'tuppence.v1');
  let [seq, publisher] = [0, ''];
  const say = (body: unknown): void => socket.send(JSON.stringify({ type: 'event', seq: ++seq, body }));
  const show = (width: number): void => {
    const height: number = Math.round((width * 9) / 16);
    say({ type: 'view', wants: [{ participant_id: publisher, source: 'camera', width, height }] });
  };
  window.watched = { frames, connection, show };
  socket.onopen = () => socket.send(JSON.stringify({ type: 'join', token, offer: connection.localDescription!.sdp, sends: [], name }));
  socket.onmessage = ({ data }) => {
    type Slot = { source: string | null; participant_id: string };
    const frame = JSON.parse(String(data)) as { type: string; seq?: number; answer?: string; body?: { slots?: Slot[] } };
    const camera = frame.body?.slots?.find(({ source }) => source === 'camera');
    publisher = camera?.participant_id ?? publisher;
    if (frame.type === 'joined') {
      void connection.setRemoteDescription({ type: 'answer', sdp: frame.answer ?? '' });
      say({ type: 'enter', name, muted: [] });
    }
    if (frame.type === 'event') socket.send(JSON.stringify({ type: 'ack', seq: frame.seq }));
    if (frame.type === 'ping') socket.send(JSON.stringify({ type: 'pong' }));
  };
  await new Promise<void>((done) => {
    connection.onconnectionstatechange = () => connection.connectionState === 'connected' && done();
  });
}

/** What has come of the voice, in samples and packets. */
export interface Voice {
  readonly packets: number;
  readonly lost: number;
  readonly samples: number;
  readonly concealed: number;
  readonly energy: number;
}

/** Reads the voice's counters of a watching page. */
export async function voice(): Promise<Voice> {
  for (const report of (await window.watched.connection.getStats()).values()) {
    const stats = report as RTCInboundRtpStreamStats;
    if (stats.type !== 'inbound-rtp' || stats.kind !== 'audio') continue;
    const { packetsReceived = 0, packetsLost = 0, totalSamplesReceived = 0, concealedSamples = 0, totalAudioEnergy = 0 } = stats;
    const counts = { packets: packetsReceived, lost: packetsLost, samples: totalSamplesReceived };
    return { ...counts, concealed: concealedSamples, energy: totalAudioEnergy };
  }
  return { packets: 0, lost: 0, samples: 0, concealed: 0, energy: 0 };
}

declare global {
  interface Window {
    /** When flashes and tones of a slate began to be seen and heard, by the page's clock. */
    claps: { flashes: number[]; tones: number[] };
  }
}

/** Notes from now on when a watching page shows a slate's flashes and plays its tones. */
export function lookAndListen(): void {
  const claps: Window['claps'] = { flashes: [], tones: [] };
  window.claps = claps;
  const video = document.querySelector('video')!;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [1, 1];
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  let wasBright = true;
  const look = (at: number): void => {
    context.drawImage(video, 0, 0, 1, 1);
    const isBright: boolean = context.getImageData(0, 0, 1, 1).data[0]! > 128;
    if (isBright && !wasBright) claps.flashes.push(at);
    wasBright = isBright;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);

  const audio = new AudioContext();
  const analyser = new AnalyserNode(audio, { fftSize: 8192 });
  audio.createMediaStreamSource(document.querySelector('audio')!.srcObject as MediaStream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const first: number = samples.findIndex((sample) => Math.abs(sample) > 0.1);
    // The tone began within what is kept, if it is silent before.
    if (first < samples.length / 4) return;
    const at: number = performance.now() - ((samples.length - first) * 1000) / audio.sampleRate;
    if (at - (claps.tones.at(-1) ?? 0) > 500) claps.tones.push(at);
  }, 20);
}
