//! The HTTP API as an integrator uses it.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A client with one key, or none.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
}

/// A status and a body, whatever they are.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `content-type` header.
    pub content_type: String,
    /// JSON, or a string of what was no JSON.
    pub body: Value,
}

impl Answer {
    /// The problem document's `code`, or nothing.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The body of a success.
    ///
    /// # Errors
    /// The status is no success.
    pub fn ok(self) -> Result<Value> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        bail!("the answer was {}: {}", self.status, self.body)
    }
}

impl Api {
    /// Talks to `url` with `key`.
    pub fn new(url: &str, key: Option<&str>) -> Api {
        Api { http: reqwest::Client::new(), url: url.to_owned(), key: key.map(str::to_owned) }
    }

    /// The same service with another key, or none.
    pub fn with_key(&self, key: Option<&str>) -> Api {
        Api { key: key.map(str::to_owned), ..self.clone() }
    }

    /// The service's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET`.
    ///
    /// # Errors
    /// The service could not be reached.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    /// `POST` with a JSON body.
    ///
    /// # Errors
    /// The service could not be reached.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    /// `POST` with a JSON body and further headers.
    ///
    /// # Errors
    /// The service could not be reached.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer> {
        let mut request = self.http.post(format!("{}{path}", self.url)).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// `POST` without a body, for an answer that is no JSON: its content type and its bytes.
    ///
    /// # Errors
    /// The service could not be reached or refuses.
    pub async fn post_raw(&self, path: &str) -> Result<(String, Vec<u8>)> {
        let mut request = self.http.post(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await?.error_for_status()?;
        let content_type =
            answer.headers().get("content-type").context("a content type")?.to_str()?.to_owned();
        Ok((content_type, answer.bytes().await?.to_vec()))
    }

    /// `POST` with any bytes that claim to be JSON.
    ///
    /// # Errors
    /// The service could not be reached.
    pub async fn post_bytes(&self, path: &str, body: Vec<u8>) -> Result<Answer> {
        let request =
            self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        self.send(request.body(body)).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// The service could not be reached.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(self.http.delete(format!("{}{path}", self.url))).await
    }

    /// A new room's id.
    ///
    /// # Errors
    /// The service refuses.
    pub async fn room(&self, participants_max: u32) -> Result<String> {
        let body = json!({ "title": "A story", "participants_max": participants_max });
        let room = self.post("/v1/rooms", &body).await?.ok()?;
        text(&room, "room_id")
    }

    /// A token that lets `identity` into the room.
    ///
    /// # Errors
    /// The service refuses.
    pub async fn token(&self, room_id: &str, identity: &str) -> Result<String> {
        let body = json!({ "room_id": room_id, "identity": identity, "name": identity });
        let token = self.post("/v1/tokens", &body).await?.ok()?;
        text(&token, "token")
    }

    /// The legs of a call with their hours.
    ///
    /// # Errors
    /// The service refuses.
    pub async fn legs(&self, call_id: &str) -> Result<Vec<Value>> {
        let call = self.get(&format!("/v1/calls/{call_id}")).await?.ok()?;
        Ok(call["legs"].as_array().context("a call without legs")?.clone())
    }

    /// The recorded participant-milliseconds of one leg.
    ///
    /// # Errors
    /// The service refuses or knows no such leg.
    pub async fn leg_participant_ms(&self, call_id: &str, leg_id: &str) -> Result<i64> {
        let legs = self.legs(call_id).await?;
        let leg = legs
            .iter()
            .find(|leg| leg["leg_id"] == leg_id)
            .with_context(|| format!("call {call_id} has no leg {leg_id}"))?;
        let hours = leg["hours"].as_array().context("a leg without hours")?;
        Ok(hours.iter().filter_map(|hour| hour["participant_ms"].as_i64()).sum())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let response = request.send().await?;
        let status = response.status().as_u16();
        let content_type = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, content_type, body })
    }
}

fn text(value: &Value, field: &str) -> Result<String> {
    Ok(value[field].as_str().with_context(|| format!("no `{field}` in {value}"))?.to_owned())
}
