//! The parsers of this crate that read what strangers send, for the fuzzer in `tests/`. Each takes any bytes, and panics when
//! it breaks a promise. Not an interface: it exists under the feature `fuzzing` only.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use str0m::crypto::dtls::{DtlsCert, SrtpProfile};
use str0m::crypto::from_feature_flags;
use str0m::format::Codec;
use str0m::media::{Frequency, MediaTime};
use str0m::rtp::Vp8Descriptor;
use str0m::rtp::rtcp::SenderInfo;
use uuid::Uuid;

use crate::capture::CaptureClock;
use crate::codec::red;
use crate::congestion::Downlink;
use crate::control::{Kind, LegId, SendLine, Source, TurnServer};
use crate::demux::{Demux, Place};
use crate::dependency::{Raw, Reader};
use crate::framing::{PACKET_BYTES_MAX, Unframer};
use crate::keys::{Agreed, Handshake};
use crate::messages::{MESSAGE_BYTES_MAX, Message};
use crate::offer::{Offer, name_seats, order_sounds};
use crate::peer::Now;
use crate::quality;
use crate::rewrite::{Line, Numbers};
use crate::rtcp::{self, Item};
use crate::slab::Key;
use crate::slots::Slots;
use crate::sources::Sources;
use crate::srtp::{SEAL_BYTES_MAX, Sealer};
use crate::streams::Streams;
use crate::svc::Layer;
use crate::tap::Tap;
use crate::turn::message::{Class, Message as TurnMessage, Writer, attribute, method};
use crate::turn::passes::{Passes, REALM, long_term_key};
use crate::turn::reach::Reach;
use crate::turn::session::{Session, Step};
use crate::turn::stream::{Frame, Frames, write_data};
use crate::{addresses, codec, dependency, fast_join, journal, keys};

/// The user name and password that the door knows.
pub const UFRAG: &str = "ours";
/// See [`UFRAG`].
pub const PASSWORD: &str = "a password of some length";

/// For whoever only looks at differences.
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn start() -> Instant {
    Instant::now()
}

/// Keys of a handshake that is over, for the longest profile and each shorter one.
fn material() -> Vec<u8> {
    (0..88).collect()
}

/// A datagram at the door: who may have sent it.
pub fn door(datagram: &[u8]) {
    let place = Place { room: Key::first(0), peer: Key::first(0) };
    let mut demux = Demux::default();
    demux.admit(place, UFRAG, PASSWORD);
    let source = SocketAddr::from(([192, 0, 2, 1], 9)).into();
    let admitted = demux.route(source, datagram);
    let is_open = demux.route(source, &[22]).is_some();
    assert_eq!(is_open, admitted.is_some(), "only what was let in opens the door");
    assert!(admitted.is_none_or(|admitted| admitted.authenticated && datagram.len() > 20));
}

/// A check that is copied to nominate its path.
pub fn nomination(request: &[u8]) {
    if let Some(copy) = fast_join::nominating_copy(request, PASSWORD) {
        assert!(copy.len() <= 600 && fast_join::is_stun(&copy));
        assert!(fast_join::nominating_copy(&copy, PASSWORD).is_none(), "a copy nominates already");
    }
}

/// The payload of a picture; the first byte chooses the codec. The slot's numbers can be written where they were read.
pub fn picture(bytes: &[u8]) {
    let Some((which, payload)) = bytes.split_first() else { return };
    let codec = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1][usize::from(which % 4)];
    let picture = codec::read(codec, payload, None);
    if codec == Codec::Vp8
        && let Ok(theirs) = Vp8Descriptor::parse(payload)
    {
        assert_eq!(picture.picture_id, theirs.picture_id());
        assert_eq!(picture.tl0, theirs.tl0_pic_idx());
        assert_eq!(picture.starts_keyframe, theirs.starts_keyframe(payload));
    }
    let ours = Numbers {
        seq: 0,
        ts: 0,
        picture_id: picture.picture_id.map(|id| id ^ 0x55),
        tl0: picture.tl0.map(|tl0| tl0 ^ 0xff),
        key_index: picture.key_index.map(|key| key ^ 0x1f),
        frame_number: None,
    };
    let mut written = payload.to_vec();
    picture.places.renumber(&mut written, &ours);
    let read = codec::read(codec, &written, None);
    assert_eq!((read.picture_id, read.tl0, read.key_index), (ours.picture_id, ours.tl0, ours.key_index));
    assert_eq!((read.places, read.frame), (picture.places, picture.frame));
    picture.places.renumber(
        &mut written,
        &Numbers { picture_id: picture.picture_id, tl0: picture.tl0, key_index: picture.key_index, ..ours },
    );
    assert_eq!(written, payload, "nothing else was touched");
    if picture.starts_keyframe {
        let _sizes = codec::sizes(codec, payload, None);
    }
}

