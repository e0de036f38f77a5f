//! What a slot sends for what its sources send, codec by codec: over switches between people and between layers, loss,
//! reordering and the wrap of every counter. From a payload as a publisher wrote it to a packet as it is about to be sealed.
//!
//! A line is a packet, `source seq ts marker payload[+descriptor]`, and behind `->` the packet that leaves, or `-`. A source is a
//! person and a layer's name (`b`, `a/q`); numbers are as they are on the wire; the marker is `m` or `.`; bytes are
//! hexadecimal. Other lines say what happens: `play a`, `play a/q`, `play a@1.2` (spatial.temporal), `wait 40` (ms),
//! `takes red` and `takes opus` (which sound the subscriber can read).
//!
//! The slot's timestamps follow the time at which a source's first packet came, so that a switch 40 ms after the slot's first
//! packet is 3,600 ticks on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::format::{Codec, CodecSpec, FormatParams};
use str0m::media::{Frequency, Rid};
use str0m::rtp::{ExtensionMap, ExtensionValues};
use uuid::Uuid;

use super::PayloadTypes;
use super::header::{BYTES_MAX, ExtensionIds, FIXED, Fields};
use super::stream::{self, Pending};
use crate::codec::{Reader, red};
use crate::control::{Kind, LegId, Source, TrackKey};
use crate::dependency::{self, Raw};
use crate::forward::{LayerId, Packet, Player, Rewritten, SourceId, tests::start};
use crate::keyframes::Arrival;
use crate::rewrite::Numbers;
use crate::svc::Layer;

const DESCRIPTOR_ID: u8 = 12;

/// One slot and the streams that it is offered.
struct Desk {
    codec: Codec,
    player: Player,
    now: Instant,
    /// The subscriber's payload types.
    types: PayloadTypes,
    /// The last extended sequence number of each source, and what reads it.
    streams: BTreeMap<String, (u64, Reader)>,
}

/// Runs a script; all packets that leave must be those behind its arrows.
fn check(codec: Codec, script: &str) {
    let kind = if codec.is_video() { Kind::Video } else { Kind::Audio };
    let types = PayloadTypes { pt: 96.into(), rtx: None, primary: None };
    let mut desk = Desk { codec, player: Player::new(kind), now: start(), types, streams: BTreeMap::new() };
    let (mut expected, mut actual) = (String::new(), String::new());
    for line in script.lines() {
        let line =
            line.split('#').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let Some((packet, leaves)) = line.split_once(" -> ") else {
            desk.follow(&line);
            continue;
        };
        let left = desk.offer(packet).unwrap_or_else(|| "-".to_owned());
        writeln!(expected, "{packet} -> {leaves}").unwrap();
        writeln!(actual, "{packet} -> {left}").unwrap();
    }
    assert!(!expected.is_empty());
    assert_eq!(expected, actual, "\nexpected:\n{expected}\nactual:\n{actual}");
}

