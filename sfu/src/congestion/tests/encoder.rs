//! A writer of transport-wide feedback, made from the draft alone and independent of the reader.

/// Writes RTCP transport-wide feedback about packets from `base` on, each with its arrival in ticks of 250 µs, or none.
/// `kind` picks among the kinds of chunks that fit.
pub(crate) fn feedback(
    base: u16,
    number: u8,
    arrivals: &[Option<i64>],
    mut kind: impl FnMut() -> u8,
) -> Vec<u8> {
    let first = arrivals.iter().flatten().next().copied().unwrap_or(0);
    let reference = first.div_euclid(256);
    let (symbols, deltas) = symbols(reference * 256, arrivals);
    let mut body = Vec::new();
    body.extend(base.to_be_bytes());
    body.extend((arrivals.len() as u16).to_be_bytes());
    body.extend(&(reference as u32).to_be_bytes()[1..]);
    body.push(number);
    let mut rest = symbols.as_slice();
    while !rest.is_empty() {
        let (chunk, taken) = chunk(rest, kind());
        body.extend(chunk.to_be_bytes());
        rest = &rest[taken..];
    }
    body.extend(deltas);
    rtcp(205, &body)
}

/// An RTCP feedback packet with FMT 15 around a body, padded to whole words.
pub(crate) fn rtcp(packet_type: u8, body: &[u8]) -> Vec<u8> {
    let padding = (4 - body.len() % 4) % 4;
    let words = (8 + body.len() + padding) / 4;
    let mut packet = vec![0x80 | 15 | if padding > 0 { 0x20 } else { 0 }, packet_type];
    packet.extend((words as u16).to_be_bytes());
    packet.extend([1, 1, 1, 1, 2, 2, 2, 2]);
    packet.extend(body);
    packet.extend(std::iter::repeat_n(0, padding.saturating_sub(1)));
    packet.extend((padding > 0).then_some(padding as u8));
    packet
}

fn symbols(mut at: i64, arrivals: &[Option<i64>]) -> (Vec<u16>, Vec<u8>) {
    let (mut symbols, mut deltas) = (Vec::new(), Vec::new());
    for arrival in arrivals {
        let Some(arrival) = arrival else {
            symbols.push(0);
            continue;
        };
        let delta = arrival - at;
        at = *arrival;
        if let Ok(small) = u8::try_from(delta) {
            symbols.push(1);
            deltas.push(small);
        } else {
            symbols.push(2);
            deltas.extend(i16::try_from(delta).expect("within 8 s").to_be_bytes());
        }
    }
    (symbols, deltas)
}

/// One chunk and how many symbols it took.
fn chunk(symbols: &[u16], kind: u8) -> (u16, usize) {
    let narrow = symbols.iter().take(14).all(|symbol| *symbol < 2);
    match kind % 3 {
        0 => {
            let run = symbols.iter().take(8_191).take_while(|symbol| **symbol == symbols[0]).count();
            (symbols[0] << 13 | run as u16, run)
        }
        1 if narrow => (0x8000 | vector(symbols, 14, 1), symbols.len().min(14)),
        _ => (0xc000 | vector(symbols, 7, 2), symbols.len().min(7)),
    }
}

fn vector(symbols: &[u16], len: usize, bits: u32) -> u16 {
    (0..len).fold(0, |vector, place| vector << bits | symbols.get(place).copied().unwrap_or(0))
}
