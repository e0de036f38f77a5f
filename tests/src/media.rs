//! Synthetic media: packets whose headers are valid and whose pictures show nothing.

use bytes::{BufMut, Bytes, BytesMut};
use rtc::rtp::header::Header;
use rtc::rtp::packet::Packet;

/// The payload type of Opus in a bot's offer.
pub(crate) const OPUS: u8 = 111;
/// The payload type of VP8 in a bot's offer.
pub(crate) const VP8: u8 = 96;

/// Makes the packets of one voice: 20 ms each.
#[derive(Debug)]
pub(crate) struct Voice {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Voice {
    pub(crate) fn new(ssrc: u32) -> Voice {
        Voice { ssrc, sequence: 1, timestamp: 0 }
    }

    /// RFC 6716 §3.1: configuration 15 (hybrid, fullband, 20 ms), mono, one frame; the rest is noise that a decoder survives.
    pub(crate) fn next(&mut self) -> Packet {
        let mut payload = BytesMut::from(&[0x78][..]);
        payload.resize(80, 0x5a);
        let packet =
            packet(OPUS, self.ssrc, self.sequence, self.timestamp, self.sequence == 1, payload.freeze());
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(960);
        packet
    }
}

/// Makes the packets of one picture: a frame in one packet, every tenth a keyframe.
#[derive(Debug)]
pub(crate) struct Picture {
    ssrc: u32,
    sequence: u16,
    frames: u32,
    frame_ticks: u32,
}

impl Picture {
    pub(crate) fn new(ssrc: u32, fps: u32) -> Picture {
        Picture { ssrc, sequence: 1, frames: 0, frame_ticks: 90_000 / fps }
    }

    pub(crate) fn next(&mut self) -> Packet {
        let payload = vp8_frame(self.frames, self.frames.is_multiple_of(10));
        let timestamp = self.frames.wrapping_mul(self.frame_ticks);
        let packet = packet(VP8, self.ssrc, self.sequence, timestamp, true, payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.frames += 1;
        packet
    }
}

/// RFC 7741 §4.2 payload descriptor with a 15-bit picture id, then RFC 6386 §9.1 frame header.
fn vp8_frame(frame: u32, key: bool) -> Bytes {
    let mut payload = BytesMut::new();
    payload.put_slice(&[0x90, 0x80]);
    payload.put_u16(0x8000 | (frame & 0x7fff) as u16);
    if key {
        // Shown key frame, version 0, first partition of 400 bytes; start code; 320 × 180.
        payload.put_slice(&[0x10, 0x32, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00]);
    } else {
        payload.put_slice(&[0x11, 0x0c, 0x00]);
    }
    let length = if key { 900 } else { 300 };
    payload.resize(length, 0x11);
    payload.freeze()
}

fn packet(
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Bytes,
) -> Packet {
    let header = Header {
        version: 2,
        marker,
        payload_type,
        sequence_number: sequence,
        timestamp,
        ssrc,
        ..Header::default()
    };
    Packet { header, payload }
}
