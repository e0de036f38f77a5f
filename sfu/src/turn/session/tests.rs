use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::super::passes::long_term_key;
use super::super::stream::Frames;
use super::*;
use crate::control::{LegId, TurnServer};

const NODE: &str = "192.0.2.1:7900";
const OTHER_SHARD: &str = "192.0.2.1:7901";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A client with a pass, and the server's side of its connection.
struct Client {
    session: Session,
    now: Now,
    server: TurnServer,
    nonce: Option<String>,
    opened: Vec<IpAddr>,
}

/// Attributes of a request.
type Attributes<'a> = &'a [(u16, &'a [u8])];

const UDP_PLEASE: (u16, &[u8]) = (attribute::REQUESTED_TRANSPORT, &[UDP, 0, 0, 0]);

impl Client {
    fn new() -> Client {
        Client::of(&Arc::new(Passes::new("turns:here".into(), [3; 32])))
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn of(passes: &Arc<Passes>) -> Client {
        let mut reach = Reach::default();
        for node in [NODE, OTHER_SHARD] {
            reach.add(&[address(node)], &[address(node)]);
        }
        let now = Now { instant: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        let session = Session::new(address("203.0.113.5:4000"), [9; 16], passes.clone(), Arc::new(reach));
        let server = passes.issue(LegId(Uuid::from_u128(1)), now.wall);
        Client { session, now, server, nonce: None, opened: Vec::new() }
    }

    fn with_allocation() -> Client {
        let mut client = Client::new();
        assert_eq!(client.ask(method::ALLOCATE, &[UDP_PLEASE]), Ok(()));
        assert_eq!(client.ask(method::ALLOCATE, &[UDP_PLEASE]), Err(437));
        client
    }

    fn take(&mut self, message: &[u8]) -> Vec<u8> {
        let opened = &mut self.opened;
        let mut open = |ip: IpAddr| {
            opened.push(ip);
            Ok(SocketAddr::new(ip, 5_000))
        };
        match self.session.take(Frame::Message(message), self.now, &mut open) {
            Step::Answer(answer) => answer,
            step => panic!("{step:?}"),
        }
    }

    /// Asks as a browser does: a challenge is answered.
    fn ask(&mut self, method: u16, attributes: Attributes<'_>) -> Result<(), u16> {
        if self.nonce.is_none() {
            let bare = Writer::new(Class::Request, method, [1; 12]).end();
            let answer = self.take(&bare);
            let challenge = Message::parse(&answer).unwrap();
            assert_eq!(code(challenge), Err(401));
            self.nonce = challenge.text(attribute::NONCE).map(str::to_owned);
        }
        let key = self.key();
        let answer = self.answer(method, attributes, &key);
        let answer = Message::parse(&answer).unwrap();
        assert!(answer.is_signed_with(&key) || code(answer) == Err(401));
        code(answer)
    }

    fn key(&self) -> [u8; 16] {
        long_term_key(&self.server.username, REALM, &self.server.credential)
    }

    fn answer(&mut self, method: u16, attributes: Attributes<'_>, key: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new(Class::Request, method, [2; 12])
            .attribute(attribute::USERNAME, self.server.username.as_bytes())
            .attribute(attribute::REALM, REALM.as_bytes())
            .attribute(attribute::NONCE, self.nonce.as_deref().unwrap_or_default().as_bytes());
        for (kind, value) in attributes {
            writer = writer.attribute(*kind, value);
        }
        self.take(&writer.signed(key))
    }

    fn permit(&mut self, peer: &str) -> Result<(), u16> {
        let peer = crossed(address(peer));
        self.ask(method::CREATE_PERMISSION, &[(attribute::XOR_PEER_ADDRESS, &peer)])
    }

    fn bind(&mut self, channel: u16, peer: &str) -> Result<(), u16> {
        let peer = crossed(address(peer));
        let number = [channel.to_be_bytes(), [0; 2]].concat();
        self.ask(
            method::CHANNEL_BIND,
            &[(attribute::CHANNEL_NUMBER, &number), (attribute::XOR_PEER_ADDRESS, &peer)],
        )
    }

    fn send<'a>(&mut self, frame: Frame<'a>) -> Step<'a> {
        self.session.take(frame, self.now, &mut |_| panic!("nothing is opened"))
    }

    /// What the client reads of a datagram from there.
    fn reads(&self, from: &str, packet: &[u8]) -> Vec<(Option<u16>, Vec<u8>)> {
        let (mut stream, mut read) = (Vec::new(), Vec::new());
        self.session.relayed(address(from), packet, || [4; 12], &mut stream);
        let take = |frame: Frame<'_>| match frame {
            Frame::Data { channel, packet } => read.push((Some(channel), packet.to_vec())),
            Frame::Message(bytes) => {
                let message = Message::parse(bytes).unwrap();
                assert_eq!((message.class, message.method), (Class::Indication, method::DATA));
                let peer = message.addresses(attribute::XOR_PEER_ADDRESS).next().flatten();
                assert_eq!(peer, Some(address(from)));
                read.push((None, message.attribute(attribute::DATA).unwrap().to_vec()));
            }
        };
        Frames::default().read(&stream, take).unwrap();
        read
    }
}

/// An address as it stands in a message whose transaction is all twos.
fn crossed(peer: SocketAddr) -> Vec<u8> {
    let written = Writer::new(Class::Request, 0, [2; 12]).address(0, peer).end();
    written[super::super::message::HEADER_BYTES + 4..].to_vec()
}

fn code(answer: Message<'_>) -> Result<(), u16> {
    match answer.attribute(attribute::ERROR_CODE) {
        Some(value) => Err(u16::from(value[2]) * 100 + u16::from(value[3])),
        None => Ok(()),
    }
}

fn send_indication(peer: &str, packet: &[u8]) -> Vec<u8> {
    Writer::new(Class::Indication, method::SEND, [2; 12])
        .address(attribute::XOR_PEER_ADDRESS, address(peer))
        .attribute(attribute::DATA, packet)
        .end()
}

#[test]
fn whoever_has_a_pass_reaches_the_node_and_is_reached() {
    let mut client = Client::with_allocation();
    assert_eq!(client.opened, [address(NODE).ip()]);
    let message = send_indication(NODE, b"check");
    assert_eq!(client.send(Frame::Message(&message)), Step::Nothing, "without a permission");
    assert_eq!(client.permit(NODE), Ok(()));
    let forward = Step::Forward { to: address(NODE), packet: b"check" };
    assert_eq!(client.send(Frame::Message(&message)), forward);
    assert_eq!(client.reads(NODE, b"answer"), [(None, b"answer".to_vec())]);
    assert_eq!(client.bind(0x4000, NODE), Ok(()));
    assert_eq!(client.bind(0x4000, NODE), Ok(()), "refreshed");
    let data = Frame::Data { channel: 0x4000, packet: b"media" };
    assert_eq!(client.send(data), Step::Forward { to: address(NODE), packet: b"media" });
    assert_eq!(client.reads(NODE, b"media"), [(Some(0x4000), b"media".to_vec())]);
    assert_eq!(client.reads(OTHER_SHARD, b"uncalled for"), []);
    assert_eq!(client.reads("192.0.2.9:7900", b"a stranger's"), []);
}

/// Every special range of IANA's registries, and the spellings that got around lists of forbidden ones elsewhere.
#[test]
fn nothing_but_the_node_s_media_is_reached() {
    let mut client = Client::with_allocation();
    let elsewhere = [
        "0.0.0.0:7900",
        "10.0.0.1:7900",
        "100.64.0.1:7900",
        "127.0.0.1:7900",
        "127.0.0.1:5432",
        "169.254.169.254:80",
        "172.16.0.1:7900",
        "192.0.0.1:7900",
        "192.0.2.2:7900",
        "192.88.99.1:7900",
        "192.168.0.1:7900",
        "198.18.0.1:7900",
        "198.51.100.1:7900",
        "203.0.113.5:4000",
        "224.0.0.1:7900",
        "240.0.0.1:7900",
        "255.255.255.255:7900",
        "[::]:7900",
        "[::1]:7900",
        "[::ffff:127.0.0.1]:7900",
        "[::ffff:192.0.2.1]:7900",
        "[::127.0.0.1]:7900",
        "[64:ff9b::c000:201]:7900",
        "[64:ff9b:1::1]:7900",
        "[100::1]:7900",
        "[2001::1]:7900",
        "[2001:db8::1]:7900",
        "[2002:c000:201::]:7900",
        "[fc00::1]:7900",
        "[fe80::1]:7900",
        "[fec0::1]:7900",
        "[ff02::1]:7900",
    ];
    for peer in elsewhere {
        assert_eq!(client.permit(peer), Err(403), "{peer}");
        assert_eq!(client.bind(0x4000, peer), Err(403), "{peer}");
        assert_eq!(client.send(Frame::Message(&send_indication(peer, b"x"))), Step::Nothing, "{peer}");
    }
    // Other ports of the node: a permission names none, a channel and a packet do.
    assert_eq!(client.permit("192.0.2.1:22"), Ok(()));
    for port in [0, 22, 80, 5_432, 7_899, 7_902, 65_535] {
        let peer = format!("192.0.2.1:{port}");
        assert_eq!(client.bind(0x4000, &peer), Err(403), "{peer}");
        assert_eq!(client.send(Frame::Message(&send_indication(&peer, b"x"))), Step::Nothing, "{peer}");
    }
    // One of ours does not take another along.
    let pair = [crossed(address(NODE)), crossed(address("10.0.0.1:7900"))];
    let both = [(attribute::XOR_PEER_ADDRESS, &pair[0][..]), (attribute::XOR_PEER_ADDRESS, &pair[1][..])];
    assert_eq!(client.ask(method::CREATE_PERMISSION, &both), Err(403));
}

#[test]
fn without_a_pass_nothing_is_opened() {
    let mut client = Client::new();
    let key = client.key();
    for (kind, allowed) in [
        (method::ALLOCATE, [UDP_PLEASE].as_slice()),
        (method::REFRESH, &[]),
        (method::CREATE_PERMISSION, &[]),
        (method::CHANNEL_BIND, &[]),
        (0x0fff, &[]),
    ] {
        client.nonce = None;
        let answer = client.answer(kind, allowed, &key);
        assert_eq!(code(Message::parse(&answer).unwrap()), Err(438), "a nonce that is not ours");
        client.nonce = Some("09".repeat(16));
        let answer = client.answer(kind, allowed, b"a wrong password");
        assert_eq!(code(Message::parse(&answer).unwrap()), Err(401));
    }
    assert_eq!(client.send(Frame::Data { channel: 0x4000, packet: b"x" }), Step::Nothing);
    assert_eq!(client.send(Frame::Message(&send_indication(NODE, b"x"))), Step::Nothing);
    assert_eq!(client.opened, Vec::<IpAddr>::new());
    assert!(client.session.ends_at().is_none());
}

#[test]
fn a_pass_that_is_over_opens_nothing_but_what_it_has_opened_goes_on() {
    let mut client = Client::with_allocation();
    client.now.wall += SignedDuration::from_hours(25);
    assert_eq!(client.ask(method::REFRESH, &[]), Ok(()));
    let mut late = Client::new();
    late.now.wall += SignedDuration::from_hours(25);
    assert_eq!(late.ask(method::ALLOCATE, &[UDP_PLEASE]), Err(401));
}

#[test]
fn an_allocation_is_one_pass_s() {
    let passes = Arc::new(Passes::new(String::new(), [3; 32]));
    let mut client = Client::of(&passes);
    assert_eq!(client.ask(method::ALLOCATE, &[UDP_PLEASE]), Ok(()));
    client.server = passes.issue(LegId(Uuid::from_u128(2)), client.now.wall);
    assert_eq!(client.permit(NODE), Err(441));
}

#[test]
fn a_pass_has_few_allocations_and_another_s_are_not_touched() {
    let passes = Arc::new(Passes::new(String::new(), [3; 32]));
    let mut clients: Vec<Client> = (0..100).map(|_| Client::of(&passes)).collect();
    let answers: Vec<_> =
        clients.iter_mut().map(|client| client.ask(method::ALLOCATE, &[UDP_PLEASE])).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 12);
    assert!(answers[12..].iter().all(|answer| *answer == Err(486)));
    let mut other = Client::of(&passes);
    other.server = passes.issue(LegId(Uuid::from_u128(2)), other.now.wall);
    assert_eq!(other.ask(method::ALLOCATE, &[UDP_PLEASE]), Ok(()));
    clients.remove(0);
    assert_eq!(clients[99 - 1].ask(method::ALLOCATE, &[UDP_PLEASE]), Ok(()), "one has ended");
}