impl Desk {
    fn follow(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("play", name)) => {
                let (name, svc) = match name.split_once('@') {
                    Some((name, layer)) => (name, layer_of(layer)),
                    None => (name, Layer::TOP),
                };
                let source = source_of(name);
                self.player.want(Some((source.track, LayerId { rid: source.rid, svc })));
            }
            Some(("takes", "red")) => self.types.primary = Some(109.into()),
            Some(("takes", "opus")) => self.types.primary = None,
            Some(("wait", ms)) => self.now += Duration::from_millis(ms.parse().unwrap()),
            _ => assert!(line.is_empty(), "{line}"),
        }
    }

    fn offer(&mut self, packet: &str) -> Option<String> {
        let packet = Arc::new(self.read(packet));
        let mut rewritten = self.player.take(&packet);
        if rewritten.is_none() && self.player.expects(&packet.source) {
            // The room waits until a layer flows; here that is so at once.
            let now = self.now;
            self.player.gives_way(&Arrival { began: now, due: now, is_whole: true, flows: true }, now);
            rewritten = self.player.take(&packet);
        }
        Some(written(rewritten?, packet, self.types))
    }

    /// A packet as its publisher sent it.
    fn read(&mut self, line: &str) -> Packet {
        let [name, seq, ts, marker, bytes] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (payload, descriptor) = bytes.split_once('+').unwrap_or((bytes, ""));
        let (payload, seq): (Vec<u8>, u16) = (unhex(payload), seq.parse().unwrap());
        let (last, reader) =
            self.streams.entry(name.to_owned()).or_insert((1 << 16 | u64::from(seq), Reader::default()));
        *last = last.wrapping_add_signed(i64::from(seq.wrapping_sub(*last as u16) as i16));
        let raw = Raw(unhex(descriptor).into());
        let (picture, dependency) = reader.read(self.codec, &payload, Some(&raw));
        Packet {
            source: source_of(name),
            numbers: Numbers {
                seq: *last,
                ts: ts.parse().unwrap(),
                picture_id: picture.picture_id,
                tl0: picture.tl0,
                key_index: picture.key_index,
                frame_number: dependency.as_ref().map(|dependency| dependency.frame_number),
            },
            pt: 96,
            marker: marker == "m",
            codec: CodecSpec {
                codec: self.codec,
                clock_rate: Frequency::NINETY_KHZ,
                channels: None,
                format: FormatParams::default(),
            },
            primary_at: (self.codec == Codec::Red).then(|| red::primary_at(&payload).unwrap()),
            payload: payload.into(),
            picture,
            dependency,
            extensions: ExtensionValues::default(),
            arrived: self.now,
            captured: None,
        }
    }
}

/// A packet as our egress writes it, in the script's words.
fn written(rewritten: Rewritten, packet: Arc<Packet>, types: PayloadTypes) -> String {
    let numbers = rewritten.numbers;
    let fields = Fields {
        marker: rewritten.marker,
        pt: 96,
        seq: numbers.seq as u16,
        ts: numbers.ts,
        ssrc: 1,
        transport_seq: 0,
    };
    let mut map = ExtensionMap::empty();
    map.set(DESCRIPTOR_ID, dependency::extension());
    let pending = Pending { rewritten, types, packet };
    let mut place = vec![0; BYTES_MAX + 1_500];
    let (head, end) = stream::frame(&mut place, &fields, &ExtensionIds::in_map(&map), &pending, false);
    let seq = u16::from_be_bytes([place[2], place[3]]);
    let ts = u32::from_be_bytes([place[4], place[5], place[6], place[7]]);
    let marker = if place[1] & 0x80 == 0 { '.' } else { 'm' };
    let mut line = format!("{seq} {ts} {marker} {}", hex(&place[head..end]));
    if head > FIXED {
        let form = u16::from_be_bytes([place[FIXED], place[FIXED + 1]]);
        let element = &place[FIXED + 4..head];
        let (id, len, at) = match form {
            0xbede => (element[0] >> 4, usize::from(element[0] & 15) + 1, 1),
            _ => (element[0], usize::from(element[1]), 2),
        };
        assert_eq!(id, DESCRIPTOR_ID);
        write!(line, "+{}", hex(&element[at..at + len])).unwrap();
    }
    line
}

fn source_of(name: &str) -> SourceId {
    let (person, rid) = name.split_once('/').map_or((name, None), |(person, rid)| (person, Some(rid)));
    let leg = LegId(Uuid::from_u128(person.bytes().map(u128::from).sum()));
    let ssrc = name.bytes().fold(0, |ssrc, byte| ssrc << 8 | u32::from(byte));
    SourceId { track: TrackKey { leg, source: Source::Camera }, rid: rid.map(Rid::from), ssrc }
}

