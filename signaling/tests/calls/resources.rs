//! WHIP publishers and WHEP viewers: clients that speak HTTP and have no page.

use crate::service::Service;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sfu::control::{Command, Event, LegId, RoomId, Source};
use std::time::Duration;
use uuid::Uuid;

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const CREDENTIALS: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n";
const OTHER_CREDENTIALS: &str = "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n";

/// An offer with audio and video in one direction.
fn offer(direction: &str) -> String {
    let line = |media: &str, mid: u8| {
        format!("m={media} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\na={direction}\r\n")
    };
    let head = format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{CREDENTIALS}");
    head + &line("audio", 0) + &line("video", 1)
}

/// A client with a token.
struct Caller<'a> {
    service: &'a Service,
    token: String,
}

/// What came back.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("a body") }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The status and the code of a refusal, which any page may read.
    fn refusal(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{} {}", self.status, self.text);
        assert_eq!(self.header("access-control-allow-origin"), "*");
        let problem: Value = serde_json::from_str(&self.text).expect("JSON");
        (self.status, problem["code"].as_str().expect("a code").to_owned())
    }
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

impl<'a> Caller<'a> {
    fn new(service: &'a Service, identity: &str) -> Self {
        Self { service, token: service.token(identity) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("http://{}{path}", self.service.address)
        };
        Client::new().request(method, url).bearer_auth(&self.token)
    }

    async fn offer(&self, way: &str, sdp: &str) -> Answer {
        let path = format!("/v1/{way}/{}", self.service.room);
        let request = self.request(Method::POST, &path).header("content-type", SDP).body(sdp.to_owned());
        Answer::of(request.send().await.expect("an answer")).await
    }

    /// The address of a publisher or viewer that is in.
    async fn make(&self, way: &str) -> String {
        let answer = self.offer(way, &offer(if way == "whip" { "sendonly" } else { "recvonly" })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.header("location").to_owned()
    }

    async fn patch(&self, location: &str, if_match: Option<&str>, body: &str) -> Answer {
        let mut request = self.request(Method::PATCH, location).header("content-type", FRAGMENT);
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        Answer::of(request.body(body.to_owned()).send().await.expect("an answer")).await
    }

    async fn delete(&self, location: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, location).send().await.expect("an answer")).await
    }
}

/// The leg whose join the media plane heard last.
fn last_leg(service: &Service) -> LegId {
    let joined = service.media.told().into_iter().rev();
    joined
        .filter_map(|command| if let Command::Join { leg, .. } = command { Some(leg) } else { None })
        .next()
        .expect("a join")
}

#[tokio::test]
async fn a_publisher_is_in_the_call_at_once_and_out_when_deleted() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    let obs = Caller::new(&service, "obs");
    let made = obs.offer("whip", &offer("sendonly")).await;
    assert_eq!((made.status, made.text.as_str()), (201, "v=0 answer"));
    assert_eq!((made.header("content-type"), made.header("etag")), (SDP, "\"ice-1\""));
    let seen = ada.hear("participant_joined").await;
    let tracks = json!([{"source": "microphone", "muted": false}, {"source": "camera", "muted": false}]);
    assert_eq!((&seen["participant"]["name"], &seen["participant"]["tracks"]), (&json!("Guest"), &tracks));
    let leg = last_leg(&service);
    service.media.hears(|command| *command == Command::Enter { leg }).await;
    let entered = "select (entered_at is not null)::text from leg where leg_id = $1";
    service.row_says(entered, leg.0, "true").await;

    let location = made.header("location").to_owned();
    assert!(
        location.starts_with(&format!("http://{}/v1/whip/{}/", service.address, service.room)),
        "{location}"
    );
    assert_eq!(location.rsplit('/').next().map(str::len), Some(22), "128 bits: {location}");
    // RFC 9725 §4.6.
    let link = "<turns:turn.example.com:443?transport=tcp>; rel=\"ice-server\"; username=\"1795500000:leg\"; \
                credential=\"0123456789abcdef\"; credential-type=\"password\"";
    assert_eq!(made.header("link"), link);
    assert_eq!(obs.delete(&location).await.status, 200);
    assert_eq!(ada.hear("participant_left").await["reason"], "left");
    service.media.hears(|command| *command == Command::Leave { leg }).await;
    service.row_says("select end_reason from leg where leg_id = $1", leg.0, "left").await;
    assert_eq!(obs.delete(&location).await.refusal(), refusal(404, "not_found"), "once is enough");
    assert_eq!(obs.patch(&location, Some("*"), OTHER_CREDENTIALS).await.status, 404);
}

