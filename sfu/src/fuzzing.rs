//! The parsers of this crate that read what strangers send, for the fuzzer in `tests/`. Each takes any bytes, and panics when
//! it breaks a promise. Not an interface: it exists under the feature `fuzzing` only.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::crypto::dtls::{DtlsCert, SrtpProfile};
use str0m::crypto::from_feature_flags;
use str0m::format::Codec;
use str0m::rtp::Vp8Descriptor;
use uuid::Uuid;

use crate::control::{LegId, SendLine, Source};
use crate::demux::{Demux, Place};
use crate::dependency::{Raw, Reader};
use crate::framing::{PACKET_BYTES_MAX, Unframer};
use crate::keys::Handshake;
use crate::messages::{MESSAGE_BYTES_MAX, Message};
use crate::offer::{Offer, name_seats};
use crate::rewrite::{Line, Numbers};
use crate::slab::Key;
use crate::slots::Slots;
use crate::sources::Sources;
use crate::svc::Layer;
use crate::{addresses, codec, dependency, fast_join, journal, rtcp};

/// The user name and password that the door knows.
pub const UFRAG: &str = "ours";
/// See [`UFRAG`].
pub const PASSWORD: &str = "a password of some length";

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

/// An offer, up to str0m's reading of it, and the naming of an answer.
pub fn offer(bytes: &[u8]) {
    let sdp = String::from_utf8_lossy(bytes);
    let prepared = fast_join::prepare_offer(&sdp);
    assert!(!prepared.lines().any(|line| line.starts_with("a=candidate:")));
    assert!(prepared.len() <= 2 * sdp.len() + 2);
    let _parsed = SdpOffer::from_sdp_string(&prepared);
    let sends = [SendLine { mid: "0".into(), source: Source::Microphone }];
    for sends in [&sends[..], &[]] {
        let Ok(offer) = Offer::check(&sdp, sends) else { continue };
        assert!(sdp.len() <= 64 << 10 && offer.lines.len() <= 64);
        let mut slots = Slots::default();
        offer.slots().for_each(|(mid, kind)| slots.add(mid, kind));
        let named = name_seats(&sdp, &slots.list());
        assert!(named.len() <= sdp.len() + 64 * sdp.lines().count());
    }
}

/// An offer, answered by str0m as for a leg that joins. A panic of str0m's is caught, as the shard does: it is known to assert
/// on payload types that are named twice.
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
pub fn negotiation(bytes: &[u8]) {
    // To make a key for each connection takes longer than all the rest.
    static CERTIFICATE: LazyLock<DtlsCert> = LazyLock::new(|| {
        from_feature_flags().dtls_provider.generate_certificate().expect("a certificate can be made")
    });
    let sdp = String::from_utf8_lossy(bytes);
    if let Ok(offer) = Offer::check(&sdp, &[]) {
        let config = str0m::RtcConfig::new().set_ice_lite(true).set_rtp_mode(true);
        let mut rtc = config.set_dtls_cert(CERTIFICATE.clone()).build(Instant::now());
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
    let material: Vec<u8> = (0..88).collect();
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

/// Numbers of packets on a slot's line: 16 bytes each.
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
pub fn numbers(bytes: &[u8]) {
    let mut line = Line::new(90_000);
    let mut now = Instant::now();
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

/// What Linux tells about its addresses.
pub fn system(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    addresses::read_anything(&text);
}
