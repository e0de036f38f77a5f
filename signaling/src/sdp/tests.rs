use super::*;

const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
                    a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n";

/// An offer with lines such as `audio sendonly`; the mids count from 0.
fn offer(lines: &[&str]) -> String {
    let line = |(mid, line): (usize, &&str)| {
        let (media, direction) = line.split_once(' ').expect("a medium and a direction");
        format!("m={media} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\n")
    };
    HEAD.to_owned() + &lines.iter().enumerate().map(line).collect::<String>()
}

fn sources(lines: &[&str], may_publish: &[Source]) -> Result<Vec<Source>, SdpRefusal> {
    let offer = OneWayOffer::publishing(&offer(lines), may_publish)?;
    let mids: Vec<&str> = offer.sends.iter().map(|line| &*line.mid).collect();
    assert_eq!(mids, ["0", "1", "2", "3"][..mids.len()]);
    Ok(offer.sends.iter().map(|line| line.source).collect())
}

#[test]
fn lines_become_what_the_token_allows_in_their_order() {
    use Source::{Camera, Microphone, Screen, ScreenAudio};
    let all = [Microphone, Camera, Screen, ScreenAudio];
    let (audio, video) = ("audio sendonly", "video sendonly");
    for (lines, may_publish, expected) in [
        (&[audio, video][..], &all[..], Ok(vec![Microphone, Camera])),
        (&[video, audio], &all, Ok(vec![Camera, Microphone])),
        (&[video, video, audio, audio], &all, Ok(vec![Camera, Screen, Microphone, ScreenAudio])),
        (&[video], &[Screen], Ok(vec![Screen])),
        (&[audio, video], &[Microphone], Err(SdpRefusal::NotAllowed(Camera))),
        (&[video, video], &[Microphone, Camera], Err(SdpRefusal::NotAllowed(Screen))),
        (&[audio], &[], Err(SdpRefusal::NotAllowed(Microphone))),
    ] {
        assert_eq!(sources(lines, may_publish), expected, "{lines:?} {may_publish:?}");
    }
    let third = sources(&[video, video, video], &all);
    assert_eq!(third, Err(SdpRefusal::NotAcceptable("at most two audio and two video lines are taken")));
}

#[test]
fn every_line_goes_one_way() {
    for direction in ["sendonly", "sendrecv"] {
        let read = OneWayOffer::publishing(&offer(&[&format!("audio {direction}")]), &[Source::Microphone]);
        assert_eq!(read.expect(direction).sdp.matches("a=sendonly\r\n").count(), 1, "{direction}");
    }
    for direction in ["recvonly", "sendrecv"] {
        let read = OneWayOffer::viewing(&offer(&["audio recvonly", &format!("video {direction}")]));
        let read = read.expect(direction);
        assert_eq!((read.sdp.matches("a=recvonly\r\n").count(), read.sends), (2, vec![]), "{direction}");
    }
    let not_acceptable = |read: Result<OneWayOffer, SdpRefusal>, why: &str| {
        assert!(matches!(read, Err(SdpRefusal::NotAcceptable(_))), "{why}: {read:?}");
    };
    for direction in ["recvonly", "inactive"] {
        let sdp = offer(&["audio sendonly", &format!("video {direction}")]);
        not_acceptable(OneWayOffer::publishing(&sdp, &[Source::Microphone, Source::Camera]), direction);
    }
    for direction in ["sendonly", "inactive"] {
        not_acceptable(OneWayOffer::viewing(&offer(&[&format!("video {direction}")])), direction);
    }
    not_acceptable(OneWayOffer::viewing(&offer(&["application recvonly"])), "a data channel");
    let given_up = offer(&["video recvonly"]).replace("m=video 9", "m=video 0");
    not_acceptable(OneWayOffer::viewing(&given_up), "port 0");
}

#[test]
fn a_direction_of_the_session_holds_for_lines_without_one() {
    let sdp = offer(&["video x-none"]);
    assert!(
        OneWayOffer::viewing(&sdp).is_ok_and(|read| read.sdp.contains("a=recvonly")),
        "sendrecv by default"
    );
    let sdp = sdp.replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    assert!(OneWayOffer::viewing(&sdp).is_err());
    let read = OneWayOffer::publishing(&sdp, &[Source::Camera]).expect("sends");
    assert_eq!(read.sdp.matches("a=sendonly").count(), 1, "said once, where it holds");
}

