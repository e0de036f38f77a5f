//! The dependency descriptor: a header extension that tells of each frame to which layers it belongs and what depends on it,
//! without a look into the payload (RTP payload format for AV1 1.0, appendix A).

use std::sync::Arc;

use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues};

use crate::bits::{Bits, BitsMut};
use crate::svc::{Frame, Layer, Raises};

/// The extension's name in SDP.
const URI: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
/// Bytes of a descriptor at most: what an element of two-byte extensions can hold (RFC 8285 §4.3).
pub(crate) const BYTES_MAX: usize = 255;
/// The fields that every descriptor has.
const MANDATORY_BYTES: usize = 3;
/// Those, and the flags of the extended fields.
const HEAD_BITS: usize = 8 * MANDATORY_BYTES + 5;
const TEMPLATES: u8 = 64;
const SPATIAL_MAX: u8 = 4;
const TEMPORAL_MAX: u8 = 8;
/// "Switch" among the decode target indications.
const SWITCH: u8 = 2;

/// The descriptor as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw(pub(crate) Arc<[u8]>);

/// The extension, as str0m negotiates, reads and writes it.
pub(crate) fn extension() -> Extension {
    Extension::with_serializer(URI, Serializer)
}

#[derive(Debug)]
struct Serializer;

impl ExtensionSerializer for Serializer {
    fn write_to(&self, place: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(Raw(bytes)) = values.user_values.get::<Raw>() else { return 0 };
        let Some(place) = place.get_mut(..bytes.len()) else { return 0 };
        place.copy_from_slice(bytes);
        bytes.len()
    }

    fn parse_value(&self, bytes: &[u8], values: &mut ExtensionValues) -> bool {
        let is_whole = bytes.len() >= MANDATORY_BYTES;
        if is_whole {
            values.user_values.set(Raw(bytes.into()));
        }
        is_whole
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        values.user_values.get::<Raw>().is_some_and(|Raw(bytes)| bytes.len() > 16)
    }
}

/// What the templates of a stream mean, as its keyframes say.
#[derive(Debug, PartialEq, Eq)]
struct Structure {
    first_id: u8,
    templates: Vec<Template>,
    /// The layers that each decode target needs.
    targets: Vec<Layer>,
    /// Width and height of the spatial layers, or nothing.
    sizes: Vec<(u32, u32)>,
}

/// What many frames have in common.
#[derive(Debug, PartialEq, Eq)]
struct Template {
    layer: Layer,
    /// For each decode target.
    indications: Vec<u8>,
}

/// A descriptor that was understood.
#[derive(Debug, Clone)]
pub(crate) struct Descriptor {
    bytes: Arc<[u8]>,
    /// Counts frames, and wraps.
    pub(crate) frame_number: u16,
    /// Where the frame stands, unless what explains it is not known.
    pub(crate) frame: Option<Frame>,
    structure: Option<Arc<Structure>>,
    /// The decode targets that its publisher sends, a bit each.
    active: u32,
    /// The active decode targets' place in the descriptor, and how many bits are there.
    mask_at: usize,
    mask_bits: usize,
}

/// The descriptors of one stream, in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    structure: Option<Arc<Structure>>,
    /// The one before, for packets that come late.
    before: Option<Arc<Structure>>,
    active: u32,
}