fn layer_of(text: &str) -> Layer {
    let (spatial, temporal) = text.split_once('.').unwrap();
    Layer { spatial: spatial.parse().unwrap(), temporal: temporal.parse().unwrap() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

/// Payloads: `90f0`, picture id, TL0PICIDX, layer and key index, first byte of the frame (bit 0 clear: a keyframe).
#[test]
fn vp8_between_people_with_every_counter_wrapping() {
    check(
        Codec::Vp8,
        "
        play a
        a 65534 4294961296 m 90f0ffffff1f00 -> 1 4294961296 m 90f0ffffff1f00   # All counters at their ends.
        a 65535 4294964296 . 90f08000003f01 -> 2 4294964296 . 90f08000003f01
        a     0 4294964296 m 80f08000003f   -> 3 4294964296 m 80f08000003f     # The second packet of a picture.
        a     2       4000 m 90f08002013f01 -> 5       4000 m 90f08002013f01   # 1 was lost.
        a     1          4 m 90f08001013f01 -> 4          4 m 90f08001013f01   # It came late.
        play b
        wait 200
        b   700   50000000 m 90f0800a05e301 -> -                               # No keyframe yet.
        a     3       7000 m 90f08003023f01 -> 6       7000 m 90f08003023f01
        b   701   50003000 . 90f0800b06e400 -> 7      12000 . 90f0800403e000   # 200 ms are 18,000 ticks.
        a     4      10000 m 90f08004033f01 -> -                               # Over.
        b   702   50003000 m 80f0800b06e4   -> 8      12000 m 80f0800403e0
        b   700   50000000 m 90f0800a05e301 -> -                               # From before the switch.
        b   704   50009000 m 90f0800d08e401 -> 10     18000 m 90f0800605e001
        b   703   50006000 m 90f0800c07e401 -> 9      15000 m 90f0800504e001
        ",
    );
}

#[test]
fn vp8_between_layers_with_their_own_counters() {
    check(
        Codec::Vp8,
        "
        play a/q
        a/q   100    9000 m 90e0fffdfe2000 -> 1    9000 m 90e0fffdfe2000
        a/f 40000  777000 m 90e08001102000 -> -                                # Not wanted.
        play a/f
        wait 33
        a/f 40001  780000 m 90e08002112001 -> -                                # Not a keyframe.
        a/q   101   12000 m 90e0fffeff2001 -> 2   12000 m 90e0fffeff2001
        wait 33
        a/f 40002  783000 . 90e08003122000 -> 3   14940 . 90e0ffff002000       # Ids go on: 0x7fff, and TL0PICIDX wraps.
        a/f 40003  783000 m 80e080031220   -> 4   14940 m 80e0ffff0020
        a/q   102   15000 m 90e0ffffff2001 -> -
        a/f 40004  786000 m 90e08004132001 -> 5   17940 m 90e08000012001       # And 0 behind 0x7fff.
        play a/q
        wait 33
        a/q   103   18000 m 90e08000002000 -> 6   18030 m 90e08001022000       # 17,910 would be before the last: 1 ms after it.
        ",
    );
}

#[test]
fn vp8_with_short_picture_ids_and_none() {
    check(
        Codec::Vp8,
        "
        play a
        a 1    0 m 90c07fff00 -> 1    0 m 90c07fff00                           # 7 bits.
        a 2 3000 m 90c0000001 -> 2 3000 m 90c0000001
        play b
        wait 100
        b 9 5000 m 1000       -> 3 9000 m 1000                                 # No descriptor's numbers at all.
        play c
        wait 100
        c 4   50 m 90c0050900 -> 4 18000 m 90c0010100                          # Goes on where the last numbers were.
        ",
    );
}

/// Payloads: flags, picture id, layer, and in non-flexible mode TL0PICIDX; `0x82` begins a keyframe's frame.
#[test]
fn vp9_in_non_flexible_mode_with_every_counter_wrapping() {
    check(
        Codec::Vp9,
        "
        play a
        a 65535 4294967000 . a8ffff00ff82 -> 1 4294967000 . a8ffff00ff82       # Begins; id 0x7fff, TL0PICIDX 255.
        a     0 4294967000 m a4ffff00ff00 -> 2 4294967000 m a4ffff00ff00       # Ends.
        a     1       2704 m ec800040ff86 -> 3       2704 m ec800040ff86       # Temporal layer 2.
        a     3       8704 m ec8002000086 -> 5       8704 m ec8002000086
        a     2       5704 m ec800140ff86 -> 4       5704 m ec800140ff86       # Late.
        play b
        wait 150
        b   500    1000000 m ec8123000586 -> -
        b   501    1003000 m ac8124000682 -> 6      13204 m ac8003000182       # 150 ms are 13,500 ticks.
        b   500    1000000 m ec8123000586 -> -                                 # From before the switch.
        b   503    1009000 m ec8126000786 -> 8      19204 m ec8005000286       # 502 is lost.
        play a
        wait 100
        a     9      26704 m ec8008000386 -> -
        a    10      29704 m ac8009000482 -> 9      22204 m ac8006000382
        ",
    );
}

#[test]
fn vp9_in_flexible_mode_has_references_and_no_tl0picidx() {
    check(
        Codec::Vp9,
        "
        play a
        a 10    0 m bc80070082   -> 1    0 m bc80070082                        # A keyframe.
        a 11 3000 m fc8008000286 -> 2 3000 m fc8008000286                      # Refers to one picture back.
        play b
        wait 100
        b 77 9000 m bcfffe0082   -> 3 9000 m bc80090082
        b 78 9090 m fcffff000286 -> 4 9090 m fc800a000286
        b 79 9180 m fc8000000286 -> 5 9180 m fc800b000286                      # Their wrap is not the slot's.
        ",
    );
}

#[test]
fn vp9_without_layers_and_with_short_ids() {
    check(
        Codec::Vp9,
        "
        play a
        a 10    0 m 8c7e82 -> 1    0 m 8c7e82
        a 11 3000 m cc7f86 -> 2 3000 m cc7f86
        a 12 6000 m cc0086 -> 3 6000 m cc0086                                  # 7 bits wrap.
        play b
        wait 100
        b 10  100 m 0c82   -> 4 9000 m 0c82                                    # No id at all.
        play c
        wait 100
        c 10    0 m 8c8007 -> 5 18000 m 8c8081                                 # 15 bits go on at 0x81.
        ",
    );
}

/// Three spatial layers, of which upper ones need lower ones in keyframes only (`L3T3_KEY`). A picture is three frames; its
/// marker is the largest one's.
#[test]
fn vp9_spatial_layers_down_with_the_next_picture_and_up_with_a_keyframe() {
    check(
        Codec::Vp9,
        "
        play a@2.2
        a  1    0 . bc800100 -> 1    0 . bc800100                              # A keyframe: spatial layer 0,
        a  2    0 . bc800103 -> 2    0 . bc800103                              # 1, predicted from 0,
        a  3    0 m bc800105 -> 3    0 m bc800105                              # and 2.
        play a@1.2
        a  4 3000 . fd80020002 -> 4 3000 . fd80020002
        a  5 3000 . fd80020202 -> 5 3000 m fd80020202                          # The marker is here now.
        a  6 3000 m fd80020402 -> -
        a  7 6000 . fd80030002 -> 6 6000 . fd80030002                          # No hole where layer 2 was.
        a  8 6000 . f980030202 -> 7 6000 . f980030202                          # A frame in two packets:
        a  9 6000 . f5800302   -> 8 6000 m f5800302                            # the marker is on the last.
        a 10 6000 m fd80030402 -> -
        play a@2.2
        a 11 9000 . fd80040002 -> 9 9000 . fd80040002
        a 12 9000 . fd80040202 -> 10 9000 m fd80040202
        a 13 9000 m fd80040402 -> -                                            # Waits for a keyframe.
        a 14 12000 . bc800500  -> 11 12000 . bc800500
        a 15 12000 . bc800503  -> 12 12000 . bc800503
        a 16 12000 m bc800505  -> 13 12000 m bc800505
        play a@0.2
        a 18 15000 . fd80060202 -> -                                           # 17 is late.
        a 19 15000 m fd80060402 -> -
        a 17 15000 . fd80060002 -> 14 15000 m fd80060002
        a 20 18000 . fd80070002 -> 15 18000 m fd80070002
        ",
    );
}

/// Temporal layers 0 2 1 2. In the layers' byte, 0x10 says that higher frame rates may start.
#[test]
fn vp9_temporal_layers_down_with_any_picture_and_up_where_it_is_allowed() {
    check(
        Codec::Vp9,
        "
        play a@0.2
        a 10    0 m ac80010001 -> 1    0 m ac80010001
        a 11 3000 m ec80024001 -> 2 3000 m ec80024001
        play a@0.0
        a 12 6000 m ec80032001 -> -
        a 13 9000 m ec80044001 -> -
        a 14 12000 m ec80050002 -> 3 12000 m ec80050002                        # Ids keep their gaps: they say what refers to what.
        play a@0.2
        a 15 15000 m ec80064002 -> -
        a 16 18000 m ec80073002 -> -                                           # Of a layer that is not shown.
        a 17 21000 m ec80084002 -> -
        a 18 24000 m ec80091003 -> 4 24000 m ec80091003                        # Here.
        a 19 27000 m ec800a5003 -> 5 27000 m ec800a5003
        ",
    );
}

#[test]
fn h264_has_nothing_but_sequence_numbers_and_timestamps() {
    check(
        Codec::H264,
        "
        play a/q
        a/q 65535 4294967000 . 6742c01f -> 1 4294967000 . 6742c01f             # Parameter set,
        a/q     0 4294967000 m 65aa     -> 2 4294967000 m 65aa                 # picture.
        a/q     2       5704 m 41bb     -> 4       5704 m 41bb
        a/q     1       2704 m 41aa     -> 3       2704 m 41aa
        play a/f
        wait 100
        a/f     9       1000 . 7c85aa   -> 5       8704 . 7c85aa               # A fragmented picture begins,
        a/f    10       1000 . 7c05bb   -> 6       8704 . 7c05bb
        a/f    11       1000 m 7c45cc   -> 7       8704 m 7c45cc               # and ends.
        a/q     3       8704 m 41cc     -> -
        play b
        wait 50
        b   40000         50 m 7c05     -> -                                   # Not the start of one.
        b   40001       3050 . 78000467420001000265aa -> 8 13204 . 78000467420001000265aa
        ",
    );
}

#[test]
fn sequence_numbers_of_a_slot_wrap_as_its_packets_go_on() {
    check(
        Codec::H264,
        "
        play a
        a    10     0 m 65 -> 1     0 m 65
        a 30010  3000 m 41 -> 30001 3000 m 41
        a 60010  6000 m 41 -> 60001 6000 m 41
        a 10    9000 m 41 -> 1 9000 m 41                                       # 65,546: one round on.
        a 8     8000 m 41 -> 65535 8000 m 41                                   # Late, from before the wrap.
        ",
    );
}

#[test]
fn opus_goes_through_as_it_is_with_silence_and_redundancy() {
    check(
        Codec::Opus,
        "
        play a
        a 65535 4294966900 m fcffee -> 1 4294966900 m fcffee                   # A spurt of talk begins: the marker.
        a     0        564 . fcaabb -> 2        564 . fcaabb
        a     1       1524 . f8     -> 3       1524 . f8                       # Silence: one byte,
        a     2      20724 m fc0102 -> 4      20724 m fc0102                   # 400 ms later a word, with FEC inside.
        a     4      22644 . fc0304 -> 6      22644 . fc0304
        play b
        wait 500
        b   100       9000 . fc0506 -> 7      23604 . fc0506                   # At once: sound has no keyframes. 24,000 ticks.
        a     5      23604 . fc0708 -> -
        b    99       8040 . fc0900 -> -
        b   102      10920 . fc0a00 -> 9      25524 . fc0a00
        b   101       9960 . fc0b00 -> 8      24564 . fc0b00
        ",
    );
}

/// Behind the payload the dependency descriptor: `c` begins and ends a frame, then its template, then the frame number. The
/// stream has two spatial layers (`L2T1`); templates 0 and 1 are the lower one's key and other frames, 2 and 3 the upper one's.
/// What leaves names the decode targets that are sent: `46` both, `42` the lower only; in keyframes in the last bits.
#[test]
fn av1_layers_are_left_out_by_their_descriptors_and_named() {
    check(
        Codec::Av1,
        "
        play a@1.0
        a 65535    0 . 18+c0fffe800123ab22450460404fc02cc09fc059c0 -> 1 0 . 18+c0fffec00123ab22450460404fc02cc09fc059f000
        a     0    0 m 10+c2ffff -> 2    0 m 10+c2ffff46
        a     1 3000 . 10+c10000 -> 3 3000 . 10+c1000046                       # Frame numbers wrap.
        a     2 3000 m 10+c30001 -> 4 3000 m 10+c3000146
        play a@0.0
        a     3 6000 . 10+810002 -> 5 6000 . 10+81000242                       # Begins a frame,
        a     4 6000 . 90+410002 -> 6 6000 m 90+410002                         # ends it: the marker is here now.
        a     5 6000 m 10+c30003 -> -
        a     7 9000 m 10+c30005 -> -                                          # 6 is late.
        a     6 9000 . 10+c10004 -> 7 9000 m 10+c1000442                       # Frame numbers keep their gaps.
        play a@1.0
        a     8 12000 . 10+c10006 -> 8 12000 m 10+c1000642
        a     9 12000 m 10+c30007 -> -                                         # Waits for a keyframe.
        ",
    );
}

#[test]
fn av1_between_people_goes_on_with_frame_numbers() {
    check(
        Codec::Av1,
        "
        play a@1.0
        a 1    0 . 18+c0fffe800123ab22450460404fc02cc09fc059c0 -> 1 0 . 18+c0fffec00123ab22450460404fc02cc09fc059f000
        a 2    0 m 10+c2ffff -> 2    0 m 10+c2ffff46
        a 4 3000 m 10+c30001 -> 4 3000 m 10+c3000146
        a 3 3000 . 10+c10000 -> 3 3000 . 10+c1000046                           # Late.
        play b@0.0
        wait 100
        b 70 500 . 10+c90063 -> -
        b 71 800 . 18+c80064810123ab22450460404fc02cc09fc059c0 -> 5 9000 m 18+c80002c10123ab22450460404fc02cc09fc059d000
        b 72 800 m 10+ca0065 -> -
        b 73 3800 . 10+c90066 -> 6 12000 m 10+c9000442
        ",
    );
}

#[test]
fn av1_without_descriptors_has_sequence_numbers_and_timestamps() {
    check(
        Codec::Av1,
        "
        play a
        a 65535 4294967000 . 18aa -> 1 4294967000 . 18aa
        a     0 4294967000 m 90bb -> 2 4294967000 m 90bb
        a     1       2704 m 10cc -> 3       2704 m 10cc
        play b
        wait 100
        b     5          0 m 10dd -> -
        b     6       3000 m 18ee -> 4       8704 m 18ee
        ",
    );
}

/// Blocks before the last: payload type with the highest bit, how many ticks older, how many bytes; then the bytes.
#[test]
fn redundant_opus_goes_to_those_who_can_read_it_and_plain_opus_to_the_others() {
    check(
        Codec::Red,
        "
        play a
        takes red
        a 7 960 m 6fcc           -> 1 960 m 6dcc                               # 111 is 109 for this subscriber.
        a 8 1920 . ef0f00016fccdd -> 2 1920 . ed0f00016dccdd                   # One older block.
        a 9 2880 . ef1e0001ef0f00016fccddee -> 3 2880 . ed1e0001ed0f00016dccddee
        takes opus
        a 10 3840 . ef0f00016fddee -> 4 3840 . ee
        a 11 4800 . ef0f00006ff8 -> 5 4800 . f8                                # Silence.
        ",
    );
}
