//! The WebSocket as a page uses it, in plain JSON.

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a story waits for a frame before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection to `/v1/ws`. Answers heartbeats, numbers events, and remembers what it has received.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    sent: u64,
    received: u64,
}

impl Socket {
    /// Connects with the protocol's subprotocol name.
    ///
    /// # Errors
    /// The upgrade is refused.
    pub async fn open(url: &str) -> Result<Socket> {
        Socket::open_from(url, None).await
    }

    /// Connects as a page of `origin` would.
    ///
    /// # Errors
    /// The upgrade is refused.
    pub async fn open_from(url: &str, origin: Option<&str>) -> Result<Socket> {
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "tuppence.v1".parse()?);
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse()?);
        }
        let (stream, _) = tokio_tungstenite::connect_async(request).await.context("opening the WebSocket")?;
        Ok(Socket { stream, sent: 0, received: 0 })
    }

    /// Opens and joins without media: enough for stories about messages.
    ///
    /// # Errors
    /// The join is refused.
    pub async fn join(url: &str, token: &str) -> Result<(Socket, Value)> {
        let mut socket = Socket::open(url).await?;
        socket
            .send(&json!({ "type": "join", "token": token, "offer": minimal_offer(), "sends": [] }))
            .await?;
        let joined = socket.frame("joined").await?;
        Ok((socket, joined))
    }

    /// Opens and continues a session; `received` is the greatest event number seen before.
    ///
    /// # Errors
    /// The session does not go on.
    pub async fn resume(url: &str, resume: &str, sent: u64, received: u64) -> Result<(Socket, Value)> {
        let mut socket = Socket::open(url).await?;
        socket.send(&json!({ "type": "resume", "resume": resume, "received": received })).await?;
        let resumed = socket.frame("resumed").await?;
        (socket.sent, socket.received) = (sent, received);
        Ok((socket, resumed))
    }

    /// Sends any frame.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn send(&mut self, frame: &Value) -> Result<()> {
        self.send_text(frame.to_string()).await
    }

    /// Sends any text.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn send_text(&mut self, text: String) -> Result<()> {
        Ok(self.stream.send(Message::text(text)).await?)
    }

    /// Sends any bytes as a binary message.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<()> {
        Ok(self.stream.send(Message::binary(bytes)).await?)
    }

    /// Sends the next numbered event and returns its number.
    ///
    /// # Errors
    /// The socket is closed.
    pub async fn event(&mut self, body: Value) -> Result<u64> {
        self.sent += 1;
        let seq = self.sent;
        self.send(&json!({ "type": "event", "seq": seq, "body": body })).await?;
        Ok(seq)
    }

    /// The next frame that is no `ping`; `None` once the server has closed the socket.
    ///
    /// # Errors
    /// Nothing comes, or something that is no JSON.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            let message =
                tokio::time::timeout(PATIENCE, self.stream.next()).await.context("no frame came")?;
            let Some(text) = text_of(message)? else { return Ok(None) };
            let Some(text) = text else { continue };
            let frame: Value = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
            if frame["type"] == "ping" {
                self.send(&json!({ "type": "pong" })).await?;
                continue;
            }
            if frame["type"] == "event" {
                self.received =
                    self.received.max(frame["seq"].as_u64().context("an event without a number")?);
            }
            return Ok(Some(frame));
        }
    }

    /// The next frame of this type; others are passed over.
    ///
    /// # Errors
    /// The server refuses or closes first.
    pub async fn frame(&mut self, wanted: &str) -> Result<Value> {
        loop {
            let frame = self.next().await?.with_context(|| format!("closed before `{wanted}`"))?;
            if frame["type"] == wanted {
                return Ok(frame);
            }
            if frame["type"] == "refused" {
                bail!("refused: {frame}");
            }
        }
    }

    /// The body of the next event of this type; others are passed over.
    ///
    /// # Errors
    /// The server refuses or closes first.
    pub async fn server_event(&mut self, wanted: &str) -> Result<Value> {
        loop {
            let frame = self.frame("event").await?;
            if frame["body"]["type"] == wanted {
                return Ok(frame["body"].clone());
            }
        }
    }

    /// Everything that comes within `time`.
    ///
    /// # Errors
    /// Something comes that is no JSON.
    pub async fn collect(&mut self, time: Duration) -> Result<Vec<Value>> {
        let mut frames = Vec::new();
        let end = tokio::time::Instant::now() + time;
        while let Ok(next) = tokio::time::timeout_at(end, self.next()).await {
            match next? {
                Some(frame) => frames.push(frame),
                None => break,
            }
        }
        Ok(frames)
    }

    /// The numbers of the last event sent and the last received.
    pub fn counters(&self) -> (u64, u64) {
        (self.sent, self.received)
    }

    /// Events up to this number were sent, over this socket or an earlier one.
    pub fn continue_from(&mut self, sent: u64) {
        self.sent = sent;
    }

    /// Lets the connection fall without a word, as a dropped network would.
    pub fn drop_connection(self) -> (u64, u64) {
        self.counters()
    }
}

/// The outer `None` is the end, the inner one a frame that says nothing.
fn text_of(message: Option<Result<Message, tungstenite::Error>>) -> Result<Option<Option<String>>> {
    Ok(match message {
        Some(Ok(Message::Text(text))) => Some(Some(text.to_string())),
        Some(Ok(Message::Close(_))) | None => None,
        Some(Ok(_)) => Some(None),
        Some(Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed)) => None,
        Some(Err(tungstenite::Error::Io(_) | tungstenite::Error::Protocol(_))) => None,
        Some(Err(error)) => return Err(error.into()),
    })
}

/// An offer that any WebRTC stack understands: one slot for sound and one for pictures. Nobody answers its checks.
pub fn minimal_offer() -> String {
    let head = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=msid-semantic: WMS\r\n";
    let transport = "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:aaaa\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=ice-options:trickle\r\na=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\n";
    let audio = "a=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n";
    let video = "a=mid:1\r\na=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n";
    format!(
        "{head}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}{audio}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n{transport}{video}"
    )
}
