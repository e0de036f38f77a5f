//! Scalable video: one stream that holds several pictures, of which a slot sends the layers up to the one it wants. Pure
//! rules over what the codecs' descriptors say ([`crate::codec`], [`crate::dependency`]).
//!
//! A slot sends *all* layers up to its own, also those that only keyframes need (`L3T3_KEY`), so that it can fall back to
//! any of them at once.

use crate::rewrite::is_after;

/// Spatial layers that a descriptor can name (RFC 9628 §4.2; AV1 RTP has four).
pub(crate) const SPATIAL_MAX: usize = 8;
/// Temporal layers, likewise.
const TEMPORAL_MAX: usize = 8;

/// A layer of a scalable stream, with all the layers that it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    /// 0 is the smallest picture.
    pub(crate) spatial: u8,
    /// 0 is the lowest frame rate.
    pub(crate) temporal: u8,
}

impl Layer {
    /// Everything there is: the name of what a stream without layers has.
    pub(crate) const TOP: Layer = Layer { spatial: u8::MAX, temporal: u8::MAX };
    /// The smallest picture at the lowest frame rate.
    pub(crate) const BASE: Layer = Layer { spatial: 0, temporal: 0 };

    /// A picture at its full frame rate.
    pub(crate) fn full(spatial: u8) -> Self {
        Layer { spatial, temporal: u8::MAX }
    }

    /// Whether a receiver of `other` needs this layer.
    pub(crate) fn is_within(self, other: Layer) -> bool {
        self.spatial <= other.spatial && self.temporal <= other.temporal
    }

    fn min(self, other: Layer) -> Layer {
        let (spatial, temporal) = (self.spatial.min(other.spatial), self.temporal.min(other.temporal));
        Layer { spatial, temporal }
    }
}

/// What a packet of a scalable stream says of its frame: the picture of one spatial layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Whose it is.
    pub(crate) layer: Layer,
    /// The packet begins the frame.
    pub(crate) begins: bool,
    /// The packet ends the frame.
    pub(crate) ends: bool,
    /// To which layers a receiver of this frame may go up.
    pub(crate) raises: Raises,
}

/// A set of layers that can be shown from a frame on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Raises(u64);

impl Raises {
    /// A keyframe.
    pub(crate) fn everything() -> Self {
        Raises(u64::MAX)
    }

    /// A higher frame rate of the same picture.
    pub(crate) fn temporal(spatial: u8) -> Self {
        Raises(0xff << (usize::from(spatial) * TEMPORAL_MAX))
    }

    /// And this layer.
    pub(crate) fn add(&mut self, layer: Layer) {
        self.0 |= bit(layer);
    }

    fn contains(self, layer: Layer) -> bool {
        self.0 == u64::MAX || self.0 & bit(layer) != 0
    }
}

/// The last bit of each spatial layer stands for its full frame rate, however many temporal layers that has.
fn bit(layer: Layer) -> u64 {
    let (spatial, temporal) = (usize::from(layer.spatial), usize::from(layer.temporal).min(TEMPORAL_MAX - 1));
    if spatial < SPATIAL_MAX { 1 << (spatial * TEMPORAL_MAX + temporal) } else { 0 }
}

/// Which layers of a stream a slot sends. It goes down with any picture, and up where a frame says that it can.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selection {
    wanted: Layer,
    /// Of the picture at hand.
    chosen: Layer,
    /// Of the pictures before it, whose packets may come late.
    before: Layer,
    /// The timestamp of the newest picture.
    picture: Option<u32>,
}

impl Selection {
    /// Waits for a keyframe.
    pub(crate) fn new(wanted: Layer) -> Self {
        Selection { wanted, chosen: Layer::BASE, before: Layer::BASE, picture: None }
    }

    /// Another layer is wanted.
    pub(crate) fn want(&mut self, wanted: Layer) {
        self.wanted = wanted;
    }

    /// Whether no larger picture is waited for. A higher frame rate comes without a keyframe.
    pub(crate) fn is_settled(&self) -> bool {
        self.wanted.spatial <= self.chosen.spatial
    }

    /// The layer that a packet with this timestamp is sent with, once it was taken.
    pub(crate) fn layer(&self, ts: u32) -> Layer {
        if self.picture == Some(ts) { self.chosen } else { self.before }
    }

