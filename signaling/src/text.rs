//! What people may call themselves, their rooms and their pages.

use std::fmt;

/// The longest name, in characters after trimming.
pub const NAME_CHARS_MAX: usize = crate::protocol::NAME_CHARS_MAX;
/// The longest title of a room, in characters after trimming.
pub const TITLE_CHARS_MAX: usize = 120;
/// The longest origin, in bytes.
pub const ORIGIN_BYTES_MAX: usize = 255;

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextRefusal {
    /// Nothing to see.
    Empty,
    /// More characters than this.
    TooLong(usize),
    /// A control character, a line break or an override of the writing direction.
    NotAllowed(char),
    /// Not `https://host` or `http://host` with an optional port.
    NotAnOrigin,
}

impl fmt::Display for TextRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextRefusal::Empty => f.write_str("must have a visible character"),
            TextRefusal::TooLong(max) => write!(f, "must have at most {max} characters"),
            TextRefusal::NotAllowed(c) => write!(f, "must not have the character U+{:04X}", u32::from(*c)),
            TextRefusal::NotAnOrigin => f.write_str(
                "must be an origin such as https://shop.example, without a path or a slash at the end",
            ),
        }
    }
}

/// A person's name: 1 to 64 characters after trimming, on one line, in its own direction.
pub fn name(text: &str) -> Result<String, TextRefusal> {
    let text = line(text, NAME_CHARS_MAX)?;
    if text.is_empty() { Err(TextRefusal::Empty) } else { Ok(text) }
}

/// A room's title: as a name, but up to 120 characters, and it may be empty.
pub fn title(text: &str) -> Result<String, TextRefusal> {
    line(text, TITLE_CHARS_MAX)
}

/// One line of at most `max` characters; empty if nothing of it can be seen.
pub fn line(text: &str, max: usize) -> Result<String, TextRefusal> {
    // A text of megabytes is refused before it is looked at.
    if text.len() > 4 * max + 64 {
        return Err(TextRefusal::TooLong(max));
    }
    let text = text.trim();
    if let Some(c) = text.chars().find(|c| is_refused(*c)) {
        return Err(TextRefusal::NotAllowed(c));
    }
    if text.chars().count() > max {
        return Err(TextRefusal::TooLong(max));
    }
    Ok(if text.chars().all(is_invisible) { String::new() } else { text.into() })
}

/// Control characters, line and paragraph separators, and what changes the direction of the text around a name.
fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0001}')
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// An origin (RFC 6454) as a browser sends it: scheme, host and, if not the usual one, port.
pub fn origin(text: &str) -> Result<String, TextRefusal> {
    if text.len() > ORIGIN_BYTES_MAX {
        return Err(TextRefusal::TooLong(ORIGIN_BYTES_MAX));
    }
    let text = text.to_ascii_lowercase();
    let (scheme, usual_port, authority) = match text.split_once("://") {
        Some(("https", authority)) => ("https", "443", authority),
        Some(("http", authority)) => ("http", "80", authority),
        _ => return Err(TextRefusal::NotAnOrigin),
    };
    let (host, port) = split_port(authority).ok_or(TextRefusal::NotAnOrigin)?;
    if !is_host(host) {
        return Err(TextRefusal::NotAnOrigin);
    }
    Ok(match port {
        Some(port) if port != usual_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let after_host = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(after_host);
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        Some(port) if !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok() => {
            Some((host, Some(port)))
        }
        _ => None,
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let label_is_allowed = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label_is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_lines() {
        let long = "é".repeat(64);
        for (text, expected) in [
            ("Ada", Ok("Ada")),
            ("  Ada Lovelace\u{a0}", Ok("Ada Lovelace")),
            ("مريم", Ok("مريم")),
            ("👩‍👩‍👧", Ok("👩‍👩‍👧")),
            (long.as_str(), Ok(long.as_str())),
            ("<script>alert(1)</script>", Ok("<script>alert(1)</script>")),
            ("", Err(TextRefusal::Empty)),
            ("   ", Err(TextRefusal::Empty)),
            ("\u{200b}\u{200d}", Err(TextRefusal::Empty)),
            ("a\u{0}b", Err(TextRefusal::NotAllowed('\0'))),
            ("a\nb", Err(TextRefusal::NotAllowed('\n'))),
            ("\u{1b}[31mred", Err(TextRefusal::NotAllowed('\u{1b}'))),
            ("Ada\u{202e}gpj.exe", Err(TextRefusal::NotAllowed('\u{202e}'))),
            ("Ada\u{2067}x", Err(TextRefusal::NotAllowed('\u{2067}'))),
        ] {
            assert_eq!(name(text), expected.map(String::from), "{text:?}");
        }
        assert_eq!(name(&"a".repeat(65)), Err(TextRefusal::TooLong(64)));
        assert_eq!(name(&"a".repeat(10_000_000)), Err(TextRefusal::TooLong(64)));
        assert_eq!(title(" "), Ok(String::new()));
        assert_eq!(title(&"a".repeat(121)), Err(TextRefusal::TooLong(120)));
    }

    #[test]
    fn origins_are_spelled_as_browsers_do() {
        for (text, expected) in [
            ("https://shop.example", Some("https://shop.example")),
            ("HTTPS://Shop.Example:443", Some("https://shop.example")),
            ("http://localhost:8080", Some("http://localhost:8080")),
            ("http://127.0.0.1:80", Some("http://127.0.0.1")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("https://shop.example/", None),
            ("https://shop.example/path", None),
            ("https://user@shop.example", None),
            ("https://*.example", None),
            ("https://shop.example:", None),
            ("https://shop.example:0443", None),
            ("https://shop.example:99999", None),
            ("https://", None),
            ("null", None),
            ("ftp://shop.example", None),
            ("https://shop..example", None),
            ("https://shop.example\u{0}", None),
            ("https://[::1", None),
        ] {
            assert_eq!(origin(text).ok().as_deref(), expected, "{text:?}");
        }
    }
}