#[tokio::test]
async fn a_viewer_takes_a_seat_publishes_nothing_and_goes_with_its_media() {
    let service = Service::start().await;
    let mut ada = service.call("ada").await;
    let viewer = Caller::new(&service, "wall");
    let location = viewer.make("whep").await;
    assert_eq!(ada.hear("participant_joined").await["participant"]["tracks"], json!([]));
    let leg = last_leg(&service);
    service
        .media
        .hears(|command| matches!(command, Command::Join { leg: joined, sends, .. } if *joined == leg && sends.is_empty()))
        .await;
    let third = Caller::new(&service, "third").offer("whep", &offer("recvonly")).await;
    assert_eq!(third.refusal(), refusal(409, "room_full"));
    service.media.tell(Event::Lost { leg });
    assert_eq!(ada.hear("participant_left").await["reason"], "lost");
    assert_eq!(viewer.delete(&location).await.status, 404);
    service.row_says("select end_reason from leg where leg_id = $1", leg.0, "lost").await;
}

#[tokio::test]
async fn the_business_removes_a_publisher_like_anybody() {
    let service = Service::start().await;
    let obs = Caller::new(&service, "obs");
    let location = obs.make("whip").await;
    let tenant = sfu::control::TenantId(service.tenant.0);
    let calls = service.hub.live_calls(tenant).await;
    let participant = signaling::room::ParticipantId(calls[0].participants[0].participant_id);
    assert!(service.hub.remove_participant(tenant, participant).await);
    assert_eq!(obs.delete(&location).await.status, 404);
}

