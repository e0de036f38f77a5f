//! What a room has to play: its own tracks, those of its parts on other shards, and what the parts tell each other of that.

use std::time::Duration;

use crate::control::{Kind, LegId, Source, TrackKey};
use crate::peer::{Now, Peer};
use crate::relay::{Entered, Listed, Playlist, Relay, Word};
use crate::track::Track;

use super::{Out, Room};

/// The parts of a room on several shards tell each other what they have and show at least this often.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a room has to play.
pub(super) struct Playable {
    /// Oldest leg first.
    video: Vec<TrackKey>,
    /// The sound of shared screens, then the voices, the loudest first.
    audio: Vec<TrackKey>,
}

impl Playable {
    /// What this subscriber shows, else the pictures of all others.
    pub(super) fn video_for(&self, peer: &Peer) -> Vec<TrackKey> {
        let is_others = |track: &TrackKey| track.leg != peer.leg;
        match &peer.view {
            Some(wants) => {
                let wanted = wants.iter().map(|want| want.track);
                wanted.filter(|track| is_others(track) && self.video.contains(track)).collect()
            }
            None => self.video.iter().copied().filter(is_others).collect(),
        }
    }

    /// The sound of all others.
    pub(super) fn audio_for(&self, peer: &Peer) -> Vec<TrackKey> {
        self.audio.iter().copied().filter(|track| track.leg != peer.leg).collect()
    }
}

impl Room {
    /// What there is to play.
    pub(super) fn playable(&self) -> Playable {
        let own = self.own_playlist().into_iter();
        let mut playlist: Vec<_> = own.map(|listed| (listed.entered, listed.track)).collect();
        playlist.extend(self.elsewhere.playlist());
        playlist.sort_by_key(|(entered, _)| *entered);
        let tracks = playlist.into_iter().map(|(_, track)| track);
        let (video, audio): (Vec<TrackKey>, Vec<_>) =
            tracks.partition(|track| track.source.kind() == Kind::Video);
        let (mut audio, voices): (Vec<TrackKey>, Vec<TrackKey>) =
            audio.into_iter().partition(|track| track.source == Source::ScreenAudio);
        let mut legs: Vec<LegId> = voices.iter().map(|track| track.leg).collect();
        self.speakers.rank(&mut legs);
        audio.extend(legs.into_iter().map(|leg| TrackKey { leg, source: Source::Microphone }));
        Playable { video, audio }
    }

    /// Tells the other shards what there is to play here, when that has changed and now and then.
    pub(super) fn tell(&mut self, now: Now, out: &mut Out) {
        if self.shards.count == 1 {
            return;
        }
        let playlist = self.own_playlist();
        let is_known = self.told.as_ref().is_some_and(|(at, told)| {
            told[..] == playlist[..] && now.instant.saturating_duration_since(*at) < TELL_EVERY
        });
        if is_known {
            return;
        }
        let playlist = Playlist::from(playlist);
        for shard in self.shards.others() {
            let word = Word::Playlist(playlist.clone());
            out.relays.push((shard, Relay { room: self.id, word }));
        }
        self.told = Some((now.instant, playlist));
    }

    /// Oldest leg first.
    pub(super) fn own_playlist(&self) -> Vec<Listed> {
        let tracks = self.peers.values().filter_map(|peer| Some((peer.entered?, &peer.tracks)));
        let tracks = tracks.flat_map(|(entered, tracks)| tracks.iter().map(move |track| (entered, track)));
        let playable = tracks.filter(|(_, track)| track.is_playable());
        let list = |(entered, track): (Entered, &Track)| Listed {
            entered,
            track: track.key,
            resting: track.resting(),
        };
        let mut playlist: Vec<_> = playable.map(list).collect();
        playlist.sort_by_key(|listed| listed.entered);
        playlist
    }

    pub(super) fn replay_changed(&mut self, gone: &[TrackKey], is_more: bool, now: Now, out: &mut Out) {
        let silent = gone.iter().filter(|track| track.source == Source::Microphone);
        silent.for_each(|track| self.speakers.forget(track.leg));
        if is_more || !gone.is_empty() {
            self.assign_all(now, out);
        }
    }
}
