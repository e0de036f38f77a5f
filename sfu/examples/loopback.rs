//! A node with the smallest signalling there is: one page that joins, clicks and shows what comes.
//!
//! `cargo run -p sfu --example loopback`, then open <http://localhost:8088/> in two tabs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use sfu::control::{Command, Event, LegId, RoomId, TenantId, Want};
use sfu::{Handle, Node, NodeConfig};
use uuid::Uuid;

type Waiting = Arc<Mutex<BTreeMap<LegId, mpsc::Sender<Event>>>>;

fn main() {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "/tmp/sfu-loopback".into());
    let (node, mut events) = Node::start(NodeConfig {
        listen: ([0, 0, 0, 0], 0).into(),
        advertise: Vec::new(),
        journal_dir: directory.into(),
        shards: 1,
        legs_max: 1_000,
        egress: sfu::EgressKind::Own,
        ways: sfu::Ways::Both,
        turn: None,
    })
    .expect("the node starts");
    let waiting = Waiting::default();
    let (told, acknowledge) = (waiting.clone(), node.clone());
    std::thread::spawn(move || {
        while let Some(event) = events.blocking_recv() {
            match &event {
                Event::Usage { batch, facts } => {
                    let totals: Vec<String> = facts
                        .iter()
                        .map(|fact| format!("{} {}", fact.meter.as_str(), fact.quantity))
                        .collect();
                    eprintln!("usage {totals:?}");
                    let _busy = acknowledge.send(Command::UsageStored { batch: *batch });
                }
                Event::Joined { leg, .. } | Event::Refused { leg, .. } => {
                    if let Some(page) = told.lock().expect("no panic holds it").remove(leg) {
                        let _gone = page.send(event.clone());
                    }
                }
                other => eprintln!("{other:?}"),
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:8088").expect("port 8088 is free");
    eprintln!("http://localhost:8088/ (media on UDP port {})", node.local_addr().port());
    for stream in listener.incoming().flatten() {
        let (node, waiting) = (node.clone(), waiting.clone());
        std::thread::spawn(move || serve(stream, &node, &waiting));
    }
}

fn serve(mut stream: TcpStream, node: &Handle, waiting: &Waiting) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (kind, answer) = match first.split(' ').nth(1)? {
        "/" => ("text/html", PAGE.to_owned()),
        path => ("application/json", act(path, &body, node, waiting)?.to_string()),
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", answer.len());
    stream.write_all((head + &answer).as_bytes()).ok()
}

fn act(path: &str, body: &[u8], node: &Handle, waiting: &Waiting) -> Option<Value> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let leg = LegId(serde_json::from_value(body["leg"].clone()).ok()?);
    let room = body["room"].as_str().unwrap_or("room");
    match path {
        "/join" => {
            let (page, answer) = mpsc::channel();
            waiting.lock().expect("no panic holds it").insert(leg, page);
            let room = RoomId(Uuid::from_u128(u128::from(crc32fast::hash(room.as_bytes()))));
            let offer = body["offer"].as_str()?.to_owned();
            let sends = serde_json::from_value(body["sends"].clone()).ok()?;
            node.send(Command::Join { leg, room, tenant: TenantId(Uuid::nil()), offer, sends }).ok()?;
            match answer.recv_timeout(Duration::from_secs(5)).ok()? {
                Event::Joined { answer, slots, .. } => Some(json!({ "answer": answer, "slots": slots })),
                other => Some(json!({ "refused": format!("{other:?}") })),
            }
        }
        "/enter" => node.send(Command::Enter { leg }).ok().map(|()| json!({})),
        "/leave" => node.send(Command::Leave { leg }).ok().map(|()| json!({})),
        "/view" => {
            let wants: Vec<Want> = serde_json::from_value(body["wants"].clone()).ok()?;
            node.send(Command::View { leg, wants }).ok().map(|()| json!({}))
        }
        _ => None,
    }
}

const PAGE: &str = r#"<!doctype html><title>loopback</title><div id=videos></div><button onclick="join().then(enter)">Join</button>
<script>
const post = (path, body) => fetch(path, { method: 'POST', body: JSON.stringify(body) }).then(r => r.json());
async function join(options = {}) {
  const { codec, simulcast, room = 'room', send = true, slots = 4 } = options;
  const leg = crypto.randomUUID();
  const pc = window.pc = new RTCPeerConnection();
  window.me = { leg, room, tracks: [] };
  const sends = [];
  const kinds = [];
  if (send) {
    const stream = window.stream ??= await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 960, height: 540 } });
    pc.addTransceiver(stream.getAudioTracks()[0], { direction: 'sendonly', streams: [stream] });
    kinds.push('microphone');
    const encodings = simulcast
      ? [{ rid: 'q', scaleResolutionDownBy: 4 }, { rid: 'h', scaleResolutionDownBy: 2 }, { rid: 'f' }] : [{}];
    const video = pc.addTransceiver(stream.getVideoTracks()[0], { direction: 'sendonly', streams: [stream], sendEncodings: encodings });
    if (codec) {
      const all = RTCRtpReceiver.getCapabilities('video').codecs;
      video.setCodecPreferences(all.filter(c => c.mimeType.toLowerCase() === 'video/' + codec).concat(all.filter(c => /rtx/.test(c.mimeType))));
    }
    kinds.push('camera');
  }
  for (let n = 0; n < 3; n++) pc.addTransceiver('audio', { direction: 'recvonly' });
  for (let n = 0; n < slots; n++) pc.addTransceiver('video', { direction: 'recvonly' });
  pc.createDataChannel('x');
  window.frames_seen = 0;
  window.first_frame = new Promise(done => {
    pc.ontrack = ({ track, streams }) => {
      const element = document.createElement(track.kind);
      element.autoplay = true; element.playsInline = true; element.width = 240;
      element.srcObject = new MediaStream([track]);
      document.querySelector('#videos').append(element);
      me.tracks.push({ track, element, seat: streams[0]?.id });
      if (track.kind === 'video') {
        const onframe = (now, meta) => { frames_seen++; done(performance.now()); element.requestVideoFrameCallback(onframe); };
        element.requestVideoFrameCallback(onframe);
      }
    };
  });
  window.connected = new Promise(done => pc.onconnectionstatechange = () => pc.connectionState === 'connected' && done(performance.now()));
  await pc.setLocalDescription();
  const mids = pc.getTransceivers().map(t => t.mid);
  kinds.forEach((source, n) => sends.push({ mid: mids[n], source }));
  const answer = await post('/join', { leg, room, offer: pc.localDescription.sdp, sends });
  if (!answer.answer) throw new Error(JSON.stringify(answer));
  window.answer = answer;
  await pc.setRemoteDescription({ type: 'answer', sdp: answer.answer });
}
const enter = () => post('/enter', { leg: me.leg });
const leave = async () => { await post('/leave', { leg: me.leg }); pc.close(); document.querySelector('#videos').replaceChildren(); };
async function stats() {
  const out = { video: [], audio: [], pair: null, dtls: null };
  for (const s of (await pc.getStats()).values()) {
    if (s.type === 'inbound-rtp' && s.kind === 'video' && s.framesDecoded) out.video.push({ mid: s.mid, frames: s.framesDecoded, dropped: s.framesDropped, width: s.frameWidth, freezes: s.freezeCount, nacks: s.nackCount, plis: s.pliCount, lost: s.packetsLost, codec: s.codecId, keys: s.keyFramesDecoded });
    if (s.type === 'inbound-rtp' && s.kind === 'audio' && s.packetsReceived) out.audio.push({ mid: s.mid, energy: s.totalAudioEnergy, packets: s.packetsReceived, concealed: s.concealedSamples });
    if (s.type === 'outbound-rtp' && s.kind === 'video') (out.sent ??= []).push({ rid: s.rid, frames: s.framesEncoded, keys: s.keyFramesEncoded, plis: s.pliCount, width: s.frameWidth });
    if (s.type === 'transport') out.dtls = { state: s.dtlsState, tls: s.tlsVersion, srtp: s.srtpCipher, role: s.dtlsRole };
  }
  return out;
}
</script>"#;