#[test]
fn a_bundled_line_of_port_0_is_a_line() {
    let sdp = offer(&["audio recvonly", "video recvonly"]);
    let sdp = sdp.replace("m=video 9", "m=video 0").replace("a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n");
    let read = OneWayOffer::viewing(&sdp).expect("an offer as browsers make it");
    assert!(read.sdp.contains("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"), "{}", read.sdp);
}

#[test]
fn opus_has_its_channels() {
    let with = |codec: &str| offer(&["audio recvonly"]) + &format!("a=rtpmap:96 {codec}\r\n");
    for codec in ["OPUS/48000", "opus/48000/2"] {
        let read = OneWayOffer::viewing(&with(codec)).expect("an offer");
        assert!(read.sdp.to_lowercase().contains("a=rtpmap:96 opus/48000/2\r\n"), "{codec}: {}", read.sdp);
    }
    assert!(OneWayOffer::viewing(&with("VP8/90000")).is_ok_and(|read| read.sdp.contains("96 VP8/90000\r\n")));
}

#[test]
fn an_answer_that_gives_a_line_up_is_partial() {
    assert!(!is_partial("v=0\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\nm=video 9 x 96\r\n"));
    assert!(is_partial("v=0\r\nm=audio 9 x 111\r\nm=video 0 UDP/TLS/RTP/SAVPF 0\r\n"));
}

#[test]
fn what_is_no_offer_is_malformed() {
    let whole = offer(&["audio recvonly"]);
    for (sdp, why) in [
        (String::new(), "empty"),
        ("hello".into(), "no SDP"),
        (HEAD.into(), "no lines"),
        (whole.replace("a=mid:0\r\n", ""), "no mid"),
        (whole.replace("a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n", ""), "no password"),
        (whole.replace("EsAw", "E w"), "a user fragment with a space"),
        (whole.replace("a=ice-", "a=x-"), "no credentials"),
    ] {
        let read = OneWayOffer::viewing(&sdp);
        assert!(matches!(read, Err(SdpRefusal::Malformed(_))), "{why}: {read:?}");
    }
    assert!(OneWayOffer::viewing(&whole.replace("\r\n", "\n")).is_ok(), "line ends are forgiven");
}

#[test]
fn fragments_are_read_and_their_candidates_counted() {
    let candidates = |n: usize| "a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n".repeat(n);
    let credentials = "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n";
    let parse = |text: &str| Fragment::parse(text).map(|fragment| fragment.credentials.is_some());
    assert_eq!(parse(credentials), Ok(true));
    assert_eq!(
        parse(&format!("{credentials}m=audio 9 RTP/AVP 0\r\na=mid:0\r\n{}", candidates(100))),
        Ok(true)
    );
    assert_eq!(parse("a=end-of-candidates\n"), Ok(false));
    assert_eq!(parse(&candidates(101)), Err(SdpRefusal::TooManyCandidates));
    for text in
        ["", "\r\n", "hello", "a=x\r\nhello\r\n", "a=ice-ufrag:ysXw\r\n", "a=ice-ufrag:y\r\na=ice-pwd:z\r\n"]
    {
        assert!(matches!(parse(text), Err(SdpRefusal::Malformed(_))), "{text:?}");
    }
}

#[test]
fn a_restart_changes_the_credentials_and_nothing_else() {
    let offer = OneWayOffer::viewing(&offer(&["audio recvonly"])).expect("an offer");
    let fragment =
        Fragment::parse("a=ice-ufrag:ysXw\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k").expect("a fragment");
    let restarted = offer.restarted(&fragment.credentials.expect("credentials"));
    let expected =
        offer.sdp.replace("EsAw", "ysXw").replace("P2uYro0UCOQ4zxjKXaWCBui1", "vw5LmwG4y/e6dPP/zAP9Gp5k");
    assert_eq!(restarted.sdp, expected);
    assert_ne!(restarted.credentials, offer.credentials);
}

#[test]
fn the_fragment_of_an_answer_is_its_ice() {
    let media = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\na=rtpmap:111 opus/48000/2\r\n\
                 a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    let answer = format!(
        "v=0\r\ns=-\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\n{media}m=video 9 x\r\na=mid:1\r\na=ice-ufrag:u\r\n"
    );
    let expected = "a=group:BUNDLE 0 1\r\na=ice-lite\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:u\r\n\
                    a=ice-pwd:p\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n";
    assert_eq!(fragment_of(&answer), expected);
}
