//! What a page is told when something is refused: a code for programs and a sentence for people.

use crate::delivery::BadSequence;
use crate::protocol::{RefusalCode, ServerFrame, UNACKNOWLEDGED_MAX};
use crate::text::TextRefusal;
use crate::tokens::TokenRefusal;
use sfu::control;
use std::time::Duration;

/// A refusal, on its way to the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// From the documented list.
    pub code: RefusalCode,
    /// What happened and what to do, for a person.
    pub message: String,
    /// When to try again, if that makes sense.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal that trying again does not help.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The database cannot be asked, or the service is stopping.
    pub fn unavailable() -> Self {
        Self::new(RefusalCode::Unavailable, "New calls cannot start right now. Try again in a moment.")
            .after(Duration::from_secs(1))
    }

    /// More than this process takes.
    pub fn overloaded() -> Self {
        Self::new(RefusalCode::Overloaded, "The service is full right now. Try again in a moment.")
            .after(Duration::from_secs(2))
    }

    /// The session cannot be resumed.
    pub fn resume_expired() -> Self {
        Self::new(RefusalCode::ResumeExpired, "The call cannot be picked up again. Join it anew.")
    }

    /// Another socket carries the session on.
    pub fn resumed_elsewhere() -> Self {
        Self::new(RefusalCode::ResumedElsewhere, "The call goes on over another connection.")
    }

    /// The page does not acknowledge what it is sent.
    pub fn not_acknowledged() -> Self {
        let message = format!("{UNACKNOWLEDGED_MAX} events were not acknowledged. Join the call anew.");
        Self::new(RefusalCode::TooSlow, message)
    }

    /// A number that cannot be.
    pub fn bad_sequence(error: BadSequence) -> Self {
        Self::new(RefusalCode::BadSequence, sentence(error))
    }

    /// Trying again after a while makes sense.
    pub fn after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// As the frame that ends a socket.
    pub fn into_frame(self) -> ServerFrame {
        let retry_after_ms = self.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        ServerFrame::Refused { code: self.code, message: self.message, retry_after_ms }
    }
}

impl From<control::Refusal> for Refusal {
    fn from(reason: control::Refusal) -> Self {
        match reason {
            control::Refusal::OfferTooLarge => Self::new(RefusalCode::TooLarge, sentence(reason)),
            control::Refusal::OfferNotUnderstood | control::Refusal::SendLinesDoNotMatch => {
                Self::new(RefusalCode::OfferNotUnderstood, sentence(reason))
            }
            control::Refusal::Full => Self::overloaded(),
        }
    }
}

impl From<TokenRefusal> for Refusal {
    fn from(reason: TokenRefusal) -> Self {
        Self::new(reason.code(), sentence(reason))
    }
}

impl From<TextRefusal> for Refusal {
    fn from(reason: TextRefusal) -> Self {
        Self::new(RefusalCode::BadName, format!("A name {reason}."))
    }
}

/// An error's text as a sentence.
fn sentence(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => text,
    }
}
