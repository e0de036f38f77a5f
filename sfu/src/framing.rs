//! Packets in a stream, each behind its length in two bytes (RFC 4571 §2), as ICE-TCP wants them (RFC 6544 §3).
//!
//! A stream stalls where UDP would lose. So what waits for it is bounded, and when there is too much of it, whole packets are
//! left out, pictures first and the oldest first: they are the largest, and a late picture is worth least.

use std::collections::VecDeque;
use std::io::IoSlice;

/// A longer packet is none of ours: the stream ends.
pub(crate) const PACKET_BYTES_MAX: usize = 2_048;
/// What waits for a stream at most: half a second of a large picture.
pub(crate) const BACKLOG_BYTES_MAX: usize = 128 * 1024;
/// Packets of one system call.
const SLICES: usize = 32;
/// A voice's packet, of 20 ms or 60 ms, is shorter than this; most of a picture's are longer.
const VOICE_BYTES_MAX: usize = 400;
const LENGTH_BYTES: usize = 2;

/// A packet was announced that nobody may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// What has come of a stream and is not a whole packet yet.
#[derive(Debug, Default)]
pub(crate) struct Unframer {
    bytes: Vec<u8>,
}

impl Unframer {
    /// Takes what has come and gives each whole packet to `take`, in order.
    pub(crate) fn read(&mut self, come: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), TooLong> {
        self.bytes.extend_from_slice(come);
        let mut rest = self.bytes.as_slice();
        while let Some((length, body)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length > PACKET_BYTES_MAX {
                return Err(TooLong);
            }
            let Some((packet, behind)) = body.split_at_checked(length) else { break };
            take(packet);
            rest = behind;
        }
        let used = self.bytes.len() - rest.len();
        self.bytes.drain(..used);
        Ok(())
    }
}

/// What waits to be written into a stream.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    frames: VecDeque<Vec<u8>>,
    /// How much of the first frame is written: what is begun is finished.
    begun: usize,
    bytes: usize,
}

impl Backlog {
    /// Takes a packet, for which others may be left out, or leaves it out itself.
    pub(crate) fn push(&mut self, packet: &[u8]) {
        let Ok(length) = u16::try_from(packet.len()) else { return };
        let needed = LENGTH_BYTES + packet.len();
        while self.bytes + needed > BACKLOG_BYTES_MAX {
            let Some(oldest) = self.oldest(is_picture).or_else(|| self.oldest(is_media)) else { return };
            let left_out = self.frames.remove(oldest).unwrap_or_default();
            self.bytes -= left_out.len();
        }
        let mut frame = Vec::with_capacity(needed);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(packet);
        self.frames.push_back(frame);
        self.bytes += needed;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// What to write next, some of it.
    pub(crate) fn next(&self) -> Vec<IoSlice<'_>> {
        let mut begun = self.begun;
        let rest = |frame| IoSlice::new(&Vec::as_slice(frame)[std::mem::take(&mut begun)..]);
        self.frames.iter().take(SLICES).map(rest).collect()
    }

    /// So much of it was written.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.begun += bytes;
        while let Some(first) = self.frames.front()
            && self.begun >= first.len()
        {
            self.begun -= first.len();
            self.bytes -= first.len();
            self.frames.pop_front();
        }
    }

    /// The oldest of a kind that is not begun.
    fn oldest(&self, is_kind: impl Fn(&[u8]) -> bool) -> Option<usize> {
        let first = usize::from(self.begun > 0);
        let mut untouched = self.frames.iter().enumerate().skip(first);
        untouched.find(|(_, frame)| is_kind(&frame[LENGTH_BYTES..])).map(|(at, _)| at)
    }
}

/// RFC 7983 §7 and RFC 5761 §4: what is neither STUN, DTLS nor RTCP.
fn is_media(packet: &[u8]) -> bool {
    matches!(packet, [128..=191, kind, ..] if !(192..224).contains(kind))
}

