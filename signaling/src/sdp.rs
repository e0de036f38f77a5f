//! What is read of SDP where no page names its lines: offers that only send (WHIP) or only receive (WHEP), and the ICE
//! fragments that follow them (RFC 8840). The media plane reads the rest.

use sfu::control::{SendLine, Source};
use std::ops::RangeInclusive;

/// The most candidates of one fragment. They are counted and dropped: our media plane sends no checks.
const CANDIDATES_MAX: usize = 100;
/// Characters of ICE credentials (RFC 8839 §5.4).
const UFRAG_CHARS: RangeInclusive<usize> = 4..=256;
const PASSWORD_CHARS: RangeInclusive<usize> = 22..=256;

/// An offer whose media go one way only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneWayOffer {
    /// The offer, with the direction of each line said outright.
    pub sdp: String,
    /// What is sent where; empty for a viewer.
    pub sends: Vec<SendLine>,
    /// The client's side of the ICE session.
    pub credentials: Credentials,
}

/// One side of an ICE session.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    ufrag: String,
    password: String,
}

/// What a client tells about its ICE session after the offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Those of the session that it means; other ones than before ask for an ICE restart.
    pub credentials: Option<Credentials>,
}

/// Why an offer or a fragment is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpRefusal {
    /// It is not what it says it is.
    #[error("{0}")]
    Malformed(&'static str),
    /// It asks for more or for something else than there is.
    #[error("{0}")]
    NotAcceptable(&'static str),
    /// The token does not name this source.
    #[error("the token does not allow to publish {0:?}")]
    NotAllowed(Source),
    /// More candidates than anybody has.
    #[error("more than {CANDIDATES_MAX} candidates")]
    TooManyCandidates,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl OneWayOffer {
    /// Of a client that sends: its first audio line is the microphone and its second the sound of its screen, its first
    /// video line the camera and its second the screen. What the token does not name is passed over for what it does.
    pub fn publishing(sdp: &str, may_publish: &[Source]) -> Result<Self, SdpRefusal> {
        let Read { sdp, lines, credentials } = read(sdp, "sendonly")?;
        let mut sends: Vec<SendLine> = Vec::new();
        for Line { media, mid } in lines {
            let source = source_of(&media, &sends, may_publish)?;
            sends.push(SendLine { mid, source });
        }
        Ok(Self { sdp, sends, credentials })
    }

    /// Of a client that receives on every line.
    pub fn viewing(sdp: &str) -> Result<Self, SdpRefusal> {
        let Read { sdp, credentials, .. } = read(sdp, "recvonly")?;
        Ok(Self { sdp, sends: Vec::new(), credentials })
    }

    /// The same offer under other credentials, which asks for an ICE restart (RFC 8839 §4.4.1.1.1).
    pub fn restarted(&self, credentials: &Credentials) -> Self {
        let line = |line: &str| match line.split_once(':') {
            Some(("a=ice-ufrag", _)) => format!("a=ice-ufrag:{}\r\n", credentials.ufrag),
            Some(("a=ice-pwd", _)) => format!("a=ice-pwd:{}\r\n", credentials.password),
            _ => format!("{line}\r\n"),
        };
        let sdp = self.sdp.lines().map(line).collect();
        Self { sdp, sends: self.sends.clone(), credentials: credentials.clone() }
    }
}

impl Fragment {
    /// Reads the body of a PATCH (RFC 8840 §9): attributes and media lines, among them credentials and candidates.
    pub fn parse(text: &str) -> Result<Self, SdpRefusal> {
        let lines = || text.lines().filter(|line| !line.is_empty());
        let is_known = |line: &str| line.starts_with("a=") || line.starts_with("m=");
        if lines().next().is_none() || !lines().all(is_known) {
            return Err(SdpRefusal::Malformed(
                "an ICE fragment has lines that begin with a= or m= and no others",
            ));
        }
        if lines().filter(|line| line.starts_with("a=candidate:")).count() > CANDIDATES_MAX {
            return Err(SdpRefusal::TooManyCandidates);
        }
        Ok(Self { credentials: credentials_of(text)? })
    }
}

/// Does an answer give a line up? Then the other side has no codec of ours for it.
pub fn is_partial(answer: &str) -> bool {
    answer.lines().any(|line| line.starts_with("m=") && line.split(' ').nth(1) == Some("0"))
}

/// The ICE part of an answer as a fragment: what a client needs to go on after a restart.
pub fn fragment_of(answer: &str) -> String {
    let sections = sections(answer);
    // All lines of an answer share one transport (RFC 9143), so the first tells for all.
    let told = sections.iter().take(2).flatten().filter(|line| is_of_ice(line));
    told.chain(&["a=end-of-candidates"]).map(|line| format!("{line}\r\n")).collect()
}

fn is_of_ice(line: &str) -> bool {
    let parts = ["m=", "a=ice-", "a=group:BUNDLE", "a=mid:", "a=candidate:"];
    parts.iter().any(|part| line.starts_with(part))
}

/// What is read of an offer.
struct Read {
    /// With every line in one direction.
    sdp: String,
    lines: Vec<Line>,
    credentials: Credentials,
}

/// A media line of an offer.
struct Line {
    media: String,
    mid: String,
}

fn read(sdp: &str, only: &str) -> Result<Read, SdpRefusal> {
    let sections = sections(sdp);
    let [session, media @ ..] = &*sections else { unreachable!("there is a section before the first line") };
    if !sdp.starts_with("v=0") || media.is_empty() {
        return Err(SdpRefusal::Malformed("an offer begins with v=0 and has a media line"));
    }
    let credentials = credentials_of(sdp)?;
    let credentials =
        credentials.ok_or(SdpRefusal::Malformed("the offer has no a=ice-ufrag and no a=ice-pwd"))?;
    let default = direction_of(session).unwrap_or("sendrecv");
    let mut read: Vec<String> = undirected(session);
    let mut lines = Vec::new();
    for section in media {
        lines.push(check_line(section, default, only)?);
        read.extend(undirected(section));
        read.push(format!("a={only}"));
    }
    Ok(Read { sdp: read.join("\r\n") + "\r\n", lines, credentials })
}

/// The lines before the first `m=`, then those of each media line.
fn sections(sdp: &str) -> Vec<Vec<&str>> {
    let mut sections = vec![Vec::new()];
    for line in sdp.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        sections.last_mut().expect("there is one from the beginning").push(line);
    }
    sections
}

fn direction_of<'a>(section: &[&'a str]) -> Option<&'a str> {
    let mut attributes = section.iter().filter_map(|line| line.strip_prefix("a="));
    attributes.rfind(|name| matches!(*name, "sendrecv" | "sendonly" | "recvonly" | "inactive"))
}

