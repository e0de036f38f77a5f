//! M9: a member of the call with valid keys, whose packets are made to break whoever reads them.

use super::lab::{Lab, ROOM};

/// 10^5 live packets.
const PACKETS: usize = 100_000;

/// Chance that is the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.roll(most + 1)).map(|_| self.roll(256) as u8).collect()
    }
}

/// An RTP packet of which everything is likely and nothing is sure; answers its header's length too.
fn media(genuine: &[u8], seq: u16, dice: &mut Dice) -> (Vec<u8>, usize) {
    let extension = 4 * usize::from(u16::from_be_bytes([genuine[14], genuine[15]]));
    let header = 16 + extension;
    let mut packet = genuine[..header].to_vec();
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    if dice.roll(3) == 0 {
        packet[0] |= 0x20; // Padding, of a length that the last byte says.
    }
    if dice.roll(4) == 0 {
        packet[1] =
            [96, 97, 98, 99, 45, 46, 108, 109, 111, 63, 0, 127][dice.roll(12)] | (dice.roll(2) as u8) << 7;
    }
    if dice.roll(8) == 0 {
        let at = 12 + dice.roll(extension + 4);
        packet[at] = dice.roll(256) as u8;
    }
    if dice.roll(50) == 0 {
        packet[8..12].copy_from_slice(&(dice.roll(4) as u32).to_be_bytes());
    }
    let mut payload = match dice.roll(4) {
        0 => dice.bytes(40),
        1 => [vec![0x90, 0xff], dice.bytes(10)].concat(),
        2 => super::client::vp8_payload(dice.roll(2) == 0, dice.roll(2) == 0, dice.roll(65_536) as u16),
        _ => dice.bytes(1_200),
    };
    if dice.roll(3) == 0 {
        payload.push([0, 1, 4, 255, 254][dice.roll(5)]);
    }
    packet.extend(payload);
    // An extension that was bent may reach further than the packet.
    let length = 16 + 4 * usize::from(u16::from_be_bytes([packet[14], packet[15]]));
    let header = length.min(packet.len());
    (packet, header)
}

/// RTCP: a head that fits, and a body that need not.
fn report(sources: &[u32], dice: &mut Dice) -> Vec<u8> {
    let source = sources[dice.roll(sources.len())];
    let (kind, format) = [
        (200, dice.roll(32)),
        (201, dice.roll(32)),
        (202, dice.roll(32)),
        (203, dice.roll(32)),
        (204, dice.roll(32)),
        (205, 1),
        (205, 15),
        (206, 1),
        (206, 4),
        (206, 15),
        (207, 0),
        (192 + dice.roll(32), dice.roll(32)),
    ][dice.roll(12)];
    let mut body: Vec<u8> = [dice.roll(1 << 32) as u32, source].map(u32::to_be_bytes).concat();
    match (kind, format) {
        // 65,535 statuses in chunks that say so, and in chunks that do not.
        (205, 15) => {
            body.extend([
                dice.roll(256) as u8,
                dice.roll(256) as u8,
                0xff,
                0xff,
                0,
                0,
                1,
                dice.roll(256) as u8,
            ]);
            body.extend(dice.bytes(300));
        }
        (206, 15) => {
            body.extend(b"REMB");
            body.extend([dice.roll(256) as u8, dice.roll(256) as u8, 0, 0]);
            body.extend(dice.bytes(16));
        }
        _ => body.extend(dice.bytes(200)),
    }
    body.resize(body.len().next_multiple_of(4), 0);
    let words = match dice.roll(5) {
        0 => dice.roll(65_536),
        _ => body.len() / 4,
    };
    let padding = u8::from(dice.roll(6) == 0) << 5;
    let mut packet = vec![0x80 | padding | format as u8, kind as u8];
    packet.extend((words as u16).to_be_bytes());
    packet.extend(body);
    packet
}

#[test]
fn a_hundred_thousand_hostile_packets_with_valid_keys_hurt_only_their_sender() {
    for seed in [1, 2] {
        let mut lab = Lab::new();
        let mut clients = lab.call::<3>(ROOM);
        clients[0].recorded = Some(Vec::new());
        lab.run(&mut clients, 200);
        let recorded = clients[0].recorded.take().unwrap();
        let genuine: Vec<&Vec<u8>> = recorded.iter().filter(|packet| packet[1] & 0x7f >= 96).collect();
        let mut sources: Vec<u32> = clients[0].received.keys().map(|(ssrc, _)| *ssrc).collect();
        sources.dedup();
        sources.extend([0, 1, u32::MAX]);
        let mut seals = clients[0].seals();
        clients[0].publishes = false;
        let before = (clients[1].written(), clients[2].packets_from(&clients[1]));
        let mut dice = Dice(seed);
        let mut index = [1u64 << 17, 1 << 17];
        for n in 0..PACKETS / 2 {
            let sealed = if dice.roll(2) == 0 {
                let which = dice.roll(genuine.len());
                let line = usize::from(genuine[which][1] & 0x7f == 96);
                index[line] += [0, 1, 1, 1, 2, 300][dice.roll(6)];
                let (packet, header) = media(genuine[which], index[line] as u16, &mut dice);
                seals.rtp(&packet, header, index[line])
            } else {
                seals.rtcp(&report(&sources, &mut dice))
            };
            lab.receive(clients[0].address, &sealed, &mut clients);
            if n % 20 == 0 {
                lab.step(&mut clients);
            }
        }
        lab.run(&mut clients, 50);
        let written = clients[1].written() - before.0;
        assert!(written > 1_000, "{written}");
        let got = clients[2].packets_from(&clients[1]) - before.1;
        assert_eq!(got, written, "the others hear and see each other whole");
        for client in &clients[1..] {
            assert!(!lab.events.contains(&crate::control::Event::Lost { leg: client.leg }), "seed {seed}");
        }
    }
}