#[tokio::test]
async fn only_a_good_token_of_the_room_lets_in() {
    let service = Service::start().await;
    let with = |token: String| Caller { service: &service, token };
    let sdp = offer("sendonly");
    let good = service.token("obs");
    for token in ["", "x.y.z", "sk_0000000000000000000000000000000000000000000", &good[..good.len() - 4]] {
        assert_eq!(with(token.into()).offer("whip", &sdp).await.refusal().0, 401, "{token:?}");
    }
    let long_ago = "2026-01-01T00:00:00Z".parse().expect("a time");
    let expired = service.hub.token_keys().issue(service.new_token("obs"), long_ago).token;
    assert_eq!(with(expired).offer("whip", &sdp).await.refusal(), refusal(401, "token_not_valid"));
    let elsewhere = signaling::tokens::NewToken { room: RoomId(Uuid::nil()), ..service.new_token("obs") };
    let answer = with(service.sign(elsewhere)).offer("whip", &sdp).await;
    assert_eq!(answer.refusal(), refusal(403, "token_not_for_this"));
    let nobodys = signaling::tokens::NewToken {
        tenant: sfu::control::TenantId(Uuid::from_u128(7)),
        ..service.new_token("obs")
    };
    assert_eq!(with(service.sign(nobodys)).offer("whip", &sdp).await.refusal(), refusal(404, "not_found"));

    let url = format!("http://{}/v1/whip/{}", service.address, service.room);
    let bare = |url: String| Client::new().post(url).header("content-type", SDP).body(sdp.clone());
    for url in [url.clone(), format!("{url}?token={good}&access_token={good}")] {
        let answer = Answer::of(bare(url).send().await.expect("an answer")).await;
        assert_eq!(answer.refusal(), refusal(401, "token_not_valid"));
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(service.media.told().iter().filter(|told| matches!(told, Command::Enter { .. })).count(), 0);
}

#[tokio::test]
async fn a_token_of_an_origin_works_from_no_other() {
    let service = Service::start().await;
    let token = signaling::tokens::NewToken {
        origin: Some("https://shop.example".into()),
        ..service.new_token("obs")
    };
    let page = Caller { service: &service, token: service.sign(token) };
    let path = format!("/v1/whep/{}", service.room);
    for (origin, status) in
        [(None, 403), (Some("https://evil.example"), 403), (Some("https://shop.example"), 201)]
    {
        let mut request =
            page.request(Method::POST, &path).header("content-type", SDP).body(offer("recvonly"));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = Answer::of(request.send().await.expect("an answer")).await;
        assert_eq!(answer.status, status, "{origin:?} {}", answer.text);
    }
}

#[tokio::test]
async fn a_token_publishes_what_it_names() {
    let service = Service::start().await;
    let may = |may_publish: Vec<Source>| {
        let token = signaling::tokens::NewToken { may_publish, ..service.new_token("obs") };
        Caller { service: &service, token: service.sign(token) }
    };
    for may_publish in
        [vec![], vec![Source::Microphone], vec![Source::Camera, Source::ScreenAudio, Source::Screen]]
    {
        let caller = may(may_publish.clone());
        let status = if may_publish.len() == 3 { 201 } else { 403 };
        assert_eq!(caller.offer("whip", &offer("sendonly")).await.status, status, "{may_publish:?}");
    }
    service
        .media
        .hears(|command| {
            matches!(command, Command::Join { sends, .. }
                if sends.iter().map(|line| line.source).eq([Source::ScreenAudio, Source::Camera]))
        })
        .await;
    assert_eq!(may(vec![]).offer("whep", &offer("recvonly")).await.status, 201, "a viewer publishes nothing");
}

#[tokio::test]
async fn what_is_not_understood_or_too_large_is_refused() {
    let service = Service::start().await;
    let obs = Caller::new(&service, "obs");
    let path = format!("/v1/whip/{}", service.room);
    for (content_type, body, expected) in [
        ("application/json", offer("sendonly"), refusal(415, "bad_content_type")),
        ("text/plain", offer("sendonly"), refusal(415, "bad_content_type")),
        (SDP, String::new(), refusal(400, "bad_offer")),
        (SDP, "v=0".into(), refusal(400, "bad_offer")),
        (SDP, offer("sendonly").replace("a=mid", "a=mud"), refusal(400, "bad_offer")),
        (SDP, offer("recvonly"), refusal(406, "not_acceptable")),
        (SDP, offer("inactive"), refusal(406, "not_acceptable")),
        (SDP, offer("sendonly") + &"a=x:y\r\n".repeat(150_000), refusal(413, "body_too_large")),
        (SDP, "x".repeat(64 * 1024 + 1), refusal(413, "body_too_large")),
    ] {
        let request = obs.request(Method::POST, &path).header("content-type", content_type).body(body);
        assert_eq!(Answer::of(request.send().await.expect("an answer")).await.refusal(), expected);
    }
    let without_type = obs.request(Method::POST, &path).send().await.expect("an answer");
    assert_eq!(without_type.status(), 415);
    let viewer = obs.offer("whep", &offer("sendonly")).await;
    assert_eq!(viewer.refusal(), refusal(406, "not_acceptable"));
    assert_eq!(service.media.told(), [], "nobody was asked");
}

#[tokio::test]
async fn candidates_are_read_limited_and_dropped() {
    let service = Service::start().await;
    let obs = Caller::new(&service, "obs");
    let location = obs.make("whip").await;
    let candidates = |n: usize| {
        let line = "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n".repeat(n);
        format!("{CREDENTIALS}m=audio 9 RTP/AVP 0\r\na=mid:0\r\n{line}a=end-of-candidates\r\n")
    };
    let before = service.media.told().len();
    for (tag, body, status) in [
        (Some("\"ice-1\""), candidates(100), 204),
        (Some("\"ice-0\", \"ice-1\""), candidates(1), 204),
        (Some("*"), candidates(1), 204),
        (Some("\"ice-1\""), "a=end-of-candidates\r\n".into(), 204),
        (Some("\"ice-1\""), candidates(101), 413),
        (Some("\"ice-1\""), candidates(10_000), 413),
        (Some("\"ice-1\""), "x".repeat(1 << 20), 413),
        (Some("\"ice-1\""), "hello".into(), 400),
        (Some("\"ice-1\""), String::new(), 400),
        (Some("\"ice-1\""), "a=ice-ufrag:ysXw\r\n".into(), 400),
        (None, candidates(1), 428),
        (Some("\"ice-2\""), candidates(1), 412),
        (Some("W/\"ice-1\""), candidates(1), 412),
    ] {
        let answer = obs.patch(&location, tag, &body).await;
        let body: String = body.chars().take(60).collect();
        assert_eq!((answer.status, answer.header("etag")), (status, ""), "{tag:?} {body:?} {}", answer.text);
    }
    let wrong_type =
        obs.request(Method::PATCH, &location).header("content-type", SDP).header("if-match", "*");
    assert_eq!(wrong_type.body(CREDENTIALS).send().await.expect("an answer").status(), 415);
    assert_eq!(service.media.told().len(), before, "the media plane is not bothered");
}

#[tokio::test]
async fn other_credentials_restart_ice_one_restart_at_a_time() {
    let service = Service::start().await;
    let obs = Caller::new(&service, "obs");
    let location = obs.make("whip").await;
    let leg = last_leg(&service);
    let restarting = async { obs.patch(&location, Some("*"), OTHER_CREDENTIALS).await };
    let answering = async {
        service
            .media
            .hears(|command| matches!(command, Command::Offer { offer, sends, .. } if offer.contains("ysXw") && sends.len() == 2))
            .await;
        let third = "a=ice-ufrag:third\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n";
        let second = obs.patch(&location, Some("*"), third).await;
        assert_eq!(second.refusal(), refusal(409, "restart_in_progress"));
        let answer =
            "v=0\r\na=ice-lite\r\nm=audio 9 x\r\na=mid:0\r\na=ice-ufrag:new\r\na=ice-pwd:secret\r\n".into();
        service.media.tell(Event::Answered { leg, answer, slots: vec![] });
    };
    let (restarted, ()) = tokio::join!(restarting, answering);
    assert_eq!((restarted.status, restarted.header("etag")), (200, "\"ice-2\""), "{}", restarted.text);
    assert_eq!(restarted.header("content-type"), FRAGMENT);
    assert!(restarted.text.contains("a=ice-ufrag:new\r\na=ice-pwd:secret\r\n"), "{}", restarted.text);
    assert_eq!(obs.patch(&location, Some("\"ice-1\""), "a=end-of-candidates\r\n").await.status, 412);
    assert_eq!(
        obs.patch(&location, Some("\"ice-2\""), OTHER_CREDENTIALS).await.status,
        204,
        "the same again"
    );
}

#[tokio::test]
async fn a_restart_that_the_media_plane_refuses_leaves_the_leg_as_it_was() {
    let service = Service::start().await;
    let obs = Caller::new(&service, "obs");
    let location = obs.make("whip").await;
    let leg = last_leg(&service);
    for end in [false, true] {
        let restarting = async { obs.patch(&location, Some("\"ice-1\""), OTHER_CREDENTIALS).await };
        let answering = async {
            let offers = service.media.told().len();
            while service.media.told().len() == offers {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let reason = sfu::control::Refusal::OfferNotUnderstood;
            service.media.tell(if end { Event::Lost { leg } } else { Event::OfferRefused { leg, reason } });
        };
        let (answer, ()) = tokio::join!(restarting, answering);
        assert_eq!(answer.status, if end { 404 } else { 400 }, "{}", answer.text);
    }
}

#[tokio::test]
async fn an_address_is_of_use_only_with_the_token_that_made_it() {
    let service = Service::start().await;
    let obs = Caller::new(&service, "obs");
    let location = obs.make("whip").await;
    let whep = location.replace("/whip/", "/whep/");
    let other_room = location.replace(&service.room.to_string(), &Uuid::nil().to_string());
    let other_id = format!("{}{}", &location[..location.len() - 22], "A".repeat(22));
    for wrong in
        [&whep, &other_room, &other_id, &format!("{location}x"), &location[..location.len() - 1].to_owned()]
    {
        assert_eq!(obs.delete(wrong).await.refusal(), refusal(404, "not_found"), "{wrong}");
    }
    let same_person = Caller::new(&service, "somebody");
    assert_eq!(same_person.delete(&location).await.refusal(), refusal(404, "not_found"));
    assert_eq!(same_person.patch(&location, Some("*"), OTHER_CREDENTIALS).await.status, 404);
    let foreign = Service::on(service.db.clone()).await;
    let tenant = Caller { service: &service, token: foreign.token("obs") };
    assert_eq!(tenant.delete(&location).await.refusal(), refusal(404, "not_found"));
    let bare = Client::new().delete(&location).send().await.expect("an answer");
    assert_eq!(Answer::of(bare).await.refusal(), refusal(401, "token_not_valid"));
    assert!(!service.media.has_left(last_leg(&service)));
    assert_eq!(obs.delete(&location).await.status, 200);
}

#[tokio::test]
async fn pages_may_ask_and_other_methods_are_refused() {
    let service = Service::start().await;
    let obs = Caller::new(&service, "obs");
    let location = obs.make("whip").await;
    let endpoint = format!("http://{}/v1/whip/{}", service.address, service.room);
    for (url, name, value, allow) in [
        (&endpoint, "accept-post", SDP, ["OPTIONS", "GET", "POST"]),
        (&location, "accept-patch", FRAGMENT, ["OPTIONS", "PATCH", "DELETE"]),
    ] {
        let preflight = Client::new().request(Method::OPTIONS, url).header("origin", "https://shop.example");
        let answer = Answer::of(preflight.send().await.expect("an answer")).await;
        assert_eq!((answer.status, answer.header(name)), (200, value));
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        for name in ["location", "etag", "link"] {
            assert!(answer.header("access-control-expose-headers").contains(name), "{name}");
        }
        for name in ["authorization", "content-type", "if-match"] {
            assert!(answer.header("access-control-allow-headers").contains(name), "{name}");
        }
        assert!(answer.header("access-control-allow-methods").contains("PATCH, DELETE"));
        for method in [Method::GET, Method::HEAD] {
            let answer = Client::new().request(method, url).send().await.expect("an answer");
            assert_eq!((answer.status().as_u16(), answer.content_length().unwrap_or(0)), (204, 0));
        }
        let answer = Answer::of(obs.request(Method::PUT, url).send().await.expect("an answer")).await;
        assert_eq!(answer.status, 405);
        assert!(
            allow.iter().all(|method| answer.header("allow").contains(method)),
            "{}",
            answer.header("allow")
        );
    }
    let wrong = obs.request(Method::POST, &location).send().await.expect("an answer");
    assert_eq!(wrong.status(), 405);
    assert_eq!(obs.request(Method::DELETE, &endpoint).send().await.expect("an answer").status(), 405);
}

#[tokio::test]
async fn a_stopping_hub_lets_nobody_in_and_says_when_to_come_back() {
    let service = Service::start().await;
    let obs = Caller::new(&service, "obs");
    let location = obs.make("whip").await;
    service.hub.shutdown().await;
    assert!(service.media.has_left(last_leg(&service)));
    assert_eq!(obs.delete(&location).await.status, 404);
    let late = obs.offer("whip", &offer("sendonly")).await;
    assert_eq!((late.refusal(), late.header("retry-after")), (refusal(503, "unavailable"), "1"));
}

#[tokio::test]
async fn whoever_comes_back_takes_the_place_of_themselves() {
    let service = Service::start().await;
    let obs = Caller::new(&service, "obs");
    let first = obs.make("whip").await;
    let mut page = service.call("obs").await;
    assert_eq!(obs.delete(&first).await.status, 404, "the page has taken over");
    let second = obs.make("whip").await;
    assert_eq!(page.hear("closed").await["reason"], "replaced");
    assert_eq!(obs.delete(&second).await.status, 200);
}

#[tokio::test]
async fn a_flood_from_one_address_is_slowed_down() {
    let service = Service::start().await;
    let obs = Caller { service: &service, token: "x.y.z".into() };
    let mut last = refusal(401, "token_not_valid");
    for _ in 0..1000 {
        last = obs.offer("whip", "v=0").await.refusal();
        if last.0 == 429 {
            break;
        }
    }
    assert_eq!(last, refusal(429, "too_many_requests"));
}
