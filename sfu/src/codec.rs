//! What forwarding must know of a codec: where a keyframe starts, how large it is, which numbers a payload carries and where,
//! and to which layer of a scalable stream it belongs.

mod av1;
mod h264;
pub(crate) mod red;
mod vp8;
mod vp9;

use str0m::format::Codec;

use crate::dependency::{self, Descriptor, Raw};
use crate::rewrite::{Numbers, PICTURE_BITS};
use crate::svc::{Frame, SPATIAL_MAX};

/// Width and height of a picture in pixels.
pub(crate) type Size = (u32, u32);

/// What a payload says about its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Picture {
    /// The packet begins a picture that needs no other.
    pub(crate) starts_keyframe: bool,
    /// `PictureID` of VP8 and VP9, 7 or 15 bits.
    pub(crate) picture_id: Option<u16>,
    /// `TL0PICIDX` of VP8 and VP9.
    pub(crate) tl0: Option<u8>,
    /// `KEYIDX` of VP8, 5 bits.
    pub(crate) key_index: Option<u8>,
    /// Where those numbers stand.
    pub(crate) places: Places,
    /// Where the packet stands in a scalable stream.
    pub(crate) frame: Option<Frame>,
}

/// Where a payload's numbers stand: bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Places {
    picture_id: Option<PictureIdPlace>,
    tl0: Option<u8>,
    key_index: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PictureIdPlace {
    at: u8,
    /// 15 bits; else 7.
    is_long: bool,
}

/// A picture id that was read.
struct PictureId {
    value: u16,
    place: PictureIdPlace,
}

impl PictureId {
    const LONG: u8 = 0x80;

    /// The layout is the same in VP8 (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2).
    fn read(payload: &[u8], at: usize) -> Option<PictureId> {
        let first = *payload.get(at)?;
        let is_long = first & Self::LONG != 0;
        let value = match is_long {
            true => u16::from_be_bytes([first, *payload.get(at + 1)?]) & PICTURE_BITS,
            false => u16::from(first),
        };
        Some(PictureId { value, place: PictureIdPlace { at: at as u8, is_long } })
    }

    fn end(&self) -> usize {
        usize::from(self.place.at) + if self.place.is_long { 2 } else { 1 }
    }
}

impl Places {
    const KEY_INDEX_BITS: u8 = 0x1f;

    /// Writes a slot's numbers over the source's, in as many bits as the source uses.
    pub(crate) fn renumber(&self, payload: &mut [u8], numbers: &Numbers) {
        if let (Some(PictureIdPlace { at, is_long }), Some(id)) = (self.picture_id, numbers.picture_id) {
            let at = usize::from(at);
            match is_long {
                true => payload[at..at + 2].copy_from_slice(&(id | !PICTURE_BITS).to_be_bytes()),
                false => payload[at] = (id & 0x7f) as u8,
            }
        }
        if let (Some(at), Some(tl0)) = (self.tl0, numbers.tl0) {
            payload[usize::from(at)] = tl0;
        }
        if let (Some(at), Some(index)) = (self.key_index, numbers.key_index) {
            let byte = &mut payload[usize::from(at)];
            *byte = *byte & !Self::KEY_INDEX_BITS | index & Self::KEY_INDEX_BITS;
        }
    }
}

/// Widths and heights of a stream's spatial layers; one for a stream that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    sizes: [Size; SPATIAL_MAX],
    count: usize,
}

impl Sizes {
    pub(crate) fn of(sizes: &[Size]) -> Self {
        let mut all = [(0, 0); SPATIAL_MAX];
        let count = sizes.len().min(SPATIAL_MAX);
        all[..count].copy_from_slice(&sizes[..count]);
        Sizes { sizes: all, count }
    }

    /// How many spatial layers there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Width of a spatial layer's picture, or of the largest if there are not as many.
    pub(crate) fn width(&self, spatial: u8) -> u32 {
        let sizes = &self.sizes[..self.count];
        sizes.get(usize::from(spatial)).or(sizes.last()).map_or(0, |(width, _)| *width)
    }
}

/// Reads the packets of one stream, in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    dependencies: dependency::Reader,
    /// The last picture id, for a stream whose ids have 7 bits.
    picture_id: Option<u16>,
}

