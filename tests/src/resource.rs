//! Programs without a page, on the crate `webrtc`: a publisher by WHIP and a viewer by WHEP, as OBS and players do it.

use crate::bot::{Received, Seen, add_slots, connection, offer, publish_lines, publish_media, tracks};
use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use webrtc::peer_connection::{PeerConnection, RTCSessionDescription};

use crate::eventually;

/// A leg that was made over HTTP.
pub struct Resource {
    /// Where it is, for PATCH and DELETE.
    pub location: String,
    token: String,
    tag: String,
    answer: String,
    connection: Arc<dyn PeerConnection>,
    seen: Arc<Seen>,
    publishing: Vec<JoinHandle<()>>,
}

impl Resource {
    /// Publishes synthetic sound and pictures by WHIP and waits until they flow.
    ///
    /// # Errors
    /// The service refuses, or ICE and DTLS do not come up within 10 s.
    pub async fn publish(endpoint: &str, token: &str) -> Result<Resource> {
        let seen = Arc::new(Seen::default());
        let connection = Box::pin(connection(seen.clone())).await?;
        let (voice, picture) = tracks();
        publish_lines(&*connection, &voice, &picture).await?;
        let mut publisher = Self::make(endpoint, token, connection, seen).await?;
        publisher.publishing = publish_media(voice, picture);
        Ok(publisher)
    }

    /// Watches by WHEP, with one place for sound and one for pictures.
    ///
    /// # Errors
    /// The service refuses, or ICE and DTLS do not come up within 10 s.
    pub async fn watch(endpoint: &str, token: &str) -> Result<Resource> {
        let seen = Arc::new(Seen::default());
        let connection = Box::pin(connection(seen.clone())).await?;
        add_slots(&*connection, 1, 1).await?;
        Self::make(endpoint, token, connection, seen).await
    }

    async fn make(
        endpoint: &str,
        token: &str,
        connection: Arc<dyn PeerConnection>,
        seen: Arc<Seen>,
    ) -> Result<Resource> {
        let offer = offer(&*connection, &seen).await?;
        let request =
            Client::new().post(endpoint).bearer_auth(token).header("content-type", "application/sdp");
        let response = request.body(offer).send().await?;
        ensure!(response.status() == 201, "{}: {}", response.status(), response.text().await?);
        let (location, tag) = (header(&response, "location")?, header(&response, "etag")?);
        let answer = response.text().await?;
        connection.set_remote_description(RTCSessionDescription::answer(answer.clone())?).await?;
        eventually("a media connection", Duration::from_secs(10), async || seen.connected()).await?;
        let token = token.to_owned();
        Ok(Resource { location, token, tag, answer, connection, seen, publishing: Vec::new() })
    }

    /// Packets received so far.
    pub fn received(&self) -> Received {
        self.seen.received()
    }

    /// Restarts ICE (RFC 9725 §4.3.3): new credentials there, new credentials back.
    ///
    /// # Errors
    /// The service refuses, or answers with the old credentials.
    pub async fn restart(&mut self) -> Result<()> {
        self.connection.restart_ice().await?;
        let offer = offer(&*self.connection, &self.seen).await?;
        let fragment = only(&offer, &["a=ice-ufrag:", "a=ice-pwd:", "a=candidate:"]);
        let request = Client::new().patch(&self.location).bearer_auth(&self.token).header("if-match", "*");
        let request = request.header("content-type", "application/trickle-ice-sdpfrag").body(fragment);
        let response = request.send().await?;
        ensure!(response.status() == 200, "{}: {}", response.status(), response.text().await?);
        let tag = header(&response, "etag")?;
        ensure!(tag != self.tag, "the entity tag is still {tag}");
        self.tag = tag;
        let fragment = response.text().await?;
        let [ufrag, password] = ["a=ice-ufrag:", "a=ice-pwd:"].map(|name| first(&fragment, name));
        let (ufrag, password) = (ufrag.context("no ufrag")?, password.context("no password")?);
        ensure!(!self.answer.contains(ufrag), "the service kept its credentials");
        self.answer = replaced(&self.answer, ufrag, password);
        let answer = RTCSessionDescription::answer(self.answer.clone())?;
        Ok(self.connection.set_remote_description(answer).await?)
    }

    /// Ends the leg; answers with the status.
    ///
    /// # Errors
    /// The service could not be reached.
    pub async fn delete(&self) -> Result<u16> {
        let request = Client::new().request(Method::DELETE, &self.location).bearer_auth(&self.token);
        Ok(request.send().await?.status().as_u16())
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        self.publishing.iter().for_each(JoinHandle::abort);
        let connection = self.connection.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { connection.close().await });
        }
    }
}

fn header(response: &Response, name: &str) -> Result<String> {
    let value = response.headers().get(name).with_context(|| format!("no {name}"))?;
    Ok(value.to_str()?.to_owned())
}

fn first<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|line| line.strip_prefix(name))
}

/// The lines of these names, each once.
fn only(sdp: &str, names: &[&str]) -> String {
    let mut lines: Vec<&str> =
        sdp.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).collect();
    let mut seen = std::collections::BTreeSet::new();
    lines.retain(|line| seen.insert(*line));
    lines.join("\r\n") + "\r\n"
}

fn replaced(answer: &str, ufrag: &str, password: &str) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some(("a=ice-ufrag", _)) => format!("a=ice-ufrag:{ufrag}\r\n"),
        Some(("a=ice-pwd", _)) => format!("a=ice-pwd:{password}\r\n"),
        _ => format!("{line}\r\n"),
    };
    answer.lines().map(line).collect()
}