impl Reader {
    /// Reads the next descriptor; `None` when it is none.
    pub(crate) fn read(&mut self, Raw(bytes): &Raw) -> Option<Descriptor> {
        if bytes.len() > BYTES_MAX {
            return None;
        }
        let mut bits = Bits::new(bytes);
        let (begins, ends, id) = (bits.flag()?, bits.flag()?, bits.take(6)? as u8);
        let frame_number = bits.take(16)? as u16;
        let mut flags = [false; 5];
        if bytes.len() > MANDATORY_BYTES {
            for flag in &mut flags {
                *flag = bits.flag()?;
            }
        }
        let [brings_structure, brings_active, has_indications, ..] = flags;
        if brings_structure {
            let structure = Arc::new(Structure::read(&mut bits)?);
            self.active = all(structure.targets.len());
            self.before = self.structure.replace(structure);
        }
        let mask_at = bits.position().max(HEAD_BITS);
        let known = [&self.structure, &self.before].into_iter().flatten();
        let found = known.filter_map(|known| Some((known, known.template(id)?))).next();
        let Some((structure, template)) = found else {
            let (frame, structure, active) = (None, None, 0);
            return Some(Descriptor {
                bytes: bytes.clone(),
                frame_number,
                frame,
                structure,
                active,
                mask_at,
                mask_bits: 0,
            });
        };
        let targets = structure.targets.len();
        let mask_bits = if brings_active { targets } else { 0 };
        if brings_active {
            self.active = bits.take(targets)? as u32;
        }
        let own = if has_indications { Some(read_indications(&mut bits, targets)?) } else { None };
        let indications = own.as_ref().unwrap_or(&template.indications);
        let raises = if brings_structure { Raises::everything() } else { structure.raised_by(indications) };
        Some(Descriptor {
            bytes: bytes.clone(),
            frame_number,
            frame: Some(Frame { layer: template.layer, begins, ends, raises }),
            structure: Some(structure.clone()),
            active: self.active,
            mask_at,
            mask_bits,
        })
    }
}

impl Structure {
    fn read(bits: &mut Bits<'_>) -> Option<Structure> {
        let first_id = bits.take(6)? as u8;
        let target_count = bits.take(5)? as usize + 1;
        let layers = read_layers(bits)?;
        let mut templates = Vec::with_capacity(layers.len());
        for layer in &layers {
            templates.push(Template { layer: *layer, indications: read_indications(bits, target_count)? });
        }
        for _ in &layers {
            skip_references(bits)?;
        }
        skip_chains(bits, layers.len(), target_count)?;
        let spatial_max = layers.iter().map(|layer| layer.spatial).max()?;
        let mut sizes = Vec::new();
        if bits.flag()? {
            for _ in 0..=spatial_max {
                sizes.push((bits.take(16)? as u32 + 1, bits.take(16)? as u32 + 1));
            }
        }
        let targets = (0..target_count).map(|target| target_layer(&templates, target)).collect();
        Some(Structure { first_id, templates, targets, sizes })
    }

    fn template(&self, id: u8) -> Option<&Template> {
        self.templates.get(usize::from((id + TEMPLATES - self.first_id) % TEMPLATES))
    }

    /// The layers of the decode targets that can be decoded from a frame on.
    fn raised_by(&self, indications: &[u8]) -> Raises {
        let mut raises = Raises::default();
        let switches = self.targets.iter().zip(indications).filter(|(_, told)| **told == SWITCH);
        for (layer, _) in switches {
            raises.add(*layer);
            let is_faster = |other: &Layer| other.spatial == layer.spatial && other.temporal > layer.temporal;
            if !self.targets.iter().any(is_faster) {
                raises.add(Layer::full(layer.spatial));
            }
        }
        raises
    }
}

/// The layer of each template.
fn read_layers(bits: &mut Bits<'_>) -> Option<Vec<Layer>> {
    let mut layers = vec![Layer { spatial: 0, temporal: 0 }];
    loop {
        let last = *layers.last()?;
        let next = match bits.take(2)? {
            0 => last,
            1 => Layer { temporal: last.temporal + 1, ..last },
            2 => Layer { spatial: last.spatial + 1, temporal: 0 },
            _ => return Some(layers),
        };
        let is_allowed = next.spatial < SPATIAL_MAX && next.temporal < TEMPORAL_MAX;
        if !is_allowed || layers.len() == usize::from(TEMPLATES) {
            return None;
        }
        layers.push(next);
    }
}

fn read_indications(bits: &mut Bits<'_>, targets: usize) -> Option<Vec<u8>> {
    (0..targets).map(|_| bits.take(2).map(|told| told as u8)).collect()
}

/// The frames that a template's frames refer to.
fn skip_references(bits: &mut Bits<'_>) -> Option<()> {
    while bits.flag()? {
        bits.take(4)?;
    }
    Some(())
}

fn skip_chains(bits: &mut Bits<'_>, templates: usize, targets: usize) -> Option<()> {
    let chains = bits.below(targets as u64 + 1)?;
    if chains > 0 {
        for _ in 0..targets {
            bits.below(chains)?;
        }
        for _ in 0..templates as u64 * chains {
            bits.take(4)?;
        }
    }
    Some(())
}