impl Reader {
    /// Reads a payload, and the dependency descriptor where it came with one. Ids of 7 bits are counted on in 15.
    pub(crate) fn read(
        &mut self,
        codec: Codec,
        payload: &[u8],
        raw: Option<&Raw>,
    ) -> (Picture, Option<Descriptor>) {
        // The payloads of the other codecs say the same themselves.
        let raw = raw.filter(|_| codec == Codec::Av1);
        let dependency = raw.and_then(|raw| self.dependencies.read(raw));
        let mut picture = read(codec, payload, dependency.as_ref());
        if let (Some(id), Some(PictureIdPlace { is_long: false, .. })) =
            (&mut picture.picture_id, picture.places.picture_id)
        {
            let last = *self.picture_id.get_or_insert(*id);
            // Sign-extended from 7 bits.
            let step = (id.wrapping_sub(last) as i16) << 9 >> 9;
            *id = last.wrapping_add_signed(step) & PICTURE_BITS;
            self.picture_id = Some(*id);
        }
        (picture, dependency)
    }
}

/// Reads a payload, with its descriptor where it came with one.
pub(crate) fn read(codec: Codec, payload: &[u8], dependency: Option<&Descriptor>) -> Picture {
    let picture = match codec {
        Codec::Vp8 => vp8::read(payload),
        Codec::Vp9 => vp9::read(payload),
        Codec::H264 => {
            Some(Picture { starts_keyframe: h264::starts_keyframe(payload), ..Picture::default() })
        }
        Codec::Av1 => Some(Picture {
            starts_keyframe: av1::starts_keyframe(payload),
            frame: dependency.and_then(|dependency| dependency.frame),
            ..Picture::default()
        }),
        _ => None,
    };
    picture.unwrap_or_default()
}

/// How large the pictures of a stream are, from the packet that starts a keyframe.
pub(crate) fn sizes(codec: Codec, payload: &[u8], dependency: Option<&Descriptor>) -> Option<Sizes> {
    match codec {
        Codec::Vp8 => vp8::size(payload).map(|size| Sizes::of(&[size])),
        Codec::Vp9 => vp9::sizes(payload),
        Codec::H264 => h264::size(payload).map(|size| Sizes::of(&[size])),
        Codec::Av1 => {
            let told = dependency.map(Descriptor::sizes).filter(|sizes| !sizes.is_empty());
            told.map(Sizes::of).or_else(|| av1::size(payload).map(|size| Sizes::of(&[size])))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::tests::blank;

    #[test]
    fn the_slots_numbers_replace_the_sources() {
        let numbers = Numbers { picture_id: Some(0x1234), tl0: Some(9), key_index: Some(0x1e), ..blank() };
        let cases: [(Codec, &[u8], &[u8]); 12] = [
            (Codec::Vp8, &[0x90, 0xe0, 0x80, 1, 5, 0x20, 0xaa], &[0x90, 0xe0, 0x92, 0x34, 9, 0x20, 0xaa]),
            (Codec::Vp8, &[0x90, 0xf0, 0x80, 1, 5, 0x61, 0xaa], &[0x90, 0xf0, 0x92, 0x34, 9, 0x7e, 0xaa]),
            (Codec::Vp8, &[0x90, 0xc0, 0x05, 0x06, 0xaa], &[0x90, 0xc0, 0x34, 0x09, 0xaa]),
            (Codec::Vp8, &[0x90, 0x40, 0x06, 0xaa], &[0x90, 0x40, 0x09, 0xaa]),
            (Codec::Vp8, &[0x90, 0x20, 0x06, 0xaa], &[0x90, 0x20, 0x06, 0xaa]),
            (Codec::Vp8, &[0x10, 0xaa, 0xaa], &[0x10, 0xaa, 0xaa]),
            (Codec::Vp8, &[0x90, 0xe0, 0x80], &[0x90, 0xe0, 0x80]),
            (Codec::Vp9, &[0xa8, 0x80, 1, 0x02, 7, 0xaa], &[0xa8, 0x92, 0x34, 0x02, 9, 0xaa]),
            (Codec::Vp9, &[0xf8, 0x80, 1, 0x02, 7, 0xaa], &[0xf8, 0x92, 0x34, 0x02, 7, 0xaa]),
            (Codec::Vp9, &[0x88, 0x05, 0xaa], &[0x88, 0x34, 0xaa]),
            (Codec::Vp9, &[0xa8, 0x80], &[0xa8, 0x80]),
            (Codec::Vp9, &[], &[]),
        ];
        for (codec, before, after) in cases {
            let mut payload = before.to_vec();
            read(codec, before, None).places.renumber(&mut payload, &numbers);
            assert_eq!(payload, after, "{codec:?} {before:x?}");
        }
    }

    #[test]
    fn a_source_that_has_no_number_keeps_its_bytes() {
        let before = [0x90, 0xc0, 0x80, 0x01, 0x05];
        let mut payload = before;
        read(Codec::Vp8, &before, None).places.renumber(&mut payload, &blank());
        assert_eq!(payload, before);
    }
}
