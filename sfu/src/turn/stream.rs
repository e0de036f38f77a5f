//! Messages and channel data in one stream (RFC 8656 §12.5): both say how long they are, and data is padded to four bytes.

use crate::framing::{PACKET_BYTES_MAX, TooLong};

use super::message::HEADER_BYTES;

/// A message at most: a packet in an indication, with an address and what names it.
pub(crate) const MESSAGE_BYTES_MAX: usize = PACKET_BYTES_MAX + 256;
const CHANNEL_HEADER_BYTES: usize = 4;

/// One whole thing that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// STUN.
    Message(&'a [u8]),
    /// A packet on a channel.
    Data { channel: u16, packet: &'a [u8] },
}

/// What has come of a stream and is not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// Takes what has come and gives each whole frame to `take`, in order. After an error the stream is of no use.
    pub(crate) fn read(&mut self, come: &[u8], mut take: impl FnMut(Frame<'_>)) -> Result<(), TooLong> {
        self.bytes.extend_from_slice(come);
        let mut rest = self.bytes.as_slice();
        while let Some((head, _)) = rest.split_first_chunk::<CHANNEL_HEADER_BYTES>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let is_message = head[0] & 0xc0 == 0;
            let header = if is_message { HEADER_BYTES } else { CHANNEL_HEADER_BYTES };
            let most = if is_message { MESSAGE_BYTES_MAX } else { PACKET_BYTES_MAX };
            if head[0] & 0x80 != 0 || length > most {
                return Err(TooLong);
            }
            let Some((frame, behind)) = rest.split_at_checked(header + length.next_multiple_of(4)) else {
                break;
            };
            take(match is_message {
                true => Frame::Message(frame),
                false => Frame::Data {
                    channel: u16::from_be_bytes([head[0], head[1]]),
                    packet: &frame[header..header + length],
                },
            });
            rest = behind;
        }
        let used = self.bytes.len() - rest.len();
        self.bytes.drain(..used);
        Ok(())
    }
}

/// Appends a packet on a channel.
pub(crate) fn write_data(channel: u16, packet: &[u8], stream: &mut Vec<u8>) {
    let Ok(length) = u16::try_from(packet.len()) else { return };
    stream.extend_from_slice(&channel.to_be_bytes());
    stream.extend_from_slice(&length.to_be_bytes());
    stream.extend_from_slice(packet);
    stream.resize(stream.len() + packet.len().next_multiple_of(4) - packet.len(), 0);
}

#[cfg(test)]
mod tests {
    use super::super::message::{Class, Writer, method};
    use super::*;

    fn all(frames: &mut Frames, come: &[u8]) -> Vec<(Option<u16>, Vec<u8>)> {
        let mut taken = Vec::new();
        let take = |frame: Frame<'_>| match frame {
            Frame::Message(message) => taken.push((None, message.to_vec())),
            Frame::Data { channel, packet } => taken.push((Some(channel), packet.to_vec())),
        };
        frames.read(come, take).unwrap();
        taken
    }

    #[test]
    fn in_pieces_it_is_the_same() {
        let message = Writer::new(Class::Request, method::ALLOCATE, [7; 12]).end();
        let mut stream = message.clone();
        write_data(0x4001, b"padded", &mut stream);
        write_data(0x4fff, b"", &mut stream);
        write_data(0x4002, b"four", &mut stream);
        let whole = [
            (None, message),
            (Some(0x4001), b"padded".to_vec()),
            (Some(0x4fff), Vec::new()),
            (Some(0x4002), b"four".to_vec()),
        ];
        assert_eq!(all(&mut Frames::default(), &stream), whole);
        let mut frames = Frames::default();
        let piecewise: Vec<_> = stream.iter().flat_map(|byte| all(&mut frames, &[*byte])).collect();
        assert_eq!(piecewise, whole);
    }

    #[test]
    fn what_is_neither_and_what_is_too_long_ends_the_stream() {
        for head in [[0x80, 0, 0, 0], [0xff; 4], [0x40, 0, 0x08, 0x01], [0, 3, 0x10, 0]] {
            assert_eq!(Frames::default().read(&head, |_| panic!("nothing is whole")), Err(TooLong));
        }
    }
}