/// The highest layer among the templates that a decode target is made of.
fn target_layer(templates: &[Template], target: usize) -> Layer {
    let parts = || templates.iter().filter(|template| template.indications[target] != 0);
    Layer {
        spatial: parts().map(|part| part.layer.spatial).max().unwrap_or(0),
        temporal: parts().map(|part| part.layer.temporal).max().unwrap_or(0),
    }
}

fn all(targets: usize) -> u32 {
    u32::MAX >> (32 - targets.clamp(1, 32))
}

impl Descriptor {
    /// Width and height of the spatial layers, if the stream says.
    pub(crate) fn sizes(&self) -> &[(u32, u32)] {
        self.structure.as_ref().map_or(&[], |structure| &structure.sizes)
    }

    /// How long it may become: a flag byte and the longest mask are added at most.
    pub(crate) fn len_max(&self) -> usize {
        self.bytes.len() + 5
    }

    /// The decode targets that are left when layers above this one are not sent. `None` where that need not be said: inside
    /// of a frame, and when there is but one.
    pub(crate) fn active_within(&self, layer: Layer) -> Option<u32> {
        let targets = &self.structure.as_ref()?.targets;
        let is_due = targets.len() > 1 && self.frame?.begins;
        let kept = targets.iter().enumerate().filter(|(_, target)| target.is_within(layer));
        let mask = kept.fold(0, |mask, (target, _)| mask | 1 << target);
        is_due.then_some(mask & self.active)
    }

    /// Writes it with another frame number and, if given, other active decode targets. Answers its length: 0 when there is no
    /// room.
    pub(crate) fn write(&self, place: &mut [u8], frame_number: u16, active: Option<u32>) -> usize {
        let written = match active {
            Some(active) => self.write_active(place, active),
            None => place.get_mut(..self.bytes.len()).map(|place| {
                place.copy_from_slice(&self.bytes);
                place.len()
            }),
        };
        let len = written.filter(|len| (MANDATORY_BYTES..=BYTES_MAX).contains(len)).unwrap_or(0);
        if len > 0 {
            place[1..3].copy_from_slice(&frame_number.to_be_bytes());
        }
        len
    }