/// Two dependency descriptors of one stream, the first as long as the first byte says. What is written for a slot is read
/// again as the same frame under the slot's number.
pub fn dependency(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return };
    let (first, second) = rest.split_at(usize::from(*length).min(rest.len()));
    let (mut reader, mut receiver) = (Reader::default(), Reader::default());
    for raw in [first, second] {
        let Some(descriptor) = reader.read(&Raw(raw.into())) else { return };
        let layer = descriptor.frame.map_or(Layer::TOP, |frame| frame.layer);
        let (number, active) = (!descriptor.frame_number, descriptor.active_within(layer));
        let mut place = [0xff; dependency::BYTES_MAX + 8];
        let len = descriptor.write(&mut place, number, active);
        assert!(len <= dependency::BYTES_MAX.min(descriptor.len_max()));
        if len == 0 {
            return;
        }
        let read = receiver.read(&Raw(place[..len].into())).expect("what was written can be read");
        assert_eq!(read.frame_number, number);
        assert_eq!(read.frame, descriptor.frame);
        assert_eq!(read.sizes(), descriptor.sizes());
        assert_eq!(read.active_within(Layer::TOP).filter(|_| active.is_some()), active);
    }
}

/// An offer, up to where str0m takes it over: within the limits, read line by line, and all that it may send can be named.
pub fn offer(bytes: &[u8]) {
    let sdp = String::from_utf8_lossy(bytes);
    let Ok(offer) = Offer::check(&sdp, &[]) else { return };
    assert!(sdp.len() <= 64 << 10 && offer.lines.len() <= 64);
    let prepared = fast_join::prepare_offer(&sdp);
    assert!(!prepared.lines().any(|line| line.starts_with("a=candidate:")));
    assert!(prepared.len() <= 2 * sdp.len() + 2);
    let is_slot = |mid: &str| offer.slots().any(|(slot, _)| slot == mid);
    for (kind, source) in [(Kind::Audio, Source::Microphone), (Kind::Video, Source::Camera)] {
        for line in offer.lines.iter().filter(|line| line.kind == Some(kind)).take(2) {
            let sends = [SendLine { mid: line.mid.clone(), source }];
            assert_eq!(Offer::check(&sdp, &sends).is_ok(), !is_slot(&line.mid), "{}", line.mid);
        }
    }
}

/// An offer, a zero, and its answer: what is changed of it before a page gets it, and nothing else.
pub fn answer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (offer, answer) = text.split_once('\0').unwrap_or(("", &text));
    let ordered = order_sounds(answer, offer);
    assert!(letters(&ordered) == letters(answer), "something is added or lost: {ordered}");
    assert_eq!(order_sounds(&ordered, offer), ordered);

    let mids = ordered.lines().filter_map(|line| line.strip_prefix("a=mid:")).take(8);
    let mut slots = Slots::default();
    // An offer is refused that names a line otherwise.
    let can_be = |mid: &&str| mid.bytes().all(|byte| byte.is_ascii_graphic());
    mids.filter(can_be).for_each(|mid| slots.add(mid, Kind::Audio));
    let slots = slots.list();
    let named = name_seats(&ordered, &slots);
    let (before, after) = (ordered.lines(), named.lines());
    assert_eq!(before.clone().count(), after.clone().count(), "{named}");
    for (before, after) in before.zip(after).filter(|(before, after)| before != after) {
        assert!(before.starts_with("a=msid:") || before.starts_with("a=ssrc:"), "{before}, now {after}");
    }
    assert_eq!(name_seats(&named, &slots), named);
}

/// How often each byte is in a text that is no white space.
fn letters(text: &str) -> [usize; 256] {
    let mut counts = [0; 256];
    let letters = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    letters.for_each(|byte| counts[usize::from(byte)] += 1);
    counts
}

/// An offer, answered by str0m as for a leg that joins. A panic of str0m's is caught, as the shard does: it is known to assert
/// on payload types that are named twice.
pub fn negotiation(bytes: &[u8]) {
    // To make a key for each connection takes longer than all the rest.
    static CERTIFICATE: LazyLock<DtlsCert> = LazyLock::new(|| {
        from_feature_flags().dtls_provider.generate_certificate().expect("a certificate can be made")
    });
    let sdp = String::from_utf8_lossy(bytes);
    if let Ok(offer) = Offer::check(&sdp, &[]) {
        let config = str0m::RtcConfig::new().set_ice_lite(true).set_rtp_mode(true);
        let config = config.set_crypto_provider(Arc::new(keys::overheard_aead()));
        let mut rtc = config.set_dtls_cert(CERTIFICATE.clone()).build(start());
        let answer = catch_unwind(AssertUnwindSafe(|| offer.answer(&mut rtc)));
        if let Ok(Ok(answer)) = answer {
            assert!(answer.len() <= 16 * sdp.len() + 4_096, "{} for {}", answer.len(), sdp.len());
        }
    }
}