    /// Whether a packet is sent.
    pub(crate) fn take(&mut self, frame: &Frame, ts: u32) -> bool {
        if self.picture.is_none_or(|picture| is_after(ts, picture)) {
            self.picture = Some(ts);
            self.before = self.chosen;
            self.chosen = self.chosen.min(self.wanted);
        }
        if self.picture == Some(ts) && frame.begins && frame.layer.is_within(self.chosen) {
            self.raise(frame.raises);
        }
        frame.layer.is_within(self.layer(ts))
    }

    /// Goes up as far as it can.
    fn raise(&mut self, raises: Raises) {
        let faster = Layer { spatial: self.chosen.spatial, temporal: self.wanted.temporal };
        if let Some(raised) = [self.wanted, faster].into_iter().find(|layer| raises.contains(*layer))
            && self.chosen.is_within(raised)
        {
            self.chosen = raised;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Layer = Layer { spatial: 2, temporal: 2 };

    fn layer(spatial: u8, temporal: u8) -> Layer {
        Layer { spatial, temporal }
    }

    /// The layers sent of one picture with three spatial layers.
    fn picture(selection: &mut Selection, ts: u32, temporal: u8, raises: &[Raises; 3]) -> Vec<u8> {
        let frame = |spatial: u8| Frame {
            layer: layer(spatial, temporal),
            begins: true,
            ends: true,
            raises: raises[usize::from(spatial)],
        };
        (0..3).filter(|spatial| selection.take(&frame(*spatial), ts)).collect()
    }

    fn key() -> [Raises; 3] {
        [Raises::everything(), Raises::default(), Raises::default()]
    }

    fn switching() -> [Raises; 3] {
        [0, 1, 2].map(Raises::temporal)
    }

    #[test]
    fn a_larger_picture_waits_for_a_keyframe_and_a_smaller_one_for_the_next_picture() {
        let mut selection = Selection::new(layer(1, 2));
        assert_eq!(picture(&mut selection, 0, 0, &key()), [0, 1]);
        selection.want(ALL);
        assert_eq!(picture(&mut selection, 10, 0, &switching()), [0, 1]);
        assert!(!selection.is_settled());
        assert_eq!(picture(&mut selection, 20, 0, &key()), [0, 1, 2]);
        assert!(selection.is_settled());
        selection.want(layer(0, 2));
        assert_eq!(picture(&mut selection, 20, 0, &key()), [0, 1, 2], "the rest of the same picture");
        assert_eq!(picture(&mut selection, 30, 1, &Default::default()), [0]);
    }

    #[test]
    fn a_higher_frame_rate_waits_for_a_switching_point() {
        let mut selection = Selection::new(layer(2, 0));
        assert_eq!(picture(&mut selection, 0, 0, &key()), [0, 1, 2]);
        assert_eq!(
            picture(&mut selection, 10, 2, &switching()),
            [0; 0],
            "not from a layer that is not shown"
        );
        selection.want(ALL);
        assert!(selection.is_settled(), "no keyframe is needed");
        assert_eq!(picture(&mut selection, 20, 2, &switching()), [0; 0]);
        assert_eq!(picture(&mut selection, 30, 0, &Default::default()), [0, 1, 2]);
        assert_eq!(picture(&mut selection, 40, 2, &switching()), [0; 0]);
        assert_eq!(picture(&mut selection, 50, 0, &switching()), [0, 1, 2]);
        assert_eq!(picture(&mut selection, 60, 2, &switching()), [0, 1, 2]);
    }

    #[test]
    fn late_packets_go_with_the_picture_they_belong_to() {
        let mut selection = Selection::new(ALL);
        picture(&mut selection, 0, 0, &key());
        selection.want(layer(0, 2));
        assert_eq!(picture(&mut selection, 10, 0, &Default::default()), [0]);
        assert_eq!(picture(&mut selection, 0, 0, &key()), [0, 1, 2]);
    }

    #[test]
    fn a_full_frame_rate_needs_no_number() {
        let mut selection = Selection::new(Layer::BASE);
        assert_eq!(picture(&mut selection, 0, 0, &key()), [0]);
        selection.want(Layer::full(0));
        assert_eq!(picture(&mut selection, 10, 1, &switching()), [0; 0]);
        assert_eq!(picture(&mut selection, 20, 0, &switching()), [0]);
        assert_eq!(picture(&mut selection, 30, 2, &switching()), [0]);
    }

    #[test]
    fn a_stream_without_names_for_its_layers_is_sent_whole() {
        let mut selection = Selection::new(Layer::TOP);
        assert_eq!(picture(&mut selection, 0, 0, &key()), [0, 1, 2]);
        assert_eq!(picture(&mut selection, 10, 2, &Default::default()), [0, 1, 2]);
    }
}
