//! Which streams a page writes on (RFC 9260 §3.3.1). str0m keeps an entry for each on which anything came, looks through all of
//! them at every turn, and says nothing of those that it knows no channel for; so a page that wrote on tens of thousands would
//! take the time of everybody else on its thread. A connection that goes beyond the bound here is closed.

/// The two for messages, and as many as a page may open without being asked (see [`crate::messages`]).
const STREAMS_MAX: usize = 2 + crate::messages::UNASKED_MAX;

/// The header that all packets have (§3.1).
const HEADER_BYTES: usize = 12;
/// Chunks with data (§3.3.1), and where these name their stream.
const DATA: u8 = 0;
const STREAM_AT: usize = 8;

/// The streams of one connection on which anything came.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    seen: Vec<u16>,
}

impl Streams {
    /// Takes note of a packet; answers whether its connection is still within the bound.
    pub(crate) fn admit(&mut self, packet: &[u8]) -> bool {
        streams_of(packet).all(|stream| {
            let is_known = self.seen.contains(&stream);
            let may_be = is_known || self.seen.len() < STREAMS_MAX;
            if may_be && !is_known {
                self.seen.push(stream);
            }
            may_be
        })
    }
}

/// The streams that the data of a packet is for. A chunk that is cut off ends it, as it does for str0m.
fn streams_of(packet: &[u8]) -> impl Iterator<Item = u16> {
    let mut rest = packet.get(HEADER_BYTES..).unwrap_or_default();
    let chunks = std::iter::from_fn(move || {
        let &[kind, _, high, low, ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let chunk = rest.get(..length).filter(|chunk| chunk.len() >= 4)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, chunk))
    });
    let data = chunks.filter(|(kind, _)| *kind == DATA);
    data.filter_map(|(_, chunk)| {
        chunk.get(STREAM_AT..)?.first_chunk().map(|stream| u16::from_be_bytes(*stream))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with chunks of these kinds, streams and bytes of data.
    fn packet(chunks: &[(u8, u16, usize)]) -> Vec<u8> {
        let mut packet = vec![0; HEADER_BYTES];
        for &(kind, stream, bytes) in chunks {
            let length = 16 + bytes;
            packet.extend([kind, 3, (length >> 8) as u8, length as u8, 0, 0, 0, 1]);
            packet.extend(stream.to_be_bytes());
            packet.resize(packet.len() + (6 + bytes).next_multiple_of(2), 7);
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        packet
    }

    #[test]
    fn streams_are_those_of_chunks_with_data() {
        let streams = |packet: &[u8]| streams_of(packet).collect::<Vec<_>>();
        let whole = packet(&[(DATA, 7, 1), (3, 9, 2), (DATA, 300, 3), (DATA, 7, 4)]);
        assert_eq!(streams(&whole), [7, 300, 7]);
        assert_eq!(streams(&whole[..whole.len() - 8]), [7, 300], "the last one is cut off");
        for rubbish in [&[][..], &[0; 11], &[0; 12], &[0; 16], &whole[..20]] {
            assert!(streams(rubbish).is_empty(), "{rubbish:?}");
        }
    }

    #[test]
    fn a_page_may_write_on_so_many_streams_and_no_more() {
        let mut streams = Streams::default();
        for stream in 0..STREAMS_MAX as u16 {
            assert!(streams.admit(&packet(&[(DATA, stream, 9)])), "{stream}");
        }
        assert!(streams.admit(&packet(&[(DATA, 3, 9)])));
        assert!(!streams.admit(&packet(&[(DATA, 3, 9), (DATA, 65_535, 9)])));
        assert!(streams.seen.len() <= STREAMS_MAX);
    }
}
