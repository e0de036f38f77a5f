//! A client's offer: its limits before anything parses it, its lines, and what the answer says about slots.

use str0m::Rtc;
use str0m::change::SdpOffer;

use crate::control::{Kind, Refusal, SendLine, Slot, Source};
use crate::fast_join::{self, Begins};

/// Bytes of an offer at most.
const BYTES_MAX: usize = 64 * 1024;
/// Media lines at most.
const LINES_MAX: usize = 64;
/// Candidates at most. They are not used: an ICE-lite agent sends no checks.
const CANDIDATES_MAX: usize = 32;
/// Characters of an `a=mid` at most: str0m's and RTP's limit (RFC 8843 §15).
const MID_MAX: usize = 16;

/// One media line of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) mid: String,
    /// `None` for data channels.
    pub(crate) kind: Option<Kind>,
    pub(crate) direction: Direction,
}

/// What the client does on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// An offer within the limits, whose lines are what the client said it would send.
#[derive(Debug)]
pub(crate) struct Offer {
    sdp: String,
    /// All lines, in order.
    pub(crate) lines: Vec<Line>,
    pub(crate) begins: Begins,
}

impl Offer {
    /// Checks an offer without parsing more of it than its lines.
    pub(crate) fn check(sdp: &str, sends: &[SendLine]) -> Result<Offer, Refusal> {
        if sdp.len() > BYTES_MAX
            || count(sdp, "m=") > LINES_MAX
            || count(sdp, "a=candidate:") > CANDIDATES_MAX
            || sends.len() > LINES_MAX
        {
            return Err(Refusal::OfferTooLarge);
        }
        let lines = read_lines(sdp)?;
        check_sends(&lines, sends)?;
        Ok(Offer { sdp: fast_join::prepare_offer(sdp), lines, begins: Begins::in_offer(sdp) })
    }

    /// The mids of the receive places, with what fits in.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (&str, Kind)> {
        let slots = self.lines.iter().filter(|line| line.direction == Direction::RecvOnly);
        slots.filter_map(|line| line.kind.map(|kind| (line.mid.as_str(), kind)))
    }

    /// Whether it has a line for messages (RFC 8841).
    pub(crate) fn has_messages(&self) -> bool {
        self.lines.iter().any(|line| line.kind.is_none())
    }

    /// Lets str0m answer. A refused first offer leaves `rtc` unusable.
    pub(crate) fn answer(&self, rtc: &mut Rtc) -> Result<String, Refusal> {
        let offer = SdpOffer::from_sdp_string(&self.sdp).map_err(|_| Refusal::OfferNotUnderstood)?;
        let answer = rtc.sdp_api().accept_offer(offer).map_err(|_| Refusal::OfferNotUnderstood)?;
        Ok(order_sounds(&answer.to_sdp_string(), &self.sdp))
    }
}

/// Puts the codecs of sound into the offer's order (RFC 3264 §6.1): whoever offers redundant audio (RFC 2198) first wants to
/// send that.
pub(crate) fn order_sounds(answer: &str, offer: &str) -> String {
    let mut ordered = String::with_capacity(answer.len());
    let mut offered = split_sections(offer).into_iter();
    for section in split_sections(answer) {
        let offered = offered.next().unwrap_or_default();
        let (first, rest) = section.split_once("\r\n").unwrap_or((section, ""));
        if first.starts_with("m=audio ") {
            // Behind medium, port and protocol.
            let mut fields: Vec<&str> = first.split(' ').collect();
            let offered: Vec<&str> = offered.lines().next().unwrap_or_default().split(' ').collect();
            let sounds = fields.get_mut(3..).unwrap_or_default();
            let place = |pt: &&str| offered.iter().skip(3).position(|other| other == pt);
            sounds.sort_by_key(|pt| place(pt).unwrap_or(usize::MAX));
            ordered.push_str(&fields.join(" "));
        } else {
            ordered.push_str(first);
        }
        ordered.push_str("\r\n");
        ordered.push_str(rest);
    }
    ordered
}

/// Gives the slots of one seat one stream id and one name, so that the browser keeps lips and voice together.
pub(crate) fn name_seats(answer: &str, slots: &[Slot]) -> String {
    let mut named = String::with_capacity(answer.len());
    for section in split_sections(answer) {
        let mid = section.lines().find_map(|line| line.strip_prefix("a=mid:"));
        let slot = mid.and_then(|mid| slots.iter().find(|slot| slot.mid == mid));
        for line in section.split_inclusive('\n') {
            let (text, end) = line.split_at(line.lines().map(str::len).sum());
            match slot {
                Some(slot) => named.push_str(&name_line(text, slot)),
                None => named.push_str(text),
            }
            named.push_str(end);
        }
    }
    named
}

