//! What a decoder makes of a picture's packets: whole frames, each after the one before, from a keyframe on.

use std::collections::BTreeMap;

/// What matters of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// It begins a keyframe.
    pub(super) begins_keyframe: bool,
    /// It ends its frame.
    pub(super) ends: bool,
}

/// The decoder of one line.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// What came and cannot be shown yet, by sequence number.
    waiting: BTreeMap<u64, Part>,
    /// The first packet of the frame that is due.
    next: Option<u64>,
}

impl Decoder {
    /// Takes a packet. Answers whether there is a new frame to be shown.
    pub(super) fn take(&mut self, seq: u64, part: Part) -> bool {
        if self.next.is_some_and(|next| seq < next) {
            return false;
        }
        self.waiting.insert(seq, part);
        let mut shows = false;
        while let Some(last) = self.last_of_whole() {
            self.waiting = self.waiting.split_off(&(last + 1));
            self.next = Some(last + 1);
            shows = true;
        }
        shows
    }

    /// The last packet of a frame that is whole: of the one that is due, or of a keyframe that comes after it.
    fn last_of_whole(&self) -> Option<u64> {
        let came = |seq: u64| self.waiting.get(&seq).map(|part| (seq, part.ends));
        let last_of = |first: u64| (first..).map_while(came).find(|(_, ends)| *ends).map(|(seq, _)| seq);
        let keyframes = self.waiting.iter().filter(|(_, part)| part.begins_keyframe).map(|(seq, _)| *seq);
        self.next.into_iter().chain(keyframes).find_map(last_of)
    }
}

#[test]
fn frames_are_shown_whole_and_in_order_or_from_the_next_keyframe_on() {
    // Frames of two packets; the one that begins at 4 is never whole, those at 0 and 8 are keyframes.
    let mut decoder = Decoder::default();
    let mut take =
        |seq: u64| decoder.take(seq, Part { begins_keyframe: seq.is_multiple_of(8), ends: seq % 2 == 1 });
    let came = [2, 3, 1, 0, 2, 5, 6, 7, 9, 8, 4, 11, 10];
    let shown: Vec<u64> = came.into_iter().filter(|seq| take(*seq)).collect();
    assert_eq!(shown, [0, 8, 10]);
}
