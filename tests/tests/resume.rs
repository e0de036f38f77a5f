//! A dropped WebSocket goes on where it was: nothing lost, nothing twice.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::time::Duration;
use tuppence_tests::{Home, Service, Socket};

/// What Ann says, one after the other, while both sockets fall again and again.
const NAMES: usize = 60;

/// A page that keeps what it sent and notes what it heard, and whose socket is cut.
struct Page {
    socket: Socket,
    resume: String,
    /// Bodies by number, from 1.
    sent: Vec<Value>,
    heard: Vec<(u64, Value)>,
}

#[tokio::test]
async fn a_dropped_socket_goes_on_with_nothing_lost_and_nothing_twice() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let mut ann = Page::enter(&service, &room_id, "ann").await?;
    let mut ben = Page::enter(&service, &room_id, "ben").await?;
    for number in 0..NAMES {
        ann.say(json!({ "type": "rename", "name": format!("Ann {number}") })).await?;
        match number % 6 {
            0 => ann.cut(&service).await?,
            2 => ben.cut(&service).await?,
            4 => {
                ann.cut(&service).await?;
                ben.cut(&service).await?;
            }
            _ => {}
        }
    }
    let last = format!("Ann {}", NAMES - 1);
    while ben.names().last() != Some(&last) {
        ben.hear().await?;
    }
    assert_eq!(ben.names(), (0..NAMES).map(|number| format!("Ann {number}")).collect::<Vec<_>>());
    let numbers: Vec<u64> = ben.heard.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "a number is missing or came twice");
    assert!(
        !ben.heard.iter().any(|(_, body)| body["type"] == "participant_left"),
        "a ghost left: {:?}",
        ben.heard
    );
    Ok(())
}

#[tokio::test]
async fn a_session_can_not_be_resumed_with_a_guess_nor_after_it_ended() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let mut ann = Page::enter(&service, &room_id, "ann").await?;
    ann.say(json!({ "type": "leave" })).await?;
    ann.socket.server_event("closed").await?;
    for secret in [ann.resume.as_str(), "", "x", "00000000000000000000000000000000000000000000"] {
        let mut socket = Socket::open(&service.socket_url()).await?;
        socket.send(&json!({ "type": "resume", "resume": secret, "received": 0 })).await?;
        let heard = socket.next().await?.context("closed without a reason")?;
        assert_eq!(heard["code"], "resume_expired", "{heard}");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_goes_on_elsewhere_leaves_the_old_socket() -> Result<()> {
    let service = Home::new()?.start().await?;
    let room_id = service.api.room(8).await?;
    let mut ann = Page::enter(&service, &room_id, "ann").await?;
    let (sent, received) = ann.socket.counters();
    let (_new, _) = Socket::resume(&service.socket_url(), &ann.resume, sent, received).await?;
    let end = loop {
        match ann.socket.next().await? {
            Some(frame) if frame["type"] == "refused" => break frame,
            Some(_) => {}
            None => bail!("closed without a reason"),
        }
    };
    assert_eq!(end["code"], "resumed_elsewhere", "{end}");
    Ok(())
}

impl Page {
    async fn enter(service: &Service, room_id: &str, identity: &str) -> Result<Page> {
        let token = service.api.token(room_id, identity).await?;
        let (socket, joined) = Socket::join(&service.socket_url(), &token).await?;
        let resume = joined["resume"].as_str().context("a resume secret")?.to_owned();
        let mut page = Page { socket, resume, sent: Vec::new(), heard: Vec::new() };
        page.say(json!({ "type": "enter", "name": identity })).await?;
        while !page.heard.iter().any(|(_, body)| body["type"] == "entered") {
            page.hear().await?;
        }
        Ok(page)
    }

    async fn say(&mut self, body: Value) -> Result<()> {
        self.sent.push(body.clone());
        self.socket.event(body).await?;
        Ok(())
    }

    /// Takes the next event; only numbers that follow on are kept, as a page does.
    async fn hear(&mut self) -> Result<()> {
        let frame = self.socket.frame("event").await?;
        let seq = frame["seq"].as_u64().context("a number")?;
        let next = self.heard.len() as u64 + 1;
        anyhow::ensure!(seq <= next, "event {next} was lost: {frame}");
        if seq == next {
            self.heard.push((seq, frame["body"].clone()));
            self.socket.send(&json!({ "type": "ack", "seq": seq })).await?;
        }
        Ok(())
    }

    /// Drops the connection at once, with whatever is on its way, and continues on a new one.
    async fn cut(&mut self, service: &Service) -> Result<()> {
        let mut socket = Socket::open(&service.socket_url()).await?;
        socket
            .send(&json!({ "type": "resume", "resume": self.resume, "received": self.heard.len() }))
            .await?;
        std::mem::replace(&mut self.socket, socket).drop_connection();
        let resumed = self.socket.frame("resumed").await?;
        let received = usize::try_from(resumed["received"].as_u64().context("a number")?)?;
        anyhow::ensure!(received <= self.sent.len(), "the hub received more than was sent: {resumed}");
        for (at, body) in self.sent.iter().enumerate().skip(received) {
            self.socket.send(&json!({ "type": "event", "seq": at + 1, "body": body })).await?;
        }
        self.socket.continue_from(self.sent.len() as u64);
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(())
    }

    /// The names that Ann was seen to take, in order.
    fn names(&self) -> Vec<String> {
        let changes = self.heard.iter().filter(|(_, body)| body["type"] == "participant_changed");
        let names = changes.filter_map(|(_, body)| body["participant"]["name"].as_str());
        names.filter(|name| name.starts_with("Ann ")).map(str::to_owned).collect()
    }
}
