//! A page: it answers pings, acknowledges events and remembers enough to resume.

use crate::service::Service;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

pub(crate) struct Page {
    socket: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    pub(crate) joined: Value,
    said: u64,
    pub(crate) heard: u64,
}

impl Page {
    pub(crate) async fn open(service: &Service) -> Self {
        Self::open_from(service, None).await
    }

    /// With an `Origin`, as a browser has it.
    pub(crate) async fn open_from(service: &Service, origin: Option<&str>) -> Self {
        let mut request = format!("ws://{}/v1/ws", service.address).into_client_request().expect("a request");
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "tuppence.v1".parse().expect("a header"));
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().expect("a header"));
        }
        let (socket, _) = connect_async(request).await.expect("connects");
        Self { socket: Some(socket), joined: Value::Null, said: 0, heard: 0 }
    }

    pub(crate) async fn send(&mut self, message: Message) {
        let socket = self.socket.as_mut().expect("open");
        socket.send(message).await.ok();
    }

    pub(crate) async fn frame(&mut self, frame: Value) {
        self.send(Message::Text(frame.to_string().into())).await;
    }

    /// The next frame that is not a ping; `None` once the socket is closed.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let socket = self.socket.as_mut().expect("open");
            let message = timeout(Duration::from_secs(5), socket.next()).await.expect("a frame within 5 s");
            let frame: Value = match message {
                Some(Ok(Message::Text(text))) => serde_json::from_str(&text).expect("JSON"),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return None,
            };
            match frame["type"].as_str() {
                Some("ping") => self.frame(json!({"type": "pong"})).await,
                Some("event") => {
                    let seq = frame["seq"].as_u64().expect("a number");
                    assert_eq!(seq, self.heard + 1, "in order, without gaps");
                    self.heard = seq;
                    self.frame(json!({"type": "ack", "seq": seq})).await;
                    return Some(frame);
                }
                _ => return Some(frame),
            }
        }
    }

    pub(crate) async fn join(&mut self, token: &str, name: &str) {
        self.frame(join(token, name)).await;
        self.joined = self.next().await.expect("an answer");
        assert_eq!(self.joined["type"], "joined", "{}", self.joined);
    }

    pub(crate) async fn say(&mut self, body: Value) {
        self.said += 1;
        self.frame(json!({"type": "event", "seq": self.said, "body": body})).await;
    }

    /// The next event of this type; others are passed over.
    pub(crate) async fn hear(&mut self, event: &str) -> Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("closed before {event}"));
            assert_ne!(frame["type"], "refused", "{frame}");
            if frame["body"]["type"] == event {
                return frame["body"].clone();
            }
        }
    }

    /// Waits until everything said is acknowledged.
    pub(crate) async fn hear_ack(&mut self) {
        loop {
            let frame = self.next().await.expect("an acknowledgement");
            if frame["type"] == "ack" && frame["seq"] == self.said {
                return;
            }
        }
    }

    /// The code of the refusal that closes the socket.
    pub(crate) async fn refusal(&mut self) -> String {
        let mut last = Value::Null;
        while let Some(frame) = self.next().await {
            last = frame;
        }
        assert_eq!(last["type"], "refused", "{last}");
        assert!(last["message"].as_str().is_some_and(|message| message.ends_with('.')), "{last}");
        last["code"].as_str().expect("a code").to_owned()
    }

    /// The connection breaks without a word.
    pub(crate) fn cut(&mut self) {
        self.socket.take();
    }

    /// Resumes over a new socket and answers the first frame.
    pub(crate) async fn resume(&mut self, service: &Service) -> Value {
        self.socket = Self::open(service).await.socket;
        let frame = json!({"type": "resume", "resume": self.joined["resume"], "received": self.heard});
        self.frame(frame).await;
        self.next().await.expect("an answer")
    }

    pub(crate) fn leg(&self) -> Uuid {
        self.id("leg_id")
    }

    pub(crate) fn participant(&self) -> Uuid {
        self.id("participant_id")
    }

    fn id(&self, field: &str) -> Uuid {
        self.joined["you"][field].as_str().and_then(|id| id.parse().ok()).expect("an id")
    }
}

pub(crate) fn join(token: &str, name: &str) -> Value {
    let sends = json!([{"mid": "0", "source": "microphone"}, {"mid": "1", "source": "camera"}]);
    json!({"type": "join", "token": token, "offer": "v=0", "sends": sends, "name": name})
}