/// The lines without their directions. A line of a bundle may have port 0 in an offer (RFC 9143 §6), which the media
/// plane would take for one that is given up.
fn undirected(section: &[&str]) -> Vec<String> {
    let is_bundled = section.contains(&"a=bundle-only");
    let kept = section.iter().filter(|line| direction_of(&[line]).is_none());
    kept.map(|line| match line.split_once(" 0 ") {
        Some((media, rest)) if is_bundled && line.starts_with("m=") && !media.contains(' ') => {
            format!("{media} 9 {rest}")
        }
        _ => with_channels(line),
    })
    .collect()
}

/// Opus has two channels in every offer (RFC 7587 §7). GStreamer leaves them out where nobody asks for them.
fn with_channels(line: &str) -> String {
    let is_bare = line.starts_with("a=rtpmap:") && line.to_ascii_lowercase().ends_with(" opus/48000");
    if is_bare { format!("{line}/2") } else { line.to_owned() }
}

/// The medium and the mid of a line that can go `only` this way.
fn check_line(section: &[&str], default: &str, only: &str) -> Result<Line, SdpRefusal> {
    let mut head = section[0].trim_start_matches("m=").split(' ');
    let (media, port) = (head.next().unwrap_or(""), head.next().unwrap_or(""));
    if !matches!(media, "audio" | "video") {
        return Err(SdpRefusal::NotAcceptable("only audio and video lines are taken"));
    }
    if port == "0" && !section.contains(&"a=bundle-only") {
        return Err(SdpRefusal::NotAcceptable("a line with port 0 would carry nothing"));
    }
    let direction = direction_of(section).unwrap_or(default);
    if direction != only && direction != "sendrecv" {
        return Err(SdpRefusal::NotAcceptable(match only {
            "sendonly" => "every line must be sendonly, or sendrecv: a publisher receives nothing",
            _ => "every line must be recvonly, or sendrecv: a viewer sends nothing",
        }));
    }
    let mid = section.iter().find_map(|line| line.strip_prefix("a=mid:"));
    let mid = mid.ok_or(SdpRefusal::Malformed("a media line has no a=mid"))?;
    Ok(Line { media: media.to_owned(), mid: mid.to_owned() })
}

fn source_of(media: &str, taken: &[SendLine], may_publish: &[Source]) -> Result<Source, SdpRefusal> {
    let fitting = match media {
        "audio" => [Source::Microphone, Source::ScreenAudio],
        _ => [Source::Camera, Source::Screen],
    };
    let is_free = |source: &Source| taken.iter().all(|line| line.source != *source);
    let mut free = fitting.into_iter().filter(is_free);
    let Some(first) = free.next() else {
        return Err(SdpRefusal::NotAcceptable("at most two audio and two video lines are taken"));
    };
    let allowed = [first].into_iter().chain(free).find(|source| may_publish.contains(source));
    allowed.ok_or(SdpRefusal::NotAllowed(first))
}

/// The first credentials, if there are any; whole and of the right form.
fn credentials_of(sdp: &str) -> Result<Option<Credentials>, SdpRefusal> {
    let first = |name: &str| sdp.lines().find_map(|line| line.strip_prefix(name));
    match (first("a=ice-ufrag:"), first("a=ice-pwd:")) {
        (None, None) => Ok(None),
        (Some(ufrag), Some(password))
            if is_ice_text(ufrag, &UFRAG_CHARS) && is_ice_text(password, &PASSWORD_CHARS) =>
        {
            Ok(Some(Credentials { ufrag: ufrag.to_owned(), password: password.to_owned() }))
        }
        _ => Err(SdpRefusal::Malformed(
            "a=ice-ufrag and a=ice-pwd belong together, 4 and 22 characters or more",
        )),
    }
}

fn is_ice_text(text: &str, chars: &RangeInclusive<usize>) -> bool {
    chars.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

#[cfg(test)]
mod tests;