fn name_line(line: &str, slot: &Slot) -> String {
    let (seat, mid) = (slot.seat, &slot.mid);
    if line.starts_with("a=msid:") {
        return format!("a=msid:seat{seat} slot{mid}");
    }
    if let Some(rest) = line.strip_prefix("a=ssrc:")
        && let Some((ssrc, attribute)) = rest.split_once(' ')
    {
        if attribute.starts_with("cname:") {
            return format!("a=ssrc:{ssrc} cname:seat{seat}");
        }
        if attribute.starts_with("msid:") {
            return format!("a=ssrc:{ssrc} msid:seat{seat} slot{mid}");
        }
    }
    line.to_owned()
}

/// The session part and each media section, with their line ends.
fn split_sections(sdp: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = sdp.match_indices("\r\nm=").map(|(at, _)| at + 2).collect();
    starts.insert(0, 0);
    starts.push(sdp.len());
    starts.windows(2).map(|pair| &sdp[pair[0]..pair[1]]).collect()
}

fn count(sdp: &str, prefix: &str) -> usize {
    sdp.lines().filter(|line| line.starts_with(prefix)).count()
}

fn read_lines(sdp: &str) -> Result<Vec<Line>, Refusal> {
    let mut lines: Vec<Line> = Vec::new();
    for text in sdp.lines() {
        if let Some(media) = text.strip_prefix("m=") {
            let kind = match media.split(' ').next() {
                Some("audio") => Some(Kind::Audio),
                Some("video") => Some(Kind::Video),
                _ => None,
            };
            lines.push(Line { mid: String::new(), kind, direction: Direction::SendRecv });
        } else if let Some(line) = lines.last_mut() {
            match text {
                "a=sendonly" => line.direction = Direction::SendOnly,
                "a=recvonly" => line.direction = Direction::RecvOnly,
                "a=inactive" => line.direction = Direction::Inactive,
                _ => {}
            }
            if let Some(mid) = text.strip_prefix("a=mid:") {
                line.mid = mid.to_owned();
            }
        }
    }
    let well_named = |line: &Line| {
        (1..=MID_MAX).contains(&line.mid.len()) && line.mid.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let unique =
        lines.iter().enumerate().all(|(n, line)| lines[..n].iter().all(|other| other.mid != line.mid));
    if lines.is_empty() || !unique || !lines.iter().all(well_named) {
        return Err(Refusal::OfferNotUnderstood);
    }
    Ok(lines)
}

fn check_sends(lines: &[Line], sends: &[SendLine]) -> Result<(), Refusal> {
    for (n, send) in sends.iter().enumerate() {
        let repeated = sends[..n].iter().any(|other| other.mid == send.mid || other.source == send.source);
        let fits = lines.iter().any(|line| line.mid == send.mid && fits(line, send.source));
        if repeated || !fits {
            return Err(Refusal::SendLinesDoNotMatch);
        }
    }
    Ok(())
}

fn fits(line: &Line, source: Source) -> bool {
    line.kind == Some(source.kind()) && line.direction != Direction::RecvOnly
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdp(lines: &[(&str, &str, &str)]) -> String {
        let mut sdp = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned();
        for (kind, mid, direction) in lines {
            sdp += &format!("m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\na={direction}\r\n");
        }
        sdp
    }

    fn send(mid: &str, source: Source) -> SendLine {
        SendLine { mid: mid.into(), source }
    }

    #[test]
    fn limits_come_before_parsing() {
        let check = |sdp: &str| Offer::check(sdp, &[]).map(|_| ());
        let many = |line: &str, n: usize| format!("{}{}", sdp(&[("audio", "0", "recvonly")]), line.repeat(n));
        assert_eq!(check(&"x".repeat(1 << 20)), Err(Refusal::OfferTooLarge));
        assert_eq!(
            check(&many("a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n", 10_000)),
            Err(Refusal::OfferTooLarge)
        );
        assert_eq!(
            check(&many("a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n", 33)),
            Err(Refusal::OfferTooLarge)
        );
        assert_eq!(check(&many("a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n", 32)), Ok(()));
        assert_eq!(check(&many("m=audio 9 x 1\r\n", 64)), Err(Refusal::OfferTooLarge));
    }

    #[test]
    fn send_lines_must_be_lines_of_the_offer() {
        let offer =
            sdp(&[("audio", "0", "sendonly"), ("video", "1", "sendrecv"), ("video", "2", "recvonly")]);
        let check = |sends: &[SendLine]| Offer::check(&offer, sends).map(|_| ());
        let wrong = Err(Refusal::SendLinesDoNotMatch);
        assert_eq!(check(&[send("0", Source::Microphone), send("1", Source::Camera)]), Ok(()));
        assert_eq!(check(&[send("9", Source::Microphone)]), wrong, "no such line");
        assert_eq!(check(&[send("0", Source::Camera)]), wrong, "a picture on an audio line");
        assert_eq!(check(&[send("2", Source::Camera)]), wrong, "the client only receives there");
        assert_eq!(
            check(&[send("1", Source::Camera), send("1", Source::Screen)]),
            wrong,
            "twice the same line"
        );
        let refused = Offer::check(&sdp(&[("audio", "0", "recvonly"), ("audio", "0", "recvonly")]), &[]);
        assert_eq!(refused.map(|_| ()), Err(Refusal::OfferNotUnderstood), "twice the same mid");
    }

    #[test]
    fn receive_lines_are_slots() {
        let offer = sdp(&[
            ("audio", "0", "sendonly"),
            ("audio", "1", "recvonly"),
            ("application", "2", "recvonly"),
            ("video", "3", "recvonly"),
        ]);
        let offer = Offer::check(&offer, &[]).unwrap();
        assert_eq!(offer.slots().collect::<Vec<_>>(), [("1", Kind::Audio), ("3", Kind::Video)]);
    }

    #[test]
    fn sounds_keep_the_order_of_the_offer() {
        let offer = "v=0\r\nm=audio 9 x 63 111 9\r\na=mid:a\r\nm=video 9 x 98 96\r\n";
        let answer = "v=0\r\nm=audio 9 x 111 63\r\na=mid:a\r\nm=video 9 x 96 98\r\n";
        let ordered = "v=0\r\nm=audio 9 x 63 111\r\na=mid:a\r\nm=video 9 x 96 98\r\n";
        assert_eq!(order_sounds(answer, offer), ordered);
        assert_eq!(order_sounds(answer, "v=0"), answer);
    }

    #[test]
    fn redundant_sound_is_answered_to_whoever_offers_it() {
        let lines = "a=ice-ufrag:u\r\na=ice-pwd:ppppppppppppppppppppppp\r\na=setup:actpass\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n";
        let print = format!("a=fingerprint:sha-256 {}\r\n", ["AA"; 32].join(":"));
        let codecs = "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:111 opus/48000/2\r\n";
        let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n";
        let answer = |pts: &str, codecs: &str| {
            let offer = format!(
                "{head}m=audio 9 UDP/TLS/RTP/SAVPF {pts}\r\nc=IN IP4 0.0.0.0\r\n{lines}{print}{codecs}"
            );
            let offer = Offer::check(&offer, &[send("0", Source::Microphone)]).unwrap();
            let config = str0m::RtcConfig::new().set_rtp_mode(true).clear_codecs().enable_opus(true, true);
            offer.answer(&mut config.build(crate::forward::tests::start())).unwrap()
        };
        let redundant = answer("63 111", codecs);
        assert!(redundant.contains("m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\n"), "{redundant}");
        assert!(redundant.contains("a=fmtp:63 111/111\r\n"), "{redundant}");
        let plain = answer("111", "a=rtpmap:111 opus/48000/2\r\n");
        assert!(plain.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n") && !plain.contains("red/"), "{plain}");
    }

    #[test]
    fn slots_of_one_seat_share_a_stream() {
        let answer = "v=0\r\nm=audio 9 x 1\r\na=mid:a\r\na=msid:x y\r\na=ssrc:7 cname:z\r\nm=video 9 x 1\r\na=mid:b\r\na=msid:u v\r\na=ssrc:8 msid:u v\r\n";
        let slot = |mid: &str, seat| Slot { mid: mid.into(), kind: Kind::Audio, seat };
        let named = name_seats(answer, &[slot("a", 2), slot("b", 2)]);
        assert_eq!(
            named,
            "v=0\r\nm=audio 9 x 1\r\na=mid:a\r\na=msid:seat2 slota\r\na=ssrc:7 cname:seat2\r\nm=video 9 x 1\r\na=mid:b\r\na=msid:seat2 slotb\r\na=ssrc:8 msid:seat2 slotb\r\n"
        );
        assert_eq!(name_seats(answer, &[]), answer);
        let with_bare_feeds = "v=0\r\nm=audio 9 x 1\r\na=msid:x y\na=mid:a\na=ssrc:7 cname:z\na=x\r\n";
        assert_eq!(
            name_seats(with_bare_feeds, &[slot("a", 2)]),
            "v=0\r\nm=audio 9 x 1\r\na=msid:seat2 slota\na=mid:a\na=ssrc:7 cname:seat2\na=x\r\n",
            "no line takes the next one with it"
        );
    }
}
