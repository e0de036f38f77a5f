//! Who speaks: from the audio levels that publishers put beside their packets (RFC 6464), with hysteresis.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::control::LegId;

/// Louder than this is speech, in dB below full scale.
const ON_DB: f32 = -45.0;
/// Softer than this is silence.
const OFF_DB: f32 = -55.0;
/// A pause for breath does not end a turn.
const HOLD: Duration = Duration::from_millis(800);
/// One voice overtakes another in the order only when it is louder by this much.
const OVERTAKE_DB: f32 = 6.0;
/// The level of nothing.
const SILENCE_DB: f32 = -127.0;
/// How much of the newest 100 ms counts against the past.
const WEIGHT: f32 = 0.4;

/// The voices of one room. Told of each packet's level, asked every 100 ms.
#[derive(Debug, Default)]
pub(crate) struct Speakers {
    voices: BTreeMap<LegId, Voice>,
    speaking: Vec<LegId>,
}

#[derive(Debug)]
struct Voice {
    /// The loudest packet since the last tick.
    peak_db: f32,
    level_db: f32,
    loud_at: Option<Instant>,
}

impl Speakers {
    /// A packet of a microphone: its level in dB below full scale, 0 to -127.
    pub(crate) fn heard(&mut self, leg: LegId, level_db: i8) {
        let voice = self.voices.entry(leg).or_insert(Voice {
            peak_db: SILENCE_DB,
            level_db: SILENCE_DB,
            loud_at: None,
        });
        voice.peak_db = voice.peak_db.max(f32::from(level_db).min(0.0));
    }

    /// Whether somebody speaks.
    pub(crate) fn is_speaking(&self, leg: LegId) -> bool {
        self.speaking.contains(&leg)
    }

    /// The leg left or was muted.
    pub(crate) fn forget(&mut self, leg: LegId) {
        self.voices.remove(&leg);
    }

    /// Takes stock of the last 100 ms. Answers who speaks, loudest first, if that changed.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Vec<LegId>> {
        for voice in self.voices.values_mut() {
            voice.level_db += (voice.peak_db - voice.level_db) * WEIGHT;
            voice.peak_db = SILENCE_DB;
            if voice.level_db > ON_DB || (voice.loud_at.is_some() && voice.level_db > OFF_DB) {
                voice.loud_at = Some(now);
            }
        }
        let before = self.speaking.clone();
        self.speaking.retain(|leg| self.voices.get(leg).is_some_and(|voice| voice.speaks(now)));
        for (leg, voice) in &self.voices {
            if voice.speaks(now) && !self.speaking.contains(leg) {
                self.speaking.push(*leg);
            }
        }
        self.overtake();
        (self.speaking != before).then(|| self.speaking.clone())
    }

    /// Legs in the order in which they should get the audio slots: who speaks, then who spoke last, then the others.
    pub(crate) fn rank(&self, legs: &mut [LegId]) {
        legs.sort_by_key(|leg| {
            let speaking = self.speaking.iter().position(|other| other == leg).unwrap_or(usize::MAX);
            let loud_at = self.voices.get(leg).and_then(|voice| voice.loud_at);
            (speaking, std::cmp::Reverse(loud_at), *leg)
        });
    }

    fn overtake(&mut self) {
        let level = |leg: &LegId| self.voices.get(leg).map_or(SILENCE_DB, |voice| voice.level_db);
        for place in (1..self.speaking.len()).rev() {
            if level(&self.speaking[place]) > level(&self.speaking[place - 1]) + OVERTAKE_DB {
                self.speaking.swap(place, place - 1);
            }
        }
    }
}

impl Voice {
    fn speaks(&self, now: Instant) -> bool {
        self.loud_at.is_some_and(|at| now.saturating_duration_since(at) <= HOLD)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn leg(n: u128) -> LegId {
        LegId(Uuid::from_u128(n))
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do; the test adds to it")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Plays `(ticks, levels of legs 1, 2, …)` and answers the changes as text: `tick:who`.
    fn play(script: &[(u64, &[i8])]) -> Vec<String> {
        let (mut speakers, t0, mut tick, mut changes) = (Speakers::default(), start(), 0, Vec::new());
        for (ticks, levels) in script {
            for _ in 0..*ticks {
                for (n, level) in levels.iter().enumerate() {
                    speakers.heard(leg(n as u128 + 1), *level);
                }
                tick += 1;
                if let Some(who) = speakers.tick(t0 + Duration::from_millis(100) * tick) {
                    let who: Vec<String> = who.iter().map(|leg| leg.0.as_u128().to_string()).collect();
                    changes.push(format!("{tick}:{}", who.join(",")));
                }
            }
        }
        changes
    }

    #[test]
    fn a_voice_starts_and_a_breath_does_not_end_it() {
        assert_eq!(play(&[(10, &[-30]), (5, &[-90]), (10, &[-30]), (20, &[-90])]), ["4:1", "35:"]);
    }

    #[test]
    fn noise_between_the_thresholds_starts_nothing() {
        assert!(play(&[(50, &[-50])]).is_empty());
    }

    #[test]
    fn the_louder_voice_comes_first_but_small_differences_do_not_swap() {
        assert_eq!(play(&[(10, &[-33, -33]), (20, &[-33, -29])]), ["5:1,2"]);
        let changes = play(&[(10, &[-40, -90]), (10, &[-40, -20])]);
        assert_eq!(
            (changes.first().map(String::as_str), changes.last().map(String::as_str)),
            (Some("6:1"), Some("14:2,1"))
        );
    }

    #[test]
    fn the_rank_is_speakers_then_recent_then_the_rest() {
        let mut speakers = Speakers::default();
        let t0 = start();
        for tick in 1..40u32 {
            speakers.heard(leg(2), if tick < 10 { -20 } else { -120 });
            speakers.heard(leg(3), if tick >= 20 { -20 } else { -120 });
            speakers.heard(leg(1), -120);
            speakers.tick(t0 + Duration::from_millis(100) * tick);
        }
        let mut legs = [leg(1), leg(2), leg(3)];
        speakers.rank(&mut legs);
        assert_eq!(legs, [leg(3), leg(2), leg(1)]);
    }
}