/// A segment of the usage journal; the first two bytes say how much of it is skipped.
pub fn segment(bytes: &[u8]) {
    let Some((skip, segment)) = bytes.split_first_chunk::<2>() else { return };
    for skip in [0, u64::from(u16::from_le_bytes(*skip)), u64::MAX] {
        let facts = journal::read_segment(segment, skip);
        assert!(facts.len() <= segment.len() / 49);
    }
}

/// SRTP and SRTCP that must prove itself, in each profile.
pub fn proof(datagram: &[u8]) {
    let material = material();
    for profile in
        [SrtpProfile::AES128_CM_SHA1_80, SrtpProfile::AEAD_AES_128_GCM, SrtpProfile::AEAD_AES_256_GCM]
    {
        let mut sources = Sources::new(Handshake::said(&material, profile, true));
        for _ in 0..2 {
            let _admitted = sources.admits(datagram);
            let _opened = sources.open_report(&mut datagram.to_vec()).map(|report| rtcp::read(report, drop));
        }
    }
}

/// What a subscriber reports, opened. The first byte says how many packets it was sent; it reports twice.
pub fn feedback(bytes: &[u8]) {
    let Some((sent, compound)) = bytes.split_first() else { return };
    let mut now = start();
    let mut line = Downlink::new(now);
    line.set_goal_bps(5_000_000);
    for seq in 0..u64::from(*sent) {
        now += Duration::from_millis(3);
        line.sent(seq, 1_200, now);
    }
    for _ in 0..2 {
        now += Duration::from_millis(120);
        line.feedback(compound, now);
        line.tick(now);
        let told = line.stats(now);
        assert!((30_000..=100_000_000).contains(&told.estimate_bps), "{told:?}");
        assert!((0.0..=1.0).contains(&told.loss), "{told:?}");
        assert!(line.pacing_bps() >= told.estimate_bps && line.padding_bytes(now) <= 1 << 20, "{told:?}");
    }
    read_report(compound);
}

/// What else is read of a compound.
fn read_report(compound: &[u8]) {
    let whole: usize = rtcp::packets(compound).map(<[u8]>::len).sum();
    assert!(whole <= compound.len() && (whole > 0 || !rtcp::is_of_a_sender(compound)));
    let (mut downlink, ntp) = (quality::Downlink::default(), u64::MAX / 3);
    rtcp::read(compound, |item| match item {
        Item::Nack { entries, .. } => assert!(rtcp::missing(entries).count() <= entries.len() / 4 * 17),
        Item::Report(report) => downlink.report(&report, 90_000, ntp),
        Item::KeyframeRequest { .. } | Item::Transport(_) | Item::Remb(_) => {}
    });
    let measured = downlink.take();
    assert!(measured.loss_permille.is_none_or(|loss| loss <= 1_000), "{measured:?}");
    assert!(measured.rtt.is_none_or(|rtt| rtt <= Duration::from_secs(30)), "{measured:?}");
}

/// The payload of redundant audio. What is renamed has its own encoding where it was, untouched.
pub fn redundant(payload: &[u8]) {
    let mut renamed = payload.to_vec();
    red::rename(&mut renamed, 111);
    let primary_at = red::primary_at(payload);
    assert_eq!(red::primary_at(&renamed), primary_at);
    if let Some(at) = primary_at {
        assert!((1..=payload.len()).contains(&at));
        assert_eq!(renamed[at..], payload[at..]);
    }
}

/// A datagram that is noted for whoever looks for a fault: no payload of it is.
pub fn tap(datagram: &[u8]) {
    let handshake = Handshake::said(&material(), SrtpProfile::AEAD_AES_128_GCM, true);
    let Some(agreed) = handshake.agreed() else { return };
    let open = || Tap::open(1, 9, Some(agreed), start());
    let mut tap = open();
    tap.came(datagram, Timestamp::UNIX_EPOCH);
    tap.left(datagram, datagram.len() / 2, Timestamp::UNIX_EPOCH);
    assert!(tap.finish().len() <= 24 + 4 * (16 + 28 + datagram.len()));

    report_in_tap(datagram, agreed, open());
}