#[test]
fn an_allocation_lives_as_long_as_it_is_refreshed() {
    let mut client = Client::with_allocation();
    let lives = |client: &Client| client.session.ends_at().unwrap() - client.now.instant;
    assert_eq!(lives(&client), Duration::from_secs(600));
    for (wanted, granted) in [(1, 600), (1_200, 1_200), (u32::MAX, 3_600), (0, 0)] {
        let wanted: u32 = wanted;
        assert_eq!(client.ask(method::REFRESH, &[(attribute::LIFETIME, &wanted.to_be_bytes())]), Ok(()));
        assert_eq!(lives(&client), Duration::from_secs(granted));
    }
    assert_eq!(client.ask(method::REFRESH, &[(attribute::LIFETIME, &[1])]), Err(400));
}

#[test]
fn what_is_not_meant_like_this_is_refused_with_a_reason() {
    let mut client = Client::new();
    let unusual: [(Attributes<'_>, u16); 7] = [
        (&[], 400),
        (&[(attribute::REQUESTED_TRANSPORT, &[6, 0, 0, 0])], 442),
        (&[UDP_PLEASE, (attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0])], 440),
        (&[UDP_PLEASE, (attribute::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0])], 440),
        // DONT-FRAGMENT, EVEN-PORT and RESERVATION-TOKEN are not done here.
        (&[UDP_PLEASE, (0x001a, &[])], 420),
        (&[UDP_PLEASE, (0x0018, &[0x80])], 420),
        (&[UDP_PLEASE, (0x0022, &[0; 8])], 420),
    ];
    for (attributes, refusal) in unusual {
        assert_eq!(client.ask(method::ALLOCATE, attributes), Err(refusal));
    }
    for method in [method::REFRESH, method::CREATE_PERMISSION, method::CHANNEL_BIND] {
        assert_eq!(client.ask(method, &[]), Err(437), "there is no allocation");
    }
    let mut client = Client::with_allocation();
    assert_eq!(client.ask(method::CREATE_PERMISSION, &[]), Err(400));
    assert_eq!(client.bind(0x3fff, NODE), Err(400));
    assert_eq!(client.bind(0x5000, NODE), Err(400));
    assert_eq!(client.bind(0x4000, NODE), Ok(()));
    assert_eq!(client.bind(0x4001, NODE), Err(400), "it has a channel");
    assert_eq!(client.bind(0x4000, OTHER_SHARD), Err(400), "the channel leads elsewhere");
    assert_eq!(client.ask(0x0fff, &[]), Err(400));
}
