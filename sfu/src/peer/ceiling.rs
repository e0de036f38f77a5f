//! What the plan of whoever pays lets one person send: the client is told, and pictures that come faster go no further.

use std::time::{Duration, Instant};

use str0m::Input;
use str0m::bwe::Bitrate;

use crate::allowance::Allowance;
use crate::control::{Kind, Source};
use crate::metrics::Dropped;

use super::{Datagram, Now, Peer, Said};

/// How often a client is told. libwebrtc heeds the last word for as long as the connection lives; a word may be lost.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A limit for all that one person sends.
#[derive(Debug)]
pub(super) struct Ceiling {
    kbps: u32,
    /// A voice has none: it is small, and a call without it is none.
    pictures: Allowance,
    tell_at: Instant,
}

impl Peer {
    /// From now on this person may send so much.
    pub(crate) fn limit(&mut self, kbps: u32, now: Instant) {
        let pictures = Allowance::for_pictures(kbps, now);
        self.ceiling = Some(Ceiling { kbps, pictures, tell_at: now });
    }

    /// Whether the plan lets a packet of this size go on.
    pub(crate) fn affords(&mut self, source: Source, bytes: usize, now: Instant) -> bool {
        let Some(ceiling) = self.ceiling.as_mut().filter(|_| source.kind() == Kind::Video) else {
            return true;
        };
        let affords = ceiling.pictures.is_left(now);
        if affords {
            ceiling.pictures.spend(bytes);
        } else {
            self.counts.drop(Dropped::OverPlan);
        }
        affords
    }

    /// Tells the client how much it may send, when that is due and it sends a picture: as the most that we take
    /// (draft-alvestrand-rmcat-remb-03 §2), which is of the whole connection. Answers whether anything was sent.
    pub(crate) fn tell_ceiling(&mut self, now: Now, out: &mut Vec<Datagram>, said: &mut Said) -> bool {
        let Some(ceiling) = self.ceiling.as_mut().filter(|ceiling| now.instant >= ceiling.tell_at) else {
            return false;
        };
        let pictures = self.tracks.iter().filter(|track| track.key.source.kind() == Kind::Video);
        let heard = pictures.filter_map(|track| Some((track.mid, track.latest_encoding()?))).next();
        let mut api = self.rtc.direct_api();
        let Some(stream) = heard.and_then(|(mid, rid)| api.stream_rx_by_mid(mid, rid)) else { return false };
        stream.request_remb(Bitrate::kbps(ceiling.kbps.into()));
        ceiling.tell_at = now.instant + TELL_EVERY;
        self.check(|rtc| rtc.handle_input(Input::Timeout(now.instant)));
        self.drain(now, out, said);
        true
    }
}