/// The same of what we report, which the tap can open.
fn report_in_tap(compound: &[u8], agreed: &Agreed, mut tap: Tap) {
    let length = compound.len();
    let mut sealed = compound.to_vec();
    sealed.resize(length + SEAL_BYTES_MAX, 0);
    let sealer = Sealer::new(agreed).filter(|_| rtcp::is_rtcp(compound) && length >= 8);
    let Some(length) = sealer.and_then(|mut sealer| sealer.seal_rtcp(&mut sealed, length)) else { return };
    tap.left(&sealed[..length], length, Timestamp::UNIX_EPOCH);
    let (file, whole) = (tap.finish(), rtcp::packets(compound).map(<[u8]>::len).sum::<usize>());
    // Unless it is too long to be opened.
    if file.len() == 24 + 16 + 28 + whole {
        let mut shown = &file[file.len() - whole..];
        for packet in rtcp::packets(compound) {
            let (kept, rest) = shown.split_at(packet.len());
            assert!(kept.iter().skip(8).all(|byte| *byte == 0), "a report is shown");
            shown = rest;
        }
    }
}

/// When a publisher's reports say that its packets were captured: 20 bytes each.
pub fn capture(bytes: &[u8]) {
    let (mut clock, mut arrived_ms) = (CaptureClock::default(), 1_700_000_000_000u64);
    for step in bytes.chunks_exact(20) {
        let word = |at: usize| u32::from_be_bytes([step[at], step[at + 1], step[at + 2], step[at + 3]]);
        let since_1970 = Duration::new(word(0).into(), word(4) % 1_000_000_000);
        let ntp_time = match step[16] % 2 {
            0 => SystemTime::UNIX_EPOCH + since_1970,
            _ => SystemTime::UNIX_EPOCH - since_1970,
        };
        let info = SenderInfo {
            ssrc: 1.into(),
            ntp_time,
            rtp_time: MediaTime::new(word(8).into(), Frequency::NINETY_KHZ),
            sender_packet_count: 0,
            sender_octet_count: 0,
        };
        arrived_ms += u64::from(step[17]) << (step[18] % 16);
        let arrived = SystemTime::UNIX_EPOCH + Duration::from_millis(arrived_ms);
        let rate_hz = [0, 8_000, 48_000, 90_000][usize::from(step[19] % 4)];
        assert!(clock.captured(&info, word(12), rate_hz, arrived) <= arrived);
    }
}

/// Numbers of packets on a slot's line: 16 bytes each.
pub fn numbers(bytes: &[u8]) {
    let mut line = Line::new(90_000);
    let mut now = start();
    for step in bytes.chunks_exact(16) {
        let word = |at: usize| u32::from_be_bytes([step[at], step[at + 1], step[at + 2], step[at + 3]]);
        let packet = Numbers {
            // str0m extends 16 bits by its own count of rollovers.
            seq: u64::from(word(0)) << 8 | u64::from(step[4]),
            ts: word(5),
            picture_id: (step[9] & 1 == 0).then(|| u16::from_be_bytes([step[10], step[11]]) & 0x7fff),
            tl0: (step[9] & 2 == 0).then_some(step[12]),
            key_index: (step[9] & 4 == 0).then_some(step[12] & 0x1f),
            frame_number: (step[9] & 8 == 0).then(|| u16::from_be_bytes([step[10], step[11]])),
        };
        now += Duration::from_millis(u64::from(step[13]) << (step[14] % 16));
        match step[15] % 8 {
            0 => line.switch(&packet, now),
            1 => line.pause(),
            2 => line.leave_out(&packet),
            _ => {
                let numbers = line.rewrite(&packet);
                assert!(numbers.is_none_or(|numbers| numbers.seq > 0));
            }
        }
    }
}

/// What a page sends on a channel for messages.
pub fn message(bytes: &[u8]) {
    if let Some(message) = Message::parse(bytes) {
        assert!(bytes.len() <= MESSAGE_BYTES_MAX);
        let somebody = LegId(Uuid::nil());
        assert!(bytes[1] != 0 || message.is_for(somebody));
    }
}

/// A packet of SCTP: what it says once it says again.
pub fn chunks(bytes: &[u8]) {
    let mut streams = Streams::default();
    let admitted = streams.admit(bytes);
    assert_eq!(streams.admit(bytes), admitted);
    assert!(admitted || bytes.len() > 12 + 64 * 12);
}

