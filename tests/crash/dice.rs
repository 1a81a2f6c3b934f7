//! The seed, and everything that is drawn from it.

use std::time::Duration;

/// How often the daemon is killed, all databases together.
const KILLS: &str = "AEGIS_CRASH_KILLS";
/// Draws the same moments and the same work again. What the machine makes of them may still differ.
const SEED: &str = "AEGIS_CRASH_SEED";
const KILLS_DEFAULT: u32 = 12;

/// SplitMix64: small, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of its own for one of several at work, so that they do not take turns by chance.
    #[must_use]
    pub fn for_number(&self, number: u64) -> Self {
        Self(self.0 ^ number.wrapping_add(1).wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// One of 0 to `sides` - 1.
    pub fn below(&mut self, sides: u64) -> u64 {
        self.roll() % sides
    }

    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.trim().parse().unwrap_or_else(|_| panic!("{variable}={text:?} is not a number")))
}

/// From the environment, and otherwise a new one.
pub fn seed() -> u64 {
    number(SEED).unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
        since.as_micros() as u64 % 1_000_000_000
    })
}

/// The share of one of the `parts` among which the kills are divided.
pub fn kills(parts: u32) -> u32 {
    let all = number(KILLS).map_or(KILLS_DEFAULT, |kills| u32::try_from(kills).expect("a sensible number of kills"));
    all.div_ceil(parts)
}