fn is_picture(packet: &[u8]) -> bool {
    is_media(packet) && packet.len() > VOICE_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(packet: &[u8]) -> Vec<u8> {
        [&(packet.len() as u16).to_be_bytes()[..], packet].concat()
    }

    fn waiting(backlog: &Backlog) -> Vec<Vec<u8>> {
        backlog.frames.iter().map(|frame| frame[LENGTH_BYTES..].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn packets_survive_any_cut_of_the_stream(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            cut in 1_usize..50,
        ) {
            let stream: Vec<u8> = packets.iter().flat_map(|packet| frame(packet)).collect();
            let (mut unframer, mut taken) = (Unframer::default(), Vec::new());
            for piece in stream.chunks(cut) {
                unframer.read(piece, |packet| taken.push(packet.to_vec())).unwrap();
            }
            prop_assert_eq!(taken, packets);
            prop_assert!(unframer.bytes.is_empty());
        }

        #[test]
        fn what_leaves_is_whole_and_in_order(
            sizes in prop::collection::vec(1_usize..1_500, 1..400),
            writes in prop::collection::vec(1_usize..20_000, 1..400),
        ) {
            let (mut backlog, mut stream, mut writes) = (Backlog::default(), Vec::new(), writes.into_iter());
            for (n, size) in sizes.iter().enumerate() {
                let mut packet = vec![128, 96, (n >> 8) as u8, n as u8];
                packet.resize(4 + size, 7);
                backlog.push(&packet);
                prop_assert!(backlog.bytes <= BACKLOG_BYTES_MAX);
                if n % 10 == 0 && let Some(most) = writes.next() {
                    let bytes: Vec<u8> = backlog.next().iter().flat_map(|slice| slice.to_vec()).collect();
                    let some = most.min(bytes.len());
                    stream.extend_from_slice(&bytes[..some]);
                    backlog.written(some);
                }
            }
            while !backlog.is_empty() {
                let bytes: Vec<u8> = backlog.next().iter().flat_map(|slice| slice.to_vec()).collect();
                stream.extend_from_slice(&bytes);
                backlog.written(bytes.len());
            }
            prop_assert_eq!(backlog.bytes, 0);
            let (mut last, mut unframer) = (None, Unframer::default());
            unframer.read(&stream, |packet| {
                let number = u16::from_be_bytes([packet[2], packet[3]]);
                assert_eq!(packet.len(), 4 + sizes[usize::from(number)]);
                assert!(last.replace(number) < Some(number));
            }).unwrap();
            prop_assert!(unframer.bytes.is_empty());
        }
    }

    #[test]
    fn a_packet_of_2048_bytes_is_taken_and_a_longer_one_ends_the_stream() {
        let mut taken = 0;
        assert_eq!(Unframer::default().read(&frame(&[1; 2_048]), |packet| taken = packet.len()), Ok(()));
        assert_eq!(taken, 2_048);
        assert_eq!(Unframer::default().read(&[8, 1], |_| panic!("nothing came")), Err(TooLong));
    }

    #[test]
    fn too_much_costs_old_pictures_first_then_old_voices_and_never_the_connection() {
        let picture = |n: u8| [&[128, 96, 0, n][..], &[0; 1_196]].concat();
        let voice = |n: u8| [&[128, 111, 0, n][..], &[0; 96]].concat();
        let report = [&[128, 201, 0, 0][..], &[0; 1_196]].concat();
        let mut backlog = Backlog::default();
        backlog.push(&report);
        backlog.push(&voice(0));
        for n in 0..200 {
            backlog.push(&picture(n));
        }
        let kept = waiting(&backlog);
        assert_eq!((&kept[0], &kept[1], &kept[kept.len() - 1]), (&report, &voice(0), &picture(199)));
        assert_eq!(kept[2], picture(200 - (kept.len() - 2) as u8), "the oldest pictures are gone");
        for n in 0..=255 {
            for _ in 0..6 {
                backlog.push(&voice(n));
            }
        }
        let kept = waiting(&backlog);
        assert!(kept[0] == report && !kept.iter().any(|packet| is_picture(packet)));
        assert!(!kept.contains(&voice(0)) && kept.contains(&voice(255)));
        for _ in 0..200 {
            backlog.push(&report);
        }
        assert!(waiting(&backlog).iter().all(|packet| *packet == report), "nothing else gives way");
    }
}