/// A stream of packets; the first byte says in what pieces it comes besides in one.
pub fn stream(bytes: &[u8]) {
    let Some((piece, stream)) = bytes.split_first() else { return };
    let read = |piece: usize| {
        let (mut unframer, mut packets) = (Unframer::default(), Vec::new());
        let mut pieces = stream.chunks(piece.max(1));
        let whole = pieces.try_for_each(|come| unframer.read(come, |packet| packets.push(packet.to_vec())));
        (whole, packets)
    };
    let (whole, packets) = read(stream.len());
    assert!(packets.iter().all(|packet| packet.len() <= PACKET_BYTES_MAX));
    assert_eq!(read(usize::from(*piece)), (whole, packets));
}

/// Who the TURN server's fuzzer is: a pass of this node, on a connection whose nonce is known.
struct TurnScene {
    session: Session,
    key: [u8; 16],
    server: TurnServer,
    node: SocketAddr,
}

impl TurnScene {
    const NONCE: [u8; 16] = [9; 16];

    fn new() -> TurnScene {
        let node = SocketAddr::from(([192, 0, 2, 1], 7900));
        let mut reach = Reach::default();
        reach.add(&[node], &[node]);
        let passes = Arc::new(Passes::new(String::new(), [3; 32]));
        let server = passes.issue(LegId(Uuid::nil()), Timestamp::UNIX_EPOCH);
        let key = long_term_key(&server.username, REALM, &server.credential);
        let session = Session::new(([203, 0, 113, 5], 4000).into(), Self::NONCE, passes, Arc::new(reach));
        TurnScene { session, key, server, node }
    }

    fn take(&mut self, frame: Frame<'_>) {
        let now = Now { instant: start(), wall: Timestamp::UNIX_EPOCH };
        let mut open = |ip| Ok(SocketAddr::new(ip, 5_000));
        match self.session.take(frame, now, &mut open) {
            Step::Forward { to, .. } => assert_eq!(to, self.node, "nothing but the node is reached"),
            Step::Answer(answer) => assert!(
                TurnMessage::parse(&answer)
                    .is_some_and(|answer| { matches!(answer.class, Class::Success | Class::Error) })
            ),
            Step::Nothing => {}
        }
    }

    /// A request of the pass's owner.
    fn request(&self, method: u16) -> Writer {
        let nonce = Self::NONCE.map(|byte| format!("{byte:02x}")).concat();
        Writer::new(Class::Request, method, [1; 12])
            .attribute(attribute::USERNAME, self.server.username.as_bytes())
            .attribute(attribute::REALM, REALM.as_bytes())
            .attribute(attribute::NONCE, nonce.as_bytes())
    }
}

/// A stream to the TURN server, read as it comes and once more with every message signed by whoever has a pass.
pub fn turn(bytes: &[u8]) {
    let (mut stranger, mut owner) = (TurnScene::new(), TurnScene::new());
    let _ended = Frames::default().read(bytes, |frame| {
        stranger.take(frame);
        match frame {
            Frame::Message(message) => match TurnMessage::parse(message) {
                Some(message) => owner.take(Frame::Message(&message.signed_anew(&owner.key))),
                None => owner.take(frame),
            },
            Frame::Data { .. } => owner.take(frame),
        }
    });
    let mut out = Vec::new();
    owner.session.relayed(owner.node, bytes, || [2; 12], &mut out);
    assert!(out.len() <= bytes.len() + 64);
}

/// What a browser says to a TURN server from its first word to its last.
pub fn turn_streams() -> Vec<Vec<u8>> {
    let scene = TurnScene::new();
    let to_node = |writer: Writer| writer.address(attribute::XOR_PEER_ADDRESS, scene.node);
    let allocate = scene.request(method::ALLOCATE).attribute(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let bind = scene.request(method::CHANNEL_BIND).attribute(attribute::CHANNEL_NUMBER, &[0x40, 1, 0, 0]);
    let send = Writer::new(Class::Indication, method::SEND, [1; 12]).attribute(attribute::DATA, b"check");
    let mut data = Vec::new();
    write_data(0x4001, b"media", &mut data);
    let said = [
        allocate.signed(&scene.key),
        to_node(scene.request(method::CREATE_PERMISSION)).signed(&scene.key),
        to_node(send).end(),
        to_node(bind).signed(&scene.key),
        data,
        scene.request(method::REFRESH).attribute(attribute::LIFETIME, &[0; 4]).signed(&scene.key),
    ];
    let bare = Writer::new(Class::Request, method::BINDING, [1; 12]).end();
    vec![said[..2].concat(), said[..4].concat(), said.concat(), bare]
}

/// What Linux tells about its addresses.
pub fn system(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    addresses::read_anything(&text);
}