    fn write_active(&self, place: &mut [u8], active: u32) -> Option<usize> {
        const ACTIVE_FLAG: u64 = 0b01000;
        let targets = self.structure.as_ref()?.targets.len();
        let (mut from, mut to) = (Bits::new(&self.bytes), BitsMut::new(place));
        to.copy(&mut from, 8 * MANDATORY_BYTES)?;
        let flags = if from.left() > 0 { from.take(5)? } else { 0 };
        to.put(flags | ACTIVE_FLAG, 5)?;
        to.copy(&mut from, self.mask_at - HEAD_BITS)?;
        to.put(u64::from(active), targets)?;
        from.take(self.mask_bits)?;
        let rest = from.left();
        to.copy(&mut from, rest)?;
        Some(to.finish())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Bits from lines of zeros and ones with remarks behind `#`, filled up to bytes.
    pub(crate) fn bytes(bits: &str) -> Raw {
        let lines = bits.lines().map(|line| line.split('#').next().unwrap_or_default());
        let digits = lines.flat_map(str::bytes).filter(u8::is_ascii_digit).map(|digit| digit - b'0');
        let digits: Vec<u8> = digits.collect();
        let byte = |bits: &[u8]| (0..8).fold(0, |byte, at| byte << 1 | bits.get(at).copied().unwrap_or(0));
        Raw(digits.chunks(8).map(byte).collect())
    }

    /// A keyframe's first packet in a stream with one spatial and two temporal layers, 640 × 360.
    pub(crate) fn key_of_l1t2(frame_number: u16, template: u8) -> Raw {
        bytes(&format!(
            "1 0 {template:06b} {frame_number:016b} 1 0 0 0 0
             000101 00001           # Template ids from 5 on, two decode targets.
             00 01 11               # Layers (0, 0), (0, 0) and (0, 1).
             10 10  10 11  00 01    # Switch for both; switch, required; not in the first, discardable.
             0  1 0001 0  1 0000 0  # Refer to nothing, two frames back, one back.
             10  0000 0010 0001     # One chain.
             1 0000001001111111 0000000101100111"
        ))
    }

    /// A frame of that stream, in its mandatory fields.
    pub(crate) fn frame_of_l1t2(frame_number: u16, template: u8) -> Raw {
        bytes(&format!("11 {template:06b} {frame_number:016b}"))
    }

    fn layer(spatial: u8, temporal: u8) -> Layer {
        Layer { spatial, temporal }
    }

    #[test]
    fn a_keyframe_brings_what_explains_the_frames_after_it() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(&frame_of_l1t2(6, 6)).unwrap().frame, None, "nothing is known yet");
        let key = reader.read(&key_of_l1t2(7, 5)).unwrap();
        let frame = key.frame.unwrap();
        assert_eq!((key.frame_number, frame.layer, frame.begins, frame.ends), (7, layer(0, 0), true, false));
        assert_eq!(key.sizes(), [(640, 360)]);
        assert_eq!(frame.raises, Raises::everything());
        let mut raises = Raises::default();
        raises.add(layer(0, 0));
        assert_eq!(reader.read(&frame_of_l1t2(8, 6)).unwrap().frame.unwrap().raises, raises);
        let upper = reader.read(&frame_of_l1t2(8, 7)).unwrap().frame.unwrap();
        assert_eq!((upper.layer, upper.raises), (layer(0, 1), Raises::default()));
        assert_eq!(reader.read(&frame_of_l1t2(9, 8)).unwrap().frame, None, "no such template");
    }

    #[test]
    fn the_slots_number_replaces_the_streams() {
        let mut reader = Reader::default();
        reader.read(&key_of_l1t2(7, 5)).unwrap();
        let frame = reader.read(&frame_of_l1t2(8, 6)).unwrap();
        let mut place = [0xff; 8];
        assert_eq!(frame.write(&mut place, 0xabcd, None), 3);
        assert_eq!(place, [0xc6, 0xab, 0xcd, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(frame.write(&mut place[..2], 1, None), 0, "no room");
    }

    #[test]
    fn layers_that_are_left_out_are_named() {
        let (mut reader, mut place) = (Reader::default(), [0; 64]);
        for (raw, expected) in [(key_of_l1t2(7, 5), layer(0, 0)), (frame_of_l1t2(8, 6), layer(0, 0))] {
            let descriptor = reader.read(&raw).unwrap();
            assert_eq!(descriptor.active_within(layer(0, 1)), Some(0b11));
            let active = descriptor.active_within(layer(0, 0));
            assert_eq!(active, Some(0b01));
            let len = descriptor.write(&mut place, 9, active);
            let mut receiver = Reader::default();
            receiver.read(&key_of_l1t2(7, 5)).unwrap();
            let read = receiver.read(&Raw(place[..len].into())).unwrap();
            assert_eq!((read.frame_number, read.active, read.frame.map(|f| f.layer)), (9, 1, Some(expected)));
            // Said again by somebody further on: the mask is replaced, not added.
            let mut again = [0; 64];
            assert_eq!(read.write(&mut again, 10, Some(3)), len);
            assert_eq!(receiver.read(&Raw(again[..len].into())).unwrap().active, 3);
        }
    }

    #[test]
    fn packets_from_before_a_new_structure_are_still_understood() {
        let mut reader = Reader::default();
        reader.read(&key_of_l1t2(7, 5)).unwrap();
        let other = bytes("10 010000 0000000000001000 10000 010000 00000 11 10 0 00 0");
        assert_eq!(reader.read(&other).unwrap().frame.map(|frame| frame.layer), Some(layer(0, 0)));
        assert_eq!(reader.read(&frame_of_l1t2(8, 7)).unwrap().frame.map(|f| f.layer), Some(layer(0, 1)));
    }

    #[test]
    fn what_is_cut_short_is_none() {
        let Raw(whole) = key_of_l1t2(7, 5);
        for len in 0..whole.len() {
            let read = Reader::default().read(&Raw(whole[..len].into()));
            assert!(read.is_none_or(|descriptor| descriptor.frame.is_none()), "{len}");
        }
    }
}
